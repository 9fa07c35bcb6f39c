"""Normalisation of rows: group, instance and layer norm.

    y[n,g,k,p] = (x[n,g,k,p] - mean[n,g]) * invstd[n,g] * w[g,k] + b[g,k]

A row is x[n,g]: a group of K channels with their P pixels, or for layer norm all numbers that are
normalised together, each with a weight of its own (P = 1). It stays in the cache from the first
pass, which takes its sums, to the second, which writes; so memory is read once each way.
"""

import numpy as np

from tinyconv.kernels import memory, parallel
from tinyconv.kernels.batchnorm_passes import read, write
from tinyconv.kernels.complex_step import analytic
from tinyconv.kernels.jit import kernel, part, plain
from tinyconv.kernels.simd import (
    add,
    first,
    fma,
    lanes,
    load,
    splat,
    total,
    zeros,
)
from tinyconv.kernels.simd_extra import multiply

#: numbers that are summed in their own precision, in lanes, before they are added up in float64
_BLOCK = 4096
#: rows whose shares of a gradient are summed in their own precision
_ROWS = 64


@part
def _moments(x, at, D, away):
    """Mean and biased variance of x[at : at + D]; ``away`` is room for a number.

    Each block is shifted by the mean of those before it, the first by that of its first numbers:
    so the variance keeps its digits where |mean| >> std.
    """
    n = lanes(x)
    mean, square = np.float64(total(read(x, at, D)) / min(n, D)), 0.0
    for begin in range(0, D, _BLOCK):
        end, before = min(begin + _BLOCK, D), np.float64(begin)
        away[0] = -mean
        m, sum_d, sum_dd, other_d, other_dd = splat(away, 0), zeros(x), zeros(x), zeros(x), zeros(x)
        whole = begin + (end - begin) // (2 * n) * 2 * n
        for p in range(begin, whole, 2 * n):
            d, e = add(load(x, at + p), m), add(load(x, at + p + n), m)
            sum_d, sum_dd = add(sum_d, d), fma(d, d, sum_dd)
            other_d, other_dd = add(other_d, e), fma(e, e, other_dd)
        for p in range(whole, end, n):
            d = add(read(x, at + p, end - p), m)
            if end - p < n:
                d = first(d, end - p)
            sum_d, sum_dd = add(sum_d, d), fma(d, d, sum_dd)
        size = np.float64(end - begin)
        inner = np.float64(total(add(sum_d, other_d))) / size
        delta = inner - np.float64(away[0]) - mean
        share = size / (before + size)
        mean += delta * share
        square += np.float64(total(add(sum_dd, other_dd))) - inner * inner * size
        square += delta * delta * before * share
    return mean, square / D


@kernel
def _forward(x, w, b, K, P, eps, y, means, variances, invstds, start, stop):
    n, groups, D = lanes(x), len(w) // K, K * P
    number = np.empty(3, x.dtype)
    for r in range(start, stop):
        at, of = r * D, r % groups * K
        mean, var = _moments(x, at, D, number)
        invstd = 1.0 / np.sqrt(var + eps)
        means[r], variances[r], invstds[r] = mean, var, invstd
        number[0], number[1] = -mean, invstd
        m, s = splat(number, 0), splat(number, 1)
        if P == 1:
            for k in range(0, K, n):
                left = K - k
                d = multiply(add(read(x, at + k, left), m), s)
                write(y, at + k, left, fma(d, read(w, of + k, left), read(b, of + k, left)))
            continue
        for k in range(K):
            number[2] = number[1] * w[of + k]
            s, shift = splat(number, 2), splat(b, of + k)
            for p in range(at + k * P, at + (k + 1) * P, n):
                left = at + (k + 1) * P - p
                write(y, p, left, fma(add(read(x, p, left), m), s, shift))


@kernel
def _backward(gy, x, w, means, invstds, K, P, gx, gws, gbs, part, start, stop):
    """gx, and this part's shares of gw and gb into a row of theirs."""
    n, groups, D = lanes(x), len(w) // K, K * P
    number = np.empty(4, x.dtype)
    gw, gb = np.zeros(len(w), x.dtype), np.zeros(len(w), x.dtype)
    for r in range(start, stop):
        at, of = r * D, r % groups * K
        number[0], number[1] = -means[r], invstds[r]
        m, s = splat(number, 0), splat(number, 1)
        # sums over the row of w g and of w g (x - mean)
        level, slope = 0.0, 0.0
        if P == 1:
            for begin in range(0, K, _BLOCK):
                end, sum_g, sum_gd = min(begin + _BLOCK, K), zeros(x), zeros(x)
                for k in range(begin, end, n):
                    left = end - k
                    g, d = read(gy, at + k, left), add(read(x, at + k, left), m)
                    gd, gc = multiply(g, d), multiply(g, read(w, of + k, left))
                    sum_g, sum_gd = add(gc, sum_g), fma(gc, d, sum_gd)
                    write(gx, at + k, left, gc)
                    write(gw, of + k, left, fma(gd, s, read(gw, of + k, left)))
                    write(gb, of + k, left, add(g, read(gb, of + k, left)))
                level += total(sum_g)
                slope += total(sum_gd)
        else:
            for k in range(K):
                all_g, all_gd = 0.0, 0.0
                for begin in range(at + k * P, at + (k + 1) * P, _BLOCK):
                    end, sum_g, sum_gd = min(begin + _BLOCK, at + (k + 1) * P), zeros(x), zeros(x)
                    for p in range(begin, end, n):
                        g, d = read(gy, p, end - p), add(read(x, p, end - p), m)
                        sum_g, sum_gd = add(sum_g, g), fma(g, d, sum_gd)
                    all_g += total(sum_g)
                    all_gd += total(sum_gd)
                level += w[of + k] * all_g
                slope += w[of + k] * all_gd
                gw[of + k] += all_gd * invstds[r]
                gb[of + k] += all_g
        invstd = np.float64(invstds[r])
        number[2] = -level / D
        number[3] = -invstd * invstd * invstd * slope / D
        l, t = splat(number, 2), splat(number, 3)
        # w g less its mean comes first: 1 / std may be large, and what it scales cancel out. For
        # P = 1 it has waited in gx, so that what is taken away is, to the last bit, what was summed
        if P == 1:
            for k in range(0, K, n):
                left = K - k
                gc, d = read(gx, at + k, left), add(read(x, at + k, left), m)
                write(gx, at + k, left, fma(d, t, multiply(add(gc, l), s)))
        else:
            for k in range(K):
                c = splat(w, of + k)
                for p in range(at + k * P, at + (k + 1) * P, n):
                    left = at + (k + 1) * P - p
                    g, d = read(gy, p, left), add(read(x, p, left), m)
                    write(gx, p, left, fma(d, t, multiply(fma(g, c, l), s)))
        if (r - start) % _ROWS == _ROWS - 1 or r == stop - 1:
            for c in range(len(w)):
                gws[part, c] += gw[c]
                gbs[part, c] += gb[c]
            gw[:] = 0
            gb[:] = 0


@analytic
def forward(x, w, b, eps):
    """x (N, G, K, P), w, b (G K,) -> y, and mean, biased variance, 1/std of shape (N, G)."""
    if x.dtype.kind == "c":
        mean = x.mean((2, 3))
        centred = x - _row(mean)
        var = np.square(centred).mean((2, 3))
        invstd = 1 / np.sqrt(var + eps)
        return centred * _row(invstd) * _own(w, x) + _own(b, x), mean, var, invstd
    N, G, K, P = x.shape
    y = memory.empty(x.shape, x.dtype)
    mean, var, invstd = (np.zeros((N, G), x.dtype) for _ in range(3))
    if x.size:
        flat, ws, bs, out = plain(x).reshape(-1), plain(w), plain(b), y.reshape(-1)
        found = [v.reshape(-1) for v in (mean, var, invstd)]
        parallel.run(
            lambda _, a, z: _forward(flat, ws, bs, K, P, float(eps), out, *found, a, z),
            parallel.chunks(N * G, 2 * x.nbytes),
        )
    return y, mean, var, invstd


@analytic
def backward(gy, x, w, mean, invstd):
    """The cotangents of x, w and b."""
    if x.dtype.kind == "c":
        xhat, g = (x - _row(mean)) * _row(invstd), gy * _own(w, x)
        gx = g - g.mean((2, 3), keepdims=True) - xhat * (g * xhat).mean((2, 3), keepdims=True)
        return gx * _row(invstd), (gy * xhat).sum((0, 3)).ravel(), gy.sum((0, 3)).ravel()
    N, G, K, P = x.shape
    if not x.size:
        return np.zeros_like(x), np.zeros_like(w), np.zeros_like(w)
    gx = memory.empty(x.shape, x.dtype)
    parts = parallel.chunks(N * G, 3 * x.nbytes)
    gws, gbs = np.zeros((2, len(parts), len(w)))
    flat = [plain(v).reshape(-1) for v in (gy, x, w, mean, invstd)]
    out = gx.reshape(-1)
    parallel.run(lambda i, a, z: _backward(*flat, K, P, out, gws, gbs, i, a, z), parts)
    return gx, gws.sum(0).astype(x.dtype), gbs.sum(0).astype(x.dtype)


def _row(v):
    """(N, G) as it is broadcast over rows."""
    return v[:, :, None, None]


def _own(v, x):
    """(G K,) as it is broadcast over x."""
    return v.reshape(1, *x.shape[1:3], 1)
