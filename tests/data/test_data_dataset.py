import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tinyconv.autograd import Tensor
from tinyconv.data import (
    BatchSampler,
    ConcatDataset,
    Dataset,
    RandomSampler,
    Subset,
    SubsetRandomSampler,
    TensorDataset,
    WeightedRandomSampler,
    default_collate,
    random_split,
)


def test_tensor_dataset_rows_and_batches():
    x, y = np.arange(24.0).reshape(4, 3, 2), np.arange(4)
    rows = TensorDataset(Tensor(x), y)
    assert len(rows) == 4
    assert isinstance(rows[2][0], Tensor)
    np.testing.assert_array_equal(rows[2][0].array, x[2])
    np.testing.assert_array_equal(rows[1:3][0].array, x[1:3])
    fast = default_collate(rows.__getitems__([3, 0]))
    slow = default_collate([rows[3], rows[0]])
    for a, b in zip(fast, slow, strict=True):
        np.testing.assert_array_equal(a.array, b.array)


@pytest.mark.parametrize(
    ("tensors", "message"),
    [
        ((), "one or more tensors"),
        ((np.float32(3),), r"got shapes \[\(\)\]"),
        ((np.zeros((3, 2)), np.zeros(4)), r"shapes \[\(3, 2\), \(4,\)\] differ"),
    ],
)
def test_tensor_dataset_refuses(tensors, message):
    with pytest.raises(ValueError, match=message):
        TensorDataset(*tensors)


def test_a_dataset_says_what_it_lacks():
    class Bare(Dataset):
        pass

    with pytest.raises(NotImplementedError, match="Bare needs a __getitem__"):
        Bare()[0]
    with pytest.raises(TypeError, match="Bare needs a __len__"):
        len(Bare())


@settings(deadline=None, max_examples=50)
@given(
    sizes=st.lists(st.integers(0, 5), min_size=1, max_size=5),
    picks=st.lists(st.integers(-40, 40), max_size=8),
)
def test_concat_is_the_list_laid_end_to_end(sizes, picks):
    flat = list(range(sum(sizes)))
    parts, start = [], 0
    for k, size in enumerate(sizes):
        column = np.array(flat[start : start + size])
        parts.append(TensorDataset(column) if k % 2 else [(Tensor(c),) for c in column])
        start += size
    joined = ConcatDataset(parts)
    assert len(joined) == len(flat)
    inside = [i for i in picks if -len(flat) <= i < len(flat)]
    assert [int(joined[i][0].array) for i in inside] == [flat[i] for i in inside]
    batch = [int(s[0].array) for s in joined.__getitems__(inside)]
    assert batch == [flat[i] for i in inside]
    for index in set(picks) - set(inside):
        with pytest.raises(IndexError, match=f"index {index} is out of range"):
            joined[index]


def test_plus_joins_and_nothing_does_not():
    joined = TensorDataset(np.arange(3)) + TensorDataset(np.arange(2))
    assert isinstance(joined, ConcatDataset)
    assert len(joined) == 5
    with pytest.raises(ValueError, match="got no dataset"):
        ConcatDataset([])


def test_subset_of_subset():
    base = TensorDataset(np.arange(10) * 10)
    subset = Subset(Subset(base, [9, 7, 5, 3]), [3, 0])
    assert [int(x.array) for (x,) in subset] == [30, 90]
    assert [int(x.array) for (x,) in subset.__getitems__([1, 0])] == [90, 30]
    np.testing.assert_array_equal(subset[[1, 0]][0].array, [90, 30])


@settings(deadline=None, max_examples=50)
@given(lengths=st.lists(st.integers(0, 9), min_size=1, max_size=4), seed=st.integers(0, 9))
def test_random_split_parts_are_disjoint_and_complete(lengths, seed):
    parts = random_split(range(sum(lengths)), lengths, generator=seed)
    assert [len(part) for part in parts] == lengths
    assert sorted(x for part in parts for x in part) == list(range(sum(lengths)))
    again = random_split(range(sum(lengths)), lengths, generator=seed)
    assert [list(part) for part in parts] == [list(part) for part in again]


def test_random_split_fractions_round_as_in_pytorch():
    assert [len(p) for p in random_split(range(10), [1 / 3, 1 / 3, 1 / 3], 0)] == [4, 3, 3]
    assert list(random_split(range(50), [50], 0)[0]) != list(random_split(range(50), [50], 1)[0])
    with pytest.warns(UserWarning, match="part 1 of 10 samples is empty"):
        assert [len(p) for p in random_split(range(10), [1, 0], 0)] == [10, 0]


@pytest.mark.parametrize(
    ("lengths", "message"),
    [
        ([3, 3], "sum to 6"),
        ([11, -1], "0 or more"),
        ([0.5, 0.4], "sum to 1"),
        ([1.5, -0.5], "between 0 and 1"),
    ],
)
def test_random_split_refuses(lengths, message):
    with pytest.raises(ValueError, match=message):
        random_split(range(10), lengths, 0)


# -- samplers ---------------------------------------------------------------------------


def test_random_sampler_with_and_without_replacement():
    assert sorted(RandomSampler(range(6), generator=1)) == list(range(6))
    twice = list(RandomSampler(range(6), num_samples=9, generator=1))
    assert len(twice) == 9
    assert sorted(twice[:6]) == list(range(6))
    drawn = list(RandomSampler(range(6), replacement=True, num_samples=600, generator=1))
    assert set(drawn) == set(range(6))
    assert min(np.bincount(drawn)) > 60, "each about 100 times"


def test_weighted_sampler_follows_its_weights():
    weights = [0.0, 1.0, 3.0, 0.0]
    drawn = np.bincount(list(WeightedRandomSampler(weights, 4000)), minlength=4)
    assert drawn[0] == drawn[3] == 0
    assert 2.6 < drawn[2] / drawn[1] < 3.4
    first = [
        next(iter(WeightedRandomSampler(weights, 2, replacement=False, generator=seed)))
        for seed in range(400)
    ]
    assert 250 < first.count(2) < 350, "3 in 4"
    assert sorted(WeightedRandomSampler(weights, 2, replacement=False)) == [1, 2]


def test_a_samplers_own_generator_goes_before_the_loaders_seed():
    sampler = SubsetRandomSampler(list(range(30)), generator=4)
    assert list(sampler.for_epoch((0, 1))) == list(sampler.for_epoch((9, 1)))
    assert list(sampler.for_epoch((0, 1))) != list(sampler.for_epoch((0, 2)))


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: RandomSampler([]), "the data source is empty"),
        (lambda: RandomSampler([1], num_samples=0), "num_samples is 0"),
        (lambda: WeightedRandomSampler([1, -1], 1), "0 or more"),
        (lambda: WeightedRandomSampler([0, 0], 1), "not all 0"),
        (lambda: WeightedRandomSampler([], 1), "not all 0"),
        (lambda: WeightedRandomSampler([1, 0], 2, replacement=False), "at most 1"),
        (lambda: WeightedRandomSampler([1, 1], 0), "num_samples is 0"),
        (lambda: BatchSampler([1], 0, False), "batch_size is 0"),
    ],
)
def test_samplers_refuse(make, message):
    with pytest.raises(ValueError, match=message):
        make()
