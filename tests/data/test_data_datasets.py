import doctest
import gzip
import hashlib
import importlib
import pkgutil
import shutil
from pathlib import Path

import numpy as np
import pytest

import tinyconv.data
from tinyconv.data import DownloadError, available, cache_folder, datasets, load

BUNDLED = Path(tinyconv.data.__file__).parent / "digits"
DEBIAN = Path("/usr/share/datasets/fashion-mnist")


# -- the bundled digits -------------------------------------------------------------------


@pytest.fixture(scope="module")
def digits():
    return load("digits"), load("digits", train=False)


def test_digits_count_and_types(digits):
    for half, n in zip(digits, (8500, 1500), strict=True):
        assert len(half) == n
        assert half.images.shape == (n, 1, 28, 28)
        assert half.images.dtype == np.uint8
        assert half.labels.dtype == np.int64
        assert half.classes == tuple("0123456789")


def test_digits_are_stratified(digits):
    train, test = (np.bincount(half.labels) for half in digits)
    assert (train + test).sum() == 10_000
    assert np.abs(test - 0.15 * (train + test)).max() < 1


def test_digits_halves_are_disjoint_and_shuffled(digits):
    rows = [{image.tobytes() for image in half.images} for half in digits]
    assert len(rows[0] | rows[1]) == 10_000
    for half in digits:
        for part in np.array_split(half.labels, 10):
            assert np.bincount(part, minlength=10).min() >= len(part) / 30, "no run of a class"


def test_digits_look_like_digits(digits):
    """A nearest class mean is right for most: labels belong to their images."""
    train, test = ((half.images.reshape(len(half), -1) / 255.0, half.labels) for half in digits)
    means = np.stack([train[0][train[1] == k].mean(0) for k in range(10)])
    distance = (means**2).sum(1) - 2 * test[0] @ means.T
    assert (distance.argmin(1) == test[1]).mean() > 0.75


def test_digits_constants(digits):
    assert_constants(digits[0])


def assert_constants(images):
    scaled = images.images.astype(np.float64) / 255
    np.testing.assert_allclose(images.mean, scaled.mean((0, 2, 3)), atol=5.1e-5)
    np.testing.assert_allclose(images.std, scaled.std((0, 2, 3)), atol=5.1e-5)


def test_digits_files_are_the_documented_ones():
    source = (BUNDLED / "SOURCE.md").read_text(encoding="utf-8")
    files = sorted(BUNDLED.glob("*.gz"))
    assert len(files) == 4
    for file in files:
        packed = file.read_bytes()
        assert packed[4:8] == bytes(4), "no time in the gzip header"
        for content in (packed, gzip.decompress(packed)):
            assert hashlib.sha256(content).hexdigest() in source
    assert sum(file.stat().st_size for file in files) < 1_700_000


@pytest.fixture
def own_digits(monkeypatch, tmp_path):
    folder = shutil.copytree(BUNDLED, tmp_path / "digits")
    source = datasets._SOURCES["digits"]._replace(folders=(str(folder),))
    monkeypatch.setitem(datasets._SOURCES, "digits", source)
    return folder


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda d: d[:-4], "is cut or altered"),
        (lambda d: d[:100_000] + bytes([d[100_000] ^ 1]) + d[100_001:], "is cut or altered"),
        (lambda d: altered(d), r"altered values \(sha256\)"),
    ],
)
def test_damaged_digits_are_noticed(own_digits, change, message):
    file = own_digits / "test-images-idx3-ubyte.gz"
    file.write_bytes(change(file.read_bytes()))
    with pytest.raises(ValueError, match=message) as error:
        load("digits", train=False)
    assert str(file) in str(error.value)
    assert str(error.value).endswith("install tinyconv again")
    assert len(load("digits")) == 8500, "the other half is whole"
    file.unlink()
    with pytest.raises(FileNotFoundError, match="install tinyconv again"):
        load("digits", train=False)


def altered(packed):
    content = bytearray(gzip.decompress(packed))
    content[5000] ^= 1
    return gzip.compress(bytes(content))


# -- where files are looked for ---------------------------------------------------------------


@pytest.fixture
def small(monkeypatch, idx_bytes):
    """MNIST with 6 + 4 images, and no mirror that could be asked. Returns its file contents."""
    rng = np.random.default_rng(0)
    contents = {}
    halves = {}
    for half, prefix, n in (("train", "train", 6), ("test", "t10k", 4)):
        images = rng.integers(0, 256, (n, 28, 28), dtype=np.uint8)
        labels = rng.integers(0, 10, n, dtype=np.uint8)
        raw = [idx_bytes(images, packed=False), idx_bytes(labels, packed=False)]
        sums = [hashlib.sha256(content).hexdigest() for content in raw]
        halves[half] = datasets._pair(prefix, n, *sums, "0" * 32, "0" * 32)
        contents.update(zip((file.name for file in halves[half]), raw, strict=True))
    source = datasets._SOURCES["mnist"]._replace(mirrors=("http://127.0.0.1:9/",), **halves)
    monkeypatch.setitem(datasets._SOURCES, "mnist", source)
    return contents


def fill(folder, contents, name=lambda name: name, packed=True):
    folder.mkdir(parents=True, exist_ok=True)
    for file, content in contents.items():
        (folder / name(file)).write_bytes(gzip.compress(content) if packed else content)


@pytest.mark.parametrize("place", [".", "mnist", "MNIST/raw"])
@pytest.mark.parametrize(
    ("name", "packed"),
    [
        (lambda n: n, True),
        (lambda n: n.removesuffix(".gz"), False),
        (lambda n: n.removesuffix(".gz").replace("-idx", ".idx"), False),
    ],
)
def test_root(small, tmp_path, place, name, packed):
    fill(tmp_path / "root" / place, small, name, packed)
    for spelling in ("mnist", "MNIST", "M-nist"):
        images = load(spelling, root=tmp_path / "root")
        assert images.name == "mnist"
        assert images.images.shape == (6, 1, 28, 28)
    assert load("mnist", train=False, root=str(tmp_path / "root")).images.shape == (4, 1, 28, 28)


def test_cache_is_used_without_a_root(small):
    fill(cache_folder() / "mnist", small)
    assert len(load("mnist", download=False)) == 6


def test_a_root_that_is_not_there(small, tmp_path):
    with pytest.raises(FileNotFoundError, match="folder .*/root does not exist"):
        load("mnist", root=tmp_path / "root")
    (tmp_path / "file").write_text("")
    with pytest.raises(FileNotFoundError, match="file is a file, not a folder"):
        load("mnist", root=tmp_path / "file")
    assert [path.name for path in tmp_path.iterdir()] == ["file"]


@pytest.mark.parametrize("train", ["yes", 1, None])
def test_train_is_true_or_false(train):
    with pytest.raises(ValueError, match=f"load: train={train!r} must be True or False"):
        load("digits", train=train)


def test_nowhere(small, tmp_path):
    (tmp_path / "root").mkdir()
    with pytest.raises(FileNotFoundError) as error:
        load("mnist", root=tmp_path / "root", download=False)
    for part in (
        "train-images-idx3-ubyte.gz and train-labels-idx1-ubyte.gz of 'mnist'",
        str(tmp_path / "root"),
        str(cache_folder()),
        "load('mnist', root='folder')",
    ):
        assert part in str(error.value)
    with pytest.raises(DownloadError, match=r"load\('mnist', root='folder'\)"):
        load("mnist", root=tmp_path / "root")
    with pytest.raises(FileNotFoundError, match=r"cifar-10-binary\.tar\.gz \(or its test_batch"):
        load("cifar10", train=False, root=tmp_path, download=False)


def test_damaged_file_in_root_is_not_passed_over(small, tmp_path):
    fill(cache_folder() / "mnist", small)
    fill(tmp_path, small)
    file = tmp_path / "train-labels-idx1-ubyte.gz"
    file.write_bytes(file.read_bytes()[:-3])
    with pytest.raises(ValueError, match="delete it and download it again") as error:
        load("mnist", root=tmp_path)
    assert str(error.value).startswith(str(file))


def test_files_of_another_half_or_data_set_are_refused(small, tmp_path):
    swapped = {
        "train-images-idx3-ubyte.gz": small["t10k-images-idx3-ubyte.gz"],
        "train-labels-idx1-ubyte.gz": small["train-labels-idx1-ubyte.gz"],
    }
    fill(tmp_path, swapped)
    with pytest.raises(ValueError, match="is t10k-images-idx3-ubyte of 'mnist', not what"):
        load("mnist", root=tmp_path)


def test_cifar_from_a_folder(monkeypatch, tmp_path):
    source = datasets._SOURCES["cifar10"]._replace(records=2)
    monkeypatch.setitem(datasets._SOURCES, "cifar10", source)
    folder = tmp_path / "cifar-10-batches-bin"
    folder.mkdir()
    record = bytes([7]) + bytes(1024) + b"\xff" * 1024 + bytes(1024)
    for k in range(1, 6):
        (folder / f"data_batch_{k}.bin").write_bytes(record * 2)
    images = load("CIFAR-10", root=tmp_path)
    assert images.images.shape == (10, 3, 32, 32)
    assert images.classes[images[3][1]] == "horse"
    np.testing.assert_array_equal(images[3][0].array[:, 5, 9], [0, 1, 0])
    assert len(images.mean) == len(images.std) == 3


@pytest.mark.parametrize(
    ("name", "guess"),
    [
        ("minst", "did you mean 'mnist'"),
        ("fashion", "did you mean 'fashion_mnist'"),
        ("cifar", "did you mean 'cifar10'"),
        ("digit", "did you mean 'digits'"),
        ("imagenet", "no data set 'imagenet'"),
    ],
)
def test_unknown_names(name, guess):
    with pytest.raises(ValueError, match=guess) as error:
        load(name)
    assert ", ".join(available()) in str(error.value)


@pytest.mark.skipif(not DEBIAN.is_dir(), reason="Debian's dataset-fashion-mnist is not installed")
def test_fashion_mnist_of_debian():
    train = load("Fashion-MNIST", download=False)
    assert train.images.shape == (60_000, 1, 28, 28)
    assert np.bincount(train.labels).tolist() == [6000] * 10
    assert train.classes[train.labels[0]] == "Ankle boot"
    assert_constants(train)
    assert np.bincount(load("fashion_mnist", train=False).labels).tolist() == [1000] * 10
    with pytest.raises(ValueError, match="is t10k-images-idx3-ubyte of 'fashion_mnist', not what"):
        load("mnist", train=False, root=DEBIAN)


# -- examples in docstrings -----------------------------------------------------------------


@pytest.mark.parametrize("name", [m.name for m in pkgutil.iter_modules(tinyconv.data.__path__)])
def test_docstring_examples(name):
    result = doctest.testmod(importlib.import_module(f"tinyconv.data.{name}"))
    assert result.failed == 0
    assert result.attempted > 0


def test_public_things_have_examples():
    for name in tinyconv.data.__all__:
        text = getattr(tinyconv.data, name).__doc__
        assert text, name
        assert ">>>" in text, name
