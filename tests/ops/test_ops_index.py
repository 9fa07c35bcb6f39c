"""x[...] in all its forms, read, written and differentiated; ops that take elements."""

import numpy as np
import pytest

import tinyconv as tc
from tinyconv.testing import check

T, ALL = tc.tensor, slice(None)
MASK = tc.tensor([[True, False, True], [False, False, True]])
#: index: PyTorch's shape of x[index] for x of shape (2, 3, 4)
FORMS = {
    "a number": (1, (3, 4)),
    "NumPy's number": (np.int64(-1), (3, 4)),
    "a 0-d tensor": (T(1), (3, 4)),
    "numbers": ((1, -1, 2), ()),
    "a slice": (slice(1, None), (1, 3, 4)),
    "a slice beyond the end": ((ALL, slice(2, 9)), (2, 1, 4)),
    "a step": ((ALL, ALL, slice(1, None, 2)), (2, 3, 2)),
    "steps backwards": ((slice(None, None, -1), ALL, slice(None, None, -2)), (2, 3, 2)),
    "a slice between tensors": (slice(T(0), T(1)), (1, 3, 4)),
    "an empty slice": ((ALL, slice(2, 1)), (2, 0, 4)),
    "None": (None, (1, 2, 3, 4)),
    "Nones": ((None, ..., None), (1, 2, 3, 4, 1)),
    "...": ((..., 1), (2, 3)),
    "nothing": ((), (2, 3, 4)),
    "a list": ([1, 0, 1], (3, 3, 4)),
    "a negative list": ([-1, -2], (2, 3, 4)),
    "a range": (range(2), (2, 3, 4)),
    "a nested list": ([[0, 1], [1, 1]], (2, 2, 3, 4)),
    "a list of tensors": ([T(1), T(0)], (2, 3, 4)),
    "an empty list": ([], (0, 3, 4)),
    "an array": (np.array([[0, 1, 1]]), (1, 3, 3, 4)),
    "an int32 tensor": (T([1, 0, 0], dtype=tc.int32), (3, 3, 4)),
    "tuples": (((0, 1), (1, 2)), (2, 4)),
    "two lists": (([0, 1], ALL, [2, 3]), (2, 3)),
    "lists that broadcast": (([[0], [1]], [0, 2, 1]), (2, 3, 4)),
    "a list, None, a list": (([0, 1], None, [0, 1]), (2, 1, 4)),
    # to NumPy a number next to a list is a list too; to PyTorch it is not
    "a number, :, a list": ((0, ALL, [0, 1]), (3, 2)),
    "a 0-d tensor, :, a list": ((T(0), ALL, [0, 1]), (3, 2)),
    "a list, :, a number": (([0, 1], ALL, 0), (2, 3)),
    ":, a list, :, a number": ((ALL, [0, 1, 1], None, 0), (2, 3, 1)),
    "a number, ..., a list": ((1, ..., [0, 1, 1]), (3, 3)),
    "None, a list, a number": ((None, [0, 1], 0), (1, 2, 4)),
    "a number, :, True": ((0, ALL, True), (3, 1, 4)),
    "True": (True, (1, 2, 3, 4)),
    "False": (False, (0, 2, 3, 4)),
    "a 0-d bool": (T(True), (1, 2, 3, 4)),
    "True and a list": ((True, [0, 1]), (2, 3, 4)),
    "a list of bools": ([True, False], (1, 3, 4)),
    "a mask of all axes": (T(np.arange(24).reshape(2, 3, 4) % 5 == 0), (5,)),
    "a mask of two axes": (MASK, (3, 4)),
    "a mask and a number": ((MASK, 1), (3,)),
    "a number and a mask": ((0, MASK[0]), (2, 4)),
    "a number, a mask, a list": ((0, MASK[0], [1, 2]), (2,)),
    "a mask, :, a list": ((MASK[:, 0], ALL, [0, 3]), (2, 3)),
    "a mask of nothing": (T([False, False]), (0, 3, 4)),
    "bytes are a mask": (T([1, 0], dtype=tc.uint8), (1, 3, 4)),
}
each = pytest.mark.parametrize("form", FORMS)


@each
def test_shape_and_places(form):
    """What is read is what is written: the same places in the same order."""
    index, shape = FORMS[form]
    x = tc.arange(24).reshape(2, 3, 4)
    y = x[index]
    assert y.shape == shape
    written = x.clone()
    written[index] = -1 - y
    places = y.array.reshape(-1)
    wanted = np.arange(24)
    wanted[places] = -1 - places
    np.testing.assert_array_equal(written.array.reshape(-1), wanted)
    # a number spreads over all places
    written[index] = 50
    wanted[places] = 50
    np.testing.assert_array_equal(written.array.reshape(-1), wanted)


@each
def test_derivative(form):
    index, _ = FORMS[form]
    x = tc.arange(24.0, dtype=tc.float64).reshape(2, 3, 4).requires_grad_()
    y = x[index]
    (g,) = tc.autograd.grad(y, x, tc.ones_like(y))
    counts = np.bincount(tc.arange(24).reshape(2, 3, 4)[index].array.reshape(-1), minlength=24)
    np.testing.assert_array_equal(g.array.reshape(-1), counts)


@each
def test_a_recorded_write_is_differentiated(form):
    """Both what is written over and what is written get their gradients, to second order."""
    index, shape = FORMS[form]

    def put(x, v):
        y = x * 1
        y[index] = v * v
        return y * y

    # a row that spreads over the others, or a number
    value = np.arange(shape[-1]) - 0.5 if len(shape) > 1 and 0 not in shape else np.ones(())
    report = check(put, [np.arange(24.0).reshape(2, 3, 4) / 7, value])
    assert report.passed, report


def test_numbers_0d():
    x = tc.tensor(3.0)
    assert x[...].shape == x[()].shape == () and x[None].shape == x[True].shape == (1,)
    with pytest.raises(IndexError, match=r"index into shape \[\]"):
        x[0]


@pytest.mark.parametrize(
    "index, error, words",
    [
        (5, IndexError, r"index into shape \[2, 3, 4\]: index 5 is out of bounds"),
        ((0, 0, 0, 0), IndexError, "too many indices"),
        ([5], IndexError, "out of bounds"),
        ([0, -3], IndexError, "out of bounds"),
        (tc.ones(3, 3).bool(), IndexError, "boolean index did not match"),
        (1.0, IndexError, r"index into shape \[2, 3, 4\]: 1.0 is neither integer, slice"),
        ("a", IndexError, "'a' is neither"),
        (tc.ones(2), IndexError, "must be int or bool, not float32"),
        ([0.5], IndexError, "must be int or bool, not float64"),
        ([slice(0, 1), 0], IndexError, "slices and None belong into a tuple"),
        ([[0], [0, 1]], IndexError, "is no list of numbers"),
        (([0, 1], [0, 1, 2]), IndexError, "broadcast"),
        (slice(None, None, 0), ValueError, "step cannot be zero"),
        (slice(1.5, None), TypeError, "slice indices must be integers"),
    ],
)
def test_what_is_no_index(index, error, words):
    with pytest.raises(error, match=words):
        tc.ones(2, 3, 4)[index]


def test_the_index_may_change_after_the_forward_pass():
    for index in (tc.tensor([0, 1]), np.array([0, 1])):
        x = tc.ones(3, requires_grad=True)
        y = x[index]
        index[0] = 2
        y.sum().backward()
        assert x.grad.tolist() == [1, 1, 0]


def test_gather_takes_numbers_empty_and_small_indices():
    x, number = tc.arange(6.0).reshape(2, 3), tc.tensor(4.0)
    assert number.gather(0, tc.tensor(0)).tolist() == 4
    assert x.gather(1, x[:0].long()).shape == (0, 3)
    assert x.gather(0, tc.tensor([], dtype=tc.int64)).shape == (0,)
    assert x.gather(1, tc.tensor([[2]], dtype=tc.int32)).tolist() == [[2]]
    assert x.take_along_dim(tc.tensor([[-1]]), 1).tolist() == [[2], [5]]
    assert x.take(tc.tensor([[-1, 0]])).tolist() == [[5, 0]]
    assert number.index_select(0, tc.tensor([0])).shape == ()
    assert x.index_select(1, tc.tensor(1)).shape == (2, 1)


def test_places_of_what_is_not_zero():
    x = tc.tensor([[0.0, float("nan")], [-1.0, 0.0]])
    assert x.nonzero().tolist() == tc.argwhere(x).tolist() == [[0, 1], [1, 0]]
    assert [p.tolist() for p in x.nonzero(as_tuple=True)] == [[0, 1], [1, 0]]
    assert tc.tensor(2).nonzero().shape == (1, 0) and tc.tensor(0).nonzero().shape == (0, 0)
    assert [p.tolist() for p in tc.tensor(2).nonzero(as_tuple=True)] == [[0]]
    assert tc.zeros(0, 3).nonzero().shape == (0, 2)


@pytest.mark.parametrize(
    "call, error, words",
    [
        (lambda x: x.select(1, 3), IndexError, r"select: index 3 is out of range for shape"),
        (lambda x: x.sum().select(0, 0), IndexError, "select: a 0-d tensor"),
        (lambda x: x.narrow(1, 4, 1), IndexError, "narrow: start=4 is out of range"),
        (lambda x: x.narrow(1, 2, 2), RuntimeError, "narrow: start 2 and length 2"),
        (lambda x: x.narrow(1, tc.tensor(0.0), 1), RuntimeError, "0-d integer tensor"),
        (lambda x: x.take(tc.tensor([24])), IndexError, "take: indices run from 24 to 24"),
        (lambda x: x.index_select(0, tc.tensor([[0]])), IndexError, "must be a vector"),
        (lambda x: x.index_select(0, tc.tensor([-1])), IndexError, "allowed are 0 to 1"),
        (lambda x: x.take_along_dim(tc.zeros(1, dtype=tc.int64), 0), RuntimeError, "same number"),
        (lambda x: x.gather(0, tc.zeros(1, 1, 1)), TypeError, "gather: wants integer indices"),
        (lambda x: x.masked_select(tc.ones(3, 4)), TypeError, "masked_select: mask must be a bool"),
        (lambda x: x.masked_select(tc.ones(5).bool()), RuntimeError, "cannot be broadcast"),
    ],
)
def test_errors(call, error, words):
    with pytest.raises(error, match=words):
        call(tc.ones(2, 3, 4))


def test_take_along_dim_of_numbers():
    x = tc.tensor(3.0)
    assert x.take_along_dim(tc.tensor(-1), 0).tolist() == 3
    with pytest.raises(IndexError, match="take_along_dim: indices run from 1 to 1"):
        x.take_along_dim(tc.tensor(1), 0)
