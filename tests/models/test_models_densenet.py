"""DenseNets: who sees what in which order, what a layer costs, transitions, dropout, depths."""

import numpy as np
import pytest

import tinyconv as tc
import tinyconv.nn.functional as F
from tinyconv import models, nn


def count(net):
    return sum(p.numel() for p in net.parameters())


@pytest.mark.parametrize("bottleneck", [True, False])
def test_the_oldest_channels_come_first(bottleneck):
    C, k, L = 5, 3, 4
    block = models.DenseBlock(C, L, k, bottleneck).eval()
    x = tc.randn(2, C, 6, 7)
    y = block(x).detach()
    assert y.shape == (2, C + L * k, 6, 7)
    np.testing.assert_array_equal(y[:, :C], x)
    for i in range(L):
        layer = getattr(block, f"denselayer{i + 1}")
        before = y[:, : C + i * k]
        new = layer.conv1(F.relu(layer.norm1(before)))
        if bottleneck:
            new = layer.conv2(F.relu(layer.norm2(new)))
        np.testing.assert_allclose(
            y[:, C + i * k : C + (i + 1) * k], new.detach(), rtol=1e-5, atol=1e-6
        )


def test_layers_cost_what_they_say():
    C, k = 50, 3
    wide, thin = models.DenseLayer(C, k), models.DenseLayer(C, k, bottleneck=False)
    assert count(wide) == 4 * k * C + 36 * k**2 + 2 * C + 8 * k
    assert count(thin) == 9 * k * C + 2 * C
    weights = [sum(p.numel() for p in net.parameters() if p.ndim == 4) for net in (wide, thin)]
    assert weights[0] < weights[1]  # 50 > 7.2 * 3
    assert count(models.Transition(C, 20)) == 20 * C + 2 * C


def test_a_transition_takes_means_of_two_by_two():
    transition = models.Transition(6, 4).eval()
    x = tc.randn(2, 6, 7, 8)  # the seventh line has no partner
    y = transition.conv(F.relu(transition.norm(x))).detach().numpy()
    means = y[:, :, :6].reshape(2, 4, 3, 2, 4, 2).mean(axis=(3, 5))
    np.testing.assert_allclose(transition(x).detach(), means, rtol=1e-5, atol=1e-6)


def test_compression_and_growth_give_the_channels():
    with nn.init.skip_init():
        bc, plain = models.cifar_densenet_bc100_k12(), models.cifar_densenet40_k12()
        large = models.densenet161()
    assert [m.conv.weight.shape[:2] for m in bc.modules() if isinstance(m, models.Transition)] == [
        (108, 216), (150, 300),
    ]  # fmt: skip
    assert plain.features.transition1.conv.weight.shape == (160, 160, 1, 1)
    assert [large.features.conv0.out_channels, large.features.norm5.num_features] == [96, 2208]
    assert not hasattr(plain.features.denseblock1.denselayer1, "conv2")


def test_names_of_the_state():
    with nn.init.skip_init():
        net = models.densenet121(num_classes=7)
    keys = [k for k in net.state_dict() if not k.endswith("batches_tracked")]
    assert [k for k in keys if ".denseblock2.denselayer12." in k and k.endswith("weight")] == [
        f"features.denseblock2.denselayer12.{name}.weight"
        for name in ("norm1", "conv1", "norm2", "conv2")
    ]
    assert keys[:2] == ["features.conv0.weight", "features.norm0.weight"]
    assert "features.transition3.norm.running_var" in keys and "features.norm5.bias" in keys
    assert keys[-2:] == ["classifier.weight", "classifier.bias"]
    assert len(keys) == 727 - 121  # torchvision's, whose 121 batch norms count their batches


def test_dropout_follows_each_convolution_but_the_first():
    net = models.CifarDenseNet(10, growth=4, bc=True, dropout=0.9)
    x = tc.randn(2, 3, 12, 8)
    with tc.no_grad():
        tc.manual_seed(1)
        a, b = net(x), net(x)
        assert not tc.equal(a, b)
        net.eval()
        assert tc.equal(net(x), net(x))
    layer = models.DenseLayer(5, 40, dropout=0.9)
    zeros = (layer(tc.randn(2, 5, 6, 7))[:, 5:] == 0).float().mean().item()
    assert 0.8 < zeros < 0.97
    transition = models.Transition(6, 40, dropout=0.9)
    zeros = (transition(tc.randn(3, 6, 8, 10)) == 0).float().mean().item()
    assert 0.5 < zeros < 0.8  # 0.9^4


@pytest.mark.parametrize(
    "make, size",
    [
        (lambda: models.DenseNet(121, in_channels=2, num_classes=5), (33, 47)),
        (lambda: models.CifarDenseNet(10, 4, in_channels=2, num_classes=5), (9, 14)),
        (lambda: models.CifarDenseNet(16, 4, bc=True, in_channels=2, num_classes=5), (12, 7)),
    ],
)
def test_channels_classes_and_image_sizes_are_free(make, size):
    assert make().eval()(tc.randn(3, 2, *size)).shape == (3, 5)


def test_every_parameter_gets_a_gradient():
    tc.manual_seed(2)
    net = models.CifarDenseNet(16, growth=4, bc=True)
    F.cross_entropy(net(tc.randn(3, 3, 12, 8)), tc.arange(3)).backward()
    assert all(p.grad is not None and np.isfinite(p.grad.numpy()).all() for p in net.parameters())


@pytest.mark.parametrize(
    "call, words",
    [
        (lambda: models.DenseNet(100), "depth=100: Table 1 has 121, 169, 201, 264, 161"),
        (lambda: models.CifarDenseNet(41), r"depth=41 must be 3n \+ 4 with bc=False: .*40"),
        (
            lambda: models.CifarDenseNet(43, bc=True),
            r"depth=43 must be 6n \+ 4 with bc=True: .*100",
        ),
        (lambda: models.CifarDenseNet(4), r"depth=4 must be 3n \+ 4"),
    ],
)
def test_what_the_paper_has_not(call, words):
    with nn.init.skip_init(), pytest.raises(ValueError, match=words):
        call()


def test_an_image_too_small_for_the_transitions_is_an_error():
    with nn.init.skip_init():
        net = models.CifarDenseNet(10).eval()
    with pytest.raises(ValueError, match="avg_pool2d"):
        net(tc.zeros(1, 3, 3, 8))
