"""Images in another size, one axis after the other.

Primitives: resampling along one axis, every output a weighted sum of a few inputs; and the
copy of chosen inputs along one axis. Both are linear: the gradient is the adjoint, made by the
same Function.
"""

import functools
import math
from typing import NamedTuple

import numpy as np

from tinyconv import kernels
from tinyconv.autograd import Function
from tinyconv.kernels import memory

#: rows of a piece of a large matrix, and the numbers up to which a matrix is not cut
_BLOCK, _SMALL = 32, 1 << 12


class Taps(NamedTuple):
    """Output i is sum_t weights[i, t] x[places[i, t]], of ``size`` inputs."""

    size: int
    places: np.ndarray
    weights: np.ndarray
    pieces: list  # the same as a matrix: what of it is not 0, as (rows, columns, numbers)
    across: list  # the same of its transpose


class Resample(Function):
    """``taps`` along an axis, or with ``adjoint`` their transpose."""

    def forward(ctx, x, axis, taps, adjoint=False):
        ctx.axis, ctx.taps, ctx.adjoint = axis, taps, adjoint
        if np.isfinite(x).all():
            size = taps.size if adjoint else len(taps.places)
            return _multiplied(x, axis, taps.across if adjoint else taps.pieces, size)
        # a product with a matrix would take its zeros times infinity
        x = np.moveaxis(x, axis, 0)
        weights = taps.weights.reshape(taps.weights.shape + (1,) * (x.ndim - 1))
        if adjoint:
            y = np.zeros((taps.size, *x.shape[1:]), x.dtype)
            for t in range(weights.shape[1]):
                np.add.at(y, taps.places[:, t], weights[:, t] * x)
        else:
            y = sum(weights[:, t] * x[taps.places[:, t]] for t in range(weights.shape[1]))
        return np.ascontiguousarray(np.moveaxis(y, 0, axis), x.dtype)

    def backward(ctx, gy):
        return Resample.apply(gy, ctx.axis, ctx.taps, not ctx.adjoint)


def _multiplied(x, axis, pieces, size):
    """The matrix cut in ``pieces`` times x along an axis, which has ``size`` numbers then."""
    before, n, behind = x.shape[:axis], x.shape[axis], x.shape[axis + 1 :]
    if not x.size:
        return np.zeros((*before, size, *behind), x.dtype)
    x = x.reshape(math.prod(before), n, math.prod(behind))

    def product(numbers, x):
        numbers = numbers.astype(x.dtype, copy=False)
        if behind:
            return kernels.matmul.matmul(numbers, x)
        return kernels.matmul.matmul(x[..., 0], numbers.T)[..., None]

    if len(pieces) == 1:
        ((_, columns, numbers),) = pieces
        y = product(numbers, x[:, columns])
    else:
        y = memory.empty((len(x), size, x.shape[2]), x.dtype)
        for rows, columns, numbers in pieces:
            y[:, rows] = product(numbers, x[:, columns])
    return y.reshape(*before, size, *behind)


def _pieces(matrix):
    """[(rows, columns, matrix[rows, columns])]: a large matrix that is 0 but for a band, cut so
    that little of the rest is left."""
    m, n = matrix.shape
    if m * n <= _SMALL:
        return [(slice(None), slice(None), matrix)]
    found = []
    for i in range(0, m, _BLOCK):
        used = np.flatnonzero(matrix[i : i + _BLOCK].any(0))
        columns = slice(used[0], used[-1] + 1) if len(used) else slice(0, 1)
        rows = slice(i, min(i + _BLOCK, m))
        found.append((rows, columns, np.ascontiguousarray(matrix[rows, columns])))
    return found


class Choose(Function):
    """y[i] = x[index[i]] along an axis, for an index that never falls; or with ``adjoint`` the
    sums of what came from each of ``size`` places."""

    def forward(ctx, x, axis, index, size, adjoint=False):
        ctx.options = axis, index, size, not adjoint
        if not adjoint:
            return x.take(index, axis)
        before = (slice(None),) * axis
        y = np.zeros((*x.shape[:axis], size, *x.shape[axis + 1 :]), x.dtype)
        first = np.searchsorted(index, np.arange(size))
        count = np.bincount(index, minlength=size)
        for k in range(count.max(initial=0)):
            (to,) = np.nonzero(count > k)
            y[(*before, _evenly(to))] += x[(*before, _evenly(first[to] + k))]
        return y

    def backward(ctx, gy):
        return Choose.apply(gy, *ctx.options)


def _evenly(index):
    """A slice in the place of evenly spaced numbers: that is faster."""
    step = int(index[1] - index[0]) if len(index) > 1 else 1
    if step and (np.diff(index) == step).all():
        return slice(int(index[0]), int(index[-1]) + 1, step)
    return index


# -- where an output lies among the inputs ------------------------------------------------------
def _scale(n, m, scale_factor, dtype):
    """Inputs per output; what the caller gave counts, not what the sizes make of it."""
    return dtype.type(n / m if scale_factor is None else 1 / scale_factor)


def nearest(n, m, scale_factor, exact):
    """The input that each of m outputs copies: floor(i s), or with ``exact`` floor((i + 1/2) s)."""
    single = np.dtype(np.float32)
    places = np.arange(m, dtype=single) + single.type(0.5 if exact else 0)
    index = np.floor(places * _scale(n, m, scale_factor, single)).astype(np.int64)
    return np.minimum(index, n - 1)


def cubic(t):
    """The weights of the pixels at -1, 0, 1 and 2 for a place at 0 <= t < 1, as arrays or Tensors.

    Source: Keys 1981, doi:10.1109/TASSP.1981.1163711, with a = -3/4.
    """
    a = -0.75

    def near(d):
        return ((a + 2) * d - (a + 3)) * d * d + 1

    def far(d):
        return ((a * d - 5 * a) * d + 8 * a) * d - 4 * a

    return far(t + 1), near(t), near(1 - t), far(2 - t)


def _linear(places):
    """Two neighbours by their distance; left of the first there is nothing."""
    places = np.maximum(places, 0)
    low = np.floor(places)
    return low, (1 - (places - low), places - low)


def _cubic(places):
    low = np.floor(places)
    return low - 1, cubic(places - low)


_CURVES = {"linear": _linear, "cubic": _cubic}


@functools.lru_cache(256)
def taps(curve, n, m, scale_factor, align_corners, dtype) -> Taps:
    """How m outputs are made of n inputs, with the curve 'linear' or 'cubic'.

    Output i lies at (i + 1/2) s - 1/2 with s = n / m: the images' edges meet; or, with
    ``align_corners``, at i (n - 1) / (m - 1): their corner pixels' centres do.
    """
    i = np.arange(m, dtype=dtype)
    if align_corners:
        places = i * dtype.type((n - 1) / (m - 1) if m > 1 else 0)
    else:
        half = dtype.type(0.5)
        places = (i + half) * _scale(n, m, scale_factor, dtype) - half
    low, weights = _CURVES[curve](places)
    weights = np.stack(weights, 1)
    index = low.astype(np.int64)[:, None] + np.arange(weights.shape[1])
    index = np.clip(index, 0, n - 1)
    matrix = np.zeros((m, n), dtype)
    np.add.at(matrix, (np.arange(m)[:, None], index), weights)
    return Taps(n, index, weights, _pieces(matrix), _pieces(np.ascontiguousarray(matrix.T)))
