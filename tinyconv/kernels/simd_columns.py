"""Registers of every other pixel, which a stride of 2 asks for: loads, and stores between them."""

from llvmlite import ir
from numba import types
from numba.extending import intrinsic

from tinyconv.kernels.simd import Vector, _address, _masked


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


__all__ = ["load_apart", "store_apart"]
