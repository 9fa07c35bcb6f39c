"""The vectorised exponential, and the softmax of the loss that is made with it."""

import numpy as np
import pytest

import tinyconv as tc
from tinyconv.kernels.jit import kernel
from tinyconv.kernels.simd import lanes, load, store
from tinyconv.kernels.simd_exp import exponential

DTYPES = pytest.mark.parametrize("dtype", [np.float32, np.float64])


@kernel
def _exp(x, y):
    for i in range(0, len(x), lanes(x)):
        store(y, i, exponential(load(x, i)))


def _of(x):
    room = np.zeros(-(-len(x) // 16) * 16, x.dtype)
    room[: len(x)] = x
    y = np.empty_like(room)
    _exp(room, y)
    return y[: len(x)]


@DTYPES
def test_exponential_to_a_unit_in_the_last_place(dtype):
    low, high = (-103, 88.7) if dtype == np.float32 else (-745, 709.7)
    near = np.random.default_rng(0).uniform(-1, 1, 20000)
    x = np.concatenate([np.linspace(low, high, 100000), near]).astype(dtype)
    wanted = np.exp(x.astype(np.longdouble))
    unit = np.spacing(wanted.astype(dtype)).astype(np.longdouble)
    assert (np.abs(_of(x) - wanted) <= unit).all()


@DTYPES
def test_exponential_at_its_ends(dtype):
    x = np.array([0, -0.0, np.inf, -np.inf, np.nan, 1e30, -1e30, 710, -747], dtype)
    np.testing.assert_array_equal(_of(x), [1, 1, np.inf, 0, np.nan, np.inf, 0, np.inf, 0])


@DTYPES
@pytest.mark.parametrize("C", [1, 2, 10, 16, 33, 1000])
def test_cross_entropy_of_rows(C, dtype, rng):
    x = (30 * rng.standard_normal((5, C, 1)) - 1000).astype(dtype)
    labels = rng.integers(0, C, (5, 1))
    loss, p, counted, wrong = tc.kernels.loss.cross_entropy(x, labels, -100)
    e = np.exp(x.astype(float) - x.max(1, keepdims=True))
    wanted = e / e.sum(1, keepdims=True)
    tolerance = 1e-6 if dtype == np.float32 else 1e-14
    np.testing.assert_allclose(p, wanted, atol=tolerance)
    logs = (
        np.log(e.sum(1))
        - np.take_along_axis(x.astype(float) - x.max(1, keepdims=True), labels[:, None], 1)[:, 0]
    )
    np.testing.assert_allclose(loss, logs.sum(), rtol=10 * tolerance)
    assert (counted, wrong) == (5, 0)


@DTYPES
def test_cross_entropy_keeps_nan_in_its_row(dtype):
    x = np.zeros((2, 20, 1), dtype)
    x[1, 17] = np.nan
    _, p, _, _ = tc.kernels.loss.cross_entropy(x, np.zeros((2, 1), int), -100)
    assert np.isnan(p[1]).all() and (p[0] == dtype(1) / dtype(20)).all()
