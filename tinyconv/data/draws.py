"""Random numbers for data: each a pure function of a key, none of a global state.

A *key* is a tuple of non-negative integers that begins with (seed, epoch); the part number
follows where a dataset is made of parts. Equal keys give equal numbers, in any thread and in
any process. Raw 64-bit words are used instead of ``Generator.permutation`` and the like because
NumPy keeps the words the same for ever, but not what those methods make of them.
"""

import operator

import numpy as np

from tinyconv.ops import random as ops_random

#: What the numbers are for: streams of one key that must not resemble each other.
ORDER, AUGMENT, SPLIT = range(3)

#: The key outside of any loader.
FIRST_KEY = (0, 0)


def _words(key, purpose, count):
    """``count`` random 64-bit words, as uint64."""
    seed, *rest = key
    # spawn_key, because entropy alone is padded with zeros: (7, 1) would equal (7, 1, 0)
    sequence = np.random.SeedSequence(seed, spawn_key=(purpose, *rest))
    return np.random.PCG64(sequence).random_raw(count)


def permutation(key, n, purpose=ORDER):
    """A permutation of ``range(n)``, int64 of shape (n,), that depends on the key alone.

    >>> from tinyconv.data.draws import permutation
    >>> sorted(permutation((0, 1), 4).tolist())
    [0, 1, 2, 3]
    """
    return np.argsort(_words(key, purpose, n), kind="stable")


def uniforms(key, rows, columns, purpose=AUGMENT):
    """Uniform numbers in [0, 1), float64 of shape (rows, columns): one row for each sample.

    >>> from tinyconv.data.draws import uniforms
    >>> table = uniforms((0, 1), rows=5, columns=3)
    >>> table.shape, bool((table == uniforms((0, 1), 5, 3)).all())
    ((5, 3), True)
    """
    words = _words(key, purpose, rows * columns)
    # the top 53 bits: exactly the float64 mantissa, so 1.0 itself cannot come out
    return ((words >> np.uint64(11)) * 2.0**-53).reshape(rows, columns)


def seed_of(generator):
    """The seed (int) behind an int, a ``Generator``, or None, the global generator.

    Raises:
        TypeError: for anything without an ``initial_seed()``.
        ValueError: for a negative int.

    >>> from tinyconv.data.draws import seed_of
    >>> seed_of(7)
    7
    """
    if generator is None:
        generator = ops_random.default_generator
    if hasattr(generator, "initial_seed"):
        return int(generator.initial_seed()) % 2**64  # PyTorch's may be negative
    try:
        seed = operator.index(generator)
    except TypeError:
        raise TypeError(
            f"generator: got {type(generator).__name__}, wants an int or a tinyconv Generator "
            "(anything with initial_seed()); for example tinyconv.Generator().manual_seed(0)"
        ) from None
    if seed < 0:
        raise ValueError(f"seed: got {seed}, must be 0 or more")
    return seed
