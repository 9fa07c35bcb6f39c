import json
import os
import subprocess
import sys

import numpy as np
import pytest

import tinyconv
from tinyconv import cli, data, train
from tinyconv.cli import main


@pytest.fixture(autouse=True)
def in_tmp(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("TINYCONV_CACHE", str(tmp_path / "cache"))
    monkeypatch.setenv("TINYCONV_QUIET", "1")  # compiling, if it must be, says nothing


def process(*words, **environment):
    return subprocess.run(
        [sys.executable, "-m", "tinyconv", *words],
        capture_output=True, text=True, timeout=200, env={**os.environ, **environment},
    )  # fmt: skip


@pytest.mark.parametrize(
    "words, message",
    [
        ("trian", "unknown command 'trian'; did you mean 'train'? There are: train, predict"),
        ("train --model lenet6", "unknown model 'lenet6'; did you mean 'lenet5'"),
        ("train --dataset digit", "unknown data set 'digit'; did you mean 'digits'?"),
        ("train --optimizer sdg", "unknown optimizer 'sdg'; did you mean 'sgd'?"),
        ("train --schedule onecylce", "unknown schedule 'onecylce'; did you mean 'onecycle'?"),
        ("train --augment flip", "unknown augment 'flip'"),
        ("train --bathc-size 3", "unknown argument '--bathc-size'; did you mean '--batch-size'"),
        ("train --epoch 3", "unknown argument '--epoch'; did you mean '--epochs'"),
        ("train extra", "unknown argument 'extra'; see `tinyconv train --help`"),
        ("train --epochs many", "argument --epochs: invalid int value: 'many'"),
        ("train --epochs", "argument --epochs: expected one argument"),
        ("train --epochs 0", "epochs=0 must be at least 1"),
        ("train --lr -1", "lr=-1.0 must be above 0"),
        ("train --label-smoothing 1", "label_smoothing=1.0 must be from 0 to below 1"),
        ("train --momentum 0.5", "momentum=0.5 has no effect with optimizer 'adamw'"),
        ("train --milestones 3", "milestones=[3] has no effect with schedule 'onecycle'"),
        ("train --schedule multistep --milestones 9", "must lie below epochs=8"),
        ("train --dataset mnist --data-root nonexist", "error: folder nonexist does not exist"),
        ("train --model-options in_channels", "--model-options wants NAME=VALUE"),
        ("train --model-options colour=3 --model lenet5", "lenet5: cannot be built with"),
        ("train --model lenet5 --model-options in_channels=2", "does not take the 1x28x28 images"),
        ("train --model lenet5 --model-options num_classes=9", "is out of range: lenet5 has 9"),
        ("train --resume nowhere", "nowhere: the folder does not exist"),
        ("train --resume held/config.json", "is a file; a run is resumed by its folder: --resume"),
        ("train --out file", "file: is a file, not a folder"),
        ("train --resume nowhere --out x", "leave out --out"),
        ("train --resume nowhere --epochs 3", "leave out epochs"),
        ("train --out file/run", "file/run: cannot write the run there"),
        ("train --out held", "held: holds a run already (config.json)"),
        ("train --resume held", "held/config.json: is damaged"),
        ("train --dataset fashion-mnist --data-root bad", "train-images-idx3-ubyte"),
        ("predict", "the following arguments are required: RUN, IMAGE"),
        ("predict nowhere a.png", "nowhere: there is no such checkpoint"),
        ("predict file a.png", "file: is damaged or no checkpoint"),
        ("predict held a.png", "held: holds no run (neither best.npz nor last.npz)"),
        ("predict held a.png --top 0", "--top=0 must be at least 1"),
        ("summary", "the following arguments are required: MODEL"),
        ("summary resnet21", "unknown model 'resnet21'; did you mean"),
        ("summary lenet5 --input 3x2", "--input='3x2' must be channels x height x width"),
        ("summary lenet5 --input 1x32x32", "lenet5 does not take images of 1x32x32: linear"),
        ("summary lenet5 --classes 0", "--classes=0 must be at least 1"),
        ("summary lenet5 --depth 0", "--depth=0 must be at least 1"),
        ("summary lenet5 --diagram net.gif", "'net.gif' must end in .svg or .png"),
        ("summary lenet5 --diagram file/net.svg", "file/net.svg: cannot be written (Not a direc"),
        ("models lenot", "no network has 'lenot' in its name; see `tinyconv models`"),
        ("doctor --fast", "unknown argument '--fast'; see `tinyconv doctor --help`"),
        ("predict d.png d.png", "d.png: is no checkpoint; usage: tinyconv predict RUN IMAGE"),
    ],
)
def test_user_errors(words, message, tmp_path, capsys):
    (tmp_path / "file").write_text("")
    (tmp_path / "d.png").write_bytes(b"\x89PNG")
    (tmp_path / "held").mkdir()
    (tmp_path / "held" / "config.json").write_text("{")
    (tmp_path / "bad").mkdir()
    for name in ("train-images-idx3-ubyte", "train-labels-idx1-ubyte"):
        (tmp_path / "bad" / name).write_bytes(b"cut")
    assert main(words.split()) == 2
    out, err = capsys.readouterr()
    assert err.startswith("tinyconv: error: ") and message in err
    assert "Traceback" not in err and out == ""
    assert (tmp_path / "held" / "config.json").read_text() == "{"
    assert not (tmp_path / "runs").exists() and not (tmp_path / "nonexist").exists()


def test_faults_of_our_own_keep_their_traceback(monkeypatch):
    monkeypatch.setattr(cli.models, "list_models", lambda: 1 / 0)
    with pytest.raises(ZeroDivisionError):
        main(["models"])


def test_full_disk(tmp_path, monkeypatch, capsys):
    def full(file, **arrays):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(np, "savez", full)
    assert main(["train", "--model", "lenet5", "--out", "a"]) == 2
    message = capsys.readouterr().err
    assert message == "tinyconv: error: a/last.npz: cannot be written (No space left on device)\n"


def test_a_download_that_fails_is_one_sentence(monkeypatch, capsys, tmp_path):
    source = data.datasets._SOURCES["mnist"]._replace(mirrors=("http://127.0.0.1:9/",))
    monkeypatch.setitem(data.datasets._SOURCES, "mnist", source)
    assert main(["train", "--dataset", "mnist", "--data-root", str(tmp_path)]) == 2
    err = capsys.readouterr().err
    assert err.count("\n") == 1 and "tried http://127.0.0.1:9/train-images" in err
    assert "give the folder that holds the files by --data-root" in err


@pytest.mark.skipif(not os.path.exists("/dev/full"), reason="Linux has it")
@pytest.mark.parametrize("words", ["doctor", "models", "--help", "train --model lenet5 --out a"])
def test_output_that_cannot_be_written(words):
    with open("/dev/full", "w") as full:
        done = subprocess.run(
            [sys.executable, "-m", "tinyconv", *words.split()], stdout=full,
            stderr=subprocess.PIPE, text=True, timeout=200,
        )  # fmt: skip
    message = "tinyconv: error: the output cannot be written (No space left on device)\n"
    assert (done.returncode, done.stderr) == (2, message)
    assert not os.path.exists("a")


@pytest.mark.parametrize("words", ["doctor", "train --model lenet5 --out a", "summary lenet5"])
def test_a_senseless_number_of_threads_in_the_environment(words):
    done = process(*words.split(), TINYCONV_NUM_THREADS="abc")
    message = "TINYCONV_NUM_THREADS='abc': wants a whole number of at least 1"
    assert (done.returncode, done.stderr) == (2, f"tinyconv: error: {message}\n")


def test_more_memory_than_there_is(monkeypatch, capsys):
    def huge(*_, **__):
        raise MemoryError("Unable to allocate 37.3 GiB")

    monkeypatch.setattr(cli.networks, "summary", huge)
    assert main(["summary", "lenet5", "--input", "1x100000x100000"]) == 2
    err = capsys.readouterr().err
    assert "images of 1x100000x100000 need more memory than there is" in err
    monkeypatch.setattr(cli.train, "fit", huge)
    assert main(["train"]) == 2 and "out of memory" in capsys.readouterr().err


def test_ctrl_c_while_the_command_line_is_loaded(tmp_path):
    script = (
        "import runpy, sys, tinyconv\n"
        "class Finder:\n"
        "    def find_spec(self, name, *rest):\n"
        "        if name == 'tinyconv.cli': raise KeyboardInterrupt\n"
        "sys.meta_path.insert(0, Finder())\n"
        "runpy.run_module('tinyconv', run_name='__main__')"
    )
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True)
    assert (done.returncode, done.stderr) == (130, "tinyconv: aborted\n")


def test_nan_loss(capsys):
    words = "train --model lenet5 --optimizer sgd --lr 1e20 --schedule none --out a --epochs 1"
    assert main(words.split()) == 2
    err = capsys.readouterr().err
    assert "First at fault: layer " in err and "Try a lower learning rate" in err
    assert train.load_checkpoint("a/last.npz")["position"]["batch"] == 0


def test_train_predict_resume(tmp_path, capsys):
    words = "train --model lenet5 --epochs 1 --batch-size 128 --model-options num_classes=12"
    assert main(words.split()) == 0
    out = capsys.readouterr().out
    assert "into runs/lenet5-digits-1" in out and out.count("\nepoch 1/1") == 1
    assert "best held-out accuracy" in out
    folder = tmp_path / "runs" / "lenet5-digits-1"
    for name in ("config.json", "log.jsonl", "last.npz", "best.npz", "curves.png", "mistakes.png"):
        assert (folder / name).stat().st_size > 100
    assert json.loads((folder / "config.json").read_text())["model_options"] == {"num_classes": 12}

    np.save("a.npy", np.zeros((2, 28, 28), np.uint8))
    assert main(["predict", str(folder), "a.npy", "--top", "2"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert [line.split(":")[0] for line in lines] == ["a.npy[0]", "a.npy[1]"]
    assert lines[0].count("%") == 2

    assert main(["train", "--resume", str(folder), "--quiet"]) == 0
    assert capsys.readouterr().out == ""
    assert main(["train", "--model", "lenet5", "--out", str(folder)]) == 2
    assert "holds a run already" in capsys.readouterr().err


def test_models(capsys):
    assert main(["models"]) == 0
    head, *lines = capsys.readouterr().out.splitlines()
    assert head.split() == ["name", "parameters", "MACs", "images", "about"]
    assert [line.split()[0] for line in lines] == tinyconv.models.list_models()
    assert max(map(len, lines)) <= 150
    (line,) = (line for line in lines if line.startswith("cifar_resnet20_A "))
    assert line.split()[1:5] == ["269,722", "40.6", "M", "3x32x32"]
    assert line.endswith("shortcuts padded with zeros; short: resnet20")
    assert main(["models", "ResNet-20"]) == 0
    names = [line.split()[0] for line in capsys.readouterr().out.splitlines()[1:]]
    assert "cifar_resnet20_A" in names and "preact_resnet200" in names
    assert all("resnet20" in name for name in names)
    assert main(["models", "inception-small"]) == 0  # an alias
    assert "97,298   6.02 M  1x28x28" in capsys.readouterr().out


def test_summary(capsys, tmp_path):
    assert main(["summary", "cifar-resnet20-a"]) == 0
    out = capsys.readouterr().out
    assert "40,551,040" in out and "layer3.2.conv2" in out
    words = ["--input", "3x28x28", "--classes", "7", "--json", "--depth", "1"]
    assert main(["summary", "inception_small", *words]) == 0
    found = json.loads(capsys.readouterr().out)
    assert found["rows"][0]["output_shape"] == [1, 10, 24, 24] and len(found["rows"]) == 23
    assert found["rows"][-1]["output_shape"] == [1, 7]
    path = tmp_path / "net.svg"
    assert main(["summary", "vgg16", "--depth", "1", "--diagram", str(path)]) == 0
    out = capsys.readouterr().out
    # the classes that it is made for, and blank weights
    assert "1x1000" in out and "138,357,544" in out and "features.0" not in out
    assert path.read_text().count("<title>") == 4


def test_doctor_and_warmup(capsys):
    assert main(["warmup"]) == 0
    out = capsys.readouterr().out
    assert "1/3 inception_small" in out and "ready in" in out
    assert main(["doctor"]) == 0
    out = capsys.readouterr().out
    for word in (tinyconv.__version__, "numba", "SIMD", "kernel cache", "threads", "data cache"):
        assert word in out


def test_help_starts_without_numba_and_matplotlib():
    script = (
        "import sys; from tinyconv.cli import main\n"
        "try: main(['train', '--help'])\n"
        "except SystemExit as end: code = end.code\n"
        "heavy = {'numba', 'matplotlib', 'tqdm', 'PIL'} & set(sys.modules)\n"
        "print(code, sorted(heavy))"
    )
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True)
    assert done.stdout.endswith("0 []\n"), done.stdout + done.stderr
    assert "--label-smoothing" in done.stdout


def test_as_a_process():
    done = process("--version")
    assert (done.returncode, done.stdout.strip()) == (0, tinyconv.__version__)
    done = process()
    assert done.returncode == 0 and "warmup" in done.stdout
    for name in ("NUM_THREADS", "CACHE", "KERNEL_CACHE", "QUIET"):
        assert f"TINYCONV_{name} " in done.stdout
    assert "white on black" in " ".join(process("predict", "--help").stdout.split())
    done = process("train", "--model", "x")
    assert done.returncode == 2 and done.stderr.startswith("tinyconv: error: unknown model 'x'")
