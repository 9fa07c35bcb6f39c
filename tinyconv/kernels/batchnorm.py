"""Batch normalisation over all axes but the channels, with what often follows in the same pass.

    y = act((x - mean) * scale + shift + residual),   scale = w / sqrt(var + eps), var biased

Statistics are one pass over memory, the line above another. The gradient is two passes, and
both take the mask of a ReLU behind from its result, y > 0, on the way; where nothing was added
in between, they reckon y from x again, which is cheaper than to read it.
"""

import functools
import math

import numpy as np

from tinyconv.kernels import memory, parallel
from tinyconv.kernels.batchnorm_passes import (
    BY_LINE,
    BY_RESULT,
    OPEN,
    input_gradient,
    line,
    merge_squares,
    merge_sums,
    running,
    sum_products,
    sum_squares,
)
from tinyconv.kernels.complex_step import analytic
from tinyconv.kernels.jit import plain


def _flat(x):
    return plain(x).reshape(-1)


def _images(gy):
    """The numbers of ``gy`` from its first on, and how far apart its images begin: so a range
    of the channels of a larger array needs no copy."""
    image = gy[:1]
    if gy.flags.c_contiguous or not (image.flags.c_contiguous and gy.strides[0] > 0):
        return _flat(gy), gy[0].size
    pitch = gy.strides[0] // gy.itemsize
    count = (len(gy) - 1) * pitch + image.size
    return np.lib.stride_tricks.as_strided(gy, (count,), (gy.itemsize,)), pitch


@functools.lru_cache(maxsize=1024)
def _share(N, C, P, size):
    """(row, images, channels) of each piece of work, that many parts, and how many numbers of a
    channel are in each row of partial sums.

    Many images are cut into blocks, through which memory is read straight on; few are cut by
    channels.
    """
    images = parallel.chunks(N, size)
    if len(images) > 1 or C == 1:
        pieces = [(i, piece, (0, C)) for i, piece in enumerate(images)]
    else:
        pieces, images = [(0, (0, N), piece) for piece in parallel.chunks(C, size)], [(0, N)]
    sizes = np.array([(stop - start) * P for start, stop in images], np.float64)
    return pieces, [(i, i + 1) for i in range(len(pieces))], sizes


def _sizes(x):
    """N, C, and the numbers in a plane."""
    N, C = x.shape[:2]
    return N, C, math.prod(x.shape[2:])


def statistics(x, eps):
    """x (N, C, ...) -> mean, biased variance and 1/std, each of shape (C,)."""
    if x.dtype.kind == "c":
        axes = (0, *range(2, x.ndim))
        mean = x.mean(axes)
        var = np.square(x - _column(mean, x)).mean(axes)
        return mean, var, 1 / np.sqrt(var + eps)
    N, C, P = _sizes(x)
    pieces, parts, sizes = _share(N, C, P, x.nbytes)
    flat = _flat(x)
    means, squares = np.empty((2, len(sizes), C))
    parallel.run(lambda i, *_: sum_squares(flat, P, means, squares, *pieces[i]), parts)
    mean, var, invstd = (np.empty(C, x.dtype) for _ in range(3))
    merge_squares(means, squares, sizes, eps, mean, var, invstd)
    return mean, var, invstd


@analytic
def normalise(x, mean, scale, shift, residual=None, relu=False):
    """act((x - mean) * scale + shift + residual), act the ReLU or nothing.

    x and the residual are (N, C, ...), the others (C,).
    """
    if x.dtype.kind == "c":
        return (x - _column(mean, x)) * _column(scale, x) + _column(shift, x)
    N, C, P = _sizes(x)
    y = memory.empty(x.shape, x.dtype)
    flat, out = _flat(x), y.reshape(-1)
    mean, scale, shift = plain(mean), plain(scale), plain(shift)
    adds = residual is not None
    other = _flat(residual) if adds else flat
    parallel.run(
        lambda _, start, stop: line(
            flat, P, mean, scale, shift, other, out, adds, relu, start, stop
        ),
        parallel.chunks(N * C, 2 * x.nbytes),
    )
    return y


def running_line(mean, var, w, b, eps):
    """(scale, shift): x * scale + shift normalises by given statistics; w and b may be None."""
    scale, shift = np.empty((2, len(mean)), mean.dtype)
    ws, bs = (mean if t is None else plain(t) for t in (w, b))
    running(plain(mean), plain(var), ws, bs, w is not None, b is not None, eps, scale, shift)
    return scale, shift


@analytic
def forward(x, w, b, eps):
    """x (N, C, ...), w, b (C,) -> y, and mean, biased variance, 1/std of shape (C,)."""
    mean, var, invstd = statistics(x, eps)
    return normalise(x, mean, w * invstd, b), mean, var, invstd


@analytic
def backward(gy, x, w, mean, invstd):
    """The cotangents of x, w and b."""
    if x.dtype.kind != "c":
        return through_relu(gy, x, w, mean, invstd)[:3]
    axes = (0, *range(2, x.ndim))
    xhat = (x - _column(mean, x)) * _column(invstd, x)
    gw, gb = (gy * xhat).sum(axes), gy.sum(axes)
    count = x.size // len(w)
    gx = _column(w * invstd, x) * (gy - _column(gb / count, x) - xhat * _column(gw / count, x))
    return gx, gw, gb


def through_relu(gy, x, w, mean, invstd, y=None, keep=False, shift=None):
    """The cotangents of x, w and b; if ``y`` is given, through the ReLU behind that made it.

    With ``keep`` the cotangent in front of the ReLU is written down on the way, and returned as
    the fourth, else there is None. A ``shift`` tells that the ReLU was of
    (x - mean) * w * invstd + shift itself, so that y need not be read.
    """
    N, C, P = _sizes(x)
    flat, mean, invstd = _flat(x), plain(mean), plain(invstd)
    g, pitch = _images(gy)
    scale = w * invstd  # as it was in the pass forward, to the last bit
    mask, out = OPEN, flat
    if shift is not None:
        mask = BY_LINE
    elif y is not None:
        mask, out = BY_RESULT, _flat(y)
    shift = mean if shift is None else shift
    masked = memory.empty(x.shape, x.dtype) if keep else None
    kept = masked.reshape(-1) if keep else flat
    totals, products = _partial_sums(g, pitch, x, flat, out, mean, scale, shift, kept, mask, keep)
    gw, gb, slope, level = (np.empty(C, x.dtype) for _ in range(4))
    merge_sums(totals, products, N * P, scale, invstd, gw, gb, slope, level)
    if keep:
        g, pitch, mask = kept, C * P, OPEN
    gx = memory.empty(x.shape, x.dtype)
    to = gx.reshape(-1)
    parallel.run(
        lambda _, start, stop: input_gradient(
            g, pitch, flat, out, P, mean, scale, shift, slope, level, to, mask, start, stop
        ),
        parallel.chunks(N * C, 2 * x.nbytes),
    )
    return gx, gw, gb, masked


def _partial_sums(g, pitch, x, flat, out, mean, scale, shift, kept, mask, keep):
    """``sum_products`` of all of x, whose numbers are ``flat``, by all threads: rows of sums."""
    N, C, P = _sizes(x)
    pieces, parts, sizes = _share(N, C, P, 2 * x.nbytes)
    totals, products = np.empty((2, len(sizes), C))
    parallel.run(
        lambda i, *_: sum_products(
            g, pitch, flat, out, P, mean, scale, shift, kept, totals, products, mask, keep,
            *pieces[i],
        ),
        parts,
    )  # fmt: skip
    return totals, products


def masked_sums(gy, y):
    """gy where y > 0 or NaN, else 0, and its sums over all axes but the second: what a ReLU and
    a bias in front of it send back."""
    flat, zero = _flat(y), np.zeros(y.shape[1], y.dtype)
    g, pitch = _images(gy)
    masked = memory.empty(y.shape, y.dtype)
    kept = masked.reshape(-1)
    one = zero + 1  # the line is y itself
    totals, _ = _partial_sums(g, pitch, y, flat, flat, zero, one, zero, kept, BY_LINE, True)
    return masked, totals.sum(0).astype(y.dtype)


def _column(v, x):
    """(C,) as it is broadcast over x."""
    return v.reshape((-1,) + (1,) * (x.ndim - 2))
