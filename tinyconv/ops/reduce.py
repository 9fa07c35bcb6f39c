"""Sums, moments, extremes and norms over axes.

Primitives: sum, amax/amin (ties share evenly), the p-norm. Composed: mean, var, std (a 2-norm),
logsumexp, nansum; max and min along a dim pick by index (the first of equal ones) and gather.
"""

import math
from typing import NamedTuple

import numpy as np

from tinyconv.autograd import Function, Tensor
from tinyconv.kernels.complex_step import analytic
from tinyconv.ops.arithmetic import maximum, minimum, nothing, where
from tinyconv.ops.common import as_tensor, axes, axis, float_tensor, numpy_names, quiet, sum_over
from tinyconv.ops.compare import isnan
from tinyconv.ops.index import gather
from tinyconv.ops.pointwise import abs, exp, log, sign
from tinyconv.ops.shape import expand, one_or_several, reshape, squeeze


class Sum(Function):
    def forward(ctx, x, dims, keepdim):
        ctx.shape, ctx.dims = x.shape, dims
        y = sum_over(x, dims)
        return y if keepdim else y.reshape(_without(x.shape, dims))

    def backward(ctx, gy):
        return _widen(gy, ctx.shape, ctx.dims)


class Amax(Function):
    """The largest (or smallest) value; equal ones share the gradient evenly; those that are NaN
    too if ``shared``, else NaN makes the gradient of its group NaN."""

    def forward(ctx, x, dims, keepdim, sign, shared):
        ctx.shape, ctx.dims = x.shape, dims
        y = (x.real.max if sign > 0 else x.real.min)(dims, keepdims=True)
        best = x.real == y
        if shared:
            best |= (x.real != x.real) & (y != y)
        ctx.save_for_backward(best)
        if x.dtype.kind == "c":
            y = _first(x, best, dims).reshape(y.shape)
        return y if keepdim else y.reshape(_without(x.shape, dims))

    @quiet
    def backward(ctx, gy):
        best = ctx.saved_tensors[0].array
        share = best / best.sum(ctx.dims, keepdims=True).astype(gy.dtype)
        return _widen(gy, ctx.shape, ctx.dims) * Tensor(share)


class Norm(Function):
    """(sum |x|^p)^(1/p), the dims kept, for any p but the infinities; for 0 the count of what is
    not 0. Where there is no slope, at 0, all derivatives are taken as 0."""

    @quiet
    def forward(ctx, x, p, dims):
        ctx.p = p
        y = _norm(x, p, dims)
        ctx.save_for_backward(x, y)
        return y

    def backward(ctx, gy):
        x, y = ctx.saved_tensors
        p = ctx.p
        if p == 0:
            return nothing(x)
        if p == 1:
            return gy * sign(x)
        silent = y == 0 if p >= 2 else (x == 0) | (y == 0)
        zero, one = x.dtype.type(0), x.dtype.type(1)
        share = where(silent, zero, x) / where(silent, one, y)
        if p != 2:
            share = sign(share) * where(silent, one, abs(share)) ** (p - 1)
        return gy * share


@analytic
def _norm(x, p, dims):
    if p == 2:
        y = np.sqrt(sum_over(x * x, dims))
        if y.dtype == np.float32 and np.count_nonzero((y == np.inf) | (y < 1e-18)):
            # float32 may not hold the squares, though it does their root
            y = np.sqrt(sum_over(np.square(x, dtype=np.float64), dims)).astype(x.dtype)
        return y
    if p == 0:
        return sum_over((x != 0).astype(x.dtype), dims)
    size = np.abs(x) if x.dtype.kind != "c" else x * np.sign(x.real)
    return sum_over(size, dims) if p == 1 else sum_over(size**p, dims) ** (1 / p)


def _first(x, mask, dims):
    """Of each group along ``dims`` the first element where ``mask`` holds."""
    order = [i for i in range(x.ndim) if i not in dims] + list(dims)
    x, mask = (a.transpose(order).reshape(-1, _count(x.shape, dims)) for a in (x, mask))
    return np.take_along_axis(x, mask.argmax(1)[:, None], 1)


def _count(shape, dims):
    return math.prod([shape[d] for d in dims])


def _without(shape, dims):
    return tuple(n for i, n in enumerate(shape) if i not in dims)


def _widen(gy, shape, dims):
    """Undo a reduction's shape: put the axes back and repeat along them."""
    return expand(reshape(gy, tuple(1 if i in dims else n for i, n in enumerate(shape))), shape)


class ValuesIndices(NamedTuple):
    """What ``max``, ``sort`` and others along a dim return."""

    values: Tensor
    indices: Tensor


class MinMax(NamedTuple):
    """What ``aminmax`` returns."""

    min: Tensor
    max: Tensor


def summable(input, dtype, op) -> Tensor:
    """``input`` in ``dtype``, or with integers and bools as int64."""
    x = as_tensor(input, op)
    if dtype is not None:
        return x.to(dtype)
    return x.to(np.int64) if x.dtype.kind in "bui" else x


@numpy_names
def sum(input: Tensor, dim=None, keepdim=False, *, dtype=None) -> Tensor:
    """The sum over ``dim`` (all by default); integers and bools sum to int64.

    >>> import tinyconv as tc
    >>> tc.ones(2, 3).sum(1)
    tensor([3., 3.])
    """
    x = summable(input, dtype, "sum")
    return Sum.apply(x, axes(dim, x.ndim, "sum"), keepdim)


@numpy_names
def nansum(input: Tensor, dim=None, keepdim=False, *, dtype=None) -> Tensor:
    """The sum over ``dim``, NaN counted as 0."""
    x = summable(input, dtype, "nansum")
    x = where(isnan(x), x.dtype.type(0), x) if x.dtype.kind in "fc" else x
    return Sum.apply(x, axes(dim, x.ndim, "nansum"), keepdim)


@numpy_names
def mean(input: Tensor, dim=None, keepdim=False, *, dtype=None) -> Tensor:
    """The mean over ``dim`` (all by default) of a float tensor."""
    x = float_tensor(input if dtype is None else input.to(dtype), "mean")
    dims = axes(dim, x.ndim, "mean")
    count = _count(x.shape, dims)
    return Sum.apply(x, dims, keepdim) / (count if count else float("nan"))


@numpy_names
def nanmean(input: Tensor, dim=None, keepdim=False, *, dtype=None) -> Tensor:
    """The mean over ``dim`` of what is not NaN."""
    x = float_tensor(input if dtype is None else input.to(dtype), "nanmean")
    return nansum(x, dim, keepdim) / sum(~isnan(x), dim, keepdim)


@numpy_names
def var(input: Tensor, dim=None, unbiased=None, keepdim=False, *, correction=None) -> Tensor:
    """The variance over ``dim``, divided by the count less ``correction`` (1).

    ``unbiased``: True for correction 1, False for 0; it may come first, as ``var(x, False)``.
    """
    return _var_mean(input, dim, unbiased, keepdim, correction, "var")[0]


@numpy_names
def std(input: Tensor, dim=None, unbiased=None, keepdim=False, *, correction=None) -> Tensor:
    """The square root of ``var``; its derivative at 0 is 0."""
    return _std_mean(input, dim, unbiased, keepdim, correction, "std")[0]


@numpy_names
def var_mean(input: Tensor, dim=None, unbiased=None, keepdim=False, *, correction=None) -> tuple:
    """(variance, mean) over ``dim``; arguments as in ``var``."""
    return _var_mean(input, dim, unbiased, keepdim, correction, "var_mean")


@numpy_names
def std_mean(input: Tensor, dim=None, unbiased=None, keepdim=False, *, correction=None) -> tuple:
    """(standard deviation, mean) over ``dim``; arguments as in ``var``."""
    return _std_mean(input, dim, unbiased, keepdim, correction, "std_mean")


def _var_mean(input, dim, unbiased, keepdim, correction, op):
    centred, middle, dims, count = _centred(input, dim, unbiased, keepdim, correction, op)
    return Sum.apply(centred * centred, dims, keepdim) / count, middle


def _std_mean(input, dim, unbiased, keepdim, correction, op):
    centred, middle, dims, count = _centred(input, dim, unbiased, keepdim, correction, op)
    y = Norm.apply(centred, 2, dims) / math.sqrt(count)
    return y if keepdim else reshape(y, _without(centred.shape, dims)), middle


def _centred(input, dim, unbiased, keepdim, correction, op):
    """(x - mean, the mean in the result's shape, dims, count less the correction)."""
    x = float_tensor(input, op)
    if isinstance(dim, bool):  # var(x, unbiased), PyTorch's oldest form
        dim, unbiased = None, dim
    if unbiased is not None:
        if correction is not None:
            raise TypeError(f"{op}: give unbiased or correction, not both")
        correction = int(unbiased)
    dims = axes(dim, x.ndim, op)
    middle = mean(x, dims, keepdim=True)
    count = _count(x.shape, dims) - (1 if correction is None else correction)
    kept = middle if keepdim else reshape(middle, _without(x.shape, dims))
    return x - middle, kept, dims, count if count > 0 else 0


@numpy_names
def amax(input: Tensor, dim=(), keepdim=False) -> Tensor:
    """The largest values over ``dim``; equal ones share the gradient evenly, NaN makes it NaN."""
    return _extreme(input, dim, keepdim, 1, "amax", False)


@numpy_names
def amin(input: Tensor, dim=(), keepdim=False) -> Tensor:
    """The smallest values over ``dim``; equal ones share the gradient evenly, NaN makes it NaN."""
    return _extreme(input, dim, keepdim, -1, "amin", False)


@numpy_names
def aminmax(input: Tensor, *, dim=None, keepdim=False) -> MinMax:
    """(min, max): ``amin`` and ``amax`` over one dim, or all."""
    smallest = _extreme(input, dim, keepdim, -1, "aminmax", False)
    return MinMax(smallest, _extreme(input, dim, keepdim, 1, "aminmax", False))


def _extreme(input, dim, keepdim, sign, op, shared=True):
    x = as_tensor(input, op)
    dims = axes(dim if dim != () else None, x.ndim, op)
    if 0 in [x.shape[d] for d in dims]:
        raise IndexError(f"{op}: shape {list(x.shape)} is empty along the dims to reduce")
    return Amax.apply(x, dims, keepdim, sign, shared)


@numpy_names
def max(input: Tensor, dim=None, keepdim=False, *, other=None) -> Tensor | ValuesIndices:
    """The largest value; with ``dim`` (values, indices); with a tensor, elementwise.

    Along a dim the first of equal ones gets the gradient; over all they share it.

    >>> import tinyconv as tc
    >>> values, indices = tc.max(tc.tensor([[1.0, 5.0], [7.0, 2.0]]), 1)
    >>> indices
    tensor([1, 0])
    """
    return _max_or_min(input, dim if other is None else other, keepdim, maximum, 1, "max")


@numpy_names
def min(input: Tensor, dim=None, keepdim=False, *, other=None) -> Tensor | ValuesIndices:
    """The smallest value; with ``dim`` (values, indices); with a tensor, elementwise."""
    return _max_or_min(input, dim if other is None else other, keepdim, minimum, -1, "min")


def _max_or_min(input, dim, keepdim, pairwise, sign, op):
    if isinstance(dim, Tensor):
        return pairwise(input, dim)
    if dim is None:
        return _extreme(input, None, False, sign, op)
    indices = _place(input, dim, True, np.argmax if sign > 0 else np.argmin, op)
    return picked(input, dim, indices, keepdim, op)


def picked(input, dim, indices, keepdim, op) -> ValuesIndices:
    """The values at ``indices``, which have size 1 along ``dim``, with that dim or without."""
    if input.ndim == 0:
        return ValuesIndices(input.clone(), indices)
    at = axis(dim, input.ndim, op)
    values = gather(input, at, indices)
    if not keepdim:
        values, indices = squeeze(values, at), squeeze(indices, at)
    return ValuesIndices(values, indices)


@numpy_names
def argmax(input: Tensor, dim=None, keepdim=False) -> Tensor:
    """The index of the first largest value, over ``dim`` or over all elements."""
    return _place(input, dim, keepdim, np.argmax, "argmax")


@numpy_names
def argmin(input: Tensor, dim=None, keepdim=False) -> Tensor:
    """The index of the first smallest value, over ``dim`` or over all elements."""
    return _place(input, dim, keepdim, np.argmin, "argmin")


def _place(input, dim, keepdim, place, op):
    x = as_tensor(input, op)
    at = None if dim is None else axis(dim, x.ndim, op)
    if (x.array.size if at is None or not x.ndim else x.shape[at]) == 0:
        raise IndexError(f"{op}: shape {list(x.shape)} is empty along dim {dim}")
    if x.ndim == 0:
        return Tensor(np.zeros((), np.int64))
    return Tensor(np.asarray(place(x.array.real, at, keepdims=keepdim)))


@numpy_names
def any(input: Tensor, dim=None, keepdim=False) -> Tensor:
    """Whether any element is not 0: a bool, of uint8 a uint8."""
    return _truth(input, dim, keepdim, np.any, "any")


@numpy_names
def all(input: Tensor, dim=None, keepdim=False) -> Tensor:
    """Whether all elements are not 0: a bool, of uint8 a uint8."""
    return _truth(input, dim, keepdim, np.all, "all")


def _truth(input, dim, keepdim, truth, op):
    x = as_tensor(input, op)
    y = truth(x.array.real, axes(dim, x.ndim, op), keepdims=keepdim)
    return Tensor(np.asarray(y, np.uint8 if x.dtype == np.uint8 else bool))


@numpy_names
def count_nonzero(input: Tensor, *dims, dim=None) -> Tensor:
    """How many elements are not 0, over ``dim`` (all by default), int64."""
    dim = one_or_several(dims, dim)
    x = as_tensor(input, "count_nonzero")
    return Tensor(np.asarray((x.array.real != 0).sum(axes(dim, x.ndim, "count_nonzero"))))


def vector_norm(x: Tensor, ord=2, dim=None, keepdim=False, *, dtype=None) -> Tensor:
    """(sum |x|^ord)^(1/ord) over ``dim`` (all by default), in the dtype ``dtype``.

    ``ord``: infinity for the largest and -infinity for the smallest absolute value, 0 for the
    count of what is not 0. The derivative of the norm where it is 0 is taken as 0.

    Raises:
        IndexError: if there is no element, and ``ord`` asks for a largest or smallest one.

    >>> import tinyconv as tc
    >>> tc.linalg.vector_norm(tc.tensor([[3.0, 4.0], [6.0, 8.0]]), dim=1)
    tensor([ 5., 10.])
    """
    return p_norm(x, ord, dim, keepdim, dtype, "vector_norm")


def p_norm(input, p, dim, keepdim, dtype, op) -> Tensor:
    """``vector_norm`` for the public function ``op``, which its errors name."""
    x = float_tensor(input, op)
    x = x if dtype is None else float_tensor(x.to(dtype), op)
    if not isinstance(p, (int, float)):
        raise TypeError(f"{op}: the order must be a number, got {p!r}")
    dims = axes(dim, x.ndim, op)
    if p in (math.inf, -math.inf):
        return _extreme(abs(x), dims, keepdim, 1 if p > 0 else -1, op)
    if p < 0 and 0 in [x.shape[d] for d in dims]:
        raise IndexError(f"{op}: shape {list(x.shape)} is empty along the dims to reduce")
    y = Norm.apply(x, p, dims)
    return y if keepdim else reshape(y, _without(x.shape, dims))


@numpy_names
def norm(input: Tensor, p="fro", dim=None, keepdim=False, dtype=None) -> Tensor:
    """(sum |x|^p)^(1/p) over ``dim`` (all by default); 'fro' is 2. As ``linalg.vector_norm``.

    Raises:
        ValueError: for 'nuc', which needs singular values, or another word.
    """
    if isinstance(p, str):
        if p != "fro":
            raise ValueError(f"norm: p={p!r} is not available; wants a number or 'fro'")
        p = 2
    return p_norm(input, p, dim, keepdim, dtype, "norm")


@numpy_names
def logsumexp(input: Tensor, dim, keepdim=False) -> Tensor:
    """log(sum(exp(x))) over ``dim``, without overflow; integers become floats."""
    x = as_tensor(input, "logsumexp")
    x = x if x.dtype.kind in "fc" else x.float()
    dims = axes(dim, x.ndim, "logsumexp")
    peak = x.array.real.max(dims, keepdims=True, initial=-np.inf)
    shift = Tensor(np.where(np.isfinite(peak), peak, 0).astype(x.dtype))
    y = log(Sum.apply(exp(x - shift), dims, True)) + shift
    return y if keepdim else reshape(y, _without(x.shape, dims))
