"""Sums over all axes but one."""

import math

import numpy as np

from tinyconv.kernels import parallel
from tinyconv.kernels.jit import kernel, part
from tinyconv.kernels.simd import add, lanes, load, load_some, total, zeros

#: numbers that are summed in their own precision, in lanes, before they are added up in float64
_RUN = 1 << 12


@part
def _run(x, i, count):
    """The sum of x[i : i + count] of a flat array."""
    n = lanes(x)
    s0 = s1 = s2 = s3 = zeros(x)
    whole = count - count % (4 * n)
    for k in range(i, i + whole, 4 * n):
        s0, s1 = add(s0, load(x, k)), add(s1, load(x, k + n))
        s2, s3 = add(s2, load(x, k + 2 * n)), add(s3, load(x, k + 3 * n))
    for k in range(whole, count, n):
        s0 = add(s0, load_some(x, i + k, count - k))
    return total(add(add(s0, s1), add(s2, s3)))


@kernel
def _sums(x, P, R, sums, start, stop):
    """sums[q] = sum over p, r of x[p, q, r]; x is flat."""
    Q = len(sums)
    totals = np.zeros(stop - start)
    if R == 1:
        for p in range(P):
            row = x[p * Q + start : p * Q + stop]
            for q in range(len(row)):
                totals[q] += row[q]
    else:
        for p in range(P):
            for q in range(start, stop):
                first = (p * Q + q) * R
                for r in range(0, R, _RUN):
                    totals[q - start] += _run(x, first + r, min(_RUN, R - r))
    for q in range(start, stop):
        sums[q] = totals[q - start]


def sum_but(x, axis):
    """The sums of a C-contiguous float array over all axes but one."""
    P, R = math.prod(x.shape[:axis]), math.prod(x.shape[axis + 1 :])
    sums = np.empty(x.shape[axis], x.dtype)
    flat = x.reshape(-1)
    parallel.run(
        lambda _, start, stop: _sums(flat, P, R, sums, start, stop),
        parallel.chunks(len(sums), x.nbytes),
    )
    return sums


__all__ = ["sum_but"]
