"""Network in Network. Lin, Chen, Yan 2013, arXiv:1312.4400, Fig. 2. The widths are those of the
authors' model files; the paper prints none.
"""

import tinyconv.nn as nn
from tinyconv.models.registry import register
from tinyconv.nn import functional as F

__all__ = ["MLPConv", "NiN", "nin_cifar10", "nin_d2l_fashion", "nin_imagenet"]


class MLPConv(nn.Module):
    """A convolution, then two of 1 x 1, ReLU behind each (paper: Fig. 1b, eq. 2).

    The 1 x 1 convolutions are a perceptron with two layers that slides over the image: they mix
    the maps of each pixel, a nonlinear filter where a convolution has a linear one. Cost: k k C a
    + a b + b c weights with C maps in, and as many multiply-adds a pixel.

    Args:
        in_channels: maps in.
        widths: maps behind the three convolutions, (a, b, c).
        kernel_size, stride, padding: of the first.

    >>> import tinyconv as tc
    >>> tc.models.MLPConv(3, (8, 6, 4), 5, padding=2)(tc.zeros(1, 3, 7, 9)).shape
    (1, 4, 7, 9)
    """

    def __init__(self, in_channels, widths, kernel_size, stride=1, padding=0):
        super().__init__()
        a, b, c = widths
        self.conv = nn.Conv2d(in_channels, a, kernel_size, stride, padding)
        self.cccp1 = nn.Conv2d(a, b, 1)  # "cascaded cross channel parametric pooling"
        self.cccp2 = nn.Conv2d(b, c, 1)

    def forward(self, x):
        x = F.relu(self.conv(x))
        x = F.relu(self.cccp1(x))
        return F.relu(self.cccp2(x))


class NiN(nn.Module):
    """mlpconv layers with pools between them; the last one has a map for each class.

    The average of each map is its class's logit: no linear layer, so nothing to overfit there,
    and each map shows where its class is (Sec. 3.2). All images are taken that are large enough
    for the pools.

    Args:
        layout: for each layer (what is in front of it, widths, kernel size, stride, padding).
            In front are ``'max'`` or ``'avg'``, pools of 3 x 3 with stride 2, and ``'drop'``,
            dropout. A width of None is the number of classes.
        ceil_mode: pools may hang over the edge.
        in_channels: channels of the images.
        num_classes: outputs.
        dropout: its probability.

    >>> import tinyconv as tc
    >>> tc.models.nin_cifar10(in_channels=1)(tc.zeros(1, 1, 12, 14)).shape
    (1, 10)
    """

    def __init__(self, layout, ceil_mode=True, in_channels=3, num_classes=10, dropout=0.5):
        super().__init__()
        between = {
            "max": lambda: nn.MaxPool2d(3, stride=2, ceil_mode=ceil_mode),
            "avg": lambda: nn.AvgPool2d(3, stride=2, ceil_mode=ceil_mode),
            "drop": lambda: nn.Dropout(dropout),
        }
        self.layers = nn.Sequential()
        for number, (front, widths, *window) in enumerate(layout, 1):
            for kind in front.split():
                self.layers.add_module(f"{kind}{number - 1}", between[kind]())
            widths = [w or num_classes for w in widths]
            self.layers.add_module(f"mlpconv{number}", MLPConv(in_channels, widths, *window))
            in_channels = widths[-1]
        for module in self.modules():
            # the paper sets them by hand; He's rule (arXiv:1502.01852) suits any width
            if isinstance(module, nn.Conv2d):
                nn.init.kaiming_normal_(module.weight, nonlinearity="relu")
                nn.init.zeros_(module.bias)

    def forward(self, x):
        x = self.layers(x)  # a map for each class
        return F.adaptive_avg_pool2d(x, 1).flatten(1)


_CIFAR10 = (
    ("", (192, 160, 96), 5, 1, 2),  # 96 x 32 x 32
    ("max drop", (192, 192, 192), 5, 1, 2),  # 192 x 16 x 16
    ("avg drop", (192, 192, None), 3, 1, 1),  # classes x 8 x 8
)
_IMAGENET = (
    ("", (96, 96, 96), 11, 4, 0),  # 96 x 54 x 54
    ("max", (256, 256, 256), 5, 1, 2),  # 256 x 27 x 27
    ("max", (384, 384, 384), 3, 1, 1),  # 384 x 13 x 13
    ("max drop", (1024, 1024, None), 3, 1, 1),  # classes x 6 x 6
)
#: pools that do not hang over make 26, 12 and 5 of the sizes
_D2L = (*_IMAGENET[:3], ("max drop", (None, None, None), 3, 1, 1))

nin_cifar10 = register(
    "nin_cifar10", NiN, _CIFAR10, about="Network in Network for CIFAR", input=(3, 32, 32),
)  # fmt: skip
nin_imagenet = register(
    "nin_imagenet", NiN, _IMAGENET, num_classes=1000, about="Network in Network for ImageNet",
)  # fmt: skip
nin_d2l_fashion = register(
    "nin_d2l_fashion", NiN, _D2L, ceil_mode=False, in_channels=1,
    about="Network in Network as in Dive into Deep Learning", input=(1, 224, 224),
)  # fmt: skip
