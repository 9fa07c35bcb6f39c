"""Padding as a layer."""

from tinyconv.nn import functional as F
from tinyconv.nn.module import Module


class ZeroPad2d(Module):
    """Zeros around images: int or (left, right, top, bottom)."""

    def __init__(self, padding):
        super().__init__()
        self.padding = (padding,) * 4 if isinstance(padding, int) else tuple(padding)

    def forward(self, x):
        return F.pad(x, self.padding)

    def extra_repr(self):
        return str(self.padding)
