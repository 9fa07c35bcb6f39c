"""The losses that are primitives; all others are composed, in ``nn.functional``.

Cross entropy with class labels makes one pass over the logits each way; the composed form
(``log_softmax``, then a gather) makes seven passes, and ten nodes. Binary cross entropy of
probabilities has logarithms that are cut off, and a derivative that is finite there; that of
logits, composed, would take ten times as long for a small batch.
"""

import numpy as np

from tinyconv import kernels
from tinyconv.autograd import Function, Tensor
from tinyconv.kernels.complex_step import analytic
from tinyconv.ops.arithmetic import clamp
from tinyconv.ops.common import larger, quiet
from tinyconv.ops.pointwise import log, log1p, sigmoid
from tinyconv.ops.softmax import softmax


class CrossEntropy(Function):
    """The sum over all labels but ``ignore``, or their mean, of -log softmax(x)[label]."""

    def forward(ctx, x, labels, ignore, mean):
        flat = _flat(x)
        loss, p, counted, wrong = kernels.loss.cross_entropy(flat, _rows(labels, flat), ignore)
        if wrong:
            check_range(labels, ignore, x.shape, flat.shape[1], "cross_entropy")
        if mean:
            loss = loss / counted if counted else loss * np.nan
        ctx.options = ignore, 1 / max(counted, 1) if mean else 1.0
        ctx.save_for_backward(x, p, labels)
        return np.asarray(loss, x.dtype)

    def backward(ctx, g):
        return CrossEntropyGradient.apply(g, *ctx.saved_tensors, *ctx.options)


class CrossEntropyGradient(Function):
    """g scale (p - one-hot(labels)), p = softmax(x), without the labels ``ignore``."""

    def forward(ctx, g, x, p, labels, ignore, scale):
        ctx.options = ignore, scale
        ctx.save_for_backward(g, x, labels)
        gx = kernels.loss.cross_entropy_gradient(p, _rows(labels, p), ignore, g.item() * scale)
        return gx.reshape(x.shape)

    def backward(ctx, h):
        g, x, labels = ctx.saved_tensors
        ignore, scale = ctx.options
        flat = _flat(x)
        labels = _rows(labels.array, flat)
        p, h = softmax(flat, 1), h.reshape(flat.shape)
        classes = np.arange(flat.shape[1])[:, None]
        hot = (labels[:, None] == classes).astype(x.dtype)
        weights = Tensor(np.where(labels == ignore, 0, scale).astype(x.dtype)[:, None])
        h = h * weights
        gg = gx = None
        if ctx.needs_input_grad[0]:
            gg = (h * (p - Tensor(hot))).sum()
        if ctx.needs_input_grad[1]:
            gx = (g * p * (h - (h * p).sum(1, keepdim=True))).reshape(x.shape)
        return gg, gx


@analytic
def _binary(x, t):
    least = np.asarray(-100, x.dtype)
    return (t - 1) * larger(np.log1p(-x), least) - t * larger(np.log(x), least)


@analytic
def _binary_of_logits(x, t):
    above = x.real > 0
    return np.where(above, 1 - t, -t) * x + np.log1p(np.exp(np.where(above, -x, x)))


class BinaryCrossEntropy(Function):
    """-(t log x + (1 - t) log(1 - x)) of each element, the logarithms no lower than -100."""

    @quiet
    def forward(ctx, x, t):
        ctx.save_for_backward(x, t)
        return _binary(x, t)

    def backward(ctx, g):
        x, t = ctx.saved_tensors
        gx = gt = None
        if ctx.needs_input_grad[0]:
            gx = g * (x - t) / clamp((1 - x) * x, min=1e-12)
        if ctx.needs_input_grad[1]:
            gt = g * (log1p(-x) - log(x))
        return gx, gt


class LogitsCrossEntropy(Function):
    """``BinaryCrossEntropy`` of sigmoid(x): (1 - t) x + log(1 + exp(-x)), without overflow."""

    @quiet
    def forward(ctx, x, t):
        ctx.save_for_backward(x, t)
        return _binary_of_logits(x, t)

    def backward(ctx, g):
        x, t = ctx.saved_tensors
        gx = g * (sigmoid(x) - t) if ctx.needs_input_grad[0] else None
        return gx, -g * x if ctx.needs_input_grad[1] else None


def _flat(x):
    """(C,), (N, C) or (N, C, ...) as (N, C, M)."""
    return x.reshape((1, *x.shape, 1) if x.ndim == 1 else (*x.shape[:2], -1))


def _rows(labels, flat):
    """The labels (N, M) of logits (N, C, M)."""
    return np.ascontiguousarray(labels, np.int64).reshape(len(flat), flat.shape[2])


def check_range(labels, ignore, shape, C, op):
    """Raise IndexError if a label that counts is no class."""
    counted = labels[labels != ignore]
    if counted.size and (counted.min() < 0 or counted.max() >= C):
        raise IndexError(
            f"{op}: labels run from {counted.min()} to {counted.max()}, but the scores of shape "
            f"{list(shape)} have {C} classes (0 to {C - 1})"
        )
