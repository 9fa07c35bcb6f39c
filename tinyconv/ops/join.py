"""Joining tensors and taking them apart.

Primitives: cat / split, each other's gradient. All else is composed of them.
"""

import operator

import numpy as np

from tinyconv.autograd import Function, Tensor
from tinyconv.autograd.deferred import Part, leaves_no_trace, may_wait
from tinyconv.kernels import memory
from tinyconv.kernels.addition import copied, over_rows
from tinyconv.ops.common import axis, common_dtype, given, numpy_names
from tinyconv.ops.shape import (
    Reshape,
    atleast_2d,
    atleast_3d,
    one_or_several,
    reshape,
    unsqueeze,
)


class Cat(Function):
    @classmethod
    def apply(cls, *tensors, dim):
        if len(tensors) > 1 and leaves_no_trace(*tensors):
            return Tensor._wrap(_joined([t.array for t in tensors], dim))
        return super().apply(*tensors, dim=dim)

    def forward(ctx, *arrays, dim):
        ctx.dim, ctx.parts = dim, [a.shape[dim] for a in arrays]
        return _joined(arrays, dim)

    def backward(ctx, gy):
        return Split.apply(gy, ctx.parts, ctx.dim, True)


#: numbers below which threads and warm memory are not worth their asking
_FEW = 1 << 12


def _joined(arrays, dim):
    if sum([a.size for a in arrays]) < _FEW:
        return np.concatenate(arrays, dim)
    first = arrays[0].shape
    shape = *first[:dim], sum([a.shape[dim] for a in arrays]), *first[dim + 1 :]
    y = memory.empty(shape, arrays[0].dtype)
    if dim == 0:
        return np.concatenate(arrays, 0, out=y)
    over_rows(lambda a, b: np.concatenate([x[a:b] for x in arrays], dim, out=y[a:b]), y)
    return y


class Split(Function):
    materialize_grads = False

    def forward(ctx, x, parts, dim, contiguous=False):
        """Views, or with ``contiguous`` copies of those that are not."""
        ctx.dim = dim
        ctx.shapes = [x.shape[:dim] + (n,) + x.shape[dim + 1 :] for n in parts]
        ends = np.cumsum([0, *parts])
        before = (slice(None),) * dim
        views = [x[before + (slice(a, b),)] for a, b in zip(ends, ends[1:])]
        if not contiguous:
            return tuple(views)
        # each kernel further back would make a copy of its own, but for that of a ReLU
        waits = may_wait(x.dtype)
        return tuple([
            v if v.flags.c_contiguous else Part(v) if waits else copied(v) for v in views
        ])  # fmt: skip

    def backward(ctx, *grads):
        dtype = next(g.dtype for g in grads if g is not None)
        full = [
            Tensor(np.zeros(shape, dtype)) if g is None else g
            for g, shape in zip(grads, ctx.shapes)
        ]
        return Cat.apply(*full, dim=ctx.dim)


@numpy_names
def cat(tensors, dim=0) -> Tensor:
    """Join tensors along ``dim``; all other sizes must be equal.

    Raises:
        TypeError, ValueError: for an empty list or shapes that do not fit.

    >>> import tinyconv as tc
    >>> tc.cat([tc.zeros(1, 2), tc.ones(1, 2)], dim=1).shape
    (1, 4)
    """
    return _cat(_tensors(tensors, "cat"), dim, "cat")


def _tensors(tensors, op):
    """A sequence as a list, checked to hold tensors."""
    if isinstance(tensors, Tensor):
        raise TypeError(f"{op}: wants a list or tuple of tensors, got one tensor")
    tensors = list(tensors)
    if not tensors:
        raise ValueError(f"{op}: got an empty list of tensors")
    for t in tensors:
        if not isinstance(t, Tensor):
            raise TypeError(f"{op}: wants Tensors, got {type(t).__name__}")
    return tensors


def _cat(tensors, dim, op):
    shape, dtype = tensors[0].shape, tensors[0].dtype
    if len(shape) > 1 and all([t.shape == shape and t.dtype == dtype for t in tensors]):
        return Cat.apply(*tensors, dim=axis(dim, len(shape), op))
    shapes = [t.shape for t in tensors]
    full = [s for s in shapes if s != (0,)]
    first = full[0] if full else shapes[0]
    at = axis(dim, len(first), op)
    if full and len(full) < len(shapes):
        # PyTorch lets an empty vector stand for "nothing yet"
        nothing = first[:at] + (0,) + first[at + 1 :]
        tensors = [reshape(t, nothing) if t.shape == (0,) else t for t in tensors]
        shapes = [t.shape for t in tensors]
    before, behind, ndim = first[:at], first[at + 1 :], len(first)
    fits = [len(s) == ndim and s[:at] == before and s[at + 1 :] == behind for s in shapes]
    if ndim == 0 or not all(fits):
        raise ValueError(
            f"{op}: shapes {[list(s) for s in shapes]} must agree outside dim {dim} and have at "
            "least one dimension"
        )
    dtype = tensors[0].dtype
    for t in tensors[1:]:
        if t.dtype != dtype:
            dtype = common_dtype(Tensor(np.empty(1, dtype)), Tensor(np.empty(1, t.dtype)))
    return Cat.apply(*[t if t.dtype == dtype else t.to(dtype) for t in tensors], dim=at)


concat = concatenate = cat


@numpy_names
def stack(tensors, dim=0) -> Tensor:
    """Join tensors of one shape along a new axis."""
    tensors = _tensors(tensors, "stack")
    if len({t.shape for t in tensors}) > 1:
        raise ValueError(f"stack: shapes {[list(t.shape) for t in tensors]} must all be equal")
    axis(dim, tensors[0].ndim + 1, "stack")
    return _cat([unsqueeze(t, dim) for t in tensors], dim, "stack")


def hstack(tensors) -> Tensor:
    """Join side by side: vectors and numbers along their one axis, all else along the second."""
    tensors = [reshape(t, 1) if t.ndim == 0 else t for t in _tensors(tensors, "hstack")]
    return _cat(tensors, 0 if tensors[0].ndim == 1 else 1, "hstack")


def vstack(tensors) -> Tensor:
    """Join as rows: numbers and vectors become rows first."""
    return _cat([atleast_2d(t) for t in _tensors(tensors, "vstack")], 0, "vstack")


row_stack = vstack


def dstack(tensors) -> Tensor:
    """Join along the third axis, which is added where it is missing."""
    return _cat([atleast_3d(t) for t in _tensors(tensors, "dstack")], 2, "dstack")


def column_stack(tensors) -> Tensor:
    """Join side by side: numbers and vectors become columns first."""
    tensors = [reshape(t, (-1, 1)) if t.ndim < 2 else t for t in _tensors(tensors, "column_stack")]
    return _cat(tensors, 1, "column_stack")


# -- taking apart ---------------------------------------------------------------------------------
def split(tensor, split_size_or_sections=None, dim=0, *, split_size=None) -> tuple[Tensor, ...]:
    """Cut along ``dim`` into pieces of one size (the last may be smaller) or of given sizes; views.

    >>> import tinyconv as tc
    >>> [len(piece) for piece in tc.arange(5).split(2)]
    [2, 2, 1]
    """
    step = given("split", split_size_or_sections, split_size)  # as methods call it
    if isinstance(step, (tuple, list)):
        return _with_sizes(tensor, step, dim, "split")
    at = _cut_axis(tensor, dim, "split")
    size, step = tensor.shape[at], operator.index(step)
    if step < 0 or (step == 0 and size):
        raise ValueError(
            f"split: split_size {step} for the size {size} of dim {dim}; wants at least 1"
        )
    parts = [min(step, size - i) for i in range(0, size, step or 1)] or [0]
    return Split.apply(tensor, parts, at)


def split_with_sizes(input, split_sizes, dim=0) -> tuple[Tensor, ...]:
    """Cut along ``dim`` into pieces of given sizes; views."""
    return _with_sizes(input, split_sizes, dim, "split_with_sizes")


def _with_sizes(x, split_sizes, dim, op):
    at = _cut_axis(x, dim, op)
    parts = [operator.index(n) for n in split_sizes]
    if sum(parts) != x.shape[at] or min(parts, default=0) < 0:
        raise ValueError(
            f"{op}: sections {parts} must add up to {x.shape[at]}, the size of dim {dim}"
        )
    return Split.apply(x, parts, at) if parts else ()


def _cut_axis(x, dim, op):
    if x.ndim == 0:
        raise RuntimeError(f"{op}: a 0-d tensor cannot be cut; wants at least 1 dimension")
    return axis(dim, x.ndim, op)


def chunk(input, chunks, dim=0) -> tuple[Tensor, ...]:
    """Cut along ``dim`` into at most ``chunks`` equal pieces (the last may be smaller); views."""
    at = _cut_axis(input, dim, "chunk")
    if chunks < 1:
        raise ValueError(f"chunk: chunks={chunks} must be at least 1")
    size = input.shape[at]
    if size == 0:
        return _with_sizes(input, [0] * chunks, at, "chunk")
    return split(input, -(-size // chunks), at)


def tensor_split(
    input, indices_or_sections=None, dim=0, *, indices=None, sections=None,
    tensor_indices_or_sections=None,
) -> tuple[Tensor, ...]:  # fmt: skip
    """Cut along ``dim`` into a number of pieces, the first ones larger by one, or before given
    indices; views."""
    where = given(
        "tensor_split", indices_or_sections, indices, sections, tensor_indices_or_sections
    )
    return _tensor_split(input, where, dim, "tensor_split")


def _tensor_split(x, where, dim, op):
    at = _cut_axis(x, dim, op)
    if isinstance(where, Tensor):
        where = where.tolist()
    if not isinstance(where, (int, tuple, list)):
        raise TypeError(f"{op}: wants a number of pieces or a list of indices, got {where!r}")
    if isinstance(where, int):
        if where < 1:
            raise RuntimeError(f"{op}: {where} pieces; wants at least 1")
        each, more = divmod(x.shape[at], where)
        return Split.apply(x, [each + (i < more) for i in range(where)], at)
    before, ends = (slice(None),) * at, [0, *where, x.shape[at]]
    return tuple([x[before + (slice(a, b),)] for a, b in zip(ends, ends[1:])])


def _split_along(name, dim, least):
    """``hsplit`` and the like."""

    def cut(input, *places, indices_or_sections=None, indices=None, sections=None):
        where = one_or_several(places, indices_or_sections)
        where = given(name, where, indices, sections)
        if input.ndim < least:
            raise RuntimeError(
                f"{name}: wants at least {least} dimensions, got shape {list(input.shape)}"
            )
        at = 0 if input.ndim == 1 else dim
        if isinstance(where, int) and (where < 1 or input.shape[at] % where):
            raise RuntimeError(
                f"{name}: the size {input.shape[at]} of dim {at} is no multiple of {where} pieces"
            )
        return _tensor_split(input, where, at, name)

    cut.__name__ = cut.__qualname__ = name
    cut.__doc__ = f"Cut along dimension {dim} into equal pieces or before given indices; views."
    return cut


hsplit = _split_along("hsplit", 1, 1)
vsplit = _split_along("vsplit", 0, 2)
dsplit = _split_along("dsplit", 2, 3)


@numpy_names
def unbind(input, dim=0) -> tuple[Tensor, ...]:
    """The slices along ``dim``, as a tuple without that axis; views."""
    at = _cut_axis(input, dim, "unbind")
    if input.shape[at] == 0:
        return ()
    shape = input.shape[:at] + input.shape[at + 1 :]
    pieces = Split.apply(input, [1] * input.shape[at], at)
    return tuple([Reshape.apply(piece, shape) for piece in pieces])
