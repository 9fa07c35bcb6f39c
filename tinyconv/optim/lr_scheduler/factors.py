"""Schedules that multiply the rate. t is the step, ``base`` the rate at the start.

Each of the closed ones is a factor f(t) of the base rate, and the ratio f(t) / f(t - 1) by which a
step moves the rate that stands in the group.
"""

import bisect

from tinyconv.optim.lr_scheduler.base import LRScheduler, functions_state, load_functions


class _ByFunctions(LRScheduler):
    """Schedules that call a function of the step, one for each group or one for all."""

    def __init__(self, optimizer, lr_lambda, last_epoch=-1, verbose=False):
        self._take(optimizer)
        self.lr_lambdas = self._per_group("lr_lambda", lr_lambda)
        for function in self.lr_lambdas:
            if not callable(function):
                raise TypeError(
                    f"{type(self).__name__}: lr_lambda must be a function of the step, got "
                    f"{type(function).__name__}"
                )
        super().__init__(optimizer, last_epoch)

    def state_dict(self):
        """As of all schedules; plain functions are left out, of objects the attributes kept."""
        return {**super().state_dict(), "lr_lambdas": functions_state(self.lr_lambdas)}

    def load_state_dict(self, state_dict):
        """Continue from what ``state_dict`` gave."""
        rest = dict(state_dict)
        load_functions(self.lr_lambdas, rest.pop("lr_lambdas"))
        super().load_state_dict(rest)


class LambdaLR(_ByFunctions):
    """base * lr_lambda(t).

    >>> import tinyconv as tc
    >>> sgd = tc.optim.SGD([tc.nn.Parameter(tc.ones(1))], lr=1.0)
    >>> tc.optim.lr_scheduler.LambdaLR(sgd, lambda t: 0.5 / (1 + t)).get_last_lr()
    [0.5]
    """

    def get_lr(self):
        t = self.last_epoch
        return [base * function(t) for base, function in zip(self.base_lrs, self.lr_lambdas)]


class MultiplicativeLR(_ByFunctions):
    """lr * lr_lambda(t) at each step t from 1 on."""

    def get_lr(self):
        if self._is_initial:
            return self._rates()
        t = self.last_epoch
        return [lr * function(t) for lr, function in zip(self._rates(), self.lr_lambdas)]


class _Factor(LRScheduler):
    """base * _factor(t), reached step by step by lr <- lr * _ratio(t)."""

    def get_lr(self):
        ratio = self._ratio(self.last_epoch)
        return [lr * ratio for lr in self._rates()]

    def _get_closed_form_lr(self):
        factor = self._factor(self.last_epoch)
        return [base * factor for base in self.base_lrs]


class StepLR(_Factor):
    """base * gamma ** (t // step_size).

    >>> import tinyconv as tc
    >>> sgd = tc.optim.SGD([tc.nn.Parameter(tc.ones(1))], lr=1.0)
    >>> s = tc.optim.lr_scheduler.StepLR(sgd, step_size=2)
    >>> for _ in range(2): sgd.step(); s.step()
    >>> s.get_last_lr()
    [0.1]
    """

    def __init__(self, optimizer, step_size, gamma=0.1, last_epoch=-1):
        if step_size < 1:
            raise ValueError(f"StepLR: step_size={step_size} must be at least 1")
        self.step_size, self.gamma = step_size, gamma
        super().__init__(optimizer, last_epoch)

    def _factor(self, t):
        return self.gamma ** (t // self.step_size)

    def _ratio(self, t):
        return self.gamma if t and t % self.step_size == 0 else 1


class MultiStepLR(_Factor):
    """base * gamma ** (number of milestones passed)."""

    def __init__(self, optimizer, milestones, gamma=0.1, last_epoch=-1):
        self.milestones, self.gamma = sorted(milestones), gamma
        super().__init__(optimizer, last_epoch)

    def _factor(self, t):
        return self.gamma ** bisect.bisect_right(self.milestones, t)

    def _ratio(self, t):
        return self.gamma ** self.milestones.count(t)


class ConstantLR(_Factor):
    """base * factor for ``total_iters`` steps, then base."""

    def __init__(self, optimizer, factor=1 / 3, total_iters=5, last_epoch=-1):
        if not 0 < factor <= 1:
            raise ValueError(f"ConstantLR: factor={factor} must be in (0, 1]")
        self.factor, self.total_iters = factor, total_iters
        super().__init__(optimizer, last_epoch)

    def _factor(self, t):
        return self.factor if t < self.total_iters else 1

    def _ratio(self, t):
        if t == 0:
            return self.factor
        return 1 / self.factor if t == self.total_iters else 1


class LinearLR(_Factor):
    """A warm-up: from base * start_factor to base * end_factor within ``total_iters`` steps."""

    def __init__(self, optimizer, start_factor=1 / 3, end_factor=1.0, total_iters=5, last_epoch=-1):
        if not 0 < start_factor <= 1 or not 0 <= end_factor <= 1:
            raise ValueError(
                f"LinearLR: factors must be in (0, 1], got {start_factor} and {end_factor}"
            )
        self.start_factor, self.end_factor = start_factor, end_factor
        self.total_iters = total_iters
        super().__init__(optimizer, last_epoch)

    def _factor(self, t):
        way = min(self.total_iters, t) / self.total_iters if self.total_iters else 0
        return self.start_factor + (self.end_factor - self.start_factor) * way

    def _ratio(self, t):
        if t == 0:
            return self.start_factor
        if self._is_initial or t > self.total_iters:
            return 1
        rise = self.end_factor - self.start_factor
        return 1 + rise / (self.total_iters * self.start_factor + (t - 1) * rise)


class ExponentialLR(_Factor):
    """base * gamma ** t."""

    def __init__(self, optimizer, gamma, last_epoch=-1):
        self.gamma = gamma
        super().__init__(optimizer, last_epoch)

    def _factor(self, t):
        return self.gamma**t

    def _ratio(self, t):
        return 1 if self._is_initial else self.gamma


class PolynomialLR(_Factor):
    """base * (1 - t / total_iters) ** power, 0 from step ``total_iters`` on."""

    def __init__(self, optimizer, total_iters=5, power=1.0, last_epoch=-1):
        self.total_iters, self.power = total_iters, power
        super().__init__(optimizer, last_epoch)

    def _factor(self, t):
        return (1 - min(self.total_iters, t) / self.total_iters) ** self.power

    def _ratio(self, t):
        if self._is_initial or t > self.total_iters:
            return 1
        total = self.total_iters
        return ((1 - t / total) / (1 - (t - 1) / total)) ** self.power
