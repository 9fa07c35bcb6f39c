"""Data: datasets, the loader, augmentation, and the classic image sets."""

from tinyconv.data.collate import Columns, default_collate, default_convert
from tinyconv.data.dataset import ConcatDataset, Dataset, Subset, TensorDataset, random_split
from tinyconv.data.datasets import available, load
from tinyconv.data.download import DownloadError, cache_folder, download_file
from tinyconv.data.draws import uniforms
from tinyconv.data.idx import read_cifar10, read_idx
from tinyconv.data.images import ImageDataset
from tinyconv.data.loader import DataLoader
from tinyconv.data.sampler import (
    BatchSampler,
    RandomSampler,
    Sampler,
    SequentialSampler,
    SubsetRandomSampler,
    WeightedRandomSampler,
)
from tinyconv.data.transforms import (
    Compose,
    Normalize,
    RandomCrop,
    RandomHorizontalFlip,
    RandomShift,
)

__all__ = [
    "BatchSampler",
    "Columns",
    "Compose",
    "ConcatDataset",
    "DataLoader",
    "Dataset",
    "DownloadError",
    "ImageDataset",
    "Normalize",
    "RandomCrop",
    "RandomHorizontalFlip",
    "RandomSampler",
    "RandomShift",
    "Sampler",
    "SequentialSampler",
    "Subset",
    "SubsetRandomSampler",
    "TensorDataset",
    "WeightedRandomSampler",
    "available",
    "cache_folder",
    "default_collate",
    "default_convert",
    "download_file",
    "load",
    "random_split",
    "read_cifar10",
    "read_idx",
    "uniforms",
]
