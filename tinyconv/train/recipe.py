"""From the settings to an optimiser and its schedule."""

from tinyconv import optim
from tinyconv.optim import lr_scheduler
from tinyconv.train.errors import TrainError


def make_optimizer(config, params):
    """The optimiser that a ``TrainConfig`` describes.

    >>> import tinyconv as tc
    >>> from tinyconv.train import TrainConfig
    >>> from tinyconv.train.recipe import make_optimizer
    >>> net = tc.nn.Linear(2, 3)
    >>> make_optimizer(TrainConfig(optimizer="sgd", lr=0.1), net.parameters()).defaults["nesterov"]
    True
    """
    shared = {"lr": config.lr, "weight_decay": config.weight_decay}
    if config.optimizer == "sgd":
        momentum = config.momentum
        return optim.SGD(params, momentum=momentum, nesterov=momentum > 0, **shared)
    if config.optimizer == "rmsprop":
        return optim.RMSprop(params, momentum=config.momentum, **shared)
    return {"adam": optim.Adam, "adamw": optim.AdamW}[config.optimizer](params, **shared)


def make_scheduler(config, optimizer, steps_per_epoch):
    """The schedule that a ``TrainConfig`` describes; it is stepped after every batch.

    Epochs of the settings become steps here, so that a rate may move within an epoch.

    >>> import tinyconv as tc
    >>> from tinyconv.train import TrainConfig
    >>> from tinyconv.train.recipe import make_optimizer, make_scheduler
    >>> config = TrainConfig(schedule="step", step_epochs=1, lr=1.0)
    >>> s = make_scheduler(config, make_optimizer(config, tc.nn.Linear(2, 3).parameters()), 2)
    >>> s.step(); s.step(); s.get_last_lr()
    [0.1]
    """
    total = config.epochs * steps_per_epoch
    warm = round(config.warmup_epochs * steps_per_epoch)
    if config.schedule == "onecycle":
        # the settings' momentum holds: the cycle moves the rate alone
        return lr_scheduler.OneCycleLR(
            optimizer, config.lr, total, pct_start=warm / total or 0.3, cycle_momentum=False
        )
    rest = max(1, total - warm)
    if warm:  # written before the schedules read the base rate
        first = lr_scheduler.LinearLR(optimizer, 1 / warm, total_iters=warm)
    if config.schedule == "cosine":
        schedule = lr_scheduler.CosineAnnealingLR(optimizer, rest)
    elif config.schedule == "multistep":
        if max(config.milestones) * steps_per_epoch <= warm:
            raise TrainError(f"milestones={config.milestones} all lie within the warm-up")
        steps = [m * steps_per_epoch - warm for m in config.milestones]
        schedule = lr_scheduler.MultiStepLR(optimizer, steps, config.gamma)
    elif config.schedule == "step":
        schedule = lr_scheduler.StepLR(
            optimizer, config.step_epochs * steps_per_epoch, config.gamma
        )
    else:
        schedule = lr_scheduler.MultiStepLR(optimizer, [])
    if not warm:
        return schedule
    return lr_scheduler.SequentialLR(optimizer, [first, schedule], [warm])
