"""Reading images at places between the pixels. Composed of gather and arithmetic, so there are
derivatives of any order, in the image and in the places.
"""

import functools
import math
import operator

import numpy as np

from tinyconv.autograd import Tensor
from tinyconv.nn.checks import one_dtype
from tinyconv.ops.activations import hardtanh
from tinyconv.ops.arithmetic import where
from tinyconv.ops.common import float_tensor, quiet
from tinyconv.ops.index import gather
from tinyconv.ops.join import stack, unbind
from tinyconv.ops.linalg import matmul
from tinyconv.ops.resample import cubic
from tinyconv.ops.shape import reshape, transpose, unsqueeze

__all__ = ["affine_grid", "grid_sample"]

_MODES = ("bilinear", "nearest", "bicubic")
_PADDINGS = ("zeros", "border", "reflection")


@quiet  # of places at infinity
def grid_sample(
    input: Tensor, grid, mode="bilinear", padding_mode="zeros", align_corners=None
) -> Tensor:
    """The image at given places.

    Args:
        input: (N, C, H, W), or (N, C, D, H, W).
        grid: (N, Ho, Wo, 2) of (x, y), or (N, Do, Ho, Wo, 3) of (x, y, z), in the same dtype; -1
            is the left (upper, front) end of the image, 1 the right one.
        mode: 'bilinear', 'nearest' (halves go to the even pixel) or, of 4-d input, 'bicubic'.
        padding_mode: what lies outside: 'zeros', 'border' (the nearest pixel) or 'reflection'.
        align_corners: whether -1 and 1 are the centres of the outermost pixels, or their edges.

    Returns:
        (N, C, Ho, Wo) or (N, C, Do, Ho, Wo).

    Raises:
        TypeError, ValueError: shapes, dtypes or words that do not fit.

    Source: Jaderberg et al. 2015, arXiv:1506.02025, section 3.3.
    """
    x, grid = float_tensor(input, "grid_sample"), float_tensor(grid, "grid_sample")
    x, grid = one_dtype("grid_sample", x, grid)
    rule = f"grid_sample: input of shape {list(x.shape)}, grid of shape {list(grid.shape)}"
    if x.ndim not in (4, 5) or grid.ndim != x.ndim:
        raise ValueError(f"{rule}: wants (N, C, H, W) and (N, Ho, Wo, 2), or 5 dimensions of each")
    if x.shape[0] != grid.shape[0] or grid.shape[-1] != x.ndim - 2:
        raise ValueError(
            f"{rule}: the batches must be equal, and the grid's last size {x.ndim - 2}"
        )
    if 0 in x.shape[2:]:
        raise ValueError(f"{rule}: the image has no pixels")
    if mode not in _MODES or padding_mode not in _PADDINGS:
        raise ValueError(
            f"grid_sample: mode={mode!r}, padding_mode={padding_mode!r}; wants one of "
            f"{', '.join(_MODES)} and one of {', '.join(_PADDINGS)}"
        )
    if mode == "bicubic" and x.ndim == 5:
        raise ValueError(f"{rule}: mode='bicubic' is for 4-d input")
    image = x.shape[2:]

    def inside(place, size):
        return _inside(place, size, padding_mode, align_corners)

    axes = []
    # the grid counts x first, the image's axes y first
    for size, place in zip(image, reversed(grid.unbind(-1))):
        place = _pixels(place, size, align_corners)
        if mode != "bicubic":
            axes.append(_NEIGHBOURS[mode](inside(place, size)))
        else:  # here each of the pixels is looked for, not the place
            pixels, weights = _cubic(place)
            axes.append((np.rint(inside(Tensor(pixels), size).array.real), weights))
    return _weighed(x, axes)


def _weighed(x, axes):
    """Sums of pixels: ``axes`` has pixels (N, k, ...) and weights, or None, for each axis of x;
    what lies outside counts as 0."""
    N, C, *image = x.shape
    index, seen, weights = 0, True, []
    for a, (size, (pixels, weight)) in enumerate(zip(image, axes)):
        # the k of each axis gets an axis of its own
        shape = [N, *[1] * len(image), *pixels.shape[2:]]
        shape[1 + a] = pixels.shape[1]
        within = (pixels >= 0) & (pixels < size)
        index = index * size + np.where(within, pixels, 0).astype(np.int64).reshape(shape)
        seen = seen & within.reshape(shape)
        if weight is not None:
            weights.append(reshape(weight, tuple(shape)))
    flat = reshape(x, (N, C, math.prod(image)))
    count = math.prod(index.shape[1:])
    places = np.broadcast_to(index.reshape(N, 1, count), (N, C, count))
    values = reshape(gather(flat, 2, Tensor(places)), (N, C, *index.shape[1:]))
    values = where(Tensor(seen[:, None]), values, 0.0)
    if weights:
        values = values * unsqueeze(functools.reduce(operator.mul, weights), 1)
    neighbours = math.prod(index.shape[1 : 1 + len(image)])
    terms = reshape(values, (N, C, neighbours, *index.shape[1 + len(image) :]))
    return functools.reduce(operator.add, unbind(terms, 2))


def _pixels(place, size, align_corners):
    """-1 to 1 as a pixel's number."""
    if align_corners:
        return (place + 1) * ((size - 1) / 2)
    return ((place + 1) * size - 1) * 0.5


def _inside(place, size, padding_mode, align_corners):
    """Where to look for what is asked for at ``place``. At and beyond the ends the slope is 0."""
    if padding_mode == "zeros":
        return place
    if padding_mode == "reflection":
        low, high = (0, size - 1) if align_corners else (-0.5, size - 0.5)
        place = _reflected(place, low, high)
    place = hardtanh(place, 0.0, size - 1.0)
    return where(place == place, place, 0.0)  # NaN


def _reflected(place, low, high):
    """``place`` between two mirrors."""
    span = high - low
    if span == 0:
        return place * 0
    way = where(place < low, low - place, place - low)
    times = np.floor(way.array.real / span)
    odd = np.fmod(times, 2) != 0
    rest = way - Tensor(times.astype(way.dtype)) * span
    return where(Tensor(odd), span - rest, rest) + low


def _low(place):
    """(the pixel at or before, the way from there to ``place``)."""
    low = np.floor(place.array.real)
    return low, place - Tensor(low.astype(place.dtype))


def _nearest(place):
    # the place does not count, but it has a slope: 0
    one = where(Tensor(np.array(False)), place, 1.0) if place.requires_grad else None
    return np.rint(place.array.real)[:, None], None if one is None else unsqueeze(one, 1)


def _linear(place):
    low, t = _low(place)
    return np.stack([low, low + 1], 1), stack([1 - t, t], 1)


def _cubic(place):
    low, t = _low(place)
    return np.stack([low - 1, low, low + 1, low + 2], 1), stack(cubic(t), 1)


_NEIGHBOURS = {"nearest": _nearest, "bilinear": _linear}


def affine_grid(theta: Tensor, size, align_corners=None) -> Tensor:
    """The places that an affine map asks for, as ``grid_sample`` wants them.

    grid[n, p, q] = theta[n] (x_q, y_p, 1), x and y evenly spaced from -1 to 1.

    Args:
        theta: (N, 2, 3), or (N, 3, 4) for volumes.
        size: (N, C, H, W), or (N, C, D, H, W).
        align_corners: whether -1 and 1 are the centres of the outermost pixels, or their edges.

    Raises:
        TypeError, ValueError: shapes that do not fit.

    >>> import tinyconv as tc, tinyconv.nn.functional as F
    >>> F.affine_grid(tc.eye(2, 3).unsqueeze(0), (1, 1, 1, 2), align_corners=True)
    tensor([[[[-1.,  0.],
              [ 1.,  0.]]]])
    """
    theta, size = float_tensor(theta, "affine_grid"), tuple(operator.index(n) for n in size)
    axes = len(size) - 2
    if axes not in (2, 3) or theta.shape != (size[0], axes, axes + 1) or min(size) < 1:
        raise ValueError(
            f"affine_grid: theta of shape {list(theta.shape)} for size {list(size)}; wants "
            "(N, 2, 3) for (N, C, H, W) or (N, 3, 4) for (N, C, D, H, W), all sizes at least 1"
        )
    lines = [_evenly(n, align_corners) for n in size[2:]]
    places = np.stack([*np.meshgrid(*lines, indexing="ij")[::-1], np.ones(size[2:])], -1)
    base = Tensor(places.reshape(-1, axes + 1).astype(theta.dtype))
    return reshape(matmul(base, transpose(theta, 1, 2)), (size[0], *size[2:], axes))


def _evenly(size, align_corners):
    if size == 1:
        return np.zeros(1)
    line = np.linspace(-1, 1, size)
    return line if align_corners else line * ((size - 1) / size)
