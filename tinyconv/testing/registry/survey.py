"""Many draws of every op, counted: how often is a right derivative called wrong?"""

import time
from collections import Counter
from dataclasses import dataclass, field

from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import seed as seeded

from tinyconv.testing import check
from tinyconv.testing.registry.table import OPS


@dataclass
class Survey:
    """Verdicts of many draws: per op, and the cases that got one they should not."""

    verdicts: dict = field(default_factory=dict)
    seconds: dict = field(default_factory=dict)
    alarms: list = field(default_factory=list)

    @property
    def draws(self):
        return sum(sum(counts.values()) for counts in self.verdicts.values())

    def __str__(self):
        lines = [
            f"{name:<32} {_counted(counts):<40} {self.seconds[name]:6.1f} s"
            for name, counts in self.verdicts.items()
        ]
        total = sum(self.verdicts.values(), Counter())
        lines.append(f"{self.draws} draws of {len(self.verdicts)} ops: {_counted(total)}")
        lines.append(f"{len(self.alarms)} false alarms")
        lines += [f"{name}: {verdict}: {case}" for name, verdict, case in self.alarms]
        return "\n".join(lines)


def _counted(counts):
    return ", ".join(f"{n} {verdict}" for verdict, n in sorted(counts.items()))


def survey(draws=1000, seed=0, names=None, report=None):
    """Check ``draws`` cases spread evenly over all ops (or ``names``).

    Args:
        draws: how many in all; every op gets at least one.
        seed: the same seed draws the same cases.
        report: called with a line after each op (``print``).

    Returns:
        Survey: verdicts by op, seconds, and the false alarms with the text of their cases.
    """
    result = Survey()
    names = list(OPS) if names is None else list(names)
    for i, name in enumerate(names):
        count = max(1, draws * (i + 1) // len(names) - draws * i // len(names))
        start = time.perf_counter()
        verdicts = result.verdicts[name] = Counter()
        for case in draws_of(OPS[name], count, seed):
            verdict = check(
                case.func, case.inputs, order=case.order, oracle=case.oracle, seed=seed
            ).verdict
            verdicts[verdict] += 1
            if verdict not in case.expect:
                result.alarms.append((name, verdict, case))
        result.seconds[name] = time.perf_counter() - start
        if report is not None:
            report(f"{name:<32} {_counted(verdicts):<40} {result.seconds[name]:6.1f} s")
    return result


def draws_of(op, count, seed=0):
    """``count`` cases of an op, spread evenly over its variants."""
    variants = op.variants[:count]
    ends = [count * i // len(variants) for i in range(len(variants) + 1)]
    return [
        case
        for i, variant in enumerate(variants)
        for case in drawn(variant, ends[i + 1] - ends[i], f"{op.name} {i} {seed}")
    ]


def drawn(strategy, count, seed=0):
    """``count`` values of a strategy, the same for the same ``seed`` (a number or a text).

    >>> from hypothesis import strategies as st
    >>> len(drawn(st.integers(), 5))
    5
    """
    values = []

    @seeded(seed)
    @settings(
        max_examples=count, database=None, phases=[Phase.generate], deadline=None,
        derandomize=False, suppress_health_check=list(HealthCheck),
    )  # fmt: skip
    @given(strategy)
    def collect(value):
        values.append(value)

    collect()
    return values
