"""Convolution as a matrix product: weights (O x K) times columns (K x pixels), K = C kh kw.

Column (c, i, j) holds what tap (i, j) of channel c sees at every output pixel: of several
images side by side, pixel behind pixel, so that small maps fill the registers as well as
large ones. ``columns`` says why only a kw-th part of them needs to be laid out, and how taps
that see nothing but padding are left out. The columns of a unit of images stay in the L2
cache while all filters pass over them, strip by strip; ``tile`` is the innermost loop. The
input gradient is the same convolution with the roles of filters and channels changed, one
for each phase of its stride; the weight gradient the dot products of gy with the columns.
"""

import functools
from typing import NamedTuple

import numpy as np

from tinyconv.kernels import parallel
from tinyconv.kernels.columns import aligned, by_lines, grid, lay, reach, spans, width
from tinyconv.kernels.jit import kernel, part
from tinyconv.kernels.memory import empty
from tinyconv.kernels.planes import Job, Taps, adjoint_taps, forward_taps
from tinyconv.kernels.simd import (
    BITS,
    add,
    get,
    lanes,
    load,
    load_some,
    positive,
    put,
    store_some,
)
from tinyconv.kernels.simd_columns import store_apart
from tinyconv.kernels.tile import DOT_ROWS, DOT_TAPS, WIDTH, dot, dot_cell, multiply, panels

#: bytes of columns at work at a time, and those of the weight gradient
_BUDGET, _DOT_BUDGET = 5 << 17, 1 << 18
#: images side by side at most, and pixels in a run of the weight gradient
_IMAGES, _RUN = 32, 1024
#: units of work are reckoned to be done so many at a time
_TOGETHER = 2
#: cycles that laying out a register, or a part of one, takes
_LAY = 3
#: 1 x 1 filters: images up to so many pixels are taken for a single row
_POINTS = 256


class _Plan(NamedTuple):
    grid: object
    copies: np.ndarray  # where each copy begins in the image
    jobs: np.ndarray  # (phase; first offset, depth, weights, P, Q, h, v, step h, step v, ...
    # ... depth of a line, first span)
    spans: np.ndarray
    offsets: np.ndarray
    panels: np.ndarray  # (first filter, how many) of all groups, in order
    weights: list  # for each job, which numbers of a filter it uses, in order


@kernel
def _convolve(
    x, w, bias, residual, y, g, copies, jobs, spans, table, panels, add_residual, relu, Ho, Wo,
    start, stop,
):  # fmt: skip
    """Units start:stop of y = act(conv(x) + bias + residual); all arrays flat."""
    n = lanes(x)
    strip = WIDTH * n
    space = aligned(g.channels * g.copies * g.size + strip, x)
    inside = np.empty((g.copies, 2), np.int64)
    pieces = np.empty((strip, 3), np.int64)
    per_group = len(panels) // g.groups
    O = panels[-1, 0] + panels[-1, 1]
    N = len(y) // (O * Ho * Wo)
    result = aligned(O // g.groups * strip, x)
    laid = -1
    for unit in range(start, stop):
        split, where = unit % g.splits, unit // g.splits
        block, n0 = where % g.blocks, where // g.blocks * g.images
        n1 = min(n0 + g.images, N)
        for group in range(g.groups):
            if laid != where or g.groups > 1:
                lay(
                    x, n0, n1, group * g.channels, g.channels, block * g.rows, g, copies, inside,
                    laid < 0, space,
                )  # fmt: skip
                laid = where
            first = group * per_group + per_group * split // g.splits
            last = group * per_group + per_group * (split + 1) // g.splits
            for j in range(len(jobs)):
                io, K, iw, u0 = jobs[j, 0], jobs[j, 1], jobs[j, 2], block * g.rows
                step_v, line, rows = jobs[j, 8], jobs[j, 9], min(g.rows, jobs[j, 3] - u0)
                t, end = 0, rows * g.pitch
                while t < end:
                    left = (end - t + n - 1) // n
                    registers = 2 if left == 4 else min(WIDTH, left)
                    stop_t = min(end, t + registers * n)
                    # the lines that see something from any row of the strip
                    span = jobs[j, 10] + u0
                    low = spans[span + (stop_t - 1) // g.pitch, 0]
                    high = spans[span + t // g.pitch, 1]
                    number = _pieces(pieces, t, stop_t, n1 - n0, u0, O, Ho, Wo, g, jobs[j])
                    for p in range(first, last):
                        o, height = panels[p, 0], panels[p, 1]
                        multiply(
                            height, registers, w, iw + o * K + low * line * height, bias, o, space,
                            t, table, io + low * line, (high - low) * line,
                            result, (o - panels[first, 0]) * strip, strip,
                        )  # fmt: skip
                    # only now: what was just stored cannot be loaded at once
                    o, filters = panels[first, 0], panels[last - 1, 0] + panels[last - 1, 1]
                    _write(
                        result, strip, filters - o, residual, y, add_residual, relu,
                        (n0 * O + o) * Ho * Wo, Ho * Wo, step_v, pieces, number,
                    )  # fmt: skip
                    t = stop_t


@part
def _pieces(pieces, t, stop, images, u0, O, Ho, Wo, g, job):
    """Pixels t:stop of a unit's run, row by row of the images: (where in the strip, how many,
    where in the output) each; returns how many pieces there are."""
    Q, h, v, step_h, step_v = job[4], job[5], job[6], job[7], job[8]
    row, column = t // g.pitch, t % g.pitch
    image, column = column // g.width, column % g.width
    number, done, end = 0, 0, stop - t
    while done < end:
        count = min(g.width - column, end - done)
        if image < images and column < Q:
            at = (image * O * Ho + h + (u0 + row) * step_h) * Wo + v + column * step_v
            pieces[number, 0], pieces[number, 1], pieces[number, 2] = (
                done,
                min(count, Q - column),
                at,
            )
            number += 1
        done += count
        column = 0
        image += 1
        if image == g.images:
            row, image = row + 1, 0
    return number


@part
def _write(
    result, strip, filters, residual, y, add_residual, relu, at_y, area, step_v, pieces, number
):  # fmt: skip
    """Put one strip of ``filters`` where it belongs."""
    n = lanes(y)
    for i in range(number):
        of, count, at = pieces[i, 0], pieces[i, 1], at_y + pieces[i, 2]
        for _ in range(filters):
            if step_v == 1:
                for q in range(0, count, n):
                    value = load(result, of + q)
                    if add_residual:
                        value = add(value, load_some(residual, at + q, count - q))
                    if relu:
                        value = positive(value)
                    store_some(y, at + q, value, count - q)
            elif step_v == 2:
                for q in range(0, count, n):
                    store_apart(y, at + 2 * q, load(result, of + q), count - q)
            else:
                for q in range(count):
                    put(y, at + q * step_v, get(result, of + q))
            of += strip
            at += area


@kernel
def _weigh(gy, x, sums, g, h, copies, copy, table, lines, panels, shares, block, cell, start, stop):
    """Shares start:stop of the weight gradient: cells of ``sums`` += gy . columns(x).

    g, copies: the columns of x, ``block`` channels at a time; h, copy: those of gy, which are
    just its pixels in the same order. lines: (first row, stop) of the output that see something
    of the image through each line. shares: (first block, stop, first unit, stop, which sums).
    """
    n = lanes(x)
    N = len(x) // (g.channels * g.groups * g.H * g.W)
    space = aligned(block * g.copies * g.size + n, x)
    rows = aligned(h.channels * h.size + n, x)
    inside = np.empty((g.copies, 2), np.int64)
    tiles = (len(table) - 1) // DOT_TAPS // len(lines)
    blocks = (g.channels + block - 1) // block
    clear = 0  # channels of ``space`` that were laid out before
    for s in range(start, stop):
        to = sums[shares[s, 4]]
        for unit in range(shares[s, 2], shares[s, 3]):
            u0, n0 = unit % g.blocks * g.rows, unit // g.blocks * g.images
            n1 = min(n0 + g.images, N)
            for group in range(g.groups):
                lay(
                    gy,
                    n0,
                    n1,
                    group * h.channels,
                    h.channels,
                    u0,
                    h,
                    copy,
                    inside,
                    clear == 0,
                    rows,
                )
                for b in range(shares[s, 0], shares[s, 1]):
                    channels = min(block, g.channels - b * block)
                    lay(
                        x, n0, n1, group * g.channels + b * block, channels, u0, g, copies, inside,
                        channels > clear, space,
                    )  # fmt: skip
                    clear = max(clear, channels)
                    used = (channels * tiles + block - 1) // block
                    at = (group * blocks + b) * len(panels) * len(lines) * tiles * cell
                    for p in range(len(panels)):
                        for i in range(len(lines)):
                            first = max(lines[i, 0] - u0, 0) * g.pitch
                            length = min(lines[i, 1] - u0, g.rows) * g.pitch - first
                            length = (length + n - 1) // n * n
                            for k in range(used if length > 0 else 0):
                                dot(
                                    panels[p, 1], rows, panels[p, 0] * h.size + first, h.size,
                                    space, first, table, (i * tiles + k) * DOT_TAPS, length,
                                    to, at + k * cell,
                                )  # fmt: skip
                            at += tiles * cell


@kernel
def _collect(sums, panels, cell, block, tiles, gw, start, stop):
    """Filters start:stop of gw (groups, Og, C, taps of a line each), panels of each group in
    order, from the cells of all shares, added in order: the same for any threads."""
    groups, _, C, lines, width = gw.shape
    blocks = (C + block - 1) // block
    for group in range(groups):
        for b in range(blocks):
            for p in range(start, stop):
                for i in range(lines):
                    at = (((group * blocks + b) * len(panels) + p) * lines + i) * tiles * cell
                    for r in range(panels[p, 1]):
                        k = 0
                        for c in range(b * block, min((b + 1) * block, C)):
                            for j in range(width):
                                of = at + k // DOT_TAPS * cell + r * DOT_TAPS + k % DOT_TAPS
                                total = sums[0, of]
                                for s in range(1, len(sums)):
                                    total += sums[s, of]
                                gw[group, panels[p, 0] + r, c, i, j] = total
                                k += 1


@kernel
def _pack(w, packed, panels, rows, depth_of, base, start, stop):
    """Panels start:stop of packed[base:], each (depth, rows), from w[rows[o] + depth_of[k]]."""
    depth = len(depth_of)
    for p in range(start, stop):
        o, height = panels[p, 0], panels[p, 1]
        for r in range(height):
            of, to = rows[o + r], base + o * depth + r
            for k in range(depth):
                put(packed, to, get(w, of + depth_of[k]))
                to += height


def _cost(jobs, table, pitch, rows, filters, lanes_):
    """Cycles of the multiply-adds of a unit's images, all blocks, about."""
    cycles = 0
    for job, spans_ in zip(jobs, table):
        taps = len(job.taps[0].taps) if job.taps else 0
        for u in range(0, job.P, rows):
            t, end = u * pitch, min(u + rows, job.P) * pitch
            while t < end:
                left = -(-(end - t) // lanes_)
                registers = 2 if left == 4 else min(WIDTH, left)
                stop = min(end, t + registers * lanes_)
                depth = spans_[t // pitch][1] - spans_[(stop - 1) // pitch][0]
                cycles += depth * taps * max(registers, 1.2) / 2
                t = stop
    return cycles * filters


def _layouts(taps, N, channels, filters, groups, image, itemsize, lanes_):
    """[(cycles for all, columns apart, images, blocks, splits), ...] that a unit may have."""
    found = []
    for apart in (False, True):
        copies, jobs = by_lines(taps, apart)
        table = [spans(job, image[0]) for job in jobs]
        cells, below, P = width(copies, jobs, image[1]), reach(jobs), max(j.P for j in jobs)
        if apart and cells == width(*by_lines(taps, False), image[1]):
            continue
        lines = channels * len(copies) * -(-cells // lanes_)
        for images in range(1, min(N, _IMAGES) + 1):
            for blocks in {-(-P // r) for r in range(1, P + 1)}:
                rows = -(-P // blocks)
                size = channels * len(copies) * (rows + below) * images * cells * itemsize
                if size > _BUDGET and (images > 1 or rows > 1):
                    continue
                if rows * images * cells > 64 * lanes_ and (images > 1 or blocks < min(P, 8)):
                    continue
                laid = _LAY * lines * images * (rows + below) * blocks
                cycles = _cost(jobs, table, images * cells, rows, channels * filters, lanes_)
                for splits in (1, 2, 4)[: 1 if N * blocks > 8 else len(panels(filters))]:
                    units = -(-N // images) * blocks * splits
                    rounds = -(-units // _TOGETHER) * _TOGETHER + 0.5
                    found.append(
                        (rounds * (laid + cycles / splits) / blocks, apart, images, blocks, splits)
                    )
    return found


@functools.lru_cache(maxsize=512)
def _plan(kind, N, image, channels, filters, groups, window, itemsize):
    """What is known from the shapes alone. ``kind``: 'forward' or 'adjoint'; channels and
    filters of one group, of the convolution that is run."""
    lanes_ = BITS // (8 * itemsize)
    taps = (forward_taps if kind == "forward" else adjoint_taps)(window, *image)
    source = image if kind == "forward" else window.output_shape(*image)
    forms = _layouts(taps, N, channels, filters, groups, source, itemsize, lanes_)
    _, apart, *form = min(forms)
    copies, jobs = by_lines(taps, apart)
    every = [spans(job, source[0]) for job in jobs]
    cells = width(copies, jobs, source[1])
    g, starts = grid(copies, jobs, channels, groups, source, itemsize, cells, *form)
    # filters are (O, C, taps); the adjoint's rows are C, its depth (O, taps)
    area = window.kh * window.kw
    step = area if kind == "forward" else filters * area
    table, numbers, rows, at, span = [], [], [], 0, 0
    for job in jobs:
        used = [(c, t) for line in job.taps for c in range(channels) for t in line.taps]
        depth, per_line = len(used), len(used) // max(1, len(job.taps))
        rows.append((len(table), depth, at, *job[:6], per_line, span))
        table += [(c * g.copies + f) * g.size + r * g.pitch + q for c, (_, f, r, q) in used]
        numbers.append(np.array([c * step + t[0] for c, t in used], np.int64))
        at += depth * filters * groups
        span += job.P
    heights = [(k * filters + o, n) for k in range(groups) for o, n in panels(filters)]
    return _Plan(
        g, starts, np.array(rows, np.int64), np.array(sum(every, []), np.int64),
        np.array(table or [0], np.int64), np.array(heights, np.int64), numbers,
    )  # fmt: skip


def _packed(w, plan, rows):
    """The weights of all jobs, panel by panel."""
    packed = np.empty(max(1, sum(len(d) * len(rows) for d in plan.weights)), w.dtype)
    flat = w.reshape(-1)
    for job, depth_of in zip(plan.jobs, plan.weights):
        parallel.run(
            lambda _, a, b, at=job[2], of=depth_of: _pack(
                flat, packed, plan.panels, rows, of, at, a, b
            ),
            parallel.chunks(len(plan.panels), len(rows) * len(depth_of) * 4),
        )
    return packed


def _run(x, packed, bias, residual, relu, y, plan):
    g = plan.grid
    units = -(-x.shape[0] // g.images) * g.blocks * g.splits
    work = y.size * sum(len(d) for d in plan.weights) // len(plan.weights)
    flat_x, flat_y = x.reshape(-1), y.reshape(-1)
    other = flat_y if residual is None else residual.reshape(-1)
    parallel.run(
        lambda _, start, stop: _convolve(
            flat_x, packed, bias, other, flat_y, g, plan.copies, plan.jobs, plan.spans,
            plan.offsets, plan.panels, residual is not None, relu, *y.shape[2:], start, stop,
        ),
        parallel.chunks(units, work),
    )  # fmt: skip


def forward(x, w, bias, window, groups, residual=None, relu=False):
    N, C, H, W = x.shape
    O, Cg = w.shape[:2]
    y = empty((N, O, *window.output_shape(H, W)), x.dtype)
    if not y.size:
        return y
    x, out = _one_row(x, y, window)
    plan = _plan("forward", N, x.shape[2:], Cg, O // groups, groups, window, x.itemsize)
    _run(x, _packed(w, plan, np.arange(O) * w[0].size), bias, residual, relu, out, plan)
    return y


def input_gradient(gy, w, window, groups, image):
    O, Cg = w.shape[:2]
    gx = empty((gy.shape[0], Cg * groups, *image), gy.dtype)
    if not gx.size:
        return gx
    if not gy.size:
        gx[...] = 0
        return gx
    gy, out = _one_row(gy, gx, window)
    Og, area = O // groups, window.kh * window.kw
    plan = _plan("adjoint", gy.shape[0], out.shape[2:], Og, Cg, groups, window, gy.itemsize)
    rows = (np.arange(groups)[:, None] * Og * Cg + np.arange(Cg)).reshape(-1) * area
    _run(gy, _packed(w, plan, rows), np.zeros(Cg * groups, gy.dtype), None, False, out, plan)
    return gx


def _dot_layout(copies, jobs, cells, N, channels, filters, itemsize, lanes_):
    """(cycles, images, blocks of rows, channels at a time, sums, parts), by shape alone: a
    share takes a part of the channels and, for sums of its own, a part of the images."""
    (job,) = jobs
    P, below, taps = job.P, reach(jobs), channels * len(job.taps) * len(job.taps[0].taps)

    def run(images, blocks):
        rows = -(-P // blocks)
        steps = -(-rows * images * cells // lanes_)
        return -(-N // images) * blocks * (steps / 2 + 2.5)

    most = max(_RUN, cells)
    forms = [(i, b) for i in range(1, min(N, _IMAGES) + 1) for b in range(1, P + 1)
             if -(-P // b) * i * cells <= most and (b == 1 or i == 1)]  # fmt: skip
    images, blocks = min(forms, key=lambda form: run(*form))
    units, rows = -(-N // images) * blocks, -(-P // blocks)
    laid = _LAY * units * images * -(-cells // lanes_)
    work = run(images, blocks) * filters * taps
    work += laid * (rows + below) * channels * len(copies)

    def time(share):
        # sums are cleared and added up, one for all; gradients laid out by each part
        sums, parts = share
        rounds = -(-sums * parts // _TOGETHER) * _TOGETHER
        all_ = work + laid * parts * filters * rows
        return all_ * rounds / (sums * parts) + taps * filters * sums * 2

    shares = [(s, p) for s in (1, 2, 4, 8) for p in (1, 2, 4, 8)]
    shares = [(s, p) for s, p in shares if s <= units and p <= channels and s * p <= 8]
    sums, parts = min(shares, key=time)
    each = -(-channels // parts)
    fit = max(1, _DOT_BUDGET // (len(copies) * (rows + below) * images * cells * itemsize))
    block = -(-each // -(-each // fit))
    if block > DOT_TAPS:
        block += -block % DOT_TAPS  # no tile is left with a rest
    return time((sums, parts)), images, blocks, block, sums, parts


@functools.lru_cache(maxsize=512)
def _weight_plan(N, image, channels, filters, groups, window, itemsize):
    lanes_ = BITS // (8 * itemsize)
    out = window.output_shape(*image)
    forms = []
    for apart in (False, True):
        copies, jobs = by_lines(forward_taps(window, *image), apart)
        cells = width(copies, jobs, image[1])
        form = _dot_layout(copies, jobs, cells, N, channels, filters, itemsize, lanes_)
        forms.append((form, copies, jobs, cells))
    form, copies, jobs, cells = min(forms, key=lambda f: f[0])
    _, images, blocks, block, sums, parts = form
    g, starts = grid(copies, jobs, channels, groups, image, itemsize, cells, images, blocks)
    # gy as its own columns: one tap that sees the pixel itself
    own = by_lines(Taps([(0, 1, 0, 1)], [Job(*out, 0, 0, 1, 1, [(0, 0, 0, 0)])]), True)
    h, own_starts = grid(*own, filters, groups, out, itemsize, cells, images, blocks)
    job, table, lines = jobs[0], [], []
    for line in job.taps:
        used = [(c * g.copies + t[1]) * g.size + t[2] * g.pitch + t[3]
                for c in range(block) for t in line.taps]  # fmt: skip
        table += used + [0] * (-len(used) % DOT_TAPS)
        seen = [u for u in range(job.P) if 0 <= line.h + u * line.step < image[0]]
        lines.append((seen[0], seen[-1] + 1) if seen else (0, 0))
    units, pieces = -(-N // images) * g.blocks, -(-channels // block)
    parts = min(parts, pieces)
    shares = [
        (pieces * p // parts, pieces * (p + 1) // parts,
         units * i // sums, units * (i + 1) // sums, i)
        for i in range(sums) for p in range(parts)
    ]  # fmt: skip
    arrays = (
        np.array(a, np.int64) for a in (table + [0], lines, panels(filters, DOT_ROWS), shares)
    )
    return g, h, starts, own_starts, *arrays, block, sums


def weight_gradient(gy, x, window, groups):
    N, O = gy.shape[:2]
    C = x.shape[1] // groups
    gw = np.zeros((O, C, window.kh, window.kw), x.dtype)
    if not gy.size or not x.size:
        return gw
    x, gy = _one_row(x, gy, window)
    plan = _weight_plan(N, x.shape[2:], C, O // groups, groups, window, x.itemsize)
    g, h, copies, own, table, lines, heights, shares, block, number = plan
    cell, tiles = dot_cell(BITS // (8 * x.itemsize)), (len(table) - 1) // DOT_TAPS // len(lines)
    cells = groups * -(-C // block) * len(heights) * len(lines) * tiles
    sums = np.zeros((number, cells * cell), x.dtype)
    flat_x, flat_gy = x.reshape(-1), gy.reshape(-1)
    parallel.run(
        lambda _, start, stop: _weigh(
            flat_gy, flat_x, sums, g, h, copies, own, table, lines, heights, shares, block, cell,
            start, stop,
        ),
        parallel.chunks(len(shares), gy.size * C * window.kh * window.kw),
    )  # fmt: skip
    parallel.run(
        lambda _, start, stop: _collect(
            sums, heights, cell, block, tiles, gw.reshape(groups, -1, *gw.shape[1:]), start, stop
        ),
        parallel.chunks(len(heights), gw.size * (3 + number)),
    )
    return gw


def _one_row(x, y, window):
    """For 1 x 1 filters of stride 1 rows mean nothing: small images as a single row."""
    if window[:8] != (1, 1, 1, 1, 0, 0, 0, 0) or x[0, 0].size > _POINTS:
        return x, y
    return tuple([a.reshape(*a.shape[:2], 1, -1) for a in (x, y)])
