"""Batch norm's passes against their formulas in float64."""

import numpy as np
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

import tinyconv as tc
from tinyconv.kernels import batchnorm

DTYPES = pytest.mark.parametrize("dtype", [np.float32, np.float64])
#: under a register, over one, over a block of small planes, over a block of one plane
planes = st.sampled_from([(), (1,), (3,), (4, 4), (7, 7), (5, 33), (17, 31), (65, 70)])


def _arrays(N, C, plane, dtype, seed=0):
    rng = np.random.default_rng(seed + N + 10 * C)
    big = [rng.standard_normal((N, C, *plane)).astype(dtype) for _ in range(4)]
    small = [rng.standard_normal(C).astype(dtype) for _ in range(3)]
    return *big, *small


def _columns(x, *numbers):
    return [v.astype(float).reshape((-1,) + (1,) * (x.ndim - 2)) for v in numbers]


def _within(x):
    """``x`` as some channels of a larger array."""
    N, C, *plane = x.shape
    larger = np.full((N, C + 3, *plane), np.nan, x.dtype)
    larger[:, 2 : 2 + C] = x
    return larger[:, 2 : 2 + C]


def _axes(x):
    return 0, *range(2, x.ndim)


@DTYPES
@given(N=st.sampled_from([1, 2, 5, 40]), C=st.integers(1, 5), plane=planes)
@example(N=9, C=3, plane=(65, 70))
def test_statistics(N, C, plane, dtype):
    x, *_ = _arrays(N, C, plane, dtype)
    x += np.arange(C, dtype=dtype).reshape((C,) + (1,) * len(plane))
    mean, var, invstd = batchnorm.statistics(x, 1e-3)
    exact = x.astype(float)
    tolerance = 1e-6 if dtype == np.float32 else 1e-13
    np.testing.assert_allclose(mean, exact.mean(_axes(x)), rtol=tolerance, atol=tolerance)
    np.testing.assert_allclose(var, exact.var(_axes(x)), rtol=4 * tolerance, atol=1e-9 * tolerance)
    np.testing.assert_allclose(invstd, 1 / np.sqrt(var + 1e-3), rtol=tolerance)
    assert mean.dtype == var.dtype == invstd.dtype == dtype


@pytest.mark.parametrize("outlier", ["image", "pixel", "drift", "constant"])
def test_the_variance_keeps_its_digits(outlier, rng):
    x = rng.standard_normal((64, 2, 24, 24)) + 3000
    if outlier == "image":
        x[0] = -5000
    elif outlier == "pixel":
        x[0, :, 0, 0] = 1e6
    elif outlier == "drift":
        x += 200 * np.arange(64)[:, None, None, None]
    else:
        x[:] = 3000.5
    x = x.astype(np.float32)
    mean, var, _ = batchnorm.statistics(x, 1e-5)
    np.testing.assert_allclose(mean, x.astype(float).mean((0, 2, 3)), rtol=2e-7)
    np.testing.assert_allclose(var, x.astype(float).var((0, 2, 3)), rtol=2e-6)


@DTYPES
@given(
    N=st.sampled_from([1, 3, 9]), C=st.integers(1, 4), plane=planes,
    adds=st.booleans(), relu=st.booleans(),
)  # fmt: skip
def test_normalise(N, C, plane, adds, relu, dtype):
    x, residual, _, _, mean, scale, shift = _arrays(N, C, plane, dtype)
    y = batchnorm.normalise(x, mean, scale, shift, residual if adds else None, relu)
    m, s, b = _columns(x, mean, scale, shift)
    wanted = (x.astype(float) - m) * s + b + (residual if adds else 0)
    wanted = np.maximum(wanted, 0) if relu else wanted
    assert y.dtype == dtype
    np.testing.assert_allclose(y, wanted, atol=3e-6 if dtype == np.float32 else 1e-14)


@DTYPES
@given(
    N=st.sampled_from([2, 3, 9]), C=st.integers(1, 4), plane=planes,
    relu=st.booleans(), keep=st.booleans(),
)  # fmt: skip
def test_gradients(N, C, plane, relu, keep, dtype):
    x, gy, y, _, w, *_ = _arrays(N, C, plane, dtype)
    mean, _, invstd = batchnorm.statistics(x, 1e-2)
    keep = keep and relu
    gx, gw, gb, masked = batchnorm.through_relu(gy, x, w, mean, invstd, y if relu else None, keep)
    g = np.where(y > 0, gy, 0).astype(float) if relu else gy.astype(float)
    m, s, k = _columns(x, mean, invstd, w)
    xhat = (x - m) * s
    count = x.size // C
    sum_g, sum_gx = g.sum(_axes(x)), (g * xhat).sum(_axes(x))
    wanted = k * s * (g - _columns(x, sum_g / count)[0] - xhat * _columns(x, sum_gx / count)[0])
    tolerance = (2e-5 if dtype == np.float32 else 1e-13) * max(1, np.abs(xhat).max() ** 2)
    for ours, theirs in ((gx, wanted), (gw, sum_gx), (gb, sum_g)):
        np.testing.assert_allclose(
            ours, theirs, rtol=tolerance, atol=tolerance * max(1, np.abs(theirs).max())
        )
    if keep:
        np.testing.assert_array_equal(masked, g)
    else:
        assert masked is None


@DTYPES
@given(N=st.sampled_from([2, 9]), C=st.integers(1, 4), plane=planes, keep=st.booleans())
def test_the_mask_of_a_relu_is_the_same_from_its_result_and_from_its_input(
    N, C, plane, keep, dtype
):
    x, gy, _, _, w, shift, _ = _arrays(N, C, plane, dtype)
    mean, _, invstd = batchnorm.statistics(x, 1e-2)
    y = batchnorm.normalise(x, mean, w * invstd, shift, None, True)
    by_result = batchnorm.through_relu(gy, x, w, mean, invstd, y, keep)
    by_line = batchnorm.through_relu(
        _within(gy), x, w, mean, invstd, np.full_like(y, -1), keep, shift
    )
    for a, b in zip(by_result, by_line):
        np.testing.assert_array_equal(a, b)


@DTYPES
@given(
    N=st.sampled_from([1, 3, 9]), C=st.integers(1, 4), plane=planes, apart=st.booleans()
)  # fmt: skip
def test_masked_sums(N, C, plane, apart, dtype):
    gy, y, *_ = _arrays(N, C, plane, dtype)
    y.flat[0] = np.nan
    masked, sums = batchnorm.masked_sums(_within(gy) if apart else gy, y)
    wanted = np.where(y <= 0, 0, gy)
    np.testing.assert_array_equal(masked, wanted)
    tolerance = 1e-5 if dtype == np.float32 else 1e-13
    wanted = wanted.astype(float).sum(_axes(y))
    np.testing.assert_allclose(sums, wanted, rtol=tolerance, atol=tolerance * y.size)


def test_nan_stays_in_its_channel_and_passes_a_relu():
    x = np.ones((2, 3, 4, 5), np.float32)
    x[0, 1, 2, 3] = np.nan
    w = np.ones(3, np.float32)
    mean, var, invstd = batchnorm.statistics(x, 1e-5)
    assert np.isnan(mean).tolist() == np.isnan(var).tolist() == [False, True, False]
    y = batchnorm.normalise(x, mean, w * invstd, w, None, True)
    assert np.isnan(y[:, 1]).all() and not np.isnan(y[:, ::2]).any()
    y = np.zeros_like(x)
    y[0, 0, 0, 0] = np.nan
    gb = batchnorm.through_relu(np.ones_like(x), np.ones_like(x), w, w, w, y)[2]
    assert gb.tolist() == [1, 0, 0], "the cotangent passes where y is NaN"


@DTYPES
def test_results_are_bit_equal_for_any_number_of_threads_and_layout(dtype, threads, rng):
    for shape in ((9, 20, 33, 31), (2, 40, 47, 51), (300, 400)):
        x, gy, y = (rng.standard_normal(shape).astype(dtype) for _ in "xgy")
        w = rng.standard_normal(shape[1]).astype(dtype)
        results = []
        for number in (1, 2, 3):
            threads(number)
            for a in (x, np.asfortranarray(x)):
                mean, var, invstd = batchnorm.statistics(a, 1e-5)
                z = batchnorm.normalise(a, mean, w, w, a, True)
                results.append(
                    [mean, var, z, *batchnorm.through_relu(gy, a, w, mean, invstd, y, 1)]
                )
        for other in results[1:]:
            assert all(p.tobytes() == q.tobytes() for p, q in zip(results[0], other))


@DTYPES
def test_addition_of_large_arrays(dtype, rng):
    a, b = rng.standard_normal((2, 70, 1000)).astype(dtype)
    for p, q in ((a, b), (a.T, b.T), (a[:, ::2], b[:, ::2]), (a[:3], b[:3]), (a, b[0])):
        np.testing.assert_array_equal(tc.kernels.addition.add(p, q), p + q)
    wanted = a + b
    assert tc.kernels.addition.add(a, b, a) is a
    np.testing.assert_array_equal(a, wanted)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("step", [1, -2])
def test_running_statistics_move_where_they_lie(dtype, step, rng):
    held = rng.standard_normal(9).astype(dtype)
    running, before = held[::step], held[::step].copy()
    batch = rng.standard_normal(len(running)).astype(dtype)
    tc.kernels.running.track(running, batch + 1e-20j if step < 0 else batch, 0.25, 1.5)
    np.testing.assert_allclose(held[::step], 0.75 * before + 0.25 * 1.5 * batch, rtol=1e-5)
