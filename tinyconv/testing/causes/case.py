"""A pair of Jacobians, and what the patterns ask of it."""

import math
import warnings
from dataclasses import dataclass
from functools import cached_property
from typing import Any, NamedTuple

import numpy as np

#: relative error within which two numbers are one, beside the error bar
RELATIVE = 1e-6
#: what is smaller than this share of the largest element is zero
NOTHING = 1e-12
#: an explanation must say something about this share of the wrong elements
COVERED = 0.2
#: wrong elements that are looked at before whole Jacobians are compared
PROBES = 256


@dataclass
class Block:
    """The Jacobian of one output against one input: as it is, and as it should be.

    Attributes:
        output_shape, input_shape: shapes of the output (m elements) and of the input (n).
        analytic: (m, n), what the derivative under test says.
        numeric: (m, n), what it should say.
        bar: (m, n), error bar of ``numeric``.
        wrong: (m, n) bool, the elements found wrong.
        kink: (m, n) bool, the elements where there is no derivative.
        order, output, input: which derivative, of which output, against which input.
        x: the input's values, or None.
    """

    output_shape: tuple
    input_shape: tuple
    analytic: Any
    numeric: Any
    bar: Any
    wrong: Any
    kink: Any
    order: int = 1
    output: int = 0
    input: int = 0
    x: Any = None


class Cause(NamedTuple):
    """A likely cause: its name, a text for whoever mends it, and how sure it is (0 to 1)."""

    name: str
    text: str
    confidence: float


class View(NamedTuple):
    """The Jacobians seen from one side, whose elements are the columns.

    From the input a row tells what one output depends on; from the output (everything
    transposed) what one input has effect on.
    """

    side: str
    shape: tuple
    A: np.ndarray
    D: np.ndarray
    bar: np.ndarray
    error: np.ndarray
    known: np.ndarray
    has_A: np.ndarray
    has_D: np.ndarray
    wrong: np.ndarray


class Case:
    """One block, cleaned. A is the analytic, D the numeric Jacobian, both (m, n) float64.

    ``known`` marks the elements that can be compared: finite, at no kink, with an error bar
    that leaves something to compare. ``wrong`` marks those of them that must be explained,
    ``has_A`` and ``has_D`` where there is mass. What is not known is 0 in A and D; ``given`` is
    A as it came.
    """

    def __init__(self, block):
        self.block = block
        # a scalar is a vector of one
        self.out, self.inp = tuple(block.output_shape) or (1,), tuple(block.input_shape) or (1,)
        self.m, self.n = math.prod(self.out), math.prod(self.inp)
        A, D, bar = (self._matrix(a) for a in (block.analytic, block.numeric, block.bar))
        finite = np.isfinite(A) & np.isfinite(D) & np.isfinite(bar)
        self.flagged, self.kink = (self._matrix(a, bool) for a in (block.wrong, block.kink))
        self.not_finite = np.isfinite(D) & ~np.isfinite(A)
        self.given = A
        A, D, bar = (np.where(finite, a, 0.0) for a in (A, D, np.abs(bar)))

        size = np.maximum(np.abs(A), np.abs(D))
        clear = size > 4 * bar
        typical = np.median(size[clear]) if clear.any() else 0.0
        self.known = finite & ~self.kink & (bar <= 0.02 * np.maximum(size, typical))
        self.A, self.D, self.bar = (np.where(self.known, a, 0.0) for a in (A, D, bar))
        self.tiny = max(NOTHING * size.max(initial=0.0, where=self.known), 1e-300)
        self.has_A = self.known & (np.abs(self.A) > self.tiny)
        self.has_D = self.known & (np.abs(self.D) > self.bar + self.tiny)

        self.error = np.abs(self.A - self.D)
        wrong = self.flagged & self.known
        clear = wrong & (self.error > 4 * self.bar)
        self.wrong = clear if clear.any() else wrong

    def _matrix(self, values, dtype=np.float64):
        values = np.asarray(values)
        if np.iscomplexobj(values):
            values = values.real
        return values.astype(dtype).reshape(self.m, self.n)

    # ------------------------------------------------------------------ what there is

    @cached_property
    def live(self):
        """Where either Jacobian has mass."""
        return self.has_A | self.has_D

    @cached_property
    def x(self):
        """The input's values, (n,), or None if there are none that help."""
        if self.block.x is None:
            return None
        x = np.asarray(self.block.x)
        x = (x.real if np.iscomplexobj(x) else x).astype(np.float64).ravel()
        return x if x.size == self.n and np.isfinite(x).all() else None

    @cached_property
    def one_each(self):
        """Whether no output depends on more than one element of the input."""
        return bool((self.live.sum(axis=1) <= 1).all())

    @cached_property
    def elementwise(self):
        """Whether, besides, no element of the input has effect on more than one output."""
        return self.one_each and bool((self.live.sum(axis=0) <= 1).all())

    @cached_property
    def sure(self):
        """How sure an exact match makes: the more so, the more elements were wrong."""
        return 1 - 0.5 ** min(int(self.wrong.sum()), 8)

    @cached_property
    def views(self):
        """From the input, and from the output."""
        arrays = [getattr(self, name) for name in View._fields[2:]]
        return (
            View("input", self.inp, *arrays),
            View("output", self.out, *(a.T for a in arrays)),
        )

    @cached_property
    def probes(self):
        """(rows, columns) of some wrong elements, evenly spread."""
        return np.divmod(spread(np.flatnonzero(self.wrong), PROBES), self.n)

    # ------------------------------------------------------------------ comparing

    def fits(self, predicted, bar=None, seen=None):
        """Whether A is what a mistake would make it, at the wrong elements and at the right ones.

        Args:
            predicted: (m, n), what A would be.
            bar: (m, n), the error bar of that; default: the bar of D.
            seen: (m, n) bool, where the mistake tells what A would be; default: everywhere.
        """
        bar = self.bar if bar is None else bar
        seen = self.known if seen is None else seen & self.known
        near = np.abs(self.A - predicted) <= self._tolerance(predicted, bar, ...)
        wrong = seen & self.wrong
        if wrong.sum() < max(1, COVERED * self.wrong.sum()):
            return False
        # what A has in a sea of zeros must fit on its own, so must the diagonal, and what is right
        right = seen & ~self.wrong & (self.live | (np.abs(predicted) > bar + self.tiny))
        return all(_hold(near[part]) for part in (wrong, wrong & self.has_A, right)) and (
            self.out != self.inp or _hold(near.diagonal()[wrong.diagonal()])
        )

    def moved(self, rows=None, columns=None):
        """Whether A[i, j] = D[rows[i], columns[j]]; -1 stands for a source outside D."""
        rows = np.arange(self.m) if rows is None else rows
        columns = np.arange(self.n) if columns is None else columns
        i, j = self.probes
        inside = (rows[i] >= 0) & (columns[j] >= 0)
        i, j = i[inside], j[inside]
        at = rows[i], columns[j]
        near = np.abs(self.A[i, j] - self.D[at]) <= self._tolerance(
            self.D[at], self.bar[at], (i, j)
        )
        if not near.size or near.mean() < 0.8:  # spares the whole comparison
            return False
        at = np.ix_(rows, columns)
        seen = (rows >= 0)[:, None] & (columns >= 0) & self.known[at]
        return self.fits(self.D[at], self.bar[at], seen)

    def _tolerance(self, predicted, bar, at):
        """What A may differ by: a wrong element is explained by what is much nearer than D is."""
        slack = RELATIVE * np.maximum(np.abs(self.A[at]), np.abs(predicted))
        slack = np.where(self.wrong[at], np.minimum(slack, self.error[at] / 4), slack)
        return 2 * bar + slack + self.tiny

    def ratio(self, axis=None):
        """The factor c of A = c D; with an axis one per row (1) or per column (0).

        The median, then least squares over what agrees with it. NaN where D has no mass.
        """
        if not self.has_D.any():
            return np.full(np.median(self.D, axis=axis).shape, np.nan)
        quotient = np.divide(self.A, self.D, out=np.full(self.D.shape, np.nan), where=self.has_D)
        with warnings.catch_warnings():  # rows without mass
            warnings.simplefilter("ignore", RuntimeWarning)
            median = np.nanmedian(quotient, axis=axis, keepdims=True)
        with np.errstate(invalid="ignore"):
            use = self.has_D & (np.abs(quotient - median) <= 0.01 * np.abs(median))
        unit = self.bar + RELATIVE * np.abs(self.D) + self.tiny
        a, d = (np.where(use, J / unit, 0.0) for J in (self.A, self.D))
        mass = (d * d).sum(axis=axis)
        median = median.reshape(mass.shape)
        return np.divide((a * d).sum(axis=axis), mass, out=np.array(median), where=mass > 0)


def spread(indices, most):
    """At most so many of them, evenly spread."""
    return indices[:: max(1, -(-indices.size // most))]


def _hold(near):
    """Whether an explanation holds for these elements: one may be off, or one in 200."""
    misses = near.size - int(near.sum())
    return misses <= min(0.05 * near.size, 1 + 0.005 * near.size)
