"""ResNets for small images. He, Zhang, Ren, Sun 2015, arXiv:1512.03385, Sec. 4.2.

Depth 6n + 2: a 3 x 3 convolution, three stages of n blocks with 16, 32 and 64 channels,
each later stage at half the size, global average, one linear layer. A block adds its
input to what two convolutions make of it, so it starts near the identity and a net of a
hundred layers still trains.
"""

import tinyconv.nn as nn
from tinyconv.nn import functional as F


class BasicBlock(nn.Module):
    """relu(x + bn(conv(relu(bn(conv(x)))))), both convolutions 3 x 3 (paper: Fig. 2).

    Args:
        in_channels, out_channels: channels before and after.
        stride: of the first convolution and of the shortcut.
        shortcut: where shapes change, ``'A'`` takes every ``stride``-th pixel and adds
            channels of zeros (half of them before, half behind), ``'B'`` projects by a
            1 x 1 convolution with batch norm.
    """

    def __init__(self, in_channels, out_channels, stride=1, shortcut="A"):
        super().__init__()
        self.conv1 = nn.Conv2d(in_channels, out_channels, 3, stride, padding=1, bias=False)
        self.bn1 = nn.BatchNorm2d(out_channels)
        self.conv2 = nn.Conv2d(out_channels, out_channels, 3, padding=1, bias=False)
        self.bn2 = nn.BatchNorm2d(out_channels)
        if stride == 1 and in_channels == out_channels:
            self.shortcut = nn.Identity()
        elif shortcut == "A":
            self.shortcut = ZeroPadShortcut(in_channels, out_channels, stride)
        elif shortcut != "B":
            raise ValueError(f"BasicBlock: shortcut={shortcut!r}; wants 'A' or 'B'")
        else:
            self.shortcut = nn.Sequential(
                nn.Conv2d(in_channels, out_channels, 1, stride, bias=False),
                nn.BatchNorm2d(out_channels),
            )

    def forward(self, x):
        y = F.relu(self.bn1(self.conv1(x)))
        y = self.bn2(self.conv2(y))
        return F.relu(y + self.shortcut(x))


class ZeroPadShortcut(nn.Module):
    """Option A: every ``stride``-th pixel, new channels zero. It has no parameters."""

    def __init__(self, in_channels, out_channels, stride):
        super().__init__()
        self.stride = stride
        extra = out_channels - in_channels
        self.before, self.behind = extra // 2, extra - extra // 2

    def forward(self, x):
        x = x[:, :, :: self.stride, :: self.stride]
        return F.pad(x, (0, 0, 0, 0, self.before, self.behind))

    def extra_repr(self):
        return f"stride={self.stride}, zeros={self.before}+{self.behind}"


class CifarResNet(nn.Module):
    """The residual net of depth 6n + 2: 269,722 parameters at depth 20 with option A.

    Args:
        depth: 20, 32, 44, 56, 110, ...
        shortcut: ``'A'`` (the paper's choice for CIFAR) or ``'B'``, see ``BasicBlock``.
        in_channels: 3, or 1 for grey images.
        num_classes: outputs.

    Raises:
        ValueError: for a depth that is not 6n + 2, or another shortcut.

    >>> import tinyconv as tc
    >>> net = tc.models.CifarResNet(20)
    >>> sum(p.numel() for p in net.parameters())
    269722
    """

    input_size = (32, 32)

    def __init__(self, depth=20, shortcut="A", in_channels=3, num_classes=10):
        super().__init__()
        if depth < 8 or depth % 6 != 2:
            raise ValueError(f"CifarResNet: depth={depth} must be 6n + 2: 20, 32, 44, 56, 110, ...")
        if shortcut not in ("A", "B"):
            raise ValueError(f"CifarResNet: shortcut={shortcut!r}; wants 'A' or 'B'")
        blocks = (depth - 2) // 6
        self.conv1 = nn.Conv2d(in_channels, 16, 3, padding=1, bias=False)
        self.bn1 = nn.BatchNorm2d(16)
        self.layer1 = _stage(16, 16, blocks, 1, shortcut)  # 16 x 32 x 32
        self.layer2 = _stage(16, 32, blocks, 2, shortcut)  # 32 x 16 x 16
        self.layer3 = _stage(32, 64, blocks, 2, shortcut)  # 64 x 8 x 8
        self.fc = nn.Linear(64, num_classes)
        for module in self.modules():
            if isinstance(module, (nn.Conv2d, nn.Linear)):
                nn.init.kaiming_normal_(module.weight)  # arXiv:1502.01852

    def forward(self, x):
        x = F.relu(self.bn1(self.conv1(x)))
        x = self.layer3(self.layer2(self.layer1(x)))
        return self.fc(F.adaptive_avg_pool2d(x, 1).flatten(1))


def _stage(in_channels, out_channels, blocks, stride, shortcut):
    first = BasicBlock(in_channels, out_channels, stride, shortcut)
    rest = (BasicBlock(out_channels, out_channels) for _ in range(blocks - 1))
    return nn.Sequential(first, *rest)
