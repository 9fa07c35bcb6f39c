"""Functions of one number."""

import math

import numpy as np

from tinyconv.testing.plain.table import both, oracle


def elementwise(function):
    """A function of Python floats on every element."""
    return np.vectorize(function, otypes=[float])


def sigmoid(x):
    return 1 / (1 + np.exp(-x))


for _names, _function in {
    "exp": np.exp,
    "exp2": lambda x: 2.0**x,
    "expm1": np.expm1,
    "log": np.log,
    "log2": elementwise(math.log2),
    "log10": elementwise(math.log10),
    "log1p": np.log1p,
    "sqrt": np.sqrt,
    "rsqrt": lambda x: x**-0.5,
    "reciprocal": lambda x: x**-1.0,
    "sin": np.sin,
    "cos": np.cos,
    "tan": lambda x: np.sin(x) / np.cos(x),
    "asin arcsin": elementwise(math.asin),
    "acos arccos": elementwise(math.acos),
    "atan arctan": elementwise(math.atan),
    "sinh": elementwise(math.sinh),
    "cosh": elementwise(math.cosh),
    "tanh": np.tanh,
    "asinh arcsinh": elementwise(math.asinh),
    "acosh arccosh": elementwise(math.acosh),
    "atanh arctanh": elementwise(math.atanh),
    "sigmoid": sigmoid,
    "erf": elementwise(math.erf),
    "erfc": elementwise(math.erfc),
    "sinc": elementwise(lambda x: math.sin(math.pi * x) / (math.pi * x) if x else 1.0),
    "sign sgn": elementwise(lambda x: (x > 0) - (x < 0)),
    "floor": elementwise(math.floor),
    "ceil": elementwise(math.ceil),
    "trunc fix": elementwise(math.trunc),
    "frac": elementwise(lambda x: math.fmod(x, 1)),
    "abs absolute": lambda x: np.where(x < 0, -x, x),
    "neg negative": lambda x: 0 - x,
    "positive": lambda x: x,
    "deg2rad": elementwise(math.radians),
    "rad2deg": elementwise(math.degrees),
}.items():
    both(_names)(_function)
oracle("F.tanh")(np.tanh)
oracle("F.sigmoid")(sigmoid)
oracle("tc.relu", "Tensor.relu", "F.relu")(lambda x, inplace=False: np.where(x < 0, 0, x))


@both("round")
def round_(x, decimals=0):
    return elementwise(lambda v: round(v, decimals))(x)


@both("logit")
def logit(x, eps=None):
    p = x if eps is None else np.minimum(np.maximum(x, eps), 1 - eps)
    return np.log(p) - np.log1p(-p)


@both("nan_to_num")
def nan_to_num(x, nan=0.0, posinf=None, neginf=None):
    most = np.finfo(x.dtype).max
    for bad, number in (
        (np.isnan(x), nan),
        (x == np.inf, most if posinf is None else posinf),
        (x == -np.inf, -most if neginf is None else neginf),
    ):
        x = np.where(bad, number, x)
    return x
