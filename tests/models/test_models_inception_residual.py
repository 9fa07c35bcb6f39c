"""Inception v4 and the Inception-ResNets: blocks, stems, scaled residuals, options."""

import numpy as np
import pytest

import tinyconv as tc
import tinyconv.nn.functional as F
from tinyconv import models, nn
from tinyconv.models.trace import trace


def weights(net):
    """Numbers in the kernels of the convolutions."""
    return sum(p.numel() for p in net.parameters() if p.ndim == 4)


def count(net):
    return sum(p.numel() for p in net.parameters())


def kernels(net):
    return [m.kernel_size for m in net.modules() if isinstance(m, nn.Conv2d)]


def test_branches_stand_side_by_side_in_order():
    branches = models.Branches(
        nn.Conv2d(2, 3, 1), nn.Identity(), nn.Conv2d(2, 4, (3, 1), padding=(1, 0))
    )
    x = tc.randn(2, 2, 5, 7)
    y = branches(x)
    assert y.shape == (2, 9, 5, 7) and tc.equal(y[:, 3:5], x)
    assert tc.equal(y[:, :3], branches.branch0(x)) and tc.equal(y[:, 5:], branches.branch2(x))
    with pytest.raises(ValueError, match="cat"):
        models.Branches(nn.Identity(), nn.MaxPool2d(2))(x)


@pytest.mark.parametrize(
    "kernel, stride, padding, size",
    [(3, 1, None, (5, 8)), ((1, 7), 1, None, (5, 8)), ((7, 1), 1, None, (5, 8)), (3, 2, 0, (2, 3))],
)
def test_convolutions_keep_the_size_unless_valid(kernel, stride, padding, size):
    conv = models.InceptionConv(2, 3, kernel, padding=padding, stride=stride)
    assert conv(tc.zeros(1, 2, 5, 8)).shape == (1, 3, *size)
    assert conv.bn.eps == 1e-3 and conv.conv.bias is None


@pytest.mark.parametrize(
    "block, out, halves, cost",
    [
        (models.InceptionV4A(6), 384, False, 320 * 6 + 9 * (64 * 96 + 64 * 96 + 96 * 96)),
        (models.InceptionV4B(6), 1024, False, 896 * 6 + 7 * (192 * 224 + 224 * 256)
         + 7 * (192 * 192 + 192 * 224 + 224 * 224 + 224 * 256)),
        (models.InceptionV4C(6), 1536, False,
         1280 * 6 + 6 * 384 * 256 + 3 * (384 * 448 + 448 * 512) + 6 * 512 * 256),
        (models.ReductionA(6, k=2, l=3, m=4, n=5), 15, True, 6 * (9 * 5 + 2) + 9 * (2 * 3 + 3 * 4)),
        (models.InceptionV4ReductionB(6), 518, True,
         448 * 6 + 9 * 192 * 192 + 7 * (256 * 256 + 256 * 320) + 9 * 320 * 320),
        (models.InceptionResNetReductionB(6, 7, (2, 3, 4)), 384 + 7 + 4 + 6, True,
         6 * (512 + 2) + 9 * (256 * 384 + 256 * 7 + 2 * 3 + 3 * 4)),
    ],
)  # fmt: skip
def test_blocks_and_reductions(block, out, halves, cost):
    x = tc.rand(2, 6, 5, 8)
    y = block.eval()(x)
    assert y.shape == (2, out, *((2, 3) if halves else (5, 8)))
    assert weights(block) == cost
    if halves:
        assert tc.equal(y[:, -6:], F.max_pool2d(x, 3, stride=2))
    else:  # averages divide by the pixels that they cover
        average = block.branch3[0]
        assert tc.equal(average(tc.ones(1, 6, 4, 5)), tc.ones(1, 6, 4, 5))


def test_the_order_of_rows_and_columns_is_that_of_the_published_weights():
    assert kernels(models.InceptionV4B(6).branch2)[1:] == [(7, 1), (1, 7), (7, 1), (1, 7)]
    assert kernels(models.InceptionV4C(6).branch2)[1:] == [(3, 1), (1, 3), (1, 3), (3, 1)]
    assert kernels(models.InceptionResNetB(6, 2, (3, 4, 5)))[1:] == [(1, 1), (1, 7), (7, 1), (1, 1)]


@pytest.mark.parametrize(
    "stem, out, parameters",
    [
        (models.InceptionV4Stem(3), 384, 605_728),
        (models.InceptionResNetV1Stem(3), 256, 615_552),
        (models.InceptionResNetV2Stem(3), 320, 440_992),
    ],
)
def test_stems(stem, out, parameters):
    assert stem(tc.zeros(2, 3, 43, 35)).shape == (2, out, 3, 2)
    assert count(stem) == parameters


RESIDUAL = [
    (lambda **o: models.InceptionResNetA(6, (2, 3, 4), **o), 0.17,
     6 * (64 + 2) + 9 * (32 * 32 + 2 * 3 + 3 * 4) + 6 * (64 + 4)),
    (lambda **o: models.InceptionResNetB(6, 5, (2, 3, 4), **o), 0.1,
     6 * (5 + 2) + 7 * (2 * 3 + 3 * 4) + 6 * (5 + 4)),
    (lambda **o: models.InceptionResNetC(6, (2, 3, 4), **o), 0.2,
     6 * (192 + 2) + 3 * (2 * 3 + 3 * 4) + 6 * (192 + 4)),
]  # fmt: skip


@pytest.mark.parametrize("make, scale, cost", RESIDUAL)
def test_residuals_are_scaled_and_added(make, scale, cost):
    block = make().eval()
    x = tc.randn(2, 6, 4, 7)
    residual = block.linear(block.branches(x))
    assert bool((residual < 0).any())  # nothing rectifies it before it is added
    np.testing.assert_allclose(
        block(x).detach(), F.relu(x + scale * residual).detach(), rtol=1e-6, atol=1e-7
    )
    assert block.scale == scale and 0.1 <= scale <= 0.3
    assert weights(block) == cost and block.linear.bias.shape == (6,)
    assert not any("linear.bn" in name for name in block.state_dict())


@pytest.mark.parametrize("make, scale, cost", RESIDUAL)
def test_a_block_of_scale_0_is_relu_of_its_input(make, scale, cost):
    x = tc.randn(2, 6, 4, 7)
    assert tc.equal(make(scale=0.0)(x), F.relu(x))
    block = make()
    nn.init.zeros_(block.linear.weight)
    nn.init.zeros_(block.linear.bias)
    assert tc.equal(block(x), F.relu(x))


def test_a_block_without_relu_passes_negative_numbers():
    x = tc.randn(2, 6, 4, 7)
    assert tc.equal(models.InceptionResNetC(6, (2, 3, 4), scale=0.0, relu=False)(x), x)


@pytest.mark.parametrize(
    "name, blocks, widths",
    [
        ("inception_v4", (4, 7, 3), (384, 1024, 1536)),
        ("inception_resnet_v1_paper", (5, 10, 5), (256, 896, 1792)),
        ("inception_resnet_v1_facenet512", (5, 10, 6), (256, 896, 1792)),
        ("inception_resnet_v2", (10, 20, 10), (320, 1088, 2080)),
        ("inception_resnet_v2_paper", (5, 10, 5), (384, 1152, 2144)),
    ],
)
def test_how_many_blocks_and_how_wide(blank, name, blocks, widths):
    net = blank(name)
    stages = (net.inception_a, net.inception_b, net.inception_c)
    assert tuple(len(stage) for stage in stages) == blocks
    before = (net.inception_a[0], net.reduction_b, net.inception_c[0])
    seen = tuple(next(p.shape[1] for p in part.parameters() if p.ndim == 4) for part in before)
    assert seen == widths
    if name != "inception_v4":
        scales = [[block.scale for block in stage] for stage in stages]
        last = 0.2 if name.endswith("paper") else 1.0
        assert scales[0][0] == 0.17 and set(scales[1]) == {0.1}
        assert scales[2][0] == 0.2 and scales[2][-1] == last
        assert net.inception_c[-1].relu == name.endswith("paper")
        assert all(block.relu for block in net.inception_c[:-1])


@pytest.mark.parametrize(
    "name", ["inception_v4", "inception_resnet_v2", "inception_resnet_v2_paper"]
)
def test_heads_are_built_and_computed_when_asked_for(blank, name):
    plain, net = blank(name, num_classes=5), blank(name, num_classes=5, aux_logits=True)
    assert count(net) - count(plain) == count(net.aux) > 2e6
    assert len(trace(plain, (2, 3, 299, 300), training=True).outputs) == 1
    assert [v.shape for v in trace(net, (2, 3, 299, 300), training=True).outputs] == [(2, 5)] * 2
    assert len(trace(net, (2, 3, 299, 300)).outputs) == 1 and net.aux_weight == 0.4


def test_faces(blank):
    features = blank("inception_resnet_v1_facenet512")
    assert trace(features, (2, 3, 160, 160)).outputs[0].shape == (2, 512)
    classes = blank("inception_resnet_v1_facenet512", num_classes=1000)
    assert count(features) == 23_482_624 and count(classes) == 23_995_624
    with pytest.raises(ValueError, match="num_classes=None; wants classes or an embedding"):
        blank("inception_resnet_v1_paper", num_classes=None)


def test_dropout_works_in_training_alone(blank):
    net = blank("inception_resnet_v1_paper", num_classes=3, dropout=1.0)
    nn.init.constant_(net.fc.bias, 2.0)
    for name, p in net.named_parameters():
        if name.endswith("bn.bias"):
            nn.init.constant_(p, 1.0)
    nn.init.constant_(net.fc.weight, 1.0)
    x = tc.zeros(2, 3, 75, 91)
    assert net(x).detach().numpy().tolist() == [[2.0] * 3] * 2
    assert bool((net.eval()(x) != 2.0).all())
