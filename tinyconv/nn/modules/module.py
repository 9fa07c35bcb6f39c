"""``Module`` where scripts written for PyTorch look for it."""

from ..module import Module

__all__ = ["Module"]
