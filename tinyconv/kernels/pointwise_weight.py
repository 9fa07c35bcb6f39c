"""The weight gradient of a 1 x 1 convolution: gw[o, c] = sum over pixels of gy[o] x[c].

A product of matrices whose depth are the pixels. The tile reads gy where it lies; of x it wants
channels in the lanes of a register, so blocks of pixels are transposed first, a square of
registers at a time.
"""

import functools
from typing import NamedTuple

import numpy as np

from tinyconv.kernels import parallel
from tinyconv.kernels.jit import kernel, part
from tinyconv.kernels.memory import empty
from tinyconv.kernels.simd import BITS, add, copy_rows, hold, lanes, load_some, pointer, store_some
from tinyconv.kernels.tile import ROWS, WIDTH
from tinyconv.kernels.tile_product import multiply_runs, transpose

#: units of work at most
_UNITS = 8
#: pixels at work at a time: of three registers of channels they fill most of the L1 cache
_DEPTH = 200
#: and of rows that are seen with a stride: those are laid out twice
_THINNED = 112


class _Depths(NamedTuple):
    """How the kernel walks the images: integers that it reads by name."""

    channels: int  # of a group
    filters: int  # of a group
    groups: int
    area: int  # pixels of an image that are seen
    images: int  # at work at a time
    pixels: int  # and so many of each
    thin: int  # from one channel to the next, of pixels thinned
    size: int  # from one strip of channels to the next, transposed
    H: int
    W: int
    Wo: int
    sh: int
    sw: int


@kernel
def _weigh(gy, x, sums, g, units, start, stop):
    """Units start:stop of the weight gradient; all arrays flat.

    units: (first image, stop, first channel, stop, which of the sums).
    """
    n = lanes(x)
    strip = WIDTH * n
    C, O = g.channels * g.groups, g.filters * g.groups
    thinned = g.sh > 1 or g.sw > 1
    most = (g.channels + n - 1) // n
    # a transposed square is written whole, behind the last pixels too
    laid = np.empty((most + WIDTH - 1) // WIDTH * g.size + n * strip, x.dtype)
    thin = np.empty(g.channels * g.thin if thinned else 0, x.dtype)
    none = np.zeros(strip, x.dtype)
    px, pgy, psums, pnone = pointer(x), pointer(gy), pointer(sums), pointer(none)
    plaid, pthin = pointer(laid), pointer(thin)
    panels = (g.filters + ROWS - 1) // ROWS
    for u in range(start, stop):
        n0, n1, c0, c1, share = units[u]
        registers = (c1 - c0 + n - 1) // n
        strips = (registers + WIDTH - 1) // WIDTH
        for group in range(g.groups):
            out = (share * O + group * g.filters) * g.channels
            image = n0
            p0 = 0
            while image < n1:
                some, depth = min(g.images, n1 - image), min(g.pixels, g.area - p0)
                if thinned:
                    # all channels at once: what was just stored is slow to load
                    for i in range(some):
                        plane = (image + i) * C + group * g.channels + c0
                        _thin(px, plane, c1 - c0, p0, depth, g, pthin, i * depth)
                for c in range(c0, c1, n):
                    k = (c - c0) // n
                    # the strip that register k is in
                    s = ((k + 1) * strips - 1) // registers
                    to = s * g.size + (k - registers * s // strips) * n
                    for i in range(image, image + some):
                        plane = i * C + group * g.channels + c
                        rows = min(n, c1 - c)
                        if thinned:
                            of = (c - c0) * g.thin + (i - image) * depth
                            _turn(pthin, of, g.thin, rows, depth, plaid, to)
                        else:
                            _turn(px, plane * g.area + p0, g.area, rows, depth, plaid, to)
                        to += depth * strip
                # what comes next: pixels of the same images, or of the next ones
                i2, p2 = image, p0 + depth
                if p2 == g.area:
                    i2, p2 = image + some, 0
                some2, depth2 = min(g.images, n1 - i2), min(g.pixels, g.area - p2)
                at_x = (i2 * C + group * g.channels + c0) * g.area + p2
                at_gy = (i2 * O + group * g.filters) * g.area + p2
                if depth2 == g.area:  # whole images: one run of lines
                    shift = 30
                    lines_x, lines_gy = (c1 - c0) * g.area // n + 1, g.filters * g.area // n + 1
                else:
                    shift = 3 if depth2 <= 8 * n else 4  # lines that nobody wants cost
                    lines_x, lines_gy = (c1 - c0) << shift, g.filters << shift
                row_x, shift_x, across, first_row = g.area, shift, 0, 0
                if thinned:
                    # of each row that is seen so many lines, in every channel
                    first_row, across = p2 // g.Wo, g.W // n + 1
                    rows = (p2 + depth2 - 1) // g.Wo - first_row + 1 if depth2 > 0 else 0
                    lines_x = (c1 - c0) * rows * across
                    row_x, shift_x = g.H * g.W, 0
                    at_x = ((i2 * C + group * g.channels + c0) * g.H + first_row * g.sh) * g.W
                lines = max(0, some2) * (lines_x + lines_gy)
                tiles = strips * panels
                rate = min(1 << 16, (lines << 16) // (tiles * some * depth))
                for s in range(strips):
                    a = c0 + registers * s // strips * n
                    width = min(c1, c0 + registers * (s + 1) // strips * n) - a
                    for p in range(panels):
                        m, end = g.filters * p // panels, g.filters * (p + 1) // panels
                        of = (image * O + group * g.filters + m) * g.area + p0
                        at = out + m * g.channels + a
                        before, at_before, row, step = psums, at, g.channels, n
                        if image == n0 and p0 == 0:
                            before, at_before, row, step = pnone, 0, 0, 0
                        line, later, soon, row_later, shift_later = 0, pgy, 0, g.area, shift
                        if lines > 0:
                            line = lines * (s * panels + p) // tiles
                            i, line = line // (lines_x + lines_gy), line % (lines_x + lines_gy)
                            if line < lines_x:
                                later, soon = px, at_x + i * C * g.H * g.W
                                row_later, shift_later = row_x, shift_x
                                if thinned:
                                    column, line = line // (c1 - c0), line % (c1 - c0)
                                    soon += column // across * g.sh * g.W + column % across * n
                            else:
                                soon, line = at_gy + i * O * g.area, line - lines_x
                        multiply_runs(
                            end - m, width, pgy, of, g.area, 1, plaid, s * g.size, strip, depth,
                            some, O * g.area, depth * strip, before, at_before, row, step,
                            psums, at, g.channels, later, soon, row_later, shift_later, line << 16,
                            rate,
                        )  # fmt: skip
                p0 += depth
                if p0 == g.area:
                    image += some
                    p0 = 0
    hold((none, laid, thin))


@part
def _thin(x, plane, rows, p0, depth, g, thin, to):
    """thin[to + c pitch + p] = x[plane + c, p0 + p] for ``rows`` planes: the pixels seen."""
    done = 0
    while done < depth:
        line, column = (p0 + done) // g.Wo, (p0 + done) % g.Wo
        count = min(depth - done, g.Wo - column)
        at = (plane * g.H + line * g.sh) * g.W + column * g.sw
        copy_rows(thin, to + done, g.thin, x, at, g.H * g.W, g.sw, rows, count)
        done += count


@part
def _turn(x, of, pitch, rows, depth, laid, to):
    """laid[to + p strip + c] = x[of + c pitch + p] for ``rows`` c."""
    n = lanes(x)
    strip = WIDTH * n
    for p in range(0, depth, n):
        transpose(x, of + p, pitch, rows, min(n, depth - p), laid, to + p * strip, strip)


@kernel
def _add_up(sums, gw, number, start, stop):
    """gw[start:stop] = the sum of ``number`` arrays of its size, one behind the other."""
    n = lanes(gw)
    for i in range(start, stop, n):
        count = stop - i
        total = load_some(sums, i, count)
        for s in range(1, number):
            total = add(total, load_some(sums, s * len(gw) + i, count))
        store_some(gw, i, total, count)


@functools.lru_cache(maxsize=512)
def _plan(N, channels, filters, groups, image, out, strides, itemsize):
    """(grid, units, number of sums)"""
    n = BITS // (8 * itemsize)
    area = out[0] * out[1]
    # whole registers, or rows where they are seen with a stride
    unit, depth = (n, _DEPTH) if strides == (1, 1) else (out[1], _THINNED)
    pixels = -(-area // -(-area // depth))
    pixels = min(area, -(-pixels // unit) * unit)
    images = max(1, min(N, depth // pixels)) if pixels == area else 1
    registers = -(-channels // n)

    def time(cut):
        """Of the largest unit, and of adding up: what is computed, and what is read."""
        shares, parts = cut
        most, width = -(-N // shares), -(-registers // parts)
        # tiles of three registers; fewer take longer than their share
        width += (0, 0.6, 0.1)[width] if width < WIDTH else 0
        cost = most * area * groups * filters * (width / 2 + 1 / 8)
        return cost + shares * filters * channels * groups / n * 3

    cuts = [(i, c) for i in (1, 2, 4, 8) for c in (1, 2, 4, 8)]
    shares, parts = min(
        ((i, c) for i, c in cuts if i * c <= _UNITS and i <= N and c <= registers), key=time
    )
    units = [
        (N * i // shares, N * (i + 1) // shares, registers * c // parts * n,
         min(channels, registers * (c + 1) // parts * n), i)
        for i in range(shares) for c in range(parts)
    ]  # fmt: skip
    size = images * pixels * WIDTH * n
    # an odd number of registers: rows of a square are not to share the cache's sets
    thin = (-(-images * pixels // n) | 1) * n
    g = _Depths(
        channels, filters, groups, area, images, pixels, thin, size, *image, out[1], *strides
    )
    return g, np.array(units, np.int64), shares


def weight_gradient(gy, x, window, groups):
    N, O = gy.shape[:2]
    C = x.shape[1] // groups
    strides = window.sh, window.sw
    g, units, number = _plan(
        N, C, O // groups, groups, x.shape[2:], gy.shape[2:], strides, x.itemsize
    )
    gw = empty((O, C, 1, 1), x.dtype)
    sums = gw if number == 1 else empty((number, O, C), x.dtype)
    flat = gy.reshape(-1), x.reshape(-1), sums.reshape(-1)
    parallel.run(
        lambda _, start, stop: _weigh(*flat, g, units, start, stop),
        parallel.chunks(len(units), gy.size * C),
    )
    if number > 1:
        flat_gw = gw.reshape(-1)
        parallel.run(
            lambda _, start, stop: _add_up(flat[2], flat_gw, number, start, stop),
            parallel.chunks(gw.size, sums.size),
        )
    return gw
