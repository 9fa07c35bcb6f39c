"""Making tensors larger at their borders, or smaller.

Primitives: constant padding, whose gradient is getitem (or padding by negative widths), and
borders that show the inside again, whose gradient is their adjoint, of the same Function.
"""

from tinyconv.autograd import Function, Tensor
from tinyconv.kernels import memory
from tinyconv.kernels.addition import over_rows
from tinyconv.ops.common import as_tensor
from tinyconv.ops.index import GetItem
from tinyconv.ops.shape import sizes


class Pad(Function):
    """Constant padding; negative widths crop. ``widths``: (before, after) per axis."""

    def forward(ctx, x, widths, value):
        ctx.widths = widths
        y = memory.empty(tuple([n + a + b for n, (a, b) in zip(x.shape, widths)]), x.dtype)
        inside = tuple([slice(max(a, 0), n - max(b, 0)) for n, (a, b) in zip(y.shape, widths)])
        kept = tuple([slice(max(-a, 0), n - max(-b, 0)) for n, (a, b) in zip(x.shape, widths)])

        def fill(i, j):
            y[i:j] = value
            y[i:j][inside] = x[i:j][kept]

        if widths and widths[0] == (0, 0):
            over_rows(fill, y)
        else:
            y[...] = value
            y[inside] = x[kept]
        return y

    def backward(ctx, gy):
        if any([a < 0 or b < 0 for a, b in ctx.widths]):
            return Pad.apply(gy, tuple([(-a, -b) for a, b in ctx.widths]), 0)
        # nothing comes but what went in: no copy
        return GetItem.apply(
            gy, tuple([slice(a, n - b) for n, (a, b) in zip(gy.shape, ctx.widths)])
        )


class Border(Function):
    """x with a border that shows x again: what ``source(i, n)`` tells of an axis of size n for
    i < 0 and i >= n. ``widths``: (before, after) per axis, none of them negative.

    With ``adjoint`` each number of the border is added to where it came from, and the border
    cut off.
    """

    def forward(ctx, x, widths, source, adjoint=False):
        ctx.widths, ctx.source, ctx.adjoint = widths, source, adjoint
        if adjoint:
            shape = [n - a - b for n, (a, b) in zip(x.shape, widths)]
            y = x.copy()
            for outside, shown in reversed(_repeats(shape, widths, source)):
                y[shown] += y[outside]
            return y[_inside(shape, widths)].copy()
        y = memory.empty(tuple([n + a + b for n, (a, b) in zip(x.shape, widths)]), x.dtype)
        y[_inside(x.shape, widths)] = x
        for outside, shown in _repeats(x.shape, widths, source):
            y[outside] = y[shown]
        return y

    def backward(ctx, gy):
        return Border.apply(gy, ctx.widths, ctx.source, not ctx.adjoint)


def _inside(shape, widths):
    return tuple([slice(a, a + n) for n, (a, _) in zip(shape, widths)])


def _repeats(shape, widths, source):
    """[(index of a slice of the border, index of the slice that it shows)], axis by axis."""
    return [
        ((..., at + a) + behind, (..., source(at, n) + a) + behind)
        for axis, (n, (a, b)) in enumerate(zip(shape, widths))
        for behind in [(slice(None),) * (len(shape) - axis - 1)]
        for at in [*range(-a, 0), *range(n, n + b)]
    ]


def _mirrored(i, n):
    return -i if i < 0 else 2 * (n - 1) - i


def _nearest(i, n):
    return 0 if i < 0 else n - 1


def _wrapped(i, n):
    return i % n


#: what a border shows; how many more columns than that the image must have
_MODES = {"reflect": (_mirrored, 1), "replicate": (_nearest, None), "circular": (_wrapped, 0)}


def pad(input: Tensor, pad, mode="constant", value=None) -> Tensor:
    """Pad the last axes: ``pad`` = (left, right, top, bottom, ...), last axis first.

    Args:
        input: any shape and dtype; the other modes than 'constant' pad the last 1, 2 or 3 axes
            of (C, W), (C, H, W), (C, D, H, W), with or without a batch axis in front.
        pad: pairs (before, after); negative numbers crop.
        mode: 'constant', 'reflect' (dcb|abcd|cba, less than the size), 'replicate'
            (aaa|abcd|ddd) or 'circular' (bcd|abcd|abc, at most the size).
        value: for 'constant'; 0 by default.

    Raises:
        ValueError: for an odd count of numbers, too many of them, or sizes that do not fit.

    >>> import tinyconv as tc
    >>> tc.nn.functional.pad(tc.ones(1, 2), (1, 0))
    tensor([[0., 1., 1.]])
    >>> tc.nn.functional.pad(tc.arange(3).reshape(1, 3), (2, 1), mode="reflect")
    tensor([[2, 1, 0, 1, 2, 1]])
    """
    x, pad = as_tensor(input, "pad"), sizes((pad,))
    if len(pad) % 2 or len(pad) > 2 * x.ndim:
        raise ValueError(
            f"pad: {pad} for {x.ndim} dimensions (shape {list(x.shape)}); wants (before, after) "
            "pairs, last axis first"
        )
    widths = [(0, 0)] * (x.ndim - len(pad) // 2)
    widths += [pad[i : i + 2] for i in range(len(pad) - 2, -1, -2)]
    if any(n + min(a, b, a + b, 0) < 0 for n, (a, b) in zip(x.shape, widths)):
        raise ValueError(f"pad: {pad} crops more than shape {list(x.shape)} has")
    if mode == "constant":
        return Pad.apply(x, tuple(widths), 0.0 if value is None else value)
    if mode not in _MODES:
        raise ValueError(
            f"pad: mode={mode!r}; wants 'constant', 'reflect', 'replicate' or 'circular'"
        )
    if value not in (None, 0):
        raise ValueError(f"pad: mode={mode!r} takes no value, got {value!r}")
    return _repeated(x, pad, widths, mode)


def _repeated(x, pad, widths, mode):
    source, spare = _MODES[mode]
    rule = f"pad: mode={mode!r} with {pad} for shape {list(x.shape)}"
    axes = len(pad) // 2
    if not 1 <= axes <= 3 or x.ndim not in (axes + 1, axes + 2):
        raise ValueError(
            f"{rule}: 2 numbers pad (C, W) or (N, C, W), 4 pad (C, H, W) or (N, C, H, W), 6 pad "
            "(C, D, H, W) or (N, C, D, H, W)"
        )
    if 0 in x.shape[-axes - 1 :]:
        raise ValueError(f"{rule}: only the batch may be empty")
    for n, (a, b) in zip(x.shape[-axes:], widths[-axes:]):
        if spare is not None and max(a, b) > n - spare:
            most = "less than" if spare else "at most"
            raise ValueError(f"{rule}: each number must be {most} the size of its axis, {n}")
        if mode == "circular" and n + min(a, 0) + min(b, 0) < max(a, b, 1):
            raise ValueError(f"{rule}: too little is left to go around an axis of size {n}")
    grown = tuple([(max(a, 0), max(b, 0)) for a, b in widths])
    cut = tuple([(min(a, 0), min(b, 0)) for a, b in widths])
    # an image that is cut on one side goes around without that; a mirror shows it still
    crop_first = mode == "circular"
    if crop_first and any(map(any, cut)):
        x = Pad.apply(x, cut, 0)
    x = Border.apply(x, grown, source)
    if not crop_first and any(map(any, cut)):
        x = Pad.apply(x, cut, 0)
    return x
