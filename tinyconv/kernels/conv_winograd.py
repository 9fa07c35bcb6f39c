"""Convolution 3x3 by Winograd's F(4x4, 3x3): a quarter of the multiplications.

An image is cut into tiles of 4 x 4 outputs, each computed from 6 x 6 inputs. In the transformed
domain a convolution is 36 matrix products, one for each component k:

    M[k, tile, o] = sum_c V[k, tile, c] U[k, c, o],    V from x, U from w,    y from M

and so are its gradients: the input gradient is the convolution with flipped weights, and
the weight gradient sums V[k, tile, c] times the transformed gy over tiles.

Work goes by blocks of tile rows whose V and M stay in the L2 cache. Channels lie in lanes
(see ``winograd_transforms``), rows of the register tile are tiles, so small images waste
nothing but what 4 does not divide.

Rounding: with inputs of unit variance and weights of variance 1 / (9 C) the largest error is
about twice that of summing directly in the same precision; tests hold it below
3e-6 sqrt(C) in float32. A NaN makes NaN wherever it does by definition, and in the rest
of its tiles; infinity makes NaN there.
"""

import functools
from typing import NamedTuple

import numpy as np

from tinyconv.kernels import memory, parallel
from tinyconv.kernels.jit import kernel, part
from tinyconv.kernels.simd import BITS, copy, get, lanes, put, store, zeros
from tinyconv.kernels.tile import ROWS, WIDTH
from tinyconv.kernels.winograd_transforms import (
    gather,
    product,
    scatter,
    transform_cotangents,
    transform_filter,
    transform_outputs,
    transform_pixels,
    transform_taps,
)

#: bytes of transformed tiles at work, and the least tiles for which a pass over weights pays
_BUDGET, _LEAST = 3 << 17, 32
#: units of work to aim at, the tiles and the channels that one should have
_UNITS, _UNIT_TILES, _UNIT_CHANNELS = 8, 48, 96
#: the weight gradient: tiles that a unit sums over, and that are transformed at a time
_SUM_TILES, _SUM_BLOCK = 128, 64


def supports(window):
    """Whether this algorithm can do it: 3x3, no stride, no dilation, padding up to 2."""
    shape = (window.kh, window.kw, window.sh, window.sw, window.dh, window.dw)
    return shape == (3, 3, 1, 1, 1, 1) and max(window[4:8]) <= 2 and min(window[4:8]) >= 0


class _Plan(NamedTuple):
    """How a kernel walks: integers that it reads by name. Places are in its scratch."""

    groups: int
    top: int
    left: int
    rows: int  # of tiles in a block at most
    transformed: int  # place of V
    products: int  # place of M
    plane: int  # place of a part of an image
    second: int  # place of the same of y, or of the transformed gy
    spare: int  # place for what is not to be kept
    taps: int = 0  # place of 3 x 3 taps
    kept: bool = False  # whether M holds sums from block to block, or one product at a time
    once: bool = False  # whether weights are used only once


@part
def _table(H, W, pitch, n):
    """Where pixels 0, 1, 2, ... of H rows go in a plane of so many registers per row."""
    table = np.empty(H * W + n, np.int64)
    for h in range(H):
        for v in range(W):
            table[h * W + v] = (h * pitch + v) * n
    return table


@part
def _clear(plane, at, H, W, top, left, rows, pitch):
    """Zeros around H x W pixels at (top, left) of a plane of ``rows`` rows; top may be < 0."""
    n = lanes(plane)
    zero = zeros(plane)
    for r in range(rows):
        first, last = left, left + W
        if not 0 <= r - top < H:
            first = last = pitch
        for v in range(first):
            store(plane, at + v * n, zero)
        for v in range(last, pitch):
            store(plane, at + v * n, zero)
        at += pitch * n


@part
def _place(x, at, H, W, channels, top, left, rows, pitch, table, plane, to):
    """Pixels to a plane, channels in lanes: image row h to row h + top, where that is one."""
    n = lanes(x)
    first, last = max(0, -top), min(H, rows - top)
    pixels = (last - first) * W
    at += first * W
    to += ((first + top) * pitch + left) * n
    for p in range(0, pixels if pixels >= n else 0, n):
        p = min(p, pixels - n)  # the last ones go over what is there already
        gather(x, at + p, H * W, channels, plane, to, table, p)
    for p in range(0 if pixels >= n else pixels):
        for c in range(n):
            value = get(x, at + min(c, channels - 1) * H * W + p)
            put(plane, to + table[p] + c, value)


@part
def _write(plane, at, bias, i, y, to, size, pixels, channels, spare, plus, residual, least):
    """``pixels`` registers of a plane to as many pixels of ``channels`` rows of y."""
    n = lanes(y)
    for p in range(0, pixels if pixels >= n else 0, n):
        p = min(p, pixels - n)
        scatter(
            plane, at + p * n, bias, i, y, to + p, size, channels,
            plane, spare, plus, residual, least,
        )  # fmt: skip
    for p in range(0 if pixels >= n else pixels):
        for c in range(min(channels, n)):
            value = get(plane, at + p * n + c) + get(bias, i + c)
            if plus:
                value += get(residual, to + c * size + p)
            put(y, to + c * size + p, least[0] if value <= least[0] else value)


@part
def _taps(w, at, pitch, count, columns, taps, table):
    """Rows of w, ``columns`` numbers of each, to registers: rows to lanes."""
    n = lanes(w)
    last = at + (min(n, count) - 1) * pitch
    if last + max(n, columns) <= w.size:
        for q in range(0, columns, n):
            q = min(q, max(columns - n, 0))
            gather(w, at + q, pitch, count, taps, q * n, table, 0)
    else:
        for q in range(columns):
            for r in range(n):
                put(taps, q * n + r, get(w, at + min(r, count - 1) * pitch + q))


@part
def _pack(w, at, rows, count, depth, adjoint, packed, to, width, taps, table):
    """A panel's weights, transformed: (component, depth, width), a register more in between.

    w[at:] is (rows, depth, 9) of a group, or with ``adjoint`` (depth, rows, 9) to be flipped;
    ``count`` rows are left from there on.
    """
    n = lanes(w)
    component = depth * width + n  # without that register components would share cache sets
    for v in range(0, width, n):
        if not adjoint:
            _taps(w, at, 9 * depth, count, 9 * depth, taps, table)
            at += n * depth * 9
        for d in range(depth):
            of, turn = 9 * d * n, n
            if adjoint:
                _taps(w, at + (d * rows + v) * 9, 9, count, 9, taps, table)
                of, turn = 8 * n, -n
            transform_filter(
                taps, of, 3 * turn, turn,
                packed, to + d * width + v, 6 * component, component,
            )  # fmt: skip
        count -= n


@part
def _place_of_panel(bounds, i, group, depth):
    """Where ``_pack_all`` puts a panel, in registers."""
    panels = len(bounds) - 1
    return 36 * (group * (depth * bounds[panels] + panels) + depth * bounds[i] + i)


@part
def _start_of_panel(bounds, i, group, rows, depth, adjoint, n):
    """Where a panel's weights begin in w."""
    first = bounds[i] * n
    return (group * rows * depth + first * (1 if adjoint else depth)) * 9


@kernel
def _pack_all(w, bounds, rows, depth, adjoint, packed, start, stop):
    """Panels start:stop of all groups' panels."""
    n = lanes(w)
    panels = len(bounds) - 1
    table = np.arange(n) * n
    taps = np.empty((9 * depth + n) * n, w.dtype)
    for panel in range(start, stop):
        group, i = panel // panels, panel % panels
        at = _start_of_panel(bounds, i, group, rows, depth, adjoint, n)
        width = (bounds[i + 1] - bounds[i]) * n
        to = _place_of_panel(bounds, i, group, depth) * n
        _pack(
            w.reshape(-1), at, rows, rows - bounds[i] * n, depth, adjoint, packed, to, width,
            taps, table,
        )  # fmt: skip


@part
def _transform(x, channel, channels, p, r0, r1, TY, TX, table, scratch, at, pitch, step):
    """Transformed pixels of tile rows r0:r1, a register of channels, to scratch[at:];
    tiles are ``pitch`` apart, components ``step``."""
    C, H, W = x.shape[1:]
    n = lanes(x)
    flat = x.reshape(-1)
    Wp = 4 * TX + 2
    r = r0
    while r < r1:
        image, a = r // TY, r % TY
        b = min(TY, a + r1 - r)
        rows, top = 4 * (b - a) + 2, p.top - 4 * a
        _clear(scratch, p.plane, H, W, top, p.left, rows, Wp)
        at_x = (image * C + channel) * H * W
        _place(
            flat, at_x, H, W, channels, top, p.left, rows, Wp, table, scratch, p.plane
        )
        for u in range(b - a):
            for v in range(TX):
                transform_pixels(
                    scratch, p.plane + (u * Wp + v) * 4 * n, Wp * n, n,
                    scratch, at, 6 * step, step,
                )  # fmt: skip
                at += pitch
        r += b - a


@kernel
def _convolve(
    x, w, adjoint, packed, bounds, bias, residual, plus, least, y, p, scratch, start, stop, i0, i1
):
    """Tile rows start:stop of y, panels i0:i1 of each group's channels.

    Weights that are used only once are not packed before: their panel is, when its turn comes.
    """
    N, C, H, W = x.shape
    O, Ho, Wo = y.shape[1:]
    Cg, Og = C // p.groups, O // p.groups
    n = lanes(x)
    Cp = (Cg + n - 1) // n * n
    TY, TX = (Ho + 3) // 4, (Wo + 3) // 4
    table = _table(min(H, 4 * min(p.rows, TY) + 2), W, 4 * TX + 2, n)
    flat, residual, w = y.reshape(-1), residual.reshape(-1), w.reshape(-1)
    table_w = np.arange(n) * n
    taps = np.empty((9 * Cg + n) * n if p.once else 0, x.dtype)
    pitch = 36 * Cp + n  # a register more: tiles must not share the cache's sets
    for r0 in range(start, stop, p.rows):
        r1 = min(r0 + p.rows, stop)
        tiles = (r1 - r0) * TX
        number = (tiles + ROWS - 1) // ROWS
        for group in range(p.groups):
            for c in range(0, Cg, n):
                _transform(
                    x, group * Cg + c, Cg - c, p, r0, r1, TY, TX, table,
                    scratch, p.transformed + c, pitch, Cp,
                )  # fmt: skip
            for i in range(i0, i1):
                width = bounds[i + 1] - bounds[i]
                pitch_m = 36 * width * n + n
                at = 0
                if p.once:
                    of = _start_of_panel(bounds, i, group, Og, Cg, adjoint, n)
                    _pack(
                        w, of, Og, Og - bounds[i] * n, Cg, adjoint, packed, 0, width * n,
                        taps, table_w,
                    )  # fmt: skip
                else:
                    at = _place_of_panel(bounds, i, group, Cg) * n
                for k in range(36):
                    t = 0
                    for q in range(1, number + 1):
                        t1 = q * tiles // number
                        product(
                            t1 - t, width, scratch, p.transformed + t * pitch + k * Cp, pitch, 1,
                            packed, at, width * n, Cg,
                            scratch, p.products + t * pitch_m + k * width * n, pitch_m, 0,
                        )  # fmt: skip
                        t = t1
                    at += (Cg * width + 1) * n
                for v in range(width):
                    o = (bounds[i] + v) * n
                    at_m = p.products + v * n
                    r = r0
                    while r < r1:
                        image, a = r // TY, r % TY
                        b = min(TY, a + r1 - r)
                        for u in range(b - a):
                            # the last tile of a row reaches into the next row, and so comes first
                            for q in range(TX - 1, -1, -1):
                                transform_outputs(
                                    scratch, at_m + (u * TX + q) * pitch_m, 6 * width * n, width * n,
                                    scratch, p.second + (u * Wo + q) * 4 * n, Wo * n, n,
                                )  # fmt: skip
                        _write(
                            scratch, p.second, bias, group * Og + o, flat,
                            ((image * O + group * Og + o) * Ho + 4 * a) * Wo, Ho * Wo,
                            (min(4 * b, Ho) - 4 * a) * Wo, Og - o, p.spare, plus, residual, least,
                        )  # fmt: skip
                        at_m += (b - a) * TX * pitch_m
                        r += b - a


@part
def _transform_gy(gy, channel, channels, p, r0, r1, TY, TX, table, scratch, at, pitch, step):
    """The same of gy, in tiles of 4 x 4 that do not overlap."""
    O, Ho, Wo = gy.shape[1:]
    n = lanes(gy)
    flat = gy.reshape(-1)
    Wp = 4 * TX
    r = r0
    while r < r1:
        image, a = r // TY, r % TY
        b = min(TY, a + r1 - r)
        rows, top = 4 * (b - a), -4 * a
        _clear(scratch, p.plane, Ho, Wo, top, 0, rows, Wp)
        at_y = (image * O + channel) * Ho * Wo
        _place(flat, at_y, Ho, Wo, channels, top, 0, rows, Wp, table, scratch, p.plane)
        for u in range(b - a):
            for v in range(TX):
                transform_cotangents(
                    scratch, p.plane + (u * Wp + v) * 4 * n, Wp * n, n,
                    scratch, at, 6 * step, step,
                )  # fmt: skip
                at += pitch
        r += b - a


@kernel
def _weight(gy, x, bounds, partial, p, scratch, start, stop, i0, i1):
    """partial (O, C / groups, 9) = sum over tile rows start:stop, for panels i0:i1 of each
    group's input channels. M is over (panel, output channel, component, lanes of the panel)."""
    C, H, W = x.shape[1:]
    O, Ho, Wo = gy.shape[1:]
    Cg, Og = C // p.groups, O // p.groups
    n = lanes(x)
    Op = (Og + n - 1) // n * n
    TY, TX = (Ho + 3) // 4, (Wo + 3) // 4
    high = min(p.rows, TY)
    table = _table(min(H, 4 * high + 2), W, 4 * TX + 2, n)
    table_gy = _table(min(Ho, 4 * high), Wo, 4 * TX, n)
    flat = partial.reshape(-1)
    nothing, least = np.zeros(n, x.dtype), np.full(1, -np.inf, x.dtype)
    scratch[p.taps : p.taps + (n + 9) * n] = 0
    number = (Og + ROWS - 1) // ROWS
    for group in range(p.groups):
        for r0 in range(start, stop, p.rows):
            r1 = min(r0 + p.rows, stop)
            tiles = (r1 - r0) * TX
            step_gy = tiles * Op + n  # a register more: see _convolve
            for o in range(0, Og, n):
                _transform_gy(
                    gy, group * Og + o, Og - o, p, r0, r1, TY, TX, table_gy,
                    scratch, p.second + o, Op, step_gy,
                )  # fmt: skip
            for i in range(i0, i1):
                width = (bounds[i + 1] - bounds[i]) * n
                first, step = bounds[i] * n, tiles * width + n
                for c in range(0, width, n):
                    _transform(
                        x, group * Cg + first + c, Cg - first - c, p, r0, r1, TY, TX, table,
                        scratch, p.transformed + c, width, step,
                    )  # fmt: skip
                at_m = p.products
                if p.kept:
                    at_m += 36 * Og * (bounds[i] - bounds[i0]) * n
                o = 0
                for q in range(1, number + 1):
                    o1 = q * Og // number
                    for k in range(36):
                        product(
                            o1 - o, width // n, scratch, p.second + k * step_gy + o, 1, Op,
                            scratch, p.transformed + k * step, width, tiles,
                            scratch, at_m + k * width, 36 * width, r0 > start,
                        )  # fmt: skip
                    if r1 == stop:
                        for row in range(o, o1):
                            at = ((group * Og + row) * Cg + first) * 9
                            at_r = at_m + (row - o) * 36 * width
                            for c in range(0, width, n):
                                transform_taps(
                                    scratch, at_r + c, 6 * width, width,
                                    scratch, p.taps, 3 * n, n,
                                )  # fmt: skip
                                # of a row 9 numbers count: the next one overwrites the others
                                for t in range(0, 9, n):
                                    t = min(t, max(9 - n, 0))
                                    scatter(
                                        scratch, p.taps + t * n, nothing, 0,
                                        scratch, p.spare + t, 9, n,
                                        scratch, p.spare, 0, scratch, least,
                                    )  # fmt: skip
                                count = min(n, Cg - first - c)
                                copy(flat, at + 9 * c, scratch, p.spare, 9 * count)
                    if p.kept:
                        at_m += (o1 - o) * 36 * width
                    o = o1


@functools.lru_cache(maxsize=1024)
def _bounds(registers):
    """Registers of channels cut into panels of at most WIDTH, evenly."""
    number = -(-registers // WIDTH)
    return np.array([i * registers // number for i in range(number + 1)])


def _cut(count, number):
    return [(i * count // number, (i + 1) * count // number) for i in range(number)]


@functools.lru_cache(maxsize=1024)
def _layout(shape, O, output, groups, top, left, itemsize):
    """(plan, scratch size, units of work, panels of a group) from the shape alone.

    A unit is (first tile row, last, first panel, last)."""
    N, C = shape[:2]
    n = BITS // (8 * itemsize)
    Cp, panels = -(-C // groups // n) * n, _bounds(-(-O // groups // n))
    TY, TX = (-(-size // 4) for size in output)
    wide = WIDTH * n
    most = max(_LEAST, _BUDGET // (36 * (Cp + wide) * itemsize))
    total = N * TY
    units = max(1, min(_UNITS, total, total * TX // _UNIT_TILES))
    splits = min(_UNITS // units, len(panels) - 1, -(-O // groups // _UNIT_CHANNELS))
    each = -(-total // units)
    rows = -(-each // -(-each * TX // most))  # blocks of a unit are even
    high = min(rows, TY)
    tiles = rows * TX
    places = np.cumsum([
        0, tiles * (36 * Cp + n), tiles * (36 * wide + n),
        (4 * high + 2) * (4 * TX + 2) * n, (4 * high * 4 * TX + 4) * n, n,
    ])  # fmt: skip
    once = units == 1 and rows == each
    plan = _Plan(groups, top, left, rows, *(int(place) for place in places[:-1]), once=once)
    work = [(*a, *b) for a in _cut(total, units) for b in _cut(len(panels) - 1, splits)]
    return plan, int(places[-1]), work, panels


@functools.lru_cache(maxsize=1024)
def _weight_layout(shape, O, output, groups, top, left, itemsize):
    """(plan, scratch size, ranges of tile rows, ranges of panels, panels of a group's input
    channels): a unit of work is one range of each."""
    N, C = shape[:2]
    n = BITS // (8 * itemsize)
    Cg, Og = C // groups, O // groups
    bounds = _bounds(-(-Cg // n))
    wide, Op = WIDTH * n, -(-Og // n) * n
    TY, TX = (-(-size // 4) for size in output)
    total = N * TY
    units = max(1, min(_UNITS, total, total * TX // _SUM_TILES))
    splits = min(_UNITS // units, len(bounds) - 1, -(-Cg // _UNIT_CHANNELS))
    each = -(-total // units)
    rows = -(-each // -(-each * TX // _SUM_BLOCK))
    high, tiles = min(rows, TY), rows * TX
    panels = _cut(len(bounds) - 1, splits)
    kept = rows < each
    most = max(int(bounds[b] - bounds[a]) for a, b in panels) * n if kept else wide
    places = np.cumsum([
        0, 36 * (tiles * wide + n), (Og if kept else ROWS) * 36 * most,
        (4 * high + 2) * (4 * TX + 2) * n, 36 * (tiles * Op + n), 10 * n, (n + 9) * n,
    ])  # fmt: skip
    places = [int(place) for place in places]
    plan = _Plan(groups, top, left, rows, *places[:6], kept)
    return plan, places[-1], _cut(total, units), panels, bounds


def _run(x, w, bias, y, groups, top, left, adjoint, residual, relu):
    if not y.size:
        return y
    O = y.shape[1]
    layout = _layout(x.shape, O, y.shape[2:], groups, top, left, x.itemsize)
    plan, size, work, bounds = layout
    n = BITS // (8 * x.itemsize)
    depth, rows, panels = x.shape[1] // groups, O // groups, len(bounds) - 1
    if not plan.once:
        registers = groups * 36 * (depth * int(bounds[-1]) + panels)
        packed = memory.empty((registers * n,), x.dtype)
        parallel.run(
            lambda _, start, stop: _pack_all(w, bounds, rows, depth, adjoint, packed, start, stop),
            parallel.chunks(groups * panels, 64 * w.size),
        )
    biases = np.zeros(O + n, x.dtype)
    if bias is not None:
        biases[:O] = bias
    least = np.full(1, 0 if relu else -np.inf, x.dtype)
    added = y if residual is None else residual

    def convolve(i, *_):
        scratch = memory.empty((size,), x.dtype)
        if plan.once:
            weights = memory.empty((36 * (depth * WIDTH + 1) * n,), x.dtype)
        else:
            weights = packed
        _convolve(
            x, w, adjoint, weights, bounds, biases, added, residual is not None, least, y, plan,
            scratch, *work[i],
        )  # fmt: skip

    parallel.run(convolve, [(i, i + 1) for i in range(len(work))])
    return y


def forward(x, w, bias, window, groups, residual=None, relu=False):
    y = memory.empty((x.shape[0], w.shape[0], *window.output_shape(*x.shape[2:])), x.dtype)
    return _run(x, w, bias, y, groups, window.top, window.left, False, residual, relu)


def input_gradient(gy, w, window, groups, image):
    gx = memory.empty((gy.shape[0], w.shape[1] * groups, *image), gy.dtype)
    return _run(gy, w, None, gx, groups, 2 - window.top, 2 - window.left, True, None, False)


def weight_gradient(gy, x, window, groups):
    O, Cg = gy.shape[1], x.shape[1] // groups
    if not gy.size:
        return np.zeros((O, Cg, 3, 3), x.dtype)
    layout = _weight_layout(x.shape, O, gy.shape[2:], groups, window.top, window.left, x.itemsize)
    plan, size, rows, panels, bounds = layout
    partial = memory.empty((len(rows), O, Cg, 9), x.dtype)

    def add(i, start, stop):
        scratch = memory.empty((size,), x.dtype)
        for unit in range(start, stop):
            chunk, part = divmod(unit, len(panels))
            _weight(gy, x, bounds, partial[chunk], plan, scratch, *rows[chunk], *panels[part])

    parallel.run(add, [(i, i + 1) for i in range(len(rows) * len(panels))])
    # one partial sum per chunk of rows, added in order: the same for any number of threads
    return (partial[0] if len(rows) == 1 else partial.sum(0)).reshape(O, Cg, 3, 3)
