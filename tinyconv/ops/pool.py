"""Pooling. Primitives: max pool (an index, then a gather), gather / scatter within planes,
average pool / its adjoint. Composed: adaptive pools, from averages over windows or from
two small matrix products.
"""

import numpy as np

from tinyconv import kernels
from tinyconv.autograd import Function, Tensor
from tinyconv.ops.linalg import matmul


class MaxPool2d(Function):
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
    def forward(ctx, x, window, inverse):
        ctx.window, ctx.inverse, ctx.image = window, inverse, x.shape[2:]
        return kernels.pool.average_forward(x, window, inverse)

    def backward(ctx, gy):
        return AvgPool2dAdjoint.apply(gy, ctx.window, ctx.inverse, ctx.image)


class AvgPool2dAdjoint(Function):
    def forward(ctx, gy, window, inverse, image):
        ctx.window, ctx.inverse = window, inverse
        return kernels.pool.average_adjoint(gy, window, inverse, image)

    def backward(ctx, ggx):
        return AvgPool2d.apply(ggx, ctx.window, ctx.inverse)


def reciprocal_divisors(window, image, output, count_include_pad, divisor_override, dtype):
    """(Ho, Wo) reciprocals of what average pooling divides by, PyTorch's rule.

    With ``count_include_pad`` a window counts its cells inside the padded image: one that
    hangs over it under ``ceil_mode`` counts fewer than kh kw.
    """
    if divisor_override is not None:
        return np.full(output, 1 / divisor_override, dtype)
    counts = []
    for size, out, k, s, before, after in (
        (image[0], output[0], window.kh, window.sh, window.top, window.bottom),
        (image[1], output[1], window.kw, window.sw, window.left, window.right),
    ):
        start = np.arange(out) * s - before
        stop = np.minimum(start + k, size + after)
        if not count_include_pad:
            start, stop = np.maximum(start, 0), np.minimum(stop, size)
        counts.append(stop - start)
    return (1 / np.outer(*counts)).astype(dtype)


def adaptive_avg_pool2d(x, output):
    """Window p covers rows floor(p H / Ho) to ceil((p + 1) H / Ho), likewise columns."""
    H, W = x.shape[2:]
    Ho, Wo = output
    if H % Ho == 0 and W % Wo == 0:
        window = kernels.Window.of((H // Ho, W // Wo), (H // Ho, W // Wo))
        inverse = np.full(output, 1 / (window.kh * window.kw), x.dtype)
        return AvgPool2d.apply(x, window, inverse)
    rows, columns = _averaging(H, Ho, x.dtype), _averaging(W, Wo, x.dtype)
    return matmul(matmul(rows, x), columns.transpose(0, 1))


def _averaging(size, out, dtype):
    """The (out, size) matrix whose rows average the adaptive windows."""
    matrix = np.zeros((out, size), dtype)
    for p in range(out):
        start, stop = p * size // out, -(-(p + 1) * size // out)
        matrix[p, start:stop] = 1 / (stop - start)
    return Tensor(matrix)
