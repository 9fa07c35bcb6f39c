"""Convolution and its two gradients, by whichever algorithm ``choice`` names.

    y[n,o,p,q]  = b[o] + sum_{c,i,j} w[o,c,i,j] x[n, c, p sh + i dh - top, q sw + j dw - left]

Each of the three is linear in each argument and is the adjoint of the others, so they
are closed under differentiation (``tinyconv.ops.conv``).
"""

import importlib

import numpy as np

from tinyconv.kernels.choice import ALGORITHMS, chosen
from tinyconv.kernels.complex_step import bilinear
from tinyconv.kernels.jit import plain


def _algorithm(direction, x_shape, filters, window, groups, x):
    name = chosen(direction, x_shape, filters, window, groups, x.itemsize)
    return importlib.import_module(f"tinyconv.kernels.{ALGORITHMS[name]}")


@bilinear
def forward(x, w, bias, window, groups, residual=None, relu=False):
    """x (N, C, H, W), w (O, C/groups, kh, kw), bias (O,) or None -> y (N, O, Ho, Wo).

    A ``residual`` of y's shape is added, and with ``relu`` negative numbers become 0.
    """
    x, w = plain(x), plain(w)
    bias = np.zeros(w.shape[0], x.dtype) if bias is None else plain(bias)
    residual = None if residual is None else plain(residual)
    algorithm = _algorithm("forward", x.shape, w.shape[0], window, groups, x)
    return algorithm.forward(x, w, bias, window, groups, residual, relu)


@bilinear
def input_gradient(gy, w, window, groups, image):
    """gy (N, O, Ho, Wo), w -> gx (N, C, H, W) with ``image`` = (H, W)."""
    shape = (gy.shape[0], w.shape[1] * groups, *image)
    algorithm = _algorithm("input_gradient", shape, w.shape[0], window, groups, gy)
    return algorithm.input_gradient(plain(gy), plain(w), window, groups, image)


@bilinear
def weight_gradient(gy, x, window, groups):
    """gy (N, O, Ho, Wo), x (N, C, H, W) -> gw (O, C/groups, kh, kw)."""
    algorithm = _algorithm("weight_gradient", x.shape, gy.shape[1], window, groups, x)
    return algorithm.weight_gradient(plain(gy), plain(x), window, groups)
