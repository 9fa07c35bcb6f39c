"""Convolution. Primitives: conv2d, its input gradient (the transposed convolution) and its
weight gradient. Each is linear in both arguments, and the derivative of each is made of
the other two: any order of derivative stays inside this file.
"""

from tinyconv import kernels
from tinyconv.autograd import Function, Tensor, is_grad_enabled
from tinyconv.autograd.deferred import Deferred, Part, Pass, defer, leaves_no_trace, may_wait
from tinyconv.ops.pointwise import Masked


class Conv2d(Function):
    @classmethod
    def apply(cls, x, w, b, window, groups):
        if may_wait(x.dtype) and leaves_no_trace(x, w, b):
            b = None if b is None else b.array
            return defer(_waiting(x.array, w.array, b, window, groups))
        return super().apply(x, w, b, window, groups)

    def forward(ctx, x, w, b, window, groups):
        ctx.window, ctx.groups, ctx.image = window, groups, x.shape[2:]
        need_x, need_w, *_ = ctx.needs_input_grad
        ctx.save_for_backward(x if need_w else None, w if need_x else None)
        if not may_wait(x.dtype):
            return kernels.conv.forward(x, w, b, window, groups)
        # what follows, a residual and a ReLU, may become part of the kernel
        return _waiting(x, w, b, window, groups)

    def backward(ctx, gy):
        x, w = ctx.saved_tensors
        need_x, need_w, need_b, *_ = ctx.needs_input_grad
        gx = gw = gb = None
        if need_b:
            gb = _bias_gradient(gy)
        if need_x:
            gx = ConvInputGradient.apply(gy, w, ctx.window, ctx.groups, ctx.image)
        if need_w:
            gw = ConvWeightGradient.apply(gy, x, ctx.window, ctx.groups)
        return gx, gw, gb


def _bias_gradient(gy):
    """The sum over images and pixels; if gy waits for the mask of a ReLU or to be copied, in one
    go with that."""
    if not is_grad_enabled() and gy.dtype.kind == "f" and gy.shape[0]:
        later = gy._later if type(gy) is Deferred else None
        if isinstance(later, (Masked, Part)) and later.known is None:
            return Tensor._wrap(later.sums())
        return Tensor._wrap(kernels.sums.sum_but(gy.array, 1))
    return gy.sum((0, 2, 3))


def _waiting(x, w, b, window, groups, scale=None, shape=None):
    if shape is None:
        shape = x.shape[0], w.shape[0], *window.output_shape(*x.shape[2:])

    def fold(factor, shift):
        bias = shift if b is None else b * factor + shift
        factor = factor if scale is None else factor * scale
        return _waiting(x, w, bias, window, groups, factor, shape)

    def run(residual, relu):
        return kernels.conv.forward(x, w, b, window, groups, residual, relu, scale)

    return Pass(run, shape, x.dtype, fold=fold)


class ConvInputGradient(Function):
    def forward(ctx, gy, w, window, groups, image):
        ctx.window, ctx.groups = window, groups
        ctx.save_for_backward(gy, w)
        return kernels.conv.input_gradient(gy, w, window, groups, image)

    def backward(ctx, ggx):
        gy, w = ctx.saved_tensors
        need_gy, need_w, *_ = ctx.needs_input_grad
        ggy = gw = None
        if need_gy:
            ggy = Conv2d.apply(ggx, w, None, ctx.window, ctx.groups)
        if need_w:
            gw = ConvWeightGradient.apply(gy, ggx, ctx.window, ctx.groups)
        return ggy, gw


class ConvWeightGradient(Function):
    def forward(ctx, gy, x, window, groups):
        ctx.window, ctx.groups = window, groups
        ctx.save_for_backward(gy, x)
        return kernels.conv.weight_gradient(gy, x, window, groups)

    def backward(ctx, ggw):
        gy, x = ctx.saved_tensors
        need_gy, need_x, *_ = ctx.needs_input_grad
        ggy = gx = None
        if need_gy:
            ggy = Conv2d.apply(x, ggw, None, ctx.window, ctx.groups)
        if need_x:
            image = x.shape[2:]
            gx = ConvInputGradient.apply(gy, ggw, ctx.window, ctx.groups, image)
        return ggy, gx
