"""Sums, means and extremes over axes.

Primitives: sum, amax/amin (ties share evenly). Composed: mean, var, std, norm,
logsumexp; max and min along a dim pick by index (the first of equal ones) and gather.
"""

import math
from typing import NamedTuple

import numpy as np

from tinyconv.autograd import Function, Tensor
from tinyconv.ops.arithmetic import maximum, minimum, where
from tinyconv.ops.common import as_tensor, axes, axis, float_tensor, sum_over
from tinyconv.ops.index import gather
from tinyconv.ops.pointwise import abs, exp, log, sqrt
from tinyconv.ops.shape import expand, reshape, squeeze


class Sum(Function):
    def forward(ctx, x, dims, keepdim):
        ctx.shape, ctx.dims = x.shape, dims
        y = sum_over(x, dims)
        return y if keepdim else y.reshape(_without(x.shape, dims))

    def backward(ctx, gy):
        return _widen(gy, ctx.shape, ctx.dims)


class Amax(Function):
    """The largest (or smallest) value; equal ones share the gradient evenly."""

    def forward(ctx, x, dims, keepdim, sign):
        ctx.shape, ctx.dims = x.shape, dims
        y = (x.real.max if sign > 0 else x.real.min)(dims, keepdims=True)
        best = (x.real == y) | ((x.real != x.real) & (y != y))
        ctx.save_for_backward((best / best.sum(dims, keepdims=True)).astype(x.dtype))
        if x.dtype.kind == "c":
            y = _first(x, best, dims).reshape(y.shape)
        return y if keepdim else y.reshape(_without(x.shape, dims))

    def backward(ctx, gy):
        (share,) = ctx.saved_tensors
        return _widen(gy, ctx.shape, ctx.dims) * share


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
    """What ``max`` and ``min`` along a dim return."""

    values: Tensor
    indices: Tensor


def sum(input: Tensor, dim=None, keepdim=False, *, dtype=None) -> Tensor:
    """The sum over ``dim`` (all by default); integers and bools sum to int64.

    >>> import tinyconv as tc
    >>> tc.ones(2, 3).sum(1)
    tensor([3., 3.])
    """
    x = as_tensor(input, "sum")
    if dtype is not None:
        x = x.to(dtype)
    elif x.dtype.kind in "bui":
        x = x.to(np.int64)
    return Sum.apply(x, axes(dim, x.ndim, "sum"), keepdim)


def mean(input: Tensor, dim=None, keepdim=False, *, dtype=None) -> Tensor:
    """The mean over ``dim`` (all by default) of a float tensor."""
    x = float_tensor(input if dtype is None else input.to(dtype), "mean")
    dims = axes(dim, x.ndim, "mean")
    count = _count(x.shape, dims)
    return Sum.apply(x, dims, keepdim) / (count if count else float("nan"))


def var(input: Tensor, dim=None, unbiased=None, keepdim=False, *, correction=1) -> Tensor:
    """The variance over ``dim``, divided by the count less ``correction``."""
    x = float_tensor(input, "var")
    if isinstance(dim, bool):  # var(unbiased), PyTorch's oldest form
        dim, unbiased = None, dim
    dims = axes(dim, x.ndim, "var")
    if unbiased is not None:
        correction = int(unbiased)
    centred = x - mean(x, dims, keepdim=True)
    count = _count(x.shape, dims) - correction
    return Sum.apply(centred * centred, dims, keepdim) / (count if count > 0 else 0)


def std(input: Tensor, dim=None, unbiased=None, keepdim=False, *, correction=1) -> Tensor:
    """The square root of ``var``; its derivative at 0 is 0."""
    return _root(var(input, dim, unbiased, keepdim, correction=correction), 2)


def amax(input: Tensor, dim=None, keepdim=False) -> Tensor:
    """The largest values over ``dim``; equal ones share the gradient evenly."""
    return _extreme(input, dim, keepdim, 1, "amax")


def amin(input: Tensor, dim=None, keepdim=False) -> Tensor:
    """The smallest values over ``dim``; equal ones share the gradient evenly."""
    return _extreme(input, dim, keepdim, -1, "amin")


def _extreme(input, dim, keepdim, sign, op):
    x = as_tensor(input, op)
    dims = axes(dim if dim != () else None, x.ndim, op)
    if 0 in [x.shape[d] for d in dims]:
        raise IndexError(f"{op}: shape {list(x.shape)} is empty along the dims to reduce")
    return Amax.apply(x, dims, keepdim, sign)


def max(input: Tensor, dim=None, keepdim=False) -> Tensor | ValuesIndices:
    """The largest value; with ``dim`` (values, indices); with a tensor, elementwise.

    Along a dim the first of equal ones gets the gradient; over all they share it.

    >>> import tinyconv as tc
    >>> values, indices = tc.max(tc.tensor([[1.0, 5.0], [7.0, 2.0]]), 1)
    >>> indices
    tensor([1, 0])
    """
    return _max_or_min(input, dim, keepdim, maximum, amax, np.argmax, "max")


def min(input: Tensor, dim=None, keepdim=False) -> Tensor | ValuesIndices:
    """The smallest value; with ``dim`` (values, indices); with a tensor, elementwise."""
    return _max_or_min(input, dim, keepdim, minimum, amin, np.argmin, "min")


def _max_or_min(input, dim, keepdim, pairwise, overall, place, op):
    if isinstance(dim, Tensor):
        return pairwise(input, dim)
    if dim is None:
        return overall(input)
    x = as_tensor(input, op)
    at = axis(dim, x.ndim, op)
    if x.ndim == 0:
        return ValuesIndices(x.clone(), Tensor(np.zeros((), np.int64)))
    if x.shape[at] == 0:
        raise IndexError(f"{op}: shape {list(x.shape)} is empty along dim {dim}")
    indices = Tensor(np.expand_dims(place(x.array.real, at), at))
    values = gather(x, at, indices)
    if not keepdim:
        values, indices = squeeze(values, at), squeeze(indices, at)
    return ValuesIndices(values, indices)


def argmax(input: Tensor, dim=None, keepdim=False) -> Tensor:
    """The index of the first largest value, over ``dim`` or over all elements."""
    return Tensor(np.argmax(input.array.real, dim, keepdims=keepdim))


def argmin(input: Tensor, dim=None, keepdim=False) -> Tensor:
    """The index of the first smallest value, over ``dim`` or over all elements."""
    return Tensor(np.argmin(input.array.real, dim, keepdims=keepdim))


def any(input: Tensor, dim=None, keepdim=False) -> Tensor:
    """Whether any element is true."""
    return Tensor(np.any(input.array.real, dim, keepdims=keepdim))


def all(input: Tensor, dim=None, keepdim=False) -> Tensor:
    """Whether all elements are true."""
    return Tensor(np.all(input.array.real, dim, keepdims=keepdim))


def norm(input: Tensor, p=2, dim=None, keepdim=False) -> Tensor:
    """(sum |x|^p)^(1/p); the derivative of the 2-norm at 0 is 0.

    ``p``: a number, 'fro' for 2, infinity for the largest and -infinity for the smallest
    absolute value, 0 for the count of what is not 0.
    """
    x = float_tensor(input, "norm")
    dims = axes(dim, x.ndim, "norm")
    if isinstance(p, str):
        if p != "fro":
            raise ValueError(f"norm: p={p!r}; wants a number or 'fro'")
        p = 2
    if p in (float("inf"), -float("inf")):
        return (amax if p > 0 else amin)(abs(x), dims, keepdim)
    if p == 0:
        return Sum.apply((x != 0).to(x.dtype), dims, keepdim)
    if p == 1:
        return Sum.apply(abs(x), dims, keepdim)
    return _root(Sum.apply(x * x if p == 2 else abs(x) ** p, dims, keepdim), p)


def _root(power, p):
    """power ** (1 / p), with derivative 0 in place of infinity at 0."""
    silent = power == 0
    away = where(silent, power * 0 + 1, power)
    return where(silent, power * 0, sqrt(away) if p == 2 else away ** (1 / p))


def logsumexp(input: Tensor, dim, keepdim=False) -> Tensor:
    """log(sum(exp(x))) over ``dim``, without overflow."""
    x = float_tensor(input, "logsumexp")
    dims = axes(dim, x.ndim, "logsumexp")
    peak = x.array.real.max(dims, keepdims=True, initial=-np.inf)
    shift = Tensor(np.where(np.isfinite(peak), peak, 0).astype(x.dtype))
    y = log(Sum.apply(exp(x - shift), dims, True)) + shift
    return y if keepdim else reshape(y, _without(x.shape, dims))
