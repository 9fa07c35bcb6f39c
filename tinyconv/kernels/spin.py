"""Waiting in the processor instead of in the kernel of the system.

A small network asks for a hundred parallel passes within a few milliseconds. To put a thread to
sleep and wake it costs up to 50 us each time, and where it wakes up is the scheduler's choice; so
threads look at a number in memory for a while first, with the GIL let go.
"""

import platform

from llvmlite import ir
from numba import types
from numba.extending import intrinsic

from tinyconv.kernels.jit import kernel

_IS_X86 = platform.machine() in ("x86_64", "AMD64")


@intrinsic
def _look(typingctx, array):
    """array[0], read anew each time, after a moment's pause."""

    def codegen(context, builder, signature, args):
        if _IS_X86:
            nothing = ir.FunctionType(ir.VoidType(), [])
            builder.call(builder.module.declare_intrinsic("llvm.x86.sse2.pause", fnty=nothing), [])
        data = context.make_array(signature.args[0])(context, builder, args[0]).data
        return builder.load_atomic(data, "acquire", 8)

    return types.int64(array), codegen


@kernel
def wait_for_change(flag, number, seen, looks):
    """Set flag[0] to 1, then look at number[0] until it is not ``seen``, or ``looks`` times;
    returns it."""
    flag[0] = 1
    for _ in range(looks):
        if _look(number) != seen:
            break
    return _look(number)
