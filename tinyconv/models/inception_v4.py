"""Inception v4. Szegedy, Ioffe, Vanhoucke, Alemi 2016, Inception-v4, Inception-ResNet and the
Impact of Residual Connections on Learning, arXiv:1602.07261, Figs. 3-9.

All convolutions keep the size of their image unless the figures write V (here ``padding=0``).
Where 1 x n and n x 1 follow each other, the order is that of the published weights. Their average
pools divide by the pixels that they cover, not by the padding.
"""

from collections import OrderedDict

import tinyconv.nn as nn
from tinyconv.models.blocks import InceptionOutputs
from tinyconv.models.bn_inception import he_normal
from tinyconv.models.googlenet import Branches, InceptionConv
from tinyconv.models.inception_v3 import InceptionAux
from tinyconv.models.registry import register
from tinyconv.nn import functional as F

__all__ = [
    "InceptionV4", "InceptionV4A", "InceptionV4B", "InceptionV4C", "InceptionV4ReductionB",
    "InceptionV4Stem", "ReductionA", "inception_v4",
]  # fmt: skip


class InceptionV4Stem(nn.Sequential):
    """Fig. 3: from the image to 384 channels at an eighth of its size; also of Inception-ResNet v2.

    Convolutions and pools halve the image side by side, so nothing is lost before it is widened.
    Cost for three channels: 605,728 parameters, batch norm counted.

    Args:
        in_channels: channels of the image.

    >>> import tinyconv as tc
    >>> tc.models.InceptionV4Stem(3)(tc.zeros(1, 3, 35, 43)).shape
    (1, 384, 2, 3)
    """

    def __init__(self, in_channels=3):
        super().__init__(
            OrderedDict(
                conv_1a=InceptionConv(in_channels, 32, 3, stride=2, padding=0),  # 149 x 149
                conv_2a=InceptionConv(32, 32, 3, padding=0),  # 147 x 147
                conv_2b=InceptionConv(32, 64, 3),
                mixed_3a=Branches(  # 160 x 73 x 73
                    nn.MaxPool2d(3, stride=2),
                    InceptionConv(64, 96, 3, stride=2, padding=0),
                ),
                mixed_4a=Branches(  # 192 x 71 x 71
                    nn.Sequential(
                        InceptionConv(160, 64, 1),
                        InceptionConv(64, 96, 3, padding=0),
                    ),
                    nn.Sequential(
                        InceptionConv(160, 64, 1),
                        InceptionConv(64, 64, (1, 7)),
                        InceptionConv(64, 64, (7, 1)),
                        InceptionConv(64, 96, 3, padding=0),
                    ),
                ),
                mixed_5a=Branches(  # 384 x 35 x 35
                    InceptionConv(192, 192, 3, stride=2, padding=0),
                    nn.MaxPool2d(3, stride=2),
                ),
            )
        )


class InceptionV4A(Branches):
    """Fig. 4: 1 x 1, 3 x 3, two 3 x 3 and an average side by side (35 x 35 pixels).

    The block of v3 (``InceptionA``) without its 5 x 5 window. Cost: 320 C + 9 (64 96 + 64 96 +
    96 96) weights for C channels, and as many multiply-adds for each pixel.

    Args:
        in_channels: channels of the image; 384 come out.

    >>> import tinyconv as tc
    >>> tc.models.InceptionV4A(8)(tc.zeros(1, 8, 4, 5)).shape
    (1, 384, 4, 5)
    """

    def __init__(self, in_channels=384):
        super().__init__(
            InceptionConv(in_channels, 96, 1),
            nn.Sequential(
                InceptionConv(in_channels, 64, 1),
                InceptionConv(64, 96, 3),
            ),
            nn.Sequential(
                InceptionConv(in_channels, 64, 1),
                InceptionConv(64, 96, 3),
                InceptionConv(96, 96, 3),
            ),
            nn.Sequential(_average(), InceptionConv(in_channels, 96, 1)),
        )


class ReductionA(Branches):
    """Fig. 7: halves the image; n + m channels come to the input's own.

    Table 1 gives the widths (k, l, m, n): 192, 224, 256, 384 in Inception v4; 192, 192, 256, 384
    in Inception-ResNet v1; 256, 256, 384, 384 in v2. Cost: C (9 n + k) + 9 (k l + l m) weights
    for C channels.

    Args:
        in_channels: channels of the image.
        k, l, m: of the branch 1 x 1, 3 x 3, 3 x 3 with stride 2.
        n: of the branch 3 x 3 with stride 2.

    >>> import tinyconv as tc
    >>> tc.models.ReductionA(8, k=2, l=3, m=4, n=5)(tc.zeros(1, 8, 5, 8)).shape
    (1, 17, 2, 3)
    """

    def __init__(self, in_channels, k, l, m, n):
        super().__init__(
            InceptionConv(in_channels, n, 3, stride=2, padding=0),
            nn.Sequential(
                InceptionConv(in_channels, k, 1),
                InceptionConv(k, l, 3),
                InceptionConv(l, m, 3, stride=2, padding=0),
            ),
            nn.MaxPool2d(3, stride=2),
        )


class InceptionV4B(Branches):
    """Fig. 5: 1 x 1, a factorised 7 x 7, two of them, and an average (17 x 17 pixels).

    1 x 7 and 7 x 1 see what 7 x 7 sees for 14 weights in place of 49. Cost: 896 C + 7 (192 224 +
    224 256) + 7 (192 192 + 192 224 + 224 224 + 224 256) weights for C channels, and as many
    multiply-adds for each pixel.

    Args:
        in_channels: channels of the image; 1024 come out.

    >>> import tinyconv as tc
    >>> tc.models.InceptionV4B(8)(tc.zeros(1, 8, 2, 3)).shape
    (1, 1024, 2, 3)
    """

    def __init__(self, in_channels=1024):
        super().__init__(
            InceptionConv(in_channels, 384, 1),
            nn.Sequential(
                InceptionConv(in_channels, 192, 1),
                InceptionConv(192, 224, (1, 7)),
                InceptionConv(224, 256, (7, 1)),
            ),
            nn.Sequential(
                InceptionConv(in_channels, 192, 1),
                InceptionConv(192, 192, (7, 1)),
                InceptionConv(192, 224, (1, 7)),
                InceptionConv(224, 224, (7, 1)),
                InceptionConv(224, 256, (1, 7)),
            ),
            nn.Sequential(_average(), InceptionConv(in_channels, 128, 1)),
        )


class InceptionV4ReductionB(Branches):
    """Fig. 8: halves the image again; 512 channels come to the input's own.

    Cost: 448 C + 9 192 192 + 7 (256 256 + 256 320) + 9 320 320 weights for C channels.

    Args:
        in_channels: channels of the image.

    >>> import tinyconv as tc
    >>> tc.models.InceptionV4ReductionB(8)(tc.zeros(1, 8, 3, 6)).shape
    (1, 520, 1, 2)
    """

    def __init__(self, in_channels=1024):
        super().__init__(
            nn.Sequential(
                InceptionConv(in_channels, 192, 1),
                InceptionConv(192, 192, 3, stride=2, padding=0),
            ),
            nn.Sequential(
                InceptionConv(in_channels, 256, 1),
                InceptionConv(256, 256, (1, 7)),
                InceptionConv(256, 320, (7, 1)),
                InceptionConv(320, 320, 3, stride=2, padding=0),
            ),
            nn.MaxPool2d(3, stride=2),
        )


class InceptionV4C(Branches):
    """Fig. 6: branches that end in 1 x 3 and 3 x 1 side by side (8 x 8 pixels).

    Few pixels are left, so the block is wide rather than deep. Cost: 1280 C + 6 384 256 +
    3 (384 448 + 448 512) + 6 512 256 weights for C channels, and as many multiply-adds for each
    pixel.

    Args:
        in_channels: channels of the image; 1536 come out.

    >>> import tinyconv as tc
    >>> tc.models.InceptionV4C(8)(tc.zeros(1, 8, 2, 3)).shape
    (1, 1536, 2, 3)
    """

    def __init__(self, in_channels=1536):
        super().__init__(
            InceptionConv(in_channels, 256, 1),
            nn.Sequential(
                InceptionConv(in_channels, 384, 1),
                Branches(InceptionConv(384, 256, (1, 3)), InceptionConv(384, 256, (3, 1))),
            ),
            nn.Sequential(
                InceptionConv(in_channels, 384, 1),
                InceptionConv(384, 448, (3, 1)),
                InceptionConv(448, 512, (1, 3)),
                Branches(InceptionConv(512, 256, (1, 3)), InceptionConv(512, 256, (3, 1))),
            ),
            nn.Sequential(_average(), InceptionConv(in_channels, 256, 1)),
        )


def _average():
    return nn.AvgPool2d(3, stride=1, padding=1, count_include_pad=False)


class InceptionV4(nn.Module):
    """Fig. 9: 42,679,816 parameters, 46,039,280 with the auxiliary head.

    With the head, the result in training is ``InceptionOutputs``; else the logits (N, classes).

    Args:
        aux_logits: build the auxiliary classifier behind the B blocks, as TensorFlow-Slim does.
        in_channels, num_classes: channels of the images, and outputs.
        dropout: before the last layer; 0.2 as in the paper (it keeps 0.8).

    >>> import tinyconv as tc
    >>> tc.models.InceptionV4(num_classes=10).eval()(tc.zeros(1, 3, 75, 75)).shape
    (1, 10)
    """

    aux_weight = 0.4

    def __init__(self, aux_logits=False, in_channels=3, num_classes=1000, dropout=0.2):
        super().__init__()
        self.aux_logits, self.dropout = aux_logits, dropout
        self.stem = InceptionV4Stem(in_channels)
        self.inception_a = nn.Sequential(*(InceptionV4A(384) for _ in range(4)))
        self.reduction_a = ReductionA(384, k=192, l=224, m=256, n=384)
        self.inception_b = nn.Sequential(*(InceptionV4B(1024) for _ in range(7)))
        if aux_logits:
            self.aux = InceptionAux(1024, num_classes)
        self.reduction_b = InceptionV4ReductionB(1024)
        self.inception_c = nn.Sequential(*(InceptionV4C(1536) for _ in range(3)))
        self.fc = nn.Linear(1536, num_classes)
        he_normal(self)

    def forward(self, x):
        x = self.stem(x)  # 384 x 35 x 35
        x = self.inception_a(x)  # 384 x 35 x 35
        x = self.reduction_a(x)  # 1024 x 17 x 17
        x = self.inception_b(x)  # 1024 x 17 x 17
        heads = self.training and self.aux_logits
        aux = self.aux(x) if heads else None
        x = self.reduction_b(x)  # 1536 x 8 x 8
        x = self.inception_c(x)  # 1536 x 8 x 8
        x = F.adaptive_avg_pool2d(x, 1).flatten(1)  # 1536
        x = self.fc(F.dropout(x, self.dropout, self.training))
        return InceptionOutputs(x, aux) if heads else x


inception_v4 = register(
    "inception_v4", InceptionV4, about="uniform Inception blocks, no shortcuts",
    input=(3, 299, 299),
)  # fmt: skip
