"""Functions of one number."""

import math

import numpy as np

from tinyconv.testing.plain.table import oracle


def _both(name, function):
    oracle(f"tc.{name}", f"Tensor.{name}")(function)


def elementwise(function):
    """A function of Python floats on every element."""
    return np.vectorize(function, otypes=[float])


for _name, _function in {
    "exp": np.exp,
    "expm1": np.expm1,
    "log": np.log,
    "log1p": np.log1p,
    "sqrt": np.sqrt,
    "rsqrt": lambda x: x**-0.5,
    "sin": np.sin,
    "cos": np.cos,
    "tanh": np.tanh,
    "sigmoid": lambda x: 1 / (1 + np.exp(-x)),
    "erf": elementwise(math.erf),
    "erfc": elementwise(math.erfc),
    "sign": np.sign,
    "abs": np.abs,
    "neg": np.negative,
}.items():
    _both(_name, _function)
