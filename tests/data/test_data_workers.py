"""The loader's threads: order, errors, and that they end."""

import os
import subprocess
import sys
import threading
import traceback
import weakref

import pytest

from tinyconv.data import DataLoader, Dataset


def indices(loader):
    return [batch.array.tolist() for batch in loader]


def data_threads():
    return [t for t in threading.enumerate() if t.name.startswith("tinyconv-data")]


def wait_for_threads():
    for thread in data_threads():
        thread.join(30)
    assert not data_threads()


class Fails(Dataset):
    def __len__(self):
        return 20

    def __getitem__(self, index):
        if index == 13:
            raise KeyError("sample 13 is broken")
        return index


@pytest.mark.parametrize("workers", [0, 1, 3])
def test_exception_comes_in_its_place_with_its_traceback(workers):
    got = []
    with pytest.raises(KeyError, match="sample 13 is broken") as error:
        for batch in DataLoader(Fails(), 4, num_workers=workers):
            got.append(batch.array.tolist())
    assert got == [[0, 1, 2, 3], [4, 5, 6, 7], [8, 9, 10, 11]]
    frames = traceback.extract_tb(error.value.__traceback__)
    assert frames[-1].name == "__getitem__"
    assert "sample 13" in frames[-1].line
    wait_for_threads()


def test_break_leaves_no_threads(make_images):
    for batch in DataLoader(make_images(), 2, num_workers=3):
        assert batch[0].shape == (2, 3, 5, 7)
        break
    wait_for_threads()


def test_dropped_iterator_leaves_no_threads(make_images):
    iterator = iter(DataLoader(make_images(), 2, num_workers=3))
    next(iterator)
    assert data_threads()
    del iterator
    wait_for_threads()


def test_whole_epoch_leaves_no_threads_and_no_batches(make_images):
    kept = [weakref.ref(x) for x, _ in DataLoader(make_images(), 2, num_workers=3)]
    wait_for_threads()
    assert len(kept) == 12
    assert not any(ref() is not None for ref in kept)


def test_prefetch_is_bounded():
    read = []

    class Watched(Dataset):
        def __len__(self):
            return 1000

        def __getitem__(self, index):
            read.append(index)
            return index

    iterator = iter(DataLoader(Watched(), 1, num_workers=2, prefetch_factor=3))
    for taken in range(1, 20):
        next(iterator)
        assert taken <= len(read) <= taken + 6
    iterator.close()
    wait_for_threads()


EXIT_SCRIPT = """
import threading
from tinyconv.data import DataLoader, Dataset
class Stuck(Dataset):
    def __len__(self):
        return 100
    def __getitem__(self, index):
        if index > 2:
            threading.Event().wait()
        return index
iterator = iter(DataLoader(Stuck(), num_workers=2))
print(next(iterator).array.tolist())
"""


def test_interpreter_exits_with_an_iterator_alive_and_a_worker_stuck():
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, sys.path))}
    done = subprocess.run(
        [sys.executable, "-c", EXIT_SCRIPT],
        env=environment,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert (done.returncode, done.stdout, done.stderr) == (0, "[0]\n", "")


def test_timeout_says_so():
    free = threading.Event()

    class Slow(Dataset):
        def __len__(self):
            return 2

        def __getitem__(self, index):
            free.wait(30)
            return index

    with pytest.raises(RuntimeError, match=r"no batch for 0\.05 s"):
        next(iter(DataLoader(Slow(), num_workers=1, timeout=0.05)))
    free.set()
    wait_for_threads()


def test_worker_init_fn_gets_each_number_once():
    seen = []
    assert len(indices(DataLoader(range(30), num_workers=3, worker_init_fn=seen.append))) == 30
    wait_for_threads()
    assert sorted(seen) == [0, 1, 2]


def test_worker_init_fn_that_fails_is_heard():
    def init(number):
        raise OSError(f"worker {number} has no disk")

    with pytest.raises(OSError, match="worker 0 has no disk"):
        list(DataLoader(range(3), num_workers=1, worker_init_fn=init))


def test_persistent_workers_stay_until_the_loader_goes():
    wait_for_threads()  # those of earlier tests
    started = []
    loader = DataLoader(
        range(30), 4, num_workers=2, persistent_workers=True, worker_init_fn=started.append
    )
    assert indices(loader) == indices(loader)
    for _ in loader:
        break
    assert indices(loader)[-1] == [28, 29]
    assert len(data_threads()) == 2
    del loader
    wait_for_threads()
    assert len(started) == 2


def test_what_a_broken_epoch_had_queued_is_not_read():
    read, free, begun = [], threading.Event(), threading.Event()

    class Gated(Dataset):
        def __len__(self):
            return 100

        def __getitem__(self, index):
            read.append(index)
            if index == 1:
                begun.set()
                free.wait(30)
            return index

    loader = DataLoader(Gated(), num_workers=1, prefetch_factor=8, persistent_workers=True)
    iterator = iter(loader)
    next(iterator)
    assert begun.wait(30)
    iterator.close()
    free.set()
    next(loader.iter_from(50))
    assert read[:3] == [0, 1, 50]
