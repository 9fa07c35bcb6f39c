"""Columns along one axis: the images laid out once for each tap of a window's row.

The columns of im2col are the image again for each tap (i, j). Half of that is enough. A
*copy* is the image as a column of taps j sees it: exactly Q pixels of each row, the padding
among them. With row after row in one piece, and in each row the images of a unit side by side,

    copy[row, image, q] = x[image, row, q + j]          (``pitch`` = images * Q)

tap (i, j) sees at pixel t = (p images + image) Q + q what stands at t + i pitch: a table of
offsets does the rest, as in ``planes``, but no pixel is computed in vain, and what is laid
out is kw times the image instead of kh kw times.

Rows outside the image are zeros, so whoever computes pixels of one row leaves out the taps
that see nothing else: the taps of a job are sorted by *lines*, those that see the same row,
and ``spans`` says which lines see something.
"""

from typing import NamedTuple

import numpy as np

from tinyconv.kernels.jit import part
from tinyconv.kernels.planes import _span
from tinyconv.kernels.simd import get, lanes, load_some, put, store_some
from tinyconv.kernels.simd_columns import load_apart


class Columns(NamedTuple):
    """How a kernel walks the images: integers that it reads by name."""

    channels: int  # of a group
    groups: int
    H: int
    W: int
    images: int  # side by side in one unit of work
    blocks: int  # of rows that an image is cut into (where images is 1)
    rows: int  # output rows of a block
    plane_rows: int  # rows laid out for a block
    width: int  # pixels of one image in a row
    pitch: int
    size: int  # from one copy to the next
    copies: int  # per channel
    splits: int  # how many units share the filters of one image among them


class Line(NamedTuple):
    """The taps of a job that see one row: row ``h`` + u ``step`` of the source at row u."""

    h: int
    step: int
    taps: list  # of (tap number, copy, row shift, column shift)


def by_lines(taps, apart):
    """(copies, jobs) of ``planes.Taps``: (h, step h, v, step v) of each copy's first pixel,
    and the jobs with their taps in lines from above to below. With ``apart`` every column of
    taps has a copy of its own; else they share one, and some pixels are computed in vain."""
    copies, jobs = [], []
    for job in taps.jobs:
        lines = {}
        for number, plane, r, q in job.taps:
            h, sh, v, sv = taps.planes[plane]
            copy = (h, sh, v + q * sv, sv) if apart else taps.planes[plane]
            if copy not in copies:
                copies.append(copy)
            line = lines.setdefault(h + r * sh, Line(h + r * sh, sh, []))
            line.taps.append((number, copies.index(copy), r, 0 if apart else q))
        jobs.append(job._replace(taps=[lines[h] for h in sorted(lines)]))
    return copies or [(0, 1, 0, 1)], jobs


def reach(jobs, axis=2):
    """How many rows below its own a pixel's taps see; columns to the right, for axis 3."""
    return max((t[axis] for j in jobs for line in j.taps for t in line.taps), default=0)


def width(copies, jobs, W):
    """How many pixels of a row of an image W wide a copy has: zeros before a row serve as the
    zeros behind the row before it."""
    Q = max(j.Q for j in jobs)
    columns = Q + reach(jobs, 3)
    sides = [_span(v, sv, W, columns) for _, _, v, sv in copies]
    return max(Q, columns - min(min(a, columns - b) for a, b in sides))


def spans(job, H):
    """[(first, stop) of the lines that see rows of the image], for each output row. Both
    sink from row to row."""
    return [
        tuple([sum(line.h + u * line.step < end for line in job.taps) for end in (0, H)])
        for u in range(job.P)
    ]


def grid(copies, jobs, channels, groups, image, itemsize, cells, images, blocks, splits=1):
    """(Columns, table of copies); ``cells`` pixels in a row of an image."""
    H, W = image
    P = max(j.P for j in jobs)
    rows = -(-P // blocks)
    plane_rows, pitch = rows + reach(jobs), images * cells
    # zeros behind each, for all that is read beyond, and an odd number of cache lines from
    # one to the next: they do not fall into the same places
    line = 64 // itemsize
    size = (-(-(plane_rows * pitch + reach(jobs, 3) + line) // line) | 1) * line
    table = [(h, sh, v, sv, *_span(v, sv, W, cells)) for h, sh, v, sv in copies]
    g = Columns(
        channels, groups, H, W, images, -(-P // rows), rows, plane_rows, cells, pitch, size,
        len(copies), splits,
    )  # fmt: skip
    return g, np.array(table, np.int64)


@part
def aligned(count, x):
    """Room for ``count`` numbers of x's dtype that begins where a cache line begins: no register
    that is read lies on two of them where rows fill whole ones."""
    more = 64 // x.itemsize
    space = np.empty(count + more, x.dtype)
    start = -(space.ctypes.data // x.itemsize) % more
    return space[start : start + count]


@part
def lay(x, n0, n1, c0, channels, u0, g, table, inside, fresh, space):
    """Lay images n0:n1 of x (flat), channels c0.., rows from u0 on, out in ``space``. What lies
    outside the images is cleared where ``space`` is ``fresh``, and else as it was left.
    ``inside`` (copies, 2) is for this function's own use."""
    n = lanes(x)
    zero = x.dtype.type(0)
    for f in range(g.copies):
        # the copy's rows inside the image
        h, step = table[f, 0] + u0 * table[f, 1], table[f, 1]
        first = min(max(0, (step - 1 - h) // step), g.plane_rows)
        inside[f, 0] = first
        inside[f, 1] = max(first, min(g.plane_rows, (g.H - 1 - h) // step + 1))
    fresh |= n1 - n0 < g.images
    for c in range(channels):
        for f in range(g.copies):
            first, last = inside[f, 0], inside[f, 1]
            sh, sv = table[f, 1], table[f, 3]
            start, count = table[f, 4], table[f, 5] - table[f, 4]
            plane = (c * g.copies + f) * g.size
            if fresh:
                space[plane : plane + g.size] = zero
            elif g.blocks > 1:
                space[plane : plane + first * g.pitch] = zero
                space[plane + last * g.pitch : plane + g.plane_rows * g.pitch] = zero
            row = table[f, 0] + (u0 + first) * sh
            at = (
                ((n0 * g.channels * g.groups + c0 + c) * g.H + row) * g.W + table[f, 2] + start * sv
            )
            to = plane + first * g.pitch + start
            for _ in range(n1 - n0):
                if sv == 1:
                    for q in range(0, count, n):
                        _rows(space, to + q, g.pitch, x, at + q, sh * g.W, last - first, count - q)
                else:
                    _apart(space, to, g.pitch, x, at, sh * g.W, last - first, count, sv)
                at += g.channels * g.groups * g.H * g.W
                to += g.width


@part
def _rows(space, to, pitch, x, at, step, rows, count):
    """Copy ``count`` numbers (at most a register-full) of each of ``rows`` rows."""
    for _ in range(rows // 4):
        # all four are read before one is written: the processor need not ask if they are the same
        a, b = load_some(x, at, count), load_some(x, at + step, count)
        c, d = load_some(x, at + 2 * step, count), load_some(x, at + 3 * step, count)
        store_some(space, to, a, count)
        store_some(space, to + pitch, b, count)
        store_some(space, to + 2 * pitch, c, count)
        store_some(space, to + 3 * pitch, d, count)
        at += 4 * step
        to += 4 * pitch
    for _ in range(rows % 4):
        store_some(space, to, load_some(x, at, count), count)
        at += step
        to += pitch


@part
def _apart(space, to, pitch, x, at, step, rows, count, sv):
    """Copy ``count`` numbers, which lie ``sv`` apart, of each of ``rows`` rows."""
    n = lanes(x)
    for _ in range(rows):
        if sv == 2:
            for q in range(0, count, n):
                store_some(space, to + q, load_apart(x, at + 2 * q, count - q), count - q)
        else:
            for q in range(count):
                put(space, to + q, get(x, at + q * sv))
        at += step
        to += pitch


__all__ = ["Columns", "Line", "aligned", "by_lines", "grid", "lay", "reach", "spans", "width"]
