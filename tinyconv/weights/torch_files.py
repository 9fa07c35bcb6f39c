"""State dicts in PyTorch's files: the zip that ``torch.save`` writes, and the older stream."""

import io

import numpy as np

from tinyconv.weights import pickles
from tinyconv.weights.archive import Reader
from tinyconv.weights.arrays import KINDS, from_bytes
from tinyconv.weights.errors import WeightsError
from tinyconv.weights.pickles import TensorView

_MAGIC = 0x1950A86A20F9469CFC6C
#: under what training scripts keep the state dict of the network, the likeliest first
_WRAPPERS = (
    "state_dict", "model_state_dict", "model_state", "model", "net", "network", "module",
    "weights", "params", "model_ema", "state_dict_ema", "ema",
)  # fmt: skip


def read_zip(archive):
    """name -> ndarray of the zip format (PyTorch since 1.6).

    Raises:
        WeightsError: for anything but a state dict.
    """
    return _arrays(*open_zip(archive))


def open_zip(archive):
    """What the zip format holds: a value as of ``pickles.read``, and numbers(storage), arrays."""
    main = next(name for name in archive.names if is_main(name))
    folder = main.removesuffix("data.pkl")
    if any(name.startswith(folder + "code/") for name in archive.names):
        raise WeightsError("holds a TorchScript program, not a state dict; save model.state_dict()")
    marker = folder + "byteorder"
    order = ">" if marker in archive and bytes(archive[marker]) == b"big" else "<"

    def numbers(storage):
        name = f"{folder}data/{storage.key}"
        if name not in archive:
            raise WeightsError(f"the storage {storage.key!r} is not in the file")
        return from_bytes(archive[name], storage.kind, storage.numel, order)

    return pickles.read(io.BytesIO(archive[main])), numbers


def is_main(name):
    """Whether a member of an archive is the pickle of a zip that ``torch.save`` wrote."""
    return name == "data.pkl" or (name.endswith("/data.pkl") and name.count("/") == 1)


def read_legacy(content):
    """name -> ndarray of the stream format (before PyTorch 1.6).

    Five pickles: the magic number, the format's version, how the machine keeps numbers, the
    value, the keys of the storages. Then of each storage its length (8 bytes) and its numbers.

    Raises:
        WeightsError: for anything but a state dict.
    """
    return _arrays(*open_legacy(content))


def open_legacy(content):
    """What the stream format holds, as of ``open_zip``."""
    file = Reader(content)
    if pickles.read(file) != _MAGIC:
        raise WeightsError("is a pickle that torch.save did not write")
    _, machine, value, keys = (pickles.read(file) for _ in range(4))
    names = isinstance(keys, list) and all(isinstance(key, str) for key in keys)
    if not isinstance(machine, dict) or not names:
        raise WeightsError("the stream is cut or altered")
    little = machine.get("little_endian", True)
    kinds = {t.storage.key: t.storage.kind for t in _tensors(value)}
    storages, place = {}, file.tell()
    for key in keys:
        number, place = bytes(content[place : place + 8]), place + 8
        if len(number) < 8 or key not in kinds:
            raise WeightsError(f"it is cut before the storage {key!r}")
        count = int.from_bytes(number, "little" if little else "big")
        size = count * KINDS[kinds[key]]
        storages[key] = count, content[place : place + size]
        place += size

    def numbers(storage):
        if storage.key not in storages:
            raise WeightsError(f"the storage {storage.key!r} is not in the file")
        count, part = storages[storage.key]
        array = from_bytes(part, storage.kind, count, "<" if little else ">")
        if storage.view is None:
            return array
        _, offset, numel = storage.view
        return array[offset : offset + numel]

    return value, numbers


def _tensors(tree):
    """Every tensor in a value, each once; it may be nested deeply, or in circles."""
    seen, rest = set(), [tree]
    while rest:
        value = rest.pop()
        if id(value) in seen:
            continue
        seen.add(id(value))
        if isinstance(value, TensorView):
            yield value
        elif isinstance(value, dict):
            rest.extend(value.values())
        elif isinstance(value, (list, tuple)):
            rest.extend(value)


def _arrays(value, numbers):
    """name -> ndarray of the state dict in a value; what shares a storage there, does here."""
    cache = {}

    def array(tensor):
        storage = tensor.storage
        key = storage.key, storage.kind, storage.numel, storage.view
        if key not in cache:
            cache[key] = numbers(storage)
        return view(tensor, cache[key])

    return {name: array(tensor) for name, tensor in _state_dict(value).items()}


def _state_dict(value):
    """name -> TensorView: the value itself, or what it wraps.

    Raises:
        WeightsError: if there is none, or none that is more likely than others.
    """
    if isinstance(value, dict):
        # wrappers first: beside them there may be other tensors, like the best accuracy so far
        for tree in (*map(value.get, _WRAPPERS), value):
            items = tree.items() if isinstance(tree, dict) else ()
            tensors = {k: v for k, v in items if isinstance(v, TensorView)}
            if tensors and all(isinstance(k, str) for k in tensors):
                return tensors
    what = type(value).__name__
    if isinstance(value, dict):
        names = list(map(str, value))
        what = f"dict of {', '.join(names[:6]) or 'nothing'}{', ...' if len(names) > 6 else ''}"
    elif isinstance(value, TensorView):
        what = f"single tensor of shape {list(value.size)}"
    raise WeightsError(f"holds no state dict (names and tensors), but a {what}")


def view(tensor, array):
    """The tensor's elements among those of its storage, without a copy.

    Raises:
        WeightsError: if it reaches beyond them.
    """
    if 0 in tensor.size:
        return np.empty(tensor.size, array.dtype)
    last = tensor.offset + sum((n - 1) * s for n, s in zip(tensor.size, tensor.stride))
    if last >= len(array):
        raise WeightsError(
            f"a tensor of shape {list(tensor.size)} reaches to element {last:,} of storage "
            f"{tensor.storage.key!r}, which has {len(array):,}"
        )
    # the stride along a single element is never taken, and may be anything
    strides = [s * array.itemsize if n > 1 else 0 for n, s in zip(tensor.size, tensor.stride)]
    return np.lib.stride_tricks.as_strided(array[tensor.offset :], tensor.size, strides)
