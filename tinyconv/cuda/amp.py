"""``autocast`` and ``GradScaler`` as older scripts call them, without naming a device."""

from tinyconv import amp

__all__ = ["GradScaler", "autocast"]


class autocast(amp.autocast):
    """``amp.autocast`` whose device is a GPU."""

    def __init__(self, enabled=True, dtype=None, cache_enabled=True):
        super().__init__("cuda", enabled=False)
        if enabled:
            amp.warn("autocast")


class GradScaler(amp.GradScaler):
    """``amp.GradScaler`` whose device is a GPU."""

    def __init__(
        self, init_scale=65536.0, growth_factor=2.0, backoff_factor=0.5, growth_interval=2000,
        enabled=True,
    ):  # fmt: skip
        super().__init__(enabled=False)
        if enabled:
            amp.warn("GradScaler")
