"""Values of any form, with tensors in them, from PyTorch's files: no code is run."""

import numpy as np

from tinyconv.autograd import Tensor
from tinyconv.nn import Parameter
from tinyconv.ops.shape import device_type
from tinyconv.weights import torch_files
from tinyconv.weights.archive import Archive
from tinyconv.weights.errors import WeightsError
from tinyconv.weights.pickles import TensorView, Unknown


def read(content):
    """The value in the bytes of a file that ``torch.save`` or ``torch_writer.write`` made.

    Args:
        content: a writable memoryview; the tensors lie in it.

    Returns:
        the value; tensors share memory where they did. Of what only Python could make (paths,
        argument lists) the ``Unknown`` remains.

    Raises:
        WeightsError: for a file that is cut, altered, hostile or something else.
    """
    if bytes(content[:2]) == b"PK":
        archive = Archive(content)
        if not any(map(torch_files.is_main, archive.names)):
            raise WeightsError("is a zip archive, but none of torch.save or tinyconv.save")
        value, numbers = torch_files.open_zip(archive)
    elif bytes(content[:1]) == b"\x80":
        value, numbers = torch_files.open_legacy(content)
    else:
        raise WeightsError(
            f"is no file of torch.save or tinyconv.save: it begins with {bytes(content[:8])!r}"
        )
    try:
        return _Builder(numbers).built(value)
    except RecursionError:
        raise WeightsError("its lists and dicts are nested too deeply") from None


_MADE = (dict, list, tuple, set, frozenset, TensorView, Unknown)


class _Builder:
    """Turns what was read into what was meant; what was one object stays one."""

    def __init__(self, numbers):
        self.numbers = numbers
        self.storages, self.done = {}, {}

    def built(self, value):
        if isinstance(value, _MADE):
            if id(value) not in self.done:
                # beside what was read, so that its id is not taken again
                self.done[id(value)] = self._build(value), value
            return self.done[id(value)][0]
        return value

    def _build(self, value):
        if isinstance(value, TensorView):
            return self._tensor(value)
        if isinstance(value, Unknown):
            return _named(value)
        if isinstance(value, (tuple, set, frozenset)):
            return type(value)(self.built(v) for v in value)
        self.done[id(value)] = value, value  # it may hold itself
        if isinstance(value, list):
            value[:] = [self.built(v) for v in value]
        else:
            items = [(self.built(k), self.built(v)) for k, v in value.items()]
            value.clear()
            value.update(items)
        return value

    def _tensor(self, found):
        storage = found.storage
        key = storage.key, storage.kind, storage.numel, storage.view
        if key not in self.storages:
            self.storages[key] = Tensor(self.numbers(storage))
        root = self.storages[key]
        array = torch_files.view(found, root.array)
        if found.what == "array":
            return array
        tensor = root._alias(array)
        if found.what == "parameter":
            return Parameter(tensor, found.grad)
        return tensor.requires_grad_() if found.grad else tensor


def _named(unknown):
    """What a name stands for, if it is a dtype or device; else the ``Unknown`` itself."""
    module, _, name = unknown.name.partition(" ")
    if unknown.name == "torch device":
        return device_type("cpu")
    if module == "torch" and name in ("bool", "uint8", "int8", "int16", "int32", "int64",
                                      "float32", "float64"):  # fmt: skip
        return np.dtype(name)
    return unknown
