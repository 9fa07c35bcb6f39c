"""The exponential of a register."""

import math
from fractions import Fraction

from llvmlite import ir
from numba.extending import intrinsic

#: (terms of the series, below this all is 0, above this infinity, bits of ln 2 that a whole
#: number times it leaves exact, bits of the mantissa, exponent of 1)
_FLOAT = (7, -104.0, 89.0, 12, 23, 127)
_DOUBLE = (13, -746.0, 710.0, 32, 52, 1023)
#: to more digits than a float64 has
_LN2 = Fraction("0.693147180559945309417232121458176568")


@intrinsic
def exponential(typingctx, a):
    """exp(a) in every lane, to 1 unit in the last place; NaN stays NaN.

    exp(a) = 2^k exp(r), k = round(a / ln 2), r = a - k ln 2: |r| <= 0.35, where a few terms of
    the power series are exact. 2^k is put together from bits, in two factors, so that the
    smallest numbers come out as they are.
    """

    def codegen(context, builder, signature, args):
        bits = a.dtype.bitwidth
        terms, low, high, exact, mantissa, bias = _FLOAT if bits == 32 else _DOUBLE
        kind = a.llvm_type()
        whole = ir.VectorType(ir.IntType(bits), a.lanes)

        def number(value):
            return ir.Constant(kind, [float(value)] * a.lanes)

        def integer(value):
            return ir.Constant(whole, [value] * a.lanes)

        def fma(x, y, z):
            product = builder.fmul(x, y, flags=("contract",))
            return builder.fadd(product, z, flags=("contract",))

        (value,) = args
        nan = builder.fcmp_unordered("uno", value, value)
        x = builder.select(nan, number(0), value)
        x = builder.select(builder.fcmp_ordered("<", x, number(low)), number(low), x)
        x = builder.select(builder.fcmp_ordered(">", x, number(high)), number(high), x)
        function = ir.FunctionType(kind, [kind])
        name = f"llvm.rint.v{a.lanes}f{bits}"
        rint = builder.module.declare_intrinsic(name, fnty=function)
        k = builder.call(rint, [builder.fmul(x, number(1 / _LN2))])
        # ln 2 in two parts: k times the first has no rounding error
        coarse = Fraction(math.floor(_LN2 * 2**exact), 2**exact)
        r = fma(k, number(-coarse), x)
        # by way of integers: of two products with one k the compiler, which may reorder sums,
        # would make one
        k = builder.fptosi(k, whole)
        r = fma(builder.sitofp(k, kind), number(coarse - _LN2), r)
        series = number(Fraction(1, math.factorial(terms)))
        for i in range(terms - 1, -1, -1):
            series = fma(series, r, number(Fraction(1, math.factorial(i))))
        # the first factor goes into the exponent's bits: two products might become one as well
        half, shift = builder.ashr(k, integer(1)), integer(mantissa)
        scaled = builder.add(builder.bitcast(series, whole), builder.shl(half, shift))
        power = builder.shl(builder.add(builder.sub(k, half), integer(bias)), shift)
        result = builder.fmul(builder.bitcast(scaled, kind), builder.bitcast(power, kind))
        return builder.select(nan, value, result)

    return a(a), codegen


__all__ = ["exponential"]
