"""Layers, containers, initialisation and the functions behind them."""

from tinyconv.nn import functional, init
from tinyconv.nn.containers import ModuleDict, ModuleList, Sequential
from tinyconv.nn.module import Module, Parameter
from tinyconv.nn.modules.activation import (
    CELU,
    ELU,
    GELU,
    GLU,
    SELU,
    Hardshrink,
    Hardsigmoid,
    Hardswish,
    Hardtanh,
    LeakyReLU,
    LogSigmoid,
    LogSoftmax,
    Mish,
    PReLU,
    ReLU,
    ReLU6,
    RReLU,
    Sigmoid,
    SiLU,
    Softmax,
    Softmax2d,
    Softmin,
    Softplus,
    Softshrink,
    Softsign,
    Tanh,
    Tanhshrink,
    Threshold,
)
from tinyconv.nn.modules.batchnorm import BatchNorm1d, BatchNorm2d
from tinyconv.nn.modules.conv import Conv2d
from tinyconv.nn.modules.dropout import Dropout, Dropout2d
from tinyconv.nn.modules.flatten import Flatten
from tinyconv.nn.modules.linear import Identity, Linear
from tinyconv.nn.modules.loss import CrossEntropyLoss, L1Loss, MSELoss, NLLLoss
from tinyconv.nn.modules.normalization import LocalResponseNorm
from tinyconv.nn.modules.padding import ZeroPad2d
from tinyconv.nn.modules.pooling import (
    AdaptiveAvgPool2d,
    AdaptiveMaxPool2d,
    AvgPool2d,
    MaxPool2d,
)

__all__ = [
    "ELU", "GELU", "SELU", "AdaptiveAvgPool2d", "AdaptiveMaxPool2d", "AvgPool2d", "BatchNorm1d",
    "BatchNorm2d", "Conv2d", "CrossEntropyLoss", "Dropout", "Dropout2d", "Flatten", "Hardtanh",
    "Identity", "L1Loss", "LeakyReLU", "Linear", "LocalResponseNorm", "LogSigmoid", "LogSoftmax",
    "MSELoss", "MaxPool2d", "Module", "ModuleDict", "ModuleList", "NLLLoss", "Parameter", "ReLU",
    "ReLU6", "Sequential", "SiLU", "Sigmoid", "Softmax", "Softplus", "Tanh", "ZeroPad2d",
    "CELU", "GLU", "Hardshrink", "Hardsigmoid", "Hardswish", "Mish", "PReLU", "RReLU",
    "Softmax2d", "Softmin", "Softshrink", "Softsign", "Tanhshrink", "Threshold",
    "functional", "init",
]  # fmt: skip
