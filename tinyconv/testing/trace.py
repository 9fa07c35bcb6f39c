"""Op by op: which op of a function is wrong, and whether kinks that meet are each right.

The derivative of a whole says that something is wrong; run alone, at the very arrays that it met
there, the guilty op says it of itself. And where several kinks meet, the hull of the whole is no
judge: relu(x) - relu(-x) is x, with slope 1, but at 0 the chain rule gives 0 - 0, each op as
documented. Then what counts is that every op's derivative lies in the hull of its own slopes, and
that the whole is right close by.
"""

import copy

import numpy as np

from tinyconv.testing.judge import verdict
from tinyconv.testing.oracles import signed, typical
from tinyconv.testing.report import Report
from tinyconv.testing.subject import TensorSubject
from tinyconv.testing.watch import Watch

#: functions of more ops are not taken apart; nor are more elements followed to the ops
_MOST_OPS, _MOST_ELEMENTS = 500, 48
_BESIDE = 1e-4
_NOTE = (
    "kinks of several ops meet at this point, so that the chain rule gives a value that no slope "
    "of the whole has; every op on its own is right, and so is the whole close by"
)


def judge(subject, options, report, examine):
    """Note the ops that are wrong on their own; where none is, forgive what kinks explain.

    ``examine(subject, options, report)`` is the check that each op is put to.
    """
    calls = _calls(subject, subject.x)
    if not 2 <= len(calls) <= _MOST_OPS:
        return
    wrong = [pair for pair in report.pairs if pair.verdict == "wrong"]
    alone = copy.copy(options)
    alone.oracle, alone.effects = "auto", False
    alone.order = max(pair.order for pair in wrong)
    parts, guilty = [], []
    for call in calls:
        part = Report(f"{call.function.__name__} {call.origin}", options.seed)
        try:
            examine(_alone(call), alone, part)
        except Exception:  # an op that cannot be run alone is not judged
            return
        parts.append(part)
        if verdict(part) == "wrong":
            guilty.append(part)
    for part in guilty[:3]:
        cause = f" ({part.cause})" if part.cause else ""
        report.notes.append(f"checked alone, this op is wrong{cause}: {part.subject}")
    if guilty or not any(pair.kinks for r in (report, *parts) for pair in r.pairs):
        return
    explained = all(_explained(pair, report, subject, calls, parts) for pair in wrong)
    if explained and _right_beside(subject, alone, examine):
        for pair in wrong:
            pair.forgive()
        report.notes.append(_NOTE)


def _calls(subject, x):
    watch = Watch()
    with watch():
        subject.linearise([a.copy() for a in x])
    return watch.calls


def _alone(call):
    def run(*arguments):
        return call.function.apply(*arguments, **call.options)

    subject = TensorSubject(run, call.arguments, call.wrt)
    subject.alone = True
    return subject


def _explained(pair, report, subject, calls, parts):
    """Whether every wrong element belongs to an input element that some kink depends on."""
    if pair.off is None:
        return True  # random directions know of no elements
    if pair.order > 1:  # where the function has kinks, they have been left out already
        return not np.any(pair.off & ~pair.kink)
    k = subject.input_names.index(pair.input)
    kinked = np.zeros(subject.x[k].size, bool)
    for other in report.pairs:
        if other.input == pair.input and other.order == 1 and other.kink is not None:
            kinked |= other.kink.any(0)
    columns = np.flatnonzero(pair.off.any(0) & ~kinked)
    masks = [_kinked_arguments(part) for part in parts]
    return len(columns) <= _MOST_ELEMENTS and all(
        _reaches(subject, k, j, calls, masks) for j in columns
    )


def _kinked_arguments(part):
    """{argument of an op: which of its elements are at kinks, True for any}."""
    masks = {}
    for pair in part.pairs:
        if pair.kinks and pair.order == 1:
            mask = True if pair.kink is None else pair.kink.any(0).reshape(pair.input_shape)
            i = int(pair.input.split()[-1])
            masks[i] = mask if i not in masks else masks[i] | mask
    return masks


def _reaches(subject, k, j, calls, masks):
    """Whether an element of the input changes what some op has at its kinks."""
    x = [a.copy() for a in subject.x]
    x[k].flat[j] += _BESIDE * max(abs(x[k].flat[j]), typical(x[k]))
    moved = _calls(subject, x)
    if len(moved) != len(calls):
        return True
    return any(
        np.any((before.arguments[i] != after.arguments[i]) & mask)
        for before, after, kinked in zip(calls, moved, masks)
        for i, mask in kinked.items()
    )


def _right_beside(subject, options, examine):
    """Whether the whole passes at a random point close by, off the kinks."""
    there = copy.copy(subject)
    there.places = None
    there.x = [
        x + _BESIDE * signed(options.rng, x.shape, x.dtype) * np.maximum(np.abs(x), typical(x))
        for x in subject.x
    ]
    there.alone = True  # it is not to be looked at from beside again
    options = copy.copy(options)
    options.mode = "fast"
    part = Report("", options.seed)
    examine(there, options, part)
    return verdict(part) == "passed"
