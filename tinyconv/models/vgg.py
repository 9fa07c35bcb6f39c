"""VGG. Simonyan and Zisserman 2014, Very Deep Convolutional Networks for Large-Scale Image
Recognition, arXiv:1409.1556, Table 1.
"""

import tinyconv.nn as nn
from tinyconv.models.registry import register

__all__ = [
    "VGG", "vgg11", "vgg11_bn", "vgg13", "vgg13_bn", "vgg16", "vgg16_bn", "vgg16c", "vgg19",
    "vgg19_bn",
]  # fmt: skip

#: columns of Table 1: the kernel sizes of the convolutions in each of the five stages
_CONFIGURATIONS = {
    "A": ([3], [3], [3, 3], [3, 3], [3, 3]),
    "B": ([3, 3], [3, 3], [3, 3], [3, 3], [3, 3]),
    "C": ([3, 3], [3, 3], [3, 3, 1], [3, 3, 1], [3, 3, 1]),
    "D": ([3, 3], [3, 3], [3, 3, 3], [3, 3, 3], [3, 3, 3]),
    "E": ([3, 3], [3, 3], [3, 3, 3, 3], [3, 3, 3, 3], [3, 3, 3, 3]),
}


class VGG(nn.Module):
    """Stages of 3 x 3 convolutions with ReLU, each ended by a pool that halves the image.

    Two 3 x 3 convolutions see 5 x 5 pixels, three see 7 x 7, with more nonlinearities and fewer
    weights: 27 C^2 against 49 C^2 for three (Sec. 2.3). The 1 x 1 convolutions of C add the
    nonlinearity alone. Most weights are in the first linear layer: 103 of D's 138 million.

    Args:
        configuration: ``'A'`` to ``'E'``, a column of Table 1.
        batch_norm: normalise between each convolution (which keeps its bias) and its ReLU; not
            in the paper, as in torchvision.
        in_channels: channels of the images.
        num_classes: outputs.
        dropout: the probability on what the two hidden layers give.

    Images of 32 x 32 or more; the last maps are averaged to 7 x 7, which changes nothing at
    224 x 224.

    State: ``features.{i}``, ``classifier.{0,3,6}``, as in torchvision.

    Raises:
        ValueError: for a configuration that is not in the table.

    >>> import tinyconv as tc
    >>> with tc.nn.init.skip_init():
    ...     net = tc.models.VGG("A", num_classes=7).eval()
    >>> net(tc.zeros(1, 3, 32, 33)).shape
    (1, 7)
    """

    def __init__(
        self, configuration="D", batch_norm=False, in_channels=3, num_classes=1000, dropout=0.5
    ):
        super().__init__()
        if configuration not in _CONFIGURATIONS:
            raise ValueError(
                f"VGG: configuration={configuration!r}; wants one of {', '.join(_CONFIGURATIONS)}"
            )
        layers = []
        for stage, kernels in enumerate(_CONFIGURATIONS[configuration]):
            channels = min(64 * 2**stage, 512)  # 64, 128, 256, 512, 512
            for k in kernels:
                layers.append(nn.Conv2d(in_channels, channels, k, padding=k // 2))
                layers += [nn.BatchNorm2d(channels), nn.ReLU()] if batch_norm else [nn.ReLU()]
                in_channels = channels
            layers.append(nn.MaxPool2d(2))  # 112, 56, 28, 14, 7
        self.features = nn.Sequential(*layers)
        self.avgpool = nn.AdaptiveAvgPool2d((7, 7))
        self.classifier = nn.Sequential(
            nn.Linear(512 * 7 * 7, 4096),
            nn.ReLU(),
            nn.Dropout(dropout),
            nn.Linear(4096, 4096),
            nn.ReLU(),
            nn.Dropout(dropout),
            nn.Linear(4096, num_classes),
        )
        # torchvision's: the paper's N(0, 0.01) does not train the deep ones from scratch
        for module in self.modules():
            if isinstance(module, nn.Conv2d):
                nn.init.kaiming_normal_(module.weight, mode="fan_out", nonlinearity="relu")
                nn.init.zeros_(module.bias)
            elif isinstance(module, nn.Linear):
                nn.init.normal_(module.weight, 0, 0.01)
                nn.init.zeros_(module.bias)

    def forward(self, x):
        x = self.avgpool(self.features(x))  # 512 x 7 x 7
        return self.classifier(x.flatten(1))


vgg11 = register("vgg11", VGG, "A", about="VGG with 11 layers (A)")
vgg11_bn = register("vgg11_bn", VGG, "A", True, about="VGG with 11 layers and batch norm")
vgg13 = register("vgg13", VGG, "B", about="VGG with 13 layers (B)")
vgg13_bn = register("vgg13_bn", VGG, "B", True, about="VGG with 13 layers and batch norm")
vgg16c = register("vgg16c", VGG, "C", about="VGG with 16 layers, three of them 1 x 1 (C)")
vgg16 = register("vgg16", VGG, "D", about="VGG with 16 layers (D)")
vgg16_bn = register("vgg16_bn", VGG, "D", True, about="VGG with 16 layers and batch norm")
vgg19 = register("vgg19", VGG, "E", about="VGG with 19 layers (E)")
vgg19_bn = register("vgg19_bn", VGG, "E", True, about="VGG with 19 layers and batch norm")
