"""The second opinion on values: every op once more in plain NumPy, slow and obvious.

The text of a case runs on it unchanged: ``tc`` and ``F`` then stand for the tables of this
package, and a tensor is an ndarray that answers to a Tensor's methods. It shares no code with
the ops, and knows neither kernels nor gradients.

>>> import numpy as np
>>> from tinyconv.testing.cases import Case
>>> plain(Case.of("tc.exp(x).neg()", x=np.zeros(2)))
Plain([-1., -1.])
"""

from tinyconv.testing.plain import (  # noqa: F401  (each fills its part of the table)
    activations,
    arithmetic,
    compare,
    creation,
    distance,
    images,
    index,
    inplace,
    join,
    linalg,
    losses,
    order,
    pad,
    pointwise,
    reduce,
    shape,
    toplevel,
    vision,
)
from tinyconv.testing.plain.table import ORACLES, Plain, oracle, plain

__all__ = ["ORACLES", "Plain", "oracle", "plain"]
