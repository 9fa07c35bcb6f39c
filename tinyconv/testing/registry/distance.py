"""Norms of matrices, distances and similarities: away from zero vectors and 0 differences, where
they bend, and sometimes right there."""

import numpy as np

from tinyconv.testing.cases import Case
from tinyconv.testing.registry.table import register, spelled
from tinyconv.testing.strategies import recipes

#: nothing equal: a distance of 0 has no slope
_GENERIC = dict(kinds=("uniform",), distinct=True)
_X, _Y = recipes((3, 2, 4), **_GENERIC), recipes((3, 5, 4), **_GENERIC)

register(
    "matrix_norm",
    *spelled("tc.linalg.matrix_norm(x)", "tc.linalg.matrix_norm(x, 1)",
             "tc.linalg.matrix_norm(x, -1, keepdim=True)", "tc.linalg.norm(x[0], float('inf'))",
             "tc.linalg.matrix_norm(x, -float('inf'), (0, -1))", "tc.linalg.norm(x, dim=(0, 2))",
             x=_X),
)  # fmt: skip
register(
    "renorm", *spelled("tc.renorm(x, 2, 0, 3.0)", "x.renorm(1.5, -1, 2.5)", x=_X),
)  # fmt: skip
register(
    "normalize", *spelled("F.normalize(x)", "F.normalize(x, 3.0, -1)", "F.normalize(x, 1, 0)",
                          "F.normalize(x, eps=100.0)", x=_X),
    examples=[Case.of("F.normalize(x, dim=1)", x=np.zeros((2, 3)), order=1)],
)  # fmt: skip
register(
    "cdist", *spelled("tc.cdist(x, y)", "tc.cdist(x, y[0], 3.0)", "tc.cdist(x[1], y, 1.0)",
                      "tc.cdist(x, y, float('inf'))", "F.pdist(x[0])", "tc.pdist(y[0], 1.5)",
                      x=_X, y=_Y),
)  # fmt: skip
register(
    "pairwise_distance",
    *spelled("tc.dist(x, y[:, :2])", "x.dist(y[0, 0], 3)", "F.pairwise_distance(x, y[:, :2])",
             "tc.pairwise_distance(x, y[0, 0], 1, keepdim=True)",
             "F.cosine_similarity(x, y[:, :2], dim=-1)", "tc.cosine_similarity(x, y[1, 3], 0)",
             "F.cosine_similarity(x, y[:, :2], eps=100.0)", x=_X, y=_Y),
)  # fmt: skip
