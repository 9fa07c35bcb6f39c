"""Running sums, products and extremes along an axis, and the whole product.

Primitives: cumsum, cumprod, logcumsumexp, prod and the linear recurrence
y[i] = b[i] + a[i] y[i-1], which closes the family: the gradients of cumprod and logcumsumexp,
and its own, are recurrences. Composed: cummax and cummin pick by index and gather; diff is a
difference of slices.
"""

import numpy as np

from tinyconv.autograd import Function, Tensor
from tinyconv.kernels.complex_step import analytic
from tinyconv.ops.common import as_tensor, axis, float_tensor, numpy_names, quiet
from tinyconv.ops.compare import logical_xor
from tinyconv.ops.index import gather, getitem
from tinyconv.ops.join import cat
from tinyconv.ops.pad import Pad
from tinyconv.ops.pointwise import exp
from tinyconv.ops.reduce import ValuesIndices, summable
from tinyconv.ops.shape import Flip, flatten, squeeze


class Cumsum(Function):
    def forward(ctx, x, dim):
        ctx.dim = dim
        # one by one: in float32 digits would be lost
        wide = np.float64 if x.dtype == np.float32 else x.dtype
        return np.cumsum(x, dim, wide).astype(x.dtype, copy=False)

    def backward(ctx, gy):
        return _backwards(Cumsum.apply(_backwards(gy, ctx.dim), ctx.dim), ctx.dim)


class Cumprod(Function):
    """Right where factors are 0 too: the gradient never divides."""

    @quiet
    def forward(ctx, x, dim):
        ctx.dim = dim
        y = _cumprod(x, dim)
        ctx.save_for_backward(x, y)
        return y

    def backward(ctx, gy):
        x, y = ctx.saved_tensors
        # what y[i] has of x[j] is y[j-1] times the factors between j and i
        before = _shifted(y, ctx.dim, 1, 1.0)
        return before * recurrence(_shifted(x, ctx.dim, -1), gy, ctx.dim, reverse=True)


class Prod(Function):
    """The product along ``dim``; no factor is divided out, so zeros do no harm."""

    @quiet
    def forward(ctx, x, dim):
        ctx.dim = dim
        ctx.save_for_backward(x)
        return _prod(x, dim)

    def backward(ctx, gy):
        (x,) = ctx.saved_tensors
        dim = ctx.dim
        before = Cumprod.apply(_shifted(x, dim, 1, 1.0), dim)
        after = _backwards(Cumprod.apply(_shifted(_backwards(x, dim), dim, 1, 1.0), dim), dim)
        return gy * before * after


class LogCumSumExp(Function):
    @quiet
    def forward(ctx, x, dim):
        ctx.dim = dim
        y = _logcumsumexp(x, dim)
        ctx.save_for_backward(x, y)
        return y

    def backward(ctx, gy):
        x, y = ctx.saved_tensors
        # exp(x[j] - y[i]) is the product of exp(x[j] - y[j]) and all exp(y[k] - y[k+1])
        # between: none is larger than 1
        steps = exp(y - _shifted(y, ctx.dim, -1, np.inf))
        return exp(x - y) * recurrence(steps, gy, ctx.dim, reverse=True)


class Recurrence(Function):
    """y[i] = b[i] + a[i] y[i-1] along ``dim``, from y[-1] = 0."""

    @quiet
    def forward(ctx, a, b, dim):
        ctx.dim = dim
        y = np.array(b)
        rows, factors = np.moveaxis(y, dim, 0), np.moveaxis(a, dim, 0)
        for i in range(1, len(rows)):
            rows[i] += factors[i] * rows[i - 1]
        ctx.save_for_backward(a, y)
        return y

    def backward(ctx, gy):
        a, y = ctx.saved_tensors
        gb = recurrence(_shifted(a, ctx.dim, -1), gy, ctx.dim, reverse=True)
        ga = gb * _shifted(y, ctx.dim, 1) if ctx.needs_input_grad[0] else None
        return ga, gb


def recurrence(a, b, dim, reverse=False) -> Tensor:
    """y[i] = b[i] + a[i] y[i-1], or with ``reverse`` from the other end, a[i] y[i+1]."""
    if not reverse:
        return Recurrence.apply(a, b, dim)
    return _backwards(Recurrence.apply(_backwards(a, dim), _backwards(b, dim), dim), dim)


def _backwards(x, dim):
    return Flip.apply(x, (dim,))


def _shifted(x, dim, by, value=0.0):
    """x moved by one place to the right (1) or left (-1), ``value`` where nothing comes."""
    return Pad.apply(x, tuple((by, -by) if i == dim else (0, 0) for i in range(x.ndim)), value)


@analytic
def _prod(x, dim):
    return np.prod(x, dim, x.dtype, keepdims=True)


@analytic
def _cumprod(x, dim):
    return np.cumprod(x, dim, x.dtype)


@analytic
def _logcumsumexp(x, dim):
    if x.dtype.kind != "c":  # in float32 digits would be lost one by one
        return np.logaddexp.accumulate(x, dim, np.float64).astype(x.dtype, copy=False)
    peak = np.maximum.accumulate(x.real, dim)
    y = x.astype(np.complex128)
    rows, peaks = np.moveaxis(y, dim, 0), np.moveaxis(peak, dim, 0)
    for i in range(1, len(rows)):
        rows[i] = peaks[i] + np.log(np.exp(rows[i] - peaks[i]) + np.exp(rows[i - 1] - peaks[i]))
    return y


@numpy_names
def cumsum(input: Tensor, dim, *, dtype=None) -> Tensor:
    """y[i] = x[0] + ... + x[i] along ``dim``; integers and bools sum to int64.

    >>> import tinyconv as tc
    >>> tc.cumsum(tc.tensor([1.0, 2.0, 3.0]), 0)
    tensor([1., 3., 6.])
    """
    x = summable(input, dtype, "cumsum")
    at = axis(dim, x.ndim, "cumsum")
    return Cumsum.apply(x, at) if x.ndim else x.clone()


@numpy_names
def cumprod(input: Tensor, dim, *, dtype=None) -> Tensor:
    """y[i] = x[0] ... x[i] along ``dim``; integers and bools multiply to int64."""
    x = summable(input, dtype, "cumprod")
    at = axis(dim, x.ndim, "cumprod")
    return Cumprod.apply(x, at) if x.ndim else x.clone()


@numpy_names
def prod(input: Tensor, dim=None, keepdim=False, *, dtype=None) -> Tensor:
    """The product over ``dim`` (one of them; all by default); integers and bools to int64."""
    x = summable(input, dtype, "prod")
    if dim is None:
        dim, keepdim, x = 0, False, flatten(x)
    at = axis(dim, x.ndim, "prod")
    if x.ndim == 0:
        return x.clone()
    y = Prod.apply(x, at)
    return y if keepdim else squeeze(y, at)


def logcumsumexp(input: Tensor, dim) -> Tensor:
    """y[i] = log(exp(x[0]) + ... + exp(x[i])) along ``dim``, without overflow."""
    x = float_tensor(input, "logcumsumexp")
    at = axis(dim, x.ndim, "logcumsumexp")
    return LogCumSumExp.apply(x, at) if x.ndim else x.clone()


def cummax(input: Tensor, dim) -> ValuesIndices:
    """The largest so far along ``dim``, and the index of the last one that is as large."""
    return _running(input, dim, np.maximum, "cummax")


def cummin(input: Tensor, dim) -> ValuesIndices:
    """The smallest so far along ``dim``, and the index of the last one that is as small."""
    return _running(input, dim, np.minimum, "cummin")


def _running(input, dim, extreme, op):
    x = as_tensor(input, op)
    at = axis(dim, x.ndim, op)
    if x.ndim == 0:
        return ValuesIndices(x.clone(), Tensor(np.zeros((), np.int64)))
    values = x.array.real
    places = np.arange(x.shape[at]).reshape((-1,) + (1,) * (x.ndim - 1 - at))
    found = (values == extreme.accumulate(values, at)) | (values != values)
    indices = Tensor(np.maximum.accumulate(np.where(found, places, 0), at))
    return ValuesIndices(gather(x, at, indices), indices)


def diff(input: Tensor, n=1, dim=-1, prepend=None, append=None) -> Tensor:
    """x[i+1] - x[i] along ``dim``, ``n`` times over; of bools whether they differ.

    ``prepend``, ``append``: tensors to put before and after ``input`` first.

    Raises:
        RuntimeError: for a number without dimensions, or n < 0.
    """
    x = as_tensor(input, "diff")
    if x.ndim == 0:
        raise RuntimeError("diff: wants at least one dimension, got a 0-d tensor")
    if n < 0:
        raise RuntimeError(f"diff: n={n} must not be negative")
    at = axis(dim, x.ndim, "diff")
    parts = [p for p in (prepend, x, append) if p is not None]
    for p in parts:
        if p.ndim != x.ndim or p.shape[:at] + p.shape[at + 1 :] != x.shape[:at] + x.shape[at + 1 :]:
            raise RuntimeError(
                f"diff: what is prepended or appended ({list(p.shape)}) must be of the input's "
                f"shape {list(x.shape)} but for dim {dim}"
            )
    x = cat(parts, at) if len(parts) > 1 and n else x
    before = (slice(None),) * at
    for _ in range(n):
        a, b = getitem(x, (*before, slice(1, None))), getitem(x, (*before, slice(None, -1)))
        x = logical_xor(a, b) if x.dtype == bool else a - b
    return x
