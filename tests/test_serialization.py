"""save and load: what comes back, who else can read it, and what a bad file can do (nothing)."""

import io
import pickle
import signal
import subprocess
import sys
import time
import zipfile
from collections import OrderedDict

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

import tinyconv as tc
from tinyconv import nn
from tinyconv.weights import WeightsError


def _saved(value):
    file = io.BytesIO()
    tc.save(value, file)
    return file.getvalue()


def _back(value):
    return tc.load(io.BytesIO(_saved(value)))


def _net():
    return nn.Sequential(nn.Conv2d(2, 3, 3), nn.BatchNorm2d(3), nn.Flatten(), nn.Linear(48, 5))


# -- what comes back --------------------------------------------------------------------------
_DTYPES = ("float32", "float64", "bool", "uint8", "int8", "int16", "int32", "int64")
_arrays = st.sampled_from(_DTYPES).flatmap(
    lambda dtype: hnp.arrays(dtype, hnp.array_shapes(min_dims=0, min_side=0, max_side=3))
)
_keys = st.recursive(
    st.text(max_size=3) | st.integers(-(2**63), 2**63 - 1) | st.booleans() | st.none(),
    lambda inner: st.lists(inner, max_size=3).map(tuple), max_leaves=3,
) | st.sampled_from([tc.float32, tc.device("cpu")])  # fmt: skip
_values = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**70), 2**70) | st.floats() | st.text(max_size=5)
    | st.binary(max_size=5) | _arrays | _arrays.map(tc.from_numpy)
    | st.sampled_from([tc.float32, tc.int64, tc.bool, tc.device("cpu")])
    | st.sets(_keys) | st.frozensets(_keys),
    lambda inner: st.lists(inner, max_size=4) | st.lists(inner, max_size=4).map(tuple)
    | st.dictionaries(_keys, inner, max_size=4)
    | st.dictionaries(_keys, inner, max_size=4).map(OrderedDict),
    max_leaves=12,
)  # fmt: skip


def _same(a, b):
    assert type(a) is type(b)
    if isinstance(a, tc.Tensor):
        _same(a.array, b.array)
    elif isinstance(a, np.ndarray):
        assert a.dtype == b.dtype and a.shape == b.shape
        np.testing.assert_array_equal(a, b)
    elif isinstance(a, dict):
        assert list(a) == list(b)
        for key in a:
            _same(a[key], b[key])
    elif isinstance(a, (list, tuple)):
        assert len(a) == len(b)
        for x, y in zip(a, b):
            _same(x, y)
    else:
        assert a == b or a != a


@settings(max_examples=60, deadline=None)
@given(_values)
def test_every_value_comes_back(value):
    _same(value, _back(value))


def test_numbers_of_numpy_and_other_dicts_become_plain():
    class Other(dict):
        pass

    assert _back([np.float32(0.5), np.int8(3), np.bool_(True)]) == [0.5, 3, True]
    assert type(_back(Other(a=1))) is dict


def test_keys_that_are_no_names_come_back():
    value = {
        (1, 2): 3,
        True: 1,
        -1: "a",
        tc.float32: 2,
        (np.int64(7),): 4,
        "s": {-1, (1, (2, None))},
    }
    assert _back(value) == value


def test_long_lists_and_dicts():
    many = {"list": list(range(3000)), "dict": {str(i): i for i in range(3000)}}
    assert _back(many) == many


def test_what_was_shared_stays_shared():
    x = tc.arange(12).reshape(3, 4)
    p = nn.Parameter(tc.ones(2))
    value = [x, x.t(), x[1], x[:, 1:3], x[2, ::2], p, p, {"again": x}]
    full, turned, row, columns, every, a, b, again = _back(value)
    assert a is b and isinstance(a, nn.Parameter) and a.requires_grad and again["again"] is full
    full[1, 2] = 70
    assert turned[2, 1] == 70 and row[2] == 70 and columns[1, 1] == 70
    assert every.tolist() == [8, 10] and full._version == row._version > 0


def test_only_what_is_used_of_a_large_memory_is_written():
    assert len(_saved(tc.zeros(1000, 1000)[3:5])) < 12_000


@pytest.mark.parametrize(
    "array",
    [np.arange(6)[::-1], np.arange(6.0).reshape(2, 3).T, np.broadcast_to(np.float32(2), (3, 4)),
     np.arange(6, dtype=">i4"), np.ones((2, 0, 3)), np.array(7),
     np.zeros(3, [("a", "i1"), ("b", "<f4")])["b"]],
)  # fmt: skip
def test_arrays_of_any_layout(array):
    np.testing.assert_array_equal(_back(array), array)


def test_leaves_and_histories():
    x = tc.ones(2, requires_grad=True)
    leaf, result, frozen = _back([x, x * 2, nn.Parameter(tc.ones(1), requires_grad=False)])
    assert leaf.requires_grad and result.is_leaf and result.tolist() == [2, 2]
    assert isinstance(frozen, nn.Parameter) and not frozen.requires_grad


def test_a_list_that_holds_itself():
    value = [1]
    value.append(value)
    back = _back(value)
    assert back[0] == 1 and back[1] is back


# -- training ---------------------------------------------------------------------------------
def _train(net, optimizer, schedule, steps):
    x, y = tc.randn(4, 2, 6, 6), tc.randint(0, 5, (4,))
    for _ in range(steps):
        optimizer.zero_grad()
        nn.functional.cross_entropy(net(x), y).backward()
        optimizer.step()
        schedule.step()
    return x


@pytest.mark.parametrize("kind", ["SGD", "Adam"])
def test_a_run_goes_on_as_if_it_had_not_stopped(tmp_path, kind):
    def make():
        net = _net()
        options = dict(momentum=0.9) if kind == "SGD" else {}
        optimizer = getattr(tc.optim, kind)(net.parameters(), lr=0.05, **options)
        return net, optimizer, tc.optim.lr_scheduler.StepLR(optimizer, 2)

    tc.manual_seed(3)
    net, optimizer, schedule = make()
    _train(net, optimizer, schedule, 3)
    path = tmp_path / "checkpoint.pt"
    tc.save(
        {"epoch": 3, "net": net.state_dict(), "optimizer": optimizer.state_dict(),
         "schedule": schedule.state_dict(), "rng": tc.get_rng_state()}, path,
    )  # fmt: skip
    x = _train(net, optimizer, schedule, 3)

    again, optimizer, schedule = make()
    state = tc.load(path, map_location=tc.device("cpu"))
    again.load_state_dict(state["net"])
    optimizer.load_state_dict(state["optimizer"])
    schedule.load_state_dict(state["schedule"])
    tc.set_rng_state(state["rng"])
    _train(again, optimizer, schedule, 3)
    assert tc.equal(net(x), again(x)) and state["epoch"] == 3


# -- files ------------------------------------------------------------------------------------
def test_a_value_that_cannot_be_saved_leaves_the_old_file(tmp_path):
    path = tmp_path / "a.pt"
    tc.save([1], path)
    for value, words in (
        ({"net": [_net()]}, r"save: value\['net'\]\[0\] is a Sequential; .*state_dict"),
        ([1, 2j], r"value\[1\] is a complex"),
        (print, "got a builtin"),
        ({(1, object()): 3}, "a key of type tuple"),
        (np.zeros(2, np.complex64), "dtype complex64"),
        ({"a": {tc.ones(2)}}, r"value\['a'\] has a key of type Tensor; keys are"),
        ([{(1, tc.ones(2)): 3}], r"value\[0\] has a key of type tuple; keys are"),
        ({2**63: 1}, "value has a key of type int; keys are"),
        (_deep(3000), r"value(\[0\])+\.\.\. is nested more than \d+ deep"),
    ):
        with pytest.raises(TypeError, match=words):
            tc.save(value, path)
    assert tc.load(path) == [1] and [p.name for p in tmp_path.iterdir()] == ["a.pt"]


def _deep(levels):
    value = []
    for _ in range(levels):
        value = [value]
    return value


def test_what_is_nested_as_deep_as_may_be_comes_back():
    value = _deep(190)
    assert _back(value) == value


def test_a_killed_writer_leaves_the_old_file_or_the_new_one(tmp_path):
    path = tmp_path / "a.pt"
    tc.save(np.zeros(200_000), path)
    script = f"""
import itertools, numpy as np, tinyconv as tc
print("ready", flush=True)
for i in itertools.count(1):
    tc.save(np.full(200_000, i), {str(path)!r})
"""
    for wait in (0.02, 0.05, 0.11):
        writer = subprocess.Popen([sys.executable, "-c", script], stdout=subprocess.PIPE)
        writer.stdout.readline()
        time.sleep(wait)
        writer.send_signal(signal.SIGKILL)
        writer.communicate()
        numbers = tc.load(path)
        assert numbers.shape == (200_000,) and (numbers == numbers[0]).all()


def test_open_files_and_odd_paths(tmp_path):
    for name in ("plain", "ünïcode name.pt"):
        with open(tmp_path / name, "wb") as file:
            tc.save({"a": 1}, file)
        with open(tmp_path / name, "rb") as file:
            assert tc.load(file, map_location=lambda storage, location: storage) == {"a": 1}
        assert tc.load(str(tmp_path / name), "cpu", weights_only=False) == {"a": 1}
    with pytest.raises(FileNotFoundError):
        tc.load(tmp_path / "absent")
    with pytest.raises(FileNotFoundError):
        tc.save(1, tmp_path / "absent" / "a.pt")
    with pytest.raises(RuntimeError, match="CPU only"):
        tc.load(tmp_path / "plain", map_location="cuda:0")


def test_writing_twice_gives_the_same_bytes():
    value = {"w": tc.arange(5), "n": [1, 2.5]}
    assert _saved(value) == _saved(value)


# -- bad files --------------------------------------------------------------------------------
class _Evil:
    def __reduce__(self):
        return print, ("executed!",)


def _zip(pickled, name="archive/data.pkl"):
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w") as archive:
        archive.writestr(name, pickled)
    return file.getvalue()


@pytest.mark.parametrize(
    "content, words",
    [
        (b"", "begins with"), (b"\x00" * 9, "no file of torch.save"),
        (_zip(b"", "a.txt"), "none of torch.save"), (pickle.dumps(_Evil(), 2), "asks for .*print"),
        (_zip(pickle.dumps({"a": _Evil()}, 2)), "asks for .*print.* Nothing was run"),
        (_zip(pickle.dumps(_Evil(), 4)), "print"), (_zip(b"\x80\x02}"), "cut or senseless"),
        (_zip(b"(" * 10 + b"."), "cut or senseless"),
        (_zip(b"\x80\x02" + b"(" * 5000 + b"l" * 5000 + b"."), "nested too deeply"),
        (_zip(b"ctorch._utils\n_rebuild_parameter\n(I1\ntR."), "cut or senseless"),
    ],
)  # fmt: skip
def test_hostile_files_run_nothing_and_are_named(content, words, tmp_path, capsys):
    path = tmp_path / "bad.pt"
    path.write_bytes(content)
    with pytest.raises(WeightsError, match=f"bad.pt: .*{words}"):
        tc.load(path)
    assert "executed" not in capsys.readouterr().out


def test_truncated_and_altered_files_raise():
    good = _saved({"w": tc.arange(40), "n": [1.5, "text"]})
    for cut in range(0, len(good), 23):
        with pytest.raises(WeightsError):
            tc.load(io.BytesIO(good[:cut]))
    wanted = tc.load(io.BytesIO(good))
    for at in range(0, len(good), 7):
        altered = bytearray(good)
        altered[at] ^= 0x41
        try:
            _same(tc.load(io.BytesIO(bytes(altered))), wanted)  # it did not matter
        except WeightsError:
            pass


# -- PyTorch ----------------------------------------------------------------------------------
def test_pytorch_reads_what_tinyconv_writes_and_the_other_way_round(tmp_path):
    torch = pytest.importorskip("torch")
    net = _net()
    optimizer = tc.optim.SGD(net.parameters(), lr=0.1, momentum=0.9)
    x = _train(net, optimizer, tc.optim.lr_scheduler.StepLR(optimizer, 5), 2)
    odd = {"b": b"\x00\xff", "s": {"a"}, "d": tc.float64, "dev": tc.device("cpu"), "n": 2**80,
           "t": tc.arange(6).reshape(2, 3).t(), "p": net[0].weight, "none": None,
           "keys": {(1, 2): 3, True: 1, -1: {-1, (1, 2)}, tc.float32: 2}}  # fmt: skip
    path = tmp_path / "a.pth"
    tc.save({"net": net.state_dict(), "optimizer": optimizer.state_dict(), "odd": odd}, path)

    theirs = torch.load(path, weights_only=True)
    twin = torch.nn.Sequential(
        torch.nn.Conv2d(2, 3, 3), torch.nn.BatchNorm2d(3), torch.nn.Flatten(),
        torch.nn.Linear(48, 5),
    )  # fmt: skip
    twin.load_state_dict(theirs["net"])
    y = twin(torch.from_numpy(x.numpy()))
    np.testing.assert_allclose(y.detach().numpy(), net(x).detach().numpy(), atol=1e-5)
    assert theirs["odd"]["b"] == b"\x00\xff" and theirs["odd"]["d"] == torch.float64
    assert theirs["odd"]["t"].tolist() == odd["t"].tolist() and theirs["odd"]["n"] == 2**80
    assert isinstance(theirs["odd"]["p"], torch.nn.Parameter)

    momentum = torch.optim.SGD(twin.parameters(), lr=0.1, momentum=0.9)
    momentum.load_state_dict(theirs["optimizer"])
    for zipped in (True, False):
        torch.save(
            {"net": twin.state_dict(), "optimizer": momentum.state_dict(), "odd": theirs["odd"]},
            path, _use_new_zipfile_serialization=zipped,
        )  # fmt: skip
        ours = tc.load(path)
        again = _net()
        again.load_state_dict(ours["net"])
        optimizer.load_state_dict(ours["optimizer"])
        assert tc.allclose(again(x), net(x), atol=1e-5)
        assert isinstance(ours["odd"]["p"], nn.Parameter) and ours["odd"]["d"] == np.float64
        assert ours["odd"]["keys"] == odd["keys"] and ours["odd"]["s"] == {"a"}
        assert ours["odd"]["t"].tolist() == odd["t"].tolist()
