"""The oracles: where the slopes that a derivative is compared with come from.

Each gives, for one input element or one direction, the slope of every output element and the
tolerance that this slope deserves, at the price of a few evaluations. An answer that agrees with
the derivative to nine digits needs no further proof. One that does not proves nothing yet: the
function may be rough, or bend within the step. Then the ladder of ``slopes`` decides.

=========== ======================= ============================================ ==============
oracle      for                     evaluations for each element                 tolerance
=========== ======================= ============================================ ==============
exact       piecewise linear f at   2: steps of 2^-10 cross no kink, integers    none
            whole numbers           and halves are exact
adjoint     f affine in an input    1: a step as large as the input itself       rounding
complex     f made of analytic      1: Im f(x + 1e-20 i d) / 1e-20, no           1e-11
            pieces                  difference is taken
richardson  any f                   4: central differences at t and t/2          1e-9
twin        float32 f               as richardson, on the same f in float64      1e-9
=========== ======================= ============================================ ==============
"""

import numpy as np

from tinyconv.autograd.modes import complex_step, no_grad
from tinyconv.testing.slopes import EPS, KINK, SMOOTH, Slopes, slopes
from tinyconv.testing.subject import ShapesChange

#: the first step of richardson, as a share of the input's size
STEP = 2.0**-9
_TINY = 1e-20


class Oracle:
    """Slopes of a subject along lines through x.

    Args:
        subject: a settled Subject.
        rng: where steps and directions are drawn from.
        step: an absolute step that the user wants, in place of a relative one.
    """

    name = "richardson"
    #: agreement to so many digits is proof
    digits = 1e-9

    def __init__(self, subject, rng, step=None):
        self.subject, self.rng, self.step = subject, rng, step
        self.x = [x.copy() for x in subject.x]
        self.f0 = subject(self.x)
        self.factor = 1 + float(rng.random())
        self.typical = [typical(x) for x in self.x]
        self.noise = self._rounding()
        #: for inputs whose ladder was climbed: the best step over the element's size
        self.hints = {}

    def as_(self, kind):
        """The same lines as another oracle, without running f again."""
        other = kind.__new__(kind)
        other.__dict__.update(self.__dict__)
        return other

    def _rounding(self):
        """Per output, how far rounding moves f: what is left of f when x moves by 1e-14 or so.

        Where large terms cancel this is far more than the last digit of f.
        """
        d = {k: signed(self.rng, x.shape) * np.maximum(np.abs(x), self.typical[k] / 8)
             for k, x in enumerate(self.x)}  # fmt: skip
        move, *_ = self.line(d)
        noise = 2 * EPS * np.abs(self.f0)
        with np.errstate(all="ignore"):
            for t in (2.0**-44, 2.0**-45, 2.0**-46):
                bend = np.abs(move(t)[0] - 2 * self.f0 + move(-t)[0])
                noise = np.fmax(noise, bend)
        return noise

    # -- lines ----------------------------------------------------------------------------
    def element(self, k, j):
        """The line along element j of input k: (move, its unit of length, other lengths)."""
        flat = self.x[k].reshape(-1)
        x = flat[j]
        size = abs(float(x))

        def move(t):
            flat[j] = x + t
            try:
                return self._values(self.x), float(flat[j] - x)
            finally:
                flat[j] = x

        unit = max(size, self.typical[k] / 8)
        return move, unit, {unit, size or unit, 1.0}

    def line(self, directions):
        """The line along one direction in all inputs: {input: array of its shape}."""
        x = self.x

        def move(t):
            there = [a + t * directions[k] if k in directions else a for k, a in enumerate(x)]
            return self._values(there), t

        return move, 1.0, {1.0, *(1 / np.abs(d).max() for d in directions.values() if d.any())}

    def _values(self, x):
        """f there; NaN where it raises, as a function may that looks at its domain."""
        try:
            return self.subject(x)
        except (ShapesChange, KeyboardInterrupt):
            raise
        except Exception:
            return np.full(self.f0.shape, np.nan)

    # -- slopes ---------------------------------------------------------------------------
    def column(self, k, j):
        """(slopes by element j of input k, their tolerances, rows -> the ladder's Slopes)."""
        move, unit, lengths = self.element(k, j)
        return *self.quick(move, unit, k), lambda rows: self.climb(move, lengths, rows, k, unit)

    def every(self, k):
        """What ``column`` says first for all elements of input k, where one does not learn from
        another; else None."""
        return None

    def along(self, directions):
        """The same for one direction in all inputs."""
        move, unit, lengths = self.line(directions)
        return *self.quick(move, unit), lambda rows: self.climb(move, lengths, rows)

    def quick(self, move, unit, k=None):
        """(slopes, tolerances) along a line, for few evaluations."""
        hint = self.hints.get(k)
        if self.step is None and hint is not None:
            return self._romberg(move, hint * unit)
        h = self.step or STEP * self.factor * unit
        (up, a), (down, b) = move(h), move(-h)
        (up2, a2), (down2, b2) = move(h / 2), move(-h / 2)
        coarse, fine = _quotient(up, down, a - b), _quotient(up2, down2, a2 - b2)
        return (4 * fine - coarse) / 3, self._blur(up, down, h / 2)

    def _blur(self, up, down, h):
        """What rounding of f's values may do to their difference quotient."""
        size = EPS * np.maximum(np.abs(up), np.abs(down))
        return 8 * np.maximum(2 * size, self.noise) / h

    def _romberg(self, move, h):
        """Two of Richardson's columns from the step that the ladder found to serve best."""
        rows = []
        for _ in range(3):
            (up, a), (down, b) = move(h), move(-h)
            rows.append(_quotient(up, down, a - b))
            h /= 4
        D1 = [(16 * fine - coarse) / 15 for coarse, fine in zip(rows, rows[1:])]
        return (256 * D1[1] - D1[0]) / 255, self._blur(up, down, 4 * h)

    def climb(self, move, lengths, rows, k=None, unit=1.0):
        """The ladder: slopes that carry their own error bars."""
        found = slopes(move, self.f0, lengths, rows, self.factor)
        if k is not None and found.step:
            self.hints[k] = found.step / unit
        return found


class Adjoint(Oracle):
    """For f affine along the line: <v, J u> = <J^T v, u>, without a small step."""

    name, digits = "adjoint", 1e-11

    def quick(self, move, unit, k=None):
        up, a = move(unit)
        return _quotient(up, self.f0, a), self._blur(up, self.f0, unit)

    def every(self, k):
        """``quick`` for all elements of input k at once: (n, m) slopes and tolerances."""
        flat = self.x[k].reshape(-1)
        there = flat + np.maximum(np.abs(flat), self.typical[k] / 8)
        steps = (there - flat)[:, None]
        f = np.empty((flat.size, self.f0.size))
        for j, x in enumerate(flat.copy()):
            flat[j] = there[j]
            f[j] = self._values(self.x)
            flat[j] = x
        return _quotient(f, self.f0, steps), self._blur(f, self.f0, steps)

    def is_affine(self, k, rng):
        """Whether f runs straight along a random direction of input k, as far as rounding tells."""
        d = signed(rng, self.x[k].shape) * np.maximum(np.abs(self.x[k]), self.typical[k] / 8)
        move, *_ = self.line({k: d})
        f = {t: move(t)[0] for t in (1.0, -1.0, 0.5)}
        with np.errstate(all="ignore"):
            size = max(np.abs(y).max(initial=0) for y in f.values())
            bends = f[1.0] - 2 * self.f0 + f[-1.0], f[0.5] - (self.f0 + f[1.0]) / 2
            return all(np.abs(b).max(initial=0) <= 256 * EPS * size for b in bends)


class NotStraight(ValueError):
    """The function bends within the exact oracle's step."""


class Exact(Oracle):
    """For f piecewise linear, at whole numbers: no rounding, so no tolerance."""

    name, digits = "exact", 0.0
    STEP = 2.0**-10
    #: False where the oracle was chosen, not asked for: then the ladder judges what is not straight
    strict = True

    def quick(self, move, unit, k=None):
        right, left = self._sides(move, self.STEP)
        return np.where(right == left, right, np.nan), np.zeros(right.shape)

    def _sides(self, move, h):
        return (move(h)[0] - self.f0) / h, (self.f0 - move(-h)[0]) / h

    def climb(self, move, lengths, rows, k=None, unit=1.0):
        right, left = self._sides(move, self.STEP)
        right2, left2 = self._sides(move, self.STEP / 2)
        if not (np.array_equal(right, right2) and np.array_equal(left, left2)):
            if not self.strict:
                return super().climb(move, lengths, rows, k, unit)
            raise NotStraight(
                "oracle='exact': the function is not piecewise linear, or its arithmetic rounds "
                "here; use whole numbers of at most four digits, or oracle='richardson'"
            )
        right, left = right[rows], left[rows]
        kind = np.where(right == left, SMOOTH, KINK)
        low, high = np.minimum(right, left), np.maximum(right, left)
        nothing = np.full(right.shape, np.nan)
        value, bar = (right + left) / 2, np.zeros(right.shape)
        return Slopes(value, bar, low, high, kind, nothing, nothing, 0.0)

    def suits(self):
        """Whether all numbers are whole, and small enough for products of them to be exact."""
        return all(np.all((x == np.rint(x)) & (np.abs(x) <= 4096)) for x in self.x)

    def holds(self, k, rng):
        """Whether f is straight to the last bit along a random direction of input k."""
        move, *_ = self.line({k: rng.choice([-1.0, 1.0], self.x[k].shape)})
        with np.errstate(all="ignore"):
            coarse, fine = self._sides(move, self.STEP), self._sides(move, self.STEP / 2)
        return all(map(np.array_equal, coarse, fine))


class Complex(Oracle):
    """An imaginary step: f's imaginary part is the derivative, with no difference taken."""

    name, digits = "complex", 1e-11

    def __init__(self, subject, rng, step=None):
        super().__init__(subject, rng, step)
        try:
            again = self._at([x.astype(np.complex128) for x in self.x])
        except Exception as error:
            raise ValueError(
                "oracle='complex': the function does not take complex128 arrays "
                f"({type(error).__name__}: {error}); use oracle='richardson'"
            ) from error
        if not np.allclose(again.real, self.f0, rtol=1e-9, atol=1e-12, equal_nan=True):
            raise ValueError(
                "oracle='complex': the function has other values for complex input (does it cast, "
                "or take magnitudes?); use oracle='richardson'"
            )

    def _at(self, arrays):
        with complex_step(), no_grad():
            return self.subject(arrays).astype(np.complex128)

    def column(self, k, j):
        d = np.zeros(self.x[k].shape)
        d.flat[j] = 1.0
        value, tolerance, _ = self.along({k: d})
        move, unit, lengths = self.element(k, j)
        return value, tolerance, lambda rows: self.climb(move, lengths, rows)

    def along(self, directions):
        z = [x + 1j * _TINY * directions.get(k, 0.0) for k, x in enumerate(self.x)]
        value = self._at(z).imag / _TINY
        move, _, lengths = self.line(directions)
        # the largest of them bounds what cancels in the smaller ones
        tolerance = 16 * EPS * np.abs(value).max(initial=0.0) + np.zeros(value.shape)
        return value, tolerance, lambda rows: self.climb(move, lengths, rows)


#: those that can be asked for by name
ORACLES = {oracle.name: oracle for oracle in (Exact, Adjoint, Complex, Oracle)}


def choose(subject, name, rng, step=None, full=True):
    """One oracle per input: the one that is named, or for "auto" the strongest that applies.

    Directions are no whole numbers, so the exact oracle is for ``full`` comparisons.
    """
    if name != "auto":
        return [ORACLES[name](subject, rng, step)] * len(subject.x)
    richardson = Oracle(subject, rng, step)
    if step is not None:
        return [richardson] * len(subject.x)
    exact, adjoint = richardson.as_(Exact), richardson.as_(Adjoint)
    exact.strict = False
    whole = full and exact.suits()
    chosen = []
    for k in range(len(subject.x)):
        holds = whole and exact.holds(k, rng)
        straight = not holds and adjoint.is_affine(k, rng)
        chosen.append(exact if holds else adjoint if straight else richardson)
    return chosen


def _quotient(up, down, width):
    return (up - down) / width


def typical(x):
    """The size of x's usual element; 1 where all are zero."""
    sizes = np.abs(x[np.isfinite(x) & (x != 0)])
    return float(np.median(sizes)) if sizes.size else 1.0


def signed(rng, shape, dtype=np.float64):
    """Random numbers of either sign and of sizes 1/2 to 3/2, so that nothing cancels for sure."""
    return (rng.choice([-1.0, 1.0], shape) * rng.uniform(0.5, 1.5, shape)).astype(dtype)


def roughness(subject, rng):
    """How far f is from a smooth function over steps of 2^-22: that of float32 inside, if any.

    A gradient need not be known better than its function. 0 for what bends by more than that.
    """
    steps = [2.0**-22 * signed(rng, x.shape) * np.abs(x) for x in subject.x]
    below, at, above = (
        subject([(x + t * d).astype(x.dtype) for x, d in zip(subject.x, steps)]) for t in (-1, 0, 1)
    )
    bend = float(np.nanmax(np.abs(below - 2 * at + above), initial=0))
    rough = bend / max(float(np.nanmax(np.abs(at), initial=0)), 1e-300)
    return rough if rough < 1e-4 else 0.0
