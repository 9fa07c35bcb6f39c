"""Cross entropy between logits (N, C, M) and class labels (N, M), each way in one pass."""

import math

import numpy as np

from tinyconv.kernels import memory, parallel
from tinyconv.kernels.complex_step import joined
from tinyconv.kernels.jit import kernel, part, plain
from tinyconv.kernels.simd import (
    add,
    first,
    lanes,
    load,
    load_some,
    store,
    store_some,
    total,
    zeros,
)
from tinyconv.kernels.simd_exp import exponential
from tinyconv.kernels.simd_extra import every, larger

#: work of one exponential, in the bytes that ``parallel.chunks`` counts by
_EXP = 16


@part
def _softmax_row(x, i, C, p, space):
    """p[i : i + C] = softmax(x[i : i + C]) of flat arrays: (the largest x, the sum below).

    ``space`` has room for a register.
    """
    n = lanes(x)
    largest, whole = x[i], C - C % n
    if whole:
        most = load(x, i)
        for c in range(i + n, i + whole, n):
            most = larger(load(x, c), most)
        store(space, 0, most)
        for c in range(n):
            largest = max(largest, space[c])
    for c in range(i + whole, i + C):
        largest = max(largest, x[c])
    down, sums = every(x, -largest), zeros(x)
    for c in range(0, C, n):
        e = first(exponential(add(load_some(x, i + c, C - c), down)), C - c)
        store_some(p, i + c, e, C - c)
        sums = add(sums, e)
    sum_ = total(sums)
    for c in range(i, i + C):
        p[c] /= sum_
    return largest, sum_


# Of large logits the difference must come before the logarithm. The compiler may choose another
# order, so both are taken in float64.
@kernel
def _cross_entropy_rows(x, labels, p, ignore, sums, share, start, stop):
    """``_cross_entropy`` for M = 1: the classes of a row lie side by side."""
    C = len(x) // len(labels)
    space = np.empty(lanes(x), x.dtype)
    loss, counted, wrong = 0.0, 0, 0
    for n in range(start, stop):
        largest, sum_ = _softmax_row(x, n * C, C, p, space)
        label = labels[n, 0]
        if label != ignore:
            counted += 1
            if 0 <= label < C:
                loss -= np.float64(x[n * C + label]) - np.float64(largest) - math.log(sum_)
            else:
                wrong += 1
    sums[share, 0], sums[share, 1], sums[share, 2] = loss, counted, wrong


@kernel
def _cross_entropy(x, labels, p, ignore, sums, share, start, stop):
    """p = softmax(x); sums[share] = minus the labels' log-probabilities, how many count, and
    how many labels are no class."""
    C, M = x.shape[1:]
    loss, counted, wrong = 0.0, 0, 0
    for n in range(start, stop):
        for m in range(M):
            largest = x[n, 0, m]
            for c in range(1, C):
                largest = max(largest, x[n, c, m])
            sum_ = x.dtype.type(0)
            for c in range(C):
                e = math.exp(x[n, c, m] - largest)
                p[n, c, m] = e
                sum_ += e
            for c in range(C):
                p[n, c, m] /= sum_
            label = labels[n, m]
            if label != ignore:
                counted += 1
                if 0 <= label < C:
                    loss -= np.float64(x[n, label, m]) - np.float64(largest) - math.log(sum_)
                else:
                    wrong += 1
    sums[share, 0], sums[share, 1], sums[share, 2] = loss, counted, wrong


@kernel
def _cross_entropy_gradient(p, labels, ignore, scale, gx, start, stop):
    C, M = p.shape[1:]
    for n in range(start, stop):
        for m in range(M):
            if labels[n, m] == ignore:
                for c in range(C):
                    gx[n, c, m] = 0  # whatever p is
            else:
                for c in range(C):
                    gx[n, c, m] = scale * p[n, c, m]
                gx[n, labels[n, m], m] -= scale


def cross_entropy(x, labels, ignore):
    """Sum over n, m of -log softmax(x)[n, label, m], labels equal to ``ignore`` left out.

    Returns (sum, softmax(x), how many labels count, how many of these are no class).
    """
    if x.dtype.kind == "c":
        loss, p, counted, wrong = cross_entropy(plain(x.real), labels, ignore)
        direction = p * (x.imag - (p * x.imag).sum(1, keepdims=True))
        slope = cross_entropy_gradient(p, labels, ignore, 1.0) if not wrong else p
        return complex(loss, (slope * x.imag).sum()), joined(p, direction), counted, wrong
    x = plain(x)
    p = memory.empty(x.shape, x.dtype)
    parts = parallel.chunks(len(x), x.size * _EXP)
    sums = np.empty((len(parts), 3))
    if x.shape[2] == 1 and x.size:
        rule, x, to = _cross_entropy_rows, x.reshape(-1), p.reshape(-1)
    else:
        rule, to = _cross_entropy, p
    parallel.run(lambda i, a, b: rule(x, labels, to, ignore, sums, i, a, b), parts)
    loss, counted, wrong = sums.sum(0)
    return float(loss), p, int(counted), int(wrong)


def cross_entropy_gradient(p, labels, ignore, scale):
    """scale (p - one-hot(labels)), 0 where a label is ``ignore``; p = softmax(x)."""
    if p.dtype.kind == "c" or isinstance(scale, complex):
        scale = complex(scale)
        real, turned = (
            cross_entropy_gradient(plain(p.real), labels, ignore, s)
            for s in (scale.real, scale.imag)
        )
        counted = np.expand_dims(labels != ignore, 1)
        return joined(real, turned + np.where(counted, scale.real * p.imag, 0))
    gx = memory.empty(p.shape, p.dtype)
    scale = p.dtype.type(scale)
    parallel.run(
        lambda _, a, b: _cross_entropy_gradient(p, labels, ignore, scale, gx, a, b),
        parallel.chunks(len(p), p.nbytes),
    )
    return gx
