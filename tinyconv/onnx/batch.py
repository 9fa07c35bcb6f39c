"""What of a graph depends on how many images come: seen by tracing it with 2 and with 3."""

from typing import NamedTuple

import numpy as np

from tinyconv.models.trace import Value


class BatchError(ValueError):
    """An argument follows the batch in a way that no file could tell."""


class Batch(NamedTuple):
    """A size that is so many times the number of images."""

    factor: int


def merged(first, second):
    """An argument of an op in the trace of 2 images, and the same in that of 3, as one.

    Numbers that follow the batch become a ``Batch``; Values are those of the first.

    Raises:
        BatchError: where they differ in any other way.

    >>> merged((2, 8, 5), (3, 8, 5))
    (Batch(factor=1), 8, 5)
    """
    if isinstance(first, Value):
        if first.array is not None and not first.name:
            _check_constant(first.array, second.array)
        return first
    if isinstance(first, np.ndarray):
        _check_constant(first, second)
        return first
    if isinstance(first, dict):
        return {key: merged(value, second[key]) for key, value in first.items()}
    if isinstance(first, (tuple, list)):
        if len(first) != len(second):
            raise BatchError("has other arguments for 3 images than for 2")
        parts = [merged(a, b) for a, b in zip(first, second)]
        return type(first)(*parts) if hasattr(first, "_fields") else type(first)(parts)
    if isinstance(first, int) and first != second:
        if first % 2 == 0 and first // 2 * 3 == second:
            return Batch(first // 2)
        raise BatchError(f"is given {first} for 2 images and {second} for 3")
    if first != second:
        raise BatchError(f"is given {first!r} for 2 images and {second!r} for 3")
    return first


def _check_constant(first, second):
    if second is None or first.shape != second.shape:
        raise BatchError(
            f"is given an array of shape {list(first.shape)} that no op made, though it follows "
            "the input: an argmax, a mask, or NumPy's work"
        )
    if not np.array_equal(first, second, equal_nan=first.dtype.kind == "f"):
        raise BatchError("is given other numbers for 3 images than for 2")
