"""``tinyconv.autograd.checkpoint`` under PyTorch's address."""

from tinyconv.autograd import checkpoint

__all__ = ["checkpoint"]
