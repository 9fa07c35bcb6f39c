"""Names for annotations, at PyTorch's address."""

from tinyconv.ops.dtypes import Size
from tinyconv.ops.shape import device_type

__all__ = ["Device", "Number"]

Device = str | int | device_type | None
Number = int | float | bool
_int, _float, _bool = int, float, bool
_size = Size | list[int] | tuple[int, ...]
