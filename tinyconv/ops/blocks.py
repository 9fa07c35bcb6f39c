"""Elementwise NumPy in pieces that stay in a processor's cache, by all threads.

An expression of five steps would otherwise go through memory five times.
"""

import numpy as np

from tinyconv.kernels import memory, parallel
from tinyconv.ops.common import quiet

#: elements of a piece: several arrays of them fit into the second cache
_PIECE = 1 << 15


@quiet
def in_blocks(function, *arrays):
    """function(*arrays), elementwise, of arrays of one shape; the result has the first's dtype."""
    first = arrays[0]
    if first.size <= _PIECE:
        return function(*arrays)
    flat = [np.ascontiguousarray(a).reshape(-1) for a in arrays]
    out = memory.empty(first.shape, first.dtype)
    result = out.reshape(-1)

    def work(_, start, stop):
        with np.errstate(all="ignore"):  # each thread has its own
            for i in range(start, stop, _PIECE):
                piece = slice(i, min(i + _PIECE, stop))
                result[piece] = function(*[a[piece] for a in flat])

    parallel.run(work, parallel.chunks(result.size, 4 * result.nbytes))
    return out


def kept(mask, x):
    """x where ``mask`` holds, else 0; by bits, since ``np.where`` is slow where masks are random,
    and 0 times infinity is not 0."""
    kind = f"i{x.itemsize}"
    bits = np.negative(mask.view(np.int8)).astype(kind)
    bits &= x.view(kind)
    return bits.view(x.dtype)


def chosen(mask, a, b):
    """a where ``mask`` holds, else b; as ``kept``."""
    kind = f"i{a.itemsize}"
    return (kept(mask, a).view(kind) | kept(~mask, b).view(kind)).view(a.dtype)
