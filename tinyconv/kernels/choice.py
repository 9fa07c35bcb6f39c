"""Which member of the convolution family does the work."""

import contextlib
import threading

#: name -> module of ``tinyconv.kernels``; all have forward, input_gradient, weight_gradient
ALGORITHMS = {
    "naive": "conv_naive",
    "im2col": "conv_im2col",
    "direct": "conv_direct",
    "winograd": "conv_winograd",
    "pointwise": "conv_pointwise",
    "depthwise": "conv_depthwise",
}


class _Forced(threading.local):
    name = None


_forced = _Forced()


@contextlib.contextmanager
def conv_algorithm(name):
    """Use one member of the convolution family inside the block, to compare or to learn.

    Args:
        name: ``'naive'`` (seven loops, as the definition reads), ``'im2col'`` (columns laid out,
            then a matrix product), ``'direct'`` (the product without the columns),
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


def supports(name, window, groups, channels, filters):
    """Whether the member can do the convolution at all."""
    if name == "winograd":
        shape = window.kh, window.kw, window.sh, window.sw, window.dh, window.dw
        return shape == (3, 3, 1, 1, 1, 1) and max(window[4:8]) <= 2
    if name == "pointwise":
        return window[:8] == (1, 1, 1, 1, 0, 0, 0, 0)
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
    channels = x_shape[1]
    name = _forced.name
    if name is not None:
        return name if supports(name, window, groups, channels, filters) else "direct"
    if supports("depthwise", window, groups, channels, filters) and channels > 1:
        return "depthwise"
    # it loses a digit: in float64, where gradients are checked, they count. With few channels the
    # transforms outweigh the multiplications that they save
    if (
        itemsize == 4
        and supports("winograd", window, groups, channels, filters)
        and min(channels, filters) >= 8 * groups
        and channels * filters >= 160 * groups * groups
    ):
        return "winograd"
    if supports("pointwise", window, groups, channels, filters):
        # large images fill strips by themselves
        small = x_shape[2] * x_shape[3] < 400 or x_shape[0] < 4
        return "pointwise" if small and direction != "weight_gradient" else "direct"
    if _im2col_pays(direction, x_shape, filters // groups, window):
        return "im2col"
    return "direct"


def _im2col_pays(direction, x_shape, filters, window):
    """Whether laying out columns costs less than the pixels that planes compute in vain."""
    H, W = x_shape[2:]
    Ho, Wo = window.output_shape(H, W)
    if direction == "input_gradient":
        rows, columns, P, Q = H, W, -(-H // window.sh), -(-W // window.sw)
        reach_h, reach_w = (window.kh - 1) // window.sh, (window.kw - 1) // window.sw
    else:
        P, Q = Ho, Wo
        reach_h, reach_w = (window.kh - 1) // window.sh, (window.kw - 1) // window.sw
    used = P * Q / ((P + reach_h / 2) * (Q + reach_w / 2))
    return used < 0.8 and filters >= 8
