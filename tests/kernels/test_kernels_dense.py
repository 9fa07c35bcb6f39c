"""Matrix product, batch norm, ReLU and erf on arrays."""

import math

import naive
import numpy as np
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

import tinyconv as tc

DTYPES = pytest.mark.parametrize("dtype", [np.float32, np.float64])


def _laid_out(values, layout):
    """The same values with another memory layout."""
    if layout == "F":
        return np.asfortranarray(values)
    if layout == "T":
        return np.ascontiguousarray(np.swapaxes(values, -1, -2)).swapaxes(-1, -2)
    if layout == "reversed":
        return np.ascontiguousarray(values[..., ::-1])[..., ::-1]
    if layout == "step":
        return np.repeat(values, 2, axis=-1)[..., ::2]
    return values


layouts = st.sampled_from(["C", "F", "T", "reversed", "step"])
sizes = st.integers(0, 9) | st.sampled_from([17, 33])
batches = st.sampled_from(
    [((), ()), ((2,), (2,)), ((2,), ()), ((), (3,)), ((2, 1), (3,)), ((1, 3), (2, 1)), ((0,), ())]
)


@DTYPES
@given(M=sizes, K=sizes, N=sizes, batch=batches, a_layout=layouts, b_layout=layouts)
@example(M=13, K=300, N=270, batch=((), ()), a_layout="C", b_layout="T")  # over a block each way
def test_matmul_equals_numpy(M, K, N, batch, a_layout, b_layout, dtype):
    rng = np.random.default_rng(M + 10 * K + 100 * N)
    a = _laid_out(rng.standard_normal(batch[0] + (M, K)).astype(dtype), a_layout)
    b = _laid_out(rng.standard_normal(batch[1] + (K, N)).astype(dtype), b_layout)
    c = tc.kernels.matmul.matmul(a, b)
    wanted = np.matmul(a.astype(float), b.astype(float))
    assert c.dtype == dtype and c.shape == wanted.shape
    tolerance = (2e-6 if dtype == np.float32 else 4e-15) * max(K, 1)
    np.testing.assert_allclose(c, wanted, atol=tolerance, rtol=0)


def test_matmul_takes_read_only_arrays():
    a = np.broadcast_to(np.arange(3.0), (2, 3))
    np.testing.assert_array_equal(tc.kernels.matmul.matmul(a, a.T), [[5, 5], [5, 5]])


@DTYPES
def test_matmul_passes_nan_and_infinity_to_their_row_only(dtype):
    a, b = np.ones((8, 5), dtype), np.ones((5, 9), dtype)
    a[3, 2], a[6, 0] = np.nan, np.inf
    c = tc.kernels.matmul.matmul(a, b)
    assert np.isnan(c[3]).all() and np.isinf(c[6]).all()
    assert (np.delete(c, [3, 6], 0) == 5).all()


@DTYPES
def test_batch_norm_keeps_its_digits_far_from_zero(dtype, rng):
    x = (rng.standard_normal((6, 3, 5, 4)) + 1000).astype(dtype)
    w, b = np.array([1, -2, 0.5], dtype), np.array([0, 3, 1], dtype)
    y, mean, var, invstd = tc.kernels.batchnorm.forward(x, w, b, 1e-5)
    tolerance = 2e-4 if dtype == np.float32 else 1e-11
    np.testing.assert_allclose(y, naive.batch_norm(x, w, b, 1e-5), atol=tolerance)
    np.testing.assert_allclose(mean, x.astype(float).mean((0, 2, 3)), rtol=1e-6)
    np.testing.assert_allclose(var, x.astype(float).var((0, 2, 3)), rtol=1e-4)
    np.testing.assert_allclose(invstd, 1 / np.sqrt(var + 1e-5), rtol=1e-6)


def test_batch_norm_of_a_constant_is_its_bias():
    x = np.full((3, 2, 4, 5), 7.25)
    y, *_ = tc.kernels.batchnorm.forward(x, np.ones(2), np.array([1.0, -2.0]), 1e-5)
    assert (y[:, 0] == 1).all() and (y[:, 1] == -2).all()


@DTYPES
def test_relu_keeps_nan_and_is_zero_at_zero(dtype):
    x = np.array([-np.inf, -1, -0.0, 0.0, 2, np.inf, np.nan], dtype)
    y = tc.kernels.activation.relu(x)
    assert y.dtype == dtype
    np.testing.assert_array_equal(y, np.array([0, 0, 0, 0, 2, np.inf, np.nan], dtype))
    g = tc.kernels.activation.relu_gradient(np.full(7, 5, dtype), y)
    assert g.tolist() == [0, 0, 0, 0, 5, 5, 5]


def test_relu_takes_any_layout(rng):
    x = rng.standard_normal((4, 5, 6)).transpose(2, 0, 1)[::-1]
    np.testing.assert_array_equal(tc.kernels.activation.relu(x), np.maximum(x, 0))
    assert tc.kernels.activation.relu(np.float64(-2.0) * np.ones(())).shape == ()
    assert tc.kernels.activation.relu(np.ones((0, 3))).shape == (0, 3)


@DTYPES
def test_erf_equals_the_c_library(dtype):
    x = np.linspace(-7, 7, 301).astype(dtype)
    wanted = [math.erf(v) for v in x.astype(float)]
    tolerance = 3e-7 if dtype == np.float32 else 1e-15
    np.testing.assert_allclose(tc.kernels.activation.erf(x), wanted, atol=tolerance)


def test_erf_at_its_ends():
    y = tc.kernels.activation.erf(np.array([np.inf, -np.inf, np.nan, 0.0]))
    np.testing.assert_array_equal(y, [1, -1, np.nan, 0])


@DTYPES
def test_results_are_bit_equal_for_any_number_of_threads(dtype, threads, rng):
    a, b = (rng.standard_normal((210, 190)).astype(dtype) for _ in "ab")
    x = rng.standard_normal((9, 20, 33, 31)).astype(dtype)
    w = rng.standard_normal(20).astype(dtype)
    results = []
    for number in (1, 2, 3, 4):
        threads(number)
        y, mean, _, invstd = tc.kernels.batchnorm.forward(x, w, w, 1e-5)
        gradients = tc.kernels.batchnorm.backward(y, x, w, mean, invstd)
        product = tc.kernels.matmul.matmul(a, b.T)
        results.append([product, y, mean, invstd, *gradients, tc.kernels.activation.relu(x)])
    for other in results[1:]:
        assert all(p.tobytes() == q.tobytes() for p, q in zip(results[0], other))
