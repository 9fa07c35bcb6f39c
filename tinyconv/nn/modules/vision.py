"""Layers that move pixels."""

from tinyconv.nn import functional as F
from tinyconv.nn.module import Module
from tinyconv.nn.modules.table import layer

PixelShuffle = layer(
    __name__, "PixelShuffle", F.pixel_shuffle, "upscale_factor={upscale_factor}",
    upscale_factor=...,
)  # fmt: skip
PixelUnshuffle = layer(
    __name__, "PixelUnshuffle", F.pixel_unshuffle, "downscale_factor={downscale_factor}",
    downscale_factor=...,
)  # fmt: skip
ChannelShuffle = layer(
    __name__, "ChannelShuffle", F.channel_shuffle, "groups={groups}", groups=...
)  # fmt: skip
_WINDOW = "kernel_size={kernel_size}, dilation={dilation}, padding={padding}, stride={stride}"
Unfold = layer(
    __name__, "Unfold", F.unfold, _WINDOW, kernel_size=..., dilation=1, padding=0, stride=1
)  # fmt: skip
Fold = layer(
    __name__, "Fold", F.fold, f"output_size={{output_size}}, {_WINDOW}",
    output_size=..., kernel_size=..., dilation=1, padding=0, stride=1,
)  # fmt: skip


class Upsample(Module):
    """``F.interpolate`` as a layer."""

    def __init__(
        self,
        size=None,
        scale_factor=None,
        mode="nearest",
        align_corners=None,
        recompute_scale_factor=None,
    ):
        super().__init__()
        self.size, self.mode, self.align_corners = size, mode, align_corners
        self.recompute_scale_factor = recompute_scale_factor
        if isinstance(scale_factor, tuple):
            self.scale_factor = tuple(float(f) for f in scale_factor)
        else:
            self.scale_factor = float(scale_factor) if scale_factor else None

    def forward(self, input):
        return F.interpolate(
            input, self.size, self.scale_factor, self.mode, self.align_corners,
            self.recompute_scale_factor,
        )  # fmt: skip

    def extra_repr(self):
        name = "size" if self.scale_factor is None else "scale_factor"
        return f"{name}={getattr(self, name)!r}, mode={self.mode!r}"


class UpsamplingNearest2d(Upsample):
    """``Upsample`` with mode='nearest'."""

    def __init__(self, size=None, scale_factor=None):
        super().__init__(size, scale_factor)


class UpsamplingBilinear2d(Upsample):
    """``Upsample`` with mode='bilinear' and align_corners=True."""

    def __init__(self, size=None, scale_factor=None):
        super().__init__(size, scale_factor, "bilinear", True)
