"""Start-up: imports, the first training step with a warm cache, and what is compiled once.

Each is timed as a whole process, from ``python`` to its end.
"""

import importlib.util
import os
import statistics
import subprocess
import sys
import tempfile
import time

from benchmarks.timing import table

_STEP = """
import tinyconv as tc
net = tc.models.get_model({model!r})
optimizer = tc.optim.SGD(net.parameters(), lr=0.1, momentum=0.9)
x, y = tc.randn(64, 1, 28, 28), tc.randint(10, (64,))
loss = tc.nn.functional.cross_entropy(net(x), y)
loss.backward()
optimizer.step()
"""
_LENET, _INCEPTION = (_STEP.format(model=model) for model in ("lenet5", "inception_small"))
_WARMUP = "from tinyconv.cli import main; main(['warmup'])"

#: (row, the script, whether the cache of compiled kernels is there already)
ROWS = [
    ("import numpy", "import numpy", True),
    ("import tinyconv", "import tinyconv", True),
    ("import torch", "import torch", True),
    ("LeNet-5 first step, warm cache", _LENET, True),
    ("Inception small first step, warm cache", _INCEPTION, True),
    ("LeNet-5 first step ever", _LENET, False),
    ("Inception small first step ever", _INCEPTION, False),
    ("warmup: all kernels compiled", _WARMUP, False),
]


def _seconds(script, cache):
    environment = {**os.environ, "TINYCONV_KERNEL_CACHE": cache, "TINYCONV_QUIET": "1"}
    began = time.perf_counter()
    subprocess.run(
        [sys.executable, "-c", script], env=environment, check=True, stdout=subprocess.DEVNULL
    )
    return time.perf_counter() - began


def run(rounds, wanted):
    """Print seconds; returns rows as dicts."""
    rows = [row for row in ROWS if wanted(f"start {row[0]}")]
    if importlib.util.find_spec("torch") is None:
        rows = [row for row in rows if "torch" not in row[0]]
    seconds = {}
    with tempfile.TemporaryDirectory() as folder:
        for i, (what, script, warm) in enumerate(rows):
            if not warm:
                seconds[what] = _seconds(script, os.path.join(folder, str(i)))
        warm = [(what, script) for what, script, is_warm in rows if is_warm]
        times = {what: [] for what, _ in warm}
        for _, script in warm:  # fills the cache, and the system's of files
            _seconds(script, folder)
        for _ in range(rounds):
            for what, script in warm:
                times[what].append(_seconds(script, folder))
        seconds.update((what, statistics.median(seen)) for what, seen in times.items())
    results = [dict(what=row[0], seconds=seconds[row[0]]) for row in rows]
    table(
        "start-up, whole process",
        ("what", "seconds"),
        [(r["what"], f"{r['seconds']:.3f}") for r in results],
    )
    if {"import numpy", "import tinyconv"} <= set(seconds):
        over = seconds["import tinyconv"] - seconds["import numpy"]
        print(f"import tinyconv over NumPy's: {over:.3f} s")
    return results
