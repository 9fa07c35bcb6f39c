"""Functions of one number, as a table: name, values, derivative.

Primitives: the table below, ReLU and its gradient. Their derivatives are written in ops, so each
has derivatives of its own. Composed of them: round, frac, logit, sinc and the like.
"""

import math

import numpy as np

from tinyconv import kernels
from tinyconv.autograd import Function, Tensor, get_default_dtype, is_grad_enabled
from tinyconv.autograd.deferred import Deferred, Later, Part, leaves_no_trace, may_wait
from tinyconv.kernels.complex_step import analytic
from tinyconv.ops.arithmetic import clamp, nothing, where
from tinyconv.ops.common import as_tensor, float_tensor, quiet
from tinyconv.ops.compare import isnan, isneginf, isposinf


def _pointwise(name, values, derivative, saves, whole=None, meaning=None, bools=False):
    """An op from a table row.

    ``saves`` tells which of x and y its derivative reads. Integers become floats, unless
    ``whole`` gives their values; most such ops mean nothing for ``bools``.
    """

    values = analytic(values)

    class Pointwise(Function):
        @quiet
        def forward(ctx, x):
            y = values(x) if x.dtype.kind in "fc" else whole(x)
            ctx.save_for_backward(x if saves == "x" else y)
            return y

        def backward(ctx, gy):
            (saved,) = ctx.saved_tensors
            return derivative(gy, saved)

    Pointwise.__name__ = Pointwise.__qualname__ = name.capitalize()

    def function(input) -> Tensor:
        x = as_tensor(input, name)
        if x.array.dtype.kind not in "fc":
            x = _settled(x, name, whole, bools)
        return Pointwise.apply(x)

    function.__name__ = function.__qualname__ = name
    kinds = "integers become floats" if whole is None else "integers stay integers"
    function.__doc__ = f"{meaning or f'Elementwise {name}'}; {kinds}."
    return function


def _settled(x, name, whole, bools=False):
    """Integers or bools in the dtype in which ``name`` takes them."""
    if whole is None:
        return x.to(get_default_dtype())
    if x.dtype == bool and not bools:
        raise TypeError(f"{name}: wants numbers, got a bool tensor; convert it with .int()")
    return x


def _step(name, values, meaning):
    """A step function from floats to whole numbers, which leaves integers as they are."""
    return _pointwise(
        name, lambda x: values(x.real).astype(x.dtype, copy=False), _FLAT, "x", np.copy, meaning
    )


def _sigmoid(x):
    # exp of something positive would overflow on one side
    e = np.exp(-_abs(x))
    return np.where(x.real >= 0, 1, e) / (1 + e)


def _abs(x):
    return np.abs(x) if x.dtype.kind != "c" else x * np.sign(x.real)


def _sign(x):
    # 0 for NaN
    above, below = x.real > 0, x.real < 0
    return np.subtract(above.view(np.int8), below.view(np.int8)).astype(x.dtype)


#: the cotangent of a step function
_FLAT = lambda g, x: nothing(g)
_SLOPE = 2 / math.sqrt(math.pi)
_LN2, _LN10 = math.log(2), math.log(10)

#              name        values                   cotangent of x                      reads
exp = _pointwise("exp", np.exp, lambda g, y: g * y, "y")
exp2 = _pointwise("exp2", np.exp2, lambda g, y: g * y * _LN2, "y")
expm1 = _pointwise("expm1", np.expm1, lambda g, y: g * (y + 1), "y")
log = _pointwise("log", np.log, lambda g, x: g / x, "x")
log2 = _pointwise("log2", np.log2, lambda g, x: g / (x * _LN2), "x")
log10 = _pointwise("log10", np.log10, lambda g, x: g / (x * _LN10), "x")
log1p = _pointwise("log1p", np.log1p, lambda g, x: g / (x + 1), "x")
sqrt = _pointwise("sqrt", np.sqrt, lambda g, y: g / (y * 2), "y")
rsqrt = _pointwise("rsqrt", lambda x: 1 / np.sqrt(x), lambda g, y: g * y * y * y * -0.5, "y")
reciprocal = _pointwise("reciprocal", lambda x: 1 / x, lambda g, y: -g * y * y, "y")
sin = _pointwise("sin", np.sin, lambda g, x: g * x.cos(), "x")
cos = _pointwise("cos", np.cos, lambda g, x: -g * x.sin(), "x")
tan = _pointwise("tan", np.tan, lambda g, y: g * (y * y + 1), "y")
asin = _pointwise("asin", np.arcsin, lambda g, x: g * rsqrt(1 - x * x), "x")
acos = _pointwise("acos", np.arccos, lambda g, x: -g * rsqrt(1 - x * x), "x")
atan = _pointwise("atan", np.arctan, lambda g, x: g / (x * x + 1), "x")
sinh = _pointwise("sinh", np.sinh, lambda g, x: g * x.cosh(), "x")
cosh = _pointwise("cosh", np.cosh, lambda g, x: g * x.sinh(), "x")
tanh = _pointwise("tanh", np.tanh, lambda g, y: g * (1 - y * y), "y")
asinh = _pointwise("asinh", np.arcsinh, lambda g, x: g * rsqrt(x * x + 1), "x")
acosh = _pointwise("acosh", np.arccosh, lambda g, x: g * rsqrt(x * x - 1), "x")
atanh = _pointwise("atanh", np.arctanh, lambda g, x: g / (1 - x * x), "x")
sigmoid = _pointwise("sigmoid", _sigmoid, lambda g, y: g * y * (1 - y), "y")
erf = _pointwise(
    "erf", lambda x: kernels.activation.erf(x), lambda g, x: g * _SLOPE * exp(-x * x), "x"
)
erfc = _pointwise(
    "erfc", lambda x: kernels.activation.erfc(x), lambda g, x: g * -_SLOPE * exp(-x * x), "x"
)
sign = _pointwise("sign", _sign, _FLAT, "x", _sign, "-1, 0 or 1, and 0 for NaN", True)
abs = _pointwise("abs", _abs, lambda g, x: g * sign(x), "x", np.abs)
floor = _step("floor", np.floor, "The next whole number below")
ceil = _step("ceil", np.ceil, "The next whole number above")
trunc = _step("trunc", np.trunc, "The next whole number toward 0")
_logit = _pointwise(
    "logit",
    lambda x: np.log(x / (1 - x)),
    lambda g, x: g / where((x < 0) | (x > 1), math.nan, x * (1 - x)),
    "x",
)
_rint = _step("round", np.rint, "The nearest whole number, of two the even one")

sgn, absolute, fix = sign, abs, trunc
arcsin, arccos, arctan = asin, acos, atan
arcsinh, arccosh, arctanh = asinh, acosh, atanh


def round(input, *, decimals=0) -> Tensor:
    """The nearest multiple of 10 ** -decimals; halves go to the even side.

    Raises:
        TypeError: for integers with ``decimals``.

    >>> import tinyconv as tc
    >>> tc.round(tc.tensor([0.5, 1.5, 2.6]))
    tensor([0., 2., 3.])
    """
    if decimals == 0:
        return _rint(input)
    x = float_tensor(input, "round")
    scale = 10.0 ** (decimals if decimals > 0 else -decimals)
    return _rint(x * scale) / scale if decimals > 0 else _rint(x / scale) * scale


def frac(input) -> Tensor:
    """What is behind the point: x - trunc(x), with the sign of x."""
    x = float_tensor(input, "frac")
    return x - trunc(x)


def positive(input) -> Tensor:
    """The tensor itself.

    Raises:
        TypeError: for bools.
    """
    x = as_tensor(input, "positive")
    return _settled(x, "positive", np.copy)


def logit(input, eps=None) -> Tensor:
    """log(x / (1 - x)), the inverse of ``sigmoid``; with ``eps``, x is cut to [eps, 1 - eps]."""
    return _logit(input if eps is None else clamp(_floats(input, "logit"), eps, 1 - eps))


def sinc(input) -> Tensor:
    """sin(pi x) / (pi x), and 1 at x = 0."""
    t = _floats(input, "sinc") * math.pi
    near = abs(t) < 1
    # the quotient's derivatives lose all digits near 0: there by the series in t^2
    square, series = where(near, t * t, 0.0), 0.0
    for k in range(10, -1, -1):
        series = series * square + (-1) ** k / math.factorial(2 * k + 1)
    far = where(near, 1.0, t)
    return where(near, series, sin(far) / far)


def deg2rad(input) -> Tensor:
    """Degrees in radians."""
    return _floats(input, "deg2rad") * (math.pi / 180)


def rad2deg(input) -> Tensor:
    """Radians in degrees."""
    return _floats(input, "rad2deg") * (180 / math.pi)


def nan_to_num(input, nan=0.0, posinf=None, neginf=None) -> Tensor:
    """Numbers in place of NaN and the infinities, by default 0 and the dtype's extremes."""
    x = as_tensor(input, "nan_to_num")
    if x.dtype.kind in "biu":
        return x.clone()
    limits = np.finfo(x.dtype)
    x = where(isnan(x), nan or 0.0, x)
    x = where(isposinf(x), float(limits.max) if posinf is None else posinf, x)
    return where(isneginf(x), float(limits.min) if neginf is None else neginf, x)


def _floats(input, op):
    x = as_tensor(input, op)
    return x if x.dtype.kind in "fc" else x.to(get_default_dtype())


class Relu(Function):
    fuses = True

    @classmethod
    def apply(cls, x):
        if type(x) is Deferred and leaves_no_trace(x):
            y = x._later.relu()
            if y is not None:
                return Tensor._wrap(y)
        return super().apply(x)

    def forward(ctx, x):
        y = x.relu() if isinstance(x, Later) else None
        if y is None:
            y = kernels.activation.relu(x.array() if isinstance(x, Later) else x)
        ctx.save_for_backward(y)
        return y

    def backward(ctx, gy):
        (y,) = ctx.saved_tensors
        # without a graph ``y`` has no history that would have to be left behind
        return ReluGradient.apply(gy, y.detach() if is_grad_enabled() else y)


class Masked(Later):
    """The result of ``relu_gradient``, which the next gradient may compute on its way."""

    __slots__ = ("gy", "y")

    def __init__(self, gy, y):
        super().__init__(y.shape, y.dtype)
        self.gy, self.y = gy, y

    def compute(self):
        return kernels.activation.relu_gradient(self.gy, self.y)

    def sums(self):
        """The sums over all axes but the second, from the same pass over memory."""
        self.known, sums = kernels.batchnorm.masked_sums(self.gy, self.y)
        return sums


class ReluGradient(Function):
    """gy where y > 0: linear in gy, flat in y."""

    fuses = True

    def forward(ctx, gy, y):
        ctx.save_for_backward(y)
        if isinstance(gy, Later):
            masked = gy.masked(y) if gy.known is None and may_wait(y.dtype) else None
            if masked is not None:
                return masked
            # a piece of a larger array is read where it lies
            gy = gy.view if isinstance(gy, Part) and gy.known is None else gy.array()
        return Masked(gy, y) if may_wait(y.dtype) else kernels.activation.relu_gradient(gy, y)

    def backward(ctx, ggx):
        (y,) = ctx.saved_tensors
        return ReluGradient.apply(ggx, y), None


def relu(input) -> Tensor:
    """max(x, 0); the derivative at 0 is 0, NaN stays NaN; integers stay integers.

    >>> import tinyconv as tc
    >>> tc.relu(tc.tensor([-1.0, 3.0]))
    tensor([0., 3.])
    """
    if isinstance(input, Tensor) and input.dtype.kind in "iu":
        return clamp(input, 0)
    return Relu.apply(float_tensor(input, "relu"))
