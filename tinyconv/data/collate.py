"""From samples to a batch: stack what can be stacked, keep the nesting."""

from collections.abc import Mapping, Sequence

import numpy as np

from tinyconv.autograd import Tensor


class Columns(Sequence):
    """A batch held column by column that reads as the list of its samples.

    ``__getitems__`` of an array-backed dataset returns it: to a ``collate_fn`` it is a sequence
    of samples as in PyTorch, and ``default_collate`` takes the columns without stacking again.

    Args:
        columns: ndarrays (N, ...), one for each field of a sample.
        sample: builds one sample from its fields; default: a tuple of Tensors.

    >>> import numpy as np
    >>> from tinyconv.data import Columns
    >>> batch = Columns([np.zeros((4, 3)), np.arange(4)])
    >>> len(batch), batch[1][0].shape
    (4, (3,))
    """

    def __init__(self, columns, sample=None):
        self.columns = tuple(columns)
        self._sample = sample or (lambda *fields: tuple(Tensor(field) for field in fields))

    def __len__(self):
        return len(self.columns[0])

    def __getitem__(self, index):
        if isinstance(index, slice):
            return Columns([column[index] for column in self.columns], self._sample)
        return self._sample(*(column[index] for column in self.columns))


def default_collate(batch):
    """Make one batch of a list of samples; the outermost dimension is the sample.

    Tensors, ndarrays and numbers become Tensors of shape (N, ...) (Python floats as float64,
    ints as int64); strings stay a list; tuples and lists become a list of collated fields,
    named tuples and mappings keep their type.

    Raises:
        ValueError: for an empty batch, or for samples that differ in shape, length or keys.
        TypeError: for a type that is none of the above.

    >>> import numpy as np
    >>> from tinyconv.data import default_collate
    >>> x, y = default_collate([(np.zeros((3, 8, 8)), 1), (np.ones((3, 8, 8)), 0)])
    >>> x.shape, y.array.tolist()
    ((2, 3, 8, 8), [1, 0])
    """
    return collate(batch, range(len(batch)), "of the batch")


def collate(batch, indices, of):
    """``default_collate`` that names samples in errors as ``indices`` ``of`` something."""
    if len(batch) == 0:
        raise ValueError(
            "default_collate: the batch is empty, and an empty list has no shape; "
            "let the batch sampler give at least one index for each batch"
        )
    if isinstance(batch, Columns):
        return [Tensor(column) for column in batch.columns]
    return _stack(batch, indices, of, "")


def _stack(batch, indices, of, field):
    first = batch[0]
    if isinstance(first, (str, bytes)):
        return list(batch)
    if isinstance(first, (Tensor, np.ndarray)):
        arrays = [item.array if isinstance(item, Tensor) else np.asarray(item) for item in batch]
        _check_equal([array.shape for array in arrays], "shape", indices, of, field)
        return Tensor(np.stack(arrays))
    if isinstance(first, (np.generic, bool, int, float)):
        return Tensor(np.array(batch))
    if isinstance(first, Mapping):
        _check_equal([tuple(sorted(map(str, item))) for item in batch], "keys", indices, of, field)
        fields = {
            key: _stack([item[key] for item in batch], indices, of, f"{field}[{key!r}]")
            for key in first
        }
        try:
            return type(first)(fields)
        except TypeError:  # a mapping type with another constructor
            return fields
    if isinstance(first, Sequence):
        _check_equal([len(item) for item in batch], "length", indices, of, field)
        fields = [
            _stack(items, indices, of, f"{field}[{k}]")
            for k, items in enumerate(zip(*batch, strict=True))
        ]
        return type(first)(*fields) if hasattr(first, "_fields") else fields
    raise TypeError(
        f"default_collate: field sample{field} is a {type(first).__name__}; a batch is made of "
        "Tensors, arrays, numbers, strings, and tuples, lists or dicts of them. Convert it in "
        "the dataset or pass a collate_fn."
    )


def _check_equal(values, what, indices, of, field):
    for k, value in enumerate(values):
        if value != values[0]:
            advice = (
                "Crop or resize to one size in the dataset, "
                if what == "shape"
                else "Make the samples alike in the dataset, "
            )
            raise ValueError(
                f"default_collate: samples {indices[0]} and {indices[k]} {of} differ in {what}"
                f"{f' (field {field})' if field else ''}: {values[0]} and {value}; one batch "
                f"needs one {what}. {advice}pass a collate_fn that pads them, "
                "or use batch_size=1."
            )


def default_convert(data):
    """Make Tensors of the ndarrays in one sample; what ``batch_size=None`` uses.

    >>> import numpy as np
    >>> from tinyconv.data import default_convert
    >>> default_convert((np.zeros((2, 3)), "name"))[0].shape
    (2, 3)
    """
    if isinstance(data, (np.ndarray, np.generic)) and data.dtype.kind not in "USO":
        return Tensor(data)
    if isinstance(data, Mapping):
        return {key: default_convert(value) for key, value in data.items()}
    if isinstance(data, tuple) and hasattr(data, "_fields"):
        return type(data)(*map(default_convert, data))
    if isinstance(data, Sequence) and not isinstance(data, (str, bytes)):
        return [default_convert(value) for value in data]
    return data
