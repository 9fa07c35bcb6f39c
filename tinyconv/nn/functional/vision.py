"""Functions that move pixels: padding."""

from tinyconv.ops.pad import pad

__all__ = ["pad"]
