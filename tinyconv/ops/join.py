"""Joining tensors and taking them apart.

Primitives: cat / split, each other's gradient. Composed: stack, chunk, unbind.
"""

import numpy as np

from tinyconv.autograd import Function, Tensor
from tinyconv.autograd.deferred import Part, leaves_no_trace, may_wait
from tinyconv.kernels import memory
from tinyconv.kernels.addition import copied, over_rows
from tinyconv.ops.common import axis, common_dtype
from tinyconv.ops.shape import reshape, unsqueeze


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


def _joined(arrays, dim):
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


def cat(tensors, dim=0) -> Tensor:
    """Join tensors along ``dim``; all other sizes must be equal.

    Raises:
        TypeError, ValueError: for an empty list or shapes that do not fit.

    >>> import tinyconv as tc
    >>> tc.cat([tc.zeros(1, 2), tc.ones(1, 2)], dim=1).shape
    (1, 4)
    """
    tensors = list(tensors)
    if not tensors:
        raise ValueError("cat: got an empty list of tensors")
    for t in tensors:
        if not isinstance(t, Tensor):
            raise TypeError(f"cat: wants Tensors, got {type(t).__name__}")
    shapes = [t.shape for t in tensors]
    if (0,) in shapes and set(shapes) != {(0,)}:
        # PyTorch lets an empty vector stand for "nothing yet"
        tensors = [t for t in tensors if t.shape != (0,)]
        shapes = [t.shape for t in tensors]
    at = axis(dim, len(shapes[0]), "cat")
    before, behind, ndim = shapes[0][:at], shapes[0][at + 1 :], len(shapes[0])
    fits = [len(s) == ndim and s[:at] == before and s[at + 1 :] == behind for s in shapes]
    if ndim == 0 or not all(fits):
        raise ValueError(
            f"cat: shapes {[list(s) for s in shapes]} must agree outside dim {dim} and have at "
            "least one dimension"
        )
    dtype = tensors[0].dtype
    for t in tensors[1:]:
        if t.dtype != dtype:
            dtype = common_dtype(Tensor(np.empty(1, dtype)), Tensor(np.empty(1, t.dtype)))
    return Cat.apply(*[t if t.dtype == dtype else t.to(dtype) for t in tensors], dim=at)


def stack(tensors, dim=0) -> Tensor:
    """Join tensors of one shape along a new axis."""
    tensors = list(tensors)
    if len({t.shape for t in tensors}) > 1:
        raise ValueError(f"stack: shapes {[list(t.shape) for t in tensors]} must all be equal")
    return cat([unsqueeze(t, dim) for t in tensors], dim)


def split(tensor, split_size_or_sections, dim=0) -> tuple[Tensor, ...]:
    """Cut along ``dim`` into pieces of one size (the last may be smaller) or of given sizes."""
    at = axis(dim, tensor.ndim, "split")
    size = tensor.shape[at]
    if isinstance(split_size_or_sections, int):
        step = split_size_or_sections
        if step < 1:
            raise ValueError(f"split: size {step} must be at least 1")
        parts = [min(step, size - i) for i in range(0, size, step)] or [0]
    else:
        parts = [int(n) for n in split_size_or_sections]
        if sum(parts) != size or min(parts, default=0) < 0:
            raise ValueError(
                f"split: sections {parts} must add up to {size}, the size of dim {dim}"
            )
    return Split.apply(tensor, parts, at)


def chunk(input, chunks, dim=0) -> tuple[Tensor, ...]:
    """Cut along ``dim`` into at most ``chunks`` equal pieces (the last may be smaller)."""
    if chunks < 1:
        raise ValueError(f"chunk: chunks={chunks} must be at least 1")
    size = input.shape[axis(dim, input.ndim, "chunk")]
    return split(input, max(1, -(-size // chunks)), dim)


def unbind(input, dim=0) -> tuple[Tensor, ...]:
    """The slices along ``dim``, as a tuple without that axis."""
    at = axis(dim, input.ndim, "unbind")
    if input.shape[at] == 0:
        return ()
    shape = input.shape[:at] + input.shape[at + 1 :]
    return tuple(reshape(piece, shape) for piece in split(input, 1, at))
