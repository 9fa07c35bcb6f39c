"""The eight networks of the benchmarks, and the few that show how cost grows.

Written with plain layers and PyTorch's names: ``twin.module`` runs this very text, and that of
``tinyconv.models``, in PyTorch too.
"""

import tinyconv.nn as nn
from tinyconv.models.inception_small import SmallInception  # noqa: F401
from tinyconv.models.lenet import LeNet5  # noqa: F401
from tinyconv.models.resnet_cifar import BasicBlock, CifarResNet  # noqa: F401
from tinyconv.nn import functional as F
from tinyconv.ops.join import cat


class ConvReLU(nn.Module):
    """A convolution with bias that keeps the image's size, and ReLU."""

    def __init__(self, in_channels, out_channels, size):
        super().__init__()
        self.conv = nn.Conv2d(in_channels, out_channels, size, padding=size // 2)

    def forward(self, x):
        return F.relu(self.conv(x))


class ConvBNReLU(nn.Module):
    """Convolution, batch norm, ReLU."""

    def __init__(self, in_channels, out_channels, size=3, stride=1, groups=1):
        super().__init__()
        self.conv = nn.Conv2d(
            in_channels, out_channels, size, stride, size // 2, groups=groups, bias=False
        )
        self.bn = nn.BatchNorm2d(out_channels)

    def forward(self, x):
        return F.relu(self.bn(self.conv(x)))


class Inception(nn.Module):
    """Szegedy et al. 2014, arXiv:1409.4842, Fig. 2b; the arguments are a row of Table 1."""

    def __init__(self, channels, c1, c3_reduce, c3, c5_reduce, c5, pool):
        super().__init__()
        self.branch1 = ConvReLU(channels, c1, 1)
        self.branch3 = nn.Sequential(ConvReLU(channels, c3_reduce, 1), ConvReLU(c3_reduce, c3, 3))
        self.branch5 = nn.Sequential(ConvReLU(channels, c5_reduce, 1), ConvReLU(c5_reduce, c5, 5))
        self.branch_pool = ConvReLU(channels, pool, 1)

    def forward(self, x):
        pool = self.branch_pool(F.max_pool2d(x, 3, stride=1, padding=1))
        return cat([self.branch1(x), self.branch3(x), self.branch5(x), pool], dim=1)


class GoogLeNetPart(nn.Module):
    """GoogLeNet's modules 3a, 3b, 4a and 4b on 32 x 32 images, behind one convolution."""

    def __init__(self):
        super().__init__()
        self.stem = ConvReLU(3, 192, 3)
        self.inception3a = Inception(192, 64, 96, 128, 16, 32, 32)
        self.inception3b = Inception(256, 128, 128, 192, 32, 96, 64)
        self.inception4a = Inception(480, 192, 96, 208, 16, 48, 64)
        self.inception4b = Inception(512, 160, 112, 224, 24, 64, 64)
        self.fc = nn.Linear(512, 10)

    def forward(self, x):
        x = self.inception3b(self.inception3a(self.stem(x)))  # 480 x 32 x 32
        x = F.max_pool2d(x, 3, stride=2, padding=1)
        x = self.inception4b(self.inception4a(x))  # 512 x 16 x 16
        return self.fc(F.adaptive_avg_pool2d(x, 1).flatten(1))


class VGGSmall(nn.Module):
    """Simonyan and Zisserman 2014, arXiv:1409.1556, at a third of the depth, with batch norm."""

    def __init__(self):
        super().__init__()
        layers, before = [], 3
        for channels in (64, 128, 256):
            layers += [ConvBNReLU(before, channels), ConvBNReLU(channels, channels)]
            layers += [nn.MaxPool2d(2)]
            before = channels
        self.features = nn.Sequential(*layers)
        self.fc = nn.Linear(256 * 4 * 4, 10)

    def forward(self, x):
        return self.fc(self.features(x).flatten(1))


class MobileNetSmall(nn.Module):
    """Howard et al. 2017, arXiv:1704.04861: depthwise 3 x 3, then 1 x 1, on 32 x 32 images."""

    def __init__(self):
        super().__init__()
        layers, before = [ConvBNReLU(3, 32)], 32
        for channels, stride in ((64, 1), (128, 2), (128, 1), (256, 2), (256, 1)):
            layers += [ConvBNReLU(before, before, stride=stride, groups=before)]
            layers += [ConvBNReLU(before, channels, 1)]
            before = channels
        self.features = nn.Sequential(*layers)
        self.fc = nn.Linear(256, 10)

    def forward(self, x):
        return self.fc(F.adaptive_avg_pool2d(self.features(x), 1).flatten(1))


class ResNet18Head(nn.Module):
    """The first half of ResNet-18, He et al. 2015, arXiv:1512.03385, Table 1."""

    def __init__(self):
        super().__init__()
        self.stem = ConvBNReLU(3, 64, 7, stride=2)
        self.layer1 = nn.Sequential(BasicBlock(64, 64), BasicBlock(64, 64))
        self.layer2 = nn.Sequential(BasicBlock(64, 128, 2, "B"), BasicBlock(128, 128))
        self.fc = nn.Linear(128, 10)

    def forward(self, x):
        x = F.max_pool2d(self.stem(x), 3, stride=2, padding=1)
        return self.fc(F.adaptive_avg_pool2d(self.layer2(self.layer1(x)), 1).flatten(1))


class PlainNet(nn.Module):
    """Four convolutions for images of any size."""

    def __init__(self):
        super().__init__()
        self.features = nn.Sequential(
            ConvBNReLU(3, 16), nn.MaxPool2d(2), ConvBNReLU(16, 32), nn.MaxPool2d(2),
            ConvBNReLU(32, 64), ConvBNReLU(64, 64),
        )  # fmt: skip
        self.fc = nn.Linear(64, 10)

    def forward(self, x):
        return self.fc(F.adaptive_avg_pool2d(self.features(x), 1).flatten(1))


#: name -> (class, its options, shape of a batch)
NETS = {
    "LeNet-5": ("LeNet5", {}, (64, 1, 28, 28)),
    "Inception small": ("SmallInception", {}, (64, 1, 28, 28)),
    "ResNet-20": ("CifarResNet", {"depth": 20}, (128, 3, 32, 32)),
    "ResNet-56": ("CifarResNet", {"depth": 56}, (32, 3, 32, 32)),
    "GoogLeNet 3a-4b": ("GoogLeNetPart", {}, (32, 3, 32, 32)),
    "VGG-style": ("VGGSmall", {}, (64, 3, 32, 32)),
    "depthwise": ("MobileNetSmall", {}, (64, 3, 32, 32)),
    "ResNet-18 head": ("ResNet18Head", {}, (8, 3, 112, 112)),
}
