"""Pre-activation residual nets: identities, activations that two ways share, what stands at both
ends, and a net of 1001 layers.
"""

import numpy as np
import pytest

import tinyconv as tc
import tinyconv.nn.functional as F
from tinyconv import models, nn

UNITS = [models.PreActBlock, models.PreActBottleneck]


def count(net):
    return sum(p.numel() for p in net.parameters())


def last_conv(unit):
    return unit.conv3 if isinstance(unit, models.PreActBottleneck) else unit.conv2


@pytest.mark.parametrize("unit", UNITS)
def test_each_convolution_has_its_batch_norm_and_relu_before_it(unit):
    tc.manual_seed(5)
    net = unit(6 * unit.expansion, 6).eval()
    x = y = tc.randn(2, 6 * unit.expansion, 5, 7)
    for i in range(1, 4 if unit is models.PreActBottleneck else 3):
        bn = getattr(net, f"bn{i}")
        nn.init.uniform_(bn.bias, -0.5, 0.5)
        y = getattr(net, f"conv{i}")(F.relu(bn(y)))
    np.testing.assert_array_equal(net(x).detach(), (x + y).detach())


@pytest.mark.parametrize("unit", UNITS)
def test_a_unit_is_the_identity_where_its_last_convolution_is_zero(unit):
    net = unit(6 * unit.expansion, 6)
    nn.init.zeros_(last_conv(net).weight)
    x = tc.randn(2, 6 * unit.expansion, 5, 7, requires_grad=True)
    weights = tc.randn(*x.shape)
    y = net(x)
    np.testing.assert_array_equal(y.detach(), x.detach())  # negative numbers too
    (y * weights).sum().backward()
    np.testing.assert_array_equal(x.grad, weights)  # and the gradient comes back whole


def seen_by_shortcut(unit, x):
    seen = []
    unit.shortcut.register_forward_hook(lambda m, args, y: seen.append(args[0].detach()))
    unit.eval()(x)
    return seen[0]


@pytest.mark.parametrize("unit", UNITS)
@pytest.mark.parametrize("shortcut", "AB")
def test_where_the_shape_changes_both_ways_share_the_activation(unit, shortcut):
    x = tc.randn(2, 5, 6, 8)
    net = unit(5, 7, stride=2, shortcut=shortcut)
    nn.init.uniform_(net.bn1.weight, 0.5, 2)
    active = F.relu(net.eval().bn1(x)).detach()
    np.testing.assert_array_equal(seen_by_shortcut(net, x), active)
    if shortcut == "B":
        assert isinstance(net.shortcut, nn.Conv2d)  # no batch norm behind the projection
        nn.init.zeros_(last_conv(net).weight)
        np.testing.assert_array_equal(net(x).detach(), net.shortcut(active).detach())


@pytest.mark.parametrize("unit", UNITS)
def test_where_the_shape_stays_the_raw_input_goes_on(unit):
    x = tc.randn(2, 7 * unit.expansion, 6, 8)
    np.testing.assert_array_equal(seen_by_shortcut(unit(7 * unit.expansion, 7), x), x)


@pytest.mark.parametrize(
    "make",
    [
        lambda: models.PreActResNet(18),
        lambda: models.PreActResNet(50),
        lambda: models.CifarPreActResNet(14, bottleneck=False),
        lambda: models.CifarPreActResNet(20),
    ],
)
def test_the_first_unit_activates_before_the_ways_part(make):
    with nn.init.skip_init():
        net = make()
    units = [m for m in net.modules() if isinstance(m, tuple(UNITS))]
    for unit in units:
        changes = not isinstance(unit.shortcut, nn.Identity)
        assert unit.shared == (changes or unit is units[0])
    x = tc.randn(2, net.layer1[0].bn1.num_features, 5, 7)
    np.testing.assert_array_equal(seen_by_shortcut(units[0], x), F.relu(units[0].bn1(x)).detach())


def test_a_batch_norm_and_relu_follow_the_last_sum():
    net = models.CifarPreActResNet(11, num_classes=4).eval()
    sums, pooled = [], []
    net.layer3.register_forward_hook(lambda m, args, y: sums.append(y.detach()))
    net.fc.register_forward_hook(lambda m, args, y: pooled.append(args[0].detach()))
    net(tc.randn(2, 3, 12, 8))
    expected = F.relu(net.bn(sums[0])).mean(dim=(2, 3)).detach()
    assert (sums[0] < 0).any()
    np.testing.assert_allclose(pooled[0], expected, rtol=1e-5, atol=1e-6)


def test_units_cost_what_they_say():
    w = 6
    assert count(models.PreActBlock(w, w)) == 18 * w**2 + 4 * w
    assert count(models.PreActBottleneck(4 * w, w)) == 17 * w**2 + 12 * w
    assert count(models.PreActBottleneck(5, w, 2)) == (
        (5 + 9 * w + 4 * w) * w + 2 * (5 + 2 * w) + 5 * 4 * w
    )


def test_option_a_has_no_projections():
    with nn.init.skip_init():
        a, b = (models.CifarPreActResNet(20, False, shortcut) for shortcut in "AB")
    assert count(b) - count(a) == 16 * 32 + 32 * 64


def test_strides_stand_where_they_should():
    with nn.init.skip_init():
        large, small = models.preact_resnet50(), models.cifar_preact_resnet164()
    assert (large.layer2[0].conv1.stride, large.layer2[0].conv2.stride) == ((1, 1), (2, 2))
    assert (small.layer2[0].conv1.stride, small.layer2[0].conv2.stride) == ((2, 2), (1, 1))


@pytest.mark.parametrize(
    "make, size",
    [
        (lambda: models.PreActResNet(18, in_channels=2, num_classes=5), (33, 47)),
        (lambda: models.PreActResNet(50, "A", in_channels=2, num_classes=5), (40, 35)),
        (lambda: models.CifarPreActResNet(8, False, in_channels=2, num_classes=5), (9, 14)),
        (lambda: models.CifarPreActResNet(11, True, "A", in_channels=2, num_classes=5), (12, 7)),
    ],
)
def test_channels_classes_and_image_sizes_are_free(make, size):
    assert make().eval()(tc.randn(3, 2, *size)).shape == (3, 5)


@pytest.mark.parametrize(
    "call, words",
    [
        (lambda: models.CifarPreActResNet(32), r"depth=32 must be 9n \+ 2 with bottlenecks"),
        (lambda: models.CifarPreActResNet(21, bottleneck=False), r"depth=21 must be 6n \+ 2"),
        (lambda: models.CifarPreActResNet(20, shortcut="C"), "shortcut='C': a pre-activation"),
        (lambda: models.CifarPreActResNet(20, shortcut="D"), "shortcut='D': wants"),
        (lambda: models.PreActResNet(42), "depth=42: Table 1 has 18"),
        (lambda: models.PreActResNet(50, stride_on=3), "stride_on=3: wants '1x1'"),
    ],
)
def test_what_the_paper_has_not(call, words):
    with nn.init.skip_init(), pytest.raises(ValueError, match=words):
        call()


def test_1001_layers_go_forward_and_backward():
    tc.manual_seed(2)
    net = models.get_model("preact_resnet1001")
    projections = 3
    weighted = sum(isinstance(m, (nn.Conv2d, nn.Linear)) for m in net.modules())
    assert weighted - projections == 1001
    F.cross_entropy(net(tc.randn(1, 3, 8, 8)), tc.tensor([4])).backward()
    assert all(np.isfinite(p.grad.numpy()).all() for p in net.parameters())
    assert net.conv1.weight.grad.any()


def test_units_that_run_again_give_the_same():
    results = []
    for recompute in (0, 2):
        tc.manual_seed(4)
        net = models.CifarPreActResNet(29, recompute=recompute)
        F.cross_entropy(net(tc.randn(3, 3, 12, 8)), tc.arange(3)).backward()
        results.append([p.grad.numpy() for p in net.parameters()])
    for kept, again in zip(*results):
        np.testing.assert_array_equal(kept, again)
