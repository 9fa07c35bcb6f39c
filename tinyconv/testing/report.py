"""What a check found: as an object, as text, as dict and JSON."""

import json
from dataclasses import dataclass, field
from typing import NamedTuple

import numpy as np

#: verdicts of pairs and reports, from good to bad; "zero" is a pair whose derivative vanishes
VERDICTS = ("passed", "zero", "vacuous", "unresolved", "invalid", "wrong")
_MEANING = {
    "passed": "every derivative agrees with its oracle",
    "vacuous": "no derivative rises above rounding: nothing was really checked. Do not sum the "
    "outputs, and choose inputs where the function changes",
    "unresolved": "less than half of the elements could be checked",
    "invalid": "the function cannot be judged by its values",
    "wrong": "the derivative is wrong",
}


class Element(NamedTuple):
    """One number of a Jacobian: d(output[at])/d(input[of])."""

    at: tuple
    of: tuple
    analytic: float
    numeric: float
    bar: float
    #: the error in units of the last place of the numeric value
    ulps: float


@dataclass
class Pair:
    """One output against one input, at one order of derivative."""

    order: int
    output: str
    input: str
    output_shape: tuple
    input_shape: tuple
    oracle: str
    #: "full": every element was compared; "fast": random directions
    mode: str
    elements: int = 0
    checked: int = 0
    kinks: int = 0
    skipped: int = 0
    wrong: int = 0
    #: those checked that are not zero, or at kinks
    mass: int = 0
    verdict: str = "passed"
    #: the largest error over what is allowed; at most 1 where the pair passed
    error: float = 0.0
    worst: list = field(default_factory=list)
    where: str = ""
    cause: object = None
    #: (m, n) arrays, in full mode only: m elements of the output, n of the input
    analytic: object = None
    numeric: object = None
    bar: object = None
    #: ... and masks of the same shape: wrong, at a kink, out of sight
    off: object = None
    kink: object = None
    lost: object = None

    @property
    def least(self):
        """Elements of the shorter side: as many as a diagonal has."""
        return int(min(np.prod(self.output_shape), np.prod(self.input_shape)))

    @property
    def name(self):
        return f"d({self.output})/d({self.input})"

    def forgive(self):
        """Count nothing as wrong after all."""
        self.wrong, self.verdict, self.cause, self.where, self.error = 0, "passed", None, "", 0.0
        self.off = None if self.off is None else np.zeros_like(self.off)

    def to_dict(self):
        """Plain numbers and texts; the arrays stay behind."""
        plain = {
            name: getattr(self, name)
            for name in "order output input oracle mode elements checked kinks skipped wrong "
            "verdict error where".split()
        }
        return {
            **plain,
            "output_shape": list(self.output_shape),
            "input_shape": list(self.input_shape),
            "cause": self.cause and {"name": self.cause.name, "text": self.cause.text},
            "worst": [dict(e._asdict(), at=list(e.at), of=list(e.of)) for e in self.worst],
        }

    def lines(self):
        counts = f"{self.checked} of {self.elements} checked"
        if self.mode == "fast":
            counts = f"{self.elements} elements by random directions"
        if self.kinks:
            counts += f", {self.kinks} at kinks"
        if self.skipped:
            counts += f", {self.skipped} skipped"
        if self.wrong:
            counts += f", {self.wrong} wrong"
        shapes = f"{list(self.output_shape)} by {list(self.input_shape)}"
        order = "" if self.order == 1 else f" (order {self.order})"
        yield f"{self.verdict:>10}  {self.name}{order}, {shapes}: {counts} [{self.oracle}]"
        if self.cause:
            yield f"            cause: {self.cause.name}: {self.cause.text}"
        if self.where:
            yield f"            where: {self.where}"
        if self.verdict != "wrong":
            return
        if self.worst:
            yield f"            {'output':>14} {'input':>14} {'analytic':>15} {'numeric':>15} " \
                  f"{'+-':>8} {'ulps':>8}"  # fmt: skip
        for e in self.worst:
            yield (
                f"            {str(list(e.at)):>14} {str(list(e.of)):>14} {e.analytic:>15.8g} "
                f"{e.numeric:>15.8g} {e.bar:>8.1e} {e.ulps:>8.1e}"
            )


@dataclass
class Report:
    """The result of a check; ``str()`` of it is for people, ``to_dict()`` for programs.

    Attributes:
        verdict: "passed", "vacuous", "unresolved", "invalid" or "wrong".
        pairs: one Pair per output, input and order.
        findings: what else was noticed (side effects, broken rules).
        notes: what the reader should know, but that changes no verdict.
        seed: makes the same check again.
        evaluations, pulls: forward and backward runs that were made.
    """

    subject: str
    seed: int
    mode: str = "full"
    pairs: list = field(default_factory=list)
    findings: list = field(default_factory=list)
    notes: list = field(default_factory=list)
    verdict: str = "passed"
    evaluations: int = 0
    pulls: int = 0
    seconds: float = 0.0
    #: a ``reproduce.Source``: Python that makes the same check again
    source: object = None

    @property
    def passed(self):
        return self.verdict == "passed"

    __bool__ = passed.fget  # type: ignore[attr-defined]

    @property
    def cause(self):
        """The likeliest cause of what is wrong: a kind of finding, or a name from ``causes``."""
        causes = sorted(
            (pair.cause for pair in self.pairs if pair.cause is not None),
            key=lambda cause: -cause.confidence,
        )
        kinds = [f.kind for f in self.findings]
        if causes and (
            not kinds or (set(kinds) == {"not linear"} and causes[0].name == "precision")
        ):
            return causes[0].name  # rounding in float32 is not linear either
        return kinds[0] if kinds else None

    @property
    def error(self):
        """The largest error over what is allowed, over all pairs."""
        return max((p.error for p in self.pairs), default=0.0)

    def __str__(self):
        lines = [f"gradient check of {self.subject}: {self.verdict} ({_MEANING[self.verdict]})"]
        lines += [f"   finding  {finding}" for finding in self.findings]
        for pair in sorted(self.pairs, key=lambda p: -VERDICTS.index(p.verdict)):
            lines += pair.lines()
        lines += [f"      note  {note}" for note in self.notes]
        lines.append(
            f"   {self.evaluations} forward and {self.pulls} backward runs, "
            f"{self.seconds:.2f} s, seed {self.seed}"
        )
        if self.source and not self.passed:
            lines += ["to reproduce:", *("    " + s for s in self.reproducer().splitlines())]
        return "\n".join(lines)

    def reproducer(self):
        """Python to paste that makes the same check again, with its inputs and seed."""
        return str(self.source) if self.source else ""

    def to_dict(self):
        """All but the arrays, in types that JSON has."""
        return _plain(
            {
                "subject": self.subject,
                "verdict": self.verdict,
                "passed": self.passed,
                "cause": self.cause,
                "findings": [{"kind": f.kind, "text": f.text} for f in self.findings],
                "pairs": [pair.to_dict() for pair in self.pairs],
                "notes": self.notes,
                "mode": self.mode,
                "seed": self.seed,
                "evaluations": self.evaluations,
                "pulls": self.pulls,
                "seconds": self.seconds,
                "reproducer": self.reproducer(),
            }
        )

    def to_json(self, **options):
        """``to_dict()`` as JSON; NaN and infinities become texts, which JSON lacks."""
        return json.dumps(self.to_dict(), **{"indent": 1, "allow_nan": False, **options})


def _plain(value):
    if isinstance(value, dict):
        return {k: _plain(v) for k, v in value.items()}
    if isinstance(value, (list, tuple)):
        return [_plain(v) for v in value]
    if isinstance(value, np.generic):
        value = value.item()
    if isinstance(value, float) and not np.isfinite(value):
        return str(value)
    return value
