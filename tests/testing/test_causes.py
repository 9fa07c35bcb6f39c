"""Mistakes planted in convolutions, pools and norms are named."""

import math
from itertools import product

import numpy as np
import pytest
from jacobians import (
    Conv,
    block,
    cause,
    grouped,
    normalise,
    pool_jacobian,
    pool_windows,
    softmax,
)  # fmt: skip

from tinyconv.testing.causes import diagnose

# ---------------------------------------------------------------------- convolution


@pytest.mark.parametrize("seed", range(3))
@pytest.mark.parametrize(
    "mistake, geometry, x_name, w_name",
    [
        (dict(stride=(1, 1)), dict(stride=(2, 3), size=(9, 8)), "misplaced", "misplaced"),
        (dict(stride=(1, 2)), dict(stride=(2, 1), size=(7, 8)), "misplaced", "misplaced"),
        (dict(dilation=(1, 1)), dict(dilation=(2, 3), size=(9, 8)), "misplaced", "misplaced"),
        (dict(padding=(0, 1)), dict(padding=(1, 1)), "shifted", "shifted"),
        (dict(padding=(0, 0)), dict(padding=(1, 2), kernel=(3, 4)), "shifted", "shifted"),
        (dict(padding=(0, 0)), dict(padding=(1, 0), stride=(2, 2)), "shifted", "shifted"),
    ],
    ids=["stride dropped", "strides swapped", "dilation dropped", "padding off by one",
         "padding dropped", "padding dropped with stride"],
)  # fmt: skip
def test_convolution_with_another_geometry_in_backward(seed, mistake, geometry, x_name, w_name):
    conv = Conv(seed, **geometry)
    assert conv.cause(0, **mistake).name == x_name
    assert conv.cause(1, **mistake).name == w_name


@pytest.mark.parametrize("geometry", [{}, dict(padding=(1, 1)), dict(stride=(2, 1))])
def test_an_unflipped_kernel(geometry):
    conv = Conv(**geometry)
    turned = conv.cause(0, tap=lambda i, j: (2 - i, 1 - j))
    assert turned.name == "flipped" and "axis 2 (H) and axis 3 (W)" in turned.text
    one_axis = conv.cause(0, tap=lambda i, j: (2 - i, j))
    assert one_axis.name == "flipped" and "axis 3" not in one_axis.text
    gw = conv.jacobians()[1]
    assert cause(gw, gw[..., ::-1, ::-1], conv.out, conv.w.shape).name == "flipped"


def test_the_kernel_of_a_transposed_convolution():
    """Its Jacobian is the transposed one: windows are on the output."""
    conv = Conv(stride=(2, 2), size=(7, 8))
    shapes = conv.x.shape, conv.out
    D, A = (
        J.reshape(math.prod(conv.out), -1).T
        for J in (conv.jacobians()[0], conv.jacobians(tap=lambda i, j: (2 - i, 1 - j))[0])
    )
    assert cause(D, A, *shapes).name == "flipped"


def test_kernel_sides_exchanged():
    conv = Conv(kernel=(3, 3), padding=(1, 0))
    gx = conv.cause(0, tap=lambda i, j: (j, i))
    assert gx.name == "misplaced" and "exchanged" in gx.text
    gw = conv.jacobians()[1]
    assert cause(gw, gw.swapaxes(-1, -2), conv.out, conv.w.shape).name == "transposed"


def test_channels_not_transposed_in_a_1x1_convolution():
    conv = Conv(C=3, O=3, kernel=(1, 1))
    D = conv.jacobians()[0]
    conv.w = conv.w.swapaxes(0, 1)
    assert cause(D, conv.jacobians()[0], conv.out, conv.x.shape).name == "transposed"


def test_groups_mixed_up():
    conv = Conv(C=4, O=6, groups=2)
    D, Dw = conv.jacobians()
    assert cause(D, np.roll(D, 2, axis=5), conv.out, conv.x.shape).name == "misplaced"
    conv.x = np.roll(conv.x, 2, axis=1)
    assert cause(Dw, conv.jacobians()[1], conv.out, conv.w.shape).name == "misplaced"


@pytest.mark.parametrize(
    "keep, words",
    [
        (lambda n, o, p, q, i, j: p < 4, "last window along axis 2 (H)"),
        (lambda n, o, p, q, i, j: q < 4, "last window along axis 3 (W)"),
        (lambda n, o, p, q, i, j: p < 4 and q < 4, "the last windows"),
        (lambda n, o, p, q, i, j: o != 1, "channel 1 of the output"),
        (lambda n, o, p, q, i, j: n != 1, "batch item 1"),
        (lambda n, o, p, q, i, j: i < 2, "without a clear pattern"),
    ],
)
def test_parts_of_a_convolution_left_out(keep, words):
    found = Conv().cause(0, keep=keep)
    assert found.name == "partly missing" and words in found.text


def test_border_of_the_input_gradient_left_out():
    conv = Conv(padding=(1, 1))
    D = conv.jacobians()[0]
    A = D.copy()
    A[..., [0, 6], :] = 0
    found = cause(D, A, conv.out, conv.x.shape)
    assert found.name == "partly missing" and "border rows 0 and 6 of the input" in found.text
    A[..., [0, 5]] = 0
    assert "the border of the input" in cause(D, A, conv.out, conv.x.shape).text


def test_overlapping_windows_overwrite():
    conv = Conv()
    D, Dw = conv.jacobians()
    windows = {}  # pixel: the last window over it
    for p, q, i, j in product(*map(range, (*conv.grid, 3, 2))):
        windows[p + i, q + j] = p, q
    last = conv.jacobians(keep=lambda n, o, p, q, i, j: windows[p + i, q + j] == (p, q))[0]
    assert cause(D, last, conv.out, conv.x.shape).name == "lost accumulation"
    taps = {}  # pixel: the last tap on it, in a loop over taps
    for i, j, p, q in product(*map(range, (3, 2, *conv.grid))):
        taps[p + i, q + j] = i, j
    last = conv.jacobians(keep=lambda n, o, p, q, i, j: taps[p + i, q + j] == (i, j))[0]
    assert cause(D, last, conv.out, conv.x.shape).name == "lost accumulation"
    last_image = conv.jacobians(keep=lambda n, o, p, q, i, j: n == 1)[1]
    assert cause(Dw, last_image, conv.out, conv.w.shape).name == "lost accumulation"


@pytest.mark.parametrize("which", [0, 1])
def test_constant_factors_and_rounding_of_a_convolution(which):
    conv = Conv(padding=(1, 0))
    D = conv.jacobians()[which]
    shapes = conv.out, (conv.x, conv.w)[which].shape
    for factor, name, words in (
        (0.5, "constant factor", "1/2, 1 / the batch size, 2"),
        (1.001, "constant factor", "0.1 % too much"),
        (0.999, "constant factor", "0.1 % too little"),
        (math.sqrt(2), "constant factor", "sqrt(2)"),
        (-1, "sign", "wrong sign"),
        (-2, "constant factor", "sign is wrong as well"),
        (0, "missing", "detached"),
    ):
        found = cause(D, factor * D, *shapes)
        assert found.name == name and words in found.text
    rounded = D.astype(np.float32).astype(float)
    assert cause(D, rounded, *shapes).name == "precision"
    noisy = D * (1 + 2e-7 * np.random.default_rng(1).standard_normal(D.shape))
    assert cause(D, noisy, *shapes).name == "precision"


# ---------------------------------------------------------------------- pools


@pytest.mark.parametrize(
    "window",
    [
        dict(kernel=(3, 2), stride=(2, 1), padding=(1, 1)),
        dict(kernel=(3, 2), stride=(2, 2), padding=(0, 0), ceil=True),
    ],
    ids=["padding", "ceil_mode"],
)
def test_divisor_of_average_pools(window):
    windows = pool_windows((6, 5), **window)
    by_pixels = pool_jacobian(windows, (6, 5), lambda pixels, *_: 1 / len(pixels))
    by_kernel = pool_jacobian(windows, (6, 5), lambda pixels, *_: 1 / 6)
    for (D, *shapes), (A, *_) in ((by_pixels, by_kernel), (by_kernel, by_pixels)):
        found = cause(D, A, *shapes)
        assert found.name == "divisor" and "count" in found.text
    D, *shapes = by_kernel
    assert cause(D, 6 / 9 * D, *shapes).text.count("2/3") == 1
    assert cause(D, 6 * D, *shapes).name == "constant factor"


def test_average_pool_with_a_factor_per_pixel():
    """Divided by how many windows cover a pixel, as for the mean of patches."""
    windows = pool_windows((6, 5), (3, 2), (1, 1), (0, 0))
    D, *shapes = pool_jacobian(windows, (6, 5), lambda *_: 1 / 6)
    cover = (D != 0).sum(axis=(0, 1, 2, 3))
    found = cause(D, D / cover, *shapes)
    assert found.name == "divisor" and "depends on the input" in found.text


def max_pool(kernel, stride, pick=lambda pixels, best: best):
    windows = pool_windows((6, 7), kernel, stride, (0, 0))
    x = np.random.default_rng(3).permutation(2 * 2 * 42).reshape(2, 2, 6, 7) / 10

    def amount(pixels, n, c, pixel):
        best = max(pixels, key=lambda at: x[(n, c, *at)])
        return 1.0 * (pixel == pick(pixels, best))

    return *pool_jacobian(windows, (6, 7), amount), x


def test_wrong_indices_in_a_max_pool():
    D, *shapes, x = max_pool((3, 2), (2, 2))
    first = max_pool((3, 2), (2, 2), lambda pixels, best: pixels[0])[0]
    assert cause(D, first, *shapes, x).name == "misplaced"
    off_by_one = np.roll(D, 1, axis=-1)
    found = cause(D, off_by_one, *shapes, x)
    assert found.name == "shifted" and "+1 along the input's axis 3 (W)" in found.text
    whole = (pool_jacobian(pool_windows((6, 7), (3, 2), (2, 2), (0, 0)), (6, 7), lambda *_: 1))[0]
    assert cause(D, whole, *shapes, x).name == "added"


def test_overlapping_max_pool_windows_overwrite():
    D, out, inp, x = max_pool((3, 3), (1, 1))
    rows = D.reshape(math.prod(out), -1)
    last = len(rows) - 1 - rows[::-1].argmax(axis=0)
    A = np.where(np.arange(len(rows))[:, None] == last, rows, 0)
    found = cause(D, A, out, inp, x)
    assert found.name == "lost accumulation" and "only the last" in found.text


@pytest.mark.parametrize("share", [1.0, 0.0], ids=["counted twice", "not at all"])
@pytest.mark.parametrize("flagged", [True, False], ids=["kinks known", "seen by equal inputs"])
def test_ties_in_a_max_pool(share, flagged):
    D, out, inp, x = max_pool((3, 2), (3, 2))
    kink = np.zeros_like(D, bool)
    x[:, 0, :2, 0] = x[:, 0, 1:3, 0] = 99.0  # the first three of the first window
    for at in product(range(2), [0], [0], [0]):
        tied = (*at, at[0], 0, slice(0, 3), 0)
        D[at] = 0
        kink[tied], D[tied] = True, 1 / 3
    A = np.where(kink, share, D)
    kink &= flagged
    assert cause(D, A, out, inp, x, kink).name == "tie"


def test_ties_between_two_inputs():
    """maximum(a, b) with both masks taken by >=."""
    no, half = np.zeros((4, 4), bool), 0.5 * np.eye(4)
    kink = np.eye(4, dtype=bool)
    blocks = [block(half, np.eye(4), (4,), (4,), kink=kink, input=k) for k in range(2)]
    assert {c.name for c in diagnose(blocks).values()} == {"tie"}
    alone = block(half, 2 * np.eye(4), (4,), (4,), kink=kink)
    other = block(half, half, (4,), (4,), kink=no, input=1)
    (found,) = diagnose([alone, other]).values()
    assert found.name == "wrong factor" and "kinks" in found.text


# ---------------------------------------------------------------------- normalisers


SHAPE = (3, 4, 2, 5)


@pytest.mark.parametrize("axes", [(0, 2, 3), (1, 2, 3), (2, 3)], ids=["batch", "layer", "instance"])
@pytest.mark.parametrize("terms", [dict(mean=0), dict(var=0), dict(mean=0, var=0)], ids=str)
def test_statistics_taken_for_constants(axes, terms):
    x = np.random.default_rng(0).standard_normal(SHAPE)
    D, A = (grouped(x, axes, lambda v, t=t: normalise(v, **t)) for t in ({}, terms))
    assert cause(D, A, SHAPE, SHAPE, x).name == "detached statistics"


def test_statistics_that_are_stale_or_seen_through_a_layer():
    x = np.random.default_rng(0).standard_normal((6, 5))
    D, A = (grouped(x, (0,), lambda v, t=t: normalise(v, **t)) for t in ({}, dict(mean=0)))
    stale = 0.7 * np.eye(x.size)
    assert cause(D, stale, x.shape, x.shape, x).name == "detached statistics"
    weight = np.kron(np.eye(6), np.random.default_rng(1).standard_normal((5, 8)))
    assert cause(D @ weight, A @ weight, (6, 5), (6, 8)).name == "detached statistics"


def test_statistics_divided_by_the_wrong_count():
    x = np.random.default_rng(0).standard_normal(SHAPE)
    n = x.size // 4
    D = grouped(x, (0, 2, 3), normalise)
    for terms, words in (
        (dict(var=n / (n - 1)), f"{n}/{n - 1} times"),
        (dict(mean=10, var=10), "10 times"),
    ):
        A = grouped(x, (0, 2, 3), lambda v, t=terms: normalise(v, **t))
        found = cause(D, A, SHAPE, SHAPE, x)
        assert found.name == "divisor" and words in found.text


def test_constants_differentiated_and_scale_left_out():
    x = np.random.default_rng(0).standard_normal(SHAPE)
    frozen = np.eye(x.size)
    found = cause(frozen, grouped(x, (0, 2, 3), normalise), SHAPE, SHAPE, x)
    assert found.name == "added" and "eval mode" in found.text
    D = grouped(x, (0, 2, 3), normalise)
    gamma = np.broadcast_to(np.array([0.3, 1.7, -2.2, 0.9])[:, None, None], SHAPE).reshape(-1, 1)
    found = cause(gamma * D, D, SHAPE, SHAPE, x)
    assert found.name == "wrong factor" and "channel" in found.text


@pytest.mark.parametrize("shape, axis", [((3, 5), 1), ((2, 4, 3), 1), ((6,), 0)])
def test_softmax(shape, axis):
    x = np.random.default_rng(0).standard_normal(shape)
    D = grouped(x, (axis,), softmax)
    no_normaliser = grouped(x, (axis,), lambda v: np.diag(np.exp(v) / np.exp(v).sum()))
    assert cause(D, no_normaliser, shape, shape, x).name == "detached statistics"
    found = cause(D, np.diag(np.diag(D)), shape, shape, x)
    assert found.name == "partly missing" and "off the diagonal" in found.text
