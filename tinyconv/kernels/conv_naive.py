"""Convolution as its definition reads: seven loops, one line of arithmetic.

This is the text to learn from and the oracle of the faster members of the family.
"""

import numpy as np

from tinyconv.kernels.jit import kernel


@kernel
def _forward(x, w, y, g, groups):
    N, C, H, W = x.shape
    O, Cg, kh, kw = w.shape
    Ho, Wo = y.shape[2:]
    for n in range(N):
        for o in range(O):
            first = o // (O // groups) * Cg  # the first input channel of o's group
            for p in range(Ho):
                for q in range(Wo):
                    for c in range(Cg):
                        for i in range(kh):
                            for j in range(kw):
                                h = p * g.sh + i * g.dh - g.top
                                v = q * g.sw + j * g.dw - g.left
                                if 0 <= h < H and 0 <= v < W:
                                    y[n, o, p, q] += w[o, c, i, j] * x[n, first + c, h, v]


@kernel
def _input_gradient(gy, w, gx, g, groups):
    N, O, Ho, Wo = gy.shape
    Cg, kh, kw = w.shape[1:]
    H, W = gx.shape[2:]
    for n in range(N):
        for o in range(O):
            first = o // (O // groups) * Cg
            for p in range(Ho):
                for q in range(Wo):
                    for c in range(Cg):
                        for i in range(kh):
                            for j in range(kw):
                                h = p * g.sh + i * g.dh - g.top
                                v = q * g.sw + j * g.dw - g.left
                                if 0 <= h < H and 0 <= v < W:
                                    gx[n, first + c, h, v] += w[o, c, i, j] * gy[n, o, p, q]


@kernel
def _weight_gradient(gy, x, gw, g, groups):
    N, O, Ho, Wo = gy.shape
    Cg, kh, kw = gw.shape[1:]
    H, W = x.shape[2:]
    for n in range(N):
        for o in range(O):
            first = o // (O // groups) * Cg
            for p in range(Ho):
                for q in range(Wo):
                    for c in range(Cg):
                        for i in range(kh):
                            for j in range(kw):
                                h = p * g.sh + i * g.dh - g.top
                                v = q * g.sw + j * g.dw - g.left
                                if 0 <= h < H and 0 <= v < W:
                                    gw[o, c, i, j] += gy[n, o, p, q] * x[n, first + c, h, v]


def forward(x, w, bias, window, groups, residual=None, relu=False):
    Ho, Wo = window.output_shape(*x.shape[2:])
    y = np.empty((x.shape[0], w.shape[0], Ho, Wo), x.dtype)
    y[...] = bias[:, None, None]
    _forward(x, w, y, window, groups)
    if residual is not None:
        y += residual
    return np.where(y <= 0, y.dtype.type(0), y) if relu else y


def input_gradient(gy, w, window, groups, image):
    gx = np.zeros((gy.shape[0], w.shape[1] * groups, *image), gy.dtype)
    _input_gradient(gy, w, gx, window, groups)
    return gx


def weight_gradient(gy, x, window, groups):
    O, Cg = gy.shape[1], x.shape[1] // groups
    gw = np.zeros((O, Cg, window.kh, window.kw), x.dtype)
    _weight_gradient(gy, x, gw, window, groups)
    return gw
