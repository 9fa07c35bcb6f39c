"""Jacobians of true operators, written out, and blocks in which a mistake is planted."""

import math
from itertools import product

import numpy as np

from tinyconv.testing.causes import Block, diagnose

NAMES = {
    "constant factor", "sign", "missing", "partly missing", "transposed", "flipped", "shifted",
    "misplaced", "broadcast", "divisor", "lost accumulation", "tie", "detached statistics",
    "swapped inputs", "wrong factor", "added", "precision", "not finite", "unknown",
}  # fmt: skip


def block(D, A, out, inp, x=None, kink=None, **which):
    """A Block as a checker would fill it: D within its error bar, wrong what is clearly off."""
    m, n = math.prod(out), math.prod(inp)
    D, A = np.reshape(D, (m, n)), np.reshape(A, (m, n))
    bar = 1e-11 * np.maximum(np.abs(D), np.abs(D).max(initial=1e-3))
    D = D + bar * np.random.default_rng(0).uniform(-1, 1, D.shape)
    kink = np.zeros((m, n), bool) if kink is None else np.reshape(kink, (m, n))
    wrong = ~(np.abs(A - D) <= 2 * bar)
    return Block(out, inp, A, D, bar, wrong, kink, x=x, **which)


def cause(*args, **more):
    (found,) = diagnose([block(*args, **more)]).values()
    assert found.name in NAMES and 0 <= found.confidence <= 1
    return found


class Conv:
    """One convolution and its two Jacobians, tap by tap; a mistake is another geometry.

    All sizes differ. The grid of outputs is that of the true geometry, whatever the mistake.
    """

    def __init__(self, seed=0, C=2, O=3, kernel=(3, 2), size=(7, 6), groups=1, **geometry):
        self.geometry = dict(stride=(1, 1), padding=(0, 0), dilation=(1, 1)) | geometry
        rng = np.random.default_rng(seed)
        self.x = rng.standard_normal((2, C, *size))
        self.w = rng.standard_normal((O, C // groups, *kernel))
        self.groups = groups
        self.grid = [
            (L + 2 * p - d * (k - 1) - 1) // s + 1
            for L, k, s, p, d in zip(size, kernel, *self.geometry.values())
        ]
        self.out = (2, O, *self.grid)

    def jacobians(self, keep=lambda n, o, p, q, i, j: True, tap=lambda i, j: (i, j), **geometry):
        """(d y / d x, d y / d w), each output by input; ``tap``: which weight a tap takes."""
        (sh, sw), (ph, pw), (dh, dw) = (self.geometry | geometry).values()
        N, C, H, W = self.x.shape
        O, Cg, kh, kw = self.w.shape
        Jx, Jw = np.zeros((*self.out, N, C, H, W)), np.zeros((*self.out, O, Cg, kh, kw))
        for n, o, p, q, c, i, j in product(*map(range, (*self.out, Cg, kh, kw))):
            h, v = p * sh + i * dh - ph, q * sw + j * dw - pw
            if 0 <= h < H and 0 <= v < W and keep(n, o, p, q, i, j):
                cx = o // (O // self.groups) * Cg + c
                Jx[n, o, p, q, n, cx, h, v] += self.w[(o, c, *tap(i, j))]
                Jw[n, o, p, q, o, c, i, j] += self.x[n, cx, h, v]
        return Jx, Jw

    def cause(self, which, **mistake):
        """The cause found where the Jacobian of x (0) or w (1) is that of a mistake."""
        D, A = self.jacobians()[which], self.jacobians(**mistake)[which]
        values = (self.x, self.w)[which]
        return cause(D, A, self.out, values.shape, values)


def pool_windows(size, kernel, stride, padding, ceil=False):
    """{(p, q): pixels of the window on the image}."""
    rounded = math.ceil if ceil else math.floor
    grid = [rounded((L + 2 * p - k) / s) + 1 for L, k, s, p in zip(size, kernel, stride, padding)]
    return {
        (p, q): [
            (h, v)
            for h in range(p * stride[0] - padding[0], p * stride[0] - padding[0] + kernel[0])
            for v in range(q * stride[1] - padding[1], q * stride[1] - padding[1] + kernel[1])
            if 0 <= h < size[0] and 0 <= v < size[1]
        ]
        for p, q in product(*map(range, grid))
    }


def pool_jacobian(windows, size, amount, channels=2):
    """J[(n, c, p, q), (n, c, h, v)] = amount(pixels, n, c, (h, v)), with its two shapes."""
    grid = tuple(max(k) + 1 for k in zip(*windows))
    J = np.zeros((2, channels, *grid, 2, channels, *size))
    for n, c, (at, pixels) in product(range(2), range(channels), windows.items()):
        for pixel in pixels:
            J[(n, c, *at, n, c, *pixel)] = amount(pixels, n, c, pixel)
    return J, (2, channels, *grid), (2, channels, *size)


def grouped(x, axes, jacobian):
    """The Jacobian of what ``jacobian`` (of a vector) does along these axes of x, square."""
    shape = x.shape
    number = np.arange(x.size).reshape(shape)
    rest = [k for k in range(x.ndim) if k not in axes]
    groups = number.transpose(*rest, *axes).reshape(-1, math.prod(shape[k] for k in axes))
    J = np.zeros((x.size, x.size))
    for members in groups:
        J[np.ix_(members, members)] = jacobian(x.ravel()[members])
    return J


def normalise(x, mean=1.0, var=1.0, scale=1.0):
    """Jacobian of (x - mean) / std; the factors say how much of each term is there."""
    n, s = x.size, 1 / np.sqrt(x.var() + 1e-5)
    z = (x - x.mean()) * s
    return scale * s * (np.eye(n) - mean / n - var * np.outer(z, z) / n)


def softmax(x):
    y = np.exp(x) / np.exp(x).sum()
    return np.diag(y) - np.outer(y, y)


def selecting(out, inp, source):
    """J of y[i] = x[source(i)]."""
    J = np.zeros((*out, *inp))
    for i in np.ndindex(*out):
        J[(*i, *source(*i))] = 1
    return J
