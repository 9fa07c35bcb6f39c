"""Files mapped into memory, and zip archives read from there without a copy.

A mapped file costs no memory until its numbers are looked at, and then once: what lies in the
archive uncompressed, as PyTorch and ``np.savez`` leave it, is used where it lies. The mapping
is private: who writes into such an array changes neither the file nor anyone else's array.
"""

import mmap
import os
import zipfile
import zlib

from tinyconv.weights.errors import WeightsError, damaged

_NAME_LENGTHS = slice(26, 30)  # of the name and of the extra field, in a member's own header
_HEADER = 30


def mapped(path):
    """The bytes of a file as a writable memoryview; nothing is read yet.

    Raises:
        WeightsError: if there is no such file, it is empty, or cannot be read.
    """
    if os.path.exists(path) and not os.path.isfile(path):  # a pipe would be waited for
        kind = "a folder" if os.path.isdir(path) else "a pipe or device"
        raise WeightsError(f"{path}: is {kind}, not a file of weights")
    try:
        with open(path, "rb") as file:
            return memoryview(mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_COPY))
    except FileNotFoundError:
        raise WeightsError(f"{path}: there is no such file") from None
    except ValueError:
        raise damaged(path, "the file is empty") from None
    except OSError as error:
        raise WeightsError(f"{path}: cannot be read ({error.strerror})") from None


def is_bomb(announced, size):
    """Whether a file of ``size`` bytes announces too many to be believed."""
    return announced > 2**30 and announced > 100 * size


class Archive:
    """A zip file: ``names`` in their order, ``archive[name]`` the bytes of one.

    Raises:
        WeightsError: for a file that is cut or altered, is encrypted, or would unpack to far
            more than it is.
    """

    def __init__(self, content):
        self._content = content
        try:
            self._file = zipfile.ZipFile(Reader(content))
        except (zipfile.BadZipFile, ValueError, NotImplementedError, EOFError) as error:
            raise WeightsError(f"the archive is cut or altered ({error})") from None
        self._members = {info.filename: info for info in self._file.infolist()}
        total = sum(info.file_size for info in self._members.values())
        if is_bomb(total, len(content)):
            raise WeightsError(
                f"{len(content):,} bytes that unpack to {total:,} are no file of weights"
            )
        self.names = list(self._members)

    def __contains__(self, name):
        return name in self._members

    def __getitem__(self, name):
        info = self._members[name]
        try:
            return self._read(info)
        except (zipfile.BadZipFile, zlib.error, RuntimeError, ValueError, EOFError) as error:
            raise WeightsError(f"{name!r} in it is cut or altered ({error})") from None

    def _read(self, info):
        if info.flag_bits & 1:
            raise RuntimeError("it is encrypted")
        if info.compress_type == zipfile.ZIP_DEFLATED:
            with self._file.open(info) as member:  # no more than announced is unpacked
                return memoryview(bytearray(member.read(info.file_size)))  # checks its checksum
        if info.compress_type != zipfile.ZIP_STORED:
            raise RuntimeError(f"it is compressed in way {info.compress_type}")
        start = max(info.header_offset, 0)
        header = bytes(self._content[start : start + _HEADER])
        lengths = header[_NAME_LENGTHS]
        if header[:4] != b"PK\3\4":
            raise ValueError("there is no member where one should be")
        start += _HEADER + int.from_bytes(lengths[:2], "little")
        start += int.from_bytes(lengths[2:], "little")
        content = self._content[start : start + info.file_size]
        if len(content) != info.file_size or info.compress_size != info.file_size:
            raise ValueError(f"{info.file_size:,} bytes are announced")
        # PyTorch can be told to leave the checksum out; it is 0 then
        if info.CRC and zlib.crc32(content) != info.CRC:
            raise ValueError("its checksum is wrong")
        return content


class Reader:
    """Mapped bytes as an open file, of which only what is read is copied."""

    def __init__(self, content):
        self._content, self._place = content, 0

    def seekable(self):
        return True

    def tell(self):
        return self._place

    def seek(self, offset, whence=0):
        start = (0, self._place, len(self._content))[whence]
        if start + offset < 0:
            raise ValueError("a place before the beginning")
        self._place = start + offset
        return self._place

    def read(self, count=-1):
        end = len(self._content) if count is None or count < 0 else self._place + count
        part = bytes(self._content[self._place : end])
        self._place += len(part)
        return part

    def readline(self, longest=2**16):
        """Up to the next end of a line."""
        start, part = self._place, self.read(longest)
        end = part.find(b"\n") + 1 or len(part)
        self._place = start + end
        return part[:end]
