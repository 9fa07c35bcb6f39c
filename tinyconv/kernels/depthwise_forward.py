"""Depthwise convolution with 3 x 3 windows, undilated, of stride 1 and 2; any padding.

Three ways to fill registers with pixels:

- stride 1: a block of columns is walked down row by row. Three registers of a row (the block,
  and one pixel to either side) meet all nine weights; what they give belongs to three rows of
  outputs, the sums of which wait in registers.
- stride 1, planes of at most half a register's width: two rows make a register.
- stride 2: each two registers of a row are parted into even and odd pixels; where a row is a
  single register, the other one is of the next row but one, and belongs to the next output.

Lanes that hang over the border of the image are masked, so no padded copy is needed.
"""

from tinyconv.kernels.jit import inlined, kernel, part
from tinyconv.kernels.simd import (
    add,
    evens,
    fma,
    lanes,
    load,
    pointer,
    positive,
    splat,
    store,
    zeros,
)
from tinyconv.kernels.simd_masks import (
    between,
    fence,
    load_masked,
    odds,
    prefetch,
    raised,
    store_masked,
    stream,
)

#: how many numbers of a plane are walked, block by block of columns, before the next rows
CHUNK = 4096
#: how many numbers ahead memory is asked for
AHEAD = 1024


@inlined
def three(array, k):
    """array[k : k + 3], each in all lanes of a register."""
    return splat(array, k), splat(array, k + 1), splat(array, k + 2)


@inlined
def gather_row(x, at, masks, inside):
    """What the three taps of a row of weights see from ``at`` on."""
    if inside:
        return load(x, at), load(x, at + 1), load(x, at + 2)
    return (
        load_masked(x, at, masks[0]),
        load_masked(x, at + 1, masks[1]),
        load_masked(x, at + 2, masks[2]),
    )


@inlined
def masks_of_row(x, q, g, W, Wo):
    """Which lanes each tap may read, for the outputs from column q on."""
    n, v, count = lanes(x), q - g.left, Wo - q
    return (
        between(-v, min(W - v, count), n),
        between(-v - 1, min(W - v - 1, count), n),
        between(-v - 2, min(W - v - 2, count), n),
    )


@inlined
def dot(weights, seen, value):
    """value + the three products."""
    value = fma(weights[0], seen[0], value)
    value = fma(weights[1], seen[1], value)
    return fma(weights[2], seen[2], value)


@kernel
def walk(x, w, bias, residual, y, g, sizes, epilogue, past, start, stop):
    """Stride 1. Planes start:stop of y, which is N x O of them; all arrays flat.

    ``past``: y is larger than the caches, and each of its registers is whole.
    """
    x, w, bias = pointer(x), pointer(w), pointer(bias)
    residual, y = pointer(residual), pointer(y)
    H, W, Ho, Wo, C, O = sizes
    n = lanes(x)
    rows = max(4, CHUNK // max(W, 1))
    for plane in range(start, stop):
        o = plane % O
        of, out = (plane if O == C else plane // (O // C)) * H * W, plane * Ho * Wo
        taps = three(w, o * 9), three(w, o * 9 + 3), three(w, o * 9 + 6)
        base = splat(bias, o)
        for low in range(0, Ho, rows):
            high = min(low + rows, Ho)
            for q in range(0, Wo, n):
                block = of, out, q, low, high
                v = q - g.left
                if v >= 0 and v + 2 + n <= W and q + n <= Wo:
                    _walk_down(x, residual, y, taps, base, block, g, sizes, epilogue, past, True)
                else:
                    _walk_down(x, residual, y, taps, base, block, g, sizes, epilogue, past, False)
    if past:
        fence()


@inlined
def _walk_down(x, residual, y, taps, base, block, g, sizes, epilogue, past, inside):
    """Outputs of rows low:high, in one block of columns."""
    of, out, q, low, high = block
    H, W, Ho, Wo, C, O = sizes
    masks = masks_of_row(x, q, g, W, Wo)
    keep = between(0, Wo - q, lanes(x))
    # the sums of the outputs whose last, middle and first row of pixels this is
    last, middle = base, base
    for h in range(low - g.top, high - g.top + 2):
        first = base
        if h >= 0 and h < H:
            at = of + h * W + q
            prefetch(x, at + AHEAD, 0)
            row = gather_row(x, at - g.left, masks, inside)
            last = dot(taps[2], row, last)
            middle = dot(taps[1], row, middle)
            first = dot(taps[0], row, first)
        p = h + g.top - 2
        if p >= low:
            at = out + p * Wo + q
            value = _finished(residual, at, last, keep, epilogue)
            if past:
                stream(y, at, value)
            else:
                prefetch(y, at + AHEAD, 1)
                if inside:
                    store(y, at, value)
                else:
                    store_masked(y, at, value, keep)
        last, middle = middle, first


@inlined
def _finished(residual, at, value, keep, epilogue):
    if epilogue[0]:
        value = add(value, load_masked(residual, at, keep))
    return positive(value) if epilogue[1] else value


# -- planes of which a register holds two rows ----------------------------------------------
@inlined
def masks_of_pair(x, g, W):
    """Which lanes each tap may read, of two rows; and which lanes are of the first row."""
    n = lanes(x)
    a, b, c = (
        between(g.left, W + g.left, W),
        between(g.left - 1, W + g.left - 1, W),
        between(g.left - 2, W + g.left - 2, W),
    )
    return (a | a << W, b | b << W, c | c << W), between(0, W, n)


@inlined
def gather_pair(x, of, h, masks, upper, H, W, left, inside):
    """What the three taps of a row of weights see of rows h and h + 1."""
    at = of + h * W - left
    if inside:
        return gather_row(x, at, masks, False)
    seen = 0
    if h >= 0 and h < H:
        seen = upper
    if h >= -1 and h + 1 < H:
        seen |= upper << W
    return gather_row(x, at, (masks[0] & seen, masks[1] & seen, masks[2] & seen), False)


@kernel
def packed(x, w, bias, residual, y, g, sizes, epilogue, start, stop):
    """Stride 1, Wo == W, two rows to a register: planes start:stop of y."""
    x, w, bias = pointer(x), pointer(w), pointer(bias)
    arrays = x, pointer(residual), pointer(y)
    H, W, Ho, Wo, C, O = sizes
    masks, upper = masks_of_pair(x, g, W)
    for plane in range(start, stop):
        o = plane % O
        of, out = (plane if O == C else plane // (O // C)) * H * W, plane * Ho * W
        taps = three(w, o * 9), three(w, o * 9 + 3), three(w, o * 9 + 6)
        base = splat(bias, o)
        first = gather_pair(x, of, -g.top, masks, upper, H, W, g.left, False)
        first = dot(taps[0], first, base)
        begin, end = interior(g.top - 1, min(H + g.top - 3, Ho - 1), Ho, 2)
        for stage in range(3):
            # without the rows at the border the masks stay the same
            block = of, out, *stages(stage, begin, end, Ho)
            if stage == 1:
                first = _packed_down(
                    arrays, taps, base, first, block, masks, upper, g, sizes, epilogue, True
                )
            else:
                first = _packed_down(
                    arrays, taps, base, first, block, masks, upper, g, sizes, epilogue, False
                )


@part
def interior(low, high, count, step):
    """Of the steps 0, step, ... below count: the first of those within low..high, and the end."""
    begin = min(-(-max(low, 0) // step) * step, count)
    return begin, begin + max(0, -(-(high - begin) // step)) * step


@inlined
def stages(stage, begin, end, count):
    """The range of stage 0 (before begin), 1 (to end) or 2 (after it)."""
    if stage == 0:
        return 0, begin
    return (begin, end) if stage == 1 else (end, count)


@inlined
def _packed_down(arrays, taps, base, first, block, masks, upper, g, sizes, epilogue, inside):
    x, residual, y = arrays
    of, out, low, high = block
    H, W, Ho, Wo, C, O = sizes
    for p in range(low, high, 2):
        h, at = p - g.top, out + p * W
        prefetch(x, of + h * W + AHEAD, 0)
        prefetch(y, at + AHEAD, 1)
        row = gather_pair(x, of, h + 1, masks, upper, H, W, g.left, inside)
        value = dot(taps[1], row, first)
        # the last row of these outputs is the first one of the next
        row = gather_pair(x, of, h + 2, masks, upper, H, W, g.left, inside)
        value = dot(taps[2], row, value)
        first = dot(taps[0], row, base)
        keep = upper | upper << W
        if not inside and p + 1 == Ho:
            keep = upper
        store_masked(y, at, _finished(residual, at, value, keep, epilogue), keep)
    return first


# -- stride 2 -------------------------------------------------------------------------------
@inlined
def halves(x, q, g, sizes):
    """How a register of outputs is put together from column q on, in an upper and a lower half:

    the masks of the pixels of the middle and right tap in each half; the mask of what the left
    tap takes over from the right one of the output before; the masks of the left tap's own
    pixel at the start of each half; the distance of the upper half's pixels from the lower
    half's; the masks of the outputs, and the distance of theirs; and how many rows it is.
    """
    H, W, Ho, Wo, C, O = sizes
    n, v = lanes(x), 2 * q - g.left + 1
    stop = min(W, 2 * Wo - g.left + 1)
    low = between(-v, stop - v, n)
    start = between(1 - v, W + 1 - v, 1)
    if Wo <= n // 2:
        half = between(0, Wo, n)
        over = (half | half << n // 2) & ~(1 | 1 << n // 2)
        return low, low, over, start, start << n // 2, 2 * W, half, half << n // 2, Wo - n // 2, 2
    high = between(-v - n, stop - v - n, n)
    keep, keep_high = between(0, min(Wo - q, n // 2), n), between(n // 2, Wo - q, n)
    return low, high, keep | keep_high, start, 0, n, keep, keep_high, 0, 1


@inlined
def gather_leap(x, at, half, h, both, H, inside):
    """What three taps of a row of weights see of row h, in steps of two pixels; ``at``: the
    middle tap's first. If not ``inside``, the row may lie outside the image, as may the row
    of the upper half, which is not to be seen unless ``both`` are."""
    low, high, over, start, start_high, distance, _, _, _, rows = half
    if not inside:
        beyond = h + 2 * (rows - 1)
        below = -1 if h >= 0 and h < H else 0
        above = -1 if beyond >= 0 and beyond < H and both else 0
        low, start = low & below, start & below
        high, start_high = high & above, start_high & above
    a, b = load_masked(x, at, low), load_masked(x, at + distance, high)
    right = odds(a, b)
    left = raised(right, over)
    if start != 0:
        left = add(left, load_masked(x, at - 1, start))
    if start_high != 0:
        left = add(left, load_masked(x, at - 1 + distance - lanes(x) // 2, start_high))
    return left, evens(a, b), right


@inlined
def interior_leaps(g, rows, H, Ho):
    """The outputs that see no row outside, as ``interior``."""
    return interior((g.top + 1) // 2, min((H + g.top + 1) // 2 - rows, Ho - rows + 1), Ho, rows)


@kernel
def leap(x, w, bias, residual, y, g, sizes, epilogue, start, stop):
    """Stride 2. Planes start:stop of y."""
    x, w, bias = pointer(x), pointer(w), pointer(bias)
    residual, y = pointer(residual), pointer(y)
    H, W, Ho, Wo, C, O = sizes
    for plane in range(start, stop):
        o = plane % O
        of, out = (plane if O == C else plane // (O // C)) * H * W, plane * Ho * Wo
        taps = three(w, o * 9), three(w, o * 9 + 3), three(w, o * 9 + 6)
        base = splat(bias, o)
        for q in range(0, Wo, lanes(x)):
            half = halves(x, q, g, sizes)
            begin, end = interior_leaps(g, half[-1], H, Ho)
            for stage in range(3):
                block = of, out, q, *stages(stage, begin, end, Ho)
                if stage == 1:
                    _leap_down(x, residual, y, taps, base, block, half, g, sizes, epilogue, True)
                else:
                    _leap_down(x, residual, y, taps, base, block, half, g, sizes, epilogue, False)


@inlined
def _leap_down(x, residual, y, taps, base, block, half, g, sizes, epilogue, inside):
    of, out, q, begin, end = block
    H, W, Ho, Wo, C, O = sizes
    _, _, _, _, _, _, keep, keep_high, gap, rows = half
    for p in range(begin, end, rows):
        h = 2 * p - g.top
        both = inside or rows == 1 or p + 1 < Ho
        at = of + h * W + 2 * q
        prefetch(x, at + AHEAD, 0)
        prefetch(x, at + W + AHEAD, 0)
        at += 1 - g.left
        a = gather_leap(x, at, half, h, both, H, inside)
        b = gather_leap(x, at + W, half, h + 1, both, H, inside)
        c = gather_leap(x, at + 2 * W, half, h + 2, both, H, inside)
        value = add(dot(taps[0], a, base), dot(taps[1], b, zeros(x)))
        value = add(value, dot(taps[2], c, zeros(x)))
        at = out + p * Wo + q
        prefetch(y, at + AHEAD, 1)
        store_masked(y, at, _finished(residual, at, value, keep, epilogue), keep)
        if both:
            at += gap
            store_masked(y, at, _finished(residual, at, value, keep_high, epilogue), keep_high)
