"""Winograd's transforms for tiles of 6 x 6 pixels, and what carries pixels to and from them, as
LLVM code.

One axis of an r-tap correlation computes m outputs from 6 = m + r - 1 inputs by 6 multiplications:

    y = A^T ((G g) * (B^T d))

(Lavin and Gray 2015; Toom-Cook with the points 0, a, -a, b, -b and infinity), here with r = 3 or
5. G g are the values of a polynomial with coefficients g, and A^T sums over the points weighted
by their powers 0 .. m - 1, so one code writes them for all sizes; B^T is the same for all.
Here a = 1/sqrt(2), b = sqrt(2): a b = 1 spares multiplications, and the rounding error for r = 3
is a sixth of that of the usual 1 and 2, about that of a plain sum (Barabasz et al. 2020 on
the choice of points). In two dimensions each step is applied to columns, then to rows.

*Channels lie in lanes*: a register holds one pixel of 16 channels, so that a transform is
plain arithmetic on registers whatever the size of the image. ``gather`` and ``scatter``
carry blocks of 16 pixels x 16 channels between this layout and images.
"""

import functools

from llvmlite import ir
from numba import types
from numba.extending import intrinsic

from tinyconv.kernels.jit import part
from tinyconv.kernels.simd import Vector
from tinyconv.kernels.tile import ROWS, WIDTH, _Emitter, _Loop, _switch

#: the points, with a b = 1 and a^2 + b^2 = 5/2
_A, _B = 0.5**0.5, 2**0.5
#: rows of a ``product`` at most, where it is one register wide: sums wait for the step before, so
#: there must be enough of them
TALL = 2 * ROWS
#: (rows, width) that it may have: each is a loop of its own to compile
_SIZES = [(most * q // 4, V) for V, most in ((1, TALL), (2, ROWS), (3, ROWS)) for q in (2, 3, 4)]


class _Arithmetic:
    """Registers with constants: what the one-dimensional transforms are written in."""

    def __init__(self, emit):
        self.emit, self.builder = emit, emit.builder

    def number(self, value):
        return ir.Constant(self.emit.kind, [value] * self.emit.lanes)

    def add(self, a, b):
        return self.builder.fadd(a, b)

    def sub(self, a, b):
        return self.builder.fsub(a, b)

    def mul(self, number, a):
        return self.builder.fmul(self.number(number), a)

    def negative(self, a):
        return self.builder.fneg(a)

    def fma(self, number, a, b):
        """number * a + b"""
        return self.emit.fma(self.number(number), a, b)


def _pixels(do, x):
    """B^T: 6 pixels -> 6. Row i is the polynomial with all points but the i-th as roots."""
    even_a, even_b = do.fma(-2.0, x[2], x[4]), do.fma(-0.5, x[2], x[4])
    near, far = do.mul(_A, x[1]), do.mul(_A, x[3])
    odd_a, odd_b = do.fma(-2.0, near, far), do.fma(2.0, far, do.negative(near))
    return [
        do.fma(-2.5, x[2], do.add(x[0], x[4])),
        do.add(even_a, odd_a),
        do.sub(even_a, odd_a),
        do.add(even_b, odd_b),
        do.sub(even_b, odd_b),
        do.fma(-2.5, x[3], do.add(x[1], x[5])),
    ]


def _evaluate(do, g):
    """G: 2 to 5 coefficients -> a polynomial's values at the 6 points. What B^T leaves to divide
    by is -3/2 and 6."""

    def at(squared, coefficients):
        value = coefficients[-1]
        for coefficient in coefficients[-2::-1]:
            value = do.fma(squared, value, coefficient)
        return value

    values = []
    for point, factor in ((_A, -2 / 3), (_B, 1 / 6)):
        squared = 1 / 2 if point == _A else 2.0
        even = do.mul(factor, at(squared, g[0::2]))
        odd = do.mul(factor * point, at(squared, g[1::2]))
        values += [do.add(even, odd), do.sub(even, odd)]
    return [g[0], *values, g[-1]]


def _interpolate(do, m, count):
    """A^T: 6 products -> 2 to 5 sums, each weighted by the points' next power."""
    plus_a, minus_a = do.add(m[1], m[2]), do.sub(m[1], m[2])
    plus_b, minus_b = do.add(m[3], m[4]), do.sub(m[3], m[4])
    sums = [do.add(m[0], do.add(plus_a, plus_b))]
    for power in range(1, count):
        a, b = (minus_a, minus_b) if power % 2 else (plus_a, plus_b)
        last = do.fma(_B**power, b, m[5]) if power == count - 1 else do.mul(_B**power, b)
        sums.append(do.fma(_A**power, a, last))
    return sums


def _transform(axes):
    """The intrinsic that applies ``axes[size]`` = (registers, axis) to both axes of as many
    registers.

    It reads register (i, j) at ``at + i row + j column`` and writes component (i, j) of the
    result at ``to + i to_row + j to_column``.
    """

    @intrinsic
    def transform(typingctx, size, source, at, row, column, out, to, to_row, to_column):
        vector = Vector(out.dtype)

        def codegen(context, builder, signature, args):
            emit = _Emitter(context, builder, vector)
            do = _Arithmetic(emit)
            read, write = (emit.data(signature.args[i], args[i]) for i in (1, 5))

            def both(count, axis):
                _, _, at, row, column, _, to, to_row, to_column = args
                lines = []
                for _ in range(count):
                    cells, cell = [], at
                    for _ in range(count):
                        cells.append(emit.load(read, cell))
                        cell = builder.add(cell, row)
                    lines.append(axis(do, cells))  # line j: the transformed column j
                    at = builder.add(at, column)
                for cells in zip(*lines):
                    cell = to
                    for value in axis(do, cells):
                        emit.store(value, write, cell)
                        cell = builder.add(cell, to_column)
                    to = builder.add(to, to_row)

            cases = {k: functools.partial(both, *axis) for k, axis in axes.items()}
            _switch(builder, args[0], cases)
            return context.get_dummy_value()

        number = types.intp
        kinds = (number, source, number, number, number, out, number, number, number)
        return types.void(*kinds), codegen

    return transform


def _to_sums(count):
    return 6, lambda do, m: _interpolate(do, m, count)


#: taps of a filter -> outputs of a tile, along an axis: both sizes have tiles of 6 x 6 pixels
OUTPUTS = {3: 4, 5: 2}
_TAPS, _TILES = OUTPUTS.keys(), OUTPUTS.values()

# each is for the sizes that it is named by: pixels, taps of a filter, outputs of a tile
transform_pixels = _transform({6: (6, _pixels)})
transform_filter = _transform({k: (k, _evaluate) for k in _TAPS})
transform_cotangents = _transform({k: (k, _evaluate) for k in _TILES})
transform_outputs = _transform({k: _to_sums(k) for k in _TILES})
transform_taps = _transform({k: _to_sums(k) for k in _TAPS})


def _transpose(emit, rows):
    """Lane j of register i <-> lane i of register j: blocks of 1, 2, 4, ... change places."""
    size, lanes = 1, emit.lanes
    integers = ir.VectorType(ir.IntType(32), lanes)
    rows = list(rows)
    while size < lanes:
        low = [k if not k & size else k - size + lanes for k in range(lanes)]
        high = [k + size if not k & size else k + lanes for k in range(lanes)]
        for i in range(lanes):
            if not i & size:
                a, b = rows[i], rows[i + size]
                rows[i] = emit.builder.shuffle_vector(a, b, ir.Constant(integers, low))
                rows[i + size] = emit.builder.shuffle_vector(a, b, ir.Constant(integers, high))
        size *= 2
    return rows


@intrinsic
def gather(typingctx, x, at, pitch, count, out, to, table, first):
    """A register-full of pixels of as many channels, channels to lanes.

    Row r of the block is x[at + r pitch :], or the last of ``count`` rows where there are
    fewer; pixel j is written to out[to + table[first + j] :].
    """
    vector = Vector(x.dtype)

    def codegen(context, builder, signature, args):
        emit = _Emitter(context, builder, vector)
        read, write, places = (emit.data(signature.args[i], args[i]) for i in (0, 4, 6))
        _, at, pitch, count, _, to, _, first = args
        rows = []
        for r in range(emit.lanes):
            rows.append(emit.load(read, at))
            more = builder.icmp_signed("<", ir.Constant(count.type, r + 1), count)
            at = builder.add(at, builder.select(more, pitch, ir.Constant(pitch.type, 0)))
        for j, value in enumerate(_transpose(emit, rows)):
            place = builder.load(emit.at(places, first, j))
            emit.store(value, write, builder.add(to, place))
        return context.get_dummy_value()

    number = types.intp
    return types.void(x, number, number, number, out, number, table, number), codegen


@intrinsic
def scatter(
    typingctx, source, at, scale, bias, i, y, to, pitch, count, spare, j, plus, residual, least, k
):  # fmt: skip
    """A register-full of pixels from source[at:], channels from lanes to rows y[to + r pitch :].

    They are multiplied by scale[i + r]; bias[i + r] is added and, with ``plus``, what ``residual``
    holds at y's place; numbers below least[k] become it (NaN stays). Of the rows only ``count``
    are y's; others go to spare[j:].
    """
    vector = Vector(y.dtype)

    def codegen(context, builder, signature, args):
        emit = _Emitter(context, builder, vector)
        data = [emit.data(signature.args[k], args[k]) for k in (0, 2, 3, 5, 9, 12, 13)]
        read, scales, biases, write, rest, added, least = data
        _, at, _, _, i, _, to, pitch, count, _, j, plus, _, _, floor = args
        scale, bias = emit.load(scales, i), emit.load(biases, i)
        rows = [emit.load(read, at, r * emit.lanes) for r in range(emit.lanes)]
        rows = _transpose(emit, [emit.fma(row, scale, bias) for row in rows])
        floor = emit.splat(least, floor)

        def end(with_residual):
            place = to
            dump = emit.at(rest, j)
            for r, value in enumerate(rows):
                inside = builder.icmp_signed("<", ir.Constant(count.type, r), count)
                if with_residual:
                    other = builder.select(inside, emit.at(added, place), dump)
                    value = builder.fadd(value, emit.load(other, ir.Constant(at.type, 0)))
                value = builder.select(builder.fcmp_ordered("<=", value, floor), floor, value)
                target = builder.select(inside, emit.at(write, place), dump)
                emit.store(value, target, ir.Constant(at.type, 0))
                place = builder.add(place, pitch)

        _switch(builder, plus, {k: functools.partial(end, bool(k)) for k in (0, 1)})
        return context.get_dummy_value()

    number = types.intp
    kinds = (source, number, scale, bias, number, y, number, number, number, spare, number)
    return types.void(*kinds, number, residual, least, number), codegen


@part
def panel_count(count, width):
    """How many panels ``count`` rows are cut into for products of ``width`` registers."""
    most = TALL if width == 1 else ROWS
    return (count + most - 1) // most


@part
def panel_rows(count, width, number, i):
    """Rows of panel i of ``number``: as even as can be; the last may have some too many."""
    step = TALL // 4 if width == 1 else ROWS // 4
    steps = (count + step - 1) // step
    return max((i + 1) * steps // number - i * steps // number, 2) * step


def _product(over_tiles):
    """The intrinsic that multiplies R rows of one array by V registers of another:

        out[r, v] = sum_k w[r, k] * x[k, v]        r < rows (see ``panel_rows``), v < width <= WIDTH

    Rows are tiles and k runs over channels: row r is the register after row r - 1, channels are
    its lanes, and the next register-full of them is ``pitch_w`` further. Or with ``over_tiles``
    rows are channels, next to each other, and k runs over tiles, ``pitch_w`` apart; then with
    ``again`` the sums go on from what ``out`` holds. Steps of x are ``next_x`` apart, register
    (r, v) of out is at r ``row`` + v ``pitch``.
    """

    @intrinsic
    def product(
        typingctx, rows, width, w, iw, pitch_w, x, ix, next_x, depth, out, iout, row, pitch, again
    ):
        vector = Vector(out.dtype)

        def codegen(context, builder, signature, args):
            emit = _Emitter(context, builder, vector)
            weights, source, result = (emit.data(signature.args[i], args[i]) for i in (2, 5, 9))
            rows, width, _, iw, pitch_w, _, ix, next_x, depth = args[:9]
            _, iout, row, pitch, again = args[9:]
            lanes = ir.Constant(depth.type, emit.lanes)

            def step(R, V, at_w, at_x, sums):
                values = [emit.load(source, at_x, v * emit.lanes) for v in range(V)]
                sums = list(sums)
                for r in range(R):
                    weight = emit.splat(weights, at_w, r if over_tiles else r * emit.lanes)
                    for v in range(V):
                        sums[r * V + v] = emit.fma(weight, values[v], sums[r * V + v])
                return sums

            def along_tiles(R, V, sums):
                loop = _Loop(builder, depth, sums)
                at_w = builder.add(iw, builder.mul(loop.k, pitch_w))
                at_x = builder.add(ix, builder.mul(loop.k, next_x))
                loop.close(step(R, V, at_w, at_x, loop.carried))
                return loop.carried

            def along_channels(R, V, sums):
                above = builder.add(depth, ir.Constant(depth.type, emit.lanes - 1))
                block = _Loop(builder, builder.sdiv(above, lanes), sums)
                done = builder.mul(block.k, lanes)
                left = builder.sub(depth, done)
                left = builder.select(builder.icmp_signed("<", left, lanes), left, lanes)
                first_w = builder.add(iw, builder.mul(block.k, pitch_w))
                first_x = builder.add(ix, builder.mul(done, next_x))
                loop = _Loop(builder, left, block.carried)
                at_x = builder.add(first_x, builder.mul(loop.k, next_x))
                loop.close(step(R, V, builder.add(first_w, loop.k), at_x, loop.carried))
                block.close(loop.carried)
                return block.carried

            def tile(R, V):
                places, at = [], iout
                for _ in range(R):
                    cell = at
                    for _ in range(V):
                        places.append(cell)
                        cell = builder.add(cell, pitch)
                    at = builder.add(at, row)
                sums = [ir.Constant(emit.kind, [0.0] * emit.lanes)] * len(places)
                if over_tiles:
                    sums = before(places, sums)
                sums = (along_tiles if over_tiles else along_channels)(R, V, sums)
                for place, value in zip(places, sums):
                    emit.store(value, result, place)

            def before(places, zeros):
                more = builder.icmp_signed("!=", again, again.type(0))
                with builder.if_else(more) as (yes, no):
                    with yes:
                        held = [emit.load(result, place) for place in places]
                        loaded = builder.block
                    with no:
                        fresh = builder.block
                sums = []
                for value, zero in zip(held, zeros):
                    sums.append(builder.phi(emit.kind))
                    sums[-1].add_incoming(value, loaded)
                    sums[-1].add_incoming(zero, fresh)
                return sums

            which = builder.add(builder.mul(rows, ir.Constant(rows.type, WIDTH + 1)), width)
            cases = {R * (WIDTH + 1) + V: functools.partial(tile, R, V) for R, V in _SIZES}
            _switch(builder, which, cases)
            return context.get_dummy_value()

        n = types.intp
        return types.void(n, n, w, n, n, x, n, n, n, out, n, n, n, n), codegen

    return product


product_over_channels, product_over_tiles = _product(False), _product(True)
