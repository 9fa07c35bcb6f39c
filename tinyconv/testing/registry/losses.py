"""Losses with all their options, and dropout that keeps mean and variance."""

import numpy as np
from hypothesis import strategies as st

from tinyconv.testing.cases import Case, Values
from tinyconv.testing.registry.table import register, spelled, words
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


#: how the inputs of a loss are drawn, by their names
_KINDS = {
    "x": {}, "u": {}, "t": {}, "w": dict(low=0.3, high=2.0), "p": dict(low=0.05, high=0.95),
    "q": dict(low=0.05, high=0.95), "v": dict(low=0.1, high=2.0),
    "c": dict(low=1.2, high=4.0), "s": dict(dtype=np.int64, integer=True, low=-1.0, high=1.0),
}  # fmt: skip


@st.composite
def alike(draw, source, dims=(0, 3), more="", **bounds):
    """``source`` of inputs of one shape, by the names in ``_KINDS``; R is a reduction in it."""
    shape = draw(sizes(draw(st.integers(*dims)), 1, 4))
    reduction = draw(st.sampled_from(["mean", "sum", "none", *more.split()]))
    source = source.replace("R)", f"reduction={reduction!r})")
    names = [name for name in _KINDS if name in words(source)]
    return Case.of(source, **{n: draw(recipes(shape, **{**_KINDS[n], **bounds})) for n in names})


def losses(name, *sources, **options):
    """A registered line of losses of inputs of one shape."""
    register(name, *[alike(source, **options) for source in sources])


@st.composite
def ranked(draw, call):
    """``call`` of scores (N, C) or (C,) and one label each."""
    N, C = draw(sizes(2, 1, 4))
    single = draw(st.booleans())
    t = draw(recipes(() if single else (N,), dtype=np.int64, integer=True, low=0.0, high=C - 1.0))
    x = draw(recipes((C,) if single else (N, C)))
    weight = f"tc.tensor({[0.5 + c for c in range(C)]}, dtype=x.dtype)"
    options = dict(
        p=draw(st.sampled_from([1, 2])), margin=draw(st.sampled_from([0.7, 1.3])),
        weight=draw(st.sampled_from([None, weight])), reduction=draw(_reductions),
    )  # fmt: skip
    return Case.of(_call(call, options), x=x, t=t)


register("cross_entropy", classifications("F.cross_entropy"))
register("nll_loss", classifications("F.nll_loss"))
register("cross_entropy of probabilities", soft_classifications())
losses("mse_loss", "F.mse_loss(x, t, R)", "F.mse_loss(x, t, weight=w, R)")
register(
    "l1_loss", alike("F.l1_loss(x, t, R)"), alike("F.l1_loss(x, t, weight=w, R)"),
    examples=[Case.of("F.l1_loss(x, t)", x=[1.0, 2.0, 3.0], t=Values((3,), low=1.0, high=3.0))],
)  # fmt: skip
losses(
    "huber_loss", "F.huber_loss(x, t, R)", "F.huber_loss(x, t, delta=0.8, weight=w, R)",
    "F.smooth_l1_loss(x, t, R)", "F.smooth_l1_loss(x, t, beta=0.7, R)",
)  # fmt: skip
losses(
    "binary cross entropies",
    "F.binary_cross_entropy(p, q, R)", "F.binary_cross_entropy(p, q, weight=w, R)",
    "F.binary_cross_entropy_with_logits(x, q, R)",
    "F.binary_cross_entropy_with_logits(x, q, weight=w, pos_weight=v, R)",
)  # fmt: skip
losses(
    "kl_div", "F.kl_div(x, p, R)", "F.kl_div(x, u, log_target=True, R)",
    dims=(1, 3), more="batchmean",
)  # fmt: skip
losses(
    "likelihoods",
    "F.poisson_nll_loss(x, v, R)", "F.poisson_nll_loss(v, w, log_input=False, R)",
    "F.poisson_nll_loss(x, c, full=True, R)", "F.gaussian_nll_loss(x, t, v, R)",
    "F.gaussian_nll_loss(x, t, w, full=True, R)",
)  # fmt: skip
losses(
    "margins", "F.hinge_embedding_loss(x, s, margin=0.7, R)",
    "F.margin_ranking_loss(x, u, s, margin=0.7, R)", "F.soft_margin_loss(x, s, R)",
)  # fmt: skip
losses(
    "multilabel_soft_margin_loss", "F.multilabel_soft_margin_loss(x, q, R)",
    "F.multilabel_soft_margin_loss(x, q, weight=w, R)", dims=(1, 2),
)  # fmt: skip
losses(
    "margins of distances", "F.triplet_margin_loss(x, u, t, R)",
    "F.triplet_margin_loss(x, u, t, margin=0.7, p=3, swap=True, R)",
    "F.triplet_margin_with_distance_loss(x, u, t, distance_function=F.pairwise_distance, R)",
    "F.cosine_embedding_loss(x, u, s.reshape(-1)[: x.numel() // x.shape[-1]]"
    ".reshape(x.shape[:-1]), margin=0.1, R)",
    dims=(1, 2), kinds=("uniform",),
)  # fmt: skip
register("multi_margin_loss", ranked("F.multi_margin_loss"))
register(
    "multilabel_margin_loss",
    *spelled(
        "F.multilabel_margin_loss(x, tc.tensor([[3, 0, -1, 1], [-1, 2, 0, 1], [2, 1, 0, 3]]))",
        "F.multilabel_margin_loss(x[0], tc.tensor([1, 2, -1, 0]), reduction='sum')",
        "F.multilabel_margin_loss(x, tc.tensor([[3, 0, -1, 1], [1, 2, 0, -1], [2, -1, 0, 3]]),"
        " reduction='none')",
        x=recipes((3, 4)),
    ),
)
register(
    "alpha_dropout",
    *spelled(
        "tc.manual_seed(5)\nF.alpha_dropout(x, 0.4, True)",
        "tc.manual_seed(6)\nF.feature_alpha_dropout(x, 0.3, True)",
        "tc.manual_seed(7)\nF.dropout1d(x, 0.3)", "tc.manual_seed(8)\nF.dropout3d(x, 0.6)",
        x=recipes((3, 4, 2)),
    ),
)  # fmt: skip
