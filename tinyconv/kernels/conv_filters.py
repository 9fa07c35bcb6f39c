"""Convolution with filters in the lanes of a register: for small images, strides and many filters.

The images lie in planes as they do for ``conv_direct``, but a register holds 16 filters at one
pixel. Pixels are then rows of the tile and may lie anywhere (``tile_filters``): nothing is computed
in vain at the end of a row, and no strip is left over at the end of an image. The price is that
weights are laid out with filters side by side, and results turned back, 16 x 16 numbers at a time:
a few instructions for each register. Who is the last to use weights lays them out, a part of the
depth at a time, in its own cache.
"""

import functools
from typing import NamedTuple

import numpy as np

from tinyconv.kernels import parallel
from tinyconv.kernels.columns import aligned
from tinyconv.kernels.conv_direct import input_gradient, weight_gradient
from tinyconv.kernels.epilogue import floor_of
from tinyconv.kernels.jit import kernel, part
from tinyconv.kernels.memory import empty
from tinyconv.kernels.planes import forward_taps, layout, offsets, place
from tinyconv.kernels.simd import BITS, get, hold, lanes, pointer, put
from tinyconv.kernels.tile import ROWS, WIDTH
from tinyconv.kernels.tile_filters import multiply_windows
from tinyconv.kernels.winograd_passes import write
from tinyconv.kernels.winograd_transforms import gather

__all__ = ["forward", "input_gradient", "weight_gradient"]

#: steps of the depth whose weights are laid out at a time
_DEPTH = 1024
#: bytes of planes and pixels that are worked on at a time
_BUDGET, _PIXELS = 1 << 19, 1024
#: pixels of a unit for which it pays to lay out weights
_FEW = 128
#: units of work to aim at
_UNITS = 4


class _Plan(NamedTuple):
    grid: object
    planes: np.ndarray  # where each plane begins in the image
    masks: np.ndarray
    offsets: np.ndarray  # of each number of a filter
    bounds: np.ndarray  # registers of a group's filters, cut into panels
    units: int


@kernel
def _convolve(
    x, w, line, residual, y, g, planes, masks, table, bounds, add_residual, least, O, Ho, Wo,
    start, stop,
):  # fmt: skip
    """Units start:stop of y = act(scale conv(x) + bias + residual); arrays but ``line`` flat."""
    n = lanes(x)
    N, Og = len(y) // (O * Ho * Wo), O // g.groups
    depth, panels = len(table), len(bounds) - 1
    space = np.zeros(g.channels * g.planes * g.size, x.dtype)
    most = g.images * g.rows * Wo
    places = np.empty(most, np.int64)
    spare = WIDTH * most * n
    sums = aligned(spare + n, x)
    packed = aligned(WIDTH * n * min(depth, _DEPTH), x)
    turned = np.empty(n, np.int64)
    scale, bias, least = pointer(line[0]), pointer(line[1]), pointer(least)
    pw, py, pother = pointer(w), pointer(y), pointer(residual)
    pspace, pplaces, psums = pointer(space), pointer(places), pointer(sums)
    ppacked, pturned, ptable = pointer(packed), pointer(turned), pointer(table)
    blocks_of_depth = (depth + _DEPTH - 1) // _DEPTH
    placed = -1
    for unit in range(start, stop):
        split, where = unit % g.splits, unit // g.splits
        u0, n0 = where % g.blocks * g.rows, where // g.blocks * g.images
        n1, rows = min(n0 + g.images, N), min(g.rows, Ho - u0)
        pixels = (n1 - n0) * rows * Wo
        i = 0
        for image in range(n1 - n0):
            for u in range(rows):
                for q in range(Wo):
                    places[i] = (image * g.plane_rows + u) * g.pitch + q
                    i += 1
        tiles = (pixels + ROWS - 1) // ROWS
        for group in range(g.groups):
            if placed != where or g.groups > 1:
                place(x, n0, n1, group * g.channels, u0, g, planes, masks, space)
                placed = where
            for i in range(panels * split // g.splits, panels * (split + 1) // g.splits):
                width, o = bounds[i + 1] - bounds[i], bounds[i] * n
                for j in range(n):
                    turned[j] = j * width * n
                for b in range(blocks_of_depth):
                    k0, k1 = depth * b // blocks_of_depth, depth * (b + 1) // blocks_of_depth
                    for v in range(width):
                        of = (group * Og + o + v * n) * depth + k0
                        _lay(
                            pw, of, depth, Og - o - v * n, k1 - k0, ppacked, v * n, width * n,
                            pturned,
                        )  # fmt: skip
                    for t in range(tiles):
                        p, end = pixels * t // tiles, pixels * (t + 1) // tiles
                        multiply_windows(
                            end - p, width, pspace, pplaces, p, ptable, k0, k1 - k0, ppacked, 0,
                            psums, p * n, pixels * n, b > 0,
                        )  # fmt: skip
                for v in range(width):
                    first = o + v * n
                    for image in range(n0, n1):
                        at = (v * pixels + (image - n0) * rows * Wo) * n
                        to = ((image * O + group * Og + first) * Ho + u0) * Wo
                        write(
                            psums, at, scale, bias, group * Og + first, py, to, Ho * Wo, rows * Wo,
                            Og - first, spare, add_residual, pother, least,
                        )  # fmt: skip
    hold((space, places, sums, packed, turned))


@part
def _lay(w, at, pitch, rows, depth, packed, to, row, turned):
    """packed[to + k row + r] = w[at + r pitch + k] for a register of rows r."""
    n = lanes(packed)
    for k in range(0, depth if depth >= n else 0, n):
        k = min(k, depth - n)  # the last ones go over what is there already
        gather(w, at + k, pitch, rows, packed, to + k * row, turned, 0)
    for k in range(0 if depth >= n else depth):
        for r in range(n):
            put(packed, to + k * row + r, get(w, at + min(r, rows - 1) * pitch + k))


@functools.lru_cache(maxsize=512)
def _plan(N, image, channels, filters, groups, window, itemsize):
    """What is known from the shapes alone; channels and filters of one group."""
    n = BITS // (8 * itemsize)
    Ho, Wo = window.output_shape(*image)
    taps = forward_taps(window, *image)
    grid, planes, masks = layout(taps, 1, channels, groups, image, itemsize, 1, 1)
    reach, beside = (max(t[axis] for t in taps.jobs[0].taps) for axis in (2, 3))
    registers = -(-filters // n)
    images, blocks, splits = max(1, min(N, _FEW // (Ho * Wo))), 1, 1
    row = channels * grid.planes * grid.pitch * itemsize
    if images == 1:
        blocks = -(-max(Ho * Wo * _BUDGET // _PIXELS, (Ho + reach) * row) // _BUDGET)
    units = -(-N // images) * blocks
    while units * splits < _UNITS and registers >= 2 * splits:
        splits *= 2
    while units * splits < _UNITS and images == 1 and Ho * Wo >= 2 * _FEW * blocks:
        blocks, units = 2 * blocks, 2 * units
    rows = -(-Ho // blocks)
    blocks, high = -(-Ho // rows), rows + reach
    # an odd number of cache lines from plane to plane, and room for what is read beyond
    line = 64 // itemsize
    size = (-(-(images * high * grid.pitch + beside) // line) | 1) * line
    grid = grid._replace(
        images=images, blocks=blocks, rows=rows, plane_rows=high, size=size, splits=splits
    )
    table, _ = offsets(taps, grid)
    number = -(-registers // WIDTH)
    number += -number % splits
    bounds = np.array([i * registers // number for i in range(number + 1)])
    return _Plan(grid, planes, masks, table, bounds, -(-N // images) * blocks * splits)


def forward(x, w, bias, window, groups, residual=None, relu=False, scale=None):
    (N, _, *image), (O, Cg) = x.shape, w.shape[:2]
    y = empty((N, O, *window.output_shape(*image)), x.dtype)
    plan = _plan(N, tuple(image), Cg, O // groups, groups, window, x.itemsize)
    n = BITS // (8 * x.itemsize)
    line = np.zeros((2, O + n), x.dtype)
    line[0, :O], line[1, :O] = 1 if scale is None else scale, bias
    flat_x, flat_w, flat_y = x.reshape(-1), w.reshape(-1), y.reshape(-1)
    other, least = flat_y if residual is None else residual.reshape(-1), floor_of(relu, x.dtype)
    parallel.run(
        lambda _, start, stop: _convolve(
            flat_x, flat_w, line, other, flat_y, plan.grid, plan.planes, plan.masks, plan.offsets,
            plan.bounds, residual is not None, least, O, *y.shape[2:], start, stop,
        ),
        parallel.chunks(plan.units, y.size * w[0].size),
    )  # fmt: skip
    return y
