"""The schedule that looks at the results."""

import math

from tinyconv.optim.lr_scheduler.base import LRScheduler


class ReduceLROnPlateau(LRScheduler):
    """Lower the rates when a metric has stopped getting better.

    Call ``step(metric)``. After more than ``patience`` steps without a new best every rate is
    multiplied by ``factor``, but not below ``min_lr``.

    Args:
        mode: 'min' if small metrics are good, or 'max'.
        threshold, threshold_mode: better means by more than ``threshold`` times the best ('rel')
            or by more than ``threshold`` ('abs').
        cooldown: steps after a change that do not count as bad.
        min_lr: a number, or one for each group.
        eps: changes that are no larger are not made.
        verbose: accepted for old scripts, and means nothing.

    >>> import tinyconv as tc
    >>> sgd = tc.optim.SGD([tc.nn.Parameter(tc.ones(1))], lr=1.0)
    >>> s = tc.optim.lr_scheduler.ReduceLROnPlateau(sgd, patience=1)
    >>> for loss in (3.0, 3.0, 3.0): s.step(loss)
    >>> s.get_last_lr()
    [0.1]
    """

    def __init__(
        self, optimizer, mode="min", factor=0.1, patience=10, threshold=1e-4,
        threshold_mode="rel", cooldown=0, min_lr=0, eps=1e-8, verbose=False,
    ):  # fmt: skip
        self._take(optimizer)
        if factor >= 1:
            raise ValueError(f"ReduceLROnPlateau: factor={factor} must be below 1")
        if mode not in ("min", "max") or threshold_mode not in ("rel", "abs"):
            raise ValueError(
                f"ReduceLROnPlateau: mode={mode!r} must be 'min' or 'max', "
                f"threshold_mode={threshold_mode!r} 'rel' or 'abs'"
            )
        self.mode, self.factor, self.patience = mode, factor, patience
        self.threshold, self.threshold_mode, self.cooldown = threshold, threshold_mode, cooldown
        self.default_min_lr = None if isinstance(min_lr, (list, tuple)) else min_lr
        self.min_lrs, self.eps = self._per_group("min_lr", min_lr), eps
        self.best = math.inf if mode == "min" else -math.inf
        self.cooldown_counter = self.num_bad_epochs = self.last_epoch = 0
        self._last_lr = self._rates()

    def step(self, metrics, epoch=None):
        """Look at the metric (a number or a Tensor of one)."""
        current = float(metrics)
        if self.default_min_lr is not None:
            self.min_lrs = self._per_group("min_lr", self.default_min_lr)
        self._check_groups(len(self.min_lrs))
        self.last_epoch = self.last_epoch + 1 if epoch is None else epoch
        if self._is_better(current, self.best):
            self.best, self.num_bad_epochs = current, 0
        else:
            self.num_bad_epochs += 1
        if self.in_cooldown:
            self.cooldown_counter -= 1
            self.num_bad_epochs = 0
        if self.num_bad_epochs > self.patience:
            self._reduce()
            self.cooldown_counter, self.num_bad_epochs = self.cooldown, 0
        self._last_lr = self._rates()

    def _reduce(self):
        for group, least in zip(self.optimizer.param_groups, self.min_lrs):
            lower = max(group["lr"] * self.factor, least)
            if group["lr"] - lower > self.eps:
                group["lr"] = lower

    @property
    def in_cooldown(self):
        """Whether the last change is so recent that bad steps do not count."""
        return self.cooldown_counter > 0

    def _is_better(self, a, best):
        sign = 1 if self.mode == "max" else -1
        if self.threshold_mode == "rel":
            return sign * a > sign * best * (1 + sign * self.threshold)
        return sign * a > sign * best + self.threshold
