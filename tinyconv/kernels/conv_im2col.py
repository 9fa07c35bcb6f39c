"""Convolution as a matrix product: weights (O x K) times columns (K x pixels), K = C kh kw.

Column (c, i, j) holds what tap (i, j) of channel c sees at every output pixel: of several
images side by side, pixel behind pixel, so that small maps fill the registers as well as
large ones. ``columns`` says why only a kw-th part of them needs to be laid out, and how taps
that see nothing but padding are left out. The columns of a unit of images stay in the L2
cache while all filters pass over them, strip by strip; ``tile`` is the innermost loop. The
input gradient is the same convolution with the roles of filters and channels changed, one
for each phase of its stride; the weight gradient the dot products of gy with the columns.
"""

import numpy as np

from tinyconv.kernels import parallel
from tinyconv.kernels.columns import aligned, lay
from tinyconv.kernels.conv_im2col_plan import plan as plan_of
from tinyconv.kernels.conv_im2col_plan import weight_plan
from tinyconv.kernels.jit import kernel, part
from tinyconv.kernels.memory import empty
from tinyconv.kernels.packing import adjoint_rows, pack_jobs
from tinyconv.kernels.planes import one_row
from tinyconv.kernels.simd import (
    BITS,
    get,
    lanes,
    load,
    put,
)
from tinyconv.kernels.simd_columns import store_apart
from tinyconv.kernels.simd_masks import between
from tinyconv.kernels.strips import put_pieces
from tinyconv.kernels.tile import DOT_TAPS, WIDTH, dot, dot_cell, multiply

#: 1 x 1 filters: images up to so many pixels are taken for a single row
_POINTS = 256


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
    pieces = np.empty((strip + WIDTH, 3), np.int64)
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
                    number = _pieces(pieces, t, stop_t, n1 - n0, u0, O, Ho, Wo, g, jobs[j], n)
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
def _pieces(pieces, t, stop, images, u0, O, Ho, Wo, g, job, n):
    """Pixels t:stop of a unit's run, row by row of the images: (where in the strip, how many,
    where in the output) each, or, where they lie side by side, what ``put_pieces`` asks for;
    returns how many pieces there are."""
    Q, h, v, step_h, step_v = job[4], job[5], job[6], job[7], job[8]
    row, column = t // g.pitch, t % g.pitch
    image, column = column // g.width, column % g.width
    number, done, end = 0, 0, stop - t
    while done < end:
        count = min(g.width - column, end - done)
        if image < images and column < Q:
            at = (image * O * Ho + h + (u0 + row) * step_h) * Wo + v + column * step_v
            wanted = min(count, Q - column)
            if step_v > 1:
                pieces[number, 0], pieces[number, 1], pieces[number, 2] = done, wanted, at
                number += 1
            else:
                for of in range(done // n * n, done + wanted, n):
                    pieces[number, 0], pieces[number, 2] = of, at + of - done
                    pieces[number, 1] = between(done - of, done + wanted - of, n)
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
    if step_v == 1:
        put_pieces(
            result, strip, filters, y, at_y, area, residual, add_residual, relu, pieces, 0, number
        )
        return
    for i in range(number):
        of, count, at = pieces[i, 0], pieces[i, 1], at_y + pieces[i, 2]
        for _ in range(filters):
            if step_v == 2:
                for q in range(0, count, n):
                    store_apart(y, at + 2 * q, load(result, of + q), count - q)
            else:
                for q in range(count):
                    put(y, at + q * step_v, get(result, of + q))
            of += strip
            at += area


@kernel
def _weigh(gy, x, sums, g, h, copies, copy, table, lines, panels, shares, block, cell, start, stop):
    """Shares start:stop of the weight gradient: cells of ``sums`` = gy . columns(x).

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
    zero = x.dtype.type(0)
    once = 1, 0, 0
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
                    number = len(panels) * len(lines) * tiles * cell
                    at = (group * blocks + b) * number
                    if unit == shares[s, 2]:
                        to[at : at + number] = zero
                    for p in range(len(panels)):
                        for i in range(len(lines)):
                            first = max(lines[i, 0] - u0, 0) * g.pitch
                            length = min(lines[i, 1] - u0, g.rows) * g.pitch - first
                            length = (length + n - 1) // n * n
                            for k in range(used if length > 0 else 0):
                                dot(
                                    panels[p, 1], rows, panels[p, 0] * h.size + first, h.size,
                                    space, first, table, (i * tiles + k) * DOT_TAPS, once, once,
                                    length, to, at + k * cell,
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


def forward(x, w, bias, window, groups, residual=None, relu=False, scale=None):
    N, C, H, W = x.shape
    O, Cg = w.shape[:2]
    y = empty((N, O, *window.output_shape(H, W)), x.dtype)
    x, out = _one_row(x, y, window)
    plan = plan_of("forward", N, x.shape[2:], Cg, O // groups, groups, window, x.itemsize)
    packed = pack_jobs(w, plan.panels, np.arange(O) * w[0].size, plan.weights, scale)
    _run(x, packed, bias, residual, relu, out, plan)
    return y


def input_gradient(gy, w, window, groups, image):
    O, Cg = w.shape[:2]
    gx = empty((gy.shape[0], Cg * groups, *image), gy.dtype)
    gy, out = _one_row(gy, gx, window)
    Og = O // groups
    plan = plan_of("adjoint", gy.shape[0], out.shape[2:], Og, Cg, groups, window, gy.itemsize)
    _run(
        gy,
        pack_jobs(w, plan.panels, adjoint_rows(w, groups), plan.weights),
        np.zeros(Cg * groups, gy.dtype),
        None,
        False,
        out,
        plan,
    )
    return gx


def weight_gradient(gy, x, window, groups):
    N, O = gy.shape[:2]
    C = x.shape[1] // groups
    gw = empty((O, C, window.kh, window.kw), x.dtype)
    x, gy = _one_row(x, gy, window)
    plan = weight_plan(N, x.shape[2:], C, O // groups, groups, window, x.itemsize)
    g, h, copies, own, table, lines, heights, shares, block, number = plan
    cell, tiles = dot_cell(BITS // (8 * x.itemsize)), (len(table) - 1) // DOT_TAPS // len(lines)
    cells = groups * -(-C // block) * len(heights) * len(lines) * tiles
    sums = empty((number, cells * cell), x.dtype)
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
    """Small images of 1 x 1 filters as a single row; large ones are cut into blocks of rows."""
    return (x, y) if x[0, 0].size > _POINTS else one_row(x, y, window)
