"""Optimisers and learning-rate schedules."""

from tinyconv.optim import lr_scheduler
from tinyconv.optim.algorithms import SGD, Adam, AdamW, RMSprop
from tinyconv.optim.optimizer import Optimizer

__all__ = ["SGD", "Adam", "AdamW", "Optimizer", "RMSprop", "lr_scheduler"]
