"""Residual nets: their blocks, the three shortcuts, the place of the stride, zero weights at the
end of a block, depths, and nets of more than a thousand layers.
"""

import numpy as np
import pytest

import tinyconv as tc
import tinyconv.nn.functional as F
from tinyconv import models, nn
from tinyconv.models.resnet import make_shortcut


def count(net):
    return sum(p.numel() for p in net.parameters())


def randomised(net, seed=3):
    """Every parameter and running statistic anew, so that none is 0 or 1."""
    rng = np.random.default_rng(seed)
    for low, tensors in ((-0.9, net.parameters()), (0.2, net.buffers())):
        for tensor in tensors:
            if tensor.ndim:
                numbers = rng.uniform(low, 0.9, tensor.shape)
                tensor.data.copy_(tc.tensor(numbers, dtype=tensor.dtype))
    return net


def convolved(block, i, x):
    """The block's i-th convolution and batch norm."""
    return getattr(block, f"bn{i}")(getattr(block, f"conv{i}")(x))


@pytest.mark.parametrize(
    "block, convolutions",
    [(models.BasicBlock(6, 6), 2), (models.Bottleneck(24, 6), 3)],
)
def test_a_block_is_relu_of_input_and_convolutions(block, convolutions):
    randomised(block).eval()
    x = tc.randn(2, 6 * block.expansion, 5, 7)
    y = F.relu(convolved(block, 1, x))
    if convolutions == 3:
        y = F.relu(convolved(block, 2, y))
    y = convolved(block, convolutions, y)
    np.testing.assert_array_equal(block(x).detach(), F.relu(x + y).detach())


def test_blocks_cost_what_they_say():
    w = 6
    assert count(models.BasicBlock(w, w)) == 18 * w**2 + 4 * w
    assert count(models.Bottleneck(4 * w, w)) == 17 * w**2 + 12 * w
    assert count(models.BasicBlock(4, 6, 2, "B")) == 9 * 4 * 6 + 9 * 6 * 6 + 4 * 6 + 4 * 6 + 2 * 6


@pytest.mark.parametrize("block", [models.BasicBlock(6, 6), models.Bottleneck(24, 6)])
def test_a_block_with_zeros_at_its_end_is_relu_of_its_input(block):
    net = nn.Sequential(block)
    models.resnet.zero_last_gammas(net)
    x = tc.randn(2, 6 * block.expansion, 5, 7)
    np.testing.assert_array_equal(net(x).detach(), F.relu(x))


@pytest.mark.parametrize(
    "net",
    [
        models.ResNet(18, zero_init_residual=True),
        models.CifarResNet(8, zero_init_residual=True),
        models.CifarResNet(11, bottleneck=True, zero_init_residual=True),
    ],
)
def test_zero_init_is_of_the_last_batch_norm_of_each_block_alone(net):
    for path, module in net.named_modules():
        if isinstance(module, nn.BatchNorm2d):
            block = net.get_submodule(path.rpartition(".")[0])
            last = getattr(block, "bn3", getattr(block, "bn2", None))
            assert bool(module.weight.any()) == (module is not last)


def test_option_a_takes_every_second_pixel_and_adds_zero_channels():
    x = tc.randn(2, 4, 6, 8)
    y = models.ZeroPadShortcut(4, 7, 2)(x).numpy()
    np.testing.assert_array_equal(y[:, 1:5], x.numpy()[:, :, ::2, ::2])
    assert y.shape == (2, 7, 3, 4) and not y[:, 0].any() and not y[:, 5:].any()
    wide = models.Bottleneck(16, 16, shortcut="A").shortcut  # 16 to 64 channels, same size
    assert (wide.stride, wide.before, wide.behind) == (1, 24, 24)


def test_which_shortcuts_project():
    same, changed = (6, 6, 1), (6, 8, 2)
    kinds = {
        (option, shape): type(make_shortcut(*shape, option))
        for option in "ABC"
        for shape in (same, changed)
    }
    assert kinds == {
        ("A", same): nn.Identity, ("A", changed): models.ZeroPadShortcut,
        ("B", same): nn.Identity, ("B", changed): nn.Sequential,
        ("C", same): nn.Sequential, ("C", changed): nn.Sequential,
    }  # fmt: skip


def test_parameters_of_the_three_options_at_depth_34():
    with nn.init.skip_init():
        a, b, c = (count(models.ResNet(34, shortcut=option)) for option in "ABC")
    projections = [(64, 128), (128, 256), (256, 512)]
    assert b - a == sum(i * o + 2 * o for i, o in projections)
    assert c - b == sum(n * (w * w + 2 * w) for n, w in zip((3, 3, 5, 2), (64, 128, 256, 512)))


def test_v1_and_v1_5_have_the_same_state_and_see_other_pixels():
    first = randomised(models.Bottleneck(5, 3, stride=2, stride_on="1x1")).eval()
    second = models.Bottleneck(5, 3, stride=2, stride_on="3x3").eval()
    second.load_state_dict(first.state_dict())
    sizes = {}
    for block in (first, second):
        block.conv1.register_forward_hook(lambda m, args, y: sizes.update({m.stride: y.shape}))
    x = tc.randn(2, 5, 6, 8)
    other = x.clone()
    other[:, :, 1::2] += 1
    with tc.no_grad():
        assert tc.equal(first(x), first(other)) and not tc.equal(second(x), second(other))
        assert first(x).shape == second(x).shape == (2, 12, 3, 4)
    assert sizes == {(2, 2): (2, 3, 3, 4), (1, 1): (2, 3, 6, 8)}


def test_whole_nets_differ_in_the_strides_alone():
    with nn.init.skip_init():
        v1_5, v1 = models.resnet50(num_classes=7), models.resnet50_v1_original(num_classes=7)
    shapes = [{k: t.shape for k, t in net.state_dict().items()} for net in (v1_5, v1)]
    assert shapes[0] == shapes[1]
    assert [net.layer3[0].conv1.stride for net in (v1_5, v1)] == [(1, 1), (2, 2)]
    assert [net.layer3[0].conv2.stride for net in (v1_5, v1)] == [(2, 2), (1, 1)]
    assert all(net.layer3[0].downsample[0].stride == (2, 2) for net in (v1_5, v1))


def test_names_of_the_state():
    with nn.init.skip_init():
        keys = [k for k in models.resnet50().state_dict() if not k.endswith("batches_tracked")]
        cifar = list(models.CifarResNet(8, "B").state_dict())
    assert keys[:6] == [
        "conv1.weight", "bn1.weight", "bn1.bias", "bn1.running_mean", "bn1.running_var",
        "layer1.0.conv1.weight",
    ]  # fmt: skip
    block = [k.removeprefix("layer2.0.") for k in keys if k.startswith("layer2.0.")]
    assert [k for k in block if k.endswith("weight")] == [
        "conv1.weight", "bn1.weight", "conv2.weight", "bn2.weight", "conv3.weight", "bn3.weight",
        "downsample.0.weight", "downsample.1.weight",
    ]  # fmt: skip
    assert keys[-2:] == ["fc.weight", "fc.bias"]
    assert "layer2.0.shortcut.0.weight" in cifar and "layer1.0.shortcut.0.weight" not in cifar


@pytest.mark.parametrize(
    "make, size",
    [
        (lambda: models.ResNet(18, in_channels=2, num_classes=5), (33, 47)),
        (lambda: models.ResNet(50, shortcut="A", in_channels=2, num_classes=5), (40, 35)),
        (lambda: models.CifarResNet(8, "C", in_channels=2, num_classes=5), (9, 14)),
        (
            lambda: models.CifarResNet(11, "B", in_channels=2, num_classes=5, bottleneck=True),
            (12, 7),
        ),
    ],
)
def test_channels_classes_and_image_sizes_are_free(make, size):
    assert make().eval()(tc.randn(3, 2, *size)).shape == (3, 5)


@pytest.mark.parametrize(
    "call, words",
    [
        (lambda: models.CifarResNet(21), r"depth=21 must be 6n \+ 2 with blocks of two"),
        (lambda: models.CifarResNet(2), r"depth=2 must be 6n \+ 2"),
        (lambda: models.CifarResNet(26, bottleneck=True), r"9n \+ 2 with bottlenecks: .*164"),
        (lambda: models.CifarResNet(20, "D"), "shortcut='D': wants 'A'"),
        (lambda: models.ResNet(20), "depth=20: Table 1 has 18, 34, 50"),
        (lambda: models.ResNet(50, stride_on="7x7"), "stride_on='7x7': wants '1x1'"),
        (lambda: models.ResNet(18, shortcut="D"), "shortcut='D'"),
    ],
)
def test_what_the_paper_has_not(call, words):
    with nn.init.skip_init(), pytest.raises(ValueError, match=words):
        call()


def gradients(net, x):
    F.cross_entropy(net(x), tc.arange(len(x))).backward()
    return [p.grad.numpy() for p in net.parameters()]


def test_1202_layers_go_forward_and_backward():
    tc.manual_seed(2)
    net = models.get_model("resnet1202")
    assert sum(isinstance(m, (nn.Conv2d, nn.Linear)) for m in net.modules()) == 1202
    found = gradients(net, tc.randn(1, 3, 8, 8))
    assert all(np.isfinite(g).all() and g.any() for g in found[:3])


def test_blocks_that_run_again_give_the_same():
    results = []
    for recompute in (0, 2):
        tc.manual_seed(4)
        net = models.CifarResNet(20, recompute=recompute)
        x = tc.randn(3, 3, 12, 8)
        found = gradients(net, x)
        results.append([*found, *(b.numpy() for b in net.buffers())])
    for kept, again in zip(*results):
        np.testing.assert_array_equal(kept, again)


def test_a_negative_number_of_blocks_is_refused():
    stage = models.ResidualStage(models.BasicBlock(2, 2))
    stage.recompute = -1
    with pytest.raises(ValueError, match="recompute=-1 must be at least 0"):
        stage(tc.ones(2, 2, 4, 4))


def test_blocks_that_run_again_keep_less():
    kept = []
    for recompute in (0, 3):
        net = models.CifarResNet(20, in_channels=1, recompute=recompute)
        kept.append(models.summary(net, (1, 32, 32)).training_bytes)
    assert kept[1] < kept[0] / 3
