"""What comes after a convolution's sums: the residual is added, the ReLU taken, the result put
where it belongs, while it is still in a near cache.
"""

from tinyconv.kernels.jit import part
from tinyconv.kernels.simd import add, lanes, load, load_some, positive, store, store_some


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


@part
def put_run(y, to, result, of, count, residual, add_residual, relu):
    """y[to : to + count] = act(result[of:] + residual[to:]); result is read in whole registers."""
    n = lanes(y)
    for q in range(0, count, n):
        value = load(result, of + q)
        if add_residual:
            value = add(value, load_some(residual, to + q, count - q))
        if relu:
            value = positive(value)
        store_some(y, to + q, value, count - q)
