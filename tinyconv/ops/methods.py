"""The one place where Tensor gets its operators and methods."""

# mypy: ignore-errors
# (what is attached here is declared in autograd/tensor.pyi)
import numpy as np

from tinyconv.autograd import Tensor, backward
from tinyconv.ops import (
    arithmetic,
    compare,
    index,
    inplace,
    join,
    linalg,
    pointwise,
    products,
    reduce,
    scatter,
    shape,
    softmax,
)

_METHODS = {
    arithmetic: "add sub mul div pow neg maximum minimum clamp remainder",
    compare: "eq ne lt le gt ge logical_and logical_or logical_xor logical_not "
    "bitwise_and bitwise_or bitwise_xor bitwise_not isnan isfinite allclose equal",
    pointwise: "exp expm1 log log1p sqrt rsqrt sin cos tanh sigmoid erf erfc sign abs relu",
    shape: "reshape view expand permute transpose t flatten squeeze unsqueeze "
    "flip to clone contiguous",
    index: "argwhere diagonal gather index_select masked_select narrow nonzero select take "
    "take_along_dim unfold",
    scatter: "bincount diagonal_scatter index_add index_copy index_fill index_put masked_fill "
    "masked_scatter put scatter scatter_add scatter_reduce select_scatter slice_scatter",
    join: "split chunk unbind",
    reduce: "sum mean var std amax amin max min argmax argmin any all norm logsumexp",
    linalg: "matmul mm bmm mv dot vdot outer addmm addmv addr addbmm baddbmm",
    products: "cross inner kron matrix_power trace",
    softmax: "softmax log_softmax",
    inplace: "zero_ fill_ copy_ detach_ fill_diagonal_ uniform_ normal_ log_normal_ bernoulli_ "
    "exponential_ cauchy_ geometric_ random_ addcmul_ addcdiv_",
}
for _module, _names in _METHODS.items():
    for _name in _names.split():
        setattr(Tensor, _name, getattr(_module, _name))

Tensor.ger = linalg.outer
Tensor.true_divide = arithmetic.div
Tensor.clip = arithmetic.clamp
Tensor.absolute = pointwise.abs


def _swapped(function):
    return lambda self, other: function(other, self)


Tensor.__add__ = Tensor.__radd__ = arithmetic.add
Tensor.__sub__, Tensor.__rsub__ = arithmetic.sub, _swapped(arithmetic.sub)
Tensor.__mul__ = Tensor.__rmul__ = arithmetic.mul
Tensor.__truediv__, Tensor.__rtruediv__ = arithmetic.div, _swapped(arithmetic.div)
Tensor.__floordiv__ = lambda a, b: arithmetic.div(a, b, rounding_mode="floor")
Tensor.__mod__ = arithmetic.remainder
Tensor.__pow__, Tensor.__rpow__ = arithmetic.pow, _swapped(arithmetic.pow)
Tensor.__matmul__, Tensor.__rmatmul__ = linalg.matmul, _swapped(linalg.matmul)
Tensor.__neg__ = arithmetic.neg
Tensor.__abs__ = pointwise.abs
Tensor.__eq__ = lambda self, other: False if other is None else compare.eq(self, other)
Tensor.__ne__ = lambda self, other: True if other is None else compare.ne(self, other)
Tensor.__lt__, Tensor.__le__ = compare.lt, compare.le
Tensor.__gt__, Tensor.__ge__ = compare.gt, compare.ge
Tensor.__and__, Tensor.__or__ = compare.bitwise_and, compare.bitwise_or
Tensor.__xor__, Tensor.__invert__ = compare.bitwise_xor, compare.bitwise_not
Tensor.__getitem__, Tensor.__setitem__ = index.getitem, inplace.setitem
for _name, _sign in dict(
    add="+", sub="-", mul="*", truediv="/", pow="**", floordiv="//", mod="%", xor="^",
    **{"and": "&", "or": "|"},
).items():  # fmt: skip
    _function = getattr(Tensor, f"__{_name}__")
    setattr(Tensor, f"__i{_name}__", inplace.augmented(f"{_sign}=", _function))
for _names, _make in (
    (inplace.NAMES, inplace.in_place),
    (inplace.VIEWS, inplace.view_in_place),
):
    for _name in _names.split():
        if hasattr(Tensor, _name[:-1]):
            setattr(Tensor, _name, _make(_name, getattr(Tensor, _name[:-1])))
Tensor.T = property(lambda self: shape.permute(self, tuple(range(self.ndim))[::-1]))
Tensor.mT = property(lambda self: shape.transpose(self, -1, -2))


def method(function):
    """Attach ``function`` to Tensor under its own name."""
    setattr(Tensor, function.__name__, function)
    return function


@method
def size(self, dim=None):
    """The shape, or its entry ``dim``."""
    return self.shape if dim is None else self.shape[dim]


@method
def dim(self):
    """The number of dimensions."""
    return self.ndim


@method
def numel(self):
    """The number of elements."""
    return self.array.size


@method
def item(self):
    """The one value as a Python number.

    Raises:
        RuntimeError: if there is not exactly one.
    """
    if self.array.size != 1:
        raise RuntimeError(f"item: the tensor has {self.array.size} elements, not 1")
    return self.array.item()


@method
def tolist(self):
    """The values in nested lists."""
    return self.array.tolist()


@method
def view_as(self, other):
    """``view`` in the shape of ``other``."""
    return shape.view(self, other.shape)


@method
def expand_as(self, other):
    """Repeated to the shape of ``other``."""
    return shape.expand(self, other.shape)


@method
def type_as(self, other):
    """In the dtype of ``other``."""
    return self.to(other.dtype)


@method
def is_contiguous(self):
    """Whether the values lie in C order."""
    return self.array.flags.c_contiguous


@method
def is_floating_point(self):
    """Whether the dtype is float32 or float64."""
    return self.dtype.kind in "fc"  # complex128 stands for float64 in derivative checks


@method
def element_size(self):
    """Bytes per element."""
    return self.array.itemsize


@method
def cpu(self):
    """The tensor itself: it is there already."""
    return self


@method
def cuda(self, *args, **kwargs):
    """Raises: there is no GPU here."""
    shape.check_device("cuda")


Tensor.device = property(lambda self: shape.device_type("cpu"))
for _name, _dtype in dict(
    float=np.float32, double=np.float64, int=np.int32, long=np.int64, bool=np.bool_
).items():
    setattr(Tensor, _name, lambda self, dtype=_dtype: self.to(dtype))
Tensor.backward = lambda self, gradient=None, retain_graph=None, create_graph=False, inputs=None: (
    backward(self, gradient, retain_graph, create_graph, inputs)
)


@method
def __len__(self):
    if self.ndim == 0:
        raise TypeError("len() of a 0-d tensor")
    return self.shape[0]


@method
def __iter__(self):
    if self.ndim == 0:
        raise TypeError("iteration over a 0-d tensor")
    return iter(join.unbind(self, 0))


@method
def __bool__(self):
    if self.array.size != 1:
        raise RuntimeError(
            f"the truth of a tensor with {self.array.size} elements is ambiguous: use .any(), "
            ".all() or .numel()"
        )
    return bool(self.array.real.item())


@method
def __contains__(self, value):
    wanted = value.array.real if isinstance(value, Tensor) else value
    return bool((self.array.real == wanted).any())


Tensor.__float__ = lambda self: float(self.item())
Tensor.__int__ = lambda self: int(self.item())


@method
def __index__(self):
    if self.dtype.kind not in "iu" or self.array.size != 1:
        raise TypeError("only integer tensors of one element can be used as an index")
    return int(self.array.item())


@method
def __format__(self, spec):
    return format(self.item(), spec) if self.ndim == 0 else format(repr(self), spec)


@method
def __repr__(self):
    style = {}
    if self.dtype.kind == "f":
        style["formatter"] = {"float_kind": _float_format(self.array)}
    elif self.dtype == bool:
        width = 4 if self.array.all() else 5
        style["formatter"] = {"bool": lambda v: str(bool(v)).rjust(width)}
    text = np.array2string(self.array, separator=", ", prefix="tensor(", threshold=1000, **style)
    notes = ""
    if self.dtype not in (np.float32, np.int64, np.bool_):
        notes += f", dtype={self.dtype}"
    if self.grad_fn is not None:
        notes += f", grad_fn={self.grad_fn}"
    elif self.requires_grad:
        notes += ", requires_grad=True"
    return f"tensor({text}{notes})"


def _float_format(array):
    """PyTorch's look: whole numbers as ``1.``, else four decimals, or four of an exponent."""
    finite = np.abs(array[np.isfinite(array)])
    large, small = finite.max(initial=0), finite[finite > 0].min(initial=np.inf)
    if large < 1e8 and np.all(finite == np.floor(finite)):
        form = "{:.0f}."
    elif large >= 1e5 or small < 1e-4:
        form = "{:.4e}"
    else:
        form = "{:.4f}"
    # one width for all, so that columns stand under each other
    width = max((len(form.format(v)) for v in array[np.isfinite(array)].ravel()), default=0)
    return lambda v: (form.format(v) if np.isfinite(v) else str(float(v))).rjust(width)
