"""The register tile of the matrix product, and the transposition of a block in registers.

As in ``tile``: up to 8 rows x 3 registers of the result stay in registers while the tile runs
along the depth K, and loops over rows and registers are Python's, that emit LLVM code. But the
left matrix needs no packing (a broadcast reads it at any two strides), and the last register
may be a part of one (its loads and stores are masked): a small product is one call, with
nothing laid out before.
"""

import functools
from typing import NamedTuple

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

    def data(self, array_type, array):
        return array if isinstance(array_type, types.CPointer) else super().data(array_type, array)

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

    def prefetch(self, data, index):
        """Ask for the cache line of data[index], which need not exist."""
        number, byte = ir.IntType(32), ir.IntType(8).as_pointer()
        kind = ir.FunctionType(ir.VoidType(), [byte, *[number] * 3])
        function = self.builder.module.declare_intrinsic("llvm.prefetch.p0", fnty=kind)
        pointer = self.builder.bitcast(self.at(data, index), byte)
        # to read it, into all levels of the cache, of data
        self.builder.call(function, [pointer, *(ir.Constant(number, k) for k in (0, 3, 1))])

    def store_some(self, value, data, index, more, mask):
        pointer = self.builder.bitcast(self.at(data, index, more), self.kind.as_pointer())
        align = ir.Constant(ir.IntType(32), self.size)
        arguments = [self.kind, pointer.type, align.type, mask.type]
        store = _masked(self.builder, "store", self.vector, (ir.VoidType(), arguments))
        self.builder.call(store, [value, pointer, align, mask])


class _Operand(NamedTuple):
    """A matrix of a product: flat data, its first element, the way from row to row, and (of
    the left one) from number to number or (of ``first``) from register to register."""

    data: object
    at: object
    row: object
    step: object = None


def _product(
    emit, rows, columns, left, right, depth, first, result, runs=None, soon=None, finish=None
):  # fmt: skip
    """Emit result = first + left right for one tile; see ``multiply_some``, ``multiply_runs``.

    Without ``first``, ``finish(sums, R, V, mask)`` puts the products where they belong."""
    builder = emit.builder
    whole = ir.Constant(columns.type, emit.lanes)
    zero, one = ir.Constant(columns.type, 0), ir.Constant(columns.type, 1)
    registers = builder.sdiv(builder.add(columns, builder.sub(whole, one)), whole)
    before = builder.mul(builder.sub(registers, one), whole)
    mask = emit.mask(builder.sub(columns, before))

    def load(data, index, v, V):
        if v + 1 == V:
            return emit.load_some(data, index, v * emit.lanes, mask)
        return emit.load(data, index, v * emit.lanes)

    def steps(R, V, lines, start):
        """The loop along the depth: ``start`` and then the ends hold the places in left, right
        and what to ask for, and the sums."""
        loop = _Loop(builder, depth, start)
        at_a, at_b, asked, *sums = loop.carried
        numbers = [load(right.data, at_b, v, V) for v in range(V)]
        for r in range(R):
            factor = emit.splat(lines[r], at_a)
            for v in range(V):
                sums[r * V + v] = emit.fma(factor, numbers[v], sums[r * V + v])
        if soon is not None:
            asked = soon(asked)
        loop.close([builder.add(at_a, left.step), builder.add(at_b, right.row), asked, *sums])
        return loop.carried

    def firsts(R, V):
        if first is None:
            return [ir.Constant(emit.kind, [0.0] * emit.lanes)] * (R * V)
        sums, at = [], first.at
        for _ in range(R):
            place = at
            for v in range(V):
                last = v + 1 == V
                sums.append(load(first.data, place, 0, 1 if last else 2))
                place = place if last else builder.add(place, first.step)
            at = builder.add(at, first.row)
        return sums

    def tile(R, V):
        sums, lines = firsts(R, V), [emit.at(left.data, left.at)]
        for _ in range(1, R):
            lines.append(builder.gep(lines[-1], [left.row]))
        start = [zero, right.at, zero if soon is None else soon.start, *sums]
        if runs is None:
            ends = steps(R, V, lines, start)
        else:
            count, jump_a, jump_b = runs
            outer = _Loop(builder, count, start)
            start_a, start_b = outer.carried[:2]
            ends = steps(R, V, lines, outer.carried)
            jumped = [builder.add(start_a, jump_a), builder.add(start_b, jump_b)]
            outer.close([*jumped, *ends[2:]])
            ends = outer.carried
        if finish is not None:
            finish(ends[3:], R, V, mask)
            return
        at, sums = result.at, ends[3:]
        for r in range(R):
            for v in range(V - 1):
                emit.store(sums[r * V + v], result.data, at, v * emit.lanes)
            emit.store_some(sums[r * V + V - 1], result.data, at, (V - 1) * emit.lanes, mask)
            at = builder.add(at, result.row)

    which = builder.add(builder.mul(rows, ir.Constant(rows.type, WIDTH + 1)), registers)
    sizes = [(R, V) for R in range(1, ROWS + 1) for V in range(1, WIDTH + 1)]
    cases = {R * (WIDTH + 1) + V: functools.partial(tile, R, V) for R, V in sizes}
    _switch(builder, which, cases)


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
        left, right, start, result = (emit.data(kinds[k], args[k]) for k in (2, 6, 10, 13))
        rows, columns, _, ia, row_a, step_a, _, ib, row_b, depth = args[:10]
        _, ifirst, row_first, _, ic, row_c = args[10:]
        lanes = ir.Constant(ifirst.type, emit.lanes)
        _product(
            emit, rows, columns, _Operand(left, ia, row_a, step_a), _Operand(right, ib, row_b),
            depth, _Operand(start, ifirst, row_first, lanes), _Operand(result, ic, row_c),
        )  # fmt: skip
        return context.get_dummy_value()

    n = types.intp
    kinds = (n, n, a, n, n, n, b, n, n, n, first, n, n, c, n, n)
    return types.void(*kinds), codegen


class _Soon:
    """What a tile asks for on its way, a cache line per step or less: line number i of what will
    be needed soon lies at row i >> shift of it, register i & (2^shift - 1)."""

    def __init__(self, emit, data, at, row, shift, start, rate):
        self.emit, self.data, self.at, self.row, self.shift = emit, data, at, row, shift
        self.start, self.rate = start, rate
        builder, self.one = emit.builder, ir.Constant(shift.type, 1)
        self.mask = builder.sub(builder.shl(self.one, shift), self.one)

    def __call__(self, asked):
        """Ask for line ``asked`` (in 65536ths); returns the next."""
        builder, kind = self.emit.builder, self.shift.type
        i = builder.lshr(asked, ir.Constant(kind, 16))
        row = builder.mul(builder.lshr(i, self.shift), self.row)
        register = builder.mul(builder.and_(i, self.mask), ir.Constant(kind, self.emit.lanes))
        self.emit.prefetch(self.data, builder.add(builder.add(self.at, row), register))
        return builder.add(asked, self.rate)


@intrinsic
def multiply_runs(
    typingctx, rows, columns, a, ia, row_a, step_a, b, ib, row_b, depth, runs, run_a, run_b,
    first, ifirst, row_first, step_first, c, ic, row_c, soon, isoon, row_soon, shift, line, rate,
):  # fmt: skip
    """``multiply_some`` for a sum over several ``runs`` of ``depth`` steps, which begin run_a and
    run_b apart, with step_first from register to register of ``first`` (0: one serves a row).

    On its way the tile asks for cache lines that will be needed later: numbers line, line + rate,
    ... (in 65536ths, one each step) of soon[isoon:], which has 2^shift lines in a row and
    row_soon from row to row. A burst of requests would hold up the tile; these it hides.
    """
    vector = Vector(c.dtype)

    def codegen(context, builder, signature, args):
        emit = _MaskedEmitter(context, builder, vector)
        kinds = signature.args
        places = (2, 6, 13, 17, 20)
        left, right, start, result, later = (emit.data(kinds[k], args[k]) for k in places)
        rows, columns, _, ia, row_a, step_a, _, ib, row_b, depth, *runs = args[:13]
        _, ifirst, row_first, step_first, _, ic, row_c = args[13:20]
        _, isoon, row_soon, shift, line, rate = args[20:]
        _product(
            emit, rows, columns, _Operand(left, ia, row_a, step_a), _Operand(right, ib, row_b),
            depth, _Operand(start, ifirst, row_first, step_first), _Operand(result, ic, row_c),
            runs, _Soon(emit, later, isoon, row_soon, shift, line, rate),
        )  # fmt: skip
        return context.get_dummy_value()

    n = types.intp
    kinds = (
        n, n, a, n, n, n, b, n, n, n, n, n, n, first, n, n, n, c, n, n, soon, n, n, n, n, n,
    )  # fmt: skip
    return types.void(*kinds), codegen


@intrinsic
def multiply_points(
    typingctx, rows, columns, a, ia, row_a, step_a, b, ib, row_b, depth, scale, bias, i,
    residual, plus, least, c, ic, row_c, soon, isoon, row_soon, shift, line, rate,
):  # fmt: skip
    """c[r, j] = max(scale[i + r] sum_k a[r, k] b[k, j] + bias[i + r] + residual[r, j], least[0]),
    otherwise as ``multiply_some``; the residual, only with ``plus``, lies as c does, and NaN stays.

    It asks for cache lines as ``multiply_runs`` does.
    """
    vector = Vector(c.dtype)

    def codegen(context, builder, signature, args):
        emit = _MaskedEmitter(context, builder, vector)
        kinds = signature.args
        places = (2, 6, 10, 11, 13, 15, 16, 19)
        left, right, scales, biases, added, floor, result, later = (
            emit.data(kinds[k], args[k]) for k in places
        )
        rows, columns, _, ia, row_a, step_a, _, ib, row_b, depth = args[:10]
        _, _, i, _, plus, _, _, ic, row_c = args[10:19]
        _, isoon, row_soon, shift, line, rate = args[19:]

        def finish(sums, R, V, mask):
            zero = ir.Constant(i.type, 0)
            low = emit.splat(floor, zero)
            values = []
            for r in range(R):
                factor, more = emit.splat(scales, i, r), emit.splat(biases, i, r)
                values += [emit.fma(factor, s, more) for s in sums[r * V : (r + 1) * V]]

            def put(with_residual):
                at = ic
                for r in range(R):
                    for v in range(V):
                        value, last = values[r * V + v], v + 1 == V
                        if with_residual:
                            other = (
                                emit.load_some(added, at, v * emit.lanes, mask)
                                if last
                                else emit.load(added, at, v * emit.lanes)
                            )
                            value = builder.fadd(value, other)
                        value = builder.select(builder.fcmp_ordered("<=", value, low), low, value)
                        if last:
                            emit.store_some(value, result, at, v * emit.lanes, mask)
                        else:
                            emit.store(value, result, at, v * emit.lanes)
                    at = builder.add(at, row_c)

            with builder.if_else(plus) as (yes, no):
                with yes:
                    put(True)
                with no:
                    put(False)

        _product(
            emit, rows, columns, _Operand(left, ia, row_a, step_a), _Operand(right, ib, row_b),
            depth, None, _Operand(result, ic, row_c),
            soon=_Soon(emit, later, isoon, row_soon, shift, line, rate), finish=finish,
        )  # fmt: skip
        return context.get_dummy_value()

    n = types.intp
    kinds = (
        n, n, a, n, n, n, b, n, n, n, scale, bias, n, residual, types.boolean, least, c, n, n,
        soon, n, n, n, n, n,
    )  # fmt: skip
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
