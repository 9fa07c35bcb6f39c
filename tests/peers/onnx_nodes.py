"""ONNX's operators in tinyconv's functions: an adapter takes the attributes, then the inputs."""

import numpy as np
import onnx
from onnx_images import (
    Elsewhere,
    affine_grid,
    average_pool,
    col2im,
    conv_transpose,
    depth_to_space,
    grid_sample,
    ints,
    lp_pool,
    max_pool,
    max_unpool,
    pad,
    resize,
    space_to_depth,
)

import tinyconv as tc
import tinyconv.nn.functional as F


def direct(name, of=tc):
    """The function of that name, for an operator without attributes."""
    return lambda node, *inputs: getattr(of, name)(*inputs)


# -- norms ------------------------------------------------------------------------------------
def batch_norm(node, x, scale, shift, mean, var):
    eps = node.get("epsilon", 1e-5)
    if not node.get("training_mode", 0):
        return F.batch_norm(x, mean, var, scale, shift, eps=eps)
    y = F.batch_norm(x, None, None, scale, shift, training=True, eps=eps)
    old = node.get("momentum", 0.9)
    axes = (0, *range(2, x.ndim))
    return (y, mean * old + x.mean(axes) * (1 - old),
            var * old + x.var(axes, correction=0) * (1 - old))  # fmt: skip


def layer_norm(node, x, scale, shift=None):
    axis, eps = node.get("axis", -1) % x.ndim, node.get("epsilon", 1e-5)
    axes = tuple(range(axis, x.ndim))
    y = F.layer_norm(x, x.shape[axis:], scale, shift, eps)
    slope = tc.rsqrt(x.var(axes, correction=0, keepdim=True) + eps)
    return y, x.mean(axes, keepdim=True), slope


def rms_norm(node, x, scale):
    axis = node.get("axis", -1) % x.ndim
    return F.rms_norm(x, x.shape[axis:], scale, node.get("epsilon", 1e-5))


def group_norm(node, x, scale, shift):
    return F.group_norm(x, node["num_groups"], scale, shift, node.get("epsilon", 1e-5))


def instance_norm(node, x, scale, shift):
    return F.instance_norm(x, weight=scale, bias=shift, eps=node.get("epsilon", 1e-5))


def lp_normalization(node, x):
    return F.normalize(x, node.get("p", 2), node.get("axis", -1))


# -- losses -----------------------------------------------------------------------------------
def nll_loss(node, x, target, weight=None):
    ignore, reduction = node.get("ignore_index", -100), node.get("reduction", "mean")
    return F.nll_loss(x, target.long(), weight, ignore_index=ignore, reduction=reduction)


def softmax_cross_entropy(node, x, target, weight=None):
    ignore, reduction = node.get("ignore_index", -100), node.get("reduction", "mean")
    loss = F.cross_entropy(x, target.long(), weight, ignore_index=ignore, reduction=reduction)
    return loss, F.log_softmax(x, 1)


# -- reductions and running sums --------------------------------------------------------------
def reduction(function):
    def run(node, x, axes=None):
        axes = node.get("axes") if axes is None else ints(axes)
        if not axes and node.get("noop_with_empty_axes", 0):
            return function(x.unsqueeze(0), (0,), False)  # each number alone
        return function(x, tuple(axes or range(x.ndim)), bool(node.get("keepdims", 1)))

    return run


def product(x, axes, keepdim):
    for axis in sorted((a % x.ndim for a in axes), reverse=True):
        x = tc.prod(x, axis, keepdim)
    return x


def argument(function):
    """The first of the largest, or the last: counted from the end."""

    def run(node, x):
        axis, keepdim = node.get("axis", 0), bool(node.get("keepdims", 1))
        if not node.get("select_last_index", 0):
            return function(x, axis, keepdim)
        places = function(x.flip(axis), axis, keepdim)
        return x.shape[axis] - 1 - places

    return run


def running(name, start):
    def run(node, x, axis):
        axis = axis.item()
        x = x.flip(axis) if node.get("reverse", 0) else x
        y = getattr(tc, name)(x, axis)
        if node.get("exclusive", 0):
            before = tc.full_like(y.narrow(axis, 0, 1), start)
            y = tc.cat([before, y.narrow(axis, 0, x.shape[axis] - 1)], axis)
        y = y.flip(axis) if node.get("reverse", 0) else y
        return y.to(x.dtype)  # PyTorch sums integers in int64

    return run


def top_k(node, x, k):
    largest, ordered = bool(node.get("largest", 1)), bool(node.get("sorted", 1))
    return tuple(tc.topk(x, k.item(), node.get("axis", -1), largest, ordered))


# -- places -----------------------------------------------------------------------------------
def positive(places, size):
    return tc.where(places < 0, places + size, places)


def one_hot(node, places, depth, values):
    off, on = values[0], values[1]
    size, axis = int(depth.item()), node.get("axis", -1)
    places = places.long()
    inside = (places >= -size) & (places < size)
    hot = F.one_hot(tc.where(inside, positive(places, size), 0), size).bool()
    return tc.where((hot & inside.unsqueeze(-1)).movedim(-1, axis), on, off)


def gather_nd(node, x, places):
    batch = node.get("batch_dims", 0)
    picks = tuple(places[..., i] for i in range(places.shape[-1]))
    if batch == 0:
        return x[picks]
    rows = [x[i][tuple(p[i] for p in picks)] for i in range(x.shape[0])]
    return tc.stack(rows)


def scatter(node, x, places, updates):
    axis = node.get("axis", 0)
    places = positive(places, x.shape[axis])
    how = {"add": "sum", "mul": "prod", "max": "amax", "min": "amin"}
    if node.get("reduction", "none") == "none":
        return tc.scatter(x, axis, places, updates)
    return tc.scatter_reduce(x, axis, places, updates, how[node["reduction"]])


def scatter_nd(node, x, places, updates):
    if node.get("reduction", "none") not in ("none", "add"):
        raise Elsewhere("a reduction other than add")
    picks = tuple(places[..., i] for i in range(places.shape[-1]))
    return tc.index_put(x, picks, updates, accumulate=node.get("reduction") == "add")


def compress(node, x, condition):
    axis = node.get("axis")
    x, axis = (x.flatten(), 0) if axis is None else (x, axis)
    return tc.index_select(x, axis, tc.nonzero(condition).flatten())


def trilu(node, x, k=None):
    return (tc.triu if node.get("upper", 1) else tc.tril)(x, 0 if k is None else k.item())


def eye_like(node, x):
    dtype = onnx.helper.tensor_dtype_to_np_dtype(node["dtype"]) if "dtype" in node else x.dtype
    return tc.eye(*x.shape).roll(node.get("k", 0), 1).triu(node.get("k", 0)).to(dtype)


def mod(node, a, b):
    return tc.fmod(a, b) if node.get("fmod", 0) else tc.remainder(a, b)


def bit_shift(node, x, n):
    name = {"LEFT": "bitwise_left_shift", "RIGHT": "bitwise_right_shift"}[node["direction"]]
    return getattr(tc, name)(x, n)


def is_inf(node, x):
    found = tc.isinf(x)
    if not node.get("detect_positive", 1):
        found = found & (x < 0)
    return found if node.get("detect_negative", 1) else found & (x > 0)


def unique(node, x):
    if not node.get("sorted", 1):
        raise Elsewhere("unsorted")
    y, inverse, counts = tc.unique(x, return_inverse=True, return_counts=True,
                                   dim=node.get("axis"))  # fmt: skip
    firsts = [int(np.flatnonzero(inverse.array.reshape(-1) == i)[0]) for i in range(len(counts))]
    return y, tc.tensor(firsts), inverse.reshape(-1), counts


def hardmax(node, x):
    axis = node.get("axis", -1)
    return F.one_hot(x.argmax(axis), x.shape[axis]).movedim(-1, axis).to(x.dtype)


def dropout(node, x, ratio=None, training=None):
    if training is not None and training.item() and (ratio is None or ratio.item()):
        raise Elsewhere("other random numbers")
    return F.dropout(x, 0.5, training=False), tc.ones_like(x).bool()


ADAPTERS = {
    "ConvTranspose": conv_transpose,
    "MaxPool": max_pool,
    "AveragePool": average_pool,
    "LpPool": lp_pool,
    "MaxUnpool": max_unpool,
    "Col2Im": col2im,
    "Pad": pad,
    "Resize": resize,
    "Upsample": resize,
    "GridSample": grid_sample,
    "AffineGrid": affine_grid,
    "DepthToSpace": depth_to_space,
    "SpaceToDepth": space_to_depth,
    "BatchNormalization": batch_norm,
    "LayerNormalization": layer_norm,
    "RMSNormalization": rms_norm,
    "GroupNormalization": group_norm,
    "InstanceNormalization": instance_norm,
    "LpNormalization": lp_normalization,
    "Dropout": dropout,
    "NegativeLogLikelihoodLoss": nll_loss,
    "SoftmaxCrossEntropyLoss": softmax_cross_entropy,
    "ReduceL1": reduction(lambda x, axes, keepdim: tc.sum(tc.abs(x), axes, keepdim)),
    "ReduceL2": reduction(lambda x, axes, keepdim: tc.norm(x, 2, axes, keepdim)),
    "ReduceLogSum": reduction(lambda x, axes, keepdim: tc.log(tc.sum(x, axes, keepdim))),
    "ReduceLogSumExp": reduction(lambda x, axes, keepdim: tc.logsumexp(x, axes, keepdim)),
    "ReduceSumSquare": reduction(lambda x, axes, keepdim: tc.sum(tc.square(x), axes, keepdim)),
    "ReduceProd": reduction(product),
    "ArgMax": argument(tc.argmax),
    "ArgMin": argument(tc.argmin),
    "CumSum": running("cumsum", 0),
    "CumProd": running("cumprod", 1),
    "TopK": top_k,
    "Einsum": lambda node, *inputs: tc.einsum(node["equation"], *inputs),
    "OneHot": one_hot,
    "Hardmax": hardmax,
    "GatherND": gather_nd,
    "Scatter": scatter,
    "ScatterElements": scatter,
    "ScatterND": scatter_nd,
    "Compress": compress,
    "NonZero": lambda node, x: tc.nonzero(x).t(),
    "Unique": unique,
    "Trilu": trilu,
    "Tile": lambda node, x, counts: x.repeat(*ints(counts)),
    "EyeLike": eye_like,
    "Range": lambda node, *ends: tc.arange(*(e.item() for e in ends), dtype=ends[0].dtype),
    "Size": lambda node, x: tc.tensor(x.numel()),
    "CastLike": lambda node, x, other: x.type_as(other),
    "Mod": mod,
    "Pow": lambda node, x, p: tc.pow(x, p).to(x.dtype),
    "BitShift": bit_shift,
    "BitwiseAnd": direct("bitwise_and"),
    "BitwiseOr": direct("bitwise_or"),
    "BitwiseXor": direct("bitwise_xor"),
    "BitwiseNot": direct("bitwise_not"),
    "Not": direct("logical_not"),
    "IsInf": is_inf,
    "IsNaN": direct("isnan"),
    "Celu": lambda node, x: F.celu(x, node.get("alpha", 1.0)),
    "Mish": direct("mish", F),
    "Swish": lambda node, x: x * tc.sigmoid(x * node.get("alpha", 1.0)),
    "Shrink": lambda node, x: (
        F.hardshrink(x, node["lambd"]) if not node.get("bias") else F.softshrink(x, node["lambd"])
    ),
    "ThresholdedRelu": lambda node, x: F.threshold(x, node.get("alpha", 1.0), 0.0),
    **{
        name: direct(name.lower())
        for name in "Acos Acosh Asin Asinh Atan Atanh Ceil Cosh Round Sinh Tan".split()
    },
}
