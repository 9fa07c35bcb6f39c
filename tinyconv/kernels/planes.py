"""Planes: padded images laid out so that one table of offsets says where each tap looks.

A *plane* is one channel of the image with its padding around it, as one run of numbers of
``pitch`` per row. What tap (i, j) sees at output pixel (u, v) lies at u pitch + v plus an
offset that depends on the tap alone: for all pixels at once a tap reads one contiguous
run, and the column matrix of im2col need not exist. The few pixels of the run between the
rows are computed and thrown away. Zeros at the left of a row serve as those at the right of
the row before, and so do rows between images.

With stride s a channel has up to s x s planes, each with every s-th pixel, on which every tap
has stride 1. Dilation only changes the offsets. The gradient of a strided convolution is
one convolution of stride 1 for each of the s x s phases of its output.
"""

from typing import NamedTuple

import numpy as np

from tinyconv.kernels.jit import part
from tinyconv.kernels.simd import BITS, evens, get, lanes, pointer, put, zeros
from tinyconv.kernels.simd_masks import load_masked, odds, store_masked
from tinyconv.kernels.strips import lane_mask

#: bytes of planes at work at a time: with a panel of weights they stay in the L2 cache
_BUDGET = 5 << 16
#: units of work to aim at, so that threads have something to share
UNITS = 8


class Taps(NamedTuple):
    """Where taps look. ``planes``: (h, step h, v, step v) of the first pixel of each, in the
    image; ``jobs``: one for each phase of the output."""

    planes: list
    jobs: list


class Job(NamedTuple):
    """One output grid of P x Q pixels, at (h, v) + (u step_h, v step_v) of the output."""

    P: int
    Q: int
    h: int
    v: int
    step_h: int
    step_v: int
    taps: list  # of (tap number i kw + j, plane, row shift, column shift)


class Grid(NamedTuple):
    """How a kernel walks the images: integers that it reads by name."""

    channels: int  # of a group
    groups: int
    H: int
    W: int
    images: int  # side by side in one unit of work
    blocks: int  # of rows that an image is cut into (where images is 1)
    rows: int  # output rows of a block
    plane_rows: int  # rows placed for each image or block
    pitch: int
    size: int  # from one plane to the next
    planes: int  # per channel
    splits: int  # how many units share the filters of one image among them


def forward_taps(g, H, W):
    """The taps of a convolution of H x W images."""
    Ho, Wo = g.output_shape(H, W)
    rows = sorted({i * g.dh % g.sh for i in range(g.kh)})
    columns = sorted({j * g.dw % g.sw for j in range(g.kw)})
    planes = [(a - g.top, g.sh, b - g.left, g.sw) for a in rows for b in columns]
    taps = []
    for i in range(g.kh):
        for j in range(g.kw):
            plane = rows.index(i * g.dh % g.sh) * len(columns) + columns.index(j * g.dw % g.sw)
            taps.append((i * g.kw + j, plane, i * g.dh // g.sh, j * g.dw // g.sw))
    return Taps(planes, [Job(Ho, Wo, 0, 0, 1, 1, taps)])


def adjoint_taps(g, H, W):
    """The taps of the input gradient: gx of H x W from gy, one job for each phase of gx."""
    rows, columns = _phases(g.sh, g.kh, g.dh, g.top, H), _phases(g.sw, g.kw, g.dw, g.left, W)
    h0 = min((e for phase in rows for _, e in phase), default=0)
    v0 = min((e for phase in columns for _, e in phase), default=0)
    jobs = []
    for a, of_rows in enumerate(rows):
        for b, of_columns in enumerate(columns):
            taps = [(i * g.kw + j, 0, e - h0, f - v0) for i, e in of_rows for j, f in of_columns]
            P, Q = -(-(H - a) // g.sh), -(-(W - b) // g.sw)
            jobs.append(Job(P, Q, a, b, g.sh, g.sw, taps))
    return Taps([(h0, 1, v0, 1)], jobs)


def _phases(stride, kernel, dilation, before, size):
    """For each phase of the output: [(tap, which input relative to u), ...]."""
    return [
        [
            (i, (a + before - i * dilation) // stride)
            for i in range(kernel)
            if (a + before - i * dilation) % stride == 0
        ]
        for a in range(min(stride, size))
    ]


def layout(
    taps, N, channels, groups, image, itemsize, strip, filters, start=0, run=1 << 30, budget=_BUDGET
):
    """(Grid, table of planes, masks for ``place``) for N images of ``image`` = (H, W).

    Args:
        channels: of one group of the source; filters: panels of filters of one group.
        strip: pixels are computed so many at a time.
        start: what it costs to begin a run, in pixels; run: pixels of one at most, about;
            budget: bytes of the planes at work.
    """
    H, W = image
    P, Q = max(j.P for j in taps.jobs), max(j.Q for j in taps.jobs)
    used = [t for j in taps.jobs for t in j.taps]
    reach_h, reach_v = (max((t[axis] for t in used), default=0) for axis in (2, 3))
    rows, columns = P + reach_h, Q + reach_v
    spans_h = [_span(h, s, H, rows) for h, s, _, _ in taps.planes]
    spans_v = [_span(v, s, W, columns) for _, _, v, s in taps.planes]
    # zeros before a row serve as the zeros behind the row before it
    pitch = max(Q, columns - min(min(a, columns - b) for a, b in spans_v))
    image_rows = max(P, rows - min(min(a, rows - b) for a, b in spans_h))
    bytes_of = channels * len(taps.planes) * pitch * itemsize

    most = max(1, min(N, 16, budget // max(1, bytes_of * image_rows), -(-N // UNITS)))
    most = max(1, min(most, run // (P * pitch)))

    def waste(images):
        length = (images - 1) * image_rows * pitch + (P - 1) * pitch + Q
        return (-(-length // strip) * strip + start) / (images * P * Q) + 0.004 * images

    images = min(range(1, most + 1), key=waste)
    blocks = splits = 1
    if images == 1:
        blocks = min(P, max(1, -(-bytes_of * rows // budget), -(-P * pitch // run)))
        units = N * blocks
        if units < UNITS:
            more = -(-UNITS // units)
            if P // more * pitch >= 9 * strip:
                blocks *= more
            else:
                splits = min(more, filters)
    per_block = -(-P // blocks)
    blocks = -(-P // per_block)
    plane_rows = image_rows if blocks == 1 else per_block + reach_h
    # an odd number of cache lines from plane to plane: they do not fall into the same places
    line = 64 // itemsize
    size = -(-(images * plane_rows + rows - image_rows) * pitch // line) | 1
    grid = Grid(
        channels, groups, H, W, images, blocks, per_block, plane_rows, pitch, size * line,
        len(taps.planes), splits,
    )  # fmt: skip
    table = [(h, sh, v, sw, *_span(v, sw, W, pitch)) for h, sh, v, sw in taps.planes]
    return grid, np.array(table, np.int64), _masks(table, W, BITS // (8 * itemsize))


def _span(first, step, size, count):
    """[start, stop) of the cells 0..count that lie in the image, cell q at first + q step."""
    start = -(first // step) if first < 0 else 0
    stop = min(count, (size - 1 - first) // step + 1)
    return (start, stop) if stop > start else (0, 0)


def offsets(taps, grid):
    """(flat table of offsets, [first entry and depth of each job])."""
    table, jobs = [], []
    for job in taps.jobs:
        jobs.append((len(table), grid.channels * len(job.taps)))
        shifts = [(f * grid.size + r * grid.pitch + q) for _, f, r, q in job.taps]
        for c in range(grid.channels):
            table.extend(c * grid.planes * grid.size + s for s in shifts)
    return np.array(table or [0], np.int64), jobs


def is_point(window):
    return window[:8] == (1, 1, 1, 1, 0, 0, 0, 0)


def one_row(x, y, window):
    """For 1 x 1 filters of stride 1 rows mean nothing: images of a single long row."""
    if not is_point(window):
        return x, y
    return tuple([a.reshape(*a.shape[:2], 1, -1) for a in (x, y)])


def _masks(table, W, n):
    """What ``place`` needs of each register-full of a row of planes: masks of the pixels to load
    (of two registers for a stride of 2), of the cells to store in the first plane and, for a
    stride of 2, in the second; and the first cell."""
    _, _, v, step, *_ = table[0]
    phases = [row[4:] for row in table if row[:2] == table[0][:2]][:2]
    masks = []
    first = min(start for start, _ in phases)
    for q in range(first, max(stop for _, stop in phases), n):
        of = v + q * step
        cells = [lane_mask(start - q, stop - q, n) for start, stop in phases] + [0]
        pixels = lane_mask(-of, W - of, n), lane_mask(-of - n, W - of - n, n)
        masks.append((*pixels, *cells[:2], first))
    return np.array(masks or [(0,) * 5], np.int64)


@part
def place(x, n0, n1, c0, u0, g, table, masks, planes):
    """Lay images n0:n1 of x (flat), channels c0.., rows from u0 on, out in planes.

    Only pixels are written: what lies outside the image was zero when ``planes`` was made, and
    is left so. But where images are cut into blocks, the rows outside are not always the same.
    """
    none = x.dtype.type(0)
    x, planes = pointer(x), pointer(planes)
    C = g.channels * g.groups
    n = lanes(x)
    zero = zeros(x)
    step = table[0, 3]
    skip = masks[0, 4] if step <= 2 else 0
    # the phases of the columns, of a stride of 2, are laid out together
    together = 2 if step == 2 and g.planes > 1 and table[0, 0] == table[1, 0] else 1
    for c in range(g.channels):
        for image in range(n0, n1):
            for f in range(0, g.planes, together):
                h0, sh = table[f, 0] + u0 * table[f, 1], table[f, 1]
                first = min(max(0, (sh - 1 - h0) // sh), g.plane_rows)
                last = max(first, min(g.plane_rows, (g.H - 1 - h0) // sh + 1))
                to = (c * g.planes + f) * g.size + (image - n0) * g.plane_rows * g.pitch + skip
                of = ((image * C + c0 + c) * g.H + h0 + first * sh) * g.W + table[f, 2]
                of += skip * step
                begin, end = (0, g.plane_rows) if g.blocks > 1 else (first, last)
                for r in range(begin, end):
                    at = to + r * g.pitch
                    outside = r < first or r >= last
                    if step > 2:
                        for q in range(table[f, 4], table[f, 5]):
                            put(planes, at + q, none if outside else get(x, of + q * step))
                    elif outside:
                        for b in range(len(masks)):
                            store_masked(planes, at + b * n, zero, masks[b, 2])
                            if together == 2:
                                store_masked(planes, at + g.size + b * n, zero, masks[b, 3])
                    elif step == 1:
                        for b in range(len(masks)):
                            value = load_masked(x, of + b * n, masks[b, 0])
                            store_masked(planes, at + b * n, value, masks[b, 2])
                    else:
                        for b in range(len(masks)):
                            low = load_masked(x, of + 2 * b * n, masks[b, 0])
                            high = load_masked(x, of + 2 * b * n + n, masks[b, 1])
                            store_masked(planes, at + b * n, evens(low, high), masks[b, 2])
                            if together == 2:
                                odd = odds(low, high)
                                store_masked(planes, at + g.size + b * n, odd, masks[b, 3])
                    if not outside:
                        of += sh * g.W
