"""What the functions behind the layers ask of their arguments: each raises for what is unfit."""

import numpy as np

from tinyconv.kernels.geometry import pair
from tinyconv.ops.common import float_tensor
from tinyconv.ops.shape import unsqueeze


def images(input, op):
    """The batch (N, C, H, W), and whether it was given without N."""
    x = float_tensor(input, op)
    ndim = x.ndim
    if ndim == 4:
        return x, False
    if ndim == 3:
        return unsqueeze(x, 0), True
    raise ValueError(f"{op}: wants (N, C, H, W) or (C, H, W), got shape {list(x.shape)}")


def one_dtype(op, x, *others):
    """The operands (or None), whose dtypes must be equal."""
    dtype = x.dtype
    for other in others:
        if other is not None and other.dtype != dtype:
            if "c" in (other.dtype.kind, dtype.kind):  # a complex step in some of them
                return [t if t is None else t.to(np.complex128) for t in (x, *others)]
            raise TypeError(
                f"{op}: input is {x.dtype}, a parameter {other.dtype}; convert one of them "
                "(.float(), .double())"
            )
    return (x, *others)


def check_filters(input, w, bias, channels, groups):
    """Raise unless the filters ``w`` can be applied to the images, which have ``channels``."""
    shape = w.shape

    def shapes():
        return f"input of shape {list(input.shape)}, weight of shape {list(shape)}"

    if len(shape) != 4:
        raise ValueError(
            f"conv2d: weight must have 4 dimensions (O, C / groups, kh, kw); {shapes()}"
        )
    O, Cg = shape[:2]
    if groups < 1 or O % groups:
        raise ValueError(f"conv2d: groups={groups} must divide the {O} output channels; {shapes()}")
    if O == 0 or Cg == 0:
        raise ValueError(f"conv2d: there must be at least one channel in and out; {shapes()}")
    if channels != Cg * groups:
        raise ValueError(
            f"conv2d: input has {channels} channels (shape {list(input.shape)}), weight wants "
            f"{Cg * groups} (shape {list(shape)}, groups={groups})"
        )
    if bias is not None and bias.shape != (O,):
        raise ValueError(f"conv2d: bias of shape {list(bias.shape)} must be [{O}]; {shapes()}")


def check_fits(op, window, image, output):
    if min(output) < 1:
        kh, kw = window.dh * (window.kh - 1) + 1, window.dw * (window.kw - 1) + 1
        H, W = image[0] + window.top + window.bottom, image[1] + window.left + window.right
        raise ValueError(
            f"{op}: a window of {kh} x {kw} (dilation counted) does not fit into the padded image "
            f"of {H} x {W}: the output would be {output[0]} x {output[1]}"
        )


def check_pool(op, window, image, ceil_mode):
    """The output size of a pool whose every window holds a pixel of the image."""
    if 0 in image:
        raise ValueError(f"{op}: an image of {image[0]} x {image[1]} has no pixels to pool")
    half_h, half_w = window.kh // 2, window.kw // 2
    if max(window.top, window.bottom) > half_h or max(window.left, window.right) > half_w:
        raise ValueError(
            f"{op}: padding (left {window.left}, right {window.right}, top {window.top}, bottom "
            f"{window.bottom}) must be at most half the kernel, {half_h} x {half_w}"
        )
    output = window.output_shape(*image, ceil_mode)
    check_fits(op, window, image, output)
    axes = (
        (image[0], output[0], window.kh, window.sh, window.top, window.dh),
        (image[1], output[1], window.kw, window.sw, window.left, window.dw),
    )
    for size, out, k, s, before, d in axes:
        for p in range(out) if d > 1 else ():
            start = p * s - before
            if not any(0 <= start + i * d < size for i in range(k)):
                raise ValueError(
                    f"{op}: with dilation {d} window {p} steps over the whole image of size {size} "
                    "and sees only padding"
                )
    return output


def grid(x, output_size, op):
    if isinstance(output_size, (tuple, list)) and None in output_size:
        output_size = tuple(
            n if given is None else given for given, n in zip(output_size, x.shape[2:])
        )
    output = x.shape[2:] if output_size is None else pair(output_size, op, "output_size", 1)
    if 0 in x.shape[2:]:
        raise ValueError(f"{op}: an image of {x.shape[2]} x {x.shape[3]} has no pixels to pool")
    return output
