"""The register tile: the innermost loop of every convolution, written once as LLVM code.

A tile keeps up to 8 rows x 3 registers of the result while it runs along the depth K. Per
step it loads 3 registers of pixels and broadcasts one weight per row:

    result[r, 0:48] = first[r] + sum_k weights[k, r] * source[offset[k] : offset[k] + 48]

(48 pixels: 3 registers of 16 floats; the last ones of a run take fewer registers.) Where the
pixels of step k lie is told by a table of offsets, so one loop serves packed columns, padded
planes and plain images; how many rows a tile has is exact, so no channel is rounded up.

The loops are emitted as LLVM code by Python loops over rows and registers: the same in
Numba's Python would be one page per number of rows, and slow to compile.
"""

import functools

from llvmlite import ir
from numba import types
from numba.extending import intrinsic

from tinyconv.kernels.simd import BITS, Vector

#: rows of a tile at most: 24 of 32 registers hold results, or 12 of 16
ROWS = 8 if BITS == 512 else 4
#: registers that a tile is wide
WIDTH = 3
#: the tile of dot products: so many rows of one array by so many of the other
DOT_ROWS, DOT_TAPS = (6, 4) if BITS == 512 else (4, 3)


def panels(count, most=ROWS):
    """Cut ``count`` rows into panels of equal height, or one less: [(first, rows), ...].

    >>> panels(10, 8)
    [(0, 5), (5, 5)]
    """
    number = -(-count // most)
    bounds = [i * count // number for i in range(number + 1)]
    return [(a, b - a) for a, b in zip(bounds, bounds[1:])]


def dot_cell(lanes):
    """How many numbers a tile of dot products is given: its sums, in whole registers."""
    return -(-DOT_ROWS * DOT_TAPS // lanes) * lanes


class _Loop:
    """``for k in range(count)`` with values carried from step to step."""

    def __init__(self, builder, count, carried):
        integer = count.type
        self.builder, self.carried = builder, []
        before = builder.block
        self.head = builder.append_basic_block("tile.head")
        body = builder.append_basic_block("tile.body")
        self.end = builder.append_basic_block("tile.end")
        builder.branch(self.head)
        builder.position_at_end(self.head)
        self.k = builder.phi(integer)
        self.k.add_incoming(ir.Constant(integer, 0), before)
        for value in carried:
            phi = builder.phi(value.type)
            phi.add_incoming(value, before)
            self.carried.append(phi)
        builder.cbranch(builder.icmp_signed("<", self.k, count), body, self.end)
        builder.position_at_end(body)

    def close(self, values):
        """End the body with the next step's ``values``; the results are ``carried``."""
        builder = self.builder
        after = builder.block
        self.k.add_incoming(builder.add(self.k, ir.Constant(self.k.type, 1)), after)
        for phi, value in zip(self.carried, values):
            phi.add_incoming(value, after)
        builder.branch(self.head)
        builder.position_at_end(self.end)


class _Emitter:
    """Loads, stores and multiply-adds on flat arrays, by index."""

    def __init__(self, context, builder, vector):
        self.context, self.builder, self.kind = context, builder, vector.llvm_type()
        self.size, self.lanes = vector.dtype.bitwidth // 8, vector.lanes

    def data(self, array_type, array):
        if isinstance(array_type, types.CPointer):
            return array
        return self.context.make_array(array_type)(self.context, self.builder, array).data

    def at(self, data, index, more=0):
        if more:
            index = self.builder.add(index, ir.Constant(index.type, more))
        return self.builder.gep(data, [index])

    def load(self, data, index, more=0):
        pointer = self.builder.bitcast(self.at(data, index, more), self.kind.as_pointer())
        return self.builder.load(pointer, align=self.size)

    def store(self, value, data, index, more=0):
        pointer = self.builder.bitcast(self.at(data, index, more), self.kind.as_pointer())
        self.builder.store(value, pointer, align=self.size)

    def splat(self, data, index, more=0):
        number = self.builder.load(self.at(data, index, more))
        undefined = ir.Constant(self.kind, ir.Undefined)
        single = self.builder.insert_element(undefined, number, ir.Constant(ir.IntType(32), 0))
        zeros = ir.Constant(ir.VectorType(ir.IntType(32), self.lanes), [0] * self.lanes)
        return self.builder.shuffle_vector(single, undefined, zeros)

    def fma(self, a, b, c):
        product = self.builder.fmul(a, b, flags=("contract",))
        return self.builder.fadd(product, c, flags=("contract",))


def _switch(builder, number, cases):
    """Run ``cases[number]()``, which emits code; a number with no case is not allowed."""
    after = builder.append_basic_block("tile.done")
    other = builder.append_basic_block("tile.never")
    switch = builder.switch(number, other)
    for i, case in cases.items():
        block = builder.append_basic_block("tile.case")
        switch.add_case(ir.Constant(number.type, i), block)
        builder.position_at_end(block)
        case()
        builder.branch(after)
    builder.position_at_end(other)
    builder.unreachable()
    builder.position_at_end(after)


@intrinsic
def multiply(
    typingctx, rows, width, w, iw, first, ifirst, x, ix, offsets, io, depth, out, iout, pitch
):
    """out[r, 0:width] = first[r] + sum_k w[k, r] * x[offsets[k] :][0:width] for a panel of
    ``rows`` rows (at most ROWS); ``width`` in registers (at most WIDTH).

    All arrays are flat; w[iw:] is (depth, rows), first[ifirst:] one number per row,
    offsets[io:] one per step, counted from ``ix``; row r of out begins at iout + r pitch.
    """
    vector = Vector(out.dtype)

    def codegen(context, builder, signature, args):
        emit = _Emitter(context, builder, vector)
        kinds = signature.args
        weights, start = emit.data(kinds[2], args[2]), emit.data(kinds[4], args[4])
        source, table = emit.data(kinds[6], args[6]), emit.data(kinds[8], args[8])
        result = emit.data(kinds[11], args[11])
        rows, width, _, iw, _, ifirst, _, ix, _, io, depth, _, iout, pitch = args

        def tile(R, V):
            sums = [s for r in range(R) for s in [emit.splat(start, ifirst, r)] * V]
            loop = _Loop(builder, depth, sums)
            at_x = builder.add(ix, builder.load(emit.at(table, builder.add(io, loop.k))))
            at_w = builder.add(iw, builder.mul(loop.k, ir.Constant(iw.type, R)))
            pixels = [emit.load(source, at_x, v * emit.lanes) for v in range(V)]
            sums = list(loop.carried)
            for r in range(R):
                weight = emit.splat(weights, at_w, r)
                for v in range(V):
                    sums[r * V + v] = emit.fma(weight, pixels[v], sums[r * V + v])
            loop.close(sums)
            row = iout
            for r in range(R):
                for v in range(V):
                    emit.store(loop.carried[r * V + v], result, row, v * emit.lanes)
                row = builder.add(row, pitch)

        which = builder.add(builder.mul(rows, ir.Constant(rows.type, WIDTH + 1)), width)
        sizes = [(R, V) for R in range(1, ROWS + 1) for V in range(1, WIDTH + 1)]
        cases = {R * (WIDTH + 1) + V: functools.partial(tile, R, V) for R, V in sizes}
        _switch(builder, which, cases)
        return context.get_dummy_value()

    number = types.intp
    kinds = (number, number, w, number, first, number, x, number, offsets, number, number)
    return types.void(*kinds, out, number, number), codegen


def _totals(emit, values):
    """The sums of the lanes of each register, side by side in one: log2(lanes) rounds, each
    of which adds the halves of two registers, a fixed order."""
    builder, lanes = emit.builder, emit.lanes
    values = values + [values[-1]] * (lanes - len(values))
    half = lanes // 2
    while half:
        # of every register in blocks of 2 half: first halves and second halves, interlaced
        low = [i for start in range(0, lanes, 2 * half) for i in range(start, start + half)]
        first = ir.Constant(
            ir.VectorType(ir.IntType(32), lanes), _interlace(low, [i + lanes for i in low], half)
        )
        second = ir.Constant(
            ir.VectorType(ir.IntType(32), lanes),
            _interlace([i + half for i in low], [i + half + lanes for i in low], half),
        )
        count = len(values) // 2
        values = [
            builder.fadd(
                builder.shuffle_vector(values[i], values[i + count], first),
                builder.shuffle_vector(values[i], values[i + count], second),
            )
            for i in range(count)
        ]
        half //= 2
    return values[0]


def _interlace(a, b, block):
    return [i for k in range(0, len(a), block) for i in a[k : k + block] + b[k : k + block]]


@intrinsic
def dot(typingctx, rows, a, ia, pitch, b, ib, offsets, io, images, lines, length, out, iout):
    """out[r DOT_TAPS + t] += sum_p a[ia + r pitch + p] * b[ib + offsets[io + t] + p].

    For ``rows`` (at most DOT_ROWS) rows of ``a`` and DOT_TAPS rows of ``b``; p runs over
    ``length`` numbers, a multiple of a register's, of so many lines of so many images:
    ``images`` and ``lines`` are (how many, from one to the next in a, and in b). ``out`` is read
    and written in whole registers: a tile's cell is ``dot_cell(lanes)`` numbers large.
    """
    vector = Vector(out.dtype)

    def codegen(context, builder, signature, args):
        emit = _Emitter(context, builder, vector)
        kinds = signature.args
        left, right = emit.data(kinds[1], args[1]), emit.data(kinds[4], args[4])
        table, result = emit.data(kinds[6], args[6]), emit.data(kinds[11], args[11])
        rows, _, ia, pitch, _, ib, _, io, images, lines, length, _, iout = args
        starts = [builder.add(ib, builder.load(emit.at(table, io, t))) for t in range(DOT_TAPS)]
        zero = ir.Constant(emit.kind, [0.0] * emit.lanes)
        lanes = ir.Constant(length.type, emit.lanes)
        steps = builder.sdiv(length, lanes)

        def tile(R):
            sums, loops, at_a, at_b = [zero] * (R * DOT_TAPS), [], ia, None
            for shape in (images, lines):
                count, step_a, step_b = (builder.extract_value(shape, i) for i in range(3))
                loops.append(_Loop(builder, count, sums))
                sums = loops[-1].carried
                at_a = builder.add(at_a, builder.mul(loops[-1].k, step_a))
                more = builder.mul(loops[-1].k, step_b)
                at_b = builder.add(at_b, more) if at_b else more
            loops.append(_Loop(builder, steps, sums))
            p = builder.mul(loops[-1].k, lanes)
            at_a, at_b = builder.add(at_a, p), builder.add(at_b, p)
            pixels = [emit.load(right, builder.add(at, at_b)) for at in starts]
            sums = list(loops[-1].carried)
            for r in range(R):
                row = emit.load(left, at_a)
                at_a = builder.add(at_a, pitch)
                for t in range(DOT_TAPS):
                    sums[r * DOT_TAPS + t] = emit.fma(row, pixels[t], sums[r * DOT_TAPS + t])
            for loop in reversed(loops):
                loop.close(sums)
                sums = loop.carried
            for at in range(0, R * DOT_TAPS, emit.lanes):
                totals = _totals(emit, sums[at : at + emit.lanes])
                before = emit.load(result, iout, at)
                emit.store(builder.fadd(before, totals), result, iout, at)

        _switch(builder, rows, {R: functools.partial(tile, R) for R in range(1, DOT_ROWS + 1)})
        return context.get_dummy_value()

    number = types.intp
    kinds = (number, a, number, number, b, number, offsets, number, images, lines)
    kinds = (*kinds, number, out, number)
    return types.void(*kinds), codegen
