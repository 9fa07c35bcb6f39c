"""Window: how a kernel slides over an image. Conv, pools and their tests share it.

Notation, in all kernels: N, C, H, W input; O output channels; kh, kw window; sh, sw
stride; dh, dw dilation; top, bottom, left, right padding; Ho, Wo output.
"""

import functools
from typing import NamedTuple


class Window(NamedTuple):
    """One sliding window: ten integers, readable inside Numba kernels by name.

    >>> Window.of(3, stride=2, padding=1).output_shape(7, 9)
    (4, 5)
    """

    kh: int
    kw: int
    sh: int
    sw: int
    top: int
    bottom: int
    left: int
    right: int
    dh: int
    dw: int

    @classmethod
    def of(cls, kernel_size, stride=1, padding=0, dilation=1, size=None, op="window"):
        """Read PyTorch's spellings of a window.

        Args:
            kernel_size, stride, dilation: int or (height, width).
            padding: int, (height, width), (left, right, top, bottom) in the order of
                ``F.pad``, ``'valid'`` (none) or ``'same'`` (output = ceil(input / stride),
                TensorFlow's rule: an odd rest goes to the right and bottom).
            size: (H, W) of the input, needed for ``'same'``.
            op: the name that errors begin with.

        Raises:
            TypeError, ValueError: numbers that make no window.
        """
        kh, kw = pair(kernel_size, op, "kernel_size", least=1)
        sh, sw = pair(stride, op, "stride", least=1)
        dh, dw = pair(dilation, op, "dilation", least=1)
        if padding == "valid":
            top = bottom = left = right = 0
        elif padding == "same":
            top, bottom = _same(size[0], kh, sh, dh)
            left, right = _same(size[1], kw, sw, dw)
        elif isinstance(padding, str):
            raise ValueError(f"{op}: padding={padding!r}; wants numbers, 'same' or 'valid'")
        elif isinstance(padding, (tuple, list)) and len(padding) == 4:
            left, right, top, bottom = (_whole(p, f"{op}: padding", 0) for p in padding)
        else:
            top, left = pair(padding, op, "padding", least=0, four=True)
            bottom, right = top, left
        return cls(kh, kw, sh, sw, top, bottom, left, right, dh, dw)

    @functools.lru_cache(4096)  # noqa: B019 (a window is a tuple of numbers and holds nothing)
    def output_shape(self, H, W, ceil_mode=False):
        """(Ho, Wo) for an H x W input; not positive where the window does not fit."""
        return (
            output_size(H, self.kh, self.sh, self.top, self.bottom, self.dh, ceil_mode),
            output_size(W, self.kw, self.sw, self.left, self.right, self.dw, ceil_mode),
        )


def output_size(size, kernel, stride=1, before=0, after=0, dilation=1, ceil_mode=False):
    r"""How many positions a window has along one axis.

    floor((size + before + after - dilation * (kernel - 1) - 1) / stride) + 1, or ceil with
    ``ceil_mode``, where a last window that would start in the padding after the input is
    left out (PyTorch, Caffe).

    >>> output_size(7, 3, stride=2), output_size(8, 3, stride=2, ceil_mode=True)
    (3, 4)
    """
    room = size + before + after - dilation * (kernel - 1) - 1
    if room < 0 and not ceil_mode:
        return 0
    if not ceil_mode:
        return room // stride + 1
    out = -(-room // stride) + 1
    if (out - 1) * stride >= size + before:
        out -= 1
    return max(out, 0)


def _same(size, kernel, stride, dilation):
    out = -(-size // stride)
    total = max((out - 1) * stride + dilation * (kernel - 1) + 1 - size, 0)
    return total // 2, total - total // 2


def pair(value, op, name, least, four=False):
    """(height, width) from an int or a pair, each a whole number of at least ``least``.

    Errors tell that it is the argument ``name`` of ``op``.
    """
    if type(value) is tuple and len(value) == 2:  # as layers keep it
        height, width = value
        if type(height) is type(width) is int and height >= least and width >= least:
            return value
    what = f"{op}: {name}"
    if isinstance(value, (tuple, list)):
        if len(value) == 1:
            value = (value[0], value[0])
        if len(value) != 2:
            lengths = "1, 2 or 4" if four else "1 or 2"
            raise ValueError(f"{what}={tuple(value)}: wants {lengths} numbers, got {len(value)}")
        return _whole(value[0], what, least), _whole(value[1], what, least)
    value = _whole(value, what, least)
    return value, value


def _whole(value, what, least):
    try:
        number = value.__index__()
    except (AttributeError, TypeError):
        raise TypeError(f"{what}={value!r}: wants whole numbers") from None
    if number < least:
        raise ValueError(f"{what}={value!r}: wants numbers of at least {least}")
    return number
