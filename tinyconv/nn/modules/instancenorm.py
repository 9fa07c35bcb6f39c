"""Normalisation of each channel of each image."""

import warnings

from tinyconv.nn import functional as F
from tinyconv.nn.modules.batchnorm import _NormBase


class _InstanceNorm(_NormBase):
    """What the instance norms share; the first of ``_ndims`` is that of an input without N."""

    def __init__(
        self, num_features, eps=1e-5, momentum=0.1, affine=False, track_running_stats=False,
        device=None, dtype=None, *, bias=True,
    ):  # fmt: skip
        super().__init__(
            num_features, eps, momentum, affine, track_running_stats, device, dtype, bias=bias
        )

    def forward(self, x):
        self._check_input_dim(x)
        single = x.ndim == self._ndims[0]
        channels = x.shape[0 if single else 1]
        if channels != self.num_features:
            text = (
                f"{type(self).__name__}: input of shape {list(x.shape)} has {channels} channels, "
                f"num_features={self.num_features}"
            )
            if self.affine or self.track_running_stats:
                raise ValueError(text)
            warnings.warn(f"{text} is not looked at without affine", stacklevel=2)
        y = F.instance_norm(
            x.unsqueeze(0) if single else x, self.running_mean, self.running_var, self.weight,
            self.bias, self.training or not self.track_running_stats, self.momentum or 0.0,
            self.eps,
        )  # fmt: skip
        return y[0] if single else y


class InstanceNorm1d(_InstanceNorm):
    """Instance normalisation of (N, C, L) or (C, L); arguments as in ``InstanceNorm2d``."""

    _ndims = (2, 3)


class InstanceNorm2d(_InstanceNorm):
    """Instance normalisation of images (N, C, H, W) or (C, H, W): ``F.instance_norm``.

    Args and state as in ``BatchNorm2d``; by default there are neither weights nor running
    statistics, and ``num_batches_tracked`` stays 0.
    """

    _ndims = (3, 4)
