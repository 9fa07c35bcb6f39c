"""What all ops share: how operands become Tensors of one dtype."""

import functools

import numpy as np

from tinyconv import kernels
from tinyconv.autograd import Tensor, get_default_dtype, grad, is_grad_enabled
from tinyconv.autograd.modes import enable_grad
from tinyconv.autograd.tensor import check_dtype
from tinyconv.kernels.complex_step import joined

#: for forwards that meet 1/0 or log(-1): infinities and NaN are values here, not warnings
quiet = np.errstate(all="ignore")

#: numbers from which on a kernel sums faster than NumPy
_MANY = 1 << 12

#: what may stand beside a Tensor; an operator leaves other types to the other side
OPERANDS = Tensor, np.ndarray, bool, int, float, np.bool_, np.number
_SCALARS = *OPERANDS, complex
_BOOL, _INT, _FLOAT, _COMPLEX = range(4)
_CATEGORY = {"b": _BOOL, "u": _INT, "i": _INT, "f": _FLOAT, "c": _COMPLEX}


def as_tensor(value, op):
    """``value`` itself if it is a Tensor; arrays and numbers become constants."""
    if isinstance(value, Tensor):
        return value
    if isinstance(value, OPERANDS):
        return Tensor(value if isinstance(value, np.ndarray) else number(value))
    raise TypeError(f"{op}: wants a Tensor, got {type(value).__name__}")


def given(op, *arguments):
    """The one argument of those that say the same under several names."""
    found = [argument for argument in arguments if argument is not None]
    if len(found) != 1:
        raise TypeError(f"{op}: {'an argument is missing' if not found else 'one is given twice'}")
    return found[0]


def check_tensors(op, **operands):
    """Raise for plain numbers, where the op takes none."""
    for name, x in operands.items():
        if not isinstance(x, (Tensor, np.ndarray)):
            raise TypeError(f"{op}: {name} must be a Tensor, got {x!r}")


def number(value):
    """A Python or NumPy number as a 0-d array of the dtype that PyTorch gives it."""
    array = np.asarray(value)
    if array.dtype.kind == "f":
        return _in_default_dtype(array)
    if array.dtype.kind == "O" or array.dtype == np.uint64:
        raise RuntimeError(f"the integer {value} does not fit into int64")
    return array


def scalar(value, dtype, op, name="value"):
    """``value``, a number or a 0-d tensor, as a 0-d tensor of ``dtype``; complex steps stay."""
    if not isinstance(value, Tensor):
        if not isinstance(value, _SCALARS) or getattr(value, "ndim", 0):
            raise TypeError(f"{op}: {name} must be a number or a 0-d tensor, got {value!r}")
        array = np.asarray(value)
        return Tensor._wrap(array if array.dtype.kind == "c" else array.astype(dtype))
    if value.ndim:
        raise RuntimeError(f"{op}: {name} must be a number or 0-d, got shape {list(value.shape)}")
    return value if value.dtype.kind == "c" else value.to(dtype)


@quiet
def _in_default_dtype(array):
    return array.astype(get_default_dtype())


def category(dtype):
    return _CATEGORY[dtype.kind]


def common_dtype(a, b):
    """PyTorch's promotion: a higher category wins; inside one, dimensions win over 0-d
    tensors and these over plain numbers.

    >>> import numpy as np, tinyconv as tc
    >>> common_dtype(tc.zeros(2), tc.tensor(1.0, dtype=tc.float64))
    dtype('float32')
    """
    groups = [], [], []  # with dimensions, 0-d tensors, plain numbers
    for x in (a, b):
        if isinstance(x, Tensor):
            groups[0 if x.ndim else 1].append(x.dtype)
        else:
            groups[2].append(number(x).dtype)
    dtype = None
    for group in groups:
        for other in group:
            if dtype is None:
                dtype = other
            elif category(other) > category(dtype):
                dtype = other
            elif category(other) == category(dtype) and len(group) == 2:
                dtype = np.promote_types(dtype, other)
    return dtype


def operands(a, b, op, floating=False):
    """The two operands of ``op`` in their common dtype and with their common shape.

    Operands that record are expanded, so no op has to undo broadcasting: ``expand``'s
    gradient does. The others stay small; NumPy broadcasts them on the way.
    """
    # the two usual cases first: alike, and a tensor of floats with a number
    if isinstance(a, Tensor) and isinstance(b, Tensor):
        # what waits tells its shape without its array
        x, y = (a.array, b.array) if type(a) is type(b) is Tensor else (a, b)
        dtype = x.dtype
        if dtype == y.dtype and x.shape == y.shape and (not floating or dtype.kind in "fc"):
            return a, b
    elif type(b) in (float, int) and isinstance(a, Tensor) and a.dtype.kind == "f":
        return a, np.asarray(b, a.dtype)
    elif type(a) in (float, int) and isinstance(b, Tensor) and b.dtype.kind == "f":
        return np.asarray(a, b.dtype), b
    a, b = _operand(a, op), _operand(b, op)
    if not isinstance(a, Tensor) and not isinstance(b, Tensor):
        raise TypeError(f"{op}: wants a Tensor, got the numbers {a} and {b}")
    dtype = common_dtype(a, b)
    if floating and category(dtype) < _FLOAT:
        dtype = get_default_dtype()
    if a.shape != b.shape:
        try:
            shape = np.broadcast_shapes(a.shape, b.shape)
        except ValueError:
            raise ValueError(
                f"{op}: shapes {list(a.shape)} and {list(b.shape)} cannot be broadcast: sizes "
                "must be equal or 1, aligned from the right"
            ) from None
        a, b = _fit(a, dtype, shape), _fit(b, dtype, shape)
    else:
        a, b = _fit(a, dtype, None), _fit(b, dtype, None)
    return a, b


def _operand(x, op):
    """A Tensor, or a bare 0-d array for a plain number (all its digits: float64 may follow)."""
    if isinstance(x, (bool, int, float, np.bool_, np.number)):
        return np.asarray(x)
    return as_tensor(x, op)


def _fit(x, dtype, shape):
    if not isinstance(x, Tensor):
        return x.astype(dtype, copy=False)
    if x.dtype != dtype:
        x = x.to(dtype)
    if shape is not None and x.requires_grad and x.shape != shape and is_grad_enabled():
        x = x.expand(shape)
    return x


def float_tensor(x, op):
    """``x``, checked to be a Tensor of floats."""
    if not isinstance(x, Tensor):
        x = as_tensor(x, op)
    dtype = x.dtype
    if dtype.kind != "f":
        if dtype.kind == "c":
            check_dtype(dtype)
            return x
        raise TypeError(
            f"{op}: wants a float32 or float64 tensor, got {dtype} of shape {list(x.shape)}; "
            "convert it with .float()"
        )
    return x


def larger(a, b):
    """np.maximum; complex steps are compared by their real parts. NaN wins."""
    if a.dtype.kind != "c":
        return np.maximum(a, b)
    return np.where((b.real > a.real) | (b.real != b.real), b, a)


def smaller(a, b):
    """np.minimum; complex steps are compared by their real parts. NaN wins."""
    if a.dtype.kind != "c":
        return np.minimum(a, b)
    return np.where((b.real < a.real) | (b.real != b.real), b, a)


def sum_over(x, dims):
    """The sum over ``dims``, which stay with size 1, without losing digits in float32.

    NumPy sums contiguous runs pairwise, but adds up along other axes one by one: these are
    summed in float64. A kernel does what a bias's gradient asks for, all axes but one.
    """
    if x.dtype.kind == "c":
        return joined(sum_over(x.real.copy(), dims), sum_over(x.imag.copy(), dims))
    if len(dims) == x.ndim - 1 and x.size >= _MANY and x.dtype.kind == "f":
        if x.flags.c_contiguous:
            (kept,) = (d for d in range(x.ndim) if d not in dims)
            return np.expand_dims(kernels.sums.sum_but(x, kept), dims)
    inner = tuple(d for d in dims if d >= x.ndim - len(dims))
    if inner and x.flags.c_contiguous:
        x, dims = x.sum(inner, keepdims=True), tuple(d for d in dims if d not in inner)
        if not dims:
            return x
    if x.dtype != np.float32:
        return x.sum(dims, keepdims=True)
    return x.sum(dims, keepdims=True, dtype=np.float64).astype(x.dtype)


def axis(dim, ndim, op):
    """``dim`` counted from the front."""
    try:
        at = dim.__index__()
    except AttributeError:
        raise TypeError(f"{op}: dim={dim!r} is not a whole number") from None
    if not -max(ndim, 1) <= at < max(ndim, 1):
        raise IndexError(
            f"{op}: dim={dim} is out of range for {ndim} dimensions "
            f"({-max(ndim, 1)} to {max(ndim, 1) - 1})"
        )
    return at % max(ndim, 1)


def axes(dim, ndim, op):
    """``dim`` (None for all, a number or several) as a sorted tuple of axes."""
    if dim is None:
        return tuple(range(ndim))
    dims = tuple(dim) if isinstance(dim, (tuple, list)) else (dim,)
    found = sorted(axis(d, ndim, op) for d in dims)
    if len(set(found)) < len(found):
        raise ValueError(f"{op}: dim={tuple(dims)} names an axis twice")
    return tuple(found) if found and ndim else tuple(range(ndim))


def vjp_of(function, inputs, cotangents):
    """The cotangents of ``inputs`` under ``function`` written in differentiable ops.

    For gradient Functions whose own derivative is best had by differentiating their
    formula. Inputs are renamed first: one may depend on another, and only the direct way
    counts here.
    """
    create_graph = is_grad_enabled()
    with enable_grad():
        names = [
            None if x is None else x.clone() if create_graph and x.requires_grad else _leaf(x)
            for x in inputs
        ]
        outputs = function(*names)
    used = [(y, g) for y, g in zip(outputs, cotangents) if g is not None and y is not None]
    wanted = [n for n in names if n is not None and n.requires_grad]
    if not used:
        return (None,) * len(inputs)
    results = iter(
        grad(
            [y for y, _ in used],
            wanted,
            [g for _, g in used],
            create_graph=create_graph,
            allow_unused=True,
        )
    )
    return tuple(None if n is None or not n.requires_grad else next(results) for n in names)


def _leaf(x):
    return x.detach().requires_grad_()


def numpy_names(function):
    """Let ``function`` take NumPy's ``axis`` and ``keepdims`` for ``dim`` and ``keepdim`` too, as
    PyTorch does."""

    @functools.wraps(function)
    def named(*args, **kwargs):
        if kwargs:
            for numpys, ours in (("axis", "dim"), ("keepdims", "keepdim")):
                if numpys in kwargs and ours not in kwargs:
                    kwargs[ours] = kwargs.pop(numpys)
        return function(*args, **kwargs)

    return named
