"""LeNet-5: what the paper has and no later network: learned pools, the table, the codes."""

import numpy as np
import pytest
from arrays import uniform

import tinyconv as tc
import tinyconv.nn.functional as F
from tinyconv import models
from tinyconv.models.lenet import squash
from tinyconv.testing import assert_gradients

#: the paper's Table I: a row for each map of S2, a column for each map of C3
TABLE = """
X . . . X X X . . X X X X . X X
X X . . . X X X . . X X X X . X
X X X . . . X X X . . X . X X X
. X X X . . X X X X . . X . X X
. . X X X . . X X X X . X X . X
. . . X X X . . X X X X . X X X
"""


def test_c3_sees_what_the_table_links():
    table = np.array([line.split() for line in TABLE.strip().splitlines()]) == "X"
    net = models.TableConv().double()
    x = uniform((1, 6, 7, 6))
    before = net(tc.from_numpy(x)).detach().numpy()
    for i in range(6):
        moved = x.copy()
        moved[:, i] += 1
        after = net(tc.from_numpy(moved)).detach().numpy()
        np.testing.assert_array_equal((after != before).any(axis=(0, 2, 3)), table[i])
    assert table.sum() == 60
    assert sum(p.numel() for p in net.parameters()) == 60 * 25 + 16


def test_pools_sum_scale_and_shift():
    pool = models.Subsampling(3).double()
    with tc.no_grad():
        pool.weight.copy_(tc.tensor([0.5, -2.0, 3.0]))
        pool.bias.copy_(tc.tensor([1.0, 0.25, -4.0]))
    x = uniform((2, 3, 4, 6))
    sums = x.reshape(2, 3, 2, 2, 3, 2).sum((3, 5))
    w, b = (t.detach().numpy()[:, None, None] for t in (pool.weight, pool.bias))
    np.testing.assert_allclose(pool(tc.from_numpy(x)).detach().numpy(), sums * w + b, rtol=1e-13)


def test_outputs_are_negated_distances_to_fixed_codes():
    layer = models.RadialBasisOutput().double()
    codes = layer.codes.numpy()
    assert codes.shape == (10, 84) and set(codes.flat) == {-1, 1}
    x = uniform((3, 84))
    distances = ((x[:, None] - codes) ** 2).sum(2)
    np.testing.assert_allclose(layer(tc.from_numpy(x)).numpy(), -distances, rtol=1e-13)
    np.testing.assert_array_equal(layer(layer.codes).argmax(1).numpy(), range(10))
    assert not list(layer.parameters()) and list(layer.state_dict()) == ["codes"]


def test_codes_differ_for_as_many_classes_as_there_may_be():
    codes = models.RadialBasisOutput(1280).codes.numpy()
    products = codes @ codes.T
    np.fill_diagonal(products, 0)
    assert (84 - np.abs(products).max()) / 2 > 6  # pixels between the nearest two
    np.testing.assert_array_equal(codes[:10], models.RadialBasisOutput().codes.numpy())
    for classes in (0, 1281):
        with pytest.raises(ValueError, match=f"num_classes={classes} must be 1 to 1280"):
            models.RadialBasisOutput(classes)


def test_squash_leaves_one_in_place():
    y = squash(tc.tensor([-1.0, 0.0, 1.0, 99.0], dtype=tc.float64)).numpy()
    np.testing.assert_allclose(y, [-1, 0, 1, 1.7159], atol=1e-4)


@pytest.mark.parametrize(
    "layer, shape",
    [
        (lambda: models.Subsampling(3), (2, 3, 4, 6)),
        (lambda: models.TableConv(), (1, 6, 5, 6)),
        (lambda: models.RadialBasisOutput(4), (3, 84)),
    ],
)
def test_derivatives_of_the_papers_layers(layer, shape):
    assert_gradients(layer(), uniform(shape))


def test_derivatives_of_the_whole_paper():
    assert_gradients(models.LeNet5Original(num_classes=3), uniform((1, 1, 32, 32)), order=1)


def test_the_papers_weights_start_inside_its_bounds():
    net = models.LeNet5Original()
    fan_in = {"C1": 25, "S2": 4, "C3.threes": 75, "C3.fours": 100, "C3.six": 150, "S4": 4,
              "C5": 400, "F6": 120}  # fmt: skip
    names = {name.rpartition(".")[0] for name, _ in net.named_parameters()}
    assert names == set(fan_in)
    for name, p in net.named_parameters():
        share = np.abs(p.detach().numpy()) * fan_in[name.rpartition(".")[0]] / 2.4
        assert share.max() <= 1 and (share.max() > 0.8 or p.numel() < 10), name


def test_both_sizes_of_the_modern_one_are_one_network():
    padded, plain = models.lenet5_28pad2(), models.lenet5_modern()
    plain.load_state_dict(padded.state_dict())
    x = tc.randn(3, 1, 28, 28)
    y, z = padded(x).detach().numpy(), plain(F.pad(x, (2, 2, 2, 2))).detach().numpy()
    np.testing.assert_allclose(y, z, rtol=1e-5, atol=1e-6)


def test_caffes_has_one_relu(ops_of):
    names = [op.function.__name__ for op in ops_of("lenet_caffe")]
    assert names == "Conv2d MaxPool2d Conv2d MaxPool2d Reshape Linear Relu Linear".split()
