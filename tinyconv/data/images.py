"""Labelled images in memory."""

import copy

import numpy as np

from tinyconv.autograd import Tensor
from tinyconv.data.collate import Columns
from tinyconv.data.dataset import Dataset
from tinyconv.data.draws import FIRST_KEY, uniforms
from tinyconv.data.transforms import apply, draws_of

_FULL_SCALE = np.float32(255)


def _sample(image, label):
    return Tensor(image), int(label)


class ImageDataset(Dataset):
    """Images and their labels; an item is (image, label).

    image: float32 Tensor (C, H, W), the bytes divided by 255 and then transformed;
    label: int, 0 to ``len(classes) - 1``.

    Args:
        images: uint8 ndarray (N, C, H, W), kept without a copy.
        labels: integers (N,); kept as int64.
        classes: names, one for each label.
        name: what to call the dataset in messages.
        transform: called with a batch of float32 images in [0, 1] and its random numbers (see
            ``tinyconv.data.transforms``), or with the images alone if it has no ``draws``. The
            attribute may be set later. Its random choices are fixed by (seed, epoch, index):
            those of the loader, or (0, 0, index) when read without one.
        mean, std: of each channel, in units of the scaled images; for ``Normalize``.

    Raises:
        ValueError: for wrong shapes or dtypes, no image, or a label outside the classes.

    >>> import numpy as np
    >>> from tinyconv.data import ImageDataset
    >>> images = np.full((5, 3, 8, 8), 255, np.uint8)
    >>> data = ImageDataset(images, [0, 1, 1, 0, 1], ("cat", "dog"), "pets")
    >>> image, label = data[1]
    >>> image.shape, float(image.array.max()), data.classes[label]
    ((3, 8, 8), 1.0, 'dog')
    """

    def __init__(self, images, labels, classes, name="images", transform=None, mean=None, std=None):
        self.images, self.labels, self.classes = _checked(images, labels, classes, name)
        self.name = name
        self.transform = transform
        self.mean, self.std = mean, std
        self._key = FIRST_KEY
        self._table = None

    def __len__(self):
        return len(self.images)

    def __getitem__(self, index):
        return self.__getitems__([index])[0]

    def __getitems__(self, indices):
        images = np.divide(self.images[indices], _FULL_SCALE, dtype=np.float32)
        if self.transform is not None:
            images = np.ascontiguousarray(apply(self.transform, images, self._draws()[indices]))
        return Columns([images, self.labels[indices]], _sample)

    def for_epoch(self, key):
        """These images with the random choices of ``key`` = (seed, epoch)."""
        if draws_of(self.transform) == 0:
            return self
        new = copy.copy(self)
        new._key, new._table = key, None
        new._draws()  # now, in one thread
        return new

    def _draws(self):
        """The table of uniform numbers of this epoch: a row for each image."""
        columns = draws_of(self.transform)
        if self._table is None or self._table.shape[1] != columns:
            self._table = uniforms(self._key, len(self), columns)
        return self._table

    def __repr__(self):
        n, c, h, w = self.images.shape
        return f"ImageDataset({self.name}: {n} images {c}x{h}x{w}, {len(self.classes)} classes)"


def _checked(images, labels, classes, name):
    images, labels = np.asarray(images), np.asarray(labels)
    if images.ndim != 4 or images.dtype != np.uint8 or 0 in images.shape:
        raise ValueError(
            f"ImageDataset {name!r}: images are {images.dtype} of shape {images.shape}, must be "
            "uint8 (N, C, H, W), none of them 0: bytes from 0 to 255, the channel before the rows"
        )
    if labels.shape != images.shape[:1] or labels.dtype.kind not in "iu":
        raise ValueError(
            f"ImageDataset {name!r}: labels are {labels.dtype} of shape {labels.shape}, must be "
            f"integers of shape ({len(images)},), one for each image"
        )
    classes = tuple(classes)
    wrong = np.flatnonzero((labels < 0) | (labels >= len(classes)))
    if len(wrong):
        raise ValueError(
            f"ImageDataset {name!r}: label {labels[wrong[0]]} of image {wrong[0]} is outside 0 to "
            f"{len(classes) - 1}; there are {len(classes)} classes. Correct the labels or name "
            "all classes."
        )
    return images, labels.astype(np.int64), classes
