"""Residual nets. He, Zhang, Ren, Sun 2015, Deep Residual Learning for Image Recognition,
arXiv:1512.03385: the blocks of Figs. 2 and 5, the three shortcuts of Sec. 3.3, and the networks of
Table 1 for images of 224 x 224. Those for small images are in ``resnet_cifar.py``.

A deeper net ought to do at least as well as a shallow one: its further layers could pass on what
they get. Plain layers do not learn that, and the deeper net is worse, on the training images too
(Fig. 1). A residual block learns what is to be *added* to its input. To pass it on, it need only
make nothing of it: all weights towards zero, where weight decay pulls them anyway. And the gradient
has a way back through every sum, past all weights.

The state has torchvision's names and order. The stride of a stage is at the 3 x 3 convolution of
its first bottleneck as in torchvision's weights ("v1.5"), in the ``_v1_original`` nets at the 1 x 1
before it, as in the paper; the weights are of equal shapes, but do not fit each other.
"""

import tinyconv.nn as nn
from tinyconv.models.registry import register
from tinyconv.nn import functional as F
from tinyconv.utils.checkpoint import checkpoint

__all__ = [
    "BasicBlock", "Bottleneck", "ResNet", "ResidualStage", "ZeroPadShortcut",
    "resnet18", "resnet34", "resnet50", "resnet101", "resnet152",
    "resnet50_v1_original", "resnet101_v1_original", "resnet152_v1_original",
]  # fmt: skip


class BasicBlock(nn.Module):
    """relu(x + bn(conv(relu(bn(conv(x)))))), both convolutions 3 x 3 (Fig. 2; Fig. 5, left).

    With C channels throughout: 18 C^2 weights and 4 C of batch norm, 18 C^2 H W MACs. If the
    last batch norm's weights are zero, the block is relu(x): the identity, for x comes out of
    a ReLU.

    Args:
        in_channels, out_channels: channels before and after.
        stride: of the first convolution and of the shortcut.
        shortcut: ``'A'``, ``'B'`` or ``'C'``, see ``make_shortcut``.
        name: of the shortcut in the state; torchvision calls it ``downsample``.

    Raises:
        ValueError: for another shortcut.

    >>> import tinyconv as tc
    >>> tc.models.BasicBlock(4, 6, stride=2)(tc.zeros(1, 4, 8, 10)).shape
    (1, 6, 4, 5)
    """

    expansion = 1

    def __init__(self, in_channels, out_channels, stride=1, shortcut="A", name="shortcut"):
        super().__init__()
        self.conv1 = nn.Conv2d(in_channels, out_channels, 3, stride, padding=1, bias=False)
        self.bn1 = nn.BatchNorm2d(out_channels)
        self.conv2 = nn.Conv2d(out_channels, out_channels, 3, padding=1, bias=False)
        self.bn2 = nn.BatchNorm2d(out_channels)
        self.name = name
        self.register_module(name, make_shortcut(in_channels, out_channels, stride, shortcut))

    def forward(self, x):
        y = F.relu(self.bn1(self.conv1(x)))
        y = self.bn2(self.conv2(y))
        return F.relu(y + getattr(self, self.name)(x))


class Bottleneck(nn.Module):
    """relu(x + F(x)), F a 1 x 1, a 3 x 3 and a 1 x 1 convolution (Fig. 5, right).

    The first brings the channels down to ``width``, the last up to 4 ``width``; so the 3 x 3
    works on a quarter of the channels. With w = ``width`` and 4 w channels in and out: 4 w^2 +
    9 w^2 + 4 w^2 = 17 w^2 weights and 12 w of batch norm, 17 w^2 H W MACs at stride 1. That is
    less than a ``BasicBlock`` of w channels has (18 w^2), and a 17th of one of 4 w (288 w^2).

    Args:
        in_channels: channels before.
        width: channels between; 4 ``width`` come out.
        stride: of one convolution and of the shortcut.
        shortcut: ``'A'``, ``'B'`` or ``'C'``, see ``make_shortcut``.
        stride_on: ``'1x1'``, the first convolution, as in the paper: cheaper, but three of four
            pixels are never looked at; or ``'3x3'``, as in torchvision ("v1.5").
        name: of the shortcut in the state; torchvision calls it ``downsample``.

    Raises:
        ValueError: for another shortcut or another place of the stride.

    >>> import tinyconv as tc
    >>> tc.models.Bottleneck(4, 6, stride=2)(tc.zeros(1, 4, 8, 10)).shape
    (1, 24, 4, 5)
    """

    expansion = 4

    def __init__(
        self, in_channels, width, stride=1, shortcut="B", stride_on="3x3", name="shortcut"
    ):
        super().__init__()
        first, second = bottleneck_strides(stride, stride_on)
        out_channels = width * self.expansion
        self.conv1 = nn.Conv2d(in_channels, width, 1, first, bias=False)
        self.bn1 = nn.BatchNorm2d(width)
        self.conv2 = nn.Conv2d(width, width, 3, second, padding=1, bias=False)
        self.bn2 = nn.BatchNorm2d(width)
        self.conv3 = nn.Conv2d(width, out_channels, 1, bias=False)
        self.bn3 = nn.BatchNorm2d(out_channels)
        self.name = name
        self.register_module(name, make_shortcut(in_channels, out_channels, stride, shortcut))

    def forward(self, x):
        y = F.relu(self.bn1(self.conv1(x)))
        y = F.relu(self.bn2(self.conv2(y)))
        y = self.bn3(self.conv3(y))
        return F.relu(y + getattr(self, self.name)(x))


class ZeroPadShortcut(nn.Module):
    """Option A: every ``stride``-th pixel, new channels zero. It has no parameters.

    Half of the zeros stand before, half behind; the paper does not say where.

    >>> import tinyconv as tc
    >>> tc.models.ZeroPadShortcut(2, 4, stride=2)(tc.ones(1, 2, 1, 3))[0, :, 0, 0]
    tensor([0., 1., 1., 0.])
    """

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


def make_shortcut(in_channels, out_channels, stride, option, norm=True):
    """The way past a block (Sec. 3.3, Table 3).

    Where the shape stays it is the identity. Where it changes: ``'A'`` takes every
    ``stride``-th pixel and adds channels of zeros, ``'B'`` projects by a 1 x 1 convolution, with
    batch norm if ``norm``. ``'C'`` projects everywhere.
    """
    if option not in ("A", "B", "C"):
        raise ValueError(f"shortcut={option!r}: wants 'A' (zeros), 'B' or 'C' (projections)")
    if option != "C" and stride == 1 and in_channels == out_channels:
        return nn.Identity()
    if option == "A":
        return ZeroPadShortcut(in_channels, out_channels, stride)
    projection = nn.Conv2d(in_channels, out_channels, 1, stride, bias=False)
    return nn.Sequential(projection, nn.BatchNorm2d(out_channels)) if norm else projection


def bottleneck_strides(stride, stride_on):
    """Strides of the first 1 x 1 and of the 3 x 3 convolution."""
    if stride_on not in ("1x1", "3x3"):
        raise ValueError(f"stride_on={stride_on!r}: wants '1x1' (the paper) or '3x3' (v1.5)")
    return (stride, 1) if stride_on == "1x1" else (1, stride)


class ResidualStage(nn.Sequential):
    """Blocks one after the other, of which the first changes the shape.

    Attributes:
        recompute: so many blocks at a time keep no more than their input for backward, and run
            again then; 0: everything is kept. The gradient is the same. With b blocks about
            sqrt(b) at a time take the least memory (arXiv:1604.06174).

    >>> import tinyconv as tc
    >>> stage = tc.models.ResidualStage(*(tc.models.BasicBlock(2, 2) for _ in range(5)))
    >>> stage.recompute = 2
    >>> stage(tc.ones(1, 2, 4, 4)).shape
    (1, 2, 4, 4)
    """

    recompute = 0

    def forward(self, x):
        if not self.recompute:
            return super().forward(x)
        if self.recompute < 0:  # no block would run
            raise ValueError(f"ResidualStage: recompute={self.recompute} must be at least 0")
        blocks = list(self)
        for first in range(0, len(blocks), self.recompute):
            some = blocks[first : first + self.recompute]
            x = checkpoint(_in_turn, some, x, use_reentrant=False)
        return x


def _in_turn(blocks, x):
    for block in blocks:
        x = block(x)
    return x


def residual_stage(block, in_channels, width, blocks, stride, **options):
    """A ``ResidualStage`` of ``blocks`` blocks; the first has the stride."""
    first = block(in_channels, width, stride, **options)
    rest = (block(width * block.expansion, width, **options) for _ in range(blocks - 1))
    return ResidualStage(first, *rest)


def zero_last_gammas(net):
    """Let each block of ``net`` begin as its shortcut: the weights of its last batch norm are 0.

    Goyal et al. 2017, arXiv:1706.02677, Sec. 5.1.
    """
    for module in net.modules():
        if isinstance(module, (BasicBlock, Bottleneck)):
            last = module.bn2 if isinstance(module, BasicBlock) else module.bn3
            nn.init.zeros_(last.weight)


#: Table 1: blocks of each stage, by depth; 200 is of arXiv:1603.05027
RESNET_STAGES = {
    18: (2, 2, 2, 2), 34: (3, 4, 6, 3), 50: (3, 4, 6, 3), 101: (3, 4, 23, 3), 152: (3, 8, 36, 3),
    200: (3, 24, 36, 3),
}  # fmt: skip


def resnet_stages(depth):
    """Blocks of each stage."""
    if depth not in RESNET_STAGES:
        raise ValueError(f"depth={depth}: Table 1 has {', '.join(map(str, RESNET_STAGES))}")
    return RESNET_STAGES[depth]


class ResNet(nn.Module):
    """A column of Table 1: 11,689,512 parameters at depth 18, 25,557,032 at 50 (1000 classes).

    Args:
        depth: 18 or 34 (``BasicBlock``), 50, 101, 152 or 200 (``Bottleneck``).
        shortcut: ``'A'``, ``'B'`` (where the shape changes) or ``'C'``; see ``make_shortcut``.
        stride_on: where bottlenecks have their stride, see ``Bottleneck``.
        zero_init_residual: let each block begin as its shortcut.
        in_channels: channels of the images.
        num_classes: outputs.

    Raises:
        ValueError: for another depth, shortcut or place of the stride.

    >>> import tinyconv as tc
    >>> tc.models.ResNet(18, num_classes=7).eval()(tc.zeros(1, 3, 32, 40)).shape
    (1, 7)
    """

    def __init__(
        self, depth=50, shortcut="B", stride_on="3x3", zero_init_residual=False, in_channels=3,
        num_classes=1000,
    ):  # fmt: skip
        super().__init__()
        n1, n2, n3, n4 = resnet_stages(depth)
        options = dict(shortcut=shortcut, name="downsample")
        block = BasicBlock if depth < 50 else Bottleneck
        if block is Bottleneck:
            options["stride_on"] = stride_on
        wide = block.expansion
        self.conv1 = nn.Conv2d(in_channels, 64, 7, stride=2, padding=3, bias=False)
        self.bn1 = nn.BatchNorm2d(64)
        self.layer1 = residual_stage(block, 64, 64, n1, 1, **options)
        self.layer2 = residual_stage(block, 64 * wide, 128, n2, 2, **options)
        self.layer3 = residual_stage(block, 128 * wide, 256, n3, 2, **options)
        self.layer4 = residual_stage(block, 256 * wide, 512, n4, 2, **options)
        self.fc = nn.Linear(512 * wide, num_classes)
        for module in self.modules():
            if isinstance(module, nn.Conv2d):  # as in torchvision; arXiv:1502.01852
                nn.init.kaiming_normal_(module.weight, mode="fan_out", nonlinearity="relu")
        if zero_init_residual:
            zero_last_gammas(self)

    def forward(self, x):
        x = F.relu(self.bn1(self.conv1(x)))  # 64 x 112 x 112
        x = F.max_pool2d(x, 3, stride=2, padding=1)  # 64 x 56 x 56
        x = self.layer1(x)  # 64 x 56 x 56, four times the channels with bottlenecks
        x = self.layer2(x)  # 128 x 28 x 28
        x = self.layer3(x)  # 256 x 14 x 14
        x = self.layer4(x)  # 512 x 7 x 7
        return self.fc(F.adaptive_avg_pool2d(x, 1).flatten(1))


resnet18 = register("resnet18", ResNet, 18, about="residual net of depth 18")
resnet34 = register("resnet34", ResNet, 34, about="residual net of depth 34")
resnet50 = register("resnet50", ResNet, 50, about="residual net of depth 50, bottlenecks, v1.5")
resnet101 = register("resnet101", ResNet, 101, about="residual net of depth 101, bottlenecks, v1.5")
resnet152 = register("resnet152", ResNet, 152, about="residual net of depth 152, bottlenecks, v1.5")
resnet50_v1_original = register(
    "resnet50_v1_original", ResNet, 50, stride_on="1x1",
    about="residual net of depth 50, bottlenecks, strides as in the paper",
)  # fmt: skip
resnet101_v1_original = register(
    "resnet101_v1_original", ResNet, 101, stride_on="1x1",
    about="residual net of depth 101, bottlenecks, strides as in the paper",
)  # fmt: skip
resnet152_v1_original = register(
    "resnet152_v1_original", ResNet, 152, stride_on="1x1",
    about="residual net of depth 152, bottlenecks, strides as in the paper",
)  # fmt: skip
