"""NumPy's archives: a zip with one ``.npy`` file for each array."""

import io
import math
import tokenize
import zipfile

import numpy as np
from numpy.lib import format as npy

from tinyconv.weights.arrays import is_shape, plain
from tinyconv.weights.errors import WeightsError

_HEADERS = {(1, 0): npy.read_array_header_1_0, (2, 0): npy.read_array_header_2_0}
_LONGEST = 2**16  # of a header
#: what NumPy raises for a header that is none, however deeply nested
_SENSELESS = (
    ValueError, TypeError, SyntaxError, EOFError, RecursionError, MemoryError, tokenize.TokenError,
)  # fmt: skip
_LONGEST_NAME = 65_000
_RUN = "weights/"  # under which a checkpoint of a run has them, beside the optimiser's numbers


def read(archive):
    """name -> ndarray; what ``np.savez`` left uncompressed is used where it lies.

    Of a checkpoint of a training run, which is such an archive, the weights alone are read.

    Raises:
        WeightsError: for arrays of objects, or with more or fewer bytes than announced.
    """
    names = [name for name in archive.names if name.endswith(".npy")]
    run = "json.npy" in names and [name for name in names if name.startswith(_RUN)]
    return {
        name.removeprefix(_RUN if run else "").removesuffix(".npy"): _array(name, archive[name])
        for name in run or names
    }


def _array(name, content):
    file = io.BytesIO(bytes(content[:_LONGEST]))
    try:
        version = npy.read_magic(file)
        if version not in _HEADERS:
            raise ValueError(f"version {version}")
        shape, fortran, dtype = _HEADERS[version](file)
    except _SENSELESS as error:
        raise WeightsError(f"{name!r} in it is no array ({str(error)[:80]})") from None
    if dtype.hasobject:
        raise WeightsError(f"{name!r} is an array of Python objects: only numbers are read")
    if dtype.subdtype or not dtype.itemsize or not is_shape(shape):
        raise WeightsError(f"{name!r} has a dtype or a shape that no array has")
    numbers = content[file.tell() :]
    if math.prod(shape) * dtype.itemsize != len(numbers):
        raise WeightsError(f"{name!r} of shape {shape} has {len(numbers):,} bytes")
    array = np.frombuffer(numbers, dtype, math.prod(shape))
    return plain(array.reshape(shape, order="F" if fortran else "C"))


def write(file, state):
    """Write name -> ndarray as ``np.savez`` does; ``file`` is a name like others.

    Raises:
        WeightsError: for a name that zip archives do not have.
    """
    with zipfile.ZipFile(file, "w", zipfile.ZIP_STORED) as archive:
        for name, array in state.items():
            if "\0" in name or len(name.encode()) > _LONGEST_NAME:
                raise WeightsError(f"a zip archive cannot hold the name {name[:80]!r}")
            with archive.open(f"{name}.npy", "w", force_zip64=True) as member:
                npy.write_array(member, np.asanyarray(array), allow_pickle=False)
