"""The passes of Winograd convolution: pack weights, transform tiles, multiply, transform back.

See ``conv_winograd`` for the algorithm and ``winograd_transforms`` for the arithmetic.
"""

from typing import NamedTuple

import numpy as np

from tinyconv.kernels.jit import kernel, part
from tinyconv.kernels.simd import copy, get, lanes, put, store, zeros
from tinyconv.kernels.winograd_transforms import (
    gather,
    panel_count,
    panel_rows,
    product,
    scatter,
    transform_cotangents,
    transform_filter,
    transform_outputs,
    transform_pixels,
    transform_taps,
)


class Plan(NamedTuple):
    """How a kernel walks: integers that it reads by name. Places are in its scratch."""

    groups: int
    taps: int  # of the filter along an axis, 3 or 5
    tile: int  # outputs of a tile along an axis, 4 or 2
    top: int
    left: int
    rows: int  # of tiles in a block at most
    transformed: int  # place of V
    products: int  # place of M
    plane: int  # place of a part of an image
    second: int  # place of the same of y, or of the transformed gy
    spare: int  # place for what is not to be kept
    filter: int = 0  # place of a filter's taps
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
    x, channel, channels, p, top, left, edge, r0, r1, TY, TX, table, scratch, at, pitch, step
):
    """Transformed pixels of tile rows r0:r1, a register of channels, to scratch[at:].

    Tiles overlap by an edge of ``taps - 1`` pixels, or by none: those of gy. Transformed
    tiles are ``pitch`` apart, their components ``step``.
    """
    C, H, W = x.shape[1:]
    n = lanes(x)
    flat = x.reshape(-1)
    Wp = p.tile * TX + edge
    r = r0
    while r < r1:
        image, a = r // TY, r % TY
        b = min(TY, a + r1 - r)
        rows, down = p.tile * (b - a) + edge, top - p.tile * a
        _clear(scratch, p.plane, H, W, down, left, rows, Wp)
        at_x = (image * C + channel) * H * W
        _place(flat, at_x, H, W, channels, down, left, rows, Wp, table, scratch, p.plane)
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
    x, packed, bounds, bias, residual, plus, least, y, p, scratch, fresh, start, stop, i0, i1
):
    """Tile rows start:stop of y, panels i0:i1 of each group's channels.

    If not ``fresh``, the scratch holds the transformed tiles from the call before.
    """
    N, C, H, W = x.shape
    O, Ho, Wo = y.shape[1:]
    Cg, Og = C // p.groups, O // p.groups
    n = lanes(x)
    Cp = (Cg + n - 1) // n * n
    m, edge = p.tile, p.taps - 1
    TY, TX = (Ho + m - 1) // m, (Wo + m - 1) // m
    table = _table(min(H, m * min(p.rows, TY) + edge), W, m * TX + edge, n)
    flat, residual = y.reshape(-1), residual.reshape(-1)
    pitch = 36 * Cp + n  # a register more: tiles must not share the cache's sets
    for r0 in range(start, stop, p.rows):
        r1 = min(r0 + p.rows, stop)
        tiles = (r1 - r0) * TX
        for group in range(p.groups):
            for c in range(0, Cg if fresh else 0, n):
                _transform(
                    x, group * Cg + c, Cg - c, p, p.top, p.left, edge, r0, r1, TY, TX, table,
                    scratch, p.transformed + c, pitch, Cp,
                )  # fmt: skip
            for i in range(i0, i1):
                width = bounds[i + 1] - bounds[i]
                number = panel_count(tiles, width)
                pitch_m = 36 * width * n + n
                at = 0 if p.once else _place_of_panel(bounds, i, group, Cg) * n
                for k in range(36):
                    t = 0
                    for q in range(number):
                        rows = panel_rows(tiles, width, number, q)
                        product(
                            rows, width, scratch, p.transformed + t * pitch + k * Cp, pitch, 1,
                            packed, at, width * n, Cg,
                            scratch, p.products + t * pitch_m + k * width * n, pitch_m, 0,
                        )  # fmt: skip
                        t += rows
                    at += (Cg * width + 1) * n
                for v in range(width):
                    o = (bounds[i] + v) * n
                    at_m, step = p.products + v * n, width * n
                    r = r0
                    while r < r1:
                        image, a = r // TY, r % TY
                        b = min(TY, a + r1 - r)
                        for u in range(b - a):
                            # the last tile of a row reaches into the next row, and so comes first
                            for q in range(TX - 1, -1, -1):
                                transform_outputs(
                                    m, scratch, at_m + (u * TX + q) * pitch_m, 6 * step, step,
                                    scratch, p.second + (u * Wo + q) * m * n, Wo * n, n,
                                )  # fmt: skip
                        _write(
                            scratch, p.second, bias, group * Og + o, flat,
                            ((image * O + group * Og + o) * Ho + m * a) * Wo, Ho * Wo,
                            (min(m * b, Ho) - m * a) * Wo, Og - o, p.spare, plus, residual, least,
                        )  # fmt: skip
                        at_m += (b - a) * TX * pitch_m
                        r += b - a


@kernel
def weight(gy, x, bounds, partial, p, scratch, start, stop, i0, i1):
    """partial (O, C / groups, taps^2) = sum over tile rows start:stop, for panels i0:i1 of each
    group's input channels. M is over (panel, output channel, component, lanes of the panel)."""
    C, H, W = x.shape[1:]
    O, Ho, Wo = gy.shape[1:]
    Cg, Og = C // p.groups, O // p.groups
    n = lanes(x)
    Op = (Og + n - 1) // n * n
    m, edge = p.tile, p.taps - 1
    TY, TX = (Ho + m - 1) // m, (Wo + m - 1) // m
    high, square = min(p.rows, TY), p.taps * p.taps
    table = _table(min(H, m * high + edge), W, m * TX + edge, n)
    table_gy = _table(min(Ho, m * high), Wo, m * TX, n)
    flat = partial.reshape(-1)
    nothing, least = np.zeros(n, x.dtype), np.full(1, -np.inf, x.dtype)
    scratch[p.filter : p.filter + (n + square) * n] = 0
    for group in range(p.groups):
        for r0 in range(start, stop, p.rows):
            r1 = min(r0 + p.rows, stop)
            tiles = (r1 - r0) * TX
            step_gy = tiles * Op + n  # a register more: see convolve
            for o in range(0, Og, n):
                _transform(
                    gy, group * Og + o, Og - o, p, 0, 0, 0, r0, r1, TY, TX, table_gy,
                    scratch, p.second + o, Op, step_gy,
                )  # fmt: skip
            for i in range(i0, i1):
                width = (bounds[i + 1] - bounds[i]) * n
                number = panel_count(Og, width // n)
                first, step = bounds[i] * n, tiles * width + n
                for c in range(0, width, n):
                    _transform(
                        x, group * Cg + first + c, Cg - first - c, p, p.top, p.left, edge,
                        r0, r1, TY, TX, table, scratch, p.transformed + c, width, step,
                    )  # fmt: skip
                at_m = p.products
                if p.kept:
                    at_m += 36 * Op * (bounds[i] - bounds[i0]) * n
                o = 0
                for q in range(number):
                    rows = panel_rows(Og, width // n, number, q)
                    for k in range(36):
                        product(
                            rows, width // n, scratch, p.second + k * step_gy + o, 1, Op,
                            scratch, p.transformed + k * step, width, tiles,
                            scratch, at_m + k * width, 36 * width, r0 > start,
                        )  # fmt: skip
                    if r1 == stop:
                        for row in range(o, min(o + rows, Og)):
                            at = ((group * Og + row) * Cg + first) * square
                            at_r = at_m + (row - o) * 36 * width
                            for c in range(0, width, n):
                                transform_taps(
                                    p.taps, scratch, at_r + c, 6 * width, width,
                                    scratch, p.filter, p.taps * n, n,
                                )  # fmt: skip
                                # of a row only the taps count: the next one overwrites the others
                                for t in range(0, square, n):
                                    t = min(t, max(square - n, 0))
                                    scatter(
                                        scratch, p.filter + t * n, nothing, 0,
                                        scratch, p.spare + t, square, n,
                                        scratch, p.spare, 0, scratch, least,
                                    )  # fmt: skip
                                count = min(n, Cg - first - c)
                                copy(flat, at + square * c, scratch, p.spare, square * count)
                    if p.kept:
                        at_m += rows * 36 * width
                    o += rows
