"""ONNX's operators in tinyconv's functions: an adapter takes the attributes, then the inputs."""

import numpy as np
import onnx

import tinyconv as tc
import tinyconv.nn.functional as F


class Elsewhere(Exception):
    """What the function of PyTorch's name does not do."""


def ints(tensor):
    return [int(n) for n in tensor.array.reshape(-1)]


def direct(name, of=tc):
    """The function of that name, for an operator without attributes."""
    return lambda node, *inputs: getattr(of, name)(*inputs)


# -- images -----------------------------------------------------------------------------------
def windows(node, axes):
    """kernel, stride, symmetric padding, dilation."""
    if node.get("auto_pad", "NOTSET") not in ("NOTSET", "VALID"):
        raise Elsewhere("auto_pad")
    pads = node.get("pads", [0] * 2 * axes)
    if pads[:axes] != pads[axes:]:
        raise Elsewhere("padding of two widths")
    ones = [1] * axes
    return [tuple(v) for v in (node.get("kernel_shape", ones), node.get("strides", ones),
                               pads[:axes], node.get("dilations", ones))]  # fmt: skip


def pool_windows(node, x):
    kernel, stride, padding, dilation = windows(node, x.ndim - 2)
    if any(p > k // 2 for p, k in zip(padding, kernel)):
        raise Elsewhere("padding of more than half the kernel")
    if x.dtype.kind != "f":
        raise Elsewhere("pools of integers")
    return kernel, stride, padding, dilation


def of_axes(name, x):
    """``conv`` -> ``F.conv2d`` for images."""
    function = getattr(F, f"{name}{x.ndim - 2}d", None)
    if function is None:
        raise Elsewhere(f"{name}{x.ndim - 2}d")
    return function


def conv_transpose(node, x, w, b=None):
    axes = x.ndim - 2
    _, stride, padding, dilation = windows(node, axes)
    if "output_shape" in node:
        raise Elsewhere("output_shape")
    extra = tuple(node.get("output_padding", [0] * axes))
    function = of_axes("conv_transpose", x)
    return function(x, w, b, stride, padding, extra, node.get("group", 1), dilation)


def max_pool(node, x):
    kernel, stride, padding, dilation = pool_windows(node, x)
    if node.get("storage_order", 0):
        raise Elsewhere("storage_order")
    function = of_axes("max_pool", x)
    y, places = function(x, kernel, stride, padding, dilation, bool(node.get("ceil_mode", 0)),
                         return_indices=True)  # fmt: skip
    planes = np.arange(np.prod(x.shape[:2])).reshape(*x.shape[:2], *[1] * (x.ndim - 2))
    return y, places + tc.from_numpy(planes * np.prod(x.shape[2:]))  # counted over all planes


def average_pool(node, x):
    kernel, stride, padding, dilation = pool_windows(node, x)
    if set(dilation) != {1}:
        raise Elsewhere("dilation")
    ceil, count = bool(node.get("ceil_mode", 0)), bool(node.get("count_include_pad", 0))
    return of_axes("avg_pool", x)(x, kernel, stride, padding, ceil, count)


def lp_pool(node, x):
    kernel, stride, padding, dilation = pool_windows(node, x)
    if set(padding) != {0} or set(dilation) != {1} or node.get("p", 2) % 2:
        raise Elsewhere("padding, dilation, an odd power of negative numbers")
    return of_axes("lp_pool", x)(x, node.get("p", 2), kernel, stride)


def max_unpool(node, x, places, shape=None):
    kernel, stride, padding, _ = windows(node, 2)
    if shape is not None:
        raise Elsewhere("places in a plane of other size")
    h, w = [(n - 1) * s + k for n, s, k in zip(x.shape[2:], stride, kernel)]
    return F.max_unpool2d(x, places % (h * w), kernel, stride, padding)


def col2im(node, x, image, block):
    if len(ints(image)) != 2:
        raise Elsewhere("volumes")
    _, stride, padding, dilation = windows(node, 2)
    return F.fold(x, tuple(ints(image)), tuple(ints(block)), dilation, padding, stride)


def pad(node, x, widths, value=None, axes=None):
    mode = node.get("mode", "constant")
    mode = {"edge": "replicate", "wrap": "circular"}.get(mode, mode)
    if axes is not None:
        raise Elsewhere("the import reads that")
    widths = ints(widths)
    both = [w for pair in zip(widths, widths[x.ndim :]) for w in reversed(pair)]
    while len(both) > 4:  # the first axes stay
        if both[:2] != [0, 0]:
            raise Elsewhere("padding of the batch")
        both = both[2:]
    number = {} if value is None else {"value": value.item()}
    return F.pad(x, tuple(reversed(both)), mode, **number)


def resize(node, x, roi=None, scales=None, sizes=None):
    mode, place = node.get("mode", "nearest"), node.get("coordinate_transformation_mode")
    place = place or "half_pixel"
    rounding = node.get("nearest_mode", "round_prefer_floor")
    strange = {
        "antialias",
        "axes",
        "exclude_outside",
        "extrapolation_value",
        "keep_aspect_ratio_policy",
    }
    if strange & set(node) or x.ndim != 4 or (mode == "cubic" and "cubic_coeff_a" in node):
        raise Elsewhere(f"one of {strange}, or another cubic")
    names = {
        ("nearest", "asymmetric", "floor"): ("nearest", None),
        ("nearest", "half_pixel", "round_prefer_ceil"): ("nearest-exact", None),
        ("linear", "half_pixel", rounding): ("bilinear", False),
        ("linear", "align_corners", rounding): ("bilinear", True),
        ("cubic", "half_pixel", rounding): ("bicubic", False),
        ("cubic", "align_corners", rounding): ("bicubic", True),
    }
    upwards = scales is not None and all(s == int(s) for s in scales.array)
    if mode == "nearest" and upwards and place == "half_pixel":
        rounding, place = "floor", "asymmetric"  # the same for whole factors
    if (mode, place, rounding) not in names:
        raise Elsewhere(f"{mode}, {place}, {rounding}")
    if place == "align_corners" and scales is not None and not upwards:
        raise Elsewhere("corners of a size that is no whole number")
    mode, corners = names[mode, place, rounding]
    given = (
        {"size": tuple(ints(sizes)[2:])}
        if sizes is not None
        else {"scale_factor": tuple(float(s) for s in scales.array[2:])}
    )
    return F.interpolate(x, **given, mode=mode, align_corners=corners)


def grid_sample(node, x, grid):
    if x.ndim != 4:
        raise Elsewhere("volumes")
    mode = {"linear": "bilinear", "cubic": "bicubic"}.get(
        node.get("mode", "linear"), node.get("mode")
    )
    return F.grid_sample(
        x, grid, mode, node.get("padding_mode", "zeros"), bool(node.get("align_corners", 0))
    )


def affine_grid(node, theta, size):
    if theta.shape[1] != 2:
        raise Elsewhere("volumes")
    return F.affine_grid(theta, tuple(ints(size)), bool(node.get("align_corners", 0)))


def depth_to_space(node, x):
    r = node["blocksize"]
    if node.get("mode", "DCR") == "DCR":  # the block's place comes before the channel
        n, c, h, w = x.shape
        x = x.reshape(n, r * r, c // r**2, h, w).transpose(1, 2).reshape(n, c, h, w)
    return F.pixel_shuffle(x, r)


def space_to_depth(node, x):
    r = node["blocksize"]
    y = F.pixel_unshuffle(x, r)
    if node.get("mode", "DCR") == "CRD":
        return y
    n, c, h, w = y.shape
    return y.reshape(n, c // r**2, r * r, h, w).transpose(1, 2).reshape(n, c, h, w)


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
