import gzip
import io
import tarfile

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tinyconv.data import read_cifar10, read_idx

VALUES = np.arange(24, dtype=np.uint8).reshape(2, 3, 4)


@pytest.fixture
def write(tmp_path):
    def write(data, name="file"):
        path = tmp_path / name
        path.write_bytes(data)
        return path

    return write


@pytest.mark.parametrize("packed", [True, False])
@pytest.mark.parametrize("dtype", ["u1", "i1", "i2", "i4", "f4", "f8"])
def test_reads_what_was_written(write, idx_bytes, dtype, packed):
    found = read_idx(write(idx_bytes(VALUES.astype(dtype), packed)))
    assert found.dtype == np.dtype(dtype)
    assert found.dtype.isnative
    np.testing.assert_array_equal(found, VALUES)


def test_reads_an_empty_array(write, idx_bytes):
    assert read_idx(write(idx_bytes(VALUES[:0]))).shape == (0, 3, 4)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda d: b"", "is no IDX file: it begins with nothing"),
        (lambda d: b"<htm" + d[4:], "is no IDX file: it begins with 3c 68 74 6d"),
        (lambda d: d[:2] + b"\x07" + d[3:], "is no IDX file"),
        (lambda d: d[:3] + b"\xff" + d[4:], "is no IDX file"),
        (lambda d: d[:10], "is cut: 10 bytes, its header alone has 16"),
        (lambda d: d[:-1], r"has 39 bytes, but its header \(2x3x4\) announces 40"),
        (lambda d: d + b"\0", "has 41 bytes"),
        (lambda d: gzip.compress(d)[:-9], "is cut or altered"),
        (lambda d: gzip.compress(d)[:7], "is cut or altered"),
        (lambda d: gzip.compress(d) + b"more", "is cut or altered"),
    ],
)
def test_refuses_in_one_sentence(write, idx_bytes, change, message):
    path = write(change(idx_bytes(VALUES, packed=False)))
    with pytest.raises(ValueError, match=message) as error:
        read_idx(path)
    text = str(error.value)
    assert text.startswith(str(path))
    assert text.endswith("delete it and download it again")
    assert "\n" not in text


def test_wrong_count(write, idx_bytes):
    path = write(idx_bytes(VALUES))
    assert read_idx(path, shape=(2, 3, 4)).shape == (2, 3, 4)
    with pytest.raises(ValueError, match="holds 2x3x4 values where 5x3x4 belong"):
        read_idx(path, shape=(5, 3, 4))


def test_missing_file(tmp_path):
    with pytest.raises(FileNotFoundError, match="nothing-here"):
        read_idx(tmp_path / "nothing-here")


@settings(deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(bit=st.integers(0), cut=st.integers(0), packed=st.booleans())
def test_no_cut_and_no_flipped_bit_gives_wrong_values(write, idx_bytes, bit, cut, packed):
    whole = idx_bytes(VALUES, packed)
    with pytest.raises(ValueError):
        read_idx(write(whole[: cut % len(whole)]))
    flipped = bytearray(whole)
    flipped[bit // 8 % len(whole)] ^= 1 << bit % 8
    try:
        found = read_idx(write(bytes(flipped)), shape=VALUES.shape)
    except ValueError:
        return
    # gzip's own header has bits without a meaning; a raw file has nothing to check values by
    assert np.array_equal(found, VALUES) or not packed


# -- CIFAR-10 -------------------------------------------------------------------------------

RECORDS = 3


@pytest.fixture(scope="module")
def cifar_files():
    rng = np.random.default_rng(0)
    table = rng.integers(0, 256, (6, RECORDS, 3073), dtype=np.uint8)
    table[:, :, 0] %= 10
    names = [f"data_batch_{k}.bin" for k in range(1, 6)] + ["test_batch.bin"]
    return table, {name: rows.tobytes() for name, rows in zip(names, table, strict=True)}


def make_archive(files):
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w:gz") as archive:
        for name, content in files.items():
            member = tarfile.TarInfo(f"cifar-10-batches-bin/{name}")
            member.size = len(content)
            archive.addfile(member, io.BytesIO(content))
    return buffer.getvalue()


@pytest.mark.parametrize("train", [True, False])
@pytest.mark.parametrize("packed", [True, False])
def test_cifar_archive_and_folder(write, tmp_path, cifar_files, train, packed):
    table, files = cifar_files
    if packed:
        place = write(make_archive({"readme.html": b"hello", **files}))
    else:
        place = tmp_path
        for name, content in files.items():
            write(content, name)
    images, labels = read_cifar10(place, train, RECORDS)
    rows = (table[:5] if train else table[5:]).reshape(-1, 3073)
    assert images.dtype == np.uint8
    assert labels.dtype == np.int64
    np.testing.assert_array_equal(labels, rows[:, 0])
    np.testing.assert_array_equal(
        images[4 % len(rows), 1, 2, 5], rows[4 % len(rows), 1 + 1024 + 69]
    )
    np.testing.assert_array_equal(images.reshape(len(rows), -1), rows[:, 1:])


def test_cifar_refuses(write, tmp_path, cifar_files):
    _, files = cifar_files
    whole = make_archive(files)

    def refused(data, message, records=RECORDS):
        path = write(data, "cifar.tar.gz")
        with pytest.raises(ValueError, match=message) as error:
            read_cifar10(path, False, records)
        assert str(error.value).startswith(str(path))
        assert str(error.value).endswith("delete it and download it again")

    refused(whole[: len(whole) // 2], "is cut, altered or no .tar.gz")
    refused(whole[:-3], "is cut, altered or no .tar.gz")
    refused(b"<html>not found</html>", "is cut, altered or no .tar.gz")
    refused(gzip.compress(b"no archive"), "is cut, altered or no .tar.gz")
    refused(make_archive({"data_batch_1.bin": b""}), "has no test_batch.bin")
    refused(whole, "has 9219 bytes, not 4 records of 3073", records=4)
    refused(make_archive({"test_batch.bin": b"\x0b" * 3073}), "has the label 11", records=1)
    crc = bytearray(whole)
    crc[-8] ^= 1
    refused(bytes(crc), "is cut, altered or no .tar.gz")
    with pytest.raises(FileNotFoundError):
        read_cifar10(tmp_path / "none.tar.gz")
    with pytest.raises(FileNotFoundError):
        read_cifar10(tmp_path)
