"""Convolutions with their filters."""

from tinyconv.kernels.geometry import Window, pair
from tinyconv.nn import functional as F
from tinyconv.nn.module import Module
from tinyconv.nn.modules.weights import blank, reset


class Conv2d(Module):
    """A bank of ``out_channels`` filters over images (N, C, H, W): ``F.conv2d``.

    Args:
        in_channels, out_channels: C and O.
        kernel_size, stride, dilation: int or (height, width).
        padding: int, pair, (left, right, top, bottom), 'same' or 'valid'.
        groups: see ``F.conv2d``.
        bias: whether to add one number per output channel.

    State: ``weight`` (O, C / groups, kh, kw), ``bias`` (O,).

    Raises:
        ValueError: channels that ``groups`` does not divide.

    >>> import tinyconv as tc
    >>> tc.nn.Conv2d(1, 10, kernel_size=5)(tc.zeros(2, 1, 28, 28)).shape
    (2, 10, 24, 24)
    """

    def __init__(
        self, in_channels, out_channels, kernel_size, stride=1, padding=0, dilation=1, groups=1,
        bias=True, padding_mode="zeros", device=None, dtype=None,
    ):  # fmt: skip
        super().__init__()
        if groups < 1 or in_channels % groups or out_channels % groups:
            raise ValueError(
                f"Conv2d: groups={groups} must divide in_channels={in_channels} and "
                f"out_channels={out_channels}"
            )
        if padding_mode != "zeros":
            raise ValueError(f"Conv2d: padding_mode={padding_mode!r}; there is 'zeros'")
        self.in_channels, self.out_channels = in_channels, out_channels
        self.kernel_size = pair(kernel_size, "Conv2d", "kernel_size", 1)
        self.stride = pair(stride, "Conv2d", "stride", 1)
        self.dilation = pair(dilation, "Conv2d", "dilation", 1)
        # the image's size does not matter to whether the numbers make a window
        Window.of(kernel_size, stride, padding, dilation, (1, 1), "Conv2d")
        self.padding = (padding, padding) if isinstance(padding, int) else padding
        self.groups = groups
        shape = (out_channels, in_channels // groups, *self.kernel_size)
        self.weight = blank(shape, dtype, device)
        self.register_parameter("bias", blank(out_channels, dtype, device) if bias else None)
        self.reset_parameters()

    def reset_parameters(self):
        """Draw new weights."""
        reset(self.weight, self.bias)

    def forward(self, x):
        return F.conv2d(
            x, self.weight, self.bias, self.stride, self.padding, self.dilation, self.groups
        )

    def extra_repr(self):
        text = f"{self.in_channels}, {self.out_channels}, kernel_size={self.kernel_size}"
        text += f", stride={self.stride}"
        if self.padding not in ((0, 0), "valid"):
            text += f", padding={self.padding!r}"
        if self.dilation != (1, 1):
            text += f", dilation={self.dilation}"
        if self.groups != 1:
            text += f", groups={self.groups}"
        return text + ("" if self.bias is not None else ", bias=False")
