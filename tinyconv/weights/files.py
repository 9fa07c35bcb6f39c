"""Files of weights: read by what they hold, not by their name; written whole or not at all."""

import contextlib
import io
import os
import threading
from pathlib import Path

import numpy as np

from tinyconv.autograd import Tensor
from tinyconv.weights import keras, npz, safetensors, torch_files
from tinyconv.weights.archive import Archive, mapped
from tinyconv.weights.errors import WeightsError, damaged

_WRITERS = {".safetensors": safetensors.write, ".npz": npz.write}
_KERAS = "model.weights.h5"  # in a .keras archive
_HDF5 = b"\x89HDF\r\n\x1a\n"
_LONGEST = 500  # of what is told of a file, which may have chosen the words
#: what wrapping a network in another module writes before every name
_PREFIXES = ("_orig_mod.", "module.", "_orig_mod.")  # in either order


def load_file(path):
    """The arrays in a file of weights, by name; which kind of file it is, its first bytes tell.

    safetensors, ``.npz``, PyTorch's ``.pth`` and ``.pt`` (both kinds; nothing in them is
    executed) and Keras' ``.h5``, whose arrays are turned to this library's layout. A prefix
    ``module.`` that all names share, left by data-parallel training, is taken off.

    Args:
        path: the file.

    Returns:
        dict name -> ndarray, in the file's order. float16 and bfloat16 become float32; all else
        keeps its dtype. Arrays lie in the mapped file where that is possible: writing into them
        does not change it, but it must not be cut while they are in use.

    Raises:
        WeightsError: if there is no such file, it is cut, altered or hostile, or of another
            kind; the message begins with its name.

    >>> import pathlib, tempfile, numpy as np
    >>> from tinyconv.weights import load_file, save_file
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     file = pathlib.Path(folder, "a.safetensors")
    ...     save_file({"fc.bias": np.arange(3)}, file)
    ...     load_file(file)
    {'fc.bias': array([0, 1, 2])}
    """
    content = mapped(path)
    try:
        state = _read(path, content)
    except WeightsError as error:
        if str(error).startswith(f"{path}:"):
            raise
        raise damaged(path, str(error)[:_LONGEST]) from None
    if not state:
        raise damaged(path, "holds no array")
    for prefix in _PREFIXES:
        if all(name.startswith(prefix) for name in state):
            state = {name.removeprefix(prefix): array for name, array in state.items()}
    return state


def _read(path, content):
    begin = bytes(content[:16])
    if begin.startswith(b"PK"):
        archive = Archive(content)
        if any(map(torch_files.is_main, archive.names)):
            return torch_files.read_zip(archive)
        if any(name.endswith(".npy") for name in archive.names):
            return npz.read(archive)
        if _KERAS in archive:
            packed = archive[_KERAS]
            plan = bytes(archive["config.json"]) if "config.json" in archive else None
            return keras.read(io.BytesIO(packed), len(packed), plan)
        inside = ", ".join(archive.names[:3])
        raise WeightsError(f"is a zip archive, but not of weights: it holds {inside or 'nothing'}")
    if begin.startswith(_HDF5):
        return keras.read(path, len(content))
    if safetensors.is_safetensors(content):
        return safetensors.read(content)
    if begin.startswith(b"\x80"):
        return torch_files.read_legacy(content)
    raise WeightsError(f"is no file of weights: {_guess(begin)}")


def is_keras(path):
    """Whether a file that ``load_file`` reads is one of Keras', whose names are arbitrary."""
    content = mapped(path)
    begin = bytes(content[: len(_HDF5)])
    return begin == _HDF5 or (begin.startswith(b"PK") and _KERAS in Archive(content))


def _guess(begin):
    """What a file with these first bytes rather is."""
    for what, start in (
        ("a page or text, perhaps of a failed download", b"<"),
        ("a note of Git LFS in place of the file; fetch it with `git lfs pull`", b"version https"),
        ("a packed file; unpack it first", b"\x1f\x8b"),
        ("a picture", b"\xff\xd8\xff"),
        ("a picture", b"\x89PNG"),
        ("a single array; save several with np.savez", b"\x93NUMPY"),
    ):
        if begin.startswith(start):
            return f"it looks like {what}"
    return f"it begins with {begin[:8]!r}; safetensors, .npz, .pth, .pt and .h5 (Keras) are read"


def save_file(state, path):
    """Write arrays by name to ``.safetensors`` or ``.npz``; the name's end tells which.

    After a crash the old file or the new one is there, never a half of one.

    Args:
        state: dict name -> Tensor or array, like ``model.state_dict()``.
        path: the file; its folder must exist.

    Raises:
        WeightsError: for another ending, an entry that is no array of numbers, or a file that
            cannot be written.
    """
    path = Path(path)
    writer = _WRITERS.get(path.suffix)
    if writer is None:
        raise WeightsError(f"{path}: give a name that ends in {' or '.join(_WRITERS)}")
    arrays = {}
    for name, value in state.items():
        array = value.array if isinstance(value, Tensor) else np.asarray(value)
        if not isinstance(name, str) or array.dtype.kind not in "fiub":
            raise WeightsError(
                f"{path}: the entry {name!r} is {type(value).__name__} of dtype {array.dtype}; "
                "names are texts and values arrays of numbers"
            )
        arrays[name] = array
    try:
        write_atomically(path, lambda file: writer(file, arrays))
    except OSError as error:
        raise WeightsError(f"{path}: cannot be written ({error.strerror or error})") from None


def write_atomically(path, write, part=None):
    """Make a file by ``write(file)`` under another name, and rename it when it is on the disk.

    Args:
        path: the file.
        write: called with the open file.
        part: the other name, in the same folder (default: one that no other thread takes).

    Raises:
        OSError: if it cannot be written; an older file stays as it was.
    """
    path = Path(path)
    part = path.with_name(part or f".{path.name}.{os.getpid()}.{threading.get_ident()}.part")
    try:
        with open(part, "wb") as file:
            write(file)
            file.flush()
            os.fsync(file.fileno())
        os.replace(part, path)
        _sync_folder(path.parent)
    finally:
        with contextlib.suppress(OSError):
            part.unlink(missing_ok=True)


def _sync_folder(folder):
    """Bring the renaming itself to the disk, where the system can."""
    with contextlib.suppress(OSError):
        handle = os.open(folder, os.O_RDONLY)
        try:
            os.fsync(handle)
        finally:
            os.close(handle)
