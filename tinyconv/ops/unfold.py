"""im2col and its adjoint: unfold / fold, each other's gradient. Both are primitives."""

import numpy as np

from tinyconv.autograd import Function
from tinyconv.kernels import memory


def _taps(window, Ho, Wo):
    """(i, j, the pixels of the padded image that tap (i, j) of the window sees)."""
    for i in range(window.kh):
        rows = slice(i * window.dh, i * window.dh + (Ho - 1) * window.sh + 1, window.sh)
        for j in range(window.kw):
            columns = slice(j * window.dw, j * window.dw + (Wo - 1) * window.sw + 1, window.sw)
            yield i, j, (..., rows, columns)


def _padded(window, H, W):
    """(size of the padded image, where the image lies in it)."""
    size = H + window.top + window.bottom, W + window.left + window.right
    rows = slice(window.top, window.top + H)
    return size, (..., rows, slice(window.left, window.left + W))


class Unfold(Function):
    """(N, C, H, W) to columns (N, C kh kw, Ho Wo)."""

    def forward(ctx, x, window):
        N, C, H, W = x.shape
        Ho, Wo = window.output_shape(H, W)
        size, inside = _padded(window, H, W)
        ctx.image, ctx.window = (H, W), window
        if size != (H, W):
            padded = memory.zeros((N, C, *size), x.dtype)
            padded[inside] = x
            x = padded
        y = memory.empty((N, C, window.kh, window.kw, Ho, Wo), x.dtype)
        for i, j, seen in _taps(window, Ho, Wo):
            y[:, :, i, j] = x[seen]
        return y.reshape(N, C * window.kh * window.kw, Ho * Wo)

    def backward(ctx, gy):
        return Fold.apply(gy, ctx.window, ctx.image)


class Fold(Function):
    """Columns (N, C kh kw, Ho Wo) added up where they came from in (N, C, H, W)."""

    def forward(ctx, x, window, image):
        ctx.window = window
        N = len(x)
        Ho, Wo = window.output_shape(*image)
        size, inside = _padded(window, *image)
        columns = x.reshape(N, -1, window.kh, window.kw, Ho, Wo) if x.size else x
        C = x.shape[1] // (window.kh * window.kw)
        y = memory.zeros((N, C, *size), x.dtype)
        for i, j, seen in _taps(window, Ho, Wo) if x.size else ():
            y[seen] += columns[:, :, i, j]
        return y if size == tuple(image) else np.ascontiguousarray(y[inside])

    def backward(ctx, gy):
        return Unfold.apply(gy, ctx.window)
