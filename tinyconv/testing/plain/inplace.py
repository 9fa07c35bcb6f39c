"""Ops that change an array, as NumPy writes into it."""

import numpy as np

from tinyconv.testing.plain.table import oracle


def _writes(name, function):
    """The oracle of the method ``name``: all of the array becomes ``function`` of it."""

    def write(x, *args, **options):
        x[...] = function(x, *args, **options)
        return x

    oracle(f"Tensor.{name}")(write)


_writes("add_", lambda x, y: x + y)
_writes("mul_", lambda x, y: x * y)
_writes("sin_", np.sin)
_writes("addcmul_", lambda x, a, b, value=1: x + value * a * b)
_writes("addcdiv_", lambda x, a, b, value=1: x + value * a / b)
_writes("copy_", lambda x, y: y)
_writes("fill_", lambda x, value: value)


@oracle("Tensor.fill_diagonal_")
def fill_diagonal_(x, value):
    for i in range(min(x.shape)):
        x[i, i] = value
    return x
