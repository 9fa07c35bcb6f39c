"""Convolution 3x3 by Winograd's F(4x4, 3x3): a quarter of the multiplications.

An image is cut into tiles of 4 x 4 outputs, each computed from 6 x 6 inputs. In the transformed
domain a convolution is 36 matrix products, one for each component k:

    M[k, tile, o] = sum_c V[k, tile, c] U[k, c, o],    V from x, U from w,    y from M

and so are its gradients: the input gradient is the convolution with flipped weights, and
the weight gradient sums V[k, tile, c] times the transformed gy over tiles.

Work goes by blocks of tile rows whose V and M stay in the L2 cache. Channels lie in lanes
(see ``winograd_transforms``), rows of the register tile are tiles, so small images waste
nothing but what 4 does not divide.

Rounding: with inputs of unit variance and weights of variance 1 / (9 C) the largest error
of an output in float32 grows as 1e-6 sqrt(C) (2e-5 at C = 512); tests hold it below
2e-6 sqrt(25 + C). The weight gradient is as exact as a direct sum. A NaN makes NaN wherever it
does by definition, and in the rest of the tiles that see it; so does infinity.
"""

import functools

import numpy as np

from tinyconv.kernels import memory, parallel
from tinyconv.kernels.simd import BITS
from tinyconv.kernels.tile import ROWS, WIDTH
from tinyconv.kernels.winograd_passes import Plan, convolve, pack, weight

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
        0, (tiles + ROWS) * (36 * Cp + n), (tiles + ROWS) * (36 * wide + n),
        (4 * high + 2) * (4 * TX + 2) * n, (4 * high * 4 * TX + 4) * n, n,
    ])  # fmt: skip
    once = units == groups == 1 and rows == each
    plan = Plan(groups, top, left, rows, *(int(place) for place in places[:-1]), once=once)
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
        0, 36 * (tiles * wide + n), (Op if kept else ROWS) * 36 * most,
        (4 * high + 2) * (4 * TX + 2) * n, 36 * (tiles * Op + n), 10 * n, (n + 9) * n,
    ])  # fmt: skip
    places = [int(place) for place in places]
    plan = Plan(groups, top, left, rows, *places[:6], kept)
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
            lambda _, *part: pack(w, bounds, rows, depth, adjoint, packed, False, *part),
            parallel.chunks(groups * panels, 2 * w.size),
        )
    biases = np.zeros(O + n, x.dtype)
    if bias is not None:
        biases[:O] = bias
    least = np.full(1, 0 if relu else -np.inf, x.dtype)
    added = y if residual is None else residual

    def unit(i, *_):
        scratch = memory.empty((size,), x.dtype)
        first, last, *range_ = work[i]
        if not plan.once:
            multiply(packed, scratch, True, first, last, *range_)
            return
        # weights that only one unit uses are packed by it, panel after panel, in its cache
        panel = memory.empty((36 * (depth * WIDTH + 1) * n,), x.dtype)
        for k in range(*range_):
            pack(w, bounds, rows, depth, adjoint, panel, True, k, k + 1)
            multiply(panel, scratch, k == range_[0], first, last, k, k + 1)

    def multiply(packed, *unit):
        convolve(x, packed, bounds, biases, added, residual is not None, least, y, plan, *unit)

    parallel.run(unit, [(i, i + 1) for i in range(len(work))])
    return y


def forward(x, w, bias, window, groups, residual=None, relu=False):
    y = memory.empty((x.shape[0], w.shape[0], *window.output_shape(*x.shape[2:])), x.dtype)
    return _run(x, w, bias, y, groups, window.top, window.left, False, residual, relu)


def input_gradient(gy, w, window, groups, image):
    gx = memory.empty((gy.shape[0], w.shape[1] * groups, *image), gy.dtype)
    return _run(gy, w, None, gx, groups, 2 - window.top, 2 - window.left, True, None, False)


def weight_gradient(gy, x, window, groups):
    O, Cg = gy.shape[1], x.shape[1] // groups
    if not (gy.size and x.size):
        return np.zeros((O, Cg, 3, 3), x.dtype)
    layout = _weight_layout(x.shape, O, gy.shape[2:], groups, window.top, window.left, x.itemsize)
    plan, size, rows, panels, bounds = layout
    partial = memory.empty((len(rows), O, Cg, 9), x.dtype)

    def add(i, start, stop):
        scratch = memory.empty((size,), x.dtype)
        for unit in range(start, stop):
            chunk, part = divmod(unit, len(panels))
            weight(gy, x, bounds, partial[chunk], plan, scratch, *rows[chunk], *panels[part])

    parallel.run(add, [(i, i + 1) for i in range(len(rows) * len(panels))])
    # one partial sum per chunk of rows, added in order: the same for any number of threads
    return (partial[0] if len(rows) == 1 else partial.sum(0)).reshape(O, Cg, 3, 3)
