"""Ops that move numbers without changing them.

Primitives, in pairs whose gradients are each other: expand / sum_to, permute / permute,
reshape / reshape, flip / flip, to(dtype) / to(dtype).
Composed: view, flatten, squeeze, unsqueeze, transpose.
"""

import math
import operator

import numpy as np

from tinyconv.autograd import Function, Tensor
from tinyconv.autograd.tensor import check_dtype
from tinyconv.kernels.complex_step import joined
from tinyconv.ops.common import as_tensor, axes, axis, numpy_names, sum_over


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
        ctx.dims = dims
        return x.transpose(dims)

    def backward(ctx, gy):
        return Permute.apply(gy, tuple([ctx.dims.index(i) for i in range(len(ctx.dims))]))


class Flip(Function):
    def forward(ctx, x, dims):
        ctx.dims = dims
        return np.flip(x, dims).copy()

    def backward(ctx, gy):
        return Flip.apply(gy, ctx.dims)


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


def sizes(shape, named=None) -> tuple[int, ...]:
    """``*shape`` as a tuple, given as numbers or as one sequence, or by name."""
    if named is not None:
        shape = (named,)
    if len(shape) == 1 and isinstance(shape[0], (tuple, list)):
        shape = shape[0]
    return tuple([operator.index(n) for n in shape])


def reshape(input: Tensor, *sizes_, shape=None) -> Tensor:
    """The same numbers in another shape, given as numbers or a tuple; one size may be -1.

    A view where the memory allows it, else a copy.

    Raises:
        RuntimeError: if the number of elements differs.

    >>> import tinyconv as tc
    >>> tc.arange(6).reshape(2, -1)
    tensor([[0, 1, 2],
            [3, 4, 5]])
    """
    return reshaped(input, sizes(sizes_, shape), "reshape")


def reshaped(input, shape, op) -> Tensor:
    """``reshape`` for the op that it is named after in errors."""
    if shape and min(shape) < -1:
        raise RuntimeError(f"{op}: shape {list(shape)} has a size below -1")
    try:
        return Reshape.apply(input, shape)
    except ValueError:
        reason = f"does not hold the {input.array.size} elements of {list(input.shape)}"
        if shape.count(-1) > 1:
            reason = "leaves two sizes open"
        elif -1 in shape and 0 in shape:
            reason = "is not clear: next to a size of 0, -1 could be any number"
        raise RuntimeError(f"{op}: shape {list(shape)} {reason}") from None


def view(input: Tensor, *sizes_, size=None, dtype=None) -> Tensor:
    """The same numbers in another shape, on the same memory; one size may be -1.

    Given a dtype: the same bytes read as that dtype, without history (``to`` converts values).

    Raises:
        RuntimeError: if the tensor lies strided in memory, so that it would take a copy
            (``reshape`` makes one), or if the number of elements differs.
    """
    if dtype is not None:
        return _reread(input, dtype)
    try:
        shape = sizes(sizes_, size)
    except TypeError:
        if len(sizes_) == 1 and isinstance(sizes_[0], (np.dtype, type)):
            return _reread(input, sizes_[0])
        raise TypeError(
            f"view: wants whole numbers or a dtype, got {sizes_ if size is None else size}"
        ) from None
    return viewed(input, shape, "view")


def _reread(x, dtype):
    dtype = as_dtype(dtype, "view")
    try:
        return x._alias(x.array.view(dtype))
    except ValueError:
        raise RuntimeError(
            f"view: {x.dtype} of shape {list(x.shape)} and strides {x.array.strides} (bytes) "
            f"cannot be read as {dtype}: the last dimension must be contiguous and hold whole ones"
        ) from None


def viewed(input, shape, op) -> Tensor:
    """``view`` for the op that it is named after in errors."""
    result = reshaped(input, shape, op)
    if result.array.size and not np.may_share_memory(result.array, input.array):
        raise RuntimeError(
            f"{op}: shape {list(input.shape)} with strides {input.array.strides} (bytes) cannot be "
            f"seen as {list(result.shape)} without a copy; use .reshape()"
        )
    return result


def expand(input: Tensor, *sizes_, size=None) -> Tensor:
    """Repeat axes of size 1 without copying; -1 keeps a size.

    Raises:
        RuntimeError: for an axis that is neither 1 nor right.
    """
    shape = sizes(sizes_, size)
    ahead = len(shape) - input.ndim
    full = tuple([
        input.shape[i - ahead] if n == -1 and i >= ahead else n for i, n in enumerate(shape)
    ])  # fmt: skip
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


def permute(input: Tensor, *order, dims=None) -> Tensor:
    """Reorder the axes, given as numbers or a tuple."""
    dims = sizes(order, dims)
    axes_ = tuple([axis(d, input.ndim, "permute") for d in dims])
    if sorted(axes_) != list(range(input.ndim)):
        raise RuntimeError(f"permute: {list(dims)} is no order of the {input.ndim} dimensions")
    return Permute.apply(input, axes_)


def transpose(input: Tensor, dim0, dim1) -> Tensor:
    """Swap two axes."""
    order = list(range(input.ndim))
    a, b = axis(dim0, input.ndim, "transpose"), axis(dim1, input.ndim, "transpose")
    if order:
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
    first, last = axis(start_dim, input.ndim, "flatten"), axis(end_dim, input.ndim, "flatten")
    if input.ndim == 0:
        return Reshape.apply(input, (1,))
    if first > last:
        raise RuntimeError(f"flatten: start_dim={start_dim} comes after end_dim={end_dim}")
    joined = math.prod(input.shape[first : last + 1])
    return Reshape.apply(input, input.shape[:first] + (joined,) + input.shape[last + 1 :])


def one_or_several(dims, named=None):
    """``*dims`` as one ``dim``: given alone, as a sequence, one by one or by name; else None."""
    return dims if len(dims) > 1 else dims[0] if dims else named


@numpy_names
def squeeze(input: Tensor, *dims, dim=None) -> Tensor:
    """Drop axes of size 1: all of them, or those of ``dim`` (one or several) that have it."""
    dim = one_or_several(dims, dim)
    if dim is None or dim == ():
        dropped = tuple(range(input.ndim)) if dim is None else ()
    else:
        dropped = axes(dim, input.ndim, "squeeze")
    kept = tuple([n for i, n in enumerate(input.shape) if n != 1 or i not in dropped])
    return Reshape.apply(input, kept)


@numpy_names
def unsqueeze(input: Tensor, dim) -> Tensor:
    """Insert an axis of size 1 at ``dim``."""
    at = axis(dim, input.ndim + 1, "unsqueeze")
    return Reshape.apply(input, input.shape[:at] + (1,) + input.shape[at:])


def _at_least(name, ndim, grown):
    """``atleast_1d`` and the like; ``grown``: the new shape by number of dimensions."""

    def at_least(*tensors):
        if len(tensors) == 1 and not isinstance(tensors[0], (tuple, list)):
            x = as_tensor(tensors[0], name)
            return reshape(x, grown[x.ndim](*x.shape)) if x.ndim < ndim else x
        return tuple([at_least(t) for t in several(tensors)])

    at_least.__name__ = at_least.__qualname__ = name
    at_least.__doc__ = f"The tensor, or each of several, with at least {ndim} dimensions."
    return at_least


def several(tensors):
    """``*tensors``, given one by one or as one sequence."""
    if len(tensors) == 1 and isinstance(tensors[0], (tuple, list)):
        return tuple(tensors[0])
    return tensors


atleast_1d = _at_least("atleast_1d", 1, [lambda: (1,)])
atleast_2d = _at_least("atleast_2d", 2, [lambda: (1, 1), lambda n: (1, n)])
atleast_3d = _at_least(
    "atleast_3d", 3, [lambda: (1, 1, 1), lambda n: (1, n, 1), lambda m, n: (m, n, 1)]
)


def flip(input: Tensor, *axes_, dims=None) -> Tensor:
    """Reverse the order along ``dims``, given as numbers or a tuple. A copy, as in PyTorch."""
    dims = sizes(axes_, dims)
    return Flip.apply(input, axes(dims, input.ndim, "flip") if dims else ())


def to(
    input: Tensor,
    *args,
    dtype=None,
    device=None,
    non_blocking=False,
    copy=False,
    memory_format=None,
) -> Tensor:
    """The tensor in another dtype, itself if it has it: ``to(dtype)``, ``to(device)``,
    ``to(device, dtype)``, ``to(other)``, each with (non_blocking, copy) behind.

    ``non_blocking`` and ``memory_format`` mean nothing here.

    Raises:
        RuntimeError: for another device than the CPU.
        TypeError: for a dtype that no tensor has.
    """
    flags = []
    for arg in args:
        if isinstance(arg, Tensor):
            dtype = arg.dtype
        elif isinstance(arg, bool):
            flags.append(arg)
        elif isinstance(arg, (str, int, device_type)):
            device = arg
        elif arg is not None:
            dtype = arg
    copy = flags[1] if len(flags) > 1 else copy
    if device is not None:
        check_device(device)
    if dtype is None:
        return clone(input) if copy else input
    dtype = as_dtype(dtype, "to")
    if dtype == input.dtype:
        return clone(input) if copy else input
    return Cast.apply(input, dtype)


def as_dtype(dtype, op) -> np.dtype:
    """``dtype`` as NumPy's, checked to be one that a tensor can have."""
    try:
        found = np.dtype(dtype)
    except TypeError:
        raise TypeError(f"{op}: {dtype!r} is no dtype") from None
    check_dtype(found)
    return found


class device_type:
    """``device('cpu')``: the one device there is. Others can be named, and hold no tensor.

    >>> device_type("cpu"), device_type("cuda:1"), device_type("cuda", 1).type
    (device(type='cpu'), device(type='cuda', index=1), 'cuda')
    """

    def __init__(self, type, index=None):
        if isinstance(type, device_type):
            type, index = type.type, type.index
        if isinstance(type, int):  # of the GPUs, as PyTorch counts
            type, index = "cuda", type
        type, colon, number = type.partition(":")
        if type not in _DEVICES or (colon and (index is not None or not number.isdecimal())):
            raise RuntimeError(
                f"device: {type + colon + number!r} names no device; tinyconv computes on the CPU "
                "only: device('cpu')"
            )
        self.type, self.index = type, int(number) if colon else index

    def __repr__(self):
        index = "" if self.index is None else f", index={self.index}"
        return f"device(type={self.type!r}{index})"

    def __str__(self):
        return self.type if self.index is None else f"{self.type}:{self.index}"

    def __eq__(self, other):
        return isinstance(other, device_type) and str(self) == str(other)

    def __hash__(self):
        return hash(str(self))

    def __enter__(self):
        check_device(self)
        return self

    def __exit__(self, *error):
        return False


_DEVICES = ("cpu", "cuda", "mps", "xpu", "hpu", "xla", "mtia", "meta")


def check_device(device) -> None:
    """Raise unless ``device`` is None or the CPU."""
    if device is not None and str(device).split(":")[0] != "cpu":
        raise RuntimeError(f"tinyconv computes on the CPU only; got device {str(device)!r}")


def clone(input: Tensor, *, memory_format=None) -> Tensor:
    """A copy that gradients flow through."""
    return Clone.apply(as_tensor(input, "clone"))


def contiguous(input: Tensor, memory_format=None) -> Tensor:
    """The tensor itself, or a C-ordered copy if it is strided. There is one memory format."""
    return input if input.array.flags.c_contiguous else Contiguous.apply(input)
