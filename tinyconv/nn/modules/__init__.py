"""The layers, one family a file; they have their names in ``tinyconv.nn``, and here."""

from tinyconv import nn
from tinyconv.nn.modules import utils  # noqa: F401  (not nn.utils)


def __getattr__(name):
    return getattr(nn, name)
