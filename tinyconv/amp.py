"""Mixed precision as scripts ask for it: numbers stay as they are, and nothing is scaled."""

import warnings
from contextlib import ContextDecorator

__all__ = ["GradScaler", "autocast", "is_autocast_enabled"]


def is_autocast_enabled(device_type=None) -> bool:
    """False."""
    return False


class autocast(ContextDecorator):
    """A context, or a decorator, in which all is computed as outside of it.

    >>> import tinyconv as tc
    >>> with tc.autocast("cpu", enabled=False):
    ...     (tc.ones(2) / 3).dtype
    dtype('float32')
    """

    def __init__(self, device_type, dtype=None, enabled=True, cache_enabled=None):
        self.device, self._enabled = device_type, False
        if enabled:
            warn("autocast")

    def __enter__(self):
        return self

    def __exit__(self, *error):
        return False


class GradScaler:
    """A scaler of losses that scales by 1: float32 gradients do not vanish.

    >>> scaler = GradScaler(enabled=False)
    >>> scaler.get_scale(), scaler.is_enabled()
    (1.0, False)
    """

    def __init__(
        self, device="cuda", init_scale=65536.0, growth_factor=2.0, backoff_factor=0.5,
        growth_interval=2000, enabled=True,
    ):  # fmt: skip
        if enabled:
            warn("GradScaler")

    def scale(self, outputs):
        """``outputs``, a Tensor or several, as they are."""
        return outputs

    def unscale_(self, optimizer):
        """Nothing: the gradients are not scaled."""

    def step(self, optimizer, *args, **kwargs):
        """``optimizer.step(*args, **kwargs)``."""
        return optimizer.step(*args, **kwargs)

    def update(self, new_scale=None):
        """Nothing."""

    def get_scale(self) -> float:
        """1.0."""
        return 1.0

    def is_enabled(self) -> bool:
        """False."""
        return False

    def state_dict(self) -> dict:
        """Empty."""
        return {}

    def load_state_dict(self, state_dict):
        """Nothing: there is no state."""


def warn(name):
    """Say that ``name`` was asked for and does nothing, at the line of the script."""
    warnings.warn(
        f"{name}: tinyconv does no mixed precision, numbers stay float32; "
        "enabled=False silences this",
        stacklevel=3,
    )
