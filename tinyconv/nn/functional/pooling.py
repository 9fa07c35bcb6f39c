"""Pools. Addition to PyTorch: ``padding`` may be four numbers (left, right, top, bottom)."""

import numpy as np

from tinyconv import kernels
from tinyconv.autograd import Tensor
from tinyconv.nn.checks import check_pool, grid, images
from tinyconv.ops import pool as pool_ops

__all__ = ["adaptive_avg_pool2d", "adaptive_max_pool2d", "avg_pool2d", "max_pool2d"]


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
