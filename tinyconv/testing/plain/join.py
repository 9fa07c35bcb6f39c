"""Arrays joined and cut."""

import numpy as np

from tinyconv.testing.plain.table import both, oracle


@oracle("tc.cat", "tc.concat", "tc.concatenate")
def cat(arrays, dim=0):
    return np.concatenate([a for a in arrays if a.shape != (0,)], dim)


oracle("tc.stack")(lambda arrays, dim=0: np.stack(arrays, dim))
oracle("tc.hstack")(lambda arrays: np.hstack(arrays))
oracle("tc.vstack", "tc.row_stack")(lambda arrays: np.vstack(arrays))
oracle("tc.dstack")(lambda arrays: np.dstack(arrays))
oracle("tc.column_stack")(lambda arrays: np.column_stack(arrays))


def _cut(x, sizes, dim):
    """Pieces of the given sizes, one slice after the other."""
    slices, pieces = iter(np.moveaxis(x, dim, 0)), []
    for n in sizes:
        piece = [next(slices) for _ in range(n)]
        empty = np.zeros((0, *np.delete(x.shape, dim)))
        pieces.append(np.moveaxis(np.array(piece) if piece else empty, 0, dim))
    return tuple(pieces)


@both("split split_with_sizes")
def split(x, sizes, dim=0):
    if isinstance(sizes, int):
        sizes = [len(range(i, min(i + sizes, x.shape[dim]))) for i in range(0, x.shape[dim], sizes)]
    return _cut(x, sizes, dim)


@both("chunk")
def chunk(x, chunks, dim=0):
    return split(x, int(np.ceil(x.shape[dim] / chunks)), dim)


@both("tensor_split")
def tensor_split(x, where, dim=0):
    return tuple(np.array_split(x, where.tolist() if isinstance(where, np.ndarray) else where, dim))


both("hsplit")(lambda x, where: tensor_split(x, where, 1))
both("vsplit")(lambda x, where: tensor_split(x, where, 0))
both("dsplit")(lambda x, where: tensor_split(x, where, 2))


@both("unbind")
def unbind(x, dim=0):
    return tuple(np.moveaxis(x, dim, 0))
