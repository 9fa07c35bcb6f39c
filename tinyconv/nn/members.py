"""The members of a module: which of its attributes are parameters, buffers and children."""

from collections.abc import MutableMapping

#: where the names of the members stand among a module's attributes: {kind: {name: None}}, in order
NAMES = "_tinyconv_members"
KINDS = "parameters", "buffers", "modules"


class Members(MutableMapping):
    """The members of one kind by name: a view of the module's attributes, which writes through.

    A member is an attribute like any other, so that it is found as fast; besides, its name stands
    among the names of its kind, and of no other.
    """

    __slots__ = ("attributes", "kind")

    def __init__(self, attributes, kind):
        self.attributes, self.kind = attributes, kind

    @property
    def names(self):
        return self.attributes[NAMES][self.kind]

    def __getitem__(self, name):
        if name not in self.names:
            raise KeyError(name)
        return self.attributes[name]

    def __setitem__(self, name, value):
        for kind, names in self.attributes[NAMES].items():
            if kind != self.kind:
                names.pop(name, None)
        self.names[name] = None  # a replaced one keeps its place in the order
        self.attributes[name] = value

    def __delitem__(self, name):
        del self.names[name], self.attributes[name]

    def __iter__(self):
        return iter(self.names)

    def __len__(self):
        return len(self.names)

    def __repr__(self):
        return repr(self.copy())

    def copy(self):
        """The members as they are now, in a dict of their own."""
        return dict(self)


def members(kind):
    """The attribute of a module that holds its members of one kind."""

    def replace(module, new):
        new, table = dict(new), Members(module.__dict__, kind)
        table.clear()
        table.update(new)

    return property(lambda module: Members(module.__dict__, kind), replace)


def kind_of(module, name):
    """The kind of the member of that name, or None."""
    for kind, names in module.__dict__[NAMES].items():
        if name in names:
            return kind
    return None
