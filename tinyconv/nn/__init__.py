"""Layers, containers, initialisation and the functions behind them."""

from tinyconv.nn import functional, init
from tinyconv.nn.activations import (
    ELU,
    GELU,
    SELU,
    CrossEntropyLoss,
    Hardtanh,
    L1Loss,
    LeakyReLU,
    LogSigmoid,
    LogSoftmax,
    MSELoss,
    NLLLoss,
    ReLU,
    ReLU6,
    Sigmoid,
    SiLU,
    Softmax,
    Softplus,
    Tanh,
)
from tinyconv.nn.containers import ModuleDict, ModuleList, Sequential
from tinyconv.nn.layers import (
    AdaptiveAvgPool2d,
    AdaptiveMaxPool2d,
    AvgPool2d,
    BatchNorm1d,
    BatchNorm2d,
    Conv2d,
    Dropout,
    Dropout2d,
    Flatten,
    Identity,
    Linear,
    LocalResponseNorm,
    MaxPool2d,
    ZeroPad2d,
)
from tinyconv.nn.module import Module, Parameter

__all__ = [
    "ELU", "GELU", "SELU", "AdaptiveAvgPool2d", "AdaptiveMaxPool2d", "AvgPool2d", "BatchNorm1d",
    "BatchNorm2d", "Conv2d", "CrossEntropyLoss", "Dropout", "Dropout2d", "Flatten", "Hardtanh",
    "Identity", "L1Loss", "LeakyReLU", "Linear", "LocalResponseNorm", "LogSigmoid", "LogSoftmax",
    "MSELoss", "MaxPool2d", "Module", "ModuleDict", "ModuleList", "NLLLoss", "Parameter", "ReLU",
    "ReLU6", "Sequential", "SiLU", "Sigmoid", "Softmax", "Softplus", "Tanh", "ZeroPad2d",
    "functional", "init",
]  # fmt: skip
