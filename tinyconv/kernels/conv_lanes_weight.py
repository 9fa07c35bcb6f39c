"""The weight gradient with channels in the lanes of a register.

    gw[o, c, i, j] = sum_pixels gy[o, pixel] x[c, pixel + (i, j)]

is a product of matrices whose depth are the pixels: with x laid out as space[row, column, c],
what the taps of one window row see at a pixel, kw times C numbers, is one piece. So the tile
of the convolution itself serves, with gy in the part of the weights, and no lane has to be
summed up in the end. Pixels are in the order (output row, image, output column): a row of taps
leaves out the output rows for which it lies in the padding.
"""

import functools
from typing import NamedTuple

import numpy as np

from tinyconv.kernels import parallel
from tinyconv.kernels.columns import aligned
from tinyconv.kernels.jit import kernel
from tinyconv.kernels.memory import empty
from tinyconv.kernels.simd import BITS, add, lanes, load, store
from tinyconv.kernels.simd_columns import turn
from tinyconv.kernels.tile import ROWS, WIDTH, multiply, panels

#: bytes of x and of gy at work at a time
_BUDGET = 3 << 17
#: pixels of a unit at least, where there are so many: a tile's end costs some
_PIXELS = 256
#: units of work are reckoned to be done so many at a time
_TOGETHER = 4


class _Grid(NamedTuple):
    """How the kernel walks the images: integers that it reads by name."""

    channels: int  # of a group
    groups: int
    filters: int  # of a group
    H: int
    W: int
    Ho: int
    Wo: int
    images: int  # of a unit
    columns: int  # of a row in ``space``
    left: int
    used: int  # columns of the image that are seen
    size: int  # from one image to the next
    pieces: int  # pieces of taps that lie together, in a row of taps
    length: int  # of the sums of a piece, in whole registers


@kernel
def _weigh(gy, x, sums, g, table, lines, starts, panels, shares, start, stop):
    """Shares start:stop: sums[share, o, i, piece] = gy . x; all arrays flat but sums.

    lines: (first output row, stop, where in x) of each row of taps; starts: of each piece;
    shares: (first panel, stop, first unit, stop, which sums).
    """
    n = lanes(x)
    zero = x.dtype.type(0)
    strip = WIDTH * n
    C, O = g.channels * g.groups, g.filters * g.groups
    N = len(gy) // (O * g.Ho * g.Wo)
    area, row = g.images * g.size, g.images * g.Wo  # row: pixels of one output row
    space = aligned(area + g.length + 2 * strip, x)
    space[:] = zero
    rows = aligned(g.filters * g.Ho * row + n, x)
    tile = aligned(ROWS * strip, x)
    none = aligned(ROWS, x)
    none[:] = zero
    per = len(lines) * g.pieces * g.length
    for s in range(start, stop):
        to = sums[shares[s, 4]]
        for unit in range(shares[s, 2], shares[s, 3]):
            n0 = unit * g.images
            n1 = min(n0 + g.images, N)
            if n1 - n0 < g.images:
                space[:] = zero
                rows[:] = zero
            for group in range(g.groups):
                for image in range(n1 - n0):
                    of = ((n0 + image) * C + group * g.channels) * g.H * g.W
                    for c in range(0, g.channels, n):
                        for h in range(g.H):
                            at = image * g.size + (h * g.columns + max(g.left, 0)) * g.channels + c
                            begin = of + (c * g.H + h) * g.W + max(-g.left, 0)
                            for v in range(0, g.used, n):
                                turn(
                                    x, begin + v, g.H * g.W, min(n, g.channels - c),
                                    min(n, g.used - v), space, at + v * g.channels, g.channels,
                                )  # fmt: skip
                for p in range(shares[s, 0], shares[s, 1]):
                    o, height = panels[p, 0], panels[p, 1]
                    for image in range(n1 - n0):
                        of = ((n0 + image) * O + group * g.filters + o) * g.Ho * g.Wo
                        for u in range(g.Ho):
                            at = o * g.Ho * row + (u * row + image * g.Wo) * height
                            for v in range(0, g.Wo, n):
                                turn(
                                    gy, of + u * g.Wo + v, g.Ho * g.Wo, height, min(n, g.Wo - v),
                                    rows, at + v * height, height,
                                )  # fmt: skip
                    for i in range(len(lines)):
                        first, last = lines[i, 0] * row, lines[i, 1] * row
                        for k in range(g.pieces):
                            at = (group * g.filters + o) * per + (i * g.pieces + k) * g.length
                            t = 0
                            while t < g.length:
                                left = (g.length - t) // n
                                registers = 2 if left == 4 else min(WIDTH, left)
                                multiply(
                                    height, registers, rows, o * g.Ho * row + first * height,
                                    none, 0, space, lines[i, 2] + starts[k] + t, table, first,
                                    last - first, tile, 0, strip,
                                )  # fmt: skip
                                for r in range(height):
                                    for q in range(0, registers * n, n):
                                        value = load(tile, r * strip + q)
                                        if unit > shares[s, 2]:
                                            value = add(load(to, at + r * per + t + q), value)
                                        store(to, at + r * per + t + q, value)
                                t += registers * n


@kernel
def _collect(sums, length, gw, together, start, stop):
    """Filters start:stop of gw (O, C, kh, kw) from all sums, added in order."""
    _, C, kh, kw = gw.shape
    per = sums.shape[1] // len(gw)
    for o in range(start, stop):
        row = sums[0, o * per : (o + 1) * per]
        for s in range(1, len(sums)):
            row += sums[s, o * per : (o + 1) * per]
        for i in range(kh):
            for j in range(kw):
                at = (i * (kw // together) + j // together) * length + j % together * C
                for c in range(C):
                    gw[o, c, i, j] = row[at + c]


@functools.lru_cache(maxsize=512)
def _plan(N, image, channels, filters, groups, window, itemsize):
    (H, W), (Ho, Wo) = image, window.output_shape(*image)
    n = BITS // (8 * itemsize)
    columns = (Wo - 1) * window.sw + (window.kw - 1) * window.dw + 1
    size = H * columns * channels
    together = window.kw if window.dw == 1 else 1
    length = -(-together * channels // n) * n
    bytes_of = (size + filters * Ho * Wo) * itemsize
    enough = max(1, min(N, _BUDGET // bytes_of, -(-_PIXELS // (Ho * Wo))))
    most = max(enough, min(N, _BUDGET // bytes_of))
    # of those that fit, the number that leaves the least over
    images = min(range(enough, most + 1), key=lambda i: (-(-N // i) * i, -i))
    units, heights = -(-N // images), panels(filters)

    def time(share):
        sums, parts = share
        rounds = -(-sums * parts // _TOGETHER) * _TOGETHER / (sums * parts)
        taps = window.kh * (window.kw // together) * length
        work = N * Ho * Wo * filters * taps / n / 2 + parts * N * size * 0.5
        return work * rounds / _TOGETHER + taps * filters * sums

    shares = [(s, p) for s in (1, 2, 4, 8) for p in (1, 2, 4, 8)]
    shares = [(s, p) for s, p in shares if s <= units and p <= len(heights) and s * p <= 8]
    sums, parts = min(shares, key=time)
    shares = [
        (len(heights) * p // parts, len(heights) * (p + 1) // parts,
         units * i // sums, units * (i + 1) // sums, i)
        for i in range(sums) for p in range(parts)
    ]  # fmt: skip
    lines = []
    for i in range(window.kh):
        h = i * window.dh - window.top
        seen = [u for u in range(Ho) if 0 <= h + u * window.sh < H]
        lines.append((seen[0], seen[-1] + 1, h * columns * channels) if seen else (0, 0, 0))
    table = [
        k * size + (u * window.sh * columns + v * window.sw) * channels
        for u in range(Ho) for k in range(images) for v in range(Wo)
    ]  # fmt: skip
    pieces = window.kw // together
    starts = [k * window.dw * channels for k in range(pieces)]
    left = window.left
    used = max(0, min(W - max(-left, 0), columns - max(left, 0)))
    g = _Grid(
        channels, groups, filters, H, W, Ho, Wo, images, columns, left, used, size, pieces, length
    )
    arrays = [np.array(a, np.int64) for a in (table, lines, starts, heights, shares)]
    return g, *arrays, sums, together


def weight_gradient(gy, x, window, groups):
    O, C = gy.shape[1], x.shape[1] // groups
    gw = empty((O, C, window.kh, window.kw), x.dtype)
    plan = _plan(x.shape[0], x.shape[2:], C, O // groups, groups, window, x.itemsize)
    g, *arrays, number, together = plan
    sums = empty((number, O * window.kh * g.pieces * g.length), x.dtype)
    flat_x, flat_gy = x.reshape(-1), gy.reshape(-1)
    parallel.run(
        lambda _, start, stop: _weigh(flat_gy, flat_x, sums, g, *arrays, start, stop),
        parallel.chunks(len(arrays[-1]), gy.size * C * window.kh * window.kw),
    )
    parallel.run(
        lambda _, start, stop: _collect(sums, g.length, gw, together, start, stop),
        parallel.chunks(O, gw.size * (3 + number)),
    )
    return gw


__all__ = ["weight_gradient"]
