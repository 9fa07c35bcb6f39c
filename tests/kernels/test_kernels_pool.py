"""Pools against loops in Python; their adjoints by the identity <A x, y> = <x, A' y>."""

import naive
import numpy as np
import pytest
from hypothesis import assume, example, given
from hypothesis import strategies as st

import tinyconv as tc
import tinyconv.nn.functional as F
from tinyconv.kernels import Window

DTYPES = pytest.mark.parametrize("dtype", [np.float32, np.float64])


@st.composite
def pools(draw, dilated):
    """(H, W, kernel, stride, padding, dilation) whose windows all meet the image."""
    kh, kw = draw(st.permutations([1, 2, 3, 4]))[:2]
    sh, sw = draw(st.permutations([1, 2, 3, 5]))[:2]
    dh, dw = draw(st.permutations([1, 2, 3]))[:2] if dilated else (1, 1)
    left, right = draw(st.tuples(*[st.integers(0, kw // 2)] * 2))
    top, bottom = draw(st.tuples(*[st.integers(0, kh // 2)] * 2))
    H = max(1, dh * (kh - 1) + 1 - top - bottom) + draw(st.integers(0, 5))
    W = max(1, dw * (kw - 1) + 1 - left - right) + draw(st.integers(0, 6))
    W += H == W
    return H, W, (kh, kw), (sh, sw), (left, right, top, bottom), (dh, dw)


def _image(H, W, dtype, ties=False):
    rng = np.random.default_rng(100 * H + W)
    if ties:
        return rng.integers(0, 3, (2, 3, H, W)).astype(dtype)
    return rng.standard_normal((2, 3, H, W)).astype(dtype)


@DTYPES
@given(case=pools(dilated=True), ceil=st.booleans(), ties=st.booleans())
@example(case=(6, 7, (3, 2), (1, 1), (0, 0, 0, 0), (1, 1)), ceil=False, ties=True)
@example(case=(5, 8, (2, 3), (3, 4), (1, 1, 1, 0), (1, 1)), ceil=True, ties=False)
def test_max_pool_gives_the_first_maximum_and_its_place(case, ceil, ties, dtype):
    H, W, kernel, stride, padding, dilation = case
    x = _image(H, W, dtype, ties)
    try:
        y, index = F.max_pool2d(
            tc.from_numpy(x), kernel, stride, padding, dilation, ceil, return_indices=True
        )
    except ValueError as error:
        assume("sees only padding" not in str(error))
        raise
    wanted, places = naive.max_pool2d(x, kernel, stride, padding, dilation, ceil)
    assert y.dtype == dtype and index.dtype == np.int64
    np.testing.assert_array_equal(y.numpy(), wanted)
    np.testing.assert_array_equal(index.numpy(), places)


@DTYPES
@pytest.mark.parametrize("ceil", [False, True])
@pytest.mark.parametrize("include_pad", [False, True])
@given(case=pools(dilated=False), divisor=st.sampled_from([None, None, 3]))
@example(case=(5, 7, (3, 2), (2, 3), (1, 0, 1, 1), (1, 1)), divisor=None)
@example(case=(7, 5, (4, 3), (3, 2), (1, 1, 2, 2), (1, 1)), divisor=None)
def test_average_pool_divides_by_what_it_says(case, divisor, include_pad, ceil, dtype):
    H, W, kernel, stride, padding, _ = case
    x = _image(H, W, dtype)
    y = F.avg_pool2d(tc.from_numpy(x), kernel, stride, padding, ceil, include_pad, divisor)
    assert y.dtype == dtype
    wanted = naive.avg_pool2d(x, kernel, stride, padding, ceil, include_pad, divisor)
    np.testing.assert_allclose(y.numpy(), wanted, atol=1e-6 if dtype == np.float32 else 1e-14)


@given(H=st.integers(1, 9), W=st.integers(1, 9), Ho=st.integers(1, 5), Wo=st.integers(1, 5))
@example(H=6, W=8, Ho=3, Wo=2)
@example(H=5, W=7, Ho=1, Wo=1)
@example(H=2, W=3, Ho=4, Wo=5)
def test_adaptive_pools_cover_the_image_by_a_grid(H, W, Ho, Wo):
    x = _image(H, W, np.float64)
    average = F.adaptive_avg_pool2d(tc.from_numpy(x), (Ho, Wo)).numpy()
    np.testing.assert_allclose(average, naive.adaptive_pool2d(x, (Ho, Wo), np.mean), atol=1e-14)
    largest, index = F.adaptive_max_pool2d(tc.from_numpy(x), (Ho, Wo), return_indices=True)
    np.testing.assert_array_equal(largest.numpy(), naive.adaptive_pool2d(x, (Ho, Wo), max))
    picked = np.take_along_axis(x.reshape(2, 3, -1), index.numpy().reshape(2, 3, -1), 2)
    np.testing.assert_array_equal(picked.ravel(), largest.numpy().ravel())


@given(case=pools(dilated=False), ceil=st.booleans())
def test_the_average_pool_and_its_adjoint_belong_together(case, ceil):
    H, W, kernel, stride, padding, _ = case
    g = Window.of(kernel, stride, padding)
    shape = g.output_shape(H, W, ceil)
    windows = []
    for size, out, k, s, before in zip((H, W), shape, g[:2], g[2:4], (g.top, g.left)):
        start = np.arange(out) * s - before
        windows.append(np.stack([start.clip(0), (start + k).clip(max=size)]).astype(np.int64))
    rng = np.random.default_rng(1)
    x, inverse = _image(H, W, np.float64), rng.uniform(0.5, 2, shape)
    gy = rng.standard_normal((2, 3, *shape))
    y = tc.kernels.pool.average_forward(x, *windows, inverse)
    gx = tc.kernels.pool.average_adjoint(gy, *windows, inverse, (H, W))
    np.testing.assert_allclose((y * gy).sum(), (x * gx).sum(), atol=1e-11)


def test_overlapping_windows_accumulate_in_the_scatter():
    x = np.zeros((1, 1, 3, 4))
    x[0, 0, 1, 1] = 1  # the maximum of all four windows that hold it
    window = Window.of((2, 2))
    _, index = tc.kernels.pool.max_forward(x, window, False)
    gy = np.arange(1.0, 7.0).reshape(1, 1, 2, 3)
    gx = tc.kernels.pool.scatter(gy, index, (3, 4))
    assert gx[0, 0, 1, 1] == 1 + 2 + 4 + 5


def test_gather_and_scatter_are_adjoint(rng):
    index = rng.integers(0, 20, (2, 3, 3, 2))
    x, gy = rng.standard_normal((2, 3, 4, 5)), rng.standard_normal((2, 3, 3, 2))
    y, gx = tc.kernels.pool.gather(x, index), tc.kernels.pool.scatter(gy, index, (4, 5))
    np.testing.assert_allclose((y * gy).sum(), (x * gx).sum(), atol=1e-12)


@DTYPES
def test_nan_wins_every_window_it_is_in(dtype):
    x = np.zeros((1, 1, 3, 4), dtype)
    x[0, 0, 1, 2], x[0, 0, 0, 0] = np.nan, np.inf
    wanted, places = naive.max_pool2d(x, (2, 2), (1, 1), (0, 0, 0, 0))
    y, index = F.max_pool2d(tc.from_numpy(x), 2, 1, return_indices=True)
    np.testing.assert_array_equal(y.numpy(), wanted)
    np.testing.assert_array_equal(index.numpy(), places)
    assert np.isnan(y.numpy()[0, 0, :, 1:]).all()


def test_minus_infinity_everywhere_still_points_into_the_window():
    x = tc.full((1, 1, 3, 3), -np.inf)
    y, index = F.max_pool2d(x, 2, 1, padding=1, return_indices=True)
    assert (y.numpy() == -np.inf).all()
    assert index.numpy()[0, 0].tolist() == [[0, 0, 1, 2], [0, 0, 1, 2], [3, 3, 4, 5], [6, 6, 7, 8]]


@pytest.mark.parametrize("pool", [F.max_pool2d, F.avg_pool2d])
def test_an_empty_batch_gives_an_empty_result(pool):
    assert pool(tc.zeros(0, 3, 5, 4), (2, 3)).shape == (0, 3, 2, 1)


@pytest.mark.parametrize("pool", [F.max_pool2d, F.avg_pool2d])
def test_an_image_without_pixels_is_refused(pool):
    with pytest.raises(ValueError, match="pool2d"):
        pool(tc.zeros(1, 2, 0, 4), 2, padding=1)


@DTYPES
def test_results_are_bit_equal_for_any_number_of_threads(dtype, threads, rng):
    x = rng.standard_normal((5, 7, 64, 61)).astype(dtype)
    results = []
    for number in (1, 2, 3, 4):
        threads(number)
        t = tc.from_numpy(x).requires_grad_()
        y = F.max_pool2d(t, (3, 2), (2, 1), 1) + 0
        z = F.avg_pool2d(t, (3, 2), (2, 1), 1)
        (g,) = tc.autograd.grad([y, z], t, [y.detach(), z.detach()])
        results.append((y.array, z.array, g.array))
    for other in results[1:]:
        assert all(a.tobytes() == b.tobytes() for a, b in zip(results[0], other))
