"""Networks by name."""

import functools
from collections.abc import Callable

from tinyconv.models.inception_small import SmallInception
from tinyconv.models.lenet import LeNet5
from tinyconv.models.resnet_cifar import CifarResNet

_MODELS: dict[str, Callable] = {"lenet5": LeNet5, "inception_small": SmallInception}
for _depth in (20, 32, 44, 56, 110):
    for _shortcut in "AB":
        _MODELS[f"cifar_resnet{_depth}_{_shortcut}"] = functools.partial(
            CifarResNet, _depth, _shortcut
        )
_ABOUT = {"lenet5": "LeNet-5", "inception_small": "two Inception blocks"}


def list_models():
    """The names that ``get_model`` knows.

    >>> import tinyconv as tc
    >>> tc.models.list_models()[:2]
    ['lenet5', 'inception_small']
    """
    return list(_MODELS)


def describe(name):
    """A few words on a network of ``list_models()``.

    >>> from tinyconv.models.registry import describe
    >>> describe("cifar_resnet20_A")
    'residual net of depth 20, shortcuts padded with zeros'
    """
    make = _MODELS[name]
    if isinstance(make, functools.partial):
        depth, shortcut = make.args
        how = {"A": "padded with zeros", "B": "projected (1x1 convolutions)"}[shortcut]
        return f"residual net of depth {depth}, shortcuts {how}"
    return _ABOUT[name]


def get_model(name, **options):
    """A new network by name; options (``in_channels``, ``num_classes``) go to its class.

    Raises:
        ValueError: for an unknown name, with the nearest right ones.

    >>> import tinyconv as tc
    >>> tc.models.get_model("cifar_resnet20_A", in_channels=1).conv1.in_channels
    1
    """
    known = {n.lower(): n for n in _MODELS}
    key = str(name).lower().replace("-", "_")
    if key not in known:
        import difflib  # for a message only: not worth its part of every start-up

        near = difflib.get_close_matches(key, known, n=3, cutoff=0.4)
        hint = f"did you mean {' or '.join(known[n] for n in near)}?" if near else ""
        raise ValueError(f"unknown model {name!r}; {hint or 'there are ' + ', '.join(_MODELS)}")
    return _MODELS[known[key]](**options)
