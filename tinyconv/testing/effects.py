"""What a derivative must keep besides its values: no side effects, linearity, determinism."""

from dataclasses import dataclass

import numpy as np

from tinyconv.autograd import Tensor
from tinyconv.kernels import get_num_threads, set_num_threads
from tinyconv.testing.oracles import roughness, signed, typical
from tinyconv.testing.subject import ArraySubject, TensorSubject
from tinyconv.testing.watch import Watch, same

#: findings after which the values say nothing; all others are faults of the derivative
INVALID = frozenset(["input mutated", "nondeterministic", "not differentiable", "not finite"])


#: functions of more inputs are not run with each of them alone
_MOST_INPUTS = 8


@dataclass(frozen=True)
class Finding:
    """Something that the function or its derivative does and must not."""

    kind: str
    text: str

    def __str__(self):
        return f"{self.kind}: {self.text}"


class Effects:
    """Runs a subject a few more times and looks at everything but the values.

    ``names`` are the looks that are taken, each a method; ``skip`` leaves some out.
    """

    names = (
        "dtypes", "mutation", "memory", "repeats", "recording", "zero", "linear", "undefined",
        "subsets", "layouts", "threads",
    )  # fmt: skip

    def __init__(self, subject, rng, nondet_tol=0.0):
        self.subject, self.rng, self.nondet_tol = subject, rng, nondet_tol
        self.findings, self.noises = [], None
        self.v = self._cotangents()
        self.watch = Watch()
        self.raw = None

    def run(self, skip=()):
        """All looks but those in ``skip``; returns the findings."""
        self._base()
        for name in self.names:
            if self.raw is not None and name not in skip and not self._stopped():
                getattr(self, f"_{name}")()
        return self.findings

    def _stopped(self):
        return any(f.kind in INVALID or f.kind in ("shape", "dtype") for f in self.findings)

    def _note(self, kind, text):
        finding = Finding(kind, text)
        if not any(f.kind == kind for f in self.findings):
            self.findings.append(finding)

    def _cotangents(self):
        return [signed(self.rng, y.shape, y.dtype) for y in self.subject.outputs]

    def _arrays(self):
        return [x.copy() for x in self.subject.x]

    # -- the looks ------------------------------------------------------------------------------
    def _base(self):
        subject = self.subject
        self.x, self.given = self._arrays(), [v.copy() for v in self.v]
        constants = [
            (i, a, a.array.copy() if isinstance(a, Tensor) else a.copy())
            for i, a in enumerate(subject.arguments)
            if i not in subject.wrt and isinstance(a, (np.ndarray, Tensor))
        ]
        with self.watch():
            y, self.pull = subject.linearise(self.x)
            self.raw_y, self.y = y, [a.copy() for a in y]
            after_forward = [a.copy() for a in self.x]
            try:
                self.raw = self.pull(self.given)
            except Exception as error:
                self._blame(error)
                return
        self.g = [g.copy() for g in self.raw]
        for name, x, kept, new in zip(subject.input_names, subject.x, after_forward, self.x):
            if not same(kept, x):
                self._note("input mutated", f"the forward run writes to {name}")
            elif not same(new, x):
                self._note("input mutated", f"the backward run writes to {name}")
        for i, a, old in constants:
            if not same(a.array if isinstance(a, Tensor) else a, old):
                self._note("input mutated", f"a run writes to argument {i}")
        for v, old in zip(self.given, self.v):
            if not same(v, old):
                self._note("cotangent mutated", "the backward run writes to the cotangent")

    def _blame(self, error):
        """A backward that raises: a wrong shape if the watch saw one, else the error itself."""
        for kind, text in self.watch.seen:
            if kind == "shape":
                self._note(kind, text)
                return
        self._note("raises", f"the backward run raises {type(error).__name__}: {error}")

    def _mutation(self):
        for kind, text in self.watch.seen:
            self._note(kind, text)

    def _memory(self):
        subject, names = self.subject, self.subject.input_names
        # a cotangent of 1 is what a loss begins with, and a shortcut that some take
        for gradients in (self.raw, self.pull([np.ones_like(v) for v in self.v])):
            for i, g in enumerate(gradients):
                held = [*zip(names, self.x), *zip(subject.output_names, self.raw_y)]
                for name, x in held:
                    if g.size and np.shares_memory(g, x):
                        self._note("aliased", f"the gradient of {names[i]} is the memory of {name}")
                for k in range(i):
                    # Tensors are values: an engine may pass one cotangent on to several inputs
                    alike = isinstance(subject, ArraySubject) and g.size
                    if alike and np.shares_memory(g, gradients[k]):
                        self._note("aliased", f"the gradients of {names[k]} and {names[i]} share "
                                   "memory")  # fmt: skip
        self._elsewhere()
        for name, g, kept in zip(names, self.raw, self.g):
            if not same(g, kept):
                self._note(
                    "buffer reused", f"a second backward run overwrites the gradient of {name}"
                )
        for name, y, kept in zip(subject.output_names, self.raw_y, self.y):
            if not same(y, kept) and not any(np.shares_memory(y, x) for x in self.x):
                self._note("buffer reused", f"a second forward run overwrites {name}")

    def _elsewhere(self):
        """A run forward and back at another point, if the function is defined there."""
        try:
            there = [x * (1 - 2.0**-6) for x in self._arrays()]
            self.subject.linearise(there)[1](self._cotangents())
        except Exception:
            return

    def _dtypes(self):
        for name, g, x in zip(self.subject.input_names, self.raw, self.subject.x):
            if g.shape != x.shape:
                self._note("shape", f"the gradient of {name} has shape {list(g.shape)}, "
                           f"{name} has {list(x.shape)}")  # fmt: skip
            elif g.dtype != x.dtype:
                self._note("dtype", f"the gradient of {name} is {g.dtype}, {name} is {x.dtype}")

    def _repeats(self):
        y, pull = self.subject.linearise(self._arrays())
        for a, b in zip(y, self.y):
            if not self._as_before(a, b):
                self._note("nondeterministic", f"two forward runs differ by {_most(a, b)}: does it "
                           "draw random numbers, or keep state from call to call?")  # fmt: skip
                return
        runs = [pull(self.v), pull(self.v), self.subject.vjp(self.v)]
        self._elsewhere()
        runs.append(pull(self.v))  # of the first forward run, not of the latest
        for g in runs:
            for a, b in zip(g, self.g):
                if not self._as_before(a, b):
                    self._note("nondeterministic", f"two backward runs differ by {_most(a, b)} for "
                               "the same cotangent: does it keep state from call to call, or add "
                               "in an order that changes?")  # fmt: skip
                    return

    def _as_before(self, a, b):
        if a.shape != b.shape:
            return False
        return same(a, b) or (self.nondet_tol > 0 and _most(a, b) <= self.nondet_tol)

    def _linear(self):
        """J^T is linear, whatever the cotangent's sign and size."""
        w = self._cotangents()
        other = [g.copy() for g in self.pull(w)]
        single = any(v.dtype == np.float32 for v in self.v)
        for factor in (-1.0, 2.0**20, 2.0**-20) if single else (-1.0, 2.0**40, 2.0**-40):
            scaled = [v * np.asarray(factor, v.dtype) for v in self.v]
            wanted = [g * factor for g in self.g]
            if self._bent(self.pull(scaled), wanted, self.g, factor):
                self._note("not linear", f"{factor:g} times the cotangent does not give {factor:g} "
                           "times the gradient")  # fmt: skip
                return
        both = self.pull([a + b for a, b in zip(self.v, w)])
        terms = [np.abs(a) + np.abs(b) for a, b in zip(self.g, other)]
        if self._bent(both, [a + b for a, b in zip(self.g, other)], terms, 1.0):
            self._note("not linear", "the gradient for the sum of two cotangents is not the sum of "
                       "their gradients")  # fmt: skip

    def _bent(self, found, wanted, terms, factor, inputs=None):
        """Whether gradients differ by more than rounding."""
        for k, a, b, t in zip(inputs or range(len(found)), found, wanted, terms):
            if a.shape != b.shape:
                return True
            t, eps = np.abs(t * factor), np.finfo(b.dtype).eps
            finite = np.isfinite(b)
            allowed = 1e6 * eps * t + 1e3 * eps * np.max(t, initial=0, where=np.isfinite(t))
            far = ~(np.abs(a - b) <= allowed) & finite
            if far.any() and not np.all(np.abs(a - b)[far] <= 100 * abs(factor) * self._noise(k)):
                return True
        return False

    def _noise(self, k):
        """How far input k's gradient moves when x and the cotangent move by their last digits.

        A gradient that is zero but for rounding (the softmax's of a sum, a bias's before batch
        norm) is another such number each time.
        """
        if self.noises is None:
            size = max((float(np.abs(y).max(initial=0.0)) for y in self.y), default=0.0)
            self.noises = [float(np.finfo(x.dtype).eps) * size / typical(x) for x in self.subject.x]
            for _ in range(4):
                x, v = ([self._beside(a) for a in arrays] for arrays in (self.subject.x, self.v))
                for i, (a, b) in enumerate(zip(self.subject.vjp(v, x), self.g)):
                    self.noises[i] = max(self.noises[i], float(np.nanmax(np.abs(a - b), initial=0)))
            rough = roughness(self.subject, self.rng)
            for i, g in enumerate(self.g):
                self.noises[i] += rough * float(np.abs(g[np.isfinite(g)]).max(initial=0))
        return self.noises[k]

    def _beside(self, a):
        two = 2 * np.finfo(a.dtype).eps
        return (a * (1 + self.rng.choice([-two, two], a.shape))).astype(a.dtype)

    def _zero(self):
        for name, a, g in zip(
            self.subject.input_names, self.pull([np.zeros_like(v) for v in self.v]), self.g
        ):
            if np.any((a != 0) & np.isfinite(g)):
                self._note("zero cotangent", f"a zero cotangent gives {name} the gradient "
                           f"{a[(a != 0) & np.isfinite(g)].flat[0]:g}")  # fmt: skip

    def _recording(self):
        """The function and its gradient are the same whether or not they are recorded."""
        subject = self.subject
        if not isinstance(subject, TensorSubject) or subject.order > 1:
            return
        plain, y = (
            [subject([x.copy() for x in subject.x])],
            [np.concatenate([a.ravel() for a in self.y])],
        )
        if self._bent(plain, y, y, 1.0):
            self._note("not linear", "the values are others when the function is recorded")
        try:
            found = subject.gradients(self._arrays(), self.v, create_graph=True)
        except RuntimeError:
            return  # once differentiable, and it says so
        if self._bent(found, self.g, self.g, 1.0):
            self._note("not linear", "the gradient is another one with create_graph=True")

    def _subsets(self):
        """The gradient of one input is the same when only that one needs it."""
        subject = self.subject
        if not isinstance(subject, TensorSubject) or subject.records:
            return  # one that differentiates inside needs them all
        if not 2 <= len(subject.x) <= _MOST_INPUTS:
            return
        for k, name in enumerate(subject.input_names):
            try:
                found = subject.gradients(self._arrays(), self.v, only=k)
            except Exception as error:
                self._note("raises", f"when {name} alone needs a gradient: "
                           f"{type(error).__name__}: {error}")  # fmt: skip
                return
            if found is not None and self._bent([found[k]], [self.g[k]], [self.g[k]], 1.0, [k]):
                self._note("not linear", f"the gradient of {name} is another one when no other "
                           "input needs one")  # fmt: skip

    def _undefined(self):
        """A cotangent that is not given counts as zero."""
        if len(self.v) < 2 or isinstance(self.subject, ArraySubject):
            return
        for i in range(len(self.v)):
            some = [v if k == i else None for k, v in enumerate(self.v)]
            zeros = [v if k == i else np.zeros_like(v) for k, v in enumerate(self.v)]
            try:
                found = self.subject.vjp(some)
            except Exception as error:
                self._note("raises", f"with output {i} alone used, the backward run raises "
                           f"{type(error).__name__}: {error}")  # fmt: skip
                return
            if self._bent(found, self.pull(zeros), self.g, 1.0):
                self._note("zero cotangent", "an output that nobody uses changes the gradient")

    def _layouts(self):
        for how, lay in LAYOUTS.items():
            try:
                arrays = [lay(x) for x in self.subject.x]
                y, pull = self.subject.linearise(arrays)
                g = pull([lay(v) for v in self.v])
            except Exception as error:
                self._note("layout", f"with {how} memory it raises {type(error).__name__}: {error}")
                return
            for found, wanted, what in ((y, self.y, "outputs"), (g, self.g, "gradients")):
                if self._bent(found, wanted, wanted, 1.0):
                    self._note("layout", f"the {what} are others when inputs and cotangents lie in "
                               f"{how} memory")  # fmt: skip
        # one number for everything, and one for each row
        for kept in (0, 1):
            self._broadcast([v[(*[slice(None)] * (v.ndim - 1), slice(0, 1))] if kept and v.ndim
                             else np.ones((1,) * v.ndim, v.dtype) for v in self.v])  # fmt: skip

    def _broadcast(self, small):
        broadcast = [np.broadcast_to(a, v.shape) if a.size else v for a, v in zip(small, self.v)]
        try:
            same_values = self.pull([a.copy() for a in broadcast])
            if self._bent(self.pull(broadcast), same_values, self.g, 1.0):
                self._note("layout", "the gradients are others for a cotangent that is broadcast")
        except Exception as error:
            self._note("layout", "for a cotangent that is broadcast the backward run raises "
                       f"{type(error).__name__}: {error}")  # fmt: skip

    def _threads(self):
        before = get_num_threads()
        try:
            for number in {1, 2, 3} - {before}:
                set_num_threads(number)
                y, pull = self.subject.linearise(self._arrays())
                if not all(map(same, [*y, *pull(self.v)], [*self.y, *self.g])):
                    self._note("threads", f"other results with {number} threads than with {before}")
        finally:
            set_num_threads(before)


def transposed(a):
    """The same values with the axes in reverse order of memory."""
    return np.array(a.T, order="C").T


def reversed_(a):
    """The same values, lying backward in memory along every axis."""
    backward = (slice(None, None, -1),) * a.ndim
    return np.array(a[backward], order="C")[backward]


def cropped(a):
    """The same values as a crop of a larger array: rows lie apart."""
    if not a.ndim:
        return a
    larger = np.zeros([n + 2 for n in a.shape], a.dtype)
    crop = larger[tuple(slice(1, n + 1) for n in a.shape)]
    crop[...] = a
    return crop


def stepped(a):
    """The same values, every second number in memory."""
    return np.repeat(a[..., None], 2, -1)[..., 0] if a.ndim else a


#: memory layouts that inputs and cotangents are given in
LAYOUTS = {
    "transposed": transposed,
    "reversed": reversed_,
    "cropped": cropped,
    "stepped": stepped,
}


def _most(a, b):
    if a.shape != b.shape:
        return f"shape ({list(b.shape)} and {list(a.shape)})"
    with np.errstate(all="ignore"):
        return float(np.nanmax(np.abs(a - b), initial=0.0))
