"""Max pool by 3 x 3 windows of stride 1 on a border of 1, in one pass and without scratch memory.

A register holds as many columns and walks down the rows. The largest of each row's three
neighbours is found once and serves the three windows that it is in; the gradients of three
rows grow in registers until their last window has been read.
"""

import numpy as np
from llvmlite import ir
from numba.extending import intrinsic

from tinyconv.kernels.geometry import Window
from tinyconv.kernels.jit import inlined, kernel
from tinyconv.kernels.simd import Vector, _address, _masked, add, first, lanes, pointer, zeros
from tinyconv.kernels.simd_extra import (
    _integers,
    every,
    has_nan,
    store_as,
    where_above,
    where_larger,
)
from tinyconv.kernels.simd_masks import _lanes_of, between, load_masked, store_masked

#: the window of this module
THREES = Window.of(3, 1, 1)


@intrinsic
def _load_or(typingctx, array, index, mask, otherwise):
    """The lanes of ``array[index:]`` in the mask, and those of ``otherwise`` elsewhere."""
    vector = Vector(array.dtype)

    def codegen(context, builder, signature, args):
        kind, align = vector.llvm_type(), ir.Constant(ir.IntType(32), array.dtype.bitwidth // 8)
        address = builder.bitcast(_address(context, builder, signature, args), kind.as_pointer())
        mask = _lanes_of(builder, vector, args[2])
        arguments = [address.type, align.type, mask.type, kind]
        function = _masked(builder, "load", vector, (kind, arguments))
        return builder.call(function, [address, align, mask, args[3]])

    return vector(array, index, mask, otherwise), codegen


@intrinsic
def _add_where(typingctx, total, value, array, index, number):
    """total + value in the lanes where ``array[index:]``, unsigned integers, is ``number``."""

    def codegen(context, builder, signature, args):
        # compared as they are: what is a byte needs no widening
        kind = _integers(array, value)
        address = builder.gep(args[2], [args[3]])
        chosen = builder.load(
            builder.bitcast(address, kind.as_pointer()), align=array.dtype.bitwidth // 8
        )
        undefined, zero = ir.Constant(kind, ir.Undefined), ir.Constant(ir.IntType(32), 0)
        single = builder.insert_element(undefined, builder.trunc(args[4], kind.element), zero)
        order = ir.Constant(ir.VectorType(ir.IntType(32), value.lanes), [0] * value.lanes)
        equal = builder.icmp_unsigned(
            "==", chosen, builder.shuffle_vector(single, undefined, order)
        )
        return builder.select(equal, builder.fadd(args[0], args[1]), args[0])

    return total(total, value, array, index, number), codegen


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
    best, value = _load_or(x, at - 1, left, nowhere), _load_or(x, at, middle, nowhere)
    tap = _taken(value, best, every(x, 1), leftmost, with_nan)
    best = _taken(value, best, value, best, with_nan)
    last = _load_or(x, at + 1, right, nowhere)
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
                above = _add_where(above, value, chosen, tap + 1, 0)
                here = _add_where(here, value, chosen, tap + 1, 3)
                below = _add_where(below, value, chosen, tap + 1, 6)
                value = load_masked(gy, at, middle)
                above = _add_where(above, value, chosen, tap, 1)
                here = _add_where(here, value, chosen, tap, 4)
                below = _add_where(below, value, chosen, tap, 7)
                value = load_masked(gy, at - 1, left)
                above = _add_where(above, value, chosen, tap - 1, 2)
                here = _add_where(here, value, chosen, tap - 1, 5)
                below = _add_where(below, value, chosen, tap - 1, 8)
                if p > 0:
                    store_masked(gx, at - g.W, above, middle)
                above, here = here, below
            store_masked(gx, ix + (g.H - 1) * g.W + q, above, middle)
