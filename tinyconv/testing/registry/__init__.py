"""Every public op with a strategy of cases: what all the checks over all ops run through.

>>> {"abs", "conv2d", "cross_entropy"} <= set(OPS)
True
"""

from tinyconv.testing.registry import (  # noqa: F401  (each fills its part of the table)
    activations,
    arithmetic,
    compare,
    distance,
    gradients,
    images,
    index,
    inplace,
    linalg,
    losses,
    order,
    pointwise,
    reduce,
    shape,
    toplevel,
    vision,
)
from tinyconv.testing.registry.names import names_in, not_differentiable, public_names
from tinyconv.testing.registry.survey import Survey, drawn, draws_of, survey
from tinyconv.testing.registry.table import OPS, VALUES, Op, register, register_values, spelled

__all__ = [
    "OPS",
    "VALUES",
    "Op",
    "Survey",
    "drawn",
    "draws_of",
    "names_in",
    "not_differentiable",
    "public_names",
    "register",
    "register_values",
    "spelled",
    "survey",
]
