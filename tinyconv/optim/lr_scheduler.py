"""Learning rates over time. Each rule gives the rate at step t from the base rate alone.

Call ``scheduler.step()`` after ``optimizer.step()`` (or once per epoch).
"""

import math
from bisect import bisect_right

from tinyconv.optim.optimizer import Optimizer


class LRScheduler:
    """The base: counts steps and writes each group's rate.

    Subclasses write ``_rate(t, base)``; ``base`` is the group's rate at the start.
    """

    def __init__(self, optimizer, last_epoch=-1):
        if not isinstance(optimizer, Optimizer):
            raise TypeError(
                f"{type(self).__name__}: wants an Optimizer, got {type(optimizer).__name__}"
            )
        self.optimizer = optimizer
        for group in optimizer.param_groups:
            group.setdefault("initial_lr", group["lr"])
        self.base_lrs = [group["initial_lr"] for group in optimizer.param_groups]
        self.last_epoch = last_epoch
        self.step()

    def step(self):
        """Go on to the next rate."""
        self._go_to(self.last_epoch + 1)

    def _go_to(self, t):
        rates = [self._rate(t, base) for base in self.base_lrs]  # may raise: change nothing yet
        self.last_epoch = t
        for group, rate in zip(self.optimizer.param_groups, rates):
            group["lr"] = rate

    def _rate(self, t, base):
        raise NotImplementedError

    def get_last_lr(self):
        """The current rate of each group."""
        return [group["lr"] for group in self.optimizer.param_groups]

    def state_dict(self):
        """What is needed to continue: numbers only."""
        return {"last_epoch": self.last_epoch, "base_lrs": list(self.base_lrs)}

    def load_state_dict(self, state_dict):
        """Continue from what ``state_dict`` gave."""
        self.base_lrs = list(state_dict["base_lrs"])
        self._go_to(state_dict["last_epoch"])


class StepLR(LRScheduler):
    """base * gamma ** (t // step_size).

    >>> import tinyconv as tc
    >>> sgd = tc.optim.SGD([tc.nn.Parameter(tc.ones(1))], lr=1.0)
    >>> s = tc.optim.lr_scheduler.StepLR(sgd, step_size=2)
    >>> s.step(); s.step(); s.get_last_lr()
    [0.1]
    """

    def __init__(self, optimizer, step_size, gamma=0.1, last_epoch=-1):
        if step_size < 1:
            raise ValueError(f"StepLR: step_size={step_size} must be at least 1")
        self.step_size, self.gamma = step_size, gamma
        super().__init__(optimizer, last_epoch)

    def _rate(self, t, base):
        return base * self.gamma ** (t // self.step_size)


class MultiStepLR(LRScheduler):
    """base * gamma ** (number of milestones passed)."""

    def __init__(self, optimizer, milestones, gamma=0.1, last_epoch=-1):
        self.milestones, self.gamma = sorted(milestones), gamma
        super().__init__(optimizer, last_epoch)

    def _rate(self, t, base):
        return base * self.gamma ** bisect_right(self.milestones, t)


class CosineAnnealingLR(LRScheduler):
    """eta_min + (base - eta_min) (1 + cos(pi t / T_max)) / 2. arXiv:1608.03983, eq. 5."""

    def __init__(self, optimizer, T_max, eta_min=0.0, last_epoch=-1):
        if T_max < 1:
            raise ValueError(f"CosineAnnealingLR: T_max={T_max} must be at least 1")
        self.T_max, self.eta_min = T_max, eta_min
        super().__init__(optimizer, last_epoch)

    def _rate(self, t, base):
        return self.eta_min + (base - self.eta_min) * (1 + math.cos(math.pi * t / self.T_max)) / 2


class LinearLR(LRScheduler):
    """A warm-up: from base * start_factor to base * end_factor within ``total_iters`` steps."""

    def __init__(self, optimizer, start_factor=1 / 3, end_factor=1.0, total_iters=5, last_epoch=-1):
        if not 0 < start_factor <= 1 or not 0 <= end_factor <= 1:
            raise ValueError(
                f"LinearLR: factors must be in (0, 1], got {start_factor} and {end_factor}"
            )
        self.start_factor, self.end_factor = start_factor, end_factor
        self.total_iters = total_iters
        super().__init__(optimizer, last_epoch)

    def _rate(self, t, base):
        way = min(1.0, t / self.total_iters) if self.total_iters else 1.0
        return base * (self.start_factor + (self.end_factor - self.start_factor) * way)


class SequentialLR(LRScheduler):
    """Schedulers one after the other: the next begins, at its own step 0, at each milestone.

    >>> import tinyconv as tc
    >>> from tinyconv.optim.lr_scheduler import CosineAnnealingLR, LinearLR, SequentialLR
    >>> sgd = tc.optim.SGD([tc.nn.Parameter(tc.ones(1))], lr=1.0)
    >>> warm, cosine = LinearLR(sgd, 0.5, total_iters=2), CosineAnnealingLR(sgd, 10)
    >>> s = SequentialLR(sgd, [warm, cosine], milestones=[2])
    >>> rates = s.get_last_lr()
    >>> for _ in range(2): s.step(); rates += s.get_last_lr()
    >>> rates
    [0.5, 0.75, 1.0]
    """

    def __init__(self, optimizer, schedulers, milestones, last_epoch=-1):
        if len(milestones) != len(schedulers) - 1:
            raise ValueError(
                f"SequentialLR: {len(schedulers)} schedulers want {len(schedulers) - 1} "
                f"milestones, got {list(milestones)}"
            )
        self._schedulers, self.milestones = list(schedulers), list(milestones)
        super().__init__(optimizer, last_epoch)

    def _go_to(self, t):
        at = bisect_right(self.milestones, t)
        self._schedulers[at]._go_to(t - (self.milestones[at - 1] if at else 0))
        self.last_epoch = t


class OneCycleLR(LRScheduler):
    """Up to ``max_lr``, then down to almost nothing, momentum the other way round.

    Args:
        max_lr: the peak.
        total_steps: the length; or ``epochs`` and ``steps_per_epoch``.
        pct_start: share of the steps spent rising, default 0.3.
        anneal_strategy: 'cos' or 'linear'.
        cycle_momentum: move momentum (SGD's, or Adam's first beta) from ``max_momentum``
            0.95 to ``base_momentum`` 0.85 and back.
        div_factor, final_div_factor: the start is max_lr / div_factor, the end the start
            / final_div_factor.

    Source: Smith and Topin 2017, arXiv:1708.07120.
    """

    def __init__(
        self, optimizer, max_lr, total_steps=None, epochs=None, steps_per_epoch=None,
        pct_start=0.3, anneal_strategy="cos", cycle_momentum=True, base_momentum=0.85,
        max_momentum=0.95, div_factor=25.0, final_div_factor=1e4, last_epoch=-1,
    ):  # fmt: skip
        if total_steps is None:
            if epochs is None or steps_per_epoch is None:
                raise ValueError("OneCycleLR: give total_steps, or epochs and steps_per_epoch")
            total_steps = epochs * steps_per_epoch
        if total_steps < 1 or not 0 <= pct_start <= 1:
            raise ValueError(
                f"OneCycleLR: total_steps={total_steps} must be positive, pct_start={pct_start} "
                "in [0, 1]"
            )
        if anneal_strategy not in ("cos", "linear"):
            raise ValueError(f"OneCycleLR: anneal_strategy={anneal_strategy!r}: 'cos' or 'linear'")
        self.total_steps, self.pct_start = total_steps, pct_start
        self.anneal_strategy, self.cycle_momentum = anneal_strategy, cycle_momentum
        self.base_momentum, self.max_momentum = base_momentum, max_momentum
        self.div_factor, self.final_div_factor = div_factor, final_div_factor
        for group in optimizer.param_groups:
            if cycle_momentum and not ("momentum" in group or "betas" in group):
                raise ValueError("OneCycleLR: the optimiser has no momentum to cycle")
            group["initial_lr"] = max_lr  # the base that the rates are made of
        super().__init__(optimizer, last_epoch)

    def _between(self, t, start, peak, end):
        """From ``start`` over ``peak`` to ``end``, at step t."""
        turn, last = self.pct_start * self.total_steps - 1, self.total_steps - 1
        if t <= turn or turn >= last:
            a, b, way = start, peak, t / turn if turn > 0 else 1.0
        else:
            a, b, way = peak, end, (t - turn) / (last - turn)
        if self.anneal_strategy == "linear":
            return a + (b - a) * way
        return b + (a - b) / 2 * (1 + math.cos(math.pi * way))

    def _rate(self, t, base):
        if t > self.total_steps:  # the step after the last optimiser step is still allowed
            raise ValueError(
                f"OneCycleLR: step {t} of {self.total_steps}: the cycle has ended; give a "
                "larger total_steps"
            )
        start = base / self.div_factor
        return self._between(t, start, base, start / self.final_div_factor)

    def _go_to(self, t):
        super()._go_to(t)
        if self.cycle_momentum:
            m = self._between(t, self.max_momentum, self.base_momentum, self.max_momentum)
            for group in self.optimizer.param_groups:
                if "betas" in group:
                    group["betas"] = (m, *group["betas"][1:])
                else:
                    group["momentum"] = m
