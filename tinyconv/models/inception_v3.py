"""Inception v3. Szegedy, Vanhoucke, Ioffe, Shlens, Wojna 2015, Rethinking the Inception
Architecture for Computer Vision, arXiv:1512.00567.

Large windows are factorised: n x n into 1 x n and n x 1, one after the other (blocks C and D) or
side by side (E). The network is the released one. It differs from Table 1 in the stem (1 x 1 to 80
channels and a second pool, where the table prints strided convolutions) and has four blocks of
Fig. 6 where the table has five.
"""

import tinyconv.nn as nn
from tinyconv.models.blocks import InceptionOutputs
from tinyconv.models.googlenet import InceptionConv, check_transform, tensorflow_range
from tinyconv.models.registry import register
from tinyconv.nn import functional as F
from tinyconv.ops.join import cat

__all__ = [
    "InceptionA", "InceptionAux", "InceptionB", "InceptionC", "InceptionD", "InceptionE",
    "InceptionV3", "inception_v3",
]  # fmt: skip


class InceptionA(nn.Module):
    """Fig. 5: 1 x 1, 5 x 5, two 3 x 3 and an average side by side (35 x 35 pixels).

    The figure has two 3 x 3 in place of the 5 x 5 (18/25 of its weights); the released network
    keeps one 5 x 5 branch. Cost: C (176 + pool_features) + 215,040 weights for C channels, and as
    many multiply-adds for each pixel.

    Args:
        in_channels: channels of the image.
        pool_features: channels of the pool branch; 224 + pool_features come out.

    >>> import tinyconv as tc
    >>> tc.models.InceptionA(8, pool_features=3)(tc.zeros(1, 8, 4, 5)).shape
    (1, 227, 4, 5)
    """

    def __init__(self, in_channels, pool_features):
        super().__init__()
        self.branch1x1 = InceptionConv(in_channels, 64, 1)

        self.branch5x5_1 = InceptionConv(in_channels, 48, 1)
        self.branch5x5_2 = InceptionConv(48, 64, 5)

        self.branch3x3dbl_1 = InceptionConv(in_channels, 64, 1)
        self.branch3x3dbl_2 = InceptionConv(64, 96, 3)
        self.branch3x3dbl_3 = InceptionConv(96, 96, 3)

        self.branch_pool = InceptionConv(in_channels, pool_features, 1)

    def forward(self, x):
        point = self.branch1x1(x)
        wide = self.branch5x5_2(self.branch5x5_1(x))
        deep = self.branch3x3dbl_3(self.branch3x3dbl_2(self.branch3x3dbl_1(x)))
        pool = self.branch_pool(F.avg_pool2d(x, 3, stride=1, padding=1))
        return cat([point, wide, deep, pool], dim=1)


class InceptionB(nn.Module):
    """Fig. 10: halves the image and widens it, by convolutions and a pool side by side.

    A pool before the widening would lose detail, one after it would cost four times as much.
    Cost: C (9 384 + 64) + 9 (64 96 + 96 96) weights for C channels.

    Args:
        in_channels: channels of the image; 480 more come out.

    >>> import tinyconv as tc
    >>> tc.models.InceptionB(8)(tc.zeros(1, 8, 5, 8)).shape
    (1, 488, 2, 3)
    """

    def __init__(self, in_channels):
        super().__init__()
        self.branch3x3 = InceptionConv(in_channels, 384, 3, stride=2, padding=0)

        self.branch3x3dbl_1 = InceptionConv(in_channels, 64, 1)
        self.branch3x3dbl_2 = InceptionConv(64, 96, 3)
        self.branch3x3dbl_3 = InceptionConv(96, 96, 3, stride=2, padding=0)

    def forward(self, x):
        wide = self.branch3x3(x)
        deep = self.branch3x3dbl_3(self.branch3x3dbl_2(self.branch3x3dbl_1(x)))
        pool = F.max_pool2d(x, 3, stride=2)
        return cat([wide, deep, pool], dim=1)


class InceptionC(nn.Module):
    """Fig. 6, n = 7: 1 x 7 and 7 x 1 one after the other in place of 7 x 7 (17 x 17 pixels).

    They see the same pixels for 14 weights in place of 49. Cost: C (384 + 2 c) + 7 (c c +
    192 c) + 7 (3 c c + 192 c) weights for C channels with c = ``channels_7x7``, and as many
    multiply-adds for each pixel.

    Args:
        in_channels: channels of the image; 768 come out.
        channels_7x7: channels between the factors: 128, 160, 160, 192 in the network.

    >>> import tinyconv as tc
    >>> tc.models.InceptionC(8, channels_7x7=4)(tc.zeros(1, 8, 3, 4)).shape
    (1, 768, 3, 4)
    """

    def __init__(self, in_channels, channels_7x7):
        super().__init__()
        c7 = channels_7x7
        self.branch1x1 = InceptionConv(in_channels, 192, 1)

        self.branch7x7_1 = InceptionConv(in_channels, c7, 1)
        self.branch7x7_2 = InceptionConv(c7, c7, (1, 7))
        self.branch7x7_3 = InceptionConv(c7, 192, (7, 1))

        self.branch7x7dbl_1 = InceptionConv(in_channels, c7, 1)
        self.branch7x7dbl_2 = InceptionConv(c7, c7, (7, 1))
        self.branch7x7dbl_3 = InceptionConv(c7, c7, (1, 7))
        self.branch7x7dbl_4 = InceptionConv(c7, c7, (7, 1))
        self.branch7x7dbl_5 = InceptionConv(c7, 192, (1, 7))

        self.branch_pool = InceptionConv(in_channels, 192, 1)

    def forward(self, x):
        point = self.branch1x1(x)
        wide = self.branch7x7_3(self.branch7x7_2(self.branch7x7_1(x)))
        deep = self.branch7x7dbl_3(self.branch7x7dbl_2(self.branch7x7dbl_1(x)))
        deep = self.branch7x7dbl_5(self.branch7x7dbl_4(deep))
        pool = self.branch_pool(F.avg_pool2d(x, 3, stride=1, padding=1))
        return cat([point, wide, deep, pool], dim=1)


class InceptionD(nn.Module):
    """In the manner of Fig. 10: halves the image again, with a factorised 7 x 7 in one branch.

    Cost: 384 C + 9 192 320 + 14 192 192 + 9 192 192 weights for C channels.

    Args:
        in_channels: channels of the image; 512 more come out.

    >>> import tinyconv as tc
    >>> tc.models.InceptionD(8)(tc.zeros(1, 8, 3, 6)).shape
    (1, 520, 1, 2)
    """

    def __init__(self, in_channels):
        super().__init__()
        self.branch3x3_1 = InceptionConv(in_channels, 192, 1)
        self.branch3x3_2 = InceptionConv(192, 320, 3, stride=2, padding=0)

        self.branch7x7x3_1 = InceptionConv(in_channels, 192, 1)
        self.branch7x7x3_2 = InceptionConv(192, 192, (1, 7))
        self.branch7x7x3_3 = InceptionConv(192, 192, (7, 1))
        self.branch7x7x3_4 = InceptionConv(192, 192, 3, stride=2, padding=0)

    def forward(self, x):
        short = self.branch3x3_2(self.branch3x3_1(x))
        wide = self.branch7x7x3_3(self.branch7x7x3_2(self.branch7x7x3_1(x)))
        wide = self.branch7x7x3_4(wide)
        pool = F.max_pool2d(x, 3, stride=2)
        return cat([short, wide, pool], dim=1)


class InceptionE(nn.Module):
    """Fig. 7: 1 x 3 and 3 x 1 side by side, for many features of few pixels (8 x 8).

    Here width matters more than depth, so the factors stand beside each other: 6 weights in
    place of 9, and twice the channels. Cost: 1344 C + 6 384 384 + 9 448 384 + 6 384 384 weights
    for C channels, and as many multiply-adds for each pixel.

    Args:
        in_channels: channels of the image; 2048 come out.

    >>> import tinyconv as tc
    >>> tc.models.InceptionE(8)(tc.zeros(1, 8, 2, 3)).shape
    (1, 2048, 2, 3)
    """

    def __init__(self, in_channels):
        super().__init__()
        self.branch1x1 = InceptionConv(in_channels, 320, 1)

        self.branch3x3_1 = InceptionConv(in_channels, 384, 1)
        self.branch3x3_2a = InceptionConv(384, 384, (1, 3))
        self.branch3x3_2b = InceptionConv(384, 384, (3, 1))

        self.branch3x3dbl_1 = InceptionConv(in_channels, 448, 1)
        self.branch3x3dbl_2 = InceptionConv(448, 384, 3)
        self.branch3x3dbl_3a = InceptionConv(384, 384, (1, 3))
        self.branch3x3dbl_3b = InceptionConv(384, 384, (3, 1))

        self.branch_pool = InceptionConv(in_channels, 192, 1)

    def forward(self, x):
        point = self.branch1x1(x)
        wide = self.branch3x3_1(x)
        deep = self.branch3x3dbl_2(self.branch3x3dbl_1(x))
        pool = self.branch_pool(F.avg_pool2d(x, 3, stride=1, padding=1))
        return cat(
            [
                point,
                self.branch3x3_2a(wide),
                self.branch3x3_2b(wide),
                self.branch3x3dbl_3a(deep),
                self.branch3x3dbl_3b(deep),
                pool,
            ],
            dim=1,
        )


class InceptionAux(nn.Module):
    """The auxiliary classifier of v3, v4 and Inception-ResNet v2 (Fig. 8), on 17 x 17 pixels.

    Average 5 x 5, stride 3; 1 x 1 to 128; 5 x 5 to 768; average; classes. Its batch norm
    regularises the main classifier (Sec. 4). With C channels and K classes: 128 C + 256 +
    25 128 768 + 1536 + 769 K parameters.

    Args:
        in_channels: channels of the image.
        num_classes: outputs.

    Raises:
        ValueError: for an image below 17 x 17.

    >>> import tinyconv as tc
    >>> tc.models.InceptionAux(3, 10)(tc.zeros(2, 3, 17, 18)).shape
    (2, 10)
    """

    def __init__(self, in_channels, num_classes):
        super().__init__()
        self.conv0 = InceptionConv(in_channels, 128, 1)
        self.conv1 = InceptionConv(128, 768, 5, padding=0)
        self.fc = nn.Linear(768, num_classes)

    def forward(self, x):
        if min(x.shape[2:]) < 17:
            raise ValueError(
                f"InceptionAux: image of {' x '.join(map(str, x.shape[2:]))}, wants 17 pixels a "
                "side or more (inputs of 299 or more); for smaller ones take aux_logits=False"
            )
        x = F.avg_pool2d(x, 5, stride=3)  # C x 5 x 5
        x = self.conv0(x)  # 128 x 5 x 5
        x = self.conv1(x)  # 768 x 1 x 1
        return self.fc(F.adaptive_avg_pool2d(x, 1).flatten(1))


class InceptionV3(nn.Module):
    """Inception v3: 23,834,568 parameters, 27,161,264 with the auxiliary head.

    In training the result is ``InceptionOutputs``, in ``eval()`` the logits (N, classes). Train
    it with ``F.cross_entropy(..., label_smoothing=0.1)`` (Sec. 7). The paper's BN-auxiliary
    also normalises its linear layer; the published weights do not.

    Args:
        aux_logits: build the auxiliary classifier on Mixed_6e.
        in_channels, num_classes: channels of the images, and outputs.
        dropout: before the last layer; the published weights had 0.5, TensorFlow-Slim 0.2.
        transform_input: take images in the range of ImageNet's mean and deviation to the range
            of TensorFlow, [-1, 1], which the published weights want.

    Raises:
        ValueError: for ``transform_input`` with other than 3 channels; in training with the
            auxiliary head for images too small for it.

    >>> import tinyconv as tc
    >>> net = tc.models.InceptionV3(aux_logits=False, num_classes=10).eval()
    >>> net(tc.zeros(1, 3, 75, 75)).shape
    (1, 10)
    """

    aux_weight = 0.4

    def __init__(
        self, aux_logits=True, in_channels=3, num_classes=1000, dropout=0.5, transform_input=False
    ):
        super().__init__()
        check_transform("InceptionV3", transform_input, in_channels)
        self.transform_input, self.aux_logits, self.dropout = transform_input, aux_logits, dropout
        self.Conv2d_1a_3x3 = InceptionConv(in_channels, 32, 3, stride=2, padding=0)
        self.Conv2d_2a_3x3 = InceptionConv(32, 32, 3, padding=0)
        self.Conv2d_2b_3x3 = InceptionConv(32, 64, 3)
        self.Conv2d_3b_1x1 = InceptionConv(64, 80, 1)
        self.Conv2d_4a_3x3 = InceptionConv(80, 192, 3, padding=0)
        self.Mixed_5b = InceptionA(192, pool_features=32)
        self.Mixed_5c = InceptionA(256, pool_features=64)
        self.Mixed_5d = InceptionA(288, pool_features=64)
        self.Mixed_6a = InceptionB(288)
        self.Mixed_6b = InceptionC(768, channels_7x7=128)
        self.Mixed_6c = InceptionC(768, channels_7x7=160)
        self.Mixed_6d = InceptionC(768, channels_7x7=160)
        self.Mixed_6e = InceptionC(768, channels_7x7=192)
        if aux_logits:
            self.AuxLogits = InceptionAux(768, num_classes)
        self.Mixed_7a = InceptionD(768)
        self.Mixed_7b = InceptionE(1280)
        self.Mixed_7c = InceptionE(2048)
        self.fc = nn.Linear(2048, num_classes)

        # TensorFlow-Slim's; torchvision means the same, but draws AuxLogits.conv1 with 0.1
        narrow = {"AuxLogits.conv1.conv": 0.01, "AuxLogits.fc": 0.001}
        for name, module in self.named_modules():
            if isinstance(module, (nn.Conv2d, nn.Linear)):
                nn.init.trunc_normal_(module.weight, std=narrow.get(name, 0.1))

    def forward(self, x):
        if self.transform_input:
            x = tensorflow_range(x)
        x = self.Conv2d_1a_3x3(x)  # 32 x 149 x 149
        x = self.Conv2d_2a_3x3(x)  # 32 x 147 x 147
        x = self.Conv2d_2b_3x3(x)  # 64 x 147 x 147
        x = F.max_pool2d(x, 3, stride=2)  # 64 x 73 x 73
        x = self.Conv2d_3b_1x1(x)  # 80 x 73 x 73
        x = self.Conv2d_4a_3x3(x)  # 192 x 71 x 71
        x = F.max_pool2d(x, 3, stride=2)  # 192 x 35 x 35
        x = self.Mixed_5b(x)  # 256 x 35 x 35
        x = self.Mixed_5c(x)  # 288 x 35 x 35
        x = self.Mixed_5d(x)  # 288 x 35 x 35
        x = self.Mixed_6a(x)  # 768 x 17 x 17
        x = self.Mixed_6b(x)  # 768 x 17 x 17
        x = self.Mixed_6c(x)  # 768 x 17 x 17
        x = self.Mixed_6d(x)  # 768 x 17 x 17
        x = self.Mixed_6e(x)  # 768 x 17 x 17
        heads = self.training and self.aux_logits
        aux = self.AuxLogits(x) if heads else None
        x = self.Mixed_7a(x)  # 1280 x 8 x 8
        x = self.Mixed_7b(x)  # 2048 x 8 x 8
        x = self.Mixed_7c(x)  # 2048 x 8 x 8
        x = F.adaptive_avg_pool2d(x, 1).flatten(1)  # 2048
        x = self.fc(F.dropout(x, self.dropout, self.training))
        return InceptionOutputs(x, aux) if heads else x


inception_v3 = register(
    "inception_v3", InceptionV3, about="factorised windows, auxiliary head", input=(3, 299, 299)
)
