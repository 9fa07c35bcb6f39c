"""Progress: a bar on a terminal, silence elsewhere (there the epochs' lines tell enough)."""

import contextlib
import os
import sys
import time

#: for tqdm: short enough to leave room for a bar on 80 columns
_FORMAT = "{l_bar}{bar}| {n_fmt}/{total_fmt} [{remaining} left{postfix}]"


class Bar:
    """A bar of steps on standard error, by tqdm if it is there.

    Args:
        total, done: steps in all, and steps made before.
        label: what stands before it.
        shown: whether to show it; default: whether standard error is a terminal.

    >>> from tinyconv.train.progress import Bar
    >>> with Bar(10, label="epoch 1/3", shown=False) as bar:
    ...     bar.step("loss 0.5")
    """

    def __init__(self, total, done=0, label="", shown=None):
        self._total, self._done, self._label = total, done, label
        self._tqdm, self._next, self._began = None, 0.0, time.monotonic()
        self._first = done
        self._shown = sys.stderr.isatty() if shown is None else shown
        if self._shown:
            try:
                from tqdm import tqdm

                self._tqdm = tqdm(
                    total=total, initial=done, desc=label, leave=False, dynamic_ncols=True,
                    bar_format=_FORMAT,
                )  # fmt: skip
            except ImportError:
                pass

    def step(self, note=""):
        """One step more; ``note`` stands behind the bar."""
        self._done += 1
        if self._tqdm is not None:
            self._tqdm.set_postfix_str(note, refresh=False)
            self._tqdm.update()
        elif self._shown and time.monotonic() >= self._next:
            self._next = time.monotonic() + 0.1
            rate = (self._done - self._first) / max(1e-9, time.monotonic() - self._began)
            left = (self._total - self._done) / rate
            self._write(f"{self._label}  {self._done}/{self._total}  {left:.0f} s left  {note}")

    def _write(self, text, end=""):
        """Over the whole line, but not into its last column: some terminals would go on."""
        wide = _columns() - 1
        print(f"\r{text[:wide]:<{wide}}", end=end, file=sys.stderr, flush=True)

    def __enter__(self):
        return self

    def __exit__(self, *exc):
        if self._tqdm is not None:
            self._tqdm.close()
        elif self._shown:
            self._write("", end="\r")


def _columns():
    """Of the terminal behind standard error; 80 where it has no size."""
    with contextlib.suppress(OSError, ValueError, AttributeError):
        return os.get_terminal_size(sys.stderr.fileno()).columns or 80
    return 80
