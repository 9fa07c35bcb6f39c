"""Augmentation of whole batches, driven by a table of random numbers.

A transform is called with ``images``, float32 (N, C, H, W), and ``u``, float64 (N, draws): row n
holds the uniform numbers in [0, 1) that belong to image n in this epoch (``draws.uniforms``). It
has an int attribute ``draws``, the number of columns that it needs, and nothing random of its own.
So what happens to an image depends on (seed, epoch, index) alone, and a batch costs a few NumPy
calls. A function of ``images`` without ``draws`` is a transform that needs no random numbers.
"""

import numpy as np


def draws_of(transform):
    """How many uniform numbers for each image ``transform`` needs (int)."""
    return getattr(transform, "draws", 0)


def apply(transform, images, u):
    """Call ``transform`` with or without ``u``, as it is made."""
    return transform(images, u) if hasattr(transform, "draws") else transform(images)


class Compose:
    """Transforms one after the other, each with its own columns of ``u``.

    Args:
        transforms: list of transforms, or of functions of ``images`` (N, C, H, W).

    >>> import numpy as np
    >>> from tinyconv.data.transforms import Compose, RandomHorizontalFlip, RandomShift
    >>> transform = Compose([RandomShift(2), RandomHorizontalFlip()])
    >>> transform.draws
    3
    >>> transform(np.zeros((4, 1, 28, 28), np.float32), np.full((4, 3), 0.5)).shape
    (4, 1, 28, 28)
    """

    def __init__(self, transforms):
        self.transforms = list(transforms)

    @property
    def draws(self):
        return sum(map(draws_of, self.transforms))

    def __call__(self, images, u=None):
        start = 0
        for transform in self.transforms:
            end = start + draws_of(transform)
            images = apply(transform, images, None if u is None else u[:, start:end])
            start = end
        return images

    def __repr__(self):
        return f"Compose({self.transforms})"


class RandomCrop:
    """Pad each image, then cut a window at a random place.

    With padding p, the top row is uniform in 0 ... H + 2p - h, the left column likewise.

    Args:
        size: int or (h, w) of the window, in pixels.
        padding: int or (vertical, horizontal) pixels added on each side (default 0).
        fill: value of the padding (default 0.0).

    ``images`` float32 (N, C, H, W) -> (N, C, h, w); draws 2.

    Raises:
        ValueError: if ``size`` is below 1, ``padding`` below 0, or the window larger than the
            padded image.

    >>> import numpy as np
    >>> from tinyconv.data.transforms import RandomCrop
    >>> crop = RandomCrop(32, padding=4)
    >>> crop(np.zeros((8, 3, 32, 32), np.float32), np.zeros((8, 2))).shape
    (8, 3, 32, 32)
    """

    draws = 2

    def __init__(self, size, padding=0, fill=0.0):
        self.size = _pair(self, "size", size, least=1)
        self.padding = _pair(self, "padding", padding, least=0)
        self.fill = fill

    def __call__(self, images, u):
        return self._cut(images, u, *self.size)

    def _cut(self, images, u, h, w):
        _check(self, images, u)
        ph, pw = self.padding
        n, c, height, width = images.shape
        rows, columns = height + 2 * ph - h + 1, width + 2 * pw - w + 1
        if rows < 1 or columns < 1:
            raise ValueError(
                f"{type(self).__name__}: a window of {h}x{w} does not fit into images of "
                f"{height}x{width} padded by {ph} and {pw}; cut less or pad more"
            )
        padded = np.full((n, c, height + 2 * ph, width + 2 * pw), self.fill, images.dtype)
        padded[:, :, ph : ph + height, pw : pw + width] = images
        top = (u[:, 0] * rows).astype(np.intp)
        left = (u[:, 1] * columns).astype(np.intp)
        windows = np.lib.stride_tricks.sliding_window_view(padded, (h, w), axis=(2, 3))
        return windows[np.arange(n), :, top, left]

    def __repr__(self):
        return f"{type(self).__name__}(size={self.size}, padding={self.padding})"


class RandomShift(RandomCrop):
    """Move each image by up to ``pixels`` in each direction; the size stays.

    Each whole shift from -pixels to pixels is equally likely, down and across by themselves.

    Args:
        pixels: int or (vertical, horizontal), 0 or more.
        fill: value of what comes in at the border (default 0.0).

    ``images`` float32 (N, C, H, W) -> the same shape; draws 2.

    >>> import numpy as np
    >>> from tinyconv.data.transforms import RandomShift
    >>> image = np.arange(3, dtype=np.float32).reshape(1, 1, 1, 3)
    >>> RandomShift((0, 1))(image, np.array([[0.5, 0.0]])).tolist()
    [[[[0.0, 0.0, 1.0]]]]
    """

    def __init__(self, pixels, fill=0.0):
        super().__init__(1, fill=fill)
        self.padding = _pair(self, "pixels", pixels, least=0)

    def __call__(self, images, u):
        return self._cut(images, u, *images.shape[-2:])

    def __repr__(self):
        return f"RandomShift({self.padding})"


class RandomHorizontalFlip:
    """Mirror each image left to right with probability ``p``.

    Args:
        p: probability, 0 to 1 (default 0.5).

    ``images`` float32 (N, C, H, W) -> the same shape; draws 1.

    Raises:
        ValueError: if ``p`` is outside [0, 1].

    >>> import numpy as np
    >>> from tinyconv.data.transforms import RandomHorizontalFlip
    >>> images = np.array([1.0, 2.0], np.float32).reshape(1, 1, 1, 2)
    >>> RandomHorizontalFlip()(images, np.array([[0.1]])).tolist()
    [[[[2.0, 1.0]]]]
    """

    draws = 1

    def __init__(self, p=0.5):
        if not 0 <= p <= 1:
            raise ValueError(f"RandomHorizontalFlip: p is {p}, must be a probability, 0 to 1")
        self.p = p

    def __call__(self, images, u):
        _check(self, images, u)
        flipped = u[:, 0] < self.p
        result = images.copy()
        result[flipped] = images[flipped][..., ::-1]
        return result

    def __repr__(self):
        return f"RandomHorizontalFlip(p={self.p})"


class Normalize:
    """Subtract each channel's mean and divide by its standard deviation.

    y[n, c] = (x[n, c] - mean[c]) / std[c]

    Args:
        mean, std: a number for each channel, in units of the images (0 to 1).

    ``images`` float32 (N, C, H, W) -> the same shape; draws 0.

    Raises:
        ValueError: if their lengths differ from each other or from C, or a std is not positive.

    >>> import numpy as np
    >>> from tinyconv.data.transforms import Normalize
    >>> Normalize((0.5,), (0.25,))(np.ones((1, 1, 1, 2), np.float32)).tolist()
    [[[[2.0, 2.0]]]]
    """

    draws = 0

    def __init__(self, mean, std):
        self.mean, self.std = tuple(mean), tuple(std)
        if len(self.mean) != len(self.std) or not self.mean or not all(s > 0 for s in self.std):
            raise ValueError(
                f"Normalize: got mean {self.mean} and std {self.std}; give one number for each "
                "channel in both, every std above 0"
            )

    def __call__(self, images, u=None):
        _check(self, images, u)
        if images.shape[1] != len(self.mean):
            raise ValueError(
                f"Normalize: images of shape {images.shape} have {images.shape[1]} channels, but "
                f"mean and std have {len(self.mean)} numbers; give one for each channel"
            )
        mean, std = (np.reshape(s, (-1, 1, 1)).astype(images.dtype) for s in (self.mean, self.std))
        return (images - mean) / std

    def __repr__(self):
        return f"Normalize(mean={self.mean}, std={self.std})"


def _pair(transform, name, value, least):
    pair = tuple(value) if np.iterable(value) else (value, value)
    if len(pair) != 2 or not all(hasattr(v, "__index__") and v >= least for v in pair):
        raise ValueError(
            f"{type(transform).__name__}: {name} is {value!r}, must be an int or a pair of ints, "
            f"{least} or more"
        )
    return pair


def _check(transform, images, u):
    name, draws = type(transform).__name__, transform.draws
    if images.ndim != 4:
        raise ValueError(
            f"{name}: got images of shape {images.shape}, wants a batch (N, C, H, W); "
            "for a single image use image[None]"
        )
    if draws and (u is None or u.shape != (len(images), draws)):
        raise ValueError(
            f"{name}: wants random numbers u of shape ({len(images)}, {draws}), a row for each "
            f"image, got {'none' if u is None else u.shape}; make them with tinyconv.data.uniforms"
        )
