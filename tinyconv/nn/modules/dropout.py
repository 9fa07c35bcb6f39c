"""Dropout as a layer: at work in ``train()``, the identity in ``eval()``."""

from tinyconv.nn import functional as F
from tinyconv.nn.module import Module


class _Dropout(Module):
    """What all of them share; ``_function`` is what they do."""

    _function = staticmethod(F.dropout)

    def __init__(self, p=0.5, inplace=False):
        super().__init__()
        if not 0 <= p <= 1:
            raise ValueError(f"{type(self).__name__}: p={p} must be a probability from 0 to 1")
        self.p, self.inplace = p, inplace

    def forward(self, x):
        return self._function(x, self.p, self.training)

    def extra_repr(self):
        return f"p={self.p}, inplace={self.inplace}"


class Dropout(_Dropout):
    """Zero elements with probability ``p`` while training; identity in ``eval()``."""


class Dropout1d(_Dropout):
    """Zero whole channels of (N, C, L) or (C, L) with probability ``p`` while training."""

    _function = staticmethod(F.dropout1d)


class Dropout2d(_Dropout):
    """Zero whole channels of (N, C, H, W) with probability ``p`` while training."""

    _function = staticmethod(F.dropout2d)


class Dropout3d(_Dropout):
    """Zero whole channels of (N, C, D, H, W) with probability ``p`` while training."""

    _function = staticmethod(F.dropout3d)


class AlphaDropout(_Dropout):
    """Dropout that keeps mean 0 and variance 1, for networks with SELU."""

    _function = staticmethod(F.alpha_dropout)


class FeatureAlphaDropout(_Dropout):
    """``AlphaDropout`` of whole channels."""

    _function = staticmethod(F.feature_alpha_dropout)
