"""Average pooling: a linear map, a sum over each window, and its adjoint, which spreads.

Overlapping windows accumulate. Adaptive windows, whose sizes differ, have kernels of their own.
"""

import functools

import numpy as np

from tinyconv.kernels import memory
from tinyconv.kernels.geometry import Window
from tinyconv.kernels.jit import inlined, kernel, part, plain
from tinyconv.kernels.pool_layout import (
    SLACK,
    both,
    layout,
    merge,
    narrow,
    over_planes,
    split,
    widen,
    work,
)  # fmt: skip
from tinyconv.kernels.simd import (
    BITS,
    add,
    get,
    lanes,
    load,
    load_some,
    pointer,
    splat,
    store,
    store_some,
    total,
    zeros,
)  # fmt: skip
from tinyconv.kernels.simd_extra import every, multiply
from tinyconv.kernels.simd_masks import between, load_masked, store_masked

#: cells of a window up to which float32 sums keep their digits; beyond, they are float64
_FEW = 64
#: the window that keeps the image's size, with code of its own
_THREES = Window.of(3, 1, 1)
#: what ``parallel.chunks`` counts for a register of its results
_ROW = 250


@kernel
def _average(x, y, inverse, g, taps, start, stop):
    n = lanes(x)
    phases = np.zeros(g.sh * g.sw * g.cells + g.pitch + SLACK, x.dtype)
    result = np.empty(g.run, x.dtype)
    for plane in range(start, stop):
        split(x, plane * g.H * g.W, g, taps.rows, phases)
        for t in range(0, g.run, 2 * n):
            sum0 = sum1 = zeros(x)
            for k in range(len(taps.starts)):
                at = get(taps.starts, k) + t
                sum0, sum1 = add(sum0, load(phases, at)), add(sum1, load(phases, at + n))
            store(result, t, multiply(sum0, load(inverse, t)))
            store(result, t + n, multiply(sum1, load(inverse, t + n)))
        narrow(result, g, y, plane * g.Ho * g.Wo)


@kernel
def _average_of_threes(x, y, inverse, H, W, start, stop):
    """3 x 3 windows around each pixel: three row sums stay in registers down the image.

    ``inverse`` is one number, or one for each window.
    """
    n, uniform = lanes(x), len(inverse) == 1
    x, y, inverse = pointer(x), pointer(y), pointer(inverse)
    weight = splat(inverse, 0)
    for plane in range(start, stop):
        for v in range(0, W, n):
            left, middle = between(1 - v, W - v + 1, n), between(0, W - v, n)
            masks = left, middle, between(0, W - v - 1, n)
            at = plane * H * W + v
            above, here = zeros(x), _sum_of_three(x, at, masks)
            for h in range(H):
                below = zeros(x)
                if h + 1 < H:
                    below = _sum_of_three(x, at + W, masks)
                if not uniform:
                    weight = load_masked(inverse, h * W + v, middle)
                store_masked(y, at, multiply(add(add(above, here), below), weight), middle)
                above, here, at = here, below, at + W


@inlined
def _sum_of_three(x, at, masks):
    """Each pixel of a row and its two neighbours."""
    left, middle, right = masks
    before = add(load_masked(x, at - 1, left), load_masked(x, at, middle))
    return add(before, load_masked(x, at + 1, right))


@kernel
def _average_gradient(gy, gx, inverse, g, taps, start, stop):
    n = lanes(gy)
    wide = np.zeros(g.margin + g.cells + g.run + SLACK, gy.dtype)
    phases = np.empty(g.sh * g.sw * g.cells + g.pitch + SLACK, gy.dtype)
    for plane in range(start, stop):
        widen(gy, plane * g.Ho * g.Wo, g, wide, g.margin)
        for t in range(0, g.run, n):
            at = g.margin + t
            store(wide, at, multiply(load(wide, at), load(inverse, t)))
        for phase in range(g.sh * g.sw):
            for u in range(0, g.cells, 2 * n):
                total0 = total1 = zeros(gy)
                for s in range(get(taps.phases, phase), get(taps.phases, phase + 1)):
                    at = g.margin + u - get(taps.offsets, s)
                    total0, total1 = add(total0, load(wide, at)), add(total1, load(wide, at + n))
                store(phases, phase * g.cells + u, total0)
                store(phases, phase * g.cells + u + n, total1)
        merge(phases, g, taps.rows, gx, plane * g.H * g.W)


@kernel
def _mean(x, y, inverse, rows, columns, start, stop):
    flat = x.reshape(-1)
    H, W = x.shape[1:]
    whole = y.shape[1] * y.shape[2] == 1
    for plane in range(start, stop):
        if whole:
            y[plane, 0, 0] = _plane_sum(flat, plane * H * W, H * W) * inverse[0, 0]
            continue
        for p in range(y.shape[1]):
            for q in range(y.shape[2]):
                sum_ = 0.0  # in double precision: a window may be most of the image
                for h in range(rows[0, p], rows[1, p]):
                    for v in range(columns[0, q], columns[1, q]):
                        sum_ += x[plane, h, v]
                y[plane, p, q] = sum_ * inverse[p, q]


@part
def _plane_sum(x, i, count):
    """The sum of x[i : i + count], in double precision from 1024 numbers to the next."""
    n, sum_ = lanes(x), 0.0
    for v in range(0, count, 1024):
        block = zeros(x)
        for u in range(v, min(v + 1024, count), n):
            block = add(block, load_some(x, i + u, count - u))
        sum_ += total(block)
    return sum_


@kernel
def _spread(gy, gx, inverse, rows, columns, start, stop):
    n, flat = lanes(gx), gx.reshape(-1)
    H, W = gx.shape[1:]
    whole = gy.shape[1] * gy.shape[2] == 1
    for plane in range(start, stop):
        if whole:
            share = every(flat, gy[plane, 0, 0] * inverse[0, 0])
            for u in range(0, H * W, n):
                store_some(flat, plane * H * W + u, share, H * W - u)
            continue
        gx[plane] = 0
        for p in range(gy.shape[1]):
            for q in range(gy.shape[2]):
                part = gy[plane, p, q] * inverse[p, q]
                for h in range(rows[0, p], rows[1, p]):
                    for v in range(columns[0, q], columns[1, q]):
                        gx[plane, h, v] += part


def average_forward(x, windows, inverse):
    """Window sums times ``inverse`` (Ho, Wo), the reciprocals of the divisors.

    ``windows`` is a ``Window`` or, where their sizes differ, (rows, columns): window (p, q)
    covers rows[0, p] to rows[1, p] and columns[0, q] to columns[1, q]; rows (2, Ho) and
    columns (2, Wo) are int64 and stay inside the image. Divisors that are all equal are best
    given as one number, broadcast (its strides are zero).
    """
    if x.dtype.kind == "c":
        return both(average_forward, x, windows, inverse)
    y = memory.empty(x.shape[:2] + inverse.shape, x.dtype)
    if _around_each_pixel(windows, x.shape[2:], inverse):
        (H, W), planes = inverse.shape, x.shape[0] * x.shape[1]
        inverse = inverse[:1, :1] if inverse.strides == (0, 0) else inverse
        weights = plain(inverse.astype(x.dtype, copy=False)).reshape(-1)
        flat_x, flat_y = plain(x).reshape(-1), y.reshape(-1)
        over_planes(
            lambda _, a, b: _average_of_threes(flat_x, flat_y, weights, H, W, a, b),
            planes,
            planes * H * -(-W * x.itemsize * 8 // BITS) * _ROW,
        )
        return y
    _average_pass(_average, _mean, x, y, windows, inverse, x.shape[2:])
    return y


def average_gradient(gy, windows, inverse, image):
    """The adjoint of ``average_forward``: gx (N, C, H, W) with ``image`` = (H, W)."""
    if gy.dtype.kind == "c":
        return both(average_gradient, gy, windows, inverse, image)
    if inverse.strides == (0, 0) and _around_each_pixel(windows, image, inverse):
        return average_forward(gy, windows, inverse)  # symmetric
    gx = memory.empty(gy.shape[:2] + image, gy.dtype)
    _average_pass(_average_gradient, _spread, gy, gx, windows, inverse, image)
    return gx


def _around_each_pixel(windows, image, inverse):
    return isinstance(windows, Window) and windows == _THREES and image == inverse.shape


def _average_pass(regular, adaptive, a, b, windows, inverse, image):
    """Write ``b``, the result of one of the two kernels on ``a``."""
    planes = a.shape[0] * a.shape[1]
    sliding = isinstance(windows, Window)
    if not sliding or windows.kh * windows.kw > _FEW:
        rows, columns = _spans(windows, image, inverse.shape) if sliding else windows
        inverse = plain(inverse)
        a3, b3 = (plain(x).reshape(-1, *x.shape[2:]) for x in (a, b))
        taps = int((rows[1] - rows[0]).sum()) * int((columns[1] - columns[0]).sum())
        over_planes(
            lambda _, i, j: adaptive(a3, b3, inverse, rows, columns, i, j),
            planes,
            planes * taps,
        )
        return
    g, taps = layout(windows, image, inverse.shape)
    weights = np.zeros(g.run + SLACK, a.dtype)
    weights[: g.Ho * g.pitch].reshape(g.Ho, g.pitch)[:, : g.Wo] = inverse
    a1, b1 = plain(a).reshape(-1), b.reshape(-1)
    over_planes(
        lambda _, i, j: regular(a1, b1, weights, g, taps, i, j),
        planes,
        work(a, b, windows),
    )


@functools.lru_cache(512)
def _spans(window, image, output):
    """(rows, columns) of ``average_forward`` for a regular window without dilation."""
    axes = (
        (image[0], output[0], window.kh, window.sh, window.top),
        (image[1], output[1], window.kw, window.sw, window.left),
    )
    found = []
    for size, out, k, s, before in axes:
        start = np.arange(out) * s - before
        found.append(np.stack([np.maximum(start, 0), np.minimum(start + k, size)]).astype(np.int64))
    return tuple(found)
