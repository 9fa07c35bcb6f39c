"""Mistakes that put each output's mass at other places: turned kernels, strides, dilations.

A pattern takes a case and all cases, and returns a Cause or None. A is the analytic, D the
numeric Jacobian. What an output depends on is its window on the input; what an input has effect
on, its window on the output.
"""

from itertools import combinations

import numpy as np

from tinyconv.testing.causes.case import Cause, spread
from tinyconv.testing.causes.places import axis_name, example

#: rows that are looked at one by one, and amounts that are looked up
_ROWS, _AMOUNTS = 64, 2000


def turned(case, cases):
    """gx = correlate(gy, w) with a kernel that is not flipped, or has kh and kw exchanged.

    Whole windows (those that no border cuts) are in A as in D, reversed along some axes, or with
    two axes exchanged.
    """
    for view in case.views:
        pairs = _whole_windows(view)
        if len(pairs) < 2:
            continue
        name = f"windows on the {view.side}"
        axes = [k for k, size in enumerate(pairs[0][1].shape) if size > 1]
        for number in (2, 1, 3):
            for flip in reversed(list(combinations(axes, number))):
                if _become(pairs, lambda d, flip=flip: np.flip(d, flip)):
                    along = " and ".join(axis_name(case, view.side, k) for k in flip)
                    text = f"{name} are reversed along {along}: a kernel to be flipped, or not to?"
                    return Cause("flipped", text, case.sure)
        for k, l in reversed(list(combinations(axes, 2))):
            if _become(pairs, lambda d, k=k, l=l: d.swapaxes(k, l)):
                both = f"{axis_name(case, view.side, k)} and {axis_name(case, view.side, l)}"
                return Cause("misplaced", f"{name} have {both} exchanged: kh and kw?", case.sure)
    return None


def misplaced(case, cases):
    """A dropped stride or dilation, a wrong index or group: right amounts at wrong places.

    Outputs (or inputs) have the same amounts in A and in D, in another order; or the wrong
    amounts of A are found elsewhere in D, more often than chance has it; or errors come in
    pairs, +v and -v; or each output's total is right.
    """
    same = max(_same_amounts(view) for view in case.views)
    found, chance = _found_elsewhere(case)
    if same >= 0.5 or (found >= 0.25 and chance <= found / 5) or (found >= 0.9 and same >= 0.2):
        again = case.m == case.n and case.fits(case.D.T, case.bar.T, case.known.T)
        how = " (rearranged once more, not back)" if again else _geometry(case)
        text = f"the right amounts at wrong places{how}; {example(case)}"
        return Cause("misplaced", text, max(same, found) * case.sure)
    errors = np.sort((case.A - case.D)[case.wrong])
    size = np.abs(errors).max(initial=0.0)
    paired = np.allclose(errors, -errors[::-1], atol=1e-4 * size)
    if paired and np.allclose(np.abs(errors), size, rtol=1e-4) and not case.one_each:
        text = f"{size:.6g} too much at some places and too little at as many"
        text = f"a term is at the wrong place: {text}; {example(case)}"
        return Cause("misplaced", text, 0.8 * case.sure)
    if _same_totals(case):
        text = f"each output's total is right, the places are not{_geometry(case)}; {example(case)}"
        return Cause("misplaced", text, 0.6)
    return None


def _both(view):
    return (view.A, view.has_A), (view.D, view.has_D)


def _near(view, rows):
    """How near in these rows is near: as bars allow, and much nearer than D is."""
    bar, D, error = (J[rows].max(axis=-1, initial=0.0) for J in (view.bar, abs(view.D), view.error))
    return 2 * bar + np.minimum(1e-5 * D, error / 10)


# ---------------------------------------------------------------------- whole windows


def _whole_windows(view):
    """(A, D, how near is near), cut to the windows, of wrong rows whose window is a largest one."""
    rows = view.wrong.any(axis=1) & view.has_A.any(axis=1) & view.has_D.any(axis=1)
    pairs = []
    for i in spread(np.flatnonzero(rows), _ROWS):
        boxes = [_box(has[i], view.shape) for _, has in _both(view)]
        if all(view.known[i].reshape(view.shape)[box].all() for box in boxes):
            a, d = (J[i].reshape(view.shape)[box] for J, box in zip((view.A, view.D), boxes))
            pairs.append((a, d, _near(view, i)))
    largest = max((d.shape for _, d, _ in pairs), key=np.prod, default=())
    return [pair for pair in pairs if pair[1].shape == largest and pair[1].size > 1]


def _box(has, shape):
    """The slices that just hold the mass of a row."""
    return tuple(slice(k.min(), k.max() + 1) for k in np.nonzero(has.reshape(shape)))


def _become(pairs, change):
    """Whether every window of A is that of D, changed."""
    changed = [(a, change(d), near) for a, d, near in pairs]
    return all(a.shape == d.shape and (np.abs(a - d) <= near).all() for a, d, near in changed)


def _geometry(case):
    """How the windows of A differ from those of D in size and in step, in words."""
    for view, rows in zip(case.views, (case.out, case.inp)):
        (low_A, span_A), (low_D, span_D) = (_bounds(has, view.shape) for _, has in _both(view))
        words = []
        for k in range(len(view.shape)):
            name = axis_name(case, view.side, k)
            if span_A[k] != span_D[k]:
                words.append(f"windows span {span_A[k]} along {name}, should span {span_D[k]}")
            for axis in range(len(rows)):
                a, d = (_step(low[k].reshape(rows), axis) for low in (low_A, low_D))
                if a != d and a > 0 and d > 0 and max(span_D) > 1:
                    words.append(f"windows advance by {a} along {name}, should by {d}")
        if words:
            return f" ({'; '.join(words)})"
    return ""


def _bounds(has, shape):
    """For each axis the first index with mass of every row (NaN without), and the largest span."""
    has = has.reshape(len(has), *shape)
    lows, spans = [], []
    for k in range(len(shape)):
        along = has.any(axis=tuple(a + 1 for a in range(len(shape)) if a != k))
        low, after = along.argmax(axis=1), along.shape[1] - along[:, ::-1].argmax(axis=1)
        mass = along.any(axis=1)
        lows.append(np.where(mass, low, np.nan))
        spans.append(int(np.where(mass, after - low, 0).max(initial=0)))
    return lows, spans


def _step(low, axis):
    """By how much windows advance along an axis, if most do by the same; else 0."""
    steps = np.diff(low, axis=axis)
    steps, counts = np.unique(steps[~np.isnan(steps)], return_counts=True)
    regular = counts.max(initial=0) >= 0.6 * counts.sum() > 0
    return int(steps[counts.argmax()]) if regular else 0


# ---------------------------------------------------------------------- amounts


def _same_amounts(view):
    """The share of wrong rows in which A has the numbers of D in another order."""
    rows = spread(np.flatnonzero(view.wrong.any(axis=1)), _ROWS)
    a, d = (np.sort(np.where(has, J, 0.0)[rows], axis=1) for J, has in _both(view))
    same = (np.abs(a - d) <= _near(view, rows)[:, None]).all(axis=1)
    return float(same.mean()) if rows.size else 0.0


def _found_elsewhere(case):
    """The share of wrong amounts of A that D has somewhere, and what chance would make it.

    Chance is tried with a + b - c for a, b, c from A: for small whole numbers such sums are as
    likely to be found, for others they are not.
    """
    at = spread(np.flatnonzero(case.wrong & case.has_A), _AMOUNTS)
    amounts, errors = case.A.flat[at], case.error.flat[at]
    there = np.sort(case.D[case.has_D])
    if amounts.size < 3 or there.size < 2:
        return 0.0, 1.0
    a, b, c = (np.random.default_rng(k).permutation(amounts) for k in range(3))
    bar = 2 * np.median(case.bar[case.has_D])
    shares = []
    for values in (amounts, a + b - c):
        after = np.searchsorted(there, values).clip(1, there.size - 1)
        gap = np.minimum(np.abs(values - there[after - 1]), np.abs(values - there[after]))
        shares.append(float((gap <= bar + np.minimum(1e-6 * np.abs(values), errors / 10)).mean()))
    return shares[0], shares[1]


def _same_totals(case):
    """Whether A and D have equal row sums (not 0), and A has mass where D has none."""
    if not (case.has_A & ~case.has_D).any():
        return False
    rows = case.wrong.any(axis=1) & case.known.all(axis=1)
    a, d, bar = (J[rows].sum(axis=1) for J in (case.A, case.D, case.bar))
    size = np.abs(case.D[rows]).sum(axis=1)
    near = (np.abs(a - d) <= 2 * bar + 1e-6 * size) & (np.abs(d) > 0.01 * size)
    return bool(near.size > 1 and near.mean() >= 0.9)
