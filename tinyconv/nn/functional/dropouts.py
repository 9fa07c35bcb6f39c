"""Dropout: chance in training, nothing else.

A primitive draws the mask and scales by it (``ops.random``); dropout that keeps mean and variance
(``alpha_dropout``) is composed.
"""

from tinyconv.autograd import Tensor
from tinyconv.ops import random as random_ops
from tinyconv.ops.common import as_tensor, float_tensor

__all__ = [
    "alpha_dropout", "dropout", "dropout1d", "dropout2d", "dropout3d", "feature_alpha_dropout",
]  # fmt: skip

#: minus the value that SELU tends to far below 0
_ALPHA = 1.7580993408473766


def dropout(input: Tensor, p=0.5, training=True, inplace=False) -> Tensor:
    """Zero each element with probability ``p`` and scale the rest by 1 / (1 - p).

    Source: Srivastava et al. 2014.
    """
    return _dropped("dropout", random_ops.dropout, input, p, training)


def dropout1d(input: Tensor, p=0.5, training=True, inplace=False) -> Tensor:
    """Zero whole channels of (N, C, L) or (C, L) with probability ``p``."""
    x = as_tensor(input, "dropout1d")
    if x.ndim not in (2, 3):
        raise ValueError(f"dropout1d: wants (N, C, L) or (C, L), got shape {list(x.shape)}")
    return _dropped("dropout1d", random_ops.dropout, x, p, training, x.ndim - 1)


def dropout2d(input: Tensor, p=0.5, training=True, inplace=False) -> Tensor:
    """Zero whole channels of (N, C, ...) with probability ``p``.

    Source: Tompson et al. 2015, arXiv:1411.4280, Sec. 3.2.
    """
    return _dropped("dropout2d", random_ops.dropout, input, p, training, 2)


def dropout3d(input: Tensor, p=0.5, training=True, inplace=False) -> Tensor:
    """Zero whole channels of (N, C, D, H, W), or (C, D, H, W), with probability ``p``."""
    x = as_tensor(input, "dropout3d")
    return _dropped("dropout3d", random_ops.dropout, x, p, training, 2 if x.ndim == 5 else 1)


def alpha_dropout(input: Tensor, p=0.5, training=False, inplace=False) -> Tensor:
    """Dropout for SELU: the dropped become SELU's lowest value; mean 0 and variance 1 stay.

    y = a (x m - alpha (1 - m) + alpha p), m the mask, a = ((1 + p alpha^2) (1 - p))^-1/2.

    Source: Klambauer et al. 2017, arXiv:1706.02515, Sec. 2.
    """
    return _dropped("alpha_dropout", _alpha, input, p, training)


def feature_alpha_dropout(input: Tensor, p=0.5, training=False, inplace=False) -> Tensor:
    """``alpha_dropout`` of whole channels of (N, C, ...)."""
    return _dropped("feature_alpha_dropout", _alpha, input, p, training, 2)


def _alpha(x, p, shape):
    if p == 1:
        return x * 0
    kept = (random_ops.stream(None).random(shape) >= p).astype(x.dtype)
    a = ((1 + p * _ALPHA**2) * (1 - p)) ** -0.5
    return x * Tensor(kept * a) + Tensor(a * _ALPHA * (kept - 1 + p))


def _dropped(op, rule, input, p, training, outer=None):
    """``rule`` with a mask over the first ``outer`` axes (None: all) of the checked input."""
    if not 0 <= p <= 1:
        raise ValueError(f"{op}: p={p} must be a probability from 0 to 1")
    if not training or p == 0:
        return as_tensor(input, op)
    x = float_tensor(input, op)
    if outer is not None and x.ndim < outer:
        raise ValueError(f"{op}: wants {outer} dimensions at least, got shape {list(x.shape)}")
    outer = x.ndim if outer is None else outer
    return rule(x, p, x.shape[:outer] + (1,) * (x.ndim - outer))
