"""Products over chosen axes, and of many matrices. Primitive: the inverse. All else is composed,
most of it of matmul.
"""

import functools
import math

import numpy as np

from tinyconv.autograd import Function, Tensor
from tinyconv.ops.arithmetic import where
from tinyconv.ops.common import as_tensor, axis, float_tensor
from tinyconv.ops.index import getitem
from tinyconv.ops.join import cat
from tinyconv.ops.linalg import matmul
from tinyconv.ops.shape import permute, reshape, transpose


def inner(input: Tensor, other) -> Tensor:
    """Sums of products along the last axes: (..., K) and (+++, K) give (..., +++)."""
    a, b = as_tensor(input, "inner"), as_tensor(other, "inner")
    if a.ndim == 0 or b.ndim == 0:
        return a * b
    if a.shape[-1] != b.shape[-1]:
        raise ValueError(
            f"inner: shapes {list(a.shape)} and {list(b.shape)} must end in the same size"
        )
    return tensordot(a, b, ([-1], [-1]))


def tensordot(a: Tensor, b, dims=2) -> Tensor:
    """The sum of products over pairs of axes, as one matrix product.

    Args:
        a, b: tensors.
        dims: how many of the last axes of ``a`` meet the first of ``b``, or two lists of axes.

    Raises:
        ValueError: if two axes that meet differ in size (neither of them being 1).

    >>> import tinyconv as tc
    >>> tc.tensordot(tc.ones(2, 3, 4), tc.ones(4, 3), dims=([1, 2], [1, 0])).shape
    (2,)
    """
    a, b = as_tensor(a, "tensordot"), as_tensor(b, "tensordot")
    if isinstance(dims, Tensor):
        dims = dims.item() if dims.array.size == 1 else dims.tolist()
    rule = f"tensordot: dims={dims} of shapes {list(a.shape)} and {list(b.shape)}"
    if isinstance(dims, int):
        if not 0 <= dims <= min(a.ndim, b.ndim):
            raise ValueError(f"{rule}: wants 0 to {min(a.ndim, b.ndim)} axes of each")
        dims = range(a.ndim - dims, a.ndim), range(dims)
    first, second = ([d] if isinstance(d, int) else list(d) for d in dims)
    first = [axis(d, a.ndim, "tensordot") for d in first]
    second = [axis(d, b.ndim, "tensordot") for d in second]
    if len(first) != len(second) or any(len(set(d)) < len(d) for d in (first, second)):
        raise ValueError(f"{rule}: wants as many axes of each, none twice")
    for i, j in zip(first, second):
        n, m = a.shape[i], b.shape[j]
        if n != m and 1 not in (n, m):
            raise ValueError(f"{rule}: axes {i} and {j} have sizes {n} and {m}")
        if n != m:  # one number meets all: as if it were repeated
            a, b = (a.sum(i, keepdim=True), b) if m == 1 else (a, b.sum(j, keepdim=True))
    left = [i for i in range(a.ndim) if i not in first]
    right = [j for j in range(b.ndim) if j not in second]
    K = math.prod(a.shape[i] for i in first)
    rows, columns = [a.shape[i] for i in left], [b.shape[j] for j in right]
    tall = reshape(permute(a, left + first), (math.prod(rows), K))
    wide = reshape(permute(b, second + right), (K, math.prod(columns)))
    return reshape(matmul(tall, wide), (*rows, *columns))


def kron(input: Tensor, other) -> Tensor:
    """Kronecker's product: every number of ``input`` times all of ``other``, blocks in place."""
    a, b = as_tensor(input, "kron"), as_tensor(other, "kron")
    ndim = max(a.ndim, b.ndim)
    m, n = ((1,) * (ndim - x.ndim) + x.shape for x in (a, b))
    blocks = reshape(a, tuple(k for size in m for k in (size, 1)))
    tiles = reshape(b, tuple(k for size in n for k in (1, size)))
    return reshape(blocks * tiles, tuple(i * j for i, j in zip(m, n)))


def trace(input: Tensor) -> Tensor:
    """The sum of a matrix's diagonal."""
    x = as_tensor(input, "trace")
    if x.ndim != 2:
        raise ValueError(f"trace: wants a matrix, got shape {list(x.shape)}")
    n, step = min(x.shape), x.shape[1] + 1
    return getitem(reshape(x, (x.array.size,)), slice(0, n * step, step)).sum()


# -- tc.linalg --------------------------------------------------------------------------------
def vecdot(x: Tensor, y, *, dim=-1) -> Tensor:
    """sum of x y along ``dim``, the other axes broadcast."""
    return (as_tensor(x, "linalg.vecdot") * y).sum(dim)


def linalg_cross(input: Tensor, other, *, dim=-1) -> Tensor:
    """The vector product of triples along ``dim``; other axes are broadcast.

    Raises:
        ValueError: if ``dim`` has not size 3 in both, or the dimensions differ in number.
    """
    a, b = as_tensor(input, "linalg.cross"), as_tensor(other, "linalg.cross")
    rule = f"linalg.cross: shapes {list(a.shape)} and {list(b.shape)}"
    if a.ndim != b.ndim or not a.ndim:
        raise ValueError(f"{rule} must have equally many dimensions, at least one")
    at = axis(dim, a.ndim, "linalg.cross")
    if a.shape[at] != 3 or b.shape[at] != 3:
        raise ValueError(f"{rule}: dim {dim} must have size 3")
    return _turned(a, at, 1) * _turned(b, at, 2) - _turned(a, at, 2) * _turned(b, at, 1)


def _turned(x, at, by):
    """x with its triples turned: y[i] = x[i + by]."""
    before = (slice(None),) * at
    return cat([x[(*before, slice(by, None))], x[(*before, slice(None, by))]], at)


def cross(input: Tensor, other, dim=None) -> Tensor:
    """``linalg.cross``; without ``dim`` along the first axis of size 3."""
    if dim is None:
        shape = as_tensor(input, "cross").shape
        if 3 not in shape:
            raise ValueError(f"cross: no axis of shape {list(shape)} has size 3")
        dim = shape.index(3)
    return linalg_cross(input, other, dim=dim)


class Inverse(Function):
    def forward(ctx, x):
        y = np.linalg.inv(x)
        ctx.save_for_backward(y)
        return y

    def backward(ctx, gy):
        (y,) = ctx.saved_tensors
        across = transpose(y, -1, -2)
        return -matmul(matmul(across, gy), across)


def inv(A: Tensor) -> Tensor:
    """The inverses of square matrices (..., M, M).

    Raises:
        ValueError: for other shapes.
        RuntimeError: if one of them has none.

    >>> import tinyconv as tc
    >>> tc.linalg.inv(tc.tensor([[2.0, 0.0], [0.0, 4.0]]))
    tensor([[0.5000, 0.0000],
            [0.0000, 0.2500]])
    """
    x = float_tensor(A, "linalg.inv")
    if x.ndim < 2 or x.shape[-1] != x.shape[-2]:
        raise ValueError(f"linalg.inv: wants square matrices (..., M, M), got {list(x.shape)}")
    try:
        return Inverse.apply(x)
    except np.linalg.LinAlgError:
        raise RuntimeError(
            f"linalg.inv: a matrix of shape {list(x.shape)} is singular: it has no inverse"
        ) from None


def inverse(input: Tensor) -> Tensor:
    """``linalg.inv``."""
    return inv(input)


def matrix_power(input: Tensor, n) -> Tensor:
    """The product of ``n`` copies of square matrices (..., M, M), by squaring; for n < 0 of -n
    copies of their inverses.
    """
    x = as_tensor(input, "linalg.matrix_power")
    if x.ndim < 2 or x.shape[-1] != x.shape[-2]:
        raise ValueError(
            f"linalg.matrix_power: wants square matrices (..., M, M), got shape {list(x.shape)}"
        )
    if n < 0:
        return matrix_power(inv(x), -n)
    if n == 0:
        return where(Tensor(np.array(False)), x, Tensor(np.eye(x.shape[-1], dtype=x.dtype)))
    if n == 1:
        return x.clone()
    half = matrix_power(x, n // 2) if n > 3 else x
    square = matmul(half, half)
    return matmul(square, x) if n % 2 else square


def multi_dot(tensors) -> Tensor:
    """The product of two or more matrices, in the order that takes the fewest multiplications; the
    first and the last may be vectors.

    Source: Cormen et al., Introduction to Algorithms, 15.2.
    """
    tensors = [as_tensor(t, "linalg.multi_dot") for t in tensors]
    shapes = [list(t.shape) for t in tensors]
    if len(tensors) < 2:
        raise ValueError(f"linalg.multi_dot: wants at least two tensors, got {len(tensors)}")
    for i, t in enumerate(tensors):
        if t.ndim != 2 and not (t.ndim == 1 and i in (0, len(tensors) - 1)):
            raise ValueError(
                f"linalg.multi_dot: of shapes {shapes} number {i} must be a matrix; only the first "
                "and the last may be vectors"
            )
    if any(a[-1] != b[0] for a, b in zip(shapes, shapes[1:])):
        raise ValueError(f"linalg.multi_dot: shapes {shapes} do not chain: inner sizes must agree")
    # number i is of sizes[i] x sizes[i + 1]
    sizes = [s[0] for s in shapes] + [shapes[-1][-1]]
    if tensors[0].ndim == 1:
        sizes[0] = 1
    if tensors[-1].ndim == 1:
        sizes[-1] = 1

    @functools.cache
    def cheapest(i, j):
        """(multiplications, where to cut) of the product of numbers i to j."""
        if i == j:
            return 0, i
        return min(
            (cheapest(i, k)[0] + cheapest(k + 1, j)[0] + sizes[i] * sizes[k + 1] * sizes[j + 1], k)
            for k in range(i, j)
        )

    def product(i, j):
        if i == j:
            return tensors[i]
        k = cheapest(i, j)[1]
        return matmul(product(i, k), product(k + 1, j))

    return product(0, len(tensors) - 1)
