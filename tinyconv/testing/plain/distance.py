"""Norms of matrices and distances, vector by vector."""

import numpy as np

from tinyconv.testing.plain.reduce import norm
from tinyconv.testing.plain.table import both, oracle


@oracle("linalg.matrix_norm")
def _matrix_norm(x, ord="fro", dim=(-2, -1), keepdim=False):
    return np.linalg.norm(x, ord, tuple(dim), keepdim)


@oracle("linalg.norm")
def _norm(x, ord=None, dim=None, keepdim=False):
    if ord is None:
        return norm(x, 2, dim, keepdim)
    return np.linalg.norm(x, ord, dim, keepdim)


@both("renorm")
def _renorm(x, p, dim, maxnorm):
    def shrunk(row):
        size = norm(row, p)
        return row * maxnorm / (size + 1e-7) if size > maxnorm else row

    return np.moveaxis(np.stack([shrunk(row) for row in np.moveaxis(x, dim, 0)]), 0, dim)


@oracle("F.normalize")
def _normalize(x, p=2.0, dim=1, eps=1e-12):
    return x / np.maximum(norm(x, p, dim, True), eps)


@both("dist")
def _dist(x, y, p=2):
    return norm(x - y, p)


@oracle("F.pairwise_distance", "tc.pairwise_distance")
def _pairwise_distance(x, y, p=2.0, eps=1e-6, keepdim=False):
    return norm(x - y + eps, p, -1, keepdim)


@oracle("tc.cdist")
def _cdist(x, y, p=2.0):
    batch = np.broadcast_shapes(x.shape[:-2], y.shape[:-2])
    x, y = (np.broadcast_to(a, (*batch, *a.shape[-2:])) for a in (x, y))
    z = np.empty((*batch, x.shape[-2], y.shape[-2]))
    for *n, i, j in np.ndindex(z.shape):
        z[(*n, i, j)] = norm(x[(*n, i)] - y[(*n, j)], p)
    return z


@oracle("F.pdist", "tc.pdist")
def _pdist(x, p=2.0):
    return np.array([norm(a - b, p) for i, a in enumerate(x) for b in x[i + 1 :]])


@oracle("F.cosine_similarity", "tc.cosine_similarity")
def _cosine_similarity(x, y, dim=1, eps=1e-8):
    x, y = np.broadcast_arrays(x, y)
    sizes = [np.maximum(norm(a, 2, dim), eps) for a in (x, y)]
    return np.sum(x * y, dim) / (sizes[0] * sizes[1])
