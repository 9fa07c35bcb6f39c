"""PyTorch's files: what is read, and that nothing in them is ever run."""

import io
import pickle
import tracemalloc
import zipfile

import numpy as np
import pytest
from weights.makers import (
    call,
    name,
    number,
    pickled,
    state,
    storage,
    tensor,
    text,
    tuple_,
    write_legacy,
    write_zip,
)

from tinyconv.weights import WeightsError, load_file, pickles

VALUES = np.arange(12, dtype=np.float32)
#: a tuple of a tuple of ...: its hash and its text take for ever
DEEP = b")" + b"2\x86" * 200
WHOLE = tensor(storage("0", 12), (4, 3), (3, 1))


def written(tmp_path, body, storages=None, **options):
    return write_zip(tmp_path / "w.pth", body, storages or {"0": VALUES}, **options)


@pytest.fixture
def must_not_exist(tmp_path):
    path = tmp_path / "was_run"
    yield path
    assert not path.exists(), "the file was executed"


# -- what is read -------------------------------------------------------------------------
@pytest.mark.parametrize("write", [write_zip, write_legacy])
def test_views_share_their_storage(write, tmp_path):
    body = state(
        fc__weight=WHOLE,
        turned=tensor(storage("0", 12), (3, 4), (1, 3)),
        part=tensor(storage("0", 12), (2, 2), (6, 1), offset=4),
        same=tensor(storage("0", 12), (5, 2), (0, 1), offset=10, function="_rebuild_tensor"),
        none=tensor(storage("0", 12), (0, 7), (7, 1), offset=12),
        scalar=tensor(storage("0", 12), (), (), offset=11),
    )
    found = load_file(write(tmp_path / "w.pt", body, {"0": VALUES}))
    assert list(found) == ["fc.weight", "turned", "part", "same", "none", "scalar"]
    np.testing.assert_array_equal(found["fc.weight"], VALUES.reshape(4, 3))
    np.testing.assert_array_equal(found["turned"], VALUES.reshape(4, 3).T)
    np.testing.assert_array_equal(found["part"], [[4, 5], [10, 11]])
    np.testing.assert_array_equal(found["same"], [[10, 11]] * 5)
    assert found["none"].shape == (0, 7) and found["scalar"] == 11
    found["fc.weight"][0, 0] = 99  # private to this mapping, common to its views
    assert found["turned"][0, 0] == 99
    assert load_file(tmp_path / "w.pt")["turned"][0, 0] == 0


@pytest.mark.parametrize("big", [False, True])
@pytest.mark.parametrize("write", [write_zip, write_legacy])
def test_dtypes_and_byte_order(write, big, tmp_path):
    order = ">" if big else "<"
    arrays = {
        "DoubleStorage": np.array([1.5, -2], order + "f8"),
        "FloatStorage": np.array([1.5, -2], order + "f4"),
        "HalfStorage": np.array([1.5, -2], order + "f2"),
        "BFloat16Storage": np.array([0x3FC0, 0xC000], order + "u2"),
        "LongStorage": np.array([3, -(2**40)], order + "i8"),
        "IntStorage": np.array([3, -70000], order + "i4"),
        "ShortStorage": np.array([3, -4000], order + "i2"),
        "CharStorage": np.array([3, -4], "i1"),
        "ByteStorage": np.array([3, 250], "u1"),
        "BoolStorage": np.array([True, False]),
    }
    body = state(**{k: tensor(storage(k, 2, k), (2,), (1,)) for k in arrays})
    how = {} if not big else {"byteorder": "big"} if write is write_zip else {"little": False}
    found = load_file(write(tmp_path / "w.pt", body, arrays, **how))
    for kind, array in arrays.items():
        half = kind in ("HalfStorage", "BFloat16Storage")
        expected = np.float32([1.5, -2]) if half else array
        np.testing.assert_array_equal(found[kind], expected)
        assert found[kind].dtype == expected.dtype.newbyteorder("=") and found[kind].flags.aligned


def test_old_views_of_storages(tmp_path):
    view = tuple_(text("v"), number(5), number(4))
    body = state(a=tensor(storage("0", 12, view=view), (2, 2), (2, 1)))
    found = load_file(write_legacy(tmp_path / "w.pt", body, {"0": VALUES}))
    np.testing.assert_array_equal(found["a"], [[5, 6], [7, 8]])
    body = state(a=tensor(storage("0", 12, view=view), (5,), (1,)))
    with pytest.raises(WeightsError, match="reaches to element 4 of storage '0', which has 4"):
        load_file(write_legacy(tmp_path / "w.pt", body, {"0": VALUES}))


@pytest.mark.parametrize("key", ["state_dict", "model", "model_state_dict", "net"])
def test_wrapped_state_with_a_prefix(key, tmp_path):
    inner = state(module__a=WHOLE, module__b=WHOLE)
    optimizer = state(momentum=WHOLE)
    namespace = call(name("argparse", "Namespace")) + state(lr=number(1)) + b"b"
    body = state(**{"epoch": number(7), "optimizer": optimizer, "args": namespace, key: inner})
    assert list(load_file(written(tmp_path, body))) == ["a", "b"]


def test_tensors_beside_the_state_dict(tmp_path):
    """PyTorch's ImageNet script keeps the best accuracy as a tensor; others the generator's."""
    counter = call(name("collections", "Counter"), b"}" + number(3) + number(1) + b"s")
    for extra in ({"best_acc1": WHOLE}, {"rng": WHOLE, "milestones": counter}):
        body = state(**extra, state_dict=state(fc__weight=WHOLE))
        assert list(load_file(written(tmp_path, body))) == ["fc.weight"]


def test_ordered_dict_with_notes_and_parameters(tmp_path):
    parameter = call(name("torch._utils", "_rebuild_parameter"), WHOLE, b"\x88", b"}")
    ordered = call(name("collections", "OrderedDict")) + state(a=parameter)[1:]
    body = ordered + state(_metadata=state(version=number(1))) + b"b"
    assert load_file(written(tmp_path, body))["a"].shape == (4, 3)


def test_a_tensor_with_attributes(tmp_path):
    arguments = tensor(storage("0", 12), (4, 3), (3, 1))[
        len(name("torch._utils", "_rebuild_tensor_v2")) : -1
    ]
    body = call(
        name("torch._tensor", "_rebuild_from_type_v2"), name("torch._utils", "_rebuild_tensor_v2"),
        name("torch", "Tensor"), arguments, state(about=number(3)),
    )  # fmt: skip
    assert load_file(written(tmp_path, state(a=body)))["a"].shape == (4, 3)


def test_compressed_archives_are_read_too(tmp_path):
    path = written(tmp_path, state(a=WHOLE), compression=zipfile.ZIP_DEFLATED)
    np.testing.assert_array_equal(load_file(path)["a"], VALUES.reshape(4, 3))


def test_the_name_of_the_file_does_not_matter(tmp_path):
    path = written(tmp_path, state(a=WHOLE)).rename(tmp_path / "weights.jpg")
    assert list(load_file(path)) == ["a"]


# -- what is refused ----------------------------------------------------------------------
def hostile(path):
    """Pickles that a reader which runs them would act on: a file appears."""
    command = f"touch {path}"
    script = f"open({str(path)!r}, 'w')"
    arguments = tuple_(text(command))
    item = WHOLE + b"0"  # a tensor first, so that it looks like weights
    return {
        "posix system": item + name("posix", "system") + arguments + b"R",
        "os system": state(a=WHOLE, b=name("os", "system") + arguments + b"R"),
        "builtins eval": state(a=WHOLE, b=name("builtins", "eval") + tuple_(text(script)) + b"R"),
        "stack global": text("builtins") + text("exec") + b"\x93" + tuple_(text(script)) + b"R",
        "subprocess": name("subprocess", "Popen") + tuple_(text(command)) + b"\x81",
        "inst": b"(" + text(command) + b"ios\nsystem\n",
        "obj": b"(" + name("os", "system") + text(command) + b"o",
        "newobj_ex": name("os", "system") + arguments + b"}\x92",
        "key": state(a=WHOLE)[:-1] + name("os", "system") + arguments + b"R" + number(1) + b"u",
        "build": name("torch._utils", "_rebuild_tensor_v2")
        + tuple_(b"N", state(__code__=name("os", "system")))
        + b"b",
        "persistent": name("os", "system") + arguments + b"RQ",
        "inside a storage": tensor(storage("0", 12, "system", "os"), (4, 3), (3, 1)),
        "setstate": call(name("collections", "OrderedDict")) + name("os", "system") + arguments
        + b"Rb",
        "getattr": call(name("builtins", "getattr"), name("os", "path"), text("system")),
        "extension": b"\x82\x01",
        "text persistent id": b"P0\n",
    }  # fmt: skip


@pytest.mark.parametrize("kind", hostile("x"))
def test_nothing_is_ever_run(kind, tmp_path, must_not_exist):
    body = hostile(must_not_exist)[kind]
    for path in (
        written(tmp_path, body),
        write_legacy(tmp_path / "l.pt", body, {"0": VALUES}),
    ):
        with pytest.raises(WeightsError, match="nothing was loaded"):
            load_file(path)
    (tmp_path / "plain.pkl").write_bytes(pickled(body))
    with pytest.raises(WeightsError):
        load_file(tmp_path / "plain.pkl")


def test_a_hostile_pickle_would_work_elsewhere(tmp_path):
    """The test above tests something: Python's own reader runs these."""
    path = tmp_path / "ran"
    pickle.loads(pickled(hostile(path)["os system"].replace(WHOLE, number(1))))
    assert path.exists()


def test_what_it_asks_for_is_told(tmp_path):
    path = written(tmp_path, hostile("x")["os system"])
    with pytest.raises(WeightsError, match=r"w.pth: asks for os.system, which no weights need"):
        load_file(path)


def test_a_whole_module_is_told(tmp_path):
    body = call(name("__main__", "Net")) + state(conv=call(name("torch.nn.modules.conv", "Conv2d")))
    with pytest.raises(
        WeightsError, match=r"holds a whole module, not a state dict; save model.state_dict\(\)"
    ):
        load_file(written(tmp_path, body + b"b"))
    identity = tuple_(text("module"), name("a", "B"), text("file"), text("source")) + b"Q"
    with pytest.raises(WeightsError, match="a.B"):
        load_file(written(tmp_path, identity))


def test_torchscript_is_told(tmp_path):
    path = written(tmp_path, state(a=WHOLE))
    with zipfile.ZipFile(path, "a") as file:
        file.writestr("archive/code/net.py", "")
    with pytest.raises(WeightsError, match="holds a TorchScript program"):
        load_file(path)


@pytest.mark.parametrize(
    "size, stride, offset, words",
    [
        ((4, 3), (3, 1), 1, "reaches to element 12 of storage '0', which has 12"),
        ((5, 3), (3, 1), 0, "reaches to element 14"),
        ((2**31, 2**20), (2**20, 1), 0, "reaches to element"),
        ((2**31, 2**31), (2**31, 1), 0, "negative or senseless"),
        ((2**40, 2**40), (0, 0), 0, "negative or senseless"),
        ((0, 2**62), (1, 1), 0, "negative or senseless"),
        ((4, 3), (-3, 1), 9, "negative or senseless size, stride or offset"),
        ((4, 3), (3, 1), -1, "negative or senseless"),
        ((4, -3), (3, 1), 0, "negative or senseless"),
        ((4, 2**63), (3, 1), 0, "negative or senseless"),
        ((4, 3), (3,), 0, "a tensor has 2 dimensions and 1 strides"),
        ((1,) * 33, (1,) * 33, 0, "negative or senseless"),
    ],
)
def test_tensors_stay_inside_their_storage(size, stride, offset, words, tmp_path):
    body = state(a=tensor(storage("0", 12), size, stride, offset))
    for path in (written(tmp_path, body), write_legacy(tmp_path / "l", body, {"0": VALUES})):
        with pytest.raises(WeightsError, match=words):
            load_file(path)


def test_the_stride_of_a_single_element_says_nothing(tmp_path):
    body = state(a=tensor(storage("0", 12), (1, 3), (2**62, 2), 1))
    np.testing.assert_array_equal(load_file(written(tmp_path, body))["a"], [[1, 3, 5]])


def test_a_view_that_changes_signs_is_refused(tmp_path):
    notes = state(neg=b"\x88")
    arguments = storage("0", 12), number(0), tuple_(number(3)), tuple_(number(1)), b"\x89", b"}"
    function = name("torch._utils", "_rebuild_tensor_v2")
    assert list(load_file(written(tmp_path, state(a=call(function, *arguments, b"N"))))) == ["a"]
    with pytest.raises(WeightsError, match="a view that changes signs"):
        load_file(written(tmp_path, state(a=call(function, *arguments, notes))))


def test_storages_that_are_short_or_missing(tmp_path):
    for stored, words in (
        (storage("0", 13), "48 bytes where 52 are announced"),
        (storage("0", 2**62), "announced"),
        (storage("0", -1), "cut or senseless"),
        (storage("0", 2**64), "cut or senseless"),
        (tuple_(text("storage"), DEEP, text("0"), text("cpu"), number(1)) + b"Q", "type, tuple"),
        (storage("7", 12), "storage '7' is not in the file"),
        (storage("../../etc/passwd", 12), "is not in the file"),
        (storage("0", 12, "QInt8Storage"), "kind that is not read: torch.QInt8Storage"),
    ):
        with pytest.raises(WeightsError, match=words):
            load_file(written(tmp_path, state(a=tensor(stored, (2, 3), (3, 1)))))


def test_every_cut_is_noticed(tmp_path):
    body = state(a=WHOLE, b=tensor(storage("1", 12), (12,), (1,)))
    storages = {"0": VALUES, "1": VALUES + 1}
    for path in (
        write_zip(tmp_path / "z", body, storages),
        write_legacy(tmp_path / "l", body, storages),
    ):
        whole = path.read_bytes()
        for length in {*range(0, len(whole), 7), len(whole) - 1}:
            path.write_bytes(whole[:length])
            with pytest.raises(WeightsError):
                load_file(path)


def test_every_altered_byte_is_noticed_or_harmless(tmp_path):
    """A flipped bit gives the error or an array: never another exception."""
    path = write_legacy(tmp_path / "l", state(a=WHOLE), {"0": VALUES})
    archive = write_zip(tmp_path / "z", state(a=WHOLE), {"0": VALUES})
    np.savez_compressed(tmp_path / "c.npz", a=VALUES, b=VALUES.reshape(3, 4))
    for file in (path, archive, tmp_path / "c.npz"):
        whole = file.read_bytes()
        for place in range(0, len(whole), 3):
            altered = bytearray(whole)
            altered[place] ^= 0xD5
            file.write_bytes(altered)
            try:
                assert all(isinstance(v, np.ndarray) for v in load_file(file).values())
            except WeightsError:
                pass


@pytest.mark.parametrize("how", [zipfile.ZIP_DEFLATED, zipfile.ZIP_BZIP2, zipfile.ZIP_LZMA])
def test_no_more_is_unpacked_than_announced(how, tmp_path):
    path = tmp_path / "bomb.pth"
    with zipfile.ZipFile(path, "w", how) as file:
        file.writestr("a/data.pkl", bytes(2**26))
    content = bytearray(path.read_bytes())
    place = content.rindex(b"PK\1\2")
    content[place + 24 : place + 28] = (50).to_bytes(4, "little")
    path.write_bytes(content)
    tracemalloc.start()
    with pytest.raises(WeightsError, match="cut or altered"):
        load_file(path)
    _, most = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert most < 2**23


def test_pickles_that_take_for_ever(tmp_path, monkeypatch):
    prime = 2**61 - 1  # the hash of its multiples is 0
    keys = [(i * prime).to_bytes(10, "little") for i in range(5, 1000)]
    body = b"}(" + b"".join(b"\x8a\x0a" + key + b"N" for key in keys) + text("a") + WHOLE + b"u"
    with pytest.raises(WeightsError, match="a key of type int; keys are"):
        pickles.read(io.BytesIO(pickled(body)))
    monkeypatch.setattr(pickles, "hash", lambda _: 7, raising=False)  # as if they were chosen so
    pairs = [tuple_(number(i), number(1)) + b"N" for i in range(1000)]
    with pytest.raises(WeightsError, match="keys that are all hashed alike"):
        pickles.read(io.BytesIO(pickled(b"}(" + b"".join(pairs) + b"u")))
    body = b"N" + b"".join(b"p%d\n" % int.from_bytes(key, "little") for key in keys)
    with pytest.raises(WeightsError, match="a senseless place in its memo"):
        load_file(written(tmp_path, body))
    # a dict that wraps itself, and a number whose decimals are not written
    circle = b"}q\0(" + text("state_dict") + b"h\0" + number(1) + WHOLE + b"u"
    long = b"}(\x8b" + (4000).to_bytes(4, "little") + b"\x7f" * 4000 + WHOLE + b"u"
    for body, words in ((circle, "holds no state dict"), (long, "a key of type int")):
        with pytest.raises(WeightsError, match=words):
            load_file(written(tmp_path, body))
    monkeypatch.setattr(pickles, "_MOST_STEPS", 1000)
    with pytest.raises(WeightsError, match="the pickle has more than 1,000 instructions"):
        load_file(written(tmp_path, b"]" * 2000))


def test_long_names_make_no_long_report(tmp_path):
    for body in (state(**{"x" * 10**6: number(1)}), name("a" * 10**6, "b")):
        with pytest.raises(WeightsError) as caught:
            load_file(written(tmp_path, body))
        assert len(str(caught.value)) < 800


def test_an_archive_that_would_unpack_to_gigabytes(tmp_path):
    path = tmp_path / "bomb.pth"
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as file:
        file.writestr("a/data.pkl", pickled(state(a=WHOLE)))
        with file.open("a/data/0", "w", force_zip64=True) as member:
            member.write(bytes(2**20))
    content = bytearray(path.read_bytes())
    # the archive's list announces 16 GiB
    place = content.rindex(b"PK\1\2")
    content[place + 24 : place + 28] = (2**32 - 2).to_bytes(4, "little")
    path.write_bytes(content)
    with pytest.raises(WeightsError, match="that unpack to 4,294,"):
        load_file(path)


def test_nested_texts_and_tuples_cost_nothing(tmp_path):
    for key in (DEEP, b"(" + b"N" * 10**6 + b"t"):
        body = state(a=WHOLE)[:-1] + key + number(1) + b"u"
        with pytest.raises(WeightsError, match="a key of type tuple; keys are"):
            load_file(written(tmp_path, body))
    lists = b"](" * 50_000 + b"e" * 50_000
    with pytest.raises(WeightsError, match="holds no state dict .*a list"):
        load_file(written(tmp_path, lists))


@pytest.mark.parametrize(
    "body, words",
    [
        (state(lr=number(1), epoch=number(2)), "a dict of lr, epoch"),
        (WHOLE, r"a single tensor of shape \[4, 3\]"),
        (b"](" + WHOLE + b"e", "a list"),
        (number(3), "an int"),
    ],
)
def test_no_state_dict(body, words, tmp_path):
    with pytest.raises(WeightsError, match="holds no state dict .*" + words.split(" ", 1)[1]):
        load_file(written(tmp_path, body))


# -- against PyTorch ----------------------------------------------------------------------
@pytest.mark.peers
@pytest.mark.parametrize("new", [True, False])
def test_what_pytorch_writes(new, tmp_path):
    torch = pytest.importorskip("torch")
    net = torch.nn.Sequential(torch.nn.Conv2d(3, 5, (2, 4)), torch.nn.BatchNorm2d(5))
    base = torch.randn(6, 7)
    extra = {
        "turned": base.t(), "part": base[1:4, ::2], "half": base.half(), "bf16": base.bfloat16(),
        "wide": base[:1].expand(4, 7), "flags": base > 0, "parameter": torch.nn.Parameter(base),
    }  # fmt: skip
    state = {**net.state_dict(), **extra}
    path = tmp_path / "w.pth"
    torch.save({"state_dict": state, "epoch": 3}, path, _use_new_zipfile_serialization=new)
    found = load_file(path)
    assert list(found) == list(state)
    for key, value in state.items():
        value = value.detach()
        expected = value.float() if value.dtype in (torch.half, torch.bfloat16) else value
        np.testing.assert_array_equal(found[key], expected.numpy())
    with pytest.raises(WeightsError, match="whole module"):
        torch.save(net, path, _use_new_zipfile_serialization=new)
        load_file(path)
