"""Products of matrices: NumPy has nearly all of them."""

import functools

import numpy as np

from tinyconv.testing.plain.table import both, oracle

oracle("tc.matmul", "Tensor.matmul", "linalg.matmul")(np.matmul)
both("mm bmm mv dot vdot")(np.matmul)
both("inner")(np.inner)
both("outer ger")(np.outer)
both("kron")(np.kron)
both("trace")(np.trace)
oracle("tc.inverse", "Tensor.inverse", "linalg.inv")(np.linalg.inv)
oracle("tc.matrix_power", "Tensor.matrix_power", "linalg.matrix_power")(np.linalg.matrix_power)
oracle("linalg.multi_dot")(lambda tensors: functools.reduce(np.matmul, tensors))


@both("addmm addmv baddbmm")
def _added(input, a, b, *, beta=1, alpha=1):
    return beta * input + alpha * (a @ b)


@both("addr")
def _(input, a, b, *, beta=1, alpha=1):
    return beta * input + alpha * np.outer(a, b)


@both("addbmm")
def _(input, a, b, *, beta=1, alpha=1):
    return beta * input + alpha * (a @ b).sum(0)


@oracle("tc.tensordot")
def _(a, b, dims=2):
    return np.tensordot(a, b, dims)


@oracle("tc.cross", "Tensor.cross", "linalg.cross")
def _(a, b, dim=None):
    return np.cross(a, b, axis=a.shape.index(3) if dim is None else dim)


@oracle("linalg.vecdot")
def _(x, y, dim=-1):
    return (x * y).sum(dim)


@oracle("tc.einsum")
def _(equation, *operands):
    if len(operands) == 1 and isinstance(operands[0], list):
        operands = operands[0]
    return np.einsum(equation, *operands)


@oracle("F.linear")
def _(x, w, b=0):
    return x @ w.T + b


@oracle("F.bilinear", "tc.bilinear")
def _(x, y, w, b=0):
    return np.stack([((x @ plane) * y).sum(-1) for plane in w], -1) + b


@oracle("F.embedding")
def _(index, weight, max_norm=np.inf):
    assert np.linalg.norm(weight, axis=1).max() < max_norm
    return weight[index]
