"""Changing a tensor itself: real writes into memory, or, while recording, a new past.

Without recording (a leaf without grad, or under ``no_grad``) values are written into the tensor's
memory and its version is bumped, so that a graph which saved the old values raises instead of
using the new ones.

Recorded values never change. There the op without the underscore is recorded, and the tensor
itself becomes its result: whoever holds the tensor sees the new values, and who saved the old ones
keeps them. That is only the same thing if no other tensor or array looks at the old memory; if one
does, it raises.

All composed: each is the op without the underscore.
"""

import sys
import weakref

import numpy as np

from tinyconv.autograd import Tensor, is_grad_enabled
from tinyconv.autograd.deferred import Deferred
from tinyconv.autograd.modes import enable_grad, settle, state
from tinyconv.ops import arithmetic
from tinyconv.ops.arithmetic import where
from tinyconv.ops.common import category, scalar
from tinyconv.ops.index import Assign, plain_index, steps
from tinyconv.ops.random import below_one, stream

_alone = Tensor(0.0)
#: the counts of references to what a tensor alone holds, and to what its counter holds as well
_HELD_ONCE = sys.getrefcount(_alone._counter)
_HELD_TWICE = sys.getrefcount(_alone._sharing)


def _records(x, *others):
    return is_grad_enabled() and (
        x.requires_grad or any(isinstance(y, Tensor) and y.requires_grad for y in others)
    )


def _check_changeable(x, op):
    """Raise if ``x`` can not become the result of a recorded op."""
    if x.requires_grad and x.is_leaf:
        raise RuntimeError(
            f"{op}: a leaf tensor that requires grad is changed in place; do it under no_grad()"
        )
    if is_seen(x):
        past = "recorded" if x.grad_fn is None else f"recorded by {x.grad_fn.name}"
        raise RuntimeError(
            f"{op}: a value is {past}, but another tensor or array (a view, the one it is a view "
            "of, a detached one) looks at its memory and would have to change with it; write the "
            "op without the underscore and bind its result, or .clone() first"
        )


def is_seen(x):
    """Whether a tensor or array other than ``x`` looks at its memory.

    Nodes that saved it do not count: they hold the values.
    """
    if type(x) is Deferred or len(x._counter) == 1 or getattr(x, "_sharing", None) is None:
        return False  # it has no memory yet, has never shared it, or is a saved value, reopened
    if sys.getrefcount(x._sharing) > _HELD_TWICE:
        return True
    if not x._sharing:
        return False
    # an array was given away: whether anyone still has it, only its memory can tell
    base = x.array.base
    return sys.getrefcount(x.array) > _HELD_ONCE or (
        base is not None and sys.getrefcount(base) > _HELD_ONCE + 1
    )


def _become(x, result, op):
    """Make ``x`` the tensor that ``result`` is, in the shape and dtype of ``x``."""
    if result.shape != x.shape or result.dtype != x.dtype:
        _check_fit(x, result.dtype, result.shape, op)
        result = result.expand(x.shape).to(x.dtype)
    if x.requires_grad and not result.requires_grad:
        result = where(True, result, x)  # as far as gradients go, a zero times x
    return _rebind(x, result)


def _rebind(x, result):
    if result is x:
        return x
    retained = x._retains
    if retained:
        x.grad_fn.retains[x.output_nr] = [
            ref for ref in x.grad_fn.retains[x.output_nr] if ref() is not x
        ]
        x._retains = False
    if type(result) is Deferred and type(x) in (Tensor, Deferred):
        if type(x) is Tensor:
            del x.array
            x.__class__ = Deferred
            state.waiting.append(weakref.ref(x))
        x._later = result._later
    else:
        array = result.array
        if type(x) is Deferred:
            x.__class__, x._later = Tensor, None
        x.array = array
    x._counter, x.grad_fn, x.output_nr = result._counter, result.grad_fn, result.output_nr
    x._sharing = x._counter[1] if len(x._counter) > 1 else None
    x._requires_grad = result._requires_grad
    if retained and x._requires_grad:
        x.retain_grad()
    return x


def _check_fit(x, dtype, size, op):
    if category(dtype) > category(x.dtype):
        raise RuntimeError(f"{op}: a result of {dtype} cannot be written into {x.dtype}")
    if len(size) > x.ndim or np.broadcast_shapes(size, x.shape) != x.shape:
        raise RuntimeError(f"{op}: a value of shape {list(size)} does not fit into {list(x.shape)}")


def _write(x, value, op):
    """x[...] = value; the dtype of x stays."""
    value = value.array if isinstance(value, Tensor) else np.asarray(value)
    if value.shape != x.shape or value.dtype != x.dtype:
        _check_fit(x, value.dtype, value.shape, op)
    _check_memory(x, op)
    if value.ndim:  # one number everywhere does no harm
        _check_apart(x.array, op)
    settle()
    x.array[...] = value
    x._bump()
    return x


def _check_memory(x, op):
    if not x.array.flags.writeable:
        raise RuntimeError(f"{op}: the tensor's memory is read-only or expanded; .clone() it first")


def _check_apart(array, op):
    """Raise if two elements of ``array`` share an address, as in the windows of ``unfold``."""
    if _apart(array):
        return
    at = np.zeros((), np.int64)
    for n, stride in zip(array.shape, array.strides):
        at = at[..., None] + np.arange(n) * stride
    if np.unique(at).size < at.size:
        raise RuntimeError(f"{op}: elements of the tensor share their memory; .clone() it first")


def _apart(array):
    """Whether each axis steps over all that the axes of smaller steps reach: the usual case."""
    if array.flags.forc:
        return True
    reach = 0
    for stride, n in sorted((abs(s), n) for s, n in zip(array.strides, array.shape)):
        if n > 1:
            if stride <= reach:
                return False
            reach += stride * (n - 1)
    return True


def in_place(name, function):
    """The method ``name``: ``function``, whose result the tensor itself becomes."""

    def method(self, *args, **kwargs):
        if _records(self, *args, *kwargs.values()):
            _check_changeable(self, name)
            return _become(self, function(self, *args, **kwargs), name)
        return _write(self, function(self, *args, **kwargs), name)

    method.__name__ = method.__qualname__ = name
    method.__module__ = sys._getframe(1).f_globals["__name__"]  # where a pickle will look for it
    method.__doc__ = f"``{name[:-1]}``; the tensor itself becomes the result."
    return method


#: ops that get a spelling in place, if there is one without the underscore
NAMES = """
    abs_ absolute_ acos_ acosh_ add_ addbmm_ addcdiv_ addcmul_ addmm_ addmv_ addr_ arccos_ arccosh_
    arcsin_ arcsinh_ arctan_ arctan2_ arctanh_ asin_ asinh_ atan_ atan2_ atanh_ baddbmm_
    bitwise_and_ bitwise_left_shift_ bitwise_not_ bitwise_or_ bitwise_right_shift_ bitwise_xor_
    ceil_ clamp_ clamp_max_ clamp_min_ clip_ copysign_ cos_ cosh_ cumprod_ cumsum_ deg2rad_
    div_ divide_ eq_ erf_ erfc_ exp_ exp2_ expm1_ fix_ float_power_ floor_
    floor_divide_ fmod_ frac_ ge_ greater_ greater_equal_ gt_ heaviside_ hypot_ index_add_
    index_copy_ index_fill_ index_put_ le_ lerp_ less_ less_equal_ log_ log10_
    log1p_ log2_ logical_and_ logical_not_ logical_or_ logical_xor_ logit_ lt_ masked_fill_
    masked_scatter_ mul_ multiply_ nan_to_num_ ne_ neg_ negative_ not_equal_ pow_
    put_ rad2deg_ reciprocal_ relu_ remainder_ renorm_ round_ rsqrt_ scatter_ scatter_add_
    scatter_reduce_ sgn_ sigmoid_ sign_ sin_ sinc_ sinh_ sqrt_ square_ sub_ subtract_ tan_ tanh_
    tril_ triu_ true_divide_ trunc_ xlogy_
"""
#: those that change how memory is looked at, and not the memory
VIEWS = "squeeze_ unsqueeze_ transpose_ t_ swapaxes_ swapdims_"
#: those that are functions, too: ``tinyconv.exp_(x)``
FUNCTIONS = """
    abs_ acos_ acosh_ addmv_ arccos_ arccosh_ arcsin_ arcsinh_ arctan_ arctanh_ asin_
    asinh_ atan_ atanh_ ceil_ clamp_ clamp_max_ clamp_min_ clip_ cos_ cosh_ deg2rad_ detach_ erf_
    erfc_ exp2_ exp_ expm1_ fill_ fix_ floor_ frac_ index_put_ log10_ log1p_ log2_ log_ logit_
    nan_to_num_ neg_ negative_ rad2deg_ reciprocal_ relu_ round_ rsqrt_ sigmoid_ sin_ sinc_ sinh_
    sqrt_ square_ tan_ tanh_ trunc_ xlogy_ zero_
"""


def view_in_place(name, function):
    """The method ``name``: the tensor itself becomes the view that ``function`` gives."""

    def method(self, *args, **kwargs):
        if self.grad_fn is not None:
            with enable_grad():  # else its history would end here
                return _rebind(self, function(self, *args, **kwargs))
        trained = self.requires_grad
        if trained and is_grad_enabled():
            raise RuntimeError(f"{name}: a leaf tensor that requires grad is changed in place")
        _rebind(self, function(self, *args, **kwargs))._requires_grad = trained
        return self

    method.__name__ = method.__qualname__ = name
    method.__doc__ = f"``{name[:-1]}``; the tensor itself becomes that view."
    return method


def addcmul_(self, tensor1, tensor2, *, value=1):
    """self += value * tensor1 * tensor2."""
    return add_(self, tensor1 * tensor2, alpha=value)


def addcdiv_(self, tensor1, tensor2, *, value=1):
    """self += value * tensor1 / tensor2."""
    return add_(self, tensor1 / tensor2, alpha=value)


add_ = in_place("add_", arithmetic.add)


# -- new values, whatever was there ---------------------------------------------------------
def _put(self, value, op):
    """Write ``value`` everywhere, broadcast; what was there gets a gradient of zeros."""
    if _records(self, value):
        _check_changeable(self, op)
        return _become(self, where(True, value, self), op)
    return _write(self, value, op)


def zero_(self):
    """Write zeros."""
    return fill_(self, 0)


def fill_(self, value):
    """Write one value everywhere."""
    return _put(self, scalar(value, self.dtype, "fill_"), "fill_")


def copy_(self, other, non_blocking=False):
    """Write the values of ``other``, broadcast and cast."""
    other = other if isinstance(other, Tensor) else Tensor(np.asarray(other))
    if other.dtype.kind != "c" and other.dtype != self.dtype:
        other = other.to(self.dtype)
    return _put(self, other, "copy_")


def detach_(self):
    """Forget the tensor's history; it is a leaf then."""
    if self.grad_fn is not None:
        return _rebind(self, self.detach())
    return self.requires_grad_(False)


# -- random numbers -------------------------------------------------------------------------
def _random(self, values, op):
    return _put(self, np.asarray(values).astype(self.dtype), op)


def _check_float(self, op):
    if self.dtype.kind not in "fc":
        raise RuntimeError(f"{op}: wants a float tensor, got {self.dtype}")


def uniform_(self, a=0.0, b=1.0, *, generator=None):
    """Write uniform numbers in [a, b)."""
    _check_float(self, "uniform_")
    if a > b:
        raise RuntimeError(f"uniform_: wants a <= b, got a={a}, b={b}")
    values = below_one(stream(generator).random(self.shape)) * (b - a) + a
    return _random(self, values, "uniform_")


def normal_(self, mean=0.0, std=1.0, *, generator=None):
    """Write normal numbers."""
    _check_float(self, "normal_")
    if std < 0:
        raise RuntimeError(f"normal_: wants std >= 0, got {std}")
    values = stream(generator).standard_normal(self.shape) * std + mean
    return _random(self, values, "normal_")


def log_normal_(self, mean=1.0, std=2.0, *, generator=None):
    """Write exp of normal numbers."""
    _check_float(self, "log_normal_")
    if std <= 0:
        raise RuntimeError(f"log_normal_: wants std > 0, got {std}")
    values = np.exp(stream(generator).standard_normal(self.shape) * std + mean)
    return _random(self, values, "log_normal_")


def bernoulli_(self, p=0.5, *, generator=None):
    """Write 1 with probability ``p`` (a number, or a tensor that broadcasts), else 0."""
    p = p.array if isinstance(p, Tensor) else np.asarray(p)
    if not ((p >= 0) & (p <= 1)).all():
        raise RuntimeError(f"bernoulli_: wants 0 <= p <= 1, got {p}")
    return _random(self, stream(generator).random(self.shape) < p, "bernoulli_")


def exponential_(self, lambd=1.0, *, generator=None):
    """Write numbers of density lambd exp(-lambd x)."""
    _check_float(self, "exponential_")
    if lambd <= 0:
        raise RuntimeError(f"exponential_: wants lambd > 0, got {lambd}")
    return _random(self, stream(generator).exponential(1 / lambd, self.shape), "exponential_")


def cauchy_(self, median=0.0, sigma=1.0, *, generator=None):
    """Write numbers of density sigma / (pi (sigma^2 + (x - median)^2))."""
    _check_float(self, "cauchy_")
    if sigma <= 0:
        raise RuntimeError(f"cauchy_: wants sigma > 0, got {sigma}")
    return _random(self, stream(generator).standard_cauchy(self.shape) * sigma + median, "cauchy_")


def geometric_(self, p, *, generator=None):
    """Write the number of trials up to the first success, which has probability ``p`` each."""
    if not 0 < p < 1:
        raise RuntimeError(f"geometric_: wants 0 < p < 1, got {p}")
    return _random(self, stream(generator).geometric(p, self.shape), "geometric_")


def random_(self, from_=0, to=None, *, generator=None):
    """Write whole numbers: ``random_(to)`` from 0, ``random_(from, to)`` to before ``to``.

    Without bounds they go up to what the dtype holds exactly.
    """
    if to is None and from_:
        from_, to = 0, from_
    if to is None:
        kind = self.dtype
        most = 1 << np.finfo(kind).nmant + 1 if kind.kind == "f" else None
        to = 2 if kind.kind == "b" else (most or int(np.iinfo(kind).max)) + 1
    if from_ >= to:
        raise RuntimeError(f"random_: wants from < to, got from={from_}, to={to}")
    high = np.uint64 if to > np.iinfo(np.int64).max else np.int64
    return _random(self, stream(generator).integers(from_, to, self.shape, high), "random_")


# -- parts ----------------------------------------------------------------------------------
def setitem(self, index, value):
    """``x[index] = value``."""
    op = "item assignment"
    recorded = _records(self, value)
    if recorded:
        _check_changeable(self, op)
    value = value if isinstance(value, Tensor) else Tensor(np.asarray(value))
    if value.dtype.kind == "c" and self.dtype.kind != "c":
        raise RuntimeError(f"{op}: {value.dtype} cannot be written into {self.dtype}")
    *first, last = steps(plain_index(index))
    try:
        if recorded:
            _rebind(self, _assigned(self, first, last, value))
        else:
            _check_memory(self, op)
            array = self.array[first[0]] if first else self.array
            if value.ndim and not _apart(array):
                _check_apart(array[last], op)
            settle()
            array[last] = value.array
            self._bump()
    except IndexError as error:
        raise IndexError(f"{op} into {list(self.shape)}: {error}") from None
    except ValueError as error:
        raise RuntimeError(f"{op} into {list(self.shape)}: {error}") from None


def _assigned(x, first, index, value):
    """The tensor that ``x`` is after ``x[first][index] = value``."""
    if first:
        places = np.arange(x.array.size).reshape(x.shape)[first[0]][index]
        index, picked = np.unravel_index(places, x.shape), places.shape
    else:
        picked = np.broadcast_to(np.int8(0), x.shape)[index].shape
    while value.ndim > len(picked) and value.shape[0] == 1:
        value = value.squeeze(0)
    if value.shape != picked:
        np.broadcast_to(value.array, picked)  # raises as a write does
        value = value.expand(picked)
    return Assign.apply(x, value.to(x.dtype), index)


def fill_diagonal_(self, fill_value, wrap=False):
    """Write one value on the diagonal of a matrix (``wrap``: again below a tall one's end)."""
    if self.ndim < 2 or (self.ndim > 2 and len(set(self.shape)) > 1):
        raise RuntimeError(
            f"fill_diagonal_: wants a matrix or equal sizes, got shape {list(self.shape)}"
        )
    on = np.zeros(self.shape, bool)
    np.fill_diagonal(on, True, wrap)
    setitem(self, Tensor(on), scalar(fill_value, self.dtype, "fill_diagonal_"))
    return self


def replaced(x, y):
    """``y``, computed from ``x`` with ``inplace=True``: x itself, which becomes y.

    A recorded x that others look at, or a leaf that requires grad, stays as it is.
    """
    if x is y or not isinstance(x, Tensor):
        return y
    if is_grad_enabled() and x.requires_grad:
        return y if x.is_leaf or is_seen(x) else _rebind(x, y)
    if x.requires_grad or is_seen(x):
        return _write(x, y, "inplace=True") if x.array.flags.writeable else y
    return _rebind(x, y)


# -- operators ------------------------------------------------------------------------------
def augmented(name, function):
    """``x += y`` and the like.

    As ``add_``, but if another tensor looks at the memory of a recorded ``x``, the result is a new
    ``x`` (so that ``x[i] += y`` can be written, which assigns it afterwards).
    """
    write = in_place(name, function)

    def operator(self, other):
        if _records(self, other):
            if is_seen(self) and not (self.requires_grad and self.is_leaf):
                return function(self, other)
        elif name == "+=" and type(self) is Deferred:
            # nobody has seen its memory: the sum may wait as well
            if isinstance(other, Tensor) and other is not self:
                both = self._later.plus(other.array)
                if both is not None:
                    self._later = both
                    self._bump()
                    return self
        return write(self, other)

    return operator
