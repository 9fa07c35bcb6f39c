"""``tinyconv.data`` under an older address of PyTorch's."""

from tinyconv.data import ConcatDataset, Dataset, Subset, TensorDataset, random_split

__all__ = ["ConcatDataset", "Dataset", "Subset", "TensorDataset", "random_split"]
