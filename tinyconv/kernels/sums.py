"""Sums over all axes but one."""

import math

import numpy as np

from tinyconv.kernels import memory, parallel
from tinyconv.kernels.addition import copied
from tinyconv.kernels.jit import kernel, part, plain
from tinyconv.kernels.simd import (
    add,
    hold,
    lanes,
    load,
    load_some,
    pointer,
    store,
    store_some,
    total,
    zeros,
)

#: numbers that are summed in their own precision, in lanes, before they are added up in float64
_RUN = 1 << 12


@part
def _run(x, i, count, to, j, copying):
    """The sum of x[i : i + count], lane by lane; if ``copying``, to[j : j + count] = these."""
    n = lanes(x)
    s0 = s1 = s2 = s3 = zeros(x)
    k = 0
    while k + 4 * n <= count:
        a, b = load(x, i + k), load(x, i + k + n)
        c, d = load(x, i + k + 2 * n), load(x, i + k + 3 * n)
        if copying:
            store(to, j + k, a), store(to, j + k + n, b)
            store(to, j + k + 2 * n, c), store(to, j + k + 3 * n, d)
        s0, s1, s2, s3 = add(s0, a), add(s1, b), add(s2, c), add(s3, d)
        k += 4 * n
    while k < count:
        a = load_some(x, i + k, count - k)
        if copying:
            store_some(to, j + k, a, count - k)
        s0 = add(s0, a)
        k += n
    return add(add(s0, s1), add(s2, s3))


@kernel
def _sums(x, step, P, R, sums, to, start, stop):
    """sums[q] = sum over p, r of x[p, q, r]; x is flat, and ``step`` from p to p + 1. What ``to``
    has room for is copied to it, without gaps."""
    Q, n = len(sums), lanes(x)
    totals, copying = np.zeros(stop - start), len(to) > 0
    # short runs of several p are summed in lanes too
    several = max(1, _RUN // max(1, R))
    space = np.zeros((stop - start) * n, x.dtype)
    data, target, lots = pointer(x), pointer(to), pointer(space)
    for p in range(P):
        last = (p + 1) % several == 0 or p + 1 == P
        for q in range(start, stop):
            of, at, lot = p * step + q * R, (p * Q + q) * R, (q - start) * n
            for r in range(0, R, _RUN):
                run = _run(data, of + r, min(_RUN, R - r), target, at + r, copying)
                run = add(load(lots, lot), run)
                if last:
                    totals[q - start] += total(run)
                    run = zeros(x)
                store(lots, lot, run)
    for q in range(start, stop):
        sums[q] = totals[q - start]
    hold((space,))


@kernel
def _columns(x, sums, start, stop):
    """sums[q] = sum over p of x[p, q]; x is flat."""
    Q, totals = len(sums), np.zeros(stop - start)
    for p in range(len(x) // Q):
        row = x[p * Q + start : p * Q + stop]
        for q in range(len(row)):
            totals[q] += row[q]
    for q in range(start, stop):
        sums[q] = totals[q - start]


def sum_but(x, axis):
    """The sums of a float array over all axes but one."""
    P, R = math.prod(x.shape[:axis]), math.prod(x.shape[axis + 1 :])
    flat, sums = plain(x).reshape(-1), np.empty(x.shape[axis], x.dtype)
    parts = parallel.chunks(len(sums), x.nbytes)
    if R == 1:
        parallel.run(lambda _, start, stop: _columns(flat, sums, start, stop), parts)
    else:
        step, no = len(sums) * R, flat[:0]
        parallel.run(lambda _, a, b: _sums(flat, step, P, R, sums, no, a, b), parts)
    return sums


def copied_sums(x):
    """(a copy of x in C order, ``sum_but(x, 1)``): in one pass if each x[p] is contiguous."""
    P, Q = x.shape[:2]
    R = math.prod(x.shape[2:])
    if not x.size or not x[0].flags.c_contiguous:
        copy = copied(x)
        return copy, sum_but(copy, 1)
    copy, sums = memory.empty(x.shape, x.dtype), np.empty(Q, x.dtype)
    # where its first number lies is all that counts, and how far it is to the next p
    flat, to, step = x[0].reshape(-1), copy.reshape(-1), x.strides[0] // x.itemsize
    parallel.run(
        lambda _, a, b: _sums(flat, step, P, R, sums, to, a, b), parallel.chunks(Q, 2 * x.nbytes)
    )
    return copy, sums


__all__ = ["copied_sums", "sum_but"]
