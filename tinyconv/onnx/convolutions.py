"""Readers of the operators that slide a window over images."""

import numpy as np

from tinyconv.autograd import Tensor
from tinyconv.kernels.geometry import output_size
from tinyconv.nn import functional as F
from tinyconv.onnx.node import Unsupported
from tinyconv.ops import reduce


def _pairs(node, name):
    """An attribute of one number per axis, for images."""
    given = node.get(name)
    if given is not None and len(given) != 2:
        raise Unsupported(f"of {len(given)} axes: tinyconv has images, of two")
    return tuple(given or (1, 1))


def _checked(node):
    """(strides, dilations) of a window over images, whose attributes are as they should be."""
    _pairs(node, "kernel_shape")
    pads, auto = node.get("pads"), node.get("auto_pad", "NOTSET")
    if auto not in ("NOTSET", "VALID", "SAME_UPPER", "SAME_LOWER"):
        raise Unsupported(f"with auto_pad={auto!r}")
    if pads and (len(pads) != 4 or min(pads) < 0):
        raise Unsupported(f"with pads={pads}")
    return _pairs(node, "strides"), _pairs(node, "dilations")


def _pads(node, image, kernel, strides, dilations):
    """((top, bottom), (left, right)) for images of that size."""
    auto = node.get("auto_pad", "NOTSET")
    if auto in ("SAME_UPPER", "SAME_LOWER"):
        return [
            _same(*axis, auto == "SAME_LOWER") for axis in zip(image, kernel, strides, dilations)
        ]
    top, left, bottom, right = (auto == "NOTSET" and node.get("pads")) or (0, 0, 0, 0)
    return [(top, bottom), (left, right)]


def _same(size, kernel, stride, dilation, lower):
    """(before, after) so that ceil(size / stride) come out; the odd one goes to one side."""
    out = -(-size // stride)
    total = max((out - 1) * stride + dilation * (kernel - 1) + 1 - size, 0)
    less, more = total // 2, total - total // 2
    return (more, less) if lower else (less, more)


def _flat(pads):
    """As ``F.pad`` and the padding of convolutions have it."""
    (top, bottom), (left, right) = pads
    return left, right, top, bottom


def conv(node):
    strides, dilations = _checked(node)
    group = node.get("group", 1)

    def run(x, w, b=None):
        pads = _pads(node, x.shape[2:], w.shape[2:], strides, dilations)
        return F.conv2d(x, w, b, strides, _flat(pads), dilations, group)

    return run


def max_pool(node):
    kernel, (strides, dilations) = _pairs(node, "kernel_shape"), _checked(node)
    if node.get("storage_order", 0):
        raise Unsupported("with storage_order=1")
    ceil = bool(node.get("ceil_mode", 0))

    def run(x):
        pads = _pads(node, x.shape[2:], kernel, strides, dilations)
        if _usual(pads, kernel):
            return F.max_pool2d(x, kernel, strides, _flat(pads), dilations, ceil)
        pads, _ = _reaching(pads, x.shape[2:], kernel, strides, dilations, ceil)
        x = F.pad(x, _flat(pads), value=-np.inf)
        return F.max_pool2d(x, kernel, strides, 0, dilations)

    return run


def average_pool(node):
    kernel, (strides, dilations) = _pairs(node, "kernel_shape"), _checked(node)
    ceil, padding_counts = bool(node.get("ceil_mode", 0)), bool(node.get("count_include_pad", 0))

    def run(x):
        image = x.shape[2:]
        pads = _pads(node, image, kernel, strides, dilations)
        if _usual(pads, kernel) and dilations == (1, 1):
            return F.avg_pool2d(x, kernel, strides, _flat(pads), ceil, padding_counts)
        # the sum is a convolution with ones, the divisor is counted
        reaching, output = _reaching(pads, image, kernel, strides, dilations, ceil)
        ones = Tensor(np.ones((x.shape[1], 1, *kernel), x.dtype))
        total = F.conv2d(x, ones, None, strides, _flat(reaching), dilations, x.shape[1])
        counts = [
            _cells(*axis, padding_counts)
            for axis in zip(image, output, kernel, strides, dilations, pads)
        ]
        return total * Tensor((1 / np.outer(*counts)).astype(x.dtype))

    return run


def _usual(pads, kernel):
    """Whether each window holds a pixel for sure: what the pools here ask for."""
    return all(max(both) <= k // 2 for both, k in zip(pads, kernel))


def _reaching(pads, image, kernel, strides, dilations, ceil):
    """The pads, more of them where a last window hangs over the end, and the output's size."""
    reaching, output = [], []
    for (before, after), n, k, s, d in zip(pads, image, kernel, strides, dilations):
        out = output_size(n, k, s, before, after, d, ceil)
        reaching.append((before, max(after, (out - 1) * s + d * (k - 1) + 1 - n - before)))
        output.append(out)
    return reaching, output


def _cells(size, out, kernel, stride, dilation, pads, padding_counts):
    """How many cells of each window count: those of the image, or of the padded one too."""
    before, after = pads
    place = np.arange(out)[:, None] * stride + np.arange(kernel) * dilation - before
    first, end = (-before, size + after) if padding_counts else (0, size)
    return ((place >= first) & (place < end)).sum(1)


def global_average(x):
    if x.ndim == 4:
        return F.adaptive_avg_pool2d(x, 1)
    return reduce.mean(x, tuple(range(2, x.ndim)), True)


def global_max(x):
    if x.ndim == 4:
        return F.adaptive_max_pool2d(x, 1)
    return reduce.amax(x, tuple(range(2, x.ndim)), True)
