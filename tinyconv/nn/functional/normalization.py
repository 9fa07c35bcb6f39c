"""Normalisations: by the statistics of a batch, of an image, or of neighbouring channels.

Instance and layer norm are group norms: of groups of one channel, of one group of all numbers.
"""

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
from tinyconv.ops.shape import sizes

__all__ = [
    "batch_norm", "group_norm", "instance_norm", "layer_norm", "local_response_norm", "rms_norm",
]  # fmt: skip


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
        training: use the batch's statistics.

    Raises:
        ValueError: shapes that do not fit; training on one value per channel or with eps = 0; a
            negative eps.
        RuntimeError: no running statistics to use.

    Source: Ioffe and Szegedy 2015, arXiv:1502.03167.
    """
    x = float_tensor(input, "batch_norm")
    shape = x.shape
    if len(shape) < 2:
        raise ValueError(f"batch_norm: wants (N, C, ...), got shape {list(shape)}")
    if eps < 0 or (training and eps == 0):
        raise ValueError(f"batch_norm: eps={eps} must be positive, or 0 without training")
    C = shape[1]
    _check_channels("batch_norm", x, C, running_mean, running_var, weight, bias)
    x, weight, bias = one_dtype("batch_norm", x, weight, bias)
    if not training:
        if running_mean is None or running_var is None:
            raise RuntimeError(
                f"batch_norm: without training, input of shape {list(shape)} wants running_mean "
                f"and running_var, each of [{C}]"
            )
        return _running_norm(x, running_mean, running_var, weight, bias, eps)
    count = math.prod(shape) // C if C else 0
    if count == 1:
        raise ValueError(
            f"batch_norm: batch statistics need more than one value per channel, got shape "
            f"{list(shape)}; use a larger batch or eval()"
        )
    w = Tensor(np.ones(C, x.dtype)) if weight is None else weight
    b = Tensor(np.zeros(C, x.dtype)) if bias is None else bias
    if count == 0:
        return x * w.reshape(1, -1, *(1,) * (len(shape) - 2))  # no numbers, but a gradient of 0
    y, mean, var = norm_ops.BatchNorm.apply(x, w, b, eps)
    # a checkpoint's second run has moved them already
    if running_mean is not None and not state.recomputing:
        _track(running_mean, running_var, mean.array, var.array, momentum, count)
    return y


def _check_channels(op, x, C, running_mean, running_var, weight, bias):
    """Raise unless what is given once per channel has ``C`` numbers."""
    for i, value in enumerate((running_mean, running_var, weight, bias)):
        if value is not None and value.shape != (C,):
            name = ("running_mean", "running_var", "weight", "bias")[i]
            raise ValueError(
                f"{op}: {name} has shape {list(value.shape)}, input of shape "
                f"{list(x.shape)} has {C} channels"
            )
    if (running_mean is None) != (running_var is None):
        raise ValueError(f"{op}: give both running_mean and running_var, or neither")


def _running_norm(x, running_mean, running_var, weight, bias, eps):
    if running_mean.dtype != x.dtype or running_var.dtype != x.dtype:
        running_mean, running_var = running_mean.to(x.dtype), running_var.to(x.dtype)
    return norm_ops.running_norm(x, running_mean, running_var, weight, bias, eps)


def _track(running_mean, running_var, mean, var, momentum, count):
    """Move running statistics towards those of a batch of ``count`` numbers per channel."""
    if not (running_mean.array.flags.writeable and running_var.array.flags.writeable):
        raise ValueError(
            "running_mean and running_var lie in read-only memory, but training writes into them; "
            "give copies (.clone())"
        )
    track, unbiased = kernels.running.track, count / (count - 1)
    track(running_mean.array, mean, momentum)
    track(running_var.array, var, momentum, unbiased)
    running_mean._bump()
    running_var._bump()


def instance_norm(
    input: Tensor,
    running_mean: Tensor | None = None,
    running_var: Tensor | None = None,
    weight: Tensor | None = None,
    bias: Tensor | None = None,
    use_input_stats=True,
    momentum=0.1,
    eps=1e-5,
) -> Tensor:
    """Normalise each channel of each image by its own statistics, then scale and shift it.

    Args:
        input: (N, C, ...).
        running_mean, running_var, weight, bias, momentum, eps: as in ``batch_norm``; the running
            statistics move towards the mean over the images of theirs.
        use_input_stats: False: normalise by the running statistics.

    Raises:
        ValueError: shapes that do not fit; channels of one number.
        RuntimeError: no running statistics to use.

    Source: Ulyanov, Vedaldi, Lempitsky 2016, arXiv:1607.08022.
    """
    x = float_tensor(input, "instance_norm")
    shape = x.shape
    if len(shape) < 2:
        raise ValueError(f"instance_norm: wants (N, C, ...), got shape {list(shape)}")
    (N, C), P = shape[:2], math.prod(shape[2:])
    _check_channels("instance_norm", x, C, running_mean, running_var, weight, bias)
    x, weight, bias = one_dtype("instance_norm", x, weight, bias)
    if not use_input_stats:
        if running_mean is None or running_var is None:
            raise RuntimeError(
                "instance_norm: use_input_stats=False wants running_mean and running_var, each of "
                f"[{C}]"
            )
        return _running_norm(x, running_mean, running_var, weight, bias, eps)
    if P == 1:
        raise ValueError(
            f"instance_norm: wants more than one number in a channel, got shape {list(shape)}"
        )
    y, mean, var = _grouped(x, (N, C, 1, P), weight, bias, eps)
    if running_mean is not None and N and not state.recomputing:
        means, variances = mean.array.mean(0), var.array.mean(0)
        _track(running_mean, running_var, means, variances, momentum, P)
    return y


def group_norm(
    input: Tensor,
    num_groups,
    weight: Tensor | None = None,
    bias: Tensor | None = None,
    eps=1e-5,
) -> Tensor:
    """Normalise each group of channels of each image by its statistics, then scale and shift.

    y = (x - mean) / sqrt(var + eps) * weight + bias, var biased.

    Args:
        input: (N, C, ...).
        num_groups: divides C.
        weight, bias: (C,) or None for 1 and 0.

    Raises:
        ValueError: shapes that do not fit; one image with groups of one number.

    Source: Wu and He 2018, arXiv:1803.08494.

    >>> import tinyconv as tc, tinyconv.nn.functional as F
    >>> F.group_norm(tc.tensor([[1.0, 3.0, 50.0, 70.0]]), 2)
    tensor([[-1.0000,  1.0000, -1.0000,  1.0000]])
    """
    x = float_tensor(input, "group_norm")
    shape, G = x.shape, operator.index(num_groups)
    if len(shape) < 2:
        raise ValueError(f"group_norm: wants (N, C, ...), got shape {list(shape)}")
    (N, C), P = shape[:2], math.prod(shape[2:])
    if G < 1 or C % G:
        raise ValueError(
            f"group_norm: num_groups={G} must divide the {C} channels of input of shape "
            f"{list(shape)}"
        )
    _check_channels("group_norm", x, C, None, None, weight, bias)
    x, weight, bias = one_dtype("group_norm", x, weight, bias)
    if N * (C // G) * P == 1:
        raise ValueError(
            f"group_norm: input of shape {list(shape)} in {G} groups leaves one number to each"
        )
    return _grouped(x, (N, G, C // G, P), weight, bias, eps)[0]


def layer_norm(
    input: Tensor,
    normalized_shape,
    weight: Tensor | None = None,
    bias: Tensor | None = None,
    eps=1e-5,
) -> Tensor:
    """Normalise over the last dimensions together, then scale and shift each number.

    y = (x - mean) / sqrt(var + eps) * weight + bias, var biased.

    Args:
        input: (..., *normalized_shape).
        normalized_shape: sizes, one at least.
        weight, bias: of ``normalized_shape``, or None for 1 and 0.

    Raises:
        ValueError: shapes that do not fit.

    Source: Ba, Kiros, Hinton 2016, arXiv:1607.06450.

    >>> import tinyconv as tc, tinyconv.nn.functional as F
    >>> F.layer_norm(tc.tensor([[1.0, 3.0], [50.0, 70.0]]), (2,))
    tensor([[-1.0000,  1.0000],
            [-1.0000,  1.0000]])
    """
    x, shape = _last("layer_norm", input, normalized_shape, weight, bias)
    x, weight, bias = one_dtype("layer_norm", x, weight, bias)
    D = math.prod(shape)
    rows = math.prod(x.shape[: x.ndim - len(shape)])
    weight, bias = (None if v is None else v.reshape(D) for v in (weight, bias))
    return _grouped(x, (rows, 1, D, 1), weight, bias, eps)[0]


def rms_norm(input: Tensor, normalized_shape, weight: Tensor | None = None, eps=None) -> Tensor:
    """Divide by the root of the mean square over the last dimensions, then scale each number.

    y = x / sqrt(mean(x^2) + eps) * weight.

    Args:
        input, normalized_shape, weight: as in ``layer_norm``.
        eps: by default the dtype's, what 1 and the next number are apart.

    Source: Zhang and Sennrich 2019, arXiv:1910.07467.
    """
    x, shape = _last("rms_norm", input, normalized_shape, weight, None)
    x, weight = one_dtype("rms_norm", x, weight)
    eps = float(np.finfo(x.dtype).eps) if eps is None else eps
    return norm_ops.rms_norm(x, tuple(range(-len(shape), 0)), weight, eps)


def _last(op, input, normalized_shape, weight, bias):
    """The input and ``normalized_shape``, if these are its last sizes and those of the others."""
    x, shape = float_tensor(input, op), sizes((normalized_shape,))
    if not shape or x.shape[x.ndim - len(shape) :] != shape or x.ndim < len(shape):
        raise ValueError(
            f"{op}: input of shape {list(x.shape)} must end in normalized_shape={list(shape)}, "
            "which has one size at least"
        )
    for name, value in (("weight", weight), ("bias", bias)):
        if value is not None and value.shape != shape:
            raise ValueError(
                f"{op}: {name} of shape {list(value.shape)} must be of "
                f"normalized_shape={list(shape)}"
            )
    return x, shape


def _grouped(x, rows, weight, bias, eps):
    """(y, mean, var) of x seen as ``rows`` (N, G, K, P)."""
    count = rows[1] * rows[2]
    w = Tensor(np.ones(count, x.dtype)) if weight is None else weight
    b = Tensor(np.zeros(count, x.dtype)) if bias is None else bias
    y, mean, var = norm_ops.GroupNorm.apply(x.reshape(rows), w, b, eps)
    return y.reshape(x.shape), mean, var


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
