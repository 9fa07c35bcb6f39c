"""Direct convolution: the register tile reads the padded images themselves, by a table of offsets.

No column is ever laid out; see ``planes`` for why none is needed, and ``tile`` for the innermost
loop. A 1 x 1 convolution of stride 1 reads even the image where it lies. The input gradient is
the same convolution with the roles of filters and channels changed; the weight gradient the dot
products of the two sets of planes.
"""

import functools
from typing import NamedTuple

import numpy as np

from tinyconv.kernels import parallel
from tinyconv.kernels.jit import kernel, part
from tinyconv.kernels.memory import empty
from tinyconv.kernels.planes import UNITS, adjoint_taps, forward_taps, layout, offsets, place
from tinyconv.kernels.simd import (
    BITS,
    add,
    copy_rows,
    get,
    lanes,
    load,
    load_some,
    positive,
    put,
    store,
    store_some,
    zipped,
)
from tinyconv.kernels.tile import DOT_ROWS, DOT_TAPS, ROWS, WIDTH, dot, dot_cell, multiply, panels

#: how many sums the shares of a weight gradient may have in all: where there are many weights
#: it is shared out by filters, not by images
_SUMS = 1 << 19
#: bytes that stay in the first cache beside what else passes through it
_NEAR = 3 << 13


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
                                _finish(y, residual, at, Ho * Wo, height, width, add_residual, relu)
                            if by_rows and column + width * n == Q:
                                t += g.pitch - Q
                            continue
                        multiply(
                            height, width, w, iw + o * depth, bias, o, space, of, table, io, depth,
                            result, 0, strip,
                        )  # fmt: skip
                        if pair:
                            other = jobs[j + 1]
                            multiply(
                                height, width, w, other[2] + o * other[1], bias, o, space, of, table,
                                other[0], other[1], result, ROWS * strip, strip,
                            )  # fmt: skip
                        _write(
                            result, strip, height, residual, y, add_residual, relu, pair, at,
                            O, Ho, Wo, rows, line, column, min(strip, run - of + base), g, job,
                        )  # fmt: skip


@part
def _finish(y, residual, at, pitch, height, width, add_residual, relu):
    """What comes after the sums, where these stand in y already."""
    n = lanes(y)
    for r in range(height):
        for q in range(at + r * pitch, at + r * pitch + width * n, n):
            value = load(y, q)
            if add_residual:
                value = add(value, load(residual, q))
            if relu:
                value = positive(value)
            store(y, q, value)


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
                    for q in range(0, wanted, n):
                        value = load(result, of + q)
                        if add_residual:
                            value = add(value, load_some(residual, to + q, wanted - q))
                        if relu:
                            value = positive(value)
                        store_some(y, to + q, value, wanted - q)
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


@kernel
def _weigh(
    gy, x, sums, g, planes, table, panels, shares, cell, Og, Ho, Wo, as_it_lies, start, stop
):
    """Shares start:stop of the weight gradient. Each adds to its own ``sums``, which hold a cell
    for each tile: panel of filters by DOT_TAPS taps."""
    n = lanes(x)
    C, O = g.channels * g.groups, Og * g.groups
    N = len(gy) // (O * Ho * Wo)
    area = g.plane_rows * g.pitch
    tiles = (len(table) - 1) // DOT_TAPS
    if as_it_lies:
        space, rows, pitch = x, gy, area
    else:
        pitch = (g.images * area + n - 1) // n * n
        space = np.zeros(g.channels * g.planes * g.size + g.pitch + 2 * n, x.dtype)
        rows = np.zeros((panels[-1, 0] + panels[-1, 1]) * pitch, x.dtype)
    for s in range(start, stop):
        to = sums[shares[s, 4]]
        for unit in range(shares[s, 2], shares[s, 3]):
            block, n0 = unit % g.blocks, unit // g.blocks * g.images
            n1 = min(n0 + g.images, N)
            u0 = block * g.rows
            count = min(g.rows, Ho - u0)
            length = ((n1 - n0 - 1) * g.plane_rows + count) * g.pitch
            length = (length + n - 1) // n * n
            for group in range(g.groups):
                of_x = of_gy = 0
                if as_it_lies:
                    of_x, of_gy = (n0 * C + group * g.channels) * area, (n0 * O + group * Og) * area
                else:
                    place(x, n0, n1, group * g.channels, u0, g, planes, space)
                # rows of a few panels stay in the first cache while all taps pass over them
                some = max(1, _NEAR // (DOT_ROWS * length * x.itemsize))
                for begin in range(shares[s, 0], shares[s, 1], some):
                    end = min(begin + some, shares[s, 1])
                    for p in range(begin, end):
                        if not as_it_lies:
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
                                k * DOT_TAPS, length, to, at,
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


@kernel
def _pack(w, packed, panels, rows, depths, start, stop):
    depth = len(depths)
    for p in range(start, stop):
        o, height = panels[p, 0], panels[p, 1]
        to = o * depth
        for k in range(depth):
            for r in range(height):
                put(packed, to + r, get(w, rows[o + r] + depths[k]))
            to += height


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


def pack_panels(w, panels, rows, depths):
    """Weights panel by panel, each (depth, filters): filter o's k-th is w[rows[o] + depths[k]]."""
    packed = np.empty(max(1, len(depths) * len(rows)), w.dtype)
    flat = w.reshape(-1)
    parallel.run(
        lambda _, start, stop: _pack(flat, packed, panels, rows, depths, start, stop),
        parallel.chunks(len(panels), packed.size * 8),
    )
    return packed


def _packed(w, plan, rows):
    """The weights of all jobs, one after the other."""
    parts = [pack_panels(w, plan.panels, rows, depths) for depths in plan.weights if len(depths)]
    return parts[0] if len(parts) == 1 else np.concatenate(parts or [np.zeros(1, w.dtype)])


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
    one = _one_row(x, y, window)
    if one is not None:
        x, out = one
        residual = None if residual is None else residual.reshape(out.shape)
    else:
        out = y
    plan = _plan("forward", N, x.shape[2:], Cg, O // groups, groups, window, x.itemsize)
    rows = np.arange(O) * w[0].size
    _run(x, _packed(w, plan, rows), bias, residual, relu, out, plan)
    return y


def input_gradient(gy, w, window, groups, image):
    O, Cg = w.shape[:2]
    gx = empty((gy.shape[0], Cg * groups, *image), gy.dtype)
    if not gx.size:
        return gx
    if not gy.size:
        gx[...] = 0
        return gx
    one = _one_row(gy, gx, window)
    gy, out = (gy, gx) if one is None else one
    Og, area = O // groups, window.kh * window.kw
    plan = _plan("adjoint", gy.shape[0], out.shape[2:], Og, Cg, groups, window, gy.itemsize)
    rows = np.array([(g * Og * Cg + c) * area for g in range(groups) for c in range(Cg)], np.int64)
    bias = np.zeros(Cg * groups, gy.dtype)
    _run(gy, _packed(w, plan, rows), bias, None, False, out, plan)
    return gx


def _is_point(window):
    return window[:8] == (1, 1, 1, 1, 0, 0, 0, 0)


@functools.lru_cache(maxsize=512)
def _weight_plan(N, image, channels, filters, groups, window, itemsize):
    """(grid, planes, offsets, panels, shares, number of partial sums, as it lies)."""
    lanes_ = BITS // (8 * itemsize)
    taps = forward_taps(window, *image)
    heights = panels(filters, DOT_ROWS)
    grid, planes = layout(taps, N, channels, groups, image, itemsize, lanes_, 1, start=12 * lanes_)
    lies = _is_point(window) and image[0] == 1 and image[1] % lanes_ == 0
    if lies:
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
    return grid, planes, table, np.array(heights, np.int64), np.array(shares, np.int64), sums, lies


def weight_gradient(gy, x, window, groups):
    N, O = gy.shape[:2]
    C = x.shape[1]
    shape = (O, C // groups, window.kh, window.kw)
    if not gy.size or not x.size:
        return np.zeros(shape, x.dtype)
    one = _one_row(x, gy, window)
    if one is not None:
        x, gy = one
    plan = _weight_plan(N, x.shape[2:], C // groups, O // groups, groups, window, x.itemsize)
    grid, planes, table, heights, shares, number, lies = plan
    cell, tiles = dot_cell(BITS // (8 * x.itemsize)), (len(table) - 1) // DOT_TAPS
    sums = np.zeros((number, groups * len(heights) * tiles * cell), x.dtype)
    flat_x, flat_gy, image = x.reshape(-1), gy.reshape(-1), gy.shape[2:]
    parallel.run(
        lambda _, start, stop: _weigh(
            flat_gy, flat_x, sums, grid, planes, table, heights, shares, cell, O // groups,
            *image, lies, start, stop,
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


def _one_row(x, y, window):
    """For 1 x 1 filters of stride 1 rows mean nothing: images of a single long row."""
    if not _is_point(window):
        return None
    return tuple([a.reshape(*a.shape[:2], 1, -1) for a in (x, y)])


def _lies_well(window, grid, image, itemsize):
    """Whether images of a single row can be read where they lie: strips fit, and channels
    are not a power of two apart, which would make them fall into the same places of a cache."""
    H, W = image
    return (
        _is_point(window) and H == 1 and grid.images == 1
        and W >= WIDTH * BITS // (8 * itemsize) and W * itemsize % 1024 != 0
    )  # fmt: skip
