"""Convolution and its two gradients, by whichever algorithm ``choice`` names.

    y[n,o,p,q]  = b[o] + sum_{c,i,j} w[o,c,i,j] x[n, c, p sh + i dh - top, q sw + j dw - left]

Each of the three is linear in each argument and is the adjoint of the others, so they
are closed under differentiation (``tinyconv.ops.conv``).
"""

import functools
import importlib

import numpy as np

from tinyconv.kernels.choice import ALGORITHMS, SCALES, chosen
from tinyconv.kernels.complex_step import bilinear
from tinyconv.kernels.jit import plain

#: the module of a name: it is imported when it is first used
_member = functools.cache(
    lambda name: importlib.import_module(f"tinyconv.kernels.{ALGORITHMS[name]}")
)


@bilinear
def forward(x, w, bias, window, groups, residual=None, relu=False, scale=None):
    """x (N, C, H, W), w (O, C/groups, kh, kw), bias (O,) or None -> y (N, O, Ho, Wo).

    The sums are multiplied by ``scale`` (O,) before the bias and a ``residual`` of y's shape are
    added; with ``relu`` negative numbers become 0.
    """
    x, w = plain(x), plain(w)
    bias = np.zeros(w.shape[0], x.dtype) if bias is None else plain(bias)
    residual = None if residual is None else plain(residual)
    shape = x.shape[0], w.shape[0], *window.output_shape(*x.shape[2:])
    if not x.size or 0 in shape:  # no pixel to see, or no window that sees
        y = np.zeros(shape, x.dtype) + bias[:, None, None]
        y = y if residual is None else y + residual
        return np.maximum(y, 0) if relu else y
    name = chosen("forward", x.shape, w.shape[0], window, groups, x.itemsize)
    if scale is not None and name not in SCALES:
        w, scale = w * scale.reshape(-1, 1, 1, 1), None
    rest = () if scale is None else (scale,)
    return _member(name).forward(x, w, bias, window, groups, residual, relu, *rest)


@bilinear
def input_gradient(gy, w, window, groups, image):
    """gy (N, O, Ho, Wo), w -> gx (N, C, H, W) with ``image`` = (H, W)."""
    shape = gy.shape[0], w.shape[1] * groups, *image
    if not gy.size or 0 in shape:
        return np.zeros(shape, gy.dtype)
    name = chosen("input_gradient", shape, w.shape[0], window, groups, gy.itemsize)
    return _member(name).input_gradient(plain(gy), plain(w), window, groups, image)


@bilinear
def weight_gradient(gy, x, window, groups):
    """gy (N, O, Ho, Wo), x (N, C, H, W) -> gw (O, C/groups, kh, kw)."""
    if not gy.size or not x.size:
        return np.zeros((gy.shape[1], x.shape[1] // groups, *window[:2]), x.dtype)
    name = chosen("weight_gradient", x.shape, gy.shape[1], window, groups, x.itemsize)
    return _member(name).weight_gradient(plain(gy), plain(x), window, groups)
