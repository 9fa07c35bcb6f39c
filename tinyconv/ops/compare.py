"""Comparison, logic and bits: functions that jump, and so have no gradient.

Primitives: a mask from two tensors, a mask from one. Composed: the rest.
"""

import numpy as np

from tinyconv.autograd import Function, Tensor
from tinyconv.ops.common import OPERANDS, as_tensor, check_tensors, given, operands, quiet


class Comparison(Function):
    """A mask, by a NumPy function of two arrays; an op so that traces see it."""

    def forward(ctx, a, b, ufunc):
        return ufunc(a.real, b.real)


class Predicate(Function):
    """A mask, by a NumPy function of one array."""

    @quiet
    def forward(ctx, x, ufunc):
        return np.asarray(ufunc(x.real))


def _comparison(name, ufunc, meaning, numbers=True):
    """An op from a ufunc; ``numbers`` tells whether ``other`` may be one."""

    def compare(input, other) -> Tensor:
        if not (isinstance(input, Tensor) and (numbers or isinstance(other, Tensor))):
            check_tensors(name, **{"input": input} if numbers else {"input": input, "other": other})
        return Comparison.apply(*operands(input, other, name), ufunc)

    return _named(compare, name, meaning)


def _bitwise(name, ufunc, meaning, bools=True):
    def bitwise(input, other) -> Tensor:
        a, b = operands(input, other, name)
        _check_bits(name, a.dtype, bools)
        return Comparison.apply(a, b, ufunc)

    return _named(bitwise, name, meaning)


def _predicate(name, ufunc, meaning):
    def predicate(input) -> Tensor:
        return Predicate.apply(as_tensor(input, name), ufunc)

    return _named(predicate, name, meaning)


def _named(function, name, meaning):
    function.__name__ = function.__qualname__ = name
    function.__doc__ = f"{meaning}; no gradient."
    return function


def _check_bits(name, dtype, bools=True):
    if dtype.kind not in "biu"[not bools :]:
        wanted = "bool or integer tensors" if bools else "integer tensors"
        raise TypeError(f"{name}: wants {wanted}, got {dtype}")


eq = _comparison("eq", np.equal, "Where input = other, as a bool tensor")
ne = not_equal = _comparison("ne", np.not_equal, "Where input and other differ")
lt = less = _comparison("lt", np.less, "Where input < other")
le = less_equal = _comparison("le", np.less_equal, "Where input <= other")
gt = greater = _comparison("gt", np.greater, "Where input > other")
ge = greater_equal = _comparison("ge", np.greater_equal, "Where input >= other")
logical_and = _comparison("logical_and", np.logical_and, "Where both are nonzero", False)
logical_or = _comparison("logical_or", np.logical_or, "Where at least one is nonzero", False)
logical_xor = _comparison("logical_xor", np.logical_xor, "Where exactly one is nonzero", False)

bitwise_and = _bitwise("bitwise_and", np.bitwise_and, "input & other, bit by bit")
bitwise_or = _bitwise("bitwise_or", np.bitwise_or, "input | other, bit by bit")
bitwise_xor = _bitwise("bitwise_xor", np.bitwise_xor, "input ^ other, bit by bit")
bitwise_left_shift = _bitwise(
    "bitwise_left_shift", np.left_shift, "input times 2 to the power other, in its bits", False
)
bitwise_right_shift = _bitwise(
    "bitwise_right_shift", np.right_shift, "floor(input / 2 to the power other)", False
)

logical_not = _predicate("logical_not", np.logical_not, "Where the values are 0, as a bool tensor")
isnan = _predicate("isnan", np.isnan, "Where the values are NaN")
isinf = _predicate("isinf", np.isinf, "Where the values are infinite")
isfinite = _predicate("isfinite", np.isfinite, "Where the values are neither NaN nor infinite")
isposinf = _predicate("isposinf", lambda x: x == np.inf, "Where the values are +infinity")
isneginf = _predicate("isneginf", lambda x: x == -np.inf, "Where the values are -infinity")
isreal = _predicate("isreal", lambda x: np.ones(x.shape, bool), "True everywhere")
signbit = _predicate(
    "signbit",
    lambda x: np.signbit(x) if x.dtype.kind == "f" else x < 0,
    "Where the sign is minus, that of -0 too",
)


def _operator(function):
    """``function`` as ``==`` or ``!=``: what is no tensor, array or number is not equal."""

    def operator(self, other):
        if not isinstance(other, OPERANDS):
            return NotImplemented
        return function(self, other)

    return operator


equals, differs = _operator(eq), _operator(ne)


def bitwise_not(input) -> Tensor:
    """Elementwise not: of bools logical, of integers bit by bit; no gradient."""
    x = as_tensor(input, "bitwise_not")
    _check_bits("bitwise_not", x.dtype)
    return Predicate.apply(x, np.invert)


def isclose(input, other, rtol=1e-05, atol=1e-08, equal_nan=False) -> Tensor:
    """Where |input - other| <= atol + rtol |other|, or both are the same infinity.

    Args:
        input, other: tensors of one dtype, broadcast.
        equal_nan: count NaN as close to NaN.

    Raises:
        TypeError: for two dtypes.
        ValueError: for negative tolerances, or shapes that do not fit.
    """
    a, b = _checked(input, other, rtol, atol, "isclose")
    return Comparison.apply(a, b, _closeness(rtol, atol, equal_nan))


def allclose(input, other, rtol=1e-05, atol=1e-08, equal_nan=False) -> bool:
    """Whether ``isclose`` holds everywhere.

    >>> import tinyconv as tc
    >>> tc.allclose(tc.tensor([1.0]), tc.tensor([1.0 + 1e-7]))
    True
    """
    a, b = _checked(input, other, rtol, atol, "allclose")
    return bool(_closeness(rtol, atol, equal_nan)(a.array.real, b.array.real).all())


def _checked(input, other, rtol, atol, op):
    check_tensors(op, input=input, other=other)
    a, b = as_tensor(input, op), as_tensor(other, op)
    if a.dtype != b.dtype and "c" not in (a.dtype.kind, b.dtype.kind):
        raise TypeError(
            f"{op}: input is {a.dtype}, other {b.dtype}; convert one of them with .to(dtype)"
        )
    if not (rtol >= 0 and atol >= 0):
        raise ValueError(f"{op}: rtol={rtol} and atol={atol} must be 0 or more")
    return operands(a, b, op)


def _closeness(rtol, atol, equal_nan):
    def closeness(a, b):
        return np.isclose(a, b, rtol, atol, equal_nan)

    return closeness


def equal(input, other) -> bool:
    """Whether shapes and all values are the same."""
    check_tensors("equal", input=input, other=other)
    a, b = as_tensor(input, "equal"), as_tensor(other, "equal")
    return bool(np.array_equal(a.array.real, b.array.real))


def isin(
    elements=None, test_elements=None, *, assume_unique=False, invert=False, element=None,
    test_element=None,
) -> Tensor:  # fmt: skip
    """Where ``elements`` are among ``test_elements``, or with ``invert`` are not; no gradient.

    >>> import tinyconv as tc
    >>> tc.isin(tc.tensor([[1, 2], [3, 4]]), tc.tensor([2, 3]))
    tensor([[False,  True],
            [ True, False]])
    """
    a = as_tensor(given("isin", elements, element), "isin")
    b = as_tensor(given("isin", test_elements, test_element), "isin")
    found = np.isin(a.array.real, b.array.real, assume_unique, invert)
    return Tensor(np.asarray(found))
