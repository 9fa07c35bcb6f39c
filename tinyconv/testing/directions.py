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
                draws += [draw] if self.agrees(draw) else self._sure(part, d, climb)
        return draws

    def together(self):
        """The draw in which all elements of all inputs move up by as much.

        The two largest of a window that are equal may each have any derivative from 0 to 1;
        together they have 1. No direction in one of two tied inputs shows that.
        """
        subject = self.subject
        size = max(self.oracle.typical)
        directions = {k: np.full(x.shape, size) for k, x in enumerate(subject.x)}
        # no signs that cancel: what all kinks get too much adds up
        u = np.abs(self._cotangent())
        draws = self._sure(u, directions, self.oracle.along(directions)[2])
        return next((draw for draw in draws if not self.agrees(draw)), draws[0])

    def _cotangent(self):
        return signed(self.rng, (self.span.stop - self.span.start,))

    def _quick(self, u, d, value, tolerance):
        some = u != 0
        products = self._products(u, d)
        bar = np.abs(u[some]) @ tolerance[some] + 1e-12 * np.abs(products).sum()
        a = float(products.sum())
        return Draw(a, float(u[some] @ value[some]), float(bar) + 1e-9 * abs(a))

    def _sure(self, u, d, climb):
        """The draws by the ladder: of the outputs that are smooth along d, and of those at kinks,
        whose hulls would hide the others' faults. What cannot be seen is left out of both."""
        rows = np.flatnonzero(u)
        s = climb(rows + self.span.start)
        lost = np.isin(s.kind, (JUMP, UNRESOLVED)) | ~np.isfinite(s.value) | np.isfinite(s.far)
        kink = (s.kind == KINK) & ~lost
        shares = float(kink.mean()), float(lost.mean())
        draws = []
        for some in (~kink & ~lost, kink):
            if not some.any() and draws:
                continue
            part, v = np.zeros_like(u), u[rows[some]]
            part[rows[some]] = v
            products = self._products(part, d)
            slack = 1e-11 * float(np.abs(products).sum())
            if some is kink:  # the slope may be anything in the hull
                ends = np.stack([v * s.low[some], v * s.high[some]])
                low, high = float(ends.min(0).sum()), float(ends.max(0).sum())
                n, bar = (low + high) / 2, (high - low) / 2 + slack
            else:
                n, bar = float(v @ s.value[some]), float(np.abs(v) @ s.bar[some]) + slack
            draw = Draw(float(products.sum()), n, bar, *shares)
            draws.append(draw if some is kink else self._forgiven(draw, part, d))
        return draws

    def _forgiven(self, draw, u, d):
        """With a wider bar where there is nothing but rounding; see Comparison."""
        f0 = self.oracle.f0[self.span]
        tiny = 1e-9 * float(np.abs(u) @ np.abs(f0))
        if abs(draw.analytic - draw.numeric) > tiny or self.agrees(draw):
            return draw
        for _ in range(2):
            there = float(self._products(u, d, self.comparison.beside()).sum())
            draw = draw._replace(bar=draw.bar + 8 * abs(there - draw.analytic))
        return draw

    def gradient(self, u):
        """The input's gradient for the cotangent u of the output."""
        return self._gradients(u)[self.k]

    def _gradients(self, u, x=None):
        v = np.zeros(self.subject.size)
        v[self.span] = u
        return self.subject.vjp(self.subject.split(v), x)

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
            draws = self._sure(u, part, lambda rows: self.oracle.climb(move, lengths, rows))
            return not all(map(self.agrees, draws))

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
