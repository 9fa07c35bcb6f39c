"""Convolution in float64, one tap of the window at a time: slow, and no code of the library."""

import numpy as np


def _padded(x, p):
    return np.pad(x.astype(np.float64), ((0, 0), (0, 0), (p, p), (p, p)))


def _taps(layer):
    """(i, j, the pixels of a padded plane that tap (i, j) sees at all outputs)."""
    s, (Ho, Wo) = layer.stride, layer.y_shape[2:]
    for i in range(layer.k):
        for j in range(layer.k):
            rows, columns = slice(i, i + s * (Ho - 1) + 1, s), slice(j, j + s * (Wo - 1) + 1, s)
            yield i, j, (slice(None), slice(None), rows, columns)


def _grouped(array, groups):
    """(N, C, H, W) -> (N, groups, C / groups, H W)."""
    return array.reshape(array.shape[0], groups, array.shape[1] // groups, -1)


def _filters(w, layer, i, j):
    """Tap (i, j) of the weights as matrices (groups, O / groups, C / groups)."""
    return w[:, :, i, j].astype(np.float64).reshape(layer.groups, -1, w.shape[1])


def forward(x, w, layer):
    """y = sum over taps of w[:, :, i, j] x(shifted by i, j)."""
    x, y = _padded(x, layer.padding), 0.0
    for i, j, seen in _taps(layer):
        y = y + _filters(w, layer, i, j) @ _grouped(x[seen], layer.groups)
    return y.reshape(x.shape[0], *layer.y_shape[1:])


def input_gradient(gy, w, layer):
    """Each tap sends gy back to the pixels that it saw."""
    p, side = layer.padding, layer.H + 2 * layer.padding
    gx = np.zeros((gy.shape[0], layer.C, side, side))
    gy = _grouped(gy.astype(np.float64), layer.groups)
    for i, j, seen in _taps(layer):
        share = np.swapaxes(_filters(w, layer, i, j), 1, 2) @ gy
        gx[seen] += share.reshape(gx[seen].shape)
    return gx[:, :, p : p + layer.H, p : p + layer.H]


def weight_gradient(gy, x, layer):
    """gw[:, :, i, j] = sum over images of gy x(shifted by i, j)^T."""
    x, gw = _padded(x, layer.padding), np.zeros(layer.w_shape)
    gy = _grouped(gy.astype(np.float64), layer.groups)
    for i, j, seen in _taps(layer):
        pixels = np.swapaxes(_grouped(x[seen], layer.groups), 2, 3)
        gw[:, :, i, j] = (gy @ pixels).sum(0).reshape(layer.O, -1)
    return gw
