"""Mistakes that put all of the mass at other places in one go.

A pattern takes a case and all cases, and returns a Cause or None. A is the analytic, D the
numeric Jacobian (rows are outputs, columns inputs). Nearly all are maps of rows or columns,
A[i, j] = D[rows[i], columns[j]], given as flat indices.
"""

import math
from collections import Counter
from itertools import combinations, permutations

import numpy as np

from tinyconv.testing.causes.case import Cause, spread
from tinyconv.testing.causes.places import axis_name

#: rows that vote on an offset, nonzero elements of each, and offsets that are tried
_VOTERS, _VOTES, _CANDIDATES = 48, 64, 6


def exchanged(case, cases):
    """return gb, ga for return ga, gb: A of either input is D of the other."""
    for other in _alike(case, cases):
        if case.block.output == other.block.output and _is(case, other) and _is(other, case):
            return _swapped(case, other)
    return None


def swapped(case, cases):
    """return ga, ga for return ga, gb: A of this input is D of another one.

    The same of two outputs: what should have gone through the one went through the other.
    """
    alike = [other for other in _alike(case, cases) if other.has_D.any() and _is(case, other)]
    for other in alike:
        if case.block.output == other.block.output:
            return _swapped(case, other)
    for other in alike:
        if case.block.input == other.block.input:
            text = f"output {case.block.output} passes back what output {other.block.output} should"
            return Cause("misplaced", text + ": their cotangents are exchanged", case.sure)
    return None


def _alike(case, cases):
    """The other blocks whose Jacobians have the same size and order."""
    mine = (case.block.order, case.m, case.n)
    return [o for o in cases if o is not case and (o.block.order, o.m, o.n) == mine]


def _is(case, other):
    return case.wrong.any() and case.fits(other.D, other.bar, other.known)


def _swapped(case, other):
    text = f"the gradient of input {case.block.input} is what input {other.block.input} should get"
    return Cause("swapped inputs", text, case.sure)


def transposed(case, cases):
    """gw.T for gw, a permutation of axes for its inverse: axes of equal size exchanged."""
    for side, shape in _sides(case):
        for axes in permutations(range(len(shape))) if len(shape) < 6 else ():
            if axes == tuple(sorted(axes)) or tuple(shape[k] for k in axes) != shape:
                continue
            source = np.arange(math.prod(shape)).reshape(shape).transpose(axes).ravel()
            if case.moved(**_maps(side, source)):
                names = " and ".join(
                    _axis(case, side, k) for k, axis in enumerate(axes) if k != axis
                )
                text = f"the {_whose(side)} {names} are exchanged: a transpose too few or too many"
                return Cause("transposed", text, case.sure)
    return None


def flipped(case, cases):
    """The weight gradient of an unflipped kernel, a flip undone twice: axes run in reverse."""
    for side, shape in _sides(case):
        for axes in _subsets([k for k, size in enumerate(shape) if size > 1]):
            source = np.flip(np.arange(math.prod(shape)).reshape(shape), axes).ravel()
            if not case.moved(**_maps(side, source)):
                continue
            names = " and ".join(_axis(case, side, k) for k in axes)
            if len(shape) == 4 and all(k < 2 and shape[k] == 2 for k in axes):
                text = f"the two along the {_whose(side)} {names} are exchanged"
                return Cause("misplaced", text, case.sure)
            text = f"reversed along the {_whose(side)} {names}: a flip too few or too many"
            return Cause("flipped", text, case.sure)
    return None


def shifted(case, cases):
    """Padding or an index off by one: A is D moved along axes, perhaps round the end."""
    for side, shape in _sides(case):
        for offset in _votes(case, side):
            for wrap in (True, False):
                # what leaves most of an axis goes too far to be called a shift
                far = any(abs(step) > size // 2 for step, size in zip(offset, shape))
                if not wrap and (far or side == "both"):
                    continue
                if not case.moved(**_maps(side, _before(shape, offset, wrap))):
                    continue
                steps = ", ".join(
                    f"{step:+d} along the {_whose(side)} {_axis(case, side, k)}"
                    for k, step in enumerate(offset) if step
                )  # fmt: skip
                text = f"analytic = numeric shifted by {steps}{', round the end' * wrap}"
                if len(shape) == 4 and wrap and not any(offset[2:]):
                    text += ": groups, channels or batch items are mixed up"
                    return Cause("misplaced", text, case.sure)
                return Cause("shifted", text, case.sure)
    return None


def adjoint(case, cases):
    """W for W.T, a running sum from the wrong end: the operation in place of its adjoint, A = D.T.

    Outputs are sums here; where they are copies, other words are plainer.
    """
    copies = (case.has_D.sum(axis=1) <= 1).all()
    if copies or case.m != case.n or not case.fits(case.D.T, case.bar.T, case.known.T):
        return None
    text = (
        "the Jacobian is transposed: the cotangent goes through the operation itself, and should "
        "go through its adjoint (W for W.T, a sum from the other end)"
    )
    return Cause("transposed", text, case.sure)


# ---------------------------------------------------------------------- sides and maps


def _sides(case):
    """Which indices a move is of; 'both': an elementwise operation's indices."""
    yield "input", case.inp
    yield "output", case.out
    if case.inp == case.out and case.elementwise and case.live.sum() == case.live.diagonal().sum():
        yield "both", case.inp


def _maps(side, source):
    maps = {"columns": source, "rows": source}
    return maps if side == "both" else {("columns" if side == "input" else "rows"): source}


def _whose(side):
    return "input's and the output's" if side == "both" else f"{side}'s"


def _axis(case, side, k):
    return axis_name(case, "output" if side == "output" else "input", k)


def _subsets(axes):
    """The last axes first: in a tie it is the image, not the channels, that is meant."""
    for size in range(1, len(axes) + 1):
        yield from reversed(list(combinations(axes, size)))


# ---------------------------------------------------------------------- offsets


def _votes(case, side):
    """The offsets between equal numbers in A and in D, the most frequent first."""
    view = case.views[side == "output"]
    arrays = view.A, view.D, view.has_A, view.has_D
    if side == "both":
        rows = [[J.diagonal() for J in arrays]]
    else:
        wrong = spread(np.flatnonzero(view.wrong.any(axis=1)), _VOTERS)
        rows = [[J[i] for J in arrays] for i in wrong]
    votes = Counter()
    for A, D, has_A, has_D in rows:
        here, there = spread(np.flatnonzero(has_A), _VOTES), np.flatnonzero(has_D)
        there = there[np.argsort(D[there])]
        near = 1e-4 * np.abs(A[here])
        first, last = (np.searchsorted(D[there], A[here] + e) for e in (-near, near))
        pairs = [(to, k) for to, f, l in zip(here, first, last) for k in there[f:l][:_VOTES]]
        to, origin = np.array(pairs, dtype=np.int64).reshape(-1, 2).T
        steps = np.subtract(np.unravel_index(to, view.shape), np.unravel_index(origin, view.shape))
        votes.update(map(tuple, steps.T.tolist()))
    votes.pop((0,) * len(view.shape), None)
    return [offset for offset, _ in votes.most_common(_CANDIDATES)]


def _before(shape, offset, wrap):
    """For each flat index the one that lies ``offset`` before it; outside the shape -1."""
    size = np.reshape(shape, (-1, 1))
    source = np.indices(shape).reshape(len(shape), -1) - np.reshape(offset, (-1, 1))
    flat = np.ravel_multi_index(tuple(source % size), shape)
    return flat if wrap else np.where(((source >= 0) & (source < size)).all(axis=0), flat, -1)
