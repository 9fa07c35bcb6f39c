"""Weights from files, into networks: see ``docs/weights.md``."""

from tinyconv.weights.errors import WeightsError
from tinyconv.weights.files import load_file, save_file
from tinyconv.weights.into import load_into, looks_like
from tinyconv.weights.pictures import PREPROCESS, Preprocess, imagenet_classes, usual_preprocess

__all__ = [
    "PREPROCESS", "Preprocess", "WeightsError", "imagenet_classes", "load_file", "load_into",
    "looks_like", "save_file", "usual_preprocess",
]  # fmt: skip
