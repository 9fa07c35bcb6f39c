import errno
import pickle
import resource

import numpy as np
import pytest

import tinyconv as tc
from tinyconv.train import TrainError, load_checkpoint, save_checkpoint
from tinyconv.train.checkpoint import write_atomically

STATE = {
    "weights": {"a.b": tc.tensor([[1.0, 2.5]]), "c": np.arange(3)},
    "optimizer": {"state": {0: {"step": 3, "m": np.ones(2, np.float32)}}, "betas": (0.9, 0.99)},
    "random": 2**127 + 1,
    "loss": 0.1 + 0.2,
    "nothing": None,
    "records": [{"epoch": 1}],
    "empty": {},
}


def test_round_trip(tmp_path):
    save_checkpoint(tmp_path / "a.npz", STATE)
    got = load_checkpoint(tmp_path / "a.npz")
    assert got.keys() == STATE.keys()
    np.testing.assert_array_equal(got["weights"]["a.b"], [[1.0, 2.5]])
    assert got["weights"]["a.b"].dtype == np.float32 and got["weights"]["c"].dtype == np.int64
    assert got["optimizer"]["state"][0]["step"] == 3 and got["optimizer"]["betas"] == (0.9, 0.99)
    assert got["random"] == STATE["random"] and got["loss"] == STATE["loss"]
    assert got["nothing"] is None and got["records"] == [{"epoch": 1}] and got["empty"] == {}
    assert [p.name for p in tmp_path.iterdir()] == ["a.npz"]


def test_cut_anywhere(tmp_path):
    file = tmp_path / "a.npz"
    save_checkpoint(file, STATE)
    whole = file.read_bytes()
    for length in {0, 1, 10, len(whole) // 2, len(whole) - 30, len(whole) - 1}:
        file.write_bytes(whole[:length])
        with pytest.raises(TrainError, match=r"a\.npz: (is damaged|cannot be read)"):
            load_checkpoint(file)


def test_altered_anywhere(tmp_path):
    """A flipped bit is refused, or lies where it changes no value."""
    file = tmp_path / "a.npz"
    save_checkpoint(file, STATE)
    whole = file.read_bytes()
    refused = 0
    places = np.random.default_rng(0).choice(len(whole), 150, replace=False)
    for place in places:
        altered = bytearray(whole)
        altered[place] ^= 1 << int(place) % 8
        file.write_bytes(altered)
        try:
            got = load_checkpoint(file)
        except TrainError as error:
            refused += 1
            assert "a.npz: " in str(error) and "\n" not in str(error)
        else:
            np.testing.assert_array_equal(got["weights"]["c"], [0, 1, 2])
            np.testing.assert_array_equal(got["optimizer"]["state"][0]["m"], [1, 1])
            assert got["random"] == STATE["random"]
    assert refused > len(places) / 2


def test_foreign_files(tmp_path):
    file = tmp_path / "a.npz"
    np.savez(file, w=np.ones(3))
    with pytest.raises(TrainError, match="no checkpoint of tinyconv"):
        load_checkpoint(file)
    np.save(tmp_path / "a.npy", np.ones(3))
    with pytest.raises(TrainError, match="no checkpoint of tinyconv"):
        load_checkpoint(tmp_path / "a.npy")
    file.write_bytes(pickle.dumps({"w": 1}))
    with pytest.raises(TrainError, match="damaged or no checkpoint"):
        load_checkpoint(file)
    with pytest.raises(TrainError, match="no such checkpoint"):
        load_checkpoint(tmp_path / "b.npz")
    with pytest.raises(TrainError, match="cannot be read"):
        load_checkpoint(tmp_path)


def test_a_pickle_inside_is_not_run(tmp_path):
    class Trap:
        def __reduce__(self):
            return (pytest.fail, ("it was unpickled",))

    np.savez(tmp_path / "a.npz", json=np.array([Trap()], object))
    with pytest.raises(TrainError):
        load_checkpoint(tmp_path / "a.npz")


def test_full_disk_leaves_the_old_file(tmp_path):
    """A real one: the system refuses to write past a file size."""
    file = tmp_path / "a.npz"
    save_checkpoint(file, {"x": 1})
    before = file.read_bytes()
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (10_000, limits[1]))
    try:
        with pytest.raises(TrainError, match=r"a\.npz: cannot be written \(.+\); the older one"):
            save_checkpoint(file, {"x": np.zeros(100_000)})
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
    assert file.read_bytes() == before
    assert [p.name for p in tmp_path.iterdir()] == ["a.npz"]


def test_no_space_in_words(tmp_path):
    def write(file):
        file.write(b"half")
        raise OSError(errno.ENOSPC, "No space left on device")

    with pytest.raises(TrainError) as error:
        write_atomically(tmp_path / "last.npz", write)
    assert str(error.value).endswith("last.npz: cannot be written (No space left on device)")
    assert list(tmp_path.iterdir()) == []
