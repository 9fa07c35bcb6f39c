"""Max pools that halve the image, in one pass and without scratch memory: windows of 2 x 2 side
by side, and of 3 x 3 on a border of 1 with stride 2.

Two registers of pixels make one of results, their even and odd lanes apart. They lie side by
side in a row; or, where a row of results takes half a register at most, in two planes, which
then share the lanes.
"""

import functools
from typing import NamedTuple

import numpy as np

from tinyconv.kernels import memory, parallel
from tinyconv.kernels.geometry import Window
from tinyconv.kernels.jit import inlined, kernel, plain
from tinyconv.kernels.simd import BITS, add, first, gate, lanes, pointer, total, zeros
from tinyconv.kernels.simd_extra import (
    add_where,
    evens,
    every,
    load_as,
    odds,
    store_as,
    where_equal,
    where_larger,
    zipped_high,
    zipped_low,
)
from tinyconv.kernels.simd_masks import between, load_masked, load_or, store_masked

#: the windows of this module
PAIRS, STRIDED_THREES = Window.of(2, 2), Window.of(3, 2, 1)
#: what ``parallel.chunks`` counts for a register of results
_WORK = 300


class Halving(NamedTuple):
    """Sizes. ``shared``: two planes in a register, a group; else each plane is a group. The
    numbers of the chosen cells lie in whole registers: row p of a group begins at
    (group Ho + p) pitch."""

    H: int
    W: int
    Ho: int
    Wo: int
    planes: int
    shared: bool
    pitch: int


@inlined
def _block(unit, q, g, n):
    """Of a group's block of results from column q on: where its pixels begin and, counted from
    there, those of the second register; where its results begin, and those of the second
    plane; and which lanes hold results of the one and of the other."""
    half = n // 2
    if g.shared:
        whole, size = g.H * g.W, g.Ho * g.Wo
        results = between(0, g.Wo, n)
        more = results << half if 2 * unit + 1 < g.planes else 0
        return 2 * unit * whole, whole, 2 * unit * size, size - half, results, more
    results = between(0, g.Wo - q, n)
    return unit * g.H * g.W + 2 * q, n, unit * g.Ho * g.Wo + q, 0, results, 0


@inlined
def _load_results(y, at, second, one, two):
    """A register of results: lanes ``one`` of y[at:], lanes ``two`` of y[at + second:]."""
    return load_or(y, at + second, two, load_masked(y, at, one))


@inlined
def _store_results(y, at, second, value, one, two):
    store_masked(y, at, value, one)
    if two:
        store_masked(y, at + second, value, two)


@inlined
def _pixels(q, columns, shift, g, two, n):
    """Which lanes of two registers of pixels, that begin ``shift`` columns beside column 2 q,
    lie in the first ``columns`` columns of the image."""
    begin = 2 * q + shift
    one = between(-begin, columns - begin, n)
    if g.shared:
        return one, one if two else 0
    return one, between(0, columns - begin - n, n)


@kernel
def _maximum_of_pairs(x, y, chosen, g, start, stop):
    n = lanes(x)
    x, y, chosen = pointer(x), pointer(y), pointer(chosen)
    none, one, two, three = zeros(x), every(x, 1), every(x, 2), every(x, 3)
    for unit in range(start, stop):
        for q in range(0, g.Wo, n):
            at, next, iy, second, to, too = _block(unit, q, g, n)
            here, there = _pixels(q, 2 * g.Wo, 0, g, too, n)
            tap = unit * g.Ho * g.pitch + q
            for _ in range(g.Ho):
                a, b = load_masked(x, at, here), load_masked(x, at + next, there)
                c, d = load_masked(x, at + g.W, here), load_masked(x, at + g.W + next, there)
                best, value = evens(a, b), odds(a, b)
                number = where_larger(value, best, one, none)
                best = where_larger(value, best, value, best)
                below, value = evens(c, d), odds(c, d)
                number_below = where_larger(value, below, three, two)
                below = where_larger(value, below, value, below)
                store_as(chosen, tap, where_larger(below, best, number_below, number))
                best = where_larger(below, best, below, best)
                _store_results(y, iy, second, best, to, too)
                at, iy, tap = at + 2 * g.W, iy + g.Wo, tap + g.pitch


@inlined
def _masked_store(gx, at, value, where, y, masking):
    """Store the value, where ``masking`` only where y > 0 or NaN; what was stored."""
    if masking:
        value = gate(value, load_masked(y, at, where))
    store_masked(gx, at, value, where)
    return value


@kernel
def _gradient_of_pairs(gy, chosen, y, gx, sums, g, start, stop):
    """With y of gx's size gx is masked as by a ReLU's gradient, and ``sums`` are its planes'."""
    n, masking = lanes(gy), len(y) > 0
    gy, chosen, y, gx = pointer(gy), pointer(chosen), pointer(y), pointer(gx)
    none, one, two, three = zeros(gy), every(gy, 1), every(gy, 2), every(gy, 3)
    for unit in range(start, stop):
        plane_sum = plane_sum_too = 0.0
        for q in range(0, g.Wo, n):
            at, next, iy, second, to, too = _block(unit, q, g, n)
            here, there = _pixels(q, 2 * g.Wo, 0, g, too, n)
            tap = unit * g.Ho * g.pitch + q
            sum_ = sum_too = zeros(gy)
            for _ in range(g.Ho):
                value = _load_results(gy, iy, second, to, too)
                number = load_as(chosen, tap, value)
                a, b = where_equal(number, none, value), where_equal(number, one, value)
                c, d = where_equal(number, two, value), where_equal(number, three, value)
                below, beside = at + g.W, at + next
                a, b = zipped_low(a, b), zipped_high(a, b)
                c, d = zipped_low(c, d), zipped_high(c, d)
                a = _masked_store(gx, at, a, here, y, masking)
                b = _masked_store(gx, beside, b, there, y, masking)
                c = _masked_store(gx, below, c, here, y, masking)
                d = _masked_store(gx, below + next, d, there, y, masking)
                if masking:
                    sum_, sum_too = add(sum_, add(a, c)), add(sum_too, add(b, d))
                at, iy, tap = at + 2 * g.W, iy + g.Wo, tap + g.pitch
            if masking:
                plane_sum += total(sum_)
                plane_sum_too += total(sum_too)
        if masking:
            plane = 2 * unit if g.shared else unit
            if not g.shared:
                plane_sum += plane_sum_too
            elif plane + 1 < g.planes:
                sums[plane + 1] = plane_sum_too
            sums[plane] = plane_sum


@inlined
def _largest_of_row(x, at, next, masks, leftmost):
    """The largest of x[2 q - 1], x[2 q], x[2 q + 1], and its number."""
    left0, left1, here, there = masks
    nowhere = every(x, -np.inf)
    a, b = load_or(x, at - 1, left0, nowhere), load_or(x, at - 1 + next, left1, nowhere)
    best, value = evens(a, b), odds(a, b)
    tap = where_larger(value, best, every(x, 1), leftmost)
    best = where_larger(value, best, value, best)
    value = odds(load_or(x, at, here, nowhere), load_or(x, at + next, there, nowhere))
    tap = where_larger(value, best, every(x, 2), tap)
    return where_larger(value, best, value, best), tap


@kernel
def _maximum_of_threes(x, y, chosen, g, start, stop):
    n = lanes(x)
    x, y, chosen = pointer(x), pointer(y), pointer(chosen)
    one, three, six = every(x, 1), every(x, 3), every(x, 6)
    for unit in range(start, stop):
        for q in range(0, g.Wo, n):
            at, next, iy, second, to, too = _block(unit, q, g, n)
            left0, left1 = _pixels(q, g.W, -1, g, too, n)
            here, there = _pixels(q, g.W, 0, g, too, n)
            masks = left0, left1, here, there
            # where all are minus infinity, the first cell inside the image is chosen
            leftmost = first(one, int(q == 0))
            if g.shared:
                leftmost = add(leftmost, add(first(one, n // 2 + 1), first(every(x, -1), n // 2)))
            above, tap_above = every(x, -np.inf), add(leftmost, three)
            tap = unit * g.Ho * g.pitch + q
            for p in range(g.Ho):
                value, number = _largest_of_row(x, at, next, masks, leftmost)
                number = where_larger(value, above, add(number, three), tap_above)
                best = where_larger(value, above, value, above)
                if 2 * p + 1 < g.H:
                    above, tap_above = _largest_of_row(x, at + g.W, next, masks, leftmost)
                    number = where_larger(above, best, add(tap_above, six), number)
                    best = where_larger(above, best, above, best)
                store_as(chosen, tap, number)
                _store_results(y, iy, second, best, to, too)
                at, iy, tap = at + 2 * g.W, iy + g.Wo, tap + g.pitch


@kernel
def _gradient_of_threes(gy, chosen, gx, g, start, stop):
    """Of the pixels (2 p + i, 2 q + j): those with i = 0 are seen by one row of windows, those
    with j = 0 by one column; the others by two."""
    n = lanes(gy)
    gy, chosen, gx = pointer(gy), pointer(chosen), pointer(gx)
    for unit in range(start, stop):
        for q in range(0, g.Wo, n):
            at, next, iy, second, to, too = _block(unit, q, g, n)
            here, there = _pixels(q, g.W, 0, g, too, n)
            # the windows to the right
            beyond = between(0, g.Wo - q - 1, n)
            beyond_too = beyond << n // 2 if too else 0
            tap = unit * g.Ho * g.pitch + q
            even = odd = zeros(gy)  # of the row above the window's middle
            for p in range(g.Ho):
                value = _load_results(gy, iy, second, to, too)
                right = _load_results(gy, iy + 1, second, beyond, beyond_too)
                even = add_where(even, value, chosen, tap, 1)
                odd = add_where(add_where(odd, value, chosen, tap, 2), right, chosen, tap + 1, 0)
                if p > 0:
                    store_masked(gx, at - g.W, zipped_low(even, odd), here)
                    store_masked(gx, at - g.W + next, zipped_high(even, odd), there)
                even = add_where(zeros(gy), value, chosen, tap, 4)
                odd = add_where(zeros(gy), value, chosen, tap, 5)
                odd = add_where(odd, right, chosen, tap + 1, 3)
                store_masked(gx, at, zipped_low(even, odd), here)
                store_masked(gx, at + next, zipped_high(even, odd), there)
                even = add_where(zeros(gy), value, chosen, tap, 7)
                odd = add_where(zeros(gy), value, chosen, tap, 8)
                odd = add_where(odd, right, chosen, tap + 1, 6)
                at, iy, tap = at + 2 * g.W, iy + g.Wo, tap + g.pitch
            if g.H % 2 == 0:
                store_masked(gx, at - g.W, zipped_low(even, odd), here)
                store_masked(gx, at - g.W + next, zipped_high(even, odd), there)


_KERNELS = {PAIRS: _maximum_of_pairs, STRIDED_THREES: _maximum_of_threes}


@functools.lru_cache(512)
def halving(window, image, output, planes, itemsize):
    """(Halving, parts) where one of the kernels fits, else None."""
    if window not in _KERNELS or output != window.output_shape(*image):
        return None
    (H, W), (Ho, Wo), n = image, output, BITS // (8 * itemsize)
    shared = Wo <= n // 2
    pitch = -(-Wo // n) * n
    groups = -(-planes // 2) if shared else planes
    return (
        Halving(H, W, Ho, Wo, planes, shared, pitch),
        parallel.chunks(groups, groups * Ho * (pitch // n) * _WORK),
    )


def max_forward(x, window, plan, output):
    """(y, numbers of the chosen cells) as ``pool.max_forward``, with the plan of ``halving``."""
    g, parts = plan
    kernel = _KERNELS[window]
    y = memory.empty(x.shape[:2] + output, x.dtype)
    # a group more than there are: registers are read one place further on
    chosen = memory.empty((parts[-1][1] + 1, g.Ho, g.pitch), np.uint8)
    flat_x, flat_y, numbers = plain(x).reshape(-1), y.reshape(-1), chosen.reshape(-1)
    parallel.run(lambda _, a, b: kernel(flat_x, flat_y, numbers, g, a, b), parts)
    return y, chosen


def max_gradient(gy, chosen, window, plan, image):
    """gx as ``pool.max_gradient``, with the plan of ``halving``."""
    if window == PAIRS:
        return _pairs_gradient(gy, chosen, plan, image, np.empty(0, gy.dtype))[0]
    g, parts = plan
    gx = memory.empty(gy.shape[:2] + image, gy.dtype)
    flat_g, flat_x, numbers = plain(gy).reshape(-1), gx.reshape(-1), chosen.reshape(-1)
    parallel.run(lambda _, a, b: _gradient_of_threes(flat_g, numbers, flat_x, g, a, b), parts)
    return gx


def _pairs_gradient(gy, chosen, plan, image, y):
    """(gx, the sums of its planes); with y, of its size, masked where that is not positive."""
    g, parts = plan
    covered = image == (2 * g.Ho, 2 * g.Wo)
    gx = (memory.empty if covered else memory.zeros)(gy.shape[:2] + image, gy.dtype)
    sums = np.zeros(g.planes)
    arrays = plain(gy).reshape(-1), chosen.reshape(-1), plain(y).reshape(-1), gx.reshape(-1)
    parallel.run(lambda _, a, b: _gradient_of_pairs(*arrays, sums, g, a, b), parts)
    return gx, sums


def masked_gradient(gy, chosen, image, y):
    """(gx of the 2 x 2 pool where y > 0 or NaN, else 0; its sums over all axes but the second)."""
    planes = gy.shape[0] * gy.shape[1]
    plan = halving(PAIRS, image, gy.shape[2:], planes, gy.itemsize)
    gx, sums = _pairs_gradient(gy, chosen, plan, image, y)
    return gx, sums.reshape(gy.shape[:2]).sum(0).astype(gy.dtype)


def cells(chosen, shape):
    """The numbers of the chosen cells in the results' order, of ``shape`` (N, C, Ho, Wo)."""
    N, C, Ho, Wo = shape
    groups, pitch = chosen[:-1], chosen.shape[2]
    if len(groups) != N * C:
        groups = groups.reshape(-1, Ho, 2, pitch // 2).swapaxes(1, 2).reshape(-1, Ho, pitch // 2)
    return groups[: N * C, :, :Wo].reshape(shape)
