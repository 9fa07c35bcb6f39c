from collections import namedtuple

import numpy as np
import pytest

from tinyconv.autograd import Tensor
from tinyconv.data import Columns, default_collate, default_convert


def test_arrays_and_tensors_are_stacked():
    a, b = np.ones((2, 3), np.float32), np.zeros((2, 3), np.float32)
    for samples in ([a, b], [Tensor(a), Tensor(b)]):
        batch = default_collate(samples)
        assert isinstance(batch, Tensor)
        assert batch.dtype == np.float32
        np.testing.assert_array_equal(batch.array, np.stack([a, b]))


@pytest.mark.parametrize(
    ("samples", "dtype"),
    [
        ([1, 2], np.int64),
        ([1.5, 2.0], np.float64),
        ([True, False], np.bool_),
        ([np.float32(1), np.float32(2)], np.float32),
        ([np.uint8(1), np.uint8(2)], np.uint8),
    ],
)
def test_numbers(samples, dtype):
    batch = default_collate(samples)
    assert batch.dtype == dtype
    assert batch.array.tolist() == samples


def test_nesting_is_kept():
    Pair = namedtuple("Pair", "image name")
    sample = {"x": (1, [2.0, "a"]), "p": Pair(np.zeros(4), "n")}
    batch = default_collate([sample, sample, sample])
    assert batch["x"][0].array.tolist() == [1, 1, 1]
    assert batch["x"][1][0].array.tolist() == [2.0] * 3
    assert batch["x"][1][1] == ["a"] * 3
    assert isinstance(batch["x"], list)
    assert isinstance(batch["p"], Pair)
    assert batch["p"].image.shape == (3, 4)


def test_columns_read_as_samples_and_are_not_stacked_again():
    x, y = np.arange(12.0).reshape(4, 3), np.arange(4)
    batch = Columns([x, y])
    assert [int(label.array) for _, label in batch] == [0, 1, 2, 3]
    assert len(batch[1:3]) == 2
    collated = default_collate(batch)
    assert np.shares_memory(collated[0].array, x)
    for fast, slow in zip(collated, default_collate(list(batch)), strict=True):
        assert fast.dtype == slow.dtype
        np.testing.assert_array_equal(fast.array, slow.array)


@pytest.mark.parametrize(
    ("samples", "kind", "message"),
    [
        ([], ValueError, "the batch is empty"),
        (
            [np.zeros((3, 4)), np.zeros((3, 5))],
            ValueError,
            r"samples 0 and 1 of the batch differ in shape: \(3, 4\) and \(3, 5\)",
        ),
        ([{"a": 1}, {"b": 1}], ValueError, "samples 0 and 1 of the batch differ in keys"),
        ([(1, 2), (1, 2), (1,)], ValueError, "samples 0 and 2 of the batch differ in length"),
        ([{"a": [np.zeros(2)]}, {"a": [np.zeros(3)]}], ValueError, r"\(field \['a'\]\[0\]\)"),
        ([object()], TypeError, "is a object; a batch is made of"),
        ([(1, None)], TypeError, r"field sample\[1\] is a NoneType"),
    ],
)
def test_what_cannot_be_a_batch(samples, kind, message):
    with pytest.raises(kind, match=message):
        default_collate(samples)


def test_convert_keeps_the_structure():
    sample = default_convert({"x": np.zeros((2, 3)), "y": [1, "text"], "z": np.float32(2)})
    assert sample["x"].shape == (2, 3)
    assert sample["y"] == [1, "text"]
    assert isinstance(sample["z"], Tensor)
