"""The comparison of the analytic derivative with its oracle, element by element."""

from dataclasses import dataclass, field

import numpy as np

from tinyconv.testing.kinks import Kinks
from tinyconv.testing.oracles import Complex, Oracle, roughness, signed
from tinyconv.testing.slopes import EDGE, EPS, FLAT, JUMP, KINK, SMOOTH, UNRESOLVED

#: a quick slope whose tolerance is above this share of the row's largest slope sees too little
_BLUNT = 1e-5
#: so many elements found wrong are enough: the ladder is not climbed for the others
_ENOUGH = 64
#: what is out of sight, in units of the last place of the largest derivative; and how many times
#: that an error may be to be one of the oracle
_FLOOR, _SMALL = 4096, 1e7


@dataclass
class Table:
    """All of d(flat output)/d(one input), as (n, m): a row for each element of the input."""

    analytic: np.ndarray
    numeric: np.ndarray = field(init=False)
    bar: np.ndarray = field(init=False)
    kind: np.ndarray = field(init=False)
    wrong: np.ndarray = field(init=False)
    #: hull of the one-sided slopes, where ``kind`` is KINK
    low: np.ndarray = field(init=False)
    high: np.ndarray = field(init=False)

    def __post_init__(self):
        shape = self.analytic.shape
        self.numeric, self.bar = np.full(shape, np.nan), np.full(shape, np.inf)
        self.low, self.high = np.full(shape, np.nan), np.full(shape, np.nan)
        self.kind = np.full(shape, SMOOTH, np.int8)
        self.wrong = np.zeros(shape, bool)


class Comparison:
    """Judges a subject's derivative by an oracle.

    Args:
        subject: a settled Subject.
        oracles: one per input (``oracles.choose``).
        kinks: "hull", "skip" or "error".
        atol, rtol: what the user allows beyond the error bars.
        rng: source of signs, steps and directions.
    """

    def __init__(self, subject, oracles, rng, kinks="hull", atol=0.0, rtol=0.0):
        self.subject, self.oracles, self.rng = subject, oracles, rng
        self.kinks, self.atol, self.rtol = kinks, atol, rtol
        #: agreement to so many digits is proof; none may miss where the exact oracle was asked for
        self.digits = 0.0 if getattr(oracles[0], "strict", False) else Oracle.digits

    # -- the analytic side --------------------------------------------------------------------
    def analytic(self, x=None):
        """One array (n, m) per input: a backward pass for each element of the output.

        Cotangents are +-1/2, 1 or 2 at one place, so that a backward which only holds for
        positive or for small ones is seen, and dividing by them loses nothing.
        """
        subject = self.subject
        _, pull = subject.linearise([a.copy() for a in x or subject.x])
        tables = [np.empty((x.size, subject.size)) for x in subject.x]
        weights = self.rng.choice([-2.0, -1.0, -0.5, 0.5, 1.0, 2.0], subject.size)
        v = np.zeros(subject.size)
        for i, weight in enumerate(weights):
            v[i] = weight
            for table, g in zip(tables, pull(subject.split(v.copy()))):
                table[:, i] = g.reshape(-1)
            v[i] = 0.0
        for table in tables:
            table /= weights
        return tables

    # -- every element ----------------------------------------------------------------------
    def full(self, analytic):
        """Compare every element; returns one Table per input."""
        tables = [Table(A) for A in analytic]
        for k, table in enumerate(tables):
            self._fill(k, table, self.oracles[k])
        self._leave_out_kinks_below(tables)
        if self.digits:
            self._forgive_rounding(tables)
            self._second_opinion(tables)
        if self.kinks == "hull":
            Kinks(self, tables).judge()
        self.kinked = [np.isin(t.kind, (KINK, JUMP)).any(1) for t in tables]
        # gradients of gradients are sums of terms that cancel: too rough to be compared so closely
        self.dense = self._dense(tables) if self.subject.order == 1 else None
        return tables

    def _leave_out_kinks_below(self, tables):
        """Where f has a kink its gradient jumps, and has no derivative to compare with."""
        below = self.subject.kinked_below
        if below is None:
            return
        for k, t in enumerate(tables[: len(below)]):
            left_out = below[k][:, None] | np.concatenate(below)[None, :]
            t.kind[t.wrong & left_out] = JUMP
            t.wrong &= ~left_out

    def _dense(self, tables):
        """What is wrong with cotangents that have no zeros, if anything, as text.

        The tables were made with one number in each cotangent. Code may take another way for
        many, for all equal, or for the 1 that every loss begins with.
        """
        size = self.subject.size
        draws = {
            "of ones": np.ones(size),
            "of equal numbers": np.full(size, -0.75),
            "without zeros": signed(self.rng, size),
            "of positive numbers": self.rng.uniform(0.5, 1.5, size),
        }
        floors = self._floors(tables)
        digits = 1e-8 if self.subject.dtype == np.float64 else 1e-4
        for name, v in draws.items():
            cotangents = self.subject.split(v)
            v = np.concatenate([c.ravel() for c in cotangents]).astype(np.float64)  # as rounded
            for k, (g, t) in enumerate(zip(self.subject.vjp(cotangents), tables)):
                g = g.reshape(-1)
                terms, wanted = np.abs(t.analytic) @ np.abs(v), t.analytic @ v
                off = np.abs(g - wanted)
                far = (off > digits * terms + floors[k] @ np.abs(v)) & np.isfinite(wanted)
                if far.any() and np.any(far & (off > self._unsure(k, cotangents, g))):
                    return (
                        f"for a cotangent {name} the gradient of {self.subject.input_names[k]} is "
                        "not the sum of those for its elements"
                    )
        return None

    def _unsure(self, k, cotangents, g):
        """Per element of a gradient, how far rounding alone may move it."""
        y = self.subject.outputs
        terms = max(float(np.abs(a * b).max(initial=0.0)) for a, b in zip(cotangents, y))
        change = np.zeros(g.shape)
        for _ in range(2):
            there = self.subject.vjp(cotangents, self.beside())[k].reshape(-1)
            np.fmax(change, np.abs(there - g), out=change)
        if np.median(change) > 1e-2 * np.median(np.abs(g)):
            change[:] = change.max()  # nothing but rounding
        rough = 16 * roughness(self.subject, self.rng) * _largest(g)
        return 8 * change + 1e-12 * terms / self.oracles[k].typical[k] + rough

    def _forgive_rounding(self, tables):
        """A derivative that is zero but for rounding may be another such number.

        How large such numbers get is seen by moving x by its last digits: what then changes in
        the analytic row, kinks aside, is rounding. And what is below the last digits of an
        output's largest derivative is out of sight: its own terms may be as large as those.
        """
        bent = [np.isin(t.kind, (KINK, JUMP)) for t in tables]
        if not any((t.wrong & ~b).any() for t, b in zip(tables, bent)):
            return
        spreads = [np.zeros(t.analytic.shape[1]) for t in tables]
        floors = self._floors(tables)
        for _ in range(2):
            for spread, floor, t, b, A in zip(
                spreads, floors, tables, bent, self.analytic(self.beside())
            ):
                change = np.where(b, 0.0, np.abs(A - t.analytic))
                # a row of rounding changes throughout; elsewhere a large change is a branch taken
                share = np.median(change / np.abs(t.analytic), 0) if len(change) else 0.0
                bound = np.where(share > 1e-2, np.inf, 2.5e6 * floor)
                np.fmax(spread, np.minimum(change.max(0, initial=0.0), bound), out=spread)
        for spread, floor, t, b in zip(spreads, floors, tables, bent):
            with np.errstate(all="ignore"):
                allowed = np.fmax(8 * spread, floor)
                t.wrong &= b | ~(np.abs(t.analytic - t.numeric) <= allowed)

    def _second_opinion(self, tables):
        """Ask the complex oracle about small derivatives that differences contradict.

        A saturated function is a staircase of rounding, and a difference on one of its steps a
        slope of nothing. An imaginary step takes no difference. If it gives what the analytic
        derivative says, two ways that share nothing but the function agree; its zeros say nothing,
        since code may drop the imaginary part.
        """
        if not any(t.wrong.any() for t in tables):
            return
        floors = self._floors(tables)
        small = [
            t.wrong & (np.abs(t.analytic - t.numeric) <= _SMALL * floor)
            for t, floor in zip(tables, floors)
        ]
        if not any(s.any() for s in small):
            return
        try:
            oracle = Complex(self.subject, self.rng)
            for k, (t, s) in enumerate(zip(tables, small)):
                for j in np.flatnonzero(s.any(1))[:_ENOUGH]:
                    value = oracle.column(k, j)[0]
                    # the analytic derivative stands on stairs as well, only lower ones
                    off, apart = np.abs(t.numeric[j] - value), np.abs(t.analytic[j] - value)
                    agree = (apart <= np.fmax(0.05 * off, floors[k])) & (value != 0)
                    t.wrong[j] &= ~(s[j] & agree)
        except Exception:
            return  # it takes no complex numbers

    def _floors(self, tables):
        """Per input and output element, the last digits of the largest derivative there is.

        Inputs are compared by what a change of their own size does; gradients, the outputs of
        second order, by the size of the input that they belong to.
        """
        sizes = [oracle.typical[k] for k, oracle in enumerate(self.oracles)]
        spans = self.subject.spans
        units = sizes[: len(spans)] if self.subject.order > 1 else [1.0] * len(spans)
        effects = [
            max(_largest(t.analytic[:, span]) * size for t, size in zip(tables, sizes)) * unit
            for span, unit in zip(spans, units)
        ]
        if self.subject.order > 1:
            effects = [max(effects)] * len(spans)
        floors = [np.zeros(self.subject.size) for _ in tables]
        for floor, size in zip(floors, sizes):
            for span, unit, effect in zip(spans, units, effects):
                below = self.subject.terms_below / min(1.0, size * unit)
                floor[span] = _FLOOR * EPS * max(effect / (size * unit), below)
        return floors

    def beside(self):
        """x, moved by about two units of its last place."""
        two = 2 * np.finfo(np.float64).eps
        return [x * (1 + self.rng.choice([-two, two], x.shape)) for x in self.subject.x]

    def _fill(self, k, table, oracle):
        A = table.analytic
        largest = np.abs(A).max(0, initial=0, where=np.isfinite(A))
        every = oracle.every(k)
        columns = range(len(A))
        if every is not None:
            table.numeric[:], table.bar[:] = every
            off, blunt = self._doubts(A, *every, oracle, largest)
            columns = np.flatnonzero((off | blunt).any(1))
        blunt_before = found = 0
        for j in columns:
            value, tolerance, climb = oracle.column(k, j)
            table.numeric[j], table.bar[j] = value, tolerance
            off, blunt = self._doubts(A[j], value, tolerance, oracle, largest)
            doubtful = off | blunt if blunt_before < 4 else off
            table.wrong[j] = off
            if doubtful.any() and found < _ENOUGH:
                rows = np.flatnonzero(doubtful)
                self._decide(table, j, rows, climb(rows))
                # where the ladder sees no sharper it is not asked again
                blunt_before += not off.any()
                found += bool(table.wrong[j].any())
            elif off.any():
                table.bar[j, off] = np.inf  # a guess: what differs may be a kink within the step

    def _doubts(self, a, value, tolerance, oracle, largest):
        """(where the quick slopes say no, where they see too little)."""
        off = ~self.agrees(a, value, oracle.digits * np.abs(a) + tolerance)
        return off, (tolerance > _BLUNT * largest) & (largest > 0)

    def agrees(self, a, value, allowed):
        return np.abs(a - value) <= allowed + self.atol + self.rtol * np.abs(value)

    def _decide(self, table, j, rows, s):
        """Judge elements of row j by slopes that carry error bars."""
        a = table.analytic[j, rows]
        table.numeric[j, rows], table.bar[j, rows], table.kind[j, rows] = s.value, s.bar, s.kind
        table.low[j, rows], table.high[j, rows] = s.low, s.high
        table.wrong[j, rows] = self.off(a, s)
        if np.any(s.kind == JUMP):
            # an infinite slope times the zeros of a cotangent is NaN, here as in PyTorch
            table.wrong[j, ~np.isfinite(table.analytic[j])] = False

    def off(self, a, s):
        """Which of ``a`` contradict the Slopes ``s``."""
        rounding = self.digits * np.abs(a)
        smooth = ~self.agrees(a, s.value, s.bar + rounding)
        smooth &= ~self.agrees(a, s.far, s.far_bar + rounding)
        slack = rounding + self.atol + self.rtol * np.abs(a)
        outside = ~((a >= s.low - slack) & (a <= s.high + slack))
        off = np.isin(s.kind, (SMOOTH, EDGE, FLAT)) & smooth
        off |= (s.kind == KINK) & {"hull": outside, "skip": False, "error": True}[self.kinks]
        # too rough to confirm anything; but a value ten bars away is refuted all the same
        off |= (s.kind == UNRESOLVED) & ~self.agrees(a, s.value, 10 * s.bar)
        return off & ~(s.kind == JUMP) & np.isfinite(s.value)


def _largest(a):
    return float(np.abs(a[np.isfinite(a)]).max(initial=0.0))
