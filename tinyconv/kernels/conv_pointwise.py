"""1 x 1 convolution without padding: for each image a product of weights and channels.

No taps, so no rows: an image is a matrix (channels, pixels) that the register tile reads where it
lies, and so it reads the weights: forward, and across for the input gradient. Only what is left
of an image behind its last whole register is laid side by side with that of other images first;
and so are small images, and those that are seen with a stride.
"""

import functools
from typing import NamedTuple

import numpy as np

from tinyconv.kernels import parallel
from tinyconv.kernels.epilogue import floor_of, ones
from tinyconv.kernels.jit import kernel, part
from tinyconv.kernels.memory import empty
from tinyconv.kernels.pointwise_weight import weight_gradient
from tinyconv.kernels.simd import (
    BITS,
    add,
    copy_rows,
    get,
    hold,
    lanes,
    load_some,
    pointer,
    positive,
    put,
    store_some,
    zeros,
    zipped,
)
from tinyconv.kernels.tile import ROWS, WIDTH
from tinyconv.kernels.tile_product import multiply_points

__all__ = ["forward", "input_gradient", "weight_gradient"]

#: units of work to aim at
_UNITS = 8
#: bytes and pixels that are laid out at a time: they stay in the L2 cache
_BUDGET, _BLOCK = 1 << 18, 240
#: bytes of an image that are worked on at a time where they lie; few filters are soon done with
#: them, and want longer runs
_NEAR, _NEAR_FEW = 1 << 17, 1 << 18


class _Points(NamedTuple):
    """How the kernel walks the images: integers that it reads by name."""

    channels: int  # of a group
    filters: int  # of a group
    groups: int
    area: int  # pixels of an image that are seen
    near: int  # registers of an image at a time
    shift: int  # the binary logarithm of how many cache lines they span
    rest: int  # so many of them, the last ones, are laid out
    together: int  # of so many images side by side
    block: int  # so many pixels at a time
    pitch: int  # from one channel to the next, laid out
    H: int
    W: int
    Wo: int
    sh: int
    sw: int
    row: int  # from one filter's weights to the next's
    step: int  # and from one channel's


@kernel
def _convolve(x, w, scale, bias, residual, y, g, units, add_residual, least, start, stop):
    """Units start:stop of y = act(scale w x + bias + residual); all arrays flat.

    units: (first image, stop, first register of an image, stop, first filter, stop).
    """
    n = lanes(x)
    strip = WIDTH * n
    C, O = g.channels * g.groups, g.filters * g.groups
    laid = np.empty(g.channels * g.pitch, x.dtype)
    result = np.empty(ROWS * strip, x.dtype)
    pscale, pbias = pointer(scale), pointer(bias)
    px, pw, py, pother = pointer(x), pointer(w), pointer(y), pointer(residual)
    plaid, presult, pleast = pointer(laid), pointer(result), pointer(least)
    free = np.full(1, -np.inf, x.dtype)
    pfree = pointer(free)
    for u in range(start, stop):
        n0, n1, r0, r1, m0, m1 = units[u]
        panels = (m1 - m0 + ROWS - 1) // ROWS
        cuts = (r1 - r0 + g.near - 1) // g.near
        whole = (n1 - n0) * cuts
        others = per = 0
        if r0 == 0 and g.rest > 0:
            run = g.together * g.rest
            per = (run + g.block - 1) // g.block
            last = (n1 - n0) % g.together * g.rest
            others = (n1 - n0) // g.together * per + (last + g.block - 1) // g.block
        for group in range(g.groups):
            o0, c0 = group * g.filters, group * g.channels
            w0 = o0 * g.channels
            for b in range(whole + others):
                # a matrix of pixels t to t + count of those that images from n2 on have each
                # behind their first ``off``; what the next one needs lies at ``soon``
                soon = shift = ask = columns = across = 0
                if b < whole:
                    n2, off, span, k = n0 + b // cuts, 0, g.area, b % cuts
                    t = (r0 + (r1 - r0) * k // cuts) * n
                    count = min((r0 + (r1 - r0) * (k + 1) // cuts) * n, g.area) - t
                    source, row, of = px, g.area, (n2 * C + c0) * g.area + t
                    if b + 1 < whole:
                        soon, shift, ask = of + count, g.shift, 1
                        if k + 1 == cuts:
                            soon = ((n2 + 1) * C + c0) * g.area + r0 * n
                else:
                    k = b - whole
                    n2, off, span, t = n0 + k // per * g.together, g.area - g.rest, g.rest, 0
                    t = k % per * g.block
                    count = min(g.block, min(n1 - n2, g.together) * g.rest - t)
                    source, row, of = plaid, g.pitch, 0
                    _lay(px, n2, group, t, count, g, plaid)
                    if g.rest == g.area and g.together == 1 and k + 1 < others:
                        n3, t3 = n2, t + count
                        if t3 == g.area:
                            n3, t3 = n2 + 1, 0
                        soon = (n3 * C + c0) * g.H * g.W
                        if g.sh * g.sw == 1:
                            soon, shift, ask = soon + t3, 4, 1
                        else:
                            soon += t3 // g.Wo * g.sh * g.W
                            across = g.W // n + 1
                            columns = min(g.area - t3, g.block) // g.Wo * across
                registers = (count + n - 1) // n
                strips = (registers + WIDTH - 1) // WIDTH
                tiles = strips * panels
                rate = (ask << 16 + shift) // tiles
                for p in range(panels):
                    m, end = m0 + (m1 - m0) * p // panels, m0 + (m1 - m0) * (p + 1) // panels
                    for k in range(strips):
                        s = registers * k // strips * n
                        width = min(count, registers * (k + 1) // strips * n) - s
                        pixel = off + (t + s) % span
                        at = ((n2 + (t + s) // span) * O + o0 + m) * g.area + pixel
                        apart = pixel + width > g.area
                        target, to, row_y = py, at, g.area
                        if apart:
                            target, to, row_y = presult, 0, strip
                        tile = p * strips + k
                        later, line = soon, tile * rate * g.channels
                        if columns > 0:
                            # a line of a row that is seen, in every channel
                            column, parts = tile * columns // tiles, max(1, tiles // columns)
                            later += column // across * g.sh * g.W + column % across * n
                            rate = 65536 // parts
                            part = tile - (column * tiles + columns - 1) // columns
                            line = part * rate * g.channels
                        multiply_points(
                            end - m, width, pw, w0 + m * g.row, g.row, g.step,
                            source, of + s, row, g.channels, pscale, pbias, o0 + m,
                            pother, add_residual and not apart, pfree if apart else pleast,
                            target, to, row_y, px, later, g.H * g.W, shift, line, rate,
                        )  # fmt: skip
                        if apart:
                            _finish(
                                presult, strip, end - m, pother, py, at, pixel, width, O, g,
                                add_residual, least[0],
                            )  # fmt: skip
    hold((free, laid, result))


@part
def _lay(x, image, group, t, count, g, laid):
    """Lay ``count`` pixels side by side, from number t on of those that images have each among
    their last ``rest``."""
    done = 0
    while done < count:
        pixel = g.area - g.rest + (t + done) % g.rest
        some = min(count - done, g.area - pixel)
        first = ((image + (t + done) // g.rest) * g.groups + group) * g.channels
        line, column = pixel // g.Wo, pixel % g.Wo
        some = min(some, g.Wo - column)
        of = (first * g.H + line * g.sh) * g.W + column * g.sw
        copy_rows(laid, done, g.pitch, x, of, g.H * g.W, g.sw, g.channels, some)
        done += some


@part
def _finish(
    result, pitch, height, residual, y, at, pixel, count, O, g, add_residual, least
):  # fmt: skip
    """Put ``height`` rows of a strip, which may go over the end of an image, where they belong."""
    n = lanes(y)
    done = 0
    while done < count:
        some = min(count - done, g.area - pixel)
        for r in range(height):
            for q in range(0, some, n):
                left, to = some - q, at + r * g.area + q
                value = load_some(result, r * pitch + done + q, left)
                if add_residual:
                    value = add(value, load_some(residual, to, left))
                if least == 0:
                    value = positive(value)
                store_some(y, to, value, left)
        at += (O + 1) * g.area - pixel - g.rest
        pixel = g.area - g.rest
        done += some


def _cost(pixels, lanes):
    """What a run of pixels costs, in pixels: it is computed three registers at a time, and fewer
    take longer than their share."""
    registers = -(-pixels // lanes)
    strips = -(-registers // WIDTH)
    widths = [registers * (k + 1) // strips - registers * k // strips for k in range(strips)]
    return lanes * sum((0, 1.6, 2.1, 3)[width] for width in widths)


@functools.lru_cache(maxsize=512)
def _plan(N, channels, filters, groups, image, out, strides, itemsize, adjoint):
    """(grid, units)"""
    n = BITS // (8 * itemsize)
    area = out[0] * out[1]
    registers = area // n
    if registers < WIDTH and area % n or strides != (1, 1):
        registers = 0
    elif N == 1:  # there is no other image to lay the rest beside
        registers = -(-area // n)
    rest = max(0, area - registers * n)
    panels = -(-filters // ROWS)

    def time(cut):
        """Of the largest unit: what is computed, and what is read."""
        images, pieces, rows = cut
        most, heights = -(-N // images), -(-panels // rows)
        pixels = most * _cost(-(-registers // pieces) * n, n) + _cost(most * rest, n)
        return pixels * heights * ROWS + (pixels + heights * ROWS) * 4

    parts = 8, 4, 2, 1
    cuts = [(i, p, r) for i in parts for p in parts for r in parts if i * p * r <= _UNITS]
    most = N, max(1, registers // WIDTH), panels
    cuts = [cut for cut in cuts if all(a <= b for a, b in zip(cut, most))]
    images, pieces, rows = min(cuts, key=time)
    units = [
        (N * i // images, N * (i + 1) // images, registers * p // pieces,
         registers * (p + 1) // pieces, filters * r // rows, filters * (r + 1) // rows)
        for i in range(images) for p in range(pieces) for r in range(rows)
    ]  # fmt: skip
    most = -(-N // images)
    together = 1 if rest >= 4 * WIDTH * n else max(1, min(most, _BLOCK // max(rest, 1)))
    run = together * rest
    block = max(n, min(_BLOCK, _BUDGET // (channels * itemsize)))
    if together == 1 and strides != (1, 1):
        block = max(1, block // out[1]) * out[1]
    else:
        block = -(-run // max(1, -(-run // block)))
        block = max(1, -(-block // n)) * n
    most = _NEAR if panels > 3 else _NEAR_FEW
    near, shift = next(
        (r, s) for r, s in ((15, 4), (6, 3), (3, 2)) if r == 3 or channels * r * 64 <= most
    )
    # an odd number of cache lines from channel to channel
    line = 64 // itemsize
    pitch = (-(-block // line) | 1) * line
    if strides == (1, 1):  # rows mean nothing
        image, out = (1, area), (1, area)
    row, step = (1, filters) if adjoint else (channels, 1)
    g = _Points(
        channels, filters, groups, area, near, shift, rest, together, block, pitch, *image, out[1],
        *strides, row, step,
    )  # fmt: skip
    return g, np.array(units, np.int64)


def _run(x, w, bias, groups, y, residual, relu, strides, adjoint, scale=None):
    N, C = x.shape[:2]
    g, units = _plan(
        N, C // groups, y.shape[1] // groups, groups, x.shape[2:], y.shape[2:], strides,
        x.itemsize, adjoint,
    )  # fmt: skip
    scale = ones(y.shape[1], x.dtype) if scale is None else scale
    arrays = [a.reshape(-1) for a in (x, w, scale, bias, y if residual is None else residual, y)]
    rest = g, units, residual is not None, floor_of(relu, x.dtype)
    parallel.run(
        lambda _, start, stop: _convolve(*arrays, *rest, start, stop),
        parallel.chunks(len(units), y.size * (C // groups)),
    )
    return y


@kernel
def _spread(thin, x, W, area, Ho, Wo, sh, sw, start, stop):
    """Planes start:stop of the pixels put back where they came from, zeros elsewhere."""
    n = lanes(x)
    none = zeros(x)
    for plane in range(start, stop):
        for h in range(area // W):
            at, of = plane * area + h * W, (plane * Ho + h // sh) * Wo
            seen = h % sh == 0
            if seen and sw == 2:
                for q in range(0, W, 2 * n):
                    value = load_some(thin, of + q // 2, min(n, Wo - q // 2))
                    store_some(x, at + q, zipped(value, none, 0), min(n, W - q))
                    if q + n < W:
                        store_some(x, at + q + n, zipped(value, none, 1), min(n, W - q - n))
                continue
            for q in range(0, W, n):
                store_some(x, at + q, none, min(n, W - q))
            if seen:
                for q in range(Wo):
                    put(x, at + q * sw, get(thin, of + q))


def forward(x, w, bias, window, groups, residual=None, relu=False, scale=None):
    y = empty((x.shape[0], w.shape[0], *window.output_shape(*x.shape[2:])), x.dtype)
    return _run(x, w, bias, groups, y, residual, relu, (window.sh, window.sw), False, scale)


def input_gradient(gy, w, window, groups, image):
    N, C = gy.shape[0], w.shape[1] * groups
    thin = empty((N, C, *gy.shape[2:]), gy.dtype)
    _run(gy, w, np.zeros(C, gy.dtype), groups, thin, None, False, (1, 1), True)
    if window.sh == window.sw == 1:
        return thin
    gx = empty((N, C, *image), gy.dtype)
    (H, W), (Ho, Wo) = image, gy.shape[2:]
    flat = thin.reshape(-1), gx.reshape(-1)
    parallel.run(
        lambda _, start, stop: _spread(*flat, W, H * W, Ho, Wo, window.sh, window.sw, start, stop),
        parallel.chunks(N * C, gx.nbytes),
    )
    return gx
