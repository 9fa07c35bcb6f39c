"""Pooling. Primitives: max pool (an index, then a gather), gather / scatter within planes,
average pool / its adjoint. Composed: an adaptive average is an average pool with other windows, an
adaptive maximum a gather, a max unpool a scatter.
"""

import functools

import numpy as np

from tinyconv import kernels
from tinyconv.autograd import Function, Tensor
from tinyconv.autograd.deferred import Later, may_wait
from tinyconv.ops.arithmetic import where
from tinyconv.ops.pointwise import Masked

#: the window whose gradient may wait
_PAIRS = kernels.Window.of(2, 2)


class MaxPool2d(Function):
    """y, and with ``indices`` the place of each maximum in its plane."""

    materialize_grads = False  # the index has none

    def forward(ctx, x, window, output, indices):
        y, chosen = kernels.pool.max_forward(x, window, output)
        ctx.window, ctx.image = window, x.shape[2:]
        ctx.save_for_backward(chosen)
        if indices:
            return y, kernels.pool.max_index(chosen, window, ctx.image, y.shape)
        return y

    def backward(ctx, gy, _=None):
        (chosen,) = ctx.saved_tensors
        return MaxPool2dGradient.apply(gy, chosen, ctx.window, ctx.image)


class Scattered(Later):
    """The gradient of a max pool by 2 x 2, which the mask of a ReLU in front of it may join."""

    __slots__ = ("gy", "chosen", "image")

    def __init__(self, gy, chosen, image):
        super().__init__(gy.shape[:2] + image, gy.dtype)
        self.gy, self.chosen, self.image = gy, chosen, image

    def compute(self):
        return kernels.pool.max_gradient(self.gy, self.chosen, _PAIRS, self.image)

    def masked(self, y):
        return MaskedScattered(self, y)


class MaskedScattered(Masked):
    __slots__ = ("scattered",)

    def __init__(self, scattered, y):
        Later.__init__(self, y.shape, y.dtype)
        self.scattered, self.y = scattered, y

    @property
    def gy(self):
        return self.scattered.array()

    def compute(self):
        self.sums()
        return self.known

    def sums(self):
        of = self.scattered
        self.known, sums = kernels.pool.masked_gradient(of.gy, of.chosen, of.image, self.y)
        return sums


class MaxPool2dGradient(Function):
    def forward(ctx, gy, chosen, window, image):
        ctx.options, ctx.shape = (window, image), gy.shape
        ctx.save_for_backward(chosen)
        if window == _PAIRS and chosen.ndim == 3 and may_wait(gy.dtype):
            return Scattered(gy, chosen, image)
        return kernels.pool.max_gradient(gy, chosen, window, image)

    def backward(ctx, ggx):
        (chosen,) = ctx.saved_tensors
        index = kernels.pool.max_index(chosen.array, *ctx.options, ctx.shape)
        return PlaneGather.apply(ggx, Tensor(index))


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
    def forward(ctx, x, windows, inverse):
        ctx.windows, ctx.image = (windows, inverse), x.shape[2:]
        return kernels.pool.average_forward(x, windows, inverse)

    def backward(ctx, gy):
        return AvgPool2dGradient.apply(gy, *ctx.windows, ctx.image)


class AvgPool2dGradient(Function):
    def forward(ctx, gy, windows, inverse, image):
        ctx.windows = windows, inverse
        return kernels.pool.average_gradient(gy, windows, inverse, image)

    def backward(ctx, ggx):
        return AvgPool2d.apply(ggx, *ctx.windows)


def avg_pool2d(x, window, output, count_include_pad, divisor_override):
    """Average pooling with PyTorch's divisors."""
    inverse = _inverse(
        window, x.shape[2:], output, count_include_pad, divisor_override, x.array.real.dtype
    )
    return AvgPool2d.apply(x, window, inverse)


@functools.lru_cache(512)
def _inverse(window, image, output, count_include_pad, divisor_override, dtype):
    """1 / the divisor of each window, (Ho, Wo); where all are equal, one number broadcast.

    With ``count_include_pad`` a window counts its cells inside the padded image: one that
    hangs over it under ``ceil_mode`` counts fewer than kh kw.
    """
    if divisor_override is not None:
        return np.broadcast_to(np.asarray(1 / divisor_override, dtype), output)
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
    if all((count == count[0]).all() for count in counts):
        return np.broadcast_to(np.asarray(1 / (counts[0][0] * counts[1][0]), dtype), output)
    return (1 / np.outer(*counts)).astype(dtype)


def adaptive_windows(size, out):
    """(2, out) starts and stops: floor(p size / out) to ceil((p + 1) size / out)."""
    p = np.arange(out)
    return np.stack([p * size // out, -(-(p + 1) * size // out)]).astype(np.int64)


def adaptive_avg_pool2d(x, output):
    """Averages over the adaptive windows of rows and columns."""
    if 0 in output:
        return _nothing(x, output)
    return AvgPool2d.apply(x, *_adaptive(x.shape[2:], output, x.array.real.dtype))


@functools.lru_cache(512)
def _adaptive(image, output, dtype):
    rows, columns = (adaptive_windows(n, out) for n, out in zip(image, output))
    counts = np.outer(rows[1] - rows[0], columns[1] - columns[0])
    return (rows, columns), (1 / counts).astype(dtype)


def adaptive_max_pool2d(x, output):
    """(the largest value of each adaptive window, its place in its plane)"""
    if 0 in output:
        return _nothing(x, output), Tensor(np.zeros((*x.shape[:2], *output), np.int64))
    index = Tensor(_adaptive_argmax(x.array.real, output))
    return PlaneGather.apply(x, index), index


def _nothing(x, output):
    """A pool that has no windows."""
    rows, columns = (np.zeros(n, np.int64) for n in output)
    return x[:, :, rows[:, None], columns]


def _adaptive_argmax(x, output):
    H, W = x.shape[2:]
    index = np.empty(x.shape[:2] + output, np.int64)
    rows, columns = (adaptive_windows(n, out) for n, out in zip((H, W), output))
    for p, (h0, h1) in enumerate(rows.T):
        for q, (v0, v1) in enumerate(columns.T):
            best = _place(x[:, :, h0:h1, v0:v1].reshape(*x.shape[:2], (h1 - h0) * (v1 - v0)))
            index[:, :, p, q] = (h0 + best // (v1 - v0)) * W + v0 + best % (v1 - v0)
    return index


def _place(windows):
    """The first largest number along the last axis, but the last NaN, as in other max pools."""
    best, missing = windows.argmax(-1), np.isnan(windows)
    if missing.any():
        last = windows.shape[-1] - 1 - missing[..., ::-1].argmax(-1)
        best = np.where(missing.any(-1), last, best)
    return best


def max_unpool2d(x, index, image):
    """Zeros (N, C, *image) but for x at the places ``index`` in its planes, the last one there."""
    places = index.reshape(-1, index.shape[2] * index.shape[3])
    order = np.broadcast_to(np.arange(places.shape[1]), places.shape)
    last = np.zeros((len(places), image[0] * image[1]), np.int64)
    np.put_along_axis(last, places, order, 1)
    alone = np.take_along_axis(last, places, 1) == order
    if not alone.all():
        x = where(Tensor(alone.reshape(index.shape)), x, 0.0)
    return PlaneScatter.apply(x, Tensor(index), image)
