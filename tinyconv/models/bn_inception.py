"""BN-Inception, also called Inception v2. Ioffe and Szegedy 2015, Batch Normalization,
arXiv:1502.03167, Fig. 5 (appendix).

GoogLeNet with batch norm after every convolution, two 3 x 3 in place of each 5 x 5, no local
response norm and no auxiliary heads. The table contradicts itself: the widths of 4c and 4d sum to
608, but 576 is printed. Either the pool projections keep the 128 that is printed (Caffe's network,
608 channels), or they have 96 (TensorFlow-Slim's, 576). It also prints the input sizes of 3c and
4e for their outputs.
"""

import tinyconv.nn as nn
from tinyconv.models.googlenet import Branches, InceptionConv
from tinyconv.models.registry import register
from tinyconv.nn import functional as F

__all__ = [
    "BNInception", "BNInceptionBlock", "SeparableStem", "bn_inception_576", "bn_inception_caffe",
    "bn_inception_nobias", "bn_inception_slim_sepconv", "bn_inception",
]  # fmt: skip

#: Fig. 5: 1 x 1, 3 x 3 reduce, 3 x 3, double 3 x 3 reduce, double 3 x 3, pool, its projection;
#: without 1 x 1 and projection the block halves the image
BN_INCEPTION_WIDTHS = {
    "3a": (64, 64, 64, 64, 96, "avg", 32),
    "3b": (64, 64, 96, 64, 96, "avg", 64),
    "3c": (0, 128, 160, 64, 96, "max", 0),
    "4a": (224, 64, 96, 96, 128, "avg", 128),
    "4b": (192, 96, 128, 96, 128, "avg", 128),
    "4c": (160, 128, 160, 128, 160, "avg", 128),
    "4d": (96, 128, 192, 160, 192, "avg", 128),
    "4e": (0, 128, 192, 192, 256, "max", 0),
    "5a": (352, 192, 320, 160, 224, "avg", 128),
    "5b": (352, 192, 320, 192, 224, "max", 128),
}


class BNInceptionBlock(Branches):
    """A row of Fig. 5: 1 x 1, 3 x 3, two 3 x 3 and a pool side by side.

    Two windows of 3 x 3 see 5 x 5 pixels for 18/25 of the weights, with a nonlinearity between.
    Cost: in_channels (n1 + r3 + rd + proj) + 9 (r3 n3 + rd nd + nd nd) weights; as many
    multiply-adds for each pixel where nothing is strided.

    Args:
        in_channels: channels of the image.
        n1, r3, n3, rd, nd, pool, proj: a row of the table; ``pool`` is 'avg' or 'max'.
            n1 + n3 + nd + proj channels come out. With n1 = proj = 0 the convolutions end with
            stride 2 and the pool passes its input at half size, n3 + nd + in_channels.
        count_include_pad: of the average pool.
        options: of each ``InceptionConv``.

    Raises:
        ValueError: for another pool, or if only one of n1 and proj is 0.

    >>> import tinyconv as tc
    >>> tc.models.BNInceptionBlock(8, 0, 4, 5, 6, 7, "max", 0)(tc.zeros(1, 8, 7, 10)).shape
    (1, 20, 4, 5)
    """

    def __init__(
        self, in_channels, n1, r3, n3, rd, nd, pool, proj, count_include_pad=True, **options
    ):
        super().__init__()
        if pool not in ("avg", "max"):
            raise ValueError(f"BNInceptionBlock: pool={pool!r}; wants 'avg' or 'max'")
        if (n1 == 0) != (proj == 0) or (n1 == 0 and pool == "avg"):
            raise ValueError(
                f"BNInceptionBlock: n1={n1}, pool={pool!r}, proj={proj}; a block of stride 2 has "
                "n1 = proj = 0 and pool='max', any other has both widths"
            )

        def conv(*args, **more):
            return InceptionConv(*args, **more, **options)

        stride = 1 if n1 else 2
        if n1:
            self.branch1x1 = conv(in_channels, n1, 1)
        self.branch3x3 = nn.Sequential(conv(in_channels, r3, 1), conv(r3, n3, 3, stride=stride))
        self.branch3x3dbl = nn.Sequential(
            conv(in_channels, rd, 1), conv(rd, nd, 3), conv(nd, nd, 3, stride=stride)
        )
        if not n1:
            self.branch_pool = HalvingMaxPool()
        elif pool == "avg":
            average = nn.AvgPool2d(3, stride=1, padding=1, count_include_pad=count_include_pad)
            self.branch_pool = nn.Sequential(average, conv(in_channels, proj, 1))
        else:
            maximum = nn.MaxPool2d(3, stride=1, padding=1)
            self.branch_pool = nn.Sequential(maximum, conv(in_channels, proj, 1))


class HalvingMaxPool(nn.Module):
    """3 x 3, stride 2, to half the size rounded up, as the convolutions beside it."""

    def forward(self, x):
        odd = (x.shape[2] % 2, x.shape[3] % 2)  # even images: the last window hangs over
        return F.max_pool2d(x, 3, stride=2, padding=odd, ceil_mode=True)


class SeparableStem(nn.Module):
    """7 x 7, stride 2, as depthwise and pointwise convolution (Sec. 4.2: depth multiplier 8).

    Each channel is seen by 8 windows of its own, then a 1 x 1 convolution mixes: for 3 channels
    to 64 that is 3 8 49 + 24 64 = 2,712 weights in place of 3 49 64 = 9,408.

    Args:
        in_channels, out_channels: before and after.
        eps: of the batch norm.

    >>> import tinyconv as tc
    >>> tc.models.SeparableStem(3, 16)(tc.zeros(1, 3, 10, 13)).shape
    (1, 16, 5, 7)
    """

    def __init__(self, in_channels, out_channels, eps=1e-3):
        super().__init__()
        deep = 8 * in_channels
        self.depthwise = nn.Conv2d(
            in_channels, deep, 7, stride=2, padding=3, groups=in_channels, bias=False
        )
        self.pointwise = InceptionConv(deep, out_channels, 1, eps=eps)

    def forward(self, x):
        return self.pointwise(self.depthwise(x))


class BNInception(nn.Module):
    """BN-Inception (Fig. 5): 11,285,224 parameters; 11,194,984 with 576 channels in 4c and 4d.

    Args:
        width: channels of 4c and 4d, 608 (pool projection 128) or 576 (96).
        bias: biases in the convolutions too, which Caffe's weights have.
        separable: ``SeparableStem`` in place of a plain 7 x 7 convolution.
        eps: of the batch norms.
        count_include_pad: of the average pools.
        in_channels, num_classes: channels of the images, and outputs.
        dropout: before the last layer; the paper's fastest networks have none.

    Raises:
        ValueError: for another width.

    >>> import tinyconv as tc
    >>> tc.models.BNInception(num_classes=10).eval()(tc.zeros(1, 3, 32, 40)).shape
    (1, 10)
    """

    def __init__(
        self,
        width=608,
        bias=False,
        separable=False,
        eps=1e-5,
        count_include_pad=True,
        in_channels=3,
        num_classes=1000,
        dropout=0.0,
    ):
        super().__init__()
        if width not in (576, 608):
            raise ValueError(f"BNInception: width={width} of 4c and 4d; wants 608 or 576")
        self.dropout = dropout
        widths = dict(BN_INCEPTION_WIDTHS)
        for name in ("4c", "4d"):
            widths[name] = (*widths[name][:-1], width - 480)

        def block(in_channels, name):
            return BNInceptionBlock(
                in_channels, *widths[name], count_include_pad, eps=eps, bias=bias
            )

        self.conv1 = (
            SeparableStem(in_channels, 64, eps=eps)
            if separable
            else InceptionConv(in_channels, 64, 7, stride=2, eps=eps, bias=bias)
        )
        self.conv2_reduce = InceptionConv(64, 64, 1, eps=eps, bias=bias)
        self.conv2 = InceptionConv(64, 192, 3, eps=eps, bias=bias)
        self.inception3a = block(192, "3a")
        self.inception3b = block(256, "3b")
        self.inception3c = block(320, "3c")
        self.inception4a = block(576, "4a")
        self.inception4b = block(576, "4b")
        self.inception4c = block(576, "4c")
        self.inception4d = block(width, "4d")
        self.inception4e = block(width, "4e")
        self.inception5a = block(448 + width, "5a")
        self.inception5b = block(1024, "5b")
        self.fc = nn.Linear(1024, num_classes)
        he_normal(self)

    def forward(self, x):
        x = self.conv1(x)  # 64 x 112 x 112
        x = F.max_pool2d(x, 3, stride=2, ceil_mode=True)  # 64 x 56 x 56
        x = self.conv2_reduce(x)  # 64 x 56 x 56
        x = self.conv2(x)  # 192 x 56 x 56
        x = F.max_pool2d(x, 3, stride=2, ceil_mode=True)  # 192 x 28 x 28
        x = self.inception3a(x)  # 256 x 28 x 28
        x = self.inception3b(x)  # 320 x 28 x 28
        x = self.inception3c(x)  # 576 x 14 x 14
        x = self.inception4a(x)  # 576 x 14 x 14
        x = self.inception4b(x)  # 576 x 14 x 14
        x = self.inception4c(x)  # 608 (or 576) x 14 x 14
        x = self.inception4d(x)  # 608 (or 576) x 14 x 14
        x = self.inception4e(x)  # 1056 (or 1024) x 7 x 7
        x = self.inception5a(x)  # 1024 x 7 x 7
        x = self.inception5b(x)  # 1024 x 7 x 7
        x = F.adaptive_avg_pool2d(x, 1).flatten(1)  # 1024
        return self.fc(F.dropout(x, self.dropout, self.training))


def he_normal(network):
    """He's initialisation (arXiv:1502.01852): the papers give none, TensorFlow-Slim takes this."""
    for module in network.modules():
        if isinstance(module, (nn.Conv2d, nn.Linear)):
            nn.init.kaiming_normal_(module.weight)
            if module.bias is not None:
                nn.init.zeros_(module.bias)


bn_inception = bn_inception_caffe = register(
    "bn_inception_caffe", BNInception, about="BN-Inception, 608 channels in 4c and 4d, with biases",
    aliases=("bn_inception",), bias=True,
)  # fmt: skip
bn_inception_nobias = register(
    "bn_inception_nobias", BNInception, about="BN-Inception, 608 channels in 4c and 4d"
)
bn_inception_576 = register(
    "bn_inception_576", BNInception, about="BN-Inception, 576 channels in 4c and 4d", width=576
)
# TensorFlow-Slim pads strided windows behind only, these on both sides
bn_inception_slim_sepconv = register(
    "bn_inception_slim_sepconv", BNInception, about="BN-Inception as in TensorFlow-Slim",
    width=576, separable=True, eps=1e-3, count_include_pad=False, dropout=0.2,
)  # fmt: skip
