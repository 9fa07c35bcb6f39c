"""What the README promises of ``make train``, run in full."""

import json
import subprocess
import sys


def test_the_default_run_reaches_98_5_percent(tmp_path):
    out = tmp_path / "run"
    done = subprocess.run(
        [sys.executable, "-m", "tinyconv", "train", "--seed", "0", "--out", out],
        capture_output=True, text=True,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    records = [json.loads(line) for line in (out / "log.jsonl").read_text().splitlines()]
    assert records[-1]["test_accuracy"] >= 0.985
    for name in ("config.json", "last.npz", "best.npz", "curves.png", "mistakes.png"):
        assert (out / name).stat().st_size > 0
