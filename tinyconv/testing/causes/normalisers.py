"""Mistakes with what is computed from many inputs: a mean, a variance, a norm, softmax's sum.

Such a number ties the inputs of a group (a channel, a sample) to its outputs in one way only,
so it enters the group's Jacobian as a dense matrix of rank 1: batch norm's is
s (I - 1 1^T / n - z z^T / n), softmax's diag(y) - y y^T. As a rule it takes a rank away, since
the output does not change with what is subtracted or divided out.
"""

from typing import NamedTuple

import numpy as np

from tinyconv.testing.causes.case import Cause, spread
from tinyconv.testing.causes.places import axis_name
from tinyconv.testing.causes.ratios import as_fraction

#: rows and columns of a group that are looked at, and groups
_LARGEST, _GROUPS = 128, 3


def detached(case, cases):
    """Mean, variance or a normaliser taken for a constant, in backward alone.

    Of A nothing but the diagonal is left, and that is wrong as well; or A - D has rank 1 or 2 in
    every group, and A has a higher rank there than D. If D has the higher rank, constants were
    differentiated.
    """
    diagonal = np.eye(case.m, case.n, dtype=bool)
    if case.out == case.inp and not case.has_A[~diagonal].any():
        if np.median(case.has_D.sum(axis=1)) > 2 and case.wrong[diagonal].mean() > 0.5:
            text = (
                "each output passes its gradient to its own input alone, and others are due as "
                "well: mean, variance or normaliser are taken for constants"
            )
            return Cause("detached statistics", text, case.sure)
    return _low_rank(case, lambda part: part.rank_A > part.rank_D)


def detached_in_part(case, cases):
    """The same where D keeps its rank: with an eps in the root, or in a second derivative."""
    return _low_rank(case, lambda part: True)


def _low_rank(case, lost):
    for axes in _groupings(case.out):
        parts = _parts(case, axes)
        if not parts:
            continue
        names = " and ".join(axis_name(case, "output", k) for k in axes)
        group = f"in each group (one per {names})" if axes else "over all outputs"
        c, number, *_, share = parts[0]
        if all(lost(part) for part in parts):
            if share is not None and not -0.2 < share < 0.5:
                count = as_fraction(share)
                name = "divisor" if abs(c - 1) < 1e-6 and count else "wrong factor"
                text = f"the terms of mean or variance are {count or format(share, '.4g')} times"
                return Cause(name, f"{group} {text} what they should be: a wrong count?", case.sure)
            what = "two numbers (mean and variance?)" if number > 1 else "a number (mean or norm?)"
            text = f"{what} computed from all inputs are taken for constants: A - D has rank"
            return Cause("detached statistics", f"{group} {text} {number}", case.sure)
        if all(part.rank_A < part.rank_D for part in parts):
            text = "mean, variance or norm are differentiated, and are constants (eval mode?)"
            return Cause("added", f"{group} {text}", case.sure)
    return None


def _groupings(shape):
    """Axes of the output that tell groups apart, the smallest groups first."""
    axes = range(len(shape))
    all_but_one = [tuple(a for a in axes if a != k) for k in axes]
    kept = dict.fromkeys([*all_but_one, (0, 1), (0,), (1,), ()])
    return [k for k in kept if set(k) <= set(axes)]


class _Part(NamedTuple):
    """What one group tells.

    c A - D has rank ``number`` there, with c = 1 if that will do; ``share`` is how much of the
    terms of mean and variance is in A, None if it cannot be told.
    """

    c: float
    number: int
    rank_A: int
    rank_D: int
    share: float | None


def _parts(case, axes):
    """A _Part for each of the first groups with wrong elements; [] if one is not of low rank."""
    number = np.zeros(case.out, dtype=np.int64)
    for k in axes:
        number = number * case.out[k] + np.indices(case.out, sparse=True)[k]
    number = number.ravel()
    parts = []
    for group in np.unique(number[case.wrong.any(axis=1)])[:_GROUPS]:
        part = _part(case, np.flatnonzero(number == group))
        if part is None:
            return []
        parts.append(part)
    return parts


def _part(case, rows):
    columns = np.flatnonzero(case.live[rows].any(axis=0))
    square = case.out == case.inp
    if square and not set(columns) <= set(rows):
        return None  # outputs of a group depend on the inputs of that group alone
    rows = rows[case.known[rows].mean(axis=1) > 0.5]
    columns = columns[case.known[np.ix_(rows, columns)].all(axis=0)]
    if square:
        rows = columns = np.intersect1d(rows, columns)
    rows, columns = (spread(k, _LARGEST) for k in (rows, columns))
    at = np.ix_(rows, columns)
    if min(rows.size, columns.size) < 3 or not case.has_D[at].any():
        return None
    size = max(np.abs(J[at]).max() for J in (case.A, case.D))
    A, D, bar = (J[at] / size for J in (case.A, case.D, case.bar))
    sizes_A, sizes_D = (np.linalg.svd(J, compute_uv=False) for J in (A, D))
    noise = 4 * np.linalg.norm(bar) + 1e-7 * np.linalg.norm(D)
    # with another scale as well, A may be off by a factor
    for c in (1.0, np.median(sizes_D) / max(np.median(sizes_A), 1e-300)):
        R = c * A - D
        u, sizes, v = np.linalg.svd(R)
        number = int((sizes > noise).sum())
        off = (np.abs(R) > 4 * bar + 1e-6 * sizes[0])[case.live[at].any(axis=1)]
        dense = off.mean() > 0.3 and off.any(axis=1).mean() > 0.8
        if 1 <= number <= 2 and min(R.shape) >= number + 2 and dense:
            break
    else:
        return None
    rank_A, rank_D = (int((k > max(noise, 1e-6 * k[0])).sum()) for k in (sizes_A, sizes_D))
    kept = sizes_D[sizes_D > 1e-3 * sizes_D[0]]
    # along the lost direction A is larger than D (share < 1) or turned round (share > 1)
    turn = np.sign(u[:, 0] @ v[0]) if square else 1.0
    return _Part(c, number, rank_A, rank_D, _share(R, D, kept, turn * sizes[0], square))


def _share(R, D, kept, size, square):
    """How much of the terms A has, if that can be told.

    D + t R is what is left without them, and that is elementwise: so t can be found, if R holds
    all such terms. Else, if D does the same in all directions that it keeps, or R is small,
    their sizes tell.
    """
    if square:
        off = ~np.eye(len(D), dtype=bool)
        d, r = D[off], R[off]
        t = -(d @ r) / max(r @ r, 1e-300)
        if t and np.linalg.norm(d + t * r) < 1e-3 * np.linalg.norm(d):
            return float(1 - 1 / t)
    if np.ptp(kept) < 1e-3 * kept[0] or abs(size) < 0.3 * np.median(kept):
        return float(1 - size / np.median(kept))
    return None
