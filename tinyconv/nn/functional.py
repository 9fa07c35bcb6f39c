"""The functions behind the layers. Arguments are checked here, once; then one op is called.

Names, arguments and defaults are PyTorch's. Additions: padding of convolutions and pools
may be four numbers (left, right, top, bottom), and ``'same'`` works with any stride.
"""

import functools
import inspect
import math
import operator

import numpy as np

from tinyconv import kernels
from tinyconv.autograd import Tensor
from tinyconv.autograd.modes import state
from tinyconv.nn.checks import check_filters, check_fits, check_pool, grid, images, one_dtype
from tinyconv.nn.losses import cross_entropy, l1_loss, mse_loss, nll_loss
from tinyconv.ops import conv as conv_ops
from tinyconv.ops import linalg as linalg_ops
from tinyconv.ops import lrn as lrn_ops
from tinyconv.ops import norm as norm_ops
from tinyconv.ops import pool as pool_ops
from tinyconv.ops import random as random_ops
from tinyconv.ops import softmax as softmax_ops
from tinyconv.ops.common import as_tensor, float_tensor
from tinyconv.ops.index import one_hot
from tinyconv.ops.pointwise import (
    elu,
    gelu,
    hardtanh,
    leaky_relu,
    logsigmoid,
    relu,
    relu6,
    selu,
    sigmoid,
    silu,
    softplus,
    tanh,
)
from tinyconv.ops.shape import pad

__all__ = [
    "adaptive_avg_pool2d", "adaptive_max_pool2d", "avg_pool2d", "batch_norm", "conv2d",
    "cross_entropy", "dropout", "dropout2d", "elu", "gelu", "hardtanh", "l1_loss", "leaky_relu",
    "linear", "local_response_norm", "log_softmax", "logsigmoid", "max_pool2d", "mse_loss",
    "nll_loss", "one_hot", "pad", "relu", "relu6", "selu", "sigmoid", "silu", "softmax", "softplus",
    "tanh",
]  # fmt: skip


def conv2d(
    input: Tensor,
    weight: Tensor,
    bias: Tensor | None = None,
    stride=1,
    padding=0,
    dilation=1,
    groups=1,
) -> Tensor:
    """Convolve images with a bank of filters (cross-correlation, as everywhere in the field).

    y[n,o,p,q] = b[o] + sum_{c,i,j} w[o,c,i,j] x[n, c, p sh + i dh - top, q sw + j dw - left]

    Args:
        input: (N, C, H, W), or (C, H, W) without a batch; float32 or float64.
        weight: (O, C / groups, kh, kw), same dtype.
        bias: (O,) or None.
        stride, dilation: int or (height, width).
        padding: int, (height, width), (left, right, top, bottom), 'same' or 'valid'.
        groups: output channel group g sees input channel group g only.

    Returns:
        (N, O, Ho, Wo), Ho = floor((H + top + bottom - dh (kh - 1) - 1) / sh) + 1.

    Raises:
        TypeError, ValueError: the shapes, dtypes or numbers that do not fit, and the rule.

    Source: Dumoulin and Visin 2016, arXiv:1603.07285.

    >>> import tinyconv as tc, tinyconv.nn.functional as F
    >>> F.conv2d(tc.ones(1, 1, 3, 3), tc.ones(1, 1, 2, 2)).sum()
    tensor(16.)
    """
    x, single = images(input, "conv2d")
    w = float_tensor(weight, "conv2d")
    x, w, bias = one_dtype("conv2d", x, w, bias)
    _, channels, *image = x.shape
    check_filters(input, w, bias, channels, groups := operator.index(groups))
    window = kernels.Window.of(w.shape[2:], stride, padding, dilation, image, "conv2d")
    check_fits("conv2d", window, image, window.output_shape(*image))
    y = conv_ops.Conv2d.apply(x, w, bias, window, groups)
    return y[0] if single else y


def max_pool2d(
    input: Tensor,
    kernel_size,
    stride=None,
    padding=0,
    dilation=1,
    ceil_mode=False,
    return_indices=False,
) -> Tensor | tuple[Tensor, Tensor]:
    """The largest value of each window; NaN wins; the first of equal ones gets the gradient.

    Args:
        input: (N, C, H, W) or (C, H, W).
        kernel_size, dilation: int or (height, width); stride: the kernel size by default.
        padding: as in ``conv2d``, at most half the kernel; never the maximum itself.
        ceil_mode: also take windows that hang over the end.
        return_indices: return (values, int64 indices h W + v into each plane) instead.

    Raises:
        TypeError, ValueError: numbers or shapes that do not fit.

    >>> import tinyconv as tc, tinyconv.nn.functional as F
    >>> F.max_pool2d(tc.arange(16.0).reshape(1, 1, 4, 4), 2)
    tensor([[[[ 5.,  7.],
              [13., 15.]]]])
    """
    x, single = images(input, "max_pool2d")
    stride = kernel_size if stride is None or stride == () or stride == [] else stride
    window = kernels.Window.of(kernel_size, stride, padding, dilation, x.shape[2:], "max_pool2d")
    output = check_pool("max_pool2d", window, x.shape[2:], ceil_mode)
    if not return_indices:
        y = pool_ops.MaxPool2d.apply(x, window, output, False)
        return y[0] if single else y
    y, indices = pool_ops.MaxPool2d.apply(x, window, output, True)
    return (y[0], indices[0]) if single else (y, indices)


def avg_pool2d(
    input: Tensor,
    kernel_size,
    stride=None,
    padding=0,
    ceil_mode=False,
    count_include_pad=True,
    divisor_override=None,
) -> Tensor:
    """The mean of each window.

    Args:
        input: (N, C, H, W) or (C, H, W).
        kernel_size: int or (height, width); stride: the kernel size by default.
        padding: zeros around the image, as in ``conv2d``, at most half the kernel.
        ceil_mode: also take windows that hang over the end; they divide by what they cover.
        count_include_pad: count padding cells in the divisor.
        divisor_override: divide by this number instead.

    Raises:
        TypeError, ValueError: numbers or shapes that do not fit.

    >>> import tinyconv as tc, tinyconv.nn.functional as F
    >>> F.avg_pool2d(tc.ones(1, 1, 3, 3), 3, stride=1, padding=1, count_include_pad=False).sum()
    tensor(9.)
    """
    x, single = images(input, "avg_pool2d")
    stride = kernel_size if stride is None or stride == () or stride == [] else stride
    window = kernels.Window.of(kernel_size, stride, padding, 1, x.shape[2:], "avg_pool2d")
    output = check_pool("avg_pool2d", window, x.shape[2:], ceil_mode)
    if divisor_override == 0:
        raise ValueError("avg_pool2d: divisor_override must not be 0")
    y = pool_ops.avg_pool2d(x, window, output, count_include_pad, divisor_override)
    return y[0] if single else y


def adaptive_avg_pool2d(input: Tensor, output_size) -> Tensor:
    """Averages over a grid of windows that gives ``output_size`` for any input size.

    Args:
        input: (N, C, H, W) or (C, H, W).
        output_size: int or (height, width); None keeps that size. 1 is the global pool.

    >>> import tinyconv as tc, tinyconv.nn.functional as F
    >>> F.adaptive_avg_pool2d(tc.ones(2, 3, 5, 7), 1).shape
    (2, 3, 1, 1)
    """
    x, single = images(input, "adaptive_avg_pool2d")
    y = pool_ops.adaptive_avg_pool2d(x, grid(x, output_size, "adaptive_avg_pool2d"))
    return y[0] if single else y


def adaptive_max_pool2d(
    input: Tensor, output_size, return_indices=False
) -> Tensor | tuple[Tensor, Tensor]:
    """Maxima over a grid of windows that gives ``output_size`` for any input size."""
    x, single = images(input, "adaptive_max_pool2d")
    index = Tensor(_adaptive_argmax(x.array.real, grid(x, output_size, "adaptive_max_pool2d")))
    y = pool_ops.PlaneGather.apply(x, index)
    if single:
        y, index = y[0], index[0]
    return (y, index) if return_indices else y


def _adaptive_argmax(x, output):
    H, W = x.shape[2:]
    index = np.empty(x.shape[:2] + output, np.int64)
    rows, columns = (pool_ops.adaptive_windows(n, out) for n, out in zip((H, W), output))
    for p, (h0, h1) in enumerate(rows.T):
        for q, (v0, v1) in enumerate(columns.T):
            best = x[:, :, h0:h1, v0:v1].reshape(*x.shape[:2], -1).argmax(-1)
            index[:, :, p, q] = (h0 + best // (v1 - v0)) * W + v0 + best % (v1 - v0)
    return index


def batch_norm(
    input: Tensor,
    running_mean: Tensor | None,
    running_var: Tensor | None,
    weight: Tensor | None = None,
    bias: Tensor | None = None,
    training=False,
    momentum=0.1,
    eps=1e-5,
) -> Tensor:
    """Normalise each channel by its statistics, then scale and shift it.

    y = (x - mean) / sqrt(var + eps) * weight + bias, var biased.

    Args:
        input: (N, C) or (N, C, ...).
        running_mean, running_var: (C,) or None; with ``training`` they move by
            new = (1 - momentum) old + momentum batch, the batch's variance unbiased.
        weight, bias: (C,) or None for 1 and 0.
        training: use the batch's statistics (also if there are no running ones).

    Raises:
        ValueError: shapes that do not fit; training on one value per channel.

    Source: Ioffe and Szegedy 2015, arXiv:1502.03167.
    """
    x = float_tensor(input, "batch_norm")
    shape = x.shape
    if len(shape) < 2:
        raise ValueError(f"batch_norm: wants (N, C, ...), got shape {list(shape)}")
    C = shape[1]
    for i, value in enumerate((running_mean, running_var, weight, bias)):
        if value is not None and value.shape != (C,):
            name = ("running_mean", "running_var", "weight", "bias")[i]
            raise ValueError(
                f"batch_norm: {name} has shape {list(value.shape)}, input of shape "
                f"{list(shape)} has {C} channels"
            )
    if (running_mean is None) != (running_var is None):
        raise ValueError("batch_norm: give both running_mean and running_var, or neither")
    x, weight, bias = one_dtype("batch_norm", x, weight, bias)
    if not training and running_mean is not None and running_var is not None:
        if running_mean.dtype != x.dtype or running_var.dtype != x.dtype:
            running_mean, running_var = running_mean.to(x.dtype), running_var.to(x.dtype)
        return norm_ops.running_norm(x, running_mean, running_var, weight, bias, eps)
    count = math.prod(shape) // C if C else 0
    if count == 0 or (count == 1 and training):
        raise ValueError(
            f"batch_norm: batch statistics need more than one value per channel, got shape "
            f"{list(shape)}; use a larger batch or eval()"
        )
    w = Tensor(np.ones(C, x.dtype)) if weight is None else weight
    b = Tensor(np.zeros(C, x.dtype)) if bias is None else bias
    y, mean, var = norm_ops.BatchNorm.apply(x, w, b, eps)
    # a checkpoint's second run has moved them already
    if running_mean is not None and running_var is not None and not state.recomputing:
        track, unbiased = kernels.running.track, count / (count - 1)
        track(running_mean.array, mean.array, momentum)
        track(running_var.array, var.array, momentum, unbiased)
        running_mean._bump()
        running_var._bump()
    return y


def local_response_norm(input: Tensor, size, alpha=1e-4, beta=0.75, k=1.0) -> Tensor:
    """Damp each number by what its neighbours in other channels are.

    y[n,c] = x[n,c] / (k + alpha / size * sum_j x[n,j]^2)^beta, j from c - size // 2 to
    c + (size - 1) // 2; channels that are not there count as 0, so alpha is divided by the
    full ``size`` at the edges too.

    The conventions differ by what alpha is divided by. With n = 5 and beta = 0.75:

    ==================================== ======= ===== ==============================
    source                               alpha   k     here
    ==================================== ======= ===== ==============================
    the paper (alpha as it is)           1e-4    2     size=5, alpha=5e-4, k=2
    Caffe's AlexNet, GoogLeNet (by n)    1e-4    1     size=5, alpha=1e-4, k=1
    PyTorch (by ``size``)                alpha   k     the same
    TensorFlow (not; n = 2 radius + 1)   alpha   bias  alpha=n * alpha, k=bias
    ==================================== ======= ===== ==============================

    Args:
        input: (N, C, ...) with three dimensions at least.
        size: channels of the window, itself among them.
        alpha, beta, k: numbers.

    Raises:
        ValueError: for fewer dimensions, or a size below 1.

    Source: Krizhevsky, Sutskever, Hinton 2012, Sec. 3.3.

    >>> import tinyconv as tc, tinyconv.nn.functional as F
    >>> F.local_response_norm(tc.ones(1, 3, 1), size=2, alpha=6.0, beta=0.5).flatten()
    tensor([0.5000, 0.3780, 0.3780])
    """
    x = float_tensor(input, "local_response_norm")
    if x.ndim < 3:
        raise ValueError(f"local_response_norm: wants (N, C, ...), got shape {list(x.shape)}")
    size = operator.index(size)
    if size < 1:
        raise ValueError(f"local_response_norm: size={size} must be at least 1")
    return lrn_ops.LocalResponseNorm.apply(x, size, alpha, beta, k)


def linear(input: Tensor, weight: Tensor, bias: Tensor | None = None) -> Tensor:
    """y = x w^T + b for x (..., in), weight (out, in), bias (out,).

    Raises:
        ValueError: if the last size of ``input`` is not ``in``.

    >>> import tinyconv as tc, tinyconv.nn.functional as F
    >>> F.linear(tc.ones(2, 3), tc.ones(4, 3)).shape
    (2, 4)
    """
    x, w = float_tensor(input, "linear"), float_tensor(weight, "linear")
    x, w, bias = one_dtype("linear", x, w, bias)
    if x.ndim == 0 or w.ndim != 2 or x.shape[-1] != w.shape[1]:
        raise ValueError(
            f"linear: input of shape {list(x.shape)} must end in the weight's input size, which is "
            f"the last of {list(w.shape)}"
        )
    if bias is not None and bias.shape not in ((w.shape[0],), ()):
        raise ValueError(
            f"linear: bias of shape {list(bias.shape)} must be [{w.shape[0]}], the first size of "
            f"the weight {list(w.shape)}"
        )
    if bias is not None and bias.ndim == 0:
        bias = bias.expand(w.shape[0])
    rows = x if x.ndim == 2 else x.reshape(math.prod(x.shape[:-1]), x.shape[-1])
    y = linalg_ops.Linear.apply(rows, w, bias)
    return y if x.ndim == 2 else y.reshape(*x.shape[:-1], w.shape[0])


def dropout(input: Tensor, p=0.5, training=True, inplace=False) -> Tensor:
    """Zero each element with probability ``p`` and scale the rest by 1 / (1 - p)."""
    return _dropout(input, p, training, None, "dropout")


def dropout2d(input: Tensor, p=0.5, training=True, inplace=False) -> Tensor:
    """Zero whole channels of (N, C, ...) with probability ``p``."""
    x = as_tensor(input, "dropout2d")
    return _dropout(x, p, training, x.shape[:2] + (1,) * (x.ndim - 2), "dropout2d")


def _dropout(input, p, training, shape, op):
    if not 0 <= p <= 1:
        raise ValueError(f"{op}: p={p} must be a probability from 0 to 1")
    x = float_tensor(input, op)
    return random_ops.dropout(x, p, shape) if training and p > 0 else x


def softmax(input: Tensor, dim=None, dtype=None) -> Tensor:
    """exp(x) / sum(exp(x)) along ``dim``."""
    return softmax_ops.softmax(_with(input, dtype), _default_dim(input, dim))


def log_softmax(input: Tensor, dim=None, dtype=None) -> Tensor:
    """log(softmax(x)) along ``dim``."""
    return softmax_ops.log_softmax(_with(input, dtype), _default_dim(input, dim))


def _with(input, dtype):
    return input if dtype is None else input.to(dtype)


def _default_dim(input, dim):
    # PyTorch's old rule for scripts that leave it out
    return dim if dim is not None else (0 if input.ndim in (0, 1, 3) else 1)


def _inplace_accepting(function):
    """Accept PyTorch's ``inplace``, last or by name: it means nothing, values never change."""
    parameters = len(inspect.signature(function).parameters)

    @functools.wraps(function)
    def accepting(*args, inplace=False, **kwargs):
        if len(args) == parameters + 1:
            args = args[:-1]
        return function(*args, **kwargs)

    accepting.__module__ = __name__  # so that it can be pickled by its name
    return accepting


relu, relu6, leaky_relu, elu, selu, silu, hardtanh = map(
    _inplace_accepting, (relu, relu6, leaky_relu, elu, selu, silu, hardtanh)
)
