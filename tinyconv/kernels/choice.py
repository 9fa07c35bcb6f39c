"""Which member of the convolution family does the work."""

import contextlib
import threading

#: name -> module of ``tinyconv.kernels``; all have forward, input_gradient, weight_gradient
ALGORITHMS = {"naive": "conv_naive", "im2col": "conv_im2col"}


class _Forced(threading.local):
    name = None


_forced = _Forced()


@contextlib.contextmanager
def conv_algorithm(name):
    """Use one member of the convolution family inside the block, to compare or to learn.

    Args:
        name: ``'naive'`` (seven loops, as the definition reads) or ``'im2col'``; None
            for the library's own choice.

    Raises:
        ValueError: for an unknown name.

    >>> import tinyconv as tc, tinyconv.nn.functional as F
    >>> x, w = tc.randn(1, 2, 5, 5), tc.randn(3, 2, 3, 3)
    >>> with tc.kernels.conv_algorithm("naive"):
    ...     y = F.conv2d(x, w)
    >>> tc.allclose(y, F.conv2d(x, w), atol=1e-5)
    True
    """
    if name is not None and name not in ALGORITHMS:
        raise ValueError(f"conv_algorithm: {name!r} is unknown; there are {sorted(ALGORITHMS)}")
    previous, _forced.name = _forced.name, name
    try:
        yield
    finally:
        _forced.name = previous


def chosen(shape, window, groups):
    """The name of the algorithm for an input of ``shape``: from the shape alone."""
    return _forced.name or "im2col"
