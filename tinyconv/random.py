"""The state of the random numbers, under PyTorch's address for it."""

from contextlib import contextmanager

from tinyconv.ops.random import (
    default_generator,
    get_rng_state,
    initial_seed,
    manual_seed,
    seed,
    set_rng_state,
)

__all__ = [
    "default_generator", "fork_rng", "get_rng_state", "initial_seed", "manual_seed", "seed",
    "set_rng_state",
]  # fmt: skip


@contextmanager
def fork_rng(devices=None, enabled=True):
    """What is drawn inside leaves no trace in what is drawn after.

    >>> import tinyconv as tc
    >>> _ = tc.manual_seed(0)
    >>> with tc.random.fork_rng():
    ...     x = tc.rand(2)
    >>> tc.equal(x, tc.rand(2))
    True
    """
    state = get_rng_state()
    try:
        yield
    finally:
        if enabled:
            set_rng_state(state)
