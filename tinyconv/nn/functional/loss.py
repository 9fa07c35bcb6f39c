"""Losses of probabilities and classes: what a batch of outputs costs, one number (or many).

Primitives: cross entropy with class labels, and binary cross entropy of probabilities and of
logits. All else is composed. Losses of numbers are in ``regression``, those with a margin in
``margins``.

``size_average`` and ``reduce`` are the old spelling of ``reduction``: given, they decide.
"""

import numpy as np

from tinyconv.autograd import Tensor
from tinyconv.ops import loss as loss_ops
from tinyconv.ops.activations import logsigmoid
from tinyconv.ops.arithmetic import where
from tinyconv.ops.common import as_tensor, float_tensor
from tinyconv.ops.index import gather
from tinyconv.ops.pairs import xlogy
from tinyconv.ops.pointwise import exp
from tinyconv.ops.softmax import log_softmax

__all__ = [
    "binary_cross_entropy", "binary_cross_entropy_with_logits", "cross_entropy", "kl_div",
    "nll_loss",
]  # fmt: skip


def reduction_of(op, reduction, size_average=None, reduce=None, more=()):
    """'mean', 'sum' or 'none' (or one of ``more``), from the new and the old spelling.

    Raises:
        ValueError: for any other ``reduction``.
    """
    if size_average is not None or reduce is not None:
        if reduce is not None and not reduce:
            return "none"
        return "mean" if size_average is None or size_average else "sum"
    if reduction not in ("mean", "sum", "none", *more):
        raise ValueError(f"{op}: reduction={reduction!r}; wants 'mean', 'sum' or 'none'")
    return reduction


def tensors_of(op, *values):
    """The tensors, whose shapes must broadcast."""
    tensors = [as_tensor(value, op) for value in values]
    try:
        np.broadcast_shapes(*(t.shape for t in tensors))
    except ValueError:
        shapes = " and ".join(str(list(t.shape)) for t in tensors)
        raise ValueError(
            f"{op}: shapes {shapes} cannot be broadcast: sizes must be equal or 1, aligned from "
            "the right"
        ) from None
    return tensors


def reduced(loss, reduction, count=None):
    """``loss`` as it is, its sum, or the sum divided by ``count`` (all elements)."""
    if reduction == "none":
        return loss
    if reduction == "sum":
        return loss.sum()
    return loss.mean() if count is None else loss.sum() / count


def nll_loss(
    input: Tensor,
    target: Tensor,
    weight: Tensor | None = None,
    size_average=None,
    ignore_index=-100,
    reduce=None,
    reduction="mean",
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
    reduction = reduction_of("nll_loss", reduction, size_average, reduce)
    logp = float_tensor(input, "nll_loss")
    labels = _labels(logp, target, ignore_index, "nll_loss")
    picked, weights = _pick(logp, labels, weight, ignore_index, "nll_loss")
    return reduced(-(picked * weights), reduction, weights.sum())


def cross_entropy(
    input: Tensor,
    target: Tensor,
    weight: Tensor | None = None,
    size_average=None,
    ignore_index=-100,
    reduce=None,
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
    reduction = reduction_of("cross_entropy", reduction, size_average, reduce)
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
            mean = reduction == "mean"
            return loss_ops.CrossEntropy.apply(logits, target, int(ignore_index), mean)
    logp, C = log_softmax(logits, dim), logits.shape[dim]
    per_class = None if weight is None else _column(weight, logits, "cross_entropy")
    if target.dtype.kind in "fc":
        if target.shape != logits.shape:
            raise ValueError(
                f"cross_entropy: a target of {target.dtype} holds probabilities and must have the "
                f"shape of the logits {list(logits.shape)}, got {list(target.shape)}; class "
                "indices are integers (.long())"
            )
        if ignore_index >= 0:
            raise ValueError(
                f"cross_entropy: ignore_index={ignore_index} has no meaning for probabilities; "
                "leave it out"
            )
        if label_smoothing:
            target = target * (1 - label_smoothing) + label_smoothing / C
        terms = -(logp * target.to(logits.dtype))
        loss = (terms if per_class is None else terms * per_class).sum(dim)
        return reduced(loss, reduction)
    labels = _labels(logits, target, ignore_index, "cross_entropy")
    picked, weights = _pick(logp, labels, weight, ignore_index, "cross_entropy")
    loss = -(picked * weights)
    if label_smoothing:
        spread = -(logp if per_class is None else logp * per_class).sum(dim)
        spread = where(Tensor(labels != ignore_index), spread, 0.0)
        loss = loss * (1 - label_smoothing) + spread * (label_smoothing / C)
    return reduced(loss, reduction, weights.sum())


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
    loss_ops.check_range(labels, ignore_index, scores.shape, C, op)
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


def binary_cross_entropy(
    input: Tensor,
    target: Tensor,
    weight: Tensor | None = None,
    size_average=None,
    reduce=None,
    reduction="mean",
) -> Tensor:
    """-(t log x + (1 - t) log(1 - x)), the logarithms no lower than -100.

    ``binary_cross_entropy_with_logits`` loses no digits, and wants no sigmoid.

    Args:
        input: probabilities, from 0 to 1.
        target: of the same shape.
        weight: broadcast against them.

    Raises:
        ValueError: other shapes.
        RuntimeError: an input that is no probability.
    """
    op = "binary_cross_entropy"
    reduction = reduction_of(op, reduction, size_average, reduce)
    x, t = _equal_shapes(op, input, target)
    values = x.array.real
    if not ((values >= 0) & (values <= 1)).all():
        raise RuntimeError(
            f"{op}: all of the input, of shape {list(x.shape)}, must lie from 0 to 1; take "
            "binary_cross_entropy_with_logits for scores"
        )
    loss = loss_ops.BinaryCrossEntropy.apply(x, t.to(x.dtype))
    return reduced(loss if weight is None else loss * weight, reduction)


def binary_cross_entropy_with_logits(
    input: Tensor,
    target: Tensor,
    weight: Tensor | None = None,
    size_average=None,
    reduce=None,
    reduction="mean",
    pos_weight: Tensor | None = None,
) -> Tensor:
    """``binary_cross_entropy`` of sigmoid(x), without overflow.

    loss = (1 - t) x - (1 + (pos_weight - 1) t) log sigmoid(x).

    Args:
        input: logits.
        target: of the same shape.
        weight: broadcast against them.
        pos_weight: how much more the positive examples of a class count.

    Raises:
        ValueError: other shapes.

    >>> import tinyconv as tc, tinyconv.nn.functional as F
    >>> F.binary_cross_entropy_with_logits(tc.tensor([0.0, 1e4]), tc.tensor([1.0, 1.0]))
    tensor(0.3466)
    """
    op = "binary_cross_entropy_with_logits"
    reduction = reduction_of(op, reduction, size_average, reduce)
    x, t = _equal_shapes(op, input, target)
    if pos_weight is None:
        loss = loss_ops.LogitsCrossEntropy.apply(x, t.to(x.dtype))
    else:
        loss = (1 - t) * x - ((as_tensor(pos_weight, op) - 1) * t + 1) * logsigmoid(x)
    return reduced(loss if weight is None else loss * weight, reduction)


def _equal_shapes(op, input, target):
    x, t = float_tensor(input, op), as_tensor(target, op)
    if x.shape != t.shape:
        raise ValueError(
            f"{op}: target of shape {list(t.shape)} must have the shape of the input, "
            f"{list(x.shape)}"
        )
    return x, t


def kl_div(
    input: Tensor,
    target: Tensor,
    size_average=None,
    reduce=None,
    reduction="mean",
    log_target=False,
) -> Tensor:
    """The Kullback-Leibler divergence t (log t - x) of probabilities t from log-probabilities x.

    Args:
        input: log-probabilities.
        target: probabilities, or with ``log_target`` their logarithms.
        reduction: 'batchmean' is the divergence: the sum, divided by the first size. 'mean'
            divides by the number of elements.

    >>> import tinyconv as tc, tinyconv.nn.functional as F
    >>> p, q = tc.tensor([[0.5, 0.5]]), tc.tensor([[0.25, 0.75]])
    >>> F.kl_div(q.log(), p, reduction="batchmean")
    tensor(0.1438)
    """
    reduction = reduction_of("kl_div", reduction, size_average, reduce, more=("batchmean",))
    x, t = (float_tensor(each, "kl_div") for each in tensors_of("kl_div", input, target))
    loss = exp(t) * (t - x) if log_target else xlogy(t, t) - t * x
    if reduction != "batchmean":
        return reduced(loss, reduction)
    return loss.sum() / x.shape[0] if x.ndim else loss.sum()
