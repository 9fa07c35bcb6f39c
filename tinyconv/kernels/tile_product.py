"""The register tile of the matrix product, and the transposition of a block in registers.

As in ``tile``: up to 8 rows x 3 registers of the result stay in registers while the tile runs
along the depth K, and loops over rows and registers are Python's, that emit LLVM code. But the
left matrix needs no packing (a broadcast reads it at any two strides), and the last register
may be a part of one (its loads and stores are masked): a small product is one call, with
nothing laid out before.
"""

import functools

from llvmlite import ir
from numba import types
from numba.extending import intrinsic

from tinyconv.kernels.simd import Vector, _mask, _masked
from tinyconv.kernels.tile import ROWS, WIDTH, _Emitter, _Loop, _switch


class _MaskedEmitter(_Emitter):
    """Loads and stores of a register's first lanes."""

    def __init__(self, context, builder, vector):
        super().__init__(context, builder, vector)
        self.vector = vector

    def mask(self, count):
        """The mask of the first ``count`` lanes."""
        return _mask(self.builder, self.vector, count)

    def load_some(self, data, index, more, mask):
        pointer = self.builder.bitcast(self.at(data, index, more), self.kind.as_pointer())
        align = ir.Constant(ir.IntType(32), self.size)
        arguments = [pointer.type, align.type, mask.type, self.kind]
        load = _masked(self.builder, "load", self.vector, (self.kind, arguments))
        zeros = ir.Constant(self.kind, [0.0] * self.lanes)
        return self.builder.call(load, [pointer, align, mask, zeros])

    def store_some(self, value, data, index, more, mask):
        pointer = self.builder.bitcast(self.at(data, index, more), self.kind.as_pointer())
        align = ir.Constant(ir.IntType(32), self.size)
        arguments = [self.kind, pointer.type, align.type, mask.type]
        store = _masked(self.builder, "store", self.vector, (ir.VoidType(), arguments))
        self.builder.call(store, [value, pointer, align, mask])


@intrinsic
def multiply_some(
    typingctx, rows, columns, a, ia, row_a, step_a, b, ib, row_b, depth, first, ifirst, row_first,
    c, ic, row_c,
):  # fmt: skip
    """c[r, j] = first[r, j] + sum_k a[r, k] b[k, j] for ``rows`` rows (at most ROWS) and
    ``columns`` columns (at most WIDTH registers).

    All arrays are flat, their first element at ia, ib, ifirst, ic; from row to row it is row_*,
    from a[r, k] to a[r, k + 1] step_a; b, first and c are contiguous along j. ``first`` may be c.
    """
    vector = Vector(c.dtype)

    def codegen(context, builder, signature, args):
        emit = _MaskedEmitter(context, builder, vector)
        kinds = signature.args
        left, right = emit.data(kinds[2], args[2]), emit.data(kinds[6], args[6])
        start, result = emit.data(kinds[10], args[10]), emit.data(kinds[13], args[13])
        rows, columns, _, ia, row_a, step_a, _, ib, row_b, depth = args[:10]
        _, ifirst, row_first, _, ic, row_c = args[10:]
        whole = ir.Constant(columns.type, emit.lanes)
        one = ir.Constant(columns.type, 1)
        registers = builder.sdiv(builder.add(columns, builder.sub(whole, one)), whole)
        before = builder.mul(builder.sub(registers, one), whole)
        mask = emit.mask(builder.sub(columns, before))

        def load(data, index, v, V):
            if v + 1 == V:
                return emit.load_some(data, index, v * emit.lanes, mask)
            return emit.load(data, index, v * emit.lanes)

        def tile(R, V):
            sums, at = [], ifirst
            lines, line = [], emit.at(left, ia)
            for r in range(R):
                sums += [load(start, at, v, V) for v in range(V)]
                lines.append(line)
                if r + 1 < R:
                    at, line = builder.add(at, row_first), builder.gep(line, [row_a])
            zero = ir.Constant(ia.type, 0)
            loop = _Loop(builder, depth, [zero, ib, *sums])
            at_a, at_b, *sums = loop.carried
            numbers = [load(right, at_b, v, V) for v in range(V)]
            for r in range(R):
                factor = emit.splat(lines[r], at_a)
                for v in range(V):
                    sums[r * V + v] = emit.fma(factor, numbers[v], sums[r * V + v])
            loop.close([builder.add(at_a, step_a), builder.add(at_b, row_b), *sums])
            at, sums = ic, loop.carried[2:]
            for r in range(R):
                for v in range(V - 1):
                    emit.store(sums[r * V + v], result, at, v * emit.lanes)
                emit.store_some(sums[r * V + V - 1], result, at, (V - 1) * emit.lanes, mask)
                at = builder.add(at, row_c)

        which = builder.add(builder.mul(rows, ir.Constant(rows.type, WIDTH + 1)), registers)
        sizes = [(R, V) for R in range(1, ROWS + 1) for V in range(1, WIDTH + 1)]
        cases = {R * (WIDTH + 1) + V: functools.partial(tile, R, V) for R, V in sizes}
        _switch(builder, which, cases)
        return context.get_dummy_value()

    n = types.intp
    kinds = (n, n, a, n, n, n, b, n, n, n, first, n, n, c, n, n)
    return types.void(*kinds), codegen


@intrinsic
def transpose(typingctx, x, ix, row_x, rows, columns, y, iy, row_y):
    """y[j, i] = x[i, j] for i < rows, j < columns, at most a register's lanes each.

    Of y a whole square is written, zeros (or anything, from row ``columns`` on) beyond.
    """
    vector = Vector(y.dtype)

    def codegen(context, builder, signature, args):
        emit = _MaskedEmitter(context, builder, vector)
        source, result = (
            emit.data(signature.args[0], args[0]),
            emit.data(signature.args[5], args[5]),
        )
        _, at, row_x, rows, columns, _, iy, row_y = args
        n = emit.lanes
        none = ir.Constant(columns.type, 0)
        values = []
        for i in range(n):
            there = builder.icmp_signed(">", rows, ir.Constant(rows.type, i))
            mask = emit.mask(builder.select(there, columns, none))
            values.append(emit.load_some(source, at, 0, mask))
            at = builder.add(at, row_x)
        # each round interlaces register i with register i + n / 2, as one shuffles cards:
        # after log2(n) of them a number's place within its register is its register's number
        orders = [
            ir.Constant(ir.VectorType(ir.IntType(32), n), [i for k in half for i in (k, k + n)])
            for half in (range(n // 2), range(n // 2, n))
        ]
        for _ in range(n.bit_length() - 1):
            values = [
                builder.shuffle_vector(values[i], values[i + n // 2], order)
                for i in range(n // 2)
                for order in orders
            ]
        for value in values:
            emit.store(value, result, iy)
            iy = builder.add(iy, row_y)
        return context.get_dummy_value()

    n = types.intp
    return types.void(x, n, n, n, n, y, n, n), codegen
