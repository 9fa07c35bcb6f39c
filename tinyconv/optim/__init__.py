"""Optimisers and learning-rate schedules."""

from tinyconv.optim import lr_scheduler, swa_utils
from tinyconv.optim.adaptive import ASGD, Adadelta, Adagrad, Adamax, NAdam, RAdam, Rprop
from tinyconv.optim.algorithms import SGD, Adam, AdamW, RMSprop
from tinyconv.optim.optimizer import Optimizer

__all__ = [
    "ASGD", "SGD", "Adadelta", "Adagrad", "Adam", "AdamW", "Adamax", "NAdam", "Optimizer", "RAdam",
    "RMSprop", "Rprop", "lr_scheduler", "swa_utils",
]  # fmt: skip
