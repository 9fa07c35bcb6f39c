"""Padding as layers: the five modes for signals (1d), images (2d) and volumes (3d)."""

from tinyconv.nn import functional as F
from tinyconv.nn.module import Module


class _Pad(Module):
    """``padding``: a number for all sides, or (left, right, top, bottom, ...)."""

    axes, mode = 0, "constant"

    def __init__(self, padding):
        super().__init__()
        self.padding = (padding,) * (2 * self.axes) if isinstance(padding, int) else tuple(padding)

    def forward(self, input):
        return F.pad(input, self.padding, self.mode)

    def extra_repr(self):
        return str(self.padding)


class _ConstantPad(_Pad):
    def __init__(self, padding, value):
        super().__init__(padding)
        self.value = value

    def forward(self, input):
        return F.pad(input, self.padding, value=self.value)

    def extra_repr(self):
        return f"padding={self.padding}, value={self.value}"


def _layers(name, what, mode="constant", base=_Pad):
    """The layer for one, two and three axes."""
    return [
        type(
            f"{name}Pad{axes}d", (base,),
            dict(axes=axes, mode=mode, __module__=__name__,
                 __doc__=f"{what} at the ends of the last {axes} axes. {_Pad.__doc__}"),
        )
        for axes in (1, 2, 3)
    ]  # fmt: skip


ZeroPad1d, ZeroPad2d, ZeroPad3d = _layers("Zero", "Zeros")
ConstantPad1d, ConstantPad2d, ConstantPad3d = _layers(
    "Constant", "``value``", base=_ConstantPad
)  # fmt: skip
ReflectionPad1d, ReflectionPad2d, ReflectionPad3d = _layers("Reflection", "A mirror", "reflect")
ReplicationPad1d, ReplicationPad2d, ReplicationPad3d = _layers(
    "Replication", "The last number repeated", "replicate"
)
CircularPad1d, CircularPad2d, CircularPad3d = _layers(
    "Circular", "The other end", "circular"
)  # fmt: skip
