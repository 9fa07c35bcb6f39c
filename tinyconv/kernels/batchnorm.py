"""Batch normalisation over all axes but the channels: x as (N, C, pixels).

    y = (x - mean) * invstd * w + b,   invstd = 1 / sqrt(var + eps), var biased

One thread does a whole channel, so sums have one order, and a channel's second and third
pass find it in the cache. Sums are in double precision: float32 sums over a batch of
images lose digits that the variance needs.
"""

import numpy as np

from tinyconv.kernels import parallel
from tinyconv.kernels.complex_step import analytic
from tinyconv.kernels.jit import kernel, plain


@kernel
def _forward(x, w, b, eps, y, mean, var, invstd, start, stop):
    N, _, P = x.shape
    for c in range(start, stop):
        total = 0.0
        for n in range(N):
            for p in range(P):
                total += x[n, c, p]
        m = total / (N * P)
        squares = 0.0
        for n in range(N):
            for p in range(P):
                d = x[n, c, p] - m
                squares += d * d
        v = squares / (N * P)
        s = 1.0 / np.sqrt(v + eps)
        mean[c], var[c], invstd[c] = m, v, s
        # centred first: x * scale + shift would lose digits where |mean| >> std
        centre, scale, shift = mean[c], w[c] * invstd[c], b[c]
        for n in range(N):
            for p in range(P):
                y[n, c, p] = (x[n, c, p] - centre) * scale + shift


@kernel
def _backward(gy, x, w, mean, invstd, gx, gw, gb, start, stop):
    N, _, P = x.shape
    for c in range(start, stop):
        m, s = mean[c], invstd[c]
        sum_g = 0.0
        sum_gx = 0.0
        for n in range(N):
            for p in range(P):
                g = gy[n, c, p]
                sum_g += g
                sum_gx += g * ((x[n, c, p] - m) * s)
        gw[c], gb[c] = sum_gx, sum_g
        scale = w[c] * s
        # rounded to the array's dtype once, so that the loop stays in it
        mean_g = gb[c] / x.dtype.type(N * P)
        slope = gw[c] / x.dtype.type(N * P) * s
        for n in range(N):
            for p in range(P):
                gx[n, c, p] = scale * (gy[n, c, p] - mean_g - (x[n, c, p] - m) * slope)


def _three(x):
    return plain(x).reshape(x.shape[0], x.shape[1], -1)


@analytic
def forward(x, w, b, eps):
    """x (N, C, ...), w, b (C,) -> y, and mean, biased variance, 1/std of shape (C,)."""
    C = x.shape[1]
    y = np.empty(x.shape, x.dtype)
    mean, var, invstd = (np.empty(C, x.dtype) for _ in range(3))
    w, b = plain(w), plain(b)
    x3, y3 = _three(x), y.reshape(x.shape[0], C, -1)
    parallel.run(
        lambda _, start, stop: _forward(x3, w, b, eps, y3, mean, var, invstd, start, stop),
        parallel.chunks(C, x.nbytes),
    )
    return y, mean, var, invstd


@analytic
def backward(gy, x, w, mean, invstd):
    """The cotangents of x, w and b."""
    C = x.shape[1]
    gx = np.empty(x.shape, x.dtype)
    gw, gb = np.empty(C, x.dtype), np.empty(C, x.dtype)
    w = plain(w)
    gy3, x3, gx3 = _three(gy), _three(x), gx.reshape(x.shape[0], C, -1)
    parallel.run(
        lambda _, start, stop: _backward(gy3, x3, w, mean, invstd, gx3, gw, gb, start, stop),
        parallel.chunks(C, x.nbytes),
    )
    return gx, gw, gb
