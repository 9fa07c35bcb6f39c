"""Learning rates over time.

Call ``scheduler.step()`` after ``optimizer.step()``, or once per epoch. Most schedules move the
rate that stands in ``group["lr"]`` on, so two of them on one optimiser multiply, and a rate that
was changed by hand is the one that they go on from.
"""

from tinyconv.optim.lr_scheduler.base import LRScheduler, _LRScheduler
from tinyconv.optim.lr_scheduler.cycles import (
    CosineAnnealingLR,
    CosineAnnealingWarmRestarts,
    CyclicLR,
    OneCycleLR,
)
from tinyconv.optim.lr_scheduler.factors import (
    ConstantLR,
    ExponentialLR,
    LambdaLR,
    LinearLR,
    MultiplicativeLR,
    MultiStepLR,
    PolynomialLR,
    StepLR,
)
from tinyconv.optim.lr_scheduler.joined import ChainedScheduler, SequentialLR
from tinyconv.optim.lr_scheduler.plateau import ReduceLROnPlateau

__all__ = [
    "ChainedScheduler", "ConstantLR", "CosineAnnealingLR", "CosineAnnealingWarmRestarts",
    "CyclicLR", "ExponentialLR", "LRScheduler", "LambdaLR", "LinearLR", "MultiStepLR",
    "MultiplicativeLR", "OneCycleLR", "PolynomialLR", "ReduceLROnPlateau", "SequentialLR",
    "StepLR", "_LRScheduler",
]  # fmt: skip
