"""Making tensors from nothing, from numbers, from arrays."""

import functools
import math
import numbers

import numpy as np

from tinyconv.autograd import Tensor, get_default_dtype
from tinyconv.ops.common import category, number
from tinyconv.ops.shape import as_dtype, check_device, sizes


def tensor(data, *, dtype=None, device=None, requires_grad=False) -> Tensor:
    """A new tensor with a copy of ``data``: numbers, nested lists, arrays or tensors.

    Python floats become the default dtype (float32), Python integers int64; NumPy arrays and
    numbers keep theirs.

    Raises:
        TypeError: for a dtype outside float32, float64, integers and bool.

    >>> import tinyconv as tc
    >>> tc.tensor([[1, 2], [3, 4]]).dtype
    dtype('int64')
    """
    check_device(device)
    return _new(_array(data, dtype, "tensor"), requires_grad)


def _array(data, dtype, op):
    """``data`` copied into an array of ``dtype``, or of the one that PyTorch gives it."""
    if dtype is not None:
        dtype = as_dtype(dtype, op)
    if isinstance(data, Tensor):
        data = data.array
    own = isinstance(data, (np.ndarray, np.generic))  # a dtype of its own
    if isinstance(data, (list, tuple)) and isinstance(
        _first(data), (np.ndarray, np.generic, Tensor)
    ):
        data, leaves = _bare(data)
        dtype = _promoted(leaves) if dtype is None else dtype
    try:
        array = np.array(data, dtype)
    except OverflowError as error:
        raise RuntimeError(f"{op}: a value does not fit into {dtype} ({error})") from None
    except ValueError as error:
        raise ValueError(
            f"{op}: nested lists of unequal lengths, or something else than numbers ({error})"
        ) from None
    if array.dtype.kind not in "biufc":
        raise TypeError(f"{op}: got {type(_first(data)).__name__}, which no dtype here can hold")
    if dtype is None and not own and array.dtype.kind == "f":
        array = array.astype(get_default_dtype())
    return array


def _first(data):
    """The first number in nested lists."""
    while isinstance(data, (list, tuple)) and data:
        data = data[0]
    return data


def _bare(data):
    """Nested lists with arrays for the tensors in them, and a list of the numbers and arrays."""
    if not isinstance(data, (list, tuple)):
        data = data.array if isinstance(data, Tensor) else data
        return data, [data]
    parts = [_bare(d) for d in data]
    return [part for part, _ in parts], [leaf for _, leaves in parts for leaf in leaves]


def _promoted(leaves):
    """The highest category's dtype; inside one, as NumPy promotes."""
    dtypes = [
        x.dtype if isinstance(x, (np.ndarray, np.generic)) else number(x).dtype for x in leaves
    ]
    top = max(map(category, dtypes))
    return functools.reduce(np.promote_types, [d for d in dtypes if category(d) == top])


def as_tensor(data, dtype=None, device=None) -> Tensor:
    """``data`` as a tensor, without a copy where that can be."""
    check_device(device)
    if isinstance(data, Tensor):
        return data if dtype is None else data.to(dtype)
    # (a dtype of float64 equals None in NumPy)
    if isinstance(data, np.ndarray) and (dtype is None or data.dtype == dtype):
        return from_numpy(data)
    return tensor(data, dtype=dtype)


def asarray(obj, *, dtype=None, device=None, copy=None, requires_grad=None) -> Tensor:
    """``as_tensor``; ``copy``: always (True) or never (False); it requires grad if ``obj`` does,
    or as ``requires_grad`` says, and is a leaf then.

    Raises:
        ValueError: where ``copy=False`` and there must be one.
    """
    x = as_tensor(obj, dtype, device)
    shares = x is obj or (isinstance(obj, np.ndarray) and np.may_share_memory(x.array, obj))
    if copy is False and not shares:
        raise ValueError(f"asarray: copy=False, but {type(obj).__name__} to {x.dtype} needs one")
    x = x.clone() if copy and shares else x
    if requires_grad in (None, x.requires_grad):
        return x
    return x.detach().requires_grad_(requires_grad)


def from_numpy(array) -> Tensor:
    """A tensor on the memory of ``array``: writing to one changes the other."""
    if not isinstance(array, np.ndarray):
        raise TypeError(f"from_numpy: wants a numpy.ndarray, got {type(array).__name__}")
    return Tensor(array)


def scalar_tensor(s, *, dtype=None, device=None, requires_grad=False) -> Tensor:
    """A number as a 0-d tensor, of the default dtype."""
    return full((), s, dtype=_dtype(dtype, "scalar_tensor"), requires_grad=requires_grad)


def is_tensor(obj) -> bool:
    """Whether ``obj`` is a Tensor."""
    return isinstance(obj, Tensor)


def numel(input: Tensor) -> int:
    """The number of elements."""
    return input.array.size


def _new(array, requires_grad):
    out = Tensor(array)
    if requires_grad:
        out.requires_grad = True
    return out


def _dtype(dtype, op):
    return get_default_dtype() if dtype is None else as_dtype(dtype, op)


def _filled(make, size, named, dtype, device, requires_grad, op):
    """``make(shape, dtype)`` as a tensor, with all arguments checked."""
    check_device(device)
    try:
        shape = sizes(size, named)
    except TypeError:
        raise TypeError(f"{op}: size {size if named is None else named} must be numbers") from None
    if min(shape, default=0) < 0:
        raise RuntimeError(f"{op}: size {list(shape)} has a negative number")
    try:
        return _new(make(shape, _dtype(dtype, op)), requires_grad)
    except OverflowError as error:
        raise RuntimeError(f"{op}: {error}") from None


def zeros(*shape, size=None, dtype=None, device=None, requires_grad=False) -> Tensor:
    """Zeros of a shape, float32 by default."""
    return _filled(np.zeros, shape, size, dtype, device, requires_grad, "zeros")


def ones(*shape, size=None, dtype=None, device=None, requires_grad=False) -> Tensor:
    """Ones of a shape, float32 by default."""
    return _filled(np.ones, shape, size, dtype, device, requires_grad, "ones")


def empty(
    *shape, size=None, dtype=None, device=None, requires_grad=False, memory_format=None
) -> Tensor:
    """A tensor of a shape with whatever was in memory."""
    return _filled(np.empty, shape, size, dtype, device, requires_grad, "empty")


def full(size, fill_value, *, dtype=None, device=None, requires_grad=False) -> Tensor:
    """One value (a number or a 0-d tensor) in a shape; the dtype follows the value."""
    fill_value = _number(fill_value, "full")
    if dtype is None:
        dtype = number(fill_value).dtype
    return _filled(
        lambda shape, dtype: np.full(shape, fill_value, dtype), (size,), None, dtype, device,
        requires_grad, "full",
    )  # fmt: skip


def _number(value, op):
    if isinstance(value, Tensor):
        if value.ndim:
            raise TypeError(f"{op}: wants a number, got a tensor of shape {list(value.shape)}")
        return value.array[()]
    return value


def _alike(name, make, what):
    """``zeros_like`` and the like: ``make`` in the shape and dtype of ``input``."""

    def like(
        input, *values, dtype=None, device=None, requires_grad=False, memory_format=None, **named
    ):
        dtype = input.dtype if dtype is None else dtype
        return make(
            input.shape, *values, dtype=dtype, device=device, requires_grad=requires_grad, **named
        )

    like.__name__ = like.__qualname__ = name
    like.__doc__ = f"{what} in the shape and dtype of ``input``."
    return like


zeros_like = _alike("zeros_like", zeros, "Zeros")
ones_like = _alike("ones_like", ones, "Ones")
empty_like = _alike("empty_like", empty, "Whatever was in memory,")
full_like = _alike("full_like", full, "The value ``fill_value``")


def _of_its_kind(name, make, what):
    """``new_zeros`` and the like: methods that take over the dtype."""

    def new(self, *shape, dtype=None, device=None, requires_grad=False, **named):
        dtype = self.dtype if dtype is None else dtype
        return make(*shape, dtype=dtype, device=device, requires_grad=requires_grad, **named)

    new.__name__ = new.__qualname__ = name
    new.__doc__ = f"{what}, in the dtype of this tensor."
    return new


new_zeros = _of_its_kind("new_zeros", zeros, "Zeros of a shape")
new_ones = _of_its_kind("new_ones", ones, "Ones of a shape")
new_empty = _of_its_kind("new_empty", empty, "A tensor of a shape with whatever was in memory")
new_full = _of_its_kind("new_full", full, "One value in a shape")
new_tensor = _of_its_kind("new_tensor", tensor, "A new tensor with a copy of ``data``")


# -- rows of numbers --------------------------------------------------------------------------
def arange(start=0, end=None, step=1, *, dtype=None, device=None, requires_grad=False) -> Tensor:
    """Numbers from ``start`` (0) to before ``end``; int64 if all are integers.

    Raises:
        RuntimeError: for a step of 0, or one that leads away from ``end``.
    """
    check_device(device)
    if end is None:
        start, end = 0, start
    start, end, step = (_number(v, "arange") for v in (start, end, step))
    if not all(math.isfinite(v) for v in (start, end, step)):
        raise RuntimeError(f"arange: {start} to {end} in steps of {step} has no end")
    if step == 0 or (end - start) * step < 0:
        raise RuntimeError(f"arange: steps of {step} do not lead from {start} to {end}")
    if dtype is None:
        whole = all(isinstance(v, numbers.Integral) for v in (start, end, step))
        dtype = np.int64 if whole else get_default_dtype()
    dtype = as_dtype(dtype, "arange")
    if dtype.kind in "iu":
        start, end, step = int(start), int(end), int(step)
    # in float64 first: a step rounded to float32 would drift
    return _new(np.arange(start, end, step).astype(dtype), requires_grad)


def linspace(start, end, steps, *, dtype=None, device=None, requires_grad=False) -> Tensor:
    """``steps`` numbers from ``start`` to ``end``, both included."""
    check_device(device)
    dtype = _dtype(dtype, "linspace")
    return _new(_line(start, end, steps, dtype, "linspace").astype(dtype), requires_grad)


def logspace(
    start, end, steps, base=10.0, *, dtype=None, device=None, requires_grad=False
) -> Tensor:
    """``base`` to the power of ``steps`` numbers from ``start`` to ``end``, both included."""
    check_device(device)
    dtype = _dtype(dtype, "logspace")
    powers = np.power(float(base), _line(start, end, steps, dtype, "logspace"))
    return _new(powers.astype(dtype), requires_grad)


def _line(start, end, steps, dtype, op):
    # the ends as the dtype holds them, what is between in float64
    start, end = (float(dtype.type(_number(v, op))) for v in (start, end))
    if not isinstance(steps, numbers.Integral):
        raise TypeError(f"{op}: steps={steps!r} must be a whole number")
    if steps < 0:
        raise RuntimeError(f"{op}: steps={steps} must not be negative")
    places, step = np.arange(steps), (end - start) / max(steps - 1, 1)
    # from either end up to the middle: exact at both
    return np.where(places < steps / 2, start + step * places, end - step * places[::-1])


def eye(n, m=None, *, dtype=None, device=None, requires_grad=False) -> Tensor:
    """The (n, m) matrix with ones on the diagonal."""
    check_device(device)
    if n < 0 or (m is not None and m < 0):
        raise RuntimeError(f"eye: n={n} and m={m} must not be negative")
    return _new(np.eye(n, m, dtype=_dtype(dtype, "eye")), requires_grad)


# -- by the name of a type ------------------------------------------------------------------------
class TensorType:
    """``FloatTensor`` and its kin, PyTorch's spelling of old: to be called, and for ``x.type``.

    >>> import tinyconv as tc
    >>> tc.LongTensor([1, 2]), tc.ones(1).type(tc.DoubleTensor).dtype
    (tensor([1, 2]), dtype('float64'))
    """

    def __init__(self, name, dtype):
        self.name, self.dtype = name, np.dtype(dtype)

    def __call__(self, *data):
        """Of numbers or an array, as ``tensor``; of sizes, with whatever was in memory."""
        if len(data) == 1 and not isinstance(data[0], int):
            return tensor(data[0], dtype=self.dtype)
        return empty(*data, dtype=self.dtype) if data else empty(0, dtype=self.dtype)

    def __instancecheck__(self, value):
        return isinstance(value, Tensor) and value.dtype == self.dtype

    def __repr__(self):
        return f"tinyconv.{self.name}"


FloatTensor = TensorType("FloatTensor", np.float32)
DoubleTensor = TensorType("DoubleTensor", np.float64)
ByteTensor = TensorType("ByteTensor", np.uint8)
CharTensor = TensorType("CharTensor", np.int8)
ShortTensor = TensorType("ShortTensor", np.int16)
IntTensor = TensorType("IntTensor", np.int32)
LongTensor = TensorType("LongTensor", np.int64)
BoolTensor = TensorType("BoolTensor", np.bool_)
_TYPES = {
    t.name: t
    for t in (
        FloatTensor, DoubleTensor, ByteTensor, CharTensor, ShortTensor, IntTensor, LongTensor,
        BoolTensor,
    )
}  # fmt: skip


def type_named(name):
    """The type of that name, with any module before it; another name as it is."""
    return _TYPES.get(name.rsplit(".", 1)[-1], name)


def as_type(input: Tensor, dtype=None, non_blocking=False):
    """The name of the tensor's type; given a dtype, or a type's name, the tensor in it.

    >>> import tinyconv as tc
    >>> tc.zeros(2).type(), tc.zeros(2).type("torch.LongTensor").dtype
    ('tinyconv.FloatTensor', dtype('int64'))
    """
    if dtype is None:
        return next((repr(t) for t in _TYPES.values() if t.dtype == input.dtype), str(input.dtype))
    if isinstance(dtype, str):
        dtype = type_named(dtype)
    return input.to(dtype.dtype if isinstance(dtype, TensorType) else as_dtype(dtype, "type"))
