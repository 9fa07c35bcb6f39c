"""Right derivatives exactly at kinks and ties: a difference across them is no derivative.

At a kink any value between the slopes to either side is right; which one it is follows PyTorch's
conventions and is said beside each.
"""

import numpy as np

from tinyconv.testing.faults.base import Family, elementwise, given, joined, normal
from tinyconv.testing.faults.pools import max_pool
from tinyconv.testing.faults.windows import Windows

family = Family("kinks")


def at(name, f, slope, values, text):
    return family.case(name, f, elementwise(slope), given(values), text)


# each case is a paragraph
# fmt: off

# -- activations -------------------------------------------------------------------------

around_zero = [[0.0, -0.0, 1.5, -2.0], [0.7, 0.0, -0.3, 0.0]]

at("relu at 0", lambda x: np.where(x > 0, x, 0), lambda x: 1.0 * (x > 0), around_zero,
   "Slope 0 at 0, as for dead inputs.")
at("leaky relu at 0", lambda x: np.where(x > 0, x, 0.1 * x), lambda x: np.where(x > 0, 1, 0.1),
   around_zero, "The slope of the negative side at 0.")
at("abs at 0", np.abs, np.sign, around_zero, "Slope 0 at 0, in the middle.")
at("elu at 0", lambda x: np.where(x > 0, x, 0.5 * np.expm1(np.minimum(x, 0))),
   lambda x: np.where(x > 0, 1, 0.5 * np.exp(x)), around_zero,
   "With alpha = 0.5 the slope jumps from 0.5 to 1; at 0 it is that of the left.")
at("softshrink at its bounds", lambda x: np.sign(x) * np.maximum(np.abs(x) - 0.5, 0),
   lambda x: 1.0 * (np.abs(x) > 0.5), [0.5, -0.5, 0.2, 1.0, -2.0],
   "Slope 0 at the bounds.")
at("clamp at its bounds", lambda x: x.clip(-1, 2), lambda x: 1.0 * ((x >= -1) & (x <= 2)),
   [[-1.0, 2.0, 0.0], [3.0, -1.5, 2.0]], "The gradient passes at the bounds.")
at("hardtanh at its bounds", lambda x: x.clip(-1, 1), lambda x: 1.0 * (np.abs(x) < 1),
   [[-1.0, 1.0, 0.25], [1.5, -1.0, 0.0]], "The gradient stops at the bounds.")
at("relu6 at 0 and 6", lambda x: x.clip(0, 6), lambda x: 1.0 * ((x > 0) & (x < 6)),
   [[0.0, 6.0, 3.0], [7.0, -1.0, 6.0]], "Slope 0 at both.")
at("hard sigmoid at -3 and 3", lambda x: (x / 6 + 0.5).clip(0, 1), lambda x: (np.abs(x) < 3) / 6,
   [-3.0, 3.0, 0.5, -5.0, 2.0], "Slope 0 at both.")


def _hardswish_slope(x):
    return np.where(x <= -3, 0, np.where(x < 3, x / 3 + 0.5, 1))


at("hardswish at -3 and 3", lambda x: x * (x / 6 + 0.5).clip(0, 1), _hardswish_slope,
   [-3.0, 3.0, 0.5, -5.0, 4.0], "Slope 0 at -3, where it jumps to -1/2, and 1 at 3.")
at("threshold at its edge", lambda x: np.maximum(x - 1, 0) + 0.5 * x,
   lambda x: 0.5 + (x > 1), [1.0, 1.0, 0.0, 2.0], "The slope of the left.")
at("triangle wave", lambda x: np.abs(x - 2 * np.round(x / 2)),
   lambda x: np.sign(x - 2 * np.round(x / 2)), [0.3, 1.7, -0.6, 2.4, 3.1, 0.0, 2.0],
   "A kink at each whole number; slope 0 at the lower ones.")
family.case(
    "prelu at 0",
    lambda x, a: np.where(x > 0, x, a * x),
    lambda gy, x, a: (gy * np.where(x > 0, 1, a), (gy * x * (x < 0)).sum(0)),
    given([[0.0, -1.0, 2.0], [1.0, 0.0, -0.5]], [0.25, 0.1, 0.3]),
    "The slope of the negative side, and 0 for the slope itself, which meets 0.",
)
at("relu a hair beside 0", lambda x: np.where(x > 0, x, 0), lambda x: 1.0 * (x > 0),
   [[1e-9, -1e-9, 1e-12], [-1e-12, 1e-7, 2.0]],
   "Not at the kink, but nearer to it than any usual step.")
at("relu twice", lambda x: np.maximum(np.maximum(x, 0) - 1, 0), lambda x: 1.0 * (x > 1),
   [0.0, 1.0, 2.0, -1.0, 0.5], "A kink that shows, at 1, and one that does not.")

# -- maxima ------------------------------------------------------------------------------

whole = Windows((2, 3), stride=(2, 3))
overlapping = Windows((3, 2), stride=(1, 1))
levels = np.random.default_rng(1).integers(0, 2, (2, 3, 4, 5)).astype(float)
near = np.array([[[[1, 1 + 1e-9, 0, 2 - 1e-9, 2, -1], [1 - 1e-9, 0, 1, 1, 2 - 1e-9, 0.5]]]])

family.case("max pool of equal pixels", *max_pool(whole), given(np.ones((1, 2, 4, 6))),
            "Every window is one big tie; the first pixel gets it.")
family.case("overlapping max pool with ties", *max_pool(overlapping), given(levels),
            "Pixels of 0 and 1, tied in nearly every window.")
family.case("max pool with near ties", *max_pool(whole), given(near),
            "The largest two pixels are 1e-9 apart.")


def _relu_pool_gradient(gy, x):
    return max_pool(whole)[1](gy, np.maximum(x, 0)) * (x > 0)


dark = np.where(levels[..., :3] > 0, levels[..., :3], -1.5) + np.linspace(-0.4, 0, 3)
family.case("relu and max pool", lambda x: max_pool(whole)[0](np.maximum(x, 0)),
            _relu_pool_gradient, given(dark),
            "Where a window is negative the pool sees a tie of zeros.")


def _first_of_row(gy, x):
    return gy[:, None] * (np.arange(x.shape[1]) == x.argmax(1)[:, None])


def _shares(x, extreme):
    equal = x == extreme
    return equal / equal.sum()


ties = given([[1.0, 3.0, 3.0, 0.0], [2.0, 2.0, 2.0, 2.0], [5.0, -1.0, 0.5, 5.0]])
family.case("max of rows with ties", lambda x: x.max(1), _first_of_row, ties,
            "max(dim) gives it to the first maximum.")
family.case("max of all", lambda x: x.max(), lambda gy, x: gy * _shares(x, x.max()), ties,
            "max() shares it evenly: here one half each.")
family.case("min of all", lambda x: x.min(), lambda gy, x: gy * _shares(x, x.min()),
            given([[-1.0, 0.5], [-1.0, -1.0]]), "Thirds.")
family.case(
    "minimum(a, b) with ties",
    np.minimum,
    lambda gy, a, b: tuple([gy * ((m < n) + 0.5 * (m == n)) for m, n in ((a, b), (b, a))]),
    given([[1.0, 2.0, 0.0]], [[1.0, 0.5, 0.0]]),
    "Each of two equal numbers gets half.",
)
family.case(
    "maxout with ties",
    lambda x: x.reshape(2, 3, 2).max(2),
    lambda gy, x: (gy[..., None] * (np.arange(2) == x.reshape(2, 3, 2).argmax(2)[..., None])
                   ).reshape(x.shape),
    given([[1.0, 1.0, 0.0, 2.0, 3.0, 3.0], [0.0, 0.0, -1.0, -2.0, 0.5, 0.5]]),
    "The first of a pair of equal units.",
)


def _sort_gradient(gy, x):
    """Equal numbers keep their order."""
    return gy[np.argsort(np.argsort(x, kind="stable"))]


family.case("sort of pairs", np.sort, _sort_gradient, given([2.0, 1.0, 2.0, 0.5, 1.0]),
            "Of two equal numbers the first comes first.")
family.case("sort of three equals", np.sort, _sort_gradient, given([2.0, 1.0, 2.0, 0.5, 2.0]),
            "Move one of the three alone, and the middle output does not follow.")

# -- losses and distances ----------------------------------------------------------------

predicted, wanted = [[1.0, 2.0, 3.0], [0.0, -1.0, 2.5]], [[1.0, 1.5, 3.0], [0.0, -2.0, 2.5]]
family.case(
    "L1 loss with equal targets",
    lambda x, t: np.abs(x - t).mean(),
    lambda gy, x, t: (gy * np.sign(x - t) / x.size, -gy * np.sign(x - t) / x.size),
    given(predicted, wanted),
    "0 where prediction and target agree.",
)
family.case(
    "smooth L1 at beta",
    lambda x, t: np.where(np.abs(x - t) < 0.5, (x - t) ** 2, np.abs(x - t) - 0.25),
    lambda gy, x, t: (gy * (2 * (x - t)).clip(-1, 1), -gy * (2 * (x - t)).clip(-1, 1)),
    given(predicted, wanted),
    "The two branches meet at 0.5 with one slope, and another curvature.",
)
family.case(
    "hinge loss on the margin",
    lambda x: np.maximum(0, 1 - x),
    elementwise(lambda x: -1.0 * (x < 1)),
    given([1.0, 1.0, 0.5, 2.0, -1.0]),
    "Slope 0 on the margin.",
)


def _length(x):
    return np.sqrt((x * x).sum(1))


def _length_gradient(gy, x):
    n = _length(x)[:, None]
    return gy[:, None] * np.divide(x, n, out=np.zeros_like(x), where=n > 0)


family.case("norm of a zero row", _length, _length_gradient,
            given([[0.0, 0.0, 0.0], [3.0, 0.0, -4.0]]),
            "The tip of a cone; 0 lies inside it.")


def _interpolate(v, at):
    """Linear interpolation of the pixels ``v`` at positions ``at``."""
    left = np.floor(at).astype(int).clip(0, len(v) - 2)
    return v[left] + (at - left) * (v[left + 1] - v[left])


def _interpolate_gradients(gy, v, at):
    left = np.floor(at).astype(int).clip(0, len(v) - 2)
    gv = np.zeros_like(v)
    np.add.at(gv, left, gy * (1 - (at - left)))
    np.add.at(gv, left + 1, gy * (at - left))
    return gv, gy * (v[left + 1] - v[left])


family.case("sampling on the grid", _interpolate, _interpolate_gradients,
            joined(normal((5,)), given([1.0, 2.0, 0.5, 3.0, 2.75])),
            "At a pixel the slope to the right, as floor says.")
family.case("total variation of a flat image", lambda x: np.abs(np.diff(x)).sum(),
            lambda gy, x: gy * -np.diff(np.sign(np.diff(x)), prepend=0, append=0),
            given([1.0, 1.0, 2.0, 2.0, 2.0, 0.5]), "0 between equal neighbours.")
