"""Pools as ONNX has them.

The windows of ``ceil_mode`` that hang over the end are said by padding there: that is the same
everywhere, while the rules for ``ceil_mode`` itself have changed over the versions of ONNX.
"""

import numpy as np

from tinyconv.kernels import Window


def pads(window):
    """(top, left, bottom, right): ONNX's order."""
    return window.top, window.left, window.bottom, window.right


def _hanging(window, image, output):
    """The window with as much padding at the end as its last position reaches over."""

    def after(size, out, kernel, stride, before, behind, dilation):
        reach = (out - 1) * stride + dilation * (kernel - 1) + 1
        return max(behind, reach - size - before)

    (H, W), (Ho, Wo) = image, output
    return window._replace(
        bottom=after(H, Ho, window.kh, window.sh, window.top, window.bottom, window.dh),
        right=after(W, Wo, window.kw, window.sw, window.left, window.right, window.dw),
    )


def max_pool(w, x, window, output):
    """Padding is never the maximum."""
    window = _hanging(window, w.dims(x)[2:], output)
    before = pads(window)
    if max(window.top, window.bottom) >= window.kh or max(window.left, window.right) >= window.kw:
        # as a node of its own: runtimes want less padding than the kernel in a pool
        ends = np.asarray([0, 0, *before[:2], 0, 0, *before[2:]], np.int64)
        x, before = w("Pad", x, ends, w.constant(-np.inf, x)), None
    return w(
        "MaxPool", x, kernel_shape=window[:2], strides=window[2:4], pads=before,
        dilations=window[8:] if window[8:] != (1, 1) else None,
    )  # fmt: skip


def average_pool(w, x, window, inverse):
    """The sum of each window times ``inverse`` (Ho, Wo).

    ONNX divides by the pixels of a window or by all its cells; for any other divisor a factor
    follows.
    """
    H, W = w.dims(x)[2:]
    Ho, Wo = inverse.shape
    window = _hanging(window, (H, W), inverse.shape)
    rows = _pixels(H, Ho, window.kh, window.sh, window.top)
    columns = _pixels(W, Wo, window.kw, window.sw, window.left)
    only_pixels = np.allclose(inverse * np.outer(rows, columns), 1)
    y = w(
        "AveragePool", x, kernel_shape=window[:2], strides=window[2:4], pads=pads(window),
        count_include_pad=0 if only_pixels else 1,
    )  # fmt: skip
    factor = inverse * (window.kh * window.kw)
    if only_pixels or np.allclose(factor, 1):
        return y
    even = (factor == factor[0, 0]).all()
    return w("Mul", y, w.constant(factor[0, 0] if even else factor, x))


def _pixels(size, out, kernel, stride, before):
    """How many rows (or columns) of the image each window holds."""
    start = np.arange(out) * stride - before
    return np.minimum(start + kernel, size) - np.maximum(start, 0)


def adaptive_average(w, x, windows, inverse):
    """Windows from starts to stops: an average pool if they are even, else two products.

    The mean over rows p0..p1 and columns q0..q1 is R x C^T with 1 / (p1 - p0) in R (Ho, H), and
    so in C (Wo, W).
    """
    image = w.dims(x)[2:]
    if inverse.shape == (1, 1):
        return w("GlobalAveragePool", x)
    even = [_even(*axis) for axis in windows]
    if None not in even:
        (kh, sh), (kw, sw) = even
        return average_pool(w, x, Window.of((kh, kw), (sh, sw)), inverse)
    R, C = (_averages(*axis, size, x.dtype) for axis, size in zip(windows, image))
    return w("MatMul", w("MatMul", R, x), C.T.copy())


def _even(starts, stops):
    """(length, step) if all windows have the same; else None."""
    lengths, steps = set((stops - starts).tolist()), set(np.diff(starts).tolist())
    if len(lengths) > 1 or len(steps) > 1 or 0 in steps:
        return None
    return lengths.pop(), steps.pop() if steps else 1


def _averages(starts, stops, size, dtype):
    place = np.arange(size)
    inside = (place >= starts[:, None]) & (place < stops[:, None])
    return (inside / (stops - starts)[:, None]).astype(dtype)
