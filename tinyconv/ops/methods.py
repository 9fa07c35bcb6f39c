"""The one place where Tensor gets its operators and methods."""

# mypy: ignore-errors
# (what is attached here is declared in autograd/tensor.pyi)
import numpy as np

from tinyconv.autograd import Tensor, backward
from tinyconv.ops import (
    activations,
    arithmetic,
    compare,
    creation,
    distance,
    facts,
    index,
    inplace,
    join,
    linalg,
    order,
    pairs,
    pointwise,
    power,
    printing,
    products,
    random,
    rearrange,
    reduce,
    scan,
    scatter,
    shape,
    softmax,
    strided,
)
from tinyconv.ops.common import OPERANDS, operands

_METHODS = {
    arithmetic: "add clamp clamp_max clamp_min clip div divide floor_divide fmod maximum minimum "
    "mul multiply neg negative remainder sub subtract true_divide",
    compare: "allclose bitwise_and bitwise_left_shift bitwise_not bitwise_or bitwise_right_shift "
    "bitwise_xor eq equal ge greater greater_equal gt isclose isfinite isinf isnan "
    "isneginf isposinf isreal le less less_equal logical_and logical_not logical_or "
    "logical_xor lt ne not_equal signbit",
    pairs: "addcdiv addcmul arctan2 atan2 copysign fmax fmin heaviside hypot lerp logaddexp "
    "logaddexp2 xlogy",
    power: "float_power pow square",
    pointwise: "abs absolute acos acosh arccos arccosh arcsin arcsinh arctan arctanh asin asinh "
    "atan atanh ceil cos cosh deg2rad erf erfc exp exp2 expm1 fix floor frac log log10 log1p "
    "log2 logit nan_to_num positive rad2deg reciprocal relu round rsqrt sgn sigmoid sign "
    "sin sinc sinh sqrt tan tanh trunc",
    shape: "clone contiguous expand flatten flip permute reshape squeeze t to transpose unsqueeze "
    "view",
    rearrange: "adjoint broadcast_to diag diag_embed diagflat expand_as fliplr flipud moveaxis "
    "movedim ravel repeat repeat_interleave reshape_as roll rot90 swapaxes swapdims tile tril triu "
    "unflatten view_as",
    creation: "new_empty new_full new_ones new_tensor new_zeros",
    random: "bernoulli multinomial",
    index: "argwhere gather index_select masked_select narrow nonzero select take take_along_dim",
    strided: "diagonal unfold",
    scatter: "bincount diagonal_scatter index_add index_copy index_fill index_put masked_fill "
    "masked_scatter put scatter scatter_add scatter_reduce select_scatter slice_scatter",
    join: "chunk dsplit hsplit split split_with_sizes tensor_split unbind vsplit",
    reduce: "all amax amin aminmax any argmax argmin count_nonzero logsumexp max mean min nanmean "
    "nansum norm std sum var",
    scan: "cummax cummin cumprod cumsum diff logcumsumexp prod",
    order: "argsort kthvalue median mode msort nanmedian nanquantile quantile sort topk unique "
    "unique_consecutive",
    distance: "dist renorm",
    activations: "hardshrink prelu",
    linalg: "matmul mm bmm mv dot vdot outer addmm addmv addr addbmm baddbmm",
    products: "cross inner inverse kron matrix_power trace",
    softmax: "softmax log_softmax",
    inplace: "zero_ fill_ copy_ detach_ fill_diagonal_ uniform_ normal_ log_normal_ bernoulli_ "
    "exponential_ cauchy_ geometric_ random_ addcmul_ addcdiv_",
}
for _module, _names in _METHODS.items():
    for _name in _names.split():
        setattr(Tensor, _name, getattr(_module, _name))

Tensor.ger = linalg.outer


def _operator(function):
    """``function`` as the operator of a class: a foreign operand gets its turn."""

    def operator(self, other):
        try:
            return function(self, other)
        except TypeError:
            if isinstance(other, OPERANDS):
                raise
            return NotImplemented

    return operator


def _direct(cls, op, floating=False):
    """``_operator`` of an op that is one Function: a call less, which is felt."""

    def operator(self, other):
        try:
            a, b = operands(self, other, op, floating)
        except TypeError:
            if isinstance(other, OPERANDS):
                raise
            return NotImplemented
        return cls.apply(a, b)

    return operator


def _swapped(function):
    return _operator(lambda self, other: function(other, self))


_OPERATORS = {
    "add": arithmetic.add, "sub": arithmetic.sub, "mul": arithmetic.mul, "truediv": arithmetic.div,
    "floordiv": arithmetic.floor_divide, "mod": arithmetic.remainder, "pow": power.pow,
    "matmul": linalg.matmul, "and": compare.bitwise_and, "or": compare.bitwise_or,
    "xor": compare.bitwise_xor, "lshift": compare.bitwise_left_shift,
    "rshift": compare.bitwise_right_shift,
}  # fmt: skip
_SIGNS = {
    "add": "+", "sub": "-", "mul": "*", "truediv": "/", "pow": "**", "floordiv": "//", "mod": "%",
    "and": "&", "or": "|", "xor": "^", "lshift": "<<", "rshift": ">>",
}  # fmt: skip
for _name, _function in _OPERATORS.items():
    setattr(Tensor, f"__{_name}__", _operator(_function))
    setattr(Tensor, f"__r{_name}__", _swapped(_function))
for _name, _sign in _SIGNS.items():
    _write = inplace.augmented(f"{_sign}=", _OPERATORS[_name])
    setattr(Tensor, f"__i{_name}__", _operator(_write))
Tensor.__add__ = Tensor.__radd__ = _direct(arithmetic.Add, "add")
Tensor.__mul__ = Tensor.__rmul__ = _direct(arithmetic.Mul, "mul")
Tensor.__truediv__ = _direct(arithmetic.Div, "div", floating=True)
for _name in "lt le gt ge".split():
    setattr(Tensor, f"__{_name}__", _operator(getattr(compare, _name)))
Tensor.__eq__, Tensor.__ne__ = compare.equals, compare.differs
Tensor.__rdiv__ = Tensor.__rtruediv__
Tensor.__neg__, Tensor.__pos__ = arithmetic.neg, pointwise.positive
Tensor.__abs__ = pointwise.abs
Tensor.where = lambda self, condition, other: arithmetic.where(condition, self, other)
Tensor.__invert__ = compare.bitwise_not
Tensor.__getitem__, Tensor.__setitem__ = index.getitem, inplace.setitem
for _names, _make in (
    (inplace.NAMES, inplace.in_place),
    (inplace.VIEWS, inplace.view_in_place),
):
    for _name in _names.split():
        setattr(Tensor, _name, _make(_name, getattr(Tensor, _name[:-1])))
Tensor.T = property(lambda self: shape.permute(self, tuple(range(self.ndim))[::-1]))
Tensor.mT = Tensor.mH = property(lambda self: shape.transpose(self, -1, -2))
Tensor.H = property(rearrange.matrix_h)


facts.attach()


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
def type_as(self, other):
    """In the dtype of ``other``."""
    return self.to(other.dtype)


@method
def is_contiguous(self, memory_format=None):
    """Whether the values lie in C order."""
    return self.array.flags.c_contiguous


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
    float=np.float32, double=np.float64, byte=np.uint8, char=np.int8, short=np.int16, int=np.int32,
    long=np.int64, bool=np.bool_,
).items():  # fmt: skip
    setattr(Tensor, _name, lambda self, memory_format=None, dtype=_dtype: self.to(dtype))
Tensor.type = creation.as_type


def _refusing(name, what):
    def refuse(self, *args, **kwargs):
        raise RuntimeError(f"{name}: tinyconv has no {what}; it computes in float32 and float64")

    refuse.__doc__ = f"Raises: there are no {what} here."
    return refuse


for _names, _what in (
    ("half bfloat16", "half precision tensors"),
    ("cfloat cdouble chalf", "complex tensors"),
    ("to_sparse to_dense coalesce", "sparse tensors"),
    ("to_mkldnn xpu", "other memory than NumPy's"),
):
    for _name in _names.split():
        setattr(Tensor, _name, _refusing(_name, _what))
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


Tensor.__repr__ = printing.text
