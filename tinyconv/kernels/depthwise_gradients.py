"""Gradients of depthwise convolution with 3 x 3 windows, undilated, of stride 1 and 2.

The weight gradient's nine sums stay in registers, over all pixels and images; registers are
filled as in ``depthwise_forward``. The input gradient of stride 1 is a forward convolution by
the turned weights; of stride 2, each of four phases of pixels (rows and columns even or odd)
has one, two or four taps of its own, and even and odd columns are zipped.
"""

from tinyconv.kernels.depthwise_forward import (
    AHEAD,
    CHUNK,
    gather_leap,
    gather_pair,
    gather_row,
    halves,
    interior,
    interior_leaps,
    masks_of_pair,
    masks_of_row,
    stages,
    three,
)
from tinyconv.kernels.jit import inlined, kernel
from tinyconv.kernels.simd import (
    add,
    fma,
    lanes,
    pointer,
    put,
    total,
    zeros,
    zipped,
)
from tinyconv.kernels.simd_masks import between, load_masked, prefetch, store_masked


@inlined
def _no_sums(x):
    none = zeros(x)
    return (none, none, none), (none, none, none), (none, none, none)


@inlined
def _gain(sums, slope, seen):
    return fma(slope, seen[0], sums[0]), fma(slope, seen[1], sums[1]), fma(slope, seen[2], sums[2])


@inlined
def _put_totals(gw, k, sums):
    """gw[k : k + 3] = the sums, each over all its lanes."""
    put(gw, k, total(sums[0]))
    put(gw, k + 1, total(sums[1]))
    put(gw, k + 2, total(sums[2]))


@inlined
def _share(k, O, N, shares):
    """Share k of the work on gw: a filter, and the first image and the end of its images."""
    part = k // O
    return k % O, part * N // shares, (part + 1) * N // shares


@kernel
def walk(gy, x, gw, g, sizes, N, shares, start, stop):
    """Stride 1. Of gw, which is (shares of the images) x O x 9: filters start:stop."""
    gy, x, gw = pointer(gy), pointer(x), pointer(gw)
    H, W, Ho, Wo, C, O = sizes
    n = lanes(x)
    rows = max(4, CHUNK // max(W, 1))
    for k in range(start, stop):
        o, image, end = _share(k, O, N, shares)
        top, middle, bottom = _no_sums(x)
        for i in range(image, end):
            of, slopes = (i * C + o // (O // C)) * H * W, (i * O + o) * Ho * Wo
            for low in range(0, Ho, rows):
                high = min(low + rows, Ho)
                for q in range(0, Wo, n):
                    masks = masks_of_row(x, q, g, W, Wo)
                    keep = between(0, Wo - q, n)
                    # the gradients of the outputs of which this row of pixels is the last,
                    # the middle and the first
                    ends, goes_on, begins = zeros(x), zeros(x), zeros(x)
                    for p in range(low, high + 2):
                        if p < high:
                            at = slopes + p * Wo + q
                            prefetch(gy, at + O * Ho * Wo, 0)
                            begins = load_masked(gy, at, keep)
                        h = p - g.top
                        if h >= 0 and h < H:
                            at = of + h * W + q
                            prefetch(x, at + C * H * W, 0)
                            row = gather_row(x, at - g.left, masks, False)
                            # not zeros times what there is: that may be infinite
                            if p < high:
                                top = _gain(top, begins, row)
                            if p > low and p <= high:
                                middle = _gain(middle, goes_on, row)
                            if p > low + 1:
                                bottom = _gain(bottom, ends, row)
                        ends, goes_on = goes_on, begins
        _put_totals(gw, k * 9, top)
        _put_totals(gw, k * 9 + 3, middle)
        _put_totals(gw, k * 9 + 6, bottom)


@kernel
def packed(gy, x, gw, g, sizes, N, shares, start, stop):
    """Stride 1, Wo == W, two rows to a register."""
    gy, x, gw = pointer(gy), pointer(x), pointer(gw)
    H, W, Ho, Wo, C, O = sizes
    masks, upper = masks_of_pair(x, g, W)
    for k in range(start, stop):
        o, image, end = _share(k, O, N, shares)
        top, middle, bottom = _no_sums(x)
        for i in range(image, end):
            of, slopes = (i * C + o // (O // C)) * H * W, (i * O + o) * Ho * W
            row = gather_pair(x, of, -g.top, masks, upper, H, W, g.left, False)
            begin, end = interior(g.top - 1, min(H + g.top - 3, Ho - 1), Ho, 2)
            for stage in range(3):
                block = of, slopes, *stages(stage, begin, end, Ho)
                sums = top, middle, bottom
                if stage == 1:
                    top, middle, bottom, row = _packed_down(
                        gy, x, sums, row, block, masks, upper, g, sizes, True
                    )
                else:
                    top, middle, bottom, row = _packed_down(
                        gy, x, sums, row, block, masks, upper, g, sizes, False
                    )
        _put_totals(gw, k * 9, top)
        _put_totals(gw, k * 9 + 3, middle)
        _put_totals(gw, k * 9 + 6, bottom)


@inlined
def _packed_down(gy, x, sums, row, block, masks, upper, g, sizes, inside):
    of, slopes, low, high = block
    top, middle, bottom = sums
    H, W, Ho, Wo, C, O = sizes
    for p in range(low, high, 2):
        h, at, keep = p - g.top, slopes + p * W, upper | upper << W
        prefetch(gy, at + O * Ho * W, 0)
        prefetch(x, of + h * W + C * H * W, 0)
        end = H
        if not inside and p + 1 == Ho:
            # only one row is left: no other is to be seen, which may be infinite
            keep, end = upper, min(H, h + 1)
            row = gather_pair(x, of, h, masks, upper, end, W, g.left, False)
        slope = load_masked(gy, at, keep)
        top = _gain(top, slope, row)
        row = gather_pair(x, of, h + 1, masks, upper, min(H, end + 1), W, g.left, inside)
        middle = _gain(middle, slope, row)
        row = gather_pair(x, of, h + 2, masks, upper, min(H, end + 2), W, g.left, inside)
        bottom = _gain(bottom, slope, row)
    return top, middle, bottom, row


@kernel
def leap(gy, x, gw, g, sizes, N, shares, start, stop):
    """Stride 2."""
    gy, x, gw = pointer(gy), pointer(x), pointer(gw)
    H, W, Ho, Wo, C, O = sizes
    for k in range(start, stop):
        o, image, end_of_images = _share(k, O, N, shares)
        top, middle, bottom = _no_sums(x)
        for q in range(0, Wo, lanes(x)):
            half = halves(x, q, g, sizes)
            begin, end = interior_leaps(g, half[-1], H, Ho)
            for i in range(image, end_of_images):
                of, slopes = (i * C + o // (O // C)) * H * W, (i * O + o) * Ho * Wo
                for stage in range(3):
                    block = of, slopes, q, *stages(stage, begin, end, Ho)
                    sums = top, middle, bottom
                    if stage == 1:
                        top, middle, bottom = _leap_down(gy, x, sums, block, half, g, sizes, True)
                    else:
                        top, middle, bottom = _leap_down(gy, x, sums, block, half, g, sizes, False)
        _put_totals(gw, k * 9, top)
        _put_totals(gw, k * 9 + 3, middle)
        _put_totals(gw, k * 9 + 6, bottom)


@inlined
def _leap_down(gy, x, sums, block, half, g, sizes, inside):
    of, slopes, q, begin, end = block
    top, middle, bottom = sums
    H, W, Ho, Wo, C, O = sizes
    _, _, _, _, _, _, keep, keep_high, gap, rows = half
    for p in range(begin, end, rows):
        both = inside or rows == 1 or p + 1 < Ho
        at = slopes + p * Wo + q
        prefetch(gy, at + O * Ho * Wo, 0)
        slope = load_masked(gy, at, keep)
        if both:
            slope = add(slope, load_masked(gy, at + gap, keep_high))
        h = 2 * p - g.top
        at = of + h * W + 2 * q
        prefetch(x, at + C * H * W, 0)
        prefetch(x, at + W + C * H * W, 0)
        at += 1 - g.left
        top = _gain(top, slope, gather_leap(x, at, half, h, both, H, inside))
        middle = _gain(middle, slope, gather_leap(x, at + W, half, h + 1, both, H, inside))
        bottom = _gain(bottom, slope, gather_leap(x, at + 2 * W, half, h + 2, both, H, inside))
    return top, middle, bottom


# -- input gradient of stride 2 -------------------------------------------------------------
@inlined
def _if_row(masks, h, H):
    """The masks, if there is a row h of H; else masks of no lane."""
    every = -1 if h >= 0 and h < H else 0
    return masks[0] & every, masks[1] & every


@inlined
def _gather_slopes(gy, at, gap, low, high, rows):
    """A register of slopes and that of their right neighbours, both of two halves."""
    here, right_of = load_masked(gy, at, low[0]), load_masked(gy, at + 1, low[1])
    if rows == 2:
        here = add(here, load_masked(gy, at + gap, high[0]))
        right_of = add(right_of, load_masked(gy, at + 1 + gap, high[1]))
    return here, right_of


@kernel
def spread_out(gy, w, gx, g, sizes, start, stop):
    """Stride 2, left padding 1, O == C: planes start:stop of gx."""
    gy, w, gx = pointer(gy), pointer(w), pointer(gx)
    H, W, Ho, Wo, C, O = sizes
    n = lanes(gy)
    for plane in range(start, stop):
        o = plane % O
        taps = three(w, o * 9), three(w, o * 9 + 3), three(w, o * 9 + 6)
        # registers that hold two rows of slopes, where these fit; else two halves of one
        rows = 2 if W <= n else 1
        for q in range(0, (W + 1) // 2, n):
            slopes, out = plane * Ho * Wo + q, plane * H * W + 2 * q
            _spread_down(gy, gx, taps, slopes, out, q, rows, g, sizes)


@inlined
def _spread_down(gy, gx, taps, slopes, out, q, rows, g, sizes):
    H, W, Ho, Wo, C, O = sizes
    n = lanes(gy)
    if rows == 2:
        half, gap, gap_out = n // 2, Wo - n // 2, 2 * W
        low = between(0, min(Wo, half), n), between(0, min(Wo - 1, half), n)
        high = low[0] << half, low[1] << half
        left = right = between(0, W, n)
    else:
        gap, gap_out = 0, n
        low = between(0, Wo - q, n), between(0, Wo - q - 1, n)
        high = 0, 0
        left, right = between(0, W - 2 * q, n), between(0, W - 2 * q - n, n)
    masks = low, high, left, right
    first, end = g.top // 2 - (rows == 1), (g.top + H - 1) // 2 + 1
    # the rows all of whose slopes, and pixels, are there
    begin = max(1, (g.top + 1) // 2) - first
    begin, inner = interior(begin, min(Ho, (H + g.top) // 2) - rows + 1 - first, end - first, rows)
    above = zeros(gy), zeros(gy)
    for stage in range(3):
        a, b = stages(stage, begin, inner, end - first)
        block = slopes, out, a + first, b + first, gap, gap_out, rows
        if stage == 1:
            above = _spread_rows(gy, gx, taps, above, block, masks, g, sizes, True)
        else:
            above = _spread_rows(gy, gx, taps, above, block, masks, g, sizes, False)


@inlined
def _spread_rows(gy, gx, taps, above, block, masks, g, sizes, inside):
    slopes, out, begin, end, gap, gap_out, rows = block
    low, high, left, right = masks
    H, W, Ho, Wo, C, O = sizes
    for r in range(begin, end, rows):
        at = slopes + r * Wo
        prefetch(gy, at + AHEAD, 0)
        if inside:
            if rows == 2:
                above = _gather_slopes(gy, at - Wo, gap, low, high, rows)
            here = _gather_slopes(gy, at, gap, low, high, rows)
        else:
            beyond = _if_row(high, r + rows - 1, Ho)
            here = _gather_slopes(gy, at, gap, _if_row(low, r, Ho), beyond, rows)
            if rows == 2:
                beyond = _if_row(high, r, Ho)
                below = _if_row(low, r - 1, Ho)
                above = _gather_slopes(gy, at - Wo, gap, below, beyond, rows)
        # rows of an even distance from the padded image's edge: the taps above and below
        even = fma(taps[0][1], here[0], fma(taps[2][1], above[0], zeros(gy)))
        odd = fma(taps[0][2], here[0], fma(taps[2][2], above[0], zeros(gy)))
        odd = fma(taps[0][0], here[1], fma(taps[2][0], above[1], odd))
        h = 2 * r - g.top
        _put_zipped(gx, out, h, even, odd, left, right, gap_out, rows, W, H)
        # the others: the middle taps
        even = fma(taps[1][1], here[0], zeros(gy))
        odd = fma(taps[1][2], here[0], fma(taps[1][0], here[1], zeros(gy)))
        _put_zipped(gx, out, h + 1, even, odd, left, right, gap_out, rows, W, H)
        above = here
    return above


@inlined
def _put_zipped(gx, out, h, even, odd, left, right, gap, rows, W, H):
    at = out + h * W
    prefetch(gx, at + AHEAD, 1)
    if h >= 0 and h < H:
        store_masked(gx, at, zipped(even, odd, 0), left)
    beyond = h + 2 * (rows - 1)
    if beyond >= 0 and beyond < H:
        store_masked(gx, at + gap, zipped(even, odd, 1), right)
