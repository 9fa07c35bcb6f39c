"""Depthwise convolution: each filter sees one channel (groups = C).

There is nothing to share between filters, so no matrix product: pixels of a row are a register,
each tap one load and one multiply-add. Where a register hangs over the border of the image,
a mask makes zeros of the lanes outside; so no padded copy is needed.

Undilated 3 x 3 windows of stride 1 and 2 have kernels of their own (``depthwise_forward``,
``depthwise_gradients``), which read each pixel less often; the kernels here do the others.
"""

import numpy as np

from tinyconv.kernels import depthwise_forward, depthwise_gradients, parallel
from tinyconv.kernels.geometry import Window
from tinyconv.kernels.jit import inlined, kernel
from tinyconv.kernels.memory import empty
from tinyconv.kernels.simd import (
    BITS,
    add,
    evens,
    fma,
    lanes,
    load,
    load_between,
    load_some,
    pointer,
    positive,
    put,
    splat,
    spread,
    store,
    store_some,
    total,
    zeros,
)

#: bytes of a result that no cache holds until it is read
_PAST_CACHES = 1 << 25
#: filters below which the weight gradient shares out the images too
_FEW = 16


def _own(window):
    """1 or 2, the stride, where the window has a kernel of its own; else 0."""
    undilated = window.kh == window.kw == 3 and window.dh == window.dw == 1
    return window.sh if undilated and window.sh == window.sw <= 2 else 0


def _paired(x_shape, y_shape, dtype):
    """Whether a register holds two rows of pixels, and of outputs."""
    return x_shape[3] == y_shape[3] and 2 * x_shape[3] * dtype.itemsize <= BITS // 8


def _whole_registers(y):
    """Whether each row of y is, from an aligned address on, a number of registers."""
    row = y.shape[3] * y.itemsize
    return row % (BITS // 8) == 0 and y.ctypes.data % (BITS // 8) == 0


def _sizes(x_shape, y_shape):
    return *x_shape[2:], *y_shape[2:], x_shape[1], y_shape[1]


def forward(x, w, bias, window, groups, residual=None, relu=False):
    O = w.shape[0]
    y = empty((x.shape[0], O, *window.output_shape(*x.shape[2:])), x.dtype)
    other = y if residual is None else residual
    arrays = [a.reshape(-1) for a in (x, w, bias, other, y)]
    rest = [window, _sizes(x.shape, y.shape), (residual is not None, relu)]
    function, own = _forward, _own(window)
    if own == 1:
        function = depthwise_forward.packed
        if not _paired(x.shape, y.shape, x.dtype):
            function = depthwise_forward.walk
            rest.append(y.nbytes >= _PAST_CACHES and _whole_registers(y))
    elif own == 2:
        function = depthwise_forward.leap
    parallel.run(
        lambda _, start, stop: function(*arrays, *rest, start, stop),
        parallel.chunks(x.shape[0] * O if y.size else 0, y.size * w[0].size),
    )
    return y


def input_gradient(gy, w, window, groups, image):
    O, _, kh, kw = w.shape
    if O == groups and window.sh == window.sw == 1:
        return _turned(gy, w, window, groups, image)
    gx = empty((gy.shape[0], groups, *image), gy.dtype)
    arrays = [a.reshape(-1) for a in (gy, w, gx)]
    rest = window, _sizes(gx.shape, gy.shape)
    own = _own(window) == 2 and window.left == 1 and O == groups
    function = depthwise_gradients.spread_out if own else _input_gradient
    parallel.run(
        lambda _, start, stop: function(*arrays, *rest, start, stop),
        parallel.chunks(gx.shape[0] * groups if gx.size else 0, gy.size * kh * kw),
    )
    return gx


def _turned(gy, w, window, groups, image):
    """The input gradient of stride 1: a pixel is a sum over the outputs that saw it, so it is
    a convolution of gy, the weights turned by half a circle."""
    kh, kw, sh, sw, top, _, left, _, dh, dw = window
    (H, W), (Ho, Wo) = image, gy.shape[2:]
    rows, columns = dh * (kh - 1) - top, dw * (kw - 1) - left
    window = Window(kh, kw, sh, sw, rows, H - Ho + top, columns, W - Wo + left, dh, dw)
    w = np.ascontiguousarray(w[:, :, ::-1, ::-1])
    return forward(gy, w, np.zeros(groups, gy.dtype), window, groups)


def weight_gradient(gy, x, window, groups):
    N, O = gy.shape[:2]
    kh, kw = window.kh, window.kw
    own = _own(window)
    # few filters would not keep all threads busy
    shares = max(1, min(N, -(-_FEW // max(O, 1)))) if own else 1
    gw = np.empty((shares, O, 1, kh, kw), x.dtype)
    arrays = [a.reshape(-1) for a in (gy, x, gw)]
    rest = window, _sizes(x.shape, gy.shape)
    function = _weight_gradient
    if own:
        rest = *rest, N, shares
        function = depthwise_gradients.leap
        if own == 1:
            paired = _paired(x.shape, gy.shape, x.dtype)
            function = depthwise_gradients.packed if paired else depthwise_gradients.walk
    parallel.run(
        lambda _, start, stop: function(*arrays, *rest, start, stop),
        parallel.chunks(shares * O, gy.size * kh * kw),
    )
    return gw[0] if shares == 1 else gw.sum(axis=0)


# -- any window -----------------------------------------------------------------------------
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
def _inside(q, g, W, n):
    """Whether all taps of the register of outputs at q see pixels only."""
    first = q * g.sw - g.left
    return first >= 0 and first + (g.kw - 1) * g.dw + g.sw * n <= W


@kernel
def _forward(x, w, bias, residual, y, g, sizes, epilogue, start, stop):
    """Planes start:stop of y, which is N x O of them; all arrays flat."""
    x, w, bias = pointer(x), pointer(w), pointer(bias)
    residual, y = pointer(residual), pointer(y)
    H, W, Ho, Wo, C, O = sizes
    n = lanes(x)
    for plane in range(start, stop):
        image, o = plane // O, plane % O
        of = (image * C + o // (O // C)) * H * W
        for p in range(Ho):
            first = p * g.sh - g.top
            for q in range(0, Wo, n):
                if _inside(q, g, W, n):
                    value = _sum_of_taps(x, w, bias, of, o, first, q, g, H, W, True)
                else:
                    value = _sum_of_taps(x, w, bias, of, o, first, q, g, H, W, False)
                at = (plane * Ho + p) * Wo + q
                if epilogue[0]:
                    value = add(value, load_some(residual, at, Wo - q))
                if epilogue[1]:
                    value = positive(value)
                store_some(y, at, value, Wo - q)


@inlined
def _sum_of_taps(x, w, bias, of, o, first, q, g, H, W, inside):
    # sums by turns: a single one would wait for itself at every step
    value, other = splat(bias, o), zeros(x)
    for i in range(g.kh):
        h = first + i * g.dh
        if h >= 0 and h < H:
            k, row, v = (o * g.kh + i) * g.kw, of + h * W, q * g.sw - g.left
            for j in range(g.kw):
                seen = _seen(x, row, v + j * g.dw, g.sw, W, inside)
                value, other = other, fma(splat(w, k + j), seen, value)
    return add(value, other)


@kernel
def _input_gradient(gy, w, gx, g, sizes, start, stop):
    """Planes start:stop of gx, which is N x C of them."""
    gy, w, gx = pointer(gy), pointer(w), pointer(gx)
    H, W, Ho, Wo, C, O = sizes
    n, each = lanes(gy), O // C
    for plane in range(start, stop):
        image, c = plane // C, plane % C
        for h in range(H):
            for q in range(0, W, n):
                value = zeros(gy)
                for o in range(c * each, c * each + each):
                    of = (image * O + o) * Ho * Wo
                    for i in range(g.kh):
                        p = h + g.top - i * g.dh
                        if p < 0 or p % g.sh or p // g.sh >= Ho:
                            continue
                        row, k = of + p // g.sh * Wo, (o * g.kh + i) * g.kw
                        for j in range(g.kw):
                            seen = _slopes(gy, row, q + g.left - j * g.dw, g.sw, Wo)
                            value = fma(splat(w, k + j), seen, value)
                store_some(gx, (plane * H + h) * W + q, value, W - q)


@inlined
def _slopes(gy, row, v, step, Wo):
    """What one tap gives back to a register of pixels; v: of the first, in steps of
    1 / step outputs."""
    if step == 1:
        return load_between(gy, row + v, -v, Wo - v)
    # every second lane stands between two outputs
    u = (v + 1) // 2
    return spread(load_between(gy, row + u, -u, Wo - u), v & 1)


@kernel
def _weight_gradient(gy, x, gw, g, sizes, start, stop):
    """Filters start:stop of gw, over all images in order."""
    images = len(x) // (sizes[4] * sizes[0] * sizes[1])
    held = np.empty(g.kh * g.kw * lanes(x), x.dtype)
    gy, x, gw, sums = pointer(gy), pointer(x), pointer(gw), pointer(held)
    H, W, Ho, Wo, C, O = sizes
    n = lanes(x)
    for o in range(start, stop):
        held[:] = 0
        for image in range(images):
            of = (image * C + o // (O // C)) * H * W
            for p in range(Ho):
                for q in range(0, Wo, n):
                    slope = load_some(gy, ((image * O + o) * Ho + p) * Wo + q, Wo - q)
                    for i in range(g.kh):
                        h = p * g.sh - g.top + i * g.dh
                        if h < 0 or h >= H:
                            continue
                        for j in range(g.kw):
                            v = q * g.sw - g.left + j * g.dw
                            seen = _seen(x, of + h * W, v, g.sw, W, False)
                            k = (i * g.kw + j) * n
                            store(sums, k, fma(slope, seen, load(sums, k)))
        for k in range(g.kh * g.kw):
            put(gw, o * g.kh * g.kw + k, total(load(sums, k * n)))
