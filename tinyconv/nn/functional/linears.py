"""Weighted sums of features, and indices as features."""

import math

import numpy as np

from tinyconv.autograd import Tensor, no_grad
from tinyconv.nn.checks import one_dtype
from tinyconv.ops import linalg as linalg_ops
from tinyconv.ops.arithmetic import where
from tinyconv.ops.common import as_tensor, float_tensor
from tinyconv.ops.einsum import einsum
from tinyconv.ops.index import getitem
from tinyconv.ops.scatter import one_hot

__all__ = ["bilinear", "embedding", "linear", "one_hot"]


def linear(input: Tensor, weight: Tensor, bias: Tensor | None = None) -> Tensor:
    """y = x w^T + b for x (..., in), weight (out, in), bias (out,).

    Raises:
        ValueError: if the last size of ``input`` is not ``in``.

    >>> import tinyconv as tc, tinyconv.nn.functional as F
    >>> F.linear(tc.ones(2, 3), tc.ones(4, 3)).shape
    (2, 4)
    """
    x, w = float_tensor(input, "linear"), float_tensor(weight, "linear")
    x, w, bias = one_dtype("linear", x, w, bias)
    if x.ndim == 0 or w.ndim != 2 or x.shape[-1] != w.shape[1]:
        raise ValueError(
            f"linear: input of shape {list(x.shape)} must end in the weight's input size, which is "
            f"the last of {list(w.shape)}"
        )
    if bias is not None and bias.shape not in ((w.shape[0],), ()):
        raise ValueError(
            f"linear: bias of shape {list(bias.shape)} must be [{w.shape[0]}], the first size of "
            f"the weight {list(w.shape)}"
        )
    if bias is not None and bias.ndim == 0:
        bias = bias.expand(w.shape[0])
    rows = x if x.ndim == 2 else x.reshape(math.prod(x.shape[:-1]), x.shape[-1])
    y = linalg_ops.Linear.apply(rows, w, bias)
    return y if x.ndim == 2 else y.reshape(*x.shape[:-1], w.shape[0])


def bilinear(input1: Tensor, input2, weight, bias=None) -> Tensor:
    """y[..., o] = sum_ij x1[..., i] w[o, i, j] x2[..., j] + b[o].

    Args:
        input1, input2: (..., in1) and (..., in2), equal but for the last size.
        weight: (out, in1, in2).
        bias: (out,) or None.

    Raises:
        TypeError, ValueError: dtypes or shapes that do not fit.
    """
    x1, x2, w = (as_tensor(t, "bilinear") for t in (input1, input2, weight))
    x1, x2, w, bias = one_dtype("bilinear", x1, x2, w, bias)
    shapes = f"inputs of shapes {list(x1.shape)} and {list(x2.shape)}, weight {list(w.shape)}"
    if 0 in (x1.ndim, x2.ndim) or w.ndim != 3 or x1.shape[-1:] + x2.shape[-1:] != w.shape[1:]:
        raise ValueError(f"bilinear: {shapes}: wants (..., in1), (..., in2) and (out, in1, in2)")
    if x1.shape[:-1] != x2.shape[:-1]:
        raise ValueError(f"bilinear: {shapes}: the inputs may differ in the last size alone")
    if bias is not None and bias.shape != w.shape[:1]:
        raise ValueError(f"bilinear: bias of shape {list(bias.shape)} must be [{w.shape[0]}]")
    y = einsum("...i,oij,...j->...o", x1, w, x2)
    return y if bias is None else y + bias


def embedding(
    input: Tensor,
    weight,
    padding_idx=None,
    max_norm=None,
    norm_type=2.0,
    scale_grad_by_freq=False,
    sparse=False,
) -> Tensor:
    """y[...] = weight[input[...]]: a row of the table for each index.

    Args:
        input: integers of any shape.
        weight: (rows, features).
        padding_idx: a row that gets no gradient.
        max_norm: rows that are asked for and longer than that (in the ``norm_type`` norm) are
            shortened first, in place.
        scale_grad_by_freq: divide the gradient of a row by how often it is asked for.
        sparse: not available.

    Raises:
        TypeError, ValueError: dtypes, shapes or options that do not fit.
        IndexError: for an index that is no row.
    """
    index, weight = as_tensor(input, "embedding"), as_tensor(weight, "embedding")
    if index.dtype.kind not in "iu" or index.dtype == bool:
        raise TypeError(f"embedding: indices must be whole numbers, got {index.dtype}")
    if weight.ndim != 2:
        raise ValueError(f"embedding: weight of shape {list(weight.shape)} must be a matrix")
    if sparse:
        raise ValueError("embedding: sparse=True is not available: gradients are dense")
    rows, count = len(weight), index.array.size
    places = index.array.copy()
    if count and not (0 <= places.min() and places.max() < rows):
        raise IndexError(
            f"embedding: indices run from {places.min()} to {places.max()}, the weight of shape "
            f"{list(weight.shape)} has rows 0 to {rows - 1}"
        )
    if padding_idx is not None and not -rows <= padding_idx < rows:
        raise ValueError(f"embedding: padding_idx={padding_idx} is none of the {rows} rows")
    if max_norm is not None and count:
        _shorten(weight, np.unique(places), max_norm, norm_type)
    y = getitem(weight, places)
    if padding_idx is not None:
        y = where(Tensor((places == padding_idx % rows)[..., None]), y.detach(), y)
    if scale_grad_by_freq and y.requires_grad and count:
        shares = Tensor(1 / np.bincount(places.ravel())[places, None])
        y.register_hook(lambda gy: gy * shares.to(gy.dtype))
    return y


@no_grad()
def _shorten(weight, rows, max_norm, norm_type):
    """Scale the ``rows`` of the table that are longer than ``max_norm`` down to that."""
    norms = getitem(weight, rows).norm(norm_type, 1)
    long = (norms > max_norm).array
    if long.any():
        scale = max_norm / (norms.array[long] + 1e-7)
        weight[rows[long]] = getitem(weight, rows[long]) * Tensor(scale[:, None])
