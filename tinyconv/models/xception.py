"""Xception. Chollet 2016, Xception: Deep Learning with Depthwise Separable Convolutions,
arXiv:1610.02357, Fig. 5: entry flow, eight times the middle flow, exit flow.

An Inception module looks for patterns in space within a few groups of channels. Taken to its end,
each channel is a group of its own (Sec. 1.2): patterns in space in one channel each, then a mix of
the channels at each pixel. The whole net is built of that, with residual sums around it.

Where the paper's framework pads only behind (3 x 3 pool with stride 2 on an even size), there is
one pixel on either side here, as in the copies in PyTorch: sizes are equal, on 74 x 74 the windows
lie one pixel further left and up.
"""

from collections import OrderedDict

import tinyconv.nn as nn
from tinyconv.models.blocks import ConvNormReLU
from tinyconv.models.registry import register
from tinyconv.nn import functional as F

__all__ = ["SeparableConv2d", "Xception", "XceptionBlock", "xception"]


class SeparableConv2d(nn.Module):
    """A k x k convolution of each channel by itself, then a 1 x 1 convolution over all.

    k^2 C + C O weights and as many MACs per pixel, where one k x k convolution has k^2 C O: the
    share 1 / O + 1 / k^2, about a ninth for 3 x 3. Nothing stands between the two (a ReLU there
    makes it worse: Sec. 4.7), so it is one convolution of weight W[o,c,i,j] = p[o,c] d[c,i,j].

    Args:
        in_channels, out_channels: C and O.
        kernel_size, stride, padding, dilation: of the depthwise part, as of ``nn.Conv2d``.

    >>> import tinyconv as tc
    >>> conv = tc.models.SeparableConv2d(16, 32, 3, padding=1)
    >>> sum(p.numel() for p in conv.parameters()), 9 * 16 * 32
    (656, 4608)
    """

    def __init__(self, in_channels, out_channels, kernel_size, stride=1, padding=0, dilation=1):
        super().__init__()
        self.depthwise = nn.Conv2d(
            in_channels, in_channels, kernel_size, stride, padding, dilation,
            groups=in_channels, bias=False,
        )  # fmt: skip
        self.pointwise = nn.Conv2d(in_channels, out_channels, 1, bias=False)

    def forward(self, x):
        return self.pointwise(self.depthwise(x))


class XceptionBlock(nn.Module):
    """ReLU, separable convolution, batch norm, as often as there are widths; plus the input.

    ``stride=2``: a 3 x 3 max pool at the end, and a 1 x 1 convolution with batch norm brings the
    input to the same shape. ``stride=1``: the input is added as it is, so with zeros in the last
    batch norm the block is the identity. No ReLU follows the sum. (9 + O) C weights for each
    separable convolution from C to O channels, C O for the projection.

    Args:
        in_channels: channels before.
        widths: channels after each separable convolution.
        stride: 1 (middle flow) or 2 (entry and exit flow).
        first_relu: False where the input comes out of a ReLU: the net's first block.
        eps: of the batch norms.

    Raises:
        ValueError: for another stride, or for stride 1 where the number of channels changes.

    >>> import tinyconv as tc
    >>> tc.models.XceptionBlock(4, (5, 6), stride=2)(tc.zeros(1, 4, 7, 9)).shape
    (1, 6, 4, 5)
    """

    def __init__(self, in_channels, widths, stride=1, first_relu=True, eps=1e-3):
        super().__init__()
        if stride not in (1, 2) or (stride == 1 and widths[-1] != in_channels):
            raise ValueError(
                f"XceptionBlock: stride={stride} from {in_channels} to {widths[-1]} channels; "
                "wants stride=2, or stride=1 with as many channels behind as before"
            )
        self.first_relu = first_relu
        before = (in_channels, *widths[:-1])
        self.sep = nn.ModuleList(
            SeparableConv2d(c, o, 3, padding=1) for c, o in zip(before, widths)
        )
        self.bn = nn.ModuleList(nn.BatchNorm2d(o, eps=eps) for o in widths)
        self.skip = None
        if stride == 2:
            self.skip = nn.Sequential(
                nn.Conv2d(in_channels, widths[-1], 1, stride=2, bias=False),
                nn.BatchNorm2d(widths[-1], eps=eps),
            )

    def forward(self, x):
        y = F.relu(x) if self.first_relu else x
        for i, (sep, bn) in enumerate(zip(self.sep, self.bn)):
            y = bn(sep(F.relu(y) if i else y))
        if self.skip is None:
            return y + x
        return F.max_pool2d(y, 3, stride=2, padding=1) + self.skip(x)


class Xception(nn.Module):
    """36 convolutions in 14 modules: 22,855,952 parameters with 1000 classes.

    Args:
        dropout: rate before the last layer.
        eps: of the batch norms: 1e-3 in the author's code; timm's copy of the weights has 1e-5.
        in_channels: channels of the images.
        num_classes: outputs.

    >>> import tinyconv as tc
    >>> tc.models.Xception(num_classes=7).eval()(tc.zeros(1, 3, 33, 41)).shape
    (1, 7)
    """

    def __init__(self, dropout=0.5, eps=1e-3, in_channels=3, num_classes=1000):
        super().__init__()
        # entry flow
        self.block1_conv1 = ConvNormReLU(in_channels, 32, 3, stride=2, eps=eps)
        self.block1_conv2 = ConvNormReLU(32, 64, 3, eps=eps)
        self.block2 = XceptionBlock(64, (128, 128), stride=2, first_relu=False, eps=eps)
        self.block3 = XceptionBlock(128, (256, 256), stride=2, eps=eps)
        self.block4 = XceptionBlock(256, (728, 728), stride=2, eps=eps)
        # middle flow
        same = ((f"block{i}", XceptionBlock(728, (728, 728, 728), eps=eps)) for i in range(5, 13))
        self.middle = nn.Sequential(OrderedDict(same))
        # exit flow; its last two have their ReLU behind, and no sum
        self.block13 = XceptionBlock(728, (728, 1024), stride=2, eps=eps)
        self.block14_sep1 = SeparableConv2d(1024, 1536, 3, padding=1)
        self.block14_bn1 = nn.BatchNorm2d(1536, eps=eps)
        self.block14_sep2 = SeparableConv2d(1536, 2048, 3, padding=1)
        self.block14_bn2 = nn.BatchNorm2d(2048, eps=eps)
        self.dropout = nn.Dropout(dropout)
        self.fc = nn.Linear(2048, num_classes)
        for module in self.modules():  # the default of the author's framework
            if isinstance(module, (nn.Conv2d, nn.Linear)):
                nn.init.xavier_uniform_(module.weight)
        nn.init.zeros_(self.fc.bias)

    def forward(self, x):
        x = self.block1_conv2(self.block1_conv1(x))  # 32 x 149 x 149, 64 x 147 x 147
        x = self.block2(x)  # 128 x 74 x 74
        x = self.block3(x)  # 256 x 37 x 37
        x = self.block4(x)  # 728 x 19 x 19
        x = self.middle(x)  # 728 x 19 x 19
        x = self.block13(x)  # 1024 x 10 x 10
        x = F.relu(self.block14_bn1(self.block14_sep1(x)))  # 1536 x 10 x 10
        x = F.relu(self.block14_bn2(self.block14_sep2(x)))  # 2048 x 10 x 10
        x = F.adaptive_avg_pool2d(x, 1).flatten(1)
        return self.fc(self.dropout(x))


xception = register("xception", Xception, about="Xception", input=(3, 299, 299))
