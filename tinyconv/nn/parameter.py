"""``Parameter`` where scripts written for PyTorch look for it."""

from tinyconv.nn.module import Parameter

__all__ = ["Parameter"]
