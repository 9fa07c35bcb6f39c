"""Functions of one number, as a table: name, values, derivative.

Primitives: the table below, ReLU and its gradient. Composed of them: the activations at
the end. The derivatives are written in ops, so each has derivatives of its own.
"""

import math

import numpy as np

from tinyconv import kernels
from tinyconv.autograd import Function, Tensor, is_grad_enabled
from tinyconv.autograd.deferred import Deferred, Later, Part, leaves_no_trace, may_wait
from tinyconv.kernels.complex_step import analytic
from tinyconv.ops.arithmetic import Clamp, clamp, where
from tinyconv.ops.common import as_tensor, float_tensor, quiet


def _pointwise(name, values, derivative, saves):
    """An op from a table row; ``saves`` tells which of x and y its derivative reads."""

    values = analytic(values)

    class Pointwise(Function):
        @quiet
        def forward(ctx, x):
            y = values(x)
            ctx.save_for_backward(x if saves == "x" else y)
            return y

        def backward(ctx, gy):
            (saved,) = ctx.saved_tensors
            return derivative(gy, saved)

    Pointwise.__name__ = Pointwise.__qualname__ = name.capitalize()

    def function(input):
        x = as_tensor(input, name)
        return Pointwise.apply(x if x.array.dtype.kind in "fc" else x.float())

    function.__name__ = function.__qualname__ = name
    function.__doc__ = f"Elementwise {name}; integers become floats."
    return function


def _sigmoid(x):
    # exp of something positive would overflow on one side
    e = np.exp(-_abs(x))
    return np.where(x.real >= 0, 1, e) / (1 + e)


def _abs(x):
    return np.abs(x) if x.dtype.kind != "c" else x * np.sign(x.real)


def _sign(x):
    return np.sign(x.real).astype(x.dtype, copy=False)


_SLOPE = 2 / math.sqrt(math.pi)

#              name        values                   cotangent of x                      reads
exp = _pointwise("exp", np.exp, lambda g, y: g * y, "y")
expm1 = _pointwise("expm1", np.expm1, lambda g, y: g * (y + 1), "y")
log = _pointwise("log", np.log, lambda g, x: g / x, "x")
log1p = _pointwise("log1p", np.log1p, lambda g, x: g / (x + 1), "x")
sqrt = _pointwise("sqrt", np.sqrt, lambda g, y: g / (y * 2), "y")
rsqrt = _pointwise("rsqrt", lambda x: 1 / np.sqrt(x), lambda g, y: g * y * y * y * -0.5, "y")
sin = _pointwise("sin", np.sin, lambda g, x: g * x.cos(), "x")
cos = _pointwise("cos", np.cos, lambda g, x: -g * x.sin(), "x")
tanh = _pointwise("tanh", np.tanh, lambda g, y: g * (1 - y * y), "y")
sigmoid = _pointwise("sigmoid", _sigmoid, lambda g, y: g * y * (1 - y), "y")
erf = _pointwise(
    "erf", lambda x: kernels.activation.erf(x), lambda g, x: g * _SLOPE * exp(-x * x), "x"
)
erfc = _pointwise(
    "erfc", lambda x: kernels.activation.erfc(x), lambda g, x: g * -_SLOPE * exp(-x * x), "x"
)
sign = _pointwise("sign", _sign, lambda g, x: g * 0, "x")
abs = _pointwise("abs", _abs, lambda g, x: g * sign(x), "x")


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
    """max(x, 0); the derivative at 0 is 0, NaN stays NaN.

    >>> import tinyconv as tc
    >>> tc.relu(tc.tensor([-1.0, 3.0]))
    tensor([0., 3.])
    """
    return Relu.apply(float_tensor(input, "relu"))


def leaky_relu(input, negative_slope=0.01) -> Tensor:
    """x where x > 0, else negative_slope * x."""
    x = float_tensor(input, "leaky_relu")
    return where(x > 0, x, x * negative_slope)


def hardtanh(input, min_val=-1.0, max_val=1.0) -> Tensor:
    """x cut to [min_val, max_val]; unlike ``clamp`` the derivative at a bound is 0."""
    return Clamp.apply(float_tensor(input, "hardtanh"), min_val, max_val, True)


def relu6(input) -> Tensor:
    """min(max(x, 0), 6)."""
    return hardtanh(input, 0.0, 6.0)


def elu(input, alpha=1.0) -> Tensor:
    """x where x > 0, else alpha (exp(x) - 1). Clevert et al. 2015, arXiv:1511.07289."""
    x = float_tensor(input, "elu")
    return where(x > 0, x, expm1(clamp(x, max=0)) * alpha)


def selu(input) -> Tensor:
    """scale * elu(x, alpha) that keeps mean 0, variance 1. arXiv:1706.02515."""
    return elu(input, 1.6732632423543772) * 1.0507009873554805


def silu(input) -> Tensor:
    """x sigmoid(x)."""
    return input * sigmoid(input)


def gelu(input, approximate="none") -> Tensor:
    """x times the normal distribution's Phi(x); ``'tanh'`` for the usual approximation.

    Source: Hendrycks and Gimpel 2016, arXiv:1606.08415.
    """
    x = float_tensor(input, "gelu")
    if approximate == "tanh":
        return x * 0.5 * (1 + tanh((x + x**3 * 0.044715) * math.sqrt(2 / math.pi)))
    if approximate != "none":
        raise ValueError(f"gelu: approximate={approximate!r}; wants 'none' or 'tanh'")
    # 1 + erf would leave no digit of the left tail
    return x * 0.5 * erfc(x * -math.sqrt(0.5))


def softplus(input, beta=1.0, threshold=20.0) -> Tensor:
    """log(1 + exp(beta x)) / beta; x itself where beta x > threshold."""
    x = float_tensor(input, "softplus")
    return where(x * beta > threshold, x, log1p(exp(clamp(x * beta, max=threshold))) / beta)


def logsigmoid(input) -> Tensor:
    """log(sigmoid(x)), without overflow and without losing digits on either side."""
    x = float_tensor(input, "logsigmoid")
    below, above = clamp(x, max=0), clamp(x, min=0)
    return where(x < 0, below - log1p(exp(below)), -log1p(exp(-above)))
