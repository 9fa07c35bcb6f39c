"""1 x 1 convolution without padding: for each pixel a product of weights and channels.

No taps, so no rows: the pixels of all images are one long run, cut into strips. A strip of all
channels is laid side by side once and then meets every filter from a near cache; a few filters
read it where it lies. With a stride, the pixels that no filter sees are dropped before that.
"""

import functools

import numpy as np

from tinyconv.kernels import conv_direct, parallel
from tinyconv.kernels.epilogue import finish, put_run
from tinyconv.kernels.geometry import Window
from tinyconv.kernels.jit import kernel, part
from tinyconv.kernels.memory import empty
from tinyconv.kernels.packing import adjoint_rows, pack_panels
from tinyconv.kernels.simd import (
    BITS,
    copy_rows,
    get,
    lanes,
    put,
)
from tinyconv.kernels.tile import ROWS, WIDTH, multiply, panels

#: filters from which laying strips side by side costs less than it saves
_FILTERS = 32
#: units of work to aim at
_UNITS = 8


@kernel
def _convolve(
    x, w, bias, residual, y, N, C, O, area, groups, table, panels, splits, packing, add_residual,
    relu, start, stop,
):  # fmt: skip
    """Units start:stop of y = act(w x + bias + residual); all arrays flat, ``area`` pixels to an
    image; a unit is a strip of pixels and a share of each group's filters."""
    n = lanes(x)
    strip = WIDTH * n
    Cg = C // groups
    per_group = len(panels) // groups
    space = np.zeros(Cg * strip, x.dtype)
    result = np.empty(ROWS * strip, x.dtype)
    for unit in range(start, stop):
        t, split = unit // splits * strip, unit % splits
        count = min(strip, N * area - t)
        width = (count + n - 1) // n
        image, pixel = t // area, t % area
        whole = pixel + strip <= area and count == strip
        first, last = per_group * split // splits, per_group * (split + 1) // splits
        for group in range(groups):
            of = (image * C + group * Cg) * area + pixel
            if packing or not whole:
                _lay(x, of, pixel, C, Cg, area, count, space)
            for p in range(group * per_group + first, group * per_group + last):
                o, height = panels[p, 0], panels[p, 1]
                at = (image * O + o) * area + pixel
                if not whole:
                    multiply(
                        height, width, w, o * Cg, bias, o, space, 0, table, Cg, Cg, result, 0, strip
                    )
                    _write(
                        result,
                        strip,
                        height,
                        residual,
                        y,
                        at,
                        pixel,
                        O,
                        area,
                        count,
                        add_residual,
                        relu,
                    )
                    continue
                if packing:
                    multiply(
                        height, width, w, o * Cg, bias, o, space, 0, table, Cg, Cg, y, at, area
                    )
                else:
                    multiply(height, width, w, o * Cg, bias, o, x, of, table, 0, Cg, y, at, area)
                if add_residual or relu:
                    finish(y, residual, at, area, height, width, add_residual, relu)


@part
def _lay(x, of, pixel, C, Cg, area, count, space):
    """Lay ``count`` pixels of Cg channels from x[of] on side by side, over the ends of images."""
    strip = WIDTH * lanes(x)
    done = 0
    while done < count:
        some = min(count - done, area - pixel)
        copy_rows(space, done, strip, x, of, area, 1, Cg, some)
        of += C * area - pixel
        pixel = 0
        done += some


@part
def _write(result, strip, height, residual, y, at, pixel, O, area, count, add_residual, relu):
    """Put a strip that goes over the end of an image where it belongs."""
    done = 0
    while done < count:
        some = min(count - done, area - pixel)
        for r in range(height):
            of, to = r * strip + done, at + r * area
            put_run(y, to, result, of, some, residual, add_residual, relu)
        at += O * area - pixel
        pixel = 0
        done += some


@functools.lru_cache(maxsize=256)
def _plan(N, channels, filters, groups, area, itemsize):
    """(offsets where it lies and then side by side, panels, splits, packing, rows, depths)."""
    strip = WIDTH * BITS // (8 * itemsize)
    heights = panels(filters)
    every = [(g * filters + o, n) for g in range(groups) for o, n in heights]
    table = [c * area for c in range(channels)] + [c * strip for c in range(channels)]
    strips = -(-N * area // strip)
    splits = max(1, min(len(heights), _UNITS // strips))
    # channels a power of two apart fall into the same places of a cache
    packing = filters >= _FILTERS or area * itemsize % 1024 == 0
    return np.array(table, np.int64), np.array(every, np.int64), splits, strips * splits, packing


def _run(x, w, rows, depths, bias, groups, y, residual, relu):
    N, O, H, W = y.shape
    if not y.size:
        return y
    C = x.shape[1]
    table, every, splits, units, packing = _plan(
        N, C // groups, O // groups, groups, H * W, x.itemsize
    )
    packed = pack_panels(w, every, rows, depths)
    arrays = [a.reshape(-1) for a in (x, packed, bias, y if residual is None else residual, y)]
    rest = N, C, O, H * W, groups, table, every, splits, packing, residual is not None, relu
    parallel.run(
        lambda _, start, stop: _convolve(*arrays, *rest, start, stop),
        parallel.chunks(units, y.size * (C // groups)),
    )
    return y


@kernel
def _thin(x, thin, W, area, Ho, Wo, sh, sw, start, stop):
    """Planes start:stop of every sh-th row's every sw-th pixel."""
    for plane in range(start, stop):
        at = plane * Ho * Wo
        copy_rows(thin, at, Wo, x, plane * area, sh * W, sw, Ho, Wo)


@kernel
def _spread(thin, x, W, area, Ho, Wo, sh, sw, start, stop):
    """Planes start:stop of the pixels put back where they came from, zeros elsewhere."""
    for plane in range(start, stop):
        x[plane * area : (plane + 1) * area] = 0
        for p in range(Ho):
            at, of = plane * area + p * sh * W, (plane * Ho + p) * Wo
            for q in range(Wo):
                put(x, at + q * sw, get(thin, of + q))


def _move(body, large, thin, window):
    """``thin`` (N, C, Ho, Wo) from ``large`` or back."""
    H, W = large.shape[2:]
    arrays = (large, thin) if body is _thin else (thin, large)
    flat = [a.reshape(-1) for a in arrays]
    rest = W, H * W, *thin.shape[2:], window.sh, window.sw
    parallel.run(
        lambda _, start, stop: body(*flat, *rest, start, stop),
        parallel.chunks(large.shape[0] * large.shape[1], large.nbytes),
    )


def _thinned(x, window):
    """What a convolution with this stride sees of x."""
    if window.sh == window.sw == 1:
        return x
    thin = empty((*x.shape[:2], *window.output_shape(*x.shape[2:])), x.dtype)
    _move(_thin, x, thin, window)
    return thin


def forward(x, w, bias, window, groups, residual=None, relu=False):
    O, Cg = w.shape[:2]
    x = _thinned(x, window)
    y = empty((x.shape[0], O, *x.shape[2:]), x.dtype)
    return _run(x, w, np.arange(O) * Cg, np.arange(Cg), bias, groups, y, residual, relu)


def input_gradient(gy, w, window, groups, image):
    O, Cg = w.shape[:2]
    N, Og = gy.shape[0], O // groups
    thin = empty((N, Cg * groups, *gy.shape[2:]), gy.dtype)
    rows = adjoint_rows(w, groups)
    bias = np.zeros(Cg * groups, gy.dtype)
    _run(gy, w, rows, np.arange(Og) * Cg, bias, groups, thin, None, False)
    if window.sh == window.sw == 1:
        return thin
    gx = empty((N, Cg * groups, *image), gy.dtype)
    _move(_spread, gx, thin, window)
    return gx


def weight_gradient(gy, x, window, groups):
    return conv_direct.weight_gradient(gy, _thinned(x, window), Window.of(1), groups)
