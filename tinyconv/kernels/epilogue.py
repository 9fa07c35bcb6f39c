"""What comes after a convolution's sums, while they are still in a near cache: the residual is
added, the ReLU taken.
"""

import functools

import numpy as np

from tinyconv.kernels.jit import part
from tinyconv.kernels.simd import add, lanes, load, positive, store


@functools.lru_cache(256)
def ones(count, dtype):
    """So many scales that change nothing."""
    return np.ones(count, dtype)


@functools.cache
def floor_of(relu, dtype):
    """[the least number that a result may be]."""
    return np.array([0 if relu else -np.inf], dtype)


@part
def finish(y, residual, at, pitch, height, width, add_residual, relu):
    """The same for ``height`` rows of ``width`` registers whose sums stand in y already."""
    n = lanes(y)
    for r in range(height):
        for q in range(at + r * pitch, at + r * pitch + width * n, n):
            value = load(y, q)
            if add_residual:
                value = add(value, load(residual, q))
            if relu:
                value = positive(value)
            store(y, q, value)
