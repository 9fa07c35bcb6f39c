"""Pre-activation residual nets. He, Zhang, Ren, Sun 2016, Identity Mappings in Deep Residual
Networks, arXiv:1603.05027, Fig. 4(e), for images of 224 x 224 and for small ones.

In the blocks of 2015 a ReLU stands behind each sum, so what comes in is not what is passed on.
Here nothing does: x_{l+1} = x_l + F(x_l), and from any unit to any later one x_L = x_l + sum F(x_i)
(eq. 4). The gradient comes back by the same sum (eq. 5): a part of it reaches every unit whole,
however many lie between. Batch norm and ReLU move before the convolutions, "pre-activation"; so
every convolution gets normalised input, which the sum with the raw shortcut would otherwise undo.
A net of 1001 layers trains, and better than one of 110.

Two places are special (the paper's appendix). The first unit activates before the ways part,
since its input comes from a bare convolution. So do the units that change the shape, as in the
authors' code: their projection, a 1 x 1 convolution without batch norm, reads the activated input
too. And one more batch norm and ReLU follow the last sum.
"""

import tinyconv.nn as nn
from tinyconv.models.registry import register
from tinyconv.models.resnet import bottleneck_strides, make_shortcut, residual_stage, resnet_stages
from tinyconv.models.resnet_cifar import blocks_per_stage
from tinyconv.nn import functional as F

__all__ = [
    "CifarPreActResNet", "PreActBlock", "PreActBottleneck", "PreActResNet",
    "cifar_preact_resnet20_B", "cifar_preact_resnet56_B", "cifar_preact_resnet110_B",
    "cifar_preact_resnet164", "cifar_preact_resnet1001",
    "preact_resnet18", "preact_resnet34", "preact_resnet50", "preact_resnet101",
    "preact_resnet152", "preact_resnet200", "preact_resnet164", "preact_resnet1001",
]  # fmt: skip


class PreActBlock(nn.Module):
    """x + conv(relu(bn(conv(relu(bn(x)))))), both convolutions 3 x 3 (Fig. 4(e)).

    It costs what a ``BasicBlock`` does: with C channels throughout 18 C^2 weights and 4 C of
    batch norm, 18 C^2 H W MACs. If the last convolution is zero, the block is the identity,
    for every x.

    Args:
        in_channels, out_channels: channels before and after.
        stride: of the first convolution and of the shortcut.
        shortcut: ``'A'`` or ``'B'``, where shapes change; see ``make_shortcut``.

    Attributes:
        shared: the shortcut reads the activated input, not the raw one.

    Raises:
        ValueError: for another shortcut.

    >>> import tinyconv as tc
    >>> tc.models.PreActBlock(4, 6, stride=2)(tc.zeros(1, 4, 8, 10)).shape
    (1, 6, 4, 5)
    """

    expansion = 1

    def __init__(self, in_channels, out_channels, stride=1, shortcut="B"):
        super().__init__()
        self.bn1 = nn.BatchNorm2d(in_channels)
        self.conv1 = nn.Conv2d(in_channels, out_channels, 3, stride, padding=1, bias=False)
        self.bn2 = nn.BatchNorm2d(out_channels)
        self.conv2 = nn.Conv2d(out_channels, out_channels, 3, padding=1, bias=False)
        self.shortcut = preact_shortcut(in_channels, out_channels, stride, shortcut)
        self.shared = not isinstance(self.shortcut, nn.Identity)

    def forward(self, x):
        active = F.relu(self.bn1(x))
        y = self.conv1(active)
        y = self.conv2(F.relu(self.bn2(y)))
        return y + self.shortcut(active if self.shared else x)


class PreActBottleneck(nn.Module):
    """x + F(x), F a 1 x 1, a 3 x 3 and a 1 x 1 convolution, each behind batch norm and ReLU.

    It costs what a ``Bottleneck`` does: with w = ``width`` and 4 w channels in and out 17 w^2
    weights and 12 w of batch norm, 17 w^2 H W MACs at stride 1.

    Args:
        in_channels: channels before.
        width: channels between; 4 ``width`` come out.
        stride: of one convolution and of the shortcut.
        shortcut: ``'A'`` or ``'B'``, where shapes change; see ``make_shortcut``.
        stride_on: ``'1x1'`` or ``'3x3'``, see ``Bottleneck``.

    Attributes:
        shared: the shortcut reads the activated input, not the raw one.

    Raises:
        ValueError: for another shortcut or another place of the stride.

    >>> import tinyconv as tc
    >>> tc.models.PreActBottleneck(4, 6, stride=2)(tc.zeros(1, 4, 8, 10)).shape
    (1, 24, 4, 5)
    """

    expansion = 4

    def __init__(self, in_channels, width, stride=1, shortcut="B", stride_on="3x3"):
        super().__init__()
        first, second = bottleneck_strides(stride, stride_on)
        out_channels = width * self.expansion
        self.bn1 = nn.BatchNorm2d(in_channels)
        self.conv1 = nn.Conv2d(in_channels, width, 1, first, bias=False)
        self.bn2 = nn.BatchNorm2d(width)
        self.conv2 = nn.Conv2d(width, width, 3, second, padding=1, bias=False)
        self.bn3 = nn.BatchNorm2d(width)
        self.conv3 = nn.Conv2d(width, out_channels, 1, bias=False)
        self.shortcut = preact_shortcut(in_channels, out_channels, stride, shortcut)
        self.shared = not isinstance(self.shortcut, nn.Identity)

    def forward(self, x):
        active = F.relu(self.bn1(x))
        y = self.conv1(active)
        y = self.conv2(F.relu(self.bn2(y)))
        y = self.conv3(F.relu(self.bn3(y)))
        return y + self.shortcut(active if self.shared else x)


def preact_shortcut(in_channels, out_channels, stride, option):
    """``make_shortcut`` without batch norm, and without option C: Sec. 3.1 is against it."""
    if option == "C":
        raise ValueError("shortcut='C': a pre-activation net wants 'A' or 'B', to have identities")
    return make_shortcut(in_channels, out_channels, stride, option, norm=False)


class PreActResNet(nn.Module):
    """The nets of Table 5, and shallower ones: 25,549,352 parameters at depth 50 (1000 classes).

    Without batch norm behind the first convolution: the first unit has its own.

    Args:
        depth: 18 or 34 (``PreActBlock``), 50, 101, 152 or 200 (``PreActBottleneck``).
        shortcut: ``'A'`` or ``'B'``, see ``make_shortcut``.
        stride_on: where bottlenecks have their stride, see ``Bottleneck``.
        in_channels: channels of the images.
        num_classes: outputs.

    Raises:
        ValueError: for another depth, shortcut or place of the stride.

    >>> import tinyconv as tc
    >>> tc.models.PreActResNet(18, num_classes=7).eval()(tc.zeros(1, 3, 32, 40)).shape
    (1, 7)
    """

    def __init__(
        self, depth=50, shortcut="B", stride_on="3x3", in_channels=3, num_classes=1000
    ):  # fmt: skip
        super().__init__()
        n1, n2, n3, n4 = resnet_stages(depth)
        block, options = PreActBlock, dict(shortcut=shortcut)
        if depth >= 50:
            block, options = PreActBottleneck, dict(shortcut=shortcut, stride_on=stride_on)
        wide = block.expansion
        self.conv1 = nn.Conv2d(in_channels, 64, 7, stride=2, padding=3, bias=False)
        self.layer1 = residual_stage(block, 64, 64, n1, 1, **options)
        self.layer2 = residual_stage(block, 64 * wide, 128, n2, 2, **options)
        self.layer3 = residual_stage(block, 128 * wide, 256, n3, 2, **options)
        self.layer4 = residual_stage(block, 256 * wide, 512, n4, 2, **options)
        self.bn = nn.BatchNorm2d(512 * wide)
        self.fc = nn.Linear(512 * wide, num_classes)
        self.layer1[0].shared = True  # its input comes from a bare convolution
        init_preact(self)

    def forward(self, x):
        x = self.conv1(x)  # 64 x 112 x 112
        x = F.max_pool2d(x, 3, stride=2, padding=1)  # 64 x 56 x 56
        x = self.layer1(x)  # 64 x 56 x 56, four times the channels with bottlenecks
        x = self.layer2(x)  # 128 x 28 x 28
        x = self.layer3(x)  # 256 x 14 x 14
        x = self.layer4(x)  # 512 x 7 x 7
        x = F.relu(self.bn(x))
        return self.fc(F.adaptive_avg_pool2d(x, 1).flatten(1))


class CifarPreActResNet(nn.Module):
    """The nets of Tables 3 and 4: 1,703,258 parameters at depth 164, 10,327,706 at 1001.

    Args:
        depth: 9n + 2: 164, 1001; without bottlenecks 6n + 2: 20, 56, 110 (which fit both rules).
        bottleneck: stages of ``PreActBottleneck`` with 64, 128 and 256 channels, their stride on
            the first 1 x 1, or of ``PreActBlock`` with 16, 32 and 64.
        shortcut: ``'A'`` or ``'B'``, see ``make_shortcut``.
        in_channels: 3, or 1 for grey images.
        num_classes: outputs.
        recompute: blocks that run again in backward together, see ``ResidualStage``; 0: none.
            For nets of hundreds of layers.

    Raises:
        ValueError: for a depth that breaks the rule, or another shortcut.

    >>> import tinyconv as tc
    >>> tc.models.CifarPreActResNet(11)(tc.zeros(2, 3, 8, 12)).shape
    (2, 10)
    """

    def __init__(
        self, depth=164, bottleneck=True, shortcut="B", in_channels=3, num_classes=10, recompute=0
    ):  # fmt: skip
        super().__init__()
        n = blocks_per_stage(depth, bottleneck)
        block, options = PreActBlock, dict(shortcut=shortcut)
        if bottleneck:
            block, options = PreActBottleneck, dict(shortcut=shortcut, stride_on="1x1")
        wide = block.expansion
        self.conv1 = nn.Conv2d(in_channels, 16, 3, padding=1, bias=False)
        self.layer1 = residual_stage(block, 16, 16, n, 1, **options)
        self.layer2 = residual_stage(block, 16 * wide, 32, n, 2, **options)
        self.layer3 = residual_stage(block, 32 * wide, 64, n, 2, **options)
        self.bn = nn.BatchNorm2d(64 * wide)
        self.fc = nn.Linear(64 * wide, num_classes)
        for stage in (self.layer1, self.layer2, self.layer3):
            stage.recompute = recompute
        self.layer1[0].shared = True  # its input comes from a bare convolution
        init_preact(self)

    def forward(self, x):
        x = self.conv1(x)  # 16 x 32 x 32
        x = self.layer1(x)  # 16 x 32 x 32, four times the channels with bottlenecks
        x = self.layer2(x)  # 32 x 16 x 16
        x = self.layer3(x)  # 64 x 8 x 8
        x = F.relu(self.bn(x))
        return self.fc(F.adaptive_avg_pool2d(x, 1).flatten(1))


def init_preact(net):
    """Normal with variance 2 / (k^2 O), as in the authors' code; biases zero."""
    for module in net.modules():
        if isinstance(module, nn.Conv2d):
            nn.init.kaiming_normal_(module.weight, mode="fan_out", nonlinearity="relu")
        elif isinstance(module, nn.Linear):
            nn.init.zeros_(module.bias)


preact_resnet18 = register(
    "preact_resnet18", PreActResNet, 18,
    about="pre-activation residual net of depth 18",
)  # fmt: skip
preact_resnet34 = register(
    "preact_resnet34", PreActResNet, 34,
    about="pre-activation residual net of depth 34",
)  # fmt: skip
preact_resnet50 = register(
    "preact_resnet50", PreActResNet, 50,
    about="pre-activation residual net of depth 50, bottlenecks",
)  # fmt: skip
preact_resnet101 = register(
    "preact_resnet101", PreActResNet, 101,
    about="pre-activation residual net of depth 101, bottlenecks",
)  # fmt: skip
preact_resnet152 = register(
    "preact_resnet152", PreActResNet, 152,
    about="pre-activation residual net of depth 152, bottlenecks",
)  # fmt: skip
preact_resnet200 = register(
    "preact_resnet200", PreActResNet, 200,
    about="pre-activation residual net of depth 200, bottlenecks",
)  # fmt: skip
cifar_preact_resnet20_B = register(
    "cifar_preact_resnet20_B", CifarPreActResNet, 20, bottleneck=False, input=(3, 32, 32),
    about="pre-activation residual net of depth 20, shortcuts projected",
)  # fmt: skip
cifar_preact_resnet56_B = register(
    "cifar_preact_resnet56_B", CifarPreActResNet, 56, bottleneck=False, input=(3, 32, 32),
    about="pre-activation residual net of depth 56, shortcuts projected",
)  # fmt: skip
cifar_preact_resnet110_B = register(
    "cifar_preact_resnet110_B", CifarPreActResNet, 110, bottleneck=False, input=(3, 32, 32),
    about="pre-activation residual net of depth 110, shortcuts projected",
)  # fmt: skip
preact_resnet164 = cifar_preact_resnet164 = register(
    "cifar_preact_resnet164", CifarPreActResNet, 164, input=(3, 32, 32),
    aliases=("preact_resnet164",), about="pre-activation residual net of depth 164, bottlenecks",
)  # fmt: skip
preact_resnet1001 = cifar_preact_resnet1001 = register(
    "cifar_preact_resnet1001", CifarPreActResNet, 1001, input=(3, 32, 32),
    aliases=("preact_resnet1001",), about="pre-activation residual net of depth 1001, bottlenecks",
)  # fmt: skip
