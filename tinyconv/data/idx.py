"""Readers for the files that MNIST, Fashion-MNIST (IDX) and CIFAR-10 (binary) come in.

Each refuses a file that is cut, altered or not what it should be, in one sentence that names the
file, what is wrong and what to do. Nothing is unpickled.
"""

import gzip
import math
import struct
import zlib
from pathlib import Path, PurePosixPath

import numpy as np

_DTYPES = {0x08: ">u1", 0x09: ">i1", 0x0B: ">i2", 0x0C: ">i4", 0x0D: ">f4", 0x0E: ">f8"}
_MOST_DIMS = 32  # what every NumPy can hold; the data sets have 1 or 3
_CUT_OR_ALTERED = (EOFError, gzip.BadGzipFile, zlib.error)
_GZIP_MAGIC = b"\x1f\x8b"

CIFAR_SHAPE = (3, 32, 32)
_RECORD = 1 + math.prod(CIFAR_SHAPE)

DOWNLOAD_AGAIN = "delete it and download it again"


def damaged(path, what, remedy=DOWNLOAD_AGAIN):
    """The ValueError that says which file is wrong, what is wrong, and what to do."""
    return ValueError(f"{path}: {what}; {remedy}")


def read_bytes(path, remedy=DOWNLOAD_AGAIN):
    """The bytes of a file, unpacked (and its CRC checked) if it is gzip.

    Raises:
        FileNotFoundError: if there is no such file.
        ValueError: if the gzip data is cut or altered.
    """
    data = Path(path).read_bytes()
    if not data.startswith(_GZIP_MAGIC):
        return data
    try:
        return gzip.decompress(data)
    except _CUT_OR_ALTERED as error:
        raise damaged(path, f"is cut or altered ({error})", remedy) from None


def read_idx(path, shape=None, remedy=DOWNLOAD_AGAIN):
    """Read an IDX file, gzip or raw: the format of MNIST.

    Two zero bytes, one for the type, one for the number of dimensions, each dimension as a
    big-endian uint32, then the values, big-endian, the last dimension fastest
    (LeCun, Cortes and Burges, "The MNIST database", file formats).

    Args:
        path: the file.
        shape: the shape that it must have (default: any).
        remedy: the end of the error messages.

    Returns:
        ndarray of the file's shape and type, in the machine's byte order.

    Raises:
        FileNotFoundError: if there is no such file.
        ValueError: if it is cut, altered, no IDX file, or of another shape.

    >>> import pathlib, tempfile
    >>> from tinyconv.data import read_idx
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     file = pathlib.Path(folder, "two.idx")
    ...     _ = file.write_bytes(bytes([0, 0, 8, 1, 0, 0, 0, 2, 7, 9]))
    ...     read_idx(file)
    array([7, 9], dtype=uint8)
    """
    return parse_idx(read_bytes(path, remedy), path, shape, remedy)


def parse_idx(data, path, shape=None, remedy=DOWNLOAD_AGAIN):
    """``read_idx`` of bytes already read from ``path``."""
    if len(data) < 4 or data[:2] != b"\0\0" or data[2] not in _DTYPES or data[3] > _MOST_DIMS:
        what = f"is no IDX file: it begins with {data[:4].hex(' ') or 'nothing'}, not with 00 00,"
        raise damaged(path, f"{what} a type (08 for bytes) and a dimension count", remedy)
    dtype, ndim = np.dtype(_DTYPES[data[2]]), data[3]
    begin = 4 + 4 * ndim
    if len(data) < begin:
        raise damaged(path, f"is cut: {len(data)} bytes, its header alone has {begin}", remedy)
    found = struct.unpack(f">{ndim}I", data[4:begin])
    expected = begin + dtype.itemsize * math.prod(found)
    if len(data) != expected:
        what = f"has {len(data)} bytes, but its header ({_times(found)}) announces {expected}"
        raise damaged(path, what, remedy)
    if shape is not None and found != tuple(shape):
        raise damaged(path, f"holds {_times(found)} values where {_times(shape)} belong", remedy)
    values = np.frombuffer(data, dtype, offset=begin).reshape(found)
    return values.astype(dtype.newbyteorder("="), copy=False)


def _times(shape):
    return "x".join(map(str, shape)) or "a single number"


def read_cifar10(path, train=True, records=10_000):
    """Read CIFAR-10's binary version, from its .tar.gz or a folder with its .bin files.

    Each file holds records of 3073 bytes: the label, then 1024 red, 1024 green and 1024 blue
    values, row by row (Krizhevsky, "The CIFAR-10 dataset", binary version).

    Args:
        path: the archive, or the folder.
        train: ``data_batch_1.bin`` to ``data_batch_5.bin`` (default) or ``test_batch.bin``.
        records: how many each file must hold.

    Returns:
        images: uint8 (N, 3, 32, 32); labels: int64 (N,).

    Raises:
        FileNotFoundError: if the path or one of the files is missing.
        ValueError: if a file is cut, altered, or has a label above 9.

    >>> import pathlib, tempfile
    >>> from tinyconv.data import read_cifar10
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     _ = pathlib.Path(folder, "test_batch.bin").write_bytes(bytes(3073))
    ...     images, labels = read_cifar10(folder, train=False, records=1)
    >>> images.shape, labels
    ((1, 3, 32, 32), array([0]))
    """
    path = Path(path)
    names = cifar10_files(train)
    if path.is_dir():
        members = {name: (path / name).read_bytes() for name in names}
    else:
        members = _read_members(path, names)
    images, labels = [], []
    for name in names:
        where = path / name if path.is_dir() else f"{path} ({name})"
        data = members[name]
        if len(data) != records * _RECORD:
            what = f"has {len(data)} bytes, not {records} records of {_RECORD}"
            raise damaged(where, what)
        table = np.frombuffer(data, np.uint8).reshape(records, _RECORD)
        if table[:, 0].max(initial=0) > 9:
            raise damaged(where, f"has the label {table[:, 0].max()}, the largest is 9")
        labels.append(table[:, 0])
        images.append(table[:, 1:].reshape(records, *CIFAR_SHAPE))
    return np.concatenate(images), np.concatenate(labels).astype(np.int64)


def cifar10_files(train):
    """The names of the files of one half of CIFAR-10."""
    return [f"data_batch_{k}.bin" for k in range(1, 6)] if train else ["test_batch.bin"]


def _read_members(path, names):
    """The named files out of a .tar.gz, in memory, by their last name only."""
    import tarfile  # here to keep the package's start-up light

    members = {}
    try:
        # as a stream to the very end, so that gzip's CRC is checked too
        with gzip.open(path) as stream:
            with tarfile.open(fileobj=stream, mode="r|") as archive:
                for member in archive:
                    name = PurePosixPath(member.name).name
                    if name in names and member.isfile():
                        members[name] = archive.extractfile(member).read()
            while stream.read(1 << 20):
                pass
    except (*_CUT_OR_ALTERED, tarfile.TarError) as error:
        raise damaged(path, f"is cut, altered or no .tar.gz ({error})") from None
    missing = [name for name in names if name not in members]
    if missing:
        raise damaged(path, f"has no {', '.join(missing)}; it is not CIFAR-10's binary version")
    return members
