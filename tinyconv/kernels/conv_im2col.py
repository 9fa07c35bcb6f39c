"""Convolution as a matrix product: weights (O x K) times columns (K x pixels), K = C kh kw.

Column (c, i, j) holds what tap (i, j) of channel c sees at every output pixel. The columns
of a whole batch would be kh kw times the input, so they are laid out for one *tile* of
output rows at a time, small enough for the L2 cache, multiplied, and overwritten.

The images are first placed in *planes* with their padding around them, so that laying out
columns is copying runs of pixels, a register at a time, without asking where the border is.
The input gradient is the same convolution with the roles changed: gy, its pixels spread
apart by the stride, with flipped weights.
"""

import numpy as np

from tinyconv.kernels import parallel
from tinyconv.kernels.jit import kernel, part
from tinyconv.kernels.matmul import ROWS, dot_tile, multiply_tile
from tinyconv.kernels.simd import lanes, load, store

#: bytes of columns that a tile aims at, and its least and most output pixels
_TILE_BYTES = 1 << 18
_LEAST, _MOST = 96, 768


def _layout(Ho, Wo, K, itemsize):
    """(images per group, output rows per tile): from the shape alone."""
    pixels = max(_LEAST, min(_MOST, _TILE_BYTES // (K * itemsize)))
    rows = max(1, pixels // Wo)
    return (1, rows) if rows < Ho else (max(1, rows // Ho), Ho * max(1, rows // Ho))


@part
def _place(x, n0, n1, c0, channels, planes, Hp, Wp, top, left, spread_h, spread_w):
    """Copy images n0:n1, channels c0.. into planes of Hp x Wp; pixel (h, v) goes to
    (top + h spread_h, left + v spread_w), and is left out if that is outside."""
    H, W = x.shape[2:]
    planes[:] = 0
    first = max(0, -(left // spread_w) if left < 0 else 0)
    while left + first * spread_w < 0:
        first += 1
    last = min(W, (Wp - 1 - left) // spread_w + 1)
    for n in range(n0, n1):
        for c in range(channels):
            at = ((n - n0) * channels + c) * Hp * Wp
            for h in range(H):
                to = top + h * spread_h
                if 0 <= to < Hp:
                    row = at + to * Wp + left
                    if spread_w == 1:
                        for v in range(first, last):
                            planes[row + v] = x[n, c0 + c, h, v]
                    else:
                        for v in range(first, last):
                            planes[row + v * spread_w] = x[n, c0 + c, h, v]


@part
def _columns(planes, Hp, Wp, channels, kh, kw, sh, sw, dh, dw, Ho, Wo, r0, r1, columns, pitch):
    """Lay out the columns of output rows r0:r1 (counted through the images of the group)."""
    n = lanes(planes)
    used = (r1 - r0) * Wo
    for c in range(channels):
        for i in range(kh):
            for j in range(kw):
                to = ((c * kh + i) * kw + j) * pitch
                end = to + used
                for r in range(r0, r1):
                    image = r // Ho
                    at = ((image * channels + c) * Hp + (r - image * Ho) * sh + i * dh) * Wp
                    at += j * dw
                    if sw == 1:
                        # the last register runs over the row's end; what comes next is
                        # written later, and both arrays end with a register to spare
                        for q in range(0, Wo, n):
                            store(columns, to + q, load(planes, at + q))
                    else:
                        for q in range(Wo):
                            columns[to + q] = planes[at + q * sw]
                    to += Wo
                # what the registers ran over must not meet the products as NaN
                for t in range(end, end - used + pitch):
                    columns[t] = 0


@kernel
def _convolve(
    x, w, bias, y, g, spread_h, spread_w, groups, Hp, Wp, images, tile_rows, start, stop
):
    """y[start:stop] = bias + conv of planes (see ``_place``) with w (groups, panels, K, 6)."""
    Ho, Wo = y.shape[2:]
    Og, Cg = y.shape[1] // groups, x.shape[1] // groups
    K = Cg * g.kh * g.kw
    panels = (Og + ROWS - 1) // ROWS
    n = lanes(x)
    pitch = (tile_rows * Wo + 2 * n - 1) // (2 * n) * (2 * n)
    planes = np.empty(images * Cg * Hp * Wp + g.kw * g.dw + n, x.dtype)
    columns = np.empty(K * pitch + n, x.dtype)
    result = np.empty(ROWS * pitch, x.dtype)
    for n0 in range(start, stop, images):
        n1 = min(n0 + images, stop)
        for group in range(groups):
            _place(
                x, n0, n1, group * Cg, Cg, planes, Hp, Wp, g.top, g.left, spread_h, spread_w
            )
            for r0 in range(0, (n1 - n0) * Ho, tile_rows):
                r1 = min(r0 + tile_rows, (n1 - n0) * Ho)
                used = (r1 - r0) * Wo
                _columns(
                    planes, Hp, Wp, Cg, g.kh, g.kw, g.sh, g.sw, g.dh, g.dw, Ho, Wo, r0, r1,
                    columns, pitch,
                )  # fmt: skip
                for panel in range(panels):
                    rows = min(ROWS, Og - panel * ROWS)
                    o0 = group * Og + panel * ROWS
                    for m in range(rows):
                        value = bias[o0 + m]
                        for t in range(m * pitch, m * pitch + used):
                            result[t] = value
                    at_w = (group * panels + panel) * K * ROWS
                    for t in range(0, used, 2 * n):
                        multiply_tile(w, at_w, K, columns, t, pitch, result, t, pitch)
                    for m in range(rows):
                        for r in range(r0, r1):
                            image = r // Ho
                            at = m * pitch + (r - r0) * Wo
                            for q in range(Wo):
                                y[n0 + image, o0 + m, r - image * Ho, q] = result[at + q]


@kernel
def _weight(gy, x, gw, g, groups, Hp, Wp, images, tile_rows, start, stop):
    """gw (O, K), zero on entry, += gy . columns(x) over images start:stop."""
    O, Ho, Wo = gy.shape[1:]
    Og, Cg = O // groups, x.shape[1] // groups
    K = Cg * g.kh * g.kw
    Kp, Op = (K + 2) // 3 * 3, (Og + 3) // 4 * 4
    n = lanes(x)
    pitch = (tile_rows * Wo + n - 1) // n * n
    planes = np.empty(images * Cg * Hp * Wp + g.kw * g.dw + n, x.dtype)
    columns = np.zeros(Kp * pitch + n, x.dtype)
    rows = np.zeros(Op * pitch, x.dtype)
    sums = np.zeros((groups, Op, Kp), x.dtype)
    flat = sums.reshape(-1)
    for n0 in range(start, stop, images):
        n1 = min(n0 + images, stop)
        for group in range(groups):
            _place(x, n0, n1, group * Cg, Cg, planes, Hp, Wp, g.top, g.left, 1, 1)
            for r0 in range(0, (n1 - n0) * Ho, tile_rows):
                r1 = min(r0 + tile_rows, (n1 - n0) * Ho)
                used = ((r1 - r0) * Wo + n - 1) // n * n
                _columns(
                    planes, Hp, Wp, Cg, g.kh, g.kw, g.sh, g.sw, g.dh, g.dw, Ho, Wo, r0, r1,
                    columns, pitch,
                )  # fmt: skip
                for o in range(Og):
                    for r in range(r0, r1):
                        image = r // Ho
                        at = o * pitch + (r - r0) * Wo
                        for q in range(Wo):
                            rows[at + q] = gy[n0 + image, group * Og + o, r - image * Ho, q]
                    for t in range(o * pitch + (r1 - r0) * Wo, o * pitch + used):
                        rows[t] = 0
                for o in range(0, Op, 4):
                    for k in range(0, Kp, 3):
                        dot_tile(
                            rows, o * pitch, pitch, columns, k * pitch, pitch, used,
                            flat, (group * Op + o) * Kp + k, Kp,
                        )  # fmt: skip
    for o in range(O):
        for k in range(K):
            gw[o, k] = sums[o // Og, o % Og, k]


def _panels(w, groups):
    """(groups * O, K) -> flat (groups, panels, K, 6), zeros in the rows that fill up."""
    O, K = w.shape[0] // groups, w.shape[1]
    count = -(-O // ROWS)
    packed = np.zeros((groups, count * ROWS, K), w.dtype)
    packed[:, :O] = w.reshape(groups, O, K)
    packed = packed.reshape(groups, count, ROWS, K).transpose(0, 1, 3, 2)
    return np.ascontiguousarray(packed).reshape(-1)


def _run(x, w, bias, y, window, spread, groups, plane):
    if not y.size:
        return y
    K = w.shape[1]
    layout = _layout(*y.shape[2:], K, x.itemsize)
    packed = _panels(w, groups)
    parts = parallel.chunks(x.shape[0], y.size * K)
    parallel.run(
        lambda _, start, stop: _convolve(
            x, packed, bias, y, window, *spread, groups, *plane, *layout, start, stop
        ),
        parts,
    )
    return y


def forward(x, w, bias, window, groups):
    H, W = x.shape[2:]
    y = np.empty((x.shape[0], w.shape[0], *window.output_shape(H, W)), x.dtype)
    plane = H + window.top + window.bottom, W + window.left + window.right
    return _run(x, w.reshape(w.shape[0], -1), bias, y, window, (1, 1), groups, plane)


def input_gradient(gy, w, window, groups, image):
    O, Cg, kh, kw = w.shape
    H, W = image
    gx = np.empty((gy.shape[0], Cg * groups, H, W), gy.dtype)
    # roles change: (group, O, C) -> (group, C, O), taps in reverse
    flipped = w.reshape(groups, O // groups, Cg, kh, kw)[..., ::-1, ::-1].swapaxes(1, 2)
    reach_h, reach_w = window.dh * (kh - 1), window.dw * (kw - 1)
    back = window._replace(sh=1, sw=1, top=reach_h - window.top, left=reach_w - window.left)
    return _run(
        gy, flipped.reshape(groups * Cg, -1), np.zeros(groups * Cg, gy.dtype), gx, back,
        (window.sh, window.sw), groups, (H + reach_h, W + reach_w),
    )  # fmt: skip


def weight_gradient(gy, x, window, groups):
    O, Cg, H, W = gy.shape[1], x.shape[1] // groups, *x.shape[2:]
    K = Cg * window.kh * window.kw
    parts = parallel.chunks(x.shape[0], gy.size * K)
    partial = np.zeros((len(parts), O, K), x.dtype)
    if gy.size:
        layout = _layout(*gy.shape[2:], K, x.itemsize)
        plane = H + window.top + window.bottom, W + window.left + window.right
        parallel.run(
            lambda i, start, stop: _weight(
                gy, x, partial[i], window, groups, *plane, *layout, start, stop
            ),
            parts,
        )
    # one partial sum per chunk, added in order: the same for any number of threads
    return partial.sum(0).reshape(O, Cg, window.kh, window.kw)
