"""``save`` and ``load``: values with tensors in PyTorch's file format, without running any code."""

import os

from tinyconv.ops.shape import check_device
from tinyconv.weights import torch_writer, values
from tinyconv.weights.errors import WeightsError, damaged
from tinyconv.weights.files import write_atomically


def save(obj, f, pickle_module=None, pickle_protocol=2, _use_new_zipfile_serialization=True):
    """Write a value to a file, in the zip format of ``torch.save``.

    After a crash the old file or the new one is there, never a half of one. Tensors that share
    memory share it in the file, and when they are read again. ``torch.load`` reads the file, too.

    Args:
        obj: Tensors, arrays, numbers, texts, bytes, dtypes, None, and dicts, lists, tuples and sets
            of them, at most 200 deep: a ``state_dict()`` or a whole state of training. Keys are
            dtypes, texts, numbers below 2^63, None and short tuples of the latter.
        f: a path, or a binary file that is open for writing.
        pickle_module, pickle_protocol, _use_new_zipfile_serialization: accepted for PyTorch's
            sake; they change nothing.

    Raises:
        TypeError: for a value of another type, naming where it is; nothing is written.
        OSError: if the file cannot be written.

    >>> import pathlib, tempfile, tinyconv as tc
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     path = pathlib.Path(folder, "state.pt")
    ...     tc.save({"w": tc.arange(3), "epoch": 7}, path)
    ...     tc.load(path)
    {'w': tensor([0, 1, 2]), 'epoch': 7}
    """
    if isinstance(f, (str, os.PathLike)):
        write_atomically(f, lambda file: torch_writer.write(file, obj))
    else:
        torch_writer.write(f, obj)


def load(f, map_location=None, pickle_module=None, *, weights_only=True, mmap=None):
    """The value in a file that ``save`` or ``torch.save`` wrote. Nothing in it is executed.

    Args:
        f: a path, or a binary file that is open for reading.
        map_location: the CPU, in any of PyTorch's spellings; tensors of other devices come to it.
        weights_only: accepted for PyTorch's sake; with False, too, no code is run.
        pickle_module, mmap: accepted as well; they change nothing.

    Returns:
        the value. Half precision becomes float32. What only running code could make (paths,
        argument lists) stays a ``tinyconv.weights.pickles.Unknown`` that tells its name.

    Raises:
        OSError: if there is no such file or it cannot be read.
        WeightsError: a ValueError, for a file that is cut, altered, hostile, a whole pickled
            module or no such file at all.
    """
    if not (callable(map_location) or isinstance(map_location, dict)):
        check_device(map_location)
    if isinstance(f, (str, os.PathLike)):
        with open(f, "rb") as file:
            content, name = file.read(), os.fspath(f)
    else:
        content, name = f.read(), getattr(f, "name", "the file")
    try:
        return values.read(memoryview(bytearray(content)))
    except WeightsError as error:
        raise damaged(name, str(error)[:500]) from None
