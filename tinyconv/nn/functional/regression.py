"""Losses of numbers: how far outputs are from what was measured. All of them are composed."""

import math
import warnings

from tinyconv.autograd import Tensor, no_grad
from tinyconv.nn.functional.loss import reduced, reduction_of, tensors_of
from tinyconv.ops.arithmetic import clamp, where
from tinyconv.ops.common import as_tensor, float_tensor
from tinyconv.ops.creation import full_like
from tinyconv.ops.pointwise import exp, log

__all__ = [
    "gaussian_nll_loss", "huber_loss", "l1_loss", "mse_loss", "poisson_nll_loss", "smooth_l1_loss",
]  # fmt: skip


def _pair(op, input, target):
    """Both as tensors; their shapes should be equal, but may broadcast as in PyTorch."""
    x, t = tensors_of(op, input, target)
    if x.shape != t.shape:
        warnings.warn(
            f"{op}: input of shape {list(x.shape)} and target of shape {list(t.shape)} differ: "
            "they are broadcast, which is rarely meant; give both one shape",
            stacklevel=3,
        )
    return x, t


def _weighted(op, loss, weight, reduction, by_weight):
    """The reduction of ``loss * weight``; the mean is over the weights if ``by_weight``."""
    if weight is None:
        return reduced(loss, reduction)
    weight = as_tensor(weight, op)
    if weight.shape != loss.shape:
        raise ValueError(
            f"{op}: weight of shape {list(weight.shape)} must have the shape of the input, "
            f"{list(loss.shape)}"
        )
    return reduced(loss * weight, reduction, weight.sum() if by_weight else None)


def mse_loss(
    input: Tensor, target: Tensor, size_average=None, reduce=None, reduction="mean", weight=None
) -> Tensor:
    """The squared difference (x - t)^2, times ``weight``, by whose sum a mean divides then."""
    reduction = reduction_of("mse_loss", reduction, size_average, reduce)
    x, t = _pair("mse_loss", input, target)
    difference = x - t
    return _weighted("mse_loss", difference * difference, weight, reduction, True)


def l1_loss(
    input: Tensor, target: Tensor, size_average=None, reduce=None, reduction="mean", weight=None
) -> Tensor:
    """The absolute difference, times ``weight``, by whose sum a mean divides then."""
    reduction = reduction_of("l1_loss", reduction, size_average, reduce)
    x, t = _pair("l1_loss", input, target)
    return _weighted("l1_loss", (x - t).abs(), weight, reduction, True)


def _square_unless(far, x):
    """x^2, and 0 where ``far``: a square that is not used must not overflow."""
    near = where(far, x.dtype.type(0), x)
    return near * near


def smooth_l1_loss(
    input: Tensor, target: Tensor, size_average=None, reduce=None, reduction="mean", beta=1.0
) -> Tensor:
    """d^2 / (2 beta) where d = |x - t| < beta, else d - beta / 2; ``l1_loss`` for beta = 0.

    Source: Girshick 2015, arXiv:1504.08083, eq. 3 (beta = 1).
    """
    reduction = reduction_of("smooth_l1_loss", reduction, size_average, reduce)
    if beta < 0:
        raise ValueError(f"smooth_l1_loss: beta={beta} must not be negative")
    x, t = _pair("smooth_l1_loss", input, target)
    difference = x - t
    d = difference.abs()
    if beta:  # not d * d, whose second derivative at 0 would be 0
        far = d >= beta
        d = where(far, d - 0.5 * beta, _square_unless(far, difference) * (0.5 / beta))
    return reduced(d, reduction)


def huber_loss(input: Tensor, target: Tensor, reduction="mean", delta=1.0, weight=None) -> Tensor:
    """d^2 / 2 where d = |x - t| <= delta, else delta (d - delta / 2), times ``weight``.

    Source: Huber 1964.
    """
    reduction = reduction_of("huber_loss", reduction)
    if delta <= 0:
        raise ValueError(f"huber_loss: delta={delta} must be positive")
    x, t = _pair("huber_loss", input, target)
    difference = x - t
    d = difference.abs()
    far = d > delta
    loss = where(far, (d - 0.5 * delta) * delta, _square_unless(far, difference) * 0.5)
    return _weighted("huber_loss", loss, weight, reduction, False)


def poisson_nll_loss(
    input: Tensor,
    target: Tensor,
    log_input=True,
    full=False,
    size_average=None,
    eps=1e-8,
    reduce=None,
    reduction="mean",
) -> Tensor:
    """exp(x) - t x for counts t of a Poisson law with rate exp(x); else x - t log(x + eps).

    ``full`` adds Stirling's t log t - t + log(2 pi t) / 2 where t > 1.
    """
    reduction = reduction_of("poisson_nll_loss", reduction, size_average, reduce)
    x, t = tensors_of("poisson_nll_loss", input, target)
    loss = exp(x) - t * x if log_input else x - t * log(x + eps)
    if full:
        stirling = t * log(t) - t + 0.5 * log(2 * math.pi * t)
        loss = loss + stirling.masked_fill(t <= 1, 0)
    return reduced(loss, reduction)


def gaussian_nll_loss(
    input: Tensor, target: Tensor, var: Tensor | float, full=False, eps=1e-6, reduction="mean"
) -> Tensor:
    """(log v + (x - t)^2 / v) / 2 for a normal law of mean x and variance v = max(var, eps).

    Args:
        var: a number, of the input's shape, or with 1 in place of one of its sizes (the last
            one may be left out); the gradient passes ``eps`` as if it were not there.
        full: add log(2 pi) / 2.

    Raises:
        ValueError: a variance below 0, or of another shape.

    Source: Nix and Weigend 1994.
    """
    reduction = reduction_of("gaussian_nll_loss", reduction)
    op = "gaussian_nll_loss"
    x, t = (float_tensor(each, op) for each in tensors_of(op, input, target))
    v = full_like(x, var) if isinstance(var, (int, float)) else float_tensor(var, op)
    if (v.array.real < 0).any():
        raise ValueError(f"{op}: var, of shape {list(v.shape)}, has entries below 0")
    if v.shape != x.shape:
        if v.shape == x.shape[:-1]:
            v = v.unsqueeze(-1)
        elif v.ndim != x.ndim or [b for a, b in zip(x.shape, v.shape) if a != b] != [1]:
            raise ValueError(
                f"{op}: var of shape {list(v.shape)} for an input of shape "
                f"{list(x.shape)}: only one size may be 1, or the last be left out"
            )
    with no_grad():
        lift = clamp(v, min=eps) - v
    v, d = v + lift, x - t
    loss = 0.5 * (log(v) + d * d / v)
    return reduced(loss + 0.5 * math.log(2 * math.pi) if full else loss, reduction)
