"""Taking elements, and putting them back.

Primitives, in pairs whose gradients are each other: getitem / put, gather / scatter_add; and
assign, whose gradient is made of the first pair.
Composed: select, narrow, index_select, take, take_along_dim, masked_select.
No derivative: nonzero, argwhere.
"""

import operator

import numpy as np

from tinyconv.autograd import Function, Tensor
from tinyconv.kernels import memory
from tinyconv.kernels.addition import over_rows
from tinyconv.ops.arithmetic import where
from tinyconv.ops.common import as_tensor, axis
from tinyconv.ops.shape import expand, reshape


class GetItem(Function):
    def forward(ctx, x, index):
        ctx.shape, ctx.index = x.shape, index
        y = x[index]
        if not isinstance(y, np.ndarray):
            # NumPy copies a single element out; with an ellipsis it stays a view
            y = x[(*index, ...) if isinstance(index, tuple) else (index, ...)]
        return y

    def backward(ctx, gy):
        return Put.apply(gy, ctx.index, ctx.shape)


class Put(Function):
    """Zeros of ``shape`` with gy added at ``index``; indices may repeat."""

    def forward(ctx, gy, index, shape):
        ctx.index = index
        if not is_basic(index):
            return added(gy, flat_places(shape, lambda places: places[index]), shape)
        gx = memory.empty(shape, gy.dtype)

        def fill(i, j):
            gx[i:j] = 0
            gx[(slice(i, j), *index[1:])] = gy[i:j]

        if isinstance(index, tuple) and index[:1] == (slice(None),):
            over_rows(fill, gx)
            return gx
        gx[...] = 0
        gx[index] = gy
        return gx

    def backward(ctx, ggx):
        return GetItem.apply(ggx, ctx.index)


class Gather(Function):
    def forward(ctx, x, dim, index):
        ctx.shape, ctx.dim = x.shape, dim
        ctx.save_for_backward(index)
        return x[along(index, dim)]

    def backward(ctx, gy):
        (index,) = ctx.saved_tensors
        return ScatterAdd.apply(gy, ctx.dim, index, ctx.shape)


class ScatterAdd(Function):
    """The adjoint of Gather: zeros of ``shape`` with gy added at ``index`` along ``dim``."""

    def forward(ctx, gy, dim, index, shape):
        ctx.dim = dim
        ctx.save_for_backward(index)
        return added(gy, flat_places(shape, lambda places: places[along(index, dim)]), shape)

    def backward(ctx, ggx):
        (index,) = ctx.saved_tensors
        return Gather.apply(ggx, ctx.dim, index)


class Assign(Function):
    """x with ``src`` in place of ``x[index]``; where places repeat, the last value stays."""

    def forward(ctx, x, src, index):
        ctx.index, ctx.shape = index, x.shape
        # either may be a complex step beside numbers that stay real
        y = x.astype(np.promote_types(x.dtype, src.dtype))
        y[index] = src
        return y

    def backward(ctx, gy):
        need_x, need_src, _ = ctx.needs_input_grad
        gx = gsrc = None
        if need_x:
            gx = Assign.apply(gy, Tensor(np.zeros((), gy.dtype)), ctx.index)
        if need_src:
            gsrc = GetItem.apply(gy, ctx.index)
            stays = None if is_basic(ctx.index) else _stays(ctx.index, ctx.shape)
            if stays is not None:
                gsrc = where(Tensor(stays), gsrc, Tensor(np.zeros((), gy.dtype)))
        return gx, gsrc, None


def flat_places(shape, look):
    """The flat places of what ``look`` picks of an array of ``shape``."""
    return look(np.arange(np.prod(shape, dtype=np.int64)).reshape(shape))


def added(gy, places, shape):
    """Zeros of ``shape`` with gy added at flat ``places``, one after the other."""
    gx = np.zeros(shape, gy.dtype)
    np.add.at(gx.reshape(-1), places.reshape(-1), gy.reshape(-1))
    return gx


def _stays(index, shape):
    """Which of the values assigned to ``index`` are the last at their place; None if all are."""
    places = flat_places(shape, lambda places: places[index])
    order = np.arange(places.size).reshape(places.shape)
    last = np.zeros(np.prod(shape, dtype=np.int64), np.int64)
    last[places] = order
    stays = last[places] == order
    return None if stays.all() else stays


def along(index, dim):
    """The NumPy index for the places ``index`` along ``dim``, each in its own row outside."""
    return tuple([
        index if d == dim else np.arange(n).reshape(-1, *[1] * (index.ndim - d - 1))
        for d, n in enumerate(index.shape)
    ])  # fmt: skip


# -- x[...] -----------------------------------------------------------------------------------
_PLAIN = (int, np.integer, slice, type(None), type(Ellipsis))


def is_basic(index):
    """Whether ``index`` has integers, slices, None and ... alone: then NumPy gives a view."""
    if isinstance(index, tuple):
        return all([isinstance(p, _PLAIN) and not isinstance(p, bool) for p in index])
    return isinstance(index, _PLAIN) and not isinstance(index, bool)


def plain_index(index):
    """``index`` as NumPy wants it: Tensors, lists and ranges as arrays, bytes as masks.

    Raises:
        IndexError: for what is no index.
    """
    if isinstance(index, tuple):
        return tuple([_plain_part(part) for part in index])
    return _plain_part(index)


def _plain_part(part):
    if isinstance(part, _PLAIN):  # bools too
        return part
    if isinstance(part, Tensor):
        array = part.array
    elif isinstance(part, (list, tuple, range)):
        array = _listed(part)
    elif isinstance(part, (np.ndarray, np.generic)):
        array = np.asarray(part)
    else:
        raise IndexError(f"{part!r} is neither integer, slice, None, ... nor a tensor")
    kind = array.dtype.kind
    if kind not in "biu":
        raise IndexError(f"tensors used as indices must be int or bool, not {array.dtype}")
    if array.dtype == np.uint8:  # masks of old, as in PyTorch
        return array != 0
    if array.ndim == 0 and kind != "b":
        return int(array)
    return array.copy()


def _listed(part):
    """A nested list, whose numbers may be tensors, as an array."""
    try:
        array = np.array([_item(p) for p in part])
        if array.dtype == object:
            raise TypeError(f"{array.dtype} inside")
    except (ValueError, TypeError) as error:
        raise IndexError(
            f"{part!r} is no list of numbers; slices and None belong into a tuple ({error})"
        ) from None
    return array if array.size else array.astype(np.int64)


def _item(part):
    if isinstance(part, Tensor):
        return part.array
    return [_item(p) for p in part] if isinstance(part, (list, tuple)) else part


def steps(index):
    """``index`` (plain) as the indices to take one after the other.

    PyTorch applies integers first, as a view, and then the arrays; to NumPy they are arrays too,
    and move the axes of a result to the front where a slice stands between.
    """
    if not isinstance(index, tuple) or is_basic(index):
        return (index,)
    if not any([isinstance(p, (int, np.integer)) and not isinstance(p, bool) for p in index]):
        return (index,)
    first, then = [], []
    for part in index:
        if isinstance(part, (int, np.integer)) and not isinstance(part, bool):
            first.append(part)
        elif part is None or part is Ellipsis:
            then.append(part)
            if part is Ellipsis:
                first.append(part)
        else:
            axes_ = 1 if isinstance(part, slice) else np.ndim(part) if _is_mask(part) else 1
            first += [slice(None)] * axes_
            then.append(part)
    return tuple(first), tuple(then)


def _is_mask(part):
    return isinstance(part, bool) or part.dtype == bool


def getitem(input: Tensor, index) -> Tensor:
    """``input[index]``: integers, slices, None, ..., integer tensors, lists and masks.

    Integers, slices, None and ... give a view; slices may step backwards.

    Raises:
        IndexError: for an index out of range, too many of them or one of another type.

    >>> import tinyconv as tc
    >>> x = tc.arange(6).reshape(2, 3)
    >>> x[0, 1:], x[:, [2, 0]], x[x > 3]
    (tensor([1, 2]), tensor([[2, 0],
            [5, 3]]), tensor([4, 5]))
    """
    y = input
    try:
        for part in steps(plain_index(index)):
            y = GetItem.apply(y, part)
    except IndexError as error:
        raise IndexError(f"index into shape {list(input.shape)}: {error}") from None
    return y


# -- named ways to take -------------------------------------------------------------------------
def check_index(index, size, op, low=0):
    """``index`` (a Tensor) as an array of whole numbers, checked to lie in low ... size - 1."""
    index = as_tensor(index, op).array
    if index.dtype.kind not in "iu":
        raise TypeError(f"{op}: wants integer indices, got {index.dtype}")
    if index.size and (index.min() < low or index.max() >= size):
        raise IndexError(
            f"{op}: indices run from {index.min()} to {index.max()}, allowed are {low} to "
            f"{size - 1}"
        )
    return index


def select(input: Tensor, dim, index) -> Tensor:
    """The slice ``index`` of ``dim``, without that axis; a view."""
    at = axis(dim, input.ndim, "select")
    if input.ndim == 0:
        raise IndexError("select: a 0-d tensor has no dimension to select from")
    index = operator.index(index)
    if not -input.shape[at] <= index < input.shape[at]:
        raise IndexError(
            f"select: index {index} is out of range for shape {list(input.shape)} at dim {dim}"
        )
    return GetItem.apply(input, (slice(None),) * at + (index,))


def narrow(input: Tensor, dim, start, length) -> Tensor:
    """``length`` slices of ``dim`` from ``start`` on (which may count from the end); a view.

    Raises:
        IndexError, RuntimeError: if they do not lie inside.
    """
    if input.ndim == 0:
        raise RuntimeError("narrow: a 0-d tensor cannot be narrowed")
    if isinstance(start, Tensor) and (start.ndim or start.dtype.kind not in "iu"):
        raise RuntimeError(
            f"narrow: start must be a 0-d integer tensor, got {start.dtype} of {list(start.shape)}"
        )
    at, start, length = axis(dim, input.ndim, "narrow"), operator.index(start), int(length)
    size = input.shape[at]
    if not -size <= start <= size:
        raise IndexError(f"narrow: start={start} is out of range for the size {size} of dim {dim}")
    start += size if start < 0 else 0
    if length < 0 or start + length > size:
        raise RuntimeError(
            f"narrow: start {start} and length {length} do not lie inside the size {size} of dim "
            f"{dim}"
        )
    return GetItem.apply(input, (slice(None),) * at + (slice(start, start + length),))


def gather(input: Tensor, dim, index, *, sparse_grad=False) -> Tensor:
    """y[i][j] = x[index[i][j]][j] for dim 0, and so on: one pick per element of ``index``.

    Raises:
        RuntimeError: if ``index`` has other dimensions or is larger outside ``dim``.
        IndexError: for an index out of range.
    """
    if sparse_grad:
        raise ValueError("gather: sparse_grad=True is not available: there are no sparse tensors")
    at = check_places(input.shape, dim, index, "gather")
    if index.array.size == 0:  # of any number of dimensions
        return reshape(GetItem.apply(reshape(input, -1), slice(0, 0)), index.shape)
    if input.ndim == 0 or index.ndim == 0:  # a number counts as a vector of one
        return reshape(gather(reshape(input, -1), 0, reshape(index, -1)), index.shape)
    return Gather.apply(input, at, index)


def check_places(shape, dim, index, op):
    """The axis ``dim``, with ``index`` checked as gather and scatter want it."""
    at = axis(dim, len(shape), op)
    index = as_tensor(index, op)
    ours, theirs = shape or (1,), index.shape or (1,)
    if index.array.size == 0 and index.dtype.kind in "iu":
        return at
    if len(ours) != len(theirs) or any(
        n > m for i, (n, m) in enumerate(zip(theirs, ours)) if i != at
    ):
        raise RuntimeError(
            f"{op}: index {list(index.shape)} must have the {len(shape)} dimensions of the input "
            f"{list(shape)} and be no larger outside dim {dim}"
        )
    check_index(index, ours[at], op)
    return at


def index_select(input: Tensor, dim, index) -> Tensor:
    """The slices ``index`` (1-d) of ``input`` along ``dim``."""
    at = axis(dim, input.ndim, "index_select")
    if index.ndim > 1:
        raise IndexError(f"index_select: index must be a vector, got shape {list(index.shape)}")
    places = check_index(index, (input.shape or (1,))[at], "index_select").reshape(-1).copy()
    if input.ndim == 0:
        if places.size != 1:
            raise RuntimeError(f"index_select: {places.size} indices into a number; wants one")
        return reshape(GetItem.apply(reshape(input, 1), places), ())
    return GetItem.apply(input, (slice(None),) * at + (places,))


def take(input: Tensor, index) -> Tensor:
    """The elements at the places ``index`` of ``input`` read as one long vector."""
    places = check_index(index, input.array.size, "take", -input.array.size)
    return GetItem.apply(reshape(input, -1), places.copy())


def take_along_dim(input: Tensor, indices, dim=None) -> Tensor:
    """``gather`` with both sides broadcast outside ``dim``; flat for dim=None."""
    if dim is None:
        return take_along_dim(reshape(input, -1), reshape(indices, -1), 0)
    if input.ndim != indices.ndim:
        raise RuntimeError(
            f"take_along_dim: input {list(input.shape)} and indices {list(indices.shape)} must "
            "have the same number of dimensions"
        )
    at = axis(dim, input.ndim, "take_along_dim")
    size = (input.shape or (1,))[at]
    check_index(indices, size, "take_along_dim", -size)
    sides = [x.shape[:at] + x.shape[at + 1 :] for x in (input, indices)]
    try:
        outside = np.broadcast_shapes(*sides)
    except ValueError:
        raise RuntimeError(
            f"take_along_dim: input {list(input.shape)} and indices {list(indices.shape)} cannot "
            f"be broadcast outside dim {dim}"
        ) from None
    full = [outside[:at] + x.shape[at : at + 1] + outside[at:] for x in (input, indices)]
    indices = expand(where(indices < 0, indices + size, indices), full[1])
    return gather(expand(input, full[0]), at, indices)


def masked_select(input: Tensor, mask) -> Tensor:
    """The elements where ``mask`` (bool, broadcast) holds, as a vector."""
    if not isinstance(mask, Tensor) or mask.dtype != bool:
        raise TypeError(f"masked_select: mask must be a bool tensor, got {_described(mask)}")
    try:
        shape = np.broadcast_shapes(input.shape, mask.shape)
    except ValueError:
        raise RuntimeError(
            f"masked_select: input {list(input.shape)} and mask {list(mask.shape)} cannot be "
            "broadcast"
        ) from None
    return GetItem.apply(expand(input, shape), np.broadcast_to(mask.array, shape).copy())


def _described(value):
    return value.dtype if isinstance(value, Tensor) else type(value).__name__


def nonzero(input: Tensor, *, as_tuple=False):
    """The places of what is not 0: (count, dimensions) int64, or a tuple with a vector per axis.

    >>> import tinyconv as tc
    >>> tc.nonzero(tc.tensor([[0, 3], [4, 0]]))
    tensor([[0, 1],
            [1, 0]])
    """
    if as_tuple:
        return tuple([Tensor(places) for places in np.atleast_1d(input.array).nonzero()])
    return argwhere(input)


def argwhere(input: Tensor) -> Tensor:
    """The places of what is not 0: (count, dimensions), int64."""
    return Tensor(np.argwhere(input.array))
