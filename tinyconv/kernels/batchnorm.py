"""Batch normalisation over all axes but the channels, with what often follows in the same pass.

    y = act((x - mean) * scale + shift + residual),   scale = w / sqrt(var + eps), var biased

Statistics are one pass over memory, the line above another. The gradient is two passes, and
both take the mask of a ReLU behind from its result, y > 0, on the way; where nothing was added
in between, they reckon y from x again, which is cheaper than to read it.

Sums over a block that fits into the first cache run in the array's own dtype, in vector lanes;
blocks are added up in double precision. Each block is shifted by the mean of those before it
(the first by that of its first numbers), so that the variance keeps its digits where
|mean| >> std (Chan, Golub and LeVeque 1983).
"""

import functools

import numpy as np

from tinyconv.kernels import memory, parallel
from tinyconv.kernels.complex_step import analytic
from tinyconv.kernels.jit import kernel, part, plain
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
_OPEN, _BY_RESULT, _BY_LINE = range(3)


# -- vectors that end where a plane ends ---------------------------------------------------
@part
def _read(array, p, left):
    if left >= lanes(array):
        return load(array, p)
    return load_some(array, p, left)


@part
def _write(array, p, left, value):
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
def _statistics(x, P, means, squares, row, images, channels):
    """Mean and sum of squared distances from it, of some images and channels, into a row.

    Memory is read straight on, so each channel's sums wait in ``sums``, a register each, while
    the others have their turn.
    """
    C, n = means.shape[1], lanes(x)
    away, sums = np.empty(C, x.dtype), np.empty(2 * n * C, x.dtype)
    together = max(1, _BLOCK // P)
    for c in range(channels[0], channels[1]):
        at = (images[0] * C + c) * P
        means[row, c] = total(_read(x, at, P)) / min(n, P)
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
                        sum_d, sum_dd = load(sums, 2 * n * c), load(sums, 2 * n * c + n)
                    m = splat(away, c)
                    for p in range(begin, end, n):
                        d = add(_read(x, at + p, end - p), m)
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
                        store(sums, 2 * n * c, sum_d)
                        store(sums, 2 * n * c + n, sum_dd)


@kernel
def _merge_statistics(means, squares, sizes, eps, mean, var, invstd):
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
def _normalise(x, P, mean, scale, shift, residual, y, adds, relu, start, stop):
    """Planes ``start`` to ``stop`` of the N C."""
    C, n = len(mean), lanes(x)
    away = -mean
    for i in range(start, stop):
        c = i % C
        # centred first: x * scale + shift would lose digits where |mean| >> std
        m, s, b = splat(away, c), splat(scale, c), splat(shift, c)
        for p in range(0, P, n):
            v = fma(add(_read(x, i * P + p, P - p), m), s, b)
            if adds:
                v = add(v, _read(residual, i * P + p, P - p))
            if relu:
                v = positive(v)
            _write(y, i * P + p, P - p, v)


# -- the passes backward -------------------------------------------------------------------
@kernel
def _sums(
    gy, pitch, x, y, P, mean, scale, shift, masked, totals, products, mask, keep,
    row, images, channels,
):  # fmt: skip
    """Sums of g and g (x - mean) of some images and channels, into a row.

    Images of ``gy`` begin ``pitch`` apart. Sums wait as in ``_statistics``.
    """
    C, n = len(mean), lanes(x)
    away, sums = -mean, np.empty(2 * n * len(mean), x.dtype)
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
                        sum_g, sum_gd = load(sums, 2 * n * c), load(sums, 2 * n * c + n)
                    for p in range(begin, end, n):
                        left = end - p
                        g, d = _read(gy, at_g + p, left), add(_read(x, at + p, left), m)
                        if mask == _BY_LINE:
                            g = gate(g, fma(d, s, b))
                        elif mask == _BY_RESULT:
                            g = gate(g, _read(y, at + p, left))
                        if keep:
                            _write(masked, at + p, left, g)
                        sum_g = add(sum_g, g)
                        sum_gd = fma(g, d, sum_gd)
                    if i == stop - 1:
                        totals[row, c] += total(sum_g)
                        products[row, c] += total(sum_gd)
                    else:
                        store(sums, 2 * n * c, sum_g)
                        store(sums, 2 * n * c + n, sum_gd)


@kernel
def _merge_sums(totals, products, count, scale, invstd, gw, gb, slope, level):
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
def _input_gradient(gy, pitch, x, y, P, mean, scale, shift, slope, level, gx, mask, start, stop):
    """Planes ``start`` to ``stop`` of the N C; images of ``gy`` begin ``pitch`` apart."""
    C, n = len(mean), lanes(x)
    away = -mean
    for i in range(start, stop):
        c = i % C
        m, s, b = splat(away, c), splat(scale, c), splat(shift, c)
        k, l = splat(slope, c), splat(level, c)
        for p in range(0, P, n):
            at, left = i * P + p, P - p
            g, d = _read(gy, i // C * pitch + c * P + p, left), add(_read(x, at, left), m)
            if mask == _BY_LINE:
                g = gate(g, fma(d, s, b))
            elif mask == _BY_RESULT:
                g = gate(g, _read(y, at, left))
            _write(gx, at, left, fma(d, k, fma(g, s, l)))


# -- doors -------------------------------------------------------------------------------
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
    return N, C, x.size // (N * C)


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
    parallel.run(lambda i, *_: _statistics(flat, P, means, squares, *pieces[i]), parts)
    mean, var, invstd = np.empty((3, C), x.dtype)
    _merge_statistics(means, squares, sizes, eps, mean, var, invstd)
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
        lambda _, start, stop: _normalise(
            flat, P, mean, scale, shift, other, out, adds, relu, start, stop
        ),
        parallel.chunks(N * C, 2 * x.nbytes),
    )
    return y


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
    mask, out = _OPEN, flat
    if shift is not None:
        mask = _BY_LINE
    elif y is not None:
        mask, out = _BY_RESULT, _flat(y)
    shift = mean if shift is None else shift
    masked = memory.empty(x.shape, x.dtype) if keep else None
    kept = masked.reshape(-1) if keep else flat
    pieces, parts, sizes = _share(N, C, P, 2 * x.nbytes)
    totals, products = np.empty((2, len(sizes), C))
    parallel.run(
        lambda i, *_: _sums(
            g,
            pitch,
            flat,
            out,
            P,
            mean,
            scale,
            shift,
            kept,
            totals,
            products,
            mask,
            keep,
            *pieces[i],
        ),
        parts,
    )
    gw, gb, slope, level = np.empty((4, C), x.dtype)
    _merge_sums(totals, products, N * P, scale, invstd, gw, gb, slope, level)
    if keep:
        g, pitch, mask = kept, C * P, _OPEN
    gx = memory.empty(x.shape, x.dtype)
    to = gx.reshape(-1)
    parallel.run(
        lambda _, start, stop: _input_gradient(
            g, pitch, flat, out, P, mean, scale, shift, slope, level, to, mask, start, stop
        ),
        parallel.chunks(N * C, 2 * x.nbytes),
    )
    return gx, gw, gb, masked


def masked_sums(gy, y):
    """gy where y > 0 or NaN, else 0, and its sums over all axes but the second: what a ReLU and
    a bias in front of it send back."""
    N, C, P = _sizes(y)
    flat, zero = _flat(y), np.zeros(C, y.dtype)
    g, pitch = _images(gy)
    masked = memory.empty(y.shape, y.dtype)
    kept = masked.reshape(-1)
    pieces, parts, sizes = _share(N, C, P, 2 * y.nbytes)
    totals, products = np.empty((2, len(sizes), C))
    one = zero + 1  # the line is y itself
    parallel.run(
        lambda i, *_: _sums(
            g,
            pitch,
            flat,
            flat,
            P,
            zero,
            one,
            zero,
            kept,
            totals,
            products,
            _BY_LINE,
            True,
            *pieces[i],
        ),
        parts,
    )
    return masked, totals.sum(0).astype(y.dtype)


def _column(v, x):
    """(C,) as it is broadcast over x."""
    return v.reshape((-1,) + (1,) * (x.ndim - 2))
