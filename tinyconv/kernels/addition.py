"""Sums and copies of large arrays by all threads: NumPy lets go of the interpreter meanwhile."""

import numpy as np

from tinyconv.kernels import memory, parallel

#: bytes from which on it pays
_LARGE = 1 << 18


def add(a, b, out=None):
    """a + b, into ``out`` if that is given (which may be a or b)."""
    if a.nbytes < _LARGE or a.shape != b.shape or a.dtype != b.dtype:
        return np.add(a, b, out=out)
    if out is None:
        out = memory.empty(a.shape, a.dtype)
    arrays = a, b, out
    if not all([x.flags.c_contiguous for x in arrays]):
        return np.add(a, b, out=out)
    a1, b1, out1 = [x.reshape(-1) for x in arrays]
    parallel.run(
        lambda _, i, j: np.add(a1[i:j], b1[i:j], out=out1[i:j]),
        parallel.chunks(a.size, a.nbytes),
    )
    return out


def copied(x):
    """A copy in C order."""
    y = memory.empty(x.shape, x.dtype)
    over_rows(lambda a, b: np.copyto(y[a:b], x[a:b]), y)
    return y


def over_rows(body, y):
    """Let the threads call body(a, b) for ranges of ``y``'s first axis."""
    # NumPy lets go of the interpreter piece by piece, so little work is faster alone
    parallel.run(lambda _, a, b: body(a, b), parallel.chunks(len(y), y.nbytes // 4))
