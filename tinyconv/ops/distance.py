"""Norms of matrices, and distances between vectors.

No primitives: all are composed of the p-norm, amax and sums of ``reduce``.
"""

import math

import numpy as np

from tinyconv.autograd import Tensor
from tinyconv.ops.arithmetic import clamp, where
from tinyconv.ops.common import axis, float_tensor
from tinyconv.ops.index import getitem
from tinyconv.ops.pointwise import abs
from tinyconv.ops.reduce import amax, amin, p_norm, sum
from tinyconv.ops.shape import expand, unsqueeze


def matrix_norm(A: Tensor, ord="fro", dim=(-2, -1), keepdim=False, *, dtype=None) -> Tensor:
    """A norm of the matrices in the two axes ``dim``.

    ``ord``: 'fro' for the root of the sum of squares, 1 (-1) for the largest (smallest) sum of
    absolute values of a column, infinity (-infinity) of a row.

    Raises:
        ValueError: for 'nuc', 2 and -2, which need singular values, and for other words.
    """
    return _matrix_norm(A, ord, dim, keepdim, dtype, "matrix_norm")


def _matrix_norm(A, ord, dim, keepdim, dtype, op):
    x = float_tensor(A if dtype is None else A.to(dtype), op)
    if not isinstance(dim, (tuple, list)) or len(dim) != 2 or x.ndim < 2:
        raise ValueError(f"{op}: a matrix has two dims, got dim={dim} for shape {list(x.shape)}")
    row, column = (axis(d, x.ndim, op) for d in dim)
    if ord == "fro":
        return p_norm(x, 2, dim, keepdim, None, op)
    if ord not in (1, -1, math.inf, -math.inf):
        raise ValueError(f"{op}: ord={ord!r} is not available; wants 'fro', 1, -1, inf or -inf")
    summed, compared = (row, column) if ord in (1, -1) else (column, row)
    if row == column:
        raise ValueError(f"{op}: dim={tuple(dim)} names an axis twice")
    sums = sum(abs(x), summed, True)
    if x.shape[compared] == 0:
        raise IndexError(f"{op}: shape {list(x.shape)} is empty along dim {compared}")
    y = (amax if ord > 0 else amin)(sums, compared, True)
    return y if keepdim else y.squeeze((row, column))


def linalg_norm(A: Tensor, ord=None, dim=None, keepdim=False, *, dtype=None) -> Tensor:
    """``vector_norm`` over one dim, ``matrix_norm`` over two; without ``ord`` the 2-norm of all.

    With ``ord`` and no ``dim`` the input must have one or two dimensions.
    """
    if ord is None:
        return p_norm(A, 2, dim, keepdim, dtype, "norm")
    if dim is None and A.ndim not in (1, 2):
        raise RuntimeError(
            f"norm: with ord={ord!r} and no dim wants a vector or a matrix, got {list(A.shape)}"
        )
    if dim is None:
        dim = tuple(range(A.ndim))
    dims = tuple(dim) if isinstance(dim, (tuple, list)) else (dim,)
    if len(dims) == 2 or isinstance(ord, str):
        return _matrix_norm(A, ord, dims, keepdim, dtype, "norm")
    return p_norm(A, ord, dims, keepdim, dtype, "norm")


def renorm(input: Tensor, p, dim, maxnorm) -> Tensor:
    """Every slice along ``dim`` scaled down to the p-norm ``maxnorm`` if its norm is larger.

    Raises:
        RuntimeError: for fewer than two dimensions, p <= 0 or a negative maxnorm.
    """
    x = float_tensor(input, "renorm")
    if x.ndim < 2 or not p > 0 or maxnorm < 0:
        raise RuntimeError(
            f"renorm: wants two dimensions or more, p > 0 and maxnorm >= 0, got shape "
            f"{list(x.shape)}, p={p}, maxnorm={maxnorm}"
        )
    at = axis(dim, x.ndim, "renorm")
    size = p_norm(x, p, [i for i in range(x.ndim) if i != at], True, None, "renorm")
    # the small number is PyTorch's
    return x * where(size > maxnorm, maxnorm / (size + 1e-7), x.dtype.type(1))


def normalize(input: Tensor, p=2.0, dim=1, eps=1e-12) -> Tensor:
    """x / max(norm(x, p), eps), the norms over ``dim``.

    >>> import tinyconv as tc, tinyconv.nn.functional as F
    >>> F.normalize(tc.tensor([[3.0, 4.0]]))
    tensor([[0.6000, 0.8000]])
    """
    x = float_tensor(input, "normalize")
    return x / clamp(p_norm(x, p, dim, True, None, "normalize"), min=eps)


def dist(input: Tensor, other: Tensor, p=2) -> Tensor:
    """The p-norm of input - other, over all elements."""
    return p_norm(float_tensor(input, "dist") - other, p, None, False, None, "dist")


def pairwise_distance(x1: Tensor, x2: Tensor, p=2.0, eps=1e-6, keepdim=False) -> Tensor:
    """The p-norm of x1 - x2 + eps over the last dim; the shapes broadcast."""
    return p_norm(x1 - x2 + eps, p, -1, keepdim, None, "pairwise_distance")


def cdist(x1: Tensor, x2: Tensor, p=2.0, compute_mode=None) -> Tensor:
    """The p-norm between each row of x1 (..., P, M) and each of x2 (..., R, M), as (..., P, R).

    Args:
        p: not negative; 0 counts what differs.
        compute_mode: accepted; the differences are always taken (no matrix product).

    Raises:
        RuntimeError, ValueError: shapes that do not fit, a negative p.
    """
    x1, x2 = float_tensor(x1, "cdist"), float_tensor(x2, "cdist")
    if x1.ndim < 2 or x2.ndim < 2 or x1.shape[-1] != x2.shape[-1]:
        raise RuntimeError(
            f"cdist: wants (..., P, M) and (..., R, M), got {list(x1.shape)} and {list(x2.shape)}"
        )
    if x1.dtype != x2.dtype and "c" not in (x1.dtype.kind, x2.dtype.kind):
        raise RuntimeError(f"cdist: {x1.dtype} and {x2.dtype} differ; convert one of them")
    if p < 0:
        raise RuntimeError(f"cdist: p={p} must not be negative")
    difference = unsqueeze(x1, -2) - unsqueeze(x2, -3)
    return _row_norm(difference, p, "cdist")


def pdist(input: Tensor, p=2.0) -> Tensor:
    """The p-norms between the rows i < j of a matrix (N, M), as (N (N - 1) / 2,)."""
    x = float_tensor(input, "pdist")
    if x.ndim != 2:
        raise RuntimeError(f"pdist: wants a matrix, got shape {list(x.shape)}")
    if p < 0:
        raise RuntimeError(f"pdist: p={p} must not be negative")
    i, j = (Tensor(places) for places in np.triu_indices(len(x), 1))
    return _row_norm(getitem(x, i) - getitem(x, j), p, "pdist")


def _row_norm(difference, p, op):
    """The norm over the last dim, 0 if there is nothing in it."""
    if difference.shape[-1] == 0:
        return sum(difference, -1)
    return p_norm(difference, p, -1, False, None, op)


def cosine_similarity(x1: Tensor, x2: Tensor, dim=1, eps=1e-8) -> Tensor:
    """<x1, x2> / (max(|x1|, eps) max(|x2|, eps)) over ``dim``; the shapes broadcast.

    Where a norm is below ``eps`` the derivative is that of this formula (PyTorch differentiates
    as if ``eps`` were not there).
    """
    x1, x2 = float_tensor(x1, "cosine_similarity"), float_tensor(x2, "cosine_similarity")
    try:
        shape = np.broadcast_shapes(x1.shape, x2.shape)
    except ValueError:
        raise ValueError(
            f"cosine_similarity: shapes {list(x1.shape)} and {list(x2.shape)} cannot be broadcast"
        ) from None
    at = axis(dim, len(shape), "cosine_similarity")
    first, second = (
        x / clamp(p_norm(x, 2, at, True, None, "cosine_similarity"), min=eps)
        for x in (expand(x1, shape), expand(x2, shape))
    )
    return sum(first * second, at)
