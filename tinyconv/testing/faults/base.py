"""What a case is, and the shelf on which a family of them stands."""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np


@dataclass(frozen=True, kw_only=True)
class Case:
    """A function on NumPy arrays and its derivative, both right.

    Attributes:
        name: "conv2d", unique
        group: the family, such as "convolution"
        text: one sentence: what is wrong with it, or what is hard about it
        forward: ``forward(*arrays)`` is the output, or a tuple of outputs
        backward: ``backward(gy, *arrays)`` is the gradient, or a tuple with one for every array
            (None for an array of integers)
        arrays: ``arrays()`` are the inputs, the same numbers in fresh memory each time
        second: ``second(ggs, gy, *arrays)`` is the backward of ``backward``: from one cotangent
            per gradient to the gradients for ``gy`` and every array. None where there is none;
            else there is one output, and all arrays are of floats
        cause: None for what is right
    """

    name: str
    group: str
    text: str
    forward: Callable
    backward: Callable
    arrays: Callable
    second: Callable | None = None
    cause: str | None = None

    @property
    def order(self):
        """The highest order of derivative that it has."""
        return 1 if self.second is None else 2


@dataclass(frozen=True, kw_only=True)
class Fault(Case):
    """A case with one mistake.

    It is in ``second`` where there is one, in ``backward`` as a rule, and a few side effects are
    in ``forward``. ``cause`` is the name a checker should give to it, ``right`` the function that
    belongs in its place.
    """

    right: Callable


class Family:
    """Right functions, and the faults planted in them."""

    def __init__(self, group):
        self.group = group
        self.cases = []
        self.faults = []

    def case(self, name, forward, backward, arrays, text="With ordinary numbers.", second=None):
        """Put up a right function; returns the ``Case``."""
        case = Case(
            name=name, group=self.group, text=text,
            forward=forward, backward=backward, arrays=arrays, second=second,
        )  # fmt: skip
        self.cases.append(case)
        return case

    def fault(self, case, cause, of=None):
        """Decorate a wrong backward of ``case``: its name and docstring tell the mistake.

        It returns every gradient, or only that of input number ``of``; the others are then right.
        """

        def plant(function):
            backward = function if of is None else _replaced(case.backward, of, function)
            self._add(case, function, cause, backward=backward, right=case.backward)
            return function

        return plant

    def forward_fault(self, case, cause):
        """Decorate a forward of ``case`` that does more than it should."""

        def plant(function):
            self._add(case, function, cause, forward=function, right=case.forward)
            return function

        return plant

    def second_fault(self, case, cause, of=None):
        """Decorate a wrong backward of the backward of ``case``, ``of`` as in ``fault`` (0: gy)."""

        def plant(function):
            second = function if of is None else _replaced(case.second, of, function)
            self._add(case, function, cause, second=second, right=case.second)
            return function

        return plant

    def _add(self, case, function, cause, *, right, forward=None, backward=None, second=None):
        fault = Fault(
            name=f"{case.name}: {function.__name__.replace('_', ' ').strip()}",
            group=self.group, cause=cause, text=" ".join(function.__doc__.split()),
            forward=forward or case.forward, backward=backward or case.backward,
            arrays=case.arrays, second=second, right=right,
        )  # fmt: skip
        self.faults.append(fault)


def _replaced(function, of, wrong):
    """``function`` with its result number ``of`` taken from ``wrong``."""

    def mixed(*args):
        results = list(function(*args))
        results[of] = wrong(*args)
        return tuple(results)

    return mixed


def normal(*shapes, scale=1.0, shift=0.0, seed=0):
    """Draws arrays of normally distributed numbers."""

    def arrays():
        rng = np.random.default_rng(seed)
        return tuple([np.asarray(shift + scale * rng.standard_normal(s)) for s in shapes])

    return arrays


def spaced(shape, low=-2.0, high=2.0, seed=0):
    """Draws an array of evenly spaced numbers in random order: no ties, and no near ones."""

    def arrays():
        values = np.linspace(low, high, int(np.prod(shape)))
        return (np.random.default_rng(seed).permutation(values).reshape(shape),)

    return arrays


def given(*arrays):
    """Draws copies of these very numbers."""
    return lambda: tuple([np.array(a) for a in arrays])


def joined(*draws):
    """Draws what all of ``draws`` do, one after the other."""
    return lambda: tuple([a for draw in draws for a in draw()])


def elementwise(slope):
    """The backward of a function of each element by itself whose derivative is ``slope(x)``."""
    return lambda gy, x: gy * slope(x)
