"""Normalisations with running statistics, and batch normalisation."""

import numpy as np

from tinyconv.autograd import Tensor, get_default_dtype
from tinyconv.autograd.modes import state
from tinyconv.nn import functional as F
from tinyconv.nn import init
from tinyconv.nn.module import Module, Parameter
from tinyconv.ops.shape import check_device


class _NormBase(Module):
    """Weights and running statistics, one number of each per channel."""

    #: how many dimensions the input may have
    _ndims: tuple[int, ...]

    def __init__(
        self, num_features, eps=1e-5, momentum=0.1, affine=True, track_running_stats=True,
        device=None, dtype=None, *, bias=True,
    ):  # fmt: skip
        super().__init__()
        check_device(device)
        dtype = dtype or get_default_dtype()
        self.num_features, self.eps, self.momentum = num_features, eps, momentum
        self.affine, self.track_running_stats = affine, track_running_stats
        ones, zeros = np.ones(num_features, dtype), np.zeros(num_features, dtype)
        self.register_parameter("weight", Parameter(Tensor(ones.copy())) if affine else None)
        has_bias = affine and bias
        self.register_parameter("bias", Parameter(Tensor(zeros.copy())) if has_bias else None)
        tracked = track_running_stats
        self.register_buffer("running_mean", Tensor(zeros.copy()) if tracked else None)
        self.register_buffer("running_var", Tensor(ones.copy()) if tracked else None)
        self.register_buffer(
            "num_batches_tracked", Tensor(np.zeros((), np.int64)) if tracked else None
        )

    def reset_running_stats(self):
        """Forget the batches that were seen."""
        if self.track_running_stats:
            init.zeros_(self.running_mean)
            init.ones_(self.running_var)
            init.zeros_(self.num_batches_tracked)

    def reset_parameters(self):
        """Forget the batches, and make the weights 1 and 0 again."""
        self.reset_running_stats()
        if self.weight is not None:
            init.ones_(self.weight)
        if self.bias is not None:
            init.zeros_(self.bias)

    def _check_input_dim(self, x):
        if x.ndim not in self._ndims:
            raise ValueError(
                f"{type(self).__name__}: wants {' or '.join(map(str, self._ndims))} dimensions, "
                f"got shape {list(x.shape)}"
            )

    def extra_repr(self):
        return (
            f"{self.num_features}, eps={self.eps}, momentum={self.momentum}, affine={self.affine}, "
            f"bias={self.bias is not None}, track_running_stats={self.track_running_stats}"
        )


class _BatchNorm(_NormBase):
    """What the batch norms share; they differ in the shapes they take."""

    def forward(self, x):
        self._check_input_dim(x)
        momentum, training = self.momentum, self.training
        mean, var = self.running_mean, self.running_var
        counting = False
        if training:
            if not self.track_running_stats:
                mean = var = None
            else:
                counting = self.num_batches_tracked is not None
                if counting and momentum is None:
                    momentum = 1 / (int(self.num_batches_tracked) + 1)
        y = F.batch_norm(
            x, mean, var, self.weight, self.bias, training or mean is None, momentum or 0.0,
            self.eps,
        )  # fmt: skip
        if counting and not state.recomputing:
            count = self.num_batches_tracked
            # no op reads it, so none has to hurry (``+=`` would be ten times slower)
            count.array[()] = count.array.item() + 1
            count._bump()
        return y


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
        affine: learn ``weight`` and, unless ``bias`` is False, ``bias``.
        track_running_stats: keep running statistics for ``eval()``.

    >>> import tinyconv as tc
    >>> y = tc.nn.BatchNorm2d(3)(tc.randn(8, 3, 5, 5))
    >>> bool(y.mean().abs() < 1e-5)
    True
    """

    _ndims = (4,)


class BatchNorm3d(_BatchNorm):
    """Batch normalisation of (N, C, D, H, W); arguments and state as in ``BatchNorm2d``."""

    _ndims = (5,)
