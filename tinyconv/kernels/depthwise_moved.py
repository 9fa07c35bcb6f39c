"""3 x 3 windows of any padding as windows padded by 1, over an image that is moved.

A window that looks at rows p s - top, ... is the window at p s - 1, ... over an image with top - 1
rows of zeros in front; where these are fewer than none, s rows more, and the outputs before the
first one are left out. So kernels for a padding of 1 do all of them, at the price of copies, and
what is a copy with zeros around it forward is one without the margin backward.
"""

import functools
from typing import NamedTuple

import numpy as np

from tinyconv.kernels import memory, parallel
from tinyconv.kernels.geometry import Window
from tinyconv.kernels.jit import kernel
from tinyconv.kernels.simd import get, hold, lanes, pointer, store, store_some
from tinyconv.kernels.simd_masks import between, load_masked

#: pixels and outputs below which copies cost more than they save
_SMALL = 1 << 14


class Move(NamedTuple):
    """A window padded by 1, the sizes of its image and output, and by how many rows and columns
    pixels and outputs are moved in them."""

    window: Window
    image: tuple
    output: tuple
    pixels: tuple
    outputs: tuple

    def of_image(self, x):
        return _moved(x, self.image, self.pixels)

    def of_output(self, y):
        return _moved(y, self.output, self.outputs)

    def to_image(self, x, size):
        return _moved(x, size, (-self.pixels[0], -self.pixels[1]))

    def to_output(self, y, size):
        return _moved(y, size, (-self.outputs[0], -self.outputs[1]))


def move(window, image, output, planes):
    """The ``Move`` of a window, or None where there is none or it does not pay.

    >>> to = move(Window.of(3, padding=0), (28, 26), (26, 24), 64)
    >>> to.image, to.output, to.pixels, to.outputs
    ((28, 26), (28, 26), (0, 0), (1, 1))
    """
    if planes * (image[0] * image[1] + output[0] * output[1]) < _SMALL:
        return None
    return _fitted(window, image, output)


@functools.lru_cache(4096)
def _fitted(window, image, output):
    kh, kw, sh, sw, top, _, left, _, dh, dw = window
    if not (kh == kw == 3 and dh == dw == 1 and sh == sw <= 2):
        return None
    sides = _side(image[0], output[0], top, sh), _side(image[1], output[1], left, sw)
    return Move(Window(3, 3, sh, sw, 1, 1, 1, 1, 1, 1), *zip(*sides))


def _side(size, outputs, before, stride):
    """Of one axis: pixels and outputs of the window padded by 1, and by how much they move."""
    out = max(0, -((before - 1) // stride))
    first = before - 1 + stride * out
    seen = min(size, (outputs - 1) * stride - before + 3)
    pixels = max(first + seen, stride * (out + outputs - 1) + 1)
    return pixels, -(-pixels // stride), first, out


def _moved(a, size, by):
    """Planes of ``size``: what is at (h, v) in those of ``a`` is at (h, v) + by, the rest zeros;
    ``a`` itself where nothing changes."""
    N, C, H, W = a.shape
    if by == (0, 0) and size == (H, W):
        return a
    moved = memory.empty((N, C, *size), a.dtype)
    arrays, sizes = (a.reshape(-1), moved.reshape(-1)), (H, W, *size, *by)
    parallel.run(
        lambda _, start, stop: _move(*arrays, sizes, start, stop),
        parallel.chunks(N * C, moved.size),
    )
    return moved


@kernel
def _move(a, moved, sizes, start, stop):
    """Planes start:stop; arrays flat."""
    H, W, height, width, below, right = sizes
    n = lanes(a)
    count = (width + n - 1) // n
    held = np.empty(count, np.int64)
    for i in range(count):
        held[i] = between(right - i * n, right - i * n + W, n)
    a, moved, masks = pointer(a), pointer(moved), pointer(held)
    # rows behind which there is room for a register; the next row writes over what is too much
    whole = (height * width - n) // width
    for plane in range(start, stop):
        for p in range(height):
            of = (plane * H - below + p) * W - right
            to = (plane * height + p) * width
            there = -1 if p >= below and p < below + H else 0
            for i in range(count):
                value = load_masked(a, of + i * n, get(masks, i) & there)
                if p < whole:
                    store(moved, to + i * n, value)
                else:
                    store_some(moved, to + i * n, value, width - i * n)
    hold((held,))
