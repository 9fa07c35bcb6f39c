"""The thread pool: all parts once, errors raised, several callers, nested calls, forks."""

import os
import subprocess
import sys
import threading
import weakref

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import tinyconv as tc
from tinyconv.kernels import parallel


@given(count=st.integers(0, 1000), work=st.integers(0, 1 << 40))
def test_chunks_cover_the_range_in_order(count, work):
    parts = parallel.chunks(count, work)
    assert parts[0][0] == 0 and parts[-1][1] == count
    assert all(a[1] == b[0] for a, b in zip(parts, parts[1:]))


def test_chunks_do_not_depend_on_the_number_of_threads(threads):
    cuts = []
    for number in (1, 2, 7):
        threads(number)
        cuts.append(parallel.chunks(100, 1 << 30))
    assert cuts[0] == cuts[1] == cuts[2]


def _sum(count, parts):
    done = np.zeros(count, int)

    def body(_, start, stop):
        done[start:stop] += 1

    parallel.run(body, parts)
    return done


@pytest.mark.parametrize("number", [1, 2, 3, 4])
def test_every_part_runs_exactly_once(number, threads):
    threads(number)
    for _ in range(50):
        assert (_sum(97, parallel.chunks(97, 1 << 40)) == 1).all()


@pytest.mark.parametrize("number", [1, 3])
def test_an_exception_is_raised_and_the_pool_lives_on(number, threads):
    threads(number)

    def body(i, start, stop):
        if i == 5:
            raise KeyError("part five")

    with pytest.raises(KeyError, match="part five"):
        parallel.run(body, parallel.chunks(16, 1 << 40))
    assert (_sum(30, parallel.chunks(30, 1 << 40)) == 1).all()


def test_calls_inside_calls_end(threads):
    threads(3)
    totals = np.zeros(16)

    def body(i, start, stop):
        totals[start:stop] = _sum(20, parallel.chunks(20, 1 << 40)).sum()

    parallel.run(body, parallel.chunks(16, 1 << 40))
    assert (totals == 20).all()


def test_several_python_threads_may_call_at_once(threads):
    threads(3)
    x = np.random.default_rng(0).standard_normal((150, 150))
    wanted = tc.kernels.matmul.matmul(x, x).tobytes()
    right = []

    def work():
        for _ in range(10):
            right.append(tc.kernels.matmul.matmul(x, x).tobytes() == wanted)

    callers = [threading.Thread(target=work) for _ in range(5)]
    for t in callers:
        t.start()
    for t in callers:
        t.join(60)
    assert len(right) == 50 and all(right)


@pytest.mark.skipif(not hasattr(os, "fork"), reason="needs fork")
def test_a_forked_child_has_threads_of_its_own():
    script = """
import os, numpy as np, tinyconv as tc
tc.set_num_threads(3)
x = np.random.default_rng(0).standard_normal((200, 200))
before = tc.kernels.matmul.matmul(x, x)
pid = os.fork()
if pid == 0:
    os._exit(0 if np.array_equal(tc.kernels.matmul.matmul(x, x), before) else 1)
assert os.waitpid(pid, 0)[1] == 0
"""
    done = subprocess.run(
        [sys.executable, "-W", "ignore", "-c", script], timeout=120, capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr


def test_a_thread_that_comes_too_late_keeps_no_arrays_alive(threads, monkeypatch):
    threads(2)
    jobs = []
    monkeypatch.setattr(parallel._Pool, "give", lambda self, job, times: jobs.append(job))
    array = np.zeros(4)
    gone = weakref.ref(array)
    parallel.run(lambda i, start, stop, array=array: array[start:stop].fill(1), ((0, 2), (2, 4)))
    assert array.all()
    del array
    assert gone() is None and jobs[0].work(jobs[0].todo.pop) is None


@pytest.mark.parametrize("number", [0, -1, 2.0, True, "2", None])
def test_a_number_of_threads_that_is_none_is_refused(number):
    before = tc.get_num_threads()
    with pytest.raises(ValueError, match="set_num_threads.*at least 1"):
        tc.set_num_threads(number)
    assert tc.get_num_threads() == before


@pytest.mark.parametrize("text, ok", [("3", True), ("0", False), ("two", False)])
def test_the_environment_sets_the_number_of_threads(text, ok):
    done = subprocess.run(
        [sys.executable, "-c", "import tinyconv as tc; print(tc.get_num_threads())"],
        env={**os.environ, "TINYCONV_NUM_THREADS": text}, capture_output=True, text=True,
        timeout=60,
    )  # fmt: skip
    assert done.stdout.strip() == "3" if ok else "TINYCONV_NUM_THREADS" in done.stderr
