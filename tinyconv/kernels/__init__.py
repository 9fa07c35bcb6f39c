"""Arrays in, arrays out: the only floor that knows Numba, and it knows nothing of gradients.

``import tinyconv`` must start at once, so the modules that import Numba are loaded when
the first op asks for them: ``kernels.conv.forward`` imports ``tinyconv.kernels.conv`` then.
"""

import contextlib
import importlib
import signal
import threading

from tinyconv.kernels import memory
from tinyconv.kernels.choice import conv_algorithm
from tinyconv.kernels.geometry import Window, output_size
from tinyconv.kernels.parallel import get_num_threads, set_num_threads

_LAZY = (
    "activation", "batchnorm", "conv", "groupnorm", "jit", "loss", "matmul", "optimizer", "pool",
    "running", "sums",
)  # fmt: skip

__all__ = [
    "Window",
    "conv_algorithm",
    "get_num_threads",
    "memory",
    "output_size",
    "set_num_threads",
    *_LAZY,
]


def __getattr__(name):
    if name in _LAZY:
        with _ctrl_c_waits():
            return importlib.import_module(f"tinyconv.kernels.{name}")
    raise AttributeError(f"module 'tinyconv.kernels' has no attribute {name!r}")


@contextlib.contextmanager
def _ctrl_c_waits():
    """Hold Ctrl-C back: half an import of Numba would leave the process without kernels."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    pressed = []
    before = signal.signal(signal.SIGINT, lambda *_: pressed.append(True))
    try:
        yield
    finally:
        # None: a handler that was not set from Python and cannot be put back
        signal.signal(signal.SIGINT, signal.SIG_DFL if before is None else before)
    if pressed:
        signal.raise_signal(signal.SIGINT)
