"""Weighted sums of features, and indices as features."""

import math

from tinyconv.autograd import Tensor
from tinyconv.nn.checks import one_dtype
from tinyconv.ops import linalg as linalg_ops
from tinyconv.ops.common import float_tensor
from tinyconv.ops.scatter import one_hot

__all__ = ["linear", "one_hot"]


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
