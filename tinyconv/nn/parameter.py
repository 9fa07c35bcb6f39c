"""``Parameter`` where scripts written for PyTorch look for it."""

from .module import Parameter

__all__ = ["Parameter"]
