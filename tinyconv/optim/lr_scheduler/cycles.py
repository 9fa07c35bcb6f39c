"""Schedules that rise and fall, some of them with the momentum."""

import bisect
import math

from tinyconv.optim.lr_scheduler.base import LRScheduler, functions_state, load_functions


class CosineAnnealingLR(LRScheduler):
    """eta_min + (base - eta_min) (1 + cos(pi t / T_max)) / 2.

    Each step moves the current rate's distance from ``eta_min`` on by the ratio of two cosines.

    Source: Loshchilov and Hutter 2016, arXiv:1608.03983, eq. 5.
    """

    def __init__(self, optimizer, T_max, eta_min=0.0, last_epoch=-1):
        if T_max < 1:
            raise ValueError(f"CosineAnnealingLR: T_max={T_max} must be at least 1")
        self.T_max, self.eta_min = T_max, eta_min
        super().__init__(optimizer, last_epoch)

    def _height(self, t):
        return 1 + math.cos(math.pi * t / self.T_max)

    def get_lr(self):
        t, least, lrs = self.last_epoch, self.eta_min, self._rates()
        if self._is_initial:
            return lrs
        if (t - 1 - self.T_max) % (2 * self.T_max) == 0:  # up again, from a height of 0
            rise = (1 - math.cos(math.pi / self.T_max)) / 2
            return [lr + (base - least) * rise for lr, base in zip(lrs, self.base_lrs)]
        ratio = self._height(t) / self._height(t - 1)
        return [ratio * (lr - least) + least for lr in lrs]

    def _get_closed_form_lr(self):
        least, half = self.eta_min, self._height(self.last_epoch) / 2
        return [least + (base - least) * half for base in self.base_lrs]


class CosineAnnealingWarmRestarts(LRScheduler):
    """eta_min + (base - eta_min) (1 + cos(pi T_cur / T_i)) / 2, starting over every T_i steps.

    The first period is ``T_0``, each later one ``T_mult`` times as long. ``step(epoch)`` takes
    fractions of an epoch too.

    Source: Loshchilov and Hutter 2016, arXiv:1608.03983.
    """

    def __init__(self, optimizer, T_0, T_mult=1, eta_min=0.0, last_epoch=-1):
        for name, value in dict(T_0=T_0, T_mult=T_mult).items():
            if not isinstance(value, int) or value < 1:
                raise ValueError(
                    f"CosineAnnealingWarmRestarts: {name}={value!r} must be a whole number from 1"
                )
        self.T_0 = self.T_i = T_0
        self.T_mult, self.eta_min, self.T_cur = T_mult, eta_min, last_epoch
        super().__init__(optimizer, last_epoch)

    def get_lr(self):
        half = (1 + math.cos(math.pi * self.T_cur / self.T_i)) / 2
        return [self.eta_min + (base - self.eta_min) * half for base in self.base_lrs]

    def step(self, epoch=None):
        """Go on by one step, or to ``epoch``."""
        before = self.T_cur, self.T_i, self.last_epoch
        try:
            self._go_on(epoch)
            self._write(self.get_lr())
        except Exception:
            self.T_cur, self.T_i, self.last_epoch = before  # nothing is half done
            raise

    def _go_on(self, epoch):
        if epoch is None and self.last_epoch < 0:
            epoch = 0
        if epoch is None:
            epoch = self.last_epoch + 1
            self.T_cur += 1
            if self.T_cur >= self.T_i:
                self.T_cur, self.T_i = self.T_cur % self.T_i, self.T_i * self.T_mult
        elif epoch < 0:
            raise ValueError(f"CosineAnnealingWarmRestarts: epoch={epoch} must not be negative")
        else:
            self._restart_before(epoch)
        self.last_epoch = math.floor(epoch)

    def _restart_before(self, epoch):
        """Set the period that ``epoch`` falls into, and the way within it."""
        T_0, m = self.T_0, self.T_mult
        if epoch < T_0:
            self.T_i, self.T_cur = T_0, epoch
        elif m == 1:
            self.T_cur = epoch % T_0
        else:
            n = int(math.log(epoch / T_0 * (m - 1) + 1, m))
            self.T_i, self.T_cur = T_0 * m**n, epoch - T_0 * (m**n - 1) / (m - 1)


class _Cycle(LRScheduler):
    """Schedules that move momentum (SGD's, or Adam's first beta) against the rate."""

    def _begin_momentum(self, base_momentum, max_momentum, last_epoch):
        self.use_beta1 = "betas" in self.optimizer.defaults
        if not self.use_beta1 and "momentum" not in self.optimizer.defaults:
            raise ValueError(
                f"{type(self).__name__}: the optimiser has no momentum to cycle; say "
                "cycle_momentum=False"
            )
        low = self._per_group("base_momentum", base_momentum)
        high = self._per_group("max_momentum", max_momentum)
        if last_epoch == -1:
            self._write_momentum(high)
            for group, least, most in zip(self.optimizer.param_groups, low, high):
                group["base_momentum"], group["max_momentum"] = least, most
        return low, high

    def _write(self, rates):
        super()._write(rates)
        if self.cycle_momentum:
            self._write_momentum(self._momenta())

    def _write_momentum(self, momenta):
        for group, m in zip(self.optimizer.param_groups, momenta):
            if self.use_beta1:
                group["betas"] = (m, *group["betas"][1:])
            else:
                group["momentum"] = m


class CyclicLR(_Cycle):
    """Up from ``base_lr`` to ``max_lr`` and down again, for ever.

    Args:
        base_lr, max_lr: numbers, or one for each group.
        step_size_up, step_size_down: steps of the way up (2000) and down (the same).
        mode: 'triangular', 'triangular2' (each peak half as high as the one before) or
            'exp_range' (peaks fall by ``gamma`` each step).
        scale_fn, scale_mode: a function of the number of the 'cycle' or of the 'iterations' in
            place of ``mode``.
        cycle_momentum: move momentum from ``max_momentum`` 0.9 to ``base_momentum`` 0.8 and back.

    Source: Smith 2015, arXiv:1506.01186.
    """

    def __init__(
        self, optimizer, base_lr, max_lr, step_size_up=2000, step_size_down=None,
        mode="triangular", gamma=1.0, scale_fn=None, scale_mode="cycle", cycle_momentum=True,
        base_momentum=0.8, max_momentum=0.9, last_epoch=-1,
    ):  # fmt: skip
        if mode not in ("triangular", "triangular2", "exp_range") and scale_fn is None:
            raise ValueError(
                f"CyclicLR: mode={mode!r}: 'triangular', 'triangular2' or 'exp_range', or give "
                "scale_fn"
            )
        self._take(optimizer)
        base_lrs = self._per_group("base_lr", base_lr)
        self.max_lrs = self._per_group("max_lr", max_lr)
        if last_epoch == -1:
            for group, rate in zip(optimizer.param_groups, base_lrs):
                group["lr"] = float(rate)
        down = step_size_up if step_size_down is None else step_size_down
        self.total_size = float(step_size_up + down)
        self.step_ratio = step_size_up / self.total_size
        self.mode, self.gamma, self._scale_fn_custom = mode, gamma, scale_fn
        if scale_fn is None:
            scale_mode = "iterations" if mode == "exp_range" else "cycle"
        self.scale_mode, self.cycle_momentum = scale_mode, cycle_momentum
        if cycle_momentum:
            momenta = self._begin_momentum(base_momentum, max_momentum, last_epoch)
            self.base_momentums, self.max_momentums = momenta
        super().__init__(optimizer, last_epoch)
        self.base_lrs = base_lrs

    def scale_fn(self, x):
        """The height of the peak of cycle x (or at step x), as a share of the first one's."""
        if self._scale_fn_custom is not None:
            return self._scale_fn_custom(x)
        if self.mode == "exp_range":
            return self.gamma**x
        return 1.0 if self.mode == "triangular" else 0.5 ** (x - 1)

    def _height(self):
        """How far up to the peak of this cycle, and how high that is; as shares."""
        t = self.last_epoch
        cycle = math.floor(1 + t / self.total_size)
        x = 1 + t / self.total_size - cycle
        height = x / self.step_ratio if x <= self.step_ratio else (x - 1) / (self.step_ratio - 1)
        return height, self.scale_fn(cycle if self.scale_mode == "cycle" else t)

    def get_lr(self):
        height, scale = self._height()
        pairs = zip(self.base_lrs, self.max_lrs)
        return [low + (high - low) * height * scale for low, high in pairs]

    def _momenta(self):
        height, scale = self._height()
        pairs = zip(self.base_momentums, self.max_momentums)
        return [high - (high - low) * height * scale for low, high in pairs]

    def state_dict(self):
        """As of all schedules; of ``scale_fn`` only an object's attributes are kept."""
        (kept,) = functions_state([self._scale_fn_custom])
        return {**super().state_dict(), "_scale_fn_custom": kept}

    def load_state_dict(self, state_dict):
        """Continue from what ``state_dict`` gave."""
        rest = dict(state_dict)
        load_functions([self._scale_fn_custom], [rest.pop("_scale_fn_custom")])
        super().load_state_dict(rest)


class OneCycleLR(_Cycle):
    """Up to ``max_lr``, then down to almost nothing, momentum the other way round.

    Args:
        max_lr: the peak, a number or one for each group.
        total_steps: the length; or ``epochs`` and ``steps_per_epoch``.
        pct_start: share of the steps spent rising, default 0.3.
        anneal_strategy: 'cos' or 'linear'.
        cycle_momentum: move momentum (SGD's, or Adam's first beta) from ``max_momentum``
            0.95 to ``base_momentum`` 0.85 and back.
        div_factor, final_div_factor: the start is max_lr / div_factor, the end the start
            / final_div_factor.
        three_phase: down to the start as fast as up, and only then to the end.

    Source: Smith and Topin 2017, arXiv:1708.07120.
    """

    def __init__(
        self, optimizer, max_lr, total_steps=None, epochs=None, steps_per_epoch=None,
        pct_start=0.3, anneal_strategy="cos", cycle_momentum=True, base_momentum=0.85,
        max_momentum=0.95, div_factor=25.0, final_div_factor=1e4, three_phase=False,
        last_epoch=-1,
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
        self._take(optimizer)
        self.total_steps, self.cycle_momentum = total_steps, cycle_momentum
        self._anneal_func_type = anneal_strategy
        # each phase: its last step; where rate and momentum come from, and where they go
        turn, last = pct_start * total_steps - 1, total_steps - 1
        up = [turn, "initial_lr", "max_lr", "max_momentum", "base_momentum"]
        down = [last, "max_lr", "min_lr", "base_momentum", "max_momentum"]
        if three_phase:
            back = [2 * turn, "max_lr", "initial_lr", "base_momentum", "max_momentum"]
            end = [last, "initial_lr", "min_lr", "max_momentum", "max_momentum"]
            self._phases = [up, back, end]
        else:
            self._phases = [up, down]
        if last_epoch == -1:
            for group, peak in zip(optimizer.param_groups, self._per_group("max_lr", max_lr)):
                group["initial_lr"], group["max_lr"] = peak / div_factor, peak
                group["min_lr"] = group["initial_lr"] / final_div_factor
        if cycle_momentum:
            self._begin_momentum(base_momentum, max_momentum, last_epoch)
        super().__init__(optimizer, last_epoch)

    def get_lr(self):
        return self._now(0)

    def _momenta(self):
        return self._now(2)

    def _now(self, first):
        """Of each group what goes from the phase's ``first`` entry to the one after it."""
        t = self.last_epoch
        if t > self.total_steps:  # the step after the last optimiser step is still allowed
            raise ValueError(
                f"OneCycleLR: step {t} of {self.total_steps}: the cycle has ended; give a "
                "larger total_steps"
            )
        at = bisect.bisect_left([phase[0] for phase in self._phases[:-1]], t)
        start, (end, *ways) = self._phases[at - 1][0] if at else 0, self._phases[at]
        way = (t - start) / (end - start) if end != start else 1.0
        a, b = ways[first : first + 2]
        return [self._between(g[a], g[b], way) for g in self.optimizer.param_groups]

    def _between(self, a, b, way):
        if self._anneal_func_type == "linear":
            return (b - a) * way + a
        return b + (a - b) / 2 * (math.cos(math.pi * way) + 1)
