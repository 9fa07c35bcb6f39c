"""Order: sorting, the k-th values, medians and quantiles, the values there are.

No primitives: places are found by NumPy, and values are gathered from there, so the gradient
goes to the elements that were picked. NaN counts as larger than every number.
"""

import numpy as np

from tinyconv.autograd import Tensor
from tinyconv.ops.common import as_tensor, axis, float_tensor, numpy_names
from tinyconv.ops.compare import isnan
from tinyconv.ops.index import gather, getitem
from tinyconv.ops.pairs import lerp
from tinyconv.ops.reduce import ValuesIndices, max, picked
from tinyconv.ops.shape import flatten, permute, reshape

#: elements from which on it pays to look for the first of them before they are sorted
_MANY = 256


@numpy_names
def sort(input: Tensor, dim=-1, descending=False, *, stable=False) -> ValuesIndices:
    """The elements along ``dim`` in order, and where they were; equal ones keep their order.

    >>> import tinyconv as tc
    >>> tc.sort(tc.tensor([3.0, 1.0, 2.0]), descending=True)
    ValuesIndices(values=tensor([3., 2., 1.]), indices=tensor([0, 2, 1]))
    """
    x = as_tensor(input, "sort")
    indices = Tensor(_order(x, dim, descending, "sort"))
    if x.ndim == 0:
        return ValuesIndices(x.clone(), indices)
    return ValuesIndices(gather(x, axis(dim, x.ndim, "sort"), indices), indices)


@numpy_names
def argsort(input: Tensor, dim=-1, descending=False, *, stable=False) -> Tensor:
    """The indices that sort ``input`` along ``dim``."""
    return Tensor(_order(as_tensor(input, "argsort"), dim, descending, "argsort"))


def msort(input: Tensor) -> Tensor:
    """The values in order along the first dim."""
    return sort(input, 0).values


def _order(x, dim, descending, op):
    at = axis(dim, x.ndim, op)
    values = x.array.real
    if x.ndim == 0:
        return np.zeros((), np.int64)
    if not descending:
        return np.argsort(values, at, kind="stable")
    # sorted from behind and turned round, equal ones keep their order too
    found = np.argsort(np.flip(values, at), at, kind="stable")
    return x.shape[at] - 1 - np.flip(found, at)


@numpy_names
def topk(input: Tensor, k, dim=-1, largest=True, sorted=True) -> ValuesIndices:
    """The ``k`` largest (or smallest) elements along ``dim`` in order, and where they are.

    Raises:
        RuntimeError: if there are fewer than ``k``.

    >>> import tinyconv as tc
    >>> tc.topk(tc.tensor([1.0, 5.0, 3.0]), 2).indices
    tensor([1, 2])
    """
    x = as_tensor(input, "topk")
    at = axis(dim, x.ndim, "topk")
    size = x.shape[at] if x.ndim else 1
    if not 0 <= k <= size:
        raise RuntimeError(f"topk: k={k} of the {size} elements along dim {dim} of {list(x.shape)}")
    if x.ndim == 0:
        return ValuesIndices(x.clone(), Tensor(np.zeros((), np.int64)))
    indices = Tensor(_first(x, k, at, largest))
    return ValuesIndices(gather(x, at, indices), indices)


def _first(x, k, at, largest):
    """The places of the first ``k`` along axis ``at`` in falling (or rising) order."""
    size, front = x.shape[at], (slice(None),) * at
    if size < _MANY or 8 * k > size or k == 0:
        return _order(x, at, largest, "topk")[(*front, slice(k))]
    # a few of many: these are told from the others first, and then put in order
    values = x.array.real
    some = np.argpartition(values, size - k if largest else k - 1, at)
    some = np.sort(some[(*front, slice(size - k, None) if largest else slice(k))], at)
    found = Tensor(np.take_along_axis(values, some, at))
    return np.take_along_axis(some, _order(found, at, largest, "topk"), at)


def kthvalue(input: Tensor, k, dim=-1, keepdim=False) -> ValuesIndices:
    """The ``k``-th smallest element along ``dim``, counted from 1, and where it is.

    Raises:
        RuntimeError: if there are fewer than ``k``, or ``k`` is below 1.
    """
    x = as_tensor(input, "kthvalue")
    at = axis(dim, x.ndim, "kthvalue")
    size = x.shape[at] if x.ndim else 1
    if not 1 <= k <= size:
        raise RuntimeError(
            f"kthvalue: k={k} of the {size} elements along dim {dim} of {list(x.shape)}"
        )
    return _ranked(x, np.asarray(k - 1), at, keepdim, "kthvalue")


def _ranked(x, rank, dim, keepdim, op):
    """The elements of ``rank`` (an array that broadcasts) along ``dim``, counted from 0."""
    order = _order(x, dim, False, op)
    if x.ndim:
        shape = tuple(1 if i == dim else n for i, n in enumerate(x.shape))
        order = np.take_along_axis(order, np.broadcast_to(rank, shape), dim)
    return picked(x, dim, Tensor(order), keepdim, op)


@numpy_names
def median(input: Tensor, dim=None, keepdim=False) -> Tensor | ValuesIndices:
    """The middle value, the lower one of two; NaN if any is; with ``dim`` (values, indices).

    Without ``dim`` equal ones share the gradient.
    """
    return _median(input, dim, keepdim, False, "median")


def nanmedian(input: Tensor, dim=None, keepdim=False) -> Tensor | ValuesIndices:
    """The ``median`` of what is not NaN."""
    return _median(input, dim, keepdim, True, "nanmedian")


def _median(input, dim, keepdim, ignore, op):
    x = as_tensor(input, op)
    if dim is None:
        return _middle_of_all(flatten(x), ignore, op)
    at = axis(dim, x.ndim, op)
    if x.ndim and x.shape[at] == 0:
        raise IndexError(f"{op}: shape {list(x.shape)} is empty along dim {dim}")
    missing = np.isnan(x.array.real).sum(at if x.ndim else None, keepdims=True)
    size = x.shape[at] if x.ndim else 1
    if ignore:
        rank = np.maximum(size - 1 - missing, 0) // 2
    else:  # the first NaN
        rank = np.where(missing, size - missing, (size - 1) // 2)
    return _ranked(x, rank, at, keepdim, op)


def _middle_of_all(x, ignore, op):
    if x.array.size == 0:
        return Tensor(np.asarray(np.nan if x.dtype.kind == "f" else np.iinfo(x.dtype).min, x.dtype))
    y = _median(x.detach(), 0, False, ignore, op).values
    if not x.requires_grad:
        return y
    same = (x == y) | (isnan(x) & isnan(y))
    return max(getitem(x, same))


@numpy_names
def mode(input: Tensor, dim=-1, keepdim=False) -> ValuesIndices:
    """The most frequent value along ``dim``, the smallest of several, and its last place; all NaN
    count as one value."""
    x = as_tensor(input, "mode")
    at = axis(dim, x.ndim, "mode")
    if x.ndim == 0:
        return ValuesIndices(x.clone(), Tensor(np.zeros((), np.int64)))
    if x.shape[at] == 0:
        raise IndexError(f"mode: shape {list(x.shape)} is empty along dim {dim}")
    order = np.moveaxis(_order(x, at, False, "mode"), at, -1)
    values = np.take_along_axis(np.moveaxis(x.array.real, at, -1), order, -1)
    places = np.broadcast_to(np.arange(x.shape[at]), values.shape)
    new = np.ones(values.shape, bool)
    before, after = values[..., :-1], values[..., 1:]
    new[..., 1:] = (before != after) & (before == before)  # a NaN is like the one before it
    run = places - np.maximum.accumulate(np.where(new, places, 0), -1)
    found = np.take_along_axis(order, run.argmax(-1)[..., None], -1)
    return picked(x, at, Tensor(np.moveaxis(found, -1, at)), keepdim, "mode")


_ROUNDED = {"lower": np.floor, "higher": np.ceil, "nearest": np.rint}
_INTERPOLATIONS = ("linear", "midpoint", *_ROUNDED)


def quantile(input: Tensor, q, dim=None, keepdim=False, *, interpolation="linear") -> Tensor:
    """What a share ``q`` of the elements over ``dim`` (all by default) lies below.

    Args:
        q: a number from 0 to 1, or a tensor of some of them, which come first in the result.
        interpolation: between two elements: 'linear', 'lower', 'higher', 'midpoint', 'nearest'.

    Raises:
        ValueError, RuntimeError, TypeError: another word; q outside of [0, 1], of more than one
            dimension or of another dtype; nothing to take it of.

    >>> import tinyconv as tc
    >>> tc.quantile(tc.tensor([0.0, 1.0, 4.0]), tc.tensor([0.5, 0.75]))
    tensor([1.0000, 2.5000])
    """
    return _quantile(input, q, dim, keepdim, interpolation, False, "quantile")


def nanquantile(input: Tensor, q, dim=None, keepdim=False, *, interpolation="linear") -> Tensor:
    """The ``quantile`` of what is not NaN."""
    return _quantile(input, q, dim, keepdim, interpolation, True, "nanquantile")


def _quantile(input, q, dim, keepdim, interpolation, ignore, op):
    x = float_tensor(input, op)
    q = q if isinstance(q, Tensor) else Tensor(np.asarray(q, x.dtype))
    if interpolation not in _INTERPOLATIONS:
        raise ValueError(f"{op}: interpolation={interpolation!r}; wants one of {_INTERPOLATIONS}")
    if q.ndim > 1 or q.dtype.kind not in "fc":
        raise RuntimeError(f"{op}: q must be a number or a vector of {x.dtype}, got {q!r}")
    if q.dtype != x.dtype and "c" not in (q.dtype.kind, x.dtype.kind):
        raise TypeError(f"{op}: input is {x.dtype}, q is {q.dtype}; convert one of them")
    if not ((q.array.real >= 0) & (q.array.real <= 1)).all():
        raise RuntimeError(f"{op}: q={q.tolist()} must lie between 0 and 1")
    shape = x.shape
    at = None if dim is None else axis(dim, x.ndim, op)
    if at is None or x.ndim == 0:
        x, kept = flatten(x), (1,) * len(shape)
    else:
        others = [i for i in range(x.ndim) if i != at]
        x, kept = permute(x, (*others, at)), shape[:at] + (1,) + shape[at + 1 :]
    if x.shape[-1] == 0:
        raise RuntimeError(f"{op}: shape {list(shape)} is empty along the dims to reduce")
    y = _between(sort(x, -1).values, reshape(q, -1), interpolation, ignore)
    y = permute(y, (-1, *range(y.ndim - 1)))
    return reshape(y, q.shape + (kept if keepdim else x.shape[:-1]))


def _between(values, q, interpolation, ignore):
    """The quantiles q (Q,) of sorted values (..., n), as (..., Q)."""
    missing = np.isnan(values.array.real).sum(-1, keepdims=True)
    last = values.shape[-1] - 1
    # NaN lies at the end: without ``ignore`` it is what all of its row's quantiles are
    span = np.maximum(last - missing, 0) if ignore else np.where(missing, 0, last)
    first = np.where(missing, 0 if ignore else last, 0)
    rank = q * Tensor(span.astype(q.dtype)) + Tensor(first.astype(q.dtype))
    exact = _ROUNDED.get(interpolation, np.asarray)(rank.array.real)
    below = np.floor(exact).astype(np.int64)
    y = gather(values, -1, Tensor(below))
    if interpolation in _ROUNDED:
        return y
    share = rank - Tensor(below.astype(q.dtype)) if interpolation == "linear" else 0.5
    return lerp(y, gather(values, -1, Tensor(np.ceil(exact).astype(np.int64))), share)


def unique(input: Tensor, sorted=True, return_inverse=False, return_counts=False, dim=None):
    """The values there are (with ``dim``: the slices), in order; each NaN is one of its own.

    With ``return_inverse`` also where in them each element is, with ``return_counts`` how often
    each occurs.

    >>> import tinyconv as tc
    >>> tc.unique(tc.tensor([3, 1, 3]), return_counts=True)
    (tensor([1, 3]), tensor([1, 2]))
    """
    x = as_tensor(input, "unique")
    at = None if dim is None else axis(dim, x.ndim, "unique")
    found = np.unique(
        x.array.real, return_inverse=True, return_counts=True, axis=at, equal_nan=False
    )
    values, inverse, counts = found
    inverse = inverse.reshape(x.shape if at is None else -1)
    return _asked(values, inverse, counts, return_inverse, return_counts)


def unique_consecutive(input: Tensor, return_inverse=False, return_counts=False, dim=None):
    """The elements (with ``dim``: the slices) without those that repeat the one before."""
    x = as_tensor(input, "unique_consecutive")
    at = None if dim is None else axis(dim, x.ndim, "unique_consecutive")
    rows = x.array.real.reshape(-1) if at is None else np.moveaxis(x.array.real, at, 0)
    flat = rows.reshape(len(rows), -1)
    new = np.ones(len(rows), bool)
    new[1:] = (flat[1:] != flat[:-1]).any(1)
    values = rows[new] if at is None else np.moveaxis(rows[new], 0, at)
    inverse = np.cumsum(new) - 1
    counts = np.bincount(inverse, minlength=0)
    inverse = inverse.reshape(x.shape) if at is None else inverse
    return _asked(values, inverse, counts, return_inverse, return_counts)


def _asked(values, inverse, counts, return_inverse, return_counts):
    results = [values] + [inverse] * bool(return_inverse) + [counts] * bool(return_counts)
    tensors = tuple(Tensor(np.ascontiguousarray(a).reshape(a.shape)) for a in results)
    return tensors if len(tensors) > 1 else tensors[0]


def searchsorted(
    sorted_sequence: Tensor, input, *, out_int32=False, right=False, side=None, sorter=None
) -> Tensor:
    """Where each value would have to be put in to keep a sequence in order.

    Args:
        sorted_sequence: (n,), or (..., n) with a sequence for each row of ``input`` (..., m).
        input: the values, or one number.
        right, side: after equal elements ('right') and not before ('left').
        sorter: what sorts the sequence, if it is not in order.

    Raises:
        RuntimeError: if the shapes do not fit, or ``right`` and ``side`` contradict each other.
    """
    return _searched(sorted_sequence, input, out_int32, right, side, sorter, "searchsorted")


def bucketize(input, boundaries: Tensor, *, out_int32=False, right=False) -> Tensor:
    """The number i of the bucket: boundaries[i-1] < x <= boundaries[i], or <= x < if ``right``.

    Raises:
        RuntimeError: if ``boundaries`` is no vector.
    """
    if boundaries.ndim != 1:
        raise RuntimeError(f"bucketize: boundaries {list(boundaries.shape)} must be a vector")
    return _searched(boundaries, input, out_int32, right, None, None, "bucketize")


def _searched(sequence, input, out_int32, right, side, sorter, op):
    x = as_tensor(input, op).array.real
    s = as_tensor(sequence, op).array.real
    if side not in (None, "left", "right") or (side == "left" and right):
        raise RuntimeError(f"{op}: side={side!r} with right={right}; wants 'left' or 'right'")
    if sorter is not None:
        if sorter.shape != s.shape:
            raise RuntimeError(
                f"{op}: sorter {list(sorter.shape)} must be of the sequence's shape {list(s.shape)}"
            )
        s = np.take_along_axis(s, sorter.array, -1)
    if s.ndim == 0 or (s.ndim > 1 and s.shape[:-1] != x.shape[:-1]):
        raise RuntimeError(
            f"{op}: a sequence of shape {list(s.shape)} does not fit values of {list(x.shape)}: it "
            "must be a vector, or of their shape but for the last size"
        )
    side = "right" if right or side == "right" else "left"
    if s.ndim == 1:
        places = np.searchsorted(s, x, side)
    else:
        places = np.empty(x.shape, np.int64)
        for row in np.ndindex(x.shape[:-1]):
            places[row] = np.searchsorted(s[row], x[row], side)
    return Tensor(np.asarray(places, np.int32 if out_int32 else np.int64))
