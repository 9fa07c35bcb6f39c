"""The table of oracles by public name, and how the text of a case is run on it."""

import functools
import types

import numpy as np

#: {public name ("tc.exp", "F.relu", "Tensor.exp"): function of ndarrays}
ORACLES: dict = {}
_DTYPES = ("float32", "float64", "uint8", "int8", "int16", "int32", "int64")


class Plain(np.ndarray):
    """An ndarray with a Tensor's methods, as far as there are oracles for them."""

    def __array_finalize__(self, made_from):
        pass


def oracle(*names):
    """Have a function of ndarrays stand for the ops ``names`` ("tc.exp", "Tensor.exp", ...).

    It is given bare ndarrays and may return an array, a number, or a (named) tuple of arrays.
    """

    def keep(function):
        for name in names:
            if name in ORACLES:
                raise ValueError(f"oracle: {name!r} is there already")
            ORACLES[name] = _on_plain(function)
            if name.startswith("Tensor."):
                setattr(Plain, name.removeprefix("Tensor."), ORACLES[name])
        return function

    return keep


def both(names):
    """``oracle`` of the function and the Tensor method of each of ``names`` ("exp exp2")."""
    return oracle(*(f"{place}.{name}" for name in names.split() for place in ("tc", "Tensor")))


def _on_plain(function):
    @functools.wraps(function)
    def run(*args, **options):
        args, options = bare(args), {name: bare(value) for name, value in options.items()}
        with np.errstate(all="ignore"):
            return wrapped(function(*args, **options))

    return run


def bare(value):
    """``value`` with every Plain in it as the ndarray that it is."""
    if isinstance(value, Plain):
        return np.ndarray.view(value, np.ndarray)  # `view` itself is an op
    if isinstance(value, (tuple, list)):
        return type(value)(bare(v) for v in value) if type(value) in (tuple, list) else value
    return value


def wrapped(value):
    """``value`` with every ndarray in it as a Plain."""
    if isinstance(value, (np.ndarray, np.generic)):
        return np.asarray(value).view(Plain)
    if isinstance(value, tuple) and hasattr(value, "_fields"):
        return type(value)(*map(wrapped, value))
    if isinstance(value, (tuple, list)):
        return type(value)(map(wrapped, value))
    return value


class _Names:
    """``tc`` or ``F`` as the text of a case sees them."""

    def __init__(self, module):
        self._module = module

    def __getattr__(self, name):
        if self._module == "tc" and name in _DTYPES:
            return np.dtype(name)
        if self._module == "tc" and name == "linalg":
            return _Names("linalg")
        try:
            return ORACLES[f"{self._module}.{name}"]
        except KeyError:
            raise AttributeError(f"there is no oracle for {self._module}.{name}") from None


def plain(case):
    """The value of a Case that was made of text, by oracles alone.

    Raises:
        AttributeError: if an op in the text has no oracle.
    """
    function = case.func
    namespace = {**function.__globals__, "tc": _Names("tc"), "F": _Names("F"), "nn": None}
    same_text = types.FunctionType(function.__code__, namespace)
    with np.errstate(all="ignore"):
        return same_text(*[np.array(x).view(Plain) for x in case.inputs])
