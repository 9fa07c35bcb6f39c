"""The twin oracle: float32 against float64 of the same function.

Differences cannot judge float32: the best of them is good to four digits. So the derivative is
proven in float64, and float32 need only agree with it as far as its rounding allows. How far
that is depends on the point: where large terms cancel, any float32 code loses digits. What is
lost to the point itself is measured: the inputs are moved by random units of their last place,
and the spread of the float64 results is the share of each element's error that no code can
avoid. A right kernel stays within some units of that; one that adds up a million terms one by
one, or takes the difference of two squares for a variance, does not.
"""

import copy

import numpy as np

from tinyconv.testing.oracles import signed
from tinyconv.testing.report import Pair

EPS32 = float(np.finfo(np.float32).eps)
#: units of unavoidable error that are allowed, for one term and for sums: an error of random
#: signs grows with the root of the number of terms, up to blocks of this length
_UNITS, _PER_ROOT, _BLOCK = 8.0, 1.5, 2048
_DRAWS = 4


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
    v = [signed(rng, y.shape, np.float32) for y in low.outputs]
    y32, g32 = _run(low, low.x, v)
    y64, g64 = _run(high, high.x, [a.astype(np.float64) for a in v])
    unavoidable = _spread(high, v, y64, g64, rng)
    terms = max(high.size, *(x.size for x in high.x))
    for o, name in enumerate(low.output_names):
        report.pairs.append(
            _pair(name, "float64", y32[o], y64[o], unavoidable[0][o], terms, low, 0)
        )
    for k, name in enumerate(low.input_names):
        report.pairs.append(
            _pair(
                f"gradient of {name}", "float64", g32[k], g64[k], unavoidable[1][k], terms, low, 1
            )
        )


def _run(subject, arrays, v):
    outputs, pull = subject.linearise([a.copy() for a in arrays])
    return [y.copy() for y in outputs], [g.copy() for g in pull(v)]


def _spread(high, v, y64, g64, rng):
    """How far the results move when all that goes in moves by about its last float32 digit."""
    squares = [[np.zeros(a.shape) for a in y64], [np.zeros(a.shape) for a in g64]]

    def moved(a):
        return a * (1 + EPS32 * rng.choice([-1.0, 1.0], a.shape))

    for _ in range(_DRAWS):
        y, g = _run(high, [moved(x) for x in high.x], [moved(a.astype(np.float64)) for a in v])
        for sums, new, old in zip(squares, (y, g), (y64, g64)):
            for s, a, b in zip(sums, new, old):
                s += (a - b) ** 2
    return [[np.sqrt(s / _DRAWS) for s in sums] for sums in squares]


def _pair(output, other, a, b, unavoidable, terms, subject, order):
    from tinyconv.testing.judge import element

    unit = EPS32 * np.abs(b) + unavoidable + np.finfo(np.float32).tiny
    bar = unit * (_UNITS + _PER_ROOT * min(terms, _BLOCK) ** 0.5)
    with np.errstate(all="ignore"):
        error = np.abs(a - b) / bar
    error[~np.isfinite(b)] = 0.0
    wrong = ~(error <= 1.0)
    pair = Pair(
        order, f"{output} in float32", "float64", a.shape, (), "twin", "full",
        elements=a.size, checked=int(np.isfinite(b).sum()), wrong=int(wrong.sum()),
        skipped=int((~np.isfinite(b)).sum()), verdict="wrong" if wrong.any() else "passed",
        error=float(np.nan_to_num(error, nan=np.inf).max(initial=0.0)),
    )  # fmt: skip
    worst = np.argsort(-np.nan_to_num(error, nan=np.inf), axis=None)[:5]
    pair.worst = [element(pair, i, 0, a.flat[i], b.flat[i], bar.flat[i]) for i in worst]
    if wrong.any():
        from tinyconv.testing.causes import Cause

        units = float(np.nanmax(np.abs(a - b) / unit))
        pair.cause = Cause("precision", (
            f"float32 is off by {units:.0f} units of the error that rounding of the inputs makes "
            f"unavoidable, right code stays within {bar.flat[0] / unit.flat[0]:.0f}: many terms "
            "summed one by one (sum in blocks or in float64)? a difference of large numbers?"
        ), 1.0)  # fmt: skip
    return pair
