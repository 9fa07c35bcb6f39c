"""Layers that do nothing but call a function, made from a line each."""

import inspect

from tinyconv.nn.module import Module


def layer(module, name, function, shown="", /, **defaults):
    """A Module whose constructor takes ``defaults`` by position or name, ``...`` for required ones.

    ``shown``: what ``print`` tells of them ("alpha={alpha}"); ``inplace`` is added where it is set,
    but with None nothing is.
    """
    signature = inspect.Signature([
        inspect.Parameter(
            option, inspect.Parameter.POSITIONAL_OR_KEYWORD,
            default=inspect.Parameter.empty if value is ... else value,
        )
        for option, value in defaults.items()
    ])  # fmt: skip

    def __init__(self, *args, **kwargs):
        Module.__init__(self)
        try:
            given = signature.bind(*args, **kwargs)
        except TypeError as error:
            raise TypeError(f"{name}{signature}: {error}") from None
        given.apply_defaults()
        for option, value in given.arguments.items():
            setattr(self, option, value)

    def forward(self, *inputs):
        return function(*inputs, **{option: getattr(self, option) for option in defaults})

    def extra_repr(self):
        parts = [shown.format_map(vars(self))] if shown else []
        if shown is not None and getattr(self, "inplace", False):
            parts.append("inplace=True")
        return ", ".join(parts)

    __init__.__signature__ = signature.replace(
        parameters=[inspect.Parameter("self", inspect.Parameter.POSITIONAL_OR_KEYWORD)]
        + list(signature.parameters.values())
    )
    doc = f"``F.{function.__name__}`` as a layer. Arguments: {str(signature)[1:-1] or 'none'}."
    members = dict(__init__=__init__, forward=forward, extra_repr=extra_repr, __doc__=doc)
    return type(name, (Module,), {**members, "__module__": module})
