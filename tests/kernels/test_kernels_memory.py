"""The memory pool: no buffer that someone still sees is handed out again."""

import copy
import ctypes
import gc
import os
import pickle
import subprocess
import sys
import threading

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import tinyconv as tc
from tinyconv.kernels import memory

BIG = (3, 50, 70, 11)  # 462 kB in float32


_others = [0]  # bytes under arrays that other tests keep


@pytest.fixture(autouse=True)
def _nothing_idle():
    gc.collect()
    memory.clear()
    _others[0] = memory.held()


def held():
    return memory.held() - _others[0]


def address(array):
    return array.__array_interface__["data"][0]


@given(
    st.lists(st.integers(0, 40), max_size=4).map(tuple),
    st.sampled_from(["float32", "float64", "complex128", "int32", "int64", "bool", "uint8"]),
)
def test_arrays_are_plain_contiguous_writeable_and_aligned(shape, dtype):
    for make in memory.empty, memory.zeros:
        array = make(shape, dtype)
        assert type(array) is np.ndarray and array.shape == shape and array.dtype == dtype
        assert array.flags.c_contiguous and array.flags.writeable and array.flags.aligned
        assert array.nbytes < 1 << 15 or address(array) % 64 == 0
        assert memory.is_new(array) and not memory.is_new(array[...])
    assert not array.any()


def test_used_again_once_nobody_sees_it_and_zeros_are_zero():
    first = memory.empty(BIG, np.float32)
    first.fill(7)
    place = address(first)
    del first
    second = memory.zeros(BIG, np.float32)
    assert address(second) == place and not second.any()
    assert address(memory.empty(BIG, np.float32)) != place


def test_a_larger_block_at_hand_is_used_before_memory_is_asked_for(monkeypatch):
    asked = []
    monkeypatch.setattr(memory, "_memory", lambda size: asked.append(size) or bytearray(size))
    rng = np.random.default_rng(0)
    steps = [[int(n) for n in rng.integers(1 << 20, 1 << 26, 40)] for _ in range(2)]
    for round in range(6):
        alive = []
        for size in steps[round % 2]:
            alive.append(memory.empty((size,), np.uint8))
            if len(alive) > 12:
                del alive[::3]
        if round == 3:
            asked.clear()
    assert not asked, "steps that were seen before need nothing new"
    small = memory.empty((1 << 15,), np.uint8)
    assert small.base.block.size <= 4 * small.nbytes


def test_a_small_array_does_not_keep_a_block_many_times_its_size():
    large = [memory.empty((50 << 20,), np.uint8) for _ in range(6)]
    del large
    small = [memory.empty((1 << 20,), np.uint8) for _ in range(80)]
    large = [memory.empty((50 << 20,), np.uint8) for _ in range(6)]
    assert held() < 450 << 20 and len(small) + len(large) == 86


def _views(array):
    yield "slice", array[1:, ::2]
    yield "view of views", array[1].T[2:][::3][1:]
    yield "other dtype", array.view(np.uint8)
    yield "memoryview", memoryview(array)
    yield "from a buffer", np.frombuffer(memoryview(array).cast("B"), np.float32)
    yield "ctypes", array.ctypes.data_as(ctypes.c_void_p)
    yield "tensor", tc.from_numpy(array)
    yield "detached tensor", tc.from_numpy(array)[1].detach()
    yield "the root", array.base
    yield "view of the root", array.base[1:]
    yield "broadcast", np.broadcast_to(array, (2, *BIG))
    yield "iterator", np.nditer(array)
    yield "dlpack", np.from_dlpack(array)


@pytest.mark.parametrize("number", range(13))
def test_kept_by_every_kind_of_view(number):
    array = memory.empty(BIG, np.float32)
    array.fill(1)
    name, view = list(_views(array))[number]
    place = address(array)
    del array
    gc.collect()
    others = [memory.zeros(BIG, np.float32) for _ in range(3)]
    assert place not in [address(other) for other in others], name
    del view
    gc.collect()
    assert address(memory.empty(BIG, np.float32)) == place, name


def test_every_view_lets_go_in_the_end():
    for number in range(13):
        array = memory.empty(BIG, np.float32)
        view = list(_views(array))[number]
        del array, view
        gc.collect()
    memory.clear()
    assert held() == 0


def test_copies_are_of_their_own():
    array = memory.empty(BIG, np.float32)
    array.fill(3)
    copies = pickle.loads(pickle.dumps(array)), copy.deepcopy(array), array.copy(), array + 0
    place = address(array)
    del array
    other = memory.zeros(BIG, np.float32)
    assert address(other) == place
    assert all((c == 3).all() for c in copies)


def test_holds_little_more_than_was_lent_at_once():
    # (pages that nobody touches cost nothing)
    arrays = [memory.empty((1 << 23,), np.uint8) for _ in range(64)]
    peak = held()
    del arrays
    # other size classes: what is idle makes room
    for megabytes in 48, 80, 112, 160, 192, 224, 320, 384:
        memory.empty((megabytes << 20,), np.uint8)
        assert held() <= peak + (1 << 26)
    memory.clear()
    assert held() == 0


def test_what_is_not_asked_for_any_more_is_let_go():
    memory.empty((1 << 20,), np.float32)
    assert held() == 1 << 22
    for _ in range(3 * memory._PATIENCE):
        memory.empty((1 << 14,), np.float32)
    assert held() == 1 << 16


def test_a_size_class_wastes_at_most_a_quarter():
    for count in 32768, 32769, 40960, 40961, 50_000, 65_535, 65_536, 65_537, 10**6:
        memory.clear()
        array = memory.empty((count,), np.uint8)
        assert count <= held() <= 1.25 * count + 8, count
        del array


def test_threads_never_share_a_block():
    wrong = []

    def work(number):
        mine = []
        for step in range(400):
            array = memory.empty((10_000 + 100 * (step % 3),), np.float32)
            array.fill(number * 1000 + step)
            mine.append((array, number * 1000 + step))
            if step % 4 == 3:
                wrong.extend(v for a, v in mine if not (a == v).all())
                del mine[:3]

    threads = [threading.Thread(target=work, args=(i,)) for i in range(6)]
    for t in threads:
        t.start()
    for t in threads:
        t.join()
    assert not wrong
    gc.collect()
    memory.clear()
    assert held() == 0


@pytest.mark.skipif(not hasattr(os, "fork"), reason="no fork here")
def test_a_forked_child_writes_into_its_own_pages():
    array = memory.zeros(BIG, np.float32)
    child = os.fork()
    if child == 0:
        array.fill(5)
        fresh = memory.empty(BIG, np.float32)
        fresh.fill(6)
        os._exit(0 if (array == 5).all() else 1)
    assert os.waitpid(child, 0)[1] == 0
    assert not array.any()


def test_ends_quietly_with_the_interpreter():
    code = (
        "import numpy as np\nfrom tinyconv.kernels import memory\n"
        "kept = memory.empty((99999,), 'f4'); cycle = [memory.empty((99999,), 'f4')]\n"
        "cycle.append(cycle); np.kept = memory.empty((99999,), 'f4')[5:]\n"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")
