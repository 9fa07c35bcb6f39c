"""ReLU, in one pass over memory each way."""

import math

import numpy as np

from tinyconv.kernels import memory, parallel
from tinyconv.kernels.complex_step import joined
from tinyconv.kernels.jit import kernel, plain


@kernel
def _relu(x, y, start, stop):
    # views that start at 0: Numba would ask of each index that it cannot prove positive
    # whether it counts from the end, and the loop would not vectorise
    x, y = x[start:stop], y[start:stop]
    zero = x.dtype.type(0)  # a plain 0 would make the choice float64
    for i in range(len(x)):
        # written so that NaN comes through: every comparison with it is false
        v = x[i]
        y[i] = zero if v.real <= 0 else v


@kernel
def _relu_gradient(gy, y, gx, start, stop):
    gy, y, gx = gy[start:stop], y[start:stop], gx[start:stop]
    zero = y.dtype.type(0)
    for i in range(len(y)):
        g = gy[i]  # loaded whether needed or not: a choice of two values vectorises, a branch not
        gx[i] = zero if y[i].real <= 0 else g


def relu(x):
    """max(x, 0); NaN stays NaN."""
    return _pass(_relu, x)


def relu_gradient(gy, y):
    """gy where y > 0 or y is NaN, else 0 (so 0 at the kink)."""
    return _pass(_relu_gradient, gy, y)


def _pass(function, *arrays):
    flat = [plain(a).reshape(-1) for a in arrays]
    out = memory.empty(arrays[0].shape, arrays[0].dtype)
    result = out.reshape(-1)
    parallel.run(
        lambda _, start, stop: function(*flat, result, start, stop),
        parallel.chunks(result.size, result.nbytes),
    )
    return out


@kernel
def _erf(x, y, start, stop):
    for i in range(start, stop):
        y[i] = math.erf(x[i])


@kernel
def _erfc(x, y, start, stop):
    for i in range(start, stop):
        y[i] = math.erfc(x[i])


def erf(x):
    """The error function, which NumPy lacks; for complex steps, x + i h d with h about 1e-20."""
    return _with_slope(_erf, x, 2 / math.sqrt(math.pi))


def erfc(x):
    """1 - erf(x), to all digits where that is small; for complex steps as ``erf``."""
    return _with_slope(_erfc, x, -2 / math.sqrt(math.pi))


def _with_slope(function, x, factor):
    """``function`` of x, whose slope is ``factor`` exp(-x^2)."""
    if x.dtype.kind != "c":
        return _pass(function, x)
    # the next term of the series is h^2 of this one: far below rounding
    return joined(_pass(function, x.real), factor * np.exp(-x.real * x.real) * x.imag)
