"""Putting values into places of a copy: what scatter and the index_... ops do.

All composed, of the primitives ``Assign``, ``Put`` and ``ScatterAdd`` in ``tinyconv.ops.index``;
products, largest and smallest of what meets in one place are reductions over a table of it.
The functions return new tensors; those with an underscore are in ``tinyconv.ops.inplace``.
No derivative: one_hot, bincount.
"""

import numpy as np

from tinyconv.autograd import Tensor
from tinyconv.ops.arithmetic import where
from tinyconv.ops.common import as_tensor, axis, given, scalar
from tinyconv.ops.index import (
    Assign,
    GetItem,
    Put,
    ScatterAdd,
    along,
    check_index,
    check_places,
    plain_index,
)
from tinyconv.ops.reduce import amax, amin
from tinyconv.ops.scan import prod
from tinyconv.ops.shape import clone, expand, reshape
from tinyconv.ops.strided import diagonal_look


def _same_dtype(input, source, op, name="source"):
    if source.dtype != input.dtype and "c" not in source.dtype.kind + input.dtype.kind:
        raise RuntimeError(
            f"{op}: {name} is {source.dtype}, the input {input.dtype}; they must be equal"
        )


def _assign(input, source, index):
    """input with ``source``, broadcast, at ``index`` (of NumPy)."""
    if source.requires_grad:
        source = expand(source, np.broadcast_to(np.int8(0), input.shape)[index].shape)
    return Assign.apply(input, source, index)


# -- scatter --------------------------------------------------------------------------------------
def scatter(input: Tensor, dim, index, src=None, *, value=None, reduce=None) -> Tensor:
    """input with y[index[i][j]][j] = src[i][j] for dim 0, and so on.

    Args:
        input: (...), any dtype.
        dim: the dimension that ``index`` counts.
        index: integers, as many dimensions as the input and nowhere larger outside ``dim``.
        src: a tensor of the input's dtype, nowhere smaller than ``index``; or a number.
        reduce: None, 'add' or 'multiply': combine with what is there instead.

    Where several meet in one place the last one stays.

    Raises:
        RuntimeError: for shapes or dtypes that do not fit. IndexError: for an index out of range.

    >>> import tinyconv as tc
    >>> tc.zeros(3).scatter(0, tc.tensor([2, 0]), tc.tensor([5.0, 7.0]))
    tensor([7., 0., 5.])
    """
    how = {None: None, "add": "sum", "multiply": "prod"}
    if reduce not in how:
        raise ValueError(f"scatter: reduce={reduce!r}; wants 'add', 'multiply' or None")
    src = given("scatter", src, value)
    if not isinstance(src, Tensor):
        src = expand(scalar(src, input.dtype, "scatter"), index.shape)
    return _scatter(input, dim, index, src, "scatter", how[reduce])


def scatter_add(input: Tensor, dim, index, src) -> Tensor:
    """input with y[index[i][j]][j] += src[i][j] for dim 0, and so on; see ``scatter``."""
    return _scatter(input, dim, index, src, "scatter_add", "sum")


def scatter_reduce(input: Tensor, dim, index, src, reduce, *, include_self=True) -> Tensor:
    """``scatter`` that combines all values meeting in one place.

    Args:
        reduce: 'sum', 'prod', 'mean', 'amax' or 'amin'.
        include_self: whether the input's own value counts too where something arrives.
    """
    return _scatter(input, dim, index, src, "scatter_reduce", reduce, include_self)


def _scatter(input, dim, index, src, op, how=None, include_self=True):
    at = check_places(input.shape, dim, index, op)
    if index.array.size == 0:
        return clone(input)
    if input.ndim == 0 or index.ndim == 0:  # a number counts as a vector of one
        x, index, src = (reshape(t, -1) for t in (input, index, src))
        return reshape(_scatter(x, 0, index, src, op, how, include_self), input.shape)
    _same_dtype(input, src, op, "src")
    if src.ndim != index.ndim or any(n > m for n, m in zip(index.shape, src.shape)):
        raise RuntimeError(
            f"{op}: index {list(index.shape)} must have the dimensions of src {list(src.shape)} "
            "and be nowhere larger"
        )
    if src.shape != index.shape:
        src = GetItem.apply(src, tuple([slice(n) for n in index.shape]))
    if how == "sum" and include_self:
        return input + ScatterAdd.apply(src, at, index, input.shape)
    places = along(index.array.copy(), at)
    if how is None:
        return Assign.apply(input, src, places)
    return _combined(input, src, places, how, include_self, op)


def _combined(input, src, places, how, include_self, op):
    """input with all values of ``src`` that meet at one of ``places`` reduced to one."""
    if how not in ("sum", "mean", "prod", "amax", "amin"):
        raise ValueError(f"{op}: reduce={how!r}; wants 'sum', 'prod', 'mean', 'amax' or 'amin'")
    shape = input.shape
    counts = np.zeros(shape, np.int64)
    np.add.at(counts, places, 1)
    if how in ("sum", "mean"):
        if not include_self:
            input = Assign.apply(input, Tensor(np.zeros((), input.dtype)), places)
        total = input + Put.apply(src, places, shape)
        if how == "sum":
            return total
        counts = Tensor(np.maximum(counts + include_self, 1).astype(input.dtype))
        return total / counts if input.dtype.kind in "fc" else total // counts
    # a table: for each place of the input a row with its own value and all that arrive
    flat = np.arange(input.array.size).reshape(shape)[places].reshape(-1)
    order = np.argsort(flat, kind="stable")
    first = np.searchsorted(flat[order], flat[order])
    rank = np.empty_like(order)
    rank[order] = np.arange(order.size) - first
    nothing = Tensor(np.full((), _neutral(how, input.dtype), input.dtype))
    own = input if include_self else where(Tensor(counts == 0), input, nothing)
    table = expand(nothing, (input.array.size, counts.max() + 1))
    table = _assign(table, reshape(own, -1), (slice(None), 0))
    table = Assign.apply(table, reshape(src, -1), (flat, rank + 1))
    return reshape(_REDUCTIONS[how](table, 1).to(input.dtype), shape)


_REDUCTIONS = {"prod": prod, "amax": amax, "amin": amin}


def _neutral(how, dtype):
    """What changes nothing when it is reduced with other numbers."""
    if how == "prod":
        return 1
    if dtype.kind in "biu":
        ends = (False, True) if dtype.kind == "b" else (np.iinfo(dtype).min, np.iinfo(dtype).max)
        return ends[how == "amin"]
    return np.inf if how == "amin" else -np.inf


# -- along one axis -------------------------------------------------------------------------------
def _slices(input, dim, index, op):
    """The NumPy index of the slices ``index`` of ``dim``; input and index get an axis if 0-d."""
    at = axis(dim, input.ndim, op)
    index = as_tensor(index, op)
    if index.ndim > 1:
        raise IndexError(f"{op}: index must be a vector, got shape {list(index.shape)}")
    size = (input.shape or (1,))[at]
    low = -size if op == "index_fill" else 0
    return at, (slice(None),) * at + (check_index(index, size, op, low).reshape(-1).copy(),)


def _source(input, at, index, source, op):
    """``source``, checked to have the shape of input[index]."""
    _same_dtype(input, source, op)
    shape = input.shape or (1,)
    wanted = shape[:at] + (len(index[-1]),) + shape[at + 1 :]
    if (source.shape or (1,)) != wanted:
        raise RuntimeError(
            f"{op}: source of shape {list(source.shape)} must be {list(wanted)}: the input "
            f"{list(input.shape)} with one slice of dim {at} per index"
        )
    return reshape(source, wanted)


def index_add(input: Tensor, dim, index, source, *, alpha=1) -> Tensor:
    """input with ``alpha * source``'s slices added to the slices ``index`` of ``dim``."""
    at, index = _slices(input, dim, index, "index_add")
    source = _source(input, at, index, source, "index_add")
    added = Put.apply(source, index, input.shape or (1,))
    if alpha != 1:
        added = added * alpha
    return input + reshape(added, input.shape)


def index_copy(input: Tensor, dim, index, source) -> Tensor:
    """input with ``source``'s slices in place of the slices ``index`` of ``dim``."""
    at, index = _slices(input, dim, index, "index_copy")
    source = _source(input, at, index, source, "index_copy")
    x = input if input.ndim else reshape(input, 1)
    return reshape(Assign.apply(x, source, index), input.shape)


def index_fill(input: Tensor, dim, index, value) -> Tensor:
    """input with a number in all of the slices ``index`` of ``dim``."""
    at, index = _slices(input, dim, index, "index_fill")
    x = input if input.ndim else reshape(input, 1)
    return reshape(_assign(x, scalar(value, input.dtype, "index_fill"), index), input.shape)


def index_put(input: Tensor, indices, values, accumulate=False) -> Tensor:
    """input with ``values`` at ``input[indices]``; added to what is there with ``accumulate``."""
    _same_dtype(input, values, "index_put", "values")
    try:
        index = plain_index(tuple([slice(None) if i is None else i for i in indices]))
        shape = np.broadcast_to(np.int8(0), input.shape)[index].shape
    except IndexError as error:
        raise IndexError(f"index_put into shape {list(input.shape)}: {error}") from None
    try:
        values = expand(values, shape)
    except RuntimeError:
        raise RuntimeError(
            f"index_put: values of shape {list(values.shape)} do not fit input[indices], which is "
            f"{list(shape)}"
        ) from None
    if accumulate:
        return input + Put.apply(values, index, input.shape)
    return Assign.apply(input, values, index)


def put(input: Tensor, index, source, accumulate=False) -> Tensor:
    """input with ``source``'s elements at the places ``index`` of it as one long vector."""
    size = input.array.size
    places = check_index(index, size, "put", -size).reshape(-1).copy()
    _same_dtype(input, source, "put")
    if source.array.size != places.size:
        raise RuntimeError(
            f"put: source {list(source.shape)} and index {list(index.shape)} must have the same "
            "number of elements"
        )
    flat = index_put(reshape(input, -1), (Tensor(places),), reshape(source, -1), accumulate)
    return reshape(flat, input.shape)


# -- masks ----------------------------------------------------------------------------------------
def _mask(input, mask, op):
    if not isinstance(mask, Tensor) or mask.dtype != bool:
        found = mask.dtype if isinstance(mask, Tensor) else type(mask).__name__
        raise TypeError(f"{op}: mask must be a bool tensor, got {found}")
    if mask.shape == input.shape:
        return input.shape
    try:
        return np.broadcast_shapes(input.shape, mask.shape)
    except ValueError:
        raise RuntimeError(
            f"{op}: mask {list(mask.shape)} and input {list(input.shape)} cannot be broadcast"
        ) from None


def masked_fill(input: Tensor, mask, value) -> Tensor:
    """``value`` (a number or 0-d) where ``mask`` (bool) holds, else input."""
    _mask(input, mask, "masked_fill")
    return where(mask, scalar(value, input.dtype, "masked_fill"), input)


def masked_scatter(input: Tensor, mask, source) -> Tensor:
    """input with the first elements of ``source``, one by one, where ``mask`` (bool) holds.

    Raises:
        RuntimeError: if there are fewer elements than places, or for unequal dtypes.
    """
    shape = _mask(input, mask, "masked_scatter")
    _same_dtype(input, source, "masked_scatter")
    full = np.broadcast_to(mask.array, shape).copy()
    count = int(full.sum())
    if source.array.size < count:
        raise RuntimeError(
            f"masked_scatter: source {list(source.shape)} has fewer elements than the mask "
            f"{list(mask.shape)} has places, {count}"
        )
    taken = GetItem.apply(reshape(source, -1), slice(0, count))
    return Assign.apply(expand(input, shape), taken, full)


# -- views ----------------------------------------------------------------------------------------
def _into(input, src, index, op):
    """input with ``src`` in place of the view ``input[index]``."""
    view = np.broadcast_to(np.int8(0), input.shape)[index].shape
    if src.shape != view:
        raise RuntimeError(
            f"{op}: src of shape {list(src.shape)} must be {list(view)}, as what it replaces in "
            f"the input {list(input.shape)}"
        )
    return Assign.apply(input, src.to(input.dtype), index)


def select_scatter(input: Tensor, src, dim, index) -> Tensor:
    """input with ``src`` in place of ``input.select(dim, index)``."""
    at = axis(dim, input.ndim, "select_scatter")
    if not input.ndim or not -input.shape[at] <= index < input.shape[at]:
        raise IndexError(
            f"select_scatter: index {index} is out of range for shape {list(input.shape)} at dim "
            f"{dim}"
        )
    return _into(input, src, (slice(None),) * at + (int(index),), "select_scatter")


def slice_scatter(input: Tensor, src, dim=0, start=None, end=None, step=1) -> Tensor:
    """input with ``src`` in place of the slice start:end:step of ``dim``."""
    at = axis(dim, input.ndim, "slice_scatter")
    if step < 1:
        raise ValueError(f"slice_scatter: step={step} must be at least 1")
    index = (slice(None),) * at + (slice(start, end, step),)
    return _into(input, src, index, "slice_scatter")


def diagonal_scatter(input: Tensor, src, offset=0, dim1=0, dim2=1) -> Tensor:
    """input with ``src`` in place of ``input.diagonal(offset, dim1, dim2)``."""
    look = diagonal_look(input.ndim, offset, dim1, dim2, "diagonal_scatter")
    places = look(np.arange(input.array.size).reshape(input.shape))
    index = np.unravel_index(places, input.shape) if places.size else places
    if src.shape != places.shape:
        raise RuntimeError(
            f"diagonal_scatter: src of shape {list(src.shape)} must be {list(places.shape)}, the "
            f"diagonal of the input {list(input.shape)}"
        )
    return Assign.apply(input, src.to(input.dtype), index) if places.size else clone(input)


# -- counts ---------------------------------------------------------------------------------------
def one_hot(tensor: Tensor, num_classes=-1) -> Tensor:
    """Integers (...) to zeros and ones (..., num_classes), int64.

    >>> import tinyconv as tc
    >>> tc.nn.functional.one_hot(tc.tensor([0, 2]), 3)
    tensor([[1, 0, 0],
            [0, 0, 1]])
    """
    labels = as_tensor(tensor, "one_hot").array
    if num_classes < 1 and (num_classes != -1 or labels.size == 0):
        raise RuntimeError(
            f"one_hot: num_classes={num_classes} for shape {list(labels.shape)}; wants at least "
            "1, or -1 to count the classes that there are"
        )
    classes = int(labels.max()) + 1 if num_classes == -1 else num_classes
    check_index(tensor, classes, "one_hot")
    return Tensor((labels[..., None] == np.arange(classes)).astype(np.int64))


def bincount(input: Tensor, weights=None, minlength=0) -> Tensor:
    """How often each whole number from 0 on occurs in a vector, or the sum of its ``weights``.

    Returns:
        int64 (max + 1,), at least ``minlength`` long; with weights float32 for float32 ones, else
        float64.
    """
    if input.ndim != 1 or input.dtype.kind not in "iu" or (input.array < 0).any():
        raise RuntimeError(
            f"bincount: wants a vector of whole numbers from 0 on, got {input.dtype} of shape "
            f"{list(input.shape)}"
        )
    if minlength < 0:
        raise RuntimeError(f"bincount: minlength={minlength} must not be negative")
    if weights is None:
        return Tensor(np.bincount(input.array, minlength=minlength).astype(np.int64))
    if weights.shape != input.shape:
        raise RuntimeError(
            f"bincount: weights {list(weights.shape)} and input {list(input.shape)} must have the "
            "same shape"
        )
    counts = np.bincount(input.array, weights.array, minlength)
    return Tensor(counts.astype(weights.dtype if weights.dtype == np.float32 else np.float64))
