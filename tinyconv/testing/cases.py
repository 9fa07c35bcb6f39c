"""Case: one function with inputs, ready to be checked. Values: an array as a recipe.

Both print as the text that makes them again, so what a failing test shows can be pasted.
No Hypothesis here: strategies, planted faults and benchmarks all build on this file.
"""

import ast
import functools
import itertools
import linecache
from collections.abc import Callable
from dataclasses import dataclass, fields

import numpy as np

_numbers = itertools.count()

LAYOUTS = ("C", "transposed", "reversed", "step")
USUAL = ("passed", "vacuous")
KINDS = ("ramp", "integers", "uniform", "kinks", "mixed")

#: what the text of a case may use; it is run as a user's script would be
PREAMBLE = """\
import numpy as np
import tinyconv as tc
import tinyconv.nn as nn
import tinyconv.nn.functional as F
"""


def laid_out(array, layout):
    """The same values in another memory layout.

    >>> laid_out(np.eye(2), "reversed").strides
    (-16, 8)
    """
    if array.ndim == 0 or layout == "C":
        return array
    if layout == "transposed":
        return np.ascontiguousarray(array.T).T
    if layout == "reversed":
        return np.ascontiguousarray(array[::-1])[::-1]
    if layout == "step":
        return np.repeat(array, 2, axis=-1)[..., ::2]
    raise ValueError(f"laid_out: layout={layout!r}; wants one of {', '.join(LAYOUTS)}")


@dataclass(frozen=True)
class Values:
    """The recipe of an array: a few words in place of its numbers.

    Args:
        shape: of the array.
        kind: 'ramp' (small whole numbers in order), 'integers' (small whole numbers at random:
            ties and zeros), 'uniform', 'kinks' (half of them on ``kinks`` or 1e-9 beside them) or
            'mixed' (magnitudes over six decades).
        seed: of the random kinds.
        low, high: bounds; ``distinct`` arrays may need more room.
        kinks: points where the function under test may bend.
        away: the least distance from every kink.
        distinct: no two elements equal.
        scale: factor for all of them.
        layout: 'C', 'transposed', 'reversed' (negative stride) or 'step' (every second element).

    >>> Values((2, 3)).array()
    array([[-3., -2., -1.],
           [ 0.,  1.,  2.]])
    >>> Values((2, 2), "uniform", seed=5)
    Values((2, 2), 'uniform', seed=5)
    """

    shape: tuple
    kind: str = "ramp"
    seed: int = 0
    low: float = -3.0
    high: float = 3.0
    kinks: tuple = (0.0,)
    away: float = 0.0
    distinct: bool = False
    scale: float = 1.0
    layout: str = "C"
    dtype: str = "float64"

    def array(self):
        """The array."""
        rng = np.random.default_rng(self.seed)
        values = self._distinct(rng) if self.distinct else getattr(self, f"_{self.kind}")(rng)
        values = self._pushed(values) * self.scale
        return laid_out(values.reshape(self.shape).astype(self.dtype), self.layout)

    @property
    def size(self):
        return int(np.prod(self.shape))

    def _whole(self):
        """The small whole numbers inside the bounds, or five points if there is but one."""
        first = max(np.ceil(self.low), min(-3, np.floor(self.high)))
        whole = np.arange(first, min(np.floor(self.high), 4) + 1)
        return whole if whole.size > 1 else np.linspace(self.low, self.high, 5)

    def _ramp(self, rng):
        return np.resize(self._whole(), self.size)

    def _integers(self, rng):
        return rng.choice(self._whole(), self.size)

    def _uniform(self, rng):
        return rng.uniform(self.low, self.high, self.size)

    def _kinks(self, rng):
        near = rng.choice(self.kinks, self.size) + rng.choice([0, 0, 1e-9, -1e-9], self.size)
        near = np.clip(near, self.low, self.high)
        return np.where(rng.random(self.size) < 0.5, near, self._uniform(rng))

    def _mixed(self, rng):
        largest = max(-self.low, self.high)
        smallest = max(self.low, largest * 1e-6)
        values = np.exp(rng.uniform(np.log(smallest), np.log(largest), self.size))
        if self.low < 0:
            values *= rng.choice([-1, 1], self.size)
        return np.clip(values, self.low, self.high)

    def _distinct(self, rng):
        """Spread over the bounds, at least ``away`` from each other."""
        ranks = np.arange(self.size) - self.size // 2
        if self.kind in ("ramp", "integers"):
            return (ranks if self.kind == "ramp" else rng.permutation(ranks)) * 1.0
        step = max((self.high - self.low) / max(self.size, 1), 2 * self.away)
        steps = rng.permutation(ranks) + rng.uniform(0.25, 0.75, self.size)
        return (self.low + self.high) / 2 + steps * step

    def _pushed(self, values):
        """Values nearer than ``away`` to a kink go that much further from it."""
        for kink in self.kinks if self.away else ():
            gap = values - kink
            further = values + np.where(gap < 0, -self.away, self.away)
            values = np.where(np.abs(gap) < self.away, further, values)
        return values

    def __repr__(self):
        parts = [repr(self.shape)]
        for field in fields(self)[1:]:
            value = getattr(self, field.name)
            if value != field.default:
                parts.append(repr(value) if field.name == "kind" else f"{field.name}={value!r}")
        return f"Values({', '.join(parts)})"


@dataclass(frozen=True, eq=False, repr=False)
class Case:
    """A function of Tensors with its inputs: ``check(case.func, case.inputs, order=case.order)``.

    Args:
        func: maps Tensors to a Tensor or a tuple of them.
        inputs: arrays; those of floats are differentiated.
        label: what to call it in a report.
        order, oracle: as in ``check``.
        expect: the verdicts that are right; also "vacuous" by default, for where zeros meet
            zeros, as x y does at x = y = 0, there is nothing to see.
        source: the text of the function, where it was made of one (``Case.of``).

    >>> case = Case.of('tc.relu(x) * 2', x=Values((2, 3), "uniform"))
    >>> case
    Case.of('tc.relu(x) * 2', x=Values((2, 3), 'uniform'))
    >>> import tinyconv as tc
    >>> case.func(tc.tensor([-1.0, 3.0]))
    tensor([0., 6.])
    """

    func: Callable
    inputs: tuple
    label: str = ""
    order: int = 2
    oracle: str = "auto"
    expect: frozenset = frozenset(USUAL)
    source: str = ""

    @classmethod
    def of(cls, source, /, *, order=2, oracle="auto", expect=USUAL, **inputs):
        """The case of a function given as text.

        ``source``: statements, the last of them the result. It sees ``np``, ``tc``, ``nn``,
        ``F`` and the inputs by name. ``inputs``: Values, or anything that makes an array.
        """
        source = source.strip()
        arrays = [v.array() if isinstance(v, Values) else np.asarray(v) for v in inputs.values()]
        options = "".join(
            f", {name}={value!r}"
            for name, value, usual in [
                ("order", order, 2),
                ("oracle", oracle, "auto"),
                ("expect", tuple(sorted(expect)), USUAL),
            ]
            if value != usual
        )
        given = "".join(f", {name}={_text(value)}" for name, value in inputs.items())
        text = f'"""\\\n{source}\n"""' if "\n" in source else repr(source)
        return cls(
            _function(source, tuple(inputs)), tuple(arrays), f"Case.of({text}{given}{options})",
            order, oracle, frozenset(expect), source,
        )  # fmt: skip

    def __repr__(self):
        return self.label or f"Case({self.func!r}, {self.inputs!r})"

    def _repr_pretty_(self, printer, cycle):
        printer.text(repr(self))  # for IPython and Hypothesis, which would list the fields


def _text(value):
    if isinstance(value, Values):
        return repr(value)
    array = np.asarray(value)
    dtype = "" if array.dtype in (np.float64, np.int64, np.bool_) else f", np.{array.dtype}"
    if not array.size:
        return f"np.zeros({array.shape}, np.{array.dtype})"
    return f"np.array({array.tolist()}{dtype})"


@functools.cache
def _function(source, names):
    """The function of ``names`` that ``source`` is the body of."""
    lines = source.splitlines()
    result = ast.parse(source).body[-1]
    if not isinstance(result, ast.Expr):
        raise ValueError(f"Case.of: the last statement of {source!r} is no result")
    lines[result.lineno - 1] = "return " + lines[result.lineno - 1]
    text = "\n    ".join([f"def case({', '.join(names)}):", *lines]) + "\n"
    # known to linecache, so that tracebacks and reports can show the line
    file = f"<case {next(_numbers)}>"
    linecache.cache[file] = len(text), None, text.splitlines(True), file
    namespace = _namespace().copy()
    exec(compile(text, file, "exec"), namespace)
    return namespace["case"]


@functools.cache
def _namespace():
    namespace: dict = {}
    exec(PREAMBLE, namespace)
    return namespace
