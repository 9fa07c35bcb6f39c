"""ZFNet. Zeiler and Fergus 2013, Visualizing and Understanding Convolutional Networks,
arXiv:1311.2901, Fig. 3.
"""

import tinyconv.nn as nn
from tinyconv.models.registry import register
from tinyconv.nn import functional as F

__all__ = ["ZFNet", "zfnet"]


class ZFNet(nn.Module):
    """AlexNet after a look inside it (Fig. 6): 62,357,608 parameters, 1,168 million MACs.

    The first filters shrink from 11 x 11 with stride 4 to 7 x 7 with stride 2: seen through
    deconvolution, the large ones held no middle frequencies and the large stride gave aliasing.
    No groups. Contrast is normalised across maps behind the pool; AlexNet's constants are taken,
    as the paper names none.

    The figure prints sizes but no paddings. This reading makes them come out: 224 -> 110 by
    padding 1 in conv1, 110 -> 55 and 26 -> 13 by pools that may hang over the edge (ceil mode),
    55 -> 26 by conv2 without padding, 13 -> 13 by padding 1, 13 -> 6 by the last pool.

    Args:
        in_channels: channels of the images.
        num_classes: outputs.
        dropout: the probability on what fc6 and fc7 give.

    >>> import tinyconv as tc
    >>> with tc.nn.init.skip_init():
    ...     net = tc.models.ZFNet()
    >>> sum(p.numel() for p in net.parameters())
    62357608
    """

    def __init__(self, in_channels=3, num_classes=1000, dropout=0.5):
        super().__init__()
        self.conv1 = nn.Conv2d(in_channels, 96, 7, stride=2, padding=1)
        self.norm1 = nn.LocalResponseNorm(5, alpha=5e-4, beta=0.75, k=2)
        self.conv2 = nn.Conv2d(96, 256, 5, stride=2)
        self.norm2 = nn.LocalResponseNorm(5, alpha=5e-4, beta=0.75, k=2)
        self.conv3 = nn.Conv2d(256, 384, 3, padding=1)
        self.conv4 = nn.Conv2d(384, 384, 3, padding=1)
        self.conv5 = nn.Conv2d(384, 256, 3, padding=1)
        self.fc6 = nn.Linear(256 * 6 * 6, 4096)
        self.drop6 = nn.Dropout(dropout)
        self.fc7 = nn.Linear(4096, 4096)
        self.drop7 = nn.Dropout(dropout)
        self.fc8 = nn.Linear(4096, num_classes)
        for module in self.modules():
            if isinstance(module, (nn.Conv2d, nn.Linear)):  # Sec. 3
                nn.init.normal_(module.weight, 0, 0.01)
                nn.init.zeros_(module.bias)

    def forward(self, x):
        x = F.relu(self.conv1(x))  # 96 x 110 x 110
        x = self.norm1(F.max_pool2d(x, 3, stride=2, ceil_mode=True))  # 96 x 55 x 55
        x = F.relu(self.conv2(x))  # 256 x 26 x 26
        x = self.norm2(F.max_pool2d(x, 3, stride=2, ceil_mode=True))  # 256 x 13 x 13
        x = F.relu(self.conv3(x))  # 384 x 13 x 13
        x = F.relu(self.conv4(x))  # 384 x 13 x 13
        x = F.relu(self.conv5(x))  # 256 x 13 x 13
        x = F.max_pool2d(x, 3, stride=2)  # 256 x 6 x 6
        x = self.drop6(F.relu(self.fc6(x.flatten(1))))  # 4096
        x = self.drop7(F.relu(self.fc7(x)))  # 4096
        return self.fc8(x)


zfnet = register("zfnet", ZFNet, about="AlexNet with finer first layers (2013)")
