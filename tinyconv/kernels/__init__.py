"""Arrays in, arrays out: the only floor that knows Numba, and it knows nothing of gradients.

``import tinyconv`` must start at once, so the modules that import Numba are loaded when
the first op asks for them: ``kernels.conv.forward`` imports ``tinyconv.kernels.conv`` then.
"""

import importlib

from tinyconv.kernels.choice import conv_algorithm
from tinyconv.kernels.geometry import Window, output_size
from tinyconv.kernels.parallel import get_num_threads, set_num_threads

_LAZY = ("activation", "batchnorm", "conv", "jit", "matmul", "pool")

__all__ = [
    "Window",
    "conv_algorithm",
    "get_num_threads",
    "output_size",
    "set_num_threads",
    *_LAZY,
]


def __getattr__(name):
    if name in _LAZY:
        return importlib.import_module(f"tinyconv.kernels.{name}")
    raise AttributeError(f"module 'tinyconv.kernels' has no attribute {name!r}")
