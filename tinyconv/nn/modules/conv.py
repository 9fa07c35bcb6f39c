"""Convolutions with their filters."""

from tinyconv.kernels.geometry import Window
from tinyconv.nn import functional as F
from tinyconv.nn.checks import counts
from tinyconv.nn.module import Module
from tinyconv.nn.modules.weights import blank, reset

_MODES = ("zeros", "reflect", "replicate", "circular")


class _ConvNd(Module):
    """What the convolutions share; they differ in how many axes they have."""

    _axes: int
    _function: staticmethod

    def __init__(
        self, in_channels, out_channels, kernel_size, stride, padding, dilation, transposed,
        output_padding, groups, bias, padding_mode, device=None, dtype=None,
    ):  # fmt: skip
        super().__init__()
        op, axes = type(self).__name__, self._axes
        if groups < 1 or in_channels % groups or out_channels % groups:
            raise ValueError(
                f"{op}: groups={groups} must divide in_channels={in_channels} and "
                f"out_channels={out_channels}"
            )
        if padding_mode not in _MODES or (transposed and padding_mode != "zeros"):
            modes = ("zeros",) if transposed else _MODES
            raise ValueError(f"{op}: padding_mode={padding_mode!r}; wants one of {modes}")
        self.in_channels, self.out_channels = in_channels, out_channels
        self.kernel_size = counts(axes, op, "kernel_size", kernel_size, 1)
        self.stride = counts(axes, op, "stride", stride, 1)
        self.padding = self._read_padding(padding)
        self.dilation = counts(axes, op, "dilation", dilation, 1)
        self.transposed = transposed
        self.output_padding = counts(axes, op, "output_padding", output_padding, 0)
        self.groups, self.padding_mode = groups, padding_mode
        first, second = out_channels, in_channels
        if transposed:
            first, second = second, first
        self.weight = blank((first, second // groups, *self.kernel_size), dtype, device)
        self.register_parameter("bias", blank(out_channels, dtype, device) if bias else None)
        self.reset_parameters()

    def _read_padding(self, padding):
        op, four = type(self).__name__, isinstance(padding, (tuple, list)) and len(padding) == 4
        if padding in ("same", "valid") or (four and self._axes == 2):
            # the image's size does not matter to whether the numbers make a window
            Window.of(1, 1, padding, 1, (1, 1), op)
            return padding
        if isinstance(padding, str):
            raise ValueError(f"{op}: padding={padding!r}; wants numbers, 'same' or 'valid'")
        return counts(self._axes, op, "padding", padding, 0)

    def reset_parameters(self):
        """Draw new weights."""
        reset(self.weight, self.bias)

    def forward(self, x):
        return self._conv_forward(x, self.weight, self.bias)

    def _conv_forward(self, x, weight, bias):
        padding = self.padding
        if self.padding_mode != "zeros":
            x, padding = F.pad(x, self._sides(x), mode=self.padding_mode), 0
        return self._function(x, weight, bias, self.stride, padding, self.dilation, self.groups)

    def _sides(self, x):
        """The padding as ``F.pad`` takes it."""
        row, padding = (1,) * (2 - self._axes), self.padding
        window = Window.of(
            row + self.kernel_size, row + self.stride,
            padding if isinstance(padding, str) else (0,) * len(row) + tuple(padding),
            row + self.dilation, row + x.shape[-self._axes :],
        )  # fmt: skip
        return (window.left, window.right, window.top, window.bottom)[: 2 * self._axes]

    def extra_repr(self):
        text = f"{self.in_channels}, {self.out_channels}, kernel_size={self.kernel_size}"
        text += f", stride={self.stride}"
        if isinstance(self.padding, str) or any(self.padding):
            text += f", padding={self.padding}"
        if max(self.dilation) > 1:
            text += f", dilation={self.dilation}"
        if any(self.output_padding):
            text += f", output_padding={self.output_padding}"
        if self.groups != 1:
            text += f", groups={self.groups}"
        if self.bias is None:
            text += ", bias=False"
        if self.padding_mode != "zeros":
            text += f", padding_mode={self.padding_mode}"
        return text


class _Conv(_ConvNd):
    def __init__(
        self, in_channels, out_channels, kernel_size, stride=1, padding=0, dilation=1, groups=1,
        bias=True, padding_mode="zeros", device=None, dtype=None,
    ):  # fmt: skip
        super().__init__(
            in_channels, out_channels, kernel_size, stride, padding, dilation, False, 0, groups,
            bias, padding_mode, device, dtype,
        )  # fmt: skip


class Conv1d(_Conv):
    """A bank of filters over signals (N, C, L): ``F.conv1d``; arguments and state as in
    ``Conv2d``, with one number where that has two."""

    _axes, _function = 1, staticmethod(F.conv1d)


class Conv2d(_Conv):
    """A bank of ``out_channels`` filters over images (N, C, H, W): ``F.conv2d``.

    Args:
        in_channels, out_channels: C and O.
        kernel_size, stride, dilation: int or (height, width).
        padding: int, pair, (left, right, top, bottom), 'same' or 'valid'.
        groups: see ``F.conv2d``.
        bias: whether to add one number per output channel.
        padding_mode: 'zeros', 'reflect', 'replicate' or 'circular', as in ``F.pad``.

    State: ``weight`` (O, C / groups, kh, kw), ``bias`` (O,).

    Raises:
        ValueError: channels that ``groups`` does not divide.

    >>> import tinyconv as tc
    >>> tc.nn.Conv2d(1, 10, kernel_size=5)(tc.zeros(2, 1, 28, 28)).shape
    (2, 10, 24, 24)
    """

    _axes, _function = 2, staticmethod(F.conv2d)


class _ConvTransposeNd(_ConvNd):
    def __init__(
        self, in_channels, out_channels, kernel_size, stride=1, padding=0, output_padding=0,
        groups=1, bias=True, dilation=1, padding_mode="zeros", device=None, dtype=None,
    ):  # fmt: skip
        super().__init__(
            in_channels, out_channels, kernel_size, stride, padding, dilation, True,
            output_padding, groups, bias, padding_mode, device, dtype,
        )  # fmt: skip

    def _read_padding(self, padding):
        return counts(self._axes, type(self).__name__, "padding", padding, 0)

    def forward(self, x, output_size=None):
        more = self.output_padding if output_size is None else self._missing(x, output_size)
        return self._function(
            x, self.weight, self.bias, self.stride, self.padding, more, self.groups, self.dilation
        )

    def _missing(self, x, output_size):
        """The ``output_padding`` that makes the result of that size."""
        axes, op = self._axes, type(self).__name__
        size = tuple(output_size)
        if len(size) not in (axes, x.ndim):
            raise ValueError(
                f"{op}: output_size={size} for input of shape {list(x.shape)}: wants {axes} sizes, "
                "or those of all dimensions"
            )
        least = [
            (n - 1) * s - 2 * p + d * (k - 1) + 1
            for n, s, p, d, k in zip(
                x.shape[-axes:], self.stride, self.padding, self.dilation, self.kernel_size
            )
        ]
        more = tuple(n - m for n, m in zip(size[-axes:], least))
        if any(not 0 <= m < s for m, s in zip(more, self.stride)):
            most = [m + s - 1 for m, s in zip(least, self.stride)]
            raise ValueError(
                f"{op}: output_size={size} must be from {least} to {most} for input of shape "
                f"{list(x.shape)}"
            )
        return more


class ConvTranspose1d(_ConvTransposeNd):
    """``F.conv_transpose1d`` with its filters; arguments as in ``ConvTranspose2d``."""

    _axes, _function = 1, staticmethod(F.conv_transpose1d)


class ConvTranspose2d(_ConvTransposeNd):
    """The transposed convolution of images (N, C, H, W), ``F.conv_transpose2d``, with its filters.

    Args:
        in_channels, out_channels: C and O.
        kernel_size, stride, padding, output_padding, dilation: int or (height, width).
        groups, bias: as in ``Conv2d``.

    Called with (x, output_size) it chooses the ``output_padding`` that gives that size.

    State: ``weight`` (C, O / groups, kh, kw), ``bias`` (O,).

    >>> import tinyconv as tc
    >>> up = tc.nn.ConvTranspose2d(4, 3, 3, stride=2, padding=1)
    >>> up(tc.zeros(1, 4, 5, 5)).shape, up(tc.zeros(1, 4, 5, 5), output_size=(10, 10)).shape
    ((1, 3, 9, 9), (1, 3, 10, 10))
    """

    _axes, _function = 2, staticmethod(F.conv_transpose2d)
