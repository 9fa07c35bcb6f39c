"""The passes of batch normalisation: statistics, the line, and the two of the gradient.

Sums over a block that fits into the first cache run in the array's own dtype, in vector lanes;
blocks are added up in double precision. Each block is shifted by the mean of those before it
(the first by that of its first numbers), so that the variance keeps its digits where
|mean| >> std (Chan, Golub and LeVeque 1983). Memory is read straight on, so each channel's sums
wait, a register each, while the other channels have their turn.
"""

import numpy as np

from tinyconv.kernels.jit import kernel, part
from tinyconv.kernels.simd import (
    add,
    first,
    fma,
    gate,
    lanes,
    load,
    load_some,
    positive,
    splat,
    store,
    store_some,
    total,
    zeros,
)

#: numbers in a block: small planes are taken together, large ones cut
_BLOCK = 4096
#: masks of the gradient: none, where y is positive, where the line above is
OPEN, BY_RESULT, BY_LINE = range(3)


# -- vectors that end where a plane ends ---------------------------------------------------
@part
def read(array, p, left):
    if left >= lanes(array):
        return load(array, p)
    return load_some(array, p, left)


@part
def write(array, p, left, value):
    if left >= lanes(array):
        store(array, p, value)
    else:
        store_some(array, p, value, left)


# -- statistics ------------------------------------------------------------------------
@part
def _merge(means, squares, row, c, before, size, away, sum_d, sum_dd):
    """``size`` more numbers, of which d = number + away is known, to the ``before`` before them."""
    inner = sum_d / size
    delta = inner - away - means[row, c]
    share = size / (before + size)
    means[row, c] += delta * share
    squares[row, c] += sum_dd - inner * inner * size + delta * delta * before * share


@kernel
def sum_squares(x, P, means, squares, row, images, channels):
    """Mean and sum of squared distances from it, of some images and channels, into a row."""
    C, n = means.shape[1], lanes(x)
    away, waiting = np.empty(C, x.dtype), np.empty(2 * n * C, x.dtype)
    together = max(1, _BLOCK // P)
    for c in range(channels[0], channels[1]):
        at = (images[0] * C + c) * P
        means[row, c] = total(read(x, at, P)) / min(n, P)
        squares[row, c] = 0.0
    stop = images[0]
    while stop < images[1]:
        # the first image alone: what the others are shifted by should not be a guess
        before = (stop - images[0]) * P
        start, stop = stop, min(stop + (together if before else 1), images[1])
        for i in range(start, stop):
            for c in range(channels[0], channels[1]):
                at = (i * C + c) * P
                for begin in range(0, P, _BLOCK):
                    end = min(begin + _BLOCK, P)
                    if i == start:
                        away[c] = -means[row, c]
                        sum_d, sum_dd = zeros(x), zeros(x)
                    else:
                        sum_d, sum_dd = load(waiting, 2 * n * c), load(waiting, 2 * n * c + n)
                    m = splat(away, c)
                    for p in range(begin, end, n):
                        d = add(read(x, at + p, end - p), m)
                        if end - p < n:
                            d = first(d, end - p)
                        sum_d, sum_dd = add(sum_d, d), fma(d, d, sum_dd)
                    if i == stop - 1:
                        _merge(
                            means, squares, row, c, np.float64(before + begin),
                            np.float64((stop - start) * (end - begin)), np.float64(away[c]),
                            total(sum_d), total(sum_dd),
                        )  # fmt: skip
                    else:
                        store(waiting, 2 * n * c, sum_d)
                        store(waiting, 2 * n * c + n, sum_dd)


@kernel
def merge_squares(means, squares, sizes, eps, mean, var, invstd):
    for c in range(len(mean)):
        count, m, square = 0.0, 0.0, 0.0
        for row in range(len(sizes)):
            delta = means[row, c] - m
            share = sizes[row] / (count + sizes[row])
            m += delta * share
            square += squares[row, c] + delta * delta * count * share
            count += sizes[row]
        mean[c], var[c], invstd[c] = m, square / count, 1.0 / np.sqrt(square / count + eps)


# -- the pass forward --------------------------------------------------------------------
@kernel
def line(x, P, mean, scale, shift, residual, y, adds, relu, start, stop):
    """Planes ``start`` to ``stop`` of the N C."""
    C, n = len(mean), lanes(x)
    away = -mean
    for i in range(start, stop):
        c = i % C
        # centred first: x * scale + shift would lose digits where |mean| >> std
        m, s, b = splat(away, c), splat(scale, c), splat(shift, c)
        for p in range(0, P, n):
            v = fma(add(read(x, i * P + p, P - p), m), s, b)
            if adds:
                v = add(v, read(residual, i * P + p, P - p))
            if relu:
                v = positive(v)
            write(y, i * P + p, P - p, v)


@kernel
def running(mean, var, w, b, has_w, has_b, eps, scale, shift):
    """What ``batchnorm.running_line`` returns, into scale and shift."""
    for c in range(len(mean)):
        factor = 1.0 / np.sqrt(var[c] + eps)
        if has_w:
            factor *= w[c]
        scale[c] = factor
        shift[c] = (b[c] if has_b else 0.0) - mean[c] * factor


# -- the passes backward -------------------------------------------------------------------
@kernel
def sum_products(
    gy, pitch, x, y, P, mean, scale, shift, masked, totals, products, mask, keep,
    row, images, channels,
):  # fmt: skip
    """Sums of g and g (x - mean) of some images and channels, into a row.

    Images of ``gy`` begin ``pitch`` apart. Sums wait as in ``sum_squares``.
    """
    C, n = len(mean), lanes(x)
    away, waiting = -mean, np.empty(2 * n * len(mean), x.dtype)
    together = max(1, _BLOCK // P)
    for c in range(channels[0], channels[1]):
        totals[row, c] = products[row, c] = 0.0
    for start in range(images[0], images[1], together):
        stop = min(start + together, images[1])
        for i in range(start, stop):
            for c in range(channels[0], channels[1]):
                at, at_g = (i * C + c) * P, i * pitch + c * P
                m, s, b = splat(away, c), splat(scale, c), splat(shift, c)
                for begin in range(0, P, _BLOCK):
                    end = min(begin + _BLOCK, P)
                    sum_g, sum_gd = zeros(x), zeros(x)
                    if i > start:
                        sum_g, sum_gd = load(waiting, 2 * n * c), load(waiting, 2 * n * c + n)
                    for p in range(begin, end, n):
                        left = end - p
                        g, d = read(gy, at_g + p, left), add(read(x, at + p, left), m)
                        if mask == BY_LINE:
                            g = gate(g, fma(d, s, b))
                        elif mask == BY_RESULT:
                            g = gate(g, read(y, at + p, left))
                        if keep:
                            write(masked, at + p, left, g)
                        sum_g = add(sum_g, g)
                        sum_gd = fma(g, d, sum_gd)
                    if i == stop - 1:
                        totals[row, c] += total(sum_g)
                        products[row, c] += total(sum_gd)
                    else:
                        store(waiting, 2 * n * c, sum_g)
                        store(waiting, 2 * n * c + n, sum_gd)


@kernel
def merge_sums(totals, products, count, scale, invstd, gw, gb, slope, level):
    """gw, gb, and the numbers of gx = g * scale + (x - mean) * slope + level."""
    for c in range(len(scale)):
        sum_g, sum_gd = 0.0, 0.0
        for row in range(len(totals)):
            sum_g += totals[row, c]
            sum_gd += products[row, c]
        s, k = np.float64(invstd[c]), np.float64(scale[c])
        gw[c], gb[c] = sum_gd * s, sum_g
        slope[c] = -k * (sum_gd * s / count) * s
        level[c] = -k * (sum_g / count)


@kernel
def input_gradient(gy, pitch, x, y, P, mean, scale, shift, slope, level, gx, mask, start, stop):
    """Planes ``start`` to ``stop`` of the N C; images of ``gy`` begin ``pitch`` apart."""
    C, n = len(mean), lanes(x)
    away = -mean
    for i in range(start, stop):
        c = i % C
        m, s, b = splat(away, c), splat(scale, c), splat(shift, c)
        k, l = splat(slope, c), splat(level, c)
        for p in range(0, P, n):
            at, left = i * P + p, P - p
            g, d = read(gy, i // C * pitch + c * P + p, left), add(read(x, at, left), m)
            if mask == BY_LINE:
                g = gate(g, fma(d, s, b))
            elif mask == BY_RESULT:
                g = gate(g, read(y, at, left))
            write(gx, at, left, fma(d, k, fma(g, s, l)))
