"""Xception: separable convolutions, where its blocks have a ReLU and where not, its three flows."""

import numpy as np
import pytest

import tinyconv as tc
import tinyconv.nn.functional as F
from tinyconv import models, nn


def count(net):
    return sum(p.numel() for p in net.parameters())


@pytest.mark.parametrize("options", [{}, dict(stride=2, padding=1), dict(padding=2, dilation=2)])
def test_a_separable_convolution_is_one_convolution(options):
    conv = models.SeparableConv2d(4, 6, 3, **options)
    x = tc.randn(2, 4, 9, 11)
    one = conv.pointwise.weight * conv.depthwise.weight.permute(1, 0, 2, 3)  # p[o,c] d[c,i,j]
    assert one.shape == (6, 4, 3, 3)
    np.testing.assert_allclose(
        conv(x).detach(), F.conv2d(x, one, **options).detach(), rtol=1e-4, atol=1e-5
    )


def test_a_separable_convolution_costs_what_it_says():
    C, O, k = 12, 20, 5
    share = count(models.SeparableConv2d(C, O, k)) / (k**2 * C * O)
    assert share == pytest.approx(1 / O + 1 / k**2)


def inputs_of(block, x):
    """What the first separable convolution and the projection are given."""
    seen = {}
    block.sep[0].register_forward_hook(lambda m, args, y: seen.update(sep=args[0].detach()))
    if block.skip is not None:
        block.skip.register_forward_hook(lambda m, args, y: seen.update(skip=args[0].detach()))
    with tc.no_grad():
        block.eval()(x)
    return seen


@pytest.mark.parametrize("first_relu", [True, False])
def test_the_first_relu_is_before_the_convolutions_alone(first_relu):
    x = tc.randn(2, 4, 7, 10)
    seen = inputs_of(models.XceptionBlock(4, (5, 6), stride=2, first_relu=first_relu), x)
    np.testing.assert_array_equal(seen["sep"], F.relu(x) if first_relu else x)
    np.testing.assert_array_equal(seen["skip"], x)


def test_a_block_of_the_entry_flow_step_by_step():
    block = models.XceptionBlock(4, (5, 6), stride=2).eval()
    x = tc.randn(2, 4, 7, 10)
    y = block.bn[0](block.sep[0](F.relu(x)))
    y = block.bn[1](block.sep[1](F.relu(y)))
    y = F.max_pool2d(y, 3, stride=2, padding=1) + block.skip(x)
    assert y.shape == (2, 6, 4, 5) and (y < 0).any()  # no ReLU behind the sum
    np.testing.assert_array_equal(block(x).detach(), y.detach())


def test_a_block_of_the_middle_flow_is_the_identity_where_its_last_batch_norm_is_zero():
    block = models.XceptionBlock(6, (6, 6, 6))
    nn.init.zeros_(block.bn[-1].weight)
    x = tc.randn(2, 6, 5, 7)
    np.testing.assert_array_equal(block(x).detach(), x)


@pytest.mark.parametrize("widths, stride", [((6,), 3), ((6, 5), 1)])
def test_a_block_that_cannot_be_added_is_refused(widths, stride):
    with pytest.raises(ValueError, match=f"stride={stride} from 6 to {widths[-1]} channels"):
        models.XceptionBlock(6, widths, stride=stride)


@pytest.fixture(scope="module")
def net():
    tc.manual_seed(3)
    return models.xception(in_channels=2, num_classes=5)


def test_only_the_first_block_has_no_leading_relu(net):
    blocks = {n: m for n, m in net.named_modules() if isinstance(m, models.XceptionBlock)}
    assert list(blocks) == [
        "block2", "block3", "block4", *(f"middle.block{i}" for i in range(5, 13)), "block13",
    ]  # fmt: skip
    assert [n for n, m in blocks.items() if not m.first_relu] == ["block2"]
    assert [n for n, m in blocks.items() if m.skip is None] == list(blocks)[3:11]


def test_it_has_36_convolutions_and_one_eps(net):
    separable = sum(isinstance(m, models.SeparableConv2d) for m in net.modules())
    stem = sum(isinstance(m, models.ConvNormReLU) for m in net.modules())
    assert (separable, stem) == (34, 2)
    norms = [m for m in net.modules() if isinstance(m, nn.BatchNorm2d)]
    assert len(norms) == 36 + 4 and {m.eps for m in norms} == {1e-3}
    with nn.init.skip_init():
        copy = models.xception(eps=1e-5)
    assert {m.eps for m in copy.modules() if isinstance(m, nn.BatchNorm2d)} == {1e-5}


def test_the_exit_flow_has_its_relus_behind(net):
    seen = {}
    net.block13.register_forward_hook(lambda m, args, y: seen.update(sum=y.detach()))
    net.block14_sep1.register_forward_hook(lambda m, args, y: seen.update(first=args[0].detach()))
    net.block14_sep2.register_forward_hook(lambda m, args, y: seen.update(second=args[0].detach()))
    net.fc.register_forward_hook(lambda m, args, y: seen.update(pooled=args[0].detach()))
    with tc.no_grad():
        assert net.eval()(tc.randn(1, 2, 35, 51)).shape == (1, 5)
    assert (seen["sum"] < 0).any()
    np.testing.assert_array_equal(seen["first"], seen["sum"])
    assert (seen["second"] >= 0).all() and (seen["pooled"] >= 0).all()
    assert (seen["second"] == 0).any()


def test_dropout_is_before_the_last_layer_and_in_training_alone(net):
    assert net.dropout.p == 0.5
    given = []
    handle = net.fc.register_forward_hook(lambda m, args, y: given.append(args[0].numpy()))
    x = tc.randn(2, 2, 33, 40)
    with tc.no_grad():
        net.eval()(x)
        net.train()(x)
    handle.remove()
    assert (given[0] == 0).mean() < 0.3 < (given[1] == 0).mean()


def test_every_parameter_gets_a_gradient(net):
    net.train().zero_grad()
    F.cross_entropy(net(tc.randn(3, 2, 40, 33)), tc.arange(3)).backward()
    assert all(p.grad is not None and np.isfinite(p.grad.numpy()).all() for p in net.parameters())


def test_an_image_too_small_is_an_error(net):
    with pytest.raises(ValueError, match="conv2d"):
        net.eval()(tc.zeros(1, 2, 4, 40))
