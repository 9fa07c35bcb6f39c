"""Losses with all their options."""

import numpy as np
from hypothesis import strategies as st

from tinyconv.testing.cases import Case, Values
from tinyconv.testing.registry.table import register
from tinyconv.testing.strategies import recipes, sizes

_reductions = st.sampled_from(["mean", "sum", "none"])


@st.composite
def classifications(draw, call, smoothing=(0.0, 0.3)):
    """``call`` of scores x and labels t, some of them ignored, the classes weighted or not."""
    N, C, *rest = draw(sizes(draw(st.integers(2, 4)), 1, 4))
    shape = (C,) if N == 1 and not rest and draw(st.booleans()) else (N, C, *rest)
    labels = () if len(shape) == 1 else (N, *rest)
    # low = -1 and ignore_index=-1: some labels do not count
    ignore = draw(st.sampled_from([None, -1]))
    low = 0.0 if ignore is None or not labels else -1.0
    t = draw(recipes(labels, dtype=np.int64, integer=True, low=low, high=C - 1.0))
    options = dict(ignore_index=ignore, reduction=draw(_reductions))
    inputs = dict(x=draw(recipes(shape, low=-10.0, high=10.0)), t=_counted(t))
    if draw(st.booleans()):
        options["weight"] = f"tc.tensor({[0.5 + c for c in range(C)]}, dtype=x.dtype)"
    if call == "F.cross_entropy":
        options["label_smoothing"] = draw(st.sampled_from(smoothing))
    return Case.of(_call(call, options), **inputs)


def _counted(t):
    """``t`` with a first label that is not ignored: a mean over nothing is 0 / 0."""
    labels = t.array().copy()
    labels[(0,) * labels.ndim] = 0
    return labels


def _call(call, options):
    given = "".join(
        f", {name}={value if name == 'weight' else repr(value)}"
        for name, value in options.items()
        if value not in (None, 0.0, "mean")
    )
    return f"{call}(x, t{given})"


@st.composite
def soft_classifications(draw):
    """Cross entropy with probabilities as targets, differentiated in them too."""
    shape = draw(sizes(draw(st.integers(1, 4)), 1, 4))
    options = dict(
        reduction=draw(_reductions), label_smoothing=draw(st.sampled_from([0.0, 0.3]))
    )  # fmt: skip
    inputs = dict(
        x=draw(recipes(shape, low=-10.0, high=10.0)),
        t=draw(recipes(shape, low=0.0, high=1.0)),
    )
    return Case.of(_call("F.cross_entropy", options), **inputs)


@st.composite
def distances(draw, call):
    """``call`` of two tensors of one shape."""
    shape = draw(sizes(draw(st.integers(0, 3)), 1, 4))
    options = dict(reduction=draw(_reductions))
    return Case.of(_call(call, options), x=draw(recipes(shape)), t=draw(recipes(shape)))


register("cross_entropy", classifications("F.cross_entropy"))
register("nll_loss", classifications("F.nll_loss"))
register("cross_entropy of probabilities", soft_classifications())
register("mse_loss", distances("F.mse_loss"))
register(
    "l1_loss", distances("F.l1_loss"),
    examples=[Case.of("F.l1_loss(x, t)", x=[1.0, 2.0, 3.0], t=Values((3,), low=1.0, high=3.0))],
)  # fmt: skip
