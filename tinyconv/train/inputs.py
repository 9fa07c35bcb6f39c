"""Data and network of a run, checked against each other before the first step."""

import copy
import traceback
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from tinyconv import data, kernels, models
from tinyconv.autograd import no_grad
from tinyconv.data.transforms import (
    Compose,
    Normalize,
    RandomCrop,
    RandomHorizontalFlip,
    RandomShift,
)
from tinyconv.models.registry import find
from tinyconv.train.errors import TrainError


@dataclass
class Inputs:
    """The two halves of the data, and what ``predict`` must know of it later."""

    train: object
    test: object = None
    name: str = "data"
    classes: list = field(default_factory=list)
    mean: tuple = ()
    std: tuple = ()
    shape: tuple = ()  # of one image: (C, H, W)


def named_data(config):
    """The data set that the settings name, normalised, its training half augmented.

    Raises:
        TrainError: if its files are missing or damaged, or cannot be downloaded.
    """
    try:
        train, test = (
            data.load(config.dataset, train=half, root=config.data_root) for half in (True, False)
        )
    except data.DownloadError as error:
        raise TrainError(
            f"{error.sentence}; without this network: give the folder that holds the files by "
            "--data-root (in Python data_root=)"
        ) from error
    except (OSError, ValueError) as error:
        raise TrainError(" ".join(str(error).split())) from error  # one line
    normalize = Normalize(train.mean, train.std)
    shape = train.images.shape[1:]
    train.transform = Compose([*_augmentation(config.augment, shape), normalize])
    test.transform = normalize
    return Inputs(
        train, test, train.name, list(train.classes), tuple(train.mean), tuple(train.std), shape
    )


def own_data(train, test, config):
    """The caller's datasets as they are; the augmentation works on an ``ImageDataset`` only.

    Raises:
        TrainError: for datasets without samples or without (image, label) pairs.
    """
    for half, dataset in (("training", train), ("held-out", test)):
        if dataset is not None:
            _check_samples(half, dataset)
    shape = tuple(_image(train[0]).shape)
    if config.augment != "none":
        if not isinstance(train, data.ImageDataset) or train.transform is not None:
            raise TrainError(
                f"augment={config.augment!r} wants an ImageDataset without a transform of its own; "
                "give augment='none'"
            )
        train = copy.copy(train)
        train.transform = Compose(_augmentation(config.augment, shape))
    name = getattr(train, "name", "data")
    return Inputs(train, test, name, list(map(str, getattr(train, "classes", ()))), shape=shape)


def named_model(config, inputs):
    """The network that the settings name, with the data's channels and classes.

    Raises:
        TrainError: for options that it does not have.
    """
    options = {
        "in_channels": inputs.shape[0],
        "num_classes": len(inputs.classes) or int(_labels(inputs.train).max()) + 1,
        **config.model_options,
    }
    return build_model(config.model, options), options


def build_model(name, options):
    """``models.get_model`` with its complaints as ``TrainError``."""
    try:
        return models.get_model(name, **options)
    except (TypeError, ValueError) as error:
        raise TrainError(
            f"{name}: cannot be built with {', '.join(f'{k}={v!r}' for k, v in options.items())}: "
            f"{error}"
        ) from error


def auxiliary_weight(model):
    """What the loss of an auxiliary classifier counts beside that of the network's end.

    Raises:
        TrainError: if the network returns several outputs and does not tell.
    """
    weight = getattr(model, "aux_weight", None)
    if weight is None:
        raise TrainError(
            f"{type(model).__name__} returns a tuple in training, so its attribute aux_weight must "
            "tell what the loss of each output after the first counts (0.3 in GoogLeNet)"
        )
    return weight


def check_threads():
    """Raise ``TrainError`` if the environment asks for a senseless number of threads."""
    try:
        kernels.get_num_threads()
    except ValueError as error:
        raise TrainError(str(error)) from None


def check_fit(model, model_name, inputs):
    """Send one image through the network, and hold all labels against its outputs.

    Raises:
        TrainError: for channels or sizes that the network does not take, or labels that it
            has no output for.
    """
    modes = [(module, module.training) for module in model.modules()]
    try:
        with no_grad():
            x, _ = data.default_collate([inputs.train[0]])
            scores = model.eval()(x)
    except (ValueError, TypeError, RuntimeError, IndexError) as error:
        raise TrainError(
            f"{model_name} does not take the {_times(inputs.shape)} images of {inputs.name}"
            f"{_made_for(model_name)}{_own_fault(error)}: {error}"
        ) from error
    finally:
        for module, mode in modes:
            module.training = mode
    if len(scores.shape) != 2 or scores.shape[0] != 1:
        raise TrainError(
            f"{model_name} gives shape {list(scores.shape)} for one image; training wants one "
            "score for each class, [1, classes]"
        )
    for half, dataset in (("training", inputs.train), ("held-out", inputs.test)):
        labels = None if dataset is None else _labels(dataset)
        if labels is not None:
            check_labels(half, labels, scores.shape[1], model_name)


def _made_for(model_name):
    """What a network of the registry is made for, as a part of a sentence."""
    try:
        return f", it is made for {_times(find(model_name).input)}"
    except ValueError:
        return ""


def _own_fault(error):
    """What else an error may be that came through code outside of tinyconv, and where; else ''."""
    ours = str(Path(__file__).parents[1])
    places = [
        f"{Path(frame.filename).name}, line {frame.lineno}"
        for frame in traceback.extract_tb(error.__traceback__)
        if not frame.filename.startswith((ours, "<")) and "-packages" not in frame.filename
    ]
    if not places:
        return ""
    return f", or its own code has a fault ({type(error).__name__} at {places[-1]})"


def check_labels(half, labels, outputs, model_name):
    """Raise ``TrainError`` unless all labels are whole numbers from 0 to ``outputs`` - 1."""
    labels = np.asarray(labels)
    if labels.dtype.kind not in "iu":
        raise TrainError(f"the labels of the {half} images are {labels.dtype}, must be integers")
    wrong = np.flatnonzero((labels < 0) | (labels >= outputs))
    if len(wrong):
        raise TrainError(
            f"the label {labels[wrong[0]]} of {half} image {wrong[0]} is out of range: "
            f"{model_name} has {outputs} outputs, so labels go from 0 to {outputs - 1}"
        )


def _augmentation(name, shape):
    if name == "shift":
        return [RandomShift(1)]
    if name == "crop+flip":  # He et al. 2015, arXiv:1512.03385, Sec. 4.2
        return [RandomCrop(shape[1:], padding=4), RandomHorizontalFlip()]
    return []


def _check_samples(half, dataset):
    if len(dataset) == 0:
        raise TrainError(f"the {half} data set is empty: it has no image")
    sample = dataset[0]
    if not isinstance(sample, (tuple, list)) or len(sample) != 2 or _image(sample).ndim != 3:
        raise TrainError(
            f"a sample of the {half} data set must be a pair (image, label), the image of shape "
            f"(C, H, W); got {_describe(sample)}"
        )
    if isinstance(dataset, (list, tuple)):  # in memory, so looking at all costs nothing
        shapes = [tuple(_image(s).shape) for s in dataset]
        for i, shape in enumerate(shapes):
            if shape != shapes[0]:
                raise TrainError(
                    f"the {half} images are of mixed sizes: image 0 is {_times(shapes[0])}, image "
                    f"{i} is {_times(shape)}; bring all to one size"
                )


def _labels(dataset):
    """All labels, where they lie in memory; None where only reading each sample would tell."""
    if isinstance(dataset, data.ImageDataset):
        return dataset.labels
    if isinstance(dataset, data.TensorDataset):
        return dataset.tensors[1].array
    if isinstance(dataset, data.Subset):
        labels = _labels(dataset.dataset)
        return None if labels is None else labels[list(dataset.indices)]
    if isinstance(dataset, (list, tuple)):
        return np.array([np.asarray(getattr(y, "array", y)) for _, y in dataset])
    return None


def _image(sample):
    return np.asarray(getattr(sample[0], "array", sample[0]))


def _describe(sample):
    if not isinstance(sample, (tuple, list)):
        return type(sample).__name__
    return f"{len(sample)} parts, the first of shape {_image(sample).shape}"


def _times(shape):
    return "x".join(map(str, shape))


def short_name(model, dataset):
    """How the run's folder begins: network and data in plain letters."""
    return "-".join("".join(c if c.isalnum() else "_" for c in str(n)) for n in (model, dataset))
