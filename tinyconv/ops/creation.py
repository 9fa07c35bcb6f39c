"""Making tensors from nothing, from numbers, from arrays."""

import numpy as np

from tinyconv.autograd import Tensor, get_default_dtype
from tinyconv.ops.shape import check_device, sizes


def tensor(data, *, dtype=None, device=None, requires_grad=False) -> Tensor:
    """A new tensor with a copy of ``data``: numbers, nested lists, arrays or tensors.

    Python floats become the default dtype (float32), Python integers int64; NumPy arrays
    keep theirs.

    Raises:
        TypeError: for a dtype outside float32, float64, integers and bool.

    >>> import tinyconv as tc
    >>> tc.tensor([[1, 2], [3, 4]]).dtype
    dtype('int64')
    """
    check_device(device)
    if isinstance(data, Tensor):
        data = data.array
    if isinstance(data, (list, tuple)):
        data = _from_sequence(data)
    known = isinstance(data, (np.ndarray, np.generic))
    try:
        array = np.array(data, dtype=dtype)
    except ValueError as error:
        raise ValueError(f"tensor: nested lists of unequal lengths ({error})") from None
    if dtype is None and not known and array.dtype.kind == "f":
        array = array.astype(get_default_dtype())
    return _new(array, requires_grad)


def _from_sequence(data):
    """Lists may hold tensors: stack what is inside."""
    if any(isinstance(d, Tensor) for d in data):
        return np.stack([d.array if isinstance(d, Tensor) else np.asarray(d) for d in data])
    return data


def as_tensor(data, dtype=None, device=None) -> Tensor:
    """``data`` as a tensor, without a copy where that can be."""
    check_device(device)
    if isinstance(data, Tensor):
        return data if dtype is None else data.to(dtype)
    if isinstance(data, np.ndarray) and dtype in (None, data.dtype):
        return from_numpy(data)
    return tensor(data, dtype=dtype)


def from_numpy(array) -> Tensor:
    """A tensor on the memory of ``array``: writing to one changes the other."""
    if not isinstance(array, np.ndarray):
        raise TypeError(f"from_numpy: wants a numpy.ndarray, got {type(array).__name__}")
    return Tensor(array)


def _new(array, requires_grad):
    out = Tensor(array)
    if requires_grad:
        out.requires_grad = True
    return out


def _dtype(dtype):
    return get_default_dtype() if dtype is None else np.dtype(dtype)


def zeros(*size, dtype=None, device=None, requires_grad=False) -> Tensor:
    """Zeros of a shape, float32 by default."""
    check_device(device)
    return _new(np.zeros(sizes(size), _dtype(dtype)), requires_grad)


def ones(*size, dtype=None, device=None, requires_grad=False) -> Tensor:
    """Ones of a shape, float32 by default."""
    check_device(device)
    return _new(np.ones(sizes(size), _dtype(dtype)), requires_grad)


def empty(*size, dtype=None, device=None, requires_grad=False) -> Tensor:
    """A tensor of a shape with whatever was in memory."""
    check_device(device)
    return _new(np.empty(sizes(size), _dtype(dtype)), requires_grad)


def full(size, fill_value, *, dtype=None, device=None, requires_grad=False) -> Tensor:
    """One value in a shape; the dtype follows the value as in ``tensor``."""
    check_device(device)
    dtype = tensor(fill_value).dtype if dtype is None else dtype
    return _new(np.full(sizes((size,)), fill_value, dtype), requires_grad)


def zeros_like(input, *, dtype=None, device=None, requires_grad=False) -> Tensor:
    """Zeros of the shape and dtype of ``input``."""
    return zeros(
        input.shape, dtype=dtype or input.dtype, device=device, requires_grad=requires_grad
    )


def ones_like(input, *, dtype=None, device=None, requires_grad=False) -> Tensor:
    """Ones of the shape and dtype of ``input``."""
    return ones(input.shape, dtype=dtype or input.dtype, device=device, requires_grad=requires_grad)


def empty_like(input, *, dtype=None, device=None, requires_grad=False) -> Tensor:
    """A tensor of the shape and dtype of ``input`` with whatever was in memory."""
    return empty(
        input.shape, dtype=dtype or input.dtype, device=device, requires_grad=requires_grad
    )


def full_like(input, fill_value, *, dtype=None, device=None, requires_grad=False) -> Tensor:
    """One value in the shape and dtype of ``input``."""
    return full(
        input.shape, fill_value, dtype=dtype or input.dtype, device=device,
        requires_grad=requires_grad,
    )  # fmt: skip


def arange(start, end=None, step=1, *, dtype=None, device=None, requires_grad=False) -> Tensor:
    """Numbers from ``start`` (0) to before ``end``; int64 if all are integers."""
    check_device(device)
    if end is None:
        start, end = 0, start
    if dtype is None and not all(isinstance(v, (int, np.integer)) for v in (start, end, step)):
        dtype = get_default_dtype()
    # in float64 first: a step rounded to float32 would drift
    return _new(np.arange(start, end, step).astype(dtype or np.int64), requires_grad)


def linspace(start, end, steps, *, dtype=None, device=None, requires_grad=False) -> Tensor:
    """``steps`` numbers from ``start`` to ``end``, both included."""
    check_device(device)
    return _new(np.linspace(start, end, steps, dtype=_dtype(dtype)), requires_grad)


def eye(n, m=None, *, dtype=None, device=None, requires_grad=False) -> Tensor:
    """The (n, m) matrix with ones on the diagonal."""
    check_device(device)
    return _new(np.eye(n, m, dtype=_dtype(dtype)), requires_grad)
