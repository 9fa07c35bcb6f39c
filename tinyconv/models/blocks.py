"""Stones that several papers build with."""

from typing import Any, NamedTuple

import tinyconv.nn as nn
from tinyconv.nn import functional as F

__all__ = ["ConvNormReLU", "ConvReLU", "InceptionOutputs"]


class ConvReLU(nn.Module):
    """relu(conv(x)): a convolution with bias and what follows it in nets without batch norm.

    Args:
        in_channels, out_channels, kernel_size: as of ``nn.Conv2d``, like all ``options``.

    >>> import tinyconv as tc
    >>> tc.models.ConvReLU(3, 8, 3, padding=1)(tc.zeros(1, 3, 5, 7)).shape
    (1, 8, 5, 7)
    """

    def __init__(self, in_channels, out_channels, kernel_size, **options):
        super().__init__()
        self.conv = nn.Conv2d(in_channels, out_channels, kernel_size, **options)

    def forward(self, x):
        return F.relu(self.conv(x))


class ConvNormReLU(nn.Module):
    """relu(bn(conv(x))): convolution without bias, batch norm, ReLU.

    The bias would be taken away again by the mean (Ioffe and Szegedy 2015, arXiv:1502.03167,
    Sec. 3.2).

    Args:
        in_channels, out_channels, kernel_size: as of ``nn.Conv2d``, like all ``options``.
        eps: of the batch norm; the Inception family takes 1e-3.

    >>> import tinyconv as tc
    >>> tc.models.ConvNormReLU(3, 8, (1, 7), padding=(0, 3))(tc.zeros(2, 3, 5, 7)).shape
    (2, 8, 5, 7)
    """

    def __init__(self, in_channels, out_channels, kernel_size, eps=1e-5, bias=False, **options):
        super().__init__()
        self.conv = nn.Conv2d(in_channels, out_channels, kernel_size, bias=bias, **options)
        self.bn = nn.BatchNorm2d(out_channels, eps=eps)

    def forward(self, x):
        return F.relu(self.bn(self.conv(x)))


class InceptionOutputs(NamedTuple):
    """What a network with one auxiliary classifier returns in training.

    The loss is that of ``logits`` plus the network's ``aux_weight`` times that of
    ``aux_logits``; each is (N, classes). In ``eval()`` the logits come alone.
    """

    logits: Any
    aux_logits: Any
