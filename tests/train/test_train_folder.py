import os
import threading

import pytest

from tinyconv.train import RunFolder, TrainConfig, TrainError, fit, read_config


def test_two_runs_into_one_folder(tmp_path):
    with RunFolder(tmp_path / "a"):
        with pytest.raises(TrainError, match="another run is writing there"):
            RunFolder(tmp_path / "a")
        (tmp_path / "a" / "config.json").write_text(TrainConfig().to_json())
        with pytest.raises(TrainError, match="another run is writing there"):
            RunFolder(tmp_path / "a", resume=True)
    with RunFolder(tmp_path / "a", resume=True) as folder:
        assert folder.read_config() == TrainConfig()


def test_a_folder_that_holds_a_run(tmp_path):
    for name in ("config.json", "last.npz", "curves.png"):
        folder = tmp_path / name.split(".")[0]
        folder.mkdir()
        (folder / name).write_text("precious")
        with pytest.raises(TrainError, match=f"holds a run already .{name}.*--resume"):
            RunFolder(folder)
        assert (folder / name).read_text() == "precious"


def test_nothing_to_resume(tmp_path):
    with pytest.raises(TrainError, match="holds no run"):
        RunFolder(tmp_path, resume=True)
    with pytest.raises(TrainError, match="b: the folder does not exist"):
        RunFolder(tmp_path / "b", resume=True)
    assert list(tmp_path.iterdir()) == []
    (tmp_path / "last.npz").write_text("")
    with pytest.raises(TrainError, match=f"last.npz: is a file; .* --resume {tmp_path}$"):
        RunFolder(tmp_path / "last.npz", resume=True)


def test_unwritable(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(TrainError, match="file: is a file, not a folder"):
        RunFolder(tmp_path / "file")
    with pytest.raises(TrainError, match=r"cannot write the run there \(.+\)"):
        RunFolder(tmp_path / "file" / "run")
    with pytest.raises(TrainError, match="cannot write a run there"):
        RunFolder.new("a", tmp_path / "file")


def test_new_folders_never_meet(tmp_path):
    made, go = [], threading.Barrier(6)

    def make():
        go.wait()
        for _ in range(10):
            made.append(RunFolder.new("net-data", tmp_path))

    threads = [threading.Thread(target=make) for _ in range(6)]
    [t.start() for t in threads]
    [t.join() for t in threads]
    assert len({f.path for f in made}) == 60
    assert {f.path.name for f in made} == {f"net-data-{n}" for n in range(1, 61)}
    [f.close() for f in made]


def test_a_folder_without_a_run_goes_away(tmp_path):
    """What is refused before the first step leaves nothing behind."""
    with pytest.raises(TrainError, match="training data set is empty"):
        fit(dataset=([], []), model="lenet5", out=tmp_path / "run")
    assert list(tmp_path.iterdir()) == []


def test_damaged_config(tmp_path):
    (tmp_path / "config.json").write_text('{"epochs": 3')
    with pytest.raises(TrainError, match="config.json: is damaged"):
        read_config(tmp_path)
    with pytest.raises(TrainError, match="config.json: is damaged"):
        fit(resume=tmp_path)
    assert "last.npz" not in os.listdir(tmp_path)
