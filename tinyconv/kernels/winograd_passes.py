"""The passes of Winograd convolution: pack weights, transform tiles, multiply, transform back.

See ``conv_winograd`` for the algorithm and ``winograd_transforms`` for the arithmetic.
"""

from typing import NamedTuple

import numpy as np

from tinyconv.kernels.jit import kernel, part
from tinyconv.kernels.simd import (
    add,
    get,
    lanes,
    load,
    pointer,
    positive,
    put,
    store,
    store_some,
    zeros,
)
from tinyconv.kernels.winograd_transforms import (
    gather,
    panel_count,
    panel_rows,
    product_over_channels,
    product_over_tiles,
    scatter,
    transform_cotangents,
    transform_filter,
    transform_outputs,
    transform_pixels,
    transform_taps,
)

#: pixels that ``write_runs`` writes at a time
RUN = 128


class Plan(NamedTuple):
    """How a kernel walks: integers that it reads by name. Places are in its scratch."""

    groups: int
    taps: int  # of the filter along an axis, 3 or 5
    tile: int  # outputs of a tile along an axis, 4 or 2
    top: int
    left: int
    rows: int  # of tiles in a block at most
    room: int  # for so many tiles
    transformed: int  # place of V
    products: int  # place of M
    plane: int  # place of a part of an image
    second: int  # place of the same of y, or of the transformed gy
    spare: int  # place for what is not to be kept
    filter: int  # place of a filter's taps, or of runs of pixels
    kept: int = 0  # whether M holds sums from block to block, or one product at a time
    once: int = 0  # whether weights are used only once


@part
def _plan(p):
    """An array, which costs a call from Python less, as a Plan."""
    return Plan(
        p[0], p[1], p[2], p[3], p[4], p[5], p[6], p[7], p[8], p[9], p[10], p[11], p[12], p[13],
        p[14],
    )  # fmt: skip


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
def _place(x, at, size, pixels, channels, table, plane, to):
    """Pixels to a plane, channels in lanes."""
    n = lanes(x)
    for p in range(0, pixels if pixels >= n else 0, n):
        p = min(p, pixels - n)  # the last ones go over what is there already
        gather(x, at + p, size, channels, plane, to, table, p)
    for p in range(0 if pixels >= n else pixels):
        for c in range(n):
            value = get(x, at + min(c, channels - 1) * size + p)
            put(plane, to + table[p] + c, value)


@part
def write(plane, at, scale, bias, i, y, to, size, pixels, channels, spare, plus, residual, least):
    """``pixels`` registers of a plane to as many pixels of ``channels`` rows of y."""
    n = lanes(y)
    for p in range(0, pixels if pixels >= n else 0, n):
        p = min(p, pixels - n)
        scatter(
            plane, at + p * n, scale, bias, i, y, to + p, size, channels,
            plane, spare, plus, residual, least, 0,
        )  # fmt: skip
    for p in range(0 if pixels >= n else pixels):
        for c in range(min(channels, n)):
            value = get(plane, at + p * n + c) * get(scale, i + c) + get(bias, i + c)
            if plus:
                value += get(residual, to + c * size + p)
            put(y, to + c * size + p, least[0] if value <= least[0] else value)


@part
def write_runs(
    plane, at, scale, bias, i, y, to, size, pixels, channels, runs, plus, residual, least
):
    """The same, by way of ``runs`` of a channel's pixels, whose number is a multiple of a
    register's.

    Where channels are a multiple of 4 KB apart, lines of all of them, one after the other, would
    take each other's place in the cache.
    """
    n = lanes(y)
    for first in range(0, pixels, RUN):
        count = min(pixels - first, RUN)
        for p in range(0, count, n):
            scatter(
                plane, at + (first + p) * n, scale, bias, i, plane, runs + p, RUN + n, n,
                plane, runs, 0, plane, least, 1,
            )  # fmt: skip
        for c in range(min(channels, n)):
            of, place = runs + c * (RUN + n), to + c * size + first
            for p in range(0, count, n):
                value = load(plane, of + p)
                if plus:
                    value = add(value, load(residual, place + p))
                if least[0] == 0:
                    value = positive(value)
                store(y, place + p, value)


@part
def _taps(w, at, columns, count, taps, table):
    """``count`` rows of w, ``columns`` numbers each, to registers: rows to lanes."""
    n = lanes(w)
    last = at + (min(n, count) - 1) * columns
    if last + max(n, columns) <= w.size:
        for q in range(0, columns, n):
            q = min(q, max(columns - n, 0))
            gather(w, at + q, columns, count, taps, q * n, table, 0)
    else:
        for q in range(columns):
            for r in range(n):
                put(taps, q * n + r, get(w, at + min(r, count - 1) * columns + q))


@kernel
def pack(w, side, bounds, rows, depth, adjoint, packed, once, start, stop):
    """Panels start:stop of all groups' weights, transformed: (component, depth, lanes) each.

    w is (groups, rows, depth, side, side), or with ``adjoint`` (groups, depth, rows, side, side)
    to be flipped. With ``once`` every panel goes to the start of ``packed``.
    """
    n = lanes(w)
    panels = len(bounds) - 1
    flat = w.reshape(-1)
    table = np.arange(n) * n
    square = side * side
    taps = np.empty((square * depth + n) * n, w.dtype)
    for panel in range(start, stop):
        group, i = panel // panels, panel % panels
        width = (bounds[i + 1] - bounds[i]) * n
        component = depth * width + n  # a register more: components must not share cache sets
        place = 0 if once else _place_of_panel(bounds, i, group, depth) * n
        for v in range(0, width, n):
            row = bounds[i] * n + v
            # a row of w holds the taps of all depths, or with ``adjoint`` of one
            at, columns, lines, each = (
                (group * rows + row) * depth * square,
                square * depth,
                1,
                depth,
            )
            of, turn = 0, n
            if adjoint:
                at, columns, lines, each = (group * depth * rows + row) * square, square, depth, 1
                of, turn = (square - 1) * n, -n
            to = place + v
            for line in range(lines):
                _taps(flat, at + line * rows * square, columns, rows - row, taps, table)
                for d in range(each):
                    transform_filter(
                        side, taps, of + square * d * n, side * turn, turn,
                        packed, to, 6 * component, component,
                    )  # fmt: skip
                    to += width


@part
def _place_of_panel(bounds, i, group, depth):
    """Where ``pack`` puts a panel, in registers."""
    panels = len(bounds) - 1
    return 36 * (group * (depth * bounds[panels] + panels) + depth * bounds[i] + i)


@part
def _transform(
    x, C, H, W, channel, channels, p, top, left, edge, r0, r1, TY, TX, table, scratch, at,
    pitch, step,
):  # fmt: skip
    """Transformed pixels of tile rows r0:r1, a register of channels, to scratch[at:]. Transformed
    tiles are ``pitch`` apart, their components ``step``.

    Tiles overlap by an edge of ``taps - 1`` pixels, or by none: those of gy.
    """
    n = lanes(x)
    Wp = p.tile * TX + edge
    r = r0
    while r < r1:
        image, a = r // TY, r % TY
        b = min(TY, a + r1 - r)
        rows, down = p.tile * (b - a) + edge, top - p.tile * a
        _clear(scratch, p.plane, H, W, down, left, rows, Wp)
        first, last = max(0, -down), min(H, rows - down)
        at_x = ((image * C + channel) * H + first) * W
        to = p.plane + ((first + down) * Wp + left) * n
        _place(x, at_x, H * W, (last - first) * W, channels, table, scratch, to)
        for u in range(b - a):
            for v in range(TX):
                tile = p.plane + (u * Wp + v) * p.tile * n
                if edge:
                    transform_pixels(6, scratch, tile, Wp * n, n, scratch, at, 6 * step, step)
                else:
                    transform_cotangents(
                        p.tile, scratch, tile, Wp * n, n, scratch, at, 6 * step, step
                    )
                at += pitch
        r += b - a


@kernel
def convolve(
    x, packed, bounds, line, residual, plus, least, y, plan, table, scratch, fresh,
    start, stop, i0, i1,
):  # fmt: skip
    """Tile rows start:stop of y, panels i0:i1 of each group's channels.

    If not ``fresh``, the scratch holds the transformed tiles from the call before. V and M are
    over (component, register of channels, tile, lane), so that rows of a product are next to each
    other; the last product of a block goes to the place of the tiles it was made from, which is
    in the cache already.
    """
    p = _plan(plan)
    C, H, W = x.shape[1:]
    O, Ho, Wo = y.shape[1:]
    Cg, Og = C // p.groups, O // p.groups
    n = lanes(x)
    m, edge = p.tile, p.taps - 1
    TY, TX = (Ho + m - 1) // m, (Wo + m - 1) // m
    by_runs = Ho * Wo * y.itemsize % 4096 == 0
    scale, bias = pointer(line[0]), pointer(line[1])
    x, packed, residual = pointer(x), pointer(packed), pointer(residual)
    y, least, scratch = pointer(y), pointer(least), pointer(scratch)
    table = pointer(table)
    # a register more: components must not share the cache's sets
    step = ((Cg + n - 1) // n * p.room + 1) * n
    for r0 in range(start, stop, p.rows):
        r1 = min(r0 + p.rows, stop)
        tiles = (r1 - r0) * TX
        for group in range(p.groups):
            for c in range(0, Cg if fresh else 0, n):
                _transform(
                    x, C, H, W, group * Cg + c, Cg - c, p, p.top, p.left, edge,
                    r0, r1, TY, TX, table, scratch, p.transformed + c * p.room, n, step,
                )  # fmt: skip
            for i in range(i0, i1):
                width = bounds[i + 1] - bounds[i]
                number = panel_count(tiles, width)
                step_m, products = (width * p.room + 1) * n, p.products
                if i == i1 - 1 and not p.once and width * n < Cg + n:
                    step_m, products = step, p.transformed
                at = 0 if p.once else _place_of_panel(bounds, i, group, Cg) * n
                o = bounds[i] * n
                for k in range(36):
                    t = 0
                    for q in range(number):
                        rows = panel_rows(tiles, width, number, q)
                        product_over_channels(
                            rows, width, scratch, p.transformed + k * step + t * n, p.room * n,
                            packed, at, width * n, Cg,
                            scratch, products + k * step_m + t * n, n, p.room * n, 0,
                        )  # fmt: skip
                        t += rows
                    at += (Cg * width + 1) * n
                for v in range(width):
                    o = group * Og + (bounds[i] + v) * n
                    at_m = products + v * p.room * n
                    r = r0
                    while r < r1:
                        image, a = r // TY, r % TY
                        b = min(TY, a + r1 - r)
                        for u in range(b - a):
                            # the last tile of a row reaches into the next row, and so comes first
                            for q in range(TX - 1, -1, -1):
                                transform_outputs(
                                    m, scratch, at_m + q * n, 6 * step_m, step_m,
                                    scratch, p.second + (u * Wo + q) * m * n, Wo * n, n,
                                )  # fmt: skip
                            at_m += TX * n
                        to = ((image * O + o) * Ho + m * a) * Wo
                        pixels = (min(m * b, Ho) - m * a) * Wo
                        left = Og - (bounds[i] + v) * n
                        if by_runs and pixels % n == 0:
                            write_runs(
                                scratch, p.second, scale, bias, o, y, to, Ho * Wo, pixels, left,
                                p.filter, plus, residual, least,
                            )  # fmt: skip
                        else:
                            write(
                                scratch, p.second, scale, bias, o, y, to, Ho * Wo, pixels, left,
                                p.spare, plus, residual, least,
                            )  # fmt: skip
                        r += b - a


@kernel
def weight(
    gy, x, bounds, line, least, partial, plan, table, table_gy, scratch, start, stop, i0, i1
):
    """partial (O, C / groups, taps^2) = sum over tile rows start:stop, for panels i0:i1 of each
    group's input channels. M is over (panel, rows of a product, component, row, lanes)."""
    p = _plan(plan)
    C, H, W = x.shape[1:]
    O, Ho, Wo = gy.shape[1:]
    Cg, Og = C // p.groups, O // p.groups
    n = lanes(x)
    m, edge = p.tile, p.taps - 1
    TY, TX = (Ho + m - 1) // m, (Wo + m - 1) // m
    square = p.taps * p.taps
    scratch[p.filter : p.filter + (n + square) * n] = 0
    gy, x, partial, scratch = pointer(gy), pointer(x), pointer(partial), pointer(scratch)
    table, table_gy = pointer(table), pointer(table_gy)
    unit, nothing, least = pointer(line[0]), pointer(line[1]), pointer(least)
    Op = (Og + n - 1) // n * n
    for group in range(p.groups):
        for r0 in range(start, stop, p.rows):
            r1 = min(r0 + p.rows, stop)
            tiles = (r1 - r0) * TX
            step_gy = tiles * Op + n  # a register more: see convolve
            for o in range(0, Og, n):
                _transform(
                    gy, O, Ho, Wo, group * Og + o, Og - o, p, 0, 0, 0, r0, r1, TY, TX, table_gy,
                    scratch, p.second + o, Op, step_gy,
                )  # fmt: skip
            at_m = p.products
            for i in range(i0, i1):
                width = bounds[i + 1] - bounds[i]
                first, step = bounds[i] * n, (width * tiles + 1) * n
                for v in range(width):
                    c = first + v * n
                    _transform(
                        x, C, H, W, group * Cg + c, Cg - c, p, p.top, p.left, edge,
                        r0, r1, TY, TX, table, scratch, p.transformed + v * n, width * n, step,
                    )  # fmt: skip
                if not p.kept:
                    at_m = p.products
                number, o = panel_count(Og, width), 0
                for q in range(number):
                    rows = panel_rows(Og, width, number, q)
                    size = rows * width * n
                    for k in range(36):
                        product_over_tiles(
                            rows, width, scratch, p.second + k * step_gy + o, Op,
                            scratch, p.transformed + k * step, width * n, tiles,
                            scratch, at_m + k * size, width * n, n, r0 > start,
                        )  # fmt: skip
                    if r1 == stop:
                        for row in range(min(rows, Og - o)):
                            at = ((group * Og + o + row) * Cg + first) * square
                            for v in range(width):
                                transform_taps(
                                    p.taps, scratch, at_m + (row * width + v) * n, 6 * size, size,
                                    scratch, p.filter, p.taps * n, n,
                                )  # fmt: skip
                                # of a row only the taps count: the next one overwrites the others
                                for t in range(0, square, n):
                                    t = min(t, max(square - n, 0))
                                    scatter(
                                        scratch, p.filter + t * n, unit, nothing, 0,
                                        scratch, p.spare + t, square, n,
                                        scratch, p.spare, 0, scratch, least, 0,
                                    )  # fmt: skip
                                count = min(n, Cg - first - v * n)
                                to = at + square * v * n
                                for t in range(0, square * count, n):
                                    value = load(scratch, p.spare + t)
                                    store_some(partial, to + t, value, square * count - t)
                    at_m += 36 * size
                    o += rows
