"""Activations, and softmax along an axis."""

import math

import numpy as np

from tinyconv.testing.plain.pointwise import elementwise
from tinyconv.testing.plain.table import oracle


def _if_positive(x, other):
    return np.where(x > 0, x, other)


def _sigmoid(x):
    return 1 / (1 + np.exp(-x))


def _elu(x, alpha=1.0, inplace=False):
    return _if_positive(x, alpha * (np.exp(x) - 1))


def _softplus(x, beta=1.0, threshold=20.0):
    return np.where(beta * x > threshold, x, np.log1p(np.exp(beta * x)) / beta)


def _threshold(x, threshold, value, inplace=False):
    return np.where(x > threshold, x, value)


def _hardtanh(x, min_val=-1.0, max_val=1.0, inplace=False):
    return np.clip(x, min_val, max_val)


_PHI = elementwise(lambda v: 0.5 * math.erfc(-v / math.sqrt(2)))


def _gelu(x, approximate="none"):
    if approximate == "none":
        return x * _PHI(x)
    return 0.5 * x * (1 + np.tanh(np.sqrt(2 / np.pi) * (x + 0.044715 * x**3)))


def _rrelu(x, lower=1 / 8, upper=1 / 3, training=False, inplace=False):
    return _if_positive(x, x * (lower + upper) / 2)


for _name, _function in {
    "leaky_relu": lambda x, slope=0.01, inplace=False: _if_positive(x, slope * x),
    "rrelu": _rrelu,
    "hardtanh": _hardtanh,
    "relu6": lambda x, inplace=False: _hardtanh(x, 0, 6),
    "hardsigmoid": lambda x, inplace=False: np.clip(x / 6 + 0.5, 0, 1),
    "hardswish": lambda x, inplace=False: x * np.clip(x / 6 + 0.5, 0, 1),
    "elu": _elu,
    "silu": lambda x, inplace=False: x * _sigmoid(x),
    "mish": lambda x, inplace=False: x * np.tanh(_softplus(x)),
    "gelu": _gelu,
    "softplus": _softplus,
    "softsign": lambda x: x / (1 + np.abs(x)),
    "softshrink": lambda x, lambd=0.5: np.sign(x) * np.maximum(np.abs(x) - lambd, 0),
    "tanhshrink": lambda x: x - np.tanh(x),
    "logsigmoid": lambda x: -np.logaddexp(0, -x),
    "leaky_relu_": lambda x, slope=0.01: _if_positive(x, slope * x),
    "rrelu_": _rrelu,
    "hardtanh_": _hardtanh,
    "elu_": _elu,
    "celu_": _elu,
    "relu_": lambda x: _if_positive(x, 0),
    "threshold_": _threshold,
}.items():
    oracle(f"F.{_name}")(_function)


@oracle("F.selu", "tc.selu", "F.selu_")
def _selu(x, inplace=False):
    return 1.0507009873554805 * _elu(x, 1.6732632423543772)


@oracle("F.celu", "tc.celu")
def _celu(x, alpha=1.0, inplace=False):
    return _if_positive(x, alpha * (np.exp(x / alpha) - 1))


@oracle("F.hardshrink", "tc.hardshrink", "Tensor.hardshrink")
def _hardshrink(x, lambd=0.5):
    return np.where(np.abs(x) > lambd, x, 0)


oracle("F.threshold", "tc.threshold")(_threshold)


@oracle("F.prelu", "tc.prelu", "Tensor.prelu")
def _prelu(x, weight):
    if x.ndim > 1 and weight.ndim:
        weight = weight.reshape((-1,) + (1,) * (x.ndim - 2))
    return _if_positive(x, x * weight)


@oracle("F.glu")
def _glu(x, dim=-1):
    a, b = np.split(x, 2, dim)
    return a * _sigmoid(b)


# -- softmax ------------------------------------------------------------------------------------
def _softmax(x, dim=None, dtype=None):
    if dim is None:
        dim = 0 if x.ndim in (0, 1, 3) else 1
    powers = np.exp(x - np.max(x, dim, keepdims=True))
    return powers / np.sum(powers, dim, keepdims=True)


oracle("F.softmax", "tc.softmax", "Tensor.softmax")(_softmax)
oracle("F.softmin")(lambda x, dim=None, dtype=None: _softmax(-x, dim))


@oracle("F.log_softmax", "tc.log_softmax", "Tensor.log_softmax")
def _log_softmax(x, dim=None, dtype=None):
    if dim is None:
        dim = 0 if x.ndim in (0, 1, 3) else 1
    peak = np.max(x, dim, keepdims=True)
    return x - peak - np.log(np.sum(np.exp(x - peak), dim, keepdims=True))
