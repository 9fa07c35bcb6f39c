"""Every example runs to its end in its tiny mode."""

import subprocess
import sys
from pathlib import Path

import pytest

EXAMPLES = sorted((Path(__file__).parents[1] / "examples").glob("*.py"))


@pytest.mark.parametrize("path", EXAMPLES, ids=lambda p: p.stem)
def test_example_runs(path):
    done = subprocess.run([sys.executable, path, "--tiny"], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert done.stdout
