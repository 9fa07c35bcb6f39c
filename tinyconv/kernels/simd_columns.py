"""Registers of every other pixel, which a stride of 2 asks for: loads, and stores between them."""

from llvmlite import ir
from numba import types
from numba.extending import intrinsic

from tinyconv.kernels.simd import Vector, _address, _mask, _masked


def _every_other(builder, vector, count):
    """Two masks of a register each: lanes 0, 2, 4, ... of both together, ``count`` of them."""
    lanes = vector.lanes
    integers = ir.VectorType(ir.IntType(32), lanes)
    number = builder.trunc(count, ir.IntType(32))
    undefined = ir.Constant(integers, ir.Undefined)
    single = builder.insert_element(undefined, number, ir.Constant(ir.IntType(32), 0))
    every = builder.shuffle_vector(single, undefined, ir.Constant(integers, [0] * lanes))
    # an odd lane's number is none that a count reaches
    never = (1 << 31) - 1
    numbers = [i // 2 if i % 2 == 0 else never for i in range(2 * lanes)]
    return [
        builder.icmp_signed("<", ir.Constant(integers, half), every)
        for half in (numbers[:lanes], numbers[lanes:])
    ]


def _pointers(context, builder, signature, args, kind, lanes):
    first = _address(context, builder, signature, args)
    second = builder.gep(first, [ir.Constant(args[1].type, lanes)])
    return [builder.bitcast(p, kind.as_pointer()) for p in (first, second)]


@intrinsic
def load_apart(typingctx, array, index, count):
    """array[index], array[index + 2], ...: ``count`` numbers (at most a register-full), then 0."""
    vector = Vector(array.dtype)

    def codegen(context, builder, signature, args):
        kind, lanes = vector.llvm_type(), vector.lanes
        align = ir.Constant(ir.IntType(32), array.dtype.bitwidth // 8)
        zero = ir.Constant(kind, [0.0] * lanes)
        pointers = _pointers(context, builder, signature, args, kind, lanes)
        halves = []
        for pointer, mask in zip(pointers, _every_other(builder, vector, args[2])):
            arguments = [pointer.type, align.type, mask.type, kind]
            function = _masked(builder, "load", vector, (kind, arguments))
            halves.append(builder.call(function, [pointer, align, mask, zero]))
        numbers = ir.VectorType(ir.IntType(32), lanes)
        return builder.shuffle_vector(*halves, ir.Constant(numbers, list(range(0, 2 * lanes, 2))))

    return vector(array, types.intp, types.intp), codegen


@intrinsic
def store_apart(typingctx, array, index, value, count):
    """array[index], array[index + 2], ... = the first ``count`` lanes of ``value``."""

    def codegen(context, builder, signature, args):
        kind, lanes = value.llvm_type(), value.lanes
        align = ir.Constant(ir.IntType(32), array.dtype.bitwidth // 8)
        pointers = _pointers(context, builder, signature, args, kind, lanes)
        masks = _every_other(builder, value, args[3])
        numbers = ir.VectorType(ir.IntType(32), lanes)
        for i, (pointer, mask) in enumerate(zip(pointers, masks)):
            order = [(i * lanes + k) // 2 for k in range(lanes)]
            spread = builder.shuffle_vector(args[2], args[2], ir.Constant(numbers, order))
            arguments = [kind, pointer.type, align.type, mask.type]
            function = _masked(builder, "store", value, (ir.VoidType(), arguments))
            builder.call(function, [spread, pointer, align, mask])
        return context.get_dummy_value()

    return types.void(array, types.intp, value, types.intp), codegen


@intrinsic
def transpose(
    typingctx, x, ix, pitch_x, rows_x, y, iy, pitch_y, rows_y, residual, ir_, add_residual, relu
):
    """y[iy + j pitch_y + i] = act(x[ix + i pitch_x + j] + residual[ir_ + j pitch_y + i]) for a
    square of as many rows and columns as a register has lanes.

    Rows beyond ``rows_x`` of x are the last one's again; those beyond ``rows_y`` of y (which
    must be equal then) go where the last one goes. ``residual`` lies as y does.
    """
    vector = Vector(y.dtype)

    def codegen(context, builder, signature, args):
        kind, lanes, kinds = vector.llvm_type(), vector.lanes, signature.args
        align = y.dtype.bitwidth // 8
        numbers = ir.VectorType(ir.IntType(32), lanes)

        def place(which, row):
            array = context.make_array(kinds[which])(context, builder, args[which]).data
            first, pitch = args[which + 1], args[which + 2]
            return builder.bitcast(
                builder.gep(array, [builder.add(first, builder.mul(row, pitch))]), kind.as_pointer()
            )

        def row(number, most):
            wanted = ir.Constant(most.type, number)
            last = builder.sub(most, ir.Constant(most.type, 1))
            return builder.select(builder.icmp_signed("<", wanted, most), wanted, last)

        rows = [builder.load(place(0, row(i, args[3])), align=align) for i in range(lanes)]
        rows = _transposed(builder, rows, numbers)

        def write(added):
            zero = ir.Constant(kind, [0.0] * lanes)
            for i in range(lanes):
                value, at = rows[i], row(i, args[7])
                if added:
                    array = context.make_array(kinds[8])(context, builder, args[8]).data
                    of = builder.add(args[9], builder.mul(at, args[6]))
                    pointer = builder.bitcast(builder.gep(array, [of]), kind.as_pointer())
                    value = builder.fadd(value, builder.load(pointer, align=align))
                cut = builder.select(builder.fcmp_ordered("<=", value, zero), zero, value)
                builder.store(builder.select(args[11], cut, value), place(4, at), align=align)

        with builder.if_else(args[10]) as (then, otherwise):
            with then:
                write(True)
            with otherwise:
                write(False)
        return context.get_dummy_value()

    number, flag = types.intp, types.boolean
    kinds = (x, number, number, number, y, number, number, number, residual, number, flag, flag)
    return types.void(*kinds), codegen


@intrinsic
def turn(typingctx, x, ix, pitch_x, rows, columns, y, iy, pitch_y):
    """y[iy + j pitch_y + i] = x[ix + i pitch_x + j] for ``rows`` i and ``columns`` j, at most a
    register-full each and at least one; nothing else is touched."""
    vector = Vector(y.dtype)

    def codegen(context, builder, signature, args):
        kind, lanes, kinds = vector.llvm_type(), vector.lanes, signature.args
        align = ir.Constant(ir.IntType(32), y.dtype.bitwidth // 8)
        zero = ir.Constant(kind, [0.0] * lanes)
        numbers = ir.VectorType(ir.IntType(32), lanes)

        def place(array, at, pitch, number, most):
            wanted, last = ir.Constant(most.type, number), ir.Constant(most.type, 1)
            last = builder.sub(most, last)
            number = builder.select(builder.icmp_signed("<", wanted, most), wanted, last)
            pointer = builder.gep(array, [builder.add(at, builder.mul(number, pitch))])
            return builder.bitcast(pointer, kind.as_pointer())

        source = context.make_array(kinds[0])(context, builder, args[0]).data
        target = context.make_array(kinds[5])(context, builder, args[5]).data
        _, ix, pitch_x, rows, columns, _, iy, pitch_y = args
        half = ir.Constant(rows.type, lanes // 2)
        seen, filled = _mask(builder, vector, columns), _mask(builder, vector, rows)
        # the same lanes, half a register higher
        order = [lanes] * (lanes // 2) + list(range(lanes // 2))
        nothing = ir.Constant(filled.type, [0] * lanes)
        raised = builder.shuffle_vector(filled, nothing, ir.Constant(numbers, order))

        def square(count):
            """The turn of ``count`` rows: all of a register's, or half of them, of which each
            register then holds two columns."""
            values = []
            for i in range(count):
                pointer = place(source, ix, pitch_x, i, rows)
                arguments = [pointer.type, align.type, seen.type, kind]
                function = _masked(builder, "load", vector, (kind, arguments))
                values.append(builder.call(function, [pointer, align, seen, zero]))
            values = _transposed(builder, values, numbers)
            # backwards: what has no place of its own goes to the last one's, and is written over
            for j in reversed(range(lanes)):
                at, mask = iy, filled
                if j >= count:
                    at, mask = builder.sub(iy, half), raised
                pointer = place(target, at, pitch_y, j, columns)
                arguments = [kind, pointer.type, align.type, mask.type]
                function = _masked(builder, "store", vector, (ir.VoidType(), arguments))
                builder.call(function, [values[j % count], pointer, align, mask])

        with builder.if_else(builder.icmp_signed("<=", rows, half)) as (few, many):
            with few:
                square(lanes // 2)
            with many:
                square(lanes)
        return context.get_dummy_value()

    n = types.intp
    return types.void(x, n, n, n, n, y, n, n), codegen


def _transposed(builder, rows, numbers):
    """A square of registers, transposed: log2(lanes) rounds that exchange halves. Of half as many
    registers, both squares."""
    rows, lanes = list(rows), numbers.count
    half = len(rows) // 2
    while half:
        for i in [i for i in range(len(rows)) if not i & half]:
            a, b = rows[i], rows[i + half]
            upper = [k if not k & half else k - half + lanes for k in range(lanes)]
            lower = [k + half if not k & half else k + lanes for k in range(lanes)]
            rows[i] = builder.shuffle_vector(a, b, ir.Constant(numbers, upper))
            rows[i + half] = builder.shuffle_vector(a, b, ir.Constant(numbers, lower))
        half //= 2
    return rows


__all__ = ["load_apart", "store_apart", "transpose", "turn"]
