"""Pictures as the published weights want them, and the names of what they show.

Weights work with images that are prepared as in their training: size, cut, range, the order of
the colours. Each ``Preprocess`` is one such way; ``PREPROCESS`` is the table of them.
"""

import fnmatch
import functools
from dataclasses import dataclass
from importlib import resources

import numpy as np

from tinyconv.autograd import Tensor
from tinyconv.weights.errors import WeightsError

_MEAN, _STD = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)
_HALF = (0.5, 0.5, 0.5)
_LONGEST = 200  # side of a picture in terms of the other: it is resized before it is cut


@dataclass(frozen=True)
class Preprocess:
    """x = (scale picture - mean) / std, of the middle of the resized picture.

    Attributes:
        about: which weights want it.
        resize: the shorter side is brought to so many pixels,
        crop: and the middle of so many rows and columns taken.
        mean, std: of each channel, in the order of the channels.
        scale: what a byte of the picture is multiplied with: 1 / 255, or 1.
        bgr: the channels are blue, green, red.
        bicubic: resized by cubic interpolation, else linear (both without aliasing).
    """

    about: str
    resize: int
    crop: int
    mean: tuple = _MEAN
    std: tuple = _STD
    scale: float = 1 / 255
    bgr: bool = False
    bicubic: bool = False

    def __call__(self, picture):
        """A picture as a float32 Tensor (1, 3, crop, crop).

        Args:
            picture: path of a picture, or a ``PIL.Image``.

        Raises:
            WeightsError: without Pillow, or if the picture cannot be read.
        """
        image = self._resized(_opened(picture))
        left, top = (round((n - self.crop) / 2) for n in image.size)
        image = image.crop((left, top, left + self.crop, top + self.crop))
        return self.normalized(np.asarray(image))

    def normalized(self, pixels):
        """Bytes (H, W, 3), red first, as a float32 Tensor (1, 3, H, W).

        >>> PREPROCESS["caffe"].normalized(np.zeros((2, 3, 3), np.uint8)).numpy()[0, :, 0, 0]
        array([-103.939, -116.779, -123.68 ], dtype=float32)
        """
        x = pixels[..., ::-1] if self.bgr else pixels
        x = (x * np.float32(self.scale) - np.float32(self.mean)) / np.float32(self.std)
        return Tensor(np.ascontiguousarray(x.transpose(2, 0, 1)[None]))

    def _resized(self, image):
        from PIL import Image

        width, height = image.size
        short = min(width, height)
        size = self.resize * width // short, self.resize * height // short
        how = Image.Resampling.BICUBIC if self.bicubic else Image.Resampling.BILINEAR
        return image if image.size == size else image.resize(size, how)


def _opened(picture):
    """The picture in red, green, blue, the right way up."""
    try:
        from PIL import Image, ImageOps, UnidentifiedImageError
    except ImportError:
        raise WeightsError(
            f"{picture}: pictures are read with Pillow, which is not here: install Pillow"
        ) from None
    if isinstance(picture, Image.Image):
        return _colours(picture)
    try:
        with Image.open(picture) as image:
            if max(image.size) > _LONGEST * min(image.size):
                raise WeightsError(f"{picture}: is too long and thin ({image.size} pixels)")
            return _colours(ImageOps.exif_transpose(image))
    except FileNotFoundError:
        raise WeightsError(f"{picture}: there is no such file") from None
    except WeightsError:
        raise
    except UnidentifiedImageError:
        raise WeightsError(f"{picture}: is no picture, or of a kind that is not read") from None
    except (OSError, ValueError, SyntaxError, Image.DecompressionBombError) as error:
        reason = (str(error) or type(error).__name__).splitlines()[0]
        raise WeightsError(f"{picture}: cannot be read as a picture ({reason})") from None


def _colours(image):
    """The picture as bytes of red, green, blue."""
    from PIL import Image

    if image.mode.startswith("I;16"):  # Pillow would make white of all but the darkest
        image = Image.fromarray(np.uint8(np.asarray(image) >> 8))
    return image.convert("RGB")


#: name -> the way to prepare pictures; resize and crop of timm's follow from its crop_pct
PREPROCESS = {
    "imagenet": Preprocess("torchvision's first weights; timm's and Keras' DenseNets", 256, 224),
    "imagenet_v2": Preprocess("torchvision's second weights of ResNets", 232, 224),
    "imagenet_299": Preprocess("timm inception_v3.gluon", 341, 299, bicubic=True),
    "half": Preprocess("torchvision GoogLeNet; timm and Keras MobileNet", 256, 224, _HALF, _HALF),
    "half_235": Preprocess("timm resnetv2_50", 235, 224, _HALF, _HALF, bicubic=True),
    "half_341": Preprocess(
        "timm inception_v3 and inception_v4", 341, 299, _HALF, _HALF, bicubic=True
    ),
    "half_342": Preprocess("Inception v3 of torchvision and Keras", 342, 299, _HALF, _HALF),
    "half_333": Preprocess(
        "Inception-ResNet v2 and Xception of timm and Keras", 333, 299, _HALF, _HALF, bicubic=True
    ),
    "caffe": Preprocess(
        "Keras VGG and ResNet (version 1)", 256, 224, (103.939, 116.779, 123.68), (1, 1, 1), 1, True
    ),
    "caffe_104": Preprocess(
        "nets of Caffe: GoogLeNet, AlexNet, SqueezeNet",
        256,
        224,
        (104, 117, 123),
        (1, 1, 1),
        1,
        True,
    ),
    "caffe_128": Preprocess(
        "Cadene bninception", 256, 224, (104, 117, 128), (1, 1, 1), 1, bgr=True
    ),
}
#: which one a network's published weights want; the first line that fits
_USUAL = (
    ("bn_inception*", "caffe_128"),
    ("googlenet*", "half"),
    ("mobilenet*", "half"),
    ("inception_v3", "half_342"),
    ("inception_v4", "half_341"),
    ("inception_resnet*", "half_333"),
    ("xception", "half_333"),
    ("preact_resnet*", "half_235"),
    ("*", "imagenet"),
)


def usual_preprocess(model, keras=False):
    """The name of the ``Preprocess`` that most published weights of a network want.

    Args:
        model: name of the network.
        keras: whether the weights are Keras' own.

    >>> usual_preprocess("resnet50"), usual_preprocess("vgg16", keras=True)
    ('imagenet', 'caffe')
    """
    if keras and model.startswith(("vgg", "resnet")):
        return "caffe"
    return next(name for pattern, name in _USUAL if fnmatch.fnmatch(model, pattern))


@functools.cache
def imagenet_classes():
    """The names of ImageNet's 1000 classes, in the order of a network's outputs.

    >>> imagenet_classes()[:2], len(imagenet_classes())
    (('tench', 'goldfish'), 1000)
    """
    file = resources.files("tinyconv.weights") / "data" / "imagenet_classes.txt"
    return tuple(file.read_text(encoding="utf-8").splitlines())
