"""The data sets by name: where each may lie, how it is checked, what it is called."""

from pathlib import Path
from typing import NamedTuple

import numpy as np

from tinyconv.data.download import cache_folder, download_file
from tinyconv.data.idx import (
    DOWNLOAD_AGAIN,
    cifar10_files,
    damaged,
    parse_idx,
    read_bytes,
    read_cifar10,
)
from tinyconv.data.images import ImageDataset
from tinyconv.names import nearest_or, plain

DIGITS = tuple("0123456789")
FASHION = (
    "T-shirt/top",
    "Trouser",
    "Pullover",
    "Dress",
    "Coat",
    "Sandal",
    "Shirt",
    "Sneaker",
    "Bag",
    "Ankle boot",
)
CIFAR10 = (
    "airplane",
    "automobile",
    "bird",
    "cat",
    "deer",
    "dog",
    "frog",
    "horse",
    "ship",
    "truck",
)


class _IdxFile(NamedTuple):
    name: str
    shape: tuple
    sha256: str  # of the unpacked bytes: local copies are often packed again
    md5: str = ""  # of the download


def _pair(prefix, count, images_sha256, labels_sha256, images_md5="", labels_md5=""):
    """The two files of one half: 28x28 images, and their labels."""
    return (
        _IdxFile(f"{prefix}-images-idx3-ubyte.gz", (count, 28, 28), images_sha256, images_md5),
        _IdxFile(f"{prefix}-labels-idx1-ubyte.gz", (count,), labels_sha256, labels_md5),
    )


class _IdxSource(NamedTuple):
    """Two IDX files for each half: images, then labels."""

    classes: tuple
    mean: tuple  # of each channel over the training images, scaled to [0, 1]
    std: tuple
    train: tuple
    test: tuple
    mirrors: tuple = ()
    subfolder: str = ""  # where torchvision keeps the files under its root
    folders: tuple = ()  # where the system or this package has them
    remedy: str = DOWNLOAD_AGAIN

    def files(self, train):
        return self.train if train else self.test

    def wanted(self, train):
        """What is looked for, in words."""
        return " and ".join(file.name for file in self.files(train))

    def find(self, folder, train):
        """Paths of both files, packed or not, under either usual spelling; None if one lacks."""
        paths = []
        for file in self.files(train):
            raw = file.name.removesuffix(".gz")
            dotted = raw.replace("-idx", ".idx")
            spellings = (folder / n for n in (file.name, raw, f"{dotted}.gz", dotted))
            paths.append(next((path for path in spellings if path.is_file()), None))
        return None if None in paths else paths

    def download(self, folder, train, hint):
        return [
            download_file([m + file.name for m in self.mirrors], folder / file.name, file.md5, hint)
            for file in self.files(train)
        ]

    def read(self, paths, train):
        pairs = zip(paths, self.files(train), strict=True)
        images, labels = (self._read(path, file) for path, file in pairs)
        return images[:, None], labels

    def _read(self, path, file):
        import hashlib  # here to keep the package's start-up light

        data = read_bytes(path, self.remedy)
        digest = hashlib.sha256(data).hexdigest()
        owner = _owner(digest)
        if owner and digest != file.sha256:
            raise damaged(path, f"is {owner}, not what belongs here", "give the right folder")
        values = parse_idx(data, path, file.shape, self.remedy)
        if digest != file.sha256:
            raise damaged(path, "has the right size, but altered values (sha256)", self.remedy)
        return values


class _CifarSource(NamedTuple):
    """One .tar.gz, or the .bin files that are in it."""

    classes: tuple
    mean: tuple
    std: tuple
    archive: str
    md5: str
    mirrors: tuple
    subfolder: str
    folders: tuple = ()
    records: int = 10_000

    def wanted(self, train):
        """What is looked for, in words."""
        return f"{self.archive} (or its {', '.join(cifar10_files(train))})"

    def find(self, folder, train):
        for place in (folder, folder / "cifar-10-batches-bin"):
            if all((place / name).is_file() for name in cifar10_files(train)):
                return place
        path = folder / self.archive
        return path if path.is_file() else None

    def download(self, folder, train, hint):
        urls = [mirror + self.archive for mirror in self.mirrors]
        return download_file(urls, folder / self.archive, self.md5, hint)

    def read(self, path, train):
        return read_cifar10(path, train, self.records)


_SOURCES = {
    "digits": _IdxSource(
        classes=DIGITS,
        mean=(0.1312,),
        std=(0.3088,),
        train=_pair(
            "train",
            8500,
            "2aabac985a1237453ccaa5dd59e4d02c054b9f033c63f80dfb618e974cbbcd7e",
            "f2901ea1d0532e7a57e65e31f9c566386ac463531d2fc9c0295df9d1af944474",
        ),
        test=_pair(
            "test",
            1500,
            "07941b157c4c905198aa91808cf831080fc27b46611aaaf0a0683060b77f7556",
            "1ecba3c9f674264e6214c8abd412ed54653d11320fae587bb7000709b5893d27",
        ),
        folders=(str(Path(__file__).parent / "digits"),),
        remedy="it is part of tinyconv: install tinyconv again",
    ),
    "mnist": _IdxSource(
        classes=DIGITS,
        mean=(0.1307,),
        std=(0.3081,),
        train=_pair(
            "train",
            60000,
            "ba891046e6505d7aadcbbe25680a0738ad16aec93bde7f9b65e87a2fc25776db",
            "65a50cbbf4e906d70832878ad85ccda5333a97f0f4c3dd2ef09a8a9eef7101c5",
            "f68b3c2dcbeaaa9fbdd348bbdeb94873",
            "d53e105ee54ea40749a09fcbcd1e9432",
        ),
        test=_pair(
            "t10k",
            10000,
            "0fa7898d509279e482958e8ce81c8e77db3f2f8254e26661ceb7762c4d494ce7",
            "ff7bcfd416de33731a308c3f266cc351222c34898ecbeaf847f06e48f7ec33f2",
            "9fb629c4189551a2d022fa330f9573f3",
            "ec29112dd5afa0611ce80d1b7f02629c",
        ),
        mirrors=(
            "https://ossci-datasets.s3.amazonaws.com/mnist/",
            "https://storage.googleapis.com/cvdf-datasets/mnist/",
        ),
        subfolder="MNIST/raw",
    ),
    "fashion_mnist": _IdxSource(
        classes=FASHION,
        mean=(0.2860,),
        std=(0.3530,),
        train=_pair(
            "train",
            60000,
            "c59f468a2f672dc815687fe0f83887768d799fd8a3f3276145d20f83aa44d888",
            "bad3541b69d912435c50bb6ba87bec294ff4f6a2e1246121d8633921760443d9",
            "8d4fb7e6c68d591d4c3dfef9ec88bf0d",
            "25c81989df183df01b3e8a0aad5dffbe",
        ),
        test=_pair(
            "t10k",
            10000,
            "5b4141f0afbad91edebe8549f8fcffe087ea10ca49f1dbef5c9a5cd8815ce37b",
            "0402a96d92fd2663957122ceb108a494c5af83dab82d92729df917d7dec38c34",
            "bef4ecab320f06d8554ea6380940ec79",
            "bb300cfdad3c16e7a12a480ee83cd310",
        ),
        mirrors=("http://fashion-mnist.s3-website.eu-central-1.amazonaws.com/",),
        subfolder="FashionMNIST/raw",
        folders=("/usr/share/datasets/fashion-mnist",),  # Debian's dataset-fashion-mnist
    ),
    "cifar10": _CifarSource(
        classes=CIFAR10,
        mean=(0.4914, 0.4822, 0.4465),
        std=(0.2470, 0.2435, 0.2616),
        archive="cifar-10-binary.tar.gz",
        md5="c32a1d4ab5d03f1284b67883e8d87530",
        mirrors=("https://www.cs.toronto.edu/~kriz/",),
        subfolder="cifar-10-batches-bin",
    ),
}


def available():
    """The names that ``load`` knows.

    >>> from tinyconv.data import available
    >>> available()
    ('digits', 'mnist', 'fashion_mnist', 'cifar10')
    """
    return tuple(_SOURCES)


def load(name, train=True, root=None, download=True, transform=None):
    """Load a data set as an ``ImageDataset``.

    ``digits`` (8500 + 1500 MNIST digits, comes with tinyconv), ``mnist`` and ``fashion_mnist``
    (60000 + 10000, 1x28x28), ``cifar10`` (50000 + 10000, 3x32x32). Files are looked for in
    ``root``, then where the system keeps them, then in ``cache_folder()``, and downloaded if
    they are nowhere; each is checked before it is used.

    Args:
        name: one of ``available()``; case, hyphens and underscores do not matter.
        train: the training images (default), or the held-out ones.
        root: folder with the files of the original (packed or unpacked), or with a subfolder
            ``<name>`` or torchvision's; downloads go to ``root/<name>`` (default: the cache).
        download: whether to download what is missing.
        transform: of the ``ImageDataset``.

    Returns:
        ``ImageDataset`` with ``images`` uint8 (N, C, H, W), ``labels`` int64 (N,), ``classes``,
        and ``mean`` and ``std`` of each channel of the training images.

    Raises:
        ValueError: for an unknown name, or a file that is cut, altered or of another data set.
        FileNotFoundError: if ``root`` does not exist, or the files are nowhere and ``download``
            is False.
        DownloadError: if no mirror gave them.

    >>> from tinyconv.data import load
    >>> load("digits", train=False)
    ImageDataset(digits: 1500 images 1x28x28, 10 classes)
    """
    name, source = _source(name)
    if not isinstance(train, (bool, np.bool_)):
        raise ValueError(f"load: train={train!r} must be True or False")
    if root is not None and not Path(root).expanduser().is_dir():
        there = Path(root).expanduser().exists()
        raise FileNotFoundError(
            f"{root} is a file, not a folder" if there else f"folder {root} does not exist"
        )
    folders = _places(name, source, root)
    for folder in folders:
        found = source.find(folder, train)
        if found is not None:
            break
    else:
        if not (download and source.mirrors):
            raise FileNotFoundError(_nowhere(name, source, folders, train))
        hint = f"Without this network: load({name!r}, root='folder') with the files in that folder."
        target = (cache_folder() if root is None else Path(root).expanduser()) / name
        found = source.download(target, train, hint)
    images, labels = source.read(found, train)
    return ImageDataset(
        images, labels, source.classes, name, transform, mean=source.mean, std=source.std
    )


def _source(name):
    for known, source in _SOURCES.items():
        if plain(known) == plain(name):
            return known, source
    rest = f"There are: {', '.join(_SOURCES)}."
    raise ValueError(f"load: no data set {name!r}; {nearest_or(name, _SOURCES, rest)}")


def _places(name, source, root):
    """The folders to look in, first to last."""
    if not source.mirrors:  # bundled: nowhere else
        return [Path(folder) for folder in source.folders]
    places = []
    for base in [] if root is None else [Path(root).expanduser()]:
        places += [base / name, base / source.subfolder, base]
    return [*places, *map(Path, source.folders), cache_folder() / name]


def _nowhere(name, source, folders, train):
    looked = "".join(f"\n  {folder}" for folder in folders)
    cure = (
        f"Give their folder as load({name!r}, root='folder'), or let download=True fetch them."
        if source.mirrors
        else source.remedy
    )
    return f"load: did not find {source.wanted(train)} of {name!r} in{looked}\n{cure}"


def _owner(digest):
    """Which file of which data set has this content, in words; None if it is unknown."""
    for name, source in _SOURCES.items():
        if isinstance(source, _IdxSource):
            for file in (*source.train, *source.test):
                if file.sha256 == digest:
                    return f"{file.name.removesuffix('.gz')} of {name!r}"
    return None
