import gzip
import struct

import numpy as np
import pytest

from tinyconv.data import ImageDataset


@pytest.fixture(autouse=True)
def own_cache(monkeypatch, tmp_path):
    """No test sees the user's cache or goes through a proxy."""
    monkeypatch.setenv("TINYCONV_CACHE", str(tmp_path / "cache"))
    for name in ("http_proxy", "HTTP_PROXY", "all_proxy", "ALL_PROXY"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("no_proxy", "127.0.0.1")


@pytest.fixture(scope="session")
def make_images():
    """Labelled random images (N, 3, 5, 7): every size another."""

    def make(n=23, transform=None):
        rng = np.random.default_rng(0)
        images = rng.integers(0, 256, (n, 3, 5, 7), dtype=np.uint8)
        return ImageDataset(images, np.arange(n) % 4, "abcd", "random", transform)

    return make


@pytest.fixture(scope="session")
def idx_bytes():
    """The bytes of an IDX file, written after the format's description."""

    def pack(array, packed=True):
        code = {"u1": 8, "i1": 9, "i2": 11, "i4": 12, "f4": 13, "f8": 14}[array.dtype.str[1:]]
        head = bytes([0, 0, code, array.ndim]) + struct.pack(f">{array.ndim}I", *array.shape)
        data = head + array.astype(array.dtype.newbyteorder(">")).tobytes()
        return gzip.compress(data, mtime=0) if packed else data

    return pack
