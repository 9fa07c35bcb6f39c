"""Functions of layers that PyTorch's top level spells differently than ``nn.functional``.

There the arguments stand in another order, mostly without defaults, and losses name their
reduction by a number: 0 ``'none'``, 1 ``'mean'``, 2 ``'sum'``. All hand on to ``nn.functional``.
"""

from tinyconv.nn import functional as F

__all__ = [
    "adaptive_max_pool1d", "alpha_dropout", "batch_norm", "binary_cross_entropy_with_logits",
    "cosine_embedding_loss", "dropout", "embedding", "feature_alpha_dropout", "group_norm",
    "hinge_embedding_loss", "instance_norm", "kl_div", "layer_norm", "margin_ranking_loss",
    "poisson_nll_loss", "triplet_margin_loss",
]  # fmt: skip


def adaptive_max_pool1d(input, output_size):
    """``F.adaptive_max_pool1d``: the largest of each window, and where they are."""
    return F.adaptive_max_pool1d(input, output_size, return_indices=True)


def embedding(weight, indices, padding_idx=-1, scale_grad_by_freq=False, sparse=False):
    """``F.embedding``: the rows ``indices`` of ``weight``; ``padding_idx=-1`` stands for none."""
    padding_idx = None if padding_idx == -1 else padding_idx
    return F.embedding(
        indices, weight, padding_idx, scale_grad_by_freq=scale_grad_by_freq, sparse=sparse
    )


# -- dropout --------------------------------------------------------------------------------------
def dropout(input, p, train):
    """``F.dropout``."""
    return F.dropout(input, p, train)


def alpha_dropout(input, p, train):
    """``F.alpha_dropout``."""
    return F.alpha_dropout(input, p, train)


def feature_alpha_dropout(input, p, train):
    """``F.feature_alpha_dropout``."""
    return F.feature_alpha_dropout(input, p, train)


# -- normalisation; PyTorch's last argument means nothing on a CPU --------------------------------
def batch_norm(
    input, weight, bias, running_mean, running_var, training, momentum, eps, cudnn_enabled=True
):
    """``F.batch_norm``."""
    return F.batch_norm(input, running_mean, running_var, weight, bias, training, momentum, eps)


def instance_norm(
    input, weight, bias, running_mean, running_var, use_input_stats, momentum, eps,
    cudnn_enabled=True,
):  # fmt: skip
    """``F.instance_norm``."""
    return F.instance_norm(
        input, running_mean, running_var, weight, bias, use_input_stats, momentum, eps
    )


def layer_norm(input, normalized_shape, weight=None, bias=None, eps=1e-5, cudnn_enable=True):
    """``F.layer_norm``."""
    return F.layer_norm(input, normalized_shape, weight, bias, eps)


def group_norm(input, num_groups, weight=None, bias=None, eps=1e-5, cudnn_enabled=True):
    """``F.group_norm``."""
    return F.group_norm(input, num_groups, weight, bias, eps)


# -- losses ---------------------------------------------------------------------------------------
def _named(reduction):
    """The name of a reduction that may be given by its number."""
    return {0: "none", 1: "mean", 2: "sum"}.get(reduction, reduction)


def binary_cross_entropy_with_logits(input, target, weight=None, pos_weight=None, reduction=1):
    """``F.binary_cross_entropy_with_logits``."""
    return F.binary_cross_entropy_with_logits(
        input, target, weight, pos_weight=pos_weight, reduction=_named(reduction)
    )


def kl_div(input, target, reduction=1, *, log_target=False):
    """``F.kl_div``."""
    return F.kl_div(input, target, reduction=_named(reduction), log_target=log_target)


def poisson_nll_loss(input, target, log_input, full, eps, reduction):
    """``F.poisson_nll_loss``."""
    return F.poisson_nll_loss(
        input, target, log_input, full, eps=eps, reduction=_named(reduction)
    )  # fmt: skip


def hinge_embedding_loss(input, target, margin=1.0, reduction=1):
    """``F.hinge_embedding_loss``."""
    return F.hinge_embedding_loss(input, target, margin, reduction=_named(reduction))


def cosine_embedding_loss(input1, input2, target, margin=0.0, reduction=1):
    """``F.cosine_embedding_loss``."""
    return F.cosine_embedding_loss(input1, input2, target, margin, reduction=_named(reduction))


def margin_ranking_loss(input1, input2, target, margin=0.0, reduction=1):
    """``F.margin_ranking_loss``."""
    return F.margin_ranking_loss(input1, input2, target, margin, reduction=_named(reduction))


def triplet_margin_loss(
    anchor, positive, negative, margin=1.0, p=2, eps=1e-6, swap=False, reduction=1
):
    """``F.triplet_margin_loss``."""
    return F.triplet_margin_loss(
        anchor, positive, negative, margin, p, eps, swap, reduction=_named(reduction)
    )
