"""Background threads that do jobs in the order given and never outlive their use."""

import atexit
import queue
import threading
import time
import weakref
from contextlib import suppress

#: Seconds that the interpreter waits at its exit for jobs already begun.
EXIT_GRACE = 1.0

_alive: "weakref.WeakSet" = weakref.WeakSet()


class Job:
    """One call to be made in a thread; ``result`` gives its value or raises its exception."""

    def __init__(self, call):
        self._call = call
        self._done = threading.Event()
        self._value = self._error = None

    def run(self, failure=None):
        call, self._call = self._call, None
        try:
            if failure is not None:
                raise failure
            if call is not None:
                self._value = call()
        except BaseException as error:  # noqa: BLE001 - whatever it is, the consumer gets it
            self._error = error
        finally:
            self._done.set()

    def cancel(self):
        """Do not begin this job; one that has begun goes on to its end."""
        self._call = None

    def wait(self, timeout=None):
        """Wait up to ``timeout`` seconds (default: for ever); True if the job is done."""
        return self._done.wait(timeout)

    def result(self):
        """Wait for the value; raises what the job raised, with its thread's traceback."""
        self._done.wait()
        if self._error is None:
            return self._value
        try:
            raise self._error
        finally:
            del self  # the traceback holds this frame: do not close the circle


class Workers:
    """A fixed number of threads; they end when this object is closed or dropped.

    Args:
        count: number of threads.
        init: called with the thread's number (0 to count - 1) before its first job; if it
            raises, each job of that thread raises the same.

    >>> from tinyconv.data.workers import Workers
    >>> workers = Workers(2)
    >>> [job.result() for job in [workers.submit(lambda: 6 * 7), workers.submit(list)]]
    [42, []]
    >>> workers.close()
    """

    def __init__(self, count, init=None):
        # the threads know the queue but not this object: dropping it is noticed at once
        self._jobs = queue.SimpleQueue()
        self._threads = [_Worker(self._jobs, init, number) for number in range(count)]
        self._finalizer = weakref.finalize(self, _stop, self._jobs, count)
        for thread in self._threads:
            thread.start()

    def submit(self, call):
        """Queue ``call()``; returns its ``Job``."""
        job = Job(call)
        self._jobs.put(job)
        return job

    def close(self):
        """Drop the jobs not yet begun and let the threads end. Does not wait for them."""
        self._finalizer()


class _Worker(threading.Thread):
    def __init__(self, jobs, init, number):
        super().__init__(name=f"tinyconv-data-{number}", daemon=True)
        self.jobs, self._init, self._number = jobs, init, number
        _alive.add(self)

    def run(self):
        failure = None
        try:
            if self._init is not None:
                self._init(self._number)
        except BaseException as error:  # noqa: BLE001 - each job will raise it
            failure = error
        while (job := self.jobs.get()) is not None:
            job.run(failure)
            del job  # do not keep a batch alive while waiting for the next job


def _stop(jobs, count):
    with suppress(queue.Empty):
        while True:
            jobs.get_nowait()
    for _ in range(count):
        jobs.put(None)


@atexit.register
def _stop_all():
    """Daemon threads never block the exit; begun jobs get a moment to end in good order."""
    threads = list(_alive)
    for thread in threads:
        _stop(thread.jobs, len(threads))
    deadline = time.monotonic() + EXIT_GRACE
    for thread in threads:
        thread.join(max(0.0, deadline - time.monotonic()))
