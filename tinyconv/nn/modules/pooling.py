"""Pools as layers."""

from tinyconv.nn import functional as F
from tinyconv.nn.checks import counts
from tinyconv.nn.module import Module


class _Pool(Module):
    """A layer whose arguments are its attributes; ``_shown`` are those that ``print`` tells."""

    _function: staticmethod
    _shown: tuple[str, ...] = ("kernel_size", "stride", "padding")

    def extra_repr(self):
        return ", ".join(f"{name}={getattr(self, name)}" for name in self._shown)


class _MaxPoolNd(_Pool):
    _shown = ("kernel_size", "stride", "padding", "dilation", "ceil_mode")

    def __init__(
        self, kernel_size, stride=None, padding=0, dilation=1, return_indices=False,
        ceil_mode=False,
    ):  # fmt: skip
        super().__init__()
        self.kernel_size, self.padding, self.dilation = kernel_size, padding, dilation
        self.stride = kernel_size if stride is None else stride
        self.return_indices, self.ceil_mode = return_indices, ceil_mode

    def forward(self, x):
        return self._function(
            x, self.kernel_size, self.stride, self.padding, self.dilation, self.ceil_mode,
            self.return_indices,
        )  # fmt: skip


class MaxPool1d(_MaxPoolNd):
    """``F.max_pool1d`` as a layer."""

    _function = staticmethod(F.max_pool1d)


class MaxPool2d(_MaxPoolNd):
    """``F.max_pool2d`` as a layer."""

    _function = staticmethod(F.max_pool2d)


class _MaxUnpoolNd(_Pool):
    _axes: int

    def __init__(self, kernel_size, stride=None, padding=0):
        super().__init__()
        axes, op = self._axes, type(self).__name__
        self.kernel_size = counts(axes, op, "kernel_size", kernel_size, 1)
        stride = self.kernel_size if stride is None else stride
        self.stride = counts(axes, op, "stride", stride, 1)
        self.padding = counts(axes, op, "padding", padding, 0)

    def forward(self, x, indices, output_size=None):
        return self._function(x, indices, self.kernel_size, self.stride, self.padding, output_size)


class MaxUnpool1d(_MaxUnpoolNd):
    """``F.max_unpool1d`` as a layer."""

    _axes, _function = 1, staticmethod(F.max_unpool1d)


class MaxUnpool2d(_MaxUnpoolNd):
    """``F.max_unpool2d`` as a layer, called with (x, indices, output_size=None)."""

    _axes, _function = 2, staticmethod(F.max_unpool2d)


class _AvgPoolNd(_Pool):
    def __init__(
        self, kernel_size, stride=None, padding=0, ceil_mode=False, count_include_pad=True
    ):
        super().__init__()
        sizes = kernel_size, kernel_size if stride is None else stride, padding
        self.kernel_size, self.stride, self.padding = self._sizes(*sizes)
        self.ceil_mode, self.count_include_pad = ceil_mode, count_include_pad

    def _sizes(self, *sizes):
        """Kernel, stride and padding as the layer keeps them."""
        return sizes

    def forward(self, x):
        return self._function(
            x, self.kernel_size, self.stride, self.padding, self.ceil_mode, self.count_include_pad
        )


class AvgPool1d(_AvgPoolNd):
    """``F.avg_pool1d`` as a layer."""

    _function = staticmethod(F.avg_pool1d)

    def _sizes(self, *sizes):
        named = zip(self._shown, sizes, (1, 1, 0))
        return [counts(1, "AvgPool1d", name, size, least) for name, size, least in named]


class AvgPool2d(_AvgPoolNd):
    """``F.avg_pool2d`` as a layer."""

    def __init__(
        self, kernel_size, stride=None, padding=0, ceil_mode=False, count_include_pad=True,
        divisor_override=None,
    ):  # fmt: skip
        super().__init__(kernel_size, stride, padding, ceil_mode, count_include_pad)
        self.divisor_override = divisor_override

    def forward(self, x):
        return F.avg_pool2d(
            x, self.kernel_size, self.stride, self.padding, self.ceil_mode,
            self.count_include_pad, self.divisor_override,
        )  # fmt: skip


class _LPPoolNd(_Pool):
    _shown = ("norm_type", "kernel_size", "stride", "ceil_mode")

    def __init__(self, norm_type, kernel_size, stride=None, ceil_mode=False):
        super().__init__()
        self.norm_type, self.kernel_size = norm_type, kernel_size
        self.stride, self.ceil_mode = stride, ceil_mode

    def forward(self, x):
        return self._function(
            x, float(self.norm_type), self.kernel_size, self.stride, self.ceil_mode
        )


class LPPool1d(_LPPoolNd):
    """``F.lp_pool1d`` as a layer."""

    _function = staticmethod(F.lp_pool1d)


class LPPool2d(_LPPoolNd):
    """``F.lp_pool2d`` as a layer."""

    _function = staticmethod(F.lp_pool2d)


class _AdaptiveAvgPoolNd(_Pool):
    _shown = ("output_size",)

    def __init__(self, output_size):
        super().__init__()
        self.output_size = output_size

    def forward(self, x):
        return self._function(x, self.output_size)


class AdaptiveAvgPool1d(_AdaptiveAvgPoolNd):
    """``F.adaptive_avg_pool1d`` as a layer."""

    _function = staticmethod(F.adaptive_avg_pool1d)


class AdaptiveAvgPool2d(_AdaptiveAvgPoolNd):
    """``F.adaptive_avg_pool2d`` as a layer; ``output_size=1`` is the global average."""

    _function = staticmethod(F.adaptive_avg_pool2d)


class _AdaptiveMaxPoolNd(_Pool):
    _shown = ("output_size",)

    def __init__(self, output_size, return_indices=False):
        super().__init__()
        self.output_size, self.return_indices = output_size, return_indices

    def forward(self, x):
        return self._function(x, self.output_size, self.return_indices)


class AdaptiveMaxPool1d(_AdaptiveMaxPoolNd):
    """``F.adaptive_max_pool1d`` as a layer."""

    _function = staticmethod(F.adaptive_max_pool1d)


class AdaptiveMaxPool2d(_AdaptiveMaxPoolNd):
    """``F.adaptive_max_pool2d`` as a layer."""

    _function = staticmethod(F.adaptive_max_pool2d)
