"""Nested values with tensors, written in the zip format of ``torch.save``.

The archive holds ``data.pkl``, which tells what the value is made of, and one member of raw numbers
for each storage. Tensors whose memory overlaps lie in one storage, so what was shared stays shared.
The pickle is written step by step, from the few instructions that PyTorch's own careful reader
(``torch.load(weights_only=True)``) takes: see ``pickletools`` for their names.
"""

import struct
import zipfile
from collections import OrderedDict

import numpy as np

from tinyconv.autograd import Tensor
from tinyconv.nn import Parameter
from tinyconv.ops.shape import device_type
from tinyconv.weights.pickles import KEYS, is_key

_FOLDER = "archive/"
_HEADER = 30  # bytes in front of a member's name
_ALIGNED = 64  # bytes: where numbers begin, so that they can be used where they lie
_STORAGES = {
    "f8": "Double", "f4": "Float", "i8": "Long", "i4": "Int", "i2": "Short", "i1": "Char",
    "u1": "Byte", "b1": "Bool",
}  # fmt: skip
_BATCH = 1000  # entries that one instruction adds
_DEEPEST = 200  # levels of lists and dicts within each other, that are written and read


def write(file, value):
    """Write ``value`` to an open binary file.

    Raises:
        TypeError: for what is no number, text, tensor, dtype or collection of them, or is nested
            too deeply; before anything is written.
    """
    pickle = _Pickle(value)
    with zipfile.ZipFile(file, "w", zipfile.ZIP_STORED) as archive:
        _add(archive, file, "data.pkl", pickle.bytes)
        _add(archive, file, "byteorder", b"little")
        for i, storage in enumerate(pickle.storages):
            _add(archive, file, f"data/{i}", storage.numbers())
        _add(archive, file, "version", b"3\n")


def _add(archive, file, name, content):
    info = zipfile.ZipInfo(_FOLDER + name)
    content = memoryview(content).cast("B") if len(content) else b""
    info.file_size = len(content)  # tells how long a header it needs
    if file.seekable():
        room = -(file.tell() + _HEADER + len(info.filename) + 4) % _ALIGNED
        info.extra = struct.pack("<2sH", b"FB", room) + bytes(room)
    with archive.open(info, "w") as member:
        member.write(content)


class _Storage:
    """Memory from ``low`` to ``high`` (addresses) that holds tensors of one dtype."""

    def __init__(self, array, low, high):
        self.first, self.low, self.high = array, low, high
        self.kind = array.dtype.str[1:]

    @property
    def numel(self):
        return (self.high - self.low) // self.first.itemsize

    def numbers(self):
        """All of it, as a little-endian vector."""
        # nothing but what lies between the first and the last number of tensors of one memory
        flat = np.lib.stride_tricks.as_strided(
            self.first, (self.numel,), (self.first.itemsize,), writeable=False
        )
        return flat.astype(flat.dtype.newbyteorder("<"), copy=False)


def _plain(array):
    """The array, or a copy if PyTorch has no such strides."""
    steps = [s for n, s in zip(array.shape, array.strides) if n > 1]
    fits = all(s >= 0 and s % array.itemsize == 0 for s in steps) and array.dtype.isnative
    return array if fits else np.ascontiguousarray(array, array.dtype.newbyteorder("="))


def _laid_out(arrays):
    """The storages that hold all the arrays, and of each array which and from which element on.

    Returns:
        list of _Storage, dict id(array) -> (number of the storage, offset).
    """
    spans = []
    for a in arrays:
        low = a.__array_interface__["data"][0]
        size = sum((n - 1) * s for n, s in zip(a.shape, a.strides)) + a.itemsize if a.size else 0
        spans.append((a.dtype.str, low, low + size, a))
    spans.sort(key=lambda span: span[:3])
    storages, places = [], {}
    for _, low, high, a in spans:
        last = storages[-1] if storages else None
        apart = last is None or last.first.dtype != a.dtype or low >= last.high
        if apart or (low - last.low) % a.itemsize:
            storages.append(_Storage(a, low, high))
        else:
            last.high = max(last.high, high)
        places[id(a)] = len(storages) - 1, (low - storages[-1].low) // a.itemsize
    return storages, places


class _Pickle:
    """The instructions that build ``value``."""

    def __init__(self, value):
        self.memo, self.kept = {}, []  # id -> place; what is kept so that no id comes twice
        found = {}
        self._collect(value, found, set(), [])
        self.arrays = {key: _plain(array) for key, array in found.items()}
        self.storages, self.places = _laid_out(self.arrays.values())
        self.out = bytearray(b"\x80\x02")
        self.put(value, "")
        self.bytes = bytes(self.out + b".")

    def _collect(self, value, found, seen, path):
        """id -> array of all tensors and arrays in ``value``; none is in a key or a set."""
        if len(path) > _DEEPEST:
            where = "".join(f"[{key!r}]" for key in path[:8])
            raise TypeError(f"save: value{where}... is nested more than {_DEEPEST} deep")
        if isinstance(value, (Tensor, np.ndarray)):
            found[id(value)] = value.array if isinstance(value, Tensor) else value
        elif isinstance(value, (dict, list, tuple)) and id(value) not in seen:
            seen.add(id(value))
            for key, v in value.items() if isinstance(value, dict) else enumerate(value):
                self._collect(v, found, seen, [*path, key])

    # -- one value -------------------------------------------------------------------------
    def put(self, value, path):
        """The instructions that leave ``value`` on the stack."""
        if isinstance(value, np.generic):
            value = value.item()
        if value is None or value is True or value is False:
            self.out += {None: b"N", True: b"\x88", False: b"\x89"}[value]
        elif isinstance(value, int):
            self._int(int(value))
        elif isinstance(value, float):
            self.out += b"G" + struct.pack(">d", value)
        elif isinstance(value, str):
            text = value.encode("utf-8", "surrogatepass")
            self.out += b"X" + struct.pack("<I", len(text)) + text
        elif isinstance(value, np.dtype) and value.str[1:] in _STORAGES:
            self._name("torch", value.name)
        elif id(value) in self.memo:
            self.out += b"j" + struct.pack("<I", self.memo[id(value)])
        else:
            self._object(value, path)

    def _int(self, value):
        if -(2**31) <= value < 2**31:
            self.out += b"J" + struct.pack("<i", value)
        else:
            digits = value.to_bytes(value.bit_length() // 8 + 1, "little", signed=True)
            if len(digits) > 255:
                raise TypeError(f"save: a number of {len(digits)} bytes is too long")
            self.out += b"\x8a" + bytes([len(digits)]) + digits

    def _name(self, module, name):
        self.out += f"c{module}\n{name}\n".encode()

    def _remember(self, value):
        self.kept.append(value)
        self.memo[id(value)] = len(self.memo)
        self.out += b"r" + struct.pack("<I", self.memo[id(value)])

    def _call(self, module, name, *arguments):
        """What the function ``name`` gives for ``arguments``; a callable writes its own."""
        self._name(module, name)
        self._tuple(arguments, "")
        self.out += b"R"

    def _tuple(self, values, path):
        self.out += b"("
        for i, value in enumerate(values):
            if callable(value):
                value()
            else:
                self.put(value, f"{path}[{i}]")
        self.out += b"t"

    def _object(self, value, path):
        if isinstance(value, (Tensor, np.ndarray)):
            self._tensor(value, path)
        elif isinstance(value, dict):
            self._dict(value, path)
        elif isinstance(value, list):
            self.out += b"]"
            self._remember(value)
            for i in range(0, len(value), _BATCH):
                self.out += b"("
                for j, v in enumerate(value[i : i + _BATCH], i):
                    self.put(v, f"{path}[{j}]")
                self.out += b"e"
            return
        elif isinstance(value, tuple):
            self._tuple(value, path)
        elif isinstance(value, (set, frozenset)):
            kind = "set" if isinstance(value, set) else "frozenset"
            self._check_keys(value, path)
            self._call("__builtin__", kind, list(value))
        elif isinstance(value, bytes):
            self._call("_codecs", "encode", value.decode("latin1"), "latin1")
        elif isinstance(value, device_type):
            self._call("torch", "device", str(value))
        else:
            where = f"value{path} is a" if path else "got a"
            raise TypeError(
                f"save: {where} {type(value).__name__}; a file holds tensors, arrays, numbers, "
                "texts, dtypes and dicts, lists, tuples and sets of them (of a model its "
                "state_dict())"
            )
        if not isinstance(value, dict):
            self._remember(value)

    def _check_keys(self, keys, path):
        for key in keys:
            if not is_key(key, (np.bool_, np.dtype, device_type)):
                raise TypeError(f"save: value{path} has a key of type {type(key).__name__}; {KEYS}")

    def _dict(self, value, path):
        self._check_keys(value, path)
        if isinstance(value, OrderedDict):
            self._call("collections", "OrderedDict")
        else:
            self.out += b"}"
        self._remember(value)
        items = list(value.items())
        for i in range(0, len(items), _BATCH):
            self.out += b"("
            for k, v in items[i : i + _BATCH]:
                self.put(k, f"{path} key {k!r}")
                self.put(v, f"{path}[{k!r}]")
            self.out += b"u"

    # -- tensors ---------------------------------------------------------------------------
    def _tensor(self, value, path):
        array = self.arrays[id(value)]
        if array.dtype.str[1:] not in _STORAGES:
            raise TypeError(f"save: value{path} has dtype {array.dtype}, which no tensor has")
        grad = isinstance(value, Tensor) and value.requires_grad
        if isinstance(value, Parameter):
            build = lambda: self._rebuilt(array, False)
            self._call("torch._utils", "_rebuild_parameter", build, grad, OrderedDict())
        else:
            self._rebuilt(array, grad, isinstance(value, np.ndarray))

    def _rebuilt(self, array, grad, is_array=False):
        number, offset = self.places[id(array)]
        strides = tuple(s // array.itemsize for s in array.strides)
        # where tensors have (no) hooks there is nothing: it was a bare array
        hooks = None if is_array else OrderedDict()
        self._call(
            "torch._utils", "_rebuild_tensor_v2",
            lambda: self._storage(number), offset, array.shape, strides, grad, hooks,
        )  # fmt: skip

    def _storage(self, number):
        storage = self.storages[number]
        kind = lambda: self._name("torch", _STORAGES[storage.kind] + "Storage")
        self._tuple(("storage", kind, str(number), "cpu", storage.numel), "")
        self.out += b"Q"
