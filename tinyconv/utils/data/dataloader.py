"""``tinyconv.data`` under an older address of PyTorch's."""

from tinyconv.data import DataLoader, default_collate

__all__ = ["DataLoader", "default_collate"]
