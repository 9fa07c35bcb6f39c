"""GoogLeNet, BN-Inception and Inception v3: blocks, repairs, auxiliary heads, options."""

import numpy as np
import pytest

import tinyconv as tc
import tinyconv.nn.functional as F
from tinyconv import models, nn
from tinyconv.models.googlenet import GOOGLENET_WIDTHS, tensorflow_range
from tinyconv.models.trace import trace


def weights(net):
    """Numbers in the kernels of the convolutions."""
    return sum(p.numel() for p in net.parameters() if p.ndim == 4)


def shapes(net, *names):
    return [tuple(net.get_submodule(name).weight.shape) for name in names]


def outputs_of(net, image, names):
    """(C, H, W) that the children of these names give."""
    found = {}
    for name in names:
        net.get_submodule(name).register_forward_hook(
            lambda module, args, y, name=name: found.update({name: y.shape[1:]})
        )
    with tc.no_grad():
        net.eval()(tc.zeros(1, *image))
    return found


# ---- GoogLeNet


def test_an_inception_block_is_its_branches_side_by_side():
    block = models.Inception(6, 3, 4, 5, 2, 7, 8)
    x = tc.randn(2, 6, 5, 9)
    y = block(x).detach().numpy()
    assert y.shape == (2, 3 + 5 + 7 + 8, 5, 9) and (y >= 0).all()
    parts = np.split(y, np.cumsum([3, 5, 7]), axis=1)
    for part, branch in zip(parts, (block.branch1, block.branch2, block.branch3, block.branch4)):
        np.testing.assert_array_equal(part, branch(x).detach())
    assert weights(block) == 6 * (3 + 4 + 2 + 8) + 9 * 4 * 5 + 25 * 2 * 7
    assert shapes(block, "branch2.1.conv", "branch3.1.conv") == [(5, 4, 3, 3), (7, 2, 5, 5)]
    pooled = F.max_pool2d(x, 3, stride=1, padding=1)
    np.testing.assert_array_equal(parts[3], block.branch4[1](pooled).detach())


def test_each_row_of_the_table_feeds_the_next(blank):
    net = blank("googlenet_paper", aux_logits=False)
    out = outputs_of(net, (3, 47, 70), [f"inception{name}" for name in GOOGLENET_WIDTHS])
    assert [shape[0] for shape in out.values()] == [256, 480, 512, 512, 512, 528, 832, 832, 1024]
    assert [shape[1:] for shape in out.values()] == [(6, 8)] * 2 + [(3, 4)] * 5 + [(1, 2)] * 2


def test_the_three_googlenets(blank, monkeypatch):
    counted, norm = [], F.local_response_norm

    def noted(x, *args, **options):
        counted.append((x.shape[1], args, options))
        return norm(x, *args, **options)

    monkeypatch.setattr(F, "local_response_norm", noted)
    x = tc.zeros(1, 3, 35, 50)
    names = ("googlenet_paper", "googlenet_bn_5x5", "googlenet")
    found = {}
    for name in names:
        net = blank(name).eval()
        before = len(counted)
        assert net(x).shape == (1, 1000)
        found[name] = (
            len(counted) - before,
            net.inception3a.branch3[1].conv.kernel_size[0],
            net.conv1.conv.bias is not None,
            net.last_pool, net.dropout, net.aux1.adaptive, net.aux2.dropout,
        )  # fmt: skip
    assert found == {
        "googlenet_paper": (2, 5, True, 3, 0.4, False, 0.7),
        "googlenet_bn_5x5": (0, 5, False, 3, 0.4, False, 0.7),
        "googlenet": (0, 3, False, 2, 0.2, True, 0.7),
    }
    assert [c for c, *_ in counted] == [64, 192]
    assert {str(rest) for _, *rest in counted} == {
        str([(5,), {"alpha": 1e-4, "beta": 0.75, "k": 1.0}])
    }


def constant_head(layer, value):
    nn.init.zeros_(layer.weight)
    nn.init.constant_(layer.bias, value)


def test_googlenets_heads_answer_in_training_alone_the_later_first(blank):
    net = blank("googlenet", num_classes=2)
    constant_head(net.fc, 3.0)
    constant_head(net.aux1.fc2, 1.0)
    constant_head(net.aux2.fc2, 2.0)
    x = tc.randn(2, 3, 33, 49)
    y = net(x)
    assert type(y) is models.GoogLeNetOutputs and y._fields[1:] == ("aux_logits2", "aux_logits1")
    assert [part.detach().numpy().tolist() for part in y] == [[[v, v]] * 2 for v in (3.0, 2.0, 1.0)]
    assert net.aux_weight == 0.3

    def refuse(*args):
        raise AssertionError("a head was computed in eval()")

    net.aux1.register_forward_hook(refuse)
    net.aux2.register_forward_hook(refuse)
    assert net.eval()(x).shape == (2, 2)
    lone = blank("googlenet", aux_logits=False, num_classes=2)
    assert lone(x).shape == (2, 2) and not any("aux" in name for name in lone.state_dict())


def test_the_papers_average_wants_its_image(blank):
    net = blank("googlenet_paper")
    for size in ((223, 270), (224, 224)):
        assert len(trace(net, (2, 3, *size), training=True).outputs) == 3
    for size in ((222, 224), (224, 271)):
        with pytest.raises(ValueError, match="wants 14 to 16 pixels a side"):
            trace(net, (2, 3, *size), training=True)
        assert trace(net, (2, 3, *size)).outputs[0].shape == (2, 1000)


def test_the_papers_average_is_not_the_adaptive_one():
    paper, other = (models.GoogLeNetAux(2, 3, adaptive=adaptive).eval() for adaptive in (0, 1))
    other.load_state_dict(paper.state_dict())
    nn.init.constant_(paper.conv.conv.weight, 1.0)
    nn.init.constant_(other.conv.conv.weight, 1.0)
    x = tc.rand(1, 2, 14, 14)
    assert not tc.allclose(paper(x), other(x))
    flat = tc.ones(1, 2, 14, 14)
    np.testing.assert_allclose(paper(flat).detach(), other(flat).detach(), rtol=1e-5)
    assert other(tc.ones(1, 2, 3, 5)).shape == (1, 3)


@pytest.mark.parametrize("name, size", [("googlenet", (20, 33)), ("inception_v3", (75, 83))])
def test_transform_input(name, size):
    mean, deviation = (np.reshape(v, (3, 1, 1)) for v in
                       ((0.485, 0.456, 0.406), (0.229, 0.224, 0.225)))  # fmt: skip
    rgb = np.random.default_rng(5).uniform(size=(1, 3, *size))
    x = tc.tensor((rgb - mean) / deviation)
    np.testing.assert_allclose(tensorflow_range(x), 2 * rgb - 1, atol=1e-12)
    options = dict(aux_logits=False, num_classes=3)
    net = models.get_model(name, transform_input=True, **options).double().eval()
    plain = models.get_model(name, **options).double().eval()
    plain.load_state_dict(net.state_dict())
    np.testing.assert_allclose(
        net(x).detach(), plain(tc.tensor(2 * rgb - 1)).detach(), rtol=1e-9, atol=1e-12
    )
    with pytest.raises(ValueError, match="red, green and blue, got in_channels=1"):
        models.get_model(name, transform_input=True, in_channels=1)


# ---- BN-Inception


def test_a_bn_inception_block():
    block = models.BNInceptionBlock(6, 3, 4, 5, 2, 7, "avg", 8, count_include_pad=False).eval()
    x = tc.rand(2, 6, 4, 9)
    y = block(x).detach().numpy()
    assert y.shape == (2, 3 + 5 + 7 + 8, 4, 9)
    assert weights(block) == 6 * (3 + 4 + 2 + 8) + 9 * (4 * 5 + 2 * 7 + 7 * 7)
    pooled = F.avg_pool2d(x, 3, stride=1, padding=1, count_include_pad=False)
    np.testing.assert_array_equal(y[:, -8:], block.branch_pool[1](pooled).detach())
    np.testing.assert_array_equal(y[:, :3], block.branch1x1(x).detach())


@pytest.mark.parametrize("size, half", [((6, 10), (3, 5)), ((7, 10), (4, 5)), ((5, 9), (3, 5))])
def test_a_halving_block_passes_its_input(size, half):
    block = models.BNInceptionBlock(3, 0, 4, 5, 2, 7, "max", 0)
    x = tc.randn(2, 3, *size)
    y = block(x)
    assert y.shape == (2, 5 + 7 + 3, *half)
    padded = np.pad(x.numpy(), [(0, 0)] * 2 + [(n % 2, 2) for n in size], constant_values=-np.inf)
    wanted = [
        [padded[:, :, 2 * p : 2 * p + 3, 2 * q : 2 * q + 3].max((2, 3)) for q in range(half[1])]
        for p in range(half[0])
    ]
    np.testing.assert_array_equal(y[:, -3:].detach(), np.transpose(wanted, (2, 3, 0, 1)))


@pytest.mark.parametrize("name, width, proj", [
    ("bn_inception", 608, 128), ("bn_inception_nobias", 608, 128),
    ("bn_inception_576", 576, 96), ("bn_inception_slim_sepconv", 576, 96),
])  # fmt: skip
def test_both_repairs_of_the_table(blank, name, width, proj):
    net = blank(name)
    rows = ("3c", "4a", "4b", "4c", "4d", "4e", "5a", "5b")
    out = outputs_of(net, (3, 43, 66), [f"inception{row}" for row in rows])
    wanted = [576, 576, 576, width, width, width + 448, 1024, 1024]
    assert [shape[0] for shape in out.values()] == wanted
    assert [shape[1:] for shape in out.values()] == [(3, 4)] * 5 + [(2, 2)] * 3
    projections = {
        row: net.get_submodule(f"inception{row}.branch_pool.1.conv").weight.shape[0]
        for row in ("4b", "4c", "4d", "5a")
    }
    assert projections == {"4b": 128, "4c": proj, "4d": proj, "5a": 128}
    assert isinstance(net.inception5b.branch_pool[0], nn.MaxPool2d)
    biases = sum(m.bias is not None for m in net.modules() if isinstance(m, nn.Conv2d))
    assert biases == (69 if name == "bn_inception" else 0)


def test_the_separable_stem():
    stem = models.SeparableStem(3, 64)
    assert weights(stem) == 3 * 8 * 49 + 24 * 64 == 2712
    assert stem(tc.zeros(2, 3, 9, 14)).shape == (2, 64, 5, 7)
    x = tc.zeros(1, 3, 9, 14)
    x[:, 1] = 1.0  # the second channel goes to its own eight windows
    y = stem.depthwise(x).detach().numpy()
    assert [bool(y[:, c].any()) for c in range(24)] == [8 <= c < 16 for c in range(24)]


@pytest.mark.parametrize(
    "call, words",
    [
        (lambda: models.BNInception(width=600), "width=600 of 4c and 4d; wants 608 or 576"),
        (lambda: models.BNInceptionBlock(3, 1, 1, 1, 1, 1, "min", 1), "pool='min'"),
        (lambda: models.BNInceptionBlock(3, 0, 1, 1, 1, 1, "max", 1), "n1=0, pool='max', proj=1"),
        (lambda: models.BNInceptionBlock(3, 0, 1, 1, 1, 1, "avg", 0), "n1=0, pool='avg', proj=0"),
    ],
)
def test_rows_that_the_table_cannot_have(call, words):
    with nn.init.skip_init(), pytest.raises(ValueError, match=words):
        call()


# ---- Inception v3


@pytest.mark.parametrize(
    "block, size, cost",
    [
        (models.InceptionA(6, 5), (5, 8), 6 * (176 + 5) + 215_040),
        (models.InceptionB(6), (5, 8), 6 * (9 * 384 + 64) + 9 * (64 * 96 + 96 * 96)),
        (models.InceptionC(6, 4), (3, 8), 6 * (384 + 2 * 4) + 7 * (16 + 192 * 4)
         + 7 * (3 * 16 + 192 * 4)),
        (models.InceptionD(6), (3, 8), 384 * 6 + 9 * 192 * 320 + 23 * 192 * 192),
        (models.InceptionE(6), (2, 3), 1344 * 6 + 12 * 384 * 384 + 9 * 448 * 384),
    ],
)  # fmt: skip
def test_the_blocks_of_v3(block, size, cost):
    widths = {"A": 229, "B": 486, "C": 768, "D": 518, "E": 2048}
    H, W = size
    name = type(block).__name__
    half = name in ("InceptionB", "InceptionD")
    x = tc.randn(2, 6, H, W)
    y = block.eval()(x)
    wanted = ((H - 3) // 2 + 1, (W - 3) // 2 + 1) if half else size
    assert y.shape == (2, widths[name[-1]], *wanted)
    assert weights(block) == cost
    # the first branch leads, the pool branch ends
    last = y[:, -6:] if half else y[:, -block.branch_pool.bn.weight.shape[0] :]
    pool = F.max_pool2d(x, 3, 2) if half else block.branch_pool(F.avg_pool2d(x, 3, 1, 1))
    np.testing.assert_array_equal(last.detach(), pool.detach())


def test_factorised_windows_see_rows_and_columns():
    net = models.InceptionC(6, 4)
    assert shapes(net, "branch7x7_2.conv", "branch7x7_3.conv", "branch7x7dbl_2.conv") == [
        (4, 4, 1, 7), (192, 4, 7, 1), (4, 4, 7, 1),
    ]  # fmt: skip
    assert net.branch7x7_2.conv.padding == (0, 3) and net.branch7x7_3.conv.padding == (3, 0)


def test_the_head_of_v3_answers_in_training_alone(blank):
    net = blank("inception_v3", num_classes=5)
    graph = trace(net, (2, 3, 299, 301), training=True)
    assert [v.shape for v in graph.outputs] == [(2, 5), (2, 5)]
    assert models.InceptionOutputs._fields == ("logits", "aux_logits") and net.aux_weight == 0.4
    with pytest.raises(ValueError, match="image of 16 x 17, wants 17 pixels .*aux_logits=False"):
        trace(net, (2, 3, 298, 299), training=True)
    assert [v.shape for v in trace(net, (2, 3, 75, 90)).outputs] == [(2, 5)]
    names = list(dict.fromkeys(key.split(".")[0] for key in net.state_dict()))
    assert names[10:16] == ["Mixed_6c", "Mixed_6d", "Mixed_6e", "AuxLogits", "Mixed_7a", "Mixed_7b"]


def test_v3_starts_from_truncated_normals():
    net = models.inception_v3(num_classes=200)
    deviations = {"Mixed_5b.branch5x5_2.conv": 0.1, "AuxLogits.conv1.conv": 0.01,
                  "AuxLogits.fc": 0.001, "fc": 0.1}  # fmt: skip
    for name, wanted in deviations.items():
        w = net.get_submodule(name).weight.detach().numpy()
        assert abs(w.mean()) < 0.02 * wanted and abs(w.std() / wanted - 1) < 0.02
    assert abs(models.googlenet_torchvision().fc.weight.detach().numpy().std() - 0.01) < 1e-4
