"""Depthwise convolution: each filter sees one channel (groups = C).

There is nothing to share between filters, so no matrix product: pixels of a row are a register,
each tap one load and one multiply-add. Where a register hangs over the border of the image,
a mask makes zeros of the lanes outside; so no padded copy is needed.

Undilated 3 x 3 windows of stride 1 and 2, padded by 1, have kernels of their own
(``depthwise_forward``, ``depthwise_gradients``), which read each pixel less often; those of other
padding are moved to fit them where it pays (``depthwise_moved``). The kernels here do the others.
"""

import numpy as np

from tinyconv.kernels import depthwise_forward, depthwise_gradients, depthwise_masks, parallel
from tinyconv.kernels.addition import add as add_arrays
from tinyconv.kernels.addition import over_rows
from tinyconv.kernels.depthwise_moved import move
from tinyconv.kernels.geometry import Window
from tinyconv.kernels.jit import inlined, kernel
from tinyconv.kernels.memory import empty
from tinyconv.kernels.simd import (
    BITS,
    add,
    evens,
    fma,
    hold,
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
from tinyconv.kernels.simd_masks import between, fma_masked

#: bytes of a result that no cache holds until it is read
_PAST_CACHES = 1 << 25
#: filters below which the weight gradient shares out the images too
_FEW = 16


def _own(window, image, output):
    """1 or 2, the stride, where the window has kernels of its own; else 0."""
    kh, kw, sh, sw, top, _, left, _, dh, dw = window
    if not (kh == kw == 3 and top == left == dh == dw == 1 and sh == sw <= 2):
        return 0
    # padding on the other sides is what it takes to see the whole image
    return sh if all(-(-size // sh) == outputs for size, outputs in zip(image, output)) else 0


def _masks(stride, image, dtype):
    """The table of masks of a window with kernels of its own."""
    n = BITS // 8 // dtype.itemsize
    if stride == 1:
        return depthwise_masks.of_plane(*image, n)
    return depthwise_masks.of_blocks(image[1], n)


def _past_caches(y):
    """Whether y is to be written past the caches, which takes planes of whole registers."""
    register = BITS // 8
    plane = y.shape[2] * y.shape[3] * y.itemsize
    return y.nbytes >= _PAST_CACHES and plane % register == 0 and y.ctypes.data % register == 0


def forward(x, w, bias, window, groups, residual=None, relu=False):
    O = w.shape[0]
    image, output = x.shape[2:], window.output_shape(*x.shape[2:])
    stride = _own(window, image, output)
    # without a copy stride 2 is as fast, unless registers are not filled
    if not stride and (window.sw == 1 or output[1] * x.itemsize <= BITS // 8):
        to = move(window, image, output, x.shape[0] * O)
        if to is not None:
            return _moved(x, w, bias, to, groups, output, residual, relu)
    y = empty((x.shape[0], O, *output), x.dtype)
    arrays = [a.reshape(-1) for a in (x, w, bias, y if residual is None else residual, y)]
    rest = (*image, *output, groups, O), (residual is not None, relu)
    if stride == 0:
        function, rest = _forward, (window, *rest)
    elif stride == 1:
        past = residual is None and _past_caches(y)
        function, rest = depthwise_forward.flat, (_masks(1, image, x.dtype), *rest, past)
    else:
        function, rest = depthwise_forward.leap, (_masks(2, image, x.dtype), *rest)
    parallel.run(
        lambda _, start, stop: function(*arrays, *rest, start, stop),
        parallel.chunks(x.shape[0] * O, y.size * w[0].size),
    )
    return y


def _moved(x, w, bias, to, groups, output, residual, relu):
    """``forward`` by a window that is moved."""
    y = forward(to.of_image(x), w, bias, to.window, groups, None, relu and residual is None)
    y = to.to_output(y, output)
    if residual is not None:
        add_arrays(y, residual, out=y)
        if relu:
            over_rows(lambda a, b: np.maximum(y[a:b], 0, out=y[a:b]), y)
    return y


def input_gradient(gy, w, window, groups, image):
    O, _, kh, kw = w.shape
    if O == groups and window.sh == window.sw == 1:
        return _turned(gy, w, window, groups, image)
    own = O == groups and _own(window, image, gy.shape[2:])
    to = None if own or O != groups else move(window, image, gy.shape[2:], gy.shape[0] * O)
    if to is not None:
        gx = input_gradient(to.of_output(gy), w, to.window, groups, to.image)
        return to.to_image(gx, image)
    gx = empty((gy.shape[0], groups, *image), gy.dtype)
    arrays = [a.reshape(-1) for a in (gy, w, gx)]
    sizes = *image, *gy.shape[2:], groups, O
    function, first = _input_gradient, window
    if own:
        function, first = depthwise_gradients.spread_out, _masks(2, image, gy.dtype)
    parallel.run(
        lambda _, start, stop: function(*arrays, first, sizes, start, stop),
        parallel.chunks(gx.shape[0] * groups, gy.size * kh * kw),
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
    image, output = x.shape[2:], gy.shape[2:]
    stride = _own(window, image, output)
    to = None if stride else move(window, image, output, N * O)
    if to is not None:
        gw = weight_gradient(to.of_output(gy), to.of_image(x), to.window, groups)
        # outputs that are none have slopes of 0, which may have met infinite pixels
        if np.isfinite(gw).all():
            return gw
    # few filters would not keep all threads busy
    shares = max(1, min(N, -(-_FEW // max(O, 1)))) if stride else 1
    gw = np.empty((shares, O, 1, kh, kw), x.dtype)
    arrays = [a.reshape(-1) for a in (gy, x, gw)]
    function, rest = _weight_gradient, (window, (*image, *output, groups, O))
    if stride:
        function = depthwise_gradients.flat if stride == 1 else depthwise_gradients.leap
        rest = _masks(stride, image, x.dtype), rest[1], N, shares
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
                    there = between(0, Wo - q, n)
                    for i in range(g.kh):
                        h = p * g.sh - g.top + i * g.dh
                        if h < 0 or h >= H:
                            continue
                        for j in range(g.kw):
                            v = q * g.sw - g.left + j * g.dw
                            seen = _seen(x, of + h * W, v, g.sw, W, False)
                            k = (i * g.kw + j) * n
                            store(sums, k, fma_masked(slope, seen, load(sums, k), there))
        for k in range(g.kh * g.kw):
            put(gw, o * g.kh * g.kw + k, total(load(sums, k * n)))
    hold((held,))
