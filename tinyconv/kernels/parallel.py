"""Threads: one pool for all kernels.

A kernel is serial machine code that works on a range of images (planes, rows) and lets
go of the GIL. ``run`` cuts the range into chunks *by its size alone* and lets the pool's
threads take them; so results are the same bit by bit for any number of threads, and one
compiled body serves all: a kernel with Numba's own ``parallel=True`` takes three to four
times as long to compile, and its workqueue layer may not be entered by two threads at once.
"""

import functools
import os
import queue
import threading
from collections import deque

import numpy as np

#: the more chunks, the evener the load; but each is a call from Python, with buffers of its own
_MAX_CHUNKS = 8
#: multiply-adds or bytes of work below which waking a thread costs more than it gives
_SERIAL = 1 << 20

#: how often a thread looks for work before it goes to sleep: some hundred microseconds
_LOOKS = 30_000

_num_threads = None
_lock = threading.Lock()
_pool = None


def available_threads():
    """The number of processors that this process may use."""
    try:
        return len(os.sched_getaffinity(0))
    except AttributeError:
        return os.cpu_count() or 1


@functools.cache
def _processors():
    """``available_threads`` as they were at first: to ask the system takes a microsecond."""
    return available_threads()


def get_num_threads() -> int:
    """How many threads the kernels use; default: the processors that the process may use.

    The variable ``TINYCONV_NUM_THREADS`` sets it from outside.

    >>> import tinyconv as tc
    >>> tc.get_num_threads() >= 1
    True
    """
    global _num_threads
    if _num_threads is None:
        text = os.environ.get("TINYCONV_NUM_THREADS", "")
        if text and (not text.isdecimal() or int(text) < 1):
            raise ValueError(f"TINYCONV_NUM_THREADS={text!r}: wants a whole number of at least 1")
        _num_threads = int(text) if text else available_threads()
    return _num_threads


def set_num_threads(number) -> None:
    """Use ``number`` threads from here on. It changes no result, not by a bit.

    Raises:
        ValueError: for less than one.

    >>> import tinyconv as tc
    >>> before = tc.get_num_threads(); tc.set_num_threads(1)
    >>> tc.get_num_threads(); tc.set_num_threads(before)
    1
    """
    global _num_threads
    if isinstance(number, bool) or not isinstance(number, int) or number < 1:
        raise ValueError(f"set_num_threads: got {number!r}, wants a whole number of at least 1")
    _num_threads = number


@functools.lru_cache(4096)
def chunks(count, work):
    """Cut ``range(count)`` into (start, stop), ..., from its size and ``work`` alone."""
    number = max(1, min(count, _MAX_CHUNKS, work // _SERIAL))
    bounds = [i * count // number for i in range(number + 1)]
    return tuple(zip(bounds, bounds[1:]))


def run(body, parts):
    """Call ``body(i, start, stop)`` for each part; ``body`` must release the GIL to gain.

    The caller works too. The first exception is raised when all have ended.
    """
    if len(parts) < 2 or get_num_threads() < 2:
        for i, (start, stop) in enumerate(parts):
            body(i, start, stop)
        return
    job = _Job(body, parts)
    _get_pool().give(job, min(get_num_threads(), len(parts)) - 1)
    job.work(job.todo.popleft)
    job.join()


class _Job:
    """Chunks that any thread may take: the caller from the first on, others from the last back.

    So a thread gets much the same part of an array in one pass as in the next, while that lies
    in its own cache.
    """

    def __init__(self, body, parts):
        self.body = body
        self.todo = deque(enumerate(parts))
        self.left = len(parts)
        self.lock = threading.Lock()
        self.ended = np.zeros(1, np.int64)
        self.finished = threading.Lock()
        self.finished.acquire()
        self.error = None

    def work(self, take):
        """Take chunks until there are none; returns the flag to raise for who waits, or None."""
        while self.todo:
            try:
                i, (start, stop) = take()  # atomic under the GIL and in free threading
            except IndexError:
                return None
            try:
                self.body(i, start, stop)
            except BaseException as error:
                self.error = self.error or error
            with self.lock:
                self.left -= 1
                last = self.left == 0
            if last:
                self.finished.release()
                return self.ended
        return None

    def join(self):
        """Wait until all chunks are done; raise what one of them raised."""
        if self.left:
            _wait(_NOTHING, self.ended, 0)
        self.finished.acquire()
        self.body = None  # a thread that comes too late must not keep its arrays alive
        if self.error is not None:
            raise self.error


#: a flag that nobody looks at
_NOTHING = np.zeros(1, np.int64)


def _wait(flag, number, seen):
    """Raise ``flag``, then look at number[0] until it is not ``seen``, but not for long;
    returns it."""
    # more threads than processors: whoever waits by looking takes the time of those who work
    if get_num_threads() > _processors():
        flag[0] = 1
        return number[0]
    from tinyconv.kernels.spin import wait_for_change

    # the flag is raised where the GIL is let go, so that who sees it need not wait for that
    return wait_for_change(flag, number, seen, _LOOKS)


class _Pool:
    """Daemon threads that wait for jobs. Several callers may give jobs at once."""

    def __init__(self):
        self.jobs = queue.SimpleQueue()
        self.given = np.zeros(1, np.int64)
        self.threads = 0

    def give(self, job, times):
        if self.threads < get_num_threads() - 1:
            with _lock:
                while self.threads < get_num_threads() - 1:
                    self.threads += 1
                    threading.Thread(target=self._serve, name="tinyconv", daemon=True).start()
        for _ in range(times):
            self.jobs.put(job)
        self.given[0] += 1

    def _serve(self):
        flag = _NOTHING
        while True:
            seen = self.given[0]
            if self.jobs.empty():
                seen_now, flag = _wait(flag, self.given, seen), _NOTHING
                if seen_now != seen:
                    continue
                job = self.jobs.get()
            else:
                flag[0] = 1
                try:
                    job = self.jobs.get_nowait()
                except queue.Empty:  # another thread was faster
                    continue
            flag = job.work(job.todo.pop)
            if flag is None:
                flag = _NOTHING
            del job  # no reference outlives the job: its arrays are the caller's to free


def _get_pool():
    global _pool
    if _pool is None:
        with _lock:
            if _pool is None:
                _pool = _Pool()
    return _pool


def _after_fork():
    """Threads do not survive a fork: the child starts a pool of its own."""
    global _pool, _lock
    _pool, _lock = None, threading.Lock()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_after_fork)
