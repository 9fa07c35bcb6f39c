"""Products of matrices and vectors.

Primitives: matmul of stacks of matrices; the linear layer and its gradient. Composed of matmul:
all else here, in ``products`` and in ``einsum``.
"""

import functools
import operator

import numpy as np

from tinyconv import kernels
from tinyconv.autograd import Function, Tensor
from tinyconv.ops.common import as_tensor, common_dtype, quiet
from tinyconv.ops.shape import expand, reshape, sum_to, transpose, unsqueeze

#: a product with a vector is summed in blocks of this depth: float32 loses digits in a long chain
_DEPTH = 1 << 12


class Matmul(Function):
    def forward(ctx, a, b):
        ctx.save_for_backward(a, b)
        if a.dtype.kind in "biu":
            return np.matmul(a, b)
        if a.shape[-1] >= 2 * _DEPTH and a.dtype == np.float32 and a.ndim == b.ndim == 2:
            return _deep(a, b)
        return kernels.matmul.matmul(a, b)

    def backward(ctx, gy):
        a, b = ctx.saved_tensors
        need_a, need_b = ctx.needs_input_grad
        ga = sum_to(Matmul.apply(gy, transpose(b, -1, -2)), a.shape) if need_a else None
        gb = sum_to(Matmul.apply(transpose(a, -1, -2), gy), b.shape) if need_b else None
        return ga, gb


@quiet
def _deep(a, b):
    """a (M, K) @ b (K, N), both float32, for a large K."""
    (M, K), N = a.shape, b.shape[1]
    if M > 1 and N == 1:
        return _deep(b.T, a.T).T
    if M != 1 or (N != 1 and not b.flags.c_contiguous):  # the kernel has many short chains
        return kernels.matmul.matmul(a, b)
    blocks = K // _DEPTH
    cut = blocks * _DEPTH
    product = np.matmul if N == 1 else kernels.matmul.matmul
    y = product(a[:, :cut].reshape(blocks, 1, _DEPTH), b[:cut].reshape(blocks, _DEPTH, N))
    return (y.sum(0, np.float64) + product(a[:, cut:], b[cut:])).astype(a.dtype)


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
    return _product(as_tensor(input, "matmul"), as_tensor(other, "matmul"), "matmul")


def _product(a, b, op):
    rule = f"{op}: shapes {list(a.shape)} and {list(b.shape)}"
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


# -- products of given ranks ------------------------------------------------------------------
def _ranked(op, a, b, ranks):
    """The operands as Tensors with so many dimensions each."""
    a, b = as_tensor(a, op), as_tensor(b, op)
    if (a.ndim, b.ndim) != ranks:
        raise ValueError(
            f"{op}: wants tensors of {ranks[0]} and {ranks[1]} dimensions, got shapes "
            f"{list(a.shape)} and {list(b.shape)}"
        )
    return a, b


def _ranked_product(op, a, b, ranks):
    a, b = _ranked(op, a, b, ranks)
    return _product(a, b, op)


def mm(input: Tensor, mat2) -> Tensor:
    """(M, K) @ (K, N)."""
    return _ranked_product("mm", input, mat2, (2, 2))


def bmm(input: Tensor, mat2) -> Tensor:
    """(B, M, K) @ (B, K, N), one product for each b."""
    a, b = _ranked("bmm", input, mat2, (3, 3))
    if len(a) != len(b):
        raise ValueError(
            f"bmm: shapes {list(a.shape)} and {list(b.shape)}: the first sizes must be equal"
        )
    return _product(a, b, "bmm")


def mv(input: Tensor, vec) -> Tensor:
    """(M, K) @ (K,)."""
    return _ranked_product("mv", input, vec, (2, 1))


def dot(input: Tensor, tensor) -> Tensor:
    """sum_i a_i b_i of two vectors."""
    return _ranked_product("dot", input, tensor, (1, 1))


def vdot(input: Tensor, other) -> Tensor:
    """``dot``: there is nothing to conjugate in real numbers."""
    return _ranked_product("vdot", input, other, (1, 1))


def outer(input: Tensor, vec2) -> Tensor:
    """y[i, j] = a_i b_j."""
    a, b = _ranked("outer", input, vec2, (1, 1))
    return unsqueeze(a, 1) * b


# -- a product added to something -------------------------------------------------------------
def _added(op, input, product, beta, alpha):
    """beta input + alpha product, in the shape of the product; with beta = 0 the input does not
    count, even where it is NaN."""
    input, dtype = as_tensor(input, op), product.dtype
    if product.dtype.kind in "biu":
        alpha, beta = int(alpha), int(beta)
    try:
        input = expand(input, product.shape)
    except RuntimeError:
        raise ValueError(
            f"{op}: input of shape {list(input.shape)} cannot be broadcast to the product's shape "
            f"{list(product.shape)}"
        ) from None
    if alpha != 1:
        product = product * alpha
    if beta != 0:
        product = (input if beta == 1 else input * beta) + product
    return product if product.dtype == dtype else product.to(dtype)


def addmm(input: Tensor, mat1, mat2, *, beta=1, alpha=1) -> Tensor:
    """beta input + alpha (mat1 @ mat2)."""
    product = _ranked_product("addmm", mat1, mat2, (2, 2))
    return _added("addmm", input, product, beta, alpha)


def addmv(input: Tensor, mat, vec, *, beta=1, alpha=1) -> Tensor:
    """beta input + alpha (mat @ vec)."""
    product = _ranked_product("addmv", mat, vec, (2, 1))
    return _added("addmv", input, product, beta, alpha)


def addr(input: Tensor, vec1, vec2, *, beta=1, alpha=1) -> Tensor:
    """beta input + alpha vec1 vec2^T."""
    a, b = _ranked("addr", vec1, vec2, (1, 1))
    return _added("addr", input, unsqueeze(a, 1) * b, beta, alpha)


def baddbmm(input: Tensor, batch1, batch2, *, beta=1, alpha=1) -> Tensor:
    """beta input + alpha (batch1 @ batch2) for stacks of matrices."""
    a, b = _stacks("baddbmm", batch1, batch2)
    return _added("baddbmm", input, _product(a, b, "baddbmm"), beta, alpha)


def addbmm(input: Tensor, batch1, batch2, *, beta=1, alpha=1) -> Tensor:
    """beta input + alpha sum_b batch1[b] @ batch2[b]: one product of matrices side by side."""
    a, b = _stacks("addbmm", batch1, batch2)
    B, M, K = a.shape
    wide, tall = reshape(transpose(a, 0, 1), (M, B * K)), reshape(b, (B * K, b.shape[2]))
    return _added("addbmm", input, _product(wide, tall, "addbmm"), beta, alpha)


def _stacks(op, batch1, batch2):
    a, b = _ranked(op, batch1, batch2, (3, 3))
    if a.shape[0] != b.shape[0] or a.shape[2] != b.shape[1]:
        raise ValueError(
            f"{op}: shapes {list(a.shape)} and {list(b.shape)} must be (B, M, K) and (B, K, N)"
        )
    return a, b
