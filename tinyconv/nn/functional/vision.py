"""Functions that move pixels: padding, columns, other sizes."""

import math
import operator

import numpy as np

from tinyconv import kernels
from tinyconv.autograd import Tensor
from tinyconv.kernels.geometry import pair
from tinyconv.nn.checks import check_fits
from tinyconv.nn.functional.pooling import adaptive_avg_pool2d
from tinyconv.ops.common import as_tensor, float_tensor
from tinyconv.ops.pad import pad
from tinyconv.ops.resample import Choose, Resample, nearest, taps
from tinyconv.ops.shape import reshape
from tinyconv.ops.unfold import Fold, Unfold
from tinyconv.ops.vision import channel_shuffle, pixel_shuffle, pixel_unshuffle

__all__ = [
    "channel_shuffle", "fold", "interpolate", "pad", "pixel_shuffle", "pixel_unshuffle", "unfold",
    "upsample", "upsample_bilinear", "upsample_nearest",
]  # fmt: skip


# -- columns ----------------------------------------------------------------------------------
def unfold(input: Tensor, kernel_size, dilation=1, padding=0, stride=1) -> Tensor:
    """im2col: every window of the images as a column.

    y[n, (c kh + i) kw + j, p Wo + q] = x[n, c, p sh + i dh - top, q sw + j dw - left]

    Args:
        input: (N, C, H, W) or (C, H, W).
        kernel_size, dilation, stride: int or (height, width).
        padding: zeros around the image, as in ``conv2d``.

    Returns:
        (N, C kh kw, Ho Wo), or without N.

    Raises:
        TypeError, ValueError: numbers or shapes that do not fit.

    >>> import tinyconv as tc, tinyconv.nn.functional as F
    >>> F.unfold(tc.arange(6.0).reshape(1, 2, 3), (1, 2))
    tensor([[0., 1., 3., 4.],
            [1., 2., 4., 5.]])
    """
    x = as_tensor(input, "unfold")
    if x.ndim not in (3, 4) or 0 in x.shape[-3:]:
        raise ValueError(
            f"unfold: wants (N, C, H, W) or (C, H, W), only the batch empty, got {list(x.shape)}"
        )
    single = x.ndim == 3
    if single:
        x = reshape(x, (1, *x.shape))
    window = kernels.Window.of(kernel_size, stride, padding, dilation, x.shape[2:], "unfold")
    check_fits("unfold", window, x.shape[2:], window.output_shape(*x.shape[2:]))
    y = Unfold.apply(x, window)
    return y[0] if single else y


def fold(input: Tensor, output_size, kernel_size, dilation=1, padding=0, stride=1) -> Tensor:
    """col2im: the adjoint of ``unfold``; where windows overlap, their columns are added up.

    Args:
        input: (N, C kh kw, Ho Wo) or without N.
        output_size: (H, W).
        kernel_size, dilation, padding, stride: as in ``unfold``.

    Returns:
        (N, C, H, W) or without N.

    Raises:
        TypeError, ValueError: numbers or shapes that do not fit.
    """
    x = float_tensor(input, "fold")
    image = pair(output_size, "fold", "output_size", 1)
    window = kernels.Window.of(kernel_size, stride, padding, dilation, image, "fold")
    output = window.output_shape(*image)
    check_fits("fold", window, image, output)
    if x.ndim not in (2, 3) or 0 in x.shape[-2:]:
        raise ValueError(
            f"fold: wants (N, C kh kw, Ho Wo) or (C kh kw, Ho Wo), only the batch empty, got shape "
            f"{list(x.shape)}"
        )
    rows, columns = x.shape[-2:]
    if rows % (window.kh * window.kw) or columns != output[0] * output[1]:
        raise ValueError(
            f"fold: shape {list(x.shape)} for output_size={list(image)}: a window of {window.kh} x "
            f"{window.kw} makes C * {window.kh * window.kw} x {output[0]} * {output[1]} numbers of "
            "an image"
        )
    y = Fold.apply(x if x.ndim == 3 else reshape(x, (1, *x.shape)), window, image)
    return y if x.ndim == 3 else y[0]


# -- other sizes ------------------------------------------------------------------------------
#: mode: how many axes an image has there (None: 1 to 3), the curve between its pixels
_MODES = {
    "nearest": (None, None), "nearest-exact": (None, None), "area": (None, None),
    "linear": (1, "linear"), "bilinear": (2, "linear"), "trilinear": (3, "linear"),
    "bicubic": (2, "cubic"),
}  # fmt: skip


def interpolate(
    input: Tensor,
    size=None,
    scale_factor=None,
    mode="nearest",
    align_corners=None,
    recompute_scale_factor=None,
    antialias=False,
) -> Tensor:
    """Images in another size.

    Args:
        input: (N, C, W), (N, C, H, W) or (N, C, D, H, W).
        size: of the result, a number for all axes or one each; or
        scale_factor: size = floor(size * scale_factor), a number or one each.
        mode: 'nearest' (output i copies input floor(i n / m)), 'nearest-exact' (the nearest
            centre), 'linear', 'bilinear', 'trilinear' (3, 4, 5 dimensions), 'bicubic' (4
            dimensions) or 'area' (means, as ``adaptive_avg_pool2d``).
        align_corners: whether the centres of the corner pixels of both images meet, or (the
            default) their edges; for the linear modes and 'bicubic' alone.
        recompute_scale_factor: whether n / m counts as the scale, not ``scale_factor`` itself.
        antialias: not available.

    Raises:
        TypeError, ValueError: arguments that do not fit.

    >>> import tinyconv as tc, tinyconv.nn.functional as F
    >>> F.interpolate(tc.tensor([[[0.0, 1.0]]]), 4, mode="linear")
    tensor([[[0.0000, 0.2500, 0.7500, 1.0000]]])
    """
    x = as_tensor(input, "interpolate")
    axes, curve = _mode(x, mode)
    if antialias:
        raise ValueError("interpolate: antialias=True is not available")
    if align_corners is not None and curve is None:
        raise ValueError(
            f"interpolate: align_corners={align_corners} with mode={mode!r}; it is for the linear "
            "modes and 'bicubic'"
        )
    image = x.shape[2:]
    size, factors = _sizes(image, size, scale_factor, recompute_scale_factor)
    if 0 in image or min(size) < 1:
        raise ValueError(
            f"interpolate: from {list(image)} to {list(size)} (shape {list(x.shape)}): all sizes "
            "must be at least 1"
        )
    if mode == "area":
        return _area(x, size)
    if curve is not None:
        x = float_tensor(x, "interpolate")
    single = x.dtype == np.float32
    for axis, (n, m, factor) in enumerate(zip(image, size, factors), 2):
        if curve is None:
            x = Choose.apply(x, axis, nearest(n, m, factor, mode == "nearest-exact"), n)
        else:
            dtype = np.dtype(np.float32 if single else np.float64)
            x = Resample.apply(x, axis, taps(curve, n, m, factor, bool(align_corners), dtype))
    return x


def _mode(x, mode):
    if mode not in _MODES:
        raise ValueError(f"interpolate: mode={mode!r}; wants one of {', '.join(_MODES)}")
    axes, curve = _MODES[mode]
    if x.ndim not in (3, 4, 5) or axes not in (None, x.ndim - 2):
        wanted = "3, 4 or 5" if axes is None else axes + 2
        raise ValueError(
            f"interpolate: mode={mode!r} wants {wanted} dimensions (N, C, ...), got shape "
            f"{list(x.shape)}"
        )
    return axes, curve


def _sizes(image, size, scale_factor, recompute_scale_factor):
    """(the new size, the scale of each axis as given or None)."""
    if (size is None) == (scale_factor is None):
        raise ValueError(
            f"interpolate: size={size}, scale_factor={scale_factor}; give one of the two"
        )
    if size is not None:
        if recompute_scale_factor:
            raise ValueError("interpolate: recompute_scale_factor=True goes with scale_factor")
        size = [operator.index(n) for n in _each(size, image, "size")]
        return size, [None] * len(image)
    factors = [float(f) for f in _each(scale_factor, image, "scale_factor")]
    size = [math.floor(n * f) for n, f in zip(image, factors)]
    return size, [None] * len(image) if recompute_scale_factor else factors


def _each(value, image, name):
    if not isinstance(value, (tuple, list)):
        return [value] * len(image)
    if len(value) != len(image):
        raise ValueError(
            f"interpolate: {name}={value} for images of {len(image)} axes {list(image)}; wants one "
            "number or one for each"
        )
    return value


def _area(x, size):
    """Means over as equal parts as can be, two axes at a time."""
    x = float_tensor(x, "interpolate")
    N, C, *image = x.shape
    lead = image[:-2] if len(image) > 1 else []
    H, W = image[-2:] if len(image) > 1 else (1, *image)
    Ho, Wo = size[-2:] if len(image) > 1 else (1, *size)
    y = adaptive_avg_pool2d(reshape(x, (N, math.prod([C, *lead]), H, W)), (Ho, Wo))
    if lead:
        y = adaptive_avg_pool2d(reshape(y, (N, C, *lead, Ho * Wo)), (size[0], Ho * Wo))
    return reshape(y, (N, C, *size))


def upsample(
    input: Tensor, size=None, scale_factor=None, mode="nearest", align_corners=None
) -> Tensor:
    """The old name of ``interpolate``."""
    return interpolate(input, size, scale_factor, mode, align_corners)


def upsample_nearest(input: Tensor, size=None, scale_factor=None) -> Tensor:
    """``interpolate`` with mode='nearest'."""
    return interpolate(input, size, scale_factor)


def upsample_bilinear(input: Tensor, size=None, scale_factor=None) -> Tensor:
    """``interpolate`` with mode='bilinear' and align_corners=True."""
    return interpolate(input, size, scale_factor, "bilinear", True)
