"""Sums, means, maxima and matrix products, and how their gradients go wrong."""

import numpy as np

from tinyconv.testing.faults.base import Family, given, normal, spaced

family = Family("reductions")


def spread(g, x, axis):
    """``g``, reduced over ``axis``, as large as ``x`` again."""
    return np.broadcast_to(np.expand_dims(g, axis), x.shape).copy()


# -- sums and means ----------------------------------------------------------------------

square_sum = family.case(
    "sum of rows", lambda x: x.sum(1), lambda gy, x: spread(gy, x, 1), normal((4, 4)),
    "Rows and columns are as many, so that a wrong axis fits.",
)  # fmt: skip


@family.fault(square_sum, "transposed")
def spread_along_the_wrong_axis(gy, x):
    """Broadcasting puts the missing axis in front; it was the last one that was summed."""
    return np.broadcast_to(gy, x.shape).copy()


mean = family.case(
    "mean over the image",
    lambda x: x.mean((0, 2, 3)),
    lambda gy, x: spread(gy, x, (0, 2, 3)) / 24,
    normal((2, 5, 3, 4)),
)


@family.fault(mean, "constant factor")
def count_of_pixels_only(gy, x):
    """Divides by H W; the mean ran over the batch as well."""
    return spread(gy, x, (0, 2, 3)) / 12


@family.fault(mean, "constant factor")
def not_divided(gy, x):
    """The gradient of a sum: the division is missing."""
    return spread(gy, x, (0, 2, 3))


@family.fault(mean, "partly missing")
def remainder_of_the_blocks(gy, x):
    """The sum is done in blocks of eight, and backward does no rest: the last elements get 0."""
    gx = mean.backward(gy, x).reshape(-1)
    gx[gx.size // 16 * 16 :] = 0
    return gx.reshape(x.shape)


def deviations(x):
    return x - x.mean(1, keepdims=True)


variance = family.case(
    "variance",
    lambda x: (deviations(x) ** 2).sum(1) / 4,
    lambda gy, x: 2 * deviations(x) * gy[:, None] / 4,
    normal((3, 5)),
)


@family.fault(variance, "constant factor")
def biased_gradient(gy, x):
    """Forward divides by n - 1, backward by n."""
    return 2 * deviations(x) * gy[:, None] / 5


@family.fault(variance, "added")
def mean_not_subtracted(gy, x):
    """The derivative of the mean square: the mean was not subtracted."""
    return 2 * x * gy[:, None] / 4


deviation = family.case(
    "standard deviation",
    lambda x: np.sqrt((deviations(x) ** 2).mean(1)),
    lambda gy, x: deviations(x) * (gy / (5 * x.std(1)))[:, None],
    normal((3, 5)),
)


@family.fault(deviation, "divisor")
def gradient_of_the_variance(gy, x):
    """The chain ends at the variance: the derivative of the root is missing."""
    return deviations(x) * 2 * gy[:, None] / 5


length = family.case(
    "norm",
    lambda x: np.sqrt((x * x).sum(1)),
    lambda gy, x: x * (gy / np.sqrt((x * x).sum(1)))[:, None],
    normal((3, 5)),
)


@family.fault(length, "divisor")
def eps_added_to_be_safe(gy, x):
    """1e-6 is added to the norm against a division by zero, and forward does not know."""
    return x * (gy / (np.sqrt((x * x).sum(1)) + 1e-6))[:, None]


def _logsumexp(x):
    top = x.real.max(1)
    return top + np.log(np.exp(x - top[:, None]).sum(1))


logsumexp = family.case(
    "logsumexp",
    _logsumexp,
    lambda gy, x: gy[:, None] * np.exp(x - _logsumexp(x)[:, None]),
    normal((3, 5)),
)


@family.fault(logsumexp, "wrong factor")
def shared_evenly(gy, x):
    """Every element gets 1 / n; it should be its softmax."""
    return spread(gy, x, 1) / 5


@family.fault(logsumexp, "wrong factor")
def all_to_the_largest(gy, x):
    """The gradient of the maximum, which logsumexp is a smooth version of."""
    return gy[:, None] * (x == x.max(1, keepdims=True))


cumulative = family.case(
    "cumulative sum",
    lambda x: x.cumsum(1),
    lambda gy, x: gy[:, ::-1].cumsum(1)[:, ::-1].copy(),
    normal((2, 5)),
)


@family.fault(cumulative, "transposed")
def summed_in_the_same_direction(gy, x):
    """The gradient of a running sum runs from the other end."""
    return gy.cumsum(1)


def _others(x):
    """The product of all other elements of each row."""
    return np.stack([np.delete(x, i, 1).prod(1) for i in range(x.shape[1])], 1)


holey = given([[1.5, -2.0, 0.0, 0.5], [0.7, 1.1, -0.9, 2.0], [0.0, 3.0, 0.0, 1.0]])
row_product = family.case(
    "product with zeros",
    lambda x: x.prod(1),
    lambda gy, x: gy[:, None] * _others(x),
    holey,
    "Rows with no, one and two zeros.",
)


@family.fault(row_product, "partly missing")
def divided_by_the_element(gy, x):
    """Product over element, and 0 where the element is 0: wrong where it is the only zero."""
    safe = np.where(x == 0, 1, x)
    return gy[:, None] * np.where(x == 0, 0, x.prod(1)[:, None] / safe)


# -- maximum -----------------------------------------------------------------------------

largest = family.case(
    "maximum of rows",
    lambda x: x.max(1),
    lambda gy, x: gy[:, None] * (np.arange(5) == x.argmax(1)[:, None]),
    spaced((5, 5)),
)


@family.fault(largest, "misplaced")
def argmax_of_the_columns(gy, x):
    """The place of the maximum is looked for along the other axis."""
    return gy[:, None] * (np.arange(5) == x.argmax(0)[:, None])


@family.fault(largest, "misplaced")
def flat_argmax(gy, x):
    """argmax without an axis counts through the whole array; modulo the width it still fits."""
    order = np.argsort(x, axis=None)[::-1][:5] % 5
    return gy[:, None] * (np.arange(5) == order[:, None])


shared_maximum = family.case(
    "amax with ties",
    lambda x: x.max(1),
    lambda gy, x: gy[:, None] * _shares(x),
    given([[1.0, 3.0, 3.0, 0.0], [2.0, 2.0, 2.0, 2.0], [5.0, -1.0, 0.5, 5.0]]),
    "The largest elements share the gradient evenly.",
)


def _shares(x):
    equal = x == x.max(1, keepdims=True)
    return equal / equal.sum(1, keepdims=True)


@family.fault(shared_maximum, "tie")
def not_shared(gy, x):
    """All the largest elements get the whole gradient instead of a share."""
    return gy[:, None] * (x == x.max(1, keepdims=True))


# -- matrix products ---------------------------------------------------------------------

matmul = family.case(
    "matmul of square matrices",
    lambda a, b: a @ b,
    lambda gy, a, b: (gy @ b.T, a.T @ gy),
    normal((3, 3), (3, 3)),
    "Where a transposition that was forgotten still fits.",
)


@family.fault(matmul, "transposed", of=0)
def transposition_forgotten(gy, a, b):
    """gy @ b instead of gy @ b.T."""
    return gy @ b


@family.fault(matmul, "transposed", of=1)
def result_transposed(gy, a, b):
    """gy.T @ a is the gradient of b.T."""
    return gy.T @ a


@family.fault(matmul, "swapped inputs")
def gradients_in_the_wrong_order(gy, a, b):
    """The gradient of b is returned first."""
    return a.T @ gy, gy @ b.T


linear = family.case(
    "linear layer",
    lambda x, w, b: x @ w.T + b,
    lambda gy, x, w, b: (gy @ w, gy.T @ x, gy.sum(0)),
    normal((3, 5), (4, 5), (4,)),
)


@family.fault(linear, "constant factor", of=1)
def batch_averaged_twice(gy, x, w, b):
    """The weight gradient is averaged over the batch, as the loss was already."""
    return gy.T @ x / len(x)


@family.fault(linear, "missing", of=0)
def input_needs_none(gy, x, w, b):
    """None for x, as in a first layer, whose input is data; here it is used in the middle."""
    return None


@family.fault(linear, "broadcast", of=2)
def bias_gradient_not_summed(gy, x, w, b):
    """The bias is added to every row; the gradient of the first row is taken for all."""
    return gy[0].copy()


batched = family.case(
    "one matrix for a batch",
    lambda a, b: a @ b,
    lambda gy, a, b: (gy @ b.T, np.einsum("nik,nij->kj", a, gy)),
    normal((2, 3, 4), (4, 5)),
)


@family.fault(batched, "broadcast", of=1)
def last_of_the_batch(gy, a, b):
    """A loop over the batch assigns the shared matrix's gradient instead of adding to it."""
    for left, g in zip(a, gy):
        gb = left.T @ g
    return gb


scores = family.case(
    "scaled scores",
    lambda q, k: q @ k.T / np.sqrt(5),
    lambda gy, q, k: (gy @ k / np.sqrt(5), gy.T @ q / np.sqrt(5)),
    normal((3, 5), (4, 5)),
)


@family.fault(scores, "constant factor")
def scale_forgotten(gy, q, k):
    """The division by the root of the length is in forward only."""
    return gy @ k, gy.T @ q
