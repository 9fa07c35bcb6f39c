"""Convolution as a matrix product: weights (O x K) times columns (K x pixels), K = C kh kw.

Column (c, i, j) holds what tap (i, j) of channel c sees at every output pixel. The columns
of a whole batch would be kh kw times the input, so they are laid out for one *tile* of
output rows at a time, small enough for the L2 cache, multiplied, and overwritten.

The images are first placed in *planes* with their padding around them, so that laying out
columns is copying runs of pixels, a register at a time, without asking where the border is.
The input gradient is the same convolution with the roles changed: gy, its pixels spread
apart by the stride, with flipped weights.
"""

import functools

import numpy as np

from tinyconv.kernels import parallel
from tinyconv.kernels.jit import kernel, part
from tinyconv.kernels.matmul import ROWS, dot_tile, multiply_tile
from tinyconv.kernels.simd import BITS, copy, get, lanes, load, put, store

#: bytes of columns that a tile may have, and its least and most output pixels
_TILE_BYTES = 3 << 17
_LEAST, _MOST = 96, 768
#: rows of columns that the weight gradient lays out at a time
_BLOCK_TAPS = 192


@functools.lru_cache(maxsize=1024)
def _layout(Ho, Wo, K, itemsize, step):
    """(images per group, output rows per tile), from the shape alone.

    Pixels are multiplied ``step`` at a time, so of the tiles that fit into the cache the one
    is taken whose last step is fullest (the largest, among equals).
    """
    most = max(_LEAST, min(_MOST, _TILE_BYTES // (K * itemsize)))
    choices = [(1, rows) for rows in range(1, Ho + 1) if rows == 1 or rows * Wo <= most]
    choices += [(n, n * Ho) for n in range(2, most // (Ho * Wo) + 1)]

    def waste(choice):
        images, rows = choice
        whole, rest = divmod(images * Ho, rows)
        steps = whole * -(-rows * Wo // step) + -(-rest * Wo // step)
        return steps * step / (images * Ho * Wo), -rows

    return min(choices, key=waste)


@part
def _place(x, n0, n1, c0, channels, planes, Hp, Wp, top, left, spread_h, spread_w):
    """Copy images n0:n1, channels c0.. into planes of Hp x Wp; pixel (h, v) goes to
    (top + h spread_h, left + v spread_w), and is left out if that is outside."""
    C, H, W = x.shape[1:]
    flat = x.reshape(-1)
    planes[: (n1 - n0) * channels * Hp * Wp] = 0
    first = 0
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
                    of = ((n * C + c0 + c) * H + h) * W
                    if spread_w == 1:
                        copy(planes, row + first, flat, of + first, max(last - first, 0))
                    else:
                        for v in range(first, last):
                            put(planes, row + v * spread_w, get(flat, of + v))


@part
def _row_starts(starts, r0, r1, Ho, image_size, row_size):
    """starts[r - r0] = where output row r begins; rows count on through the group's images."""
    image, p = r0 // Ho, r0 % Ho
    for r in range(r0, r1):
        starts[r - r0] = image * image_size + p * row_size
        p += 1
        if p == Ho:
            image, p = image + 1, 0


@part
def _columns(planes, starts, rows, Hp, Wp, channels, g, Wo, columns, pitch, end):
    """Lay out the columns of ``rows`` output rows that begin at ``starts`` in the planes, and
    zeros behind them up to ``end`` pixels, which the products will read."""
    n = lanes(planes)
    zero = planes.dtype.type(0)
    for c in range(channels):
        for i in range(g.kh):
            for j in range(g.kw):
                tap = (c * Hp + i * g.dh) * Wp + j * g.dw
                first = ((c * g.kh + i) * g.kw + j) * pitch
                to = first
                if g.sw == 1:
                    # the last register runs over the row's end; what comes next is
                    # written later, and both arrays end with a register to spare
                    for r in range(rows):
                        at = starts[r] + tap
                        for q in range(0, Wo, n):
                            store(columns, to + q, load(planes, at + q))
                        to += Wo
                else:
                    for r in range(rows):
                        at = starts[r] + tap
                        for q in range(Wo):
                            put(columns, to + q, get(planes, at + q * g.sw))
                        to += Wo
                for t in range(to, first + end):
                    put(columns, t, zero)


@kernel
def _convolve(x, w, bias, y, g, spread_h, spread_w, groups, Hp, Wp, images, tile_rows, start, stop):
    """y[start:stop] = bias + conv of planes (see ``_place``) with w (groups, panels, K, 6)."""
    O, Ho, Wo = y.shape[1:]
    Og, Cg = O // groups, x.shape[1] // groups
    K = Cg * g.kh * g.kw
    panels = (Og + ROWS - 1) // ROWS
    width = 2 * lanes(x)
    pitch = (tile_rows * Wo + width - 1) // width * width
    planes = np.empty(images * Cg * Hp * Wp + g.kw * g.dw + width, x.dtype)
    columns = np.empty(K * pitch + width, x.dtype)
    result = np.empty(panels * ROWS * pitch, x.dtype)
    starts = np.empty(tile_rows, np.int64)
    flat = y.reshape(-1)
    for n0 in range(start, stop, images):
        n1 = min(n0 + images, stop)
        for group in range(groups):
            _place(x, n0, n1, group * Cg, Cg, planes, Hp, Wp, g.top, g.left, spread_h, spread_w)
            for r0 in range(0, (n1 - n0) * Ho, tile_rows):
                r1 = min(r0 + tile_rows, (n1 - n0) * Ho)
                used = (r1 - r0) * Wo
                end = (used + width - 1) // width * width
                _row_starts(starts, r0, r1, Ho, Cg * Hp * Wp, g.sh * Wp)
                _columns(planes, starts, r1 - r0, Hp, Wp, Cg, g, Wo, columns, pitch, end)
                for o in range(Og):
                    result[o * pitch : o * pitch + used] = bias[group * Og + o]
                # a strip of columns stays in the L1 cache while all filters pass over it
                for t in range(0, used, width):
                    for panel in range(panels):
                        at_w = (group * panels + panel) * K * ROWS
                        at = panel * ROWS * pitch + t
                        multiply_tile(w, at_w, K, columns, t, pitch, result, at, pitch)
                _row_starts(starts, r0, r1, Ho, O * Ho * Wo, Wo)
                for o in range(Og):
                    at_y = (n0 * O + group * Og + o) * Ho * Wo
                    at = o * pitch
                    for r in range(r1 - r0):
                        copy(flat, at_y + starts[r], result, at, Wo)
                        at += Wo


@kernel
def _weight(gy, x, gw, g, groups, Hp, Wp, block, images, tile_rows, start, stop):
    """gw (O, K), zero on entry, += gy . columns(x) over images start:stop.

    The sums over pixels end in a horizontal sum of each register, so tiles of many pixels
    pay; to fit them into the cache, ``block`` channels are laid out at a time.
    """
    O, Ho, Wo = gy.shape[1:]
    Og, Cg = O // groups, x.shape[1] // groups
    taps = g.kh * g.kw
    Op, Kp = (Og + 3) // 4 * 4, Cg * taps + 2  # rows in fours, columns in threes
    n = lanes(x)
    pitch = (tile_rows * Wo + n - 1) // n * n
    planes = np.empty(images * block * Hp * Wp + g.kw * g.dw + n, x.dtype)
    columns = np.zeros((block * taps + 2) * pitch + n, x.dtype)
    rows = np.zeros(Op * pitch, x.dtype)
    starts = np.empty(tile_rows, np.int64)
    sums = np.zeros((groups, Op, Kp), x.dtype)
    sums_flat, gy_flat = sums.reshape(-1), gy.reshape(-1)
    for n0 in range(start, stop, images):
        n1 = min(n0 + images, stop)
        for group in range(groups):
            for c0 in range(0, Cg, block):
                channels = min(block, Cg - c0)
                _place(x, n0, n1, group * Cg + c0, channels, planes, Hp, Wp, g.top, g.left, 1, 1)
                for r0 in range(0, (n1 - n0) * Ho, tile_rows):
                    r1 = min(r0 + tile_rows, (n1 - n0) * Ho)
                    used = ((r1 - r0) * Wo + n - 1) // n * n
                    _row_starts(starts, r0, r1, Ho, channels * Hp * Wp, g.sh * Wp)
                    _columns(planes, starts, r1 - r0, Hp, Wp, channels, g, Wo, columns, pitch, used)
                    # the third of the last three may be no tap: its sums are not read, but
                    # must not be those of the next block's first
                    columns[channels * taps * pitch :] = 0
                    _row_starts(starts, r0, r1, Ho, O * Ho * Wo, Wo)
                    for o in range(Og):
                        at_gy = (n0 * O + group * Og + o) * Ho * Wo
                        at = o * pitch
                        for r in range(r1 - r0):
                            copy(rows, at, gy_flat, at_gy + starts[r], Wo)
                            at += Wo
                        for t in range(at, o * pitch + used):
                            rows[t] = 0
                    for o in range(0, Op, 4):
                        for k in range(0, channels * taps, 3):
                            dot_tile(
                                rows, o * pitch, pitch, columns, k * pitch, pitch, used,
                                sums_flat, (group * Op + o) * Kp + c0 * taps + k, Kp,
                            )  # fmt: skip
    for o in range(O):
        for k in range(Cg * taps):
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
    layout = _layout(*y.shape[2:], K, x.itemsize, 2 * BITS // (8 * x.itemsize))
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
    O, Cg = gy.shape[1], x.shape[1] // groups
    H, W = x.shape[2:]
    K = Cg * window.kh * window.kw
    parts = parallel.chunks(x.shape[0], gy.size * K)
    partial = np.zeros((len(parts), O, K), x.dtype)
    if gy.size:
        taps = window.kh * window.kw
        block = min(Cg, max(1, _BLOCK_TAPS // taps))
        layout = _layout(*gy.shape[2:], block * taps, x.itemsize, BITS // (8 * x.itemsize))
        plane = H + window.top + window.bottom, W + window.left + window.right
        parallel.run(
            lambda i, start, stop: _weight(
                gy, x, partial[i], window, groups, *plane, block, *layout, start, stop
            ),
            parts,
        )
    # one partial sum per chunk, added in order: the same for any number of threads
    return partial.sum(0).reshape(O, Cg, window.kh, window.kw)
