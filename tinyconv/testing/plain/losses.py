"""Losses, one example after the other."""

import math

import numpy as np

from tinyconv.testing.plain.table import oracle


def _reduced(loss, reduction, count=None):
    loss = np.asarray(loss)
    if reduction == "mean":
        return loss.sum() / (loss.size if count is None else count)
    return loss.sum() if reduction == "sum" else loss


def _elementwise(name, rule, by_weight=None):
    """A loss that is ``rule`` of the inputs, element by element.

    ``by_weight``: whether a weighted mean divides by the weights.
    """

    def function(*inputs, reduction="mean", weight=None, **options):
        loss = rule(*inputs, **options)
        if weight is not None:
            loss = loss * weight
        return _reduced(loss, reduction, weight.sum() if by_weight and weight is not None else None)

    oracle(f"F.{name}")(function)


# -- numbers ------------------------------------------------------------------------------------
def _huber(x, t, delta=1.0):
    d = abs(x - t)
    return np.where(d <= delta, d * d / 2, delta * (d - delta / 2))


def _poisson(x, t, log_input=True, full=False, eps=1e-8):
    loss = np.exp(x) - t * x if log_input else x - t * np.log(x + eps)
    stirling = t * np.log(t) - t + np.log(2 * np.pi * t) / 2
    return loss + np.where(t > 1, stirling, 0) if full else loss


def _gaussian(x, t, var, full=False, eps=1e-6):
    v = np.maximum(var, eps)
    if v.ndim and v.ndim == x.ndim - 1:
        v = v[..., None]
    return (np.log(v) + (x - t) ** 2 / v + (math.log(2 * math.pi) if full else 0)) / 2


_elementwise("mse_loss", lambda x, t: (x - t) ** 2, by_weight=True)
_elementwise("l1_loss", lambda x, t: abs(x - t), by_weight=True)
_elementwise(
    "smooth_l1_loss", lambda x, t, beta=1.0: _huber(x, t, beta) / beta if beta else abs(x - t)
)
_elementwise("huber_loss", _huber)
_elementwise("poisson_nll_loss", _poisson)
_elementwise("gaussian_nll_loss", _gaussian)


# -- probabilities and classes ------------------------------------------------------------------
def _log_sigmoid(x):
    return -np.log(1 + np.exp(-x))


def _binary(x, t):
    with_floor = np.maximum(np.log(x), -100), np.maximum(np.log(1 - x), -100)
    return -(t * with_floor[0] + (1 - t) * with_floor[1])


def _binary_logits(x, t, pos_weight=1.0):
    return -(pos_weight * t * _log_sigmoid(x) + (1 - t) * _log_sigmoid(-x))


_elementwise("binary_cross_entropy", _binary)
_elementwise("binary_cross_entropy_with_logits", _binary_logits)


@oracle("F.kl_div")
def _kl_div(x, t, reduction="mean", log_target=False):
    loss = np.exp(t) * (t - x) if log_target else t * (np.log(t) - x)
    return loss.sum() / len(x) if reduction == "batchmean" else _reduced(loss, reduction)


def _negative_log(logp, t, weight, ignore_index, reduction, smoothing=0.0):
    """Of log-probabilities (C,) or (N, C, ...) and labels."""
    if logp.ndim == 1:
        loss = _negative_log(
            logp[None], np.asarray(t)[None], weight, ignore_index, "none", smoothing
        )
        count = 1 if weight is None else weight[t]
        return _reduced(loss[0], reduction, count)
    logp, C = np.moveaxis(logp, 1, -1), logp.shape[1]
    weight = np.ones(C) if weight is None else weight
    loss, count = np.zeros(t.shape), 0.0
    for at in np.ndindex(t.shape):
        if t[at] != ignore_index:
            wanted = (1 - smoothing) * np.eye(C)[t[at]] * weight[t[at]] + smoothing / C * weight
            loss[at] = -(wanted * logp[at]).sum()
            count += weight[t[at]]
    return _reduced(loss, reduction, count)


@oracle("F.nll_loss")
def _nll_loss(logp, t, weight=None, ignore_index=-100, reduction="mean"):
    return _negative_log(logp, t, weight, ignore_index, reduction)


@oracle("F.cross_entropy")
def _cross_entropy(x, t, weight=None, ignore_index=-100, reduction="mean", label_smoothing=0.0):
    dim = 0 if x.ndim == 1 else 1
    logp = x - np.log(np.exp(x).sum(dim, keepdims=True))
    if t.dtype.kind == "i":
        return _negative_log(logp, t, weight, ignore_index, reduction, label_smoothing)
    t = (1 - label_smoothing) * t + label_smoothing / x.shape[dim]
    return _reduced(-(t * logp).sum(dim), reduction)


# -- margins ------------------------------------------------------------------------------------
def _above(x):
    return np.maximum(x, 0)


_elementwise(
    "hinge_embedding_loss",
    lambda x, t, margin=1.0: (t != 1) * _above(margin - x) + (t != -1) * x,
)
_elementwise("margin_ranking_loss", lambda a, b, t, margin=0: _above(margin - t * (a - b)))
_elementwise("soft_margin_loss", lambda x, t: np.log(1 + np.exp(-t * x)))


@oracle("F.cosine_embedding_loss")
def _cosine_embedding(a, b, t, margin=0, reduction="mean"):
    cosine = (a * b).sum(-1) / np.sqrt((a * a).sum(-1) * (b * b).sum(-1))
    loss = (t == 1) * (1 - cosine) + (t == -1) * _above(cosine - margin)
    return _reduced(loss, reduction)


@oracle("F.triplet_margin_loss", "F.triplet_margin_with_distance_loss")
def _triplet(
    a, b, c, margin=1.0, p=2, eps=1e-6, swap=False, distance_function=None, reduction="mean"
):
    distance = distance_function or (lambda u, v: (abs(u - v + eps) ** p).sum(-1) ** (1 / p))
    far = np.minimum(distance(a, c), distance(b, c)) if swap else distance(a, c)
    return _reduced(_above(margin + distance(a, b) - far), reduction)


@oracle("F.multi_margin_loss")
def _multi_margin(x, t, p=1, margin=1.0, weight=None, reduction="mean"):
    if x.ndim == 1:
        return _reduced(_multi_margin(x[None], t[None], p, margin, weight, "none")[0], reduction)
    loss = np.zeros(len(x))
    for n, (row, label) in enumerate(zip(x, t)):
        gaps = [_above(margin - row[label] + row[c]) ** p for c in range(len(row)) if c != label]
        loss[n] = sum(gaps) / len(row) * (1 if weight is None else weight[label])
    return _reduced(loss, reduction)


@oracle("F.multilabel_margin_loss")
def _multilabel_margin(x, t, reduction="mean"):
    if x.ndim == 1:
        return _reduced(_multilabel_margin(x[None], t[None], "none")[0], reduction)
    loss = np.zeros(len(x))
    for n, (row, labels) in enumerate(zip(x, t.tolist())):
        labels = labels[: labels.index(-1)] if -1 in labels else labels
        others = [c for c in range(len(row)) if c not in labels]
        loss[n] = sum(_above(1 - row[i] + row[c]) for i in labels for c in others) / len(row)
    return _reduced(loss, reduction)


@oracle("F.multilabel_soft_margin_loss")
def _multilabel_soft_margin(x, t, weight=None, reduction="mean"):
    loss = _binary_logits(x, t) * (1 if weight is None else weight)
    return _reduced(loss.mean(-1), reduction)
