"""Norms and products of matrices, under the names of PyTorch's ``linalg``.

>>> import tinyconv as tc
>>> tc.linalg.norm(tc.tensor([3.0, 4.0]))
tensor(5.)
"""

from tinyconv.ops.distance import linalg_norm as norm
from tinyconv.ops.distance import matrix_norm
from tinyconv.ops.linalg import matmul
from tinyconv.ops.products import inv, matrix_power, multi_dot, vecdot
from tinyconv.ops.products import linalg_cross as cross
from tinyconv.ops.reduce import vector_norm

__all__ = [
    "cross", "inv", "matmul", "matrix_norm", "matrix_power", "multi_dot", "norm", "vecdot",
    "vector_norm",
]  # fmt: skip
