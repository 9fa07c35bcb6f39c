"""Max pool by 3 x 3 windows of stride 1 on a border of 1, in one pass and without scratch memory.

A register holds as many columns and walks down the rows. The largest of each row's three
neighbours is found once and serves the three windows that it is in; the gradients of three
rows grow in registers until their last window has been read.
"""

import numpy as np

from tinyconv.kernels.geometry import Window
from tinyconv.kernels.jit import inlined, kernel
from tinyconv.kernels.simd import add, first, lanes, pointer, zeros
from tinyconv.kernels.simd_extra import (
    add_where,
    every,
    has_nan,
    store_as,
    where_above,
    where_larger,
)
from tinyconv.kernels.simd_masks import between, load_masked, load_or, store_masked

#: the window of this module
THREES = Window.of(3, 1, 1)


@inlined
def _taken(new, old, a, b, with_nan):
    """a where the maximum of ``old`` passes to ``new``, else b."""
    if with_nan:
        return where_larger(new, old, a, b)
    return where_above(new, old, a, b)


@inlined
def _largest_of_row(x, at, masks, nowhere, leftmost, with_nan):
    """Of x[v - 1], x[v], x[v + 1], in each column v: the largest, its number; and x[v]."""
    left, middle, right = masks
    best, value = load_or(x, at - 1, left, nowhere), load_or(x, at, middle, nowhere)
    tap = _taken(value, best, every(x, 1), leftmost, with_nan)
    best = _taken(value, best, value, best, with_nan)
    last = load_or(x, at + 1, right, nowhere)
    tap = _taken(last, best, every(x, 2), tap, with_nan)
    return _taken(last, best, last, best, with_nan), tap, value


@inlined
def _maximum_of_plane(x, ix, y, chosen, ic, g, with_nan):
    """Whether there may be NaN in the plane, which only the slower code ``with_nan`` gets right."""
    n = lanes(x)
    three, six, nowhere = every(x, 3), every(x, 6), every(x, -np.inf)
    spoilt = zeros(x)  # NaN if one of the values is, or with infinities of both signs
    # the last columns first: what they store in ``chosen`` past a row's end is overwritten
    for q in range((g.W - 1) // n * n, -1, -n):
        middle = between(0, g.W - q, n)
        masks = between(1 - q, g.W - q + 1, n), middle, between(0, g.W - q - 1, n)
        # where all are minus infinity, the first cell inside the image is chosen
        leftmost = first(every(x, 1), int(q == 0))
        above, tap_above = nowhere, add(leftmost, three)
        here, tap_here, value = _largest_of_row(x, ix + q, masks, nowhere, leftmost, with_nan)
        for p in range(g.H):
            at = ix + p * g.W + q
            spoilt = add(spoilt, value)
            below, tap_below = nowhere, leftmost
            if p + 1 < g.H:
                below, tap_below, value = _largest_of_row(
                    x, at + g.W, masks, nowhere, leftmost, with_nan
                )
            tap = _taken(here, above, add(tap_here, three), tap_above, with_nan)
            best = _taken(here, above, here, above, with_nan)
            tap = _taken(below, best, add(tap_below, six), tap, with_nan)
            store_masked(y, at, _taken(below, best, below, best, with_nan), middle)
            store_as(chosen, ic + p * g.pitch + q, tap)
            above, tap_above, here, tap_here = here, tap_here, below, tap_below
    return has_nan(spoilt)


@kernel
def maximum_of_threes(x, y, chosen, g, start, stop):
    """The largest value of each window, and the number of its cell, as ``pool`` lays them out."""
    x, y, chosen = pointer(x), pointer(y), pointer(chosen)
    for plane in range(start, stop):
        ix, ic = plane * g.H * g.W, g.margin + plane * g.room
        if _maximum_of_plane(x, ix, y, chosen, ic, g, False):
            _maximum_of_plane(x, ix, y, chosen, ic, g, True)


@kernel
def gradient_of_threes(gy, chosen, gx, g, start, stop):
    """gx[u] = the sum of gy over the windows that chose u."""
    n = lanes(gy)
    gy, chosen, gx = pointer(gy), pointer(chosen), pointer(gx)
    for plane in range(start, stop):
        ix, ic = plane * g.H * g.W, g.margin + plane * g.room
        for q in range(0, g.W, n):
            left, middle = between(1 - q, g.W - q + 1, n), between(0, g.W - q, n)
            right = between(0, g.W - q - 1, n)
            above = here = zeros(gy)
            for p in range(g.H):
                at, tap = ix + p * g.W + q, ic + p * g.pitch + q
                below = zeros(gy)
                # a window to the right chose its left cell, and so on
                value = load_masked(gy, at + 1, right)
                above = add_where(above, value, chosen, tap + 1, 0)
                here = add_where(here, value, chosen, tap + 1, 3)
                below = add_where(below, value, chosen, tap + 1, 6)
                value = load_masked(gy, at, middle)
                above = add_where(above, value, chosen, tap, 1)
                here = add_where(here, value, chosen, tap, 4)
                below = add_where(below, value, chosen, tap, 7)
                value = load_masked(gy, at - 1, left)
                above = add_where(above, value, chosen, tap - 1, 2)
                here = add_where(here, value, chosen, tap - 1, 5)
                below = add_where(below, value, chosen, tap - 1, 8)
                if p > 0:
                    store_masked(gx, at - g.W, above, middle)
                above, here = here, below
            store_masked(gx, ix + (g.H - 1) * g.W + q, above, middle)
