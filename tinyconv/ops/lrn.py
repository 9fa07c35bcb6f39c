"""Local response normalisation. Primitives: itself, its gradient, and the sum over neighbouring
channels, whose adjoint is the same sum with its ends swapped. The gradient's own derivative
differentiates its formula, written in ops.

NumPy is fast enough here: the passes over one image find it in the cache, and square roots
stand for the power 3/4, which would take most of the time.
"""

import numpy as np

from tinyconv.autograd import Function
from tinyconv.kernels import parallel
from tinyconv.kernels.complex_step import analytic
from tinyconv.ops.common import quiet, vjp_of


class LocalResponseNorm(Function):
    """y = x d^-beta with d = k + alpha / size * (the sum of x^2 over neighbouring channels)."""

    def forward(ctx, x, size, alpha, beta, k):
        ctx.options = size, alpha, beta, k
        y, d = _normalise(x, *ctx.options)
        ctx.save_for_backward(x, d)
        return y

    def backward(ctx, gy):
        return LocalResponseNormGradient.apply(gy, *ctx.saved_tensors, *ctx.options)


class LocalResponseNormGradient(Function):
    def forward(ctx, gy, x, d, size, alpha, beta, k):
        ctx.options = size, alpha, beta, k
        ctx.save_for_backward(gy, x)  # d is x in another form, not an input of its own
        return _gradient(gy, x, d, size, alpha, beta)

    def backward(ctx, ggx):
        options = ctx.options
        return vjp_of(lambda gy, x: [_formula(gy, x, *options)], ctx.saved_tensors, [ggx])


class ChannelSum(Function):
    """y[:, c] = x[:, c - before] + ... + x[:, c + behind], as far as there are channels."""

    def forward(ctx, x, before, behind):
        ctx.ends = before, behind
        y = np.empty(x.shape, x.dtype)
        for image, total in zip(x, y):
            total[...] = _sum(image, before, behind)
        return y

    def backward(ctx, gy):
        before, behind = ctx.ends
        return ChannelSum.apply(gy, behind, before)


def _formula(gy, x, size, alpha, beta, k):
    """gx = gy d^-beta - 2 alpha beta / size * x * (the sum of gy x d^(-beta - 1))."""
    before, behind = _ends(size)
    d = ChannelSum.apply(x * x, before, behind) * (alpha / size) + k
    inner = ChannelSum.apply(gy * x * d ** (-beta - 1), behind, before)
    return gy * d**-beta - x * inner * (2 * alpha * beta / size)


@analytic
def _normalise(x, size, alpha, beta, k):
    """(y, d)."""
    y, d = np.empty(x.shape, x.dtype), np.empty(x.shape, x.dtype)

    def one(n):
        total = _sum(x[n] * x[n], *_ends(size))
        total *= alpha / size
        np.add(total, k, out=d[n])
        np.divide(x[n], _power(d[n], beta), out=y[n])

    _each(one, x)
    return y, d


@analytic
def _gradient(gy, x, d, size, alpha, beta):
    gx = np.empty(x.shape, x.dtype)
    before, behind = _ends(size)

    def one(n):
        np.divide(gy[n], _power(d[n], beta), out=gx[n])
        inner = gx[n] * x[n]
        inner /= d[n]
        inner = _sum(inner, behind, before)
        inner *= x[n]
        inner *= 2 * alpha * beta / size
        gx[n] -= inner

    _each(one, x)
    return gx


def _ends(size):
    """The neighbours before and behind: an even window reaches further back."""
    return size // 2, (size - 1) // 2


def _sum(image, before, behind):
    """``ChannelSum`` of one image (C, ...)."""
    total, last = image.copy(), len(image) - 1
    for j in range(1, min(before, last) + 1):
        total[j:] += image[:-j]
    for j in range(1, min(behind, last) + 1):
        total[:-j] += image[j:]
    return total


def _power(d, beta):
    if beta != 0.75:
        return d**beta
    root = np.sqrt(d)
    power = np.sqrt(root)
    power *= root
    return power


def _each(body, images):
    """Call ``body(n)`` for every image, by all threads."""

    @quiet  # the state of warnings is a thread's own
    def some(_, start, stop):
        for n in range(start, stop):
            body(n)

    parallel.run(some, parallel.chunks(len(images), 8 * images.nbytes))
