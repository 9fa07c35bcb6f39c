"""Mistakes with what is computed from all inputs: a mean, a variance, a norm, softmax's sum.

Such a number ties the inputs of a group (a channel, a sample) to its outputs in one way only,
so it enters the group's Jacobian by a dense matrix of rank 1: batch norm's is
s (I - 1 1^T / n - z z^T / n), softmax's diag(y) - y y^T. As a rule it takes a rank away, for the
output does not change with what is divided out or subtracted.
"""

from typing import NamedTuple

import numpy as np

from tinyconv.testing.causes.case import Cause
from tinyconv.testing.causes.places import axis_name
from tinyconv.testing.causes.ratios import as_fraction

#: rows and columns of a group that are looked at, and groups
_LARGEST, _GROUPS = 128, 3


def detached(case, cases):
    """Mean, variance or a normaliser taken for a constant, in backward only.

    Nothing but the diagonal of A is left, and that is wrong too; or D - A has rank 1 or 2 in
    every group, and A a higher rank than D. The other way round, where D has the higher rank,
    constants were differentiated.
    """
    if _diagonal(case, case.has_A) and np.median(case.has_D.sum(axis=1)) > 2:
        if case.wrong.diagonal().mean() > 0.5:
            text = (
                "each output passes its gradient to its own input alone, and others are due, too: "
                "mean, variance or normaliser are taken for constants"
            )
            return Cause("detached statistics", text, case.sure)
    return _by_rank(case, lambda part: part.rank_A > part.rank_D)


def low_rank(case, cases):
    """The same where D keeps its rank: with a large eps, or in a second derivative."""
    return _by_rank(case, lambda part: True)


def _diagonal(case, has):
    return case.out == case.inp and not (has & ~np.eye(case.m, dtype=bool)).any()


class _Part(NamedTuple):
    """What one group tells.

    c A - D has low rank (``number``); gains are the sizes of A and D in its directions; ``share``
    is how much of the terms of mean and variance is in A, None if it cannot be told.
    """

    c: float
    number: int
    rank_A: int
    rank_D: int
    gain_A: float
    gain_D: float
    share: float | None


def _by_rank(case, lost):
    for axes in _groupings(case):
        parts = []
        for rows in _groups(case, axes):
            parts.append(_part(case, rows))
            if parts[-1] is None:
                break
        if not parts or parts[-1] is None:
            continue
        names = ", ".join(axis_name(case, "output", k) for k in axes)
        group = f"within each group (one per {names})" if axes else "over all outputs"
        first = parts[0]
        if all(lost(part) for part in parts):
            if first.share is not None and not -0.2 < first.share < 0.5:
                count = as_fraction(first.share)
                name = "divisor" if abs(first.c - 1) < 1e-6 and count else "wrong factor"
                text = f"{group} the terms of mean or variance are {count or f'{first.share:.4g}'}"
                return Cause(name, f"{text} times what they should be: a wrong count?", case.sure)
            what = (
                "mean or variance, or a normaliser, is"
                if first.number == 1
                else ("mean and variance are")
            )
            text = f"{group} {what} taken for constant: analytic and numeric differ by a matrix"
            return Cause("detached statistics", f"{text} of rank {first.number}", case.sure)
        if all(part.rank_A < part.rank_D for part in parts):
            text = f"{group} mean, variance or normaliser are differentiated, but are constants"
            return Cause("added", f"{text} here (as in eval mode)", case.sure)
    return None


def _groupings(case):
    """Axes of the output that tell groups apart: channel, sample, both, all but one, none."""
    axes = range(len(case.out))
    kept = [*(tuple(a for a in axes if a != k) for k in axes), (0, 1), (0,), (1,), ()]
    return dict.fromkeys(k for k in kept if set(k) <= set(axes))


def _groups(case, axes):
    """Rows of the first groups that hold wrong elements."""
    number = np.zeros(case.out, dtype=np.int64)
    for k in axes:
        index = np.arange(case.out[k]).reshape([-1 if a == k else 1 for a in range(len(case.out))])
        number = number * case.out[k] + index
    number = number.ravel()
    for group in np.unique(number[case.wrong.any(axis=1)])[:_GROUPS]:
        yield np.flatnonzero(number == group)


def _part(case, rows):
    """The group of these outputs, or None if no c A - D in it is dense and of rank 1 or 2."""
    columns = np.flatnonzero(case.live[rows].any(axis=0))
    if case.out == case.inp and not set(columns) <= set(rows):
        return None  # outputs of a group depend on the inputs of that group alone
    rows = rows[case.known[rows].mean(axis=1) > 0.5]
    columns = columns[case.known[np.ix_(rows, columns)].all(axis=0)]
    if case.out == case.inp:
        rows = columns = np.intersect1d(rows, columns)
    rows, columns = (k[:: max(1, -(-k.size // _LARGEST))] for k in (rows, columns))
    if min(rows.size, columns.size) < 3 or not case.has_D[np.ix_(rows, columns)].any():
        return None
    A, D, bar = (J[np.ix_(rows, columns)] for J in (case.A, case.D, case.bar))
    sizes_A, sizes_D = (np.linalg.svd(J, compute_uv=False) for J in (A, D))
    noise = 4 * np.linalg.norm(bar) + 1e-7 * np.linalg.norm(D)
    typical = np.median(sizes_A)
    for c in (1.0, np.median(sizes_D) / max(typical, case.tiny)):
        u, sizes, v = np.linalg.svd(c * A - D)
        number = int((sizes > noise).sum())
        dense = (np.abs(c * A - D) > 4 * bar + 1e-6 * sizes[0]).mean() > 0.3
        if 1 <= number <= 2 and min(A.shape) >= number + 2 and dense:
            break
    else:
        return None
    ranks = [int((s > 1e-3 * s[0]).sum()) for s in (sizes_A, sizes_D)]
    gains = [float(np.linalg.norm(J @ v[:number].T)) for J in (A, D)]
    return _Part(c, number, *ranks, *gains, _share(case, c * A, D, sizes, ranks[1]))


def _share(case, A, D, sizes, rank):
    """How much of the terms A has, or None if that cannot be told.

    Between A (with part of the terms) and D (with all) lies, further on, what has none: it is
    elementwise. Else, if D does the same in all directions that it keeps, that is the measure.
    """
    off = ~np.eye(len(A), dtype=bool)
    if case.out == case.inp and A.shape == D.shape == off.shape:
        d, r = D[off], (A - D)[off]
        t = -(d @ r) / max(r @ r, 1e-300)
        if np.linalg.norm(d + t * r) < 1e-3 * np.linalg.norm(d) and t:
            return 1 - 1 / t
    kept = np.linalg.svd(D, compute_uv=False)[:rank]
    beside = sizes[0] / np.median(kept)
    if np.ptp(kept) < 1e-3 * kept[0] or beside < 0.3:
        u, _, v = np.linalg.svd(A - D)
        sign = np.sign(u[:, 0] @ v[0]) if len(u) == len(v) else 1.0
        return float(1 - sign * beside)
    return None
