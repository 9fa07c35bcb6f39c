"""Ask a trained network about images: one of a run, or one with published weights."""

from dataclasses import dataclass
from pathlib import Path

import numpy as np

from tinyconv.autograd import Tensor, no_grad
from tinyconv.data import Normalize, read_idx
from tinyconv.models.registry import find
from tinyconv.nn import functional as F
from tinyconv.train.checkpoint import load_checkpoint
from tinyconv.train.config import model_name
from tinyconv.train.errors import TrainError, pick, reason
from tinyconv.train.inputs import build_model
from tinyconv.weights import PREPROCESS, WeightsError, imagenet_classes, usual_preprocess
from tinyconv.weights.files import is_keras
from tinyconv.weights.into import network

_BATCH = 256


@dataclass
class Prediction:
    """The classes of one image, the likeliest first, with their probabilities (0 to 1)."""

    name: str
    classes: list
    probabilities: list

    def __str__(self):
        pairs = zip(self.classes, self.probabilities)
        return f"{self.name}: " + ", ".join(f"{c} {p:.1%}" for c, p in pairs)


def load_model(run, model=None):
    """The network of a run with its best weights (or its last, before the first epoch's end).

    Args:
        run: a run folder, or a checkpoint file.
        model: the network, if it is one of your own; its weights are set.

    Returns:
        (the network in evaluation mode, dict with ``classes``, ``shape``, ``mean``, ``std``).

    Raises:
        TrainError: if there is no checkpoint, it is damaged, or does not fit the network.
    """
    path = Path(run)
    if path.is_dir():
        files = [path / "best.npz", path / "last.npz"]
        path = next((f for f in files if f.exists()), None)
        if path is None:
            raise TrainError(f"{run}: holds no run (neither best.npz nor last.npz)")
    if path.is_file() and path.stat().st_size and not _is_packed(path):
        raise TrainError(
            f"{path}: is no checkpoint; usage: tinyconv predict RUN IMAGE [IMAGE ...], where RUN "
            "is a run folder or its best.npz"
        )
    try:
        state = load_checkpoint(path)
    except TrainError as error:
        raise TrainError(
            f"{error}; weights alone are given by --weights, with --model for the network"
        ) from None
    if not isinstance(state, dict) or "weights" not in state or "about" not in state:
        raise TrainError(f"{path}: is no checkpoint of a run: it holds no weights")
    about = state["about"]
    if model is None:
        if about.get("model") is None:
            raise TrainError(
                f"{path}: its network {about.get('name', '')} is none of tinyconv's; give it as "
                "model="
            )
        model = build_model(about["model"], about["model_options"])
    try:
        model.load_state_dict(state["weights"])
    except RuntimeError as error:
        raise TrainError(f"{path}: {error}") from error
    return model.eval(), about


def _is_packed(path):
    """Whether a file begins as ``.npz`` files do; True where it cannot be read."""
    try:
        with open(path, "rb") as file:
            return file.read(2) == b"PK"
    except OSError:
        return True  # load_checkpoint tells why


def predict(run, images, top=3, model=None):
    """The likeliest classes of images.

    Args:
        run: a run folder, or a checkpoint file.
        images: path, or list of paths, of pictures (with Pillow), ``.npy`` or IDX files; or an
            array (C, H, W) or (N, C, H, W), bytes from 0 to 255 or floats from 0 to 1, as the
            data were before they were normalised: digits are white (255 or 1) on black. A run
            on data of your own takes floats of any range.
        top: how many classes for each.
        model: the network, if it is one of your own.

    Returns:
        list of ``Prediction``.

    Raises:
        TrainError: for a run or an image that cannot be read or does not fit, for NaN, and for
            values out of range.
    """
    model, about = load_model(run, model)
    shape, classes = tuple(about["shape"]), about["classes"]
    if isinstance(images, (np.ndarray, Tensor)):
        named = [("image", getattr(images, "array", images))]
    else:
        paths = [images] if isinstance(images, str) or hasattr(images, "__fspath__") else images
        named = [(str(path), read_images(path, shape)) for path in paths]
    normalize = Normalize(about["mean"], about["std"]) if about["mean"] else None
    found = []
    for name, array in named:
        batch = _as_batch(name, array, shape, scaled=normalize is not None)
        for start in range(0, len(batch), _BATCH):
            part = batch[start : start + _BATCH]
            with no_grad():
                scores = model(Tensor(normalize(part) if normalize else part))
                shares = F.softmax(scores, dim=1).array
            for i, row in enumerate(shares, start):
                label = f"{name}[{i}]" if len(batch) > 1 else name
                found.append(_prediction(label, row, classes, top))
    return found


def _prediction(name, shares, classes, top):
    if not np.isfinite(shares).all():
        raise TrainError(f"{name}: the network gives NaN: its weights hold NaN or are too large")
    best = np.argsort(-shares, kind="stable")[: max(1, top)]
    names = [str(classes[k] if classes else k) for k in best]
    return Prediction(name, names, [float(shares[k]) for k in best])


def classify(pictures, model, weights, preprocess=None, top=5):
    """The likeliest classes of pictures, by a network with published weights.

    Args:
        pictures: path, or list of paths, of pictures; they are read with Pillow.
        model: name of a network, see ``tinyconv.models.list_models``.
        weights: the file, see ``tinyconv.weights.load_file``.
        preprocess: name in ``tinyconv.weights.PREPROCESS`` (default: what most weights of that
            network want).
        top: how many classes for each.

    Returns:
        list of ``Prediction``; classes are ImageNet's if there are 1000, else numbers.

    Raises:
        TrainError: for an unknown network or way to prepare, for weights that do not fit it, for
            a picture that cannot be read, and without Pillow.
    """
    name = find(model_name(model)).name
    if preprocess is not None:
        preprocess = pick("preprocess", preprocess, PREPROCESS)
    paths = [pictures] if isinstance(pictures, (str, Path)) else pictures
    try:
        net = network(name, weights)
        prepare = PREPROCESS[preprocess or usual_preprocess(name, keras=is_keras(weights))]
        found = []
        for path in paths:
            with no_grad():
                (shares,) = F.softmax(net(prepare(path)), dim=1).array
            classes = imagenet_classes() if len(shares) == 1000 else None
            found.append(_prediction(str(path), shares, classes, top))
        return found
    except TrainError:
        raise
    except WeightsError as error:
        raise TrainError(str(error)) from error
    except RuntimeError as error:
        first, _, report = str(error).partition("\n")
        raise TrainError(first if ", the model is" in first else f"{first}\n{report}") from error
    except ValueError as error:
        raise TrainError(f"{name} does not take such pictures: {error}") from error


def read_images(path, shape):
    """The image or images in a file, as bytes or floats.

    Args:
        path: ``.npy``, IDX (``.idx``, ``-ubyte``, packed or not), else a picture for Pillow,
            which is turned grey or to colour and resized to ``shape``.
        shape: (C, H, W) that the network was trained on.

    Raises:
        TrainError: if there is no such file, it is damaged, or Pillow is needed and not there.
    """
    name = Path(path).name.lower()
    try:
        if name.endswith(".npy"):
            return np.load(path, allow_pickle=False)
        if ".idx" in name or "-ubyte" in name or name.endswith("idx"):
            return read_idx(path)
        return _read_picture(path, shape)
    except FileNotFoundError:
        raise TrainError(f"{path}: there is no such file") from None
    except OSError as error:
        raise TrainError(f"{path}: cannot be read as an image ({reason(error)})") from None
    except (ValueError, EOFError) as error:
        raise TrainError(f"{path}: cannot be read: {str(error).splitlines()[0]}") from None


def _read_picture(path, shape):
    try:
        from PIL import Image
    except ImportError:
        raise TrainError(
            f"{path}: pictures are read with Pillow, which is not here: install Pillow, or give "
            "a .npy or IDX file"
        ) from None
    with Image.open(path) as picture:
        picture = picture.convert("L" if shape[0] == 1 else "RGB")
        if picture.size != (shape[2], shape[1]):
            picture = picture.resize((shape[2], shape[1]), Image.Resampling.LANCZOS)
        array = np.asarray(picture, np.uint8)
    return array[None] if array.ndim == 2 else array.transpose(2, 0, 1)


def _as_batch(name, array, shape, scaled):
    """float32 (N, C, H, W); from 0 to 1 if ``scaled``."""
    array = np.asarray(array)
    given = array.shape
    if array.ndim == 2:
        array = array[None]
    if array.ndim == 3:
        # (N, H, W) is what IDX files of grey images hold; (C, H, W) is one image
        array = array[None] if array.shape == shape else array[:, None]
    if array.shape[1:] != shape or array.dtype.kind not in "uif":
        raise TrainError(
            f"{name}: holds {array.dtype} of shape {given}, the network wants images of "
            f"{'x'.join(map(str, shape))}"
        )
    _check_values(name, array, scaled)
    if array.dtype.kind != "f":
        return array.astype(np.float32) / np.float32(255)
    return array.astype(np.float32)


def _check_values(name, array, scaled):
    """Raise ``TrainError`` for NaN, infinity, and numbers out of range."""
    if not array.size:
        raise TrainError(f"{name}: holds no image (shape {array.shape})")
    if not np.isfinite(array).all():
        raise TrainError(f"{name}: holds NaN or infinity")
    kind, most = ("floats", 1) if array.dtype.kind == "f" else ("whole numbers", 255)
    low, high = array.min(), array.max()
    if (scaled or kind != "floats") and (low < 0 or high > most):
        raise TrainError(
            f"{name}: holds {kind} from {low:g} to {high:g}, the network wants "
            "bytes from 0 to 255 or floats from 0 to 1"
        )
