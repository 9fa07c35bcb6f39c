"""Datasets: something with a length and samples by index."""

import bisect
import copy
import itertools
import math
import warnings

import numpy as np

from tinyconv.autograd import Tensor
from tinyconv.data.collate import Columns
from tinyconv.data.draws import SPLIT, permutation, seed_of


class Dataset:
    """Base of all map-style datasets: override ``__getitem__`` and ``__len__``.

    Two optional methods make it faster and its randomness repeatable:

    - ``__getitems__(indices)`` returns the samples of a batch at once (a list, or ``Columns``);
    - ``for_epoch(key)`` returns a dataset whose random choices are fixed by ``key`` =
      (seed, epoch). The loader calls it at the start of each epoch and reads from what it
      returns, so a sample is a function of (seed, epoch, index), whoever reads it.

    >>> from tinyconv.data import Dataset
    >>> class Squares(Dataset):
    ...     def __len__(self):
    ...         return 10
    ...     def __getitem__(self, index):
    ...         return index * index
    >>> len(Squares() + Squares())
    20

    A dataset with randomness of its own:

    >>> import copy
    >>> import numpy as np
    >>> class Noisy(Squares):
    ...     key = (0, 0)
    ...     def for_epoch(self, key):
    ...         view = copy.copy(self)
    ...         view.key = key
    ...         return view
    ...     def __getitem__(self, index):
    ...         return index + np.random.default_rng((*self.key, index)).normal()
    >>> Noisy().for_epoch((0, 1))[3] == Noisy().for_epoch((0, 1))[3]
    True
    """

    def __getitem__(self, index):
        raise NotImplementedError(f"{type(self).__name__} needs a __getitem__(index)")

    def __len__(self):
        raise TypeError(f"{type(self).__name__} needs a __len__() that returns its sample count")

    def __add__(self, other):
        return ConcatDataset([self, other])

    def for_epoch(self, key):
        """This dataset with its random choices fixed by ``key``; here: nothing is random."""
        return self


def fetch(dataset, indices):
    """The samples at ``indices``, by the dataset's batch door if it has one."""
    if hasattr(dataset, "__getitems__"):
        return dataset.__getitems__(indices)
    return [dataset[index] for index in indices]


def for_epoch(dataset, key):
    """``dataset.for_epoch(key)``, for things that need not have it."""
    return dataset.for_epoch(key) if hasattr(dataset, "for_epoch") else dataset


class TensorDataset(Dataset):
    """Samples are tuples of rows of tensors with the same first dimension.

    Only values are read: no gradient flows back into ``tensors``.

    Args:
        tensors: Tensors or ndarrays (N, ...).

    Raises:
        ValueError: if there is none, one has no dimension, or first dimensions differ.

    >>> import numpy as np
    >>> from tinyconv.data import TensorDataset
    >>> data = TensorDataset(np.zeros((6, 3, 8, 8), np.float32), np.arange(6))
    >>> len(data), data[2][0].shape
    (6, (3, 8, 8))
    """

    def __init__(self, *tensors):
        self.tensors = tuple(t if isinstance(t, Tensor) else Tensor(np.asarray(t)) for t in tensors)
        shapes = [t.shape for t in self.tensors]
        if not shapes or any(len(shape) == 0 for shape in shapes):
            raise ValueError(
                f"TensorDataset: got shapes {shapes}, wants one or more tensors (N, ...), "
                "one row for each sample"
            )
        if len({shape[0] for shape in shapes}) > 1:
            raise ValueError(
                f"TensorDataset: size mismatch: shapes {shapes} differ in their first dimension, "
                "which is the number of samples; pass tensors with the same number of rows"
            )

    def __getitem__(self, index):
        return tuple(Tensor(t.array[index]) for t in self.tensors)

    def __getitems__(self, indices):
        return Columns([t.array[indices] for t in self.tensors])

    def __len__(self):
        return self.tensors[0].shape[0]


class Subset(Dataset):
    """The samples of ``dataset`` at ``indices``, in that order.

    Args:
        dataset: the whole.
        indices: sequence of ints.

    >>> from tinyconv.data import Subset
    >>> list(Subset("abcdef", [5, 0]))
    ['f', 'a']
    """

    def __init__(self, dataset, indices):
        self.dataset = dataset
        self.indices = indices

    def __getitem__(self, index):
        if isinstance(index, (list, slice)):
            picked = self.indices[index] if isinstance(index, slice) else self._map(index)
            return self.dataset[picked]
        return self.dataset[self.indices[index]]

    def __getitems__(self, indices):
        return fetch(self.dataset, self._map(indices))

    def _map(self, indices):
        return [self.indices[index] for index in indices]

    def __len__(self):
        return len(self.indices)

    def for_epoch(self, key):
        """The same samples of ``dataset.for_epoch(key)``: draws follow the whole's indices."""
        return _replaced(self, "dataset", for_epoch(self.dataset, key))


class ConcatDataset(Dataset):
    """Datasets laid end to end.

    Args:
        datasets: iterable of datasets with a length.

    Raises:
        ValueError: if there is none.

    >>> from tinyconv.data import ConcatDataset
    >>> joined = ConcatDataset(["abc", "de"])
    >>> len(joined), joined[3], joined[-1]
    (5, 'd', 'e')
    """

    def __init__(self, datasets):
        self.datasets = list(datasets)
        if not self.datasets:
            raise ValueError("ConcatDataset: got no dataset, wants one or more")
        self.cumulative_sizes = list(itertools.accumulate(len(d) for d in self.datasets))

    def __getitem__(self, index):
        part, inner = self._locate(index)
        return self.datasets[part][inner]

    def __getitems__(self, indices):
        # one call to each part, then back into the order asked for
        places = [self._locate(index) for index in indices]
        samples = [None] * len(places)
        for part in sorted({part for part, _ in places}):
            rows = [row for row, place in enumerate(places) if place[0] == part]
            found = fetch(self.datasets[part], [places[row][1] for row in rows])
            if len(rows) == len(places):
                return found
            for row, sample in zip(rows, found, strict=True):
                samples[row] = sample
        return samples

    def _locate(self, index):
        """(part number, index inside that part)."""
        n = len(self)
        if not -n <= index < n:
            raise IndexError(f"ConcatDataset: index {index} is out of range for {n} samples")
        index = index % n
        part = bisect.bisect_right(self.cumulative_sizes, index)
        return part, index - (self.cumulative_sizes[part - 1] if part else 0)

    def __len__(self):
        return self.cumulative_sizes[-1]

    def for_epoch(self, key):
        """Each part for the epoch; the part number joins the key, so equal parts draw apart."""
        parts = [for_epoch(d, (*key, part)) for part, d in enumerate(self.datasets)]
        return _replaced(self, "datasets", parts)


def _replaced(dataset, attribute, value):
    """A shallow copy with one attribute changed: epochs never share what they draw."""
    new = copy.copy(dataset)
    setattr(new, attribute, value)
    return new


def random_split(dataset, lengths, generator=None):
    """Split into non-overlapping ``Subset``s of the given lengths, at random.

    The split depends on the generator's ``initial_seed()`` alone: asked twice, it is the same.

    Args:
        dataset: anything with a length.
        lengths: ints that sum to ``len(dataset)``, or fractions that sum to 1 (each rounded
            down; what remains goes one by one to the first ones, as in PyTorch).
        generator: an int seed or a Generator; default: the global generator.

    Raises:
        ValueError: if lengths are negative or do not sum up, or fractions are outside [0, 1].

    >>> from tinyconv.data import random_split
    >>> [len(part) for part in random_split(range(11), [0.8, 0.2], generator=0)]
    [9, 2]
    """
    n = len(dataset)
    lengths = list(lengths)
    total = sum(lengths)
    if any(isinstance(x, (float, np.floating)) for x in lengths) or total == 1 != n:
        if not all(0 <= x <= 1 for x in lengths) or not math.isclose(total, 1):
            raise ValueError(
                f"random_split: got fractions {lengths}; they must be between 0 and 1 and sum "
                f"to 1 (here {total:g}). Give all as fractions, or all as counts."
            )
        lengths = [math.floor(n * x) for x in lengths]
        for k in range(n - sum(lengths)):
            lengths[k % len(lengths)] += 1
        for k, length in enumerate(lengths):
            if length == 0:
                warnings.warn(f"random_split: part {k} of {n} samples is empty", stacklevel=2)
    if any(length < 0 for length in lengths) or sum(lengths) != n:
        raise ValueError(
            f"random_split: got lengths {lengths}, which sum to {sum(lengths)}; they must be "
            f"0 or more and sum to the dataset's {n} samples"
        )
    order = permutation((seed_of(generator), 0), n, SPLIT).tolist()
    ends = itertools.accumulate(lengths)
    return [Subset(dataset, order[e - k : e]) for e, k in zip(ends, lengths, strict=True)]
