"""Convolutions: that of signals is that of images of one row, the transposed one is the input
gradient of the other. Additions to PyTorch: ``padding`` may be four numbers (left, right, top,
bottom), and ``'same'`` works with any stride.
"""

import operator

from tinyconv import kernels
from tinyconv.autograd import Tensor
from tinyconv.kernels.geometry import pair
from tinyconv.nn.checks import along, check_filters, check_fits, images, one_dtype, signals
from tinyconv.ops import conv as conv_ops
from tinyconv.ops.common import float_tensor
from tinyconv.ops.pad import pad
from tinyconv.ops.shape import squeeze, unsqueeze

__all__ = ["conv1d", "conv2d", "conv_transpose1d", "conv_transpose2d"]


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
    check_filters("conv2d", input, w, bias, x.shape[1], groups := operator.index(groups))
    y = _slide("conv2d", x, w, bias, groups, stride, padding, dilation)
    return y[0] if single else y


def conv1d(
    input: Tensor,
    weight: Tensor,
    bias: Tensor | None = None,
    stride=1,
    padding=0,
    dilation=1,
    groups=1,
) -> Tensor:
    """``conv2d`` of signals (N, C, L) or (C, L) with weight (O, C / groups, k).

    >>> import tinyconv as tc, tinyconv.nn.functional as F
    >>> F.conv1d(tc.arange(5.0).reshape(1, 1, 5), tc.ones(1, 1, 3))
    tensor([[[3., 6., 9.]]])
    """
    x, single = signals(input, "conv1d")
    w = float_tensor(weight, "conv1d")
    x, w, bias = one_dtype("conv1d", x, w, bias)
    check_filters("conv1d", input, w, bias, x.shape[1], groups := operator.index(groups))
    window = along("conv1d", stride=stride, padding=padding, dilation=dilation)
    y = squeeze(_slide("conv1d", x, unsqueeze(w, 2), bias, groups, **window), 2)
    return y[0] if single else y


def _slide(op, x, w, bias, groups, stride, padding, dilation):
    image = x.shape[2:]
    window = kernels.Window.of(w.shape[2:], stride, padding, dilation, image, op)
    check_fits(op, window, image, window.output_shape(*image))
    return conv_ops.Conv2d.apply(x, w, bias, window, groups)


def conv_transpose2d(
    input: Tensor,
    weight: Tensor,
    bias: Tensor | None = None,
    stride=1,
    padding=0,
    output_padding=0,
    groups=1,
    dilation=1,
) -> Tensor:
    """The transposed convolution: each pixel lays its multiple of the filter onto the result.

    y[n,o, p sh + i dh - top, q sw + j dw - left] = b[o] + sum of all w[c,o,i,j] x[n,c,p,q] there

    Args:
        input: (N, C, H, W), or (C, H, W) without a batch; float32 or float64.
        weight: (C, O / groups, kh, kw), same dtype.
        bias: (O,) or None.
        stride, dilation: int or (height, width).
        padding: what the convolution back would pad, so it crops: int, (height, width) or
            (left, right, top, bottom).
        output_padding: rows and columns more at the end, less than stride or dilation.
        groups: output channel group g sees input channel group g only.

    Returns:
        (N, O, Ho, Wo), Ho = (H - 1) sh - top - bottom + dh (kh - 1) + output_padding + 1.

    Raises:
        TypeError, ValueError: the shapes, dtypes or numbers that do not fit, and the rule.

    Source: Dumoulin and Visin 2016, arXiv:1603.07285, chapter 4.

    >>> import tinyconv as tc, tinyconv.nn.functional as F
    >>> F.conv_transpose2d(tc.ones(1, 1, 2, 2), tc.ones(1, 1, 3, 3), stride=2, padding=1)
    tensor([[[[1., 2., 1.],
              [2., 4., 2.],
              [1., 2., 1.]]]])
    """
    x, single = images(input, "conv_transpose2d")
    w = float_tensor(weight, "conv_transpose2d")
    x, w, bias = one_dtype("conv_transpose2d", x, w, bias)
    check_filters(
        "conv_transpose2d", input, w, bias, x.shape[1], groups := operator.index(groups), True
    )
    y = _lay("conv_transpose2d", x, w, bias, groups, stride, padding, output_padding, dilation)
    return y[0] if single else y


def conv_transpose1d(
    input: Tensor,
    weight: Tensor,
    bias: Tensor | None = None,
    stride=1,
    padding=0,
    output_padding=0,
    groups=1,
    dilation=1,
) -> Tensor:
    """``conv_transpose2d`` of signals (N, C, L) or (C, L) with weight (C, O / groups, k)."""
    x, single = signals(input, "conv_transpose1d")
    w = float_tensor(weight, "conv_transpose1d")
    x, w, bias = one_dtype("conv_transpose1d", x, w, bias)
    check_filters(
        "conv_transpose1d", input, w, bias, x.shape[1], groups := operator.index(groups), True
    )
    window = along(
        "conv_transpose1d", stride=stride, padding=padding, output_padding=output_padding,
        dilation=dilation,
    )  # fmt: skip
    y = squeeze(_lay("conv_transpose1d", x, unsqueeze(w, 2), bias, groups, **window), 2)
    return y[0] if single else y


def _lay(op, x, w, bias, groups, stride, padding, output_padding, dilation):
    if isinstance(padding, str):
        raise TypeError(f"{op}: padding={padding!r}; a transposed convolution wants numbers")
    window = kernels.Window.of(w.shape[2:], stride, padding, dilation, None, op)
    more_h, more_w = pair(output_padding, op, "output_padding", 0)
    if more_h >= max(window.sh, window.dh) or more_w >= max(window.sw, window.dw):
        raise ValueError(
            f"{op}: output_padding={(more_h, more_w)} must be smaller than the stride "
            f"{(window.sh, window.sw)} or the dilation {(window.dh, window.dw)}"
        )
    if 0 in x.shape[2:]:
        raise ValueError(f"{op}: images of shape {list(x.shape)} have no pixels")
    if more_h >= window.sh or more_w >= window.sw:  # whole strides: as pixels of zeros would give
        x = pad(x, (0, more_w // window.sw, 0, more_h // window.sh))
        more_h, more_w = more_h % window.sh, more_w % window.sw
    H, W = x.shape[2:]
    Ho = (H - 1) * window.sh - window.top - window.bottom + window.dh * (window.kh - 1) + more_h + 1
    Wo = (W - 1) * window.sw - window.left - window.right + window.dw * (window.kw - 1) + more_w + 1
    if Ho < 1 or Wo < 1:
        raise ValueError(
            f"{op}: the padding {padding} crops all of the result: {Ho} x {Wo} pixels of images "
            f"of {H} x {W} would be left"
        )
    y = conv_ops.ConvInputGradient.apply(x, w, window, groups, (Ho, Wo))
    return y if bias is None else y + bias.reshape(-1, 1, 1)
