"""The norm of rows against its formula in float64."""

import numpy as np
import pytest

from tinyconv.kernels import groupnorm

#: (N, G, K, P): runs under and over a register and a block, weights per run and per number
SHAPES = [
    (2, 3, 4, 5), (3, 2, 1, 40), (2, 1, 33, 1), (4, 3, 5, 1), (2, 1, 9000, 1), (1, 2, 2, 4100),
    (150, 1, 7, 1), (1, 1, 1, 1),
]  # fmt: skip


def _arrays(shape, dtype, shift=0.0):
    rng, count = np.random.default_rng(sum(shape)), shape[1] * shape[2]
    x, gy = (rng.standard_normal(shape).astype(dtype) for _ in range(2))
    w, b = (rng.standard_normal(count).astype(dtype) for _ in range(2))
    return x + dtype(shift), gy, w, b


def _own(v, x):
    return v.reshape(1, *x.shape[1:3], 1)


@pytest.mark.parametrize("dtype, digits", [(np.float32, 2e-5), (np.float64, 1e-11)])
@pytest.mark.parametrize("shape", SHAPES)
def test_against_the_formula(shape, dtype, digits):
    x, gy, w, b = _arrays(shape, dtype)
    y, mean, var, invstd = groupnorm.forward(x, w, b, 1e-2)
    gx, gw, gb = groupnorm.backward(gy, x, w, mean, invstd)
    assert {v.dtype for v in (y, mean, var, invstd, gx, gw, gb)} == {np.dtype(dtype)}
    x, gy, w, b = (v.astype(float) for v in (x, gy, w, b))
    row = dict(axis=(2, 3), keepdims=True)
    s = 1 / np.sqrt(x.var(**row) + 1e-2)
    xhat, g = (x - x.mean(**row)) * s, gy * _own(w, x)

    def close(found, wanted):
        np.testing.assert_allclose(found, wanted, rtol=digits, atol=digits * np.abs(wanted).max())

    close(y, xhat * _own(w, x) + _own(b, x))
    close(mean, x.mean((2, 3)))
    close(var, x.var((2, 3)))
    gx_wanted = s * (g - g.mean(**row) - xhat * (g * xhat).mean(**row))
    np.testing.assert_allclose(gx, gx_wanted, atol=digits * np.abs(s * g).max())
    np.testing.assert_allclose(gw, (gy * xhat).sum((0, 3)).ravel(), atol=digits * len(x) * 30)
    close(gb, gy.sum((0, 3)).ravel())


@pytest.mark.parametrize("shape", [(3, 1, 5000, 1), (3, 2, 2, 3000)])
def test_digits_stay_far_from_zero(shape):
    x, _, w, b = _arrays(shape, np.float32, shift=3000.0)
    y, _, var, _ = groupnorm.forward(x, w * 0 + 1, b * 0, 0.0)
    exact = x.astype(float)
    np.testing.assert_allclose(var, exact.var((2, 3)), rtol=1e-5)
    row = dict(axis=(2, 3), keepdims=True)
    np.testing.assert_allclose(y, (exact - exact.mean(**row)) / exact.std(**row), atol=1e-3)


@pytest.mark.parametrize("shape", [(40, 1, 20_000, 1), (16, 4, 3, 5000)])
def test_threads_change_no_bit(shape, threads):
    x, gy, w, b = _arrays(shape, np.float32)
    results = []
    for count in (1, 2, 3):
        threads(count)
        y, mean, _, invstd = groupnorm.forward(x, w, b, 1e-5)
        results.append((y, *groupnorm.backward(gy, x, w, mean, invstd)))
    for other in results[1:]:
        for u, v in zip(results[0], other):
            np.testing.assert_array_equal(u, v)


def test_groups_of_one_number_have_no_slope():
    x, gy, w, b = _arrays((50, 3, 1, 1), np.float32)
    y, mean, _, invstd = groupnorm.forward(x, w, b, 1e-5)
    np.testing.assert_array_equal(y, np.broadcast_to(_own(b, x), x.shape))
    assert not groupnorm.backward(gy, x, w, mean, invstd)[0].any()


def test_nan_stays_in_its_row():
    x, _, w, b = _arrays((4, 1, 20, 1), np.float64)
    x[1, 0, 3] = np.nan
    y = groupnorm.forward(x, w, b, 1e-5)[0]
    assert np.isnan(y[1]).all() and np.isfinite(y[[0, 2, 3]]).all()


@pytest.mark.parametrize("shape", [(0, 2, 3, 4), (2, 0, 3, 4), (2, 2, 3, 0), (2, 1, 0, 1)])
def test_nothing_to_normalise(shape):
    x, gy, w, b = _arrays(shape, np.float64)
    y, mean, _, invstd = groupnorm.forward(x, w, b, 1e-5)
    gx, gw, gb = groupnorm.backward(gy, x, w, mean, invstd)
    assert y.shape == gx.shape == shape and not gw.any() and not gb.any()
