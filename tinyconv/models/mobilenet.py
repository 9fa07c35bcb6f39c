"""MobileNet. Howard, Zhu, Chen, Kalenichenko, Wang, Weyand, Andreetto, Adam 2017,
arXiv:1704.04861, Table 1.
"""

import tinyconv.nn as nn
from tinyconv.models.registry import register
from tinyconv.nn import functional as F

__all__ = [
    "DepthwiseSeparable", "MobileNetV1", "mobilenet_v1_0_25", "mobilenet_v1_0_5",
    "mobilenet_v1_0_75", "mobilenet_v1_1_0", "mobilenet_v1_fullconv", "mobilenet_v1",
]  # fmt: skip


class DepthwiseSeparable(nn.Module):
    """A 3 x 3 filter for each map, then a 1 x 1 convolution; batch norm and ReLU behind both
    (Fig. 3, right).

    The first filters, the second mixes. 9 C + C O multiply-adds a pixel against 9 C O of one
    3 x 3 convolution: with many maps, eight to nine times fewer (Sec. 3.1).

    Args:
        in_channels, out_channels: C and O.
        stride: of the 3 x 3 filters.
        activation: in place of ``F.relu``.

    >>> import tinyconv as tc
    >>> tc.models.DepthwiseSeparable(4, 6, stride=2)(tc.zeros(2, 4, 5, 7)).shape
    (2, 6, 3, 4)
    """

    def __init__(self, in_channels, out_channels, stride=1, activation=F.relu):
        super().__init__()
        C, O = in_channels, out_channels
        self.conv_dw = nn.Conv2d(C, C, 3, stride, padding=1, groups=C, bias=False)
        self.bn1 = nn.BatchNorm2d(C)
        self.conv_pw = nn.Conv2d(C, O, 1, bias=False)
        self.bn2 = nn.BatchNorm2d(O)
        self.activation = activation

    def forward(self, x):
        x = self.activation(self.bn1(self.conv_dw(x)))
        return self.activation(self.bn2(self.conv_pw(x)))


class _FullConv(nn.Module):
    """The 3 x 3 convolution that ``DepthwiseSeparable`` stands for (Fig. 3, left)."""

    def __init__(self, in_channels, out_channels, stride, activation):
        super().__init__()
        self.conv = nn.Conv2d(in_channels, out_channels, 3, stride, padding=1, bias=False)
        self.bn = nn.BatchNorm2d(out_channels)
        self.activation = activation

    def forward(self, x):
        return self.activation(self.bn(self.conv(x)))


#: (maps, stride) of the units. The table's last stride reads 2, but its sizes stay 7 x 7
_UNITS = (
    (64, 1), (128, 2), (128, 1), (256, 2), (256, 1), (512, 2), (512, 1), (512, 1), (512, 1),
    (512, 1), (512, 1), (1024, 2), (1024, 1),
)  # fmt: skip


class MobileNetV1(nn.Module):
    """A 3 x 3 convolution, 13 units, the average, a linear layer: 4,231,976 parameters.

    Args:
        width: multiplies the maps of every layer (the paper's alpha): cost and parameters fall
            by its square. 0.75, 0.5 and 0.25 are the paper's.
        separable: False for whole 3 x 3 convolutions, Table 4's other line: 29,294,088
            parameters, 4,867 million MACs against 569.
        relu6: cut activations at 6, as the published weights want; the paper has plain ReLU.
        in_channels: channels of the images.
        num_classes: outputs.

    >>> import tinyconv as tc
    >>> tc.models.MobileNetV1(0.25, num_classes=7).eval()(tc.zeros(2, 3, 33, 40)).shape
    (2, 7)
    """

    def __init__(self, width=1.0, separable=True, relu6=False, in_channels=3, num_classes=1000):
        super().__init__()
        self.activation = F.relu6 if relu6 else F.relu
        unit = DepthwiseSeparable if separable else _FullConv
        channels = int(32 * width)
        self.conv1 = nn.Conv2d(in_channels, channels, 3, stride=2, padding=1, bias=False)
        self.bn1 = nn.BatchNorm2d(channels)
        self.units = nn.Sequential()
        for number, (maps, stride) in enumerate(_UNITS, 1):
            maps = int(maps * width)
            self.units.add_module(f"unit{number}", unit(channels, maps, stride, self.activation))
            channels = maps
        self.fc = nn.Linear(channels, num_classes)
        for module in self.modules():
            # the paper names none; He's rule, arXiv:1502.01852
            if isinstance(module, nn.Conv2d):
                nn.init.kaiming_normal_(module.weight, nonlinearity="relu")
        nn.init.normal_(self.fc.weight, 0, 0.01)
        nn.init.zeros_(self.fc.bias)

    def forward(self, x):
        x = self.activation(self.bn1(self.conv1(x)))  # 32 x 112 x 112
        x = self.units(x)  # 1024 x 7 x 7
        x = F.adaptive_avg_pool2d(x, 1).flatten(1)  # 1024
        return self.fc(x)


mobilenet_v1 = mobilenet_v1_1_0 = register(
    "mobilenet_v1_1_0", MobileNetV1, 1.0, about="MobileNet", aliases=("mobilenet_v1",)
)
mobilenet_v1_0_75 = register(
    "mobilenet_v1_0_75", MobileNetV1, 0.75, about="MobileNet, three quarters as wide"
)
mobilenet_v1_0_5 = register("mobilenet_v1_0_5", MobileNetV1, 0.5, about="MobileNet, half as wide")
mobilenet_v1_0_25 = register(
    "mobilenet_v1_0_25", MobileNetV1, 0.25, about="MobileNet, a quarter as wide"
)
mobilenet_v1_fullconv = register(
    "mobilenet_v1_fullconv", MobileNetV1, separable=False,
    about="MobileNet with whole convolutions, for comparison",
)  # fmt: skip
