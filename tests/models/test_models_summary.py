import json
import re
import time
import weakref

import numpy as np
import pytest

import tinyconv as tc
from tinyconv import nn
from tinyconv.models import dry
from tinyconv.models.registry import find
from tinyconv.models.summary import count, summary
from tinyconv.nn import functional as F


def of(name, depth=None, **options):
    with nn.init.skip_init():
        return summary(tc.models.get_model(name, **options), find(name).input, depth)


@pytest.mark.parametrize(
    "name, size, parameters, macs",
    [
        ("lenet5", (1, 28, 28), 61_706, 416_520),
        ("inception_small", (1, 28, 28), 97_298, 6_019_200),
        ("cifar_resnet20_A", (3, 32, 32), 269_722, 40_551_040),
    ],
)
def test_known_networks(name, size, parameters, macs):
    net = tc.models.get_model(name, in_channels=size[0])
    next(net.children()).eval()
    modes = [m.training for m in net.modules()]
    state = {k: v.array.copy() for k, v in net.state_dict().items()}
    tc.manual_seed(0)
    expected = tc.rand(1)
    tc.manual_seed(0)
    s = summary(net, size)
    assert (s.parameters, s.macs) == (parameters, macs) == count(net, size)
    assert s.parameters == sum(r.parameters for r in s.rows) and not s.auxiliary_parameters
    # what waits for backward adds up over the layers; in a net as short as LeNet-5 the two largest
    # neighbours, which are there at one time without it, take as much
    assert s.inference_bytes > 0
    assert s.training_bytes > (s.inference_bytes if name != "lenet5" else s.inference_bytes / 2)
    assert summary(net, (5, *size)).macs == macs
    assert modes == [m.training for m in net.modules()]
    for k, v in net.state_dict().items():
        np.testing.assert_array_equal(state[k], v.array)
    assert tc.equal(tc.rand(1), expected)
    assert all(p.grad is None for p in net.parameters())
    assert not any(m._forward_hooks for m in net.modules())


def test_rows_groups_and_reuse():
    class Net(nn.Module):
        def __init__(self):
            super().__init__()
            self.conv = nn.Conv2d(4, 6, (3, 2), groups=2, bias=False)
            self.same = nn.Linear(5, 5)

        def forward(self, x):
            return self.same(self.same(self.conv(x)[..., :5]))

    s = summary(Net(), (4, 7, 8))
    assert [(r.path, r.parameters, r.macs) for r in s.rows] == [
        ("conv", 6 * 2 * 6, 6 * 5 * 7 * 2 * 6),
        ("same", 30, 6 * 5 * 5 * 5),
        ("same", 0, 6 * 5 * 5 * 5),
    ]
    assert s.parameters == 72 + 30
    text = str(s)
    assert "conv" in text and "1x6x5x7" in text and "102" in text
    assert s.to_dict()["rows"][0]["output_shape"] == [1, 6, 5, 7]


class Layer(nn.Module):
    def __init__(self):
        super().__init__()
        self.weight = nn.Parameter(tc.zeros(6, 2, 3, 2))
        self.inner = nn.Conv2d(6, 4, 1, bias=False)

    def forward(self, x):
        x = F.conv2d(F.relu(x), self.weight, groups=3, dilation=2)
        x = F.conv2d(x, self.inner.weight)  # not called as a module
        return F.max_pool2d(F.dropout(x, 0.5, self.training), 2)


class Functions(nn.Module):
    def __init__(self):
        super().__init__()
        self.layer = Layer()
        self.table = nn.Parameter(tc.zeros(7, 48))
        self.spare = nn.Linear(5, 3)

    def forward(self, x):
        x = F.linear(self.layer(x).flatten(1), self.table) @ tc.ones(7, 5)
        return (x, self.spare(x)) if self.training else x


def test_functions_are_counted_where_they_are_called():
    net = Functions()
    s = summary(net, (6, 12, 9))
    assert [(r.path, r.type, r.output_shape, r.parameters, r.macs) for r in s.rows] == [
        ("layer", "conv2d", [1, 6, 8, 7], 72, 6 * 8 * 7 * 2 * 6),
        ("layer", "conv2d", [1, 4, 8, 7], 24, 4 * 8 * 7 * 6),
        ("layer", "max_pool2d", [1, 4, 4, 3], 0, 0),
        ("", "linear", [1, 7], 336, 336),
        ("", "matmul", [1, 5], 0, 35),
    ]
    assert [r.largest_field for r in s.rows] == [[5, 3], [5, 3], [6, 4], [12, 9], [12, 9]]
    assert (s.auxiliary_parameters, s.parameters) == (18, 72 + 24 + 336 + 18)
    assert "18 of the parameters work in training only" in str(s)
    folded = [line.split() for line in s.table(depth=1).splitlines()[3:6]]
    assert folded == [
        ["layer", "Layer", "1x4x4x3", "96", "5,376", "6x4"],
        ["linear", "1x7", "336", "336", "image"],
        ["matmul", "1x5", "35", "image"],
    ]
    assert count(net, (6, 12, 9)) == (s.parameters, s.macs) == count(net, (3, 6, 12, 9))


def test_weights_without_a_layer_count_where_the_image_meets_them():
    class Net(nn.Module):
        def __init__(self):
            super().__init__()
            self.conv, self.scale = nn.Conv2d(2, 3, 1), nn.Parameter(tc.ones(3))
            self.shift, self.lost = nn.Parameter(tc.ones(3, 1)), nn.Parameter(tc.ones(11))

        def forward(self, x):
            self.lost.exp()
            scale = self.scale.exp().reshape(1, 3, 1, 1)
            return (self.conv(x) * scale).relu() + self.shift.unsqueeze(1)

    s = summary(Net(), (2, 4, 5))
    assert [(r.path, r.type, r.parameters) for r in s.rows] == [
        ("conv", "Conv2d", 9), ("", "mul", 3), ("", "add", 3)
    ]  # fmt: skip
    assert (s.parameters, s.auxiliary_parameters) == (26, 11)


def test_results_in_dicts_have_shapes_too():
    class Features(nn.Module):
        def __init__(self):
            super().__init__()
            self.conv = nn.Conv2d(2, 3, 3)

        def forward(self, x):
            return {"image": [self.conv(x)], "more": (x, None)}

    class Net(nn.Module):
        def __init__(self):
            super().__init__()
            self.features, self.last = Features(), nn.Conv2d(3, 4, 1)

        def forward(self, x):
            return {"logits": self.last(self.features(x)["image"][0])}

    s = summary(Net(), (2, 6, 9))
    assert [r.output_shape for r in s.rows] == [[1, 3, 4, 7], [1, 4, 4, 7]]
    assert s.table(depth=1).splitlines()[3].split()[:3] == ["features", "Features", "1x3x4x7"]


def test_a_single_layer_is_a_row():
    s = summary(nn.Conv2d(2, 3, 3), (2, 5, 6))
    assert [(r.path, r.type, r.macs) for r in s.rows] == [("", "Conv2d", 3 * 3 * 4 * 18)]
    assert "(itself)" in str(s)


def test_dict_goes_through_json():
    s = of("toy_inception_net")
    found = json.loads(json.dumps(s.to_dict()))
    assert found == s.to_dict() and len(found["rows"]) == len(s.rows) == 23
    assert found["rows"][0] == dict(
        path="conv1", type="Conv2d", output_shape=[1, 10, 24, 24], parameters=260, macs=144_000,
        smallest_field=[5, 5], largest_field=[5, 5], count=1,
    )  # fmt: skip
    assert not any(key.startswith("_") for key in found)


# -- memory -------------------------------------------------------------------------------
def test_activation_bytes():
    """y = relu(relu(x)) alone: two arrays at a time; relu keeps what its backward needs."""
    size = 3 * 10 * 10 * 4
    s = summary(nn.Sequential(nn.ReLU(), nn.ReLU(), nn.ReLU()), (3, 10, 10))
    assert s.inference_bytes == 2 * size
    # the flat view costs nothing
    flat = summary(nn.Sequential(nn.Flatten(), nn.Linear(300, 7)), (3, 10, 10))
    assert flat.inference_bytes == 7 * 4
    # of three convolutions the second and third keep their inputs, the first the image
    convs = summary(nn.Sequential(*(nn.Conv2d(3, 3, 1) for _ in range(3))), (4, 3, 10, 10))
    assert (convs.inference_bytes, convs.training_bytes) == (2 * 4 * size, 3 * 4 * size)


class Mixed(nn.Module):
    """Every kind of op that keeps something, in arrays too small to come from a pool of blocks."""

    def __init__(self):
        super().__init__()
        self.conv = nn.Conv2d(3, 4, 3, padding=1)
        self.bn = nn.BatchNorm2d(4)
        self.fc = nn.Linear(96, 5)

    def forward(self, x):
        y = F.relu(self.bn(self.conv(x)))
        y = F.local_response_norm(y + F.dropout(self.conv(x) * 0.5, 0.3, self.training), 3)
        z = F.relu6(F.pad(F.avg_pool2d(y, 2), (0, 1)))
        y = tc.cat([z, F.adaptive_avg_pool2d(y, (3, 4)).tanh()], 1)
        return self.fc(y.flatten(1)).log_softmax(1)


def test_dry_runs_measure_what_real_ones_take(monkeypatch):
    measured = []
    for rules in (dry.RULES, {}):
        monkeypatch.setattr(dry, "RULES", rules)
        s = summary(Mixed(), (2, 3, 6, 6))
        measured.append((s.training_bytes, s.inference_bytes))
    assert measured[0] == measured[1]


def test_nothing_is_kept_alive():
    net = nn.Sequential(nn.Conv2d(1, 2, 3), nn.ReLU())
    seen = []

    def look(module, args, result):
        seen.append(weakref.ref(result.array))

    net[1].register_forward_hook(look)
    s = summary(net, (1, 9, 8))
    assert len(seen) == 3 and not any(ref() is not None for ref in seen) and s.rows


# -- the table ----------------------------------------------------------------------------
@pytest.mark.parametrize(
    "name", ["resnet152", "cifar_resnet1202_B", "densenet201", "inception_v4", "vgg19_bn"]
)
def test_large_networks_stay_readable(name):
    s = of(name)
    lines = str(s).splitlines()
    assert 8 <= len(lines) <= 70 and max(map(len, lines)) <= 110
    assert s.rows[-1].path in lines[-4] and f"{s.macs:,}" in str(s)
    for depth in (1, 2, 9):  # each way to fold it adds up to the same
        leaves = [leaf.row for leaf in s._outline.tree(depth).leaves]
        assert sum(r.parameters for r in leaves) == s.parameters - s.auxiliary_parameters
        assert sum(r.macs for r in leaves) == s.macs
        assert len(s.table(depth).splitlines()) in (len(leaves) + 6, len(leaves) + 7)
    assert sum(r.count for r in leaves) == len(s.rows)


def test_equal_blocks_in_a_row_are_one_line():
    lines = of("resnet50", depth=2).table().splitlines()
    (stage,) = (line.split() for line in lines if line.startswith("layer3.1"))
    assert stage[:6] == ["layer3.1", "...", "5", "5", "x", "Bottleneck"]
    assert stage[7] == f"{5 * 1_117_184:,}" and stage[9:] == ["11x11", "-", "267x267"]
    whole = of("resnet50", depth=1).table().splitlines()
    assert [line.split()[0] for line in whole if line.startswith("layer")] == [
        "layer", "layer1", "layer2", "layer3", "layer4"
    ]  # fmt: skip
    # equal branches stand side by side, not one behind the other
    side = of("inception_v3", depth=2).table()
    assert "branch3x3_2a" in side and "branch3x3_2b" in side
    # 7 x 1 behind 1 x 7 costs the same and is another
    assert "branch7x7dbl_2 " in side and "branch7x7dbl_3 " in side and "..." not in side


def test_auxiliary_heads_are_in_the_sum():
    s = of("googlenet_paper")
    assert s.parameters == 13_378_280 and s.auxiliary_parameters == 6_379_728
    assert sum(r.parameters for r in s.rows) == s.parameters - s.auxiliary_parameters
    assert not of("googlenet_paper", aux_logits=False).auxiliary_parameters


def test_it_is_quick():
    began = time.perf_counter()
    of("inception_resnet_v2")
    assert time.perf_counter() - began < 2  # half a second or less


def test_names_with_anything_in_them():
    net = nn.Sequential()
    net.register_module("<a & 'b'> {0}", nn.Conv2d(1, 2, 3))
    assert re.search(r"<a & 'b'> \{0\} +Conv2d", str(summary(net, (1, 5, 6))))


# -- errors -------------------------------------------------------------------------------
def test_a_network_that_does_not_take_it_is_left_as_it_was():
    net = tc.models.LeNet5()
    with pytest.raises(ValueError, match="linear"):
        summary(net, (1, 32, 32))
    assert all(m.training for m in net.modules())
    assert not any(m._forward_hooks for m in net.modules())
    assert tc.autograd.modes.state.detector is None
    with pytest.raises(ValueError, match="depth=0 must be at least 1"):
        summary(net, (1, 28, 28), depth=0)
    with pytest.raises(ValueError, match="depth=-1 must be at least 1"):
        summary(net, (1, 28, 28)).table(depth=-1)


@pytest.mark.parametrize(
    "size", [5, (), (3, -8, 9), (0, 3, 8, 9), (3, 8.0, 9), [(3, 8, 9), (3, 8, 9)]]
)
def test_input_sizes_that_are_none(size):
    for look in (summary, count):
        with pytest.raises(ValueError, match=r"input_size=.*: wants \(C, H, W\) for one image"):
            look(nn.Conv2d(3, 4, 3), size)
