"""Softmax and its logarithm along one axis: primitives, because the composed forms either
overflow or lose the digits of small probabilities.
"""

import numpy as np

from tinyconv.autograd import Function, Tensor
from tinyconv.kernels.complex_step import analytic
from tinyconv.ops.common import axis, float_tensor, quiet


class Softmax(Function):
    @quiet
    def forward(ctx, x, dim):
        ctx.dim = dim
        y = _softmax(x, dim)
        ctx.save_for_backward(y)
        return y

    def backward(ctx, gy):
        (y,) = ctx.saved_tensors
        return y * (gy - (gy * y).sum(ctx.dim, keepdim=True))


class LogSoftmax(Function):
    @quiet
    def forward(ctx, x, dim):
        ctx.dim = dim
        y = _log_softmax(x, dim)
        ctx.save_for_backward(y)
        return y

    def backward(ctx, gy):
        (y,) = ctx.saved_tensors
        return gy - y.exp() * gy.sum(ctx.dim, keepdim=True)


@analytic
def _softmax(x, dim):
    y = np.exp(x - _peak(x, dim))
    y /= y.sum(dim, keepdims=True)
    return y


@analytic
def _log_softmax(x, dim):
    y = x - _peak(x, dim)
    y -= np.log(np.exp(y).sum(dim, keepdims=True))
    return y


def _peak(x, dim):
    return x.real.max(dim, keepdims=True, initial=-np.inf)


def softmax(input: Tensor, dim) -> Tensor:
    """exp(x) / sum(exp(x)) along ``dim``."""
    x = float_tensor(input, "softmax")
    return Softmax.apply(x, axis(dim, x.ndim, "softmax")) if x.ndim else x * 0 + 1


def log_softmax(input: Tensor, dim) -> Tensor:
    """log(softmax(x)) along ``dim``, exact for small probabilities too."""
    x = float_tensor(input, "log_softmax")
    return LogSoftmax.apply(x, axis(dim, x.ndim, "log_softmax")) if x.ndim else x * 0
