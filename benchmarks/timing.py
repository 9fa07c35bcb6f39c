"""Interleaved timing: machines are noisy, so contestants run in turn and medians count."""

import json
import statistics
import time

#: seconds after which the threads of the contestant before have gone to sleep: OpenMP's look for
#: work for some milliseconds after each call, on a processor that the next one needs
_REST = 0.012


def interleaved(functions, rounds=9, at_least=0.015):
    """Median seconds per call of each function, measured in turn: A B A B ...

    Before it is measured each contestant runs for ``at_least`` seconds, to wake its threads and
    find its processors; then it is called for about as long again, so that short calls are not
    lost in the clock.
    """
    times = [[] for _ in functions]
    for function in functions:
        function()
    for _ in range(rounds):
        for function, seen in zip(functions, times):
            time.sleep(_REST)
            count = 0
            end = time.perf_counter() + at_least
            while time.perf_counter() < end:
                function()
                count += 1
            began = time.perf_counter()
            for _ in range(count):
                function()
            seen.append((time.perf_counter() - began) / count)
    return [statistics.median(seen) for seen in times]


def table(title, header, rows):
    """Print rows under a header, columns as wide as they need."""
    cells = [list(map(str, row)) for row in [header, *rows]]
    widths = [max(map(len, column)) for column in zip(*cells)]
    print(f"\n{title}")
    for row in cells:
        print("  ".join(cell.rjust(width) for cell, width in zip(row, widths)))


def peer():
    """PyTorch with as many threads as tinyconv, or None where it is not installed."""
    try:
        import torch
    except ImportError:
        return None
    import tinyconv

    torch.set_num_threads(tinyconv.get_num_threads())
    return torch


def ratio(theirs, ours):
    """theirs / ours as text: above 1 we are faster."""
    return "-" if theirs is None else f"{theirs / ours:.2f}"


def geometric_mean(ratios):
    """The mean of ratios: faster by 2 and slower by 2 make 1."""
    return statistics.geometric_mean(ratios)


def only(texts):
    """A predicate for rows: whether a name holds one of ``texts`` (no texts: all do)."""
    return lambda name: not texts or any(text.lower() in name.lower() for text in texts)


def dump(results, path):
    """Write results as JSON into a file, figures to four digits, each row on a line of its own."""
    lists = []

    def short(value):
        if isinstance(value, float):
            return float(f"{value:.4g}")
        if isinstance(value, dict):
            return {k: short(v) for k, v in value.items()}
        if isinstance(value, (list, tuple)):
            if value and isinstance(value[0], dict):
                lists.append(",\n".join(json.dumps(short(row)) for row in value))
                return f"@{len(lists) - 1}@"
            return [short(v) for v in value]
        return value

    text = json.dumps(short(results), indent=1)
    for i, rows in enumerate(lists):
        text = text.replace(f'"@{i}@"', f"[\n{rows}\n]")
    path.write_text(text + "\n")
