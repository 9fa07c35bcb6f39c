"""The twin oracle: float32 against float64 of the same function.

Differences cannot judge float32: the best of them is good to four digits. So the derivative is
proven in float64, and float32 need only agree with it as far as its rounding allows. How far
that is depends on the point: where large terms cancel, any float32 code loses digits. What is
lost to the point itself is measured: the inputs are moved by random units of their last place,
and the spread of the float64 results is the share of each element's error that no code can
avoid. A right kernel stays within some units of that; one that adds up a million terms one by
one, or takes the difference of two squares for a variance, does not.

The twins are compared at the given point, and at some where all numbers are positive: there
sums grow term by term, so that a long chain of additions shows by its rounding.
"""

import copy

import numpy as np

from tinyconv.testing.causes import Cause
from tinyconv.testing.judge import element
from tinyconv.testing.oracles import signed, typical
from tinyconv.testing.report import Pair

EPS32 = float(np.finfo(np.float32).eps)
#: units of unavoidable error that the root mean square over the elements may reach; a single
#: element may have five times that. Errors of a chain of additions grow with the root of its
#: length: chains up to 4096 terms, as long as those of a convolution of 512 channels, are right
_UNITS, _PER_ROOT, _CHAIN, _SINGLE = 3.0, 0.3, 4096, 5.0
_DRAWS, _POSITIVE = 4, 6


def pair_up(subject):
    """(the subject in float64, the same in float32)."""
    low = [np.asarray(x, np.float32) for x in subject.x]
    return _typed(subject, [x.astype(np.float64) for x in low]), _typed(subject, low)


def _typed(subject, arrays):
    twin = copy.copy(subject)
    twin.x = arrays
    twin.places = None
    # constants follow: a float64 one would lift all of float32
    dtype = arrays[0].dtype
    twin.arguments = [_cast(a, dtype) for a in subject.arguments]
    twin.settle()
    return twin


def _cast(value, dtype):
    kind = getattr(getattr(value, "dtype", None), "kind", "")
    if kind != "f":
        return value
    return value.to(dtype) if hasattr(value, "requires_grad") else value.astype(dtype)


def compared(high, low, options, report):
    """Compare outputs and gradients of the two; adds their Pairs (oracle "twin")."""
    rng = options.rng
    names = [(name, 0) for name in low.output_names]
    names += [(f"gradient of {name}", 1) for name in low.input_names]
    errors = [_Errors(name, order, low) for name, order in names]
    points = [(low.x, [signed(rng, y.shape, np.float32) for y in low.outputs])]
    points += [
        tuple([_positive(rng, a) for a in arrays] for arrays in (low.x, low.outputs))
        for _ in range(_POSITIVE)
    ]
    for x, v in points:
        try:
            single, double = _run(low, x, v), _run(high, _doubled(x), _doubled(v))
        except Exception:
            if x is low.x:
                raise
            continue  # not defined for these numbers
        spreads = _spread(high, x, v, double, rng)
        for kept, a, b, s, floor in zip(errors, single, double, spreads, _floors(x, v, double)):
            kept.add(a, b, s, floor, coherent=x is not low.x)
    report.pairs += [kept.pair() for kept in errors]


def _positive(rng, a):
    size = typical(a) * rng.uniform(0.5, 1.5, a.shape)
    return size.astype(np.float32)


def _doubled(arrays):
    return [a.astype(np.float64) for a in arrays]


def _run(subject, arrays, v):
    """Outputs and gradients, in one list."""
    outputs, pull = subject.linearise([a.copy() for a in arrays])
    return [y.copy() for y in outputs] + [g.copy() for g in pull(v)]


def _spread(high, x, v, results, rng):
    """How far the results move when all that goes in moves by about its last float32 digit."""

    def moved(arrays):
        signs = [rng.choice([-1.0, 1.0], a.shape) for a in arrays]
        return [a.astype(np.float64) * (1 + EPS32 * s) for a, s in zip(arrays, signs)]

    squares = [np.zeros(a.shape) for a in results]
    for _ in range(_DRAWS):
        for total, a, b in zip(squares, _run(high, moved(x), moved(v)), results):
            total += (a - b) ** 2
    return [np.sqrt(total / _DRAWS) for total in squares]


def _floors(x, v, results):
    """Per result, what rounding of the largest terms may leave of it.

    A gradient may be the difference of larger numbers: of terms as large as the largest gradient,
    or as v times y, of which 1 - y * y takes the last digits. Zero for outputs.
    """
    outputs, gradients = results[: len(v)], results[len(v) :]
    sizes = [typical(a) for a in x]
    largest = [float(np.abs(g[np.isfinite(g)]).max(initial=0.0)) for g in gradients]
    effect = max((g * size for g, size in zip(largest, sizes)), default=0.0)
    terms = max((float(np.abs(a * b).max(initial=0.0)) for a, b in zip(v, outputs)), default=0.0)
    return [0.0] * len(v) + [
        max(g, effect / size, 4 * terms / min(size, 1.0)) for g, size in zip(largest, sizes)
    ]


class _Errors:
    """The errors of one output or gradient over all points, in units of the unavoidable one."""

    def __init__(self, name, order, low):
        self.name, self.order = name, order
        terms = max(low.size, *(x.size for x in low.x))
        self.allowed = _UNITS + _PER_ROOT * min(terms, _CHAIN) ** 0.5
        self.units, self.bars, self.values = [], [], []

    def add(self, a, b, spread, floor, coherent):
        a, b, spread = (np.atleast_1d(c) for c in (a, b, spread))
        unit = EPS32 * (np.abs(b) + floor) + spread + np.finfo(np.float32).tiny
        error = np.abs(a - b) / unit
        if coherent:  # of the positive points only what really is a sum of positive terms
            error[spread > 0.2 * EPS32 * np.abs(b)] = 0.0
        error[~np.isfinite(a) & np.isfinite(b)] = np.inf  # overflow, or a NaN of its own
        error[~np.isfinite(b) | (np.abs(b) > np.finfo(np.float32).max)] = 0.0
        self.units.append(error)
        self.bars.append(unit * self.allowed * _SINGLE)
        self.values.append((a, b))

    def pair(self):
        units = np.stack(self.units)
        rms = [float(np.sqrt(np.mean(u**2))) if u.size else 0.0 for u in units]
        positive = float(np.sqrt(np.mean(np.square(rms[1:])))) if rms[1:] else 0.0
        size = max(rms[0], positive, float(units.max(initial=0.0)) / _SINGLE)
        wrong = not size <= self.allowed
        shape = self.values[0][0].shape
        pair = Pair(
            self.order, f"{self.name} in float32", "float64", shape, (), "twin", "full",
            elements=units[0].size, checked=units[0].size, wrong=int(wrong),
            verdict="wrong" if wrong else "passed", error=size / self.allowed,
        )  # fmt: skip
        for at in np.argsort(-units, axis=None, kind="stable")[:5]:
            point, i = divmod(int(at), units[0].size)
            (a, b), bar = self.values[point], self.bars[point]
            pair.worst.append(element(pair, i, 0, a.flat[i], b.flat[i], bar.flat[i]))
        if wrong:
            pair.cause = Cause("precision", (
                f"float32 is off by {size:.0f} units of the error that rounding the inputs makes "
                f"unavoidable, right code by at most {self.allowed:.0f}: many terms added one by "
                "one (add in blocks, or in float64)? a difference of large numbers?"
            ), 1.0)  # fmt: skip
        return pair
