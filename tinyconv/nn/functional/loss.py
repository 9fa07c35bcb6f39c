"""Losses: what a batch of outputs costs, as one number (or one per element)."""

import numpy as np

from tinyconv.autograd import Tensor
from tinyconv.ops.arithmetic import where
from tinyconv.ops.common import as_tensor, float_tensor
from tinyconv.ops.index import gather
from tinyconv.ops.loss import CrossEntropy, check_range
from tinyconv.ops.softmax import log_softmax

__all__ = ["cross_entropy", "l1_loss", "mse_loss", "nll_loss"]


def _reduced(loss, reduction, op, count=None):
    if reduction == "none":
        return loss
    if reduction == "sum":
        return loss.sum()
    if reduction == "mean":
        return loss.mean() if count is None else loss.sum() / count
    raise ValueError(f"{op}: reduction={reduction!r}; wants 'mean', 'sum' or 'none'")


def nll_loss(
    input: Tensor, target: Tensor, weight: Tensor | None = None, ignore_index=-100, reduction="mean"
) -> Tensor:
    """Minus the log-probability that ``input`` gives the right class.

    Args:
        input: log-probabilities (C,), (N, C) or (N, C, ...).
        target: class indices (), (N,) or (N, ...), integers from 0 to C - 1.
        weight: (C,) weight of each class; the mean divides by the weights used.
        ignore_index: targets of this value do not count.
        reduction: 'mean', 'sum' or 'none'.

    Raises:
        ValueError, TypeError: shapes or dtypes that do not fit.
        IndexError: a label out of range.
    """
    logp = float_tensor(input, "nll_loss")
    labels = _labels(logp, target, ignore_index, "nll_loss")
    picked, weights = _pick(logp, labels, weight, ignore_index, "nll_loss")
    return _reduced(-(picked * weights), reduction, "nll_loss", weights.sum())


def cross_entropy(
    input: Tensor,
    target: Tensor,
    weight: Tensor | None = None,
    ignore_index=-100,
    reduction="mean",
    label_smoothing=0.0,
) -> Tensor:
    """Cross entropy between logits and classes: ``nll_loss`` of ``log_softmax``.

    loss = -sum_c t[c] log softmax(x)[c], t one-hot, smoothed to
    (1 - s) t + s / C with ``label_smoothing`` s (Szegedy et al. 2015, arXiv:1512.00567, Sec. 7).

    Args:
        input: logits (C,), (N, C) or (N, C, ...).
        target: class indices (N, ...), integers, or probabilities of ``input``'s shape.
        weight: (C,) weight of each class.
        ignore_index: labels of this value do not count.
        reduction: 'mean', 'sum' or 'none'.

    Raises:
        ValueError, TypeError: shapes or dtypes that do not fit.
        IndexError: a label out of range.

    >>> import tinyconv as tc, tinyconv.nn.functional as F
    >>> F.cross_entropy(tc.zeros(2, 10), tc.tensor([3, 7]))
    tensor(2.3026)
    """
    logits = float_tensor(input, "cross_entropy")
    if not 0 <= label_smoothing <= 1:
        raise ValueError(f"cross_entropy: label_smoothing={label_smoothing} must be in [0, 1]")
    if logits.ndim == 0:
        raise ValueError("cross_entropy: logits need a class dimension, got a 0-d tensor")
    dim = 0 if logits.ndim == 1 else 1
    target = as_tensor(target, "cross_entropy")
    if weight is None and not label_smoothing and reduction in ("mean", "sum"):
        wanted = () if dim == 0 else logits.shape[:1] + logits.shape[2:]
        if target.dtype.kind in "iu" and target.shape == wanted and logits.array.size:
            return CrossEntropy.apply(logits, target, int(ignore_index), reduction == "mean")
    logp, C = log_softmax(logits, dim), logits.shape[dim]
    per_class = None if weight is None else _column(weight, logits, "cross_entropy")
    if target.dtype.kind in "fc":
        if target.shape != logits.shape:
            raise ValueError(
                f"cross_entropy: target probabilities {list(target.shape)} must have the shape of "
                f"the logits {list(logits.shape)}"
            )
        if label_smoothing:
            target = target * (1 - label_smoothing) + label_smoothing / C
        terms = -(logp * target.to(logits.dtype))
        loss = (terms if per_class is None else terms * per_class).sum(dim)
        return _reduced(loss, reduction, "cross_entropy", loss.numel())
    labels = _labels(logits, target, ignore_index, "cross_entropy")
    picked, weights = _pick(logp, labels, weight, ignore_index, "cross_entropy")
    loss = -(picked * weights)
    if label_smoothing:
        spread = -(logp if per_class is None else logp * per_class).sum(dim)
        spread = where(Tensor(labels != ignore_index), spread, 0.0)
        loss = loss * (1 - label_smoothing) + spread * (label_smoothing / C)
    return _reduced(loss, reduction, "cross_entropy", weights.sum())


def _labels(scores, target, ignore_index, op):
    """The checked label array."""
    labels = as_tensor(target, op).array
    if scores.ndim == 0:
        raise ValueError(f"{op}: scores need a class dimension, got a 0-d tensor")
    if labels.dtype.kind not in "iu":
        raise TypeError(f"{op}: labels must be integers, got {labels.dtype}; use .long()")
    wanted = () if scores.ndim == 1 else scores.shape[:1] + scores.shape[2:]
    if labels.shape != wanted:
        raise ValueError(
            f"{op}: labels of shape {list(labels.shape)} for scores of shape "
            f"{list(scores.shape)}: want {list(wanted)}"
        )
    C = scores.shape[0 if scores.ndim == 1 else 1]
    check_range(labels, ignore_index, scores.shape, C, op)
    return labels


def _pick(logp, labels, weight, ignore_index, op):
    """The log-probability of each label (0 where it is ignored), and the weight it counts with."""
    dim = 0 if logp.ndim == 1 else 1
    counted = labels != ignore_index
    safe = np.where(counted, labels, 0).astype(np.int64)
    picked = gather(logp, dim, Tensor(np.expand_dims(safe, dim))).reshape(labels.shape)
    weights = counted.astype(logp.dtype)
    if weight is not None:
        weights = weights * _column(weight, logp, op).array.reshape(-1)[safe]
    if not counted.all():  # an ignored score may be infinite, and 0 times that is NaN
        picked = where(Tensor(counted), picked, 0.0)
    return picked, Tensor(np.asarray(weights, logp.dtype))


def _column(weight, scores, op):
    dim = 0 if scores.ndim == 1 else 1
    if weight.shape != (scores.shape[dim],):
        raise ValueError(
            f"{op}: weight of shape {list(weight.shape)} must be [{scores.shape[dim]}], one number "
            "per class"
        )
    if weight.requires_grad:
        raise ValueError(f"{op}: the class weight is a constant here and must not require grad")
    shape = [1] * scores.ndim
    shape[dim] = -1
    return weight.reshape(shape)


def mse_loss(input: Tensor, target: Tensor, reduction="mean") -> Tensor:
    """The squared difference."""
    difference = as_tensor(input, "mse_loss") - target
    return _reduced(difference * difference, reduction, "mse_loss")


def l1_loss(input: Tensor, target: Tensor, reduction="mean") -> Tensor:
    """The absolute difference."""
    return _reduced((as_tensor(input, "l1_loss") - target).abs(), reduction, "l1_loss")
