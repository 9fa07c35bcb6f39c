"""More on vectors as Numba values: choices between lanes, and lanes put in another order."""

from llvmlite import ir
from numba import types
from numba.extending import intrinsic

from tinyconv.kernels.simd import Vector, _address


def _constant(vector, number):
    return ir.Constant(vector.llvm_type(), [float(number)] * vector.lanes)


@intrinsic
def every(typingctx, array, number):
    """``number`` in every lane of a register of the array's dtype."""
    vector = Vector(array.dtype)

    def codegen(context, builder, signature, args):
        kind = vector.llvm_type()
        value = context.cast(builder, args[1], signature.args[1], array.dtype)
        undefined = ir.Constant(kind, ir.Undefined)
        single = builder.insert_element(undefined, value, ir.Constant(ir.IntType(32), 0))
        zeros = ir.Constant(ir.VectorType(ir.IntType(32), vector.lanes), [0] * vector.lanes)
        return builder.shuffle_vector(single, undefined, zeros)

    return vector(array, number), codegen


@intrinsic
def multiply(typingctx, a, b):
    """a * b in every lane."""

    def codegen(context, builder, signature, args):
        return builder.fmul(*args)

    return a(a, b), codegen


@intrinsic
def where_larger(typingctx, new, old, a, b):
    """a where ``new`` > ``old`` or ``new`` is NaN, else b: what a maximum takes over."""

    def codegen(context, builder, signature, args):
        new, old, a, b = args
        larger = builder.fcmp_ordered(">", new, old)
        return builder.select(builder.or_(larger, builder.fcmp_unordered("uno", new, new)), a, b)

    return a(new, old, a, b), codegen


@intrinsic
def larger(typingctx, new, old):
    """max(new, old) in every lane, neither of them NaN."""

    def codegen(context, builder, signature, args):
        return builder.select(builder.fcmp_ordered(">", *args), *args)

    return new(new, old), codegen


@intrinsic
def where_above(typingctx, new, old, a, b):
    """a where ``new`` > ``old``, else b."""

    def codegen(context, builder, signature, args):
        return builder.select(builder.fcmp_ordered(">", args[0], args[1]), args[2], args[3])

    return a(new, old, a, b), codegen


@intrinsic
def has_nan(typingctx, a):
    """Whether any lane is NaN."""

    def codegen(context, builder, signature, args):
        mask = builder.fcmp_unordered("uno", args[0], args[0])
        bits = builder.bitcast(mask, ir.IntType(a.lanes))
        return builder.icmp_unsigned("!=", bits, ir.Constant(bits.type, 0))

    return types.boolean(a), codegen


@intrinsic
def where_equal(typingctx, a, b, value):
    """``value`` where a = b, else 0."""

    def codegen(context, builder, signature, args):
        equal = builder.fcmp_ordered("==", args[0], args[1])
        return builder.select(equal, args[2], _constant(value, 0))

    return value(a, b, value), codegen


def _integers(array, vector):
    return ir.VectorType(ir.IntType(array.dtype.bitwidth), vector.lanes)


@intrinsic
def load_as(typingctx, array, index, like):
    """A register-full of unsigned integers ``array[index:]``, as floats of the kind of ``like``."""

    def codegen(context, builder, signature, args):
        kind = _integers(array, like)
        pointer = builder.bitcast(_address(context, builder, signature, args), kind.as_pointer())
        numbers = builder.load(pointer, align=array.dtype.bitwidth // 8)
        return builder.uitofp(numbers, like.llvm_type())

    return like(array, types.intp, like), codegen


@intrinsic
def add_where(typingctx, total, value, array, index, number):
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


@intrinsic
def store_as(typingctx, array, index, value):
    """``array[index:] = value``, whole numbers, for a register-full of unsigned integers."""

    def codegen(context, builder, signature, args):
        kind = _integers(array, value)
        pointer = builder.bitcast(_address(context, builder, signature, args), kind.as_pointer())
        wide = ir.VectorType(ir.IntType(value.dtype.bitwidth), value.lanes)
        numbers = builder.fptosi(args[2], wide)
        if wide != kind:
            numbers = builder.trunc(numbers, kind)
        builder.store(numbers, pointer, align=array.dtype.bitwidth // 8)
        return context.get_dummy_value()

    return types.void(array, types.intp, value), codegen


def _shuffle(name, doc, order):
    """An intrinsic on two registers that picks lanes by number, the second's after the first's."""

    def typing(typingctx, a, b):
        def codegen(context, builder, signature, args):
            numbers = ir.VectorType(ir.IntType(32), a.lanes)
            return builder.shuffle_vector(*args, ir.Constant(numbers, order(a.lanes)))

        return a(a, b), codegen

    typing.__name__, typing.__doc__ = name, doc
    return intrinsic(typing)


evens = _shuffle("evens", "The even lanes of a, then of b.", lambda n: list(range(0, 2 * n, 2)))
odds = _shuffle("odds", "The odd lanes of a, then of b.", lambda n: list(range(1, 2 * n, 2)))
#: a[0], b[0], a[1], ...: the first register-full of a and b interleaved, and the second
zipped_low = _shuffle(
    "zipped_low", "The lower halves of a and b, in turn.", lambda n: _in_turn(range(n // 2), n)
)
zipped_high = _shuffle(
    "zipped_high", "The upper halves of a and b, in turn.", lambda n: _in_turn(range(n // 2, n), n)
)


def _in_turn(lanes, count):
    return [lane for i in lanes for lane in (i, i + count)]
