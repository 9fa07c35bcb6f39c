"""Direct convolution: the register tile reads the padded images themselves, by a table of offsets.

No column is ever laid out; see ``planes`` for why none is needed, and ``tile`` for the innermost
loop. A 1 x 1 convolution of stride 1 reads even the image where it lies. The input gradient is
the same convolution with the roles of filters and channels changed.
"""

import functools
from typing import NamedTuple

import numpy as np

from tinyconv.kernels import parallel
from tinyconv.kernels.conv_direct_weight import weight_gradient
from tinyconv.kernels.epilogue import finish, put_run
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
from tinyconv.kernels.simd import (
    BITS,
    get,
    lanes,
    load,
    put,
    store_some,
    zipped,
)
from tinyconv.kernels.tile import ROWS, WIDTH, multiply, panels

__all__ = ["forward", "input_gradient", "weight_gradient"]


class _Plan(NamedTuple):
    grid: object
    planes: np.ndarray  # where each plane begins in the image
    jobs: np.ndarray  # (phase; first offset, depth, weights, P, Q, h, v, step h, step v)
    offsets: np.ndarray
    panels: np.ndarray  # (first filter, how many) of all groups, in order
    weights: list  # for each job, which numbers of a filter it uses, in order
    as_it_lies: bool  # the images need no planes


@kernel
def _convolve(
    x, w, bias, residual, y, g, planes, jobs, table, panels, as_it_lies, add_residual, relu, Ho, Wo,
    start, stop,
):  # fmt: skip
    """Units start:stop of y = act(conv(x) + bias + residual); all arrays flat."""
    n = lanes(x)
    strip = WIDTH * n
    if as_it_lies:
        space = x
    else:
        space = np.zeros(g.channels * g.planes * g.size + g.pitch + 2 * strip, x.dtype)
    result = np.empty(2 * ROWS * strip, x.dtype)
    per_group = len(panels) // g.groups
    O = panels[-1, 0] + panels[-1, 1]
    N = len(y) // (O * Ho * Wo)
    placed = -1
    for unit in range(start, stop):
        split, where = unit % g.splits, unit // g.splits
        block, n0 = where % g.blocks, where // g.blocks * g.images
        n1 = min(n0 + g.images, N)
        u0 = block * g.rows
        first, last = per_group * split // g.splits, per_group * (split + 1) // g.splits
        for group in range(g.groups):
            base = 0
            if as_it_lies:
                base = (n0 * g.groups + group) * g.channels * g.size
            elif placed != where or g.groups > 1:
                place(x, n0, n1, group * g.channels, u0, g, planes, space)
                placed = where
            for j in range(len(jobs)):
                job = jobs[j]
                io, depth, iw, P, Q = job[0], job[1], job[2], job[3], job[4]
                v, step_v = job[6], job[8]
                rows = min(g.rows, P - u0)
                # phases of the columns are made in pairs, so that whole rows can be written
                pair = step_v == 2 and v == 0 and Wo > 1
                if rows < 1 or Q < 1 or (step_v == 2 and v == 1):
                    continue
                run = ((n1 - n0 - 1) * g.plane_rows + rows - 1) * g.pitch + Q
                by_rows = step_v == 1 and Q % n == 0 and Q >= 2 * n
                for p in range(group * per_group + first, group * per_group + last):
                    o, height = panels[p, 0], panels[p, 1]
                    t = 0
                    while t < run:
                        line, column = t // g.pitch, t % g.pitch
                        image, line = line // g.plane_rows, line % g.plane_rows
                        if line >= rows:
                            t = (image + 1) * g.plane_rows * g.pitch
                            continue
                        if column >= Q:
                            t += g.pitch - column
                            continue
                        at = ((n0 + image) * O + o) * Ho
                        at = (at + job[5] + (u0 + line) * job[7]) * Wo + v + column * step_v
                        if by_rows:
                            width = min(WIDTH, (Q - column) // n)
                        else:
                            width = min(WIDTH, (run - t + n - 1) // n)
                            if as_it_lies and t > run - width * n:
                                # no reading behind the image: the last strip ends where it ends
                                at -= t - (run - width * n)
                                t = run - width * n
                        of = base + t
                        t += width * n
                        if by_rows or as_it_lies:
                            multiply(
                                height, width, w, iw + o * depth, bias, o, space, of, table, io,
                                depth, y, at, Ho * Wo,
                            )  # fmt: skip
                            if add_residual or relu:
                                finish(y, residual, at, Ho * Wo, height, width, add_residual, relu)
                            if by_rows and column + width * n == Q:
                                t += g.pitch - Q
                            continue
                        multiply(
                            height, width, w, iw + o * depth, bias, o, space, of, table, io, depth,
                            result, 0, strip,
                        )  # fmt: skip
                        if pair:
                            io2, depth2, iw2 = jobs[j + 1, 0], jobs[j + 1, 1], jobs[j + 1, 2]
                            multiply(
                                height, width, w, iw2 + o * depth2, bias, o, space, of, table, io2,
                                depth2, result, ROWS * strip, strip,
                            )  # fmt: skip
                        _write(
                            result, strip, height, residual, y, add_residual, relu, pair, at,
                            O, Ho, Wo, rows, line, column, min(strip, run - of + base), g, job,
                        )  # fmt: skip


@part
def _write(
    result, strip, height, residual, y, add_residual, relu, pair, at, O, Ho, Wo, rows,
    line, column, end, g, job,
):  # fmt: skip
    """Put one strip of ``height`` filters, which begins at (line, column) of an image and at y[at],
    where it belongs: a piece of a row at a time."""
    Q, step_h, step_v = job[4], job[7], job[8]
    n = lanes(y)
    done = 0
    while done < end:
        count = min(g.pitch - column, end - done)
        wanted = min(count, Q - column)
        if line < rows and wanted > 0:
            for r in range(height):
                of, to = r * strip + done, at + r * Ho * Wo
                if step_v == 1:
                    put_run(y, to, result, of, wanted, residual, add_residual, relu)
                elif pair:
                    left = min(2 * wanted, Wo - 2 * column)
                    for q in range(0, wanted, n):
                        even, odd = load(result, of + q), load(result, ROWS * strip + of + q)
                        store_some(y, to + 2 * q, zipped(even, odd, 0), left - 2 * q)
                        store_some(y, to + 2 * q + n, zipped(even, odd, 1), left - 2 * q - n)
                else:
                    for q in range(wanted):
                        put(y, to + q * step_v, get(result, of + q))
        done += count
        at += step_h * Wo - column * step_v
        column = 0
        line += 1
        if line == g.plane_rows:
            line = 0
            at += (O * Ho - g.plane_rows * step_h) * Wo


@functools.lru_cache(maxsize=512)
def _plan(kind, N, image, channels, filters, groups, window, itemsize):
    """What is known from the shapes alone. ``kind``: 'forward' or 'adjoint'; channels and
    filters of one group, of the convolution that is run."""
    lanes_ = BITS // (8 * itemsize)
    taps = (forward_taps if kind == "forward" else adjoint_taps)(window, *image)
    heights = panels(filters)
    source = image if kind == "forward" else window.output_shape(*image)
    grid, planes = layout(taps, N, channels, groups, source, itemsize, lanes_, len(heights))
    lies = _lies_well(window, grid, source, itemsize)
    if lies:
        grid = grid._replace(size=source[1])
    table, starts = offsets(taps, grid)
    jobs, at = [], 0
    for job, (first, depth) in zip(taps.jobs, starts):
        jobs.append((first, depth, at, *job[:6]))
        at += depth * filters * groups
    every = [(g * filters + o, n) for g in range(groups) for o, n in heights]
    area = window.kh * window.kw
    # filters are (O, C, taps); the adjoint's rows are C, its depth (O, taps)
    step = area if kind == "forward" else filters * area
    numbers = [
        np.array([c * step + t[0] for c in range(channels) for t in job.taps], np.int64)
        for job in taps.jobs
    ]
    jobs, every = np.array(jobs, np.int64), np.array(every, np.int64)
    return _Plan(grid, planes, jobs, table, every, numbers, lies)


def _run(x, packed, bias, residual, relu, y, plan):
    grid = plan.grid
    units = -(-x.shape[0] // grid.images) * grid.blocks * grid.splits
    work = y.size * sum(len(d) for d in plan.weights) // len(plan.weights)
    flat_x, flat_y = x.reshape(-1), y.reshape(-1)
    other = flat_y if residual is None else residual.reshape(-1)
    parallel.run(
        lambda _, start, stop: _convolve(
            flat_x, packed, bias, other, flat_y, grid, plan.planes, plan.jobs, plan.offsets,
            plan.panels, plan.as_it_lies, residual is not None, relu, *y.shape[2:], start, stop,
        ),
        parallel.chunks(units, work),
    )  # fmt: skip
    return y


def forward(x, w, bias, window, groups, residual=None, relu=False):
    N, C, H, W = x.shape
    O, Cg = w.shape[:2]
    y = empty((N, O, *window.output_shape(H, W)), x.dtype)
    if not y.size:
        return y
    x, out = one_row(x, y, window)
    plan = _plan("forward", N, x.shape[2:], Cg, O // groups, groups, window, x.itemsize)
    rows = np.arange(O) * w[0].size
    _run(x, pack_jobs(w, plan.panels, rows, plan.weights), bias, residual, relu, out, plan)
    return y


def input_gradient(gy, w, window, groups, image):
    O, Cg = w.shape[:2]
    gx = empty((gy.shape[0], Cg * groups, *image), gy.dtype)
    if not gx.size:
        return gx
    if not gy.size:
        gx[...] = 0
        return gx
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
