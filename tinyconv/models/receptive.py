"""Receptive fields: how much of the image one number of a feature map depends on.

Along each axis of the image a map has three figures: its jump, the distance in pixels between two
neighbours of the map; and the first and the last pixel that its number 0 depends on. A window of k
taps with dilation d, stride s and padding p widens the field by (k - 1) d jumps, moves it by -p
jumps, and multiplies the jump by s (Araujo, Norris, Sim 2019, Computing Receptive Fields of
Convolutional Neural Networks, Distill, doi:10.23915/distill.00021). Where branches join, the field
reaches from the first to the last pixel that any of them sees: the largest path. The smallest path
has its own, fourth figure.

Fields count pixels of the padding too, so they may be larger than the image. What sees every
number of a map (a global pool, a linear layer behind ``flatten``) sees the whole image.
"""

import math
from typing import NamedTuple

import numpy as np

from tinyconv.models.trace import Value
from tinyconv.ops.conv import Conv2d
from tinyconv.ops.index import GetItem
from tinyconv.ops.join import Split
from tinyconv.ops.linalg import Linear, Matmul
from tinyconv.ops.pad import Pad
from tinyconv.ops.pool import AvgPool2d, MaxPool2d, PlaneGather, adaptive_windows
from tinyconv.ops.reduce import Amax, Sum
from tinyconv.ops.shape import Permute, Reshape
from tinyconv.ops.softmax import LogSoftmax, Softmax


class Reach(NamedTuple):
    """What the numbers of a map see along one axis of the image, in pixels.

    Attributes:
        dim: the map's dimension that runs along this axis; None when it has none (any more).
        inside: (size, numbers behind each) of the axis where it is only a part of ``dim``, as
            behind ``flatten``; None where it is all of it.
        jump: from one number to the next.
        first, last: seen by number 0 along any path.
        smallest: length that the shortest path sees.
    """

    dim: int | None
    inside: tuple | None = None
    jump: int = 1
    first: float = 0
    last: float = 0
    smallest: float = 1

    @property
    def largest(self):
        """Length from the first to the last pixel."""
        return self.last - self.first + 1

    def window(self, taps, stride=1, before=0, dilation=1, size=None):
        """Behind a window that slides over ``size`` numbers; one that covers all sees all."""
        wide = (taps - 1) * dilation
        if size is not None and 1 < size <= wide + 1 - before:
            return self.whole()
        return self._replace(
            jump=self.jump * stride,
            first=self.first - before * self.jump,
            last=self.last + (wide - before) * self.jump,
            smallest=self.smallest + wide * self.jump,
        )

    def moved(self, start, step=1):
        """Of the numbers start, start + step, ..."""
        shift = start * self.jump
        return self._replace(
            jump=self.jump * step, first=self.first + shift, last=self.last + shift
        )

    def whole(self):
        """The whole image."""
        return Reach(None, None, 1, -math.inf, math.inf, math.inf)


class Field(NamedTuple):
    """Receptive field of a value: a ``Reach`` down (height) and one across (width)."""

    height: Reach
    width: Reach

    def sizes(self, image):
        """((height, width) of the smallest path, (height, width) of the largest path).

        Args:
            image: (H, W), which stands for "the whole image".
        """
        return tuple(
            tuple(side if math.isinf(length) else int(length) for side, length in zip(image, pair))
            for pair in (
                (self.height.smallest, self.width.smallest),
                (self.height.largest, self.width.largest),
            )
        )


def receptive_fields(graph):
    """The ``Field`` of every value that depends on the network's input.

    Batch statistics, which see all of a batch, are not counted.

    Args:
        graph: from ``trace``, of a network whose input is (N, C, H, W).

    Returns:
        dict from ``Value`` to ``Field``; None in place of a field for an input of another rank.

    >>> import tinyconv as tc
    >>> from tinyconv.models.receptive import receptive_fields
    >>> from tinyconv.models.trace import trace
    >>> net = tc.nn.Sequential(tc.nn.Conv2d(1, 2, (3, 5), stride=2), tc.nn.MaxPool2d(2))
    >>> graph = trace(net, (1, 12, 16))
    >>> receptive_fields(graph)[graph.outputs[0]].sizes((12, 16))
    ((5, 7), (5, 7))
    """
    (x,) = graph.inputs
    fields = {x: Field(Reach(2), Reach(3)) if len(x.shape) == 4 else None}
    for op in graph.ops:
        given = [(i, a) for i, a in enumerate(op.args) if isinstance(a, Value) and a in fields]
        for k, y in enumerate(op.outputs if given else ()):
            known = [(i, a) for i, a in given if fields[a] is not None]
            fields[y] = Field(*[
                _joined([_through(op, i, a, fields[a][axis], k) for i, a in known])
                for axis in (0, 1)
            ]) if known else None  # fmt: skip
    return fields


def _joined(reaches):
    along = next((r for r in reaches if r.dim is not None), reaches[0])
    return Reach(
        along.dim,
        along.inside,
        max(r.jump for r in reaches),
        min(r.first for r in reaches),
        max(r.last for r in reaches),
        min(r.smallest for r in reaches),
    )


def _through(op, i, x, reach, k):
    """What result ``k`` of an op sees by way of its argument ``i``, which is ``x``."""
    if reach.dim is None:
        return reach
    rule = _RULES.get(op.function, _elementwise)
    return rule(op, i, x.shape, op.outputs[k].shape, reach, k)


def _elementwise(op, i, shape, out, reach, k):
    """Dimensions are aligned at the last, as in broadcasting; anything else sees all."""
    dim = reach.dim + len(out) - len(shape)
    if dim >= 0 and shape[reach.dim] in (out[dim], 1):
        return reach._replace(dim=dim)
    return _gone(shape, reach)


def _gone(shape, reach):
    """The dimension is summed over, or taken apart."""
    size = reach.inside[0] if reach.inside else shape[reach.dim]
    return reach._replace(dim=None, inside=None) if size == 1 else reach.whole()


def _window(window, shape, reach):
    size = shape[reach.dim]
    if reach.inside or reach.dim < len(shape) - 2:
        return reach.whole()  # a window over something else
    if reach.dim == len(shape) - 2:
        return reach.window(window.kh, window.sh, window.top, window.dh, size)
    return reach.window(window.kw, window.sw, window.left, window.dw, size)


def _conv(op, i, shape, out, reach, k):
    return _window(op.args[3], shape, reach)


def _max_pool(op, i, shape, out, reach, k):
    return _window(op.args[1], shape, reach)


def _avg_pool(op, i, shape, out, reach, k):
    windows = op.args[1]
    if len(windows) != 2:
        return _window(windows, shape, reach)
    return _uneven(*windows[reach.dim - len(shape) + 2], shape[reach.dim], reach)


def _adaptive_max_pool(op, i, shape, out, reach, k):
    starts, stops = adaptive_windows(shape[reach.dim], out[reach.dim])
    return _uneven(starts, stops, shape[reach.dim], reach)


def _uneven(starts, stops, size, reach):
    """Windows of several lengths and distances: the largest of both."""
    stride = int(np.diff(starts).max(initial=1))
    return reach.window(int((stops - starts).max()), stride, size=size)


def _getitem(op, i, shape, out, reach, k):
    index = op.args[1] if isinstance(op.args[1], tuple) else (op.args[1],)
    index = [np.asarray(p) if isinstance(p, (tuple, list)) else p for p in index]
    arrays = [p for p in index if isinstance(p, np.ndarray)]
    if len(arrays) > 1 or any(p.ndim != 1 or p.dtype == bool for p in arrays):
        return reach.whole()  # as far as can be told
    named = sum(p is not None and p is not ... for p in index)
    parts = []
    for p in index:
        parts += [slice(None)] * (len(shape) - named) if p is ... else [p]
    at, dim = -1, 0  # dimensions of x and of the result
    for p in parts:
        at += p is not None
        if at == reach.dim and isinstance(p, slice):
            start, _, step = p.indices(shape[at])
            if reach.inside and p != slice(None):
                return reach.whole()
            return reach.moved(start, abs(step))._replace(dim=dim)
        if at == reach.dim and (reach.inside or isinstance(p, np.ndarray)):
            return reach.whole()
        if at == reach.dim and p is not None:
            return reach.moved(int(p) % shape[at])._replace(dim=None)
        dim += p is None or isinstance(p, (slice, np.ndarray))
    return reach._replace(dim=dim + reach.dim - at - 1)


def _pad(op, i, shape, out, reach, k):
    before, after = op.args[1][reach.dim]
    return reach.whole() if reach.inside and (before or after) else reach.moved(-before)


def _split(op, i, shape, out, reach, k):
    parts, dim = op.args[1:3]
    if dim != reach.dim:
        return reach
    return reach.whole() if reach.inside else reach.moved(sum(parts[:k]))


def _permute(op, i, shape, out, reach, k):
    return reach._replace(dim=op.args[1].index(reach.dim))


def _reshape(op, i, shape, out, reach, k):
    """The axis is found again by its size and by how many numbers lie behind each of its own."""
    size, behind = reach.inside or (shape[reach.dim], 1)
    behind *= math.prod(shape[reach.dim + 1 :])
    for dim in range(len(out)):
        below = math.prod(out[dim + 1 :])
        if below and behind % below == 0 and out[dim] % (behind // below * size) == 0:
            inside = (size, behind // below)
            return reach._replace(dim=dim, inside=None if inside == (out[dim], 1) else inside)
    return _gone(shape, reach)


def _reduction(op, i, shape, out, reach, k):
    dims, keepdim = op.args[1:3]
    if reach.dim in dims:
        return _gone(shape, reach)
    return reach._replace(dim=reach.dim - (0 if keepdim else sum(d < reach.dim for d in dims)))


def _softmax(op, i, shape, out, reach, k):
    return _gone(shape, reach) if op.args[1] == reach.dim else reach


def _linear(op, i, shape, out, reach, k):
    return _gone(shape, reach) if reach.dim == len(shape) - 1 else reach


def _matmul(op, i, shape, out, reach, k):
    if reach.dim == len(shape) - (1 if i == 0 else 2):
        return _gone(shape, reach)
    return reach._replace(dim=reach.dim + len(out) - len(shape))


_RULES = {
    Conv2d: _conv, MaxPool2d: _max_pool, AvgPool2d: _avg_pool, PlaneGather: _adaptive_max_pool,
    GetItem: _getitem, Pad: _pad, Split: _split, Permute: _permute, Reshape: _reshape,
    Sum: _reduction, Amax: _reduction, Softmax: _softmax, LogSoftmax: _softmax, Linear: _linear,
    Matmul: _matmul,
}  # fmt: skip
