"""ResNets for small images. He, Zhang, Ren, Sun 2015, arXiv:1512.03385, Sec. 4.2.

Depth 6n + 2: a 3 x 3 convolution, three stages of n blocks with 16, 32 and 64 channels,
each later stage at half the size, global average, one linear layer. A block adds its
input to what two convolutions make of it, so it starts near the identity and a net of a
hundred layers still trains. With bottlenecks, of three convolutions each, depth is 9n + 2
(arXiv:1603.05027, Sec. 4, sets ResNet-164 beside its pre-activation net).
"""

import tinyconv.nn as nn
from tinyconv.models.registry import register
from tinyconv.models.resnet import BasicBlock, Bottleneck, residual_stage, zero_last_gammas
from tinyconv.nn import functional as F

__all__ = [
    "CifarResNet", "cifar_resnet164_bottleneck",
    "cifar_resnet20_A", "cifar_resnet32_A", "cifar_resnet44_A", "cifar_resnet56_A",
    "cifar_resnet110_A", "cifar_resnet1202_A",
    "cifar_resnet20_B", "cifar_resnet32_B", "cifar_resnet44_B", "cifar_resnet56_B",
    "cifar_resnet110_B", "cifar_resnet1202_B",
    "resnet20", "resnet32", "resnet44", "resnet56", "resnet110", "resnet1202",
]  # fmt: skip


def blocks_per_stage(depth, bottleneck):
    """n of depth 6n + 2, or 9n + 2 with bottlenecks."""
    layers = 9 if bottleneck else 6
    if depth < layers + 2 or depth % layers != 2:
        known = "29, 56, 110, 164, 1001" if bottleneck else "20, 32, 44, 56, 110, 1202"
        kind = "with bottlenecks" if bottleneck else "with blocks of two convolutions"
        raise ValueError(f"depth={depth} must be {layers}n + 2 {kind}: {known}, ...")
    return (depth - 2) // layers


class CifarResNet(nn.Module):
    """The residual net of depth 6n + 2: 269,722 parameters at depth 20 with option A.

    Args:
        depth: 20, 32, 44, 56, 110, ...; 9n + 2 with bottlenecks: 164, ...
        shortcut: ``'A'`` (the paper's choice for CIFAR), ``'B'`` or ``'C'``, see
            ``make_shortcut``.
        bottleneck: stages of ``Bottleneck`` with 64, 128 and 256 channels, their stride on the
            first 1 x 1, in place of ``BasicBlock``.
        zero_init_residual: let each block begin as its shortcut.
        recompute: blocks that run again in backward together, see ``ResidualStage``; 0: none.
            For nets of hundreds of layers.
        in_channels: 3, or 1 for grey images.
        num_classes: outputs.

    Raises:
        ValueError: for a depth that breaks the rule, or another shortcut.

    >>> import tinyconv as tc
    >>> net = tc.models.CifarResNet(20)
    >>> sum(p.numel() for p in net.parameters())
    269722
    """

    def __init__(
        self, depth=20, shortcut="A", in_channels=3, num_classes=10, bottleneck=False,
        zero_init_residual=False, recompute=0,
    ):  # fmt: skip
        super().__init__()
        n = blocks_per_stage(depth, bottleneck)
        block, options = BasicBlock, dict(shortcut=shortcut)
        if bottleneck:
            block, options = Bottleneck, dict(shortcut=shortcut, stride_on="1x1")
        wide = block.expansion
        self.conv1 = nn.Conv2d(in_channels, 16, 3, padding=1, bias=False)
        self.bn1 = nn.BatchNorm2d(16)
        self.layer1 = residual_stage(block, 16, 16, n, 1, **options)
        self.layer2 = residual_stage(block, 16 * wide, 32, n, 2, **options)
        self.layer3 = residual_stage(block, 32 * wide, 64, n, 2, **options)
        self.fc = nn.Linear(64 * wide, num_classes)
        for stage in (self.layer1, self.layer2, self.layer3):
            stage.recompute = recompute
        for module in self.modules():
            if isinstance(module, (nn.Conv2d, nn.Linear)):
                nn.init.kaiming_normal_(module.weight)  # arXiv:1502.01852
        if zero_init_residual:
            zero_last_gammas(self)

    def forward(self, x):
        x = F.relu(self.bn1(self.conv1(x)))  # 16 x 32 x 32
        x = self.layer1(x)  # 16 x 32 x 32, four times the channels with bottlenecks
        x = self.layer2(x)  # 32 x 16 x 16
        x = self.layer3(x)  # 64 x 8 x 8
        return self.fc(F.adaptive_avg_pool2d(x, 1).flatten(1))


resnet20 = cifar_resnet20_A = register(
    "cifar_resnet20_A", CifarResNet, 20, "A", input=(3, 32, 32), aliases=("resnet20",),
    about="residual net of depth 20, shortcuts padded with zeros",
)  # fmt: skip
resnet32 = cifar_resnet32_A = register(
    "cifar_resnet32_A", CifarResNet, 32, "A", input=(3, 32, 32), aliases=("resnet32",),
    about="residual net of depth 32, shortcuts padded with zeros",
)  # fmt: skip
resnet44 = cifar_resnet44_A = register(
    "cifar_resnet44_A", CifarResNet, 44, "A", input=(3, 32, 32), aliases=("resnet44",),
    about="residual net of depth 44, shortcuts padded with zeros",
)  # fmt: skip
resnet56 = cifar_resnet56_A = register(
    "cifar_resnet56_A", CifarResNet, 56, "A", input=(3, 32, 32), aliases=("resnet56",),
    about="residual net of depth 56, shortcuts padded with zeros",
)  # fmt: skip
resnet110 = cifar_resnet110_A = register(
    "cifar_resnet110_A", CifarResNet, 110, "A", input=(3, 32, 32), aliases=("resnet110",),
    about="residual net of depth 110, shortcuts padded with zeros",
)  # fmt: skip
resnet1202 = cifar_resnet1202_A = register(
    "cifar_resnet1202_A", CifarResNet, 1202, "A", input=(3, 32, 32), aliases=("resnet1202",),
    about="residual net of depth 1202, shortcuts padded with zeros",
)  # fmt: skip
cifar_resnet20_B = register(
    "cifar_resnet20_B", CifarResNet, 20, "B", input=(3, 32, 32),
    about="residual net of depth 20, shortcuts projected",
)  # fmt: skip
cifar_resnet32_B = register(
    "cifar_resnet32_B", CifarResNet, 32, "B", input=(3, 32, 32),
    about="residual net of depth 32, shortcuts projected",
)  # fmt: skip
cifar_resnet44_B = register(
    "cifar_resnet44_B", CifarResNet, 44, "B", input=(3, 32, 32),
    about="residual net of depth 44, shortcuts projected",
)  # fmt: skip
cifar_resnet56_B = register(
    "cifar_resnet56_B", CifarResNet, 56, "B", input=(3, 32, 32),
    about="residual net of depth 56, shortcuts projected",
)  # fmt: skip
cifar_resnet110_B = register(
    "cifar_resnet110_B", CifarResNet, 110, "B", input=(3, 32, 32),
    about="residual net of depth 110, shortcuts projected",
)  # fmt: skip
cifar_resnet1202_B = register(
    "cifar_resnet1202_B", CifarResNet, 1202, "B", input=(3, 32, 32),
    about="residual net of depth 1202, shortcuts projected",
)  # fmt: skip
cifar_resnet164_bottleneck = register(
    "cifar_resnet164_bottleneck", CifarResNet, 164, "B", bottleneck=True, input=(3, 32, 32),
    about="residual net of depth 164, bottlenecks, shortcuts projected",
)  # fmt: skip
