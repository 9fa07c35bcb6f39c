"""What scripts for PyTorch set before they train, and what changes nothing here."""

from tinyconv.ops.shape import check_device, device_type

__all__ = [
    "are_deterministic_algorithms_enabled", "compile", "get_default_device",
    "get_float32_matmul_precision", "set_default_device", "set_float32_matmul_precision",
    "use_deterministic_algorithms",
]  # fmt: skip


def compile(model=None, **how):
    """``model`` itself, a module or a function: the kernels are compiled anyway.

    >>> import tinyconv as tc
    >>> net = tc.nn.ReLU()
    >>> tc.compile(net) is net
    True
    """
    return _itself if model is None else model


def _itself(model):
    return model


def use_deterministic_algorithms(mode, *, warn_only=False):
    """Nothing: results are the same in every run, and for any number of threads."""


def are_deterministic_algorithms_enabled() -> bool:
    """True."""
    return True


def set_float32_matmul_precision(precision):
    """Nothing but a look at the name: products of float32 are taken in float32.

    Raises:
        ValueError: unless it is ``'highest'``, ``'high'`` or ``'medium'``.
    """
    if precision not in ("highest", "high", "medium"):
        raise ValueError(
            f"set_float32_matmul_precision: wants 'highest', 'high' or 'medium', got {precision!r}"
        )


def get_float32_matmul_precision() -> str:
    """``'highest'``."""
    return "highest"


def set_default_device(device):
    """Nothing for the CPU.

    Raises:
        RuntimeError: for another device.
    """
    check_device(device)


def get_default_device() -> device_type:
    """``device('cpu')``."""
    return device_type("cpu")
