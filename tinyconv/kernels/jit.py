"""How kernels are compiled: the one place for Numba's options, cache and messages."""

import contextlib
import hashlib
import os
import pickle
import sys
import tempfile
import time
from pathlib import Path

import numba
import numpy as np
from numba.core import event
from numba.core.caching import (
    CompileResultCacheImpl,
    FunctionCache,
    IndexDataCacheFile,
    _CacheLocator,
)

#: sums may be reordered (so that they vectorise) and multiply-adds fused; NaN and
#: infinity keep their meaning, so never 'nnan', 'ninf' or True
FASTMATH = {"contract", "reassoc", "nsz"}
_OPTIONS = dict(
    nogil=True, error_model="numpy", boundscheck=False, fastmath=FASTMATH, no_cfunc_wrapper=True
)  # fmt: skip
#: what no one calls from Python needs no door from there: a tenth of its compile time
_PART = dict(_OPTIONS, no_cpython_wrapper=True)


def kernel(function):
    """Compile an entry point: on the first call for each dtype, then from the cache."""
    dispatcher = numba.njit(**_OPTIONS)(function)
    if cache_folder() is not None:
        dispatcher._cache = _KernelCache(function)
    return dispatcher


def part(function):
    """Compile a helper into every kernel that calls it."""
    return numba.njit(**_PART)(function)


def inlined(function):
    """A ``part`` that is copied into every call, where constants that it is given stay constants:
    a loop of three steps becomes three steps."""
    return numba.njit(forceinline=True, **_PART)(function)


def plain(array):
    """``array`` C-contiguous and writeable: the one layout that kernels are compiled for."""
    if array.flags.carray and array.ndim:
        return array
    array = np.ascontiguousarray(array)
    return array if array.flags.writeable else array.copy()


# -- the cache ----------------------------------------------------------------------------
def _stamp():
    """Changes with any kernel source and with Numba: helpers live in other files than their
    callers, which Numba's own stamp (one file's content) would not notice."""
    digest = hashlib.sha256(numba.__version__.encode())
    for path in sorted(Path(__file__).parent.glob("*.py")):
        digest.update(path.name.encode())
        digest.update(path.read_bytes())
    return digest.hexdigest()[:16]


_folder = ()  # not looked for yet; None: no folder can be written


def cache_folder():
    """The folder of compiled kernels, or None where none can be written.

    ``TINYCONV_KERNEL_CACHE``, else ``$XDG_CACHE_HOME/tinyconv/kernels`` (``~/.cache``); the
    package folder itself may be read-only.
    """
    global _folder
    if _folder == ():
        base = os.environ.get("TINYCONV_KERNEL_CACHE")
        if not base:
            home = os.environ.get("XDG_CACHE_HOME") or os.path.join(
                os.path.expanduser("~"), ".cache"
            )
            base = os.path.join(home, "tinyconv", "kernels")
        folder = Path(base) / _stamp()
        try:
            folder.mkdir(parents=True, exist_ok=True)
            with tempfile.TemporaryFile(dir=folder):
                pass
            _folder = folder
        except OSError:
            _folder = None
    return _folder


class _Locator(_CacheLocator):
    def __init__(self, line):
        self._line = line

    @classmethod
    def from_function(cls, function, file):
        return cls(function.__code__.co_firstlineno)

    def get_cache_path(self):
        return str(cache_folder())

    def get_source_stamp(self):
        return "1"  # the folder's name tells versions apart

    def get_disambiguator(self):
        return str(self._line)


class _KernelCacheImpl(CompileResultCacheImpl):
    _locator_classes = [_Locator]  # type: ignore[list-item]


class _CacheFile(IndexDataCacheFile):
    """A function's index and machine code, with a checksum: damage is a miss, never run."""

    def _load_index(self):
        try:
            return super()._load_index()
        except Exception:  # whatever unpickling garbage may raise
            return {}

    def _save_data(self, name, data):
        code = self._dump(data)
        with self._open_for_write(self._data_path(name)) as file:
            file.write(hashlib.sha256(code).digest() + code)

    def _load_data(self, name):
        content = Path(self._data_path(name)).read_bytes()
        if hashlib.sha256(content[32:]).digest() != content[:32]:
            raise OSError(f"{name} is damaged")  # which Numba takes for a missing file
        return pickle.loads(content[32:])


class _KernelCache(FunctionCache):
    """Numba's cache, made safe for several processes that start at once, and for damage."""

    _impl_class = _KernelCacheImpl

    def __init__(self, function):
        super().__init__(function)
        self._cache_file = _CacheFile(self._cache_path, self._impl.filename_base, "1")

    def save_overload(self, sig, data):
        # Numba reads, changes and writes a function's index without a lock, so of two
        # processes one could end up with the other's code under its own signature
        with contextlib.suppress(OSError), _locked(cache_folder() / "lock"):
            super().save_overload(sig, data)


@contextlib.contextmanager
def _locked(path):
    try:
        import fcntl  # POSIX only
    except ImportError:
        yield
        return
    with open(path, "a") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield  # closing the file lets go of the lock


# -- what the user is told ---------------------------------------------------------------
class _CompileWatch(event.Listener):
    """Adds up compile time, and says once what the wait is about."""

    def __init__(self):
        self.seconds = 0.0
        self.kernels = 0
        self._depth = 0

    def on_start(self, _):
        if self._depth == 0:
            self._began = time.perf_counter()
            if self.kernels == 0 and not os.environ.get("TINYCONV_QUIET"):
                kept = "kept for later starts" if cache_folder() else "cache folder not writable"
                print(
                    f"tinyconv: compiling kernels for this processor ({kept}) ...",
                    file=sys.stderr,
                    flush=True,
                )
        self._depth += 1

    def on_end(self, _):
        self._depth -= 1
        if self._depth == 0:
            self.seconds += time.perf_counter() - self._began
            self.kernels += 1


watch = _CompileWatch()
event.register("numba:compile", watch)
