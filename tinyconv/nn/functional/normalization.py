"""Normalisations: by the statistics of a batch, of an image, or of neighbouring channels."""

import math
import operator

import numpy as np

from tinyconv import kernels
from tinyconv.autograd import Tensor
from tinyconv.autograd.modes import state
from tinyconv.nn.checks import one_dtype
from tinyconv.ops import lrn as lrn_ops
from tinyconv.ops import norm as norm_ops
from tinyconv.ops.common import float_tensor

__all__ = ["batch_norm", "local_response_norm"]


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
