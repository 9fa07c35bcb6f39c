"""Switches of PyTorch's that scripts set (``backends.cudnn.benchmark = True``): they do nothing.

Results are the same in every run, and for any number of threads, anyway.
"""

from tinyconv.backends import cudnn

__all__ = ["cuda", "cudnn", "mkldnn", "mps", "openmp"]


class _Backend:
    """One that is not there; whatever is set on it is kept, and changes nothing."""

    benchmark = deterministic = enabled = allow_tf32 = False

    def __init__(self, name, matmul=None):
        self._name, self.matmul = name, matmul

    def __repr__(self):
        return f"<backend {self._name}: not available>"

    def is_available(self):
        """False.

        >>> import tinyconv as tc
        >>> tc.backends.mps.is_available()
        False
        """
        return False


mps, mkldnn, openmp = map(_Backend, ("mps", "mkldnn", "openmp"))
cuda = _Backend("cuda", _Backend("cuda.matmul"))
