"""Activations, and how their derivatives go wrong."""

import math

import numpy as np

from tinyconv.testing.faults.base import Family, elementwise, joined, normal, spaced

family = Family("activations")

#: (2, 3, 4) numbers from -3.1 to 3.2, none of them near 0 or another whole number
values = spaced((2, 3, 4), -3.1, 3.2)


def activation(name, f, slope):
    return family.case(name, f, elementwise(slope), values)


def sigmoid(x):
    return 1 / (1 + np.exp(-x))


relu = activation("relu", lambda x: np.where(x.real > 0, x, 0), lambda x: 1.0 * (x > 0))


@family.fault(relu, "not linear")
def mask_of_the_cotangent(gy, x):
    """Lets the positive cotangents through; it should be those of positive inputs."""
    return gy * (gy > 0)


@family.fault(relu, "not linear")
def guided(gy, x):
    """Guided backpropagation, meant for pictures, is left switched on: negative gy vanish."""
    return gy * (x > 0) * (gy > 0)


leaky = activation(
    "leaky relu", lambda x: np.where(x.real > 0, x, 0.1 * x), lambda x: np.where(x > 0, 1, 0.1)
)


@family.fault(leaky, "wrong factor")
def slope_on_the_wrong_side(gy, x):
    """The arguments of where() are the wrong way round."""
    return gy * np.where(x > 0, 0.1, 1)


@family.fault(leaky, "not linear")
def negative_cotangents_halved(gy, x):
    """The slope is looked up by the sign of x * gy instead of x."""
    return gy * np.where(x * gy > 0, 1, 0.1)


prelu = family.case(
    "prelu",
    lambda x, a: np.where(x.real > 0, x, a[:, None] * x),
    lambda gy, x, a: (gy * np.where(x > 0, 1, a[:, None]), (gy * x * (x < 0)).sum((0, 2))),
    joined(values, normal((3,))),
)


@family.fault(prelu, "wrong factor", of=1)
def positive_inputs_counted(gy, x, a):
    """The slope's gradient sums gy x over all inputs; positive ones have nothing to do with it."""
    return (gy * x).sum((0, 2))


elu = activation(
    "elu", lambda x: np.where(x.real > 0, x, 0.7 * (np.exp(np.where(x.real > 0, 0, x)) - 1)),
    lambda x: np.where(x > 0, 1, 0.7 * np.exp(x)),
)  # fmt: skip


@family.fault(elu, "wrong factor")
def alpha_forgotten(gy, x):
    """alpha stands before exp in forward, and not in backward: fine while it is 1."""
    return gy * np.where(x > 0, 1, np.exp(x))


erf = np.vectorize(math.erf, otypes=[float])
gelu = activation(
    "gelu",
    lambda x: x * (1 + erf(x / math.sqrt(2))) / 2,
    lambda x: (1 + erf(x / math.sqrt(2))) / 2 + x * np.exp(-x * x / 2) / math.sqrt(2 * math.pi),
)


ROOT = math.sqrt(2 / math.pi)


def tanh_gelu(x):
    return x * (1 + np.tanh(ROOT * (x + 0.044715 * x**3))) / 2


def tanh_gelu_slope(x, c=ROOT):
    t = np.tanh(c * (x + 0.044715 * x**3))
    return (1 + t) / 2 + x * (1 - t * t) * c * (1 + 3 * 0.044715 * x * x) / 2


@family.fault(gelu, "wrong factor")
def derivative_of_the_approximation(gy, x):
    """Forward is the exact GELU, backward belongs to its tanh approximation."""
    return gy * tanh_gelu_slope(x)


approximate_gelu = activation("tanh gelu", tanh_gelu, tanh_gelu_slope)


@family.fault(approximate_gelu, "wrong factor")
def sixth_digit(gy, x):
    """sqrt(2 / pi) is 0.797885, here typed as 0.797882."""
    return gy * tanh_gelu_slope(x, 0.797882)


silu = activation(
    "silu", lambda x: x * sigmoid(x), lambda x: sigmoid(x) * (1 + x * (1 - sigmoid(x)))
)


@family.fault(silu, "wrong factor")
def gate_taken_for_constant(gy, x):
    """The derivative of x alone: the sigmoid that multiplies it depends on x too."""
    return gy * sigmoid(x)


tanh = activation("tanh", np.tanh, lambda x: 1 - np.tanh(x) ** 2)


@family.fault(tanh, "wrong factor")
def input_for_output(gy, x):
    """1 - y y is computed with x, which was saved where y was meant."""
    return gy * (1 - x * x)


@family.fault(tanh, "precision")
def half_saved(gy, x):
    """The output is kept for backward in float32, to save memory."""
    y = np.tanh(x).astype(np.float32)
    return gy * (1 - y * y)


@family.fault(tanh, "not linear")
def large_cotangents_clipped(gy, x):
    """Gradients are clipped at 3 inside the op; a unit cotangent never sees it."""
    return gy.clip(-3, 3) * (1 - np.tanh(x) ** 2)


softplus = activation("softplus", lambda x: np.log1p(np.exp(x)), sigmoid)


@family.fault(softplus, "wrong factor")
def sigmoid_of_minus_x(gy, x):
    """The sign inside the exponential is lost: 1 / (1 + exp(x))."""
    return gy * sigmoid(-x)


logistic = activation("sigmoid", sigmoid, lambda x: sigmoid(x) * (1 - sigmoid(x)))


@family.fault(logistic, "wrong factor")
def output_clipped(gy, x):
    """The saved output is clipped to [0.05, 0.95] for a logarithm that came later."""
    y = sigmoid(x).clip(0.05, 0.95)
    return gy * y * (1 - y)


hard_sigmoid = activation(
    "hard sigmoid", lambda x: np.where(np.abs(x.real) < 3, x / 6 + 0.5, 1.0 * (x.real > 0)),
    lambda x: (np.abs(x) < 3) / 6,
)  # fmt: skip


@family.fault(hard_sigmoid, "constant factor")
def slope_of_another_definition(gy, x):
    """The slope is 0.2, as older libraries define it, where forward has 1/6."""
    return gy * (np.abs(x) < 3) * 0.2


clamp = activation(
    "clamp",
    lambda x: np.where(x.real < -1.5, -1.5, np.where(x.real > 2, 2, x)),
    lambda x: 1.0 * ((x > -1.5) & (x < 2)),
)


@family.fault(clamp, "wrong factor")
def passes_outside(gy, x):
    """A straight-through estimate: the gradient passes outside the bounds as well."""
    return gy.copy()


@family.fault(clamp, "partly missing")
def bounds_taken_for_one(gy, x):
    """The bounds are taken for -1 and 1, so inputs between them and the real ones get nothing."""
    return gy * (np.abs(x) < 1)


magnitude = activation("abs", lambda x: np.where(x.real < 0, -x, x), np.sign)


@family.fault(magnitude, "sign")
def sign_forgotten(gy, x):
    """The gradient passes unchanged, also where abs turned the sign round."""
    return gy.copy()


softsign = activation("softsign", lambda x: x / (1 + np.abs(x)), lambda x: (1 + np.abs(x)) ** -2)


@family.fault(softsign, "wrong factor")
def square_forgotten(gy, x):
    """The denominator of the derivative is not squared."""
    return gy / (1 + np.abs(x))


mask = np.random.default_rng(3).random((2, 3, 4)) > 0.25
dropout = activation("dropout", lambda x: x * mask / 0.75, lambda x: mask / 0.75)


@family.fault(dropout, "constant factor")
def survivors_not_scaled(gy, x):
    """Backward only masks; forward also divides by 1 - p."""
    return gy * mask


@family.fault(dropout, "wrong factor")
def dropped_units_kept(gy, x):
    """Backward only scales; forward also masks."""
    return gy / 0.75


softened = activation(
    "softened sigmoid", lambda x: sigmoid(x / 4), lambda x: sigmoid(x / 4) * sigmoid(-x / 4) / 4
)


@family.fault(softened, "constant factor")
def temperature_forgotten(gy, x):
    """The inner derivative, one over the temperature, is missing."""
    return gy * sigmoid(x / 4) * sigmoid(-x / 4)
