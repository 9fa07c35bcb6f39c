"""Kinks: what a derivative may be where f has none.

At a kink the derivative must be a generalised one (Clarke 1983, section 2.5): in the convex hull
of the slopes that f has close by, where it is smooth. Mostly those are the two one-sided slopes.
The middle one of three equal numbers, though, does not move when any one of them does, and still
is each of them, close by.
"""

import copy

import numpy as np

from tinyconv.testing.oracles import Oracle, signed
from tinyconv.testing.slopes import EPS, KINK

#: how far off neighbours are, as a share of x: far enough to leave a kink, too near for f to bend
_NEAR = 1e-9
_NEIGHBOURS, _FIRST = 64, 16
#: elements of an input that are looked around for
_MOST = 32
#: slopes that differ by less close by are those of a smooth function
_SAME = 1e-3


class Kinks:
    """Looks at the kinks in a Comparison's tables, and at what may be one."""

    def __init__(self, comparison, tables):
        self.comparison, self.tables = comparison, tables
        self.subject, self.rng = comparison.subject, comparison.rng
        self._neighbours = []

    def judge(self):
        """Clear the elements that neighbours explain, then have ties moved together."""
        for k, table in enumerate(self.tables):
            if table.wrong.any():
                self._look_around(k, table)
        # a gradient's kinks obey no such rule: that of a chain of ops need not be anyone's gradient
        if self.subject.order == 1 and any((t.kind == KINK).any() for t in self.tables):
            self._move_together()

    # -- neighbours ---------------------------------------------------------------------------
    def neighbours(self, count):
        """Oracles at random points beside x."""
        subject, rng = self.subject, self.rng
        while len(self._neighbours) < count:
            there = copy.copy(subject)
            there.x = [
                x + _NEAR * signed(rng, x.shape) * np.maximum(np.abs(x), oracle.typical[k] / 8)
                for k, (x, oracle) in enumerate(zip(subject.x, self.comparison.oracles))
            ]
            self._neighbours.append(Oracle(there, rng))
        return self._neighbours[:count]

    def hull(self, line, rows, count=_NEIGHBOURS):
        """The least and the largest slope that neighbours have; ``line(oracle)`` tells where to.

        The step must stay within a neighbour's own smooth piece, so it is tiny, and what rounding
        leaves of a slope is good to some digits at best. NaN where it leaves none.
        """
        low, high = np.full(len(rows), np.nan), np.full(len(rows), np.nan)
        for oracle in self.neighbours(count):
            move, unit, _ = line(oracle)
            h = _NEAR / 16 * unit
            (up, a), (down, b) = move(h), move(-h)
            with np.errstate(all="ignore"):
                slopes = (up - down) / (a - b)
                blur = 16 * np.fmax(EPS * np.abs(up), oracle.noise)[rows] / h
            slope = slopes[rows]
            slope[~(blur <= _SAME * np.nanmax(np.abs(slopes), initial=0))] = np.nan
            low, high = np.fmin(low, slope), np.fmax(high, slope)
        return low, high

    def _look_around(self, k, table):
        for j in np.flatnonzero(table.wrong.any(1))[:_MOST]:
            rows = np.flatnonzero(table.wrong[j])
            line = lambda oracle, j=j: oracle.element(k, j)
            low, high = self.hull(line, rows, _FIRST)
            if not self._differ(low, high).any():
                return  # smooth here, and so it will be for the others
            low, high = self.hull(line, rows)
            bent = self._differ(low, high)
            at, low, high = rows[bent], low[bent], high[bent]
            table.kind[j, at] = KINK
            slack = _SAME * (high - low)
            table.low[j, at] = np.fmin(table.low[j, at], low - slack)
            table.high[j, at] = np.fmax(table.high[j, at], high + slack)
            a = table.analytic[j, at]
            table.wrong[j, at] = ~((a >= table.low[j, at]) & (a <= table.high[j, at]))

    @staticmethod
    def _differ(low, high):
        with np.errstate(all="ignore"):
            return high - low > 4 * _SAME * np.maximum(np.abs(low), np.abs(high))

    # -- ties ----------------------------------------------------------------------------------
    def _move_together(self):
        """At ties each element alone may be anything in its hull; together they may not.

        max(a, b) at a = b: (1, 1) and (0, 0) lie in the hulls [0, 1], but moving both shows a
        slope of 1, their sum. So f is also run along directions in which all elements that are
        at kinks move at once: equally, by random positive and by random signed amounts.
        """
        tables, rng = self.tables, self.rng
        kinks = [(t.kind == KINK).any(1) for t in tables]
        rows = np.flatnonzero(np.any([(t.kind == KINK).any(0) for t in tables], 0))
        draws = [np.ones]
        draws += [lambda n: rng.uniform(0.5, 1.5, n)] * 3
        draws += [lambda n: signed(rng, n)] * 3
        bad = np.zeros(self.subject.size, bool)
        bad[rows] |= self._off([np.ones(len(k)) for k in kinks], rows)
        for draw in draws:
            bad[rows] |= self._off([draw(len(k)) * k for k in kinks], rows)
        for t in tables:
            t.wrong |= bad & (t.kind == KINK)

    def _off(self, steps, rows):
        """Which outputs' derivatives along a direction contradict f's slopes along it."""
        tables = self.tables
        a = sum(d @ t.analytic for d, t in zip(steps, tables))[rows]
        slack = 1e-9 * sum(np.abs(d) @ np.abs(t.analytic) for d, t in zip(steps, tables))[rows]
        shaped = {k: d.reshape(x.shape) for k, (d, x) in enumerate(zip(steps, self.subject.x))}
        ladder = Oracle(self.subject, self.rng)
        move, _, lengths = ladder.line(shaped)
        s = ladder.climb(move, lengths, rows)
        s = s._replace(bar=s.bar + slack, low=s.low - slack, high=s.high + slack)
        off = self.comparison.off(a, s)
        if off.any():
            low, high = self.hull(lambda oracle: oracle.line(shaped), rows[off])
            wide = slack[off] + _SAME * (high - low)
            low, high = np.fmin(low, s.low[off]) - wide, np.fmax(high, s.high[off]) + wide
            inside = self._differ(low, high) & (a[off] >= low) & (a[off] <= high)
            off[np.flatnonzero(off)[inside]] = False
        return off
