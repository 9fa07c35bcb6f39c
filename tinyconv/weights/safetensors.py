"""The safetensors format: a length, a table in JSON, the numbers.

8 bytes (little-endian) tell how long the table is; it gives of every tensor its dtype, shape and
the place of its first and last byte behind the table. Read and written here without the library
of that name, because that is all there is to it, and mapped files need no copy.
"""

import json
import math

import numpy as np

from tinyconv.weights.arrays import KINDS, from_bytes, is_shape
from tinyconv.weights.errors import WeightsError

_KINDS = {
    "F64": "f8", "F32": "f4", "F16": "f2", "BF16": "bf16", "BOOL": "b1",
    "I64": "i8", "I32": "i4", "I16": "i2", "I8": "i1",
    "U64": "u8", "U32": "u4", "U16": "u2", "U8": "u1",
}  # fmt: skip
_NAMES = {kind: name for name, kind in _KINDS.items()}
_LONGEST = 100_000_000  # of the table, as in the library
_NOTES = "__metadata__"


def is_safetensors(content):
    """Whether the bytes begin as this format does."""
    length = int.from_bytes(bytes(content[:8]), "little")
    return 2 <= length <= _LONGEST and bytes(content[8:9]) == b"{"


def read(content):
    """name -> ndarray; float32 and integers lie in ``content`` itself.

    Raises:
        WeightsError: if the table is senseless, or the numbers do not lie where it says.
    """
    start = 8 + int.from_bytes(bytes(content[:8]), "little")
    if start > len(content):
        raise WeightsError("the file is cut within its table")
    try:
        table = json.loads(bytes(content[8:start]))
        entries = [(k, *_entry(v)) for k, v in table.items() if k != _NOTES]
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
        raise WeightsError(f"its table is senseless ({str(error)[:100]})") from None
    numbers, state, end = content[start:], dict.fromkeys(name for name, *_ in entries), 0
    for name, dtype, shape, first, last in sorted(entries, key=lambda entry: entry[3:]):
        if dtype not in _KINDS:
            raise WeightsError(f"{name!r} is of dtype {dtype}, which is not read")
        if first != end or last > len(numbers):
            raise WeightsError(f"{name!r} should lie from byte {first:,} to {last:,}: it is cut")
        count, kind = math.prod(shape), _KINDS[dtype]
        if count * KINDS[kind] != last - first:
            raise WeightsError(f"{name!r} of shape {shape} does not fill {last - first:,} bytes")
        state[name] = from_bytes(numbers[first:last], kind, count).reshape(shape)
        end = last
    if end < len(numbers):
        raise WeightsError(f"{len(numbers) - end:,} bytes behind the last number are in no table")
    return state


def _entry(value):
    shape, (first, last) = value["shape"], value["data_offsets"]
    if not (is_shape(shape) and type(first) is type(last) is int and 0 <= first <= last):
        raise ValueError("a shape or place that no array has")
    if not isinstance(value["dtype"], str):
        raise ValueError("a dtype that is no text")
    return value["dtype"], shape, first, last


def write(file, state):
    """Write name -> ndarray; each array is written as it lies, or row by row if it is strided.

    Raises:
        WeightsError: for a dtype that the format does not have.
    """
    table, end = {_NOTES: {"format": "pt"}}, 0
    for name, array in state.items():
        kind = array.dtype.str[1:]
        if name == _NOTES:
            raise WeightsError(f"{name!r} is what safetensors calls its notes; rename the entry")
        if kind not in _NAMES:
            raise WeightsError(f"{name!r} is {array.dtype}, which safetensors does not have")
        table[name] = {
            "dtype": _NAMES[kind],
            "shape": list(array.shape),
            "data_offsets": [end, end := end + array.nbytes],
        }
    text = json.dumps(table, separators=(",", ":")).encode()
    text += b" " * (-len(text) % 8)  # so that the numbers are aligned
    file.write(len(text).to_bytes(8, "little") + text)
    for array in state.values():
        little = np.ascontiguousarray(array, array.dtype.newbyteorder("<"))
        file.write(little.reshape(-1).view(np.uint8))
