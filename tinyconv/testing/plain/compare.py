"""Comparison, logic and bits, element by element in Python."""

import math
import operator

import numpy as np

from tinyconv.testing.plain.table import both, oracle


def _elementwise(function, dtype=bool):
    """A function of Python numbers on every element, broadcast."""
    return np.vectorize(function, otypes=[dtype])


for _names, _function in {
    "eq": operator.eq,
    "ne not_equal": operator.ne,
    "lt less": operator.lt,
    "le less_equal": operator.le,
    "gt greater": operator.gt,
    "ge greater_equal": operator.ge,
    "logical_and": lambda a, b: a != 0 and b != 0,
    "logical_or": lambda a, b: a != 0 or b != 0,
    "logical_xor": lambda a, b: (a != 0) != (b != 0),
    "logical_not": lambda a: a == 0,
    "isnan": math.isnan,
    "isinf": math.isinf,
    "isfinite": math.isfinite,
    "isposinf": lambda a: a == math.inf,
    "isneginf": lambda a: a == -math.inf,
    "isreal": lambda a: True,
    "signbit": lambda a: math.copysign(1, a) < 0,
}.items():
    both(_names)(_elementwise(_function))

for _name, _function in {
    "bitwise_and": operator.and_,
    "bitwise_or": operator.or_,
    "bitwise_xor": operator.xor,
    "bitwise_not": operator.invert,
    "bitwise_left_shift": operator.lshift,
    "bitwise_right_shift": operator.rshift,
}.items():
    both(_name)(_elementwise(_function, int))


@both("isclose")
def isclose(a, b, rtol=1e-5, atol=1e-8, equal_nan=False):
    def close(p, q):
        if math.isnan(p) or math.isnan(q):
            return equal_nan and math.isnan(p) and math.isnan(q)
        return p == q or (math.isfinite(q) and abs(p - q) <= atol + rtol * abs(q))

    return _elementwise(close)(a, b)


@both("allclose")
def allclose(a, b, rtol=1e-5, atol=1e-8, equal_nan=False):
    return bool(isclose(a, b, rtol, atol, equal_nan).all())


@both("equal")
def equal(a, b):
    return a.shape == b.shape and a.tolist() == b.tolist()


@oracle("tc.isin")
def isin(a, b, invert=False):
    members = set(np.asarray(b).ravel().tolist())
    return _elementwise(lambda v: (v in members) != invert)(a)
