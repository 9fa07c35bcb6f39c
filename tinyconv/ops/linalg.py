"""The matrix product. Primitive: matmul of stacks of matrices; vectors are reshaped."""

import functools
import operator

import numpy as np

from tinyconv import kernels
from tinyconv.autograd import Function, Tensor
from tinyconv.ops.common import as_tensor, common_dtype
from tinyconv.ops.shape import reshape, sum_to, transpose


class Matmul(Function):
    def forward(ctx, a, b):
        ctx.save_for_backward(a, b)
        if a.dtype.kind in "biu":
            return np.matmul(a, b)
        return kernels.matmul.matmul(a, b)

    def backward(ctx, gy):
        a, b = ctx.saved_tensors
        need_a, need_b = ctx.needs_input_grad
        ga = sum_to(Matmul.apply(gy, transpose(b, -1, -2)), a.shape) if need_a else None
        gb = sum_to(Matmul.apply(transpose(a, -1, -2), gy), b.shape) if need_b else None
        return ga, gb


class Linear(Function):
    """x w^T + b for matrices x (M, K) and w (N, K); b (N,) or None."""

    def forward(ctx, x, w, b):
        need_x, need_w, _ = ctx.needs_input_grad
        ctx.save_for_backward(x if need_w else None, w if need_x else None)
        return kernels.matmul.matmul(x, w.T, b)

    def backward(ctx, gy):
        x, w = ctx.saved_tensors
        need_x, need_w, need_b = ctx.needs_input_grad
        if not (need_w and need_b):
            gx = Matmul.apply(gy, w) if need_x else None
            gw = Matmul.apply(transpose(gy, 0, 1), x) if need_w else None
            return gx, gw, gy.sum(0) if need_b else None
        gradients = LinearGradient.apply(gy, x, w if need_x else None)
        return gradients if need_x else (None, *gradients)


class LinearGradient(Function):
    """(gx = gy w, gw = gy^T x, gb = sum of gy's rows); without gx where w is None."""

    materialize_grads = False

    def forward(ctx, gy, x, w):
        need_gy, need_x, need_w = ctx.needs_input_grad
        ctx.save_for_backward(gy if need_x or need_w else None, x, w)
        gx, gw, gb = kernels.matmul.linear_gradient(gy, x, w)
        return (gw, gb) if w is None else (gx, gw, gb)

    def backward(ctx, *cotangents):
        gy, x, w = ctx.saved_tensors
        need_gy, need_x, need_w = ctx.needs_input_grad
        hx, hw, hb = cotangents if w is not None else (None, *cotangents)
        ggy = gx = gw = None
        if need_gy:
            # gx, gw and gb are linear in gy: their adjoints, as far as they are used
            terms = []
            if hx is not None:
                terms.append(Linear.apply(hx, w, hb))
            if hw is not None:
                terms.append(Linear.apply(x, hw, hb if hx is None else None))
            if hb is not None and not terms:
                terms.append(hb.expand(len(x), len(hb)))
            ggy = functools.reduce(operator.add, terms) if terms else None
        if need_x and hw is not None:
            gx = Matmul.apply(gy, hw)
        if need_w and hx is not None:
            gw = Matmul.apply(transpose(gy, 0, 1), hx)
        return ggy, gx, gw


def matmul(input: Tensor, other) -> Tensor:
    """The product of matrices (..., M, K) @ (..., K, N); 1-d operands are vectors.

    Raises:
        ValueError: if the inner sizes differ or the batch sizes cannot be broadcast.

    >>> import tinyconv as tc
    >>> (tc.ones(2, 3) @ tc.ones(3)).shape
    (2,)
    """
    a, b = as_tensor(input, "matmul"), as_tensor(other, "matmul")
    rule = f"matmul: shapes {list(a.shape)} and {list(b.shape)}"
    if a.ndim == 0 or b.ndim == 0:
        raise ValueError(f"{rule}: both must have at least one dimension; use * for numbers")
    if a.shape[-1] != b.shape[-2 if b.ndim > 1 else 0]:
        raise ValueError(
            f"{rule}: the last size of the first ({a.shape[-1]}) must equal the "
            f"{'last but one' if b.ndim > 1 else 'only'} size of the second"
        )
    if a.dtype != b.dtype:
        dtype = common_dtype(a, b)
        a, b = a.to(dtype), b.to(dtype)
    row, column = a.ndim == 1, b.ndim == 1
    if row:
        a = reshape(a, (1,) + a.shape)
    if column:
        b = reshape(b, b.shape + (1,))
    try:
        np.broadcast_shapes(a.shape[:-2], b.shape[:-2])
    except ValueError:
        raise ValueError(f"{rule}: the batch sizes cannot be broadcast") from None
    if a.ndim > 2 and b.ndim == 2:
        # one product of a tall matrix instead of many small ones
        y = Matmul.apply(reshape(a, (-1, a.shape[-1])) if a.array.size else a, b)
        y = reshape(y, a.shape[:-1] + (b.shape[-1],))
    else:
        y = Matmul.apply(a, b)
    if row or column:
        shape = list(y.shape)
        if column:
            shape.pop(-1)
        if row:
            shape.pop(-1 if column else -2)
        y = reshape(y, tuple(shape))
    return y
