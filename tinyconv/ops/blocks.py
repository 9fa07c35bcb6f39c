"""Elementwise NumPy in pieces that stay in a processor's cache, by all threads.

An expression of five steps would otherwise go through memory five times.
"""

import numpy as np

from tinyconv.kernels import memory, parallel
from tinyconv.ops.common import quiet

#: elements of a piece: a handful of them in float64 fit into the second cache
_PIECE = 1 << 13


@quiet
def in_blocks(function, *arrays):
    """function(*arrays), elementwise, of arrays of one shape; the result has the first's dtype."""
    first = arrays[0]
    if first.size <= _PIECE:
        return function(*arrays)
    flat = [np.ascontiguousarray(a).reshape(-1) for a in arrays]
    out = memory.empty(first.shape, first.dtype)
    result = out.reshape(-1)

    @quiet  # which holds in each thread for itself
    def work(_, start, stop):
        for i in range(start, stop, _PIECE):
            piece = slice(i, min(i + _PIECE, stop))
            result[piece] = function(*[a[piece] for a in flat])

    parallel.run(work, parallel.chunks(result.size, 4 * result.nbytes))
    return out
