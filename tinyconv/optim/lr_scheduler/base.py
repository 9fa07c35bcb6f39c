"""What all schedules share: the count of steps, and the groups' rates."""

import copy
import types
import warnings

from tinyconv.optim.optimizer import Optimizer


class LRScheduler:
    """The base: counts steps and writes each group's rate.

    Subclasses write ``get_lr()``, the list of the groups' rates at step ``self.last_epoch``; and
    ``_get_closed_form_lr()`` if the rates can be told from ``self.base_lrs`` alone, for
    ``step(epoch)``.

    Args:
        optimizer: whose rates to set.
        last_epoch: the step after which to go on; -1 begins, with the rates that the groups have.
        verbose: accepted for old scripts, and means nothing.
    """

    #: while the constructor takes the first step
    _is_initial = False

    def __init__(self, optimizer, last_epoch=-1, verbose=False):
        self._take(optimizer)
        for i, group in enumerate(optimizer.param_groups):
            if last_epoch == -1:
                group.setdefault("initial_lr", group["lr"])
            elif "initial_lr" not in group:
                raise KeyError(
                    f"{type(self).__name__}: group {i} has no 'initial_lr' to go on from after "
                    f"step {last_epoch}; load the optimiser's state first"
                )
        self.base_lrs = [group["initial_lr"] for group in optimizer.param_groups]
        self.last_epoch = last_epoch
        self._initial_step()

    def _take(self, optimizer):
        if not isinstance(optimizer, Optimizer):
            raise TypeError(
                f"{type(self).__name__}: wants an Optimizer, got {type(optimizer).__name__}"
            )
        self.optimizer = optimizer

    def _initial_step(self):
        self._step_count = 0
        self._is_initial = True
        try:
            self.step()
        finally:
            self._is_initial = False

    def step(self, epoch=None):
        """Go on to the next rate, or to that of step ``epoch``."""
        if self._step_count == 1 and not self.optimizer.has_stepped:
            warnings.warn(
                f"{type(self).__name__}.step() was called before optimizer.step(): the first rate "
                "of the schedule is never used. Call optimizer.step() first",
                stacklevel=2,
            )
        self._step_count += 1
        self._move(epoch)

    def _move(self, epoch=None):
        before = self.last_epoch
        self.last_epoch = before + 1 if epoch is None else epoch
        closed = None if epoch is None else getattr(self, "_get_closed_form_lr", None)
        try:
            self._write((closed or self.get_lr)())
        except Exception:
            self.last_epoch = before  # nothing is half done
            raise

    def _write(self, rates):
        rates = list(map(float, rates))
        self._check_groups(len(rates))
        for group, rate in zip(self.optimizer.param_groups, rates):
            group["lr"] = rate
        self._last_lr = self._rates()

    def _check_groups(self, count):
        number = len(self.optimizer.param_groups)
        if count != number:
            raise ValueError(
                f"{type(self).__name__}: made for {count} parameter group{'s' * (count != 1)}, the "
                f"optimiser has {number}; add groups before the schedule is made"
            )

    def _rates(self):
        """What stands in the groups."""
        return [group["lr"] for group in self.optimizer.param_groups]

    def get_lr(self):
        """The rates at step ``last_epoch``; ``get_last_lr`` tells the current ones."""
        raise NotImplementedError

    def get_last_lr(self):
        """The rate of each group that the last step gave."""
        return self._last_lr

    def state_dict(self):
        """What is needed to continue, but for the rates themselves: the optimiser keeps those."""
        return {name: value for name, value in vars(self).items() if name != "optimizer"}

    def load_state_dict(self, state_dict):
        """Continue from what ``state_dict`` gave; the optimiser's state is loaded by itself."""
        vars(self).update(copy.deepcopy(dict(state_dict)))

    def _per_group(self, name, value):
        """A list with one ``value`` for each group."""
        number = len(self.optimizer.param_groups)
        if not isinstance(value, (list, tuple)):
            return [value] * number
        if len(value) != number:
            raise ValueError(
                f"{type(self).__name__}: {name} has {len(value)} entries, the optimiser {number} "
                "parameter groups"
            )
        return list(value)


class _LRScheduler(LRScheduler):
    """The name that old scripts derive from."""


def functions_state(functions):
    """What is kept of functions in a state: the attributes of objects, None of plain functions."""
    return [
        None if isinstance(f, types.FunctionType) else dict(getattr(f, "__dict__", {}))
        for f in functions
    ]


def load_functions(functions, states):
    """Give objects the attributes that ``functions_state`` kept."""
    for function, state in zip(functions, states):
        if state:
            function.__dict__.update(state)
