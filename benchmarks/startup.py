"""Start-up: import, the first training step with a warm cache, and the first one ever.

Each is timed as a whole process, from ``python`` to its end.
"""

import os
import statistics
import subprocess
import sys
import tempfile
import time

from benchmarks.timing import table

STEP = """
import tinyconv as tc
net = tc.models.get_model({model!r})
optimizer = tc.optim.SGD(net.parameters(), lr=0.1, momentum=0.9)
x, y = tc.randn(64, 1, 28, 28), tc.randint(10, (64,))
loss = tc.nn.functional.cross_entropy(net(x), y)
loss.backward()
optimizer.step()
"""


def _seconds(code, cache):
    environment = {**os.environ, "TINYCONV_KERNEL_CACHE": cache, "TINYCONV_QUIET": "1"}
    began = time.perf_counter()
    subprocess.run([sys.executable, "-c", code], env=environment, check=True)
    return time.perf_counter() - began


def run(rounds=5):
    """Print seconds; returns rows as dicts."""
    results = []
    with tempfile.TemporaryDirectory() as cache:
        for model in ("lenet5", "inception_small"):
            code = STEP.format(model=model)
            cold = _seconds(code, os.path.join(cache, model))
            results.append(dict(what=f"first step ever, {model}", seconds=cold))
            times = [_seconds(code, os.path.join(cache, model)) for _ in range(rounds)]
            warm = statistics.median(times)
            results.append(dict(what=f"first step, warm cache, {model}", seconds=warm))
        for module in ("numpy", "tinyconv", "numba"):
            times = [_seconds(f"import {module}", cache) for _ in range(rounds)]
            results.append(dict(what=f"import {module}", seconds=statistics.median(times)))
    table(
        "start-up, whole process",
        ("what", "seconds"),
        [(r["what"], f"{r['seconds']:.2f}") for r in results],
    )
    return results
