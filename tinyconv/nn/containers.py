"""Modules that hold modules."""

import operator
from collections import OrderedDict

from tinyconv.nn.module import Module


class _Numbered(Module):
    """Children under the names '0', '1', ..."""

    def __len__(self):
        return len(self._modules)

    def __iter__(self):
        return iter(self._modules.values())

    def __getitem__(self, index):
        children = list(self._modules.values())
        if isinstance(index, slice):
            return self._of(children[index])
        try:
            return children[operator.index(index)]
        except IndexError:
            raise IndexError(f"index {index} is out of range for {len(children)} modules") from None

    def __setitem__(self, index, module):
        self.register_module(list(self._modules)[operator.index(index)], module)

    def append(self, module):
        """Add a module at the end; returns self."""
        self.register_module(str(len(self)), module)
        return self

    def extend(self, modules):
        """Add several modules at the end; returns self."""
        for module in modules:
            self.append(module)
        return self


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

    def _of(self, modules):
        return type(self)(*modules)

    def forward(self, x):
        for module in self._modules.values():
            x = module(x)
        return x


class ModuleList(_Numbered):
    """A list of modules, for forwards that loop over them.

    >>> import tinyconv as tc
    >>> len(tc.nn.ModuleList([tc.nn.ReLU(), tc.nn.ReLU()]))
    2
    """

    def __init__(self, modules=()):
        super().__init__()
        self.extend(modules)

    def _of(self, modules):
        return type(self)(modules)


class ModuleDict(Module):
    """A dict of modules, for forwards that pick them by name.

    >>> import tinyconv as tc
    >>> list(tc.nn.ModuleDict({"act": tc.nn.ReLU()}).keys())
    ['act']
    """

    def __init__(self, modules=None):
        super().__init__()
        self.update(modules or {})

    def update(self, modules):
        """Add or replace modules from a dict."""
        for name, module in dict(modules).items():
            self[name] = module

    def __getitem__(self, name):
        return self._modules[name]

    def __setitem__(self, name, module):
        self.register_module(name, module)

    def __delitem__(self, name):
        del self._modules[name]

    def __len__(self):
        return len(self._modules)

    def __iter__(self):
        return iter(self._modules)

    def __contains__(self, name):
        return name in self._modules

    def keys(self):
        """The names."""
        return self._modules.keys()

    def values(self):
        """The modules."""
        return self._modules.values()

    def items(self):
        """(name, module) pairs."""
        return self._modules.items()
