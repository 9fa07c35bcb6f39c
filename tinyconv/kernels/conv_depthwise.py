"""Depthwise convolution: each filter sees one channel (groups = C).

There is nothing to share between filters, so no matrix product: pixels of a row are a register,
each tap one load and one multiply-add. Where a register hangs over the border of the image,
a mask makes zeros of the lanes outside; so no padded copy is needed.
"""

import numpy as np

from tinyconv.kernels import parallel
from tinyconv.kernels.jit import inlined, kernel
from tinyconv.kernels.memory import empty
from tinyconv.kernels.simd import (
    add,
    evens,
    fma,
    lanes,
    load,
    load_between,
    load_some,
    positive,
    put,
    splat,
    spread,
    store,
    store_some,
    total,
    zeros,
)


def supports(window, groups, channels, filters):
    """Whether this is a depthwise convolution, of a column stride that registers can follow."""
    return groups == channels and filters % channels == 0 and window.sw <= 2


@inlined
def _seen(x, row, first, step, W, inside):
    """What one tap sees of a row of W pixels: those at first, first + step, ...; zeros outside,
    unless all are ``inside``."""
    n = lanes(x)
    at = row + first
    if step == 1:
        return load(x, at) if inside else load_between(x, at, -first, W - first)
    if inside:
        return evens(load(x, at), load(x, at + n))
    low = load_between(x, at, -first, W - first)
    return evens(low, load_between(x, at + n, -first - n, W - first - n))


@inlined
def _inside(q, kw, sw, g, W, n):
    """Whether all taps of the register of outputs at q see pixels only."""
    first = q * sw - g.left
    return first >= 0 and first + (kw - 1) * g.dw + sw * n <= W


@kernel
def _forward(x, w, bias, residual, y, g, H, W, Ho, Wo, C, O, add_residual, relu, start, stop):
    """Planes start:stop of y, which is N x O of them; all arrays flat."""
    arrays, sizes = (x, w, bias, residual, y), (H, W, Ho, Wo, C, O)
    for plane in range(start, stop):
        # the common windows with their numbers known to the compiler, which unrolls them
        if g.kw == 3 and g.sw == 1:
            _forward_plane(arrays, plane, g, 3, 1, sizes, add_residual, relu)
        elif g.kw == 3 and g.sw == 2:
            _forward_plane(arrays, plane, g, 3, 2, sizes, add_residual, relu)
        else:
            _forward_plane(arrays, plane, g, g.kw, g.sw, sizes, add_residual, relu)


@inlined
def _forward_plane(arrays, plane, g, kw, sw, sizes, add_residual, relu):
    x, w, bias, residual, y = arrays
    H, W, Ho, Wo, C, O = sizes
    n = lanes(x)
    image, o = plane // O, plane % O
    of = (image * C + o // (O // C)) * H * W
    for p in range(Ho):
        first = p * g.sh - g.top
        for q in range(0, Wo, n):
            if _inside(q, kw, sw, g, W, n):
                value = _sum_of_taps(x, w, bias, of, o, first, q, g, kw, sw, H, W, True)
            else:
                value = _sum_of_taps(x, w, bias, of, o, first, q, g, kw, sw, H, W, False)
            at = (plane * Ho + p) * Wo + q
            if add_residual:
                value = add(value, load_some(residual, at, Wo - q))
            if relu:
                value = positive(value)
            store_some(y, at, value, Wo - q)


@inlined
def _sum_of_taps(x, w, bias, of, o, first, q, g, kw, sw, H, W, inside):
    # one sum for each column of taps: a single one would wait for itself at every step
    left, middle, right = splat(bias, o), zeros(x), zeros(x)
    for i in range(g.kh):
        h = first + i * g.dh
        if h >= 0 and h < H:
            k, row, v = (o * g.kh + i) * kw, of + h * W, q * sw - g.left
            if kw == 3:
                left = fma(splat(w, k), _seen(x, row, v, sw, W, inside), left)
                v += g.dw
                middle = fma(splat(w, k + 1), _seen(x, row, v, sw, W, inside), middle)
                v += g.dw
                right = fma(splat(w, k + 2), _seen(x, row, v, sw, W, inside), right)
            else:
                for j in range(kw):
                    left = fma(splat(w, k + j), _seen(x, row, v, sw, W, inside), left)
                    v += g.dw
    return add(add(left, middle), right)


@kernel
def _input_gradient(gy, w, gx, g, H, W, Ho, Wo, C, O, start, stop):
    """Planes start:stop of gx, which is N x C of them."""
    arrays, sizes = (gy, w, gx), (H, W, Ho, Wo, C, O)
    for plane in range(start, stop):
        if g.kw == 3 and g.sw == 1:
            _input_plane(arrays, plane, g, 3, 1, sizes)
        elif g.kw == 3 and g.sw == 2:
            _input_plane(arrays, plane, g, 3, 2, sizes)
        else:
            _input_plane(arrays, plane, g, g.kw, g.sw, sizes)


@inlined
def _input_plane(arrays, plane, g, kw, sw, sizes):
    gy, w, gx = arrays
    H, W, Ho, Wo, C, O = sizes
    n = lanes(gy)
    each = O // C
    image, c = plane // C, plane % C
    for q in range(0, W, n):
        for h in range(H):
            value = zeros(gy)
            for o in range(c * each, c * each + each):
                of = (image * O + o) * Ho * Wo
                for i in range(g.kh):
                    p = h + g.top - i * g.dh
                    if p < 0 or p % g.sh or p // g.sh >= Ho:
                        continue
                    row = of + p // g.sh * Wo
                    k = (o * g.kh + i) * kw
                    for j in range(kw):
                        v = q + g.left - j * g.dw  # of the first lane, in steps of 1 / sw
                        if sw == 1:
                            seen = load_between(gy, row + v, -v, Wo - v)
                        else:
                            # every second lane stands between two pixels of gy
                            u = (v + 1) // 2
                            seen = spread(load_between(gy, row + u, -u, Wo - u), v & 1)
                        value = fma(splat(w, k + j), seen, value)
            store_some(gx, (plane * H + h) * W + q, value, W - q)


@kernel
def _weight_gradient(gy, x, gw, g, H, W, Ho, Wo, C, O, start, stop):
    """Filters start:stop of gw, over all images in order."""
    arrays, sizes = (gy, x, gw), (H, W, Ho, Wo, C, O)
    sums = np.empty(g.kh * g.kw * lanes(x), x.dtype)
    for o in range(start, stop):
        if g.kw == 3 and g.sw == 1:
            _weights_of(arrays, o, sums, g, 3, 1, sizes)
        elif g.kw == 3 and g.sw == 2:
            _weights_of(arrays, o, sums, g, 3, 2, sizes)
        else:
            _weights_of(arrays, o, sums, g, g.kw, g.sw, sizes)


@inlined
def _weights_of(arrays, o, sums, g, kw, sw, sizes):
    gy, x, gw = arrays
    H, W, Ho, Wo, C, O = sizes
    n = lanes(x)
    sums[:] = 0
    for image in range(len(x) // (C * H * W)):
        of = (image * C + o // (O // C)) * H * W
        for q in range(0, Wo, n):
            for p in range(Ho):
                slope = load_some(gy, ((image * O + o) * Ho + p) * Wo + q, Wo - q)
                first = p * g.sh - g.top
                for i in range(g.kh):
                    h = first + i * g.dh
                    if h >= 0 and h < H:
                        for j in range(kw):
                            seen = _seen(x, of + h * W, q * sw - g.left + j * g.dw, sw, W, False)
                            k = (i * kw + j) * n
                            store(sums, k, fma(slope, seen, load(sums, k)))
    for k in range(g.kh * kw):
        put(gw, o * g.kh * kw + k, total(load(sums, k * n)))


def _shapes(x_shape, y_shape):
    return *x_shape[2:], *y_shape[2:], x_shape[1], y_shape[1]


def forward(x, w, bias, window, groups, residual=None, relu=False):
    O = w.shape[0]
    y = empty((x.shape[0], O, *window.output_shape(*x.shape[2:])), x.dtype)
    other = y if residual is None else residual
    arrays = [a.reshape(-1) for a in (x, w, bias, other, y)]
    rest = window, *_shapes(x.shape, y.shape), residual is not None, relu
    parallel.run(
        lambda _, start, stop: _forward(*arrays, *rest, start, stop),
        parallel.chunks(x.shape[0] * O if y.size else 0, y.size * w[0].size * 4),
    )
    return y


def input_gradient(gy, w, window, groups, image):
    gx = empty((gy.shape[0], groups, *image), gy.dtype)
    arrays = [a.reshape(-1) for a in (gy, w, gx)]
    rest = window, *_shapes(gx.shape, gy.shape)
    parallel.run(
        lambda _, start, stop: _input_gradient(*arrays, *rest, start, stop),
        parallel.chunks(gx.shape[0] * groups if gx.size else 0, gx.size * w[0].size * 4),
    )
    return gx


def weight_gradient(gy, x, window, groups):
    O = gy.shape[1]
    gw = np.empty((O, 1, window.kh, window.kw), x.dtype)
    arrays = [a.reshape(-1) for a in (gy, x, gw)]
    rest = window, *_shapes(x.shape, gy.shape)
    parallel.run(
        lambda _, start, stop: _weight_gradient(*arrays, *rest, start, stop),
        parallel.chunks(O, gy.size * window.kh * window.kw * 4),
    )
    return gw
