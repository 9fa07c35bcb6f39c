"""Real writes into a tensor's memory: for leaves without grad and under ``no_grad``.

Each bumps the version, so that a graph which saved the old values raises instead of using
the new ones. While recording, values never change: ``y += x`` makes a new ``y``.
"""

import numpy as np

from tinyconv.autograd import Tensor, is_grad_enabled
from tinyconv.autograd.deferred import Deferred
from tinyconv.autograd.modes import settle
from tinyconv.ops import arithmetic, pointwise
from tinyconv.ops.common import category
from tinyconv.ops.index import plain_index
from tinyconv.ops.random import below_one, stream


def check_writable(x, op, *others):
    """Raise if a write to ``x`` would be missing from the graph."""
    if not is_grad_enabled():
        return
    if x.requires_grad:
        raise RuntimeError(
            f"{op}: a leaf tensor that requires grad is changed in place; do it under no_grad()"
            if x.is_leaf
            else f"{op}: the tensor was recorded by {x.grad_fn.name}, and recorded values do not "
            f"change; write the op without the underscore and bind its result"
        )
    if any(isinstance(y, Tensor) and y.requires_grad for y in others):
        raise RuntimeError(
            f"{op}: the value requires grad, but a write into memory cannot be recorded; use an "
            "op that returns a new tensor (where, cat, masked_fill), or no_grad()"
        )


def write(x, value, op):
    """x[...] = value; the dtype of x stays."""
    value = value.array if isinstance(value, Tensor) else np.asarray(value)
    if category(value.dtype) > category(x.dtype):
        raise RuntimeError(f"{op}: a result of {value.dtype} cannot be written into {x.dtype}")
    if not x.array.flags.writeable:
        raise RuntimeError(f"{op}: the tensor's memory is read-only or expanded; .clone() it first")
    if value.ndim > x.ndim or np.broadcast_shapes(value.shape, x.shape) != x.shape:
        raise RuntimeError(
            f"{op}: a value of shape {list(value.shape)} does not fit into {list(x.shape)}"
        )
    settle()
    x.array[...] = value
    x._bump()
    return x


def _in_place(name, function):
    def method(self, *args, **kwargs):
        check_writable(self, name, *args, *kwargs.values())
        return write(self, function(self.detach(), *args, **kwargs), name)

    method.__name__ = name
    method.__doc__ = f"``{name[:-1]}``, written into the tensor itself."
    return method


def zero_(self):
    """Write zeros."""
    return fill_(self, 0)


def fill_(self, value):
    """Write one value everywhere."""
    check_writable(self, "fill_", value)
    return write(self, value, "fill_")


def copy_(self, src, non_blocking=False):
    """Write the values of ``src``, broadcast and cast."""
    check_writable(self, "copy_", src)
    source = src.array if isinstance(src, Tensor) else np.asarray(src)
    if source.dtype.kind != "c":  # a complex step must not lose its direction: write refuses
        source = source.astype(self.dtype, copy=False)
    return write(self, source, "copy_")


def uniform_(self, a=0.0, b=1.0, *, generator=None):
    """Write uniform numbers in [a, b)."""
    check_writable(self, "uniform_")
    values = below_one(stream(generator).random(self.shape)) * (b - a) + a
    return write(self, values.astype(self.dtype), "uniform_")


def normal_(self, mean=0.0, std=1.0, *, generator=None):
    """Write normal numbers."""
    check_writable(self, "normal_")
    values = stream(generator).standard_normal(self.shape) * std + mean
    return write(self, np.asarray(values, self.dtype), "normal_")


def addcmul_(self, tensor1, tensor2, *, value=1):
    """self += value * tensor1 * tensor2."""
    return add_(self, tensor1 * tensor2, alpha=value)


def addcdiv_(self, tensor1, tensor2, *, value=1):
    """self += value * tensor1 / tensor2."""
    return add_(self, tensor1 / tensor2, alpha=value)


floor_divide_ = _in_place("floor_divide_", lambda a, b: arithmetic.div(a, b, rounding_mode="floor"))
remainder_ = _in_place("remainder_", arithmetic.remainder)
bitwise_and_ = _in_place("bitwise_and_", arithmetic.bitwise_and)
bitwise_or_ = _in_place("bitwise_or_", arithmetic.bitwise_or)
bitwise_xor_ = _in_place("bitwise_xor_", arithmetic.bitwise_xor)
add_ = _in_place("add_", arithmetic.add)
sub_ = _in_place("sub_", arithmetic.sub)
mul_ = _in_place("mul_", arithmetic.mul)
div_ = _in_place("div_", arithmetic.div)
pow_ = _in_place("pow_", arithmetic.pow)
clamp_ = _in_place("clamp_", arithmetic.clamp)
neg_ = _in_place("neg_", arithmetic.neg)
exp_ = _in_place("exp_", pointwise.exp)
sqrt_ = _in_place("sqrt_", pointwise.sqrt)
relu_ = _in_place("relu_", pointwise.relu)


def setitem(self, index, value):
    """``x[index] = value`` into the tensor's memory."""
    check_writable(self, "item assignment", value)
    value = value.array if isinstance(value, Tensor) else np.asarray(value)
    if value.dtype.kind == "c" and self.dtype.kind != "c":
        raise RuntimeError(f"item assignment: {value.dtype} cannot be written into {self.dtype}")
    if not self.array.flags.writeable:
        raise RuntimeError("item assignment: the tensor's memory is expanded; .clone() it first")
    settle()
    try:
        self.array[plain_index(index)] = value
    except ValueError as error:
        raise RuntimeError(f"item assignment into {list(self.shape)}: {error}") from None
    self._bump()


def augmented(function, in_place):
    """``x += y``: a new tensor while recording, else a write."""

    def operator(self, other):
        recorded = is_grad_enabled() and (
            (self.requires_grad and not self.is_leaf)
            or (not self.requires_grad and isinstance(other, Tensor) and other.requires_grad)
        )
        if not recorded and function is arithmetic.add and type(self) is Deferred:
            # nobody has seen its memory: the sum may wait as well
            if isinstance(other, Tensor) and other is not self:
                both = self._later.plus(other.array)
                if both is not None:
                    self._later = both
                    self._bump()
                    return self
        return function(self, other) if recorded else in_place(self, other)

    return operator
