"""``cuda.is_available()``: no. tinyconv computes on the CPU."""


def is_available() -> bool:
    """False, so that scripts choose the CPU.

    >>> import tinyconv as tc
    >>> tc.cuda.is_available()
    False
    """
    return False


def device_count() -> int:
    """0."""
    return 0
