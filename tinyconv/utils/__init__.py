"""PyTorch's addresses for things that live elsewhere here: ``utils.data``, ``utils.checkpoint``."""

from tinyconv.utils import checkpoint, data

__all__ = ["checkpoint", "data"]
