"""What made the loss NaN: the batch is computed again with every op watched."""

import re

import numpy as np

from tinyconv.autograd import detect_anomaly
from tinyconv.train.errors import NonFiniteError

_REPORT = re.compile(
    r"(?P<op>\w+) (?P<verb>made|passed on) (?P<what>.+? of \d+ values) in (?P<way>\w+), "
    r"built (?:in (?P<path>\S+) )?(?:at|outside) .*?Its inputs: (?P<inputs>.*)",
    re.DOTALL,
)


def is_finite(tensors):
    """Whether no array among the tensors (None is passed over) holds NaN or infinity."""
    return all(np.isfinite(t.array).all() for t in tensors if t is not None)


def explain(where, what, model, images, again, advice):
    """The error that says which layer was first, and what to try.

    Args:
        where: the step, in words.
        what: what was not finite, in words.
        model: the network.
        images: Tensor, the batch.
        again: computes the batch's loss again, with its gradients.
        advice: what to try.

    Returns:
        NonFiniteError, to be raised.
    """
    if not is_finite([images]):  # no other rate would help
        return NonFiniteError(
            f"{where}: {what}. The images of this batch hold NaN or infinity themselves: look at "
            "the data"
        )
    return NonFiniteError(f"{where}: {what}. {_first_fault(model, again)}. {advice}")


def _first_fault(model, again):
    for name, p in model.named_parameters():
        if not is_finite([p]):
            layer, _, own = name.rpartition(".")
            return (
                f"First at fault: layer {layer or type(model).__name__}, whose {own} was not "
                "finite before this step: the update before it overflowed"
            )
    try:
        with detect_anomaly(check_inf=True):
            again()
    except RuntimeError as error:
        return _in_words(model, str(error))
    return "Computed once more it is finite: something outside the network changes by itself"


def _in_words(model, text):
    report = _REPORT.match(text)
    if report is None:
        return f"First at fault: {text}"
    op, path = report["op"], report["path"]
    if path is None:
        layer = f"the loss, op {op}"
    else:
        # the detector's path begins with the network's class
        inner = path.partition(".")[2]
        layer = f"layer {inner} (op {op})" if inner else f"{path} itself (op {op})"
    return (
        f"First at fault: {layer}, which {report['verb']} {report['what']} in {report['way']}; "
        f"its inputs: {report['inputs']}"
    )
