"""AlexNet. Krizhevsky, Sutskever, Hinton 2012, ImageNet Classification with Deep Convolutional
Neural Networks, NIPS; its one-tower form: Krizhevsky 2014, arXiv:1404.5997.
"""

import tinyconv.nn as nn
from tinyconv.models.registry import register
from tinyconv.nn import functional as F

__all__ = [
    "AlexNet", "AlexNetOriginal", "alexnet_original_1group", "alexnet_original_2group",
    "alexnet_torchvision", "alexnet",
]  # fmt: skip


class AlexNetOriginal(nn.Module):
    """The network of 2012, Fig. 2: 60,965,224 parameters in two groups, 62,378,344 in one.

    Two groups are the halves that the paper computed on two cards: conv2, conv4 and conv5 see
    the maps of their own half only, which halves their weights and multiply-adds (724 million in
    all against 1,135 million); conv3 and the fully connected layers see both.

    Pools are 3 x 3 with stride 2, so they overlap, which the paper found to overfit a little
    less (Sec. 3.4). Local response normalisation comes before the pool (Sec. 3.5). Dropout is on
    what fc6 and fc7 give. The paper's 224 x 224 does not make its 55 x 55; 227 x 227 does.

    Args:
        groups: 2 or 1.
        in_channels: channels of the images.
        num_classes: outputs.
        dropout: the probability in fc6 and fc7.
        hidden_bias: the first bias of conv2, conv4, conv5, fc6 and fc7, so that their ReLUs
            start with positive inputs (Sec. 5). Caffe takes 0.1.

    Raises:
        ValueError: for groups that do not divide the maps.

    >>> import tinyconv as tc
    >>> with tc.nn.init.skip_init():
    ...     net = tc.models.AlexNetOriginal()
    >>> sum(p.numel() for p in net.parameters())
    60965224
    """

    def __init__(self, groups=2, in_channels=3, num_classes=1000, dropout=0.5, hidden_bias=1.0):
        super().__init__()
        self.conv1 = nn.Conv2d(in_channels, 96, 11, stride=4)
        self.lrn1 = nn.LocalResponseNorm(5, alpha=5e-4, beta=0.75, k=2)
        self.conv2 = nn.Conv2d(96, 256, 5, padding=2, groups=groups)
        self.lrn2 = nn.LocalResponseNorm(5, alpha=5e-4, beta=0.75, k=2)
        self.conv3 = nn.Conv2d(256, 384, 3, padding=1)
        self.conv4 = nn.Conv2d(384, 384, 3, padding=1, groups=groups)
        self.conv5 = nn.Conv2d(384, 256, 3, padding=1, groups=groups)
        self.fc6 = nn.Linear(256 * 6 * 6, 4096)
        self.drop6 = nn.Dropout(dropout)
        self.fc7 = nn.Linear(4096, 4096)
        self.drop7 = nn.Dropout(dropout)
        self.fc8 = nn.Linear(4096, num_classes)
        ones = "conv2", "conv4", "conv5", "fc6", "fc7"
        for name, module in self.named_modules():
            if isinstance(module, (nn.Conv2d, nn.Linear)):  # Sec. 5
                nn.init.normal_(module.weight, 0, 0.01)
                nn.init.constant_(module.bias, hidden_bias if name in ones else 0)

    def forward(self, x):
        x = self.lrn1(F.relu(self.conv1(x)))  # 96 x 55 x 55
        x = F.max_pool2d(x, 3, stride=2)  # 96 x 27 x 27
        x = self.lrn2(F.relu(self.conv2(x)))  # 256 x 27 x 27
        x = F.max_pool2d(x, 3, stride=2)  # 256 x 13 x 13
        x = F.relu(self.conv3(x))  # 384 x 13 x 13
        x = F.relu(self.conv4(x))  # 384 x 13 x 13
        x = F.relu(self.conv5(x))  # 256 x 13 x 13
        x = F.max_pool2d(x, 3, stride=2)  # 256 x 6 x 6
        x = self.drop6(F.relu(self.fc6(x.flatten(1))))  # 4096
        x = self.drop7(F.relu(self.fc7(x)))  # 4096
        return self.fc8(x)


class AlexNet(nn.Module):
    """The single tower of 2014, as torchvision has it: 61,100,840 parameters.

    64, 192, 384, 256, 256 maps, no groups and no response normalisation. Dropout is on what fc6
    and fc7 get. Images of 63 x 63 or more: the last maps are averaged to 6 x 6, which changes
    nothing at 224 x 224.

    Args:
        in_channels: channels of the images.
        num_classes: outputs.
        dropout: the probability in front of the two hidden layers.

    State: ``features.{0,3,6,8,10}``, ``classifier.{1,4,6}``, as in torchvision.

    >>> import tinyconv as tc
    >>> with tc.nn.init.skip_init():
    ...     net = tc.models.AlexNet(num_classes=7).eval()
    >>> net(tc.zeros(2, 3, 63, 65)).shape
    (2, 7)
    """

    def __init__(self, in_channels=3, num_classes=1000, dropout=0.5):
        super().__init__()
        self.features = nn.Sequential(
            nn.Conv2d(in_channels, 64, 11, stride=4, padding=2),  # 64 x 55 x 55
            nn.ReLU(),
            nn.MaxPool2d(3, stride=2),  # 64 x 27 x 27
            nn.Conv2d(64, 192, 5, padding=2),  # 192 x 27 x 27
            nn.ReLU(),
            nn.MaxPool2d(3, stride=2),  # 192 x 13 x 13
            nn.Conv2d(192, 384, 3, padding=1),  # 384 x 13 x 13
            nn.ReLU(),
            nn.Conv2d(384, 256, 3, padding=1),  # 256 x 13 x 13
            nn.ReLU(),
            nn.Conv2d(256, 256, 3, padding=1),  # 256 x 13 x 13
            nn.ReLU(),
            nn.MaxPool2d(3, stride=2),  # 256 x 6 x 6
        )
        self.avgpool = nn.AdaptiveAvgPool2d((6, 6))
        self.classifier = nn.Sequential(
            nn.Dropout(dropout),
            nn.Linear(256 * 6 * 6, 4096),
            nn.ReLU(),
            nn.Dropout(dropout),
            nn.Linear(4096, 4096),
            nn.ReLU(),
            nn.Linear(4096, num_classes),
        )

    def forward(self, x):
        x = self.avgpool(self.features(x))  # 256 x 6 x 6
        return self.classifier(x.flatten(1))


_227 = (3, 227, 227)

alexnet_original_2group = register(
    "alexnet_original_2group", AlexNetOriginal, 2, about="AlexNet of 2012, two groups", input=_227,
)  # fmt: skip
alexnet_original_1group = register(
    "alexnet_original_1group", AlexNetOriginal, 1, about="AlexNet of 2012, dense", input=_227,
)  # fmt: skip
alexnet = alexnet_torchvision = register(
    "alexnet_torchvision", AlexNet, about="AlexNet of 2014, one tower", aliases=("alexnet",),
)  # fmt: skip
