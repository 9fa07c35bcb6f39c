"""Losses, and how their gradients go wrong. Targets are passed along: they get None."""

import numpy as np

from tinyconv.testing.faults.activations import sigmoid
from tinyconv.testing.faults.base import Family, given, joined, normal
from tinyconv.testing.faults.norms import _log_softmax as log_softmax
from tinyconv.testing.faults.norms import _softmax as softmax

family = Family("losses")

ROWS, CLASSES = 4, 5
targets = given(np.array([2, 0, 4, 2]))


def one_hot(t):
    return np.eye(CLASSES)[t]


cross_entropy = family.case(
    "cross-entropy",
    lambda x, t: -log_softmax(x)[range(ROWS), t].mean(),
    lambda gy, x, t: (gy * (softmax(x) - one_hot(t)) / ROWS, None),
    joined(normal((ROWS, CLASSES)), targets),
)


@family.fault(cross_entropy, "constant factor", of=0)
def mean_not_divided(gy, x, t):
    """The famous softmax - one_hot, without the division by the batch size."""
    return gy * (softmax(x) - one_hot(t))


@family.fault(cross_entropy, "misplaced", of=0)
def classes_counted_from_one(gy, x, t):
    """The 1 of the target is subtracted at the class after it."""
    return gy * (softmax(x) - one_hot((t + 1) % CLASSES)) / ROWS


@family.fault(cross_entropy, "sign", of=0)
def likelihood_for_loss(gy, x, t):
    """The gradient of the log-likelihood, which goes up where the loss goes down."""
    return gy * (one_hot(t) - softmax(x)) / ROWS


class_weights = np.array([1.0, 2.0, 0.5, 1.5, 3.0])


def _weighted(x, t):
    w = class_weights[t]
    return -(w * log_softmax(x)[range(ROWS), t]).sum() / w.sum()


def _weighted_gradient(gy, x, t):
    w = class_weights[t]
    return gy * (w / w.sum())[:, None] * (softmax(x) - one_hot(t)), None


weighted = family.case(
    "weighted cross-entropy",
    _weighted,
    _weighted_gradient,
    joined(normal((ROWS, CLASSES)), targets),
)


@family.fault(weighted, "constant factor", of=0)
def divided_by_the_batch_size(gy, x, t):
    """Forward divides by the sum of the weights, backward by the number of rows."""
    return gy * class_weights[t][:, None] * (softmax(x) - one_hot(t)) / ROWS


nll = family.case(
    "negative log-likelihood",
    lambda x, t: -x[range(ROWS), t],
    lambda gy, x, t: (-gy[:, None] * one_hot(t), None),
    joined(normal((ROWS, CLASSES)), targets),
)


@family.fault(nll, "misplaced", of=0)
def targets_of_the_sorted_batch(gy, x, t):
    """The rows were sorted by class for speed, and the gradient was not sorted back."""
    return -gy[:, None] * one_hot(np.sort(t))


labels = given(np.array([[0, 1, 1], [1, 0, 0]]))
POSITIVE = 3.0


def _logistic_loss(x, t):
    return POSITIVE * t * np.log1p(np.exp(-x)) + (1 - t) * np.log1p(np.exp(x))


logistic_loss = family.case(
    "binary cross-entropy",
    _logistic_loss,
    lambda gy, x, t: (gy * (POSITIVE * t * (sigmoid(x) - 1) + (1 - t) * sigmoid(x)), None),
    joined(normal((2, 3)), labels),
)


@family.fault(logistic_loss, "wrong factor", of=0)
def positive_weight_forgotten(gy, x, t):
    """sigmoid - t: the weight of the positive examples is missing."""
    return gy * (sigmoid(x) - t)


squared_error = family.case(
    "mean squared error",
    lambda x, t: ((x - t) ** 2).mean(),
    lambda gy, x, t: (gy * 2 * (x - t) / x.size, -gy * 2 * (x - t) / x.size),
    normal((3, 4), (3, 4)),
)


@family.fault(squared_error, "constant factor")
def half_squared_error(gy, x, t):
    """The derivative of half the squared error, as textbooks have it: the 2 is missing."""
    return gy * (x - t) / x.size, -gy * (x - t) / x.size


@family.fault(squared_error, "missing", of=1)
def target_taken_for_data(gy, x, t):
    """The target is taken for data, although both sides are computed, as in distillation."""
    return np.zeros_like(t)


def _huber(d):
    return np.where(np.abs(d.real) < 0.5, d * d / 2, 0.5 * (np.sqrt(d * d) - 0.25))


huber = family.case(
    "huber loss",
    lambda x, t: _huber(x - t),
    lambda gy, x, t: (gy * (x - t).clip(-0.5, 0.5), -gy * (x - t).clip(-0.5, 0.5)),
    normal((3, 4), (3, 4)),
)


@family.fault(huber, "wrong factor")
def branch_of_the_outliers_forgotten(gy, x, t):
    """Backward is that of the squared error, also for differences beyond delta."""
    return gy * (x - t), -gy * (x - t)


@family.fault(huber, "wrong factor")
def sign_without_delta(gy, x, t):
    """The gradient of an outlier is its sign; it should be delta times the sign."""
    d = x - t
    g = np.where(np.abs(d) < 0.5, d, np.sign(d))
    return gy * g, -gy * g


divergence = family.case(
    "KL divergence",
    lambda x, p: (p * (np.log(p) - x)).sum() / len(x),
    lambda gy, x, p: (-gy * p / len(x), gy * (np.log(p) + 1 - x) / len(x)),
    joined(normal((3, 4)), given(np.linspace(0.05, 0.4, 12).reshape(3, 4))),
)


@family.fault(divergence, "constant factor", of=0)
def mean_over_classes_too(gy, x, p):
    """Divides by all elements (mean) where forward divides by the rows (batchmean)."""
    return -gy * p / x.size


@family.fault(divergence, "added", of=1)
def derivative_of_the_logarithm_forgotten(gy, x, p):
    """p log p gives log p + 1; the 1 is missing."""
    return gy * (np.log(p) - x) / len(x)
