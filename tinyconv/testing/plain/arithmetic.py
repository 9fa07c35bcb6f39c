"""Two operands, powers, choice."""

import math

import numpy as np

from tinyconv.testing.plain.table import both, oracle


def _pairwise(function):
    """A function of two Python floats on every pair of elements, broadcast."""
    return np.vectorize(function, otypes=[float])


def _logaddexp(base):
    def of_two(a, b):
        # the power of the larger one is taken out
        most, least = max(a, b), min(a, b)
        return most + math.log1p(base ** (least - most)) / math.log(base)

    return _pairwise(of_two)


for _names, _function in {
    "mul multiply": lambda a, b: a * b,
    "floor_divide": lambda a, b: np.floor(a / b),
    "remainder": lambda a, b: a - b * np.floor(a / b),
    "fmod": lambda a, b: a - b * np.trunc(a / b),
    "pow float_power": lambda a, b: a**b,
    "maximum": lambda a, b: np.where(a > b, a, b),
    "minimum": lambda a, b: np.where(a < b, a, b),
    "fmax": _pairwise(max),
    "fmin": _pairwise(min),
    "atan2 arctan2": _pairwise(math.atan2),
    "hypot": lambda a, b: np.sqrt(a * a + b * b),
    "copysign": _pairwise(math.copysign),
    "logaddexp": _logaddexp(math.e),
    "logaddexp2": _logaddexp(2),
    "xlogy": _pairwise(lambda a, b: a * math.log(b)),
    "heaviside": _pairwise(lambda a, b: b if a == 0 else float(a > 0)),
    "lerp": lambda a, b, w: (1 - w) * a + w * b,
    "square": lambda a: a * a,
}.items():
    both(_names)(_function)


@both("add")
def add(a, b, alpha=1):
    return a + alpha * b


@both("sub subtract")
def sub(a, b, alpha=1):
    return a - alpha * b


@oracle("tc.rsub")
def rsub(a, b, alpha=1):
    return b - alpha * a


@both("div divide true_divide")
def div(a, b, rounding_mode=None):
    return {None: np.positive, "floor": np.floor, "trunc": np.trunc}[rounding_mode](a / b)


@oracle("Tensor.__rdiv__")
def rdiv(a, b):
    return b / a


@both("addcmul")
def addcmul(a, b, c, value=1):
    return a + value * b * c


@both("addcdiv")
def addcdiv(a, b, c, value=1):
    return a + value * b / c


@oracle("tc.where")
def where(mask, a, b):
    mask, a, b = np.broadcast_arrays(mask, a, b)
    return np.array([p if m else q for m, p, q in zip(mask.flat, a.flat, b.flat)]).reshape(a.shape)


@oracle("Tensor.where")
def where_method(a, mask, b):
    return where(mask, a, b)


@both("clamp clip")
def clamp(x, min=None, max=None):
    y = x if min is None else np.where(x < min, min, x)
    return y if max is None else np.where(y > max, max, y)


@both("clamp_min")
def clamp_min(x, min):
    return clamp(x, min)


@both("clamp_max")
def clamp_max(x, max):
    return clamp(x, None, max)
