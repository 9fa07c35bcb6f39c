"""Marks for PyTorch's compiler, which mean nothing here; ``script`` and ``trace`` are absent."""

from typing import Final

from tinyconv import absent as _absent

__all__ = ["Final", "export", "ignore", "is_scripting", "is_tracing", "unused"]


def export(fn):
    """``fn`` itself."""
    return fn


def unused(fn):
    """``fn`` itself."""
    return fn


def ignore(drop=False, **options):
    """``@ignore`` and ``@ignore(drop=...)``: the function itself."""
    return drop if callable(drop) else export


def is_scripting() -> bool:
    """False."""
    return False


def is_tracing() -> bool:
    """False."""
    return False


def __getattr__(name):
    raise AttributeError(_absent.why(name, __name__))
