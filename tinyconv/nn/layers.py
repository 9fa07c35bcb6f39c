"""Layers: modules around ``nn.functional``, with PyTorch's arguments and state names.

Default initialisation is PyTorch's: weights and biases uniform in +-1 / sqrt(fan_in).
"""

import math

import numpy as np

from tinyconv.autograd import Tensor, get_default_dtype
from tinyconv.autograd.modes import state
from tinyconv.kernels.geometry import Window, pair
from tinyconv.nn import functional as F
from tinyconv.nn import init
from tinyconv.nn.module import Module, Parameter
from tinyconv.ops.shape import check_device, flatten


def _parameter(shape, dtype, device=None):
    check_device(device)
    # zeros cost nothing before they are touched
    return Parameter(Tensor(np.zeros(shape, dtype or get_default_dtype())))


def _reset_like_pytorch(weight, bias):
    init.kaiming_uniform_(weight, a=math.sqrt(5))
    if bias is not None:
        bound = 1 / math.sqrt(init.fans(weight)[0] or 1)
        init.uniform_(bias, -bound, bound)


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
        self.weight = _parameter(shape, dtype, device)
        self.register_parameter("bias", _parameter(out_channels, dtype, device) if bias else None)
        self.reset_parameters()

    def reset_parameters(self):
        """Draw new weights."""
        _reset_like_pytorch(self.weight, self.bias)

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


class Linear(Module):
    """y = x w^T + b. State: ``weight`` (out, in), ``bias`` (out,).

    >>> import tinyconv as tc
    >>> tc.nn.Linear(3, 4)
    Linear(in_features=3, out_features=4, bias=True)
    """

    def __init__(self, in_features, out_features, bias=True, device=None, dtype=None):
        super().__init__()
        self.in_features, self.out_features = in_features, out_features
        self.weight = _parameter((out_features, in_features), dtype, device)
        self.register_parameter("bias", _parameter(out_features, dtype, device) if bias else None)
        self.reset_parameters()

    def reset_parameters(self):
        """Draw new weights."""
        _reset_like_pytorch(self.weight, self.bias)

    def forward(self, x):
        return F.linear(x, self.weight, self.bias)

    def extra_repr(self):
        return (
            f"in_features={self.in_features}, out_features={self.out_features}, "
            f"bias={self.bias is not None}"
        )


class _BatchNorm(Module):
    """What the batch norms share; they differ in the shapes they take."""

    _ndims: tuple[int, ...]

    def __init__(
        self, num_features, eps=1e-5, momentum=0.1, affine=True, track_running_stats=True,
        device=None, dtype=None,
    ):  # fmt: skip
        super().__init__()
        check_device(device)
        dtype = dtype or get_default_dtype()
        self.num_features, self.eps, self.momentum = num_features, eps, momentum
        self.affine, self.track_running_stats = affine, track_running_stats
        ones, zeros = np.ones(num_features, dtype), np.zeros(num_features, dtype)
        self.register_parameter("weight", Parameter(Tensor(ones.copy())) if affine else None)
        self.register_parameter("bias", Parameter(Tensor(zeros.copy())) if affine else None)
        tracked = track_running_stats
        self.register_buffer("running_mean", Tensor(zeros.copy()) if tracked else None)
        self.register_buffer("running_var", Tensor(ones.copy()) if tracked else None)
        self.register_buffer(
            "num_batches_tracked", Tensor(np.zeros((), np.int64)) if tracked else None
        )

    def forward(self, x):
        self._check(x)
        momentum = self.momentum
        counting = self.training and self.track_running_stats
        counting = counting and self.num_batches_tracked is not None
        if counting and momentum is None:
            momentum = 1 / (int(self.num_batches_tracked) + 1)
        y = F.batch_norm(
            x, self.running_mean, self.running_var, self.weight, self.bias,
            self.training or self.running_mean is None, momentum or 0.0, self.eps,
        )  # fmt: skip
        if counting and not state.recomputing:
            count = self.num_batches_tracked
            # no op reads it, so none has to hurry (``+=`` would be ten times slower)
            count.array[()] = count.array.item() + 1
            count._bump()
        return y

    def _check(self, x):
        if x.ndim not in self._ndims:
            raise ValueError(
                f"{type(self).__name__}: wants {' or '.join(map(str, self._ndims))} dimensions, "
                f"got shape {list(x.shape)}"
            )

    def extra_repr(self):
        return (
            f"{self.num_features}, eps={self.eps}, momentum={self.momentum}, affine={self.affine}, "
            f"track_running_stats={self.track_running_stats}"
        )


class BatchNorm1d(_BatchNorm):
    """Batch normalisation of (N, C) or (N, C, L); arguments and state as in ``BatchNorm2d``."""

    _ndims = (2, 3)


class BatchNorm2d(_BatchNorm):
    """Batch normalisation of images (N, C, H, W): ``F.batch_norm`` with its state.

    State: ``weight``, ``bias``, ``running_mean``, ``running_var`` (C,),
    ``num_batches_tracked`` (int64).

    Args:
        num_features: C.
        eps: added to the variance.
        momentum: weight of the newest batch in the running statistics; None averages all.
        affine: learn ``weight`` and ``bias``.
        track_running_stats: keep running statistics for ``eval()``.

    >>> import tinyconv as tc
    >>> y = tc.nn.BatchNorm2d(3)(tc.randn(8, 3, 5, 5))
    >>> bool(y.mean().abs() < 1e-5)
    True
    """

    _ndims = (4,)


class LocalResponseNorm(Module):
    """``F.local_response_norm`` as a layer: divides by what neighbouring channels hold.

    Args:
        size, alpha, beta, k: see there; the paper's are 5, 5e-4, 0.75 and 2.

    >>> import tinyconv as tc
    >>> tc.nn.LocalResponseNorm(5, alpha=5e-4, k=2)
    LocalResponseNorm(5, alpha=0.0005, beta=0.75, k=2)
    """

    def __init__(self, size, alpha=1e-4, beta=0.75, k=1.0):
        super().__init__()
        self.size, self.alpha, self.beta, self.k = size, alpha, beta, k

    def forward(self, x):
        return F.local_response_norm(x, self.size, self.alpha, self.beta, self.k)

    def extra_repr(self):
        return f"{self.size}, alpha={self.alpha}, beta={self.beta}, k={self.k}"


class _Pool(Module):
    def __init__(self, kernel_size, stride=None, padding=0):
        super().__init__()
        self.kernel_size, self.padding = kernel_size, padding
        self.stride = kernel_size if stride is None else stride

    def extra_repr(self):
        return f"kernel_size={self.kernel_size}, stride={self.stride}, padding={self.padding}"


class MaxPool2d(_Pool):
    """``F.max_pool2d`` as a layer."""

    def __init__(
        self, kernel_size, stride=None, padding=0, dilation=1, return_indices=False,
        ceil_mode=False,
    ):  # fmt: skip
        super().__init__(kernel_size, stride, padding)
        self.dilation, self.return_indices = dilation, return_indices
        self.ceil_mode = ceil_mode

    def forward(self, x):
        return F.max_pool2d(
            x, self.kernel_size, self.stride, self.padding, self.dilation, self.ceil_mode,
            self.return_indices,
        )  # fmt: skip

    def extra_repr(self):
        return f"{super().extra_repr()}, dilation={self.dilation}, ceil_mode={self.ceil_mode}"


class AvgPool2d(_Pool):
    """``F.avg_pool2d`` as a layer."""

    def __init__(
        self, kernel_size, stride=None, padding=0, ceil_mode=False, count_include_pad=True,
        divisor_override=None,
    ):  # fmt: skip
        super().__init__(kernel_size, stride, padding)
        self.ceil_mode, self.count_include_pad = ceil_mode, count_include_pad
        self.divisor_override = divisor_override

    def forward(self, x):
        return F.avg_pool2d(
            x, self.kernel_size, self.stride, self.padding, self.ceil_mode,
            self.count_include_pad, self.divisor_override,
        )  # fmt: skip


class _AdaptivePool(Module):
    def __init__(self, output_size):
        super().__init__()
        self.output_size = output_size

    def extra_repr(self):
        return f"output_size={self.output_size}"


class AdaptiveAvgPool2d(_AdaptivePool):
    """``F.adaptive_avg_pool2d`` as a layer; ``output_size=1`` is the global average."""

    def forward(self, x):
        return F.adaptive_avg_pool2d(x, self.output_size)


class AdaptiveMaxPool2d(_AdaptivePool):
    """``F.adaptive_max_pool2d`` as a layer."""

    def forward(self, x):
        return F.adaptive_max_pool2d(x, self.output_size)


class _Dropout(Module):
    def __init__(self, p=0.5, inplace=False):
        super().__init__()
        if not 0 <= p <= 1:
            raise ValueError(f"{type(self).__name__}: p={p} must be a probability from 0 to 1")
        self.p, self.inplace = p, inplace

    def extra_repr(self):
        return f"p={self.p}, inplace={self.inplace}"


class Dropout(_Dropout):
    """Zero elements with probability ``p`` while training; identity in ``eval()``."""

    def forward(self, x):
        return F.dropout(x, self.p, self.training)


class Dropout2d(_Dropout):
    """Zero whole channels with probability ``p`` while training."""

    def forward(self, x):
        return F.dropout2d(x, self.p, self.training)


class Flatten(Module):
    """Join all axes but the batch into one."""

    def __init__(self, start_dim=1, end_dim=-1):
        super().__init__()
        self.start_dim, self.end_dim = start_dim, end_dim

    def forward(self, x):
        return flatten(x, self.start_dim, self.end_dim)

    def extra_repr(self):
        return f"start_dim={self.start_dim}, end_dim={self.end_dim}"


class Identity(Module):
    """Returns its input; arguments are ignored."""

    def __init__(self, *args, **kwargs):
        super().__init__()

    def forward(self, x):
        return x


class ZeroPad2d(Module):
    """Zeros around images: int or (left, right, top, bottom)."""

    def __init__(self, padding):
        super().__init__()
        self.padding = (padding,) * 4 if isinstance(padding, int) else tuple(padding)

    def forward(self, x):
        return F.pad(x, self.padding)

    def extra_repr(self):
        return str(self.padding)
