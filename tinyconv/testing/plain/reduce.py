"""Sums, moments, extremes and norms over axes, and what runs along one."""

import itertools
from collections import namedtuple

import numpy as np

from tinyconv.testing.plain.table import both, oracle

ValuesIndices = namedtuple("ValuesIndices", "values indices")
_MinMax = namedtuple("_MinMax", "min max")


def axes(x, dim):
    """``dim`` as NumPy's ``axis``: None and () are all, and a number has none."""
    if x.ndim == 0 or dim is None or dim == ():
        return None
    return tuple(dim) if isinstance(dim, (tuple, list)) else dim


def along(function, x, dim):
    """``function`` of each vector along ``dim``."""
    return np.apply_along_axis(function, dim, x) if x.ndim else function(x.reshape(1)).reshape(())


for _name, _function in {
    "amax": np.max,
    "amin": np.min,
    "any": np.any,
    "all": np.all,
    "nansum": np.nansum,
    "nanmean": np.nanmean,
    "logsumexp": lambda x, dims, keepdims: np.log(np.sum(np.exp(x), dims, keepdims=keepdims)),
}.items():

    def _reduced(x, dim=None, keepdim=False, function=_function):
        return function(x, axes(x, dim), keepdims=keepdim)

    both(_name)(_reduced)


@both("sum")
def _sum(x, dim=None, keepdim=False, dtype=None):
    return np.sum(x, axes(x, dim), dtype, keepdims=keepdim)


@both("mean")
def _mean(x, dim=None, keepdim=False, dtype=None):
    return np.mean(x, axes(x, dim), dtype, keepdims=keepdim)


@both("count_nonzero")
def _count_nonzero(x, dim=None):
    return np.count_nonzero(x, axes(x, dim))


@oracle("tc.var_mean")
def _var_mean(x, dim=None, unbiased=True, keepdim=False, correction=None):
    if isinstance(dim, bool):
        dim, unbiased = None, dim
    less = (1 if unbiased else 0) if correction is None else correction
    dims = axes(x, dim)
    middle = np.mean(x, dims, keepdims=True)
    squares = np.sum((x - middle) ** 2, dims, keepdims=keepdim)
    count = x.size // middle.size
    return squares / (count - less), np.mean(x, dims, keepdims=keepdim)


@both("var")
def _var(*args, **options):
    return _var_mean(*args, **options)[0]


@both("std")
def _std(*args, **options):
    return np.sqrt(_var(*args, **options))


@oracle("tc.std_mean")
def _std_mean(*args, **options):
    return _std(*args, **options), _var_mean(*args, **options)[1]


# -- extremes -----------------------------------------------------------------------------------
for _name, _place, _value, _pairwise in (
    ("max", np.argmax, np.max, np.maximum), ("min", np.argmin, np.min, np.minimum),
):  # fmt: skip

    def _extreme(x, dim=None, keepdim=False, place=_place, value=_value, pairwise=_pairwise):
        if dim is None:
            return value(x)
        if isinstance(dim, np.ndarray):
            return pairwise(x, dim)
        return ValuesIndices(
            value(x, axes(x, dim), keepdims=keepdim), place(x, axes(x, dim), keepdims=keepdim)
        )

    def _index(x, dim=None, keepdim=False, place=_place):
        return place(x, axes(x, dim), keepdims=keepdim)

    both(_name)(_extreme)
    both(f"arg{_name}")(_index)


@both("aminmax")
def _aminmax(x, dim=None, keepdim=False):
    return _MinMax(*(f(x, axes(x, dim), keepdims=keepdim) for f in (np.min, np.max)))


# -- norms --------------------------------------------------------------------------------------
@both("norm")
def norm(x, p="fro", dim=None, keepdim=False, dtype=None):
    size = np.abs(x)
    if p in (np.inf, -np.inf):
        return (np.max if p > 0 else np.min)(size, axes(x, dim), keepdims=keepdim)
    if p == 0:
        return np.sum(size != 0, axes(x, dim), x.dtype, keepdims=keepdim)
    p = 2 if p == "fro" else p
    return np.sum(size**p, axes(x, dim), keepdims=keepdim) ** (1 / p)


oracle("linalg.vector_norm")(norm)


# -- running along a dim ------------------------------------------------------------------------
def _running(step):
    """A function that gathers up the elements of a vector from the left."""
    return lambda v: np.array(list(itertools.accumulate(v.tolist(), step)), v.dtype)


for _name, _step in {
    "cumsum": lambda a, b: a + b,
    "cumprod": lambda a, b: a * b,
    "logcumsumexp": lambda a, b: max(a, b) + np.log1p(np.exp(-abs(a - b))),
}.items():

    def _cumulated(x, dim, step=_step):
        return along(_running(step), x, dim)

    both(_name)(_cumulated)

for _name, _better in {"cummax": lambda a, b: a >= b, "cummin": lambda a, b: a <= b}.items():

    def _best_so_far(x, dim, better=_better):
        def places(v):
            keep = lambda best, i: i if better(v[i], v[best]) else best  # noqa: E731
            return np.array(list(itertools.accumulate(range(len(v)), keep)))

        return ValuesIndices(along(lambda v: v[places(v)], x, dim), along(places, x, dim))

    both(_name)(_best_so_far)


@both("prod")
def _prod(x, dim=None, keepdim=False):
    return np.prod(x, axes(x, dim), keepdims=keepdim)


@both("diff")
def _diff(x, n=1, dim=-1, prepend=None, append=None):
    parts = [part for part in (prepend, x, append) if part is not None]
    return np.diff(np.concatenate(parts, dim), n, dim)
