"""Pooling. Primitives: max pool (an index, then a gather), gather / scatter within planes,
average pool / its adjoint. An adaptive pool is an average pool with other windows.
"""

import numpy as np

from tinyconv import kernels
from tinyconv.autograd import Function


class MaxPool2d(Function):
    materialize_grads = False  # the index has none

    def forward(ctx, x, window, ceil_mode):
        y, index = kernels.pool.max_forward(x, window, ceil_mode)
        ctx.image = x.shape[2:]
        ctx.save_for_backward(index)
        return y, index

    def backward(ctx, gy, _):
        (index,) = ctx.saved_tensors
        return PlaneScatter.apply(gy, index, ctx.image)


class PlaneScatter(Function):
    def forward(ctx, gy, index, image):
        ctx.save_for_backward(index)
        return kernels.pool.scatter(gy, index, image)

    def backward(ctx, ggx):
        (index,) = ctx.saved_tensors
        return PlaneGather.apply(ggx, index)


class PlaneGather(Function):
    def forward(ctx, x, index):
        ctx.image = x.shape[2:]
        ctx.save_for_backward(index)
        return kernels.pool.gather(x, index)

    def backward(ctx, gy):
        (index,) = ctx.saved_tensors
        return PlaneScatter.apply(gy, index, ctx.image)


class AvgPool2d(Function):
    def forward(ctx, x, rows, columns, inverse):
        ctx.windows, ctx.image = (rows, columns, inverse), x.shape[2:]
        return kernels.pool.average_forward(x, rows, columns, inverse)

    def backward(ctx, gy):
        return AvgPool2dAdjoint.apply(gy, *ctx.windows, ctx.image)


class AvgPool2dAdjoint(Function):
    def forward(ctx, gy, rows, columns, inverse, image):
        ctx.windows = rows, columns, inverse
        return kernels.pool.average_adjoint(gy, rows, columns, inverse, image)

    def backward(ctx, ggx):
        return AvgPool2d.apply(ggx, *ctx.windows)


def avg_pool2d(x, window, output, count_include_pad, divisor_override):
    """Average pooling with PyTorch's divisors.

    With ``count_include_pad`` a window counts its cells inside the padded image: one that
    hangs over it under ``ceil_mode`` counts fewer than kh kw.
    """
    spans, counts = [], []
    for size, out, k, s, before, after in (
        (x.shape[2], output[0], window.kh, window.sh, window.top, window.bottom),
        (x.shape[3], output[1], window.kw, window.sw, window.left, window.right),
    ):
        start = np.arange(out) * s - before
        stop = np.minimum(start + k, size + after)
        inside = np.stack([np.maximum(start, 0), np.minimum(stop, size)]).astype(np.int64)
        spans.append(inside)
        counts.append(stop - start if count_include_pad else inside[1] - inside[0])
    divisors = np.outer(*counts) if divisor_override is None else np.full(output, divisor_override)
    return AvgPool2d.apply(x, *spans, (1 / divisors).astype(x.array.real.dtype))


def adaptive_windows(size, out):
    """(2, out) starts and stops: floor(p size / out) to ceil((p + 1) size / out)."""
    p = np.arange(out)
    return np.stack([p * size // out, -(-(p + 1) * size // out)]).astype(np.int64)


def adaptive_avg_pool2d(x, output):
    """Averages over the adaptive windows of rows and columns."""
    rows, columns = (adaptive_windows(n, out) for n, out in zip(x.shape[2:], output))
    counts = np.outer(rows[1] - rows[0], columns[1] - columns[0])
    return AvgPool2d.apply(x, rows, columns, (1 / counts).astype(x.array.real.dtype))
