"""Receptive fields: against published figures, and against the gradients of small networks."""

import numpy as np
import pytest

import tinyconv as tc
from tinyconv import nn
from tinyconv.models.receptive import receptive_fields
from tinyconv.models.registry import find
from tinyconv.models.trace import trace
from tinyconv.nn import functional as F


def rows(name):
    with nn.init.skip_init():
        s = tc.models.summary(tc.models.get_model(name), find(name).input)
    return s.rows


def field(row):
    """(smallest, largest), both square."""
    (a, b), (c, d) = row.smallest_field, row.largest_field
    assert a == b and c == d
    return a, c


@pytest.mark.parametrize(
    "name, largest",
    [
        # Araujo, Norris, Sim 2019, doi:10.23915/distill.00021, Table 1
        ("alexnet_original_2group", 195), ("vgg16", 212), ("mobilenet_v1_1_0", 315),
        ("bn_inception_slim_sepconv", 699), ("inception_v3", 1311), ("inception_v4", 2071),
        ("inception_resnet_v2", 3039), ("resnet50_v1_original", 483),
        ("resnet101_v1_original", 1027), ("resnet152_v1_original", 1507),
        # the 3 x 3 takes the stride in place of the 1 x 1 before it and sees less: 8 pixels in
        # stage 2, 16 in stage 3, 32 in stage 4
        ("resnet50", 483 - 56), ("resnet101", 1027 - 56), ("resnet152", 1507 - 56),
    ],
)  # fmt: skip
def test_published_figures(name, largest):
    """The last feature map: the largest field that is not yet the whole image."""
    image = list(find(name).input[1:])
    found = rows(name)
    fields = [row.largest_field for row in found if row.largest_field != image]
    assert max(fields) == fields[-1] == [largest, largest]
    assert found[-1].largest_field == found[-1].smallest_field == image


def test_by_hand():
    vgg = {row.path: field(row) for row in rows("vgg16")}
    assert vgg["features.28"] == (196, 196) and vgg["features.30"] == (212, 212)  # conv5_3, pool5
    alexnet = {row.path: field(row) for row in rows("alexnet_original_2group")}
    assert alexnet["conv5"] == (163, 163)
    googlenet = [field(r) for r in rows("googlenet_paper") if r.type == "cat"]
    # 7 and 3 at stride 2, 3, 3 at stride 4: 27 pixels; 3a adds a 5 x 5 or nothing at stride 8
    assert googlenet[:2] == [(27, 27 + 32), (27, 27 + 64)]
    sums = [field(r) for r in rows("cifar_resnet20_A") if r.type == "add"]
    # a shortcut sees what the stem sees, however far its pixels lie apart
    assert [a for a, _ in sums] == [3] * 9
    # two 3 x 3 a block: 4 pixels, then 2 + 4 at stride 2, 8, 8, 4 + 8 at stride 4, 16, 16
    assert [b for _, b in sums] == [7, 11, 15, 21, 29, 37, 49, 65, 81]


class Branches(nn.Module):
    """A random network with one join: non-square windows, strides, paddings, groups, slices."""

    def __init__(self, rng):
        super().__init__()
        draw = lambda least, most: tuple(int(n) for n in rng.integers(least, most, 2))
        size, stride, dilation = draw(1, 5), draw(1, 4), draw(1, 3)
        self.stem = nn.Conv2d(2, 4, size, stride, draw(0, 3), dilation)
        self.left = nn.Conv2d(4, 4, draw(1, 4), dilation=draw(1, 3), padding="same", groups=2)
        self.pool, self.step = draw(1, 4), draw(1, 3)
        self.crop = draw(0, 3)
        self.last = nn.Conv2d(8, 2, draw(1, 4))

    def forward(self, x):
        x = F.relu(self.stem(x))
        a, b = self.crop
        y = F.pad(x, (b, 0, 0, a))[:, :, a:, : -b or None]  # moved down and to the right
        z = F.avg_pool2d(x, self.pool, stride=1)
        z = F.pad(z, (0, self.pool[1] - 1, self.pool[0] - 1, 0))
        x = tc.cat([self.left(x) + y, z], 1)
        x = x[:, :, 1 :: self.step[0], :: self.step[1]].permute(0, 1, 3, 2).permute(0, 1, 3, 2)
        return self.last(x)


@pytest.mark.parametrize("seed", range(12))
def test_against_gradients(seed):
    """What the number in the middle depends on, with weights that cancel nothing."""
    net = Branches(np.random.default_rng(seed)).double()
    for p in net.parameters():
        p.data.fill_(1.0)
    x = tc.rand(1, 2, 71, 83, dtype=tc.float64, requires_grad=True)
    y = net(x)
    _, _, p, q = (n // 2 for n in y.shape)
    y[0, :, p, q].sum().backward()
    seen = np.argwhere(x.grad.array[0].any(0))
    graph = trace(net, (2, 71, 83))
    height, width = receptive_fields(graph)[graph.outputs[0]]
    for axis, at, reach in ((0, p, height), (1, q, width)):
        first, last = (edge + at * reach.jump for edge in (reach.first, reach.last))
        assert 0 < first and last < x.shape[2 + axis] - 1  # else the border hides something
        assert (seen[:, axis].min(), seen[:, axis].max()) == (first, last)
        assert reach.smallest <= reach.largest == last - first + 1


def last(forward, size=(3, 32, 40)):
    class Net(nn.Module):
        def forward(self, x):
            return forward(x)

    graph = trace(Net(), size)
    f = receptive_fields(graph)[graph.outputs[0]]
    return None if f is None else f.sizes(size[1:])


IMAGE = (32, 40)


@pytest.mark.parametrize(
    "forward, expected",
    [
        (lambda x: x, (1, 1)),
        (lambda x: x.mean((2, 3)), IMAGE),
        (lambda x: x.mean(3), (1, 40)),
        (lambda x: x.amax(2, keepdim=True), (32, 1)),
        (lambda x: F.adaptive_avg_pool2d(x, 1), IMAGE),
        (lambda x: F.adaptive_max_pool2d(x, (4, 1)), (8, 40)),
        (lambda x: F.adaptive_avg_pool2d(x, (5, 40)), (8, 1)),
        (lambda x: F.avg_pool2d(x, (32, 2)), (32, 2)),
        (lambda x: F.max_pool2d(x, (1, 3), stride=4), (1, 3)),
        (lambda x: x.flatten(2).softmax(2), IMAGE),
        (lambda x: x.softmax(3), (1, 40)),
        (lambda x: x[:, :, 3, 4:5].flatten(1), (1, 1)),
        (lambda x: x[:, [2, 0]][..., None, :, 1:], (1, 1)),
        (lambda x: x[:, :, [1, 2]], (32, 1)),
        (lambda x: x.reshape(1, 3, 1, 32, 40).transpose(1, 2).reshape(1, 3, 32, 40), (1, 1)),
        (lambda x: F.avg_pool2d(x.transpose(2, 3), (5, 1)), (1, 5)),
        (lambda x: x * F.adaptive_avg_pool2d(x, 1), IMAGE),
        (lambda x: tc.ones(7, 32) @ F.avg_pool2d(x, (1, 3)), (32, 3)),
        (lambda x: F.linear(x, tc.ones(5, 40)), (1, 40)),
        (lambda x: x.split([20, 12], 2)[1], (1, 1)),
        (lambda x: tc.cat(x.split([20, 12], 2)[::-1], 2), (32, 1)),  # as far as can be told
        (lambda x: F.max_pool2d(x, (2, 1)).flatten(1), (2, 1)),
        (lambda x: F.max_pool2d(x.reshape(3, 8, 32, 5), (1, 2)), IMAGE),
        (lambda x: F.local_response_norm(x, 2).sigmoid().log_softmax(1), (1, 1)),
    ],
)
def test_largest_field_of_ops(forward, expected):
    assert last(forward)[1] == expected


def test_smallest_field_goes_on_where_the_largest_is_the_image():
    def squeeze(x):
        y = F.avg_pool2d(x, 3, stride=2)
        return F.max_pool2d(y * F.adaptive_avg_pool2d(y, 1), 2)

    assert last(squeeze) == ((5, 5), IMAGE)


def test_vectors_have_none():
    graph = trace(nn.Sequential(nn.Linear(6, 5), nn.ReLU()), (4, 6))
    assert receptive_fields(graph)[graph.outputs[0]] is None
    s = tc.models.summary(nn.Sequential(nn.Linear(6, 5), nn.ReLU()), (4, 6))
    assert (s.macs, s.rows[0].largest_field) == (30, None) and str(s).count("image") == 1
