"""Bytes of a file as arrays that NumPy computes with."""

import math

import numpy as np

from tinyconv.weights.errors import WeightsError

#: bytes of one element, of the kinds that files of weights have; bf16 is no dtype of NumPy
KINDS = {"f8": 8, "f4": 4, "f2": 2, "bf16": 2, "b1": 1,
         **{f"{sign}{n}": n for sign in "iu" for n in (1, 2, 4, 8)}}  # fmt: skip
_MOST_DIMENSIONS = 32  # in any version of NumPy


def is_shape(shape):
    """Whether an array can have this shape, even one without elements or with strides of 0."""
    return (
        len(shape) <= _MOST_DIMENSIONS
        and all(type(n) is int and 0 <= n < 2**59 for n in shape)
        and math.prod(n or 1 for n in shape) < 2**59
    )


def from_bytes(content, kind, count, order="<"):
    """``count`` numbers, on the bytes themselves unless another dtype or place is needed.

    Args:
        content: the bytes, at least as many as the numbers take.
        kind: a key of ``KINDS``.
        count: how many numbers.
        order: which byte of a number comes first, ``'<'`` the least or ``'>'`` the most.

    Returns:
        ndarray (count,); half precision and bfloat16 become float32.

    Raises:
        WeightsError: if there are not enough bytes.

    >>> from_bytes(bytes([0x80, 0x3F, 0x20, 0x40]), "bf16", 2)
    array([1. , 2.5], dtype=float32)
    """
    wanted = count * KINDS[kind]
    if len(content) < wanted:
        raise WeightsError(f"there are {len(content):,} bytes where {wanted:,} are announced")
    dtype = np.dtype(order + ("u2" if kind == "bf16" else kind))
    array = np.frombuffer(content, dtype, count)
    if kind == "bf16":  # the upper half of a float32
        return (array.astype(np.uint32) << 16).view(np.float32)
    return plain(array)


def plain(array):
    """The array in the machine's own byte order and aligned; half precision as float32."""
    native = array.dtype.newbyteorder("=")
    if native == np.float16:
        native = np.dtype(np.float32)
    array = array.astype(native, copy=False)
    return array if array.flags.aligned else array.copy()
