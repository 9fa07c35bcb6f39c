"""Network in Network: perceptrons between pools, and maps that are classes."""

import numpy as np
import pytest

import tinyconv as tc
from tinyconv import models

LAYER = "Conv2d Relu " * 3


def names(ops):
    return " ".join(op.function.__name__ for op in ops)


def test_cifar_has_a_max_pool_then_an_average_pool_and_dropout_behind_both(ops_of):
    assert names(ops_of("nin_cifar10")) == (
        LAYER + "MaxPool2d Dropout " + LAYER + "AvgPool2d Dropout " + LAYER + "AvgPool2d Reshape"
    )


@pytest.mark.parametrize("name", ["nin_imagenet", "nin_d2l_fashion"])
def test_imagenet_has_max_pools_and_dropout_before_the_last_layer(ops_of, name):
    assert names(ops_of(name)) == (
        (LAYER + "MaxPool2d ") * 3 + "Dropout " + LAYER + "AvgPool2d Reshape"
    )


@pytest.mark.parametrize(
    "name, sizes",
    [
        ("nin_cifar10", [16, 8, 1]),
        ("nin_imagenet", [27, 13, 6, 1]),  # the pools hang over the edge
        ("nin_d2l_fashion", [26, 12, 5, 1]),  # they do not
    ],
)
def test_sizes_behind_the_pools(ops_of, name, sizes):
    pools = [op for op in ops_of(name) if op.function.__name__.endswith("Pool2d")]
    assert [op.outputs[0].shape[2] for op in pools] == sizes


def test_logits_are_the_averages_of_the_last_maps():
    net = models.nin_cifar10(in_channels=2, num_classes=5).eval()
    x = tc.randn(3, 2, 13, 18)
    maps = net.layers(x)
    assert maps.shape == (3, 5, 3, 4) and (maps.detach().numpy() >= 0).all()
    np.testing.assert_allclose(
        net(x).detach().numpy(), maps.detach().numpy().mean((2, 3)), rtol=1e-5
    )


def test_the_perceptron_mixes_the_maps_of_one_pixel():
    layer = models.MLPConv(3, (4, 6, 5), (1, 2))
    x = tc.randn(1, 3, 4, 6)
    y = layer(x).detach().numpy()
    x[0, 1, 2, 3] = 9.0
    changed = (layer(x).detach().numpy() != y).any(axis=(0, 1))
    np.testing.assert_array_equal(np.argwhere(changed), [[2, 2], [2, 3]])


def test_dropout_has_the_probability_that_is_given():
    net = models.nin_cifar10(dropout=0.2)
    assert [m.p for n, m in net.layers.named_children() if n.startswith("drop")] == [0.2, 0.2]
