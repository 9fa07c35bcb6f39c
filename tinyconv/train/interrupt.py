"""Ctrl-C, the polite way: the first asks, the second insists."""

import os
import signal
import threading


class InterruptGuard:
    """Inside the block the first Ctrl-C sets ``asked``; the second raises KeyboardInterrupt.

    In other threads than the main one, or where Ctrl-C is ignored, nothing is changed.

    >>> import signal
    >>> from tinyconv.train.interrupt import InterruptGuard
    >>> with InterruptGuard(message="") as guard:
    ...     signal.raise_signal(signal.SIGINT)
    ...     guard.asked
    True
    """

    def __init__(self, message="finishing this step and saving; Ctrl-C once more aborts at once\n"):
        self.asked = False
        self._message = message
        self._previous = None

    def __enter__(self):
        main = threading.current_thread() is threading.main_thread()
        if main and signal.getsignal(signal.SIGINT) not in (signal.SIG_IGN, None):
            self._previous = signal.signal(signal.SIGINT, self._handle)
        return self

    def __exit__(self, *exc):
        if self._previous is not None:
            signal.signal(signal.SIGINT, self._previous)

    def _handle(self, signum, frame):
        if self.asked:
            raise KeyboardInterrupt
        self.asked = True
        # not print: the signal may have come in the middle of one
        os.write(2, f"\n{self._message}".encode() if self._message else b"")
