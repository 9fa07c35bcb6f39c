"""The weight gradient of the direct convolution: dot products of planes of x and of gy.

gy is laid out as the planes of x are, with zeros wherever there is no output pixel; then the
gradient of a weight is the product, summed over one contiguous run, of gy's plane with x's plane
shifted by that weight's offset.
"""

import functools

import numpy as np

from tinyconv.kernels import parallel
from tinyconv.kernels.jit import kernel, part
from tinyconv.kernels.memory import zeros
from tinyconv.kernels.planes import UNITS, forward_taps, is_point, layout, offsets, one_row, place
from tinyconv.kernels.simd import BITS, copy_rows, lanes
from tinyconv.kernels.tile import DOT_ROWS, DOT_TAPS, dot, dot_cell, panels

#: how many sums the shares of a weight gradient may have in all: where there are many weights
#: it is shared out by filters, not by images
_SUMS = 1 << 19
#: bytes that stay in the first cache beside what else passes through it
_NEAR = 3 << 13
#: bytes of planes: no next unit is asked for meanwhile, so they may be larger than forward
_PLANES = 1 << 19
#: pixels of a run, about: gradients of one panel stay there
_RUN = 1100


@kernel
def _weigh(
    gy,
    x,
    sums,
    g,
    planes,
    masks,
    table,
    panels,
    shares,
    cell,
    Og,
    Ho,
    Wo,
    x_lies,
    gy_lies,
    start,
    stop,
):
    """Shares start:stop of the weight gradient. Each adds to its own ``sums``, which hold a cell
    for each tile: panel of filters by DOT_TAPS taps."""
    n = lanes(x)
    C, O = g.channels * g.groups, Og * g.groups
    N = len(gy) // (O * Ho * Wo)
    area = g.plane_rows * g.pitch
    tiles = (len(table) - 1) // DOT_TAPS
    space, rows, once = x, gy, (1, 0, 0)
    if not x_lies:
        space = np.zeros(g.channels * g.planes * g.size + g.pitch + 2 * n, x.dtype)
    pitch = Ho * Wo
    if not gy_lies:
        pitch = (g.images * area + n - 1) // n * n
        rows = np.zeros((panels[-1, 0] + panels[-1, 1]) * pitch, x.dtype)
    for s in range(start, stop):
        to = sums[shares[s, 4]]
        for unit in range(shares[s, 2], shares[s, 3]):
            block, n0 = unit % g.blocks, unit // g.blocks * g.images
            n1 = min(n0 + g.images, N)
            u0 = block * g.rows
            count = min(g.rows, Ho - u0)
            images, lines, length = once, once, Wo
            if gy_lies:
                images, lines = (n1 - n0, O * Ho * Wo, area), (count, Wo, g.pitch)
            else:
                length = ((n1 - n0 - 1) * g.plane_rows + count) * g.pitch
                length = (length + n - 1) // n * n
            for group in range(g.groups):
                of_x = of_gy = 0
                if gy_lies:
                    of_gy = ((n0 * O + group * Og) * Ho + u0) * Wo
                if x_lies:
                    of_x = (n0 * C + group * g.channels) * area
                else:
                    place(x, n0, n1, group * g.channels, u0, g, planes, masks, space)
                # rows of a few panels stay in the first cache while all taps pass over them
                some = max(1, _NEAR // (DOT_ROWS * images[0] * lines[0] * length * x.itemsize))
                for begin in range(shares[s, 0], shares[s, 1], some):
                    end = min(begin + some, shares[s, 1])
                    for p in range(begin, end):
                        if not gy_lies:
                            o, height = panels[p, 0], panels[p, 1]
                            _rows(
                                gy, n0, n1, group * Og + o, O, height, u0, count, Ho, Wo, g, rows,
                                o * pitch, pitch, length,
                            )  # fmt: skip
                    for k in range(tiles):
                        for p in range(begin, end):
                            o, height = panels[p, 0], panels[p, 1]
                            at = ((group * len(panels) + p) * tiles + k) * cell
                            dot(
                                height, rows, of_gy + o * pitch, pitch, space, of_x, table,
                                k * DOT_TAPS, images, lines, length, to, at,
                            )  # fmt: skip


@kernel
def _collect(sums, panels, groups, cell, tiles, gw, start, stop):
    """Panels start:stop of gw (O, K) from the cells of all shares, added in order."""
    K = gw.shape[1]
    Og = len(gw) // groups
    for i in range(start, stop):
        group, p = i // len(panels), i % len(panels)
        for r in range(panels[p, 1]):
            row = gw[group * Og + panels[p, 0] + r]
            of = i * tiles * cell + r * DOT_TAPS
            for k in range(0, K, DOT_TAPS):
                for t in range(min(DOT_TAPS, K - k)):
                    total = sums[0, of + t]
                    for s in range(1, len(sums)):
                        total += sums[s, of + t]
                    row[k + t] = total
                of += cell


@part
def _rows(gy, n0, n1, o, O, height, u0, count, Ho, Wo, g, rows, to, pitch, length):
    """Lay gradients out as the planes are; between the rows ``rows`` is zero and stays so."""
    for r in range(height):
        at = to + r * pitch
        # the last group or block may be smaller: behind it lies what was there before
        end = at + length
        rows[max(at, end - lanes(gy)) : end] = 0
        for n in range(n0, n1):
            of = ((n * O + o + r) * Ho + u0) * Wo
            copy_rows(rows, at, g.pitch, gy, of, Wo, 1, count, Wo)
            at += g.plane_rows * g.pitch


@functools.lru_cache(maxsize=512)
def _weight_plan(N, image, channels, filters, groups, window, itemsize):
    """(grid, planes, masks, offsets, panels, shares, number of partial sums, whether x lies as
    it should, whether gy does)."""
    lanes_ = BITS // (8 * itemsize)
    taps = forward_taps(window, *image)
    heights = panels(filters, DOT_ROWS)
    limits = dict(start=12 * lanes_, run=_RUN, budget=_PLANES)
    grid, planes, masks = layout(taps, N, channels, groups, image, itemsize, lanes_, 1, **limits)
    gy_lies = window.output_shape(*image)[1] % lanes_ == 0
    x_lies = gy_lies and is_point(window) and image[0] == 1
    if x_lies:
        grid = grid._replace(size=image[1], images=1, blocks=1, rows=1, plane_rows=1)
    table, _ = offsets(taps, grid)
    K = len(table)
    # the last tile may hold less: what it computes beyond is not read
    table = np.concatenate([table, np.zeros(-K % DOT_TAPS + 1, np.int64)])
    units = -(-N // grid.images) * grid.blocks
    # few weights: each share takes some images and has its own sums; many: some filters
    sums = max(1, min(UNITS, units, _SUMS // (K * filters * groups)))
    parts = max(1, min(-(-UNITS // sums), len(heights)))
    shares = [
        (len(heights) * p // parts, len(heights) * (p + 1) // parts,
         units * i // sums, units * (i + 1) // sums, i)
        for i in range(sums) for p in range(parts)
    ]  # fmt: skip
    return (
        grid,
        planes,
        masks,
        table,
        np.array(heights, np.int64),
        np.array(shares, np.int64),
        sums,
        x_lies,
        gy_lies,
    )


def weight_gradient(gy, x, window, groups):
    N, O = gy.shape[:2]
    C = x.shape[1]
    shape = (O, C // groups, window.kh, window.kw)
    x, gy = one_row(x, gy, window)
    plan = _weight_plan(N, x.shape[2:], C // groups, O // groups, groups, window, x.itemsize)
    grid, planes, masks, table, heights, shares, number, *lie = plan
    cell, tiles = dot_cell(BITS // (8 * x.itemsize)), (len(table) - 1) // DOT_TAPS
    sums = zeros((number, groups * len(heights) * tiles * cell), x.dtype)
    flat_x, flat_gy, image = x.reshape(-1), gy.reshape(-1), gy.shape[2:]
    parallel.run(
        lambda _, start, stop: _weigh(
            flat_gy, flat_x, sums, grid, planes, masks, table, heights, shares, cell, O // groups,
            *image, *lie, start, stop,
        ),
        parallel.chunks(len(shares), gy.size * shape[1] * window.kh * window.kw),
    )  # fmt: skip
    gw = np.empty(shape, x.dtype)
    flat_gw = gw.reshape(O, -1)
    parallel.run(
        lambda _, a, b: _collect(sums, heights, groups, cell, tiles, flat_gw, a, b),
        parallel.chunks(groups * len(heights), sums.size * 4),
    )
    return gw
