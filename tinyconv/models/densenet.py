"""DenseNets. Huang, Liu, van der Maaten, Weinberger 2016, Densely Connected Convolutional Networks,
arXiv:1608.06993: Table 1 for images of 224 x 224, Sec. 4.2 for small ones.

Inside a block every layer sees what all layers before it made, side by side, and adds k channels of
its own, the growth. Where a residual block adds to its input, a dense one keeps it: x, then what is
new. So no layer has to make again what is known, and few channels each are enough.

The state has torchvision's names and order.
"""

from collections import OrderedDict

import tinyconv.nn as nn
from tinyconv.models.registry import register
from tinyconv.nn import functional as F
from tinyconv.ops.join import cat

__all__ = [
    "CifarDenseNet", "DenseBlock", "DenseLayer", "DenseNet", "Transition",
    "cifar_densenet40_k12", "cifar_densenet_bc100_k12",
    "densenet121", "densenet161", "densenet169", "densenet201", "densenet264",
    "densenet40_k12", "densenet_bc100_k12",
]  # fmt: skip


class DenseLayer(nn.Module):
    """[x, conv3x3(relu(bn(conv1x1(relu(bn(x))))))]: C channels in, C + k out (Fig. 1, Sec. 3).

    The 1 x 1 bottleneck ("B") brings C channels to 4 k first: 4 k C + 36 k^2 weights and as many
    MACs per pixel, where a 3 x 3 convolution alone has 9 k C. So it pays as soon as C is above
    7.2 k, and C grows by k with every layer.

    Args:
        in_channels: C.
        growth: k.
        bottleneck: False leaves the 1 x 1 convolution out.
        dropout: rate, after each convolution.

    >>> import tinyconv as tc
    >>> tc.models.DenseLayer(8, growth=3)(tc.zeros(1, 8, 4, 5)).shape
    (1, 11, 4, 5)
    """

    def __init__(self, in_channels, growth, bottleneck=True, dropout=0.0):
        super().__init__()
        self.bottleneck, self.dropout = bottleneck, dropout
        self.norm1 = nn.BatchNorm2d(in_channels)
        if bottleneck:
            self.conv1 = nn.Conv2d(in_channels, 4 * growth, 1, bias=False)
            self.norm2 = nn.BatchNorm2d(4 * growth)
            self.conv2 = nn.Conv2d(4 * growth, growth, 3, padding=1, bias=False)
        else:
            self.conv1 = nn.Conv2d(in_channels, growth, 3, padding=1, bias=False)

    def forward(self, x):
        y = self.conv1(F.relu(self.norm1(x)))
        y = F.dropout(y, self.dropout, self.training)
        if self.bottleneck:
            y = self.conv2(F.relu(self.norm2(y)))
            y = F.dropout(y, self.dropout, self.training)
        return cat([x, y], dim=1)


class DenseBlock(nn.Module):
    """L dense layers: C channels in, C + L k out, the oldest first (Fig. 1).

    Args:
        in_channels: C.
        layers: L.
        growth, bottleneck, dropout: as of ``DenseLayer``.

    >>> import tinyconv as tc
    >>> tc.models.DenseBlock(8, layers=4, growth=3)(tc.zeros(1, 8, 4, 5)).shape
    (1, 20, 4, 5)
    """

    def __init__(self, in_channels, layers, growth, bottleneck=True, dropout=0.0):
        super().__init__()
        for i in range(layers):
            layer = DenseLayer(in_channels + i * growth, growth, bottleneck, dropout)
            self.register_module(f"denselayer{i + 1}", layer)

    def forward(self, x):
        for layer in self.children():
            x = layer(x)
        return x


class Transition(nn.Module):
    """Between dense blocks: batch norm, ReLU, 1 x 1 convolution, mean of 2 x 2 pixels (Sec. 3).

    C in_channels to ``out_channels``: their product in weights, and as many MACs per pixel.
    With half as many ("C", compression) the next block begins slim again.

    Args:
        in_channels, out_channels: channels before and after.
        dropout: rate, after the convolution.

    >>> import tinyconv as tc
    >>> tc.models.Transition(8, 4)(tc.zeros(1, 8, 4, 6)).shape
    (1, 4, 2, 3)
    """

    def __init__(self, in_channels, out_channels, dropout=0.0):
        super().__init__()
        self.dropout = dropout
        self.norm = nn.BatchNorm2d(in_channels)
        self.conv = nn.Conv2d(in_channels, out_channels, 1, bias=False)

    def forward(self, x):
        x = self.conv(F.relu(self.norm(x)))
        x = F.dropout(x, self.dropout, self.training)
        return F.avg_pool2d(x, 2)


class _DenselyConnected(nn.Module):
    """A stem, dense blocks with transitions between them, and a classifier."""

    def __init__(
        self, stem, channels, blocks, growth, bottleneck, compression, dropout, num_classes
    ):  # fmt: skip
        super().__init__()
        features = OrderedDict(stem)
        for i, layers in enumerate(blocks, start=1):
            block = DenseBlock(channels, layers, growth, bottleneck, dropout)
            features[f"denseblock{i}"] = block
            channels += layers * growth
            if i < len(blocks):
                fewer = int(channels * compression)
                features[f"transition{i}"] = Transition(channels, fewer, dropout)
                channels = fewer
        features[f"norm{len(blocks) + 1}"] = nn.BatchNorm2d(channels)
        self.features = nn.Sequential(features)
        self.classifier = nn.Linear(channels, num_classes)
        for module in self.modules():
            if isinstance(module, nn.Conv2d):  # as in torchvision; arXiv:1502.01852
                nn.init.kaiming_normal_(module.weight)
            elif isinstance(module, nn.Linear):
                nn.init.zeros_(module.bias)

    def forward(self, x):
        x = F.relu(self.features(x))  # a 32nd of the image's size, an 8th in CifarDenseNet
        return self.classifier(F.adaptive_avg_pool2d(x, 1).flatten(1))


#: Table 1: growth, channels of the first convolution, layers of each block, by depth. 161 is not in
#: the paper's last edition; torchvision has it.
DENSENET_BLOCKS = {
    121: (32, 64, (6, 12, 24, 16)),
    169: (32, 64, (6, 12, 32, 32)),
    201: (32, 64, (6, 12, 48, 32)),
    264: (32, 64, (6, 12, 64, 48)),
    161: (48, 96, (6, 12, 36, 24)),
}


class DenseNet(_DenselyConnected):
    """DenseNet-BC, a column of Table 1: 7,978,856 parameters at depth 121 (1000 classes).

    Args:
        depth: 121, 169, 201, 264 (growth 32) or 161 (growth 48).
        dropout: rate, after each convolution but the first.
        in_channels: channels of the images.
        num_classes: outputs.

    Raises:
        ValueError: for another depth.

    >>> import tinyconv as tc
    >>> tc.models.DenseNet(121, num_classes=7).eval()(tc.zeros(1, 3, 32, 40)).shape
    (1, 7)
    """

    def __init__(self, depth=121, dropout=0.0, in_channels=3, num_classes=1000):
        if depth not in DENSENET_BLOCKS:
            raise ValueError(f"depth={depth}: Table 1 has {', '.join(map(str, DENSENET_BLOCKS))}")
        growth, channels, blocks = DENSENET_BLOCKS[depth]
        stem = {
            "conv0": nn.Conv2d(in_channels, channels, 7, stride=2, padding=3, bias=False),
            "norm0": nn.BatchNorm2d(channels),
            "relu0": nn.ReLU(),
            "pool0": nn.MaxPool2d(3, stride=2, padding=1),
        }
        super().__init__(stem, channels, blocks, growth, True, 0.5, dropout, num_classes)


class CifarDenseNet(_DenselyConnected):
    """Three dense blocks for small images: 1,019,722 parameters at depth 40, growth 12.

    Depth is 3n + 4, or 6n + 4 with bottlenecks, for n layers in each block. Behind the first
    convolution comes the first block at once.

    Args:
        depth: 40, 100, 190, ...
        growth: k: 12, 24, 40, ...
        bc: bottlenecks, and half the channels in each transition.
        dropout: rate, after each convolution but the first; the paper takes 0.2 where images are
            not augmented.
        in_channels: 3, or 1 for grey images.
        num_classes: outputs.

    Raises:
        ValueError: for a depth that breaks the rule.

    >>> import tinyconv as tc
    >>> tc.models.CifarDenseNet(10, growth=2)(tc.zeros(2, 3, 8, 12)).shape
    (2, 10)
    """

    def __init__(
        self, depth=40, growth=12, bc=False, dropout=0.0, in_channels=3, num_classes=10
    ):  # fmt: skip
        step = 6 if bc else 3
        if depth < step + 4 or (depth - 4) % step:
            known = "40, 100, 190, 250" if bc else "22, 40, 100"
            kind = "with bc=True" if bc else "with bc=False"
            raise ValueError(f"depth={depth} must be {step}n + 4 {kind}: {known}, ...")
        channels = 2 * growth if bc else 16
        stem = {"conv0": nn.Conv2d(in_channels, channels, 3, padding=1, bias=False)}
        blocks = [(depth - 4) // step] * 3
        compression = 0.5 if bc else 1
        super().__init__(stem, channels, blocks, growth, bc, compression, dropout, num_classes)


densenet121 = register("densenet121", DenseNet, 121, about="DenseNet-BC of depth 121, growth 32")
densenet169 = register("densenet169", DenseNet, 169, about="DenseNet-BC of depth 169, growth 32")
densenet201 = register("densenet201", DenseNet, 201, about="DenseNet-BC of depth 201, growth 32")
densenet264 = register("densenet264", DenseNet, 264, about="DenseNet-BC of depth 264, growth 32")
densenet161 = register("densenet161", DenseNet, 161, about="DenseNet-BC of depth 161, growth 48")
densenet40_k12 = cifar_densenet40_k12 = register(
    "cifar_densenet40_k12", CifarDenseNet, 40, 12, input=(3, 32, 32), aliases=("densenet40_k12",),
    about="DenseNet of depth 40, growth 12",
)  # fmt: skip
densenet_bc100_k12 = cifar_densenet_bc100_k12 = register(
    "cifar_densenet_bc100_k12", CifarDenseNet, 100, 12, bc=True, input=(3, 32, 32),
    aliases=("densenet_bc100_k12",), about="DenseNet-BC of depth 100, growth 12",
)  # fmt: skip
