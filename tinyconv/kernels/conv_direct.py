"""Direct convolution: the register tile reads the padded images themselves, by a table of offsets.

No column is ever laid out; see ``planes`` for why none is needed, and ``tile`` for the innermost
loop. A 1 x 1 convolution of stride 1 reads even the image where it lies. The input gradient is
the same convolution with the roles of filters and channels changed.
"""

import functools
from typing import NamedTuple

import numpy as np

from tinyconv.kernels import parallel
from tinyconv.kernels.columns import aligned
from tinyconv.kernels.conv_direct_weight import weight_gradient
from tinyconv.kernels.epilogue import finish
from tinyconv.kernels.jit import kernel, part
from tinyconv.kernels.memory import empty
from tinyconv.kernels.packing import adjoint_rows, pack_jobs
from tinyconv.kernels.planes import (
    adjoint_taps,
    forward_taps,
    is_point,
    layout,
    offsets,
    one_row,
    place,
)
from tinyconv.kernels.simd import BITS, lanes, pointer
from tinyconv.kernels.simd_masks import prefetch
from tinyconv.kernels.strips import PAIRS, PIECES, WHOLE, cut, put_apart, put_pairs, put_pieces, way
from tinyconv.kernels.tile import ROWS, WIDTH, multiply, panels

__all__ = ["forward", "input_gradient", "weight_gradient"]


class _Plan(NamedTuple):
    grid: object
    planes: np.ndarray  # where each plane begins in the image
    masks: np.ndarray
    jobs: np.ndarray  # (first offset, depth, weights, way, step h, step v, ...
    # ... first strip and last of a unit, the same of the last unit)
    strips: np.ndarray
    pieces: np.ndarray
    offsets: np.ndarray
    panels: np.ndarray  # (first filter, how many) of all groups, in order
    weights: list  # for each job, which numbers of a filter it uses, in order
    as_it_lies: bool  # the images need no planes


@kernel
def _convolve(
    x, w, bias, residual, y, g, planes, masks, jobs, strips, pieces, table, panels, as_it_lies,
    add_residual, relu, Ho, Wo, start, stop,
):  # fmt: skip
    """Units start:stop of y = act(conv(x) + bias + residual); all arrays flat."""
    n = lanes(x)
    strip = WIDTH * n
    line = 64 // x.itemsize
    if as_it_lies:
        space = x
    else:
        space = np.zeros(g.channels * g.planes * g.size + g.pitch + 2 * strip, x.dtype)
    result = aligned(2 * ROWS * strip, x)
    per_group = len(panels) // g.groups
    O = panels[-1, 0] + panels[-1, 1]
    N = len(y) // (O * Ho * Wo)
    placed = -1
    for unit in range(start, stop):
        split, where = unit % g.splits, unit // g.splits
        block, n0 = where % g.blocks, where // g.blocks * g.images
        n1 = min(n0 + g.images, N)
        u0 = block * g.rows
        # the last block or the last images may be fewer
        form = 1 if n1 - n0 < g.images or (g.blocks > 1 and block == g.blocks - 1) else 0
        first, last = per_group * split // g.splits, per_group * (split + 1) // g.splits
        tiles = 0
        for j in range(len(jobs)):
            tiles += (jobs[j, 7 + 2 * form] - jobs[j, 6 + 2 * form]) * (last - first) * g.groups
        after = (unit + 1) // g.splits if unit + 1 < stop else where
        ahead, per, lines = _ahead(g, planes, after, where, N, line)
        asked, share = 0, (lines + tiles - 1) // max(1, tiles)  # of each tile
        for group in range(g.groups):
            base = 0
            if as_it_lies:
                base = (n0 * g.groups + group) * g.channels * g.size
            elif placed != where or g.groups > 1:
                place(x, n0, n1, group * g.channels, u0, g, planes, masks, space)
                placed = where
            for j in range(len(jobs)):
                io, depth, iw, how = jobs[j, 0], jobs[j, 1], jobs[j, 2], jobs[j, 3]
                s0, s1 = jobs[j, 6 + 2 * form], jobs[j, 7 + 2 * form]
                for p in range(group * per_group + first, group * per_group + last):
                    o, height = panels[p, 0], panels[p, 1]
                    corner = ((n0 * O + o) * Ho + u0 * jobs[j, 4]) * Wo
                    for s in range(s0, s1):
                        of, width, at = base + strips[s, 0], strips[s, 1], corner + strips[s, 2]
                        if asked < lines:
                            _ask(x, ahead, per, g.H * g.W, asked, min(asked + share, lines), line)
                            asked += share
                        if how == WHOLE:
                            multiply(
                                height, width, w, iw + o * depth, bias, o, space, of, table, io,
                                depth, y, at, Ho * Wo,
                            )  # fmt: skip
                            if add_residual or relu:
                                finish(y, residual, at, Ho * Wo, height, width, add_residual, relu)
                            continue
                        multiply(
                            height, width, w, iw + o * depth, bias, o, space, of, table, io, depth,
                            result, 0, strip,
                        )  # fmt: skip
                        if how == PIECES:
                            put_pieces(
                                result, strip, height, y, corner, Ho * Wo, residual, add_residual,
                                relu, pieces, strips[s, 3], strips[s, 4],
                            )  # fmt: skip
                        elif how == PAIRS:
                            io2, depth2, iw2 = jobs[j + 1, 0], jobs[j + 1, 1], jobs[j + 1, 2]
                            multiply(
                                height, width, w, iw2 + o * depth2, bias, o, space, of, table, io2,
                                depth2, result, ROWS * strip, strip,
                            )  # fmt: skip
                            put_pairs(
                                result, strip, ROWS * strip, height, y, corner, Ho * Wo, pieces,
                                strips[s, 3], strips[s, 4],
                            )  # fmt: skip
                        else:
                            put_apart(
                                result, strip, height, y, corner, Ho * Wo, jobs[j, 5], pieces,
                                strips[s, 3], strips[s, 4],
                            )  # fmt: skip


@part
def _ahead(g, planes, where, now, N, line):
    """(first number, cache lines of a channel, or of all, and how many lines in all) of x that
    the next unit lays out, to be asked for beforehand: none if it is the same images again."""
    if where == now:
        return 0, 1, 0
    channels, area = g.channels * g.groups, g.H * g.W
    block, n0 = where % g.blocks, where // g.blocks * g.images
    first = n0 * channels * area
    if g.blocks == 1:
        per = ((min(n0 + g.images, N) - n0) * channels * area + line - 1) // line
        return first, per, per
    u = max(0, planes[0, 0] + block * g.rows * planes[0, 1])
    per = (min(g.plane_rows * planes[0, 1], g.H - u) * g.W + line - 1) // line
    return first + u * g.W, per, channels * per


@part
def _ask(x, at, per, pitch, first, stop, line):
    """Ask for lines first:stop, ``per`` of them in each run, runs ``pitch`` apart."""
    x = pointer(x)
    at += first // per * pitch
    i = first % per
    for _ in range(stop - first):
        prefetch(x, at + i * line, 0)
        i += 1
        if i == per:
            i, at = 0, at + pitch


@functools.lru_cache(maxsize=512)
def _plan(kind, N, image, channels, filters, groups, window, itemsize):
    """What is known from the shapes alone. ``kind``: 'forward' or 'adjoint'; channels and
    filters of one group, of the convolution that is run."""
    lanes_ = BITS // (8 * itemsize)
    taps = (forward_taps if kind == "forward" else adjoint_taps)(window, *image)
    heights = panels(filters)
    source = image if kind == "forward" else window.output_shape(*image)
    grid, planes, masks = layout(taps, N, channels, groups, source, itemsize, lanes_, len(heights))
    lies = _lies_well(window, grid, source, itemsize)
    if lies:
        grid = grid._replace(size=source[1])
    table, starts = offsets(taps, grid)
    out = window.output_shape(*image) if kind == "forward" else image
    # (images, rows above) of a unit, and of the last one
    units = (grid.images, 0), (N % grid.images or grid.images, (grid.blocks - 1) * grid.rows)
    jobs, at, strips, pieces = [], 0, [], []
    for job, (first, depth) in zip(taps.jobs, starts):
        bounds, how = [], way(job, out[1], lanes_, lies)
        for images, above in units:
            rows = min(grid.rows, job.P - above)
            some, of = cut(
                job, grid, how, images, rows, filters * groups, out, lanes_, lies, len(pieces)
            )
            bounds += [len(strips), len(strips) + len(some)]
            strips, pieces = strips + some, pieces + of
        jobs.append((first, depth, at, how, job.step_h, job.step_v, *bounds))
        at += depth * filters * groups
    every = [(g * filters + o, n) for g in range(groups) for o, n in heights]
    area = window.kh * window.kw
    # filters are (O, C, taps); the adjoint's rows are C, its depth (O, taps)
    step = area if kind == "forward" else filters * area
    numbers = [
        np.array([c * step + t[0] for c in range(channels) for t in job.taps], np.int64)
        for job in taps.jobs
    ]
    jobs, strips, pieces, every = (
        np.array(a or [(0,) * 5], np.int64) for a in (jobs, strips, pieces, every)
    )
    return _Plan(grid, planes, masks, jobs, strips, pieces, table, every, numbers, lies)


def _run(x, packed, bias, residual, relu, y, plan):
    grid = plan.grid
    units = -(-x.shape[0] // grid.images) * grid.blocks * grid.splits
    work = y.size * sum(len(d) for d in plan.weights) // len(plan.weights)
    flat_x, flat_y = x.reshape(-1), y.reshape(-1)
    other = flat_y if residual is None else residual.reshape(-1)
    parallel.run(
        lambda _, start, stop: _convolve(
            flat_x, packed, bias, other, flat_y, grid, plan.planes, plan.masks, plan.jobs,
            plan.strips, plan.pieces, plan.offsets, plan.panels, plan.as_it_lies,
            residual is not None, relu, *y.shape[2:], start, stop,
        ),
        parallel.chunks(units, work),
    )  # fmt: skip
    return y


def forward(x, w, bias, window, groups, residual=None, relu=False, scale=None):
    N, C, H, W = x.shape
    O, Cg = w.shape[:2]
    y = empty((N, O, *window.output_shape(H, W)), x.dtype)
    x, out = one_row(x, y, window)
    plan = _plan("forward", N, x.shape[2:], Cg, O // groups, groups, window, x.itemsize)
    rows = np.arange(O) * w[0].size
    _run(x, pack_jobs(w, plan.panels, rows, plan.weights, scale), bias, residual, relu, out, plan)
    return y


def input_gradient(gy, w, window, groups, image):
    O, Cg = w.shape[:2]
    gx = empty((gy.shape[0], Cg * groups, *image), gy.dtype)
    gy, out = one_row(gy, gx, window)
    N, Og = gy.shape[0], O // groups
    plan = _plan("adjoint", N, out.shape[2:], Og, Cg, groups, window, gy.itemsize)
    packed = pack_jobs(w, plan.panels, adjoint_rows(w, groups), plan.weights)
    _run(gy, packed, np.zeros(Cg * groups, gy.dtype), None, False, out, plan)
    return gx


def _lies_well(window, grid, image, itemsize):
    """Whether images of a single row can be read where they lie: strips fit, and channels
    are not a power of two apart, which would make them fall into the same places of a cache."""
    H, W = image
    return (
        is_point(window) and H == 1 and grid.images == 1
        and W >= WIDTH * BITS // (8 * itemsize) and W * itemsize % 1024 != 0
    )  # fmt: skip
