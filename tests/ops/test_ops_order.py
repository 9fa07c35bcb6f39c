"""Sorting and what comes of it: ties, NaN, empty and 0-d inputs, refusals."""

import math

import numpy as np
import pytest

import tinyconv as tc

nan = math.nan


def test_sort_keeps_the_order_of_equal_ones_and_puts_nan_last():
    x = tc.tensor([2.0, nan, 1.0, 2.0, -math.inf, 1.0])
    values, indices = tc.sort(x)
    np.testing.assert_array_equal(values.numpy(), [-math.inf, 1, 1, 2, 2, nan])
    assert indices.tolist() == [4, 2, 5, 0, 3, 1]
    down = x.sort(descending=True)
    assert down.indices.tolist() == [1, 0, 3, 2, 5, 4]
    assert tc.argsort(x, stable=True).tolist() == indices.tolist()


def test_sort_and_friends_of_one_number_and_of_none():
    x = tc.tensor(3.0, requires_grad=True)
    for values, indices in (
        tc.sort(x), tc.topk(x, 1), tc.kthvalue(x, 1), tc.median(x, 0), tc.mode(x), tc.cummax(x, 0),
    ):  # fmt: skip
        assert values.shape == indices.shape == () and indices.item() == 0
        assert tc.autograd.grad(values, x)[0].item() == 1.0
    assert tc.sort(tc.zeros(3, 0)).values.shape == (3, 0)
    assert tc.topk(tc.zeros(0), 0).indices.shape == (0,)
    assert np.isnan(tc.zeros(0).median().item())


def test_median_of_all_shares_and_along_a_dim_picks():
    x = tc.tensor([2.0, 1.0, 2.0, 5.0], dtype=tc.float64, requires_grad=True)
    assert tc.autograd.grad(x.median(), x)[0].tolist() == [0.5, 0, 0.5, 0]
    values, indices = x.median(0)
    assert values.item() == 2.0 and indices.item() == 0
    assert tc.autograd.grad(values, x)[0].tolist() == [1, 0, 0, 0]


def test_medians_with_nan():
    x = tc.tensor([[2.0, nan, 1.0], [nan, nan, nan]])
    values, indices = x.median(1)
    assert np.isnan(values.numpy()).all() and indices.tolist() == [1, 0]
    assert np.isnan(x.median().item()) and x.nanmedian().item() == 1.0
    values, indices = x.nanmedian(1)
    assert values.numpy()[0] == 1.0 and np.isnan(values.numpy()[1]) and indices.tolist() == [2, 0]


def test_mode_is_the_smallest_of_the_most_frequent_at_its_last_place():
    values, indices = tc.mode(tc.tensor([[2, 1, 2, 1, 3], [7, 5, 6, 4, 8]]))
    assert values.tolist() == [1, 4] and indices.tolist() == [3, 3]


def test_quantiles():
    x = tc.tensor([[4.0, 1.0, 3.0], [nan, 0.0, 1.0]])
    np.testing.assert_array_equal(x.quantile(0.5, 1).numpy(), [3.0, nan])
    np.testing.assert_array_equal(x.nanquantile(0.5, 1, keepdim=True).numpy(), [[3.0], [0.5]])
    q = tc.tensor([0.0, 0.5, 1.0])
    assert tc.quantile(x[0], q, interpolation="lower").tolist() == [1.0, 3.0, 4.0]
    assert tc.nanquantile(x, q, dim=0).shape == (3, 3)
    assert np.isnan(tc.nanquantile(tc.tensor([nan, nan]), 0.3).item())


def test_unique_counts_each_nan_and_slices():
    assert len(tc.unique(tc.tensor([nan, 1.0, nan]))) == 3
    x = tc.tensor([[3, 1], [2, 2], [3, 1]])
    rows, inverse, counts = tc.unique(x, return_inverse=True, return_counts=True, dim=0)
    assert rows.tolist() == [[2, 2], [3, 1]]
    assert inverse.tolist() == [1, 0, 1] and counts.tolist() == [1, 2]
    assert x.unique_consecutive().tolist() == [3, 1, 2, 3, 1]
    assert tc.unique(tc.zeros(0, dtype=tc.int64)).shape == (0,)


def test_buckets_on_the_boundaries():
    edges, x = tc.tensor([1.0, 3.0, 5.0]), tc.tensor([[0.0, 1.0], [3.0, 9.0]])
    assert tc.bucketize(x, edges).tolist() == [[0, 0], [1, 3]]
    assert tc.bucketize(x, edges, right=True).tolist() == [[0, 1], [2, 3]]
    assert tc.searchsorted(edges, 4).item() == 2
    assert tc.searchsorted(edges, x, out_int32=True).dtype == np.int32
    unordered, sorter = tc.tensor([5.0, 1.0, 3.0]), tc.tensor([1, 2, 0])
    assert tc.searchsorted(unordered, x, sorter=sorter).tolist() == [[0, 0], [1, 3]]


@pytest.mark.parametrize(
    "call, error, words",
    [
        (
            lambda x: x.topk(4),
            RuntimeError,
            r"topk: k=4 of the 3 elements along dim -1 of \[2, 3\]",
        ),
        (lambda x: x.kthvalue(0), RuntimeError, "kthvalue: k=0 of the 3 elements"),
        (lambda x: x.sort(2), IndexError, "sort: dim=2 is out of range"),
        (lambda x: x.quantile(1.5), RuntimeError, "quantile: q=1.5 must lie between 0 and 1"),
        (lambda x: x.quantile(0.5, interpolation="cubic"), ValueError, "interpolation='cubic'"),
        (lambda x: x.quantile(tc.ones(1).double()), TypeError, "input is float32, q is float64"),
        (
            lambda x: tc.zeros(0, 3).mode(0),
            IndexError,
            r"mode: shape \[0, 3\] is empty along dim 0",
        ),
        (lambda x: tc.bucketize(x, x), RuntimeError, r"bucketize: boundaries \[2, 3\] must be a v"),
        (lambda x: tc.searchsorted(x, tc.ones(3, 2)), RuntimeError, "does not fit values of"),
        (lambda x: tc.searchsorted(x[0], 1, right=True, side="left"), RuntimeError, "side='left'"),
    ],
)
def test_refusals(call, error, words):
    with pytest.raises(error, match=words):
        call(tc.ones(2, 3))


def test_which_of_equal_ones_gets_the_gradient():
    x = tc.tensor([2.0, 3.0, 2.0, 3.0], dtype=tc.float64, requires_grad=True)
    for function, wanted in (
        (lambda x: x.sort().values[0], [1, 0, 0, 0]),
        (lambda x: x.topk(1).values, [0, 1, 0, 0]),
        (lambda x: x.kthvalue(2).values, [0, 0, 1, 0]),
        (lambda x: x.mode().values, [0, 0, 1, 0]),
        (lambda x: x.cummax(0).values[3], [0, 0, 0, 1]),
        (lambda x: x.nanmedian(), [0.5, 0, 0.5, 0]),
    ):
        y = function(x)
        assert tc.autograd.grad(y, x, tc.ones_like(y))[0].tolist() == wanted


@pytest.mark.parametrize(
    "values, wanted, place",
    [
        ([np.nan, 1, 2], 1, 1), ([np.nan, np.nan, 2], np.nan, 1), ([np.nan, 1, np.nan, 1], 1, 3),
        ([1, np.nan, np.nan, 2, np.nan], np.nan, 4), ([np.nan], np.nan, 0),
    ],
)  # fmt: skip
def test_all_nan_count_as_one_value_for_mode(values, wanted, place):
    found = tc.mode(tc.tensor(values))
    np.testing.assert_equal(found.values.item(), wanted)
    assert found.indices.item() == place


@pytest.mark.parametrize("largest", [True, False])
@pytest.mark.parametrize("dim", [0, 1])
def test_a_few_of_many_are_those_that_sorting_puts_first(largest, dim):
    values = np.random.default_rng(3).permutation(3 * 700).reshape(3, 700).astype(float)
    values[1, [5, 600]] = np.nan
    x = tc.from_numpy(values if dim else np.ascontiguousarray(values.T)).requires_grad_()
    found, places = x.topk(5, dim, largest)
    order = x.sort(dim, descending=largest).indices.narrow(dim, 0, 5)
    assert tc.equal(places, order)
    np.testing.assert_array_equal(found.detach().array, x.gather(dim, order).detach().array)
    found.sum().backward()
    assert x.grad.sum().item() == 15
