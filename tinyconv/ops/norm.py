"""Normalisation. Primitives: batch norm with batch statistics, with running ones, and the norm of
groups, of which instance and layer norm are cases; and the gradients of the first and the last,
whose own derivatives differentiate their formulas, written in ops below. Composed: RMS norm.

Forward, the statistics are taken at once; the pass that normalises may wait, for a residual
and a ReLU behind it (``autograd.deferred``). Backward, the ReLU's mask may have waited.
"""

import functools
import weakref

import numpy as np

from tinyconv import kernels
from tinyconv.autograd import Function, is_grad_enabled
from tinyconv.autograd.deferred import Deferred, Later, Pass, defer, leaves_no_trace, may_wait
from tinyconv.kernels.complex_step import analytic
from tinyconv.ops.common import vjp_of
from tinyconv.ops.pointwise import Masked, rsqrt
from tinyconv.ops.reduce import mean


def _normalise(x, batch_mean, scale, shift):
    """The pass over memory, or its promise."""
    run = functools.partial(kernels.batchnorm.normalise, x, batch_mean, scale, shift)
    return Pass(run, x.shape, x.dtype) if may_wait(x.dtype) else run()


class BatchNorm(Function):
    materialize_grads = False  # the statistics have none
    #: where it is computed together with a ReLU and nothing else: the result's weak reference
    rectified = staticmethod(lambda: None)

    def forward(ctx, x, w, b, eps):
        ctx.eps = eps
        if x.dtype.kind == "c":
            y, batch_mean, var, invstd = kernels.batchnorm.forward(x, w, b, eps)
        else:
            batch_mean, var, invstd = kernels.batchnorm.statistics(x, eps)
            # b is copied: it may be written into before the pass
            ctx.shift = b.copy()
            y = ctx._line(x, batch_mean, w * invstd)
        ctx.save_for_backward(x, w, batch_mean, invstd)
        # the statistics go into running averages only; their gradient goes through y
        ctx.mark_non_differentiable(batch_mean, var)
        return y, batch_mean, var

    def _line(ctx, x, batch_mean, scale):
        def run(residual, relu):
            y = kernels.batchnorm.normalise(x, batch_mean, scale, ctx.shift, residual, relu)
            if relu and residual is None:
                ctx.rectified = weakref.ref(y)
            return y

        return Pass(run, x.shape, x.dtype) if may_wait(x.dtype) else run(None, False)

    def backward(ctx, gy, _mean, _var):
        x, w, batch_mean, invstd = ctx.saved_tensors
        shift = None
        if is_grad_enabled():
            gy.array  # noqa: B018 (looked at: what waits can not be saved)
        elif type(gy) is Deferred and isinstance(gy._later, Masked):
            if gy._later.y is ctx.rectified():
                shift = ctx.shift
        return BatchNormGradient.apply(gy, x, w, batch_mean, invstd, ctx.eps, shift)


class BatchNormGradient(Function):
    materialize_grads = False
    fuses = True

    def forward(ctx, gy, x, w, batch_mean, invstd, eps, shift=None):
        ctx.eps = eps
        if isinstance(gy, Masked) and gy.known is None:
            gx, gw, gb, gy.known = kernels.batchnorm.through_relu(
                gy.gy, x, w, batch_mean, invstd, gy.y, gy.shared, shift
            )
            return gx, gw, gb
        gy = gy.array() if isinstance(gy, Later) else gy
        ctx.save_for_backward(gy, x, w)
        return kernels.batchnorm.backward(gy, x, w, batch_mean, invstd)

    def backward(ctx, *cotangents):
        eps = ctx.eps
        return vjp_of(lambda gy, x, w: _gradient(gy, x, w, eps), ctx.saved_tensors, cotangents)


def _gradient(gy, x, w, eps):
    """(gx, gw, gb) of batch norm as a formula. Ioffe and Szegedy 2015, Sec. 3."""
    dims, column = _dims(x), _column(x)
    centred = x - mean(x, dims, keepdim=True)
    invstd = rsqrt(mean(centred * centred, dims, keepdim=True) + eps)
    xhat = centred * invstd
    gw, gb = (gy * xhat).sum(dims), gy.sum(dims)
    average = mean(gy, dims, keepdim=True) + xhat * mean(gy * xhat, dims, keepdim=True)
    return w.reshape(column) * invstd * (gy - average), gw, gb


class GroupNorm(Function):
    """Batch norm of every row of x (N, G, K, P) by itself, with weights for the numbers (G, K).

    Also returned are the mean and the biased variance of the rows, (N, G).
    """

    materialize_grads = False  # the statistics have none

    def forward(ctx, x, w, b, eps):
        ctx.eps = eps
        y, mean, var, invstd = kernels.groupnorm.forward(x, w, b, eps)
        ctx.save_for_backward(x, w, mean, invstd)
        ctx.mark_non_differentiable(mean, var)
        return y, mean, var

    def backward(ctx, gy, _mean, _var):
        return GroupNormGradient.apply(gy, *ctx.saved_tensors, ctx.eps)


class GroupNormGradient(Function):
    materialize_grads = False

    def forward(ctx, gy, x, w, mean, invstd, eps):
        ctx.eps = eps
        ctx.save_for_backward(gy, x, w)
        return kernels.groupnorm.backward(gy, x, w, mean, invstd)

    def backward(ctx, *cotangents):
        eps = ctx.eps
        return vjp_of(lambda gy, x, w: _rows_gradient(gy, x, w, eps), ctx.saved_tensors, cotangents)


def _rows_gradient(gy, x, w, eps):
    """(gx, gw, gb) of ``GroupNorm`` as a formula."""
    row = (2, 3)
    centred = x - mean(x, row, keepdim=True)
    invstd = rsqrt(mean(centred * centred, row, keepdim=True) + eps)
    xhat, g = centred * invstd, gy * w.reshape(1, *x.shape[1:3], 1)
    gw, gb = (gy * xhat).sum((0, 3)).reshape(-1), gy.sum((0, 3)).reshape(-1)
    average = mean(g, row, keepdim=True) + xhat * mean(g * xhat, row, keepdim=True)
    return invstd * (g - average), gw, gb


def rms_norm(x, dims, w, eps):
    """x / sqrt(the mean of x^2 over ``dims`` + eps) * w; w may be None."""
    y = x * rsqrt(mean(x * x, dims, keepdim=True) + eps)
    return y if w is None else y * w


def running_norm(x, running_mean, running_var, w, b, eps):
    """(x - running_mean) / sqrt(running_var + eps) * w + b; w and b may be None."""
    given = x, running_mean, running_var, w, b
    if may_wait(x.dtype) and leaves_no_trace(*given):
        m, var, w, b = [None if t is None else t.array for t in given[1:]]
        scale, shift = kernels.batchnorm.running_line(m, var, w, b, eps)
        later = x._later if type(x) is Deferred else None
        if isinstance(later, Pass) and later.fold:
            return defer(later.fold(scale, shift))
        return defer(_normalise(x.array, m.copy(), scale, _shift(scale, b)))
    return RunningNorm.apply(*given, eps)


class RunningNorm(Function):
    """Batch norm with given statistics."""

    def forward(ctx, x, m, var, w, b, eps):
        ctx.eps = eps
        scale = _scale(var, eps) if w is None else _scale(var, eps) * w
        ctx.save_for_backward(x, m, var, w)
        return _normalise(x, m.copy(), scale, _shift(scale, b))

    def backward(ctx, gy):
        x, m, var, w = ctx.saved_tensors
        need_x, need_m, need_var, need_w, need_b, _ = ctx.needs_input_grad
        dims, column = _dims(x), _column(x)
        invstd = rsqrt(var + ctx.eps)
        scale = invstd if w is None else invstd * w
        gx = gm = gvar = gw = gb = None
        if need_x:
            gx = gy * scale.reshape(column)
        if need_m or need_b:
            gb = gy.sum(dims)
            gm = -(scale * gb)
        if need_var or need_w:
            product = (gy * (x - m.reshape(column))).sum(dims)
            gw = product * invstd
            gvar = product * scale * invstd * invstd * -0.5
        return (
            gx, gm if need_m else None, gvar if need_var else None, gw if need_w else None,
            gb if need_b else None,
        )  # fmt: skip


@analytic
def _scale(var, eps):
    return 1 / np.sqrt(var + var.dtype.type(eps))


def _shift(scale, b):
    return np.zeros_like(scale) if b is None else b.copy()


def _dims(x):
    return (0, *range(2, x.ndim))


def _column(x):
    return (1, -1) + (1,) * (x.ndim - 2)
