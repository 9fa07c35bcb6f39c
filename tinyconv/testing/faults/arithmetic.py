"""Arithmetic, and how its derivatives go wrong."""

import math

import numpy as np

from tinyconv.testing.faults.base import Family, elementwise, given, joined, normal, spaced

family = Family("arithmetic")
positive = spaced((3, 4), 0.3, 2.9)


def function(name, f, slope, arrays, text="With ordinary numbers."):
    return family.case(name, f, elementwise(slope), arrays, text)


squared = function("x * x", lambda x: x * x, lambda x: 2 * x, normal((3, 4)))


@family.fault(squared, "constant factor")
def second_use_overwrites_the_first(gy, x):
    """x enters twice; the gradient of the second place overwrites that of the first."""
    return gy * x


cube = function("x ** 3", lambda x: x**3, lambda x: 3 * x**2, normal((3, 4)))


@family.fault(cube, "wrong factor")
def exponent_not_lowered(gy, x):
    """The exponent comes down as a factor and stays where it was as well."""
    return gy * 3 * x**3


root = function("sqrt", np.sqrt, lambda x: 0.5 / np.sqrt(x), positive)


@family.fault(root, "constant factor")
def half_forgotten(gy, x):
    """One over the root, without the half."""
    return gy / np.sqrt(x)


base_two = function("log2", np.log2, lambda x: 1 / (x * math.log(2)), positive)


@family.fault(base_two, "constant factor")
def natural_logarithm(gy, x):
    """The derivative of the natural logarithm."""
    return gy / x


degrees = function(
    "sine of degrees", lambda x: np.sin(x * (math.pi / 180)),
    lambda x: math.pi / 180 * np.cos(x * (math.pi / 180)), spaced((3, 5), -150, 170),
)  # fmt: skip


@family.fault(degrees, "constant factor")
def inner_derivative_forgotten(gy, x):
    """The derivative as if the angle were in radians."""
    return gy * np.cos(x * (math.pi / 180))


tiny = function(
    "a tiny exp", lambda x: 1e-9 * np.exp(x), lambda x: 1e-9 * np.exp(x), normal((3, 4)),
    "Outputs of 1e-9, as a loss has that was divided by its number of pixels.",
)  # fmt: skip


@family.fault(tiny, "constant factor")
def one_percent_off(gy, x):
    """All gradients are 1 % too large, and far below an absolute tolerance."""
    return gy * 1.01e-9 * np.exp(x)


@family.fault(tiny, "missing")
def underflow(gy, x):
    """The scale 1e-9 is rounded to zero by a division of whole numbers."""
    return gy * (1 // 10**9) * np.exp(x)


subtraction = family.case(
    "a - b", lambda a, b: a - b, lambda gy, a, b: (gy.copy(), -gy), normal((3, 4), (3, 4))
)


@family.fault(subtraction, "sign", of=1)
def copied_from_addition(gy, a, b):
    """The minus before b is not there in its gradient: copied from a + b."""
    return gy.copy()


division = family.case(
    "a / b", lambda a, b: a / b, lambda gy, a, b: (gy / b, -gy * a / b**2),
    joined(normal((3, 4)), positive),
)  # fmt: skip


@family.fault(division, "wrong factor", of=1)
def denominator_not_squared(gy, a, b):
    """-a / b instead of -a / b**2."""
    return -gy * a / b


product = family.case(
    "a * b", lambda a, b: a * b, lambda gy, a, b: (gy * b, gy * a), normal((2, 3), (2, 3))
)


@family.fault(product, "swapped inputs")
def factors_swapped(gy, a, b):
    """Each factor's gradient is that of the other; their shapes agree."""
    return gy * a, gy * b


gated = family.case(
    "channel gate",
    lambda x, s: x * s[..., None, None],
    lambda gy, x, s: (gy * s[..., None, None], (gy * x).sum((2, 3))),
    normal((2, 3, 4, 5), (2, 3)),
)


@family.fault(gated, "broadcast", of=1)
def gate_of_one_pixel(gy, x, s):
    """The gate is spread over the whole image and takes back the gradient of its first pixel."""
    return (gy * x)[:, :, 0, 0]


@family.fault(gated, "constant factor", of=1)
def gate_averaged(gy, x, s):
    """Un-broadcasting takes the mean where it should take the sum."""
    return (gy * x).mean((2, 3))


shared = family.case(
    "a + row", lambda a, b: a + b, lambda gy, a, b: (gy.copy(), gy.sum(0)), normal((3, 4), (4,))
)


@family.fault(shared, "broadcast", of=1)
def row_of_the_last_image(gy, a, b):
    """A row added to all rows gets the gradient of the last one only."""
    return gy[-1].copy()


tied_pair = family.case(
    "maximum(a, b) with ties",
    np.maximum,
    lambda gy, a, b: tuple([gy * ((m > n) + 0.5 * (m == n)) for m, n in ((a, b), (b, a))]),
    given([[1.0, 2.0, 3.0], [4.0, 0.5, -1.0]], [[1.0, 2.5, -3.0], [4.0, 0.5, -2.0]]),
    "Where both are equal each gets half.",
)


@family.fault(tied_pair, "tie")
def both_get_all(gy, a, b):
    """Both masks are taken with >=, so a tie counts twice."""
    return gy * (a >= b), gy * (b >= a)


def _sinc(x):
    """sin(x) / x, near 0 by its series."""
    near = np.abs(x) < 0.1
    safe = np.where(near, 1.0, x)
    return np.where(near, 1 - x**2 / 6 + x**4 / 120 - x**6 / 5040, np.sin(safe) / safe)


def _sinc_slope(x, third=1 / 3):
    near = np.abs(x) < 0.1
    safe = np.where(near, 1.0, x)
    series = -third * x + x**3 / 30 - x**5 / 840
    return np.where(near, series, np.cos(safe) / safe - np.sin(safe) / safe**2)


sinc = function(
    "sinc", _sinc, _sinc_slope, given([-2.3, -0.7, 0.05, 0.4, 1.9]),
    "One input is near 0, where the formula needs a series.",
)  # fmt: skip


@family.fault(sinc, "wrong factor")
def series_wrong(gy, x):
    """The series that takes over near 0 has -x / 2 where it should have -x / 3."""
    return gy * _sinc_slope(x, 1 / 2)
