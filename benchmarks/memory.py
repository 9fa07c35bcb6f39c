"""Peak memory of training steps: how far the process grows above its state before the network.

Each contestant has a process of its own, in which a step of two images comes first, so that code
and compiled kernels are loaded; then the high-water mark of the resident set is put back
(/proc/self/clear_refs; Linux only), the network is made, and three steps run.
"""

import contextlib
import ctypes
import gc
import importlib
import json
import os
import subprocess
import sys
import time

import numpy as np

import tinyconv as tc
from benchmarks.nets import NETS
from benchmarks.steps import FORMATS, Contestant
from benchmarks.timing import peer, ratio, table

#: images, depth, blocks that are recomputed together
_DEEP = (32, 1202, 20)
_DEEP_NAME = "ResNet-1202, recomputed"


def _status(field):
    with open("/proc/self/status") as file:
        return next(int(line.split()[1]) / 1024 for line in file if line.startswith(field))


def _mark():
    """The resident set now, in MiB, with the high-water mark put back to it."""
    gc.collect()
    with contextlib.suppress(AttributeError):  # the C library's own; not every one has it
        ctypes.CDLL(None).malloc_trim(0)
    with open("/proc/self/clear_refs", "w") as file:
        file.write("5")
    return _status("VmRSS")


def _contestant(cls, options, shape, framework_name, form):
    framework = tc if framework_name == "tinyconv" else importlib.import_module("torch")
    memory_format = None
    if framework is not tc:
        framework.set_num_threads(tc.get_num_threads())
        memory_format = {"contiguous": framework.contiguous_format,
                         "channels_last": framework.channels_last}[form]  # fmt: skip
    rng = np.random.default_rng(0)
    x, labels = rng.standard_normal(shape, np.float32), rng.integers(0, 10, shape[0])
    return Contestant(framework, cls, options, x, labels, memory_format)


def _measure(cls, options, shape, framework_name, form, together=0, steps=3):
    """In a process of its own: {'mebibytes', 'seconds' per step}."""
    small = dict(options, depth=8) if "depth" in options else options
    again = {"recompute": together} if together else {}
    losses = []
    for extra in ({}, again) if again else ({},):
        tc.manual_seed(0)
        runner = _contestant(cls, small | extra, (2, *shape[1:]), framework_name, form)
        losses.append([runner.train() for _ in range(2)])
    assert losses[0] == losses[-1], losses  # what is computed again is the same
    del runner
    before = _mark()
    runner = _contestant(cls, options | again, shape, framework_name, form)
    began = time.perf_counter()
    for _ in range(steps):
        loss = runner.train()
    assert np.isfinite(loss)
    seconds = (time.perf_counter() - began) / steps
    return dict(mebibytes=_status("VmHWM") - before, seconds=seconds)


def _apart(*args):
    """``_measure`` in a new process."""
    environment = {**os.environ, "TINYCONV_NUM_THREADS": str(tc.get_num_threads())}
    done = subprocess.run(
        [sys.executable, "-m", "benchmarks.memory", json.dumps(args)],
        env=environment, check=True, stdout=subprocess.PIPE, text=True,
    )  # fmt: skip
    return json.loads(done.stdout)


def run(rounds, wanted):
    """Print MiB; returns rows as dicts. The figures hardly vary, so there are no rounds."""
    if not os.path.exists("/proc/self/clear_refs"):
        print("\nmemory: this system does not tell a process its high-water mark")
        return []
    formats = FORMATS if peer() is not None else ()
    rows = []
    for name, net in NETS.items():
        if wanted(f"{name} memory"):
            ours = _apart(*net, "tinyconv", None)["mebibytes"]
            theirs = {form: _apart(*net, "torch", form)["mebibytes"] for form in formats}
            rows.append(dict(net=name, batch=net[2][0], mebibytes=ours, torch_mebibytes=theirs))
    if wanted(_DEEP_NAME):
        images, depth, together = _DEEP
        shape = (images, 3, 32, 32)
        deep = _apart("CifarResNet", {"depth": depth}, shape, "tinyconv", None, together, 2)
        rows.append(dict(net=_DEEP_NAME, batch=images, torch_mebibytes={}, **deep))
    _print(rows)
    return rows


def saving(row):
    """PyTorch's smaller peak over ours, or None."""
    theirs = min(row["torch_mebibytes"].values(), default=None)
    return None if theirs is None else theirs / row["mebibytes"]


def _print(rows):
    table(
        "peak memory of a training step, MiB; ratio above 1: ours is smaller",
        ("net", "batch", "MiB", *(f"torch {f}" for f in FORMATS), "ratio", "s / step"),
        [
            (r["net"], r["batch"], f"{r['mebibytes']:.0f}",
             *(f"{r['torch_mebibytes'][f]:.0f}" if r["torch_mebibytes"] else "-" for f in FORMATS),
             ratio(saving(r), 1), f"{r['seconds']:.1f}" if "seconds" in r else "")
            for r in rows
        ],
    )  # fmt: skip


if __name__ == "__main__":
    print(json.dumps(_measure(*json.loads(sys.argv[1]))))
