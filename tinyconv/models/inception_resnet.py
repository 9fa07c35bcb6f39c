"""Inception-ResNet v1 and v2. Szegedy, Ioffe, Vanhoucke, Alemi 2016, Inception-v4,
Inception-ResNet and the Impact of Residual Connections on Learning, arXiv:1602.07261, Secs. 3.2
and 3.3, Figs. 10-20: Inception blocks whose output is added to their input.

``_paper`` networks follow the figures. The published Inception-ResNet v2 is another: the stem of
Inception v3, twice the blocks, and a last 1 x 1 convolution. The figures print 1154 and 2048
channels where v2's reductions make 1152 and 2144: the arithmetic is followed here.
"""

from collections import OrderedDict

import tinyconv.nn as nn
from tinyconv.models.blocks import InceptionOutputs
from tinyconv.models.bn_inception import he_normal
from tinyconv.models.googlenet import Branches, InceptionConv
from tinyconv.models.inception_v3 import InceptionAux
from tinyconv.models.inception_v4 import InceptionV4Stem, ReductionA
from tinyconv.models.registry import register
from tinyconv.nn import functional as F

__all__ = [
    "InceptionResNetA", "InceptionResNetB", "InceptionResNetC", "InceptionResNetReductionB",
    "InceptionResNetV1", "InceptionResNetV1Stem", "InceptionResNetV2", "InceptionResNetV2Stem",
    "ResidualScaling", "inception_resnet_v1_facenet512", "inception_resnet_v1_paper",
    "inception_resnet_v2", "inception_resnet_v2_paper", "inception_resnet_v1", "facenet",
]  # fmt: skip


class ResidualScaling(nn.Module):
    """Fig. 20: relu(x + scale linear(branches(x))), the frame of each Inception-ResNet block.

    ``linear`` is a 1 x 1 convolution with bias, without batch norm or ReLU: it brings the
    branches back to the channels of x. Above about a thousand channels the residuals die early in
    training; made smaller before they are added, they do not: the paper takes "some scaling
    factors between 0.1 and 0.3" (Sec. 3.3). The shortcut carries x past the block unchanged, so a
    block of scale 0, or with a ``linear`` of zeros, is relu(x): the identity behind another ReLU.
    Cost: (width + 1) channels parameters, besides the branches.

    Args:
        branches: a module that keeps height and width, ``Branches`` in the papers' blocks.
        width: the channels that it makes.
        channels: of x and of the result.
        scale: the factor.
        relu: leave the last ReLU out with False.

    >>> import tinyconv as tc
    >>> block = tc.models.ResidualScaling(tc.nn.Conv2d(2, 5, 1), 5, 2, scale=0.0)
    >>> x = tc.randn(1, 2, 3, 4)
    >>> tc.equal(block(x), tc.nn.functional.relu(x))
    True
    """

    def __init__(self, branches, width, channels, scale, relu=True):
        super().__init__()
        self.branches = branches
        self.linear = nn.Conv2d(width, channels, 1)
        self.scale, self.relu = scale, relu

    def forward(self, x):
        x = x + self.scale * self.linear(self.branches(x))
        return F.relu(x) if self.relu else x

    def extra_repr(self):
        return f"scale={self.scale}, relu={self.relu}"


class InceptionResNetA(ResidualScaling):
    """Figs. 10 and 16: 1 x 1, 3 x 3 and two 3 x 3 (35 x 35 pixels).

    Cost for C channels and ``deep`` = (a, b, c): C (64 + a) + 9 (32 32 + a b + b c) +
    C (64 + c) weights and C biases.

    Args:
        channels: of the image and of the result.
        deep: widths of the third branch, (32, 32, 32) in v1 and (32, 48, 64) in v2.
        scale: see ``ResidualScaling``.

    >>> import tinyconv as tc
    >>> tc.models.InceptionResNetA(8, (2, 3, 4))(tc.zeros(1, 8, 5, 6)).shape
    (1, 8, 5, 6)
    """

    def __init__(self, channels, deep, scale=0.17):
        a, b, c = deep
        branches = Branches(
            InceptionConv(channels, 32, 1),
            nn.Sequential(
                InceptionConv(channels, 32, 1),
                InceptionConv(32, 32, 3),
            ),
            nn.Sequential(
                InceptionConv(channels, a, 1),
                InceptionConv(a, b, 3),
                InceptionConv(b, c, 3),
            ),
        )
        super().__init__(branches, 64 + c, channels, scale)


class InceptionResNetB(ResidualScaling):
    """Figs. 11 and 17: 1 x 1 and a factorised 7 x 7 (17 x 17 pixels).

    Cost for C channels and ``long`` = (a, b, c): C (point + a) + 7 (a b + b c) + C (point + c)
    weights and C biases.

    Args:
        channels: of the image and of the result.
        point: width of the 1 x 1 branch, 128 in v1 and 192 in v2.
        long: widths of the other, (128, 128, 128) in v1 and (128, 160, 192) in v2.
        scale: see ``ResidualScaling``.

    >>> import tinyconv as tc
    >>> tc.models.InceptionResNetB(8, 2, (3, 4, 5))(tc.zeros(1, 8, 5, 6)).shape
    (1, 8, 5, 6)
    """

    def __init__(self, channels, point, long, scale=0.1):
        a, b, c = long
        branches = Branches(
            InceptionConv(channels, point, 1),
            nn.Sequential(
                InceptionConv(channels, a, 1),
                InceptionConv(a, b, (1, 7)),
                InceptionConv(b, c, (7, 1)),
            ),
        )
        super().__init__(branches, point + c, channels, scale)


class InceptionResNetC(ResidualScaling):
    """Figs. 13 and 19: 1 x 1 and a factorised 3 x 3 (8 x 8 pixels).

    Cost for C channels and ``long`` = (a, b, c): C (192 + a) + 3 (a b + b c) + C (192 + c)
    weights and C biases.

    Args:
        channels: of the image and of the result.
        long: widths of the second branch, (192, 192, 192) in v1 and (192, 224, 256) in v2.
        scale, relu: see ``ResidualScaling``.

    >>> import tinyconv as tc
    >>> tc.models.InceptionResNetC(8, (2, 3, 4))(tc.zeros(1, 8, 5, 6)).shape
    (1, 8, 5, 6)
    """

    def __init__(self, channels, long, scale=0.2, relu=True):
        a, b, c = long
        branches = Branches(
            InceptionConv(channels, 192, 1),
            nn.Sequential(
                InceptionConv(channels, a, 1),
                InceptionConv(a, b, (1, 3)),
                InceptionConv(b, c, (3, 1)),
            ),
        )
        super().__init__(branches, 192 + c, channels, scale, relu)


class InceptionResNetReductionB(Branches):
    """Figs. 12 and 18: halves the image; 384 + middle + c channels come to the input's own.

    Cost for C channels and ``deep`` = (a, b, c): C (512 + a) + 9 (256 384 + 256 middle + a b +
    b c) weights.

    Args:
        in_channels: channels of the image.
        middle: width of the second branch, 256 in v1 and 288 in v2.
        deep: widths of the third, (256, 256, 256) in v1 and (256, 288, 320) in v2.

    >>> import tinyconv as tc
    >>> tc.models.InceptionResNetReductionB(8, 2, (3, 4, 5))(tc.zeros(1, 8, 3, 6)).shape
    (1, 399, 1, 2)
    """

    def __init__(self, in_channels, middle, deep):
        a, b, c = deep
        super().__init__(
            nn.Sequential(
                InceptionConv(in_channels, 256, 1),
                InceptionConv(256, 384, 3, stride=2, padding=0),
            ),
            nn.Sequential(
                InceptionConv(in_channels, 256, 1),
                InceptionConv(256, middle, 3, stride=2, padding=0),
            ),
            nn.Sequential(
                InceptionConv(in_channels, a, 1),
                InceptionConv(a, b, 3),
                InceptionConv(b, c, 3, stride=2, padding=0),
            ),
            nn.MaxPool2d(3, stride=2),
        )


class InceptionResNetV1Stem(nn.Sequential):
    """Fig. 14: from the image to 256 channels at an eighth of its size, without branches.

    Cost for three channels: 615,552 parameters, batch norm counted.

    Args:
        in_channels: channels of the image.

    >>> import tinyconv as tc
    >>> tc.models.InceptionResNetV1Stem(3)(tc.zeros(1, 3, 35, 43)).shape
    (1, 256, 2, 3)
    """

    def __init__(self, in_channels=3):
        super().__init__(
            OrderedDict(
                **_plain_stem(in_channels),
                conv_4b=InceptionConv(192, 256, 3, stride=2, padding=0),  # 35 x 35
            )
        )


class InceptionResNetV2Stem(nn.Sequential):
    """The published Inception-ResNet v2's: the stem of v3 and one Inception block, 320 channels.

    Cost for three channels: 440,992 parameters, batch norm counted.

    Args:
        in_channels: channels of the image.

    >>> import tinyconv as tc
    >>> tc.models.InceptionResNetV2Stem(3)(tc.zeros(1, 3, 35, 43)).shape
    (1, 320, 2, 3)
    """

    def __init__(self, in_channels=3):
        super().__init__(
            OrderedDict(
                **_plain_stem(in_channels),
                maxpool_5a=nn.MaxPool2d(3, stride=2),  # 35 x 35
                mixed_5b=Branches(
                    InceptionConv(192, 96, 1),
                    nn.Sequential(
                        InceptionConv(192, 48, 1),
                        InceptionConv(48, 64, 5),
                    ),
                    nn.Sequential(
                        InceptionConv(192, 64, 1),
                        InceptionConv(64, 96, 3),
                        InceptionConv(96, 96, 3),
                    ),
                    nn.Sequential(
                        nn.AvgPool2d(3, stride=1, padding=1, count_include_pad=False),
                        InceptionConv(192, 64, 1),
                    ),
                ),
            )
        )


def _plain_stem(in_channels):
    """What the stems of v1 and v2 share."""
    return {
        "conv_1a": InceptionConv(in_channels, 32, 3, stride=2, padding=0),  # 149 x 149
        "conv_2a": InceptionConv(32, 32, 3, padding=0),  # 147 x 147
        "conv_2b": InceptionConv(32, 64, 3),
        "maxpool_3a": nn.MaxPool2d(3, stride=2),  # 73 x 73
        "conv_3b": InceptionConv(64, 80, 1),
        "conv_4a": InceptionConv(80, 192, 3, padding=0),  # 71 x 71
    }


class InceptionResNetV1(nn.Module):
    """Fig. 15 with the blocks of Figs. 10-14: 22,756,328 parameters.

    Args:
        embedding: for faces: so many features (facenet: 512) by a linear layer and batch norm in
            front of the classifier, and a sixth C block of scale 1 without ReLU.
        in_channels, num_classes: channels of the images, and outputs; None with ``embedding``:
            the features are the output, not normalised.
        dropout: after the average; 0.2 as in the paper (it keeps 0.8).

    Raises:
        ValueError: if neither features nor classes are asked for.

    >>> import tinyconv as tc
    >>> tc.models.InceptionResNetV1(num_classes=10).eval()(tc.zeros(1, 3, 75, 75)).shape
    (1, 10)
    """

    def __init__(self, embedding=None, in_channels=3, num_classes=1000, dropout=0.2):
        super().__init__()
        if embedding is None and num_classes is None:
            raise ValueError("InceptionResNetV1: num_classes=None; wants classes or an embedding")
        self.dropout = dropout
        self.stem = InceptionResNetV1Stem(in_channels)
        self.inception_a = _repeat(5, InceptionResNetA, 256, (32, 32, 32))
        self.reduction_a = ReductionA(256, k=192, l=192, m=256, n=384)
        self.inception_b = _repeat(10, InceptionResNetB, 896, 128, (128, 128, 128))
        self.reduction_b = InceptionResNetReductionB(896, 256, (256, 256, 256))
        self.inception_c = _repeat(5, InceptionResNetC, 1792, (192, 192, 192))
        features = 1792
        self.embedding = nn.Identity()
        if embedding is not None:
            last = InceptionResNetC(1792, (192, 192, 192), scale=1.0, relu=False)
            self.inception_c.append(last)
            self.embedding = nn.Sequential(
                nn.Linear(1792, embedding, bias=False), nn.BatchNorm1d(embedding, eps=1e-3)
            )
            features = embedding
        self.fc = nn.Identity() if num_classes is None else nn.Linear(features, num_classes)
        he_normal(self)

    def forward(self, x):
        x = self.stem(x)  # 256 x 35 x 35
        x = self.inception_a(x)  # 256 x 35 x 35
        x = self.reduction_a(x)  # 896 x 17 x 17
        x = self.inception_b(x)  # 896 x 17 x 17
        x = self.reduction_b(x)  # 1792 x 8 x 8
        x = self.inception_c(x)  # 1792 x 8 x 8
        x = F.adaptive_avg_pool2d(x, 1).flatten(1)  # 1792
        x = F.dropout(x, self.dropout, self.training)
        return self.fc(self.embedding(x))


class InceptionResNetV2(nn.Module):
    """Inception-ResNet v2: 55,843,464 parameters (59,211,120 with the auxiliary head) as
    published, 32,433,928 as in Figs. 15-19.

    With the head, the result in training is ``InceptionOutputs``; else the logits (N, classes).

    Args:
        paper: the figures' network: the stem of Inception v4, 5, 10 and 5 blocks, no last
            convolution; the published one has 10, 20 and 10, the last of scale 1 without ReLU.
        aux_logits: build the auxiliary classifier behind the B blocks, as TensorFlow-Slim does.
        in_channels, num_classes: channels of the images, and outputs.
        dropout: before the last layer; 0.2 as in the paper (it keeps 0.8).

    >>> import tinyconv as tc
    >>> net = tc.models.InceptionResNetV2(paper=True, num_classes=10).eval()
    >>> net(tc.zeros(1, 3, 75, 75)).shape
    (1, 10)
    """

    aux_weight = 0.4

    def __init__(self, paper=False, aux_logits=False, in_channels=3, num_classes=1000, dropout=0.2):
        super().__init__()
        self.aux_logits, self.dropout = aux_logits, dropout
        a, b, c = (5, 10, 5) if paper else (10, 20, 9)
        self.stem = (InceptionV4Stem if paper else InceptionResNetV2Stem)(in_channels)
        channels = 384 if paper else 320
        self.inception_a = _repeat(a, InceptionResNetA, channels, (32, 48, 64))
        self.reduction_a = ReductionA(channels, k=256, l=256, m=384, n=384)
        channels += 768
        self.inception_b = _repeat(b, InceptionResNetB, channels, 192, (128, 160, 192))
        if aux_logits:
            self.aux = InceptionAux(channels, num_classes)
        self.reduction_b = InceptionResNetReductionB(channels, 288, (256, 288, 320))
        channels += 992
        self.inception_c = _repeat(c, InceptionResNetC, channels, (192, 224, 256))
        self.conv_7b = nn.Identity()
        if not paper:
            last = InceptionResNetC(channels, (192, 224, 256), scale=1.0, relu=False)
            self.inception_c.append(last)
            self.conv_7b = InceptionConv(channels, 1536, 1)
            channels = 1536
        self.fc = nn.Linear(channels, num_classes)
        he_normal(self)

    def forward(self, x):
        x = self.stem(x)  # 320 (paper: 384) x 35 x 35
        x = self.inception_a(x)  # 320 (384) x 35 x 35
        x = self.reduction_a(x)  # 1088 (1152) x 17 x 17
        x = self.inception_b(x)  # 1088 (1152) x 17 x 17
        heads = self.training and self.aux_logits
        aux = self.aux(x) if heads else None
        x = self.reduction_b(x)  # 2080 (2144) x 8 x 8
        x = self.inception_c(x)  # 2080 (2144) x 8 x 8
        x = self.conv_7b(x)  # 1536 (2144) x 8 x 8
        x = F.adaptive_avg_pool2d(x, 1).flatten(1)
        x = self.fc(F.dropout(x, self.dropout, self.training))
        return InceptionOutputs(x, aux) if heads else x


def _repeat(count, block, *widths):
    return nn.Sequential(*(block(*widths) for _ in range(count)))


inception_resnet_v1 = inception_resnet_v1_paper = register(
    "inception_resnet_v1_paper", InceptionResNetV1, about="Inception with residuals, as drawn",
    input=(3, 299, 299), aliases=("inception_resnet_v1",),
)  # fmt: skip
facenet = inception_resnet_v1_facenet512 = register(
    "inception_resnet_v1_facenet512", InceptionResNetV1, about="512 features of faces",
    input=(3, 160, 160), aliases=("facenet",), embedding=512, num_classes=None,
)  # fmt: skip
inception_resnet_v2 = register(
    "inception_resnet_v2", InceptionResNetV2, about="Inception with residuals, as published",
    input=(3, 299, 299),
)  # fmt: skip
inception_resnet_v2_paper = register(
    "inception_resnet_v2_paper", InceptionResNetV2, about="Inception with residuals, as drawn",
    input=(3, 299, 299), paper=True,
)  # fmt: skip
