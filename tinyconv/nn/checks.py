"""What the functions behind the layers ask of their arguments: each raises for what is unfit."""

import numpy as np

from tinyconv.autograd import Tensor
from tinyconv.kernels.geometry import pair
from tinyconv.ops.common import float_tensor
from tinyconv.ops.shape import reshape, unsqueeze


def images(input, op):
    """The batch (N, C, H, W), and whether it was given without N."""
    x = float_tensor(input, op)
    ndim = x.ndim
    if ndim == 4:
        return x, False
    if ndim == 3:
        return unsqueeze(x, 0), True
    raise ValueError(f"{op}: wants (N, C, H, W) or (C, H, W), got shape {list(x.shape)}")


def signals(input, op):
    """The batch (N, C, L) as images (N, C, 1, L), and whether it was given without N."""
    x = float_tensor(input, op)
    if x.ndim == 3:
        return unsqueeze(x, 2), False
    if x.ndim == 2:
        return reshape(x, (1, x.shape[0], 1, x.shape[1])), True
    raise ValueError(f"{op}: wants (N, C, L) or (C, L), got shape {list(x.shape)}")


def along(op, **arguments):
    """Arguments of a window along one axis, a whole number or a sequence of one each, as what
    they are for (1, L): {name: (identity, number)}."""
    return {name: _beside(op, name, value) for name, value in arguments.items()}


def _beside(op, name, value):
    if isinstance(value, (tuple, list)):
        if len(value) != 1:
            raise ValueError(f"{op}: {name}={tuple(value)}: wants 1 number, got {len(value)}")
        value = value[0]
    return value if isinstance(value, str) else (0 if "padding" in name else 1, value)


def counts(axes, op, name, value, least):
    """A layer's argument as a tuple of ``axes`` (1 or 2) whole numbers."""
    if axes == 1:
        value = along(op, **{name: value})[name]
    return pair(value, op, name, least)[2 - axes :]


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


def check_filters(op, input, w, bias, channels, groups, transposed=False):
    """Raise unless the filters ``w`` can be applied to ``input``, which has ``channels``.

    They are (O, C / groups, ...), those of a transposed convolution (C, O / groups, ...).
    """
    shape = w.shape

    def shapes():
        return f"input of shape {list(input.shape)}, weight of shape {list(shape)}"

    axes = 1 if op.endswith("1d") else 2
    if len(shape) != axes + 2:
        sizes = "C, O / groups" if transposed else "O, C / groups"
        raise ValueError(
            f"{op}: weight must have {axes + 2} dimensions ({sizes}, "
            f"{'kh, kw' if axes == 2 else 'k'}); {shapes()}"
        )
    own, shared = shape[:2]
    if groups < 1 or own % groups:
        way = "input" if transposed else "output"
        raise ValueError(f"{op}: groups={groups} must divide the {own} {way} channels; {shapes()}")
    if own == 0 or (transposed and shared == 0):
        raise ValueError(f"{op}: there must be at least one channel in and out; {shapes()}")
    O, C = (shared * groups, own) if transposed else (own, shared * groups)
    if channels != C:
        raise ValueError(
            f"{op}: input has {channels} channels (shape {list(input.shape)}), weight wants "
            f"{C} (shape {list(shape)}, groups={groups})"
        )
    if bias is not None and bias.shape != (O,):
        raise ValueError(f"{op}: bias of shape {list(bias.shape)} must be [{O}]; {shapes()}")


def check_fits(op, window, image, output):
    if min(output) < 1:
        kh, kw = window.dh * (window.kh - 1) + 1, window.dw * (window.kw - 1) + 1
        H, W = image[0] + window.top + window.bottom, image[1] + window.left + window.right
        raise ValueError(
            f"{op}: a window of {kh} x {kw} (dilation counted) does not fit into the padded image "
            f"of {H} x {W}: the output would be {output[0]} x {output[1]}"
        )


def check_pool(op, window, shape, ceil_mode):
    """The output size of a pool whose every window holds a pixel of the image."""
    image = shape[2:]
    if 0 in shape[1:]:
        raise ValueError(
            f"{op}: images of {shape[1]} channels, {image[0]} x {image[1]}, have nothing to pool"
        )
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


def check_places(op, input, indices, image):
    """Raise unless ``indices`` are places in planes of that size for the values ``input``."""
    if not isinstance(indices, Tensor) or indices.dtype != np.int64:
        found = indices.dtype if isinstance(indices, Tensor) else type(indices).__name__
        raise TypeError(f"{op}: indices must be an int64 Tensor, got {found}")
    if indices.shape != input.shape:
        raise ValueError(
            f"{op}: indices of shape {list(indices.shape)} must have the shape of the input, "
            f"{list(input.shape)}"
        )
    if 0 in input.shape[-2:] or min(image) < 1:
        raise ValueError(
            f"{op}: input of shape {list(input.shape)} and a result of {image[0]} x {image[1]} "
            "must have pixels"
        )
    places = indices.array
    if places.size and not 0 <= places.min() <= places.max() < image[0] * image[1]:
        raise ValueError(
            f"{op}: indices from {places.min()} to {places.max()} reach outside planes of "
            f"{image[0]} x {image[1]}"
        )


def grid(x, output_size, op):
    if isinstance(output_size, (tuple, list)) and None in output_size:
        output_size = tuple(
            n if given is None else given for given, n in zip(output_size, x.shape[2:])
        )
    output = x.shape[2:] if output_size is None else pair(output_size, op, "output_size", 0)
    if 0 in x.shape[2:]:
        raise ValueError(f"{op}: an image of {x.shape[2]} x {x.shape[3]} has no pixels to pool")
    return output
