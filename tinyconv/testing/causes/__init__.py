"""The likely cause of a wrong derivative, read from its Jacobian and the right one.

    A[i, j]   analytic: what backward gives input j for a cotangent that is 1 at output i
    D[i, j]   numeric: how much output i really changes with input j

A mistake leaves a trace in how A differs from D. ``PATTERNS`` lists the traces, the most telling
first; the first that explains (nearly) all wrong elements, and is at odds with (nearly) no right
one, names the cause. Nothing but NumPy is needed.
"""

import numpy as np

from tinyconv.testing.causes import amounts, moves, normalisers, sums, windows
from tinyconv.testing.causes.case import Block, Case, Cause
from tinyconv.testing.causes.places import describe, inside

__all__ = ["PATTERNS", "Block", "Cause", "diagnose", "where"]

#: what may be told where no wrong element can be compared: they are NaN, or at kinks
INCOMPARABLE = (amounts.not_finite, amounts.tie)
#: each is (case, cases) -> Cause or None; its docstring tells the mistake and the trace
PATTERNS = (
    *INCOMPARABLE,
    amounts.rounded,
    amounts.constant_factor,
    moves.exchanged,
    amounts.missing,
    moves.swapped,
    sums.one_share,
    sums.summed_elsewhere,
    sums.cross_terms,
    sums.overwritten,
    sums.repeated_index,
    sums.partly_missing,
    amounts.some_signs,
    moves.transposed,
    windows.turned,
    moves.adjoint,
    moves.flipped,
    moves.shifted,
    amounts.divisor,
    normalisers.detached,
    amounts.offset,
    amounts.other_gradient,
    amounts.same_for_all_outputs,
    amounts.offset_per_output,
    amounts.stray,
    amounts.precision,
    windows.misplaced,
    normalisers.detached_in_part,
    amounts.wrong_factor,
)


def diagnose(blocks):
    """Name the likely cause for every block that holds wrong elements.

    Args:
        blocks: list of ``Block``, of all outputs, inputs and orders of one function: the
            gradients of two inputs may be exchanged.

    Returns:
        dict {(order, output, input): Cause}.

    >>> import numpy as np
    >>> D = np.diag([1.0, 2.0, 3.0])
    >>> no = np.zeros((3, 3), bool)
    >>> block = Block((3,), (3,), D / 2, D, 0 * D, D != 0, no)
    >>> diagnose([block])[1, 0, 0].text
    'every element is 0.5 times what it should be: a factor forgotten or one too many (1/2)?'
    """
    with np.errstate(all="ignore"):  # what overflows explains nothing
        cases = [Case(block) for block in blocks]
        return {
            (case.block.order, case.block.output, case.block.input): _cause(case, cases)
            for case in cases
            if case.flagged.any()
        }


def _cause(case, cases):
    for pattern in PATTERNS if case.wrong.any() else INCOMPARABLE:
        cause = pattern(case, cases)
        if cause is not None:
            return cause
    return Cause("unknown", f"wrong {inside(case, case.flagged)}; no known pattern", 0.0)


def where(block):
    """Where the wrong elements of a block sit, in a few words.

    >>> import numpy as np
    >>> D = np.eye(4)
    >>> A = np.diag([1.0, 1.0, 1.0, 0.0])
    >>> where(Block((4, 1), (4, 1), A, D, 0 * D, A != D, np.zeros((4, 4), bool)))
    'one element, output (3, 0), input (3, 0)'
    """
    with np.errstate(all="ignore"):
        case = Case(block)
        return describe(case, case.flagged)
