"""Mistakes that leave parts of a sum out.

A pattern takes a case and all cases, and returns a Cause or None. A is the analytic, D the
numeric Jacobian; rows are outputs, columns inputs.
"""

from itertools import combinations

import numpy as np

from tinyconv.testing.causes.case import Cause
from tinyconv.testing.causes.places import axis_name, example, inside

#: of the inputs that several outputs share, so many must follow the pattern
_MOST = 0.95


def one_share(case, cases):
    """x + b: gb = gy[0] for gy.sum(0). Of all shares of a broadcast input one alone arrives.

    The input was broadcast if the output has axes that it has not, or if along axes of the output
    all depend on the same element; A has everything from one index along such axes and nothing
    from others. Or each input has as many copies in the output (as in upsampling), and A one of
    them.
    """
    if case.has_A[case.wrong].any():
        return None
    widened = _widened(case)
    for number in range(len(widened), 0, -1):
        for axes in combinations(widened, number):
            if _one_index(case, axes):
                text = (
                    f"only one index of the output's {_names(case, axes)} arrives: the gradient "
                    "must be summed over all that the input was broadcast to"
                )
                return Cause("broadcast", text, case.sure)
    copies, unknown = case.has_D.sum(axis=0), (~case.known).sum(axis=0)
    even = copies.max(initial=0) > 1 and (copies + unknown >= copies.max()).all()
    if case.one_each and even and (case.has_A.sum(axis=0) <= 1).all():
        text = f"each input is copied to {copies.max()} outputs, and the gradient of one arrives"
        return Cause("broadcast", text, case.sure)
    return None


def summed_elsewhere(case, cases):
    """x + b: gb = gy.sum(1) for gy.sum(0), or gy.sum(): summed over other axes, or too many.

    The input was broadcast as above, each output depends on one element of it; in A it gives the
    right amount to others, too, or instead.
    """
    if not _widened(case) or not case.has_A[case.wrong].any() or (case.has_D.sum(axis=1) > 1).any():
        return None
    amount, bar = (J.sum(axis=1, where=case.has_D, keepdims=True) for J in (case.D, case.bar))
    known = np.broadcast_to(case.has_D.any(axis=1, keepdims=True), case.D.shape)
    if not case.fits(np.where(case.has_A, amount, 0.0), bar + np.zeros(case.n), known):
        return None
    text = (
        "outputs pass their gradient to inputs that they do not depend on: what the input was "
        f"broadcast along must be summed, no other axes; {example(case)}"
    )
    return Cause("broadcast", text, case.sure)


def _widened(case):
    """Axes of the output along which the input was broadcast."""
    due = case.has_D.any(axis=1)
    if (case.has_D.sum(axis=1) <= 1).all() and due.any():
        # the element that each output depends on; all the same along such an axis
        source = np.where(due, case.has_D.argmax(axis=1), -1).reshape(case.out)
        same = [
            ((source == source.max(axis=k, keepdims=True)) | (source < 0)).all()
            for k in range(len(case.out))
        ]
    else:
        lacking = len(case.out) - len(case.inp)
        fits = not lacking and all(n in (1, size) for n, size in zip(case.inp, case.out))
        same = [k < lacking or fits and case.inp[k] == 1 for k in range(len(case.out))]
    return [k for k, size in enumerate(case.out) if size > 1 and same[k]]


def _one_index(case, axes):
    """Whether A has everything from one index along these axes of the output, and nothing else."""
    rest = tuple(k for k in range(len(case.out)) if k not in axes)
    alive = case.has_A.any(axis=1).reshape(case.out).any(axis=rest, keepdims=True)
    rows = np.broadcast_to(alive, case.out).reshape(-1, 1)
    return alive.sum() == 1 and case.fits(np.where(rows, case.D, 0.0))


def _names(case, axes):
    return " and ".join(axis_name(case, "output", k) for k in axes)


def cross_terms(case, cases):
    """y (1 - y) for softmax: A is the diagonal of D, and outputs depend on other inputs as well."""
    off = case.has_D & ~np.eye(case.m, case.n, dtype=bool)
    alone = case.out == case.inp and off.sum() > 1 and case.has_A.diagonal().any()
    if not alone or not case.fits(np.where(off, 0.0, case.D)):
        return None
    text = (
        "0 off the diagonal: outputs depend on other inputs than their own as well (through a sum, "
        "a mean, a norm), and that is left out"
    )
    return Cause("partly missing", text, case.sure)


def overwritten(case, cases):
    """= for +=: of the outputs that share an input one alone passes its gradient on.

    All wrong elements are 0. Along the image axes of the output (or all its axes) every input
    gets what it should from one position, which is not the same for all inputs, and nothing from
    others; or along batch or channels every input gets it from the last.
    """
    if case.has_A[case.wrong].any() or case.one_each:
        return None
    axes = [k for k, size in enumerate(case.out) if size > 1]
    image = [k for k in axes if k >= 2]
    for loop, to_the_end in ((axes, False), (image, False), *(([k], True) for k in axes[:2])):
        rest = tuple(k for k in range(len(case.out)) if k not in loop)
        due, got = (
            has.reshape(*case.out, case.n).any(axis=rest, keepdims=True)
            for has in (case.has_D, case.has_A)
        )
        kept = np.broadcast_to(got, (*case.out, case.n)).reshape(case.m, case.n)
        due, got = (has.reshape(-1, case.n) for has in (due, got))
        shared = due.sum(axis=0) > 1
        if not shared.any() or case.wrong[:, ~shared].any():
            continue
        due, got = due[:, shared], got[:, shared]
        last = bool((got[::-1].argmax(axis=0) == due[::-1].argmax(axis=0)).all())
        same = np.ptp(got.argmax(axis=0)) == 0
        if (got.sum(axis=0) == 1).mean() < _MOST or not (last if to_the_end else not same):
            continue
        if case.fits(np.where(kept, case.D, 0.0)):
            text = (
                f"of the positions along the output's {_names(case, loop)} that share an input "
                f"only {'the last' if last else 'one'} counts: = where += is due?"
            )
            return Cause("lost accumulation", text, case.sure)
    return None


def repeated_index(case, cases):
    """gx[index] += gy: where an index occurs twice, one of the gradients is lost.

    Outputs are copies of inputs. Of those that share an input all but the last are lost; or some
    are, if they are not a slice along which the input was broadcast, nor all that lies at the
    ends of an axis: such was left out, not overwritten.
    """
    if case.has_A[case.wrong].any() or not case.one_each:
        return None
    lost = case.wrong.any(axis=1)
    sharing = (case.has_D.sum(axis=0) > 1) & case.has_A.any(axis=0)
    if not sharing.any() or sharing[case.wrong.any(axis=0)].mean() < _MOST:
        return None
    last = case.m - 1 - case.has_D[::-1, sharing].argmax(axis=0)
    only_last = set(np.flatnonzero(case.has_A[:, sharing].any(axis=1))) == set(last)
    for k, size in enumerate(case.out):
        lines = np.moveaxis(lost.reshape(case.out), k, 0).reshape(size, -1)
        left = np.flatnonzero(~lines.any(axis=1))
        at_ends = left.size > 0 and np.ptp(left) == left.size - 1 and not only_last
        if (lines == lines[:, :1]).all() and (k in _widened(case) or at_ends):
            return None
    if not case.fits(np.where(case.has_A, case.D, 0.0)):
        return None
    which = "only the last counts" if only_last else "some do not count"
    text = f"of the outputs that share an input {which}: += at an index that occurs twice?"
    return Cause("lost accumulation", text, case.sure)


def partly_missing(case, cases):
    """Rows, channels or windows that a loop leaves out: A is right, or 0 where mass is due."""
    if case.has_A[case.wrong].any():
        return None
    return Cause("partly missing", f"0 where mass is due, {inside(case)}", case.sure)
