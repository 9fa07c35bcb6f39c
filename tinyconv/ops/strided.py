"""Views that NumPy makes by strides: diagonals and windows.

Primitives: a strided view / its adjoint, each other's gradient.
"""

import functools

import numpy as np

from tinyconv.autograd import Function, Tensor
from tinyconv.ops.common import axis
from tinyconv.ops.index import added, flat_places
from tinyconv.ops.shape import reshape


class Strided(Function):
    """``look(x)``: a view that NumPy can make of x by strides alone."""

    def forward(ctx, x, look):
        ctx.shape, ctx.look = x.shape, look
        return look(x)

    def backward(ctx, gy):
        return StridedAdd.apply(gy, ctx.look, ctx.shape)


class StridedAdd(Function):
    """The adjoint of Strided: zeros of ``shape`` with gy added where ``look`` looks."""

    def forward(ctx, gy, look, shape):
        ctx.look = look
        return added(gy, flat_places(shape, look), shape)

    def backward(ctx, ggx):
        return Strided.apply(ggx, ctx.look)


def diagonal(input: Tensor, offset=0, dim1=0, dim2=1) -> Tensor:
    """The diagonals of the matrices in ``dim1`` and ``dim2``, as the last axis; a view.

    ``offset``: above (positive) or below the main diagonal.
    """
    return Strided.apply(input, diagonal_look(input.ndim, offset, dim1, dim2, "diagonal"))


def diagonal_look(ndim, offset, dim1, dim2, op):
    """The view of a diagonal, to be called on arrays."""
    a, b = axis(dim1, ndim, op), axis(dim2, ndim, op)
    if ndim < 2 or a == b:
        raise RuntimeError(f"{op}: dim1={dim1} and dim2={dim2} of {ndim} dimensions must differ")
    return functools.partial(_diagonal, offset=offset, axis1=a, axis2=b)


def _diagonal(x, **where_):
    y = np.diagonal(x, **where_)
    y.flags.writeable = x.flags.writeable  # NumPy gives it read-only
    return y


def unfold(input: Tensor, dimension, size, step) -> Tensor:
    """Windows of ``size`` elements of ``dimension``, one every ``step``, as the last axis; a view.

    >>> import tinyconv as tc
    >>> tc.arange(5).unfold(0, 3, 2)
    tensor([[0, 1, 2],
            [2, 3, 4]])
    """
    x = input if input.ndim else reshape(input, 1)
    at = axis(dimension, input.ndim, "unfold")
    if size < 0 or step <= 0 or size > x.shape[at]:
        raise RuntimeError(
            f"unfold: size={size} must be 0 to {x.shape[at]}, the size of dimension {dimension} of "
            f"{list(input.shape)}, and step={step} at least 1"
        )
    y = Strided.apply(x, functools.partial(_windows, dim=at, size=size, step=step))
    return y if input.ndim else reshape(y, -1)


def _windows(x, dim, size, step):
    windows = np.lib.stride_tricks.sliding_window_view(x, size, dim, writeable=x.flags.writeable)
    return windows[(slice(None),) * dim + (slice(None, None, step),)]
