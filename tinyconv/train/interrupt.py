"""Ctrl-C and SIGTERM, the polite way: the first asks, the second insists."""

import os
import signal
import threading

SIGNALS = (signal.SIGINT, signal.SIGTERM)


class InterruptGuard:
    """Inside the block the first Ctrl-C or SIGTERM sets ``asked``; the second raises
    KeyboardInterrupt.

    In other threads than the main one, nothing is changed, nor is a signal that is ignored.

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
        self._previous = {}

    def __enter__(self):
        if threading.current_thread() is threading.main_thread():
            for number in SIGNALS:
                if signal.getsignal(number) not in (signal.SIG_IGN, None):
                    self._previous[number] = signal.signal(number, self._handle)
        return self

    def __exit__(self, *exc):
        for number, handler in self._previous.items():
            signal.signal(number, handler)

    def _handle(self, signum, frame):
        if self.asked:
            raise KeyboardInterrupt
        self.asked = True
        # not print: the signal may have come in the middle of one
        os.write(2, f"\n{self._message}".encode() if self._message else b"")
