"""Functions that move pixels: padding."""

from tinyconv.ops.shape import pad

__all__ = ["pad"]
