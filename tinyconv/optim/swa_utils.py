"""Averages of weights over the training: exponential (EMA) or plain (SWA).

Sources: Polyak and Juditsky 1992 (averages of the iterates); Izmailov et al. 2018,
arXiv:1803.05407 (stochastic weight averaging).
"""

import copy
import itertools
import math

import numpy as np

from tinyconv.autograd import Tensor, no_grad
from tinyconv.nn import Module
from tinyconv.nn.modules.batchnorm import _BatchNorm
from tinyconv.optim.lr_scheduler import LRScheduler

__all__ = [
    "SWALR", "AveragedModel", "get_ema_avg_fn", "get_ema_multi_avg_fn", "get_swa_avg_fn",
    "get_swa_multi_avg_fn", "update_bn",
]  # fmt: skip


def get_ema_avg_fn(decay=0.999):
    """average <- decay average + (1 - decay) current, for one tensor."""
    if not 0 <= decay <= 1:
        raise ValueError(f"get_ema_avg_fn: decay={decay} must be in [0, 1]")

    @no_grad()
    def update(averaged, current, num_averaged):
        return decay * averaged + (1 - decay) * current

    return update


def get_swa_avg_fn():
    """average <- average + (current - average) / (n + 1) after n others, for one tensor."""

    @no_grad()
    def update(averaged, current, num_averaged):
        return averaged + (current - averaged) / (num_averaged + 1)

    return update


def _on_lists(avg_fn):
    """``avg_fn`` written into each tensor of a list."""

    @no_grad()
    def update(averaged, current, num_averaged):
        for a, c in zip(averaged, current):
            a.copy_(avg_fn(a, c, num_averaged))

    return update


def get_ema_multi_avg_fn(decay=0.999):
    """``get_ema_avg_fn`` for lists of tensors, in place."""
    return _on_lists(get_ema_avg_fn(decay))


def get_swa_multi_avg_fn():
    """``get_swa_avg_fn`` for lists of tensors, in place."""
    return _on_lists(get_swa_avg_fn())


class AveragedModel(Module):
    """A copy of a network whose weights are an average of those it has had.

    State: the network's as ``module.*``, and ``n_averaged``.

    Args:
        model: the network, copied.
        avg_fn: (average, current, number so far) -> new average of a tensor; default the mean.
        multi_avg_fn: the same in place for lists of tensors.
        use_buffers: average buffers (running statistics) too; else they are copied.

    >>> import tinyconv as tc
    >>> from tinyconv.optim.swa_utils import AveragedModel, get_ema_avg_fn
    >>> net = tc.nn.Linear(1, 1, bias=False)
    >>> ema = AveragedModel(net, avg_fn=get_ema_avg_fn(0.75))
    >>> for value in (0.0, 4.0):
    ...     _ = net.weight.data.fill_(value)
    ...     ema.update_parameters(net)
    >>> ema.module.weight.item()
    1.0
    """

    def __init__(self, model, device=None, avg_fn=None, multi_avg_fn=None, use_buffers=False):
        super().__init__()
        if avg_fn is not None and multi_avg_fn is not None:
            raise ValueError("AveragedModel: give avg_fn or multi_avg_fn, not both")
        self.module = copy.deepcopy(model)
        if device is not None:
            self.module.to(device)
        self.register_buffer("n_averaged", Tensor(np.zeros((), np.int64)))
        self.avg_fn, self.multi_avg_fn, self.use_buffers = avg_fn, multi_avg_fn, use_buffers

    def forward(self, *args, **kwargs):
        return self.module(*args, **kwargs)

    @no_grad()
    def update_parameters(self, model):
        """Take the weights that ``model`` has now into the average."""
        pairs = list(
            zip(_tensors(self.module, self.use_buffers), _tensors(model, self.use_buffers))
        )
        if self.n_averaged == 0:
            for averaged, current in pairs:
                averaged.copy_(current)
        else:
            average = self.multi_avg_fn or _on_lists(self.avg_fn or get_swa_avg_fn())
            average([a for a, _ in pairs], [c for _, c in pairs], self.n_averaged)
        if not self.use_buffers:
            for own, other in zip(self.module.buffers(), model.buffers()):
                own.copy_(other)
        self.n_averaged += 1


def _tensors(model, with_buffers):
    tensors = itertools.chain(model.parameters(), model.buffers() if with_buffers else ())
    return (t.detach() for t in tensors)


@no_grad()
def update_bn(loader, model, device=None):
    """Set the running statistics of all batch norms to the mean over the batches of ``loader``.

    Weights that were averaged give other activations than any of those that were trained.

    Args:
        loader: batches, or (batch, ...) tuples whose first entry is taken.
        model: the network, run in ``train()`` mode without gradients.
    """
    norms = [m for m in model.modules() if isinstance(m, _BatchNorm) and m.running_mean is not None]
    if not norms:
        return
    momenta, training = [m.momentum for m in norms], model.training
    for m in norms:
        m.running_mean.zero_()
        m.running_var.fill_(1)
        m.num_batches_tracked.zero_()
        m.momentum = None  # the mean over all batches
    try:
        model.train()
        for batch in loader:
            model(batch[0] if isinstance(batch, (list, tuple)) else batch)
    finally:
        for m, momentum in zip(norms, momenta):
            m.momentum = momentum
        model.train(training)


class SWALR(LRScheduler):
    """From the current rate to ``swa_lr`` within ``anneal_epochs`` steps, then constant.

    Args:
        swa_lr: a number, or one for each group.
        anneal_strategy: 'cos' or 'linear'.
    """

    def __init__(self, optimizer, swa_lr, anneal_epochs=10, anneal_strategy="cos", last_epoch=-1):
        self._take(optimizer)
        if anneal_strategy not in ("cos", "linear"):
            raise ValueError(f"SWALR: anneal_strategy={anneal_strategy!r}: 'cos' or 'linear'")
        if not isinstance(anneal_epochs, int) or anneal_epochs < 0:
            raise ValueError(f"SWALR: anneal_epochs={anneal_epochs!r} must be a whole number >= 0")
        self.anneal_epochs, self._anneal_strategy = anneal_epochs, anneal_strategy
        for group, rate in zip(optimizer.param_groups, self._per_group("swa_lr", swa_lr)):
            group["swa_lr"] = rate
        super().__init__(optimizer, last_epoch)

    def _share(self, step):
        """How much of ``swa_lr`` is in the rate after ``step`` steps."""
        way = max(0, min(1, step / max(1, self.anneal_epochs)))
        return way if self._anneal_strategy == "linear" else (1 - math.cos(math.pi * way)) / 2

    def get_lr(self):
        step = self._step_count - 1
        if self.anneal_epochs == 0:
            step = max(1, step)
        before, now = self._share(step - 1), self._share(step)
        rates = []
        for group in self.optimizer.param_groups:
            goal = group["swa_lr"]
            # the rate that annealing began with, from the one that it has come to
            start = goal if before == 1 else (group["lr"] - before * goal) / (1 - before)
            rates.append(goal * now + start * (1 - now))
        return rates
