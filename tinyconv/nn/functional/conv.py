"""Convolutions. Additions to PyTorch: ``padding`` may be four numbers (left, right, top,
bottom), and ``'same'`` works with any stride.
"""

import operator

from tinyconv import kernels
from tinyconv.autograd import Tensor
from tinyconv.nn.checks import check_filters, check_fits, images, one_dtype
from tinyconv.ops import conv as conv_ops
from tinyconv.ops.common import float_tensor

__all__ = ["conv2d"]


def conv2d(
    input: Tensor,
    weight: Tensor,
    bias: Tensor | None = None,
    stride=1,
    padding=0,
    dilation=1,
    groups=1,
) -> Tensor:
    """Convolve images with a bank of filters (cross-correlation, as everywhere in the field).

    y[n,o,p,q] = b[o] + sum_{c,i,j} w[o,c,i,j] x[n, c, p sh + i dh - top, q sw + j dw - left]

    Args:
        input: (N, C, H, W), or (C, H, W) without a batch; float32 or float64.
        weight: (O, C / groups, kh, kw), same dtype.
        bias: (O,) or None.
        stride, dilation: int or (height, width).
        padding: int, (height, width), (left, right, top, bottom), 'same' or 'valid'.
        groups: output channel group g sees input channel group g only.

    Returns:
        (N, O, Ho, Wo), Ho = floor((H + top + bottom - dh (kh - 1) - 1) / sh) + 1.

    Raises:
        TypeError, ValueError: the shapes, dtypes or numbers that do not fit, and the rule.

    Source: Dumoulin and Visin 2016, arXiv:1603.07285.

    >>> import tinyconv as tc, tinyconv.nn.functional as F
    >>> F.conv2d(tc.ones(1, 1, 3, 3), tc.ones(1, 1, 2, 2)).sum()
    tensor(16.)
    """
    x, single = images(input, "conv2d")
    w = float_tensor(weight, "conv2d")
    x, w, bias = one_dtype("conv2d", x, w, bias)
    _, channels, *image = x.shape
    check_filters(input, w, bias, channels, groups := operator.index(groups))
    window = kernels.Window.of(w.shape[2:], stride, padding, dilation, image, "conv2d")
    check_fits("conv2d", window, image, window.output_shape(*image))
    y = conv_ops.Conv2d.apply(x, w, bias, window, groups)
    return y[0] if single else y
