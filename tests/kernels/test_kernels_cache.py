"""Compiled kernels are kept, for any folder and any number of processes."""

import os
import subprocess
import sys

import pytest

CODE = "import tinyconv as tc; print(tc.relu(tc.tensor([-1.0, 2.0])).tolist())"


def start(cache):
    environment = {**os.environ, "TINYCONV_KERNEL_CACHE": str(cache)}
    environment.pop("TINYCONV_QUIET", None)
    return subprocess.Popen(
        [sys.executable, "-c", CODE], env=environment, text=True,
        stdout=subprocess.PIPE, stderr=subprocess.PIPE,
    )  # fmt: skip


def run(cache):
    process = start(cache)
    out, err = process.communicate()
    assert process.returncode == 0, err
    assert out == "[0.0, 2.0]\n"
    return err


def test_the_first_start_says_what_it_waits_for_and_the_second_has_nothing_to_say(tmp_path):
    assert "compiling kernels" in run(tmp_path)
    assert run(tmp_path) == ""


def test_a_folder_that_cannot_be_written_costs_the_cache_only(tmp_path):
    (tmp_path / "file").write_text("")
    assert "cache folder not writable" in run(tmp_path / "file" / "below")


def test_several_processes_may_start_on_an_empty_cache(tmp_path):
    processes = [start(tmp_path) for _ in range(3)]
    for process in processes:
        out, err = process.communicate()
        assert (process.returncode, out) == (0, "[0.0, 2.0]\n"), err
    assert run(tmp_path) == ""


@pytest.mark.parametrize("damage", ["cut", "altered", "empty"])
def test_damaged_files_are_made_anew(tmp_path, damage):
    run(tmp_path)
    files = [f for f in tmp_path.glob("*/*") if f.suffix in (".nbi", ".nbc")]
    assert files
    for file in files:
        content = file.read_bytes()
        half = len(content) // 2
        altered = content[:half] + b"\x00\xff" + content[half + 2 :]
        file.write_bytes({"cut": content[:half], "altered": altered, "empty": b""}[damage])
    run(tmp_path)


INTERRUPTED = """
import os, signal, threading, time
import tinyconv as tc
def press():
    time.sleep(0.05)
    os.kill(os.getpid(), signal.SIGINT)
threading.Thread(target=press).start()
try:
    tc.kernels.activation
    time.sleep(2)
except KeyboardInterrupt:
    pass
print(tc.relu(tc.tensor([-1.0, 2.0])).tolist())
"""


def test_ctrl_c_while_numba_loads_leaves_a_working_process():
    done = subprocess.run([sys.executable, "-c", INTERRUPTED], capture_output=True, text=True)
    assert (done.returncode, done.stdout) == (0, "[0.0, 2.0]\n"), done.stderr
