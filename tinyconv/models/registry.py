"""Networks by name.

Each file of networks ends in a table: one ``register`` a line, one name a line.
"""

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

    def make(**options):
        return cls(*args, **{**defaults, **options})

    make.__name__ = make.__qualname__ = name
    make.__module__ = cls.__module__
    make.__doc__ = f"``{cls.__name__}``: {about}. Options: see there."
    _MODELS[name] = Entry(name, make, cls, about, tuple(input), tuple(aliases))
    for spelling in (name, *aliases):
        _SPELLINGS[spelling] = name
    return make


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

    >>> from tinyconv.models.registry import find
    >>> find("ResNet-20").name
    'cifar_resnet20_A'
    """
    return _MODELS[_SPELLINGS[spelled(name)]]


def spelled(name):
    """The name or alias that ``name`` means, in its right spelling.

    >>> from tinyconv.models.registry import spelled
    >>> spelled("ResNet-20")
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
        ValueError: for an unknown name, with the nearest right ones.

    >>> import tinyconv as tc
    >>> tc.models.get_model("cifar_resnet20_A", in_channels=1).conv1.in_channels
    1
    """
    return find(name).make(**options)
