"""Layers that do nothing but call a function, made from a line each."""

from tinyconv.nn.module import Module


def layer(module, name, function, **defaults):
    """A Module whose constructor takes ``defaults`` by position or name."""

    def __init__(self, *args, **kwargs):
        Module.__init__(self)
        if len(args) > len(defaults) or set(kwargs) - set(defaults):
            raise TypeError(f"{name}: takes {list(defaults)}, got {args} {kwargs}")
        self._options = {**defaults, **dict(zip(defaults, args)), **kwargs}
        for option, value in self._options.items():
            setattr(self, option, value)

    def forward(self, *inputs):
        return function(*inputs, **{option: getattr(self, option) for option in defaults})

    def extra_repr(self):
        changed = {o: getattr(self, o) for o in defaults if getattr(self, o) != defaults[o]}
        return ", ".join(f"{o}={v!r}" for o, v in changed.items())

    doc = f"``F.{function.__name__}`` as a layer. Arguments: {defaults or 'none'}."
    members = dict(__init__=__init__, forward=forward, extra_repr=extra_repr, __doc__=doc)
    return type(name, (Module,), {**members, "__module__": module})
