"""Op by op: which op of a function is wrong, and whether kinks that meet are each right.

The derivative of a whole says that something is wrong; run alone, at the very arrays that it met
there, the guilty op says it of itself. And where several kinks meet, the hull of the whole is no
judge: relu(x) - relu(-x) is x, with slope 1, but at 0 the chain rule gives 0 - 0, each op as
documented. Then what counts is that every op's derivative lies in the hull of its own slopes.
"""

from tinyconv.testing.subject import TensorSubject
from tinyconv.testing.watch import Watch

#: functions of more ops than this are not taken apart
_MOST = 500


def ops(subject):
    """The ops of one run at x, as [(Call, Subject)], each made to be checked alone."""
    watch = Watch()
    with watch():
        subject.linearise([x.copy() for x in subject.x])
    if len(watch.calls) < 2 or len(watch.calls) > _MOST:
        return []
    return [(call, _alone(call)) for call in watch.calls]


def _alone(call):
    def run(*arguments):
        return call.function.apply(*arguments, **call.options)

    subject = TensorSubject(run, call.arguments, call.wrt)
    subject.alone = True
    return subject


def name(call):
    """How a report names an op."""
    return f"{call.function.__name__} {call.origin}"
