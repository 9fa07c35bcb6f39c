"""Pooling over the planes of x (N, C, H, W), and the adjoint of each pool.

Max pool is "choose an index, then gather": its gradient scatters by the same indices, and
the gradient of that gathers again. Average pool is linear: a sum over the window and its
adjoint, which spreads. Overlapping windows accumulate.
"""

import numpy as np

from tinyconv.kernels import parallel
from tinyconv.kernels.complex_step import analytic
from tinyconv.kernels.jit import kernel, plain


@kernel
def _maximum(x, y, index, g, start, stop):
    """The first largest value of each window and its place h W + v in the plane."""
    H, W = x.shape[1:]
    Ho, Wo = y.shape[1:]
    for plane in range(start, stop):
        for p in range(Ho):
            for q in range(Wo):
                h0, v0 = p * g.sh - g.top, q * g.sw - g.left
                # the first tap inside the image: dilation may step over the border
                i0 = (-h0 + g.dh - 1) // g.dh if h0 < 0 else 0
                j0 = (-v0 + g.dw - 1) // g.dw if v0 < 0 else 0
                at = (h0 + i0 * g.dh) * W + v0 + j0 * g.dw
                best = x[plane, h0 + i0 * g.dh, v0 + j0 * g.dw]
                for i in range(i0, g.kh):
                    h = h0 + i * g.dh
                    if h >= H:
                        break
                    for j in range(j0, g.kw):
                        v = v0 + j * g.dw
                        if v >= W:
                            break
                        value = x[plane, h, v]
                        # a NaN stays, as in PyTorch
                        if value.real > best.real or value.real != value.real:
                            best, at = value, h * W + v
                y[plane, p, q] = best
                index[plane, p, q] = at


@kernel
def _gather(x, index, y, start, stop):
    for plane in range(start, stop):
        for p in range(index.shape[1]):
            y[plane, p] = x[plane, index[plane, p]]


@kernel
def _scatter(gy, index, gx, start, stop):
    for plane in range(start, stop):
        for p in range(index.shape[1]):
            gx[plane, index[plane, p]] += gy[plane, p]


@kernel
def _average(x, y, inverse, rows, columns, start, stop):
    for plane in range(start, stop):
        for p in range(y.shape[1]):
            for q in range(y.shape[2]):
                total = 0.0  # in double precision: a window may be the whole image
                for h in range(rows[0, p], rows[1, p]):
                    for v in range(columns[0, q], columns[1, q]):
                        total += x[plane, h, v]
                y[plane, p, q] = total * inverse[p, q]


@kernel
def _spread(gy, gx, inverse, rows, columns, start, stop):
    for plane in range(start, stop):
        for p in range(gy.shape[1]):
            for q in range(gy.shape[2]):
                share = gy[plane, p, q] * inverse[p, q]
                for h in range(rows[0, p], rows[1, p]):
                    for v in range(columns[0, q], columns[1, q]):
                        gx[plane, h, v] += share


def _planes(x, flat=False):
    last = (x.shape[-2] * x.shape[-1],) if flat else x.shape[-2:]
    return plain(x).reshape(-1, *last)


def _over_planes(body, count, work):
    parallel.run(lambda _, start, stop: body(start, stop), parallel.chunks(count, work))


def max_forward(x, window, ceil_mode):
    """x (N, C, H, W) -> y (N, C, Ho, Wo) and the index of each maximum in its plane, int64."""
    shape = x.shape[:2] + window.output_shape(*x.shape[2:], ceil_mode)
    y, index = np.empty(shape, x.dtype), np.empty(shape, np.int64)
    x3, y3, i3 = _planes(x), _planes(y), _planes(index)
    _over_planes(
        lambda a, b: _maximum(x3, y3, i3, window, a, b), len(x3), y.size * window.kh * window.kw
    )
    return y, index


def gather(x, index):
    """x (N, C, H, W), index (N, C, Ho, Wo) -> y[n, c, p, q] = x[n, c].flat[index[n, c, p, q]]."""
    y = np.empty(index.shape, x.dtype)
    x2, i2, y2 = _planes(x, True), _planes(index, True), _planes(y, True)
    _over_planes(lambda a, b: _gather(x2, i2, y2, a, b), len(x2), y.nbytes)
    return y


def scatter(gy, index, image):
    """The adjoint of ``gather``: gx (N, C, H, W) with ``image`` = (H, W)."""
    gx = np.zeros(gy.shape[:2] + tuple(image), gy.dtype)
    g2, i2, x2 = _planes(gy, True), _planes(index, True), _planes(gx, True)
    _over_planes(lambda a, b: _scatter(g2, i2, x2, a, b), len(x2), gx.nbytes)
    return gx


@analytic
def average_forward(x, rows, columns, inverse):
    """Window sums times ``inverse`` (Ho, Wo), the reciprocals of the divisors.

    Window (p, q) covers rows[0, p] to rows[1, p] and columns[0, q] to columns[1, q]; rows
    (2, Ho) and columns (2, Wo) are int64 and stay inside the image.
    """
    y = np.empty(x.shape[:2] + inverse.shape, x.dtype)
    x3, y3 = _planes(x), _planes(y)
    _over_planes(
        lambda a, b: _average(x3, y3, inverse, rows, columns, a, b),
        len(x3),
        _work(x, rows, columns),
    )
    return y


@analytic
def average_adjoint(gy, rows, columns, inverse, image):
    """The adjoint of ``average_forward``: gx (N, C, H, W) with ``image`` = (H, W)."""
    gx = np.zeros(gy.shape[:2] + tuple(image), gy.dtype)
    g3, x3 = _planes(gy), _planes(gx)
    _over_planes(
        lambda a, b: _spread(g3, x3, inverse, rows, columns, a, b),
        len(x3),
        _work(gy, rows, columns),
    )
    return gx


def _work(x, rows, columns):
    """How many numbers all windows of all planes hold."""
    taps = int((rows[1] - rows[0]).sum()) * int((columns[1] - columns[0]).sum())
    return x.shape[0] * x.shape[1] * taps
