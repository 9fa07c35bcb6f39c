"""The small Inception net: GoogLeNet's idea (Szegedy et al. 2014, arXiv:1409.4842, Fig. 2) at
the size of a digit. One block looks at every pixel in four ways at once, at different
scales, and lays the answers side by side as channels; 1 x 1 convolutions first bring the
channels down, so that the large windows stay cheap.
"""

import tinyconv.nn as nn
from tinyconv.models.registry import register
from tinyconv.nn import functional as F
from tinyconv.ops.join import cat

__all__ = [
    "InceptionBlock",
    "SmallInception",
    "toy_inception_net",
    "inception_small",
]


class InceptionBlock(nn.Module):
    """Four branches over the same image, concatenated to 16 + 24 + 24 + 24 = 88 channels.

    >>> import tinyconv as tc
    >>> tc.models.InceptionBlock(10)(tc.zeros(1, 10, 12, 12)).shape
    (1, 88, 12, 12)
    """

    out_channels = 88

    def __init__(self, in_channels):
        super().__init__()
        self.branch1x1 = nn.Conv2d(in_channels, 16, kernel_size=1)

        self.branch5x5_1 = nn.Conv2d(in_channels, 16, kernel_size=1)
        self.branch5x5_2 = nn.Conv2d(16, 24, kernel_size=5, padding=2)

        self.branch3x3_1 = nn.Conv2d(in_channels, 16, kernel_size=1)
        self.branch3x3_2 = nn.Conv2d(16, 24, kernel_size=3, padding=1)
        self.branch3x3_3 = nn.Conv2d(24, 24, kernel_size=3, padding=1)

        self.branch_pool = nn.Conv2d(in_channels, 24, kernel_size=1)

    def forward(self, x):
        point = self.branch1x1(x)
        wide = self.branch5x5_2(self.branch5x5_1(x))
        deep = self.branch3x3_3(self.branch3x3_2(self.branch3x3_1(x)))
        pool = self.branch_pool(F.avg_pool2d(x, kernel_size=3, stride=1, padding=1))
        return cat([point, wide, deep, pool], dim=1)


class SmallInception(nn.Module):
    """Two Inception blocks for 28 x 28 images: 97,298 parameters with one channel, ten classes.

    Args:
        in_channels: channels of the images.
        num_classes: outputs.

    >>> import tinyconv as tc
    >>> tc.models.SmallInception()(tc.zeros(2, 1, 28, 28)).shape
    (2, 10)
    """

    def __init__(self, in_channels=1, num_classes=10):
        super().__init__()
        self.conv1 = nn.Conv2d(in_channels, 10, kernel_size=5)
        self.block1 = InceptionBlock(10)
        self.conv2 = nn.Conv2d(88, 20, kernel_size=5)
        self.block2 = InceptionBlock(20)
        self.fc = nn.Linear(88 * 4 * 4, num_classes)

    def forward(self, x):
        x = F.relu(F.max_pool2d(self.conv1(x), 2))  # 10 x 12 x 12
        x = self.block1(x)  # 88 x 12 x 12
        x = F.relu(F.max_pool2d(self.conv2(x), 2))  # 20 x 4 x 4
        x = self.block2(x)  # 88 x 4 x 4
        return self.fc(x.flatten(1))  # from 1408


inception_small = toy_inception_net = register(
    "toy_inception_net", SmallInception, about="two Inception blocks", input=(1, 28, 28),
    aliases=("inception_small",),
)  # fmt: skip
