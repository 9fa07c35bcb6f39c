"""Slow, obvious oracles in plain Python loops. They share no code with the library.

Padding is always (left, right, top, bottom); stride, dilation and windows are (height, width).
"""

import math
from itertools import product

import numpy as np


def extent(size, kernel, stride, before, after, dilation=1, ceil=False):
    """How many windows start inside, found by trying one after the other."""
    count, reach = 0, dilation * (kernel - 1) + 1
    while True:
        start = count * stride - before
        fits = start + reach <= size + after
        # a window that hangs over the end counts if the one before it left cells uncovered
        # and if it starts on the image or on the padding before it
        hangs = ceil and start < size and start - stride + reach < size + after
        if not (fits or (hangs and count)):
            return count
        count += 1


def _grid(x, kernel, stride, padding, dilation=(1, 1), ceil=False):
    left, right, top, bottom = padding
    return (
        extent(x.shape[2], kernel[0], stride[0], top, bottom, dilation[0], ceil),
        extent(x.shape[3], kernel[1], stride[1], left, right, dilation[1], ceil),
    )


def _taps(x_shape, w_shape, grid, stride, padding, dilation, groups):
    """All (n, o, p, q, c, i, j, h, v) of a convolution: output, weight tap, input pixel."""
    N, C, H, W = x_shape
    O, Cg, kh, kw = w_shape
    left, _, top, _ = padding
    for n, o, p, q, c, i, j in product(*map(range, (N, O, *grid, Cg, kh, kw))):
        h = p * stride[0] + i * dilation[0] - top
        v = q * stride[1] + j * dilation[1] - left
        if 0 <= h < H and 0 <= v < W:
            yield n, o, p, q, c, i, j, o // (O // groups) * Cg + c, h, v


def conv2d(x, w, b=None, stride=(1, 1), padding=(0, 0, 0, 0), dilation=(1, 1), groups=1):
    grid = _grid(x, w.shape[2:], stride, padding, dilation)
    y = np.zeros((x.shape[0], w.shape[0], *grid))
    for n, o, p, q, c, i, j, cx, h, v in _taps(
        x.shape, w.shape, grid, stride, padding, dilation, groups
    ):
        y[n, o, p, q] += float(w[o, c, i, j]) * float(x[n, cx, h, v])
    return y if b is None else y + b.reshape(1, -1, 1, 1)


def conv2d_gradients(gy, x, w, stride, padding, dilation, groups):
    """(gx, gw, gb) of sum(gy * conv2d(x, w))."""
    gx, gw = np.zeros(x.shape), np.zeros(w.shape)
    for n, o, p, q, c, i, j, cx, h, v in _taps(
        x.shape, w.shape, gy.shape[2:], stride, padding, dilation, groups
    ):
        gx[n, cx, h, v] += float(gy[n, o, p, q]) * float(w[o, c, i, j])
        gw[o, c, i, j] += float(gy[n, o, p, q]) * float(x[n, cx, h, v])
    return gx, gw, gy.astype(float).sum((0, 2, 3))


def max_pool2d(x, kernel, stride, padding, dilation=(1, 1), ceil=False):
    """(values, index h W + v of the first largest); a later NaN beats everything."""
    H, W = x.shape[2:]
    left, _, top, _ = padding
    grid = _grid(x, kernel, stride, padding, dilation, ceil)
    y = np.zeros(x.shape[:2] + grid, x.dtype)
    index = np.zeros(y.shape, np.int64)
    for n, c, p, q in np.ndindex(y.shape):
        best = None
        for i, j in product(*map(range, kernel)):
            h = p * stride[0] + i * dilation[0] - top
            v = q * stride[1] + j * dilation[1] - left
            if 0 <= h < H and 0 <= v < W:
                value = x[n, c, h, v]
                if best is None or value > best or math.isnan(value):
                    best, index[n, c, p, q] = value, h * W + v
        y[n, c, p, q] = best
    return y, index


def avg_pool2d(x, kernel, stride, padding, ceil=False, include_pad=True, divisor=None):
    H, W = x.shape[2:]
    left, right, top, bottom = padding
    y = np.zeros(x.shape[:2] + _grid(x, kernel, stride, padding, (1, 1), ceil))
    for n, c, p, q in np.ndindex(y.shape):
        total, on_image, on_padded = 0.0, 0, 0
        for i, j in product(*map(range, kernel)):
            h, v = p * stride[0] + i - top, q * stride[1] + j - left
            if 0 <= h < H and 0 <= v < W:
                total += float(x[n, c, h, v])
                on_image += 1
            if -top <= h < H + bottom and -left <= v < W + right:
                on_padded += 1
        y[n, c, p, q] = total / (divisor or (on_padded if include_pad else on_image))
    return y


def adaptive_pool2d(x, output, reduce):
    """``reduce`` over rows floor(p H / Ho) to ceil((p + 1) H / Ho), likewise columns."""
    H, W = x.shape[2:]
    y = np.zeros(x.shape[:2] + tuple(output))
    for n, c, p, q in np.ndindex(y.shape):
        h0, h1 = math.floor(p * H / output[0]), math.ceil((p + 1) * H / output[0])
        v0, v1 = math.floor(q * W / output[1]), math.ceil((q + 1) * W / output[1])
        y[n, c, p, q] = reduce([float(x[n, c, h, v]) for h in range(h0, h1) for v in range(v0, v1)])
    return y


def batch_norm(x, weight, bias, eps, mean=None, var=None):
    """Per channel, by the given statistics or else the batch's (var biased)."""
    y = np.zeros(x.shape)
    for c in range(x.shape[1]):
        values = x[:, c].astype(float)
        m = math.fsum(values.ravel()) / values.size if mean is None else mean[c]
        v = math.fsum(((values - m) ** 2).ravel()) / values.size if var is None else var[c]
        y[:, c] = (values - m) / math.sqrt(v + eps) * weight[c] + bias[c]
    return y


def softmax(x, axis):
    y = np.zeros(x.shape)
    moved, out = np.moveaxis(x, axis, -1), np.moveaxis(y, axis, -1)
    for at in np.ndindex(moved.shape[:-1]):
        peak = max(map(float, moved[at]))
        terms = [math.exp(float(v) - peak) for v in moved[at]]
        out[at] = [t / math.fsum(terms) for t in terms]
    return y


def cross_entropy(x, target, weight=None, ignore=-100, reduction="mean", smoothing=0.0):
    """Labels (N, ...) or probabilities of x's shape (N, C, ...)."""
    C = x.shape[1]
    weight = np.ones(C) if weight is None else weight
    logp = np.log(softmax(x, 1))
    losses = np.zeros(x.shape[:1] + x.shape[2:])
    divisor = 0.0
    for at in np.ndindex(losses.shape):
        row = logp[(at[0], slice(None), *at[1:])]
        if target.shape == x.shape:
            wanted = [float(t) for t in target[(at[0], slice(None), *at[1:])]]
            divisor += 1
        elif target[at] == ignore:
            continue
        else:
            wanted = [float(c == target[at]) for c in range(C)]
            divisor += float(weight[target[at]])
        for c in range(C):
            smoothed = wanted[c] * (1 - smoothing) + smoothing / C
            losses[at] -= smoothed * float(weight[c]) * row[c]
    return {"none": losses, "sum": losses.sum(), "mean": losses.sum() / (divisor or np.nan)}[
        reduction
    ]
