"""safetensors and npz, written and read; what is told of other files."""

import concurrent.futures
import json
import os
import zipfile

import numpy as np
import pytest

import tinyconv as tc
from tinyconv.train import save_checkpoint
from tinyconv.weights import WeightsError, load_file, save_file

STATE = {
    "conv.weight": np.arange(24, dtype=np.float32).reshape(2, 3, 4),
    "turned": np.arange(6, dtype=np.float64).reshape(2, 3).T,
    "count": np.array(7),
    "none": np.zeros((0, 5), np.float32),
    "flags": np.array([True, False, True]),
    "bytes": np.arange(5, dtype=np.uint8),
    "file": np.float32([1]),  # a name that np.savez would take for its own argument
    "wide": np.broadcast_to(np.float32(2), (3, 4)),
}


def same(found, expected):
    assert list(found) == list(expected)
    for name, value in expected.items():
        value = np.asarray(value)
        assert (found[name].dtype, found[name].shape) == (value.dtype, value.shape)
        np.testing.assert_array_equal(found[name], value)


@pytest.mark.parametrize("ending", [".safetensors", ".npz"])
def test_round_trip(ending, tmp_path):
    path = tmp_path / f"a{ending}"
    save_file(STATE, path)
    same(load_file(path), STATE)
    assert os.listdir(tmp_path) == [path.name]
    model = tc.nn.Sequential(tc.nn.Conv2d(2, 3, (2, 4)), tc.nn.BatchNorm2d(3))
    save_file(model.state_dict(), path)
    same(load_file(path), {n: t.numpy() for n, t in model.state_dict().items()})


def test_a_loaded_array_can_be_changed_and_the_file_stays(tmp_path):
    path = tmp_path / "a.safetensors"
    save_file(STATE, path)
    before = path.read_bytes()
    found = load_file(path)
    found["conv.weight"][:] = 0
    assert path.read_bytes() == before
    save_file(STATE, path)  # while the old file is still mapped
    assert not found["conv.weight"].any() and load_file(path)["conv.weight"].any()


def test_numbers_are_aligned_whatever_the_names(tmp_path):
    path = tmp_path / "a.safetensors"
    for length in range(1, 9):
        save_file({"a" * length: np.ones(3)}, path)
        assert int.from_bytes(path.read_bytes()[:8], "little") % 8 == 0


def test_what_numpy_writes(tmp_path):
    path = tmp_path / "a.npz"
    state = {k: v for k, v in STATE.items() if k != "file"}
    for save in (np.savez, np.savez_compressed):
        save(path, **state, half=np.float16([1.5]), big=np.arange(3, dtype=">f4"))
        found = load_file(path)
        assert found.pop("half").dtype == np.float32 and found["big"].dtype == np.float32
        same(found, {**state, "big": np.arange(3, dtype=np.float32)})


def test_of_a_checkpoint_the_weights_are_read(tmp_path):
    net, path = tc.models.get_model("lenet5"), tmp_path / "best.npz"
    save_checkpoint(path, {"weights": net.state_dict(), "optimizer": {"m": np.ones(2)}})
    same(load_file(path), {n: t.numpy() for n, t in net.state_dict().items()})


def test_what_the_library_writes_and_reads(tmp_path):
    library = pytest.importorskip("safetensors.numpy")
    path = tmp_path / "a.safetensors"
    state = {k: np.array(v, order="C") for k, v in STATE.items()}
    library.save_file(state, path, metadata={"format": "pt"})
    found = load_file(path)
    same({k: found[k] for k in state}, state)
    save_file(STATE, path)
    found = library.load_file(path)
    same({k: found[k] for k in state}, state)


def safetensors(table, content=b""):
    text = table if isinstance(table, bytes) else json.dumps(table).encode()
    return len(text).to_bytes(8, "little") + text + content


def entry(dtype="F32", shape=(2,), place=(0, 8)):
    return {"dtype": dtype, "shape": list(shape), "data_offsets": list(place)}


def test_half_precision_and_odd_places(tmp_path):
    path = tmp_path / "a"
    table = {"a": entry("U8", (1,), (0, 1)), "b": entry("BF16", (2,), (1, 5)),
             "c": entry("F16", (1,), (5, 7)), "d": entry("F32", (1,), (7, 11))}  # fmt: skip
    content = b"\x07" + np.array([0x3FC0, 0xC000], "<u2").tobytes()
    content += np.array([0.5], "<f2").tobytes() + np.array([3], "<f4").tobytes()
    path.write_bytes(safetensors(table, content))
    found = load_file(path)
    same(found, {"a": np.uint8([7]), "b": np.float32([1.5, -2]), "c": np.float32([0.5]),
                 "d": np.float32([3])})  # fmt: skip
    assert all(v.flags.aligned for v in found.values())


@pytest.mark.parametrize(
    "content, words",
    [
        (safetensors({"a": entry()}, bytes(7)), "should lie from byte 0 to 8: it is cut"),
        (safetensors({"a": entry()})[:20], "cut within its table"),
        (safetensors({"a": entry(place=(1, 9))}, bytes(9)), "should lie"),
        (safetensors({"a": entry(), "b": entry()}, bytes(16)), "should lie"),
        (safetensors({"a": entry(shape=(3,))}, bytes(8)), "does not fill"),
        (safetensors({"a": entry(shape=(2**40,))}, bytes(8)), "does not fill"),
        (safetensors({"a": entry(shape=(2**40, 2**40))}, bytes(8)), "table is senseless"),
        (safetensors({"a": entry(shape=(0, 2**62), place=(0, 0))}), "table is senseless"),
        (safetensors({"a": entry(shape=(1,) * 65, place=(0, 4))}, bytes(4)), "table is senseless"),
        (safetensors({"a": entry(shape=[10**4000] * 2000)}, bytes(8)), "table is senseless"),
        (safetensors({"a": entry(dtype=["F32"])}, bytes(8)), "table is senseless"),
        (safetensors({"a": entry()}, bytes(9)), "1 bytes behind the last number"),
        (safetensors({"a": entry(shape=(-2,))}, bytes(8)), "table is senseless"),
        (safetensors({"a": entry(place=(0, "8"))}, bytes(8)), "table is senseless"),
        (safetensors({"a": entry("F8_E4M3")}, bytes(8)), "dtype F8_E4M3, which is not read"),
        (safetensors({"a": 3}), "table is senseless"),
        (safetensors(b"{}"), "holds no array"),
        (safetensors(b"{" + b"[" * 9999), "table is senseless"),
        (b"", "the file is empty"),
        (b"<!DOCTYPE html>", "is no file of weights: it looks like a page"),
        (b"version https://git-lfs.github.com/spec/v1", "git lfs pull"),
        (b"\x89PNG\r\n\x1a\n", "a picture"),
        (b"\x1f\x8b\x08\x00", "a packed file"),
        (b"hello", r"begins with b'hello'; safetensors, .npz, .pth, .pt and .h5"),
        (b"PK\3\4", "archive is cut or altered"),
        (b"\x80\x02", "the pickle is cut or senseless"),
        (b"\x80\x02K\x01.", "a pickle that torch.save did not write"),
    ],
)
def test_other_files(content, words, tmp_path):
    path = tmp_path / "w.bin"
    path.write_bytes(content)
    with pytest.raises(WeightsError, match=words) as caught:
        load_file(path)
    assert str(caught.value).startswith(f"{path}: ") and len(str(caught.value)) < 800


def test_files_that_are_not_there(tmp_path):
    with pytest.raises(WeightsError, match="nix: there is no such file"):
        load_file(tmp_path / "nix")
    with pytest.raises(WeightsError, match="is a folder"):
        load_file(tmp_path)
    with pytest.raises(WeightsError, match="cannot be read"):
        load_file(tmp_path / ("x" * 300))
    os.mkfifo(tmp_path / "pipe")  # to open it would wait for a writer
    with pytest.raises(WeightsError, match="is a pipe or device"):
        load_file(tmp_path / "pipe")


def npz(path, **members):
    with zipfile.ZipFile(path, "w") as file:
        for name, content in members.items():
            file.writestr(f"{name}.npy", content)
    return path


def array_bytes(shape, content=b"", descr="<f4"):
    header = repr({"descr": descr, "fortran_order": False, "shape": shape}).encode().ljust(245)
    return b"\x93NUMPY\1\0" + (246).to_bytes(2, "little") + header + b"\n" + content


def test_arrays_of_other_sizes_than_announced(tmp_path):
    path = tmp_path / "a.npz"
    same(load_file(npz(path, a=array_bytes((2,), bytes(8)))), {"a": np.zeros(2, np.float32)})
    for content, words in (
        (array_bytes((2**40,), bytes(8)), "has 8 bytes"),
        (array_bytes((-2,), bytes(8)), "a shape that no array has"),
        (array_bytes((0, 2**62)), "a shape that no array has"),
        (array_bytes((1,) * 33, bytes(4)), "a shape that no array has"),
        (array_bytes((True,), bytes(4)), "a shape that no array has"),
        (array_bytes((3,), descr="|V0"), "a dtype or a shape that no array has"),
        (array_bytes((1,), bytes(8), ("<f4", (2,))), "a dtype or a shape that no array has"),
        (b"\x93NUMPY\1\0\x88\x13" + b"-" * 5000 + b"1", "is no array"),
        (b"\x93NUMPY\1\0\x88\x13" + b"[" * 5000, "is no array"),
        (array_bytes((2,), bytes(9)), "has 9 bytes"),
        (array_bytes((1,), bytes(8), "|O"), "array of Python objects"),
        (b"\x93NUMPY\7\0", "is no array"),
        (b"hello", "is no array"),
    ):
        with pytest.raises(WeightsError, match=words):
            load_file(npz(path, a=content))


def test_every_cut_is_noticed(tmp_path):
    for ending in (".safetensors", ".npz"):
        path = tmp_path / f"a{ending}"
        save_file(STATE, path)
        whole = path.read_bytes()
        for length in {*range(0, len(whole), 11), len(whole) - 1}:
            path.write_bytes(whole[:length])
            with pytest.raises(WeightsError):
                load_file(path)


def test_an_altered_number_in_an_archive_is_noticed(tmp_path):
    path = tmp_path / "a.npz"
    save_file({"a": np.full(5, 1.5)}, path)
    content = bytearray(path.read_bytes())
    content[content.index(np.full(5, 1.5).tobytes()) + 3] ^= 1
    path.write_bytes(content)
    with pytest.raises(WeightsError, match="checksum is wrong"):
        load_file(path)


def test_a_write_that_fails_leaves_the_old_file(tmp_path, monkeypatch):
    path = tmp_path / "a.npz"
    save_file({"a": np.ones(2)}, path)
    before = path.read_bytes()

    def full(*_):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(WeightsError, match="a.npz: cannot be written .No space left on device"):
        save_file({"a": np.zeros(2)}, path)
    assert path.read_bytes() == before and os.listdir(tmp_path) == ["a.npz"]


def test_what_cannot_be_saved(tmp_path):
    for state, name, words in (
        ({"a": np.ones(2)}, "a.pth", "give a name that ends in .safetensors or .npz"),
        ({"a": np.array(["x"])}, "a.npz", "the entry 'a' is ndarray of dtype <U1"),
        ({"a": object()}, "a.npz", "of dtype object"),
        ({3: np.ones(2)}, "a.npz", "the entry 3"),
        ({"a\0b": np.ones(2)}, "a.npz", "cannot hold the name"),
        ({"a" * 70_000: np.ones(2)}, "a.npz", "cannot hold the name"),
        ({"__metadata__": np.ones(2)}, "a.safetensors", "calls its notes; rename"),
        ({"a": np.ones(2)}, "nowhere/a.npz", "cannot be written .No such file"),
    ):
        with pytest.raises(WeightsError, match=words):
            save_file(state, tmp_path / name)
    assert not os.listdir(tmp_path)


def test_threads_that_save_to_one_path(tmp_path):
    def save(number):
        for _ in range(20):
            save_file({"a": np.full(99, number)}, tmp_path / "a.npz")

    with concurrent.futures.ThreadPoolExecutor(4) as pool:
        list(pool.map(save, range(4)))
    assert len({*load_file(tmp_path / "a.npz")["a"]}) == 1 and os.listdir(tmp_path) == ["a.npz"]


def test_a_prefix_that_all_names_share_is_taken_off(tmp_path):
    path = tmp_path / "a.npz"
    save_file({"module.a": np.ones(2), "module.module.b": np.ones(3)}, path)
    assert list(load_file(path)) == ["a", "module.b"]
    for both in ("module._orig_mod.", "_orig_mod.module."):  # data-parallel and compiled
        save_file({f"{both}a": np.ones(2), f"{both}b": np.ones(3)}, path)
        assert list(load_file(path)) == ["a", "b"]
    save_file({"module.a": np.ones(2), "b": np.ones(3)}, path)
    assert list(load_file(path)) == ["module.a", "b"]
