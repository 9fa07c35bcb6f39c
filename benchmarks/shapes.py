"""The layers of the ladder: convolutions as they stand in real networks."""

from typing import NamedTuple

from tinyconv.kernels import Window


class Layer(NamedTuple):
    """One convolution: ``O`` filters of k x k over a batch of N images, C x H x H each."""

    net: str
    layer: str
    N: int
    C: int
    H: int
    O: int
    k: int
    stride: int = 1
    padding: int = 0
    groups: int = 1

    @property
    def name(self):
        return f"{self.net} {self.layer}"

    @property
    def window(self):
        return Window.of(self.k, self.stride, self.padding)

    @property
    def x_shape(self):
        return self.N, self.C, self.H, self.H

    @property
    def w_shape(self):
        return self.O, self.C // self.groups, self.k, self.k

    @property
    def y_shape(self):
        return self.N, self.O, *self.window.output_shape(self.H, self.H)

    @property
    def of_images(self):
        """Whether the input is the picture itself, whose gradient no training asks for."""
        return self.C in (1, 3)

    @property
    def flops(self):
        """Of the definition, two per multiply-add, taps on the padding included."""
        N, O, Ho, Wo = self.y_shape
        return 2 * N * O * Ho * Wo * (self.C // self.groups) * self.k**2

    @property
    def bytes(self):
        """Of the input, the weights and the output, each moved once; the same in all directions."""
        count = 0
        for shape in (self.x_shape, self.w_shape, self.y_shape):
            size = 4
            for extent in shape:
                size *= extent
            count += size
        return count

    def text(self):
        """The shape on one line: N x C x H x W -> O, window, stride, groups."""
        text = f"{self.N}x{self.C}x{self.H}x{self.H} -> {self.O}, {self.k}x{self.k}"
        text += f" / {self.stride}" if self.stride > 1 else ""
        return text + (f", groups {self.groups}" if self.groups > 1 else "")


LADDER = [
    Layer("LeNet-5", "conv1", 64, 1, 28, 6, 5, 1, 2),
    Layer("LeNet-5", "conv2", 64, 6, 14, 16, 5),
    Layer("Inception small", "conv1", 64, 1, 28, 10, 5),
    Layer("Inception small", "1x1", 64, 10, 12, 16, 1),
    Layer("Inception small", "5x5", 64, 16, 12, 24, 5, 1, 2),
    Layer("Inception small", "3x3", 64, 24, 12, 24, 3, 1, 1),
    Layer("Inception small", "conv2", 64, 88, 12, 20, 5),
    Layer("Inception small", "block 2 3x3", 64, 24, 4, 24, 3, 1, 1),
    Layer("ResNet-20", "conv1", 128, 3, 32, 16, 3, 1, 1),
    Layer("ResNet-20", "stage 1", 128, 16, 32, 16, 3, 1, 1),
    Layer("ResNet-20", "stage 2 first", 128, 16, 32, 32, 3, 2, 1),
    Layer("ResNet-20", "stage 2", 128, 32, 16, 32, 3, 1, 1),
    Layer("ResNet-20", "stage 3", 128, 64, 8, 64, 3, 1, 1),
    Layer("ResNet-20", "stage 3 batch 1", 1, 64, 8, 64, 3, 1, 1),
    Layer("GoogLeNet", "3a 3x3", 32, 96, 28, 128, 3, 1, 1),
    Layer("GoogLeNet", "3a 5x5", 32, 16, 28, 32, 5, 1, 2),
    Layer("GoogLeNet", "3b 1x1", 32, 256, 28, 128, 1),
    Layer("GoogLeNet", "4a 1x1", 32, 480, 14, 192, 1),
    Layer("GoogLeNet", "4b 3x3", 32, 112, 14, 224, 3, 1, 1),
    Layer("GoogLeNet", "4b 5x5", 32, 24, 14, 64, 5, 1, 2),
    Layer("GoogLeNet", "5b 1x1", 32, 832, 7, 384, 1),
    Layer("GoogLeNet", "5b 3x3", 32, 192, 7, 384, 3, 1, 1),
    Layer("GoogLeNet", "5b 5x5", 32, 48, 7, 128, 5, 1, 2),
    Layer("VGG", "64 at 32", 64, 64, 32, 64, 3, 1, 1),
    Layer("VGG", "256 at 8", 64, 256, 8, 256, 3, 1, 1),
    Layer("VGG", "256 at 56 batch 1", 1, 256, 56, 256, 3, 1, 1),
    Layer("ResNet-18", "conv1", 32, 3, 112, 64, 7, 2, 3),
    Layer("ResNet-18", "layer 1", 32, 64, 56, 64, 3, 1, 1),
    Layer("ResNet-18", "layer 2 first", 32, 64, 56, 128, 3, 2, 1),
    Layer("ResNet-18", "layer 2 shortcut", 32, 64, 56, 128, 1, 2),
    Layer("MobileNet", "depthwise at 56", 32, 128, 56, 128, 3, 1, 1, 128),
    Layer("MobileNet", "depthwise / 2", 32, 128, 56, 128, 3, 2, 1, 128),
    Layer("MobileNet", "pointwise", 32, 128, 28, 256, 1),
    Layer("MobileNet", "depthwise batch 1", 1, 512, 14, 512, 3, 1, 1, 512),
    Layer("MobileNet", "pointwise batch 1", 1, 512, 14, 512, 1),
]
