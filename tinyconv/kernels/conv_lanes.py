"""Convolution with images in the lanes of a register, for small maps of many images.

    space[c, pixel, image] = x[image, c, pixel]      for as many images as a register has lanes

A tap of an output pixel then sees whole registers, wherever it looks: no pixel is computed in
vain, whatever the stride, the dilation or the size of the map, and a tap that falls outside
the image is left out, at the sides as well as above and below; of a 5 x 5 window on a 4 x 4
map half of all taps do. The price is to transpose x, and y back, 16 images x 16 pixels at a
time: a few instructions for each register.

The innermost loop wants its weights in one piece. So there is a set of packed weights for
each set of window rows that an output row sees; of the columns, which come first
in the order of the depth, any run is one piece.
"""

import functools
from typing import NamedTuple

import numpy as np

from tinyconv.kernels import parallel
from tinyconv.kernels.columns import aligned
from tinyconv.kernels.conv_lanes_weight import weight_gradient
from tinyconv.kernels.jit import kernel, part
from tinyconv.kernels.memory import empty
from tinyconv.kernels.packing import adjoint_rows, pack_jobs
from tinyconv.kernels.planes import adjoint_taps, forward_taps
from tinyconv.kernels.simd import BITS, get, lanes, put
from tinyconv.kernels.simd_columns import transpose
from tinyconv.kernels.tile import WIDTH, multiply, panels

#: bytes of results that wait to be transposed
_RESULTS = 1 << 18
#: units of work to aim at
_UNITS = 4


class _Grid(NamedTuple):
    """How the kernel walks the images: integers that it reads by name."""

    channels: int  # of a group
    groups: int
    pixels: int  # of an image
    out: int  # pixels of an output image
    images: int  # of a unit
    size: int  # from one channel to the next
    chunk: int  # panels whose results wait together
    splits: int  # how many units share the filters of one group of images


class _Plan(NamedTuple):
    grid: _Grid
    strips: np.ndarray  # (registers, where in x, weights, their depth, first, offsets, depth, out)
    offsets: np.ndarray
    panels: np.ndarray
    weights: list  # (where, which numbers of a filter, in order) of each class


@kernel
def _convolve(
    x, w, bias, residual, y, g, strips, table, panels, add_residual, relu, start, stop
):  # fmt: skip
    """Units start:stop of y = act(conv(x) + bias + residual); all arrays flat."""
    n = lanes(x)
    C = g.channels * g.groups
    per_group = len(panels) // g.groups
    O = panels[-1, 0] + panels[-1, 1]
    N = len(y) // (O * g.out)
    highest = 0
    for p in range(len(panels)):
        highest = max(highest, panels[p, 1])
    pitch = g.out * g.images
    space = aligned(g.channels * g.size, x)
    result = aligned(g.chunk * highest * pitch, x)
    laid = -1
    for unit in range(start, stop):
        split, n0 = unit % g.splits, unit // g.splits * g.images
        for group in range(g.groups):
            if laid != n0 or g.groups > 1:
                for c in range(g.channels):
                    at = (n0 * C + group * g.channels + c) * g.pixels
                    for i in range(0, g.images, n):
                        _gather(
                            x, at + i * C * g.pixels, C * g.pixels, min(n, N - n0 - i), g.pixels,
                            space, c * g.size + i, g.images,
                        )  # fmt: skip
                laid = n0
            last = (group + 1) * per_group
            if g.splits > 1:
                last = group * per_group + per_group * (split + 1) // g.splits
            first = group * per_group + per_group * split // g.splits
            for p0 in range(first, last, g.chunk):
                p1 = min(p0 + g.chunk, last)
                for s in range(len(strips)):
                    for p in range(p0, p1):
                        o, height = panels[p, 0], panels[p, 1]
                        iw = strips[s, 2] + o * strips[s, 3] + strips[s, 4] * height
                        multiply(
                            height, strips[s, 0], w, iw, bias, o, space, strips[s, 1], table,
                            strips[s, 5], strips[s, 6],
                            result, (o - panels[p0, 0]) * pitch + strips[s, 7], pitch,
                        )  # fmt: skip
                for o in range(panels[p0, 0], panels[p1 - 1, 0] + panels[p1 - 1, 1]):
                    at = (n0 * O + o) * g.out
                    for i in range(0, g.images, n):
                        _scatter(
                            result, (o - panels[p0, 0]) * pitch + i, g.images, residual, y,
                            at + i * O * g.out, O * g.out, min(n, N - n0 - i), g.out,
                            add_residual, relu,
                        )  # fmt: skip


@part
def _gather(x, at, pitch, images, pixels, space, to, step):
    """space[to + p step + i] = x[at + i pitch + p]: the last image fills up missing ones."""
    n = lanes(x)
    if images < 1:
        return
    if pixels < n:
        for p in range(pixels):
            for i in range(n):
                put(space, to + p * step + i, get(x, at + min(i, images - 1) * pitch + p))
        return
    for p in range(0, pixels, n):
        p = min(p, pixels - n)  # the last block ends where the image ends
        transpose(x, at + p, pitch, images, space, to + p * step, step, n, x, 0, False, False)


@part
def _scatter(
    result, of, step, residual, y, at, pitch, images, pixels, add_residual, relu
):  # fmt: skip
    """y[at + i pitch + p] = act(result[of + p step + i] + residual[...]); a missing image's
    result is the last one's, and goes to the same place."""
    n = lanes(y)
    if images < 1:
        return
    zero = y.dtype.type(0)
    if pixels < n:
        for p in range(pixels):
            for i in range(images):
                value = get(result, of + p * step + i)
                if add_residual:
                    value += get(residual, at + i * pitch + p)
                if relu and value <= zero:
                    value = zero
                put(y, at + i * pitch + p, value)
        return
    for p in range(0, pixels, n):
        p = min(p, pixels - n)
        transpose(
            result, of + p * step, step, n, y, at + p, pitch, images, residual, at + p,
            add_residual, relu,
        )  # fmt: skip


def _axis(places, step, count, size):
    """The places that each of ``count`` outputs sees inside 0..size: [(first, stop), ...] of
    ``places``, which are sorted; output u sees places[k] + u step."""
    return [
        tuple([sum(a + u * step < end for a in places) for end in (0, size)]) for u in range(count)
    ]


def _runs(spans, together):
    """Neighbours with the same span, so many ``together`` at most: [(first, how many), ...]."""
    runs, v = [], 0
    while v < len(spans):
        same = 1
        while v + same < len(spans) and spans[v + same] == spans[v] and together > 1:
            same += 1
        while same:
            number = 2 if same == 4 else min(same, together)
            runs.append((v, number))
            v, same = v + number, same - number
    return runs


class _Job(NamedTuple):
    """One phase of the output, and what its taps see."""

    form: object  # planes.Job
    lines: list  # rows that taps see from output row 0, and columns from output column 0
    columns: list
    steps: tuple  # by how much that moves from one output row and column to the next
    numbers: dict  # (line, column) -> number of the tap
    rows: list  # for each output row, (first, stop) of the lines inside the image
    spans: list  # for each output column, (first, stop) of the columns


def _jobs(taps, H, W):
    jobs = []
    for job in taps.jobs:
        numbers = {}
        for number, plane, r, q in job.taps:
            h, sh, v, sv = taps.planes[plane]
            numbers[h + r * sh, v + q * sv] = number
        lines, columns = (sorted({key[axis] for key in numbers}) for axis in (0, 1))
        _, sh, _, sv = taps.planes[0]
        rows, spans = _axis(lines, sh, job.P, H), _axis(columns, sv, job.Q, W)
        jobs.append(_Job(job, lines, columns, (sh, sv), numbers, rows, spans))
    return jobs


def _width(jobs, N, lanes_):
    """(registers of images that a unit has, neighbours that a strip may have) for the shortest
    time. Two registers of one pixel are never too few, three of neighbours save loads."""
    together = WIDTH if all(j.form.step_v == j.steps[1] == 1 for j in jobs) else 1

    def time(form):
        wide, together = form
        work = 0
        for job in jobs:
            for v, number in _runs(job.spans, together):
                left, right = job.spans[v]
                work += max(1.2, number * wide) * (right - left) * sum(b - a for a, b in job.rows)
        return -(-N // (lanes_ * wide)) * work

    return min([(1, together), (2, 1)], key=time)


@functools.lru_cache(maxsize=512)
def _plan(kind, N, image, channels, filters, groups, window, itemsize):
    """What is known from the shapes alone. ``kind``: 'forward' or 'adjoint'; channels and
    filters of one group, of the convolution that is run."""
    lanes_ = BITS // (8 * itemsize)
    out = window.output_shape(*image)
    (H, W), (Ho, Wo) = (image, out) if kind == "forward" else (out, image)
    jobs = _jobs((forward_taps if kind == "forward" else adjoint_taps)(window, *image), H, W)
    wide, together = _width(jobs, N, lanes_)
    L = lanes_ * wide
    size = (H * W | 1) * L  # odd: channels do not fall into the same places of a cache
    # filters are (O, C, taps); the adjoint's rows are C, its depth (O, taps)
    area = window.kh * window.kw
    step = area if kind == "forward" else filters * area
    strips, table, weights, at = [], [], [], 0
    for job in jobs:
        form, (sh, sv) = job.form, job.steps
        for low, high in sorted(set(job.rows)):
            seen, first = job.lines[low:high], len(table)
            order = [(a, b, c) for b in job.columns for a in seen for c in range(channels)]
            table += [c * size + ((a - seen[0]) * W + b) * L for a, b, c in order]
            numbers = [c * step + job.numbers[a, b] for a, b, c in order]
            weights.append((at, np.array(numbers, np.int64)))
            per = len(seen) * channels
            for u in [u for u in range(form.P) if job.rows[u] == (low, high)]:
                line = (seen[0] + u * sh) * W if seen else 0
                for v, number in _runs(job.spans, together):
                    left, right = job.spans[v]
                    pixel = (form.h + u * form.step_h) * Wo + form.v + v * form.step_v
                    strips.append((
                        number * wide, (line + v * sv) * L, at, len(order), left * per,
                        first + left * per, (right - left) * per, pixel * L,
                    ))  # fmt: skip
            at += len(order) * filters * groups
    heights = [(k * filters + o, n) for k in range(groups) for o, n in panels(filters)]
    splits = max(1, min(-(-_UNITS // -(-N // L)), len(heights) // groups))
    chunk = max(1, _RESULTS // (heights[0][1] * Ho * Wo * L * itemsize))
    g = _Grid(channels, groups, H * W, Ho * Wo, L, size, chunk, splits)
    return _Plan(
        g, np.array(strips, np.int64), np.array(table or [0], np.int64),
        np.array(heights, np.int64), weights,
    )  # fmt: skip


def _run(x, w, rows, bias, residual, relu, y, plan, scale=None):
    g = plan.grid
    packed = pack_jobs(w, plan.panels, rows, [of for _, of in plan.weights], scale)
    work = y.size * max(len(of) for _, of in plan.weights)
    flat_x, flat_y = x.reshape(-1), y.reshape(-1)
    other = flat_y if residual is None else residual.reshape(-1)
    parallel.run(
        lambda _, start, stop: _convolve(
            flat_x, packed, bias, other, flat_y, g, plan.strips, plan.offsets, plan.panels,
            residual is not None, relu, start, stop,
        ),
        parallel.chunks(-(-x.shape[0] // g.images) * g.splits, work),
    )  # fmt: skip


def forward(x, w, bias, window, groups, residual=None, relu=False, scale=None):
    N, _, H, W = x.shape
    O, Cg = w.shape[:2]
    y = empty((N, O, *window.output_shape(H, W)), x.dtype)
    if y.size:
        plan = _plan("forward", N, (H, W), Cg, O // groups, groups, window, x.itemsize)
        _run(x, w, np.arange(O) * w[0].size, bias, residual, relu, y, plan, scale)
    return y


def input_gradient(gy, w, window, groups, image):
    O, Cg = w.shape[:2]
    gx = empty((gy.shape[0], Cg * groups, *image), gy.dtype)
    Og = O // groups
    plan = _plan("adjoint", gy.shape[0], tuple(image), Og, Cg, groups, window, gy.itemsize)
    _run(gy, w, adjoint_rows(w, groups), np.zeros(Cg * groups, gy.dtype), None, False, gx, plan)
    return gx


__all__ = ["forward", "input_gradient", "weight_gradient"]
