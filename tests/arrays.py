"""Arrays for tests: random shapes, every memory layout, values that keep away from kinks."""

import numpy as np
from hypothesis import strategies as st

from tinyconv.testing.cases import LAYOUTS, laid_out


def uniform(shape, low=-2.0, high=2.0, seed=0):
    return np.asarray(np.random.default_rng(seed).uniform(low, high, shape))


def spread(shape, seed=0, shift=0.0):
    """Numbers at least 0.25 from each other and 0.125 from zero, in random order."""
    size = int(np.prod(shape))
    values = (np.arange(size) - size // 2) * 0.25 + 0.125 + shift
    return np.random.default_rng(seed).permutation(values).reshape(shape)


def shapes(least=0, most=4, smallest=0):
    """Shapes of ``least`` to ``most`` axes, sizes 0, 1 and larger, at most 60 elements."""
    sizes = st.sampled_from([n for n in (1, 2, 3, 4, 5, 0) if n >= smallest])
    return (
        st.lists(sizes, min_size=least, max_size=most)
        .map(tuple)
        .filter(lambda shape: np.prod(shape) <= 60)
    )


seeds = st.integers(0, 1000)
layouts = st.sampled_from(LAYOUTS)

__all__ = ["laid_out", "layouts", "seeds", "shapes", "spread", "uniform"]
