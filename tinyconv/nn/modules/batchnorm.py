"""Batch normalisation with its running statistics."""

import numpy as np

from tinyconv.autograd import Tensor, get_default_dtype
from tinyconv.autograd.modes import state
from tinyconv.nn import functional as F
from tinyconv.nn.module import Module, Parameter
from tinyconv.ops.shape import check_device


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
