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


class Taps(NamedTuple):
    """Output i of ``len(index)`` is sum_t weights[i, t] x[index[i, t]], of ``size`` inputs."""

    size: int
    index: np.ndarray
    weights: np.ndarray
    matrix: np.ndarray  # the same as a matrix


class Resample(Function):
    """``taps`` along an axis, or with ``adjoint`` their transpose."""

    def forward(ctx, x, axis, taps, adjoint=False):
        ctx.axis, ctx.taps, ctx.adjoint = axis, taps, adjoint
        if np.isfinite(x).all():
            return _multiplied(x, axis, taps.matrix.T if adjoint else taps.matrix)
        # a product with a matrix would take its zeros times infinity
        x = np.moveaxis(x, axis, 0)
        weights = taps.weights.reshape(taps.weights.shape + (1,) * (x.ndim - 1))
        if adjoint:
            y = np.zeros((taps.size, *x.shape[1:]), x.dtype)
            for t in range(weights.shape[1]):
                np.add.at(y, taps.index[:, t], weights[:, t] * x)
        else:
            y = sum(weights[:, t] * x[taps.index[:, t]] for t in range(weights.shape[1]))
        return np.ascontiguousarray(np.moveaxis(y, 0, axis), x.dtype)

    def backward(ctx, gy):
        return Resample.apply(gy, ctx.axis, ctx.taps, not ctx.adjoint)


def _multiplied(x, axis, matrix):
    matrix = matrix.astype(x.dtype)
    before, n, behind = x.shape[:axis], x.shape[axis], x.shape[axis + 1 :]
    shape = (*before, len(matrix), *behind)
    if not x.size:
        return np.zeros(shape, x.dtype)
    if behind:
        x = x.reshape(math.prod(before), n, math.prod(behind))
        return kernels.matmul.matmul(matrix, x).reshape(shape)
    return kernels.matmul.matmul(x.reshape(-1, n), matrix.T).reshape(shape)


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


def _linear(places):
    """Two neighbours by their distance; left of the first there is nothing."""
    places = np.maximum(places, 0)
    low = np.floor(places)
    t = places - low
    return low, np.stack([1 - t, t], 1)


def _cubic(places):
    """Four neighbours. Keys 1981, doi:10.1109/TASSP.1981.1163711, with a = -3/4."""
    a = -0.75
    low = np.floor(places)
    t = places - low

    def near(d):
        return ((a + 2) * d - (a + 3)) * d * d + 1

    def far(d):
        return ((a * d - 5 * a) * d + 8 * a) * d - 4 * a

    return low - 1, np.stack([far(t + 1), near(t), near(1 - t), far(2 - t)], 1)


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
    index = low.astype(np.int64)[:, None] + np.arange(weights.shape[1])
    index = np.clip(index, 0, n - 1)
    matrix = np.zeros((m, n), dtype)
    np.add.at(matrix, (np.arange(m)[:, None], index), weights)
    return Taps(n, index, weights.astype(dtype), matrix)
