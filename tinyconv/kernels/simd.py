"""Vectors as Numba values: one register of the processor, written as readable Python.

``load(array, i)`` reads as many numbers from ``array[i:]`` as a register holds, of the
array's own dtype, so a kernel written with these is float32 and float64 from one source.
"""

import llvmlite.binding as llvm
from llvmlite import ir
from numba import types
from numba.extending import intrinsic, models, register_model

from tinyconv.kernels.jit import part

#: 512-bit registers where the processor has them, else 256 (LLVM splits these where
#: registers are smaller still)
BITS = 512 if llvm.get_host_cpu_features().get("avx512f") else 256


class Vector(types.Type):
    """The Numba type of a register of floats."""

    def __init__(self, dtype):
        self.dtype = dtype
        self.lanes = BITS // dtype.bitwidth
        super().__init__(f"vector({dtype} x {self.lanes})")

    def llvm_type(self):
        element = ir.FloatType() if self.dtype.bitwidth == 32 else ir.DoubleType()
        return ir.VectorType(element, self.lanes)


@register_model(Vector)
class _VectorModel(models.PrimitiveModel):
    def __init__(self, manager, vector):
        super().__init__(manager, vector, vector.llvm_type())


def _address(context, builder, signature, args):
    if isinstance(signature.args[0], types.CPointer):
        return builder.gep(args[0], [args[1]])
    array = context.make_array(signature.args[0])(context, builder, args[0])
    return builder.gep(array.data, [args[1]])


@intrinsic
def pointer(typingctx, array):
    """A flat array's first number, which loads and stores take in the array's place.

    Numba counts the references to an array wherever one enters or leaves a branch or a part,
    which costs more than the few instructions there. A pointer it does not count: an array that
    the kernel makes itself must be in a ``hold`` behind the last use of its pointer.
    """

    def codegen(context, builder, signature, args):
        return context.make_array(signature.args[0])(context, builder, args[0]).data

    return types.CPointer(array.dtype)(array), codegen


@intrinsic
def hold(typingctx, arrays):
    """A tuple of arrays lives until here: Numba frees each behind the last line that names it."""
    return types.void(arrays), lambda context, builder, signature, args: context.get_dummy_value()


@intrinsic
def lanes(typingctx, array):
    """How many numbers of the array's dtype a register holds: a constant."""
    count = BITS // array.dtype.bitwidth

    def codegen(context, builder, signature, args):
        return context.get_constant(types.intp, count)

    return types.intp(array), codegen


@intrinsic
def load(typingctx, array, index):
    """The register-full ``array[index:]`` of a flat array; no alignment is asked for."""
    vector = Vector(array.dtype)

    def codegen(context, builder, signature, args):
        pointer = _address(context, builder, signature, args)
        kind = vector.llvm_type()
        return builder.load(
            builder.bitcast(pointer, kind.as_pointer()), align=array.dtype.bitwidth // 8
        )

    return vector(array, types.intp), codegen


@intrinsic
def store(typingctx, array, index, value):
    """``array[index:] = value`` for one register-full."""

    def codegen(context, builder, signature, args):
        pointer = _address(context, builder, signature, args)
        kind = value.llvm_type()
        builder.store(
            args[2], builder.bitcast(pointer, kind.as_pointer()), align=array.dtype.bitwidth // 8
        )
        return context.get_dummy_value()

    return types.void(array, types.intp, value), codegen


@intrinsic
def splat(typingctx, array, index):
    """``array[index]`` in every lane."""
    vector = Vector(array.dtype)

    def codegen(context, builder, signature, args):
        number = builder.load(_address(context, builder, signature, args))
        kind = vector.llvm_type()
        single = builder.insert_element(
            ir.Constant(kind, ir.Undefined), number, ir.Constant(ir.IntType(32), 0)
        )
        zeros = ir.Constant(ir.VectorType(ir.IntType(32), vector.lanes), [0] * vector.lanes)
        return builder.shuffle_vector(single, ir.Constant(kind, ir.Undefined), zeros)

    return vector(array, types.intp), codegen


@intrinsic
def zeros(typingctx, array):
    """A register of zeros of the array's dtype."""
    vector = Vector(array.dtype)

    def codegen(context, builder, signature, args):
        return ir.Constant(vector.llvm_type(), [0.0] * vector.lanes)

    return vector(array), codegen


@intrinsic
def fma(typingctx, a, b, c):
    """a * b + c in every lane: one instruction where the processor has it."""

    def codegen(context, builder, signature, args):
        # 'contract' fuses only where there is such an instruction; llvm.fma would call a
        # library function per lane elsewhere
        product = builder.fmul(args[0], args[1], flags=("contract",))
        return builder.fadd(product, args[2], flags=("contract",))

    return a(a, b, c), codegen


@intrinsic
def total(typingctx, vector):
    """The sum of all lanes, as a balanced tree: a fixed order."""

    def codegen(context, builder, signature, args):
        value, count = args[0], vector.lanes
        while count > 1:
            count //= 2
            low, high = (
                ir.Constant(ir.VectorType(ir.IntType(32), count), list(range(k, k + count)))
                for k in (0, count)
            )
            undefined = ir.Constant(value.type, ir.Undefined)
            value = builder.fadd(
                builder.shuffle_vector(value, undefined, low),
                builder.shuffle_vector(value, undefined, high),
            )
        return builder.extract_element(value, ir.Constant(ir.IntType(32), 0))

    return vector.dtype(vector), codegen


@intrinsic
def get(typingctx, array, index):
    """``array[index]`` of a flat array, without Numba's question whether index is negative."""

    def codegen(context, builder, signature, args):
        return builder.load(_address(context, builder, signature, args))

    return array.dtype(array, types.intp), codegen


@intrinsic
def put(typingctx, array, index, value):
    """``array[index] = value`` of a flat array, index not negative."""

    def codegen(context, builder, signature, args):
        builder.store(args[2], _address(context, builder, signature, args))
        return context.get_dummy_value()

    return types.void(array, types.intp, array.dtype), codegen


@intrinsic(prefer_literal=True)
def _move(typingctx, to, i, of, j, share):
    """Copy a register-full, or its half or quarter (``share`` 2 or 4), in one load and store."""
    if not isinstance(share, types.IntegerLiteral):
        return None
    vector = Vector(to.dtype)
    kind = ir.VectorType(vector.llvm_type().element, vector.lanes // share.literal_value)
    size = to.dtype.bitwidth // 8

    def codegen(context, builder, signature, args):
        arrays = signature.args
        target = context.make_array(arrays[0])(context, builder, args[0]).data
        source = context.make_array(arrays[2])(context, builder, args[2]).data
        target, source = builder.gep(target, [args[1]]), builder.gep(source, [args[3]])
        value = builder.load(builder.bitcast(source, kind.as_pointer()), align=size)
        builder.store(value, builder.bitcast(target, kind.as_pointer()), align=size)
        return context.get_dummy_value()

    return types.void(to, types.intp, of, types.intp, share), codegen


def _mask(builder, vector, count):
    """True in the first ``count`` lanes."""
    integers = ir.VectorType(ir.IntType(32), vector.lanes)
    number = builder.trunc(count, ir.IntType(32))
    undefined = ir.Constant(integers, ir.Undefined)
    single = builder.insert_element(undefined, number, ir.Constant(ir.IntType(32), 0))
    every = builder.shuffle_vector(single, undefined, ir.Constant(integers, [0] * vector.lanes))
    return builder.icmp_signed("<", ir.Constant(integers, list(range(vector.lanes))), every)


def _masked(builder, name, vector, kinds):
    """LLVM's masked load or store of a register, declared."""
    lanes, bits = vector.lanes, vector.dtype.bitwidth
    kind = ir.FunctionType(*kinds)
    return builder.module.declare_intrinsic(f"llvm.masked.{name}.v{lanes}f{bits}.p0", fnty=kind)


def _place(context, builder, signature, args, vector):
    """The address of array[index] as a register's, and how it is aligned."""
    align = ir.Constant(ir.IntType(32), vector.dtype.bitwidth // 8)
    address = _address(context, builder, signature, args)
    return builder.bitcast(address, vector.llvm_type().as_pointer()), align


def _load_masked(context, builder, signature, args, vector, mask, otherwise=None):
    """The lanes of ``array[index:]`` in the mask, ``otherwise`` or zeros in the others."""
    kind = vector.llvm_type()
    pointer, align = _place(context, builder, signature, args, vector)
    if otherwise is None:
        otherwise = ir.Constant(kind, [0.0] * vector.lanes)
    arguments = [pointer.type, align.type, mask.type, kind]
    function = _masked(builder, "load", vector, (kind, arguments))
    return builder.call(function, [pointer, align, mask, otherwise])


def _store_masked(context, builder, signature, args, vector, mask):
    """``array[index:] = value`` in the lanes of the mask."""
    pointer, align = _place(context, builder, signature, args, vector)
    arguments = [vector.llvm_type(), pointer.type, align.type, mask.type]
    function = _masked(builder, "store", vector, (ir.VoidType(), arguments))
    builder.call(function, [args[2], pointer, align, mask])
    return context.get_dummy_value()


@intrinsic
def load_some(typingctx, array, index, count):
    """The first ``count`` numbers of ``array[index:]`` (at most a register-full), then zeros."""
    vector = Vector(array.dtype)

    def codegen(context, builder, signature, args):
        mask = _mask(builder, vector, args[2])
        return _load_masked(context, builder, signature, args, vector, mask)

    return vector(array, types.intp, types.intp), codegen


@intrinsic
def load_between(typingctx, array, index, first, stop):
    """Lanes first..stop of ``array[index:]``, zeros in the others, which need not exist."""
    vector = Vector(array.dtype)

    def codegen(context, builder, signature, args):
        below = builder.not_(_mask(builder, vector, args[2]))
        mask = builder.and_(_mask(builder, vector, args[3]), below)
        return _load_masked(context, builder, signature, args, vector, mask)

    return vector(array, types.intp, types.intp, types.intp), codegen


@intrinsic
def spread(typingctx, a, odd):
    """Lanes 0, 1, 2, ... of a at every second place, from the first or (``odd``) the second
    on, and zeros between."""

    def codegen(context, builder, signature, args):
        indices = ir.VectorType(ir.IntType(32), a.lanes)
        zeros = ir.Constant(args[0].type, [0.0] * a.lanes)
        at_even = [i // 2 if i % 2 == 0 else a.lanes for i in range(a.lanes)]
        at_odd = [i // 2 if i % 2 else a.lanes for i in range(a.lanes)]
        even, odd = (
            builder.shuffle_vector(args[0], zeros, ir.Constant(indices, places))
            for places in (at_even, at_odd)
        )
        is_odd = builder.icmp_signed("!=", args[1], ir.Constant(args[1].type, 0))
        return builder.select(is_odd, odd, even)

    return a(a, types.intp), codegen


@intrinsic
def zipped(typingctx, a, b, upper):
    """Lanes a0, b0, a1, b1, ... of the lower halves of a and b, or (``upper``) of the upper."""

    def codegen(context, builder, signature, args):
        half = a.lanes // 2
        indices = ir.VectorType(ir.IntType(32), a.lanes)
        low, high = (
            builder.shuffle_vector(
                args[0],
                args[1],
                ir.Constant(indices, [i for k in range(half) for i in (s + k, s + k + a.lanes)]),
            )
            for s in (0, half)
        )
        return builder.select(
            builder.icmp_signed("!=", args[2], ir.Constant(args[2].type, 0)), high, low
        )

    return a(a, b, types.intp), codegen


@intrinsic
def store_some(typingctx, array, index, value, count):
    """``array[index:] = value`` for its first ``count`` lanes."""

    def codegen(context, builder, signature, args):
        mask = _mask(builder, value, args[3])
        return _store_masked(context, builder, signature, args, value, mask)

    return types.void(array, types.intp, value, types.intp), codegen


@intrinsic
def evens(typingctx, a, b):
    """Lanes 0, 2, 4, ... of a, then those of b."""

    def codegen(context, builder, signature, args):
        indices = ir.VectorType(ir.IntType(32), a.lanes)
        return builder.shuffle_vector(
            args[0], args[1], ir.Constant(indices, list(range(0, 2 * a.lanes, 2)))
        )

    return a(a, b), codegen


@intrinsic
def add(typingctx, a, b):
    """a + b in every lane."""

    def codegen(context, builder, signature, args):
        return builder.fadd(args[0], args[1])

    return a(a, b), codegen


@intrinsic
def positive(typingctx, a):
    """max(a, 0) in every lane; NaN stays NaN, as in ``relu``."""

    def codegen(context, builder, signature, args):
        zero = ir.Constant(args[0].type, [0.0] * a.lanes)
        return builder.select(builder.fcmp_ordered("<=", args[0], zero), zero, args[0])

    return a(a), codegen


@intrinsic
def gate(typingctx, gy, y):
    """gy where y > 0 or y is NaN, else 0: the gradient of the ``positive`` that made y."""

    def codegen(context, builder, signature, args):
        zero = ir.Constant(args[1].type, [0.0] * y.lanes)
        return builder.select(builder.fcmp_ordered("<=", args[1], zero), zero, args[0])

    return gy(gy, y), codegen


@intrinsic
def first(typingctx, a, count):
    """The first ``count`` lanes of a, zero behind."""

    def codegen(context, builder, signature, args):
        zero = ir.Constant(args[0].type, [0.0] * a.lanes)
        return builder.select(_mask(builder, a, args[1]), args[0], zero)

    return a(a, types.intp), codegen


@part
def copy(to, i, of, j, count):
    """to[i : i + count] = of[j : j + count] of flat arrays; not a number more is touched."""
    n = lanes(to)
    # the last move ends where the run ends, over what is copied already
    if count >= n:
        for q in range(0, count - n, n):
            _move(to, i + q, of, j + q, 1)
        _move(to, i + count - n, of, j + count - n, 1)
    elif count >= n // 2:
        _move(to, i, of, j, 2)
        _move(to, i + count - n // 2, of, j + count - n // 2, 2)
    elif count >= n // 4:
        _move(to, i, of, j, 4)
        _move(to, i + count - n // 4, of, j + count - n // 4, 4)
    else:
        for q in range(count):
            put(to, i + q, get(of, j + q))


@part
def copy_rows(to, i, pitch, of, j, stride, step, rows, count):
    """to[i + r pitch + q] = of[j + r stride + q step] for ``rows`` rows of ``count`` numbers."""
    n = lanes(to)
    if step == 1:
        for r in range(rows):
            at, begin = i + r * pitch, j + r * stride
            for q in range(0, count - n + 1, n):
                store(to, at + q, load(of, begin + q))
            if count % n:
                q = count - count % n
                store_some(to, at + q, load_some(of, begin + q, count - q), count - q)
    elif step == 2:
        # along the rows first: the masks are the same in each
        for q in range(0, count, n):
            left = 2 * (count - q) - 1
            for r in range(rows):
                begin = j + r * stride + 2 * q
                low = load_some(of, begin, left)
                high = load_some(of, begin + n, left - n)
                store_some(to, i + r * pitch + q, evens(low, high), count - q)
    else:
        for r in range(rows):
            for q in range(count):
                put(to, i + r * pitch + q, get(of, j + r * stride + q * step))


__all__ = [
    "BITS", "add", "copy", "copy_rows", "evens", "first", "fma", "gate", "get", "lanes", "load",
    "load_between", "load_some", "pointer", "positive", "put", "splat", "spread", "store",
    "store_some", "total", "zeros", "zipped",
]  # fmt: skip
