"""Pooling over the planes of x (N, C, H, W), and the adjoint of each pool.

Max pool is "choose a cell of the window, then gather": its gradient scatters by the same
choice, and the gradient of that gathers again. Overlapping windows accumulate. Average pool
is in ``pool_average``.
"""

import functools

import numpy as np

from tinyconv.kernels import memory, pool_halving
from tinyconv.kernels.complex_step import analytic, joined
from tinyconv.kernels.jit import kernel, part, plain
from tinyconv.kernels.pool_average import average_forward, average_gradient
from tinyconv.kernels.pool_halving import masked_gradient
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
from tinyconv.kernels.pool_three import THREES, gradient_of_threes, maximum_of_threes
from tinyconv.kernels.simd import (
    add,
    get,
    lanes,
    load,
    splat,
    store,
    zeros,
)  # fmt: skip
from tinyconv.kernels.simd_extra import (
    every,
    has_nan,
    larger,
    load_as,
    store_as,
    where_above,
    where_equal,
    where_larger,
)  # fmt: skip

__all__ = [
    "average_forward", "average_gradient", "gather", "masked_gradient", "max_forward",
    "max_gradient", "max_index", "scatter",
]  # fmt: skip


@kernel
def _maximum(x, y, chosen, first, numbers, g, taps, start, stop):
    """The largest value of each window, and the number of its cell; first of all ``first``."""
    n = lanes(x)
    phases = np.full(g.sh * g.sw * g.cells + g.pitch + SLACK, -np.inf, x.dtype)
    result = np.empty(g.run, x.dtype)
    for plane in range(start, stop):
        at = g.margin + plane * g.room
        split(x, plane * g.H * g.W, g, taps.rows, phases)
        for t in range(0, g.run, 2 * n):
            best0 = best1 = every(x, -np.inf)
            spoilt = zeros(x)  # NaN if one of the values is
            tap0, tap1 = load(first, t), load(first, t + n)
            for k in range(len(taps.starts)):
                of, number = get(taps.starts, k) + t, splat(numbers, k)
                value = load(phases, of)
                tap0 = where_above(value, best0, number, tap0)
                best0 = larger(value, best0)
                spoilt = add(spoilt, value)
                value = load(phases, of + n)
                tap1 = where_above(value, best1, number, tap1)
                best1 = larger(value, best1)
                spoilt = add(spoilt, value)
            if has_nan(spoilt):  # or infinities of both signs
                best0, tap0 = _maximum_or_nan(phases, first, numbers, taps.starts, t)
                best1, tap1 = _maximum_or_nan(phases, first, numbers, taps.starts, t + n)
            store(result, t, best0), store(result, t + n, best1)
            store_as(chosen, at + t, tap0), store_as(chosen, at + t + n, tap1)
        narrow(result, g, y, plane * g.Ho * g.Wo)


@part
def _maximum_or_nan(phases, first, numbers, starts, t):
    best, tap = every(phases, -np.inf), load(first, t)
    for k in range(len(starts)):
        value = load(phases, get(starts, k) + t)
        tap = where_larger(value, best, splat(numbers, k), tap)
        best = where_larger(value, best, value, best)
    return best, tap


@kernel
def _maximum_gradient(gy, chosen, gx, numbers, g, taps, start, stop):
    """gx[u] = the sum over the cells k of gy[u - offset(k)] where k was chosen."""
    n = lanes(gy)
    wide = np.zeros(g.margin + g.cells + g.run + SLACK, gy.dtype)  # zeros where no window is
    phases = np.empty(g.sh * g.sw * g.cells + g.pitch + SLACK, gy.dtype)
    for plane in range(start, stop):
        iy, ix, ic = plane * g.Ho * g.Wo, plane * g.H * g.W, plane * g.room
        widen(gy, iy, g, wide, g.margin)
        for phase in range(g.sh * g.sw):
            for u in range(0, g.cells, 2 * n):
                total0 = total1 = zeros(gy)
                for s in range(get(taps.phases, phase), get(taps.phases, phase + 1)):
                    at = g.margin + u - get(taps.offsets, s)
                    number = splat(numbers, get(taps.numbers, s))
                    value = load(wide, at)
                    tap = load_as(chosen, ic + at, value)
                    total0 = add(total0, where_equal(tap, number, value))
                    value = load(wide, at + n)
                    tap = load_as(chosen, ic + at + n, value)
                    total1 = add(total1, where_equal(tap, number, value))
                store(phases, phase * g.cells + u, total0)
                store(phases, phase * g.cells + u + n, total1)
        merge(phases, g, taps.rows, gx, ix)


@kernel
def _gather(x, index, y, start, stop):
    for plane in range(start, stop):
        for p in range(index.shape[1]):
            y[plane, p] = x[plane, index[plane, p]]


@kernel
def _scatter(gy, index, gx, start, stop):
    for plane in range(start, stop):
        for p in range(index.shape[1]):
            gx[plane, index[plane, p]] += gy[plane, p]


def max_forward(x, window, output):
    """x (N, C, H, W) -> y (N, C, Ho, Wo) and which cell of each window was the maximum.

    The cells are in an order of their own: ``max_index`` and ``max_gradient`` read them.
    """
    if x.dtype.kind == "c":
        real, chosen = max_forward(plain(x.real), window, output)
        index = max_index(chosen, window, x.shape[2:], real.shape)
        return joined(real, gather(x.imag, index)), chosen
    image = x.shape[2:]
    planes = x.shape[0] * x.shape[1]
    plan = pool_halving.halving(window, image, output, planes, x.itemsize)
    if plan is not None:
        return pool_halving.max_forward(x, window, plan, output)
    g, taps = layout(window, image, output)
    y = memory.empty(x.shape[:2] + output, x.dtype)
    kind = np.uint8 if window.kh * window.kw <= 256 else np.uint32
    chosen = memory.empty((2 * g.margin + planes * g.room + g.cells + SLACK,), kind)
    flat_x, flat_y = plain(x).reshape(-1), y.reshape(-1)
    if window == THREES:
        over_planes(
            lambda _, a, b: maximum_of_threes(flat_x, flat_y, chosen, g, a, b),
            planes,
            x.nbytes + y.nbytes,
        )
        return y, chosen
    numbers, first = _numbers(window, x.dtype), _first_cells(window, image, output, x.dtype)
    over_planes(
        lambda _, a, b: _maximum(flat_x, flat_y, chosen, first, numbers, g, taps, a, b),
        planes,
        work(x, y, window),
    )
    return y, chosen


def max_gradient(gy, chosen, window, image):
    """gx (N, C, H, W), each gy given to the chosen cell of its window; ``image`` = (H, W)."""
    if gy.dtype.kind == "c":
        return both(max_gradient, gy, chosen, window, image)
    planes = gy.shape[0] * gy.shape[1]
    plan = pool_halving.halving(window, image, gy.shape[2:], planes, gy.itemsize)
    if plan is not None:
        return pool_halving.max_gradient(gy, chosen, window, plan, image)
    g, taps = layout(window, image, gy.shape[2:])
    gx = memory.empty(gy.shape[:2] + image, gy.dtype)
    flat_g, flat_x = plain(gy).reshape(-1), gx.reshape(-1)
    if window == THREES:
        over_planes(
            lambda _, a, b: gradient_of_threes(flat_g, chosen, flat_x, g, a, b),
            planes,
            gx.nbytes + gy.nbytes,
        )
        return gx
    numbers = _numbers(window, gy.dtype)
    over_planes(
        lambda _, a, b: _maximum_gradient(flat_g, chosen, flat_x, numbers, g, taps, a, b),
        planes,
        work(gx, gy, window),
    )
    return gx


def max_index(chosen, window, image, shape):
    """The place h W + v of each maximum in its plane, int64 of ``shape`` (N, C, Ho, Wo)."""
    N, C, Ho, Wo = shape
    if chosen.ndim == 3:
        cells = pool_halving.cells(chosen, shape)
    else:
        g, _ = layout(window, image, (Ho, Wo))
        cells = chosen[g.margin : g.margin + N * C * g.room].reshape(N, C, g.room)
        cells = cells[..., : Ho * g.pitch].reshape(N, C, Ho, g.pitch)[..., :Wo]
    cells = cells.astype(np.int64)
    i, j = cells // window.kw, cells % window.kw
    h = np.arange(Ho)[:, None] * window.sh - window.top + i * window.dh
    v = np.arange(Wo) * window.sw - window.left + j * window.dw
    return h * image[1] + v


@functools.lru_cache(512)
def _numbers(window, dtype):
    """0, 1, ... for each cell of the window, as floats."""
    return np.arange(window.kh * window.kw).astype(dtype)


@functools.lru_cache(512)
def _first_cells(window, image, output, dtype):
    """The first cell inside the image, by window: chosen where all are minus infinity."""
    g, _ = layout(window, image, output)
    p, q = np.arange(output[0]), np.arange(g.pitch)
    i = np.maximum(-((p * window.sh - window.top) // window.dh), 0)
    j = np.maximum(-((q * window.sw - window.left) // window.dw), 0)
    first = np.zeros(g.run + SLACK, dtype)
    first[: output[0] * g.pitch] = (i[:, None] * window.kw + j).reshape(-1)
    return first


@analytic
def gather(x, index):
    """x (N, C, H, W), index (N, C, Ho, Wo) -> y[n, c, p, q] = x[n, c].flat[index[n, c, p, q]]."""
    y = memory.empty(index.shape, x.dtype)
    x2, i2, y2 = _rows(x), _rows(index), _rows(y)
    over_planes(lambda _, a, b: _gather(x2, i2, y2, a, b), len(x2), y.nbytes)
    return y


def scatter(gy, index, image):
    """The adjoint of ``gather``: gx (N, C, H, W) with ``image`` = (H, W)."""
    gx = memory.zeros(gy.shape[:2] + tuple(image), gy.dtype)
    g2, i2, x2 = _rows(gy), _rows(index), _rows(gx)
    over_planes(lambda _, a, b: _scatter(g2, i2, x2, a, b), len(x2), gx.nbytes)
    return gx


def _rows(x):
    return plain(x).reshape(-1, x.shape[-2] * x.shape[-1])
