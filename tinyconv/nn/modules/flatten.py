"""Layers that change the shape."""

from tinyconv.nn.module import Module
from tinyconv.ops.rearrange import unflatten
from tinyconv.ops.shape import flatten


class Flatten(Module):
    """Join all axes but the batch into one."""

    def __init__(self, start_dim=1, end_dim=-1):
        super().__init__()
        self.start_dim, self.end_dim = start_dim, end_dim

    def forward(self, input):
        return flatten(input, self.start_dim, self.end_dim)

    def extra_repr(self):
        return f"start_dim={self.start_dim}, end_dim={self.end_dim}"


class Unflatten(Module):
    """Take the axis ``dim`` apart into ``unflattened_size``."""

    def __init__(self, dim, unflattened_size):
        super().__init__()
        sizes = unflattened_size if isinstance(unflattened_size, (tuple, list)) else [None]
        if not all(isinstance(n, int) for n in (dim, *sizes)):
            raise TypeError(
                f"Unflatten: dim={dim!r}, unflattened_size={unflattened_size!r}; wants a whole "
                "number and a tuple of them"
            )
        self.dim, self.unflattened_size = dim, unflattened_size

    def forward(self, input):
        return unflatten(input, self.dim, self.unflattened_size)

    def extra_repr(self):
        return f"dim={self.dim}, unflattened_size={self.unflattened_size}"
