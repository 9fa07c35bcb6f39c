"""GoogLeNet, the first Inception network. Szegedy et al. 2014, Going Deeper with Convolutions,
arXiv:1409.4842.

The paper gives no padding for the pools between the stages; windows that hang over the end
(``ceil_mode``) come to every size that it prints. Local response norm is Caffe's: window 5,
alpha 1e-4, beta 0.75.
"""

from typing import Any, NamedTuple

import tinyconv.nn as nn
from tinyconv.models.blocks import ConvNormReLU, ConvReLU
from tinyconv.models.registry import register
from tinyconv.nn import functional as F
from tinyconv.ops.join import cat

__all__ = [
    "Branches", "GoogLeNet", "GoogLeNetAux", "GoogLeNetOutputs", "Inception", "InceptionConv",
    "googlenet_bn_5x5", "googlenet_paper", "googlenet_torchvision", "googlenet",
]  # fmt: skip

#: Table 1: 1 x 1, 3 x 3 reduce, 3 x 3, 5 x 5 reduce, 5 x 5, pool projection
GOOGLENET_WIDTHS = {
    "3a": (64, 96, 128, 16, 32, 32),
    "3b": (128, 128, 192, 32, 96, 64),
    "4a": (192, 96, 208, 16, 48, 64),
    "4b": (160, 112, 224, 24, 64, 64),
    "4c": (128, 128, 256, 24, 64, 64),
    "4d": (112, 144, 288, 32, 64, 64),
    "4e": (256, 160, 320, 32, 128, 128),
    "5a": (256, 160, 320, 32, 128, 128),
    "5b": (384, 192, 384, 48, 128, 128),
}


class InceptionConv(ConvNormReLU):
    """relu(bn(conv(x))) as the Inception family has it: images keep their size, eps is 1e-3.

    Args:
        in_channels, out_channels, kernel_size: as of ``nn.Conv2d``, like all ``options``.
        padding: half the kernel, so that only the stride changes the size; the papers' figures
            write V (valid) where it is 0.
        eps: of the batch norm.

    >>> import tinyconv as tc
    >>> tc.models.InceptionConv(3, 8, (7, 1))(tc.zeros(1, 3, 5, 6)).shape
    (1, 8, 5, 6)
    >>> tc.models.InceptionConv(3, 8, 3, stride=2, padding=0)(tc.zeros(1, 3, 5, 7)).shape
    (1, 8, 2, 3)
    """

    def __init__(self, in_channels, out_channels, kernel_size, padding=None, eps=1e-3, **options):
        if padding is None:
            high, wide = (kernel_size,) * 2 if isinstance(kernel_size, int) else kernel_size
            padding = (high // 2, wide // 2)
        super().__init__(
            in_channels, out_channels, kernel_size, eps=eps, padding=padding, **options
        )


class Branches(nn.Module):
    """Children that all see the same image; their channels are laid one behind the other.

    cat(branch0(x), branch1(x), ...): the frame of every Inception block. What the branches make
    must have one height and width.

    Args:
        branches: modules, kept under the names ``branch0``, ``branch1``, ...; a subclass may
            give them other names.

    >>> import tinyconv as tc
    >>> tc.models.Branches(tc.nn.Identity(), tc.nn.Conv2d(2, 3, 1))(tc.zeros(1, 2, 4, 5)).shape
    (1, 5, 4, 5)
    """

    def __init__(self, *branches):
        super().__init__()
        for i, branch in enumerate(branches):
            self.register_module(f"branch{i}", branch)

    def forward(self, x):
        return cat([branch(x) for branch in self.children()], dim=1)


class Inception(Branches):
    """Fig. 2b: 1 x 1, 3 x 3 and 5 x 5 windows and a pool side by side, kept cheap by 1 x 1
    reductions.

    A window of 5 x 5 over many channels is dear. A 1 x 1 convolution first brings the channels
    down: 28 x 28 x 192 to 32 channels (module 3a) takes 28 28 32 5 5 192 = 120,422,400
    multiplications at once, but 28 28 16 192 + 28 28 32 5 5 16 = 2,408,448 + 10,035,200 =
    12,443,648 by way of 16 channels, 9.7 times fewer:

    >>> import tinyconv as tc
    >>> from tinyconv import models, nn
    >>> models.summary(nn.Conv2d(192, 32, 5, padding=2), (192, 28, 28)).macs
    120422400
    >>> reduced = nn.Sequential(nn.Conv2d(192, 16, 1), nn.Conv2d(16, 32, 5, padding=2))
    >>> models.summary(reduced, (192, 28, 28)).macs
    12443648

    Cost: in_channels (n1 + r3 + r5 + pool) + 9 r3 n3 + 25 r5 n5 weights, and as many
    multiply-adds for each pixel.

    Args:
        in_channels: channels of the image.
        n1, r3, n3, r5, n5, pool: a row of Table 1 (1 x 1, 3 x 3 reduce, 3 x 3, 5 x 5 reduce,
            5 x 5, pool projection); n1 + n3 + n5 + pool channels come out.
        conv: ``ConvReLU`` as in the paper, or ``InceptionConv``.
        window: of the "5 x 5" branch; the published weights have 3 there.

    >>> models.Inception(192, 64, 96, 128, 16, 32, 32)(tc.zeros(1, 192, 5, 7)).shape
    (1, 256, 5, 7)
    """

    def __init__(self, in_channels, n1, r3, n3, r5, n5, pool, conv=ConvReLU, window=5):
        super().__init__()
        self.branch1 = conv(in_channels, n1, 1)
        self.branch2 = nn.Sequential(conv(in_channels, r3, 1), conv(r3, n3, 3, padding=1))
        self.branch3 = nn.Sequential(
            conv(in_channels, r5, 1), conv(r5, n5, window, padding=window // 2)
        )
        self.branch4 = nn.Sequential(
            nn.MaxPool2d(3, stride=1, padding=1), conv(in_channels, pool, 1)
        )


class GoogLeNetAux(nn.Module):
    """An auxiliary classifier: it brings the error to the middle of the network (Sec. 5).

    Average 5 x 5, stride 3; 1 x 1 to 128; 1024; dropout; classes. With C channels, K classes and
    biases: 128 (C + 1) + 1024 (2048 + 1) + K (1024 + 1) parameters.

    Args:
        in_channels: channels of the image, which is 14 x 14 in the network.
        num_classes: outputs.
        conv: ``ConvReLU`` or ``InceptionConv``.
        dropout: probability.
        adaptive: four by four even windows for any image in place of the paper's average, which
            makes 4 x 4 of 14 to 16 pixels only. At 14 x 14 they are 4 x 4 windows: not the same.

    Raises:
        ValueError: for another image without ``adaptive``.

    >>> import tinyconv as tc
    >>> tc.models.GoogLeNetAux(3, 10)(tc.zeros(1, 3, 14, 14)).shape
    (1, 10)
    """

    def __init__(self, in_channels, num_classes, conv=ConvReLU, dropout=0.7, adaptive=False):
        super().__init__()
        self.conv = conv(in_channels, 128, 1)
        self.fc1 = nn.Linear(2048, 1024)
        self.fc2 = nn.Linear(1024, num_classes)
        self.dropout, self.adaptive = dropout, adaptive

    def forward(self, x):
        if self.adaptive:
            x = F.adaptive_avg_pool2d(x, 4)  # C x 4 x 4
        elif all(14 <= size <= 16 for size in x.shape[2:]):
            x = F.avg_pool2d(x, 5, stride=3)  # C x 4 x 4
        else:
            raise ValueError(
                f"GoogLeNetAux: image of {' x '.join(map(str, x.shape[2:]))}, wants 14 to 16 "
                "pixels a side, of which the average makes 4 x 4 (inputs of 223 to 270); for "
                "others take aux_logits=False or adaptive_aux=True"
            )
        x = self.conv(x).flatten(1)  # 2048
        x = F.relu(self.fc1(x))  # 1024
        return self.fc2(F.dropout(x, self.dropout, self.training))


class GoogLeNetOutputs(NamedTuple):
    """What GoogLeNet returns in training: each (N, classes), the later auxiliary head first.

    The loss is that of ``logits`` plus ``aux_weight`` = 0.3 times that of each other.
    """

    logits: Any
    aux_logits2: Any
    aux_logits1: Any


class GoogLeNet(nn.Module):
    """GoogLeNet (Table 1, Fig. 3): 6,998,552 parameters, 13,378,280 with both auxiliary heads.

    In training the result is ``GoogLeNetOutputs``, in ``eval()`` the logits (N, classes).

    Args:
        batch_norm: batch norm after each convolution, in place of biases and local response norm.
        window: of the "5 x 5" branches.
        last_pool: size of the pool before 5a.
        adaptive_aux: see ``GoogLeNetAux``.
        aux_logits: build the auxiliary classifiers on 4a and 4d.
        in_channels, num_classes: channels of the images, and outputs.
        dropout, aux_dropout: before the last linear layers.
        transform_input: take images in the range of ImageNet's mean and deviation to the range
            of TensorFlow, [-1, 1], which the published weights want.

    Raises:
        ValueError: for ``transform_input`` with other than 3 channels; in training with
            auxiliary heads for images that these cannot take.

    >>> import tinyconv as tc
    >>> net = tc.models.GoogLeNet(aux_logits=False, num_classes=10).eval()
    >>> net(tc.zeros(1, 3, 32, 40)).shape
    (1, 10)
    """

    aux_weight = 0.3

    def __init__(
        self,
        batch_norm=False,
        window=5,
        last_pool=3,
        adaptive_aux=False,
        aux_logits=True,
        in_channels=3,
        num_classes=1000,
        dropout=0.4,
        aux_dropout=0.7,
        transform_input=False,
    ):
        super().__init__()
        check_transform("GoogLeNet", transform_input, in_channels)
        self.transform_input, self.aux_logits = transform_input, aux_logits
        self.response_norm, self.last_pool, self.dropout = not batch_norm, last_pool, dropout
        conv = InceptionConv if batch_norm else ConvReLU

        def inception(in_channels, name):
            return Inception(in_channels, *GOOGLENET_WIDTHS[name], conv=conv, window=window)

        self.conv1 = conv(in_channels, 64, 7, stride=2, padding=3)
        self.conv2 = conv(64, 64, 1)
        self.conv3 = conv(64, 192, 3, padding=1)
        self.inception3a = inception(192, "3a")
        self.inception3b = inception(256, "3b")
        self.inception4a = inception(480, "4a")
        self.inception4b = inception(512, "4b")
        self.inception4c = inception(512, "4c")
        self.inception4d = inception(512, "4d")
        self.inception4e = inception(528, "4e")
        self.inception5a = inception(832, "5a")
        self.inception5b = inception(832, "5b")
        if aux_logits:
            self.aux1 = GoogLeNetAux(512, num_classes, conv, aux_dropout, adaptive_aux)
            self.aux2 = GoogLeNetAux(528, num_classes, conv, aux_dropout, adaptive_aux)
        self.fc = nn.Linear(1024, num_classes)
        self._initialise(batch_norm)

    def _initialise(self, batch_norm):
        for module in self.modules():
            if not isinstance(module, (nn.Conv2d, nn.Linear)):
                continue
            if batch_norm:
                nn.init.trunc_normal_(module.weight, std=0.01)  # torchvision's
            else:  # Caffe's, which its fillers call xavier: variance 1 / fan_in
                nn.init.kaiming_uniform_(module.weight, nonlinearity="linear")
                nn.init.constant_(module.bias, 0.2 if isinstance(module, nn.Conv2d) else 0)

    def forward(self, x):
        if self.transform_input:
            x = tensorflow_range(x)
        x = self.conv1(x)  # 64 x 112 x 112
        x = F.max_pool2d(x, 3, stride=2, ceil_mode=True)  # 64 x 56 x 56
        if self.response_norm:
            x = F.local_response_norm(x, 5, alpha=1e-4, beta=0.75, k=1.0)
        x = self.conv2(x)  # 64 x 56 x 56
        x = self.conv3(x)  # 192 x 56 x 56
        if self.response_norm:
            x = F.local_response_norm(x, 5, alpha=1e-4, beta=0.75, k=1.0)
        x = F.max_pool2d(x, 3, stride=2, ceil_mode=True)  # 192 x 28 x 28
        x = self.inception3a(x)  # 256 x 28 x 28
        x = self.inception3b(x)  # 480 x 28 x 28
        x = F.max_pool2d(x, 3, stride=2, ceil_mode=True)  # 480 x 14 x 14
        x = self.inception4a(x)  # 512 x 14 x 14
        heads = self.training and self.aux_logits
        aux1 = self.aux1(x) if heads else None
        x = self.inception4b(x)  # 512 x 14 x 14
        x = self.inception4c(x)  # 512 x 14 x 14
        x = self.inception4d(x)  # 528 x 14 x 14
        aux2 = self.aux2(x) if heads else None
        x = self.inception4e(x)  # 832 x 14 x 14
        x = F.max_pool2d(x, self.last_pool, stride=2, ceil_mode=True)  # 832 x 7 x 7
        x = self.inception5a(x)  # 832 x 7 x 7
        x = self.inception5b(x)  # 1024 x 7 x 7
        x = F.adaptive_avg_pool2d(x, 1).flatten(1)  # 1024
        x = self.fc(F.dropout(x, self.dropout, self.training))
        return GoogLeNetOutputs(x, aux2, aux1) if heads else x


def tensorflow_range(x):
    """(pixel - 0.5) / 0.5 from (pixel - mean) / deviation of ImageNet's three channels."""
    mean, deviation = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)
    planes = [x[:, c : c + 1] * (deviation[c] / 0.5) + (mean[c] - 0.5) / 0.5 for c in range(3)]
    return cat(planes, dim=1)


def check_transform(name, transform_input, in_channels):
    if transform_input and in_channels != 3:
        raise ValueError(
            f"{name}: transform_input=True is for red, green and blue, got "
            f"in_channels={in_channels}; leave it out"
        )


googlenet_paper = register(
    "googlenet_paper", GoogLeNet, about="GoogLeNet as in the paper, with local response norm"
)
googlenet_bn_5x5 = register(
    "googlenet_bn_5x5", GoogLeNet, about="GoogLeNet with batch norm", batch_norm=True
)
# published weights: 3 x 3 in place of 5 x 5, a pool of 2 x 2 before 5a, less dropout
googlenet = googlenet_torchvision = register(
    "googlenet_torchvision", GoogLeNet, about="GoogLeNet of torchvision's weights",
    aliases=("googlenet",), batch_norm=True, window=3, last_pool=2, adaptive_aux=True, dropout=0.2,
)  # fmt: skip
