"""Samplers: in which order the samples of an epoch come, and how they are grouped."""

import copy
import itertools
import operator

import numpy as np

from tinyconv.data.draws import FIRST_KEY, ORDER, permutation, seed_of, uniforms


class Sampler:
    """Base of all samplers: override ``__iter__`` (yields indices) and ``__len__``.

    The optional ``for_epoch(key)`` returns the sampler of one epoch, key = (seed, epoch); the
    loader calls it, so that the order depends on (seed, epoch) alone. A sampler without it
    that has PyTorch's ``set_epoch(epoch)`` gets that call instead.

    Args:
        generator: an int seed or a Generator that takes the place of the key's seed.

    >>> from tinyconv.data import RandomSampler
    >>> sampler = RandomSampler(range(5))
    >>> list(sampler.for_epoch((0, 3))) == list(sampler.for_epoch((0, 3)))
    True
    """

    generator = None
    _given = FIRST_KEY

    def __iter__(self):
        raise NotImplementedError(f"{type(self).__name__} needs an __iter__ that yields indices")

    def for_epoch(self, key):
        """This sampler with its random choices fixed by ``key``."""
        new = copy.copy(self)
        new._given = key
        return new

    @property
    def _key(self):
        if self.generator is None:
            return self._given
        return (seed_of(self.generator), *self._given[1:])


def for_epoch(sampler, key):
    """The sampler of one epoch, whichever of the two methods it has."""
    if hasattr(sampler, "for_epoch"):
        return sampler.for_epoch(key)
    if hasattr(sampler, "set_epoch"):
        sampler.set_epoch(key[1])
    return sampler


class SequentialSampler(Sampler):
    """0, 1, ... in order.

    Args:
        data_source: anything with a length.

    >>> from tinyconv.data import SequentialSampler
    >>> list(SequentialSampler("abc"))
    [0, 1, 2]
    """

    def __init__(self, data_source):
        self.data_source = data_source

    def __iter__(self):
        return iter(range(len(self.data_source)))

    def __len__(self):
        return len(self.data_source)


class RandomSampler(Sampler):
    """A new permutation of all indices each epoch, or indices drawn with replacement.

    Args:
        data_source: anything with a length.
        replacement: draw each index independently (default False).
        num_samples: how many indices (default: the length of ``data_source``); without
            replacement, further permutations follow when it is larger.
        generator: an int seed or a Generator (default: the loader's seed).

    Raises:
        ValueError: if there is nothing to draw from, or ``num_samples`` is below 1.

    >>> from tinyconv.data import RandomSampler
    >>> sorted(RandomSampler("abc"))
    [0, 1, 2]
    """

    def __init__(self, data_source, replacement=False, num_samples=None, generator=None):
        self.data_source = data_source
        self.replacement = replacement
        self._num_samples = num_samples
        self.generator = generator
        if len(data_source) == 0:
            raise ValueError("RandomSampler: the data source is empty; give one with samples")
        if num_samples is not None and operator.index(num_samples) < 1:
            raise ValueError(f"RandomSampler: num_samples is {num_samples}, must be 1 or more")

    @property
    def num_samples(self):
        return len(self.data_source) if self._num_samples is None else self._num_samples

    def __iter__(self):
        n, count = len(self.data_source), self.num_samples
        if self.replacement:
            order = (uniforms(self._key, count, 1, ORDER)[:, 0] * n).astype(np.int64)
        else:
            laps = range(-(-count // n))
            order = np.concatenate([permutation((*self._key, lap), n) for lap in laps])[:count]
        return iter(order.tolist())

    def __len__(self):
        return self.num_samples


class SubsetRandomSampler(Sampler):
    """The given indices in a new random order each epoch.

    Args:
        indices: sequence of ints.
        generator: an int seed or a Generator (default: the loader's seed).

    >>> from tinyconv.data import SubsetRandomSampler
    >>> sorted(SubsetRandomSampler([7, 3, 5]))
    [3, 5, 7]
    """

    def __init__(self, indices, generator=None):
        self.indices = indices
        self.generator = generator

    def __iter__(self):
        order = permutation(self._key, len(self.indices))
        return (self.indices[k] for k in order.tolist())

    def __len__(self):
        return len(self.indices)


class WeightedRandomSampler(Sampler):
    """Indices drawn with probabilities proportional to ``weights``.

    Args:
        weights: sequence (N,) of numbers, 0 or more, not all 0.
        num_samples: how many to draw, 1 or more.
        replacement: whether an index may come twice (default True).
        generator: an int seed or a Generator (default: the loader's seed).

    Raises:
        ValueError: for bad weights, or if ``num_samples`` is below 1 or, without replacement,
            above the number of weights that are not 0.

    >>> from tinyconv.data import WeightedRandomSampler
    >>> sorted(WeightedRandomSampler([1.0, 0.0, 2.0], num_samples=2, replacement=False))
    [0, 2]
    """

    def __init__(self, weights, num_samples, replacement=True, generator=None):
        self.weights = np.asarray(getattr(weights, "array", weights), np.float64)
        self.num_samples = operator.index(num_samples)
        self.replacement = replacement
        self.generator = generator
        w = self.weights
        if w.ndim != 1 or not np.isfinite(w).all() or (w < 0).any() or not w.any():
            raise ValueError(
                f"WeightedRandomSampler: weights must be one row of finite numbers, 0 or more and "
                f"not all 0; got shape {w.shape} with values from {w.min(initial=np.inf):g} to "
                f"{w.max(initial=-np.inf):g}"
            )
        most = np.inf if replacement else np.count_nonzero(w)
        if not 1 <= self.num_samples <= most:
            raise ValueError(
                f"WeightedRandomSampler: num_samples is {num_samples}, must be 1 or more"
                + ("" if replacement else f" and, without replacement, at most {most} (the "
                   "weights that are not 0)")
            )  # fmt: skip

    def __iter__(self):
        count, w = self.num_samples, self.weights
        if self.replacement:
            ends = np.cumsum(w)
            draws = uniforms(self._key, count, 1, ORDER)[:, 0] * ends[-1]
            # rounding may put a draw on the very end: the last index with a weight takes it
            order = np.minimum(np.searchsorted(ends, draws, side="right"), np.flatnonzero(w)[-1])
        else:
            # exponential races: the first `count` to finish are such a draw (Efraimidis 2006)
            able = np.flatnonzero(w)
            draws = uniforms(self._key, len(able), 1, ORDER)[:, 0]
            order = able[np.argsort(-np.log1p(-draws) / w[able], kind="stable")[:count]]
        return iter(order.tolist())

    def __len__(self):
        return self.num_samples


class BatchSampler(Sampler):
    """Lists of ``batch_size`` indices of another sampler.

    Args:
        sampler: iterable of indices.
        batch_size: indices in each list, 1 or more.
        drop_last: leave out a last list that is not full.

    Raises:
        ValueError: if ``batch_size`` is not an int, 1 or more.

    >>> from tinyconv.data import BatchSampler
    >>> list(BatchSampler(range(5), batch_size=2, drop_last=False))
    [[0, 1], [2, 3], [4]]
    """

    def __init__(self, sampler, batch_size, drop_last):
        self.sampler = sampler
        self.batch_size = batch_size
        self.drop_last = drop_last
        if isinstance(batch_size, bool) or not hasattr(batch_size, "__index__") or batch_size < 1:
            raise ValueError(f"batch_size is {batch_size!r}, must be an int, 1 or more")

    def __iter__(self):
        indices = iter(self.sampler)
        while batch := list(itertools.islice(indices, self.batch_size)):
            if len(batch) == self.batch_size or not self.drop_last:
                yield batch

    def __len__(self):
        whole, rest = divmod(len(self.sampler), self.batch_size)
        return whole + bool(rest and not self.drop_last)

    def for_epoch(self, key):
        new = copy.copy(self)
        new.sampler = for_epoch(self.sampler, key)
        return new
