"""Right derivatives of steep, huge, tiny and nearly cancelling numbers.

A fixed step or a fixed tolerance is too coarse for some of them and too fine for others.
"""

from collections.abc import Callable

import numpy as np

from tinyconv.testing.faults.base import Family, elementwise, given, normal
from tinyconv.testing.faults.conv import convolve, input_gradient, weight_gradient
from tinyconv.testing.faults.norms import _log_softmax as log_softmax
from tinyconv.testing.faults.norms import _softmax as softmax
from tinyconv.testing.faults.norms import _softmax_gradient as softmax_gradient
from tinyconv.testing.faults.windows import Windows

family = Family("extremes")


def at(name, f, slope, values, text):
    return family.case(name, f, elementwise(slope), given(values), text)


def sigmoid(x):
    return 1 / (1 + np.exp(-x))


# each case is a paragraph
# fmt: off

ordinary = [0.3, -1.2, 0.8, 2.1, -0.6]

# -- steep -------------------------------------------------------------------------------

at("tanh(1e4 x)", lambda x: np.tanh(1e4 * x), lambda x: 1e4 / np.cosh(1e4 * x) ** 2,
   [1e-4, -2e-4, 3e-5, 0.0], "Rises within 1e-4.")
at("sin(1e5 x)", lambda x: np.sin(1e5 * x), lambda x: 1e5 * np.cos(1e5 * x), ordinary,
   "A period of 6e-5.")
at("a narrow bell", lambda x: np.exp(-((x / 1e-3) ** 2) / 2),
   lambda x: -x / 1e-6 * np.exp(-((x / 1e-3) ** 2) / 2), [1e-3, -5e-4, 2e-3],
   "A deviation of 1e-3.")
at("x ** 20", lambda x: x**20, lambda x: 20 * x**19, ordinary, "Slopes from 1e-9 to 3e7.")
at("tan near its pole", np.tan, lambda x: 1 + np.tan(x) ** 2, [1.57, 1.5, -1.56, 0.4],
   "1.57 is 8e-4 from the pole.")
at("a factor of 1e12", lambda x: 1e12 * x, lambda x: np.full_like(x, 1e12), ordinary,
   "Linear, and far above any absolute tolerance.")
at("exp(50)", np.exp, np.exp, [50.0, -50.0, 0.0, 30.0], "Outputs from 1e-22 to 1e21.")
at("x ** 0.3 near 0", lambda x: x**0.3, lambda x: 0.3 * x**-0.7, [1e-9, 1e-6, 0.5],
   "The slope rises to 6e5.")

# -- huge and tiny -----------------------------------------------------------------------

at("squares of 1e8", lambda x: x * x, lambda x: 2 * x, [1e8, -3e8, 2e8],
   "A step of 1e-6 is lost in the rounding of x.")
at("squares of 1e150", lambda x: x * x, lambda x: 2 * x, [1e150, -5e149],
   "Not far from overflow.")
at("squares of 1e-8", lambda x: x * x, lambda x: 2 * x, [1e-8, -3e-8, 2e-8],
   "Gradients of 1e-8.")
at("roots of 1e-200", np.sqrt, lambda x: 0.5 / np.sqrt(x), [1e-200, 3e-200],
   "Any usual step reaches negative numbers.")
at("x / 3 at 1e-200", lambda x: x / 3, lambda x: np.full_like(x, 1 / 3), [1e-200, -2e-200],
   "Linear at tiny inputs.")
at("squares of all sizes", lambda x: x * x, lambda x: 2 * x, [1e-9, 1e-3, 1.0, 1e4, -1e9],
   "Sizes from 1e-9 to 1e9 in one array.")
at("logarithms of all sizes", np.log, lambda x: 1 / x, [1e-12, 1e-5, 1.0, 1e6, 1e12],
   "Slopes from 1e-12 to 1e12.")
family.case("1e200 times 1e-200", lambda a, b: a * b, lambda gy, a, b: (gy * b, gy * a),
            given([1e200, -2e200], [3e-200, 1e-200]), "Sizes far apart in two arrays.")
at("outputs of 1e-12", lambda x: 1e-12 * np.sin(x), lambda x: 1e-12 * np.cos(x), ordinary,
   "Nothing to see for an absolute tolerance.")
at("squares at 0", lambda x: x * x, lambda x: 2 * x, [0.0, 1.0, -0.0, -2.0],
   "A step cannot be scaled to an input of 0.")
at("roots near 0", np.sqrt, lambda x: 0.5 / np.sqrt(x), [1e-10, 1e-4, 2.0],
   "A step of 1e-6 reaches negative numbers.")
at("1 / x at 1e-6", lambda x: 1 / x, lambda x: -1 / x**2, [1e-6, -2e-6, 1e-3],
   "A step of 1e-6 reaches the pole.")
at("log1p of 1e-10", np.log1p, lambda x: 1 / (1 + x), [1e-10, -1e-10, 0.0, 0.5],
   "Right near 0, where log(1 + x) is not.")
at("cosines of 1e6 radians", np.cos, lambda x: -np.sin(x), [1e6, -2e6, 3e5],
   "The step that fits to x is longer than the period.")
at("sin(x) / x at 0", lambda x: np.sinc(x / np.pi),
   lambda x: np.where(x == 0, 0, np.cos(x) / np.where(x == 0, 1, x)
                      - np.sin(x) / np.where(x == 0, 1, x) ** 2),
   [0.0, 1.0, -2.0], "The limit at 0.")

# -- cancelling --------------------------------------------------------------------------

at("(x + 1e8) - 1e8", lambda x: (x + 1e8) - 1e8, np.ones_like, ordinary,
   "Half of the digits are lost on the way.")
at("x on 1e10", lambda x: 1e10 + x * x, lambda x: 2 * x, ordinary,
   "A small change of a large number.")
family.case("a sum with 1e8 in it", lambda x: x.sum(1), lambda gy, x: np.outer(gy, np.ones(4)),
            given([[1e8, 1.0, -1e8, 2.0], [1.0, 2.0, 3.0, 4.0]]),
            "The large elements cancel, the small ones lose digits.")


def _variance_gradient(gy, x):
    return gy * 2 * (x - x.mean()) / x.size


family.case("variance on 1e6", lambda x: ((x - x.mean()) ** 2).mean(), _variance_gradient,
            normal((7,), shift=1e6), "Deviations of 1 around 1e6.")


def _top(x):
    return x.real.max(1, keepdims=True)


def _logsumexp(x):
    return (_top(x) + np.log(np.exp(x - _top(x)).sum(1, keepdims=True)))[:, 0]


family.case("logsumexp of thousands", _logsumexp, lambda gy, x: gy[:, None] * softmax(x),
            given([[1000.0, 1001.0, 999.5], [-2000.0, -2000.5, -1998.0]]),
            "Overflows unless the largest is subtracted.")


def standardiser(eps) -> tuple[Callable, Callable]:
    """(forward, backward) of (x - mean) / sqrt(var + eps) by rows."""

    def parts(x):
        centred = x - x.mean(1, keepdims=True)
        rate = 1 / np.sqrt((centred * centred).mean(1, keepdims=True) + eps)
        return centred * rate, rate

    def backward(gy, x):
        z, rate = parts(x)
        g = gy - gy.mean(1, keepdims=True)
        return rate * (g - z * (g * z).mean(1, keepdims=True))

    return lambda x: parts(x)[0], backward


family.case("norm of almost nothing", *standardiser(1e-5), normal((2, 5), scale=1e-6),
            "A variance of 1e-12 beside eps = 1e-5.")
family.case("norm with a tiny eps", *standardiser(1e-12), normal((2, 5), scale=1e-5),
            "A variance of 1e-10: slopes of 1e5 that change within 1e-5.")
family.case("norm far from 0", *standardiser(1e-5), normal((2, 5), shift=1e4, scale=0.1),
            "Deviations of 0.1 around 1e4.")
family.case("norm of equal numbers", *standardiser(1e-5), given(np.full((2, 4), 0.75)),
            "No variance at all: eps alone divides.")

# -- saturated ---------------------------------------------------------------------------

at("saturated sigmoid", sigmoid, lambda x: sigmoid(x) * sigmoid(-x), [40.0, -40.0, 15.0, 0.5],
   "1 - 4e-18 is 1 in floating point.")
at("softplus of 50", lambda x: np.logaddexp(0, x), sigmoid, [50.0, -50.0, 0.5, -3.0],
   "A straight line on the right, nothing on the left.")
family.case("saturated softmax", softmax, softmax_gradient,
            given([[60.0, 0.0, -5.0], [1.0, 2.0, 4.0]]),
            "One class has all but 1e-26 of a row.")
family.case("confident log-softmax", log_softmax,
            lambda gy, x: gy - softmax(x) * gy.sum(-1, keepdims=True),
            given([[30.0, 0.0, -200.0], [1.0, 500.0, 499.0]]),
            "Differences of hundreds.")

# -- networks ----------------------------------------------------------------------------

windows = Windows((2, 3))


def _conv_gradients(gy, x, w):
    return input_gradient(gy, w, windows, x.shape[2:]), weight_gradient(gy, x, windows)


def scaled(x_scale, w_scale):
    x, w = normal((1, 2, 3, 4), (3, 2, 2, 3))()
    return given(x * x_scale, w * w_scale)


family.case("conv2d with weights of 1e-10", lambda x, w: convolve(x, w, windows), _conv_gradients,
            scaled(1, 1e-10), "The gradient of x is all below 1e-8.")
family.case("conv2d of a raw image", lambda x, w: convolve(x, w, windows), _conv_gradients,
            scaled(1e6, 1e-3), "Pixels of 1e6 and weights of 1e-3.")


def _deep(x):
    for _ in range(12):
        x = np.tanh(2 * x)
    return x


def _deep_gradient(gy, x):
    layers = [x]
    for _ in range(12):
        layers.append(np.tanh(2 * layers[-1]))
    for y in reversed(layers[1:]):
        gy = gy * 2 * (1 - y * y)
    return gy


family.case("twelve layers of tanh", _deep, _deep_gradient, given([0.9, -0.01, 1e-3, 0.2, -1.5]),
            "Gradients from 1e-4 to 4e3.")
family.case("inverse of a poor matrix", np.linalg.inv,
            lambda gy, a: -np.linalg.inv(a).T @ gy @ np.linalg.inv(a).T,
            given([[1.0, 1.0, 0.0], [1.0, 1.00013, 0.0], [0.0, 2.0, 3.0]]),
            "A condition of some 1e5.")
family.case("product of a long row", lambda x: x.prod(), lambda gy, x: gy * x.prod() / x,
            given(np.linspace(0.01, 3, 40)), "Forty factors from 0.01 to 3.")
