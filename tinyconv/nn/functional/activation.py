"""Activations: the ops, with ``inplace``, and softmax by PyTorch's rules for ``dim``."""

import functools
import inspect

from tinyconv.autograd import Tensor
from tinyconv.ops import activations, pointwise
from tinyconv.ops import softmax as ops
from tinyconv.ops.activations import (
    gelu,
    glu,
    hardshrink,
    logsigmoid,
    prelu,
    softplus,
    softshrink,
    softsign,
    tanhshrink,
)
from tinyconv.ops.inplace import in_place, replaced
from tinyconv.ops.pointwise import sigmoid, tanh
from tinyconv.ops.softmax import gumbel_softmax

__all__ = [
    "celu", "celu_", "elu", "elu_", "gelu", "glu", "gumbel_softmax", "hardshrink", "hardsigmoid",
    "hardswish", "hardtanh", "hardtanh_", "leaky_relu", "leaky_relu_", "log_softmax", "logsigmoid",
    "mish", "prelu", "relu", "relu6", "relu_", "rrelu", "rrelu_", "selu", "selu_", "sigmoid",
    "silu", "softmax", "softmin", "softplus", "softshrink", "softsign", "tanh", "tanhshrink",
    "threshold", "threshold_",
]  # fmt: skip


def _replacing(op):
    """``op``, whose result takes the place of its input where ``inplace`` is given."""
    place = list(inspect.signature(op).parameters).index("inplace")

    @functools.wraps(op)
    def function(*args, **options):
        y = op(*args, **options)
        inplace = options.get("inplace", False) or (len(args) > place and args[place])
        return replaced(args[0] if args else options["input"], y) if inplace else y

    function.__module__ = __name__  # so that it can be pickled by its name
    return function


@_replacing
def relu(input: Tensor, inplace=False) -> Tensor:
    """max(x, 0); the derivative at 0 is 0, NaN stays NaN."""
    return pointwise.relu(input)


(
    relu6, leaky_relu, elu, selu, celu, silu, mish, hardtanh, hardswish, hardsigmoid, rrelu,
    threshold,
) = map(
    _replacing,
    (
        activations.relu6, activations.leaky_relu, activations.elu, activations.selu,
        activations.celu, activations.silu, activations.mish, activations.hardtanh,
        activations.hardswish, activations.hardsigmoid, activations.rrelu, activations.threshold,
    ),
)  # fmt: skip
relu_, leaky_relu_, elu_, selu_, celu_, hardtanh_, rrelu_, threshold_ = (
    in_place(f"{op.__name__}_", op)
    for op in (relu, leaky_relu, elu, selu, celu, hardtanh, rrelu, threshold)
)


def softmax(input: Tensor, dim=None, _stacklevel=3, dtype=None) -> Tensor:
    """exp(x) / sum(exp(x)) along ``dim``; without one along 0 of 0, 1 or 3 dimensions, else 1."""
    return ops.softmax(input, _default_dim(input, dim), dtype)


def softmin(input: Tensor, dim=None, _stacklevel=3, dtype=None) -> Tensor:
    """softmax(-x) along ``dim``."""
    return ops.softmax(-input, _default_dim(input, dim), dtype)


def log_softmax(input: Tensor, dim=None, _stacklevel=3, dtype=None) -> Tensor:
    """log(softmax(x)) along ``dim``."""
    return ops.log_softmax(input, _default_dim(input, dim), dtype)


def _default_dim(input, dim):
    # PyTorch's old rule for scripts that leave it out
    return dim if dim is not None else (0 if input.ndim in (0, 1, 3) else 1)
