"""Slopes of a function along a line, each with an error bar of its own.

``f(x + t d)`` is sampled on a ladder of steps, each a quarter of the one before. Where f is
smooth, central differences have an error series in t^2, which Richardson's extrapolation
removes term by term; too large a step leaves the series' tail, too small a one drowns in
rounding. So *each output element* takes the rungs where its estimates change least, and how
much they change there is the error bar. Nothing is assumed of the scale of f.

One-sided slopes are extrapolated beside the central ones. What tells a kink is
P(t) - M(t), the right slope less the left one: extrapolated to t = 0 it vanishes where f is
smooth, and is the jump of the derivative where f has a kink.
"""

from typing import NamedTuple

import numpy as np

EPS = float(np.finfo(np.float64).eps)
#: what an element is: its slope exists; the one-sided slopes differ; the value jumps or the
#: slope is infinite; one side lies outside f's domain; rounding hides it; f stands still
SMOOTH, KINK, JUMP, EDGE, UNRESOLVED, FLAT = range(6)
#: a slope is known when its bar is below this share of it, or of f's slope at full scale
KNOWN, KNOWN_OF_SCALE = 1e-3, 1e-6

#: the lowest rungs, which only tell how large rounding is
_SAMPLES = 4
#: a value so many bars away is refuted
_SURE = 10.0
#: the lowest rung over the highest: 4^-23 is about 1e-14, where rounding is all that is left
_RUNGS = 23


class Slopes(NamedTuple):
    """Per output element: the slope and its error bar; the hull of the one-sided slopes."""

    value: np.ndarray
    bar: np.ndarray
    low: np.ndarray
    high: np.ndarray
    kind: np.ndarray
    #: another slope and its bar, where coarser steps see one (see ``_from_afar``), else NaN
    far: np.ndarray
    far_bar: np.ndarray
    #: the largest step of the three that served most elements
    step: float


def steps(lengths, factor):
    """The rungs: 4^-k ``factor`` for all k within 4^-23 to 1 of some of the lengths."""
    rungs = set()
    for length in lengths:
        top = round(np.log(length) / np.log(4.0)) + 1
        rungs.update(range(top - _RUNGS, top + 1))
    return [(k, factor * 4.0**k) for k in sorted(rungs, reverse=True) if -500 < k < 500]


def slopes(move, f0, lengths, rows=None, factor=1.0):
    """The slopes at t = 0 of ``move``.

    Args:
        move: t -> (f(x + t d) flat, the step that rounding made of t).
        f0: f(x), flat (m,).
        lengths: natural lengths of t: every one is a place where the ladder begins.
        rows: the output elements that are wanted (default all).
        factor: in [1, 2): all steps are multiplied by it. A random one keeps them from meeting
            the period of a periodic f.
    """
    rows = slice(None) if rows is None else rows
    f0 = f0[rows]
    ladder = []
    with np.errstate(all="ignore"):
        for k, h in steps(lengths, factor):
            right, a = move(h)
            left, b = move(-h)
            if a > 0 and b < 0:
                ladder.append((k, a, -b, right[rows], left[rows]))
        return _judge(ladder, f0)


def _judge(ladder, f0):
    if len(ladder) < 3:
        nothing = np.full(f0.shape, np.nan)
        kind = np.full(f0.shape, UNRESOLVED)
        return Slopes(nothing, nothing, nothing, nothing, kind, nothing, nothing, 0.0)
    k = np.array([rung[0] for rung in ladder])
    hr, hl = (np.array([rung[i] for rung in ladder])[:, None] for i in (1, 2))
    right, left = (np.stack([rung[i] for rung in ladder]) - f0 for i in (3, 4))
    adjacent = (k[2:] == k[:-2] - 2)[:, None]
    shortest = np.minimum(hr, hl)[2:]

    P, M = right / hr, -left / hl
    D = (right - left) / (hr + hl)
    D1 = _extrapolate(D, 16)
    bend = _extrapolate(_extrapolate(P - M, 4), 64)
    # the change from rung to rung is the error of the *coarser* estimate: many times that of the
    # value taken, and honest also where the series does not converge (a saturated tanh)
    least = _noise(right, left, f0)[2:]
    changes = np.abs(D1[1:] - D1[:-1]) + np.abs(bend)
    bars = changes + 2 * _blur(changes, least, shortest)
    values = _extrapolate(D1, 256)
    value, bar, best = _pick(values, bars, adjacent)
    far, far_bar = _from_afar(values, bars, adjacent, value, bar, best)
    sides = []
    for side in (P, M):
        side1 = _extrapolate(side, 4)
        changes = np.abs(side1[1:] - side1[:-1])
        bars = changes + 3 * _blur(changes, least, shortest)
        sides.append(_pick(_extrapolate(side1, 16), bars, adjacent)[:2])
    (r, r_bar), (l, l_bar) = sides

    scale = np.median(np.nan_to_num(np.fmax(np.abs(P[:5]), np.abs(M[:5])), posinf=0.0), 0)
    known = (bar <= KNOWN * np.abs(value)) | (bar <= KNOWN_OF_SCALE * scale)
    # the best rung knows little, a coarser one much
    believed = ~known & np.isfinite(far)
    value, bar = np.where(believed, far, value), np.where(believed, far_bar, bar)
    known |= believed
    kind = np.full(f0.shape, SMOOTH)
    # outside the domain on one side: the slope of the other one counts
    for inside, inside_bar, outside in ((r, r_bar, left), (l, l_bar, right)):
        edge = ~np.isfinite(outside[-6:]).any(0) & np.isfinite(inside_bar)
        value[edge], bar[edge], kind[edge] = inside[edge], inside_bar[edge], EDGE
        known |= edge & (bar <= KNOWN * np.abs(value))
    kind[~known] = UNRESOLVED
    kind[~known & (np.abs(r - l) > 4 * (r_bar + l_bar))] = KINK
    lost = kind == UNRESOLVED
    kind[lost & (_diverges(P) | _diverges(M))] = JUMP
    # where f stands still, and rounding is no reason: a staircase that is known has a slope
    still = (kind == UNRESOLVED) & ~(right[-6:].any(0) | left[-6:].any(0))
    still &= ~(bar <= 10 * KNOWN * np.abs(value))
    if still.any():
        value[still], kind[still] = 0.0, FLAT
        bar[still] = _least_change(f0[still]) / _flat_step(right, left, np.minimum(hr, hl))[still]
    low, high = np.minimum(r - r_bar, l - l_bar), np.maximum(r + r_bar, l + l_bar)
    step = float(np.median(hr[best])) if best.size else 0.0
    return Slopes(value, bar, low, high, kind, far, far_bar, step)


def _extrapolate(rows, ratio):
    """One column of Richardson's table: the error term that a rung divides by ``ratio`` goes."""
    return (ratio * rows[1:] - rows[:-1]) / (ratio - 1)


def _blur(changes, noise, h):
    """What rounding does to a slope: at least what it does on the rungs below.

    What these change by is rounding. A rung may be struck by less of it than others, by luck, and
    would look better than it is.
    """
    below = np.fmax.accumulate((changes * h)[::-1])[::-1]
    return np.fmax(noise, below) / h


def _pick(values, bars, valid):
    """Per element the value with the smallest bar that no finer rung contradicts, and its rung.

    From afar a saturated function has a small slope that seems well known, and a fine ripple is
    not seen at all. The finer rungs see both: their bars are wider, but the truth is within.
    """
    bars = np.where(valid & np.isfinite(bars), bars, np.inf)
    bars[-_SAMPLES:] = np.inf  # too few rungs below to know their rounding by
    low, high = values - _SURE * bars, values + _SURE * bars
    low, high = (_finer(np.where(np.isfinite(b), b, np.nan), f) for b, f in
                 ((low, np.fmax), (high, np.fmin)))  # fmt: skip
    contradicted = (values + bars < low) | (values - bars > high)
    best = np.argmin(np.where(contradicted, np.inf, bars), 0)
    at = (best, *np.indices(best.shape))
    return values[at], bars[at], best


def _from_afar(values, bars, valid, value, bar, best):
    """(slope, bar) of coarser rungs that know another slope than the best one; NaN elsewhere.

    Rounding makes stairs of a function: 1 - tanh(x)^2 at x = 12 has two or three digits left. A
    fine rung that stands on one step sees a slope of its own there, and a coarse one the truth.
    With a true ripple it is the other way round, and no sampling can tell the two apart.
    """
    known = valid & (bars <= 10 * KNOWN * np.abs(values)) & (np.arange(len(bars))[:, None] < best)
    known &= np.abs(values - value) > bar + 3 * bars
    at = (np.argmin(np.where(known, bars, np.inf), 0), *np.indices(best.shape))
    some = known.any(0)
    return np.where(some, values[at], np.nan), np.where(some, bars[at], np.nan)


def _finer(bounds, reduce):
    """For each rung the tightest bound that any rung below it sets."""
    tightest = reduce.accumulate(bounds[::-1])[::-1]
    return np.concatenate([tightest[1:], np.full_like(bounds[:1], np.nan)])


def _noise(right, left, f0):
    """How far rounding may move a value of f, per rung and element.

    Second differences on the lowest rungs hold nothing but rounding. Where f stands on a
    plateau (1e8 + x does not see steps below 1e-8) they vanish: there the next rung above that
    sees a change tells the height of the stairs.
    """
    second = np.nanmax(np.abs(right + left)[-5:], 0, initial=0.0)
    moved = np.fmax(np.abs(right), np.abs(left))
    rungs = np.arange(len(moved))[:, None]
    above = np.maximum.accumulate(np.where(moved > 0, rungs, -1))
    stairs = np.where(above >= 0, np.take_along_axis(moved, np.maximum(above, 0), 0), 0.0)
    stairs = np.where((moved == 0) & np.isfinite(stairs), stairs, 0.0)
    return np.fmax(np.fmax(stairs, second), 2 * EPS * np.fmax(np.abs(f0), moved))


def _diverges(slopes):
    """The slope grows and grows as the step shrinks: f jumps, or is infinitely steep."""
    low = np.abs(slopes[-6:])
    return (low[1:] > 1.3 * low[:-1]).all(0)


def _flat_step(right, left, h):
    """The largest step up to which f does not change at all."""
    moved = (right != 0) | (left != 0)
    last = len(h) - 1 - np.argmax(moved[::-1], 0)  # the lowest rung that sees a change
    return h[np.minimum(np.where(moved.any(0), last + 1, 0), len(h) - 1), 0]


def _least_change(f0):
    """The smallest change that a float of this size can show."""
    return np.spacing(np.abs(f0))
