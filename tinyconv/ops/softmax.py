"""Softmax and its logarithm along one axis: primitives, because the composed forms either
overflow or lose the digits of small probabilities.
"""

import numpy as np

from tinyconv.autograd import Function, Tensor
from tinyconv.kernels.complex_step import analytic
from tinyconv.ops.common import axis, float_tensor, numpy_names, quiet
from tinyconv.ops.random import stream
from tinyconv.ops.shape import reshape


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


@numpy_names
def softmax(input: Tensor, dim, dtype=None) -> Tensor:
    """exp(x) / sum(exp(x)) along ``dim``, of x cast to ``dtype`` first.

    >>> import tinyconv as tc
    >>> tc.softmax(tc.tensor([1000.0, 1000.0]), 0)
    tensor([0.5000, 0.5000])
    """
    x = float_tensor(input if dtype is None else input.to(dtype), "softmax")
    at = axis(dim, x.ndim, "softmax")
    return Softmax.apply(x, at) if x.ndim else reshape(Softmax.apply(reshape(x, 1), 0), ())


@numpy_names
def log_softmax(input: Tensor, dim, dtype=None) -> Tensor:
    """log(softmax(x)) along ``dim``, exact for small probabilities too."""
    x = float_tensor(input if dtype is None else input.to(dtype), "log_softmax")
    at = axis(dim, x.ndim, "log_softmax")
    return LogSoftmax.apply(x, at) if x.ndim else reshape(LogSoftmax.apply(reshape(x, 1), 0), ())


def gumbel_softmax(logits: Tensor, tau=1.0, hard=False, eps=1e-10, dim=-1) -> Tensor:
    """A random sample of the classes with probabilities softmax(logits), softened.

    y = softmax((logits + g) / tau), g = -log(-log(u)), u uniform in (0, 1)

    Args:
        logits: any shape, the classes along ``dim``.
        tau: temperature; y comes the nearer to one-hot the smaller it is.
        hard: return the one-hot vector of y's maximum, with the gradient of y.
        eps: ignored, as in PyTorch.

    Source: Jang, Gu, Poole 2016, arXiv:1611.01144.
    """
    x = float_tensor(logits, "gumbel_softmax")
    noise = stream(None).gumbel(size=x.shape)
    y = softmax((x + Tensor(noise.astype(x.dtype))) / tau, dim)
    if not hard:
        return y
    hot = np.zeros(x.shape, x.dtype)
    np.put_along_axis(hot, np.expand_dims(y.array.real.argmax(dim), dim), 1, dim)
    return Tensor(hot) + (y - y.detach())
