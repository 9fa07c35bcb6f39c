"""ONNX's operators for images in tinyconv's functions: the attributes, then the inputs."""

import numpy as np

import tinyconv as tc
import tinyconv.nn.functional as F


class Elsewhere(Exception):
    """What the function of PyTorch's name does not do."""


def ints(tensor):
    return [int(n) for n in tensor.array.reshape(-1)]


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
