"""The ladder of steps: its error bars are honest, and it knows kinks, jumps and edges."""

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tinyconv.testing.slopes import EDGE, FLAT, JUMP, KINK, SMOOTH, UNRESOLVED, slopes


def at(f, x, factor=1.3):
    """The Slopes of a function of one number, which returns a number or an array."""
    x = np.float64(x)

    def value(x):
        with np.errstate(all="ignore"):
            return np.atleast_1d(f(x)).astype(float)

    return slopes(lambda t: (value(x + t), float(x + t - x)), value(x), {abs(x) or 1.0, 1.0},
                  factor=factor)  # fmt: skip


SMOOTH_CASES = {
    "sine": (np.sin, 1.3, math.cos(1.3)),
    "a fast sine": (lambda x: np.sin(1e5 * x), 1.3, 1e5 * math.cos(1.3e5)),
    "a steep tanh": (lambda x: np.tanh(1e6 * x), 0.0, 1e6),
    "a steep tanh beside 0": (lambda x: np.tanh(1e4 * x), 1e-5, 1e4 / math.cosh(0.1) ** 2),
    "a ripple on a ramp": (lambda x: x + 1e-9 * np.sin(1e6 * x), 1.0, 1 + 1e-3 * math.cos(1e6)),
    "nearly cancelling": (lambda x: (x + 1e8) - 1e8, 0.7, 1.0),
    "just off a kink": (lambda x: np.maximum(x - 1, 0), 1 + 1e-9, 1.0),
    "exp, large": (np.exp, 700.0, math.exp(700)),
    "exp at almost 0": (np.exp, 1e-30, 1.0),
    "huge": (lambda x: x * x, 1e150, 2e150),
    "flat bottom": (lambda x: x**3, 0.0, 0.0),
    "root near 0": (np.sqrt, 1e-30, 0.5e15),
    "period met by powers of 4": (lambda x: np.sin(2 * np.pi * x), 16.0, 2 * np.pi),
    "tiny scale": (lambda x: 1e-12 * x * x, 1.2, 2.4e-12),
    "arctan of a steep line": (lambda x: np.arctan(1e8 * x), 0.0, 1e8),
    "float32 inside": (lambda x: float(np.float32(np.sin(np.float32(x)))), 1.3, math.cos(1.3)),
}


@pytest.mark.parametrize("name", SMOOTH_CASES)
@pytest.mark.parametrize("factor", [1.0, 1.37, 1.9])
def test_the_bar_holds_the_error(name, factor):
    f, x, true = SMOOTH_CASES[name]
    s = at(f, x, factor)
    assert s.kind[0] == SMOOTH
    assert abs(s.value[0] - true) <= s.bar[0] + 1e-15 * abs(true)


def test_stairs_of_rounding_leave_two_answers():
    """1 - y * y of a saturated tanh keeps few digits; from afar the true slope is seen."""
    s = at(lambda x: (1 - np.tanh(3.4 * x) ** 2) * x, 3.4)
    true = -(2 * 3.4 * 3.4 - 1) / math.cosh(3.4 * 3.4) ** 2
    assert abs(s.far[0] - true) <= s.far_bar[0] < 1e-3 * abs(true)


@given(
    coefficients=st.lists(st.floats(-3, 3), min_size=1, max_size=6),
    frequency=st.floats(0.1, 1e4),
    x=st.floats(-5, 5),
)
def test_the_bar_holds_the_error_of_random_smooth_functions(coefficients, frequency, x):
    """Polynomial plus sine: the derivative is known in closed form."""
    p = np.polynomial.Polynomial(coefficients)
    s = at(lambda x: p(x) + np.sin(frequency * x), x)
    true = p.deriv()(x) + frequency * math.cos(frequency * x)
    # x itself is only known to a rounding, which the frequency magnifies in the closed form
    slack = (
        4e-16 * frequency * (1 + frequency * abs(x)) + 1e-14 * sum(map(abs, coefficients)) * 5**5
    )
    assert abs(s.value[0] - true) <= s.bar[0] + slack
    assert s.bar[0] <= 1e-5 * (abs(true) + frequency + 1)


def test_bars_hold_for_many_elements_at_once():
    """Ten thousand outputs: no bar may be too small even once in so many draws of rounding."""
    rng = np.random.default_rng(0)
    x = rng.standard_normal((8, 20, 60)) + 100
    d = rng.standard_normal(x.shape) * 100

    def normalise(x):
        c = x - x.mean((0, 2), keepdims=True)
        return (c / np.sqrt((c * c).mean((0, 2), keepdims=True) + 1e-5)).ravel()

    true = normalise(x + 1e-20j * d).imag / 1e-20
    s = slopes(lambda t: (normalise(x + t * d), t), normalise(x), {1.0, 0.01}, factor=1.3)
    assert np.all(s.kind == SMOOTH)
    assert np.all(np.abs(s.value - true) <= s.bar)


@pytest.mark.parametrize(
    "f, x, low, high",
    [
        (lambda x: np.maximum(x, 0), 0.0, 0, 1),
        (np.abs, 0.0, -1, 1),
        (lambda x: abs(x - 1) + np.sin(x), 1.0, math.cos(1) - 1, math.cos(1) + 1),
        (lambda x: np.minimum(np.exp(x), 2 - np.exp(-x)), 0.0, 1, 1),
    ],
)
def test_kinks_show_the_hull_of_both_sides(f, x, low, high):
    s = at(f, x)
    if low == high:
        assert s.kind[0] == SMOOTH
        low = high = s.value[0]
    else:
        assert s.kind[0] == KINK
    assert abs(s.low[0] - low) < 1e-5 and abs(s.high[0] - high) < 1e-5


@pytest.mark.parametrize(
    "f, x, kind",
    [
        (np.sign, 0.0, JUMP),
        (np.floor, 2.0, JUMP),
        (np.sqrt, 0.0, JUMP),  # infinitely steep
        (np.cbrt, 0.0, JUMP),
        (np.floor, 2.3, FLAT),
        (lambda x: np.tanh(1e6 * x), 0.3, FLAT),
        (lambda x: 0.0 * x + 3, 1.0, None),
        (lambda x: x * np.sqrt(x) if x >= 0 else np.nan, 1.0, SMOOTH),
        (lambda x: x + 1 if x >= 0 else np.nan, 0.0, EDGE),
        (lambda x: np.nan, 1.0, UNRESOLVED),
        (lambda x: (x + 1e12) - 1e12, 0.7, UNRESOLVED),
    ],
)
def test_other_kinds(f, x, kind):
    s = at(f, x)
    if kind is None:
        assert s.value[0] == 0 and s.bar[0] < 1e-12
    else:
        assert s.kind[0] == kind, s


def test_only_the_wanted_rows():
    s = at(lambda x: np.array([x, x * x, np.abs(x - 2)]), 2.0)
    t = slopes(
        lambda h: (np.array([2 + h, (2 + h) ** 2, abs(h)]), h), np.array([2.0, 4.0, 0.0]), {2.0},
        rows=np.array([2, 1]),
    )  # fmt: skip
    assert list(s.kind) == [SMOOTH, SMOOTH, KINK] and list(t.kind) == [KINK, SMOOTH]
