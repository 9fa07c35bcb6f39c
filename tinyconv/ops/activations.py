"""Activations of one number, of a channel (prelu), of two halves (glu).

None of them is a primitive: each is composed of those in ``pointwise`` and ``arithmetic``, so
its derivatives follow. ReLU, which is one, stands in ``pointwise``. ``inplace`` is accepted
where PyTorch has it and means nothing: values never change.
"""

import math

from tinyconv.autograd import Tensor
from tinyconv.ops.arithmetic import Clamp, clamp, where
from tinyconv.ops.compare import le
from tinyconv.ops.common import as_tensor, axis, float_tensor
from tinyconv.ops.compare import le
from tinyconv.ops.index import getitem
from tinyconv.ops.pointwise import abs, erfc, exp, expm1, log1p, sigmoid, tanh
from tinyconv.ops.random import stream
from tinyconv.ops.shape import reshape

_SELU_ALPHA, _SELU_SCALE = 1.6732632423543772, 1.0507009873554805


def leaky_relu(input, negative_slope=0.01, inplace=False) -> Tensor:
    """x where x > 0, else negative_slope * x."""
    x = float_tensor(input, "leaky_relu")
    return where(x > 0, x, x * negative_slope)


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
    return where(x > 0, x, x * slopes)


def rrelu(input, lower=1 / 8, upper=1 / 3, training=False, inplace=False) -> Tensor:
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
    slopes = stream(None).random(x.shape) * (upper - lower) + lower
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
    return Clamp.apply(x, min_val, max_val, True)


def relu6(input, inplace=False) -> Tensor:
    """min(max(x, 0), 6)."""
    return hardtanh(input, 0.0, 6.0)


def hardsigmoid(input, inplace=False) -> Tensor:
    """min(max(x + 3, 0), 6) / 6, a sigmoid of straight lines."""
    return hardtanh(float_tensor(input, "hardsigmoid") + 3, 0.0, 6.0) / 6


def hardswish(input, inplace=False) -> Tensor:
    """x hardsigmoid(x). Source: Howard et al. 2019, arXiv:1905.02244."""
    return float_tensor(input, "hardswish") * hardsigmoid(input)


def elu(input, alpha=1.0, inplace=False) -> Tensor:
    """x where x > 0, else alpha (exp(x) - 1). Clevert et al. 2015, arXiv:1511.07289."""
    x = float_tensor(input, "elu")
    return where(x > 0, x, expm1(clamp(x, max=0)) * alpha)


def selu(input, inplace=False) -> Tensor:
    """scale * elu(x, alpha) that keeps mean 0, variance 1. arXiv:1706.02515."""
    return elu(input, _SELU_ALPHA) * _SELU_SCALE


def celu(input, alpha=1.0, inplace=False) -> Tensor:
    """alpha elu(x / alpha): unlike ``elu`` smooth at 0 for every alpha. arXiv:1704.07483.

    Raises:
        RuntimeError: if alpha is 0.
    """
    x = float_tensor(input, "celu")
    if alpha == 0:
        raise RuntimeError("celu: alpha must not be 0")
    return where(x > 0, x, expm1(clamp(x, max=0) / alpha) * alpha)


def silu(input, inplace=False) -> Tensor:
    """x sigmoid(x)."""
    x = float_tensor(input, "silu")
    return x * sigmoid(x)


def mish(input, inplace=False) -> Tensor:
    """x tanh(softplus(x)). Source: Misra 2019, arXiv:1908.08681."""
    x = float_tensor(input, "mish")
    return x * tanh(softplus(x))


def gelu(input, approximate="none") -> Tensor:
    """x times the normal distribution's Phi(x); ``'tanh'`` for the usual approximation.

    Raises:
        RuntimeError: for another word.

    Source: Hendrycks and Gimpel 2016, arXiv:1606.08415.
    """
    x = float_tensor(input, "gelu")
    if approximate == "tanh":
        return x * 0.5 * (1 + tanh((x + x**3 * 0.044715) * math.sqrt(2 / math.pi)))
    if approximate != "none":
        raise RuntimeError(f"gelu: approximate={approximate!r}; wants 'none' or 'tanh'")
    # 1 + erf would leave no digit of the left tail
    return x * 0.5 * erfc(x * -math.sqrt(0.5))


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
    """x where |x| > lambd, else 0."""
    x = float_tensor(input, "hardshrink")
    return where(le(abs(x.detach()), lambd), x.dtype.type(0), x)


def softshrink(input, lambd=0.5) -> Tensor:
    """x drawn towards 0 by lambd; 0 where |x| <= lambd.

    Raises:
        RuntimeError: if lambd is negative.
    """
    x = float_tensor(input, "softshrink")
    if lambd < 0:
        raise RuntimeError(f"softshrink: lambd={lambd} must not be negative")
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
    return where(x * beta > threshold, x, log1p(exp(clamp(x * beta, max=threshold))) / beta)


def logsigmoid(input) -> Tensor:
    """log(sigmoid(x)), without overflow and without losing digits on either side."""
    x = float_tensor(input, "logsigmoid")
    below, above = clamp(x, max=0), clamp(x, min=0)
    return where(x < 0, below - log1p(exp(below)), -log1p(exp(-above)))
