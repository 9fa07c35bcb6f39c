"""Making arrays from nothing and from numbers."""

import numpy as np

from tinyconv.testing.plain.table import oracle


def _shape(size):
    return tuple(size[0]) if size and isinstance(size[0], (tuple, list)) else size


@oracle("tc.zeros")
def zeros(*shape, size=None, dtype=np.float32):
    return np.zeros(_shape(shape) if size is None else size, dtype)


@oracle("tc.ones")
def ones(*shape, size=None, dtype=np.float32):
    return np.ones(_shape(shape) if size is None else size, dtype)


@oracle("tc.empty")
def empty(*shape):
    return np.empty(_shape(shape), np.float32)


@oracle("tc.full")
def full(size, fill_value):
    return np.full(size, fill_value)


@oracle("tc.eye")
def eye(n, m=None):
    return np.array([[float(i == j) for j in range(n if m is None else m)] for i in range(n)])


oracle("tc.zeros_like")(lambda x: 0 * x)
oracle("tc.ones_like")(lambda x: 0 * x + 1)
oracle("tc.empty_like")(lambda x: 0 * x)
oracle("tc.full_like")(lambda x, value: 0 * x + value)
oracle("Tensor.new_zeros")(lambda x, *size: np.zeros(_shape(size), x.dtype))
oracle("Tensor.new_ones")(lambda x, *size: np.ones(_shape(size), x.dtype))
oracle("Tensor.new_empty")(lambda x, *size: np.empty(_shape(size), x.dtype))
oracle("Tensor.new_full")(lambda x, size, value: np.full(size, value, x.dtype))
oracle("Tensor.new_tensor")(lambda x, data: np.array(data, x.dtype))
oracle("tc.tensor", "tc.as_tensor")(lambda data, dtype=None: np.array(data, dtype))
oracle("tc.scalar_tensor")(lambda s: np.array(float(s)))
oracle("tc.from_numpy")(lambda array: array)
oracle("tc.numel", "Tensor.numel")(lambda x: x.size)
oracle("tc.is_tensor")(lambda x: isinstance(x, np.ndarray))


@oracle("tc.arange")
def arange(start=0, end=None, step=1, dtype=None):
    start, end = (0, start) if end is None else (start, end)
    values = [start]
    while (values[-1] - end) * step < -1e-12:
        values.append(start + len(values) * step)
    return np.array(values[:-1], int if isinstance(step, int) and isinstance(end, int) else float)


@oracle("tc.linspace")
def linspace(start, end, steps, dtype=np.float64):
    # integers are rounded towards 0
    line = [start + (end - start) * i / max(steps - 1, 1) for i in range(steps)]
    return np.array(line).astype(dtype)


@oracle("tc.logspace")
def logspace(start, end, steps, base=10.0, dtype=np.float64):
    return base ** linspace(start, end, steps)
