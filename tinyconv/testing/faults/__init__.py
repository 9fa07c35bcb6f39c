"""Planted faults: wrong derivatives as CNN code gets them wrong, and right ones that look wrong.

They are what a gradient checker is measured by, and examples of what to look out for. Each is a
pair of functions on NumPy arrays, so any checker can be run on them::

    y = case.forward(*case.arrays())
    gradients = case.backward(gy, *case.arrays())

``FAULTS`` each hold one mistake: in the first derivative, in the second (group "second order",
where ``case.second`` is the one that is wrong), or a side effect (group "effects"). ``HONEST`` are
right: every function that a fault was planted in, and others at kinks and ties, with steep, huge,
tiny and nearly cancelling numbers. ``python -m benchmarks gradcheck`` runs this project's checker
and those of others on all of them.

>>> import numpy as np
>>> fault = next(f for f in FAULTS if f.name == "conv2d: kernel not flipped")
>>> fault.cause, fault.text
('flipped', 'The correlation of gy that gives gx takes the kernel turned round; here it is not.')
>>> x, w = fault.arrays()
>>> gy = np.ones_like(fault.forward(x, w))
>>> (gx, gw), (right, _) = fault.backward(gy, x, w), fault.right(gy, x, w)
>>> np.allclose(gx, right)
False
"""

from tinyconv.testing.faults import (
    activations,
    arithmetic,
    conv,
    effects,
    extremes,
    kinks,
    losses,
    norms,
    plumbing,
    pools,
    reductions,
    second_order,
    shapes,
)
from tinyconv.testing.faults.base import Case, Fault
from tinyconv.testing.faults.tensors import as_function

__all__ = ["FAULTS", "HONEST", "Case", "Fault", "as_function"]

_FAMILIES = [
    module.family
    for module in (
        conv, pools, norms, activations, arithmetic, reductions, losses, shapes, second_order,
        effects, kinks, extremes, plumbing,
    )
]  # fmt: skip

#: wrong derivatives, wrong second derivatives and side effects
FAULTS = tuple([fault for family in _FAMILIES for fault in family.faults])
#: right functions
HONEST = tuple([case for family in _FAMILIES for case in family.cases])
