"""The layers, one family a file; they have their names in ``tinyconv.nn``, and here."""

from tinyconv import nn


def __getattr__(name):
    return getattr(nn, name)
