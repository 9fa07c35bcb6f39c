"""Losses as layers: each is its function, whose options the constructor takes."""

import inspect

from tinyconv.nn import functional as F
from tinyconv.nn.functional.loss import reduction_of
from tinyconv.nn.module import Module
from tinyconv.nn.modules.distance import PairwiseDistance


class _Loss(Module):
    """What losses share, and users' own losses derive from: how a batch becomes one number."""

    def __init__(self, size_average=None, reduce=None, reduction="mean"):
        super().__init__()
        more = ("batchmean",)  # the function refuses it where it has no meaning
        name = type(self).__name__
        self.reduction = reduction_of(name, reduction, size_average, reduce, more)


class _WeightedLoss(_Loss):
    """A loss with weights, which are a buffer: part of the state, moved with the module."""

    def __init__(self, weight=None, size_average=None, reduce=None, reduction="mean"):
        super().__init__(size_average, reduce, reduction)
        self.register_buffer("weight", weight)


#: shared by all, and done by the base classes
_SHARED = ("size_average", "reduce", "reduction")


def _layer(name, function, inputs=2, without=(), keywords=False):
    """The layer for ``function``, whose parameters after the first ``inputs`` it takes.

    ``without``: those that it does not take; ``keywords``: by their names only.
    """
    parameters = list(inspect.signature(function).parameters.values())[inputs:]
    options = [
        p.replace(kind=p.KEYWORD_ONLY) if keywords else p
        for p in parameters
        if p.name not in without
    ]
    signature = inspect.Signature([p.replace(annotation=inspect.Parameter.empty) for p in options])
    own = [p.name for p in options if p.name not in (*_SHARED, "weight")]
    passed = [p.name for p in options if p.name not in ("size_average", "reduce")]
    base = _WeightedLoss if "weight" in passed else _Loss

    def __init__(self, *args, **kwargs):
        try:
            given = signature.bind(*args, **kwargs)
        except TypeError as error:
            raise TypeError(f"{name}{signature}: {error}") from None
        given.apply_defaults()
        values = given.arguments
        base.__init__(self, **{k: v for k, v in values.items() if k not in own})
        for option in own:
            if option == "pos_weight":
                self.register_buffer(option, values[option])
            else:
                setattr(self, option, values[option])

    def forward(self, *inputs, **named):
        options = {option: getattr(self, option) for option in passed}
        return function(*inputs, **named, **options)

    first = inspect.Parameter("self", inspect.Parameter.POSITIONAL_OR_KEYWORD)
    __init__.__signature__ = signature.replace(parameters=[first, *signature.parameters.values()])
    members = dict(
        __init__=__init__, forward=forward, __module__=__name__,
        __doc__=f"``F.{function.__name__}`` as a layer. Arguments: {str(signature)[1:-1]}.",
    )  # fmt: skip
    return type(name, (base,), members)


CrossEntropyLoss = _layer("CrossEntropyLoss", F.cross_entropy)
NLLLoss = _layer("NLLLoss", F.nll_loss)
MSELoss = _layer("MSELoss", F.mse_loss, without=("weight",))
L1Loss = _layer("L1Loss", F.l1_loss, without=("weight",))
SmoothL1Loss = _layer("SmoothL1Loss", F.smooth_l1_loss)
HuberLoss = _layer("HuberLoss", F.huber_loss, without=("weight",))
BCELoss = _layer("BCELoss", F.binary_cross_entropy)
BCEWithLogitsLoss = _layer("BCEWithLogitsLoss", F.binary_cross_entropy_with_logits)
KLDivLoss = _layer("KLDivLoss", F.kl_div)
PoissonNLLLoss = _layer("PoissonNLLLoss", F.poisson_nll_loss)
GaussianNLLLoss = _layer("GaussianNLLLoss", F.gaussian_nll_loss, 3, keywords=True)
HingeEmbeddingLoss = _layer("HingeEmbeddingLoss", F.hinge_embedding_loss)
MarginRankingLoss = _layer("MarginRankingLoss", F.margin_ranking_loss, 3)
CosineEmbeddingLoss = _layer("CosineEmbeddingLoss", F.cosine_embedding_loss, 3)
SoftMarginLoss = _layer("SoftMarginLoss", F.soft_margin_loss)
MultiMarginLoss = _layer("MultiMarginLoss", F.multi_margin_loss)
MultiLabelMarginLoss = _layer("MultiLabelMarginLoss", F.multilabel_margin_loss)
MultiLabelSoftMarginLoss = _layer("MultiLabelSoftMarginLoss", F.multilabel_soft_margin_loss)
TripletMarginLoss = _layer("TripletMarginLoss", F.triplet_margin_loss, 3)


class TripletMarginWithDistanceLoss(_Loss):
    """``F.triplet_margin_with_distance_loss`` as a layer.

    Arguments: distance_function=None (``PairwiseDistance()``), margin=1.0, swap=False,
    reduction='mean'.
    """

    def __init__(self, *, distance_function=None, margin=1.0, swap=False, reduction="mean"):
        super().__init__(reduction=reduction)
        self.distance_function = distance_function or PairwiseDistance()
        self.margin, self.swap = margin, swap

    def forward(self, anchor, positive, negative):
        return F.triplet_margin_with_distance_loss(
            anchor, positive, negative, distance_function=self.distance_function,
            margin=self.margin, swap=self.swap, reduction=self.reduction,
        )  # fmt: skip
