"""Functions of layers with the arguments of the top level, by the oracles of ``F``."""

from tinyconv.testing.plain.table import ORACLES, oracle

_REDUCTIONS = ("none", "mean", "sum")


@oracle("tc.batch_norm")
def _batch_norm(x, weight, bias, mean, var, training, momentum, eps, cudnn=None):
    return ORACLES["F.batch_norm"](x, mean, var, weight, bias, training, momentum, eps)


@oracle("tc.instance_norm")
def _instance_norm(x, weight, bias, mean, var, of_the_input, momentum, eps, cudnn=None):
    return ORACLES["F.instance_norm"](x, mean, var, weight, bias, of_the_input, momentum, eps)


@oracle("tc.layer_norm")
def _layer_norm(x, shape, weight, bias, eps):
    return ORACLES["F.layer_norm"](x, shape, weight, bias, eps)


@oracle("tc.group_norm")
def _group_norm(x, groups, weight, bias, eps):
    return ORACLES["F.group_norm"](x, groups, weight, bias, eps)


@oracle("tc.adaptive_max_pool1d")
def _adaptive_max_pool1d(x, size):
    return ORACLES["F.adaptive_max_pool1d"](x, size), None


@oracle("tc.embedding")
def _embedding(weight, indices):
    return weight[indices]


def _loss(name, order):
    """The loss ``name`` of ``F`` with the top level's ``order`` of arguments."""

    def loss(*args, **options):
        options = dict(zip(order.split(), args)) | options
        tensors = [options.pop(tensor) for tensor in order.split() if tensor.isupper()]
        options["reduction"] = _REDUCTIONS[options.get("reduction", 1)]
        return ORACLES[f"F.{name}"](*tensors, **options)

    oracle(f"tc.{name}")(loss)


_loss("binary_cross_entropy_with_logits", "X Y weight pos_weight reduction")
_loss("kl_div", "X Y reduction")
_loss("poisson_nll_loss", "X Y log_input full eps reduction")
_loss("hinge_embedding_loss", "X Y margin reduction")
_loss("margin_ranking_loss", "X Y S margin reduction")
_loss("cosine_embedding_loss", "X Y S margin reduction")
_loss("triplet_margin_loss", "X Y Z margin p eps swap reduction")
