"""Functions of two numbers beyond arithmetic, as a table: name, values, derivatives.

Primitives: the table. Composed of them and of arithmetic: what follows it.
"""

import builtins
import math

import numpy as np

from tinyconv.autograd import Function, Tensor
from tinyconv.kernels.complex_step import analytic
from tinyconv.ops.arithmetic import nothing, where
from tinyconv.ops.common import as_tensor, check_tensors, float_tensor, operands, quiet
from tinyconv.ops.compare import ge, isnan, le
from tinyconv.ops.pointwise import abs, log, sigmoid, sign


def _pair(name, meaning, real, stepped, first, second, tensors=("input", "other")):
    """An op from a table row.

    ``real`` gives the values, ``stepped`` those of complex steps; ``first`` and ``second`` the
    cotangents of the operands from that of y, a, b and y. ``tensors`` may not be numbers.
    """

    values = analytic(lambda a, b: (stepped if a.dtype.kind == "c" else real)(a, b))

    class Pair(Function):
        @quiet
        def forward(ctx, a, b):
            y = values(a, b)
            ctx.save_for_backward(a, b, y)
            return y

        def backward(ctx, gy):
            a, b, y = ctx.saved_tensors
            need_a, need_b = ctx.needs_input_grad
            return first(gy, a, b, y) if need_a else None, second(gy, a, b, y) if need_b else None

    Pair.__name__ = Pair.__qualname__ = name.capitalize()

    def function(input, other) -> Tensor:
        given = dict(input=input, other=other)
        check_tensors(name, **{key: given[key] for key in tensors})
        return Pair.apply(*operands(input, other, name, floating=True))

    function.__name__ = function.__qualname__ = name
    function.__doc__ = f"{meaning}; integers become floats."
    return function


def _angle_gradient(g, x, a, b):
    """g x / (a^2 + b^2), and 0 where that is 0 / 0."""
    origin = (a == 0) & (b == 0)
    return g * x / where(origin, 1.0, a * a + b * b)


def _stepped_angle(a, b):
    # but for a constant, which the real values tell
    flat = np.abs(a.real) < np.abs(b.real)
    return np.where(flat, np.arctan(a / b), -np.arctan(b / a))


def _stepped_logaddexp(a, b):
    most = np.maximum(a.real, b.real)
    return most + np.log(np.exp(a - most) + np.exp(b - most))


def _xlogy(a, b):
    return np.where((a.real == 0) & ~np.isnan(b.real), 0, a * np.log(b))


def _log_or_nothing(a, b):
    """log(b), but 0 where a is 0 and b has no finite logarithm."""
    return log(where((a == 0) & (b <= 0), 1.0, b))


atan2 = arctan2 = _pair(
    "atan2",
    "The angle of the point (other, input), from -pi to pi",
    np.arctan2,
    _stepped_angle,
    lambda g, a, b, y: _angle_gradient(g, b, a, b),
    lambda g, a, b, y: _angle_gradient(-g, a, a, b),
)
hypot = _pair(
    "hypot",
    "sqrt(input^2 + other^2), without overflow on the way",
    np.hypot,
    lambda a, b: np.sqrt(a * a + b * b),
    lambda g, a, b, y: g * (a / y),
    lambda g, a, b, y: g * (b / y),
)
copysign = _pair(
    "copysign",
    "The size of input with the sign of other",
    np.copysign,
    lambda a, b: a * np.sign(a.real) * np.copysign(1, b.real),
    lambda g, a, b, y: g * (sign(a) * sign(y)),
    lambda g, a, b, y: nothing(g),
    tensors=("input",),
)
logaddexp = _pair(
    "logaddexp",
    "log(exp(input) + exp(other)), without overflow on the way",
    np.logaddexp,
    _stepped_logaddexp,
    lambda g, a, b, y: g * sigmoid(a - b),
    lambda g, a, b, y: g * sigmoid(b - a),
)
xlogy = _pair(
    "xlogy",
    "input log(other), and 0 where input is 0 and other not NaN",
    _xlogy,
    _xlogy,
    lambda g, a, b, y: g * _log_or_nothing(a, b),
    lambda g, a, b, y: g * a / b,
    tensors=(),
)


def logaddexp2(input, other) -> Tensor:
    """log2(2^input + 2^other), without overflow on the way."""
    check_tensors("logaddexp2", input=input, other=other)
    a, b = operands(input, other, "logaddexp2", floating=True)
    ln2 = math.log(2)
    return logaddexp(a * ln2, b * ln2) / ln2


def fmax(input, other) -> Tensor:
    """The larger of each pair, and the number beside a NaN; of equal ones the first."""
    check_tensors("fmax", input=input, other=other)
    return where(ge(input, other) | isnan(other), input, other)


def fmin(input, other) -> Tensor:
    """The smaller of each pair, and the number beside a NaN; of equal ones the first."""
    check_tensors("fmin", input=input, other=other)
    return where(le(input, other) | isnan(other), input, other)


def lerp(input, end, weight) -> Tensor:
    """input + weight (end - input); exactly ``end`` for weight 1.

    Args:
        input, end: tensors of one dtype.
        weight: a number or a tensor of that dtype.

    >>> import tinyconv as tc
    >>> tc.lerp(tc.tensor([0.0, 10.0]), tc.tensor([1.0, 20.0]), 0.25)
    tensor([ 0.2500, 12.5000])
    """
    x, end = float_tensor(input, "lerp"), float_tensor(end, "lerp")
    _check_one_dtype("lerp", x, end, *([weight] if getattr(weight, "ndim", 0) else []))
    span = end - x
    # from the nearer side: both ends are met to the last digit
    if isinstance(weight, Tensor):
        near = abs(weight) < 0.5
        return where(near, x, end) + span * where(near, weight, weight - 1)
    return x + span * weight if builtins.abs(weight) < 0.5 else end + span * (weight - 1)


def addcmul(input, tensor1, tensor2, *, value=1) -> Tensor:
    """input + value * tensor1 * tensor2."""
    return input + _times(value, tensor1, tensor2, input) * tensor2


def addcdiv(input, tensor1, tensor2, *, value=1) -> Tensor:
    """input + value * tensor1 / tensor2.

    Raises:
        TypeError: for two integer tensors, whose quotient has no integer dtype.
    """
    a, b = as_tensor(tensor1, "addcdiv"), as_tensor(tensor2, "addcdiv")
    if a.dtype.kind in "biu" and b.dtype.kind in "biu":
        raise TypeError(
            f"addcdiv: tensor1 is {a.dtype}, tensor2 {b.dtype}; convert one with .float(), or take "
            "addcmul with a quotient rounded by div(..., rounding_mode=...)"
        )
    return input + _times(value, a, b, input) / b


def _times(value, x, *others):
    """value * x; whole numbers throughout have a whole factor."""
    if value == 1:
        return x
    if isinstance(value, float) and all(t.dtype.kind in "biu" for t in (x, *others)):
        value = int(value)
    return x * value


def heaviside(input, values) -> Tensor:
    """0 for negative numbers and NaN, 1 for positive ones, ``values`` for 0.

    Raises:
        TypeError: for two dtypes.
    """
    check_tensors("heaviside", input=input, values=values)
    x, values = as_tensor(input, "heaviside"), as_tensor(values, "heaviside")
    _check_one_dtype("heaviside", x, values)
    return where(x == 0, values, (x > 0).to(x.dtype))


def _check_one_dtype(op, *tensors):
    dtypes = {str(x.dtype) for x in tensors if x.dtype.kind != "c"}
    if len(dtypes) > 1:
        raise TypeError(f"{op}: wants tensors of one dtype, got {' and '.join(sorted(dtypes))}")
