"""Every network of the zoo as an ONNX file: checked, and run to the same logits by onnxruntime."""

import numpy as np
import pytest
from onnx_graphs.running import numbers, round_trip

import tinyconv as tc
from tinyconv import nn
from tinyconv.models.registry import find
from tinyconv.models.trace import trace

#: one of each family, the small ones
FEW = (
    "toy_inception_net", "lenet5_original", "lenet5_28pad2", "nin_cifar10",
    "cifar_resnet20_A", "cifar_resnet20_B", "cifar_preact_resnet20_B", "cifar_densenet_bc100_k12",
    "googlenet_paper", "googlenet_bn_5x5", "bn_inception_slim_sepconv", "inception_v3",
    "inception_resnet_v1_paper", "xception", "resnet18", "preact_resnet18", "densenet121",
    "squeezenet1_1", "mobilenet_v1_0_25",
)  # fmt: skip
SIZES = (17, 29, 32, 64, 75, 96, 128, 160, 192, 224, 227, 299)


def smallest(name):
    """The first size of an image that the network takes, in a dry run."""
    with nn.init.skip_init():
        net = find(name).make()
    for size in SIZES:
        try:
            trace(net, (find(name).input[0], size, size))
            return size
        except (ValueError, RuntimeError):
            pass
    raise AssertionError(f"{name} takes no image")


def some_network(name):
    """With statistics as after some training; the deepest ones would overflow with small ones."""
    net = find(name).make().eval()
    scale = 64 if any(depth in name for depth in ("1001", "1202")) else 1
    for i, (path, buffer) in enumerate(net.named_buffers()):
        if path.endswith("running_mean"):
            buffer.copy_(tc.from_numpy(numbers(buffer.shape, i) / 20))
        elif path.endswith("running_var"):
            buffer.copy_(tc.from_numpy(scale * np.abs(numbers(buffer.shape, i) / 4 + 1)))
    return net


def check(name):
    size = smallest(name)
    net = some_network(name)
    loaded = round_trip(net, numbers((2, find(name).input[0], size, size)))
    strange = set(loaded.state_dict()) - set(net.state_dict())
    assert not strange


@pytest.mark.parametrize("name", FEW)
def test_one_of_each_family(name):
    check(name)


@pytest.mark.slow
@pytest.mark.parametrize("name", tc.models.list_models())
def test_every_network(name, request):
    if "slow" not in request.config.option.markexpr:
        pytest.skip("run with -m slow")
    check(name)
