"""Values put into places: which one stays, what it costs the gradient, and what is refused."""

import numpy as np
import pytest

import tinyconv as tc
import tinyconv.nn.functional as F
from tinyconv.testing import check

TWICE = tc.tensor([1, 0, 1])


@pytest.mark.parametrize("put", [
    lambda x, v: x.scatter(0, TWICE, v),
    lambda x, v: x.index_copy(0, TWICE, v),
    lambda x, v: x.index_put((TWICE,), v),
    lambda x, v: x.put(TWICE, v),
])  # fmt: skip
def test_of_several_in_one_place_the_last_stays_and_has_the_gradient(put):
    x, v = tc.zeros(3, requires_grad=True), tc.tensor([5.0, 6.0, 7.0], requires_grad=True)
    y = put(x, v)
    assert y.tolist() == [6, 7, 0]
    (y * tc.tensor([1.0, 2.0, 3.0])).sum().backward()
    assert x.grad.tolist() == [0, 0, 3] and v.grad.tolist() == [0, 1, 2]
    assert check(lambda x, v: put(x, v) ** 2, [np.ones(3), np.arange(3.0)]).passed


def test_reductions_of_what_meets():
    x, index, v = tc.tensor([1.0, 2.0, 3.0]), TWICE, tc.tensor([4.0, 5.0, 6.0])
    cases = {
        ("sum", True): [6, 12, 3], ("sum", False): [5, 10, 3], ("mean", True): [3, 4, 3],
        ("mean", False): [5, 5, 3], ("prod", True): [5, 48, 3], ("prod", False): [5, 24, 3],
        ("amax", True): [5, 6, 3], ("amin", True): [1, 2, 3], ("amin", False): [5, 4, 3],
    }  # fmt: skip
    for (reduce, include_self), wanted in cases.items():
        y = x.scatter_reduce(0, index, v, reduce, include_self=include_self)
        assert y.tolist() == wanted, (reduce, include_self)
        z = x.long().scatter_reduce(0, index, v.long(), reduce, include_self=include_self)
        assert z.tolist() == wanted and z.dtype == np.int64


def test_ties_of_the_largest_share_the_gradient():
    x, v = tc.tensor([2.0], requires_grad=True), tc.tensor([2.0, 2.0, 1.0], requires_grad=True)
    x.scatter_reduce(0, tc.tensor([0, 0, 0]), v, "amax").backward()
    third = 1 / 3
    np.testing.assert_allclose([*x.grad.tolist(), *v.grad.tolist()], [third, third, third, 0])


def test_a_product_through_zeros():
    x, v = tc.ones(1, requires_grad=True), tc.tensor([0.0, 3.0], requires_grad=True)
    x.scatter_reduce(0, tc.tensor([0, 0]), v, "prod").backward()
    assert x.grad.tolist() == [0] and v.grad.tolist() == [3, 0]


def test_what_is_written_over_leaves_nothing_behind():
    nan = tc.full((3,), float("nan"), requires_grad=True)
    for y in (
        nan.masked_fill(tc.tensor([True] * 3), 1.0), nan.index_fill(0, tc.arange(3), 1.0),
        nan.scatter(0, tc.arange(3), 1.0),
    ):  # fmt: skip
        (g,) = tc.autograd.grad(y.sum(), nan)
        assert y.tolist() == [1, 1, 1] and g.tolist() == [0, 0, 0]


def test_numbers_empty_indices_and_broadcasts():
    number = tc.tensor(3.0)
    assert number.scatter(0, tc.tensor(0), tc.tensor(5.0)).tolist() == 5
    assert number.index_add(0, tc.tensor([0]), tc.tensor([1.0])).tolist() == 4
    assert number.index_fill(0, tc.tensor([0]), 2).tolist() == 2
    x = tc.zeros(2, 3)
    none = tc.zeros(0, dtype=tc.int64)
    assert tc.equal(x.scatter(0, none, x), x) and tc.equal(x.index_add(1, none, x[:, :0]), x)
    assert x.masked_fill(tc.tensor(True), 1).tolist() == [[1] * 3] * 2
    assert tc.zeros(3).masked_fill(tc.eye(2, 3).bool(), 1).tolist() == tc.eye(2, 3).tolist()
    assert tc.zeros(2, dtype=tc.int64).masked_fill(tc.tensor([True, False]), 2.7).tolist() == [2, 0]
    assert tc.tensor(1.5).double().masked_fill(tc.tensor(True), 0.1).item() == 0.1
    assert x.diagonal_scatter(tc.zeros(0), 5).shape == (2, 3)


def test_one_hot_and_counts():
    assert tc.bincount(tc.zeros(0, dtype=tc.int64), minlength=2).tolist() == [0, 0]
    assert tc.bincount(tc.tensor([1, 1]), weights=tc.tensor([0.5, 1])).dtype == np.float32
    assert tc.bincount(tc.tensor([1]), weights=tc.tensor([2])).dtype == np.float64
    assert F.one_hot(tc.tensor(1), 3).tolist() == [0, 1, 0]
    assert F.one_hot(tc.zeros(0, dtype=tc.int64), 3).shape == (0, 3)


X, INDEX = tc.ones(2, 3), tc.zeros(2, 3, dtype=tc.int64)


@pytest.mark.parametrize(
    "call, error, words",
    [
        (lambda: X.scatter(0, INDEX[0], X), RuntimeError, r"scatter: index \[3\] must have the 2"),
        (lambda: X.scatter(0, INDEX, X[:1]), RuntimeError, "must have the dimensions of src"),
        (
            lambda: X.scatter(0, INDEX, X.double()),
            RuntimeError,
            "src is float64, the input",
        ),
        (lambda: X.scatter(0, INDEX + 2, X), IndexError, "indices run from 2 to 2, allowed are 0"),
        (lambda: X.scatter(0, INDEX, X, reduce="max"), ValueError, "reduce='max'"),
        (lambda: X.scatter_reduce(0, INDEX, X, "max"), ValueError, "'amax' or 'amin'"),
        (lambda: X.scatter_add(0, INDEX.float(), X), TypeError, "scatter_add: wants integer"),
        (lambda: X.index_add(1, INDEX[0], X[:1]), RuntimeError, r"index_add: source of shape \[1"),
        (lambda: X.index_copy(0, INDEX, X), IndexError, "index_copy: index must be a vector"),
        (lambda: X.index_fill(0, INDEX[0], X), RuntimeError, "must be a number or 0-d, got shape"),
        (lambda: X.index_put((INDEX[0],), X), RuntimeError, r"index_put: values of shape \[2, 3\]"),
        (lambda: X.put(INDEX, X[0]), RuntimeError, "put: source .* same number of elements"),
        (lambda: X.masked_fill(X, 1), TypeError, "mask must be a bool tensor, got float32"),
        (lambda: X.masked_fill(X > 0, X), RuntimeError, "masked_fill: value must be a number"),
        (lambda: X.masked_scatter(X > 0, X[0]), RuntimeError, "fewer elements than the mask"),
        (lambda: X.select_scatter(X, 0, 0), RuntimeError, r"select_scatter: src of shape \[2, 3\]"),
        (lambda: X.slice_scatter(X, 0, 1), RuntimeError, r"src of shape \[2, 3\] must be \[1, 3\]"),
        (lambda: X.diagonal_scatter(X), RuntimeError, r"diagonal_scatter: src .* must be \[2\]"),
        (lambda: tc.bincount(tc.tensor([-1])), RuntimeError, "bincount: wants a vector of whole"),
        (lambda: F.one_hot(tc.zeros(0, dtype=tc.int64)), RuntimeError, "one_hot: num_classes=-1"),
    ],
)
def test_errors(call, error, words):
    with pytest.raises(error, match=words):
        call()
