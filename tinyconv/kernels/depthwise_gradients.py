"""Gradients of depthwise convolution with 3 x 3 windows, padded by 1, of stride 1 and 2.

Registers are filled as in ``depthwise_forward``. The nine sums of a weight gradient wait in
registers while a plane is read, and between the images in a cache. The input gradient of stride 1
is a forward convolution by the turned weights; of stride 2, each of four phases of pixels (rows
and columns even or odd) has one, two or four taps of its own, and even and odd columns are zipped.
"""

import numpy as np

from tinyconv.kernels.depthwise_forward import (
    AHEAD,
    ask,
    block,
    columns_of,
    even_and_odd,
    interior,
    rows_around,
    rows_there,
)
from tinyconv.kernels.jit import inlined, kernel, part
from tinyconv.kernels.simd import (
    fma,
    get,
    hold,
    lanes,
    load,
    pointer,
    put,
    store,
    total,
    zeros,
    zipped,
)
from tinyconv.kernels.simd_masks import (
    fma_masked,
    halves,
    load_masked,
    load_or,
    prefetch,
    store_masked,
)

#: filters whose sums are kept in the cache at once
_TOGETHER = 32
#: numbers of planes of a filter that are read one after the other
_AT_ONCE = 512


@inlined
def _sums_of(held, k):
    """Three rows of three sums."""
    n = lanes(held)
    return (
        (load(held, k), load(held, k + n), load(held, k + 2 * n)),
        (load(held, k + 3 * n), load(held, k + 4 * n), load(held, k + 5 * n)),
        (load(held, k + 6 * n), load(held, k + 7 * n), load(held, k + 8 * n)),
    )


@inlined
def _keep_sums(held, k, sums):
    n = lanes(held)
    for i in range(3):
        store(held, k + 3 * i * n, sums[i][0])
        store(held, k + (3 * i + 1) * n, sums[i][1])
        store(held, k + (3 * i + 2) * n, sums[i][2])


@part
def _share(k, stop, O, N, shares):
    """Filters of gw, which is (shares of the images) x O x 9: the end of those from k on that are
    dealt with together, the first of them, the first of their images and the end of these."""
    part = k // O
    end = min(k + _TOGETHER, stop, (part + 1) * O)
    return end, k % O, part * N // shares, (part + 1) * N // shares


@part
def _put_totals(gw, k, held, count):
    """gw[k : k + count] = the sums, each over all its lanes."""
    for i in range(count):
        put(gw, k + i, total(load(held, i * lanes(held))))


@part
def _ahead(size, filters, planes):
    """How many numbers ahead memory is asked for: within the planes of the filters that are dealt
    with together, or if these are small so many planes, which is then the next images."""
    return planes * size if filters * size <= 4 * AHEAD else AHEAD


@kernel
def flat(gy, x, gw, masks, sizes, N, shares, start, stop):
    """Stride 1. Of gw, which is (shares of the images) x O x 9: filters start:stop."""
    waiting = np.empty(_TOGETHER * 9 * lanes(x), x.dtype)
    gy, x, gw, masks, held = pointer(gy), pointer(x), pointer(gw), pointer(masks), pointer(waiting)
    H, W, _, _, C, O = sizes
    n, size = lanes(x), H * W
    count, begin, end = interior(n, H, W)
    k = start
    while k < stop:
        until, o, image, images = _share(k, stop, O, N, shares)
        waiting[:] = 0
        at_once = max(1, _AT_ONCE // size)
        ahead = _ahead(size, until - k, C * at_once), _ahead(size, until - k, O * at_once)
        for first in range(image, images, at_once):
            for f in range(until - k):
                c = o + f if O == C else (o + f) // (O // C)
                sums = _sums_of(held, f * 9 * n)
                for i in range(first, min(first + at_once, images)):
                    arrays = gy, x, masks, (i * O + o + f) * size, (i * C + c) * size
                    sums = _along(arrays, sums, W, ahead, 0, begin, False)
                    sums = _along(arrays, sums, W, ahead, begin, end, True)
                    sums = _along(arrays, sums, W, ahead, end, count, False)
                _keep_sums(held, f * 9 * n, sums)
        _put_totals(gw, k * 9, held, (until - k) * 9)
        k = until
    hold((waiting,))


@inlined
def _along(arrays, sums, W, ahead, begin, end, inside):
    """Registers begin:end of a plane."""
    gy, x, masks, slopes, of = arrays
    n = lanes(x)
    for r in range(begin, end):
        p, k = r * n, 5 * r
        at = slopes + p
        prefetch(gy, at + ahead[1], 0)
        prefetch(x, of + p + ahead[0], 0)
        left, right = get(masks, k), get(masks, k + 1)
        # a pixel is the left tap's of the output to its right
        if inside:
            slope = load(gy, at + 1), load(gy, at), load(gy, at - 1)
        else:
            here = get(masks, k + 3)
            slope = (
                load_masked(gy, at + 1, right),
                load_masked(gy, at, here),
                load_masked(gy, at - 1, left),
            )
        seen = rows_around(x, of + p, W, masks, k, inside)
        sums = (
            _gain(sums[0], seen[0], slope, left, right),
            _gain(sums[1], seen[1], slope, left, right),
            _gain(sums[2], seen[2], slope, left, right),
        )
    return sums


@inlined
def _gain(sums, seen, slope, left, right):
    # masks, not zeros: what these would be multiplied by may be infinite
    return (
        fma_masked(slope[0], seen, sums[0], right),
        fma(slope[1], seen, sums[1]),
        fma_masked(slope[2], seen, sums[2], left),
    )


# -- stride 2 -------------------------------------------------------------------------------
@inlined
def _slopes(gy, at, gap, low, high, rows):
    """A register of slopes, of one row or two."""
    slope = load_masked(gy, at, low)
    return load_or(gy, at + gap, high, slope) if rows == 2 else slope


@kernel
def leap(gy, x, gw, masks, sizes, N, shares, start, stop):
    """Stride 2."""
    waiting = np.empty(_TOGETHER * 9 * lanes(x), x.dtype)
    gy, x, gw, masks, held = pointer(gy), pointer(x), pointer(gw), pointer(masks), pointer(waiting)
    H, W, Ho, Wo, C, O = sizes
    n = lanes(x)
    k = start
    while k < stop:
        until, o, image, images = _share(k, stop, O, N, shares)
        waiting[:] = 0
        at_once = max(1, _AT_ONCE // (H * W))
        ahead = (
            _ahead(H * W, until - k, C * at_once),
            _ahead(Ho * Wo, until - k, O * at_once),
        )
        for first in range(image, images, at_once):
            for f in range(until - k):
                c = o + f if O == C else (o + f) // (O // C)
                sums = _sums_of(held, f * 9 * n)
                for i in range(first, min(first + at_once, images)):
                    arrays = gy, x, (i * O + o + f) * Ho * Wo, (i * C + c) * H * W
                    for b in range((Wo + n - 1) // n):
                        sums = _down(arrays, sums, masks, b, sizes, ahead)
                _keep_sums(held, f * 9 * n, sums)
        _put_totals(gw, k * 9, held, (until - k) * 9)
        k = until
    hold((waiting,))


@inlined
def _two_slopes(gy, at, gap, keep, rows):
    """A register of slopes and that of their right neighbours."""
    low, high, right_low, right_high = keep
    return (
        _slopes(gy, at, gap, low, high, rows),
        _slopes(gy, at + 1, gap, right_low, right_high, rows),
    )


@inlined
def _following(slope, below, rows):
    """The slopes one row down."""
    if rows == 2:
        return halves(slope[0], below[0]), halves(slope[1], below[1])
    return below


@part
def _rows_of_slopes(keep, r, Ho):
    """Masks of slopes, where rows r and r + 1 are there."""
    a, b = -1 if r < Ho else 0, -1 if r + 1 < Ho else 0
    return keep[0] & a, keep[1] & b, keep[2] & a, keep[3] & b


@inlined
def _down(arrays, sums, masks, b, sizes, ahead):
    """A block of columns of a plane."""
    gy, x, slopes, of = arrays
    H, W, Ho, Wo, C, O = sizes
    q, rows, gap, gap_out = block(lanes(x), b, W, Wo)
    k = 10 * b
    own = get(masks, k), get(masks, k + 1), 0, 0
    keep = get(masks, k + 8), get(masks, k + 5), get(masks, k + 9), get(masks, k + 7)
    at, p, right = of + 2 * q, slopes + q, keep[2] | keep[3]
    slope = _two_slopes(gy, p, gap_out, _rows_of_slopes(keep, 0, Ho), rows)
    # the rows all of whose pixels, and of the next ones' slopes, are there
    end = max(0, min(H // 2 - rows, Ho - 2 * rows) // rows + 1) * rows
    for r in range(0, end, rows):
        ask(x, at + 2 * r * W + ahead[0], W, gap, 0)
        prefetch(gy, p + r * Wo + ahead[1], 0)
        below = _two_slopes(gy, p + (r + rows) * Wo, gap_out, keep, rows)
        first = even_and_odd(x, at + 2 * r * W, gap, own)
        second = even_and_odd(x, at + (2 * r + 1) * W, gap, own)
        sums = _gain_leap(sums, first, second, slope, _following(slope, below, rows), -1, right)
        slope = below
    for r in range(end, Ho, rows):
        h = 2 * r
        below = _rows_of_slopes(keep, r + rows, Ho)
        below = _two_slopes(gy, p + (r + rows) * Wo, gap_out, below, rows)
        first = rows_there(own, True, rows == 1 or h + 2 < H)
        first = even_and_odd(x, at + h * W, gap, first)
        second = rows_there(own, h + 1 < H, (h + 1 if rows == 1 else h + 3) < H)
        second = even_and_odd(x, at + (h + 1) * W, gap, second)
        # outputs that there are not have no row of pixels above, which may be infinite
        there = (keep[0] if r + 1 < Ho else 0) | (keep[1] if r + 2 < Ho else 0)
        sums = _gain_leap(sums, first, second, slope, _following(slope, below, rows), there, right)
        slope = below
    return sums


@inlined
def _gain_leap(sums, first, second, slope, following, there, right):
    top, middle, bottom = sums
    return (
        (
            fma_masked(following[1], second[1], top[0], there & right),
            fma_masked(following[0], second[0], top[1], there),
            fma_masked(following[0], second[1], top[2], there),
        ),
        (
            fma_masked(slope[1], first[1], middle[0], right),
            fma(slope[0], first[0], middle[1]),
            fma(slope[0], first[1], middle[2]),
        ),
        (
            fma_masked(slope[1], second[1], bottom[0], right),
            fma(slope[0], second[0], bottom[1]),
            fma(slope[0], second[1], bottom[2]),
        ),
    )


# -- input gradient of stride 2 -------------------------------------------------------------
@kernel
def spread_out(gy, w, gx, masks, sizes, start, stop):
    """Stride 2, O == C: planes start:stop of gx."""
    gy, w, gx, masks = pointer(gy), pointer(w), pointer(gx), pointer(masks)
    H, W, Ho, Wo, C, O = sizes
    n = lanes(gy)
    for plane in range(start, stop):
        weights = columns_of(w, plane % O)
        slopes, out = plane * Ho * Wo, plane * H * W
        for b in range((Wo + n - 1) // n):
            q, rows, gap, gap_out = block(n, b, W, Wo)
            arrays, place = (gy, gx, slopes + q, out + 2 * q), (rows, gap, gap_out)
            k = 10 * b + 4
            keep = get(masks, k), get(masks, k + 1), get(masks, k + 2), get(masks, k + 3)
            pixels = get(masks, 10 * b), get(masks, 10 * b + 1)
            above = _rows_of_slopes(keep, 0, Ho)
            above = _two_slopes(gy, slopes + q, gap_out, above, rows)
            # the rows all of whose pixels, and of the next ones' slopes, are there
            end = max(0, min(H // 2 - rows, Ho - 2 * rows) // rows + 1) * rows
            above = _spread(arrays, weights, above, keep, pixels, place, sizes, 0, end, True)
            _spread(arrays, weights, above, keep, pixels, place, sizes, end, Ho, False)


@inlined
def _spread(arrays, weights, here, keep, pixels, place, sizes, begin, end, inside):
    gy, gx, slopes, out = arrays
    rows, gap, gap_out = place
    H, W, Ho, Wo, C, O = sizes
    left, center, right = weights
    for r in range(begin, end, rows):
        at = slopes + (r + rows) * Wo
        prefetch(gy, at + AHEAD, 0)
        ask(gx, out + 2 * r * W + AHEAD, W, gap, 1)
        there = keep if inside else _rows_of_slopes(keep, r + rows, Ho)
        below = _two_slopes(gy, at, gap_out, there, rows)
        under = _following(here, below, rows)
        none = zeros(gy)
        # rows of an odd number in the padded image: the middle taps
        even = fma(center[1], here[0], none)
        odd = fma(right[1], here[0], fma(left[1], here[1], none))
        _put_zipped(gx, out, 2 * r, even, odd, pixels, gap, rows, W, H, inside)
        # the others: the taps above and below
        even = fma(center[2], here[0], fma(center[0], under[0], none))
        odd = fma(right[2], here[0], fma(right[0], under[0], none))
        odd = fma(left[2], here[1], fma(left[0], under[1], odd))
        _put_zipped(gx, out, 2 * r + 1, even, odd, pixels, gap, rows, W, H, inside)
        here = below
    return here


@inlined
def _put_zipped(gx, out, h, even, odd, pixels, gap, rows, W, H, inside):
    at = out + h * W
    if inside or h < H:
        store_masked(gx, at, zipped(even, odd, 0), pixels[0])
    if inside or (h + 2 if rows == 2 else h) < H:
        store_masked(gx, at + gap, zipped(even, odd, 1), pixels[1])
