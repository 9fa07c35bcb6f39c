"""Ctrl-C and SIGKILL for real: another process, on the bundled digits."""

import json
import os
import signal
import subprocess
import sys
import time

import numpy as np
import pytest

from tinyconv.train import load_checkpoint

TRAIN = [sys.executable, "-m", "tinyconv", "train"]
SETTINGS = [
    "--model", "lenet5", "--epochs", "3", "--batch-size", "100", "--seed", "3",
    "--save-seconds", "0.05",
]  # fmt: skip


def begin(*words):
    return subprocess.Popen(
        [*TRAIN, *words], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
        env={**os.environ, "TINYCONV_QUIET": "1"},
    )  # fmt: skip


def wait_until_within(process, folder, epoch):
    """Until a checkpoint of the middle of an epoch was written."""
    deadline = time.monotonic() + 120
    while process.poll() is None and time.monotonic() < deadline:
        if (folder / "last.npz").exists():
            at = load_checkpoint(folder / "last.npz")["position"]
            if at["epoch"] >= epoch and at["batch"] > 0:
                return
        time.sleep(0.01)
    pytest.fail(f"never got there: {process.communicate()}")


def outcome(folder):
    state = load_checkpoint(folder / "last.npz")
    log = [json.loads(line) for line in (folder / "log.jsonl").read_text().splitlines()]
    times = ("seconds", "test_seconds", "compile_seconds")
    return state["weights"], [{k: v for k, v in r.items() if k not in times} for r in log]


@pytest.fixture(scope="module")
def whole(tmp_path_factory):
    folder = tmp_path_factory.mktemp("runs") / "whole"
    process = begin(*SETTINGS, "--out", str(folder))
    out, err = process.communicate(timeout=300)
    assert process.returncode == 0, err
    assert "best held-out accuracy" in out and "compiling kernels took" in out
    return outcome(folder)


def assert_equal_outcome(whole, folder):
    weights, log = outcome(folder)
    for name in whole[0]:
        np.testing.assert_array_equal(whole[0][name], weights[name], err_msg=name)
    assert whole[1] == log and len(log) == 3


def test_ctrl_c_then_kill_then_to_the_end(whole, tmp_path):
    folder = tmp_path / "part"
    process = begin(*SETTINGS, "--out", str(folder))
    wait_until_within(process, folder, 0)
    process.send_signal(signal.SIGINT)
    out, err = process.communicate(timeout=100)
    assert process.returncode == 130, err
    assert "finishing this step" in err and "Traceback" not in err
    assert f"Go on with: tinyconv train --resume {folder}" in out

    process = begin("--resume", str(folder))
    wait_until_within(process, folder, 1)
    other = begin("--resume", str(folder))
    _, err = other.communicate(timeout=100)
    assert other.returncode == 2 and "another run is writing there" in err
    process.kill()
    process.communicate()

    process = begin("--resume", str(folder), "--threads", "1")
    _, err = process.communicate(timeout=300)
    assert process.returncode == 0, err
    assert_equal_outcome(whole, folder)


def test_sigterm_saves_too(tmp_path):
    folder = tmp_path / "part"
    process = begin(*SETTINGS, "--out", str(folder))
    wait_until_within(process, folder, 0)
    process.terminate()
    out, err = process.communicate(timeout=100)
    assert process.returncode == 130, err
    assert f"Go on with: tinyconv train --resume {folder}" in out


def test_ctrl_c_while_the_pictures_are_drawn(tmp_path):
    script = (
        "import signal, sys; from tinyconv import cli, viz\n"
        "viz.curves = lambda *_: signal.raise_signal(signal.SIGINT)\n"
        "sys.exit(cli.main(sys.argv[1:]))"
    )
    folder = tmp_path / "a"
    done = subprocess.run(
        [sys.executable, "-c", script, "train", "--model", "lenet5", "--out", str(folder),
         "--epochs", "1", "--batch-size", "500"],
        capture_output=True, text=True, timeout=100,
    )  # fmt: skip
    assert done.returncode == 130 and "Traceback" not in done.stderr
    assert "training is complete and saved; the pictures are drawn by: " in done.stdout
    assert f"tinyconv train --resume {folder}" in done.stdout
    assert not (folder / "curves.png").exists()
    out, err = begin("--resume", str(folder)).communicate(timeout=100)
    assert "this run is finished" in out and "goes on" not in out, err
    assert (folder / "curves.png").exists() and (folder / "mistakes.png").exists()


def test_second_ctrl_c_aborts(tmp_path):
    script = (
        "import signal, sys; from tinyconv.cli import main; from tinyconv.train import loop\n"
        "step = loop.Trainer._step\n"
        "def twice(self, x, y):\n"
        "    step(self, x, y)\n"
        "    if self.at.batch == 3:\n"
        "        signal.raise_signal(signal.SIGINT); signal.raise_signal(signal.SIGINT)\n"
        "loop.Trainer._step = twice\n"
        "sys.exit(main(sys.argv[1:]))"
    )
    done = subprocess.run(
        [sys.executable, "-c", script, "train", "--model", "lenet5", "--out", str(tmp_path / "a")],
        capture_output=True, text=True, timeout=100,
    )  # fmt: skip
    assert done.returncode == 130
    assert "tinyconv: aborted" in done.stderr and "Traceback" not in done.stderr
    assert load_checkpoint(tmp_path / "a" / "last.npz")["position"]["batch"] == 0
