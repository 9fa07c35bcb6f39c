"""LeNet-5. LeCun, Bottou, Bengio, Haffner 1998, Gradient-Based Learning Applied to Document
Recognition, Proc. IEEE 86(11), Sec. II-B, Fig. 2.

``LeNet5Original`` is the paper's, ``LeNet5`` the modern reading, ``LeNetCaffe`` what Caffe's
MNIST example made of it.
"""

import tinyconv.nn as nn
from tinyconv.models.registry import register
from tinyconv.nn import functional as F
from tinyconv.ops.creation import tensor
from tinyconv.ops.join import cat

__all__ = [
    "LeNet5", "LeNet5Original", "LeNetCaffe", "RadialBasisOutput", "Subsampling", "TableConv",
    "lenet5_28pad2", "lenet5_modern", "lenet5_original", "lenet_caffe", "lenet5",
]  # fmt: skip


def squash(x):
    """1.7159 tanh(2 x / 3): its slope is near 1 between -1 and 1, which it leaves in place."""
    return 1.7159 * F.tanh(x * (2 / 3))


class Subsampling(nn.Module):
    """w * (the sum of each 2 x 2 window) + b, one w and one b per map (paper: S2 and S4).

    Two parameters a map and no multiply-adds to speak of. A small w leaves the squash behind it
    straight, so that the layer blurs; a large one makes it a noisy OR or AND of the four.

    >>> import tinyconv as tc
    >>> tc.models.Subsampling(6)(tc.zeros(2, 6, 28, 28)).shape
    (2, 6, 14, 14)
    """

    def __init__(self, channels):
        super().__init__()
        self.weight = nn.Parameter(tensor([0.25] * channels))
        self.bias = nn.Parameter(tensor([0.0] * channels))

    def forward(self, x):
        x = F.avg_pool2d(x, 2, divisor_override=1)
        return x * self.weight.view(-1, 1, 1) + self.bias.view(-1, 1, 1)


#: the maps of S2 that each map of C3 sees: contiguous threes, fours with and without a gap, all
_THREES = [(0, 1, 2), (1, 2, 3), (2, 3, 4), (3, 4, 5), (4, 5, 0), (5, 0, 1)]
_FOURS = [
    (0, 1, 2, 3), (1, 2, 3, 4), (2, 3, 4, 5), (3, 4, 5, 0), (4, 5, 0, 1), (5, 0, 1, 2),
    (0, 1, 3, 4), (1, 2, 4, 5), (0, 2, 3, 5),
]  # fmt: skip
_SIX = [(0, 1, 2, 3, 4, 5)]


class TableConv(nn.Module):
    """6 maps -> 16 by 5 x 5 filters, each output seeing 3, 4 or 6 of the inputs (C3; Table I).

    60 links in place of 96: 60 * 25 + 16 = 1,516 parameters and 1,500 multiply-adds a pixel,
    against 2,416 and 2,400. The table breaks the symmetry too: maps that see different things
    learn different things. Maps with equally many links are one grouped convolution, which gets
    the inputs in the table's order.

    >>> import tinyconv as tc
    >>> sum(p.numel() for p in tc.models.TableConv().parameters())
    1516
    """

    def __init__(self):
        super().__init__()
        self.threes = nn.Conv2d(18, 6, 5, groups=6)
        self.fours = nn.Conv2d(36, 9, 5, groups=9)
        self.six = nn.Conv2d(6, 1, 5)

    def forward(self, x):
        x, y, z = (x[:, sum(links, ())] for links in (_THREES, _FOURS, _SIX))
        return cat([self.threes(x), self.fours(y), self.six(z)], 1)


class RadialBasisOutput(nn.Module):
    """-|x - c|^2 for the fixed code c of each class (paper: OUTPUT, eq. 7).

    The codes are images of the digits, 7 x 12 pixels of -1 and 1, drawn for this file: likely
    confusions get near codes. The paper's units give the distance, where the smallest wins; the
    sign is turned so that the largest does, as with logits. Their cross entropy is the paper's
    eq. 9 without its constant for "none of them".

    840 fixed numbers for ten classes, in the buffer ``codes``. Further classes get the same
    images with signs turned by Walsh functions.

    Raises:
        ValueError: for more than 1,280 classes, which would share codes.
    """

    def __init__(self, num_classes=10):
        super().__init__()
        if not 1 <= num_classes <= 1280:
            raise ValueError(f"RadialBasisOutput: num_classes={num_classes} must be 1 to 1280")
        self.register_buffer("codes", tensor([_code(n) for n in range(num_classes)]))

    def forward(self, x):
        difference = x.unsqueeze(1) - self.codes  # classes x 84
        return -(difference * difference).sum(2)


class LeNet5Original(nn.Module):
    """LeNet-5 as printed: 60,000 trained parameters, 340,908 connections.

    Images are 32 x 32; the paper scales them so that the background is -0.1 and the ink 1.175.
    Distances are sums of 84 squares, so their slopes are large: learning rates near 0.001 suit.

    Args:
        in_channels: channels of the images.
        num_classes: outputs.

    >>> import tinyconv as tc
    >>> tc.models.LeNet5Original()(tc.zeros(2, 1, 32, 32)).shape
    (2, 10)
    """

    def __init__(self, in_channels=1, num_classes=10):
        super().__init__()
        self.C1 = nn.Conv2d(in_channels, 6, 5)
        self.S2 = Subsampling(6)
        self.C3 = TableConv()
        self.S4 = Subsampling(16)
        self.C5 = nn.Conv2d(16, 120, 5)
        self.F6 = nn.Linear(120, 84)
        self.OUTPUT = RadialBasisOutput(num_classes)
        for module in self.modules():
            # Appendix A: uniform in +-2.4 / fan_in; a pooled map has a fan_in of 4
            if isinstance(module, (nn.Conv2d, nn.Linear, Subsampling)):
                pooled = isinstance(module, Subsampling)
                fan_in = 4 if pooled else module.weight[0].numel()
                nn.init.uniform_(module.weight, -2.4 / fan_in, 2.4 / fan_in)
                nn.init.uniform_(module.bias, -2.4 / fan_in, 2.4 / fan_in)

    def forward(self, x):
        x = squash(self.C1(x))  # 6 x 28 x 28
        x = squash(self.S2(x))  # 6 x 14 x 14
        x = squash(self.C3(x))  # 16 x 10 x 10
        x = squash(self.S4(x))  # 16 x 5 x 5
        x = squash(self.C5(x))  # 120 x 1 x 1
        x = squash(self.F6(x.flatten(1)))  # 84
        return self.OUTPUT(x)


class LeNet5(nn.Module):
    """LeNet-5 in its modern reading: 61,706 parameters with one channel and ten classes.

    C3 is dense, pools take the maximum and have no weights, ReLU replaces the scaled tanh and a
    linear layer the distances.

    Args:
        in_channels: channels of the images.
        num_classes: outputs.
        padding: of the first convolution: 2 for images of 28 x 28, 0 for 32 x 32.

    >>> import tinyconv as tc
    >>> tc.models.LeNet5()(tc.zeros(2, 1, 28, 28)).shape
    (2, 10)
    """

    def __init__(self, in_channels=1, num_classes=10, padding=2):
        super().__init__()
        self.conv1 = nn.Conv2d(in_channels, 6, kernel_size=5, padding=padding)
        self.conv2 = nn.Conv2d(6, 16, kernel_size=5)
        self.fc1 = nn.Linear(16 * 5 * 5, 120)
        self.fc2 = nn.Linear(120, 84)
        self.fc3 = nn.Linear(84, num_classes)

    def forward(self, x):
        x = F.max_pool2d(F.relu(self.conv1(x)), 2)  # 6 x 14 x 14
        x = F.max_pool2d(F.relu(self.conv2(x)), 2)  # 16 x 5 x 5
        x = x.flatten(1)
        x = F.relu(self.fc1(x))
        x = F.relu(self.fc2(x))
        return self.fc3(x)


class LeNetCaffe(nn.Module):
    """Caffe's LeNet for 28 x 28 images: wider, and with a single ReLU, behind ``ip1``.

    Args:
        in_channels: channels of the images.
        num_classes: outputs.

    >>> import tinyconv as tc
    >>> tc.models.LeNetCaffe()(tc.zeros(2, 1, 28, 28)).shape
    (2, 10)
    """

    def __init__(self, in_channels=1, num_classes=10):
        super().__init__()
        self.conv1 = nn.Conv2d(in_channels, 20, 5)
        self.conv2 = nn.Conv2d(20, 50, 5)
        self.ip1 = nn.Linear(50 * 4 * 4, 500)
        self.ip2 = nn.Linear(500, num_classes)
        for module in self.modules():
            if isinstance(module, (nn.Conv2d, nn.Linear)):
                # what Caffe calls "xavier": variance 1 / fan_in
                nn.init.kaiming_uniform_(module.weight, nonlinearity="linear")
                nn.init.zeros_(module.bias)

    def forward(self, x):
        x = F.max_pool2d(self.conv1(x), 2)  # 20 x 12 x 12
        x = F.max_pool2d(self.conv2(x), 2)  # 50 x 4 x 4
        x = F.relu(self.ip1(x.flatten(1)))  # 500
        return self.ip2(x)


_DIGITS = """
..###.. ...#... .#####. .#####. .....#. ####### ..####. ####### .#####. .#####.
.##.##. ..##... ##...## ##...## ....##. ##..... .##.... .....## ##...## ##...##
##...## .###... .....## .....## ...###. ##..... ##..... .....## ##...## ##...##
##...## ..##... .....## .....## ..#.##. ##..... ##..... ....##. ##...## ##...##
##...## ..##... ....##. ....##. .##.##. ##..... ##..... ....##. .##.##. ##...##
##...## ..##... ...##.. ..###.. ##..##. ######. ######. ...##.. ..###.. .######
##...## ..##... ..##... ....##. ##..##. .....## ##...## ...##.. .##.##. .....##
##...## ..##... .##.... .....## ####### .....## ##...## ..##... ##...## .....##
##...## ..##... ##..... .....## ....##. .....## ##...## ..##... ##...## .....##
##...## ..##... ##..... .....## ....##. .....## ##...## .##.... ##...## .....##
.##.##. ..##... ##..... ##...## ....##. ##...## ##...## .##.... ##...## ....##.
..###.. .#####. ####### .#####. ....##. .#####. .#####. .##.... .#####. .####..
"""


def _code(n):
    """The 84 numbers of class n, row by row."""
    rows = [line.split()[n % 10] for line in _DIGITS.split("\n") if line]
    ink = [1.0 if c == "#" else -1.0 for c in "".join(rows)]
    return [v * (-1) ** (j & n // 10).bit_count() for j, v in enumerate(ink)]


lenet5_original = register(
    "lenet5_original", LeNet5Original, about="LeNet-5 as printed", input=(1, 32, 32),
)  # fmt: skip
lenet5_modern = register(
    "lenet5_modern", LeNet5, padding=0, about="LeNet-5, modern", input=(1, 32, 32),
)  # fmt: skip
lenet5 = lenet5_28pad2 = register(
    "lenet5_28pad2", LeNet5, about="LeNet-5, modern, for images of 28 x 28", input=(1, 28, 28),
    aliases=("lenet5",),
)  # fmt: skip
lenet_caffe = register(
    "lenet_caffe", LeNetCaffe, about="LeNet of Caffe's MNIST example", input=(1, 28, 28),
)  # fmt: skip
