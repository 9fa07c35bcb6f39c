"""Dropout as a layer: at work in ``train()``, the identity in ``eval()``."""

from tinyconv.nn import functional as F
from tinyconv.nn.module import Module


class _Dropout(Module):
    def __init__(self, p=0.5, inplace=False):
        super().__init__()
        if not 0 <= p <= 1:
            raise ValueError(f"{type(self).__name__}: p={p} must be a probability from 0 to 1")
        self.p, self.inplace = p, inplace

    def extra_repr(self):
        return f"p={self.p}, inplace={self.inplace}"


class Dropout(_Dropout):
    """Zero elements with probability ``p`` while training; identity in ``eval()``."""

    def forward(self, x):
        return F.dropout(x, self.p, self.training)


class Dropout2d(_Dropout):
    """Zero whole channels with probability ``p`` while training."""

    def forward(self, x):
        return F.dropout2d(x, self.p, self.training)
