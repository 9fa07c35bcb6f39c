"""MobileNet: filters that see one map, the width multiplier, strides, the whole convolutions."""

import math

import numpy as np
import pytest

import tinyconv as tc
import tinyconv.nn.functional as F
from tinyconv import models

MAPS = [32, 64, 128, 128, 256, 256, 512, 512, 512, 512, 512, 512, 1024, 1024]


@pytest.mark.parametrize(
    "name, width",
    [("mobilenet_v1", 1), ("mobilenet_v1_0_75", 0.75), ("mobilenet_v1_0_5", 0.5),
     ("mobilenet_v1_0_25", 0.25)],
)  # fmt: skip
def test_the_width_multiplies_all_maps_but_the_classes(blank, name, width):
    net = blank(name)
    wide = [net.conv1.out_channels, *(u.conv_pw.out_channels for u in net.units)]
    assert wide == [int(n * width) for n in MAPS]
    assert net.fc.weight.shape == (1000, wide[-1])


def test_each_unit_filters_map_by_map_and_then_mixes(ops_of):
    kinds = []
    for op in ops_of("mobilenet_v1_0_25", (64, 96)):
        if op.function.__name__ == "Conv2d":
            _, w, _, window, groups = op.args
            kinds.append((groups == w.shape[0], w.shape[2:], window.sh))
    strides = [1, 2, 1, 2, 1, 2, 1, 1, 1, 1, 1, 2, 1]  # the last one is 1, whatever is printed
    units = [kind for s in strides for kind in ((True, (3, 3), s), (False, (1, 1), 1))]
    assert kinds == [(False, (3, 3), 2), *units]


def test_batch_norm_and_relu_stand_behind_every_convolution(ops_of):
    names = [op.function.__name__ for op in ops_of("mobilenet_v1_0_25", (40, 56))]
    assert names == ["Conv2d", "BatchNorm", "Relu"] * 27 + ["AvgPool2d", "Reshape", "Linear"]


def test_what_a_unit_saves(blank):
    """Separable: 9 C + C O numbers in place of 9 C O."""
    separable, whole = blank("mobilenet_v1"), blank("mobilenet_v1_fullconv")
    for C, O, one, other in zip(MAPS, MAPS[1:], separable.units, whole.units):
        assert math.prod(other.conv.weight.shape) == 9 * C * O
        parts = one.conv_dw.weight.numel(), one.conv_pw.weight.numel()
        assert parts == (9 * C, C * O)
        assert one.conv_dw.stride == other.conv.stride


def test_activations_can_be_cut_at_six():
    x = tc.randn(2, 3, 33, 41) * 5
    plain, cut = (models.mobilenet_v1_0_25(num_classes=4, relu6=c).eval() for c in (False, True))
    cut.load_state_dict(plain.state_dict())
    with tc.no_grad():
        for net in (plain, cut):
            net.bn1.weight.fill_(9.0)
    stem = plain.bn1(plain.conv1(x))
    assert (stem > 6).any()
    first = [net.units[0](net.activation(stem)).detach().numpy() for net in (plain, cut)]
    assert first[0].max() > first[1].max() and first[1].max() <= 6
    expected = F.relu6(plain.units[0].bn1(plain.units[0].conv_dw(F.relu6(stem))))
    expected = F.relu6(plain.units[0].bn2(plain.units[0].conv_pw(expected)))
    np.testing.assert_array_equal(first[1], expected.detach().numpy())


def test_first_weights():
    net = models.mobilenet_v1_0_5(num_classes=300)
    for name, p in net.named_parameters():
        if p.ndim == 4:
            std = (2 / math.prod(p.shape[1:])) ** 0.5  # 9 is the fan of a filter of one map
            np.testing.assert_allclose(p.detach().numpy().std(), std, rtol=0.15, err_msg=name)
    np.testing.assert_allclose(net.fc.weight.detach().numpy().std(), 0.01, rtol=0.02)
