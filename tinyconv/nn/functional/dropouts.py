"""Dropout: chance in training, nothing else."""

from tinyconv.autograd import Tensor
from tinyconv.ops import random as random_ops
from tinyconv.ops.common import as_tensor, float_tensor

__all__ = ["dropout", "dropout2d"]


def dropout(input: Tensor, p=0.5, training=True, inplace=False) -> Tensor:
    """Zero each element with probability ``p`` and scale the rest by 1 / (1 - p)."""
    return _dropout(input, p, training, None, "dropout")


def dropout2d(input: Tensor, p=0.5, training=True, inplace=False) -> Tensor:
    """Zero whole channels of (N, C, ...) with probability ``p``."""
    x = as_tensor(input, "dropout2d")
    return _dropout(x, p, training, x.shape[:2] + (1,) * (x.ndim - 2), "dropout2d")


def _dropout(input, p, training, shape, op):
    if not 0 <= p <= 1:
        raise ValueError(f"{op}: p={p} must be a probability from 0 to 1")
    x = float_tensor(input, op)
    return random_ops.dropout(x, p, shape) if training and p > 0 else x
