"""DataLoader: batches of a dataset, in an order that depends on (seed, epoch) alone."""

import itertools
import operator
from collections import deque
from functools import partial

from tinyconv.data.collate import collate, default_collate, default_convert
from tinyconv.data.dataset import fetch
from tinyconv.data.dataset import for_epoch as dataset_for_epoch
from tinyconv.data.draws import seed_of
from tinyconv.data.sampler import BatchSampler, RandomSampler, SequentialSampler
from tinyconv.data.sampler import for_epoch as sampler_for_epoch
from tinyconv.data.workers import Workers


class DataLoader:
    """Iterate over a dataset in batches, PyTorch's way; what comes is repeatable.

    The order of an epoch and every random choice in it are functions of ``(seed, epoch)``: the
    batches are the same for any number of workers, and each epoch has a new permutation.
    ``iter(loader)`` starts epoch 0, then 1, and so on; ``set_epoch`` chooses the next one, and
    ``iter_from`` starts in the middle of one.

    Args:
        dataset: has ``__getitem__`` and ``__len__``; ``__getitems__(indices)`` and
            ``for_epoch(key)`` are used where it has them (see ``Dataset``).
        batch_size: samples in a batch; None yields single samples, converted but not stacked.
        shuffle: new permutation each epoch (default False).
        sampler: iterable of indices, in place of ``shuffle``.
        batch_sampler: iterable of lists of indices, in place of ``batch_size``, ``shuffle``,
            ``sampler`` and ``drop_last``.
        num_workers: background threads that prepare batches ahead; 0 (default) prepares each
            batch when it is asked for. Order is kept; a worker's exception is raised here, with
            its traceback, in the place of its batch.
        collate_fn: makes a batch of a list of samples (default: ``default_collate``).
        drop_last: leave out a last batch that is not full.
        timeout: seconds to wait for a worker's batch; 0 (default) waits for ever.
        worker_init_fn: called in each worker with its number before it begins.
        generator: Generator or int whose seed is used (default: the global generator, so
            ``manual_seed`` counts).
        prefetch_factor: batches prepared ahead for each worker (default 2).
        persistent_workers: keep the threads from epoch to epoch.
        seed: int, 0 or more, in place of ``generator``.
        pin_memory, multiprocessing_context, pin_memory_device, in_order: accepted for scripts
            written for PyTorch; they mean nothing for threads on a CPU.

    Raises:
        ValueError: for an empty dataset, sizes below their minimum, or options that exclude
            each other.
        TypeError: if the dataset has no ``__getitem__`` or a count is no int.

    >>> import numpy as np
    >>> from tinyconv.data import DataLoader, TensorDataset
    >>> data = TensorDataset(np.zeros((10, 3, 8, 8), np.float32), np.arange(10))
    >>> loader = DataLoader(data, batch_size=4, shuffle=True, num_workers=2, seed=0)
    >>> [tuple(x.shape) for x, y in loader]
    [(4, 3, 8, 8), (4, 3, 8, 8), (2, 3, 8, 8)]
    """

    def __init__(
        self,
        dataset,
        batch_size=1,
        shuffle=None,
        sampler=None,
        batch_sampler=None,
        num_workers=0,
        collate_fn=None,
        pin_memory=False,
        drop_last=False,
        timeout=0,
        worker_init_fn=None,
        multiprocessing_context=None,
        generator=None,
        *,
        prefetch_factor=None,
        persistent_workers=False,
        pin_memory_device="",
        in_order=True,
        seed=None,
    ):
        _check_dataset(dataset)
        self.num_workers = _at_least(0, "num_workers", num_workers)
        if num_workers == 0 and (prefetch_factor is not None or persistent_workers):
            raise ValueError(
                "DataLoader: prefetch_factor and persistent_workers are about workers, and "
                "num_workers is 0; set num_workers to 1 or more or leave them out"
            )
        self.prefetch_factor = (
            (2 if num_workers else None)
            if prefetch_factor is None
            else _at_least(1, "prefetch_factor", prefetch_factor)
        )
        if timeout < 0:
            raise ValueError(f"DataLoader: timeout is {timeout} s, must be 0 (no limit) or more")
        if seed is not None and generator is not None:
            raise ValueError("DataLoader: got both seed and generator; give one of them")
        self._generator = generator if seed is None else seed
        seed_of(self._generator)  # a wrong one is told here, not at the first epoch

        self.dataset = dataset
        self.batch_size = batch_size
        self.drop_last = bool(drop_last)
        self.timeout = timeout
        self.worker_init_fn = worker_init_fn
        self.persistent_workers = bool(persistent_workers)
        self.pin_memory = bool(pin_memory)
        self.generator = generator
        self._workers = None
        self._epoch = 0
        self._begun = False

        _check_exclusive(batch_size, shuffle, sampler, batch_sampler, drop_last)
        if sampler is None:
            sampler = (RandomSampler if shuffle else SequentialSampler)(dataset)
        if batch_sampler is not None:
            self.batch_size = None
            sampler = getattr(batch_sampler, "sampler", sampler)
        elif batch_size is not None:
            _at_least(1, "batch_size", batch_size)
            batch_sampler = BatchSampler(sampler, batch_size, self.drop_last)
        self.sampler, self.batch_sampler = sampler, batch_sampler
        default = default_convert if batch_sampler is None else default_collate
        self.collate_fn = default if collate_fn is None else collate_fn

    @property
    def seed(self):
        """The seed (int) that, with the epoch, fixes all that is random."""
        return seed_of(self._generator)

    @property
    def epoch(self):
        """The epoch (int) begun last, or the one that ``iter`` will begin if none is."""
        return self._epoch

    def set_epoch(self, epoch):
        """Let the next ``iter(loader)`` begin ``epoch`` (int, 0 or more).

        >>> from tinyconv.data import DataLoader
        >>> loader = DataLoader(range(100), batch_size=100, shuffle=True, seed=0)
        >>> first = [batch.array.tolist() for batch in loader]
        >>> loader.set_epoch(0)
        >>> [batch.array.tolist() for batch in loader] == first
        True
        """
        self._epoch = _at_least(0, "epoch", epoch)
        self._begun = False

    def __len__(self):
        """The number of batches in an epoch."""
        return len(self._index_source)

    def __iter__(self):
        if self._begun:
            self._epoch += 1
        return self.iter_from(0)

    def iter_from(self, batch_index):
        """Iterate over epoch ``loader.epoch`` from its batch ``batch_index`` on.

        What comes is what an uninterrupted epoch gives from there: with ``set_epoch`` it resumes
        a run at the very batch where it stopped. Batches before it are skipped unread.

        Args:
            batch_index: int, 0 to ``len(loader)`` (which gives nothing).

        Raises:
            ValueError: if it lies outside.

        >>> from tinyconv.data import DataLoader
        >>> loader = DataLoader(range(100), batch_size=10, shuffle=True, seed=0)
        >>> whole = [batch.array.tolist() for batch in loader]
        >>> [batch.array.tolist() for batch in loader.iter_from(7)] == whole[7:]
        True
        """
        start = _at_least(0, "batch_index", batch_index)
        if start and start > self._length_or(start):
            raise ValueError(
                f"DataLoader: batch_index is {start}, but an epoch has {len(self)} batches; "
                f"give 0 to {len(self)}"
            )
        self._begun = True
        key = (self.seed, self._epoch)
        indices = iter(sampler_for_epoch(self._index_source, key))
        read = self._reader(dataset_for_epoch(self.dataset, key))
        calls = (partial(read, i) for i in itertools.islice(indices, start, None))
        return self._prepared_ahead(calls) if self.num_workers else (call() for call in calls)

    def _length_or(self, unknown):
        try:
            return len(self)
        except TypeError:  # a sampler need not have a length
            return unknown

    @property
    def _index_source(self):
        return self.sampler if self.batch_sampler is None else self.batch_sampler

    def _reader(self, dataset):
        """The function that makes a batch of its indices (or a sample of its index)."""
        collate_fn = self.collate_fn
        if self.batch_sampler is None:
            return lambda index: collate_fn(dataset[index])
        if collate_fn is default_collate:
            return lambda indices: collate(fetch(dataset, indices), indices, "of the dataset")
        return lambda indices: collate_fn(list(fetch(dataset, indices)))

    def _prepared_ahead(self, calls):
        """The results of ``calls`` in order, a bounded number of them computed ahead."""
        workers = self._workers or Workers(self.num_workers, self.worker_init_fn)
        if self.persistent_workers:
            self._workers = workers
        pending = deque()
        try:
            for call in itertools.islice(calls, self.num_workers * self.prefetch_factor):
                pending.append(workers.submit(call))
            while pending:
                batch = self._wait(pending.popleft())
                pending.extend(workers.submit(call) for call in itertools.islice(calls, 1))
                yield batch
        finally:  # the end, a break, an exception, or nobody holds this generator any more
            for job in pending:
                job.cancel()
            if not self.persistent_workers:
                workers.close()

    def _wait(self, job):
        if not job.wait(self.timeout or None):
            raise RuntimeError(
                f"DataLoader timed out: a worker gave no batch for {self.timeout} s. Look for what "
                "blocks in the dataset, raise timeout, or set it to 0 to wait for ever."
            )
        return job.result()


def _check_dataset(dataset):
    if not hasattr(dataset, "__getitem__"):
        raise TypeError(
            f"DataLoader: the dataset is a {type(dataset).__name__}, which has no __getitem__; "
            "give a Dataset, or put the samples of an iterable into a list first"
        )
    if hasattr(dataset, "__len__") and len(dataset) == 0:
        raise ValueError(
            "DataLoader: the dataset is empty (its length is 0), so there is no batch to give; "
            "look at the folder or the split that it was made from"
        )


def _check_exclusive(batch_size, shuffle, sampler, batch_sampler, drop_last):
    if sampler is not None and shuffle:
        raise ValueError("DataLoader: sampler and shuffle=True exclude each other; give one")
    if batch_sampler is not None and (
        batch_size != 1 or shuffle or sampler is not None or drop_last
    ):
        raise ValueError(
            "DataLoader: batch_sampler excludes batch_size, shuffle, sampler and drop_last: "
            "it decides all four; leave them out"
        )
    if batch_size is None and drop_last:
        raise ValueError(
            "DataLoader: batch_size=None gives single samples, so drop_last has nothing to drop"
        )


def _at_least(least, name, value):
    """``value`` as an int, checked."""
    if isinstance(value, bool) or not hasattr(value, "__index__"):
        raise TypeError(f"DataLoader: {name} is {value!r}, must be an int, {least} or more")
    if value < least:
        raise ValueError(f"DataLoader: {name} is {value}, must be an int, {least} or more")
    return operator.index(value)
