"""PyTorch's addresses for things that live elsewhere here: ``utils.data``, ``utils.checkpoint``."""

from tinyconv import absent as _absent
from tinyconv.utils import checkpoint, data

__all__ = ["checkpoint", "data"]


def __getattr__(name):
    raise AttributeError(_absent.why(name, __name__))
