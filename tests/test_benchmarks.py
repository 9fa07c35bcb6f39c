"""The benchmarks run, and check their results before they time them."""

import json
import subprocess
import sys
from pathlib import Path


def test_every_suite_runs(tmp_path):
    file = tmp_path / "results.json"
    done = subprocess.run(
        [sys.executable, "-m", "benchmarks", "conv", "step", "start", "gradcheck",
         "--rounds", "1", "--json", file],
        cwd=Path(__file__).parents[1], capture_output=True, text=True,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    results = json.loads(file.read_text())
    assert set(results) == {"conv", "step", "start", "gradcheck"}
    assert all(rows for rows in results.values())


def test_an_unknown_suite_is_named():
    done = subprocess.run(
        [sys.executable, "-m", "benchmarks", "conf"],
        cwd=Path(__file__).parents[1], capture_output=True, text=True,
    )  # fmt: skip
    assert done.returncode == 2
    assert "unknown suite 'conf'" in done.stderr
