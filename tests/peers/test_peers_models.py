"""Every network against the same text in PyTorch: logits, statistics and gradients, from the same
weights.
"""

import inspect

import numpy as np
import pytest

import tinyconv as tc
from benchmarks import twin
from tinyconv import models
from tinyconv.models.registry import find

torch = pytest.importorskip("torch")
pytestmark = pytest.mark.peers

#: a small image that the network takes; those of a family begin alike
SMALL = {
    "alexnet_original": 227, "alexnet": 99, "zfnet": 224, "vgg": 32, "nin_imagenet": 99,
    "nin_d2l": 99, "nin_cifar": 29,
    "googlenet": 67, "bn_inception": 67, "inception_v3": 107, "inception_v4": 107,
    "inception_resnet": 107, "xception": 67, "resnet": 65, "preact": 65, "cifar": 17,
    "densenet": 65, "squeezenet": 65, "mobilenet": 65,
}  # fmt: skip


def options_of(name):
    return inspect.signature(find(name).cls).parameters


def image_of(name):
    C, H, W = find(name).input
    size = next((size for start, size in SMALL.items() if name.startswith(start)), None)
    return (C, H, W) if size in (None, H) else (C, size, size + 3)


def filled(net):
    """Statistics and scales as after some training: at first batch norm hides mistakes."""
    rng = np.random.default_rng(5)
    for name, tensor in net.state_dict().items():
        if name.endswith("running_var"):
            tensor.copy_(tc.from_numpy(rng.uniform(0.5, 2, tensor.shape)))
        elif name.endswith(("running_mean", "bias")):
            tensor.copy_(tc.from_numpy(rng.normal(0, 0.1, tensor.shape)))
    return net


def pair(name, double=True, **options):
    """(ours, PyTorch's) with the same weights."""
    with tc.nn.init.skip_init():
        ours = models.get_model(name, **options)
    tc.manual_seed(1)
    for tensor in ours.parameters():
        if tensor.ndim > 1:  # what is drawn decides nothing, but it must not fade away
            tc.nn.init.kaiming_normal_(tensor)
    filled(ours)
    with torch.device("meta"):
        theirs = twin.get_model(name, torch, **options)
    theirs = theirs.to_empty(device="cpu")
    if double:
        ours, theirs = ours.double(), theirs.double()
    twin.copy_weights(torch, ours, theirs)
    return ours, theirs


def still(net):
    """Without dropout, whose masks two generators draw differently."""
    for module in net.modules():
        if "Dropout" in type(module).__name__:
            module.p = 0.0
        if isinstance(getattr(module, "dropout", None), float):
            module.dropout = 0.0
    return net


def close(actual, wanted, tolerance, least=0.0):
    scale = max(np.abs(wanted).max(), least) or 1.0
    np.testing.assert_allclose(actual / scale, wanted / scale, rtol=0, atol=tolerance)


def outputs(framework, net, x):
    y = net(framework.from_numpy(x))
    return y if isinstance(y, tuple) else (y,)


def numbers(tensor):
    return tensor.detach().numpy()


def images(name, count, dtype=np.float64):
    rng = np.random.default_rng(2)
    return rng.standard_normal((count, *image_of(name))).astype(dtype)


@pytest.mark.parametrize("name", models.list_models())
def test_logits_and_gradients(name):
    small = {"num_classes": 7}
    if "aux_logits" in options_of(name):
        small["aux_logits"] = False  # they want their own image size: below
    ours, theirs = map(still, pair(name, **small))
    x = images(name, 2)
    ours.eval(), theirs.eval()
    with tc.no_grad(), torch.no_grad():
        (y,), (z,) = outputs(tc, ours, x), outputs(torch, theirs, x)
    assert y.shape == (2, 7)
    close(numbers(y), numbers(z), 1e-9)
    ours.train(), theirs.train()
    compare_training(name, ours, theirs, x)


def compare_training(name, ours, theirs, x, tolerance=1e-9):
    ys, zs = outputs(tc, ours, x), outputs(torch, theirs, x)
    assert len(ys) == len(zs)
    rng = np.random.default_rng(3)
    gys = [rng.standard_normal(y.shape) for y in ys]
    for y, z in zip(ys, zs):
        close(numbers(y), numbers(z), tolerance)
    sum((y * tc.from_numpy(gy)).sum() for y, gy in zip(ys, gys)).backward()
    sum((z * torch.from_numpy(gy)).sum() for z, gy in zip(zs, gys)).backward()
    wanted = {path: numbers(p.grad) for path, p in theirs.named_parameters()}
    largest = max(np.abs(g).max() for g in wanted.values())
    for path, p in ours.named_parameters():
        # a bias in front of a batch norm has none: only rounding is left of it
        close(numbers(p.grad), wanted[path], tolerance, 1e-3 * largest)
    wanted = dict(theirs.named_buffers())
    for path, b in ours.named_buffers():
        close(b.numpy(), wanted[path].numpy(), tolerance)


@pytest.mark.parametrize("name", [n for n in models.list_models() if "aux_logits" in options_of(n)])
def test_auxiliary_classifiers(name):
    ours, theirs = map(still, pair(name, num_classes=7, aux_logits=True))
    ours.train(), theirs.train()
    C, H, W = find(name).input
    x = np.random.default_rng(2).standard_normal((2, C, H, W))
    compare_training(name, ours, theirs, x)


@pytest.mark.parametrize(
    "name", ["alexnet", "vgg11_bn", "nin_cifar10", "googlenet_paper", "bn_inception",
             "inception_v3", "inception_v4", "inception_resnet_v2", "xception", "resnet18",
             "preact_resnet50", "resnet20", "preact_resnet164", "densenet121", "squeezenet1_1",
             "mobilenet_v1_0_25"],
)  # fmt: skip
def test_single_precision(name):
    options = {"aux_logits": False} if "aux_logits" in options_of(name) else {}
    ours, theirs = pair(name, double=False, **options)
    ours.eval(), theirs.eval()
    x = images(find(name).name, 2, np.float32)
    with tc.no_grad(), torch.no_grad():
        (y,), (z,) = outputs(tc, ours, x), outputs(torch, theirs, x)
    close(numbers(y), numbers(z), 1e-4)
