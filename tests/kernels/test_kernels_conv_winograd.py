"""Winograd's convolution: against loops in Python, its rounding, its ties to threads and NaN."""

import naive
import numpy as np
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

import tinyconv as tc
from tinyconv.kernels import Window, conv_winograd


def _bound(C, k):
    """The most that y may be off in float32: unit variance in, weights of variance 1 / (k k C)."""
    return (2e-6 if k == 3 else 1e-6) * np.sqrt(25 + C)


@st.composite
def geometries(draw):
    """(shape of x, channels of y, taps, padding, groups), all sizes different."""
    k = draw(st.sampled_from([3, 5]))
    groups = draw(st.sampled_from([1, 1, 2, 3]))
    N, Cg, Og = draw(st.permutations([1, 2, 3]))
    left, right, top, bottom = (draw(st.integers(0, k - 1)) for _ in range(4))
    H = max(1, k - top - bottom) + draw(st.integers(0, 6))
    W = max(1, k - left - right) + draw(st.integers(0, 9))
    return (N, Cg * groups, H, W + (W == H)), Og * groups, k, (left, right, top, bottom), groups


def _arrays(case, dtype):
    (N, C, H, W), O, k, padding, groups = case
    rng = np.random.default_rng(N + C + H + W + O)
    window = Window.of(k, padding=padding)
    shapes = [(N, C, H, W), (O, C // groups, k, k), (O,), (N, O, *window.output_shape(H, W))]
    return [rng.standard_normal(shape).astype(dtype) for shape in shapes], window


def _close(got, wanted, dtype):
    assert got.dtype == dtype and got.flags.c_contiguous
    tolerance = 1e-4 if dtype == np.float32 else 1e-11
    np.testing.assert_allclose(got, wanted, rtol=tolerance, atol=tolerance)


def _by_definition(x, w, pad):
    """conv in float64 with ``pad`` on all sides: for sizes where plain loops take too long."""
    x = np.pad(x.astype(np.float64), [(0, 0), (0, 0), (pad, pad), (pad, pad)])
    windows = np.lib.stride_tricks.sliding_window_view(x, w.shape[2:], axis=(2, 3))
    return np.einsum("nchvij,ocij->nohv", windows, w.astype(np.float64), optimize=True)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@given(case=geometries())
@example(case=((1, 1, 1, 2), 1, 3, (1, 1, 2, 1), 1))  # fewer pixels than a register has lanes
@example(case=((2, 1, 3, 5), 3, 3, (0, 0, 0, 0), 1))  # one row of outputs
@example(case=((1, 2, 17, 6), 3, 3, (2, 0, 0, 2), 1))  # tiles that hang over
@example(case=((3, 17, 2, 3), 18, 3, (1, 1, 1, 1), 1))  # channels just over a register
@example(case=((2, 2, 5, 33), 50, 3, (1, 0, 1, 0), 2))  # more than one panel
@example(case=((1, 2, 16, 64), 3, 3, (1, 1, 1, 1), 1))  # channels that are 4 KB apart
@example(case=((1, 1, 1, 2), 1, 5, (4, 0, 0, 4), 1))
@example(case=((2, 1, 5, 6), 3, 5, (0, 0, 0, 0), 1))
@example(case=((1, 2, 16, 7), 3, 5, (3, 0, 1, 2), 1))
@example(case=((3, 17, 3, 2), 18, 5, (2, 2, 2, 2), 1))
@example(case=((2, 2, 5, 20), 50, 5, (2, 1, 1, 0), 2))
def test_against_loops(case, dtype):
    (x, w, b, gy), window = _arrays(case, dtype)
    _, _, _, padding, groups = case
    inputs = [a.copy() for a in (x, w, b, gy)]
    assert conv_winograd.supports(window)
    y = naive.conv2d(x, w, b, padding=padding, groups=groups)
    _close(conv_winograd.forward(x, w, b, window, groups), y, dtype)
    fused = conv_winograd.forward(x, w, b, window, groups, residual=gy, relu=True)
    _close(fused, np.maximum(y + gy, 0), dtype)
    unit = (1, 1)
    gx, gw, _ = naive.conv2d_gradients(gy, x, w, unit, padding, unit, groups)
    got = conv_winograd.input_gradient(gy, w, window, groups, x.shape[2:])
    _close(got, gx, dtype)
    _close(conv_winograd.weight_gradient(gy, x, window, groups), gw, dtype)
    for a, old in zip((x, w, b, gy), inputs):
        assert np.array_equal(a, old)


#: (N, C, H, W, O, k, groups): several blocks, units and panels; images in part and side by side
SHAPES = [
    (1, 20, 61, 45, 24, 3, 1),
    (9, 40, 7, 6, 130, 3, 1),
    (3, 130, 9, 14, 66, 3, 2),
    (70, 16, 8, 9, 17, 3, 1),
    (2, 100, 30, 28, 50, 3, 1),
    (1, 200, 5, 6, 150, 3, 1),
    (2, 260, 9, 10, 300, 3, 1),
    (2, 17, 32, 64, 20, 3, 1),
    (1, 20, 31, 23, 24, 5, 1),
    (3, 70, 9, 14, 34, 5, 2),
    (40, 16, 8, 9, 17, 5, 1),
    (5, 50, 13, 12, 33, 5, 1),
]


def _larger(shape, dtype):
    N, C, H, W, O, k, groups = shape
    return _arrays(((N, C, H, W), O, k, (k // 2,) * 4, groups), dtype)


@pytest.mark.parametrize("shape", SHAPES)
def test_larger_shapes_and_their_adjoints(shape):
    """<gy, conv(x, w)> is linear in x and in w, which the gradients must agree on."""
    _, C, H, W, O, k, groups = shape
    (x, w, _, gy), window = _larger(shape, np.float64)
    y = conv_winograd.forward(x, w, None, window, groups)
    for g in range(groups):
        i, o = (slice(g * size // groups, (g + 1) * size // groups) for size in (C, O))
        np.testing.assert_allclose(y[:, o], _by_definition(x[:, i], w[o], k // 2), atol=2e-11)
    total = np.vdot(gy, y)
    gx = conv_winograd.input_gradient(gy, w, window, groups, (H, W))
    gw = conv_winograd.weight_gradient(gy, x, window, groups)
    np.testing.assert_allclose(np.vdot(gx, x), total, rtol=1e-10)
    np.testing.assert_allclose(np.vdot(gw, w), total, rtol=1e-10)


@pytest.mark.parametrize("shape", SHAPES)
def test_bit_equal_for_any_number_of_threads(shape, monkeypatch):
    _, _, H, W, _, _, groups = shape
    (x, w, b, gy), window = _larger(shape, np.float32)
    results = []
    for threads in (1, 2, 5):
        monkeypatch.setattr(tc.kernels.parallel, "_num_threads", threads)
        results.append([
            conv_winograd.forward(x, w, b, window, groups, residual=gy, relu=True),
            conv_winograd.input_gradient(gy, w, window, groups, (H, W)),
            conv_winograd.weight_gradient(gy, x, window, groups),
        ])  # fmt: skip
    for other in results[1:]:
        for a, wanted in zip(other, results[0]):
            assert np.array_equal(a, wanted)


def test_scratch_of_one_size_and_type_serves_another():
    """Threads keep their scratch: what is left there must not matter."""
    cases = [(SHAPES[i], dtype) for i in (2, 3, 8) for dtype in (np.float64, np.float32)]
    for shape, dtype in cases:
        (x, w, _, gy), window = _larger(shape, dtype)
        groups = shape[-1]
        conv_winograd.weight_gradient(np.full_like(gy, np.nan), x, window, groups)
        y = conv_winograd.forward(x, w, None, window, groups)
        conv_winograd.forward(np.full_like(x, np.nan), w, None, window, groups)
        assert np.array_equal(y, conv_winograd.forward(x, w, None, window, groups))
        assert np.isfinite(conv_winograd.weight_gradient(gy, x, window, groups)).all()


@pytest.mark.parametrize("k", [3, 5])
@pytest.mark.parametrize("C, H", [(1, 33), (16, 32), (64, 15), (512, 7)])
def test_rounding_stays_within_its_bound(C, H, k):
    """The bounds that the module states."""
    rng = np.random.default_rng(C)
    x, gy = (rng.standard_normal((4, size, H, H)).astype(np.float32) for size in (C, 32))
    w = (rng.standard_normal((32, C, k, k)) / np.sqrt(k * k * C)).astype(np.float32)
    window = Window.of(k, padding=k // 2)
    y = conv_winograd.forward(x, w, None, window, 1)
    assert np.abs(y - _by_definition(x, w, k // 2)).max() < _bound(C, k)
    gw = conv_winograd.weight_gradient(gy, x, window, 1)
    wanted = conv_winograd.weight_gradient(gy.astype(float), x.astype(float), window, 1)
    assert np.abs(gw - wanted).max() < (2e-5 if k == 3 else 5e-5) * np.sqrt(np.mean(wanted**2))


@pytest.mark.parametrize("k", [3, 5])
@pytest.mark.parametrize("bad", [np.nan, np.inf])
@pytest.mark.parametrize("place", [(0, 0), (3, 4), (8, 10)])
def test_no_nan_is_lost(bad, place, k):
    """NaN wherever it is by definition, and nothing finite where infinity is."""
    (x, w, b, _), window = _arrays(((2, 3, 9, 11), 5, k, (k // 2,) * 4, 1), np.float32)
    x[1, 2][place] = bad
    wanted = naive.conv2d(x, w, b, padding=(k // 2,) * 4)
    y = conv_winograd.forward(x, w, b, window, 1)
    assert not np.isfinite(y[~np.isfinite(wanted)]).any()
    assert np.isfinite(y[0]).all()
    y = conv_winograd.forward(x, w, b, window, 1, relu=True)
    assert np.isnan(y[np.isnan(wanted)]).all()
    w[4, 1, 0, 2] = bad
    y = conv_winograd.forward(x[:1], w, b, window, 1)
    assert not np.isfinite(y[:, 4]).any() and np.isfinite(y[:, :4]).all()


def test_what_it_supports():
    assert conv_winograd.supports(Window.of(3, padding=(0, 2)))
    assert conv_winograd.supports(Window.of(5, padding=(4, 0)))
    for other in (
        Window.of(7), Window.of(4), Window.of((3, 1)), Window.of((3, 5)), Window.of(3, stride=2),
        Window.of(5, dilation=2), Window.of(3, padding=3), Window.of(5, padding=5),
    ):  # fmt: skip
        assert not conv_winograd.supports(other)


def test_no_image_and_no_pixel():
    window = Window.of(3)
    x, w = np.zeros((0, 2, 5, 6), np.float32), np.ones((3, 2, 3, 3), np.float32)
    gy = np.zeros((0, 3, 3, 4), np.float32)
    with tc.kernels.conv_algorithm("winograd"):  # the door takes them, the members never see them
        assert tc.kernels.conv.forward(x, w, None, window, 1).shape == gy.shape
        assert tc.kernels.conv.input_gradient(gy, w, window, 1, (5, 6)).shape == x.shape
        assert not tc.kernels.conv.weight_gradient(gy, x, window, 1).any()
