"""The members of a module: which of its attributes are parameters, buffers and children."""

from collections.abc import MutableMapping


class Members(MutableMapping):
    """The members of one kind by name: a view of the module's attributes.

    A member is an attribute like any other, so that it is found as fast; besides, its name stands
    in the ``names`` of its kind, in the order in which they came.
    """

    __slots__ = ("attributes", "names")

    def __init__(self, attributes, names):
        self.attributes, self.names = attributes, names

    def __getitem__(self, name):
        if name not in self.names:
            raise KeyError(name)
        return self.attributes[name]

    def __setitem__(self, name, value):
        self.names[name] = None
        self.attributes[name] = value

    def __delitem__(self, name):
        del self.names[name], self.attributes[name]

    def __iter__(self):
        return iter(self.names)

    def __len__(self):
        return len(self.names)
