"""Networks by name.

Each file of networks ends in a table: one ``register`` a line, one name a line.
"""

import inspect
from collections.abc import Callable
from dataclasses import dataclass

from tinyconv.names import nearest_or, plain

_MODELS: dict = {}
#: names and aliases -> names
_SPELLINGS: dict = {}


@dataclass(frozen=True)
class Entry:
    """A registered network.

    Attributes:
        name: its name in ``list_models()``.
        make: the function of that name.
        cls: the class that it makes.
        about: what it is, in a few words.
        input: (C, H, W) of the images that it was made for.
        aliases: shorter names that mean the same.
    """

    name: str
    make: Callable
    cls: type
    about: str
    input: tuple
    aliases: tuple


def register(name, cls, *args, about, input=(3, 224, 224), aliases=(), **defaults):
    """Give a network a name; the function of that name is returned.

    Args:
        name: as ``get_model`` shall know it.
        cls: the class that is made, with ``args`` and ``defaults``.
        about: what it is, in a few words.
        input: (C, H, W) of the images that it was made for.
        aliases: shorter names.
    """
    given = list(inspect.signature(cls).parameters.values())[len(args) :]
    free = {
        p.name: p.replace(kind=p.KEYWORD_ONLY, default=defaults.get(p.name, p.default))
        for p in given
    }

    def make(**options):
        for option, value in options.items():
            _check(name, option, value, free)
        return cls(*args, **{**defaults, **options})

    make.__signature__ = inspect.Signature(list(free.values()))  # what ``help`` shows
    make.__name__ = make.__qualname__ = name
    make.__module__ = cls.__module__
    make.__doc__ = f"``{cls.__name__}``: {about}. What the options mean: see there."
    _MODELS[name] = Entry(name, make, cls, about, tuple(input), tuple(aliases))
    for spelling in (name, *aliases):
        _SPELLINGS[spelling] = name
    return make


def _check(name, option, value, free):
    """Refuse what no network has, which would fail later or not at all."""
    if option not in free:
        raise TypeError(f"{name} has no option {option!r}; it has {', '.join(free)}")
    if option in ("in_channels", "num_classes") and value is not None and value < 1:
        raise ValueError(f"{name}: {option}={value} must be at least 1")
    if option.endswith("dropout") and not 0 <= value <= 1:
        raise ValueError(f"{name}: {option}={value} must be a probability from 0 to 1")


def list_models():
    """The names that ``get_model`` knows, aliases aside.

    >>> import tinyconv as tc
    >>> "resnet50" in tc.models.list_models()
    True
    """
    return list(_MODELS)


def find(name):
    """The ``Entry`` of a name or alias, spelled with large or small letters, '-' or '_'.

    Raises:
        ValueError: for an unknown name, with the nearest right ones.

    >>> import tinyconv as tc
    >>> tc.models.registry.find("ResNet-20").name
    'cifar_resnet20_A'
    """
    return _MODELS[_SPELLINGS[spelled(name)]]


def spelled(name):
    """The name or alias that ``name`` means, in its right spelling.

    >>> import tinyconv as tc
    >>> tc.models.registry.spelled("ResNet-20")
    'resnet20'
    """
    for known in _SPELLINGS:
        if plain(known) == plain(name):
            return known
    hint = nearest_or(name, _SPELLINGS, "`tinyconv models` lists them all")
    raise ValueError(f"unknown model {name!r}; {hint}")


def get_model(name, **options):
    """A new network by name; options go to its class.

    All take ``in_channels`` and ``num_classes``; those with auxiliary classifiers take
    ``aux_logits``.

    Raises:
        ValueError: for an unknown name, with the nearest right ones; for fewer than one channel or
            class, or a dropout that is no probability.
        TypeError: for an option that the network does not have.

    >>> import tinyconv as tc
    >>> tc.models.get_model("cifar_resnet20_A", in_channels=1).conv1.in_channels
    1
    """
    return find(name).make(**options)
