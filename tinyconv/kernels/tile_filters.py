"""The register tile with filters in the lanes: up to 8 pixels x 3 registers of filters.

    out[r, 0:48] = sum_k source[places[r] + offsets[k]] * weights[k, 0:48]

Per step it loads 3 registers of weights and broadcasts one number of each pixel's window. What a
pixel sees is told by its place and a table of offsets, so pixels may lie anywhere: none is
computed in vain, however small the image.
"""

import functools

from llvmlite import ir
from numba import types
from numba.extending import intrinsic

from tinyconv.kernels.simd import Vector
from tinyconv.kernels.tile import ROWS, WIDTH, _Emitter, _Loop, _switch


@intrinsic
def multiply_windows(
    typingctx, rows, width, x, places, ip, offsets, io, depth, w, iw, out, iout, pitch, again
):
    """out[iout + r lanes + v pitch :] = sum_k x[places[ip + r] + offsets[io + k]] w[k, v] for
    ``rows`` pixels r (at most ROWS) and ``width`` registers v (at most WIDTH) of filters.

    All arrays are flat; w[iw:] is (depth, width, lanes). With ``again`` the sums go on from what
    ``out`` holds.
    """
    vector = Vector(out.dtype)

    def codegen(context, builder, signature, args):
        emit = _Emitter(context, builder, vector)
        source, where, table, weights, result = (
            emit.data(signature.args[i], args[i]) for i in (2, 3, 5, 8, 10)
        )
        rows, width, _, _, ip, _, io, depth, _, iw, _, iout, pitch, again = args

        def tile(R, V):
            cells = [
                builder.add(iout, builder.mul(pitch, ir.Constant(pitch.type, v))) for v in range(V)
            ]
            windows = [emit.at(source, builder.load(emit.at(where, ip, r))) for r in range(R)]
            loop = _Loop(builder, depth, before(cells, R, V))
            step = builder.load(emit.at(table, builder.add(io, loop.k)))
            at = builder.add(iw, builder.mul(loop.k, ir.Constant(iw.type, V * emit.lanes)))
            values = [emit.load(weights, at, v * emit.lanes) for v in range(V)]
            sums = list(loop.carried)
            for r in range(R):
                pixel = emit.splat(windows[r], step)
                for v in range(V):
                    sums[r * V + v] = emit.fma(pixel, values[v], sums[r * V + v])
            loop.close(sums)
            for r in range(R):
                for v in range(V):
                    emit.store(loop.carried[r * V + v], result, cells[v], r * emit.lanes)

        def before(cells, R, V):
            """What the sums begin with."""
            zero = ir.Constant(emit.kind, [0.0] * emit.lanes)
            with builder.if_else(again) as (yes, no):
                with yes:
                    held = [
                        emit.load(result, cells[v], r * emit.lanes)
                        for r in range(R) for v in range(V)
                    ]  # fmt: skip
                    loaded = builder.block
                with no:
                    fresh = builder.block
            sums = []
            for value in held:
                sums.append(builder.phi(emit.kind))
                sums[-1].add_incoming(value, loaded)
                sums[-1].add_incoming(zero, fresh)
            return sums

        which = builder.add(builder.mul(rows, ir.Constant(rows.type, WIDTH + 1)), width)
        sizes = [(R, V) for R in range(1, ROWS + 1) for V in range(1, WIDTH + 1)]
        cases = {R * (WIDTH + 1) + V: functools.partial(tile, R, V) for R, V in sizes}
        _switch(builder, which, cases)
        return context.get_dummy_value()

    n = types.intp
    kinds = (n, n, x, places, n, offsets, n, n, w, n, out, n, n, types.boolean)
    return types.void(*kinds), codegen
