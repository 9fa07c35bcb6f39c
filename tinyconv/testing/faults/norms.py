"""Normalisations and softmaxes: statistics of the input that are easily taken for constants."""

import numpy as np

from tinyconv.testing.faults.base import Family, joined, normal

family = Family("normalisation")
EPS = 1e-5


def standardise(x, axes):
    """(x - mean) / sqrt(var + eps) and 1 / sqrt(var + eps)."""
    centred = x - x.mean(axes, keepdims=True)
    rate = 1 / np.sqrt((centred * centred).mean(axes, keepdims=True) + EPS)
    return centred * rate, rate


def standardise_gradient(g, x, axes):
    """Backward of ``standardise``: g less its mean and less its part along the result."""
    z, rate = standardise(x, axes)
    return rate * (g - g.mean(axes, keepdims=True) - z * (g * z).mean(axes, keepdims=True))


def per_channel(v):
    return v[:, None, None]


# -- batch norm, training ----------------------------------------------------------------

BATCH = (0, 2, 3)


def _batch_norm(x, w, b):
    return per_channel(w) * standardise(x, BATCH)[0] + per_channel(b)


def _batch_norm_gradients(gy, x, w, b):
    z, _ = standardise(x, BATCH)
    gx = standardise_gradient(gy * per_channel(w), x, BATCH)
    return gx, (gy * z).sum(BATCH), gy.sum(BATCH)


batch_norm = family.case(
    "batch norm",
    _batch_norm,
    _batch_norm_gradients,
    joined(normal((4, 3, 2, 5)), normal((3,), (3,), seed=1)),
)


@family.fault(batch_norm, "detached statistics", of=0)
def mean_term_lost(gy, x, w, b):
    """The mean of the batch is taken for a constant."""
    g = gy * per_channel(w)
    z, rate = standardise(x, BATCH)
    return rate * (g - z * (g * z).mean(BATCH, keepdims=True))


@family.fault(batch_norm, "detached statistics", of=0)
def variance_term_lost(gy, x, w, b):
    """The variance of the batch is taken for a constant."""
    g = gy * per_channel(w)
    return standardise(x, BATCH)[1] * (g - g.mean(BATCH, keepdims=True))


@family.fault(batch_norm, "detached statistics", of=0)
def statistics_detached(gy, x, w, b):
    """Both statistics were cut out of the graph: backward only rescales."""
    return gy * per_channel(w) * standardise(x, BATCH)[1]


@family.fault(batch_norm, "detached statistics", of=0)
def statistics_stale(gy, x, w, b):
    """Backward uses the running variance, 1 as it was in the beginning, as eval mode does."""
    return gy * per_channel(w) / np.sqrt(1 + EPS)


@family.fault(batch_norm, "wrong factor", of=0)
def scale_forgotten(gy, x, w, b):
    """gx lacks the weight: right as long as the weights are the ones they start as."""
    return standardise_gradient(gy, x, BATCH)


@family.fault(batch_norm, "constant factor", of=0)
def one_in_a_hundred_thousand(gy, x, w, b):
    """A constant that was typed with too few digits, 1e-5 off."""
    return 1.00001 * batch_norm.backward(gy, x, w, b)[0]


@family.fault(batch_norm, "swapped inputs")
def weight_and_bias_swapped(gy, x, w, b):
    """The gradients of weight and bias are returned in the other order; their shapes agree."""
    gx, gw, gb = batch_norm.backward(gy, x, w, b)
    return gx, gb, gw


@family.fault(batch_norm, "missing", of=2)
def bias_taken_for_a_statistic(gy, x, w, b):
    """The bias takes part in the mean that is subtracted, so somebody thought it has no effect."""
    return np.zeros_like(b)


@family.fault(batch_norm, "partly missing", of=1)
def last_channel_forgotten(gy, x, w, b):
    """Channels are shared among threads by C // threads, and the odd one is left."""
    gw = batch_norm.backward(gy, x, w, b)[1]
    gw[-1] = 0
    return gw


def _small_channels():
    x, w, b = batch_norm.arrays()
    return x * np.array([1e-2, 1e-1, 1.0])[:, None, None], w, b


quiet_batch_norm = family.case(
    "batch norm of quiet channels", _batch_norm, _batch_norm_gradients, _small_channels,
    "Channels with variances of 1e-4, 1e-2 and 1, so that eps = 1e-5 has a say.",
)  # fmt: skip


@family.fault(quiet_batch_norm, "wrong factor", of=0)
def eps_outside_the_root(gy, x, w, b):
    """Backward divides by sqrt(var) + eps where forward does by sqrt(var + eps)."""
    right = quiet_batch_norm.backward(gy, x, w, b)[0]
    var = x.var(BATCH, keepdims=True)
    return right * np.sqrt(var + EPS) / (np.sqrt(var) + EPS)


@family.fault(quiet_batch_norm, "wrong factor", of=0)
def variance_unbiased(gy, x, w, b):
    """Backward divides by the unbiased variance, which only the running one should be."""
    right = quiet_batch_norm.backward(gy, x, w, b)[0]
    biased, unbiased = x.var(BATCH, keepdims=True), x.var(BATCH, keepdims=True, ddof=1)
    return right * np.sqrt((biased + EPS) / (unbiased + EPS))


# -- batch norm, evaluation --------------------------------------------------------------

running_mean, running_var = np.array([0.3, -0.2, 0.1]), np.array([0.5, 1.5, 2.0])


def _frozen(x):
    return (x - per_channel(running_mean)) / np.sqrt(per_channel(running_var) + EPS)


frozen = family.case(
    "batch norm in eval mode",
    _frozen,
    lambda gy, x: gy / np.sqrt(per_channel(running_var) + EPS),
    normal((2, 3, 4, 1)),
)


@family.fault(frozen, "added")
def mean_subtracted_all_the_same(gy, x):
    """Backward still subtracts the mean, though the statistics are constants in eval mode."""
    g = gy - gy.mean(BATCH, keepdims=True)
    return g / np.sqrt(per_channel(running_var) + EPS)


@family.fault(frozen, "wrong factor")
def variance_for_deviation(gy, x):
    """Divides by the running variance, not by its root."""
    return gy / (per_channel(running_var) + EPS)


# -- layer, group and other norms --------------------------------------------------------


layer_norm = family.case(
    "layer norm",
    lambda x, w: w * standardise(x, -1)[0],
    lambda gy, x, w: (
        standardise_gradient(gy * w, x, -1),
        (gy * standardise(x, -1)[0]).sum((0, 1)),
    ),
    normal((2, 3, 5), (5,)),
)


@family.fault(layer_norm, "transposed", of=0)
def weight_after_the_means(gy, x, w):
    """The weight is multiplied in at the end; it belongs before the means are taken."""
    return w * standardise_gradient(gy, x, -1)


@family.fault(layer_norm, "broadcast", of=1)
def weight_of_the_first_row(gy, x, w):
    """The weight is shared by all rows; only those of the first image are summed."""
    return (gy * standardise(x, -1)[0])[0].sum(0)


def _group_norm(x):
    return standardise(x.reshape(2, 2, -1), -1)[0].reshape(x.shape)


def _group_norm_gradient(gy, x):
    return standardise_gradient(gy.reshape(2, 2, -1), x.reshape(2, 2, -1), -1).reshape(x.shape)


group_norm = family.case("group norm", _group_norm, _group_norm_gradient, normal((2, 4, 3, 5)))


@family.fault(group_norm, "detached statistics")
def group_mean_detached(gy, x):
    """The mean of each group is taken for a constant."""
    g, (z, rate) = gy.reshape(2, 2, -1), standardise(x.reshape(2, 2, -1), -1)
    return (rate * (g - z * (g * z).mean(-1, keepdims=True))).reshape(x.shape)


def root_mean_square(x):
    return np.sqrt((x * x).mean(-1, keepdims=True) + EPS)


def _rms_norm_gradient(gy, x):
    y, r = x / root_mean_square(x), root_mean_square(x)
    return (gy - y * (gy * y).mean(-1, keepdims=True)) / r


rms_norm = family.case(
    "RMS norm", lambda x: x / root_mean_square(x), _rms_norm_gradient, normal((3, 2, 5))
)


@family.fault(rms_norm, "detached statistics")
def norm_taken_for_constant(gy, x):
    """The root mean square is divided by and not differentiated."""
    return gy / root_mean_square(x)


def length(w):
    return np.sqrt((w * w).sum((1, 2, 3), keepdims=True))


def _weight_norm_gradients(gy, w, g):
    unit = w / length(w)
    along = (gy * unit).sum((1, 2, 3), keepdims=True)
    return g[:, None, None, None] / length(w) * (gy - unit * along), along[:, 0, 0, 0]


weight_norm = family.case(
    "weight norm",
    lambda w, g: g[:, None, None, None] * w / length(w),
    _weight_norm_gradients,
    normal((4, 2, 3, 1), (4,)),
)


@family.fault(weight_norm, "detached statistics", of=0)
def length_taken_for_constant(gy, w, g):
    """The filter's own length is not differentiated: gw is not at right angles to w."""
    return g[:, None, None, None] / length(w) * gy


# -- local response norm -----------------------------------------------------------------

ALPHA, BETA = 0.3, 0.75


def neighbours(a):
    """Sum over each channel and the ones beside it; its own adjoint."""
    total = a.copy()
    total[:, 1:] += a[:, :-1]
    total[:, :-1] += a[:, 1:]
    return total


def _response(x):
    return 1 + ALPHA / 3 * neighbours(x * x)


def _local_response_gradient(gy, x):
    s = _response(x)
    inner = neighbours(gy * x * s ** (-BETA - 1))
    return gy * s**-BETA - 2 * ALPHA * BETA / 3 * x * inner


local_response = family.case(
    "local response norm", lambda x: x * _response(x) ** -BETA, _local_response_gradient,
    normal((2, 5, 3, 4)),
)  # fmt: skip


@family.fault(local_response, "detached statistics")
def neighbours_detached(gy, x):
    """The divisor is taken for a constant."""
    return gy * _response(x) ** -BETA


@family.fault(local_response, "partly missing")
def own_channel_only(gy, x):
    """What a channel does to its neighbours through their divisors is left out."""
    s = _response(x)
    return gy * s**-BETA - 2 * ALPHA * BETA / 3 * gy * x * x * s ** (-BETA - 1)


# -- softmax -----------------------------------------------------------------------------


def _softmax(x):
    e = np.exp(x - x.max(-1, keepdims=True).real)
    return e / e.sum(-1, keepdims=True)


def _softmax_gradient(gy, x):
    y = _softmax(x)
    return y * (gy - (gy * y).sum(-1, keepdims=True))


softmax = family.case("softmax", _softmax, _softmax_gradient, normal((3, 4, 5)))


@family.fault(softmax, "detached statistics")
def normaliser_taken_for_constant(gy, x):
    """The derivative of exp alone; the sum it is divided by is not differentiated."""
    return gy * _softmax(x)


@family.fault(softmax, "partly missing")
def diagonal_only(gy, x):
    """y (1 - y), the derivative of a sigmoid: classes have no effect on each other."""
    y = _softmax(x)
    return gy * y * (1 - y)


def _log_softmax(x):
    shifted = x - x.max(-1, keepdims=True).real
    return shifted - np.log(np.exp(shifted).sum(-1, keepdims=True))


log_softmax = family.case(
    "log-softmax",
    _log_softmax,
    lambda gy, x: gy - _softmax(x) * gy.sum(-1, keepdims=True),
    normal((3, 5)),
)


@family.fault(log_softmax, "partly missing")
def cotangents_not_summed(gy, x):
    """softmax * gy instead of softmax * sum(gy): fine for one-hot gy at the same class."""
    return gy - _softmax(x) * gy


@family.fault(log_softmax, "detached statistics")
def log_sum_taken_for_constant(gy, x):
    """The logarithm of the sum is subtracted and not differentiated."""
    return gy.copy()


square = family.case(
    "softmax over channels",
    lambda x: np.moveaxis(_softmax(np.moveaxis(x, 1, -1)), -1, 1),
    lambda gy, x: np.moveaxis(
        _softmax_gradient(np.moveaxis(gy, 1, -1), np.moveaxis(x, 1, -1)), -1, 1
    ),
    normal((2, 3, 4)),
)


@family.fault(square, "unknown")
def summed_over_the_last_axis(gy, x):
    """The inner sum of backward runs over the last axis, not over the channels."""
    y = square.forward(x)
    return y * (gy - (gy * y).sum(-1, keepdims=True))
