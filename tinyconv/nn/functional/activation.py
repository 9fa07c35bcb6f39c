"""Activations: the ops under their names here, softmax by PyTorch's rules for ``dim``."""

from tinyconv.autograd import Tensor
from tinyconv.ops import pointwise
from tinyconv.ops import softmax as ops
from tinyconv.ops.activations import (
    celu,
    elu,
    gelu,
    glu,
    hardshrink,
    hardsigmoid,
    hardswish,
    hardtanh,
    leaky_relu,
    logsigmoid,
    mish,
    prelu,
    relu6,
    rrelu,
    selu,
    silu,
    softplus,
    softshrink,
    softsign,
    tanhshrink,
    threshold,
)
from tinyconv.ops.inplace import in_place
from tinyconv.ops.pointwise import sigmoid, tanh
from tinyconv.ops.softmax import gumbel_softmax

__all__ = [
    "celu", "celu_", "elu", "elu_", "gelu", "glu", "gumbel_softmax", "hardshrink", "hardsigmoid",
    "hardswish", "hardtanh", "hardtanh_", "leaky_relu", "leaky_relu_", "log_softmax", "logsigmoid",
    "mish", "prelu", "relu", "relu6", "relu_", "rrelu", "rrelu_", "selu", "selu_", "sigmoid",
    "silu", "softmax", "softmin", "softplus", "softshrink", "softsign", "tanh", "tanhshrink",
    "threshold", "threshold_",
]  # fmt: skip


relu_, leaky_relu_, elu_, selu_, celu_, hardtanh_, rrelu_, threshold_ = (
    in_place(f"{op.__name__}_", op)
    for op in (pointwise.relu, leaky_relu, elu, selu, celu, hardtanh, rrelu, threshold)
)


def relu(input: Tensor, inplace=False) -> Tensor:
    """max(x, 0); the derivative at 0 is 0, NaN stays NaN."""
    return pointwise.relu(input)


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
