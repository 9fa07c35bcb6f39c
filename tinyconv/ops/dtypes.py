"""Types: what a dtype can hold, which one two of them meet in, and what a value's type is called.

None of it is differentiable.
"""

import math

import numpy as np

from tinyconv.autograd import Tensor, get_default_dtype, set_default_dtype
from tinyconv.ops.common import category, common_dtype
from tinyconv.ops.creation import TensorType, as_type, type_named
from tinyconv.ops.shape import as_dtype


class _Sizes(type):
    def __instancecheck__(cls, value):
        return isinstance(value, tuple)  # shapes are plain tuples, which are made faster


class Size(tuple, metaclass=_Sizes):
    """A tuple of sizes that knows their product. Every tuple passes for one: shapes are tuples.

    >>> import tinyconv as tc
    >>> tc.Size([2, 3]).numel(), isinstance(tc.zeros(2).shape, tc.Size)
    (6, True)
    """

    __slots__ = ()

    def numel(self):
        """The number of elements of a tensor of that shape."""
        return math.prod(self)


# -- what a dtype can hold ------------------------------------------------------------------------
class finfo:
    """The limits of a float dtype, by default of the default one, as Python numbers.

    ``bits``, ``eps`` (from 1 to the next number), ``max``, ``min`` (= -max), ``tiny`` or
    ``smallest_normal``, ``resolution`` (of the decimal digits) and ``dtype`` (its name).

    Raises:
        TypeError: for a dtype without a point.

    >>> import tinyconv as tc
    >>> tc.finfo(tc.float32).eps
    1.1920928955078125e-07
    """

    def __init__(self, type=None):
        dtype = get_default_dtype() if type is None else as_dtype(type, "finfo")
        if dtype.kind != "f":
            raise TypeError(f"finfo: {dtype} is no float dtype; iinfo tells the limits of integers")
        found = np.finfo(dtype)
        self.bits, self.dtype = found.bits, dtype.name
        self.eps, self.tiny = float(found.eps), float(found.tiny)
        self.min, self.max = float(found.min), float(found.max)
        self.smallest_normal, self.resolution = self.tiny, 10.0**-found.precision

    def __repr__(self):
        return _listed(self, "resolution min max eps smallest_normal tiny")


class iinfo:
    """The limits of an integer dtype: ``bits``, ``min``, ``max`` and ``dtype`` (its name).

    Raises:
        TypeError: for a dtype that is none of integers.

    >>> import tinyconv as tc
    >>> tc.iinfo(tc.uint8).max
    255
    """

    def __init__(self, type):
        dtype = as_dtype(type, "iinfo")
        if dtype.kind not in "iu":
            raise TypeError(f"iinfo: {dtype} is no integer dtype; finfo tells the limits of floats")
        found = np.iinfo(dtype)
        self.bits, self.dtype = found.bits, dtype.name
        self.min, self.max = int(found.min), int(found.max)

    def __repr__(self):
        return _listed(self, "min max")


def _listed(info, names):
    values = ", ".join(f"{name}={getattr(info, name):.6g}" for name in names.split())
    return f"{type(info).__name__}({values}, dtype={info.dtype})"


# -- where two meet -------------------------------------------------------------------------------
def promote_types(type1, type2) -> np.dtype:
    """The dtype that holds both: the higher of bool, integer and float, and there the longer.

    >>> import tinyconv as tc
    >>> tc.promote_types(tc.int64, tc.float32), tc.promote_types(tc.uint8, tc.int8)
    (dtype('float32'), dtype('int16'))
    """
    a, b = as_dtype(type1, "promote_types"), as_dtype(type2, "promote_types")
    if category(a) != category(b):
        return max(a, b, key=category)
    return np.promote_types(a, b)


def result_type(tensor, other) -> np.dtype:
    """The dtype of ``tensor + other``, each a tensor or a number.

    >>> import tinyconv as tc
    >>> tc.result_type(tc.tensor([1, 2]), 1.0)
    dtype('float32')
    """
    return common_dtype(tensor, other)


def can_cast(from_, to) -> bool:
    """Whether values are taken over in dtype ``to``: not floats as integers, nor numbers as bools.

    >>> import tinyconv as tc
    >>> tc.can_cast(tc.float64, tc.float32), tc.can_cast(tc.float32, tc.int64)
    (True, False)
    """
    return category(as_dtype(from_, "can_cast")) <= category(as_dtype(to, "can_cast"))


# -- what a value is ------------------------------------------------------------------------------
def typename(obj) -> str:
    """The name of a tensor's type, or of any other value's.

    >>> import tinyconv as tc
    >>> tc.typename(tc.zeros(2)), tc.typename(1)
    ('tinyconv.FloatTensor', 'int')
    """
    if isinstance(obj, Tensor):
        return as_type(obj)
    cls = obj if hasattr(obj, "__qualname__") else type(obj)
    module = getattr(cls, "__module__", None)
    return cls.__qualname__ if module in (None, "builtins") else f"{module}.{cls.__qualname__}"


def set_default_tensor_type(t) -> None:
    """``set_default_dtype`` by the name of a type: ``"torch.DoubleTensor"``."""
    found = type_named(t) if isinstance(t, str) else t
    set_default_dtype(found.dtype if isinstance(found, TensorType) else found)
