"""Depthwise convolution: against loops in Python, its ties to threads, NaN and infinity."""

from unittest import mock

import naive
import numpy as np
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

import tinyconv as tc
from tinyconv.kernels import Window, conv_depthwise, conv_naive, depthwise_moved


@st.composite
def geometries(draw):
    """(shape of x, filters, window arguments) with an output of at least 1 x 1."""
    # half of the windows are those with kernels of their own
    own = draw(st.booleans())
    kernel = (3, 3) if own else draw(st.tuples(st.integers(1, 5), st.integers(1, 5)))
    stride = draw(st.sampled_from([1, 2])) if own else draw(st.permutations([1, 2, 3]))[:2]
    stride = (stride,) * 2 if own else (stride[0], min(stride[1], 2))
    dilation = (1, 1) if own else draw(st.sampled_from([(1, 1), (2, 1), (1, 3)]))
    same = draw(st.booleans())
    left, right, top, bottom = (1 if same else draw(st.integers(0, 4)) for _ in range(4))
    N, C = draw(st.permutations([1, 2, 3]))[:2]
    least_h = max(1, dilation[0] * (kernel[0] - 1) + 1 - top - bottom)
    least_w = max(1, dilation[1] * (kernel[1] - 1) + 1 - left - right)
    H = least_h + draw(st.integers(0, 9))
    W = least_w + draw(st.sampled_from([0, 1, 2, 3, 5, 6, 13, 14, 18, 40]))
    args = dict(stride=stride, padding=(left, right, top, bottom), dilation=dilation)
    return (N, C, H, W), C * draw(st.integers(1, 2)), (kernel, args)


def _arrays(case, dtype):
    x_shape, O, (kernel, args) = case
    window = Window.of(kernel, **args)
    rng = np.random.default_rng(sum(x_shape) + O)
    y_shape = x_shape[0], O, *window.output_shape(*x_shape[2:])
    shapes = x_shape, (O, 1, *kernel), (O,), y_shape, y_shape
    return [rng.standard_normal(shape).astype(dtype) for shape in shapes], window


def _all(x, w, b, gy, residual, window):
    C = x.shape[1]
    return (
        conv_depthwise.forward(x, w, b, window, C),
        conv_depthwise.forward(x, w, b, window, C, residual, True),
        conv_depthwise.input_gradient(gy, w, window, C, x.shape[2:]),
        conv_depthwise.weight_gradient(gy, x, window, C),
    )


def _move_all():
    """Small images too are moved where that makes a window fit."""
    return mock.patch.object(depthwise_moved, "_SMALL", 0)


def _case(shape, O, stride=1, padding=(1, 1, 1, 1), kernel=(3, 3)):
    return shape, O, (kernel, dict(stride=(stride, stride), padding=padding, dilation=(1, 1)))


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@given(case=geometries())
@example(case=_case((1, 2, 9, 8), 2))  # registers with and without rows beyond the border
@example(case=_case((1, 2, 2, 40), 4))  # no register without
@example(case=_case((2, 3, 23, 3), 3))  # a last register that is not full, next to one that is
@example(case=_case((2, 1, 8, 7), 2, padding=(0, 2, 3, 0)))  # hanging over
@example(case=_case((1, 1, 1, 1), 1))  # one pixel
@example(case=_case((1, 1, 1, 1), 1, 2))
@example(case=_case((2, 3, 9, 16), 3, 2))  # two rows of outputs to a register, an odd number
@example(case=_case((1, 2, 12, 13), 4, 2))  # an even number of them
@example(case=_case((2, 3, 8, 67), 3, 2))  # several registers in a row
@example(case=_case((1, 2, 6, 33), 2, 2, (0, 1, 0, 1)))  # an even distance from the edge
@example(case=_case((1, 2, 5, 29), 2, 2, (3, 3, 0, 0)))  # a register that starts outside
@example(case=_case((1, 2, 2, 5), 4, 2, (4, 0, 0, 4)))  # windows that see padding only
@example(case=_case((1, 2, 12, 20), 2, 1, (2, 2, 2, 2), (5, 5)))
@example(case=_case((2, 3, 7, 20), 6, 1, (0, 0, 0, 0)))  # moved: outputs that are left out
@example(case=_case((1, 2, 6, 18), 2, 2, (0, 1, 0, 1)))  # zeros in front, and outputs
@example(case=_case((1, 3, 9, 17), 3, 2, (2, 2, 2, 2)))  # zeros in front
@example(case=_case((2, 1, 5, 33), 2, 1, (4, 3, 5, 4)))  # an adjoint that begins in the image
def test_against_loops(case, dtype):
    (x, w, b, gy, residual), window = _arrays(case, dtype)
    inputs = [a.copy() for a in (x, w, b, gy, residual)]
    with _move_all():
        y, act, gx, gw = _all(x, w, b, gy, residual, window)
    args = dict(case[2][1], groups=x.shape[1])
    wanted_x, wanted_w, _ = naive.conv2d_gradients(gy, x, w, **args)
    wanted = naive.conv2d(x, w, b, **args)
    tolerance = 2e-4 if dtype == np.float32 else 1e-11
    pairs = (y, wanted), (act, np.maximum(wanted + residual, 0)), (gx, wanted_x), (gw, wanted_w)
    for got, expected in pairs:
        assert got.dtype == dtype and got.flags.c_contiguous
        np.testing.assert_allclose(got, expected, rtol=tolerance, atol=tolerance)
    for a, old in zip((x, w, b, gy, residual), inputs):
        assert np.array_equal(a, old)


@pytest.mark.parametrize("stride", [1, 2])
@pytest.mark.parametrize("shape", [(5, 35, 17, 32), (9, 67, 7, 9)])
def test_more_filters_and_images_than_are_summed_at_once(shape, stride):
    (x, w, b, gy, residual), window = _arrays(_case(shape, shape[1], stride), np.float32)
    _, _, gx, gw = _all(x, w, b, gy, residual, window)
    wanted_x = conv_naive.input_gradient(gy, w, window, shape[1], shape[2:])
    wanted_w = conv_naive.weight_gradient(gy.astype(float), x.astype(float), window, shape[1])
    np.testing.assert_allclose(gx, wanted_x, rtol=2e-4, atol=2e-4)
    np.testing.assert_allclose(gw, wanted_w, rtol=2e-4, atol=2e-4)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("stride", [1, 2])
@pytest.mark.parametrize("padding", [(0, 0, 0, 0), (0, 1, 0, 1), (2, 2, 2, 2), (1, 0, 2, 1)])
def test_moved_windows(padding, stride, dtype):
    case = _case((3, 40, 13, 14), 40, stride, padding)
    (x, w, b, gy, residual), window = _arrays(case, dtype)
    assert depthwise_moved.move(window, x.shape[2:], gy.shape[2:], 3 * 40) is not None
    y, act, gx, gw = _all(x, w, b, gy, residual, window)
    x, w, b, gy = (a.astype(float) for a in (x, w, b, gy))
    wanted = conv_naive.forward(x, w, b, window, 40)
    pairs = (
        (y, wanted),
        (act, np.maximum(wanted + residual, 0)),
        (gx, conv_naive.input_gradient(gy, w, window, 40, x.shape[2:])),
        (gw, conv_naive.weight_gradient(gy, x, window, 40)),
    )
    tolerance = 2e-4 if dtype == np.float32 else 1e-11
    for got, expected in pairs:
        assert got.dtype == dtype and got.flags.c_contiguous
        np.testing.assert_allclose(got, expected, rtol=tolerance, atol=tolerance)


def _big(stride, padding=(1, 1, 1, 1)):
    # more than one chunk of planes, and of rows; few filters, whose images are shared out
    return _case((5, 3, 150, 64), 3, stride, padding)


@pytest.mark.parametrize(
    "case",
    [
        *(_big(1), _big(2), _big(1, (0, 0, 0, 0)), _big(2, (0, 1, 0, 1))),
        _case((40, 70, 8, 8), 70),
    ],
)
def test_thread_counts_and_ways_past_the_caches_change_no_bit(case, monkeypatch):
    arrays, window = _arrays(case, np.float32)
    before = tc.get_num_threads()
    try:
        results = []
        for threads, limit in ((1, 1 << 40), (2, 1 << 40), (5, 1)):
            monkeypatch.setattr(conv_depthwise, "_PAST_CACHES", limit)
            tc.set_num_threads(threads)
            results.append(_all(*arrays, window))
    finally:
        tc.set_num_threads(before)
    for other in results[1:]:
        for a, b in zip(results[0], other):
            assert a.tobytes() == b.tobytes()


@pytest.mark.parametrize("stride", [1, 2])
@pytest.mark.parametrize("W", [5, 8, 14, 16, 37])
@pytest.mark.parametrize("bad", [np.nan, np.inf])
@pytest.mark.parametrize("padding", [(1, 1, 1, 1), (0, 0, 0, 0), (0, 1, 0, 1)])
def test_a_number_that_is_none_reaches_what_it_touches_and_no_more(padding, bad, W, stride):
    # in pixels that the last tap of a row or column may not see, nor the first
    for at in ((0, 0), (6, W - 1), (3, 2)):
        case = _case((2, 3, 7, W), 3, stride, padding)
        (x, w, b, gy, residual), window = _arrays(case, np.float32)
        x[1, 1][at] = bad
        args = dict(case[2][1], groups=3)
        spoilt = gy.copy()
        spoilt[1, 2, -1, -1] = bad
        with _move_all():
            y, _, _, gw = _all(x, w, b, gy, residual, window)
            gx = conv_depthwise.input_gradient(spoilt, w, window, 3, x.shape[2:])
        with np.errstate(invalid="ignore"):
            pairs = (
                (y, naive.conv2d(x, w, b, **args)),
                (gw, naive.conv2d_gradients(gy, x, w, **args)[1]),
                (gx, naive.conv2d_gradients(spoilt, np.zeros_like(x), w, **args)[0]),
            )
        for got, expected in pairs:
            np.testing.assert_array_equal(np.isfinite(got), np.isfinite(expected))


def test_a_small_image_of_nan_is_nan_through_relu():
    window = Window.of(3, padding=1)
    x, w = np.full((1, 1, 4, 4), np.nan, np.float32), np.ones((1, 1, 3, 3), np.float32)
    b = np.zeros(1, np.float32)
    assert np.isnan(conv_depthwise.forward(x, w, b, window, 1, None, True)).all()
