"""Sums, means and extremes over every choice of axes."""

import numpy as np
import pytest
from arrays import laid_out, layouts, seeds, shapes, spread, uniform
from hypothesis import given
from hypothesis import strategies as st

import tinyconv as tc

inf = float("inf")


def _norm(p):
    if p == inf:
        return lambda x, axis, keepdims: np.abs(x).max(axis, keepdims=keepdims)
    return lambda x, axis, keepdims: (np.abs(x) ** p).sum(axis, keepdims=keepdims) ** (1 / p)


def _logsumexp(x, axis, keepdims):
    return np.log(np.exp(x).sum(axis, keepdims=keepdims))


# name: (function(x, dim, keepdim), oracle(x, axis, keepdims), away from ties and zeros?)
OPS = {
    "sum": (tc.sum, np.sum, False),
    "mean": (tc.mean, np.mean, False),
    "amax": (tc.amax, np.max, True),
    "amin": (tc.amin, np.min, True),
    "norm 1": (lambda x, d, k: tc.norm(x, 1, d, k), _norm(1), True),
    "norm 2": (lambda x, d, k: tc.norm(x, 2, d, k), _norm(2), True),
    "norm 3": (lambda x, d, k: tc.norm(x, 3, d, k), _norm(3), True),
    "norm inf": (lambda x, d, k: tc.norm(x, inf, d, k), _norm(inf), True),
    "logsumexp": (tc.logsumexp, _logsumexp, False),
    "var": (
        lambda x, d, k: tc.var(x, d, correction=0, keepdim=k),
        lambda x, axis, keepdims: np.var(x, axis, keepdims=keepdims),
        False,
    ),
}
each = pytest.mark.parametrize("name", OPS)


@st.composite
def reductions(draw, smallest=1):
    """(shape, dim as given, keepdim): no dim, one, or several, some counted from the end."""
    shape = draw(shapes(1, 4, smallest))
    dims = draw(st.lists(st.integers(0, len(shape) - 1), max_size=3, unique=True))
    dims = [d - len(shape) if draw(st.booleans()) else d for d in dims]
    keepdim = draw(st.booleans())
    return shape, (tuple(dims) if len(dims) != 1 else dims[0]) if dims else None, keepdim


def _values(name, shape, seed):
    if name.startswith("norm"):  # magnitudes apart too
        values = spread(shape, seed)
        return np.where(values < 0, values - 0.5, values + 0.375)
    return spread(shape, seed) if OPS[name][2] else uniform(shape, seed=seed)


@each
@given(case=reductions(), layout=layouts, seed=seeds)
def test_values(name, case, layout, seed):
    shape, dim, keepdim = case
    function, oracle, _ = OPS[name]
    x = laid_out(_values(name, shape, seed), layout)
    y = function(tc.from_numpy(x), dim, keepdim)
    wanted = oracle(x, axis=dim, keepdims=keepdim)
    assert y.shape == wanted.shape and y.dtype == np.float64
    np.testing.assert_allclose(y.numpy(), wanted, rtol=1e-12, atol=1e-14)
    assert function(tc.from_numpy(x.astype(np.float32)), dim, keepdim).dtype == np.float32


@pytest.mark.parametrize("unbiased", [True, False])
@given(case=reductions(smallest=2), seed=seeds)
def test_variance_and_deviation(unbiased, case, seed):
    shape, dim, keepdim = case
    x, ddof = uniform(shape, seed=seed), int(unbiased)
    for function, oracle in [(tc.var, np.var), (tc.std, np.std)]:
        y = function(tc.from_numpy(x), dim, unbiased, keepdim)
        np.testing.assert_allclose(y.numpy(), oracle(x, axis=dim, ddof=ddof, keepdims=keepdim))


@pytest.mark.parametrize("function, oracle, place", [
    (tc.max, np.max, np.argmax), (tc.min, np.min, np.argmin),
])  # fmt: skip
@given(shape=shapes(1, 3, 1), data=st.data(), seed=seeds)
def test_max_and_min_along_a_dim(function, oracle, place, shape, data, seed):
    dim = data.draw(st.integers(-len(shape), len(shape) - 1))
    x = spread(shape, seed)
    values, indices = function(tc.from_numpy(x), dim)
    np.testing.assert_array_equal(values.numpy(), oracle(x, dim))
    np.testing.assert_array_equal(indices.numpy(), place(x, dim))
    assert indices.dtype == np.int64 and not indices.requires_grad
    kept = function(tc.from_numpy(x), dim, keepdim=True)
    assert kept.values.shape == kept.indices.shape == oracle(x, dim, keepdims=True).shape


def test_max_of_one_number():
    values, index = tc.max(tc.tensor(5.0), 0)
    assert values.item() == 5.0 and index.item() == 0


def test_argmax_any_and_all():
    x = np.array([[1, 5, 5], [7, 2, 0]])
    t = tc.from_numpy(x)
    assert t.argmax().item() == 3 and t.argmax(1).tolist() == [1, 0]
    assert t.argmin(1, keepdim=True).tolist() == [[0], [2]]
    assert t.any(0).tolist() == [True] * 3 and t.all(0).tolist() == [True, True, False]
    assert not t.all() and t.any()


def test_integers_and_bools_sum_to_int64():
    for dtype in (tc.uint8, tc.int32, tc.bool):
        y = tc.ones(300, dtype=dtype).sum()
        assert y.item() == 300 and y.dtype == np.int64
    assert tc.ones(2, dtype=tc.int32).sum(dtype=tc.float64).dtype == np.float64
    assert tc.tensor([1, 2]).mean(dtype=tc.float32).item() == 1.5
    assert tc.tensor([3, 1]).max().item() == 3 and tc.tensor([3, 1]).amin(0).dtype == np.int64


def test_float32_sums_keep_their_digits():
    x = np.full((1000, 1000), 0.1, np.float32)
    np.testing.assert_allclose(tc.from_numpy(x).sum().item(), x.astype(float).sum(), rtol=1e-6)
    total = tc.from_numpy(x.reshape(10, 100, 1000)).sum((0, 2))
    np.testing.assert_allclose(total.numpy(), x.astype(float).sum() / 100, rtol=1e-6)


def test_logsumexp_does_not_overflow():
    x = tc.tensor([[1e4, 1e4], [-1e4, -inf], [-inf, -inf], [inf, 0.0]], dtype=tc.float64)
    y = tc.logsumexp(x, 1)
    np.testing.assert_allclose(y.numpy(), [1e4 + np.log(2), -1e4, -inf, inf])


def test_empty_reductions():
    x = tc.zeros(3, 0)
    assert x.sum(1).tolist() == [0, 0, 0] and x.sum().item() == 0
    assert np.isnan(x.mean().item())
    for function in (tc.amax, tc.amin, tc.max, tc.min):
        with pytest.raises(IndexError, match=r"\[3, 0\] is empty"):
            function(x, 1)
    assert x.amax(0).shape == (0,)


def test_one_number_may_be_reduced_along_dim_0():
    x = tc.tensor(2.0)
    for function in (tc.sum, tc.mean, tc.amax, tc.logsumexp):
        assert function(x, 0).item() == function(x, -1).item() == 2.0
        assert function(x, 0, True).shape == ()


def test_norms_by_name_and_of_order_zero():
    x = tc.tensor([[3.0, 0.0], [0.0, 4.0]])
    assert tc.norm(x, "fro").item() == x.norm().item() == 5.0
    assert tc.norm(x, 0).item() == 2.0 and tc.norm(x, -inf, 1).tolist() == [0.0, 0.0]


def test_axes_that_are_not_there_are_refused_by_name():
    x = tc.ones(2, 3)
    with pytest.raises(IndexError, match=r"sum: dim=2 is out of range for 2 dimensions \(-2 to 1"):
        x.sum(2)
    with pytest.raises(ValueError, match="mean: dim=.*names an axis twice"):
        x.mean((1, -1))
    with pytest.raises(TypeError, match="sum: dim=1.5 is not a whole number"):
        x.sum(1.5)
    with pytest.raises(TypeError, match="mean: wants a float32 or float64"):
        tc.tensor([1, 2]).mean()


def test_roots_of_squares_that_float32_does_not_hold():
    large, small = tc.tensor([1e38, -1e38, 1e38, -1e38]), tc.full((2, 4), 1e-30)
    np.testing.assert_allclose(large.std().item(), 2e38 / 3**0.5, rtol=1e-6)
    np.testing.assert_allclose(small.norm(dim=1).numpy(), 2e-30, rtol=1e-6)
    assert tc.tensor([tc.inf, 1.0]).norm().item() == tc.inf and tc.zeros(3).norm().item() == 0
