"""SqueezeNet. Iandola, Han, Moskewicz, Ashraf, Dally, Keutzer 2016, arXiv:1602.07360, Table 1;
1.1 is from the authors' repository.
"""

import tinyconv.nn as nn
from tinyconv.models.registry import register
from tinyconv.nn import functional as F
from tinyconv.ops.join import cat

__all__ = [
    "Fire", "SqueezeNet", "squeezenet", "squeezenet1_0", "squeezenet1_0_caffe", "squeezenet1_1",
]  # fmt: skip


class Fire(nn.Module):
    """1 x 1 to few maps, then 1 x 1 and 3 x 3 beside each other to many; ReLUs (Fig. 1).

    With C maps in, s between and e from each branch: C s + 10 s e weights, against 18 C e of a
    3 x 3 convolution to 2 e maps. Fire2: 11,920 parameters against 110,720.

    Args:
        in_channels: C.
        squeeze: s.
        expand: e; 2 e maps come out.

    >>> import tinyconv as tc
    >>> tc.models.Fire(96, 16, 64)(tc.zeros(1, 96, 5, 7)).shape
    (1, 128, 5, 7)
    """

    def __init__(self, in_channels, squeeze, expand):
        super().__init__()
        self.squeeze = nn.Conv2d(in_channels, squeeze, 1)
        self.expand1x1 = nn.Conv2d(squeeze, expand, 1)
        self.expand3x3 = nn.Conv2d(squeeze, expand, 3, padding=1)

    def forward(self, x):
        x = F.relu(self.squeeze(x))
        return cat([F.relu(self.expand1x1(x)), F.relu(self.expand3x3(x))], 1)


#: kernel size and maps of conv1; the layers behind which there is a pool (conv1 is the first)
_VERSIONS = {"1.0": (7, 96, (1, 4, 8)), "1.1": (3, 64, (1, 3, 5))}
#: squeeze and expand of fire2 to fire9
_FIRES = ((16, 64), (16, 64), (32, 128), (32, 128), (48, 192), (48, 192), (64, 256), (64, 256))


class SqueezeNet(nn.Module):
    """AlexNet's accuracy with a fiftieth of its weights: 1,248,424 parameters (1.0).

    1.1 pools earlier and has fewer and smaller first filters: 349 million MACs against 819.
    The average of each of the last maps is its class's logit.

    Args:
        version: ``'1.0'`` or ``'1.1'``.
        in_channels: channels of the images.
        num_classes: outputs.
        dropout: the probability in front of the last convolution.
        last_padding: of the last convolution, of 1 x 1. The authors' file has 1: a border of
            bias joins the average. The paper's table has 0.

    State: ``features.{i}``, ``classifier.1``, as in torchvision.

    Raises:
        ValueError: for another version.

    >>> import tinyconv as tc
    >>> tc.models.SqueezeNet("1.1", num_classes=7)(tc.zeros(2, 3, 31, 33)).shape
    (2, 7)
    """

    def __init__(
        self, version="1.0", in_channels=3, num_classes=1000, dropout=0.5, last_padding=0
    ):  # fmt: skip
        super().__init__()
        if version not in _VERSIONS:
            raise ValueError(f"SqueezeNet: version={version!r}; wants '1.0' or '1.1'")
        kernel, channels, pooled = _VERSIONS[version]
        # sizes behind the pools, 1.0 at 224: 54, 27, 13; 1.1: 55, 27, 13
        layers = [nn.Conv2d(in_channels, channels, kernel, stride=2), nn.ReLU()]
        layers.append(nn.MaxPool2d(3, stride=2, ceil_mode=True))
        for number, (squeeze, expand) in enumerate(_FIRES, 2):
            layers.append(Fire(channels, squeeze, expand))
            channels = 2 * expand
            if number in pooled:
                layers.append(nn.MaxPool2d(3, stride=2, ceil_mode=True))
        self.features = nn.Sequential(*layers)
        self.classifier = nn.Sequential(
            nn.Dropout(dropout),
            nn.Conv2d(512, num_classes, 1, padding=last_padding),
            nn.ReLU(),
            nn.AdaptiveAvgPool2d((1, 1)),
        )
        # torchvision's
        for name, module in self.named_modules():
            if isinstance(module, nn.Conv2d):
                if name == "classifier.1":
                    nn.init.normal_(module.weight, 0, 0.01)
                else:
                    nn.init.kaiming_uniform_(module.weight)
                nn.init.zeros_(module.bias)

    def forward(self, x):
        x = self.features(x)  # 512 x 13 x 13
        return self.classifier(x).flatten(1)


squeezenet1_0 = register("squeezenet1_0", SqueezeNet, "1.0", about="SqueezeNet of the paper")
squeezenet1_0_caffe = register(
    "squeezenet1_0_caffe", SqueezeNet, "1.0", last_padding=1, input=(3, 227, 227),
    about="SqueezeNet as in the authors' Caffe file",
)  # fmt: skip
squeezenet = squeezenet1_1 = register(
    "squeezenet1_1", SqueezeNet, "1.1", about="SqueezeNet with fewer multiply-adds",
    aliases=("squeezenet",),
)  # fmt: skip
