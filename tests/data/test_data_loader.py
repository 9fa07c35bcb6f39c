import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tinyconv import data
from tinyconv.autograd import Tensor
from tinyconv.data import DataLoader, Dataset, TensorDataset
from tinyconv.ops.random import Generator
from tinyconv.utils.data import DataLoader as SameLoader

AUGMENT = data.Compose([data.RandomShift(2), data.RandomHorizontalFlip()])


def arrays(batches):
    return [[field.array for field in batch] for batch in batches]


def assert_equal(found, expected):
    assert len(found) == len(expected)
    for a, b in zip(found, expected, strict=True):
        for x, y in zip(a, b, strict=True):
            assert x.dtype == y.dtype
            np.testing.assert_array_equal(x, y)


def indices(loader):
    return [batch.array.tolist() for batch in loader]


# -- what an epoch is -------------------------------------------------------------------


@settings(deadline=None, max_examples=40)
@given(
    n=st.integers(1, 30),
    batch_size=st.integers(1, 12),
    workers=st.integers(0, 4),
    ahead=st.integers(1, 3),
    drop_last=st.booleans(),
    shuffle=st.booleans(),
    seed=st.integers(0, 2**70),
    epoch=st.integers(0, 5),
)
def test_batches_do_not_depend_on_workers(
    make_images, n, batch_size, workers, ahead, drop_last, shuffle, seed, epoch
):
    options = {"batch_size": batch_size, "drop_last": drop_last, "shuffle": shuffle, "seed": seed}
    images = make_images(n, AUGMENT)
    plain = DataLoader(images, **options)
    ahead = {"prefetch_factor": ahead} if workers else {}
    threaded = DataLoader(images, num_workers=workers, **ahead, **options)
    plain.set_epoch(epoch)
    threaded.set_epoch(epoch)
    expected = arrays(plain)
    assert len(expected) == len(plain) == (n // batch_size if drop_last else -(-n // batch_size))
    assert_equal(arrays(threaded), expected)


def test_a_sample_depends_on_seed_epoch_and_index_alone(make_images):
    images = Numbered(make_images(transform=AUGMENT))

    def seen(batch_size, shuffle):
        loader = DataLoader(images, batch_size, shuffle=shuffle, seed=5)
        return {
            (epoch, index): image
            for epoch in range(2)
            for batch in arrays(loader)
            for image, index in zip(*batch, strict=True)
        }

    one, many = seen(1, False), seen(7, True)
    assert one.keys() == many.keys()
    assert all(np.array_equal(one[key], many[key]) for key in one)
    changed = [not np.array_equal(one[0, k], one[1, k]) for k in range(len(images))]
    assert sum(changed) > len(images) / 2, "an epoch must not repeat the augmentation of another"


class Numbered(Dataset):
    """Images with their index in place of the label."""

    def __init__(self, images):
        self.images = images

    def __len__(self):
        return len(self.images)

    def __getitem__(self, index):
        return self.images[index][0], index

    def for_epoch(self, key):
        return Numbered(self.images.for_epoch(key))


def test_augmentation_follows_the_sample_through_subset(make_images):
    images = make_images(transform=AUGMENT)
    whole = arrays(DataLoader(images, 23, seed=1))[0][0]
    picked = [11, 3, 19]
    part = arrays(DataLoader(data.Subset(images, picked), 3, num_workers=2, seed=1))[0][0]
    np.testing.assert_array_equal(part, whole[picked])


def test_equal_parts_of_a_concatenation_draw_apart(make_images):
    images = make_images(transform=AUGMENT)
    both = arrays(DataLoader(images + images, 46, seed=1))[0][0]
    assert not np.array_equal(both[:23], both[23:])
    again = arrays(DataLoader(images + images, 5, num_workers=2, seed=1))
    np.testing.assert_array_equal(np.concatenate([x for x, _ in again]), both)


def test_each_epoch_is_another_permutation():
    loader = DataLoader(range(50), batch_size=50, shuffle=True, seed=3)
    orders = [indices(loader)[0] for _ in range(5)]
    assert all(sorted(order) == list(range(50)) for order in orders)
    assert len({tuple(order) for order in orders}) == 5
    assert loader.epoch == 4
    loader.set_epoch(2)
    assert loader.epoch == 2
    assert indices(loader)[0] == orders[2]
    assert indices(loader)[0] == orders[3], "after a chosen epoch comes the next"


def test_order_is_fixed_for_ever():
    """Recorded results of training rest on these numbers: they must not change."""
    loader = DataLoader(range(8), batch_size=8, shuffle=True, seed=0)
    assert indices(loader) == [FIRST_ORDER]
    np.testing.assert_array_equal(data.uniforms((0, 0), 1, 2), FIRST_UNIFORMS)


FIRST_ORDER = [7, 2, 5, 1, 0, 6, 4, 3]
FIRST_UNIFORMS = [[0.9453165290142962, 0.41175942424912015]]


def test_without_shuffle_in_order():
    assert indices(DataLoader(range(5), 2)) == [[0, 1], [2, 3], [4]]


def test_global_random_state_is_neither_read_nor_moved(make_images):
    loader = DataLoader(make_images(transform=AUGMENT), 4, shuffle=True, seed=1)
    np.random.seed(0)
    before = np.random.get_state()[1].copy()
    first = arrays(loader)
    np.testing.assert_array_equal(np.random.get_state()[1], before)
    np.random.seed(1)
    loader.set_epoch(0)
    assert_equal(arrays(loader), first)


def test_seed_may_come_from_a_generator():
    by_seed = indices(DataLoader(range(40), 40, shuffle=True, seed=9))
    generator = Generator()
    generator.manual_seed(9)
    loader = DataLoader(range(40), 40, shuffle=True, generator=generator)
    assert loader.seed == 9
    assert indices(loader) == by_seed
    assert indices(DataLoader(range(40), 40, shuffle=True, generator=9)) == by_seed
    assert isinstance(DataLoader(range(4)).seed, int), "the global generator's"


@pytest.mark.parametrize("workers", [0, 2])
def test_resume_in_mid_epoch(make_images, workers):
    images = make_images(transform=AUGMENT)
    loader = DataLoader(images, 4, shuffle=True, num_workers=workers, seed=2)
    loader.set_epoch(3)
    whole = arrays(loader)
    for start in range(len(whole) + 1):
        fresh = DataLoader(images, 4, shuffle=True, num_workers=workers, seed=2)
        fresh.set_epoch(3)
        assert_equal(arrays(fresh.iter_from(start)), whole[start:])
        assert fresh.epoch == 3
        next(iter(fresh))
        assert fresh.epoch == 4


def test_resume_reads_nothing_that_it_skips():
    read = []

    class Watched(Dataset):
        def __len__(self):
            return 100

        def __getitem__(self, index):
            read.append(index)
            return index

    assert indices(DataLoader(Watched(), 10).iter_from(9)) == [list(range(90, 100))]
    assert read == list(range(90, 100))


def test_two_iterators_at_once(make_images):
    loader = DataLoader(make_images(transform=AUGMENT), 4, shuffle=True, num_workers=2, seed=0)
    alone = [arrays(loader), arrays(loader)]
    loader.set_epoch(0)
    first = iter(loader)
    head = arrays([next(first)])
    second = arrays(loader)
    assert_equal(head + arrays(first), alone[0])
    assert_equal(second, alone[1])


# -- samplers, collating and options ------------------------------------------------------


def test_own_sampler_and_batch_sampler():
    assert indices(DataLoader(range(9), 2, sampler=[8, 1, 4])) == [[8, 1], [4]]
    loader = DataLoader(range(9), batch_sampler=[[1, 2, 3], [0]], num_workers=1)
    assert indices(loader) == [[1, 2, 3], [0]]
    assert len(loader) == 2


def test_random_samplers_follow_the_epoch():
    sampler = data.SubsetRandomSampler(list(range(10, 40)))
    loader = DataLoader(range(50), 30, sampler=sampler, seed=1)
    first, second = indices(loader)[0], indices(loader)[0]
    assert sorted(first) == sorted(second) == list(range(10, 40))
    assert first != second
    loader.set_epoch(0)
    assert indices(loader)[0] == first


def test_set_epoch_of_a_foreign_sampler_is_called():
    class Foreign:
        epoch = None

        def set_epoch(self, epoch):
            self.epoch = epoch

        def __iter__(self):
            return iter([self.epoch])

    loader = DataLoader(range(9), sampler=Foreign())
    assert [indices(loader), indices(loader)] == [[[0]], [[1]]]


def test_single_samples_without_batching(make_images):
    loader = DataLoader(make_images(), batch_size=None, num_workers=2)
    samples = list(loader)
    assert len(samples) == len(loader) == 23
    assert samples[3][0].shape == (3, 5, 7)
    assert samples[3][1] == 3


def test_collate_fn_gets_a_list_of_samples(make_images):
    def pad(samples):
        assert isinstance(samples, list)
        assert isinstance(samples[0][0], Tensor)
        return [label for _, label in samples]

    assert next(iter(DataLoader(make_images(), 3, collate_fn=pad))) == [0, 1, 2]


def test_loader_of_tensors_gives_what_went_in():
    x = np.random.default_rng(0).normal(size=(7, 3, 4, 5)).astype(np.float32)
    y = np.arange(7)
    got = arrays(DataLoader(TensorDataset(Tensor(x), Tensor(y)), 3, num_workers=2))
    assert got[0][0].dtype == np.float32
    np.testing.assert_array_equal(np.concatenate([a for a, _ in got]), x)
    np.testing.assert_array_equal(np.concatenate([b for _, b in got]), y)
    assert SameLoader is DataLoader


def test_mixed_sizes_name_both_samples():
    sizes = [(3, 8, 8)] * 5 + [(3, 9, 8)]
    samples = [(np.zeros(size, np.float32), 0) for size in sizes]
    with pytest.raises(ValueError) as error:
        list(DataLoader(samples, 3))
    message = str(error.value)
    for part in (
        "samples 3 and 5 of the dataset",
        "(field [0])",
        "(3, 8, 8) and (3, 9, 8)",
        "Crop or resize",
        "collate_fn",
        "batch_size=1",
    ):
        assert part in message


@pytest.mark.parametrize(
    ("options", "kind", "message"),
    [
        ({"dataset": []}, ValueError, "empty"),
        ({"dataset": iter([1])}, TypeError, "no __getitem__"),
        ({"batch_size": 0}, ValueError, "batch_size is 0, must be an int, 1 or more"),
        ({"batch_size": -3}, ValueError, "batch_size is -3"),
        ({"batch_size": 2.0}, TypeError, "batch_size is 2.0, must be an int"),
        ({"batch_size": True}, TypeError, "batch_size is True"),
        ({"num_workers": -1}, ValueError, "num_workers is -1, must be an int, 0 or more"),
        ({"num_workers": "2"}, TypeError, "num_workers is '2'"),
        ({"prefetch_factor": 2}, ValueError, "num_workers is 0; set num_workers"),
        ({"persistent_workers": True}, ValueError, "num_workers is 0"),
        ({"num_workers": 1, "prefetch_factor": 0}, ValueError, "prefetch_factor is 0"),
        ({"timeout": -1}, ValueError, "timeout is -1 s"),
        ({"seed": 1, "generator": 2}, ValueError, "both seed and generator"),
        ({"seed": -1}, ValueError, "seed: got -1, must be 0 or more"),
        ({"generator": "x"}, TypeError, "generator: got str"),
        ({"sampler": [0], "shuffle": True}, ValueError, "sampler and shuffle=True exclude"),
        ({"batch_sampler": [[0]], "batch_size": 2}, ValueError, "batch_sampler excludes"),
        ({"batch_sampler": [[0]], "shuffle": True}, ValueError, "batch_sampler excludes"),
        ({"batch_sampler": [[0]], "drop_last": True}, ValueError, "batch_sampler excludes"),
        ({"batch_size": None, "drop_last": True}, ValueError, "nothing to drop"),
    ],
)
def test_wrong_options_are_told_at_once(options, kind, message):
    with pytest.raises(kind, match=message.replace("(", r"\(")):
        DataLoader(**{"dataset": range(4), **options})


def test_wrong_places_to_start():
    loader = DataLoader(range(10), 4)
    with pytest.raises(ValueError, match="batch_index is 4, but an epoch has 3 batches"):
        loader.iter_from(4)
    with pytest.raises(ValueError, match="batch_index is -1"):
        loader.iter_from(-1)
    with pytest.raises(ValueError, match="epoch is -1"):
        loader.set_epoch(-1)
    assert indices(loader.iter_from(3)) == []
