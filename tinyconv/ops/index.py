"""Taking elements, and putting them back.

Primitives, in pairs whose gradients are each other: getitem / put, gather / scatter_add.
Composed: index_select, masked_fill, one_hot.
"""

import numpy as np

from tinyconv.autograd import Function, Tensor
from tinyconv.kernels import memory
from tinyconv.kernels.addition import over_rows
from tinyconv.ops.arithmetic import where
from tinyconv.ops.common import as_tensor, axis


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
        gx = memory.empty(shape, gy.dtype)

        def fill(i, j):
            gx[i:j] = 0
            gx[(slice(i, j), *index[1:])] = gy[i:j]

        basic = _is_basic(index)
        if basic and isinstance(index, tuple) and index[:1] == (slice(None),):
            over_rows(fill, gx)
            return gx
        gx[...] = 0
        if basic:
            gx[index] = gy
        else:
            np.add.at(gx, index, gy)
        return gx

    def backward(ctx, ggx):
        return GetItem.apply(ggx, ctx.index)


class Gather(Function):
    def forward(ctx, x, dim, index):
        ctx.shape, ctx.dim = x.shape, dim
        ctx.save_for_backward(index)
        return np.take_along_axis(_cropped(x, index.shape, dim), index, dim)

    def backward(ctx, gy):
        (index,) = ctx.saved_tensors
        return ScatterAdd.apply(gy, ctx.dim, index, ctx.shape)


class ScatterAdd(Function):
    """The adjoint of Gather."""

    def forward(ctx, gy, dim, index, shape):
        ctx.dim = dim
        ctx.save_for_backward(index)
        gx = np.zeros(shape, gy.dtype)
        places = list(np.ix_(*[np.arange(n) for n in index.shape]))
        places[dim] = index
        np.add.at(gx, tuple(places), gy)
        return gx

    def backward(ctx, ggx):
        (index,) = ctx.saved_tensors
        return Gather.apply(ggx, ctx.dim, index)


def _cropped(x, shape, dim):
    """x cut to ``shape`` outside ``dim``: gather's index may be smaller than its input."""
    return x[tuple(slice(None) if i == dim else slice(n) for i, n in enumerate(shape))]


def _is_basic(index):
    parts = index if isinstance(index, tuple) else (index,)
    plain = (int, np.integer, slice, type(None), type(Ellipsis))
    return all(isinstance(p, plain) and not isinstance(p, bool) for p in parts)


def plain_index(index):
    """``index`` with Tensors and lists as arrays, as NumPy wants it."""
    if isinstance(index, tuple):
        return tuple(plain_index(i) for i in index)
    if isinstance(index, Tensor):
        if index.dtype.kind not in "biu":
            raise IndexError(f"index: tensors used as indices must be int or bool, {index.dtype}")
        return index.array.copy() if index.ndim else index.array[()]
    if isinstance(index, list):
        return np.asarray(index) if index else np.empty(0, np.int64)
    return index


def getitem(input: Tensor, index) -> Tensor:
    """``input[index]`` with integers, slices, None, ..., integer tensors and masks."""
    try:
        return GetItem.apply(input, plain_index(index))
    except IndexError as error:
        raise IndexError(f"index into shape {list(input.shape)}: {error}") from None


def gather(input: Tensor, dim, index) -> Tensor:
    """y[i][j] = x[index[i][j]][j] for dim 0, and so on: one pick per element of ``index``.

    Raises:
        RuntimeError: if ``index`` has other dimensions or is larger outside ``dim``.
        IndexError: for an index out of range.
    """
    at = axis(dim, input.ndim, "gather")
    index = as_tensor(index, "gather")
    if index.ndim != input.ndim or any(
        n > m for i, (n, m) in enumerate(zip(index.shape, input.shape)) if i != at
    ):
        raise RuntimeError(
            f"gather: index {list(index.shape)} must have the {input.ndim} dimensions of the input "
            f"{list(input.shape)} and be no larger outside dim {dim}"
        )
    _check_range(index.array, input.shape[at], "gather")
    return Gather.apply(input, at, index)


def _check_range(index, size, op):
    if index.dtype.kind not in "iu":
        raise TypeError(f"{op}: wants integer indices, got {index.dtype}")
    if index.size and (index.min() < 0 or index.max() >= size):
        raise IndexError(
            f"{op}: indices run from {index.min()} to {index.max()}, allowed are 0 to {size - 1}"
        )


def index_select(input: Tensor, dim, index) -> Tensor:
    """The slices ``index`` (1-d) of ``input`` along ``dim``."""
    at = axis(dim, input.ndim, "index_select")
    index = as_tensor(index, "index_select")
    _check_range(index.array, input.shape[at], "index_select")
    return getitem(input, (slice(None),) * at + (index,))


def masked_fill(input: Tensor, mask, value) -> Tensor:
    """``value`` where ``mask`` (bool) holds, else input."""
    if not isinstance(value, Tensor):
        value = Tensor(np.asarray(value, input.dtype))
    return where(mask, value.to(input.dtype), input)


def one_hot(tensor: Tensor, num_classes=-1) -> Tensor:
    """Integers (...) to zeros and ones (..., num_classes), int64.

    >>> import tinyconv as tc
    >>> tc.nn.functional.one_hot(tc.tensor([0, 2]), 3)
    tensor([[1, 0, 0],
            [0, 0, 1]])
    """
    labels = as_tensor(tensor, "one_hot").array
    classes = int(labels.max()) + 1 if num_classes == -1 else num_classes
    _check_range(labels, classes, "one_hot")
    return Tensor((labels[..., None] == np.arange(classes)).astype(np.int64))
