"""Running statistics of batch norm: a handful of numbers, where NumPy's calls would cost most."""

from tinyconv.kernels.jit import kernel, plain


@kernel
def _track(running, batch, momentum, factor):
    for c in range(len(running)):
        running[c] += momentum * (factor * batch[c] - running[c])


def track(running, batch, momentum, factor=1.0):
    """new = (1 - momentum) old + momentum factor batch, both (C,), into ``running``.

    Of complex steps the real part counts.
    """
    moved = plain(running)
    _track(moved, plain(batch.real), float(momentum), float(factor))
    if moved is not running:
        running[...] = moved
