"""The matrix product with a bias, the products of a linear layer's gradient, sums of columns."""

import numpy as np
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

import tinyconv as tc
from tinyconv.kernels import parallel
from tinyconv.kernels.sums import copied_sums, sum_but

DTYPES = pytest.mark.parametrize("dtype", [np.float32, np.float64])
sizes = st.integers(1, 20) | st.sampled_from([31, 47, 49, 65, 100])


def _tolerance(dtype, depth):
    return (2e-6 if dtype == np.float32 else 4e-15) * max(depth, 1)


@DTYPES
@given(M=sizes, K=st.integers(0, 9) | sizes, N=sizes, across=st.tuples(*[st.booleans()] * 2))
@example(M=520, K=515, N=200, across=(False, True))  # over a block each way
@example(M=520, K=515, N=200, across=(True, False))
@example(M=1, K=515, N=200, across=(False, True))
@example(M=1, K=0, N=5, across=(False, True))
@example(M=1, K=37, N=6, across=(False, True))
def test_product_with_bias(M, K, N, across, dtype):
    rng = np.random.default_rng(M + 10 * K + 100 * N)
    a, b = (rng.standard_normal(s).astype(dtype) for s in [(M, K), (K, N)])
    bias = rng.standard_normal(N).astype(dtype)
    wanted = a.astype(float) @ b.astype(float) + bias
    a, b = (np.asfortranarray(m) if order else m for m, order in zip((a, b), across))
    y = tc.kernels.matmul.matmul(a, b, bias)
    np.testing.assert_allclose(y, wanted, atol=_tolerance(dtype, K), rtol=0)


@DTYPES
@given(M=sizes, K=sizes, N=sizes)
@example(M=300, K=270, N=130)  # more than one piece
def test_gradient_of_linear(M, K, N, dtype):
    rng = np.random.default_rng(M + 10 * K + 100 * N)
    gy, x, w = (rng.standard_normal(s).astype(dtype) for s in [(M, N), (M, K), (N, K)])
    wanted = [m.astype(float) for m in (gy, x, w)]
    wanted = [wanted[0] @ wanted[2], wanted[0].T @ wanted[1], wanted[0].sum(0)]
    for found in (
        tc.kernels.matmul.linear_gradient(gy, x, w),
        (wanted[0], *tc.kernels.matmul.linear_gradient(np.asfortranarray(gy), x, None)[1:]),
    ):
        for a, b, depth in zip(found, wanted, (N, M, M)):
            np.testing.assert_allclose(a, b, atol=_tolerance(dtype, depth), rtol=0)


def test_no_number_beyond_a_matrix_is_read_or_written():
    # a product of views, with NaN all around
    space = np.full((50, 70), np.nan)
    a, b, bias = space[:9, :13], space[20:33, :21], space[40, :21]
    a[...], b[...], bias[...] = 1, 2, 3
    y = tc.kernels.matmul.matmul(a, b, bias)
    assert (y == 29).all()
    assert np.isnan(space).sum() == space.size - a.size - b.size - bias.size


@DTYPES
def test_pieces_and_threads_change_no_bit(dtype, threads, rng, monkeypatch):
    gy, x, w = (rng.standard_normal(s).astype(dtype) for s in [(150, 120), (150, 90), (120, 90)])
    results = []
    for number, serial in [(1, 1 << 40), (1, 1 << 10), (2, 1 << 10), (3, 1 << 16)]:
        threads(number)
        monkeypatch.setattr(parallel, "_SERIAL", serial)
        tc.kernels.matmul._plan.cache_clear()
        gradients = tc.kernels.matmul.linear_gradient(gy, x, w)
        products = [tc.kernels.matmul.matmul(m, w.T, gy[0]) for m in (x, x[:1])]
        results.append([*products, *gradients])
    tc.kernels.matmul._plan.cache_clear()
    for other in results[1:]:
        assert all(p.tobytes() == q.tobytes() for p, q in zip(results[0], other))


@DTYPES
@given(shape=st.lists(st.integers(0, 9) | st.sampled_from([70, 130]), min_size=1, max_size=3))
@example(shape=[3, 2, 9001])
def test_sums_over_all_axes_but_one(shape, dtype):
    x = np.random.default_rng(0).standard_normal(shape).astype(dtype)
    for axis in range(len(shape)):
        others = tuple(d for d in range(len(shape)) if d != axis)
        wanted = x.astype(float).sum(others)
        np.testing.assert_allclose(
            sum_but(x, axis), wanted, atol=1e-4 if dtype == np.float32 else 1e-10
        )


@DTYPES
@given(N=st.integers(0, 70), Q=st.integers(1, 5), H=sizes, W=sizes, axis=st.sampled_from([1, 2]))
@example(N=3, Q=2, H=100, W=100, axis=1)
def test_a_slice_is_copied_and_summed_in_one_pass(N, Q, H, W, axis, dtype):
    whole = np.full([N, Q, H, W] + np.eye(4, dtype=int)[axis] * 5, np.nan, dtype)
    x = whole[:, 2 : Q + 2] if axis == 1 else whole[:, :, 2 : H + 2]
    x[...] = np.random.default_rng(N + 100 * H).standard_normal(x.shape)
    copy, sums = copied_sums(x)
    np.testing.assert_array_equal(copy, x)
    assert copy.flags.c_contiguous and sums.dtype == dtype
    wanted = x.sum((0, 2, 3), dtype=float)
    np.testing.assert_allclose(sums, wanted, atol=_tolerance(dtype, N * H * W), rtol=1e-6)
