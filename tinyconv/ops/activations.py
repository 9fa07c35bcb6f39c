"""Activations of one number, of a channel (prelu), of two halves (glu).

Each is composed of the ops in ``pointwise`` and ``arithmetic``; so its derivatives follow, and
traces see ops that they know. ReLU, a primitive, stands in ``pointwise``. Where the steps one
by one would be slow, what networks use most also has values and slope in one pass over memory
(``Fused``). ``inplace`` is accepted where PyTorch has it; ``nn.functional`` sees to it.
"""

import math

import numpy as np

from tinyconv import kernels
from tinyconv.autograd import Function, Tensor, no_grad
from tinyconv.autograd.modes import state
from tinyconv.kernels.complex_step import joined
from tinyconv.ops.arithmetic import Clamp, clamp, nothing, where
from tinyconv.ops.blocks import chosen, in_blocks, kept
from tinyconv.ops.common import as_tensor, axis, float_tensor, vjp_of
from tinyconv.ops.compare import isnan, le
from tinyconv.ops.index import getitem
from tinyconv.ops.pointwise import abs, erfc, exp, expm1, log1p, sigmoid, tanh
from tinyconv.ops.random import stream
from tinyconv.ops.shape import reshape

_SELU_ALPHA, _SELU_SCALE = 1.6732632423543772, 1.0507009873554805
_ROOT_HALF, _TANH_RATE = math.sqrt(0.5), math.sqrt(2 / math.pi)


class Fused(Function):
    """A composed function of one number in one pass over memory: ``values(x)``.

    ``slope(gy, x)`` is the way back; ``composed`` gives the derivatives of that.
    """

    def forward(ctx, x, composed, values, slope):
        ctx.way_back = composed, slope
        ctx.save_for_backward(x)
        if x.dtype.kind != "c":
            return in_blocks(values, x)
        # a complex step goes the way of the slope
        return joined(in_blocks(values, x.real), in_blocks(slope, x.imag, x.real))

    def backward(ctx, gy):
        (x,) = ctx.saved_tensors
        return FusedGradient.apply(gy, x, *ctx.way_back)


class FusedGradient(Function):
    """gy times the slope at x: linear in gy."""

    def forward(ctx, gy, x, composed, slope):
        ctx.way_back = composed, slope
        ctx.save_for_backward(gy, x)
        if gy.dtype.kind == x.dtype.kind == "f":
            return in_blocks(slope, gy, x)
        with no_grad():
            z = _slope(composed, Tensor(x)) * Tensor(gy)
        return joined(in_blocks(slope, gy.real, x.real), z.array.imag)

    def backward(ctx, h):
        gy, x = ctx.saved_tensors
        composed, slope = ctx.way_back
        gx = None
        if ctx.needs_input_grad[1]:
            (gx,) = vjp_of(lambda x: (_if_curved(_slope(composed, x)),), (x,), (h * gy,))
            gx = nothing(x) if gx is None else gx
        return FusedGradient.apply(h, x, composed, slope), gx


def _slope(composed, x):
    return vjp_of(lambda x: (composed(x),), (x,), (Tensor(np.ones_like(x.array)),))[0]


def _if_curved(slope):
    return slope if slope.requires_grad else None


def _one_pass(x, composed, values, slope) -> Tensor:
    """``composed(x)`` as a Fused, unless a trace asks for the steps or x is of integers."""
    if x.dtype.kind not in "fc" or getattr(state.detector, "steps", False):
        return composed(x)
    return Fused.apply(x, composed, values, slope)


def leaky_relu(input, negative_slope=0.01, inplace=False) -> Tensor:
    """x where x > 0, else negative_slope * x."""
    return _one_pass(
        float_tensor(input, "leaky_relu"),
        lambda x: where(x > 0, x, x * negative_slope),
        lambda x: chosen(x > 0, x, x * negative_slope),
        lambda gy, x: chosen(x > 0, gy, gy * negative_slope),
    )


def prelu(input, weight) -> Tensor:
    """x where x > 0, else weight * x: one learned slope, or one for each channel.

    Args:
        input: (N, C, ...), or with fewer dimensions if there is one slope.
        weight: (C,), (1,) or a number of no dimensions, of the same dtype.

    Raises:
        RuntimeError: if the weight is no vector, or has another size than C.
        TypeError: if the dtypes differ.

    Source: He et al. 2015, arXiv:1502.01852.

    >>> import tinyconv as tc, tinyconv.nn.functional as F
    >>> F.prelu(tc.tensor([[-4.0, -4.0]]), tc.tensor([0.5, 0.25]))
    tensor([[-2., -1.]])
    """
    x, w = float_tensor(input, "prelu"), float_tensor(weight, "prelu")
    if x.dtype != w.dtype and "c" not in (x.dtype.kind, w.dtype.kind):
        raise TypeError(f"prelu: input is {x.dtype}, weight {w.dtype}; convert one of them")
    channels = x.shape[1] if x.ndim > 1 else 1
    if w.ndim > 1 or w.array.size not in (1, channels):
        raise RuntimeError(
            f"prelu: weight of shape {list(w.shape)} must hold one slope or one for each of the "
            f"{channels} channels of the input {list(x.shape)}"
        )
    slopes = reshape(w, (-1,) + (1,) * (x.ndim - 2) if x.ndim > 1 else (1,) * x.ndim)
    # the infinite and NaN of one side stay off the other's gradient
    above = x > 0
    return where(above, x, where(above, x.dtype.type(0), x) * slopes)


def rrelu(
    input, lower=1 / 8, upper=1 / 3, training=False, inplace=False, *, generator=None
) -> Tensor:
    """x where x > 0, else x times a slope: random in [lower, upper] for each element while
    training, else the mean of the two. Source: Xu et al. 2015, arXiv:1505.00853.

    Raises:
        RuntimeError: if lower > upper.
    """
    x = float_tensor(input, "rrelu")
    if lower > upper:
        raise RuntimeError(f"rrelu: lower={lower} is above upper={upper}")
    if not training:
        return leaky_relu(x, (lower + upper) / 2)
    slopes = stream(generator).random(x.shape) * (upper - lower) + lower
    return where(x > 0, x, x * Tensor(slopes.astype(x.dtype)))


def hardtanh(input, min_val=-1.0, max_val=1.0, inplace=False) -> Tensor:
    """x cut to [min_val, max_val]; unlike ``clamp`` the derivative at a bound is 0.

    Raises:
        ValueError: if min_val > max_val.
    """
    x = as_tensor(input, "hardtanh")
    if min_val > max_val:
        raise ValueError(f"hardtanh: min_val={min_val} is above max_val={max_val}")
    if x.dtype == bool:
        raise TypeError("hardtanh: wants numbers, got bool; convert with .float()")
    return _one_pass(
        x,
        lambda x: Clamp.apply(x, min_val, max_val, True),
        lambda x: np.minimum(np.maximum(x, min_val), max_val),
        lambda gy, x: kept((x > min_val) & (x < max_val), gy),
    )


def relu6(input, inplace=False) -> Tensor:
    """min(max(x, 0), 6)."""
    return hardtanh(input, 0.0, 6.0)


def hardsigmoid(input, inplace=False) -> Tensor:
    """min(max(x + 3, 0), 6) / 6, a sigmoid of straight lines."""
    return _one_pass(
        float_tensor(input, "hardsigmoid"),
        lambda x: Clamp.apply(x + 3, 0.0, 6.0, True) / 6,
        lambda x: np.minimum(np.maximum(x + 3, 0), 6) / 6,
        lambda gy, x: kept((x > -3) & (x < 3), gy) / 6,
    )


def hardswish(input, inplace=False) -> Tensor:
    """x hardsigmoid(x). Source: Howard et al. 2019, arXiv:1905.02244."""
    return _one_pass(
        float_tensor(input, "hardswish"),
        lambda x: x * (Clamp.apply(x + 3, 0.0, 6.0, True) / 6),
        lambda x: x * np.minimum(np.maximum(x + 3, 0), 6) / 6,
        lambda gy, x: kept(~(x <= -3), chosen(x >= 3, gy, gy * (x / 3 + 0.5))),
    )


def elu(input, alpha=1.0, inplace=False) -> Tensor:
    """x where x > 0, else alpha (exp(x) - 1). Clevert et al. 2015, arXiv:1511.07289."""
    return _elu(float_tensor(input, "elu"), alpha, 1.0, 1.0)


def selu(input, inplace=False) -> Tensor:
    """scale * elu(x, alpha) that keeps mean 0, variance 1. arXiv:1706.02515."""
    return _elu(float_tensor(input, "selu"), _SELU_ALPHA, _SELU_SCALE, 1.0)


def celu(input, alpha=1.0, inplace=False) -> Tensor:
    """alpha elu(x / alpha): unlike ``elu`` smooth at 0 for every alpha. arXiv:1704.07483.

    Raises:
        RuntimeError: if alpha is 0.
    """
    if alpha == 0:
        raise RuntimeError("celu: alpha must not be 0")
    return _elu(float_tensor(input, "celu"), alpha, 1.0, 1 / alpha)


def _elu(x, alpha, scale, rate):
    """scale x where x > 0, else scale alpha (exp(rate x) - 1)."""

    def values(x):
        z = np.minimum(x, 0) * rate
        if rate < 0:
            decay = np.expm1(z)
        else:  # exp(z) - 1 = 2 t / (1 - t), t = tanh(z / 2): as exact as expm1, and faster
            t = np.tanh(0.5 * z)
            decay = 2 * (t / (1 - t))
        return (np.maximum(x, 0) + alpha * decay) * scale

    def slope(gy, x):
        below = gy * np.exp(np.minimum(x, 0) * rate) * (alpha * rate)
        return chosen(x > 0, gy, below) * scale

    return _one_pass(
        x,
        lambda x: where(x > 0, x, expm1(clamp(x, max=0) * rate) * alpha) * scale,
        values,
        slope,
    )


def silu(input, inplace=False) -> Tensor:
    """x sigmoid(x)."""
    return _one_pass(
        float_tensor(input, "silu"),
        lambda x: x * sigmoid(x),
        lambda x: x * _logistic(x),
        _silu_slope,
    )


def _logistic(x):
    return 1 / (1 + np.exp(-x))


def _silu_slope(gy, x):
    s = _logistic(x)
    return gy * s * (1 + x * (1 - s))


def mish(input, inplace=False) -> Tensor:
    """x tanh(softplus(x)). Source: Misra 2019, arXiv:1908.08681."""
    return _one_pass(
        float_tensor(input, "mish"),
        lambda x: x * tanh(softplus(x)),
        lambda x: x * _tanh_softplus(x),
        _mish_slope,
    )


def _tanh_softplus(x):
    # tanh(log(1 + e)) = n / (n + 2), n = e (e + 2); 1 long before e could overflow
    e = np.exp(np.minimum(x, 20))
    n = e * (e + 2)
    return n / (n + 2)


def _mish_slope(gy, x):
    w = _tanh_softplus(x)
    return gy * (w + x * (1 - w * w) * _logistic(x))


def gelu(input, approximate="none") -> Tensor:
    """x times the normal distribution's Phi(x); ``'tanh'`` for the usual approximation.

    Raises:
        RuntimeError: for another word.

    Source: Hendrycks and Gimpel 2016, arXiv:1606.08415.
    """
    x = float_tensor(input, "gelu")
    if approximate == "tanh":
        return _one_pass(x, _tanh_gelu, _tanh_gelu_values, _tanh_gelu_slope)
    if approximate != "none":
        raise RuntimeError(f"gelu: approximate={approximate!r}; wants 'none' or 'tanh'")
    return _one_pass(x, _gelu, _gelu_values, _gelu_slope)


def _gelu(x):
    # 1 + erf would leave no digit of the left tail
    return x * 0.5 * erfc(x * -_ROOT_HALF)


def _gelu_values(x):
    return x * 0.5 * kernels.activation.erfc(x * -_ROOT_HALF)


def _gelu_slope(gy, x):
    below = 0.5 * kernels.activation.erfc(x * -_ROOT_HALF)
    density = 0.5 * _TANH_RATE * np.exp(-0.5 * x * x)
    return gy * (below + x * density)


def _tanh_gelu(x):
    return x * 0.5 * (1 + tanh((x + x * x * x * 0.044715) * _TANH_RATE))


def _tanh_gelu_values(x):
    return x * 0.5 * (1 + np.tanh((x + x * x * x * 0.044715) * _TANH_RATE))


def _tanh_gelu_slope(gy, x):
    t = np.tanh((x + x * x * x * 0.044715) * _TANH_RATE)
    return gy * 0.5 * (1 + t + x * (1 - t * t) * (1 + x * x * 0.134145) * _TANH_RATE)


def glu(input, dim=-1) -> Tensor:
    """a sigmoid(b), a and b the halves of ``input`` along ``dim``. arXiv:1612.08083.

    Raises:
        RuntimeError: if the size along ``dim`` is odd, or there are no dimensions.
    """
    x = float_tensor(input, "glu")
    if x.ndim == 0:
        raise RuntimeError("glu: a 0-d tensor has no halves")
    at = axis(dim, x.ndim, "glu")
    half, odd = divmod(x.shape[at], 2)
    if odd:
        raise RuntimeError(f"glu: size {x.shape[at]} of {list(x.shape)} along dim {dim} is odd")
    before = (slice(None),) * at
    a, b = getitem(x, (*before, slice(half))), getitem(x, (*before, slice(half, None)))
    return a * sigmoid(b)


def threshold(input, threshold, value, inplace=False) -> Tensor:
    """x where x > threshold, else value."""
    x = as_tensor(input, "threshold")
    return where(le(x, threshold), x.dtype.type(value), x)


def hardshrink(input, lambd=0.5) -> Tensor:
    """x where |x| > lambd, else 0; NaN stays NaN."""
    x = float_tensor(input, "hardshrink")
    fixed = x.detach()
    return where(abs(fixed) > lambd, x, where(isnan(fixed), fixed, x.dtype.type(0)))


def softshrink(input, lambd=0.5) -> Tensor:
    """x drawn towards 0 by lambd; 0 where |x| <= lambd.

    Raises:
        RuntimeError: if lambd is negative.
    """
    x = float_tensor(input, "softshrink")
    if lambd < 0:
        raise RuntimeError(f"softshrink: lambd={lambd} must not be negative")
    x = hardshrink(x, lambd)
    return x - Clamp.apply(x, -lambd, lambd, False)


def tanhshrink(input) -> Tensor:
    """x - tanh(x)."""
    return input - tanh(input)


def softsign(input) -> Tensor:
    """x / (1 + |x|)."""
    return input / (abs(input) + 1)


def softplus(input, beta=1.0, threshold=20.0) -> Tensor:
    """log(1 + exp(beta x)) / beta; x itself where beta x > threshold."""
    x = float_tensor(input, "softplus")
    far, zero = x * beta > threshold, x.dtype.type(0)
    return where(far, x, log1p(exp(where(far, zero, x * beta))) / beta)


def logsigmoid(input) -> Tensor:
    """log(sigmoid(x)), without overflow and without losing digits on either side."""
    x = float_tensor(input, "logsigmoid")
    negative, zero = x < 0, x.dtype.type(0)
    below, above = where(negative, x, zero), where(negative, zero, x)
    return where(negative, below - log1p(exp(below)), -log1p(exp(-above)))
