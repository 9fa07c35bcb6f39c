"""Loads and stores of some lanes of a register, named by a mask: an integer whose bit i is lane i.

A mask is reckoned once per block of pixels and then waits in a mask register, where a count of
lanes (``load_some``) would be turned into one at every load.
"""

from llvmlite import ir
from numba import types
from numba.extending import intrinsic

from tinyconv.kernels.jit import part
from tinyconv.kernels.simd import Vector, _address, _load_masked, _store_masked


@part
def between(first, stop, n):
    """The mask of lanes first..stop of n, either of which may lie outside."""
    return ((1 << min(max(stop, 0), n)) - 1) & ~((1 << min(max(first, 0), n)) - 1)


def _lanes_of(builder, vector, mask):
    bits = builder.trunc(mask, ir.IntType(vector.lanes))
    return builder.bitcast(bits, ir.VectorType(ir.IntType(1), vector.lanes))


@intrinsic
def load_masked(typingctx, array, index, mask):
    """The lanes of ``array[index:]`` in the mask, zeros in the others, which need not exist."""
    vector = Vector(array.dtype)

    def codegen(context, builder, signature, args):
        mask = _lanes_of(builder, vector, args[2])
        return _load_masked(context, builder, signature, args, vector, mask)

    return vector(array, types.intp, types.intp), codegen


@intrinsic
def load_or(typingctx, array, index, mask, otherwise):
    """The lanes of ``array[index:]`` in the mask, and those of ``otherwise`` elsewhere."""
    vector = Vector(array.dtype)

    def codegen(context, builder, signature, args):
        mask = _lanes_of(builder, vector, args[2])
        return _load_masked(context, builder, signature, args, vector, mask, args[3])

    return vector(array, index, mask, otherwise), codegen


@intrinsic
def store_masked(typingctx, array, index, value, mask):
    """``array[index:] = value`` for the lanes in the mask."""

    def codegen(context, builder, signature, args):
        mask = _lanes_of(builder, value, args[3])
        return _store_masked(context, builder, signature, args, value, mask)

    return types.void(array, types.intp, value, types.intp), codegen


@intrinsic
def odds(typingctx, a, b):
    """Lanes 1, 3, 5, ... of a, then those of b."""

    def codegen(context, builder, signature, args):
        indices = ir.VectorType(ir.IntType(32), a.lanes)
        return builder.shuffle_vector(
            args[0], args[1], ir.Constant(indices, list(range(1, 2 * a.lanes, 2)))
        )

    return a(a, b), codegen


@intrinsic
def add_masked(typingctx, a, b, mask):
    """a + b in the lanes of the mask, a in the others."""

    def codegen(context, builder, signature, args):
        chosen = _lanes_of(builder, a, args[2])
        return builder.select(chosen, builder.fadd(args[0], args[1]), args[0])

    return a(a, b, types.intp), codegen


@intrinsic
def fma_masked(typingctx, a, b, c, mask):
    """a * b + c in the lanes of the mask, c in the others."""

    def codegen(context, builder, signature, args):
        chosen = _lanes_of(builder, a, args[3])
        product = builder.fmul(args[0], args[1], flags=("contract",))
        total = builder.fadd(product, args[2], flags=("contract",))
        return builder.select(chosen, total, args[2])

    return a(a, b, c, types.intp), codegen


def _stretch(first):
    """The intrinsic that takes a register's lanes from lane ``first(lanes)`` of a on, then b's."""

    def codegen(context, builder, signature, args):
        n = signature.args[0].lanes
        places = ir.Constant(ir.VectorType(ir.IntType(32), n), [first(n) + i for i in range(n)])
        return builder.shuffle_vector(args[0], args[1], places)

    return codegen


@intrinsic
def last_and(typingctx, a, b):
    """The last lane of a, then all but the last of b."""
    return a(a, b), _stretch(lambda n: n - 1)


@intrinsic
def but_first(typingctx, a, b):
    """All lanes of a but the first, then the first of b."""
    return a(a, b), _stretch(lambda n: 1)


@intrinsic
def halves(typingctx, a, b):
    """The upper half of a, then the lower half of b."""
    return a(a, b), _stretch(lambda n: n // 2)


@intrinsic
def lowest(typingctx, array):
    """A register of minus infinity of the array's dtype."""
    vector = Vector(array.dtype)

    def codegen(context, builder, signature, args):
        return ir.Constant(vector.llvm_type(), [float("-inf")] * vector.lanes)

    return vector(array), codegen


@intrinsic
def at_least(typingctx, a, low):
    """max(a, low) in every lane; NaN in a stays."""

    def codegen(context, builder, signature, args):
        return builder.select(builder.fcmp_ordered(">", args[1], args[0]), args[1], args[0])

    return a(a, low), codegen


@intrinsic(prefer_literal=True)
def prefetch(typingctx, array, index, write):
    """Ask for the cache line of ``array[index]``, which need not exist; with ``write`` (0 or 1)
    to write it."""

    def codegen(context, builder, signature, args):
        number = ir.IntType(32)
        kind = ir.FunctionType(ir.VoidType(), [ir.IntType(8).as_pointer(), *[number] * 3])
        address = builder.bitcast(
            _address(context, builder, signature, args), ir.IntType(8).as_pointer()
        )
        function = builder.module.declare_intrinsic("llvm.prefetch.p0", fnty=kind)
        # into all levels of the cache, of data
        rest = write.literal_value, 3, 1
        builder.call(function, [address, *(ir.Constant(number, k) for k in rest)])
        return context.get_dummy_value()

    return types.void(array, types.intp, write), codegen


@intrinsic
def stream(typingctx, array, index, value):
    """``store`` past the caches, for what will have left them before it is read; the address
    a multiple of the register's size. To be ended by ``fence``."""

    def codegen(context, builder, signature, args):
        pointer = _address(context, builder, signature, args)
        kind = value.llvm_type()
        align = value.lanes * value.dtype.bitwidth // 8
        call = builder.store(args[2], builder.bitcast(pointer, kind.as_pointer()), align=align)
        one = builder.module.add_metadata([ir.Constant(ir.IntType(32), 1)])
        call.set_metadata("nontemporal", one)
        return context.get_dummy_value()

    return types.void(array, types.intp, value), codegen


@intrinsic
def fence(typingctx):
    """Let other threads see what was streamed."""

    def codegen(context, builder, signature, args):
        builder.fence("seq_cst")
        return context.get_dummy_value()

    return types.void(), codegen


__all__ = [
    "add_masked",
    "at_least",
    "between",
    "but_first",
    "fence",
    "fma_masked",
    "halves",
    "last_and",
    "load_masked",
    "load_or",
    "lowest",
    "odds",
    "prefetch",
    "store_masked",
    "stream",
]
