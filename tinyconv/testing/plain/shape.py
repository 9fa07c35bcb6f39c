"""Arrays in other shapes and orders."""

import itertools

import numpy as np

from tinyconv.testing.plain.table import Plain, both, oracle


def _numbers(given, named=None):
    """``*given``, as numbers or as one sequence."""
    if named is not None:
        given = (named,)
    return tuple(given[0]) if given and isinstance(given[0], (tuple, list)) else tuple(given)


@both("reshape")
def reshape(x, *sizes, shape=None):
    return np.reshape(x, _numbers(sizes, shape))


oracle("Tensor.view")(reshape)
oracle("Tensor.view_as", "Tensor.reshape_as")(lambda x, other: np.reshape(x, other.shape))
both("ravel")(lambda x: np.array([x[i] for i in np.ndindex(x.shape)]))


@both("flatten")
def flatten(x, start_dim=0, end_dim=-1):
    if x.ndim == 0:
        return x.reshape(1)
    a, b = start_dim % x.ndim, end_dim % x.ndim
    return x.reshape(*x.shape[:a], -1, *x.shape[b + 1 :])


@both("unflatten")
def unflatten(x, dim, sizes):
    dim %= x.ndim
    return x.reshape(*x.shape[:dim], *sizes, *x.shape[dim + 1 :])


@both("permute")
def permute(x, *order, dims=None):
    return np.transpose(x, _numbers(order, dims))


both("transpose swapdims")(lambda x, dim0, dim1: np.swapaxes(x, dim0, dim1))
both("swapaxes")(lambda x, axis0, axis1: np.swapaxes(x, axis0, axis1))
both("t")(lambda x: x.T)
both("adjoint")(lambda x: np.swapaxes(x, -1, -2))
for _name in ("H", "mH"):
    setattr(Plain, _name, property(lambda x: np.swapaxes(x, -1, -2)))
both("movedim moveaxis")(lambda x, source, destination: np.moveaxis(x, source, destination))
both("unsqueeze")(lambda x, dim: np.expand_dims(x, dim))


@both("squeeze")
def squeeze(x, dim=None):
    dims = range(x.ndim) if dim is None else np.atleast_1d(dim) % x.ndim
    return x.reshape([n for i, n in enumerate(x.shape) if n != 1 or i not in dims])


oracle("tc.atleast_1d")(lambda *x: np.atleast_1d(*x))
oracle("tc.atleast_2d")(lambda *x: np.atleast_2d(*x))
oracle("tc.atleast_3d")(lambda *x: np.atleast_3d(*x))


@oracle("Tensor.expand")
def expand(x, *sizes):
    sizes = list(_numbers(sizes))
    for i in range(1, x.ndim + 1):
        sizes[-i] = x.shape[-i] if sizes[-i] == -1 else sizes[-i]
    return x + np.zeros(sizes, x.dtype)


both("broadcast_to")(lambda x, size: np.broadcast_to(x, size))
oracle("Tensor.expand_as")(lambda x, other: np.broadcast_to(x, other.shape))
oracle("tc.broadcast_tensors")(lambda *x: tuple(np.broadcast_arrays(*x)))
oracle("tc.broadcast_shapes")(lambda *s: np.broadcast_shapes(*s))
both("clone")(lambda x: x.copy())
oracle("Tensor.contiguous")(lambda x: x.copy())
oracle("Tensor.cpu")(lambda x: x)
oracle("Tensor.detach")(lambda x: x)


# -- order and repeats ------------------------------------------------------------------------
@both("flip")
def flip(x, *order, dims=None):
    for dim in _numbers(order, dims):
        x = np.stack([*np.moveaxis(x, dim, 0)][::-1], dim)
    return x


both("fliplr")(lambda x: x[:, ::-1])
both("flipud")(lambda x: x[::-1])
both("roll")(lambda x, shifts, dims=None: np.roll(x, shifts, dims))
both("rot90")(lambda x, k=1, dims=(0, 1): np.rot90(x, k, dims))


@oracle("Tensor.repeat")
def repeat(x, *repeats):
    return np.tile(x, _numbers(repeats))


both("tile")(repeat)


@both("repeat_interleave")
def repeat_interleave(x, repeats, dim=None):
    return np.repeat(x, repeats, dim)


@oracle("tc.meshgrid")
def meshgrid(*vectors, indexing="ij"):
    vectors = vectors[0] if isinstance(vectors[0], list) else vectors
    return tuple(np.meshgrid(*vectors, indexing=indexing))


@oracle("tc.cartesian_prod")
def cartesian_prod(*vectors):
    return np.array([*itertools.product(*vectors)])


@oracle("tc.combinations")
def combinations(x, r=2, with_replacement=False):
    n = len(x)
    places = [
        p
        for p in itertools.product(range(n), repeat=r)
        if all(a < b or (with_replacement and a == b) for a, b in zip(p, p[1:]))
    ]
    return np.array([[x[i] for i in p] for p in places])


# -- diagonals and triangles ------------------------------------------------------------------
@both("diagonal")
def diagonal(x, offset=0, dim1=0, dim2=1):
    x = np.moveaxis(x, (dim1, dim2), (0, 1))
    rows = [x[i, i + offset] for i in range(x.shape[0]) if 0 <= i + offset < x.shape[1]]
    return np.stack(rows, -1) if rows else np.zeros((*x.shape[2:], 0))


@both("diag_embed")
def diag_embed(x, offset=0, dim1=-2, dim2=-1):
    size = x.shape[-1] + abs(offset)
    y = np.zeros((*x.shape[:-1], size, size))
    for i in range(x.shape[-1]):
        y[..., i + max(-offset, 0), i + max(offset, 0)] = x[..., i]
    return np.moveaxis(y, (-2, -1), (dim1, dim2))


both("diag")(lambda x, diagonal=0: np.diag(x, diagonal))
both("diagflat")(lambda x, offset=0: np.diagflat(x, offset))
both("tril")(lambda x, diagonal=0: np.tril(x, diagonal))
both("triu")(lambda x, diagonal=0: np.triu(x, diagonal))


@oracle("tc.tril_indices")
def tril_indices(row, col, offset=0):
    places = [(i, j) for i in range(row) for j in range(col) if j <= i + offset]
    return np.array(places, np.int64).reshape(-1, 2).T


@oracle("tc.triu_indices")
def triu_indices(row, col, offset=0):
    places = [(i, j) for i in range(row) for j in range(col) if j >= i + offset]
    return np.array(places, np.int64).reshape(-1, 2).T


@oracle("tc.block_diag")
def block_diag(*blocks):
    blocks = [np.atleast_2d(b) for b in blocks]
    y = np.zeros(np.sum([b.shape for b in blocks], 0))
    i = j = 0
    for b in blocks:
        y[i : i + b.shape[0], j : j + b.shape[1]] = b
        i, j = i + b.shape[0], j + b.shape[1]
    return y


# -- casts ------------------------------------------------------------------------------------
for _name, _dtype in dict(
    float="f4", double="f8", byte="u1", char="i1", short="i2", int="i4", long="i8", bool="?"
).items():
    oracle(f"Tensor.{_name}")(lambda x, dtype=_dtype: x.astype(dtype))
oracle("Tensor.type_as")(lambda x, other: x.astype(other.dtype))
oracle("Tensor.type")(lambda x, name: x.astype({"torch.DoubleTensor": "f8"}[name]))


@oracle("Tensor.to")
def to(x, *args, copy=False):
    dtypes = [a for a in args if isinstance(a, np.dtype)]
    return x.astype(dtypes[0]) if dtypes else x
