"""Order: Python sorts each vector, and the rest is picked from what it gives."""

import bisect
from collections import Counter

import numpy as np

from tinyconv.testing.plain.reduce import ValuesIndices, along
from tinyconv.testing.plain.table import both, oracle


def _ranks(v, descending=False):
    """The indices that sort a vector: equal elements stay in order, NaN counts as largest."""
    keys = [(np.isnan(a), a) for a in v.tolist()]
    return np.array(sorted(range(len(v)), key=keys.__getitem__, reverse=descending), np.int64)


@both("argsort")
def _argsort(x, dim=-1, descending=False, stable=False):
    return along(lambda v: _ranks(v, descending), x, dim)


@both("sort")
def _sort(x, dim=-1, descending=False, stable=False):
    return _picked(x, lambda v: _ranks(v, descending), dim, True)


@both("msort")
def _msort(x):
    return _sort(x, 0).values


@both("topk")
def _topk(x, k, dim=-1, largest=True, sorted=True):
    return _picked(x, lambda v: _ranks(v, largest)[:k], dim, True)


def _picked(x, place, dim, keepdim):
    """The elements at ``place(v)`` of each vector v along ``dim``."""
    values = along(lambda v: v[place(v)], x, dim)
    indices = along(lambda v: np.asarray(place(v)), x, dim)
    if x.ndim and not keepdim:
        values, indices = values.squeeze(dim), indices.squeeze(dim)
    return ValuesIndices(values, indices)


@both("kthvalue")
def _kthvalue(x, k, dim=-1, keepdim=False):
    return _picked(x, lambda v: _ranks(v)[k - 1 : k], dim, keepdim)


@both("median")
def _median(x, dim=None, keepdim=False):
    def place(v):
        middle = _ranks(v)[(len(v) - 1) // 2]
        return np.array([np.isnan(v).argmax() if np.isnan(v).any() else middle])

    if dim is None:
        return x.reshape(-1)[place(x.reshape(-1))][0]
    return _picked(x, place, dim, keepdim)


@both("nanmedian")
def _nanmedian(x, dim=None, keepdim=False):
    def place(v):
        count = int((~np.isnan(v)).sum())
        return _ranks(v)[max(count - 1, 0) // 2 :][:1]

    if dim is None:
        return x.reshape(-1)[place(x.reshape(-1))][0]
    return _picked(x, place, dim, keepdim)


@both("mode")
def _mode(x, dim=-1, keepdim=False):
    def place(v):
        counts = Counter(v.tolist())
        best = min(a for a in counts if counts[a] == max(counts.values()))
        return np.flatnonzero(v == best)[-1:]

    return _picked(x, place, dim, keepdim)


def _quantile_by(function):
    def quantile(x, q, dim=None, keepdim=False, interpolation="linear"):
        return function(x, q, axis=dim, keepdims=keepdim, method=interpolation)

    return quantile


both("quantile")(_quantile_by(np.quantile))
both("nanquantile")(_quantile_by(np.nanquantile))


# -- the values there are -----------------------------------------------------------------------
def _asked(slices, found, dim, shape, return_inverse, return_counts):
    """From the number of its group for each slice: the groups, the numbers, the counts."""
    groups = max(found, default=-1) + 1
    first = [found.index(g) for g in range(groups)]
    values = np.stack([slices[i] for i in first], dim or 0)
    results = [values]
    results += [np.array(found).reshape(shape if dim is None else -1)] * bool(return_inverse)
    results += [np.array([found.count(g) for g in range(groups)])] * bool(return_counts)
    return tuple(results) if len(results) > 1 else values


def _slices(x, dim):
    return list(x.reshape(-1) if dim is None else np.moveaxis(x, dim, 0))


@both("unique")
def _unique(x, sorted=True, return_inverse=False, return_counts=False, dim=None):
    slices = _slices(x, dim)
    texts = [tuple(np.ravel(s).tolist()) for s in slices]
    order = list(set(texts))
    order.sort()
    found = [order.index(text) for text in texts]
    dim = dim % x.ndim if dim is not None else None
    return _asked(slices, found, dim, x.shape, return_inverse, return_counts)


@both("unique_consecutive")
def _unique_consecutive(x, return_inverse=False, return_counts=False, dim=None):
    slices = _slices(x, dim)
    found = [0]
    for before, now in zip(slices, slices[1:]):
        found.append(found[-1] + (not np.array_equal(before, now)))
    dim = dim % x.ndim if dim is not None else None
    return _asked(slices, found, dim, x.shape, return_inverse, return_counts)


@oracle("tc.searchsorted")
def _searchsorted(sequence, x, right=False, side=None):
    find = bisect.bisect_right if right or side == "right" else bisect.bisect_left
    found = [
        find((sequence if sequence.ndim == 1 else sequence[place[:-1]]).tolist(), x[place])
        for place in np.ndindex(x.shape)
    ]
    return np.array(found).reshape(x.shape)


@oracle("tc.bucketize")
def _bucketize(x, boundaries, right=False, out_int32=False):
    return _searchsorted(boundaries, x, right)
