"""Ops that move numbers without changing them.

Primitives, in pairs whose gradients are each other: expand / sum_to, permute / permute,
reshape / reshape, pad / getitem (or pad by negative widths), flip / flip, to(dtype) / to(dtype).
Composed: view, flatten, squeeze, unsqueeze, transpose.
"""

import math

import numpy as np

from tinyconv.autograd import Function, Tensor
from tinyconv.autograd.tensor import check_dtype
from tinyconv.kernels import memory
from tinyconv.kernels.addition import over_rows
from tinyconv.kernels.complex_step import joined
from tinyconv.ops.common import as_tensor, axes, axis, sum_over
from tinyconv.ops.index import GetItem


class Expand(Function):
    def forward(ctx, x, shape):
        ctx.shape = x.shape
        return np.broadcast_to(x, shape)

    def backward(ctx, gy):
        return sum_to(gy, ctx.shape)


class SumTo(Function):
    """The adjoint of Expand: the only place where broadcasting is undone."""

    def forward(ctx, x, shape):
        ctx.shape = x.shape
        ahead = x.ndim - len(shape)
        kept = tuple(i + ahead for i, n in enumerate(shape) if n == 1 and x.shape[i + ahead] != 1)
        return sum_over(x, tuple(range(ahead)) + kept).reshape(shape)

    def backward(ctx, gy):
        return expand(gy, ctx.shape)


class Reshape(Function):
    def forward(ctx, x, shape):
        ctx.shape = x.shape
        return x.reshape(shape)

    def backward(ctx, gy):
        return reshape(gy, ctx.shape)


class Permute(Function):
    def forward(ctx, x, dims):
        ctx.inverse = tuple(int(i) for i in np.argsort(dims))
        return x.transpose(dims)

    def backward(ctx, gy):
        return Permute.apply(gy, ctx.inverse)


class Flip(Function):
    def forward(ctx, x, dims):
        ctx.dims = dims
        return np.flip(x, dims)

    def backward(ctx, gy):
        return Flip.apply(gy, ctx.dims)


class Pad(Function):
    """Constant padding; negative widths crop. ``widths``: (before, after) per axis."""

    def forward(ctx, x, widths, value):
        ctx.widths = widths
        y = memory.empty(tuple([n + a + b for n, (a, b) in zip(x.shape, widths)]), x.dtype)
        inside = tuple([slice(max(a, 0), n - max(b, 0)) for n, (a, b) in zip(y.shape, widths)])
        kept = tuple([slice(max(-a, 0), n - max(-b, 0)) for n, (a, b) in zip(x.shape, widths)])

        def fill(i, j):
            y[i:j] = value
            y[i:j][inside] = x[i:j][kept]

        if widths and widths[0] == (0, 0):
            over_rows(fill, y)
        else:
            y[...] = value
            y[inside] = x[kept]
        return y

    def backward(ctx, gy):
        if any([a < 0 or b < 0 for a, b in ctx.widths]):
            return Pad.apply(gy, tuple([(-a, -b) for a, b in ctx.widths]), 0)
        # nothing comes but what went in: no copy
        return GetItem.apply(
            gy, tuple([slice(a, n - b) for n, (a, b) in zip(gy.shape, ctx.widths)])
        )


class Cast(Function):
    def forward(ctx, x, dtype):
        ctx.dtype = x.dtype
        if x.dtype.kind == "c" and dtype.kind == "f":
            return joined(x.real.astype(dtype), x.imag)  # rounded, but it keeps its direction
        return x.real.astype(dtype)

    def backward(ctx, gy):
        return to(gy, ctx.dtype)


class Clone(Function):
    def forward(ctx, x):
        return x.copy()

    def backward(ctx, gy):
        return gy


class Contiguous(Function):
    def forward(ctx, x):
        return np.ascontiguousarray(x).reshape(x.shape)

    def backward(ctx, gy):
        return gy


def sizes(shape) -> tuple[int, ...]:
    """``*shape`` as a tuple, given as numbers or as one sequence."""
    if len(shape) == 1 and isinstance(shape[0], (tuple, list)):
        shape = shape[0]
    return tuple(n.__index__() for n in shape)


def reshape(input: Tensor, *shape) -> Tensor:
    """The same numbers in another shape; one size may be -1.

    Raises:
        RuntimeError: if the number of elements differs.
    """
    shape = sizes(shape)
    try:
        return Reshape.apply(input, shape)
    except ValueError:
        raise RuntimeError(
            f"reshape: shape {list(shape)} does not hold the {input.array.size} elements of "
            f"{list(input.shape)}"
        ) from None


def view(input: Tensor, *shape) -> Tensor:
    """The same numbers in another shape, on the same memory; one size may be -1.

    Raises:
        RuntimeError: if the tensor lies strided in memory, so that it would take a copy
            (``reshape`` makes one), or if the number of elements differs.
    """
    result = reshape(input, *shape)
    if result.array.size and not np.may_share_memory(result.array, input.array):
        raise RuntimeError(
            f"view: shape {list(input.shape)} with strides {input.array.strides} (bytes) cannot be "
            f"seen as {list(result.shape)} without a copy; use .reshape()"
        )
    return result


def expand(input: Tensor, *shape) -> Tensor:
    """Repeat axes of size 1 without copying; -1 keeps a size.

    Raises:
        RuntimeError: for an axis that is neither 1 nor right.
    """
    shape = sizes(shape)
    ahead = len(shape) - input.ndim
    full = tuple(
        input.shape[i - ahead] if n == -1 and i >= ahead else n for i, n in enumerate(shape)
    )
    try:
        return Expand.apply(input, full)
    except ValueError:
        raise RuntimeError(
            f"expand: {list(input.shape)} cannot become {list(shape)}: only axes of size 1 can be "
            "repeated, and new ones come in front"
        ) from None


def sum_to(input: Tensor, shape) -> Tensor:
    """Sum over the axes that broadcasting from ``shape`` would repeat."""
    return input if input.shape == tuple(shape) else SumTo.apply(input, tuple(shape))


def permute(input: Tensor, *dims) -> Tensor:
    """Reorder the axes."""
    dims = sizes(dims)
    order = tuple(axis(d, input.ndim, "permute") for d in dims)
    if sorted(order) != list(range(input.ndim)):
        raise RuntimeError(f"permute: {list(dims)} is no order of the {input.ndim} dimensions")
    return Permute.apply(input, order)


def transpose(input: Tensor, dim0, dim1) -> Tensor:
    """Swap two axes."""
    order = list(range(input.ndim))
    a, b = axis(dim0, input.ndim, "transpose"), axis(dim1, input.ndim, "transpose")
    order[a], order[b] = order[b], order[a]
    return Permute.apply(input, tuple(order))


def t(input: Tensor) -> Tensor:
    """The transpose of a matrix; vectors stay as they are."""
    if input.ndim > 2:
        raise RuntimeError(f"t: wants at most 2 dimensions, got {list(input.shape)}")
    return input if input.ndim < 2 else transpose(input, 0, 1)


def flatten(input: Tensor, start_dim=0, end_dim=-1) -> Tensor:
    """Join the axes from ``start_dim`` to ``end_dim`` into one.

    >>> import tinyconv as tc
    >>> tc.flatten(tc.zeros(2, 3, 4), 1).shape
    (2, 12)
    """
    if input.ndim == 0:
        return reshape(input, 1)
    first, last = axis(start_dim, input.ndim, "flatten"), axis(end_dim, input.ndim, "flatten")
    if first > last:
        raise RuntimeError(f"flatten: start_dim={start_dim} comes after end_dim={end_dim}")
    joined = math.prod(input.shape[first : last + 1])
    return reshape(input, input.shape[:first] + (joined,) + input.shape[last + 1 :])


def squeeze(input: Tensor, dim=None) -> Tensor:
    """Drop axes of size 1: all of them, or ``dim`` (kept if its size is not 1)."""
    dims = axes(dim, input.ndim, "squeeze") if input.ndim else ()
    return reshape(input, tuple(n for i, n in enumerate(input.shape) if n != 1 or i not in dims))


def unsqueeze(input: Tensor, dim) -> Tensor:
    """Insert an axis of size 1 at ``dim``."""
    at = axis(dim, input.ndim + 1, "unsqueeze")
    return reshape(input, input.shape[:at] + (1,) + input.shape[at:])


def flip(input: Tensor, *dims) -> Tensor:
    """Reverse the order along ``dims``."""
    dims = sizes(dims)
    return Flip.apply(input, axes(dims, input.ndim, "flip") if dims else ())


def pad(input: Tensor, pad, mode="constant", value=0.0) -> Tensor:
    """Pad the last axes: ``pad`` = (left, right, top, bottom, ...), last axis first.

    Negative numbers crop. Only ``mode='constant'`` exists.

    Raises:
        ValueError: for an odd count of numbers, too many of them or a result without size.

    >>> import tinyconv as tc
    >>> tc.nn.functional.pad(tc.ones(1, 2), (1, 0))
    tensor([[0., 1., 1.]])
    """
    pad = sizes((pad,))
    if mode != "constant":
        raise ValueError(f"pad: mode={mode!r} is not available; there is 'constant'")
    if len(pad) % 2 or len(pad) > 2 * input.ndim:
        raise ValueError(
            f"pad: {pad} for {input.ndim} dimensions; wants (before, after) pairs, last axis first"
        )
    widths = [(0, 0)] * (input.ndim - len(pad) // 2)
    widths += [pad[i : i + 2] for i in range(len(pad) - 2, -1, -2)]
    if any(n + a + b < 0 for n, (a, b) in zip(input.shape, widths)):
        raise ValueError(f"pad: {pad} crops more than shape {list(input.shape)} has")
    return Pad.apply(input, tuple(widths), 0.0 if value is None else value)


def to(input: Tensor, *args, dtype=None, device=None, non_blocking=False, copy=False) -> Tensor:
    """The tensor in another dtype (itself if it has it); devices other than the CPU raise."""
    for arg in args:
        if isinstance(arg, Tensor):
            dtype = arg.dtype
        elif isinstance(arg, (str, device_type)):
            device = arg
        elif arg is not None and not isinstance(arg, bool):
            dtype = arg
    check_device(device)
    if dtype is None or np.dtype(dtype) == input.dtype:
        return clone(input) if copy else input
    check_dtype(np.dtype(dtype))
    return Cast.apply(input, np.dtype(dtype))


class device_type:
    """``device('cpu')``: the one device there is."""

    def __init__(self, type, index=None):
        check_device(type)
        self.type, self.index = "cpu", index

    def __repr__(self):
        return "device(type='cpu')"

    def __str__(self):
        return "cpu"

    def __eq__(self, other):
        return isinstance(other, device_type)

    def __hash__(self):
        return hash("cpu")


def check_device(device) -> None:
    """Raise unless ``device`` is None or the CPU."""
    name = device.type if isinstance(device, device_type) else device
    if name is not None and str(name).split(":")[0] != "cpu":
        raise RuntimeError(f"tinyconv computes on the CPU only; got device {str(name)!r}")


def clone(input: Tensor) -> Tensor:
    """A copy that gradients flow through."""
    return Clone.apply(as_tensor(input, "clone"))


def contiguous(input: Tensor) -> Tensor:
    """The tensor itself, or a C-ordered copy if it is strided."""
    return input if input.array.flags.c_contiguous else Contiguous.apply(input)
