"""Winograd's transforms F(4x4, 3x3), and what carries pixels to and from them, as LLVM code.

One axis of a 3-tap correlation computes 4 outputs from 6 inputs by 6 multiplications:

    y = A^T ((G g) * (B^T d))

(Lavin and Gray 2015; Toom-Cook with the points 0, a, -a, b, -b and infinity). Here
a = 1/sqrt(2), b = sqrt(2): a b = 1 spares multiplications, and the rounding error is a
sixth of that of the usual 1 and 2, about that of a plain sum (Barabasz et al. 2020 on
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
#: how many rows a ``product`` may have: each size is a loop of its own to compile
_STEP = ROWS // 4
_SIZES = [(R, V) for R in range(ROWS // 2, ROWS + 1, _STEP) for V in range(1, WIDTH + 1)]


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


def _values(do, even_a, odd_a, even_b, odd_b):
    """A polynomial's values at a, -a, b, -b over what B^T leaves to divide by: -3/2 and 6."""
    even_a, odd_a = do.mul(-2 / 3, even_a), do.mul(-2 / 3 * _A, odd_a)
    even_b, odd_b = do.mul(1 / 6, even_b), do.mul(1 / 6 * _B, odd_b)
    return [
        do.add(even_a, odd_a),
        do.sub(even_a, odd_a),
        do.add(even_b, odd_b),
        do.sub(even_b, odd_b),
    ]


def _filter(do, g):
    """G: 3 taps -> 6."""
    even_a, even_b = do.fma(0.5, g[2], g[0]), do.fma(2.0, g[2], g[0])
    return [g[0], *_values(do, even_a, g[1], even_b, g[1]), g[2]]


def _cotangents(do, g):
    """G of F(3, 4), for the weight gradient: 4 pixels of gy -> 6."""
    even_a, even_b = do.fma(0.5, g[2], g[0]), do.fma(2.0, g[2], g[0])
    odd_a, odd_b = do.fma(0.5, g[3], g[1]), do.fma(2.0, g[3], g[1])
    return [g[0], *_values(do, even_a, odd_a, even_b, odd_b), g[3]]


def _sums(do, m):
    """What A^T is made of: m0 plus the even sum, and the sums weighted by powers."""
    plus_a, minus_a = do.add(m[1], m[2]), do.sub(m[1], m[2])
    plus_b, minus_b = do.add(m[3], m[4]), do.sub(m[3], m[4])
    return (
        do.add(m[0], do.add(plus_a, plus_b)),
        do.fma(_A, minus_a, do.mul(_B, minus_b)),
        (plus_a, plus_b),
        (minus_a, minus_b),
    )


def _outputs(do, m):
    """A^T: 6 -> 4 pixels of y."""
    y0, y1, (plus_a, plus_b), (minus_a, minus_b) = _sums(do, m)
    y2 = do.fma(0.5, plus_a, do.mul(2.0, plus_b))
    y3 = do.fma(_A**3, minus_a, do.fma(_B**3, minus_b, m[5]))
    return [y0, y1, y2, y3]


def _taps(do, m):
    """A^T of F(3, 4): 6 -> 3 taps of the weight gradient."""
    y0, y1, (plus_a, plus_b), _ = _sums(do, m)
    return [y0, y1, do.fma(0.5, plus_a, do.fma(2.0, plus_b, m[5]))]


def _transform(count, axis):
    """The intrinsic that applies ``axis`` to both axes of ``count`` x ``count`` registers.

    It reads register (i, j) at ``at + i row + j column`` and writes component (i, j) of the
    result at ``to + i to_row + j to_column``.
    """

    @intrinsic
    def transform(typingctx, source, at, row, column, out, to, to_row, to_column):
        vector = Vector(out.dtype)

        def codegen(context, builder, signature, args):
            emit = _Emitter(context, builder, vector)
            do = _Arithmetic(emit)
            read, write = (emit.data(signature.args[i], args[i]) for i in (0, 4))
            _, at, row, column, _, to, to_row, to_column = args
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
            return context.get_dummy_value()

        number = types.intp
        kinds = (source, number, number, number, out, number, number, number)
        return types.void(*kinds), codegen

    return transform


transform_pixels = _transform(6, _pixels)
transform_filter = _transform(3, _filter)
transform_cotangents = _transform(4, _cotangents)
transform_outputs = _transform(6, _outputs)
transform_taps = _transform(6, _taps)


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
def scatter(typingctx, source, at, bias, i, y, to, pitch, count, spare, j, plus, residual, least):
    """A register-full of pixels from source[at:], channels from lanes to rows y[to + r pitch :].

    Adds bias[i + r], and with ``plus`` what ``residual`` holds at y's place; numbers below
    least[0] become it (NaN stays). Of the rows only ``count`` are y's; others go to
    spare[j:].
    """
    vector = Vector(y.dtype)

    def codegen(context, builder, signature, args):
        emit = _Emitter(context, builder, vector)
        data = [emit.data(signature.args[k], args[k]) for k in (0, 2, 4, 8, 11, 12)]
        read, biases, write, rest, added, least = data
        _, at, _, i, _, to, pitch, count, _, j, plus, _, _ = args
        bias = emit.load(biases, i)
        rows = [emit.load(read, at, r * emit.lanes) for r in range(emit.lanes)]
        rows = _transpose(emit, [builder.fadd(row, bias) for row in rows])
        floor = emit.splat(least, ir.Constant(at.type, 0))

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
    kinds = (source, number, bias, number, y, number, number, number, spare, number)
    return types.void(*kinds, number, residual, least), codegen


@part
def panel_count(count):
    """How many panels ``count`` rows are cut into."""
    return (count + ROWS - 1) // ROWS


@part
def panel_rows(count, number, i):
    """Rows of panel i of ``number``: as even as can be; the last may have some too many."""
    steps = (count + _STEP - 1) // _STEP
    return max((i + 1) * steps // number - i * steps // number, 2) * _STEP


@intrinsic
def product(
    typingctx, rows, width, w, iw, row, step, x, ix, next_x, depth, out, iout, pitch, again
):
    """out[r, 0:width] = sum_k w[iw + r row + k step] * x[ix + k next_x :][0:width].

    For ``rows`` (see ``panel_rows``) rows of ``width`` (at most WIDTH) registers; row r of out
    begins at iout + r pitch. With ``again`` the sums go on from what ``out`` holds.
    """
    vector = Vector(out.dtype)

    def codegen(context, builder, signature, args):
        emit = _Emitter(context, builder, vector)
        weights, source, result = (emit.data(signature.args[i], args[i]) for i in (2, 6, 10))
        rows, width, _, iw, row, step, _, ix, next_x, depth, _, iout, pitch, again = args

        def tile(R, V):
            zero = ir.Constant(emit.kind, [0.0] * emit.lanes)
            lines, places, at, to = [], [], iw, iout
            for _ in range(R):
                lines.append(emit.at(weights, at))
                places.append(to)
                at, to = builder.add(at, row), builder.add(to, pitch)
            with builder.if_else(builder.icmp_signed("!=", again, again.type(0))) as (yes, no):
                with yes:
                    held = [emit.load(result, p, v * emit.lanes) for p in places for v in range(V)]
                    loaded = builder.block
                with no:
                    fresh = builder.block
            sums = []
            for value in held:
                phi = builder.phi(emit.kind)
                phi.add_incoming(value, loaded)
                phi.add_incoming(zero, fresh)
                sums.append(phi)
            loop = _Loop(builder, depth, sums)
            at_x, at_w = builder.mul(loop.k, next_x), builder.mul(loop.k, step)
            at_x = builder.add(ix, at_x)
            values = [emit.load(source, at_x, v * emit.lanes) for v in range(V)]
            sums = list(loop.carried)
            for r in range(R):
                weight = emit.splat(lines[r], at_w)
                for v in range(V):
                    sums[r * V + v] = emit.fma(weight, values[v], sums[r * V + v])
            loop.close(sums)
            for r in range(R):
                for v in range(V):
                    emit.store(loop.carried[r * V + v], result, places[r], v * emit.lanes)

        which = builder.add(builder.mul(rows, ir.Constant(rows.type, WIDTH + 1)), width)
        sizes = _SIZES
        cases = {R * (WIDTH + 1) + V: functools.partial(tile, R, V) for R, V in sizes}
        _switch(builder, which, cases)
        return context.get_dummy_value()

    n = types.intp
    return types.void(n, n, w, n, n, n, x, n, n, n, out, n, n, n), codegen
