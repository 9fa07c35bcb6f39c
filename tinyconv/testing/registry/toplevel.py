"""Functions of layers as the top level spells them (see ``tinyconv.toplevel``)."""

import numpy as np

from tinyconv.testing.registry.table import register, spelled
from tinyconv.testing.strategies import recipes

_SIGNALS = recipes((2, 4, 3), kinds=("uniform",))
_CHANNELS = recipes((4,), low=0.5, high=2.0)

register(
    "normalisation at the top level",
    *spelled(
        "tc.batch_norm(x, w, b, None, None, True, 0.1, 0.1, False)",
        "tc.batch_norm(x, w, b, tc.zeros(4, dtype=x.dtype), tc.ones(4, dtype=x.dtype), False, 0.1,"
        " 0.1)",
        "tc.instance_norm(x, w, b, None, None, True, 0.1, 0.1, False)",
        "tc.layer_norm(x, (3,), b[:3], w[1:], 0.1)", "tc.group_norm(x, 2, w, b, 0.1)",
        x=_SIGNALS, w=_CHANNELS, b=_CHANNELS,
    ),
)  # fmt: skip
register(
    "dropout at the top level",
    *spelled(
        "tc.manual_seed(5)\ntc.dropout(x, 0.4, True)", "tc.dropout(x, 0.4, False)",
        "tc.manual_seed(6)\ntc.alpha_dropout(x, 0.4, True)",
        "tc.manual_seed(7)\ntc.feature_alpha_dropout(x, 0.4, True)",
        x=_SIGNALS,
    ),
)  # fmt: skip
register(
    "places at the top level",
    *spelled(
        "tc.adaptive_max_pool1d(w, 2)[0]", "tc.embedding(w, i)",
        i=recipes((2, 2), dtype=np.int64, integer=True, low=0.0, high=3.0),
        w=recipes((4, 3), kinds=("uniform",)),
    ),
)  # fmt: skip
_SIGNS = "tc.tensor([1.0, -1.0, 1.0])"
register(
    "losses at the top level",
    *spelled(
        "tc.binary_cross_entropy_with_logits(x, q, pos_weight=p[0], reduction=2)",
        "tc.kl_div(x, p, 0)", "tc.kl_div(x, y, log_target=True)",
        "tc.poisson_nll_loss(x, p, True, False, 1e-8, 1)",
        f"tc.hinge_embedding_loss(x, {_SIGNS}, 0.7)",
        f"tc.margin_ranking_loss(x[0], y[0], {_SIGNS}, 0.7, reduction=0)",
        f"tc.cosine_embedding_loss(x, y, {_SIGNS}, 0.1, 2)",
        "tc.triplet_margin_loss(x, y, p, 0.7, 3, reduction=2)",
        x=recipes((3, 3), kinds=("uniform",)), y=recipes((3, 3), kinds=("uniform",)),
        p=recipes((3, 3), low=0.2, high=2.0), q=recipes((3, 3), low=0.1, high=0.9),
    ),
)  # fmt: skip
