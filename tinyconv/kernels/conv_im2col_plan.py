"""Which units of work an im2col convolution is cut into: the cost of each way, by shape alone."""

import functools
from typing import NamedTuple

import numpy as np

from tinyconv.kernels.columns import by_lines, grid, reach, spans, width
from tinyconv.kernels.planes import Job, Taps, adjoint_taps, forward_taps
from tinyconv.kernels.simd import BITS
from tinyconv.kernels.tile import DOT_ROWS, DOT_TAPS, WIDTH, panels

#: bytes of columns at work at a time, and those of the weight gradient
_BUDGET, _DOT_BUDGET = 5 << 17, 1 << 18
#: images side by side at most, and pixels in a run of the weight gradient
_IMAGES, _RUN = 32, 1024
#: units of work are reckoned to be done so many at a time
_TOGETHER = 2
#: cycles that laying out a register, or a part of one, takes
_LAY = 3


class Plan(NamedTuple):
    grid: object
    copies: np.ndarray  # where each copy begins in the image
    jobs: np.ndarray  # (phase; first offset, depth, weights, P, Q, h, v, step h, step v, ...
    # ... depth of a line, first span)
    spans: np.ndarray
    offsets: np.ndarray
    panels: np.ndarray  # (first filter, how many) of all groups, in order
    weights: list  # for each job, which numbers of a filter it uses, in order


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
                most = 1 if N * blocks > 8 else len(panels(filters))
                for splits in [s for s in (1, 2, 4) if s <= most]:
                    units = -(-N // images) * blocks * splits
                    rounds = -(-units // _TOGETHER) * _TOGETHER + 0.5
                    found.append(
                        (rounds * (laid + cycles / splits) / blocks, apart, images, blocks, splits)
                    )
    return found


@functools.lru_cache(maxsize=512)
def plan(kind, N, image, channels, filters, groups, window, itemsize):
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
    return Plan(
        g, starts, np.array(rows, np.int64), np.array(sum(every, []), np.int64),
        np.array(table or [0], np.int64), np.array(heights, np.int64), numbers,
    )  # fmt: skip


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
def weight_plan(N, image, channels, filters, groups, window, itemsize):
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
