"""Right derivatives with a wrong derivative of their own: seen by a second-order check only.

``second`` gets the cotangents of the gradients and returns the gradients for gy and the arrays.
"""

import numpy as np

from tinyconv.testing.faults.base import Family, elementwise, given, normal, spaced
from tinyconv.testing.faults.conv import convolve, input_gradient, weight_gradient
from tinyconv.testing.faults.norms import _softmax as softmax
from tinyconv.testing.faults.norms import _softmax_gradient as softmax_gradient
from tinyconv.testing.faults.norms import standardise, standardise_gradient
from tinyconv.testing.faults.windows import Windows

family = Family("second order")


def function(name, f, slope, curvature, arrays):
    """The case of an elementwise function with its first two derivatives."""
    return family.case(
        name, f, elementwise(slope), arrays,
        second=lambda ggs, gy, x: (ggs[0] * slope(x), ggs[0] * gy * curvature(x)),
    )  # fmt: skip


# -- elementwise -------------------------------------------------------------------------


def tanh_slope(x):
    return 1 - np.tanh(x) ** 2


tanh = function(
    "tanh twice", np.tanh, tanh_slope, lambda x: -2 * np.tanh(x) * tanh_slope(x), normal((3, 4))
)


@family.second_fault(tanh, "missing", of=1)
def output_detached(ggs, gy, x):
    """The output that backward saved is a constant, so the slope seems not to depend on x."""
    return np.zeros_like(x)


@family.second_fault(tanh, "constant factor", of=1)
def two_forgotten(ggs, gy, x):
    """The derivative of y y is 2 y, not y."""
    return ggs[0] * gy * -np.tanh(x) * tanh_slope(x)


cube = function(
    "cube twice", lambda x: x**3, lambda x: 3 * x * x, lambda x: 6 * x, spaced((3, 4), 0.5, 2)
)


@family.second_fault(cube, "sign", of=1)
def minus_one_more(ggs, gy, x):
    """A sign too many, invisible to training."""
    return -ggs[0] * gy * 6 * x


leaky = function(
    "leaky relu twice", lambda x: np.where(x.real > 0, x, 0.1 * x),
    lambda x: np.where(x > 0, 1, 0.1), np.zeros_like, given([[-2.0, 1.0, 0.5], [3.0, -0.4, -1.0]]),
)  # fmt: skip


@family.second_fault(leaky, "partly missing", of=0)
def slope_of_plain_relu(ggs, gy, x):
    """The negative side is cut off as in the plain ReLU."""
    return ggs[0] * (x > 0)


product = family.case(
    "product twice",
    lambda a, b: a * b,
    lambda gy, a, b: (gy * b, gy * a),
    normal((2, 3), (2, 3)),
    second=lambda ggs, gy, a, b: (ggs[0] * b + ggs[1] * a, ggs[1] * gy, ggs[0] * gy),
)


@family.second_fault(product, "swapped inputs")
def cross_terms_swapped(ggs, gy, a, b):
    """The gradient of a depends on b and that of b on a; here each depends on itself."""
    return ggs[0] * b + ggs[1] * a, ggs[0] * gy, ggs[1] * gy


gate = family.case(
    "channel gate twice",
    lambda x, s: x * s[..., None],
    lambda gy, x, s: (gy * s[..., None], (gy * x).sum(2)),
    normal((2, 3, 4), (2, 3)),
    second=lambda ggs, gy, x, s: (
        ggs[0] * s[..., None] + ggs[1][..., None] * x,
        gy * ggs[1][..., None],
        (gy * ggs[0]).sum(2),
    ),
)


@family.second_fault(gate, "broadcast", of=2)
def gate_not_summed(ggs, gy, x, s):
    """The gate's part takes the first pixel's share instead of the sum over all."""
    return (gy * ggs[0])[..., 0]


# -- convolution, matrix product, pools --------------------------------------------------

windows = Windows((3, 2), stride=(1, 2))
conv = family.case(
    "conv2d twice",
    lambda x, w: convolve(x, w, windows),
    lambda gy, x, w: (
        input_gradient(gy, w, windows, x.shape[2:]),
        weight_gradient(gy, x, windows),
    ),
    normal((2, 2, 4, 6), (3, 2, 3, 2)),
    second=lambda ggs, gy, x, w: (
        convolve(ggs[0], w, windows) + convolve(x, ggs[1], windows),
        input_gradient(gy, ggs[1], windows, x.shape[2:]),
        weight_gradient(gy, ggs[0], windows),
    ),
)


@family.second_fault(conv, "flipped", of=1)
def kernel_flipped_the_second_time(ggs, gy, x, w):
    """The cotangent of the kernel is turned round before it is spread over the image."""
    return input_gradient(gy, ggs[1][:, :, ::-1, ::-1], windows, x.shape[2:])


@family.second_fault(conv, "missing", of=0)
def weight_branch_forgotten(ggs, gy, x, w):
    """gy is in both gradients; what comes back through that of the weight is left out."""
    return convolve(ggs[0], w, windows)


matmul = family.case(
    "matmul twice",
    lambda a, b: a @ b,
    lambda gy, a, b: (gy @ b.T, a.T @ gy),
    normal((3, 3), (3, 3)),
    second=lambda ggs, gy, a, b: (ggs[0] @ b + a @ ggs[1], gy @ ggs[1].T, ggs[0].T @ gy),
)


@family.second_fault(matmul, "transposed", of=1)
def transposition_forgotten(ggs, gy, a, b):
    """gy @ gg instead of gy @ gg.T: fits as long as the matrix is square."""
    return gy @ ggs[1]


pairs = Windows((2, 2), stride=(2, 1))


def largest(x):
    taps = pairs.gather(x)
    return taps == taps.max((4, 5), keepdims=True)


max_pool = family.case(
    "max pool twice",
    lambda x: pairs.gather(x).max((4, 5)),
    lambda gy, x: pairs.scatter(gy[..., None, None] * largest(x), x.shape[2:]),
    spaced((2, 3, 4, 5)),
    second=lambda ggs, gy, x: ((pairs.gather(ggs[0]) * largest(x)).sum((4, 5)), np.zeros_like(x)),
)


@family.second_fault(max_pool, "misplaced", of=0)
def maximum_of_the_cotangent(ggs, gy, x):
    """The cotangents are pooled; they should be read where x was the largest."""
    return pairs.gather(ggs[0])[..., 0, 0].copy()


average_pool = family.case(
    "average pool twice",
    lambda x: pairs.gather(x).mean((4, 5)),
    lambda gy, x: pairs.scatter(gy[..., None, None] * np.full((2, 2), 0.25), x.shape[2:]),
    normal((2, 3, 4, 5)),
    second=lambda ggs, gy, x: (pairs.gather(ggs[0]).mean((4, 5)), np.zeros_like(x)),
)


@family.second_fault(average_pool, "constant factor", of=0)
def summed_the_second_time(ggs, gy, x):
    """The adjoint of the adjoint is the sum pool; it should be the average pool again."""
    return pairs.gather(ggs[0]).sum((4, 5))


# -- softmax and norms -------------------------------------------------------------------


def _softmax_second(ggs, gy, x):
    (a,), y = ggs, softmax(x)
    inner, outer = (gy * y).sum(-1, keepdims=True), (a * y).sum(-1, keepdims=True)
    return softmax_gradient(a, x), softmax_gradient(a * gy - a * inner - gy * outer, x)


attention = family.case(
    "softmax twice", softmax, softmax_gradient, normal((3, 4)), second=_softmax_second
)


@family.second_fault(attention, "detached statistics", of=1)
def normaliser_detached(ggs, gy, x):
    """In the second derivative the sum that softmax divides by is a constant."""
    (a,), y = ggs, softmax(x)
    inner, outer = (gy * y).sum(-1, keepdims=True), (a * y).sum(-1, keepdims=True)
    return y * (a * gy - a * inner - gy * outer)


def _standardise_second(ggs, gy, x):
    (a,), (z, rate) = ggs, standardise(x, -1)

    def mean(v):
        return v.mean(-1, keepdims=True)

    a0, g0 = a - mean(a), gy - mean(gy)
    az, gz = mean(a * z), mean(gy * z)
    gx = -(rate**2) * (z * (mean(a0 * g0) - 3 * az * gz) + a0 * gz + g0 * az)
    return standardise_gradient(a, x, -1), gx


norm = family.case(
    "layer norm twice",
    lambda x: standardise(x, -1)[0],
    lambda gy, x: standardise_gradient(gy, x, -1),
    normal((3, 5)),
    second=_standardise_second,
)


@family.second_fault(norm, "missing", of=1)
def linear_in_the_cotangent_only(ggs, gy, x):
    """The gradient is linear in gy, and that it depends on x as well was overlooked."""
    return np.zeros_like(x)


@family.second_fault(norm, "detached statistics", of=1)
def deviation_detached(ggs, gy, x):
    """In the second derivative the standard deviation is a constant, the mean is not."""
    (a,), (z, rate) = ggs, standardise(x, -1)
    a0, g0 = a - a.mean(-1, keepdims=True), gy - gy.mean(-1, keepdims=True)
    az, gz = (a * z).mean(-1, keepdims=True), (gy * z).mean(-1, keepdims=True)
    return -(rate**2) * (a0 * gz + g0 * az)
