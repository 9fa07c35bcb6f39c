import json
import signal

import numpy as np
import pytest

import tinyconv as tc
from tinyconv.data import Subset, load
from tinyconv.train import TrainError, fit, load_checkpoint

TIMES = ("seconds", "test_seconds", "compile_seconds")
STEPS = 13  # of 4 images in 50
SETTINGS = {"epochs": 3, "batch_size": 4, "seed": 5, "workers": 2}


def values_of(net):
    return {name: value.array.copy() for name, value in net.state_dict().items()}


def assert_same(a, b):
    assert a.keys() == b.keys()
    for name in a:
        np.testing.assert_array_equal(a[name], b[name], err_msg=name)


def log_of(folder):
    records = [json.loads(line) for line in (folder / "log.jsonl").read_text().splitlines()]
    return [{k: v for k, v in r.items() if k not in TIMES} for r in records]


def stop_at(net, step):
    """Press Ctrl-C within training step ``step`` (from 0)."""
    count = iter(range(10**9))

    def press(module, args, result):
        if module.training and next(count) == step:
            signal.raise_signal(signal.SIGINT)

    return net.register_forward_hook(press)


@pytest.mark.parametrize(
    "optimizer, schedule",
    [
        ("adamw", dict(schedule="onecycle")),
        ("sgd", dict(schedule="cosine", warmup_epochs=0.7)),
        ("rmsprop", dict(schedule="multistep", milestones=[1, 2], warmup_epochs=0.5)),
        ("adam", dict(schedule="step", step_epochs=1)),
        ("sgd", dict(schedule="none")),
    ],
)
def test_stopped_anywhere_and_resumed_is_equal(
    optimizer, schedule, make_net, tiny_data, tmp_path, lines
):
    settings = {**SETTINGS, "optimizer": optimizer, **schedule}
    whole = make_net()
    fit(model=whole, dataset=tiny_data, out=tmp_path / "whole", say=lines.append, **settings)

    rng = np.random.default_rng(len(optimizer + schedule["schedule"]))
    stops = [int(rng.integers(0, STEPS)), STEPS - 1, STEPS + int(rng.integers(0, STEPS))]
    part, folder = make_net(), tmp_path / "parts"
    handle = stop_at(part, stops[0])
    history = fit(model=part, dataset=tiny_data, out=folder, say=lines.append, **settings)
    assert history.interrupted
    assert f"fit(resume='{folder}', model=..., dataset=...)" in lines[-1]
    done = stops[0] + 1
    for stop in stops[1:]:
        handle.remove()
        part = make_net(99)  # everything must come from the checkpoint
        tc.manual_seed(1234)
        handle = stop_at(part, max(0, stop - done))
        history = fit(
            model=part, dataset=tiny_data, resume=folder, say=lines.append, workers=0, threads=1
        )
        assert history.interrupted
        done = max(done, stop) + 1
    handle.remove()
    part = make_net(98)
    history = fit(model=part, dataset=tiny_data, resume=folder, say=lines.append)
    assert not history.interrupted and len(history) == 3
    assert_same(values_of(whole), values_of(part))
    assert log_of(tmp_path / "whole") == log_of(folder)
    for name in ("last.npz", "best.npz"):
        a, b = load_checkpoint(tmp_path / "whole" / name), load_checkpoint(folder / name)
        assert_same(a["weights"], b["weights"])
    assert a["about"] == b["about"]


def test_interrupt_during_the_held_out_images(make_net, tiny_data, tmp_path, lines):
    whole = make_net()
    fit(model=whole, dataset=tiny_data, out=tmp_path / "whole", say=lines.append, **SETTINGS)
    part = make_net()

    def press(module, args, result):
        if not module.training and len(args[0]) == 20:
            signal.raise_signal(signal.SIGINT)

    handle = part.register_forward_hook(press)
    history = fit(
        model=part, dataset=tiny_data, out=tmp_path / "part", say=lines.append, **SETTINGS
    )
    handle.remove()
    assert history.interrupted and len(history) <= 1
    fit(model=part, dataset=tiny_data, resume=tmp_path / "part", say=lines.append)
    assert_same(values_of(whole), values_of(part))
    assert log_of(tmp_path / "whole") == log_of(tmp_path / "part")


def test_crash_between_log_and_checkpoint(make_net, tiny_data, tmp_path, lines, monkeypatch):
    """The log has a line that the checkpoint does not know; it is cut and written again."""
    whole = make_net()
    fit(model=whole, dataset=tiny_data, out=tmp_path / "whole", say=lines.append, **SETTINGS)
    part, saves = make_net(), []
    save = tc.train.RunFolder.save

    def crash(folder, name, state):
        saves.append(name)
        if saves.count("last.npz") == 3:  # the first is before the first step
            raise MemoryError("the machine went down")
        save(folder, name, state)

    with monkeypatch.context() as m, pytest.raises(MemoryError):
        m.setattr(tc.train.RunFolder, "save", crash)
        fit(model=part, dataset=tiny_data, out=tmp_path / "part", say=lines.append, **SETTINGS)
    assert len(log_of(tmp_path / "part")) == 2
    with open(tmp_path / "part" / "log.jsonl", "a") as file:
        file.write('{"epoch": 3, "tr')  # and a line that was cut
    fit(model=part, dataset=tiny_data, resume=tmp_path / "part", say=lines.append)
    assert_same(values_of(whole), values_of(part))
    assert log_of(tmp_path / "whole") == log_of(tmp_path / "part")


def test_saves_within_an_epoch(make_net, tiny_data, tmp_path, lines, monkeypatch):
    seen = []
    save = tc.train.RunFolder.save

    def note(folder, name, state):
        seen.append((name, state.get("position", {}).get("batch")))
        save(folder, name, state)

    monkeypatch.setattr(tc.train.RunFolder, "save", note)
    fit(
        model=make_net(), dataset=tiny_data, out=tmp_path / "a", say=lines.append, epochs=1,
        batch_size=25, save_seconds=0,
    )  # fmt: skip
    assert ("last.npz", 1) in seen and ("last.npz", 2) in seen


def test_seeds_and_threads(tmp_path, lines):
    """Equal settings give equal bits, with 1, 2 or 3 threads; another seed does not."""
    data = Subset(load("digits"), range(200)), Subset(load("digits", train=False), range(50))
    runs = [
        fit(model="inception_small", dataset=data, out=False, say=lines.append, epochs=1,
            seed=seed, threads=threads, workers=workers)
        for seed, threads, workers in [(0, 1, 0), (0, 2, 1), (0, 3, 2), (1, 2, 1)]
    ]  # fmt: skip
    weights = [values_of(run.model) for run in runs]
    assert_same(weights[0], weights[1])
    assert_same(weights[0], weights[2])
    assert runs[0]["test_loss"] == runs[1]["test_loss"] == runs[2]["test_loss"]
    assert any((weights[0][k] != weights[3][k]).any() for k in weights[0])


def test_the_callers_random_numbers_stay(make_net, tiny_data, lines):
    tc.manual_seed(3)
    expected = tc.rand(4)
    net = make_net()
    tc.manual_seed(3)
    fit(model=net, dataset=tiny_data, out=False, say=lines.append, epochs=1)
    assert tc.equal(tc.rand(4), expected)


def test_resume_refusals(make_net, tiny_data, tmp_path, lines):
    net = make_net()
    fit(model=net, dataset=tiny_data, out=tmp_path / "a", say=lines.append, epochs=1)
    before = (tmp_path / "a" / "last.npz").read_bytes()
    for arguments, words in (
        (dict(epochs=9), "leave out epochs"),
        (dict(out="b"), "leave out out"),
        (dict(model="lenet5"), "its network was your own"),
        (dict(dataset="digits"), "its data was your own"),
        (dict(model=tc.nn.Sequential(tc.nn.Flatten(), tc.nn.Linear(84, 3))), "does not fit"),
        (dict(dataset=(Subset(tiny_data[0], range(20)), None), epochs=1), "leave out epochs"),
    ):
        given = {"model": net, "dataset": tiny_data, **arguments}
        with pytest.raises(TrainError, match=words):
            fit(resume=tmp_path / "a", say=lines.append, **given)
    assert (tmp_path / "a" / "last.npz").read_bytes() == before
    (tmp_path / "a" / "last.npz").write_bytes(before[:-100])
    with pytest.raises(TrainError, match="last.npz: is damaged"):
        fit(model=net, dataset=tiny_data, resume=tmp_path / "a", say=lines.append)


def test_resume_without_its_checkpoint(make_net, tiny_data, tmp_path, lines):
    """What is left of a run is not taken for its beginning."""
    folder = tmp_path / "a"
    fit(model=make_net(), dataset=tiny_data, out=folder, say=lines.append, epochs=2)
    (folder / "last.npz").unlink()
    before = {path.name: path.read_bytes() for path in folder.iterdir()}
    words = "last.npz is missing.*log.jsonl has 2 epochs and best.npz holds weights: nothing was"
    with pytest.raises(TrainError, match=words):
        fit(model=make_net(), dataset=tiny_data, resume=folder, say=lines.append)
    (folder / "best.npz").unlink()
    with pytest.raises(TrainError, match="log.jsonl has 2 epochs: nothing was touched"):
        fit(model=make_net(), dataset=tiny_data, resume=folder, say=lines.append)
    for path in folder.iterdir():
        assert path.name == ".lock" or path.read_bytes() == before[path.name]
    (folder / "log.jsonl").write_text("")  # it had not come further than its settings
    assert len(fit(model=make_net(), dataset=tiny_data, resume=folder, say=lines.append)) == 2


def test_a_finished_run_stays_as_it_is(make_net, tiny_data, tmp_path, lines):
    fit(model=make_net(), dataset=tiny_data, out=tmp_path / "a", say=lines.append, epochs=2)
    before = load_checkpoint(tmp_path / "a" / "last.npz")["weights"]
    history = fit(model=make_net(7), dataset=tiny_data, resume=tmp_path / "a", say=lines.append)
    assert len(history) == 2 and not history.interrupted
    assert "this run is finished: 2 of 2 epochs are done" in lines
    assert_same(before, load_checkpoint(tmp_path / "a" / "last.npz")["weights"])
    assert_same(before, values_of(history.model))
