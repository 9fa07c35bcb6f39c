"""Gradient checkers on planted faults: how many each catches, and how often it cries wolf.

All run on the same NumPy functions (``tinyconv.testing.faults``) with their own defaults. An
exception counts as caught. With a single round every eighth case is looked at.
"""

import time
import warnings
from collections import Counter

import numpy as np

import tinyconv.nn.functional as F
from benchmarks.peers import PEERS, installed
from benchmarks.timing import interleaved, ratio, table
from tinyconv.testing import check, check_vjp
from tinyconv.testing.faults import FAULTS, HONEST, as_function


def ours(mode):
    """Our checker as a function from a case to (complaint or None, names of the cause).

    The fast mode sees no single elements, so it names no causes.
    """

    def run(case):
        if case.second is None:
            report = check_vjp(case.forward, case.backward, case.arrays(), mode=mode, seed=0)
        else:
            report = check(as_function(case), case.arrays(), mode=mode, seed=0)
        names = {report.cause} | {finding.kind for finding in report.findings}
        return (None if report.passed else report.verdict), None if mode == "fast" else names

    return run


def theirs(peer):
    """A peer, which raises or returns, in the same form; it names no causes."""

    def run(case):
        try:
            peer(case)
        except Exception as error:
            return f"{type(error).__name__}: {str(error).strip()[:200]}", None
        return None, None

    return run


def checkers():
    """Name -> checker, for those that are installed."""
    yield "tinyconv", ours("auto")
    yield "tinyconv fast", ours("fast")
    for name, peer in PEERS.items():
        if installed(name):
            yield name, theirs(peer)


def kind(fault):
    return fault.group if fault.group in ("effects", "second order") else "derivatives"


def measure(run, faults, honest):
    """What one checker says to all cases, as a dict."""
    caught, missed, flagged, misnamed = Counter(), [], {}, {}
    began = time.perf_counter()
    with warnings.catch_warnings(), np.errstate(all="ignore"):
        warnings.simplefilter("ignore")
        for fault in faults:
            complaint, names = run(fault)
            if complaint is None:
                missed.append(fault.name)
                continue
            caught[fault.group] += 1
            if names is not None and fault.cause not in names:
                misnamed[fault.name] = [fault.cause, *sorted(map(str, names))]
        for case in honest:
            complaint, _ = run(case)
            if complaint is not None:
                flagged[case.name] = complaint
    return dict(
        seconds=time.perf_counter() - began, caught=dict(caught), missed=missed, flagged=flagged,
        names_causes=names is not None, misnamed=misnamed,
    )  # fmt: skip


def run(rounds, wanted):
    """Print both tables; returns their rows as dicts."""
    found = [(name, run) for name, run in checkers() if wanted(f"gradcheck {name}")]
    if not found:
        return {}
    step = 8 if rounds == 1 else 1
    faults, honest = FAULTS[::step], HONEST[::step]
    results = [dict(checker=name, **measure(run, faults, honest)) for name, run in found]
    _print(results, faults, honest)
    return {"checkers": results, "conv2d": _time_conv2d(rounds)}


def _print(results, faults, honest):
    planted = Counter(map(kind, faults))
    group_kinds = {fault.group: kind(fault) for fault in faults}
    rows = []
    for r in results:
        caught = Counter()
        for group, count in r["caught"].items():
            caught[group_kinds[group]] += count
        named = sum(caught.values()) - len(r["misnamed"]) if r["names_causes"] else "-"
        rows.append(
            (r["checker"], *(caught[k] for k in planted), len(r["flagged"]), named,
             f"{r['seconds']:.1f}")
        )  # fmt: skip
    table(
        "gradient checkers: faults caught, false alarms",
        ("checker", *(f"{k} (of {n})" for k, n in planted.items()),
         f"false alarms (of {len(honest)})", f"cause named (of {len(faults)})", "s"),
        rows,
    )  # fmt: skip
    per_group = Counter(fault.group for fault in faults)
    table(
        "caught by family",
        ("family", "planted", *(r["checker"] for r in results)),
        [(g, n, *(r["caught"].get(g, 0) for r in results)) for g, n in per_group.items()],
    )


def _time_conv2d(rounds):
    """Every element of both Jacobians of one convolution, by us and by PyTorch's slow mode."""
    rng = np.random.default_rng(0)
    x, w = rng.standard_normal((2, 3, 7, 6)), rng.standard_normal((4, 3, 3, 2))
    contestants = {
        "tinyconv": lambda: check(F.conv2d, (x, w), order=1, mode="full"),
        "tinyconv, derivatives alone": lambda: check(
            F.conv2d, (x, w), order=1, mode="full", effects=False
        ),
    }
    if installed("PyTorch"):
        import torch

        inputs = [torch.from_numpy(a).requires_grad_() for a in (x, w)]
        contestants["PyTorch"] = lambda: torch.autograd.gradcheck(
            torch.nn.functional.conv2d, inputs
        )
    for name, call in contestants.items():
        result = call()
        assert getattr(result, "passed", result), name
    seconds = dict(zip(contestants, interleaved(list(contestants.values()), rounds)))
    theirs = seconds.get("PyTorch")
    table(
        "conv2d (2, 3, 7, 6) with (4, 3, 3, 2) in float64, every element; above 1 we are faster",
        ("checker", "ms", "ratio"),
        [(name, f"{s * 1e3:.0f}", ratio(theirs, s)) for name, s in seconds.items()],
    )
    return [dict(checker=name, milliseconds=s * 1e3) for name, s in seconds.items()]
