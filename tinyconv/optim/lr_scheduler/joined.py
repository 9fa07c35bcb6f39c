"""Schedules made of schedules: one after the other, or all at once."""

import bisect

from tinyconv.optim.lr_scheduler.base import LRScheduler
from tinyconv.optim.lr_scheduler.plateau import ReduceLROnPlateau


class _Joined(LRScheduler):
    """Keeps a list of schedules, all of one optimiser."""

    def _join(self, schedulers, optimizer):
        own = type(self).__name__
        if not schedulers:
            raise ValueError(f"{own}: wants at least one scheduler")
        for i, scheduler in enumerate(schedulers):
            if not hasattr(scheduler, "optimizer"):
                raise TypeError(
                    f"{own}: wants schedulers, got {type(scheduler).__name__} at place {i}"
                )
            if isinstance(scheduler, ReduceLROnPlateau):
                raise ValueError(
                    f"{own}: the ReduceLROnPlateau at place {i} wants a metric in each step; step "
                    "it by itself"
                )
            if scheduler.optimizer is not optimizer:
                raise ValueError(f"{own}: the scheduler at place {i} has another optimiser")
        self._take(optimizer)
        self._schedulers = list(schedulers)

    def state_dict(self):
        """What is needed to continue, of all the schedules too."""
        return {**super().state_dict(), "_schedulers": [s.state_dict() for s in self._schedulers]}

    def load_state_dict(self, state_dict):
        """Continue from what ``state_dict`` gave."""
        rest = dict(state_dict)
        for scheduler, state in zip(self._schedulers, rest.pop("_schedulers")):
            scheduler.load_state_dict(state)
        super().load_state_dict(rest)

    def _undo_first_step(self):
        for scheduler in self._schedulers:
            if isinstance(scheduler, _Joined):
                scheduler._undo_first_step()
            else:
                scheduler.last_epoch -= 1


class SequentialLR(_Joined):
    """Schedulers one after the other: the next begins, at its own step 0, at each milestone.

    >>> import tinyconv as tc
    >>> from tinyconv.optim.lr_scheduler import CosineAnnealingLR, LinearLR, SequentialLR
    >>> sgd = tc.optim.SGD([tc.nn.Parameter(tc.ones(1))], lr=1.0)
    >>> warm, cosine = LinearLR(sgd, 0.5, total_iters=2), CosineAnnealingLR(sgd, 10)
    >>> s = SequentialLR(sgd, [warm, cosine], milestones=[2])
    >>> rates = s.get_last_lr()
    >>> for _ in range(2): sgd.step(); s.step(); rates += s.get_last_lr()
    >>> rates
    [0.5, 0.75, 1.0]
    """

    def __init__(self, optimizer, schedulers, milestones, last_epoch=-1):
        self._join(schedulers, optimizer)
        if len(milestones) != len(schedulers) - 1:
            raise ValueError(
                f"SequentialLR: {len(schedulers)} schedulers want {len(schedulers) - 1} "
                f"milestones, got {list(milestones)}"
            )
        self._milestones = list(milestones)
        self.last_epoch = last_epoch + 1
        # each scheduler took a first step when it was made: only one of them comes first
        for group in optimizer.param_groups:
            group["lr"] = group["initial_lr"]
        self._undo_first_step()
        first = self._schedulers[bisect.bisect_right(self._milestones, 0)]
        first._initial_step()
        self._last_lr = first.get_last_lr()

    def step(self):
        """Go on to the next rate."""
        self.last_epoch += 1
        at = bisect.bisect_right(self._milestones, self.last_epoch)
        scheduler = self._schedulers[at]
        if at and self._milestones[at - 1] == self.last_epoch:
            scheduler._move(0)
        else:
            scheduler.step()
        self._last_lr = scheduler.get_last_lr()


class ChainedScheduler(_Joined):
    """All ``schedulers`` in every step: their factors multiply."""

    def __init__(self, schedulers, optimizer=None):
        self._join(schedulers, optimizer or (schedulers and schedulers[0].optimizer))
        self._last_lr = self._rates()

    def step(self):
        """Let each scheduler take its step."""
        for scheduler in self._schedulers:
            scheduler.step()
        self._last_lr = self._rates()
