"""Batch normalisation. Primitives: batch norm with batch statistics and its gradient, each
one pass of a kernel; the gradient's own derivative differentiates its formula, written
in ops below. With running statistics it is plain arithmetic.
"""

from tinyconv import kernels
from tinyconv.autograd import Function
from tinyconv.ops.common import vjp_of
from tinyconv.ops.pointwise import rsqrt
from tinyconv.ops.reduce import mean


class BatchNorm(Function):
    materialize_grads = False  # the statistics have none

    def forward(ctx, x, w, b, eps):
        y, batch_mean, var, invstd = kernels.batchnorm.forward(x, w, b, eps)
        ctx.eps = eps
        ctx.save_for_backward(x, w, batch_mean, invstd)
        # the statistics go into running averages only; their gradient goes through y
        ctx.mark_non_differentiable(batch_mean, var)
        return y, batch_mean, var

    def backward(ctx, gy, _mean, _var):
        x, w, batch_mean, invstd = ctx.saved_tensors
        return BatchNormGradient.apply(gy, x, w, batch_mean, invstd, ctx.eps)


class BatchNormGradient(Function):
    materialize_grads = False

    def forward(ctx, gy, x, w, batch_mean, invstd, eps):
        ctx.eps = eps
        ctx.save_for_backward(gy, x, w)
        return kernels.batchnorm.backward(gy, x, w, batch_mean, invstd)

    def backward(ctx, *cotangents):
        eps = ctx.eps
        return vjp_of(lambda gy, x, w: _gradient(gy, x, w, eps), ctx.saved_tensors, cotangents)


def _gradient(gy, x, w, eps):
    """(gx, gw, gb) of batch norm as a formula. Ioffe and Szegedy 2015, Sec. 3."""
    dims = (0, *range(2, x.ndim))
    column = (1, -1) + (1,) * (x.ndim - 2)
    centred = x - mean(x, dims, keepdim=True)
    invstd = rsqrt(mean(centred * centred, dims, keepdim=True) + eps)
    xhat = centred * invstd
    gw, gb = (gy * xhat).sum(dims), gy.sum(dims)
    average = mean(gy, dims, keepdim=True) + xhat * mean(gy * xhat, dims, keepdim=True)
    return w.reshape(column) * invstd * (gy - average), gw, gb
