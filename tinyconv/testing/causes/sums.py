"""Mistakes that leave parts of a sum out.

A pattern takes a case and all cases, and returns a Cause or None. A is the analytic, D the
numeric Jacobian (rows are outputs, columns inputs), R = A - D.
"""

from itertools import combinations

import numpy as np

from tinyconv.testing.causes.case import Cause
from tinyconv.testing.causes.places import axis_name, example, inside

#: of the inputs that several outputs share, so many must follow the pattern
_MOST = 0.95


def broadcast(case, cases):
    """A gradient that is not summed over what its input was broadcast or copied to.

    The input was broadcast if the output has axes that it has not, or has with size 1; or if
    each of its elements is the only one that so many outputs depend on. Of the shares that
    should be summed A has one alone; or it has them at other inputs, summed over other axes.
    """
    widened = _widened(case)
    text = "the gradient must be summed over all that the input was broadcast to"
    if not case.has_A[case.wrong].any():
        for axes in _subsets(widened):
            kept = _kept(case, axes)
            if kept is not None:
                names = _names(case, axes)
                return Cause(
                    "broadcast",
                    f"only one index of the output's {names} arrives: {text}",
                    case.sure,
                )
        copies, unknown = case.has_D.sum(axis=0), (~case.known).sum(axis=0)
        if case.one_each and copies.max() > 1 and (copies + unknown >= copies.max()).all():
            if (case.has_A.sum(axis=0) <= 1).all():
                text = f"of {copies.max()} outputs that each input is copied to, one alone counts"
                return Cause("broadcast", text, case.sure)
        return None
    if not widened or (case.has_D.sum(axis=1) > 1).any():
        return None
    amount, bar = (J.sum(axis=1, where=case.has_D, keepdims=True) for J in (case.D, case.bar))
    seen = np.broadcast_to(case.has_D.any(axis=1, keepdims=True), case.D.shape)
    if case.fits(np.where(case.has_A, amount, 0.0), np.broadcast_to(bar, case.D.shape), seen):
        text = f"outputs reach inputs that they do not depend on, {example(case)}: {text}, not over"
        return Cause("broadcast", f"{text} other axes", case.sure)
    return None


def _widened(case):
    """Axes of the output that the input lacks or has with size 1, or that D says are copies."""
    axes = []
    source = np.where(case.has_D.any(axis=1), case.has_D.argmax(axis=1), -1).reshape(case.out)
    single = not (case.has_D.sum(axis=1) > 1).any() and case.has_D.any()
    fitting = len(case.inp) == len(case.out) and all(
        mine in (1, size) for mine, size in zip(case.inp, case.out)
    )
    for k, size in enumerate(case.out):
        own = k - len(case.out) + len(case.inp)
        lacking = own < 0 or fitting and case.inp[own] == 1
        copied = single and ((source == source.max(axis=k, keepdims=True)) | (source < 0)).all()
        if size > 1 and (copied or lacking and not single):
            axes.append(k)
    return axes


def _subsets(axes):
    for number in range(len(axes), 0, -1):
        yield from combinations(axes, number)


def _names(case, axes):
    return " and ".join(axis_name(case, "output", k) for k in axes)


def _kept(case, axes):
    """The one position along these axes of the output from which A has everything, or None."""
    alive = case.has_A.any(axis=1).reshape(case.out)
    rest = tuple(k for k in range(len(case.out)) if k not in axes)
    position = np.argwhere(alive.any(axis=rest))
    if len(position) != 1:
        return None
    rows = np.zeros(case.out, bool)
    at = dict(zip(axes, position[0]))
    rows[tuple(at.get(k, slice(None)) for k in range(len(case.out)))] = True
    return position[0] if case.fits(np.where(rows.reshape(-1, 1), case.D, 0.0)) else None


def lost_accumulation(case, cases):
    """= for +=, or += at an index that occurs twice: outputs that share an input overwrite.

    All wrong elements are 0. Along the output's image axes (or all axes) every input gets all
    it should from one position, which is not the same for all inputs, and nothing from others;
    or along the batch or the channels all inputs get theirs from the last.
    """
    if case.has_A[case.wrong].any():
        return None
    if case.one_each:
        return _lost_copies(case)
    for axes, last_only in _loops(case.out):
        rest = tuple(k for k in range(len(case.out)) if k not in axes)
        due, got = (
            has.reshape(*case.out, case.n).any(axis=rest, keepdims=True)
            for has in (case.has_D, case.has_A)
        )
        kept = np.broadcast_to(got, (*case.out, case.n)).reshape(case.m, case.n)
        due, got = (has.reshape(-1, case.n) for has in (due, got))
        shared = due.sum(axis=0) > 1
        due, got = due[:, shared], got[:, shared]
        if not shared.any() or case.wrong.any(axis=0)[~shared].any():
            continue
        if (got.sum(axis=0) == 1).mean() < _MOST:
            continue
        last = bool((got[::-1].argmax(axis=0) == due[::-1].argmax(axis=0)).all())
        one_for_all = len(set(got.argmax(axis=0).tolist())) == 1
        if (last if last_only else not one_for_all) and case.fits(np.where(kept, case.D, 0.0)):
            text = (
                f"of the positions along the output's {_names(case, axes)} that share an input "
                f"only {'the last' if last else 'one'} counts: = where += is due?"
            )
            return Cause("lost accumulation", text, case.sure)
    return None


def _loops(shape):
    """(axes of the output that a loop runs over, whether only its last turn can survive)."""
    axes = [k for k, size in enumerate(shape) if size > 1]
    image = [k for k in axes if k >= 2]
    return [(axes, False), (image, False), *[([k], True) for k in axes[:2]]]


def _lost_copies(case):
    """Where outputs are copies of inputs: of those that share an input, some are lost.

    Either all but the last; or some anywhere, but not a slice of an axis without influence nor
    what lies at the ends of one: such was left out rather than overwritten.
    """
    lost = case.wrong.any(axis=1)
    sharing = (case.has_D.sum(axis=0) > 1) & case.has_A.any(axis=0)
    if sharing[case.wrong.any(axis=0)].mean() < _MOST or not case.fits(
        np.where(case.has_A, case.D, 0.0)
    ):
        return None
    last = case.m - 1 - case.has_D[::-1, sharing].argmax(axis=0)
    only_last = set(np.flatnonzero(case.has_A[:, sharing].any(axis=1))) == set(last)
    for k, size in enumerate(case.out):
        lines = np.moveaxis(lost.reshape(case.out), k, 0).reshape(size, -1)
        rest = np.flatnonzero(~lines.any(axis=1))
        at_ends = rest.size and np.ptp(rest) == rest.size - 1
        if (lines == lines[:, :1]).all() and (k in _widened(case) or at_ends and not only_last):
            return None
    which = "only the last counts" if only_last else "some do not count"
    text = f"of the outputs that share an input {which}: += at an index that occurs twice?"
    return Cause("lost accumulation", text, case.sure)


def cross_terms(case, cases):
    """y (1 - y) for softmax: A is D's diagonal, and outputs depend on other inputs as well."""
    off = case.has_D & ~np.eye(case.m, case.n, dtype=bool)
    alone = case.out == case.inp and off.sum() > 1 and case.has_A.diagonal().any()
    if not alone or not case.fits(np.where(off, 0.0, case.D)):
        return None
    text = (
        "0 off the diagonal: outputs depend on other inputs than their own, too (through a sum, "
        "a mean or a norm?), and that is left out"
    )
    return Cause("partly missing", text, case.sure)


def partly_missing(case, cases):
    """Rows, channels or windows that a loop leaves out: A is 0 or right, and 0 too often."""
    if case.has_A[case.wrong].any() or not case.wrong.any():
        return None
    return Cause("partly missing", f"0 where mass is due, {inside(case)}", case.sure)
