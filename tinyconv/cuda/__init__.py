"""``cuda.is_available()``: no. tinyconv computes on the CPU."""

import importlib


def is_available() -> bool:
    """False, so that scripts choose the CPU.

    >>> import tinyconv as tc
    >>> tc.device("cuda" if tc.cuda.is_available() else "cpu")
    device(type='cpu')
    """
    return False


def is_bf16_supported(including_emulation=True) -> bool:
    """False."""
    return False


def device_count() -> int:
    """0."""
    return 0


def _nothing(name):
    def call(*args, **kwargs):
        return None

    call.__name__ = call.__qualname__ = name
    call.__doc__ = "Does nothing: there is no GPU."
    return call


# what scripts call whether there is a GPU or not
manual_seed = _nothing("manual_seed")
manual_seed_all = _nothing("manual_seed_all")
empty_cache = _nothing("empty_cache")
synchronize = _nothing("synchronize")


def memory_allocated(device=None) -> int:
    """0."""
    return 0


max_memory_allocated = memory_reserved = max_memory_reserved = memory_allocated
reset_peak_memory_stats = _nothing("reset_peak_memory_stats")


def __getattr__(name):
    if name == "amp":
        return importlib.import_module("tinyconv.cuda.amp")
    raise AttributeError(
        f"tinyconv.cuda has no {name}: tinyconv computes on the CPU only (ask cuda.is_available())"
    )
