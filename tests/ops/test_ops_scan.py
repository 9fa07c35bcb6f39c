"""Running sums, products and extremes: zeros, NaN, infinities, accuracy, refusals."""

import math

import numpy as np
import pytest

import tinyconv as tc

nan, inf = math.nan, math.inf


def gradients(function, values):
    """The gradient of the sum of ``function``, and the gradient of its sum."""
    x = tc.tensor(values, dtype=tc.float64, requires_grad=True)
    y = function(x)
    (first,) = tc.autograd.grad(y.sum(), x, create_graph=True)
    return first.tolist(), tc.autograd.grad(first.sum(), x)[0].tolist()


def test_products_with_zeros_have_the_right_derivatives():
    assert gradients(tc.prod, [0.0, 2.0, 3.0]) == ([6, 0, 0], [5, 3, 2])
    assert gradients(tc.prod, [0.0, 0.0, 3.0]) == ([0, 0, 0], [3, 3, 0])
    first, second = gradients(lambda x: tc.cumprod(x, 0), [2.0, 0.0, 3.0, 0.0, 5.0])
    assert first == [1, 8, 0, 0, 0] and second == [4, 42, 2, 36, 0]


def test_a_product_that_overflows_has_a_finite_gradient():
    x = tc.tensor([1e200, 1e200, 1e-300], dtype=tc.float64, requires_grad=True)
    np.testing.assert_allclose(
        tc.autograd.grad(tc.prod(x), x)[0].numpy()[:2], [1e-100, 1e-100], rtol=1e-12
    )


def test_products_of_integers_bools_and_nothing():
    assert tc.prod(tc.tensor([2, 3], dtype=tc.int32)).dtype == np.int64
    assert tc.prod(tc.tensor([[True, False], [True, True]]), 1).tolist() == [0, 1]
    assert tc.zeros(2, 0).prod(1).tolist() == [1, 1] and tc.zeros(0).prod().item() == 1
    assert tc.tensor(3.0).prod(0).item() == 3.0
    assert tc.ones(2, 3).prod(0, keepdim=True).shape == (1, 3)


def test_float32_running_sums_keep_their_digits():
    x = np.full(200_000, 0.1, np.float32)
    total = tc.from_numpy(x).cumsum(0).numpy()[-1]
    np.testing.assert_allclose(total, x.astype(float).sum(), rtol=1e-6)
    assert tc.cumsum(tc.ones(3, dtype=tc.bool), 0).tolist() == [1, 2, 3]


def test_logcumsumexp_neither_overflows_nor_loses_small_terms():
    x = tc.tensor([-inf, 1e4, 1e4, -1e4, inf], dtype=tc.float64)
    y = tc.logcumsumexp(x, 0).numpy()
    np.testing.assert_allclose(y, [-inf, 1e4, 1e4 + math.log(2), 1e4 + math.log(2), inf])
    x = tc.tensor([1e4, 0.0, -1e4], dtype=tc.float64, requires_grad=True)
    assert tc.autograd.grad(tc.logcumsumexp(x, 0).sum(), x)[0].tolist() == [3.0, 0.0, 0.0]


def test_running_extremes_take_the_last_of_equal_ones_and_keep_nan():
    values, indices = tc.cummax(tc.tensor([1.0, 3.0, 3.0, nan, 5.0]), 0)
    np.testing.assert_array_equal(values.numpy(), [1, 3, 3, nan, nan])
    assert indices.tolist() == [0, 1, 2, 3, 3]
    assert tc.tensor([[2, 2, 1]]).cummin(1).indices.tolist() == [[0, 1, 2]]
    assert tc.zeros(2, 0).cummax(1).values.shape == (2, 0)


def test_odd_layouts():
    x = np.arange(24.0).reshape(2, 3, 4)[::-1, :, ::2] % 5
    for name in ("cumsum", "cumprod"):
        for dim in range(3):
            found = getattr(tc, name)(tc.from_numpy(x), dim).numpy()
            np.testing.assert_allclose(found, getattr(np, name)(x, dim))


def test_diff():
    x = tc.tensor([[1, 4, 9], [0, 0, 2]])
    assert x.diff().tolist() == [[3, 5], [0, 2]]
    assert tc.diff(x, 2).tolist() == [[2], [2]] and tc.diff(x, 5).shape == (2, 0)
    assert tc.diff(x, dim=0, prepend=x[:1]).tolist() == [[0, 0, 0], [-1, -4, -7]]
    assert tc.diff(x > 1).tolist() == [[True, False], [False, True]]
    assert tc.diff(x, 0).tolist() == x.tolist()


@pytest.mark.parametrize(
    "call, error, words",
    [
        (lambda x: tc.diff(tc.tensor(1.0)), RuntimeError, "diff: wants at least one dimension"),
        (lambda x: tc.diff(x, -1), RuntimeError, "diff: n=-1 must not be negative"),
        (lambda x: tc.diff(x, prepend=tc.ones(3, 1)), RuntimeError, r"\(\[3, 1\]\).*\[2, 3\]"),
        (lambda x: x.cumsum(2), IndexError, "cumsum: dim=2 is out of range"),
        (lambda x: x.long().logcumsumexp(0), TypeError, "logcumsumexp: wants a float32"),
    ],
)
def test_refusals(call, error, words):
    with pytest.raises(error, match=words):
        call(tc.ones(2, 3))


def test_a_long_logcumsumexp_keeps_its_digits():
    y = tc.logcumsumexp(tc.ones(300_000), 0)
    np.testing.assert_allclose(y[-1].item(), 1 + math.log(300_000), rtol=1e-6)
