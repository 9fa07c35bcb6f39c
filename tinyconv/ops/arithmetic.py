"""Arithmetic with two operands, and choice between tensors.

Primitives (own derivative): add, sub, mul, div, neg, pow, remainder, fmod, rounded division,
maximum, minimum, where, clamp. Composed: rsub, floor_divide, clamp to tensors.
"""

import numpy as np

from tinyconv.autograd import Function, Tensor, get_default_dtype
from tinyconv.autograd.deferred import Deferred, Later
from tinyconv.kernels.addition import add as add_arrays
from tinyconv.kernels.complex_step import analytic, joined
from tinyconv.ops.common import as_tensor, common_dtype, larger, operands, quiet, smaller
from tinyconv.ops.compare import isnan

_multiply, _divide, _square = map(analytic, (np.multiply, np.divide, np.square))


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
        return gy / b if need_a else None, -(gy * a) / (b * b) if need_b else None


class RoundedDiv(Function):
    """A quotient rounded down (or toward zero): flat almost everywhere."""

    @quiet
    def forward(ctx, a, b, trunc):
        if a.dtype.kind == "c":
            return ctx.forward(a.real, b.real, trunc).astype(a.dtype)
        if not trunc:
            return np.floor_divide(a, b)
        if a.dtype.kind == "f":
            return np.trunc(a / b)
        return np.sign(a) * np.sign(b) * (np.abs(a) // np.abs(b))  # floats would round

    def backward(ctx, gy):
        return nothing(gy), nothing(gy)


class Remainder(Function):
    """a - b floor(a / b)."""

    values = np.remainder

    @quiet
    def forward(ctx, a, b):
        y = type(ctx).values(a.real, b.real)
        if a.dtype.kind in "biu":
            return y
        quotient = ctx.rounded(a.real / b.real) if ctx.exact else np.floor_divide(a.real, b.real)
        ctx.save_for_backward(quotient)
        return y if a.dtype.kind == "f" else joined(y, a.imag - quotient * b.imag)

    def backward(ctx, gy):
        (quotient,) = ctx.saved_tensors
        return gy, -gy * quotient


@analytic
def _power(a, b):
    """a ** b. Of complex numbers NumPy takes exp(b log a), and the logarithm of a negative a
    leads away from the real line: there the sign is taken out first."""
    if a.dtype.kind != "c":
        return np.power(a, b)
    side = np.copysign(1.0, a.real)
    return np.power(a * side, b) * np.power(side, b.real)


class Pow(Function):
    """x ** p for a number p; the derivative of x ** 0 is 0 everywhere, also at x = 0."""

    @quiet
    def forward(ctx, x, p):
        ctx.p = p
        ctx.save_for_backward(x)
        return _square(x) if p == 2 else _power(x, x.dtype.type(p))

    def backward(ctx, gy):
        (x,) = ctx.saved_tensors
        p = ctx.p
        return gy * 0 if p == 0 else gy * (x * 2 if p == 2 else p * x ** (p - 1))


class PowTensor(Function):
    """a ** b; d/db is taken as 0 where a = 0 and b >= 0, as in PyTorch."""

    @quiet
    def forward(ctx, a, b):
        y = _power(a, b)
        ctx.save_for_backward(a, b, y)
        return y

    def backward(ctx, gy):
        a, b, y = ctx.saved_tensors
        need_a, need_b = ctx.needs_input_grad
        ga = gb = None
        if need_a:
            # 0 ** 0: its b * a ** (b - 1) is 0 times infinity, and taken as 0
            corner = (a == 0) & (b == 0)
            ga = gy * b * where(corner, a * 0 + 1, a) ** (b - 1)
        if need_b:
            silent = (a == 0) & (b >= 0)
            gb = gy * where(silent, y * 0, y * where(silent, a * 0 + 1, a).log())
        return ga, gb


class Extremum(Function):
    """The larger (sign 1) or smaller (sign -1); equal ones share the gradient evenly, and where
    one is NaN both get it whole, as in PyTorch."""

    def forward(ctx, a, b, sign):
        y = larger(a, b) if sign > 0 else smaller(a, b)
        u, v = (a.real, b.real) if sign > 0 else (b.real, a.real)
        less, more = u < v, u > v
        half = np.where(u == v, 0.5, 1.0)
        ctx.save_for_backward((half * ~less).astype(y.dtype), (half * ~more).astype(y.dtype))
        return y

    def backward(ctx, gy):
        first, second = ctx.saved_tensors
        return gy * first, gy * second


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
    """min(max(x, low), high); at a bound the gradient passes, or not if ``strict``."""

    def forward(ctx, x, low, high, strict):
        inside = np.ones(x.shape, bool)
        y = x
        if low is not None:
            inside &= (x.real > low) if strict else (x.real >= low)
            y = larger(y, x.dtype.type(low))
        if high is not None:
            inside &= (x.real < high) if strict else (x.real <= high)
            y = smaller(y, x.dtype.type(high))
        # NaN is neither inside nor outside: let its gradient pass, as the value does
        ctx.save_for_backward(inside | (x.real != x.real))
        return y

    def backward(ctx, gy):
        (inside,) = ctx.saved_tensors
        return where(inside, gy, Tensor(np.zeros((), gy.dtype)))


def add(input, other, *, alpha=1) -> Tensor:
    """input + alpha * other, broadcast, in the promoted dtype."""
    return Add.apply(*operands(input, other if alpha == 1 else other * alpha, "add"))


def sub(input, other, *, alpha=1) -> Tensor:
    """input - alpha * other.

    Raises:
        TypeError: for two bools; there ``^`` (exclusive or) or ``.int()`` is meant.
    """
    a, b = operands(input, other if alpha == 1 else other * alpha, "sub")
    if a.dtype == bool:
        raise TypeError("sub: bool tensors have no difference; use .int() or logical_xor")
    return Sub.apply(a, b)


def mul(input, other) -> Tensor:
    """input * other."""
    return Mul.apply(*operands(input, other, "mul"))


def div(input, other, *, rounding_mode=None) -> Tensor:
    """input / other; integers become floats. ``rounding_mode``: None, 'floor' or 'trunc'."""
    if rounding_mode is not None:
        if rounding_mode not in ("floor", "trunc"):
            raise ValueError(f"div: rounding_mode={rounding_mode!r}; wants 'floor' or 'trunc'")
        a, b = operands(input, other, "div")
        if b.dtype.kind in "biu" and not _raw(b).all():
            raise ZeroDivisionError("div: an integer divided by 0")
        return RoundedDiv.apply(a, b, rounding_mode == "trunc")
    return Div.apply(*operands(input, other, "div", floating=True))


def remainder(input, other) -> Tensor:
    """input modulo other, with the sign of ``other``."""
    return Remainder.apply(*operands(input, other, "remainder"))


def neg(input) -> Tensor:
    """-input."""
    return Neg.apply(as_tensor(input, "neg"))


def pow(input, exponent) -> Tensor:
    """input ** exponent, either of them a number or a tensor."""
    if isinstance(exponent, (int, float)) and isinstance(input, Tensor):
        if input.dtype.kind not in "fc":
            if isinstance(exponent, float):
                input = input.float()
            elif exponent < 0:
                raise RuntimeError(f"pow: integers to the power {exponent} are not integers")
        return Pow.apply(input, exponent)
    return PowTensor.apply(*operands(input, exponent, "pow"))


def maximum(input, other) -> Tensor:
    """The larger of each pair; NaN wins; ties share the gradient."""
    return Extremum.apply(*operands(input, other, "maximum"), 1)


def minimum(input, other) -> Tensor:
    """The smaller of each pair; NaN wins; ties share the gradient."""
    return Extremum.apply(*operands(input, other, "minimum"), -1)


def where(condition, input, other) -> Tensor:
    """input where ``condition`` (bool) holds, else other.

    >>> import tinyconv as tc
    >>> x = tc.tensor([-1.0, 2.0])
    >>> tc.where(x > 0, x, 0.0)
    tensor([0., 2.])
    """
    condition = as_tensor(condition, "where")
    if condition.dtype != bool:
        raise TypeError(f"where: condition must be bool, got {condition.dtype}")
    a, b = operands(input, other, "where")
    shape = np.broadcast_shapes(condition.shape, a.shape, b.shape)
    a, b = (
        x.expand(shape) if isinstance(x, Tensor) and x.requires_grad and x.shape != shape else x
        for x in (a, b)
    )
    return Where.apply(condition, a, b)


def clamp(input, min=None, max=None) -> Tensor:
    """Values below ``min`` become min, above ``max`` max; at a bound the gradient passes.

    Raises:
        ValueError: if both bounds are None.
    """
    if min is None and max is None:
        raise ValueError("clamp: min and max are both None; give at least one")
    if isinstance(min, Tensor) or isinstance(max, Tensor):
        y = input
        if min is not None:
            y = where((y < min) | isnan(min), min, y)
        return y if max is None else where((y > max) | isnan(max), max, y)
    x = as_tensor(input, "clamp")
    if x.dtype.kind in "biu" and (isinstance(min, float) or isinstance(max, float)):
        x = x.float()
    return Clamp.apply(x, min, max, False)


def _raw(x):
    return x.array if isinstance(x, Tensor) else x
