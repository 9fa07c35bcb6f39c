"""One number for every dimension, as layers written for PyTorch spell it out."""


def _ntuple(n):
    """A function that gives ``n`` times a number, and an iterable as a tuple.

    >>> _ntuple(3)(1), _ntuple(3)([1, 2, 3])
    ((1, 1, 1), (1, 2, 3))
    """

    def parse(x):
        return tuple(x) if hasattr(x, "__iter__") else (x,) * n

    return parse


_single, _pair, _triple, _quadruple = map(_ntuple, (1, 2, 3, 4))
