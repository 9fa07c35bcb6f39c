"""Which member of the convolution family does the work."""

import contextlib
import functools
import threading

#: name -> module of ``tinyconv.kernels``; all have forward, input_gradient, weight_gradient
ALGORITHMS = {
    "naive": "conv_naive",
    "im2col": "conv_im2col",
    "direct": "conv_direct",
    "winograd": "conv_winograd",
    "lanes": "conv_lanes",
    "filters": "conv_filters",
    "pointwise": "conv_pointwise",
    "depthwise": "conv_depthwise",
}


#: members that multiply sums by a scale on their way; others want it in the weights
SCALES = {"im2col", "direct", "winograd", "lanes", "filters", "pointwise"}


#: pixels of a result for which there is little to wait for until weights are laid out
_FEW = 6000


class _Forced(threading.local):
    name = None


_forced = _Forced()


@contextlib.contextmanager
def conv_algorithm(name):
    """Use one member of the convolution family inside the block, to compare or to learn.

    Args:
        name: ``'naive'`` (seven loops, as the definition reads), ``'im2col'`` (columns laid out,
            then a matrix product), ``'direct'`` (the product without the columns), ``'lanes'``
            (images side by side in a register), ``'filters'`` (filters side by side; forward),
            ``'winograd'`` (3 x 3 without stride or dilation, with fewer multiplications),
            ``'pointwise'`` (1 x 1) or ``'depthwise'`` (each filter sees one channel). What the
            last three cannot do, ``'direct'`` does. None for the library's own choice.

    Raises:
        ValueError: for an unknown name.

    >>> import tinyconv as tc, tinyconv.nn.functional as F
    >>> x, w = tc.randn(1, 2, 5, 5), tc.randn(3, 2, 3, 3)
    >>> with tc.kernels.conv_algorithm("naive"):
    ...     y = F.conv2d(x, w)
    >>> tc.allclose(y, F.conv2d(x, w), atol=1e-5)
    True
    """
    if name is not None and name not in ALGORITHMS:
        raise ValueError(f"conv_algorithm: {name!r} is unknown; there are {sorted(ALGORITHMS)}")
    previous, _forced.name = _forced.name, name
    try:
        yield
    finally:
        _forced.name = previous


def winograd_fits(window):
    """Whether the window is one of Winograd's: 3 x 3 or 5 x 5, no stride, no dilation, and
    padding smaller than the window."""
    shape = window.kw, window.sh, window.sw, window.dh, window.dw
    k = window.kh
    return k in (3, 5) and shape == (k, 1, 1, 1, 1) and max(window[4:8]) < k


def supports(name, window, groups, channels, filters):
    """Whether the member can do the convolution at all."""
    if name == "winograd":
        return winograd_fits(window)
    if name == "pointwise":
        return window[:2] == (1, 1) and window[4:8] == (0, 0, 0, 0)
    if name == "depthwise":
        return groups == channels and filters % channels == 0 and window.sw <= 2
    return True


def chosen(direction, x_shape, filters, window, groups, itemsize):
    """The name of the algorithm, from the shapes alone.

    Args:
        direction: ``'forward'``, ``'input_gradient'`` or ``'weight_gradient'``.
        x_shape: (N, C, H, W) of the convolution's input; filters: O.
        itemsize: bytes per number.

    The rules are crossovers that ``python -m benchmarks conv`` measures; docs/convolution.md
    has the table.
    """
    name = _forced.name
    if name is not None:
        return name if supports(name, window, groups, x_shape[1], filters) else "direct"
    return _best(direction, x_shape, filters, window, groups, itemsize)


@functools.lru_cache(4096)
def _best(direction, x_shape, filters, window, groups, itemsize):
    channels = x_shape[1]
    if supports("depthwise", window, groups, channels, filters) and channels > 1:
        return "depthwise"
    H, W = x_shape[2:]
    Ho, Wo = window.output_shape(H, W)
    # it loses a digit: in float64, where gradients are checked, they count
    if itemsize == 4 and supports("winograd", window, groups, channels, filters):
        if _winograd_pays(direction, channels // groups, filters // groups, window, H, W):
            return "winograd"
    lanes = 64 // itemsize
    if supports("pointwise", window, groups, channels, filters):
        # dot products, where there are too few channels to fill registers with
        dots = direction == "weight_gradient" and min(channels, filters) // groups < 32
        dots = dots and window.sh * window.sw == 1 and H * W % lanes == 0
        return "direct" if dots else "pointwise"
    if direction == "weight_gradient":
        taps = window.kw * channels // groups
        if taps >= 48 and _filled(taps, lanes) >= 0.8:
            return "lanes"
        return "im2col" if _wasted(Ho, Wo, window) > 0.2 else "direct"
    if direction == "forward":
        depth = window.kh * window.kw * channels // groups
        if (
            x_shape[0] * Ho * Wo <= _FEW
            and depth >= 128
            and _filled(filters // groups, lanes) >= 0.8
        ):
            return "filters"
        area, sources, width = H * W, channels // groups, Wo
    else:
        area, sources, width = Ho * Wo, filters // groups, W
    if width % (2 * lanes) == 0:
        return "direct"  # whole registers of a row at a time
    if _filled(x_shape[0], lanes) >= 0.9 and H * W >= lanes and area * sources <= 19_000:
        return "lanes"
    if _wasted(*((Ho, Wo) if direction == "forward" else (H, W)), window) > 0.2:
        return "im2col"
    return "direct"


def _winograd_pays(direction, channels, filters, window, H, W):
    """Whether the multiplications that are saved outweigh the transforms."""
    if window.kh == 3:
        return min(channels, filters) >= 8 and channels * filters >= 160
    if min(channels, filters) < 16:
        return False
    if direction == "weight_gradient":
        return True
    # tiles of 2 x 2 outputs take 36 multiplications, the sums themselves 25 for each output
    Ho, Wo = window.output_shape(H, W)
    h, w = (Ho, Wo) if direction == "forward" else (H, W)
    return 25 * Ho * Wo >= 36 * -(-h // 2) * -(-w // 2)


def _filled(count, lanes):
    """The share of registers that hold something when ``count`` things are laid in lanes."""
    return count / (-(-count // lanes) * lanes)


def _wasted(P, Q, window):
    """The share of pixels that planes compute in vain: what lies between rows and images."""
    reach_h, reach_w = (window.kh - 1) // window.sh, (window.kw - 1) // window.sw
    return 1 - P * Q / ((P + reach_h / 2) * (Q + reach_w / 2))
