"""Cross entropy between logits (N, C, M) and class labels (N, M), each way in one pass."""

import math

import numpy as np

from tinyconv.kernels import memory, parallel
from tinyconv.kernels.complex_step import joined
from tinyconv.kernels.jit import kernel, plain

#: work of one exponential, in the bytes that ``parallel.chunks`` counts by
_EXP = 16


@kernel
def _cross_entropy(x, labels, p, ignore, sums, part, start, stop):
    """p = softmax(x); sums[part] = minus the labels' log-probabilities, how many count, and
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
                    loss -= x[n, label, m] - largest - math.log(sum_)
                else:
                    wrong += 1
    sums[part, 0], sums[part, 1], sums[part, 2] = loss, counted, wrong


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
    parallel.run(lambda i, a, b: _cross_entropy(x, labels, p, ignore, sums, i, a, b), parts)
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
