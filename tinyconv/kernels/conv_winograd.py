"""Convolution 3x3 and 5x5 by Winograd: a quarter of the multiplications, or 36 of 100.

An image is cut into tiles, each computed from 6 x 6 inputs: 4 x 4 outputs of a 3x3 filter, by
F(4x4, 3x3), or 2 x 2 outputs of a 5x5 filter, by F(2x2, 5x5). In the transformed domain a
convolution is 36 matrix products, one for each component k:

    M[k, tile, o] = sum_c V[k, tile, c] U[k, c, o],    V from x, U from w,    y from M

and so are its gradients: the input gradient is the convolution with flipped weights, and
the weight gradient sums V[k, tile, c] times the transformed gy over tiles.

Work goes by blocks of tile rows whose V and M stay in the L2 cache. Channels lie in lanes
(see ``winograd_transforms``), rows of the register tile are tiles, so small images waste
nothing but what the tile's side does not divide.

Rounding: with inputs of unit variance and weights of variance 1 / (k k C) the largest error
of an output in float32 grows as 1e-6 sqrt(C) (2e-5 at C = 512) for 3x3, half of it for 5x5;
tests hold it below 2e-6 sqrt(25 + C), or 1e-6. The weight gradient is as exact as a direct sum
for 3x3, and off by up to 2e-5 of its root mean square for 5x5 (tests hold it below 5e-5). A NaN
makes NaN wherever it does by definition, and in the rest of the tiles that see it; so does
infinity.
"""

import functools
import threading

import numpy as np

from tinyconv.kernels import memory, parallel
from tinyconv.kernels.choice import winograd_fits as supports
from tinyconv.kernels.simd import BITS
from tinyconv.kernels.tile import WIDTH
from tinyconv.kernels.winograd_passes import RUN, Plan, convolve, pack, weight
from tinyconv.kernels.winograd_transforms import OUTPUTS, TALL

__all__ = ["forward", "input_gradient", "supports", "weight_gradient"]

#: bytes of transformed tiles at work, and the least tiles for which a pass over weights pays
_BUDGET, _LEAST = 3 << 17, 32
#: bytes of scratch that a thread keeps at most
_KEPT = 1 << 22
#: units of work at most; with k units each should do k times so many cycles of work, with two
#: units in a forward pass half of it
_UNITS, _UNIT_WORK, _SUM_WORK = 8, 1 << 16, 1 << 17
#: tiles that a unit should have, and for the weight gradient, which transforms ``_SUM_BLOCK``
#: of them at a time
_UNIT_TILES, _SUM_TILES, _SUM_BLOCK = 32, 64, 64
#: registers of channels that more than two ranges of channels should have
_UNIT_WIDTH = 8


@functools.lru_cache(maxsize=1024)
def _bounds(registers, splits):
    """Registers of channels cut into panels of at most WIDTH, evenly, a multiple of splits."""
    number = -(-registers // WIDTH)
    number += -number % splits
    return np.array([i * registers // number for i in range(number + 1)])


@functools.cache
def _limits(dtype, relu):
    """(scales and biases that change nothing, the least numbers that an output and that a sum
    may be)."""
    n = BITS // (8 * dtype.itemsize)
    return np.array([[1] * n, [0] * n], dtype), np.array([0 if relu else -np.inf, -np.inf], dtype)


_own = threading.local()


def _scratch(size, dtype):
    """The calling thread's own scratch memory, kept: what it wrote last is in its caches, while
    a block that went from thread to thread would have to change caches."""
    if size * dtype.itemsize > _KEPT:
        return memory.empty((size,), dtype)
    size *= dtype.itemsize
    if getattr(_own, "bytes", np.empty(0)).size < size:
        _own.bytes = memory.empty((size,), np.uint8)
    return _own.bytes[:size].view(dtype)


def _units(rows, tiles, depth, width, n, work, least, two=1):
    """How many ranges of tile rows, and of channels, to cut the work into: powers of 2.

    ``depth`` and ``width`` are registers of channels in and out. A range of rows goes through
    all weights again, and a range of channels transforms the tiles again: one cut, for two
    threads, is worth more than the next ones: ``two`` times less work is enough for it.
    """
    # in cycles: 36 products at two multiply-adds each, and the transforms
    cycles = tiles * (18 * depth * width * n + 200 * (depth + width))
    number = 1
    while number < _UNITS and (2 * number) ** 2 * work <= cycles * (two if number == 1 else 1):
        number *= 2
    units, splits = number, 1
    while units > 1 and (units > rows or units * least > tiles):
        units //= 2
    while units * splits < number:
        if width < 2 * splits * (1 if units * splits == 1 else _UNIT_WIDTH):
            break
        splits *= 2
    return units, splits


def _table(H, W, pitch, n):
    """Where pixels 0, 1, 2, ... of H rows go in a plane of so many registers per row."""
    table = (np.arange(H)[:, None] * pitch + np.arange(W)) * n
    return np.append(table.reshape(-1), np.zeros(n, table.dtype))


def _room(tiles):
    """Tiles that there must be room for: a product may take some more. Even: see ``convolve``."""
    return (tiles + TALL) // 2 * 2


def _cut(count, number):
    return [(i * count // number, (i + 1) * count // number) for i in range(number)]


@functools.lru_cache(maxsize=1024)
def _layout(shape, O, output, taps, groups, top, left, itemsize):
    """(plan, scratch size, units of work, panels of a group) from the shape alone.

    A unit is (first tile row, last, first panel, last)."""
    N, C = shape[:2]
    n = BITS // (8 * itemsize)
    Cp, Op = (-(-size // groups // n) * n for size in (C, O))
    m, edge = OUTPUTS[taps], taps - 1
    TY, TX = (-(-size // m) for size in output)
    total = N * TY
    sizes = Cp // n, Op // n, n
    units, splits = _units(
        total, groups * total * TX, *sizes, _UNIT_WORK, groups * _UNIT_TILES, two=2
    )
    panels = _bounds(Op // n, splits)
    wide = int(np.diff(panels).max()) * n
    most = max(_LEAST, _BUDGET // (36 * (Cp + wide) * itemsize))
    each = -(-total // units)
    rows = -(-each // -(-each * TX // most))  # blocks of a unit are even
    high, room = min(rows, TY), _room(rows * TX)
    places = np.cumsum([
        0, 36 * (room * Cp + n), 36 * (room * wide + n), (m * high + edge) * (m * TX + edge) * n,
        (m * high * m * TX + m) * n, n, n * (RUN + n),
    ])  # fmt: skip
    once = units == groups == 1 and rows == each
    plan = Plan(groups, taps, m, top, left, rows, room, *places[:-1], once=once)
    work = [(*a, *b) for a in _cut(total, units) for b in _cut(len(panels) - 1, splits)]
    table = _table(min(shape[2], m * high + edge), shape[3], m * TX + edge, n)
    return np.array(plan), table, int(places[-1]), work, panels


@functools.lru_cache(maxsize=1024)
def _weight_layout(shape, O, output, taps, groups, top, left, itemsize):
    """(plan, scratch size, ranges of tile rows, ranges of panels, panels of a group's input
    channels): a unit of work is one range of each."""
    N, C = shape[:2]
    n = BITS // (8 * itemsize)
    Cg, Og = C // groups, O // groups
    Cp, Op = -(-Cg // n) * n, -(-Og // n) * n
    m, edge = OUTPUTS[taps], taps - 1
    TY, TX = (-(-size // m) for size in output)
    total = N * TY
    sizes = Op // n, Cp // n, n
    units, splits = _units(total, groups * total * TX, *sizes, _SUM_WORK, groups * _SUM_TILES)
    bounds = _bounds(Cp // n, splits)
    each = -(-total // units)
    rows = -(-each // -(-each * TX // _SUM_BLOCK))
    high, tiles = min(rows, TY), rows * TX
    panels = _cut(len(bounds) - 1, splits)
    kept = rows < each
    wide = int(np.diff(bounds).max()) * n
    most = max(int(bounds[b] - bounds[a]) for a, b in panels) * n if kept else wide
    square = taps * taps
    places = np.cumsum([
        0, 36 * (tiles * wide + n), 36 * (Op + TALL) * most,
        (m * high + edge) * (m * TX + edge) * n, 36 * (tiles * Op + n),
        (square + 1) * n, (n + square) * n,
    ])  # fmt: skip
    plan = Plan(groups, taps, m, top, left, rows, tiles, *places[:6], kept=kept)
    tables = (
        _table(min(shape[2], m * high + edge), shape[3], m * TX + edge, n),
        _table(min(output[0], m * high), output[1], m * TX, n),
    )
    return np.array(plan), tables, int(places[-1]), _cut(total, units), panels, bounds


def _run(x, w, bias, y, groups, top, left, adjoint, residual, relu, scale=None):
    O = y.shape[1]
    layout = _layout(x.shape, O, y.shape[2:], w.shape[2], groups, top, left, x.itemsize)
    plan, table, size, work, bounds = layout
    n = BITS // (8 * x.itemsize)
    once = plan[-1]
    depth, rows, panels = x.shape[1] // groups, O // groups, len(bounds) - 1
    if not once:
        registers = groups * 36 * (depth * int(bounds[-1]) + panels)
        packed = memory.empty((registers * n,), x.dtype)
        parallel.run(
            lambda _, *part: pack(
                w, w.shape[2], bounds, rows, depth, adjoint, packed, False, *part
            ),
            parallel.chunks(groups * panels, 64 * w.size),
        )
    line = np.zeros((2, O + n), x.dtype)  # scale and bias
    line[0, :O] = 1 if scale is None else scale
    if bias is not None:
        line[1, :O] = bias
    _, least = _limits(x.dtype, relu)
    added = y if residual is None else residual

    def unit(i, *_):
        scratch = _scratch(size, x.dtype)
        first, last, *range_ = work[i]
        if not once:
            multiply(packed, scratch, True, first, last, *range_)
            return
        # weights that only one unit uses are packed by it, panel after panel, in its cache
        panel = memory.empty((36 * (depth * WIDTH + 1) * n,), x.dtype)
        for k in range(*range_):
            pack(w, w.shape[2], bounds, rows, depth, adjoint, panel, True, k, k + 1)
            multiply(panel, scratch, k == range_[0], first, last, k, k + 1)

    def multiply(packed, *unit):
        convolve(x, packed, bounds, line, added, residual is not None, least, y, plan, table, *unit)

    parallel.run(unit, [(i, i + 1) for i in range(len(work))])
    return y


def forward(x, w, bias, window, groups, residual=None, relu=False, scale=None):
    y = memory.empty((x.shape[0], w.shape[0], *window.output_shape(*x.shape[2:])), x.dtype)
    return _run(x, w, bias, y, groups, window.top, window.left, False, residual, relu, scale)


def input_gradient(gy, w, window, groups, image):
    border = window.kh - 1 - window.top, window.kw - 1 - window.left
    gx = memory.empty((gy.shape[0], w.shape[1] * groups, *image), gy.dtype)
    return _run(gy, w, None, gx, groups, *border, True, None, False)


def weight_gradient(gy, x, window, groups):
    O, Cg, k = gy.shape[1], x.shape[1] // groups, window.kh
    layout = _weight_layout(
        x.shape, O, gy.shape[2:], k, groups, window.top, window.left, x.itemsize
    )
    plan, tables, size, rows, panels, bounds = layout
    partial = memory.empty((len(rows), O, Cg, k * k), x.dtype)

    line, least = _limits(x.dtype, False)

    def add(i, start, stop):
        scratch = _scratch(size, x.dtype)
        for unit in range(start, stop):
            chunk, part = divmod(unit, len(panels))
            weight(
                gy,
                x,
                bounds,
                line,
                least,
                partial[chunk],
                plan,
                *tables,
                scratch,
                *rows[chunk],
                *panels[part],
            )

    parallel.run(add, [(i, i + 1) for i in range(len(rows) * len(panels))])
    # one partial sum per chunk of rows, added in order: the same for any number of threads
    return _sum(partial).reshape(O, Cg, k, k)


def _sum(partial):
    """The sum over the first axis."""
    if len(partial) == 1:
        return partial[0]
    partial = partial.reshape(len(partial), -1)
    total = memory.empty(partial.shape[1:], partial.dtype)
    parallel.run(
        lambda _, start, stop: np.add.reduce(partial[:, start:stop], 0, out=total[start:stop]),
        parallel.chunks(total.size, partial.nbytes),
    )
    return total
