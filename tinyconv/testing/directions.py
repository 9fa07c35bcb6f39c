"""The comparison along random directions: u . J d against (J^T u) . d, for a few u and d.

The cost does not grow with the number of elements. A single wrong element shows in every draw,
since no entry of u or d is zero; faults that cancel in one draw do so in k draws with a
probability below 2^-k. Where a draw fails, halving finds the elements that are to blame.
"""

from typing import NamedTuple

import numpy as np

from tinyconv.testing.oracles import signed
from tinyconv.testing.slopes import JUMP, KINK, UNRESOLVED

#: output elements that the ladder is climbed for at a time: it keeps all rungs of them
_AT_ONCE = 1 << 14


class Draw(NamedTuple):
    """One number by both ways, and the shares of the output at kinks and out of sight."""

    analytic: float
    numeric: float
    bar: float
    kinks: float = 0.0
    lost: float = 0.0


class Directions:
    """Draws for one output and one input of a Comparison."""

    def __init__(self, comparison, k, output):
        self.comparison, self.k = comparison, k
        self.subject, self.rng = comparison.subject, comparison.rng
        self.oracle = comparison.oracles[k]
        self.span = self.subject.spans[output]
        x = self.subject.x[k]
        self.size = np.maximum(np.abs(x), self.oracle.typical[k] / 8)

    def agrees(self, draw):
        return self.comparison.agrees(draw.analytic, draw.numeric, draw.bar)

    def run(self, rounds):
        """All draws; where one fails at first sight, those of its parts by the ladder."""
        draws = []
        for _ in range(rounds):
            d = {self.k: signed(self.rng, self.size.shape) * self.size}
            u = self._cotangent()
            value, tolerance, climb = self.oracle.along(d)
            value, tolerance = value[self.span], tolerance[self.span]
            draw = self._quick(u, d, value, tolerance)
            if self.agrees(draw):
                draws.append(draw)
                continue
            for start in range(0, len(u), _AT_ONCE):
                part = np.zeros_like(u)
                part[start : start + _AT_ONCE] = u[start : start + _AT_ONCE]
                draw = self._quick(part, d, value, tolerance)
                draws.append(draw if self.agrees(draw) else self._sure(part, d, climb))
        return draws

    def together(self):
        """The draw in which all elements of all inputs move up by as much.

        The two largest of a window that are equal may each have any derivative from 0 to 1;
        together they have 1. No direction in one of two tied inputs shows that.
        """
        subject = self.subject
        size = max(self.oracle.typical)
        directions = {k: np.full(x.shape, size) for k, x in enumerate(subject.x)}
        value, tolerance, climb = self.oracle.along(directions)
        u = self._cotangent()
        draw = self._quick(u, directions, value[self.span], tolerance[self.span])
        return draw if self.agrees(draw) else self._sure(u, directions, climb)

    def _cotangent(self):
        return signed(self.rng, (self.span.stop - self.span.start,))

    def _quick(self, u, d, value, tolerance):
        some = u != 0
        products = self._products(u, d)
        bar = np.abs(u[some]) @ tolerance[some] + 1e-12 * np.abs(products).sum()
        a = float(products.sum())
        return Draw(a, float(u[some] @ value[some]), float(bar) + 1e-9 * abs(a))

    def _sure(self, u, d, climb):
        """The draw by the ladder; what it cannot see is left out of u."""
        rows = np.flatnonzero(u)
        s = climb(rows + self.span.start)
        lost = np.isin(s.kind, (JUMP, UNRESOLVED)) | ~np.isfinite(s.value) | np.isfinite(s.far)
        u = u.copy()
        u[rows[lost]] = 0
        products = self._products(u, d)
        a = float(products.sum())
        kink, known = (s.kind == KINK) & ~lost, (s.kind != KINK) & ~lost
        v = u[rows]
        # at kinks the slope may be anything in the hull
        ends = np.stack([v[kink] * s.low[kink], v[kink] * s.high[kink]])
        low, high = ends.min(0).sum(), ends.max(0).sum()
        n = v[known] @ s.value[known] + (low + high) / 2
        bar = np.abs(v[known]) @ s.bar[known] + (high - low) / 2
        bar += 1e-11 * np.abs(products).sum()
        draw = Draw(a, float(n), float(bar), float(kink.mean()), float(lost.mean()))
        tiny = 1e-9 * float(np.abs(v) @ np.abs(self.oracle.f0[rows + self.span.start]))
        if abs(a - n) <= tiny and not self.agrees(draw):  # as Comparison._forgive_rounding
            for _ in range(2):
                there = float(self._products(u, d, self.comparison.beside()).sum())
                draw = draw._replace(bar=draw.bar + 8 * abs(there - a))
        return draw

    def gradient(self, u):
        """The input's gradient for the cotangent u of the output."""
        return self._gradients(u)[self.k]

    def _gradients(self, u, x=None):
        v = np.zeros(self.subject.size)
        v[self.span] = u
        _, pull = self.subject.linearise([a.copy() for a in x or self.subject.x])
        return pull(self.subject.split(v))

    def _products(self, u, directions, x=None):
        """The terms of (J^T u) . d."""
        gradients = self._gradients(u, x)
        return np.concatenate([(gradients[k] * d).ravel() for k, d in directions.items()])

    def guilty(self, most=5):
        """The wrong elements behind a failed draw: (output element, input element, analytic,
        numeric, bar) each."""
        d, u = signed(self.rng, self.size.shape) * self.size, self._cotangent()

        def fails(some):
            part = np.zeros(d.size)
            part[some] = d.flat[some]
            part = {self.k: part.reshape(d.shape)}
            move, _, lengths = self.oracle.line(part)
            draw = self._sure(u, part, lambda rows: self.oracle.climb(move, lengths, rows))
            return not self.agrees(draw)

        found = []
        for j in _bisect(fails, np.arange(d.size), most):
            s = self.oracle.column(self.k, j)[2](np.arange(self.span.start, self.span.stop))
            for i in self._outputs(u, j, s):
                one = np.zeros(len(u))
                one[i] = 1.0
                a = float(self.gradient(one).flat[j])
                found.append((i, j, a, float(s.value[i]), float(s.bar[i])))
        return found[:most]

    def _outputs(self, u, j, s):
        """Up to two output elements whose derivative by input element j is wrong."""
        bar = s.bar + 1e-12 * abs(float(self.gradient(u).flat[j]))
        visible = ~np.isin(s.kind, (JUMP, UNRESOLVED, KINK)) & np.isfinite(s.value)

        def disagrees(some):
            part = np.zeros(len(u))
            part[some] = np.where(visible[some], u[some], 0.0)
            rows = np.flatnonzero(part)
            a = float(self.gradient(part).flat[j])
            n, allowed = part[rows] @ s.value[rows], np.abs(part[rows]) @ bar[rows]
            return not self.comparison.agrees(a, n, allowed + 1e-9 * abs(a))

        return _bisect(disagrees, np.arange(len(u)), 2)


def _bisect(fails, everything, most):
    """Up to ``most`` single elements that fail, halving whatever does."""
    found, waiting = [], [everything]
    while waiting and len(found) < most:
        some = waiting.pop()
        if len(some) == 0 or not fails(some):
            continue
        if len(some) == 1:
            found.append(int(some[0]))
        else:
            waiting += [some[len(some) // 2 :], some[: len(some) // 2]]
    return found
