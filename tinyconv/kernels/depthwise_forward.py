"""Depthwise convolution with 3 x 3 windows, padded by 1, of stride 1 and 2.

- Stride 1: the plane is read from end to end as if it were one row, a register at a time. What
  a column of weights gives to a register is summed up first, from the pixels above, at and below;
  the sums of the left and of the right column then move by a lane, into or out of the
  neighbouring registers, and where a row ends a mask leaves them out.
- Stride 2: a block of columns is walked down. Each two registers of a row are parted into even
  and odd pixels; where outputs take at most half a register the other one is of the next row but
  one. The last row of pixels of an output is the first one of the next: what it gives there
  waits in a register.

Neither needs a padded copy of the image, nor counts rows or columns: ``depthwise_masks``.
"""

from tinyconv.kernels.jit import inlined, kernel, part
from tinyconv.kernels.simd import (
    add,
    evens,
    fma,
    get,
    lanes,
    load,
    load_some,
    pointer,
    splat,
    store,
    store_some,
    zeros,
)
from tinyconv.kernels.simd_masks import (
    add_masked,
    at_least,
    but_first,
    fence,
    halves,
    last_and,
    load_masked,
    lowest,
    odds,
    prefetch,
    store_masked,
    stream,
)

#: how many numbers ahead memory is asked for
AHEAD = 2048


@inlined
def columns_of(w, o):
    """The three columns of weights of filter o, each number in all lanes of a register."""
    k = o * 9
    return (
        (splat(w, k), splat(w, k + 3), splat(w, k + 6)),
        (splat(w, k + 1), splat(w, k + 4), splat(w, k + 7)),
        (splat(w, k + 2), splat(w, k + 5), splat(w, k + 8)),
    )


@inlined
def _dot(weights, seen, value):
    """value + the three products."""
    value = fma(weights[0], seen[0], value)
    value = fma(weights[1], seen[1], value)
    return fma(weights[2], seen[2], value)


@inlined
def _floor(x, residual, epilogue):
    """What outputs are at least, before a residual is added."""
    return zeros(x) if epilogue[1] and not epilogue[0] else lowest(x)


@part
def _add_plane(y, residual, at, size, epilogue):
    """Add the residual to a plane that the cache still holds."""
    floor = zeros(y) if epilogue[1] else lowest(y)
    for p in range(at, at + size, lanes(y)):
        count = at + size - p
        value = add(load_some(y, p, count), load_some(residual, p, count))
        store_some(y, p, at_least(value, floor), count)


# -- stride 1 -------------------------------------------------------------------------------
@part
def interior(n, H, W):
    """Of the registers of a plane: how many they are; the first of those that, with the rows
    above and below, are all pixels, and the end of these."""
    count, begin = (H * W + n - 1) // n, (W + n - 1) // n
    return count, begin, max(begin, min((H * W - W) // n, H * W // n - 1))


@inlined
def rows_around(x, at, W, masks, k, inside):
    """The pixels above, at and below a register's place."""
    if inside:
        return load(x, at - W), load(x, at), load(x, at + W)
    return (
        load_masked(x, at - W, get(masks, k + 2)),
        load_masked(x, at, get(masks, k + 3)),
        load_masked(x, at + W, get(masks, k + 4)),
    )


@kernel
def flat(x, w, bias, residual, y, masks, sizes, epilogue, past, start, stop):
    """Stride 1. Planes start:stop of y, which is N x O of them; all arrays flat.

    ``past``: y is larger than the caches, its planes are whole registers, no residual.
    """
    x, w, bias = pointer(x), pointer(w), pointer(bias)
    residual, y, masks = pointer(residual), pointer(y), pointer(masks)
    H, W, _, _, C, O = sizes
    count, begin, end = interior(lanes(x), H, W)
    floor = _floor(x, residual, epilogue)
    last, size = 5 * (count - 1), H * W
    for plane in range(start, stop):
        o = plane % O
        weights, base = columns_of(w, o), splat(bias, o)
        of, out = (plane if O == C else plane // (O // C)) * size, plane * size
        arrays = x, y, masks, of, out
        # the sums of the register before, of the left column, of what it gets but from the
        # register that follows, and of the right column
        sums = zeros(x), zeros(x), zeros(x)
        sums = _along(arrays, weights, base, floor, sums, W, 0, begin, past, False)
        sums = _along(arrays, weights, base, floor, sums, W, begin, end, past, True)
        sums = _along(arrays, weights, base, floor, sums, W, end, count, past, False)
        value = add_masked(sums[1], but_first(sums[2], zeros(x)), get(masks, last + 1))
        p = out + (count - 1) * lanes(x)
        store_masked(y, p, at_least(value, floor), get(masks, last + 3))
        if epilogue[0]:
            _add_plane(y, residual, out, size, epilogue)
    if past:
        fence()


@inlined
def _along(arrays, weights, base, floor, sums, W, begin, end, past, inside):
    """Registers begin:end of a plane; stores those one before."""
    x, y, masks, of, out = arrays
    left, value, right = sums
    n = lanes(x)
    for r in range(begin, end):
        p, k = r * n, 5 * r
        prefetch(x, of + p + AHEAD, 0)
        seen = rows_around(x, of + p, W, masks, k, inside)
        a, b = _dot(weights[0], seen, zeros(x)), _dot(weights[1], seen, base)
        c = _dot(weights[2], seen, zeros(x))
        if inside or r > 0:
            value = at_least(add_masked(value, but_first(right, c), get(masks, k - 4)), floor)
            if past:
                stream(y, out + p - n, value)
            else:
                store(y, out + p - n, value)
        value = add_masked(b, last_and(left, a), get(masks, k))
        left, right = a, c
    return left, value, right


# -- stride 2 -------------------------------------------------------------------------------
@part
def block(n, b, W, Wo):
    """Of block b of a row of outputs: the first column; how many rows it holds; the distance of
    the pixels that its upper half sees from the lower half's; and that of its outputs."""
    if 2 * Wo <= n:
        return 0, 2, 2 * W, Wo - n // 2
    return min(b * n, max(Wo - n, 0)), 1, n, 0


@inlined
def pixel_masks(masks, b):
    k = 10 * b
    return get(masks, k), get(masks, k + 1), get(masks, k + 2), get(masks, k + 3)


@part
def rows_there(own, low, high):
    """Masks of the lower and upper half, where the row of this half is there."""
    a, b = -1 if low else 0, -1 if high else 0
    return own[0] & a, own[1] & b, own[2] & a, own[3] & b


@inlined
def even_and_odd(x, at, gap, own):
    """A row's even and odd pixels: what the middle and right tap see."""
    a, b = load_masked(x, at, own[0]), load_masked(x, at + gap, own[1])
    return evens(a, b), odds(a, b)


@inlined
def parted(x, at, gap, own):
    """What the left, middle and right tap see of a row, in steps of two pixels; ``at``: the middle
    tap's first."""
    low, high, left_low, left_high = own
    a, b = load_masked(x, at, low), load_masked(x, at + gap, high)
    c, d = load_masked(x, at - 1, left_low), load_masked(x, at + gap - 1, left_high)
    return evens(c, d), evens(a, b), odds(a, b)


@kernel
def leap(x, w, bias, residual, y, masks, sizes, epilogue, start, stop):
    """Stride 2. Planes start:stop of y."""
    x, w, bias = pointer(x), pointer(w), pointer(bias)
    residual, y, masks = pointer(residual), pointer(y), pointer(masks)
    H, W, Ho, Wo, C, O = sizes
    n = lanes(x)
    floor = _floor(x, residual, epilogue)
    for plane in range(start, stop):
        o = plane % O
        weights, base = columns_of(w, o), splat(bias, o)
        of, out = (plane if O == C else plane // (O // C)) * H * W, plane * Ho * Wo
        for b in range((Wo + n - 1) // n):
            place = block(n, b, W, Wo)
            rows = place[1]
            own, keep = pixel_masks(masks, b), (get(masks, 10 * b + 4), get(masks, 10 * b + 5))
            arrays, ends = (x, y, of, out), (zeros(x), base, floor)
            # but for the last all rows are there
            end = H // 2 // rows * rows
            above = _down(arrays, weights, ends, place, own, own, keep, W, Wo, 0, end)
            if end < Ho:
                h = 2 * end
                middle = rows_there(own, True, rows == 1 or h + 2 < H)
                bottom = rows_there(own, h + 1 < H, rows == 1 and h + 1 < H)
                keep = keep[0], keep[1] if end + 1 < Ho else 0
                ends = above, base, floor
                _down(arrays, weights, ends, place, middle, bottom, keep, W, Wo, end, end + 1)
        if epilogue[0]:
            _add_plane(y, residual, out, Ho * Wo, epilogue)


@inlined
def _down(arrays, weights, ends, place, middle, bottom, keep, W, Wo, begin, end):
    """Rows begin:end of outputs, in one block of columns."""
    x, y, of, out = arrays
    above, base, floor = ends
    q, rows, gap, gap_out = place
    left, center, right = weights
    for r in range(begin, end, rows):
        at = of + 2 * (r * W + q)
        ask(x, at + AHEAD, W, gap, 0)
        a, b = parted(x, at, gap, middle), parted(x, at + W, gap, bottom)
        value = fma(left[1], a[0], fma(center[1], a[1], fma(right[1], a[2], base)))
        other = fma(left[2], b[0], fma(center[2], b[1], fma(right[2], b[2], zeros(x))))
        below = fma(left[0], b[0], fma(center[0], b[1], fma(right[0], b[2], zeros(x))))
        value = add(value, halves(above, below) if rows == 2 else above)
        value, above = at_least(add(value, other), floor), below
        p = out + r * Wo + q
        store_masked(y, p, value, keep[0])
        if rows == 2:
            store_masked(y, p + gap_out, value, keep[1])
    return above


@inlined
def ask(x, at, W, gap, write):
    """Ask for the pixels of a register of outputs, to be read or (``write``: 1) written."""
    prefetch(x, at, write)
    prefetch(x, at + gap, write)
    prefetch(x, at + W, write)
    prefetch(x, at + W + gap, write)
