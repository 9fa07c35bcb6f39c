"""Activations: the ops, with PyTorch's ``inplace`` accepted, and softmax with its ``dtype``."""

import functools
import inspect

from tinyconv.autograd import Tensor
from tinyconv.ops import pointwise as activations
from tinyconv.ops import softmax as softmax_ops
from tinyconv.ops.pointwise import gelu, logsigmoid, sigmoid, softplus, tanh

__all__ = [
    "elu", "gelu", "hardtanh", "leaky_relu", "log_softmax", "logsigmoid", "relu", "relu6", "selu",
    "sigmoid", "silu", "softmax", "softplus", "tanh",
]  # fmt: skip


def softmax(input: Tensor, dim=None, dtype=None) -> Tensor:
    """exp(x) / sum(exp(x)) along ``dim``."""
    return softmax_ops.softmax(_with(input, dtype), _default_dim(input, dim))


def log_softmax(input: Tensor, dim=None, dtype=None) -> Tensor:
    """log(softmax(x)) along ``dim``."""
    return softmax_ops.log_softmax(_with(input, dtype), _default_dim(input, dim))


def _with(input, dtype):
    return input if dtype is None else input.to(dtype)


def _default_dim(input, dim):
    # PyTorch's old rule for scripts that leave it out
    return dim if dim is not None else (0 if input.ndim in (0, 1, 3) else 1)


def _inplace_accepting(function):
    """Accept PyTorch's ``inplace``, last or by name: it means nothing, values never change."""
    parameters = len(inspect.signature(function).parameters)

    @functools.wraps(function)
    def accepting(*args, inplace=False, **kwargs):
        if len(args) == parameters + 1:
            args = args[:-1]
        return function(*args, **kwargs)

    accepting.__module__ = __name__  # so that it can be pickled by its name
    return accepting


relu, relu6, leaky_relu, elu, selu, silu, hardtanh = map(
    _inplace_accepting,
    (
        activations.relu, activations.relu6, activations.leaky_relu, activations.elu,
        activations.selu, activations.silu, activations.hardtanh,
    ),
)  # fmt: skip
