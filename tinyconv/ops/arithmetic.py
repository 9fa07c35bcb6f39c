"""Arithmetic with two operands, and choice between tensors.

Primitives (own derivative): add, sub, mul, div, neg, remainder, fmod, rounded division, maximum,
minimum, where, clamp. Composed: rsub, floor_divide, clamp to tensors.
"""

from typing import Any

import numpy as np

from tinyconv.autograd import Function, Tensor
from tinyconv.autograd.deferred import Deferred, Later
from tinyconv.kernels.addition import add as add_arrays
from tinyconv.kernels.complex_step import analytic, joined
from tinyconv.ops.common import (
    OPERANDS,
    as_tensor,
    check_tensors,
    common_dtype,
    larger,
    operands,
    quiet,
    smaller,
)
from tinyconv.ops.compare import isnan

_multiply, _divide = map(analytic, (np.multiply, np.divide))


def nothing(gy):
    """The cotangent of what is constant almost everywhere: 0, be ``gy`` infinite or NaN."""
    return Tensor(np.zeros(gy.shape, gy.dtype))


class Add(Function):
    fuses = True

    def forward(ctx, a, b):
        if not (isinstance(a, Later) or isinstance(b, Later)):
            return add_arrays(a, b)
        for later, other in ((a, b), (b, a)):
            if isinstance(later, Later):
                both = later.plus(_known(other))
                if both is not None:
                    return both
        return add_arrays(_known(a), _known(b))

    def backward(ctx, gy):
        if type(gy) is Deferred:
            gy._later.shared = all(ctx.needs_input_grad)
        return gy, gy


def _known(x):
    return x.array() if isinstance(x, Later) else x


class Sub(Function):
    def forward(ctx, a, b):
        return np.subtract(a, b)

    def backward(ctx, gy):
        return gy, -gy if ctx.needs_input_grad[1] else None


class Neg(Function):
    def forward(ctx, x):
        return np.negative(x)

    def backward(ctx, gy):
        return -gy


class Mul(Function):
    def forward(ctx, a, b):
        need_a, need_b = ctx.needs_input_grad
        ctx.save_for_backward(a if need_b else None, b if need_a else None)
        return (np.multiply if a.dtype.kind != "c" else _multiply)(a, b)

    def backward(ctx, gy):
        a, b = ctx.saved_tensors
        need_a, need_b = ctx.needs_input_grad
        return gy * b if need_a else None, gy * a if need_b else None


class Div(Function):
    @quiet
    def forward(ctx, a, b):
        ctx.save_for_backward(a if ctx.needs_input_grad[1] else None, b)
        return _divide(a, b)

    def backward(ctx, gy):
        a, b = ctx.saved_tensors
        need_a, need_b = ctx.needs_input_grad
        # not by b * b, which overflows at the root of the largest number
        return gy / b if need_a else None, -gy * (a / b / b) if need_b else None


def _toward_zero(a, b):
    """The quotient without what is behind the point."""
    if a.dtype.kind == "f":
        return np.trunc(a / b)
    down = a // b  # floats would round, and the smallest integer has no absolute value
    return down + ((a % b != 0) & ((a < 0) != (b < 0)))


class RoundedDiv(Function):
    """A quotient rounded down (or toward zero): flat almost everywhere."""

    @quiet
    def forward(ctx, a, b, trunc):
        rounded = _toward_zero if trunc else np.floor_divide
        return rounded(a.real, b.real).astype(a.dtype, copy=False)

    def backward(ctx, gy):
        return nothing(gy), nothing(gy)


class Remainder(Function):
    """a - b floor(a / b)."""

    values: Any = np.remainder
    quotient: Any = np.floor_divide

    @quiet
    def forward(ctx, a, b):
        y, quotient = ctx.values(a.real, b.real), ctx.quotient(a.real, b.real)
        ctx.save_for_backward(quotient)
        return y if a.dtype.kind != "c" else joined(y, a.imag - quotient * b.imag)

    def backward(ctx, gy):
        (quotient,) = ctx.saved_tensors
        return gy, -gy * quotient


class Fmod(Remainder):
    """a - b trunc(a / b)."""

    values, quotient = np.fmod, staticmethod(_toward_zero)


class Extremum(Function):
    """The larger (sign 1) or smaller (sign -1); equal ones share the gradient evenly, and where
    one is NaN both get it whole, as in PyTorch."""

    def forward(ctx, a, b, sign):
        ctx.sign = sign
        ctx.save_for_backward(a, b)
        return larger(a, b) if sign > 0 else smaller(a, b)

    def backward(ctx, gy):
        a, b = (x.array.real * ctx.sign for x in ctx.saved_tensors)
        half = np.where(a == b, 0.5, 1.0).astype(gy.dtype)
        return gy * Tensor(half * ~(a < b)), gy * Tensor(half * ~(a > b))


class Where(Function):
    def forward(ctx, condition, a, b):
        ctx.save_for_backward(condition)
        return np.where(condition, a, b)

    def backward(ctx, gy):
        (condition,) = ctx.saved_tensors
        need_a, need_b = ctx.needs_input_grad[1:]
        zero = Tensor(np.zeros((), gy.dtype))
        ga = where(condition, gy, zero) if need_a else None
        return None, ga, where(condition, zero, gy) if need_b else None


class Clamp(Function):
    """min(max(x, low), high); at a bound the gradient passes, or not if ``strict``; where x is
    NaN it does not."""

    def forward(ctx, x, low, high, strict):
        y, r, passes = x, x.real, []
        if low is not None:
            passes.append(r > low if strict else r >= low)
            y = larger(y, x.dtype.type(low))
        if high is not None:
            passes.append(r < high if strict else r <= high)
            y = smaller(y, x.dtype.type(high))
        # one mask, which takes less memory than x
        ctx.save_for_backward(passes[0] if len(passes) == 1 else passes[0] & passes[1])
        return y

    def backward(ctx, gy):
        (passes,) = ctx.saved_tensors
        return where(passes, gy, Tensor(np.zeros((), gy.dtype)))


def add(input, other, *, alpha=1) -> Tensor:
    """input + alpha * other, broadcast, in the promoted dtype; of bools "or".

    Raises:
        TypeError: for an ``alpha`` with a point where the result has none.

    >>> import tinyconv as tc
    >>> tc.add(tc.tensor([1, 2]), 0.5)
    tensor([1.5000, 2.5000])
    """
    other = other if alpha == 1 else _scaled(other, alpha, input, "add")
    return Add.apply(*operands(input, other, "add"))


def sub(input, other, *, alpha=1) -> Tensor:
    """input - alpha * other.

    Raises:
        TypeError: for bools; there ``^`` (exclusive or), ``~`` or ``.int()`` is meant.
    """
    if _is_bool(input) or _is_bool(other):
        raise TypeError("sub: bools have no difference; use ~x, logical_xor or .int()")
    other = other if alpha == 1 else _scaled(other, alpha, input, "sub")
    return Sub.apply(*operands(input, other, "sub"))


def _is_bool(x):
    if isinstance(x, Tensor):
        return x.array.dtype.kind == "b"
    return isinstance(x, (bool, np.bool_))


def _scaled(x, alpha, beside, op):
    """alpha * x, in the dtype that it will have ``beside`` the other operand."""
    kind = common_dtype(beside, x).kind
    if kind in "biu" and isinstance(alpha, float):
        raise TypeError(f"{op}: alpha={alpha} with integer tensors; it must be an integer too")
    return x * (bool(alpha) if kind == "b" else alpha)


def rsub(input, other, *, alpha=1) -> Tensor:
    """other - alpha * input."""
    check_tensors("rsub", input=input)
    return sub(other, input, alpha=alpha)


def mul(input, other) -> Tensor:
    """input * other; of bools "and"."""
    return Mul.apply(*operands(input, other, "mul"))


def div(input, other, *, rounding_mode=None) -> Tensor:
    """input / other; integers become floats. ``rounding_mode``: None, 'floor' or 'trunc'.

    Raises:
        ValueError: for another rounding mode.
        RuntimeError: for an integer divided by 0 and rounded.
    """
    if rounding_mode is None:
        return Div.apply(*operands(input, other, "div", floating=True))
    if rounding_mode not in ("floor", "trunc"):
        raise ValueError(f"div: rounding_mode={rounding_mode!r}; wants None, 'floor' or 'trunc'")
    return RoundedDiv.apply(*_divisible(input, other, "div"), rounding_mode == "trunc")


def floor_divide(input, other) -> Tensor:
    """floor(input / other), in the dtype of the operands."""
    return div(input, other, rounding_mode="floor")


def remainder(input, other) -> Tensor:
    """input modulo other, with the sign of ``other``, as Python's ``%``.

    >>> import tinyconv as tc
    >>> tc.remainder(tc.tensor([-3.0, 3.0]), 2), tc.fmod(tc.tensor([-3.0, 3.0]), 2)
    (tensor([1., 1.]), tensor([-1., 1.]))
    """
    return Remainder.apply(*_divisible(input, other, "remainder"))


def fmod(input, other) -> Tensor:
    """input modulo other, with the sign of ``input``, as C's ``fmod``."""
    check_tensors("fmod", input=input)
    return Fmod.apply(*_divisible(input, other, "fmod"))


def _divisible(a, b, op):
    """The operands of a division with a rest."""
    a, b = operands(a, b, op)
    if a.dtype == bool:
        raise TypeError(f"{op}: bools are not divided with a rest; convert them with .int()")
    if b.dtype.kind in "iu" and not _raw(b).all():
        raise RuntimeError(f"{op}: an integer divided by 0")
    return a, b


def neg(input) -> Tensor:
    """-input.

    Raises:
        TypeError: for bools; there ``~`` is meant.
    """
    x = as_tensor(input, "neg")
    if x.array.dtype.kind == "b":
        raise TypeError("neg: a bool tensor has no negative; use ~x or logical_not")
    return Neg.apply(x)


def check_fits(number, dtype, op):
    """Raise if an integer dtype cannot hold the number."""
    if dtype.kind in "iu" and not np.iinfo(dtype).min <= number <= np.iinfo(dtype).max:
        raise RuntimeError(f"{op}: {number} does not fit into {dtype}")


def maximum(input, other) -> Tensor:
    """The larger of each pair; NaN wins; ties share the gradient."""
    check_tensors("maximum", input=input, other=other)
    return Extremum.apply(*operands(input, other, "maximum"), 1)


def minimum(input, other) -> Tensor:
    """The smaller of each pair; NaN wins; ties share the gradient."""
    check_tensors("minimum", input=input, other=other)
    return Extremum.apply(*operands(input, other, "minimum"), -1)


def where(condition, input=None, other=None):
    """input where ``condition`` (bool) holds, else other; alone, the places where it holds.

    Args:
        condition: bools (uint8 is taken too); with nothing else, the indices of what is not zero
            are returned, one int64 tensor for each dimension.
        input, other: tensors or numbers; all three broadcast.

    >>> import tinyconv as tc
    >>> x = tc.tensor([-1.0, 2.0])
    >>> tc.where(x > 0, x, 0.0)
    tensor([0., 2.])
    >>> tc.where(x > 0)
    (tensor([1]),)
    """
    condition = as_tensor(condition, "where")
    if input is None and other is None:
        return tuple(map(Tensor, np.nonzero(np.atleast_1d(condition.array.real))))
    if condition.dtype != bool:
        if condition.dtype != np.uint8:
            raise TypeError(f"where: condition must be bool, got {condition.dtype}")
        condition = condition.to(np.bool_)
    if not isinstance(other, Tensor):
        input = as_tensor(input, "where")
    a, b = operands(input, other, "where")
    for number in (input, other):
        if isinstance(number, (int, np.integer)):
            check_fits(number, a.dtype, "where")
    if not condition.shape == a.shape == b.shape:
        a, b = _expanded(condition, a, b)
    return Where.apply(condition, a, b)


def _expanded(condition, a, b):
    """What may record of a and b, in the shape that all three broadcast to."""
    try:
        shape = np.broadcast_shapes(condition.shape, a.shape, b.shape)
    except ValueError:
        raise ValueError(
            f"where: condition of shape {list(condition.shape)} cannot be broadcast with input "
            f"{list(a.shape)} and other {list(b.shape)}"
        ) from None
    return [
        x.expand(shape) if isinstance(x, Tensor) and x.requires_grad and x.shape != shape else x
        for x in (a, b)
    ]


def clamp(input, min=None, max=None) -> Tensor:
    """Values below ``min`` become min, above ``max`` max; at a bound the gradient passes.

    Args:
        min, max: numbers or tensors, which broadcast; None for no bound. Where min is above max,
            all become max. NaN stays NaN.

    Raises:
        ValueError: if both bounds are None.

    >>> import tinyconv as tc
    >>> tc.clamp(tc.tensor([-1.0, 0.5, 3.0]), 0, 1)
    tensor([0.0000, 0.5000, 1.0000])
    """
    if min is None and max is None:
        raise ValueError("clamp: min and max are both None; give at least one")
    if not isinstance(input, Tensor):
        check_tensors("clamp", input=input)
    for bound in (min, max):
        if bound is not None and not isinstance(bound, OPERANDS):
            raise TypeError(f"clamp: a bound must be a number or a Tensor, got {bound!r}")
    if isinstance(min, Tensor) or isinstance(max, Tensor):
        y = input if min is None else _bounded(input, min, input < min)
        return y if max is None else _bounded(y, max, y > max)
    x = as_tensor(input, "clamp")
    if x.dtype.kind in "biu":
        for bound in (min, max):
            if bound is not None:
                x = x.to(common_dtype(x, bound))
        for bound in (min, max):
            if bound is not None:
                check_fits(bound, x.dtype, "clamp")
    return Clamp.apply(x, min, max, False)


def _bounded(x, bound, beyond):
    """``bound`` where x lies ``beyond``, NaN where one of them is; there no gradient passes."""
    missing = isnan(x) | isnan(bound)
    return where(missing, (x + bound).detach(), where(beyond, bound, x))


def clamp_min(input, min) -> Tensor:
    """``clamp`` with a lower bound alone."""
    check_tensors("clamp_min", input=input)
    return clamp(input, min)


def clamp_max(input, max) -> Tensor:
    """``clamp`` with an upper bound alone."""
    check_tensors("clamp_max", input=input)
    return clamp(input, None, max)


def _raw(x):
    return x.array if isinstance(x, Tensor) else x


subtract, multiply, divide, true_divide, negative = sub, mul, div, div, neg
clip = clamp
