"""Networks: one file per paper, one class per figure of it."""

from tinyconv.models.inception_small import InceptionBlock, SmallInception
from tinyconv.models.lenet import LeNet5
from tinyconv.models.registry import get_model, list_models
from tinyconv.models.resnet_cifar import BasicBlock, CifarResNet, ZeroPadShortcut
from tinyconv.models.summary import Summary, summary

__all__ = [
    "BasicBlock",
    "CifarResNet",
    "InceptionBlock",
    "LeNet5",
    "SmallInception",
    "Summary",
    "ZeroPadShortcut",
    "get_model",
    "list_models",
    "summary",
]
