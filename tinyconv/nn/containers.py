"""Modules that hold modules or parameters."""

import operator
from collections import OrderedDict
from collections.abc import MutableMapping
from itertools import groupby
from typing import Any

from tinyconv.autograd import Tensor
from tinyconv.nn.module import Module, Parameter


class _Numbered(Module):
    """Members under the names '0', '1', ..., as a list."""

    #: the table of the members
    _table = "_modules"
    _register: Any = Module.register_module

    def _members(self):
        return getattr(self, self._table)

    def __len__(self):
        return len(self._members())

    def __iter__(self):
        return iter(list(self._members().values()))

    def _name(self, index):
        """The name of the member at a place, which may be counted from the end."""
        names = list(self._members())
        try:
            return names[operator.index(index)]
        except IndexError:
            count = f"{len(names)} {self._table[1:]}"
            raise IndexError(f"index {index} is out of range for {count}") from None

    def __getitem__(self, index):
        if isinstance(index, slice):
            return type(self)(list(self)[index])
        return self._members()[self._name(index)]

    def __setitem__(self, index, member):
        self._register(self._name(index), member)

    def __delitem__(self, index):
        keep = list(self)
        del keep[index if isinstance(index, slice) else operator.index(index)]
        self._refill(keep)

    def _refill(self, members):
        for name in list(self._members()):
            delattr(self, name)
        self.extend(members)

    def append(self, member):
        """Add one at the end; returns self."""
        at = len(self)
        while str(at) in self._members():  # a slice keeps its names: '1' may be the first
            at += 1
        self._register(str(at), member)
        return self

    def extend(self, members):
        """Add several at the end; returns self."""
        for member in list(members):
            self.append(member)
        return self

    def insert(self, index, member):
        """Put one in front of the place ``index``; returns self."""
        keep = list(self)
        keep.insert(index, member)
        self._refill(keep)
        return self

    def pop(self, index=-1):
        """Take one out, and return it."""
        member = self[index]
        del self[index]
        return member

    def __add__(self, others):
        if not isinstance(others, (list, tuple, _Numbered)):
            return NotImplemented
        joined = self[:]
        joined._refill([*self, *others])  # with names counted from 0
        return joined

    def __iadd__(self, others):
        return self.extend(others)


class Sequential(_Numbered):
    """Modules called one after the other.

    >>> import tinyconv as tc
    >>> net = tc.nn.Sequential(tc.nn.Linear(3, 4), tc.nn.ReLU(), tc.nn.Linear(4, 2))
    >>> net(tc.zeros(5, 3)).shape
    (5, 2)
    """

    def __init__(self, *modules):
        super().__init__()
        if len(modules) == 1 and isinstance(modules[0], OrderedDict):
            for name, module in modules[0].items():
                self.register_module(name, module)
        else:
            self.extend(modules)

    def __getitem__(self, index):
        if isinstance(index, slice):  # with the names that they have
            return type(self)(OrderedDict(list(self._modules.items())[index]))
        return super().__getitem__(index)

    def forward(self, input):
        for module in self._modules.values():
            input = module(input)
        return input


class ModuleList(_Numbered):
    """A list of modules, for forwards that loop over them.

    >>> import tinyconv as tc
    >>> len(tc.nn.ModuleList([tc.nn.ReLU(), tc.nn.ReLU()]))
    2
    """

    def __init__(self, modules=None):
        super().__init__()
        self.extend(() if modules is None else modules)

    def __repr__(self):
        if not len(self):
            return f"{self._get_name()}()"
        lines, at = [], 0
        for text, same in groupby(map(repr, self)):  # equal ones in a row are counted
            count = len(list(same))
            name = f"{at}-{at + count - 1}" if count > 1 else str(at)
            times = f"{count} x " if count > 1 else ""
            lines.append(f"({name}): {times}{text}".replace("\n", "\n  "))
            at += count
        return "\n  ".join([f"{self._get_name()}(", *lines]) + "\n)"


class ParameterList(_Numbered):
    """A list of Parameters; Tensors become Parameters.

    >>> import tinyconv as tc
    >>> weights = tc.nn.ParameterList([tc.zeros(2, 3), tc.zeros(2)])
    >>> [name for name, _ in weights.named_parameters()]
    ['0', '1']
    """

    _table = "_parameters"

    def __init__(self, values=None):
        super().__init__()
        self.extend(() if values is None else values)

    def _register(self, name, value):
        self.register_parameter(name, _parameter(value))

    def extra_repr(self):
        return _listed(self._parameters)


class _Named(Module, MutableMapping):
    """Members by name, as a dict."""

    _table = "_modules"
    _register: Any = Module.register_module
    __eq__, __hash__ = object.__eq__, object.__hash__  # a module is itself, and no value

    def _members(self):
        return getattr(self, self._table)

    def __getitem__(self, name):
        return self._members()[name]

    def __setitem__(self, name, member):
        self._register(name, member)

    def __delitem__(self, name):
        if name not in self._members():
            raise KeyError(name)
        delattr(self, name)

    def __len__(self):
        return len(self._members())

    def __iter__(self):
        return iter(list(self._members()))

    def __contains__(self, name):
        return name in self._members()


class ModuleDict(_Named):
    """A dict of modules, for forwards that pick them by name.

    >>> import tinyconv as tc
    >>> list(tc.nn.ModuleDict({"act": tc.nn.ReLU()}).keys())
    ['act']
    """

    def __init__(self, modules=None):
        super().__init__()
        self.update(modules or {})


class ParameterDict(_Named):
    """A dict of Parameters; Tensors become Parameters.

    >>> import tinyconv as tc
    >>> tc.nn.ParameterDict({"scale": tc.ones(3)})["scale"].requires_grad
    True
    """

    _table = "_parameters"

    def __init__(self, parameters=None):
        super().__init__()
        self.update(parameters or {})

    def _register(self, name, value):
        self.register_parameter(name, _parameter(value))

    def extra_repr(self):
        return _listed(self._parameters)


def _parameter(value):
    return Parameter(value) if type(value) is Tensor else value


def _listed(parameters):
    return "\n".join(
        f"({name}): Parameter containing: [{p.dtype} of size {'x'.join(map(str, p.shape))}]"
        for name, p in parameters.items()
    )
