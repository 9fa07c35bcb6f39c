"""One call for a whole optimiser step: the update rule over many arrays at once.

An entry point with hundreds of arrays would be compiled for their number, and take longer to
look at its arguments than to compute. So the kernels get a table of the arrays' addresses.
"""

import functools

import numpy as np
from llvmlite import ir
from numba import carray, types
from numba.extending import intrinsic

from tinyconv.kernels import parallel
from tinyconv.kernels.jit import kernel, part


@intrinsic
def _pointer(typingctx, address):
    """The address as a pointer; all else is indexing from it."""

    def codegen(context, builder, signature, args):
        return builder.inttoptr(args[0], ir.IntType(8).as_pointer())

    return types.voidptr(types.int64), codegen


@part
def _numbers(addresses, row, i, low, high, like):
    """Numbers low to high of array i of a row of the table."""
    return carray(_pointer(addresses[row, i]), (high,), like.dtype)[low:high]


@part
def _range(ends, i, start, stop):
    """The part of array i that lies between the places start and stop of all arrays in a row."""
    begin = ends[i - 1] if i > 0 else 0
    return max(start - begin, 0), min(stop, ends[i]) - begin


@kernel
def _sgd(addresses, ends, like, lr, momentum, kept, decay, nesterov, start, stop):
    for i in range(len(ends)):
        low, high = _range(ends, i, start, stop)
        if low >= high:
            continue
        p = _numbers(addresses, 0, i, low, high, like)
        g = _numbers(addresses, 1, i, low, high, like)
        if momentum == 0:
            for k in range(len(p)):
                p[k] -= lr * (g[k] + decay * p[k] if decay != 0 else g[k])
            continue
        v = _numbers(addresses, 2, i, low, high, like)
        for k in range(len(p)):
            slope = g[k] + decay * p[k] if decay != 0 else g[k]
            v[k] = momentum * v[k] + kept * slope
            p[k] -= lr * (slope + momentum * v[k] if nesterov else v[k])


@kernel
def _adam(addresses, ends, like, rates, b1, b2, eps, decay, shrink, amsgrad, start, stop):
    one = like.dtype.type(1)
    for i in range(len(ends)):
        low, high = _range(ends, i, start, stop)
        if low >= high:
            continue
        p = _numbers(addresses, 0, i, low, high, like)
        g = _numbers(addresses, 1, i, low, high, like)
        m = _numbers(addresses, 2, i, low, high, like)
        v = _numbers(addresses, 3, i, low, high, like)
        rate, inverse_root = rates[0, i], rates[1, i]
        for k in range(len(p)):
            p[k] *= shrink
            slope = g[k] + decay * p[k] if decay != 0 else g[k]
            m[k] += (one - b1) * (slope - m[k])
            v[k] = b2 * v[k] + (one - b2) * (slope * slope)
        if amsgrad:
            largest = _numbers(addresses, 4, i, low, high, like)
            for k in range(len(p)):
                # a NaN stays, as in np.maximum
                largest[k] = v[k] if not largest[k] >= v[k] else largest[k]
        # a loop of its own: one that writes by choice does not vectorise
        square = _numbers(addresses, 4 if amsgrad else 3, i, low, high, like)
        for k in range(len(p)):
            p[k] -= rate * (m[k] / (np.sqrt(square[k]) * inverse_root + eps))


@kernel
def _rmsprop(addresses, ends, like, lr, alpha, eps, decay, momentum, centered, start, stop):
    one = like.dtype.type(1)
    for i in range(len(ends)):
        low, high = _range(ends, i, start, stop)
        if low >= high:
            continue
        p = _numbers(addresses, 0, i, low, high, like)
        g = _numbers(addresses, 1, i, low, high, like)
        v = _numbers(addresses, 2, i, low, high, like)
        if not centered and momentum == 0:
            for k in range(len(p)):
                slope = g[k] + decay * p[k] if decay != 0 else g[k]
                v[k] = alpha * v[k] + (one - alpha) * (slope * slope)
                p[k] -= lr * (slope / (np.sqrt(v[k]) + eps))
            continue
        # arrays that are not needed stand for themselves, unused
        mean = _numbers(addresses, 3 if centered else 2, i, low, high, like)
        kept = _numbers(addresses, 4 if momentum != 0 else 2, i, low, high, like)
        for k in range(len(p)):
            slope = g[k] + decay * p[k] if decay != 0 else g[k]
            v[k] = alpha * v[k] + (one - alpha) * (slope * slope)
            spread = v[k]
            if centered:
                mean[k] += (one - alpha) * (slope - mean[k])
                spread -= mean[k] * mean[k]
            scaled = slope / (np.sqrt(spread) + eps)
            if momentum != 0:
                kept[k] = momentum * kept[k] + scaled
                scaled = kept[k]
            p[k] -= lr * scaled


def sgd(rows, lr, momentum, dampening, weight_decay, nesterov):
    """``rows``: parameters, gradients and, with momentum, velocities; arrays of one dtype."""
    numbers = _all_of(rows[0], lr, momentum, 1 - dampening, weight_decay)
    _run(_sgd, rows, *numbers, bool(nesterov))


def adam(rows, rates, betas, eps, decay, shrink, amsgrad):
    """``rows``: parameters, gradients, both moments and, with ``amsgrad``, the largest second.

    ``rates`` (2, number of arrays): lr / (1 - b1^t) and 1 / sqrt(1 - b2^t).
    """
    numbers = _all_of(rows[0], *betas, eps, decay, shrink)
    _run(_adam, rows, rates.astype(rows[0][0].dtype), *numbers, bool(amsgrad))


def rmsprop(rows, lr, alpha, eps, decay, momentum, centered):
    """``rows``: parameters, gradients, mean squares and, if needed, means and velocities;
    rows that are not needed are None."""
    _run(_rmsprop, rows, *_all_of(rows[0], lr, alpha, eps, decay, momentum), bool(centered))


def _all_of(arrays, *numbers):
    return [arrays[0].dtype.type(number) for number in numbers]


def _run(rule, rows, *options):
    """Call ``rule`` on rows of C-contiguous arrays, column by column of one shape and dtype."""
    addresses = np.zeros((len(rows), len(rows[0])), np.int64)
    for to, row in zip(addresses, rows):
        if row is not None:
            _addresses(row, to)
    ends = np.cumsum([a.size for a in rows[0]])
    like = np.empty(0, rows[0][0].dtype)
    parallel.run(
        lambda _, start, stop: rule(addresses, ends, like, *options, start, stop),
        parallel.chunks(int(ends[-1]), int(ends[-1]) * like.itemsize),
    )


# -- addresses ------------------------------------------------------------------------------
@kernel
def _first_fields(objects, offset, out):
    for i in range(len(objects)):
        out[i] = carray(_pointer(objects[i] + offset), (1,), np.int64)[0]


def _addresses(arrays, out):
    """Write the arrays' addresses to ``out``."""
    if _field_is_data():
        _first_fields(np.fromiter(map(id, arrays), np.int64, len(arrays)), _HEADER, out)
    else:
        out[:] = [a.ctypes.data for a in arrays]


#: where an ndarray's own fields begin, the first being the address of its data
_HEADER = object.__basicsize__


@functools.cache
def _field_is_data():
    """Whether an array's address can be read from its object: asking costs 1 us per array.

    NumPy's C interface fixes the place of the field, and CPython's ``id`` is an address.
    """
    sample = [np.empty(3)[k:] for k in range(3)]
    found = np.zeros(3, np.int64)
    _first_fields(np.fromiter(map(id, sample), np.int64, 3), _HEADER, found)
    return found.tolist() == [a.ctypes.data for a in sample]
