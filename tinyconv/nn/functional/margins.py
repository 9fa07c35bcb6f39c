"""Losses that are content with a margin. All of them are composed.

At a margin that is just kept, ``clamp`` passes the gradient, and ``relu`` (the losses of several
classes) does not: PyTorch's choices.
"""

import numpy as np

from tinyconv.autograd import Tensor
from tinyconv.nn.functional.loss import reduced, reduction_of, tensors_of
from tinyconv.ops.activations import logsigmoid
from tinyconv.ops.arithmetic import clamp, minimum, where
from tinyconv.ops.common import as_tensor, float_tensor
from tinyconv.ops.distance import pairwise_distance
from tinyconv.ops.index import gather
from tinyconv.ops.loss import check_range
from tinyconv.ops.pointwise import relu

__all__ = [
    "cosine_embedding_loss", "hinge_embedding_loss", "margin_ranking_loss", "multi_margin_loss",
    "multilabel_margin_loss", "multilabel_soft_margin_loss", "soft_margin_loss",
    "triplet_margin_loss", "triplet_margin_with_distance_loss",
]  # fmt: skip


def hinge_embedding_loss(
    input: Tensor, target: Tensor, margin=1.0, size_average=None, reduce=None, reduction="mean"
) -> Tensor:
    """x where the target is 1, max(0, margin - x) where it is -1."""
    reduction = reduction_of("hinge_embedding_loss", reduction, size_average, reduce)
    x, t = tensors_of("hinge_embedding_loss", input, target)
    far = where(t != 1, clamp(margin - x, min=0), 0.0)
    return reduced(far + where(t != -1, x, 0.0), reduction)


def margin_ranking_loss(
    input1: Tensor,
    input2: Tensor,
    target: Tensor,
    margin=0,
    size_average=None,
    reduce=None,
    reduction="mean",
) -> Tensor:
    """max(0, margin - t (a - b)): a should be larger where t is 1, b where it is -1."""
    op = "margin_ranking_loss"
    reduction = reduction_of(op, reduction, size_average, reduce)
    a, b, t = _alike(op, input1, input2, target)
    return reduced(clamp(margin - t * (a - b), min=0), reduction)


def cosine_embedding_loss(
    input1: Tensor,
    input2: Tensor,
    target: Tensor,
    margin=0,
    size_average=None,
    reduce=None,
    reduction="mean",
) -> Tensor:
    """1 - cos(a, b) where the target is 1, max(0, cos(a, b) - margin) where it is -1.

    Args:
        input1, input2: (N, D), or (D,) with a 0-d target.
        target: (N,) or ().
    """
    op = "cosine_embedding_loss"
    reduction = reduction_of(op, reduction, size_average, reduce)
    (a, b), t = tensors_of(op, input1, input2), as_tensor(target, op)
    if t.ndim > 1 or a.ndim != t.ndim + 1 or b.ndim != t.ndim + 1:
        raise ValueError(
            f"{op}: inputs of shape {list(a.shape)} and {list(b.shape)} with a target of shape "
            f"{list(t.shape)}: want (N, D), (N, D) and (N,), or (D,), (D,) and ()"
        )
    tiny = 1e-12  # under the root, so that a vector of zeros has a slope
    squares = ((a * a).sum(-1) + tiny) * ((b * b).sum(-1) + tiny)
    cosine = (a * b).sum(-1) / squares.sqrt()
    apart = where(t == -1, clamp(cosine - margin, min=0), 0.0)
    return reduced(where(t == 1, 1 - cosine, 0.0) + apart, reduction)


def soft_margin_loss(
    input: Tensor, target: Tensor, size_average=None, reduce=None, reduction="mean"
) -> Tensor:
    """log(1 + exp(-t x)) for targets of 1 and -1."""
    reduction = reduction_of("soft_margin_loss", reduction, size_average, reduce)
    x, t = tensors_of("soft_margin_loss", input, target)
    return reduced(-logsigmoid(x * t), reduction)


def multi_margin_loss(
    input: Tensor,
    target: Tensor,
    p=1,
    margin=1.0,
    weight: Tensor | None = None,
    size_average=None,
    reduce=None,
    reduction="mean",
) -> Tensor:
    """weight[t] / C sum_c max(0, margin - x[t] + x[c])^p over the classes c but t.

    Args:
        input: scores (N, C) or (C,).
        target: class indices (N,) or ().
        p: 1 or 2.
        weight: (C,) weight of each class.
    """
    op = "multi_margin_loss"
    reduction = reduction_of(op, reduction, size_average, reduce)
    if p not in (1, 2):
        raise ValueError(f"{op}: p={p}: there are 1 and 2")
    x, labels = float_tensor(input, op), _integers(op, target)
    if x.ndim > 2 or 0 in x.shape[-1:]:
        raise ValueError(f"{op}: wants scores (N, C) or (C,), got shape {list(x.shape)}")
    rows = x if x.ndim == 2 else x.reshape(1, -1)
    N, C = rows.shape
    if labels.size != N or labels.ndim > 1:
        raise ValueError(
            f"{op}: labels of shape {list(labels.shape)} for scores of shape {list(x.shape)}: "
            f"want {[N] if x.ndim == 2 else []}"
        )
    check_range(labels, None, x.shape, C, op)
    if weight is not None and weight.shape != (C,):
        raise ValueError(f"{op}: weight of shape {list(weight.shape)} must be [{C}]")
    places = labels.reshape(N, 1)
    gap = relu(margin - gather(rows, 1, Tensor(places)) + rows)
    if p == 2:
        gap = gap * gap
    if weight is not None:
        gap = gap * weight[Tensor(places)]
    own = Tensor(np.arange(C) == places)
    loss = gap.masked_fill(own, 0).sum(1) / C
    return reduced(loss if labels.ndim else loss.reshape(()), reduction)


def multilabel_margin_loss(
    input: Tensor, target: Tensor, size_average=None, reduce=None, reduction="mean"
) -> Tensor:
    """1 / C sum_t sum_c max(0, 1 - x[t] + x[c]) over the labels t and the classes c beside them.

    Args:
        input: scores (N, C) or (C,).
        target: of the same shape, integers: labels, the first -1 ends the list.
    """
    op = "multilabel_margin_loss"
    reduction = reduction_of(op, reduction, size_average, reduce)
    x, labels = float_tensor(input, op), _integers(op, target)
    if x.ndim > 2 or 0 in x.shape[-1:] or labels.shape != x.shape:
        raise ValueError(
            f"{op}: scores of shape {list(x.shape)} and labels of shape {list(labels.shape)}: want "
            "(N, C) or (C,) for both"
        )
    if x.ndim == 0:
        x, labels = x.reshape(1), labels.reshape(1)
    C = x.shape[-1]
    listed = np.logical_and.accumulate(labels != -1, axis=-1)
    check_range(np.where(listed, labels, 0), None, x.shape, C, op)
    places = np.where(listed, labels, 0)
    beside = np.ones((*labels.shape[:-1], C), bool)
    for where_listed in np.argwhere(listed):
        beside[(*where_listed[:-1], labels[tuple(where_listed)])] = False
    gap = relu(1 - gather(x, -1, Tensor(places)).unsqueeze(-1) + x.unsqueeze(-2))
    idle = Tensor(~(listed[..., :, None] & beside[..., None, :]))
    return reduced(gap.masked_fill(idle, 0).sum((-2, -1)) / C, reduction)


def multilabel_soft_margin_loss(
    input: Tensor,
    target: Tensor,
    weight: Tensor | None = None,
    size_average=None,
    reduce=None,
    reduction="mean",
) -> Tensor:
    """The mean over the classes of -(t log sigmoid(x) + (1 - t) log sigmoid(-x)).

    Args:
        input, target: (N, C) or (C,), the targets 0 or 1.
        weight: of each class.
    """
    op = "multilabel_soft_margin_loss"
    reduction = reduction_of(op, reduction, size_average, reduce)
    x, t = tensors_of(op, input, target)
    if x.ndim == 0:
        raise ValueError(f"{op}: scores need a class dimension, got a 0-d tensor")
    loss = -(t * logsigmoid(x) + (1 - t) * logsigmoid(-x))
    if weight is not None:
        loss = loss * weight
    return reduced(loss.sum(-1) / x.shape[-1], reduction)


def triplet_margin_loss(
    anchor: Tensor,
    positive: Tensor,
    negative: Tensor,
    margin=1.0,
    p=2,
    eps=1e-6,
    swap=False,
    size_average=None,
    reduce=None,
    reduction="mean",
) -> Tensor:
    """max(0, margin + |a - b|_p - |a - c|_p) of anchor a, positive b and negative c.

    The distances are ``pairwise_distance``; ``swap``: |b - c| counts where it is below |a - c|.

    Source: Balntas et al. 2016, "Learning shallow convolutional feature descriptors with triplet
    losses".
    """
    return _triplet(
        "triplet_margin_loss", (anchor, positive, negative),
        lambda a, b: pairwise_distance(a, b, p, eps), margin, swap,
        reduction_of("triplet_margin_loss", reduction, size_average, reduce),
    )  # fmt: skip


def triplet_margin_with_distance_loss(
    anchor: Tensor,
    positive: Tensor,
    negative: Tensor,
    *,
    distance_function=None,
    margin=1.0,
    swap=False,
    reduction="mean",
) -> Tensor:
    """``triplet_margin_loss`` with a distance of one's own: a function of two tensors."""
    op = "triplet_margin_with_distance_loss"
    return _triplet(
        op, (anchor, positive, negative), distance_function or pairwise_distance, margin, swap,
        reduction_of(op, reduction),
    )  # fmt: skip


def _triplet(op, tensors, distance, margin, swap, reduction):
    if margin <= 0:
        raise ValueError(f"{op}: margin={margin} must be positive")
    anchor, positive, negative = _alike(op, *tensors)
    near, far = distance(anchor, positive), distance(anchor, negative)
    if swap:
        far = minimum(far, distance(positive, negative))
    return reduced(clamp(margin + near - far, min=0), reduction)


def _alike(op, *values):
    """The tensors, of shapes that broadcast and have the same number of dimensions."""
    tensors = tensors_of(op, *values)
    if len({t.ndim for t in tensors}) > 1:
        raise RuntimeError(
            f"{op}: the tensors must have the same number of dimensions, got shapes "
            + ", ".join(str(list(t.shape)) for t in tensors)
        )
    return tensors


def _integers(op, target):
    labels = as_tensor(target, op).array
    if labels.dtype.kind not in "iu":
        raise TypeError(f"{op}: labels must be integers, got {labels.dtype}; use .long()")
    return labels.astype(np.int64)
