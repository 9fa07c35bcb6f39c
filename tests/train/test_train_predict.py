import sys

import numpy as np
import pytest
from PIL import Image

import tinyconv as tc
from tinyconv.data import load
from tinyconv.data.datasets import _places, _source
from tinyconv.train import TrainError, fit, load_checkpoint, load_model, predict, save_checkpoint


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    folder = tmp_path_factory.mktemp("runs") / "lenet"
    fit(model="lenet5", epochs=1, batch_size=128, out=folder, say=lambda line: None)
    return folder


@pytest.fixture(scope="module")
def digits():
    return load("digits", train=False)


def test_all_ways_in_agree(run, digits, tmp_path):
    images = digits.images[:7]
    np.save(tmp_path / "four.npy", images)
    np.save(tmp_path / "three.npy", images[:, 0].astype(np.float32) / 255)
    paths = [tmp_path / f"{i}.png" for i in range(7)]
    for path, image in zip(paths, images):
        Image.fromarray(image[0]).save(path)
    expected = predict(run, images)
    for given in (
        tmp_path / "four.npy", str(tmp_path / "three.npy"), paths,
        images.astype(np.float32) / 255, tc.from_numpy(images),
    ):  # fmt: skip
        found = predict(run, given)
        assert [p.classes for p in found] == [p.classes for p in expected]
        for a, b in zip(found, expected):
            np.testing.assert_allclose(a.probabilities, b.probabilities, rtol=1e-5)
    assert [len(p.classes) for p in predict(run, images, top=10)] == [10] * 7
    assert sum(predict(run, images[0], top=10)[0].probabilities) == pytest.approx(1, abs=1e-5)


def test_the_shares_are_those_of_the_best_epoch(run, digits):
    found = predict(run, digits.images, top=1)
    share = np.mean([p.classes[0] == str(y) for p, y in zip(found, digits.labels)])
    best = load_checkpoint(run / "best.npz")["records"][-1]
    assert share == pytest.approx(best["test_accuracy"], abs=1e-12)


def test_idx_file(run):
    name, source = _source("digits")
    images, _ = source.find(_places(name, source, None)[0], train=False)
    found = predict(run, images, top=1)
    assert len(found) == 1500 and found[3].name.endswith("[3]")
    assert str(found[0]).startswith(f"{images}[0]: ")


def test_weights_alone_and_a_picture_of_another_size(run, tmp_path, digits):
    state = load_checkpoint(run / "last.npz")
    save_checkpoint(tmp_path / "w.npz", {k: state[k] for k in ("weights", "about")})
    picture = Image.fromarray(digits.images[0, 0]).resize((84, 84)).convert("RGB")
    picture.save(tmp_path / "large.png")
    a = predict(tmp_path / "w.npz", tmp_path / "large.png")[0]
    assert a.classes[0] == str(digits.labels[0])


def test_own_network(make_net, tiny_data, tmp_path):
    net = make_net()
    fit(model=net, dataset=tiny_data, epochs=1, out=tmp_path / "a", say=lambda line: None)
    with pytest.raises(TrainError, match="network TinyNet is none of tinyconv's"):
        predict(tmp_path / "a", np.zeros((2, 6, 7)))
    again, about = load_model(tmp_path / "a", make_net(5))
    assert about["shape"] == [2, 6, 7] and not again.training
    found = predict(tmp_path / "a", tiny_data[1].tensors[0], model=make_net(5))
    assert len(found) == 20 and set(found[0].classes) == {"0", "1", "2"}
    with pytest.raises(TrainError, match="does not fit"):
        load_model(tmp_path / "a", tc.models.LeNet5())


def test_values_out_of_range(run, tmp_path, digits, make_net, tiny_data):
    image = digits.images[0].astype(np.float32) / 255
    broken = image.copy()
    broken[0, 3, 4] = np.nan
    for given, words in (
        (broken, "image: holds NaN or infinity"),
        (digits.images[0].astype(np.float32), "holds floats from 0 to 255, .*floats from 0 to 1"),
        (2 * image - 1, "holds floats from -1 to 1, the network wants bytes from 0 to 255 or"),
        (digits.images[0].astype(int) * 2, "holds whole numbers from 0 to 510"),
        (np.zeros((0, 1, 28, 28), np.uint8), "holds no image"),
    ):
        with pytest.raises(TrainError, match=words):
            predict(run, given)
    fit(model=make_net(), dataset=tiny_data, epochs=1, out=tmp_path / "a", say=lambda line: None)
    nan = np.full((2, 6, 7), np.nan)
    with pytest.raises(TrainError, match="NaN"):
        predict(tmp_path / "a", nan, model=make_net())


def test_an_image_where_the_run_should_be(tmp_path, digits):
    Image.fromarray(digits.images[0, 0]).save(tmp_path / "d0.png")
    with pytest.raises(TrainError, match=r"d0.png: is no checkpoint; usage: tinyconv predict RUN"):
        predict(tmp_path / "d0.png", tmp_path / "d0.png")


def test_refusals(run, tmp_path, digits, monkeypatch):
    (tmp_path / "a.png").write_text("no picture")
    (tmp_path / "a.npy").write_text("no array")
    (tmp_path / "a.idx").write_bytes(b"\0\0")
    np.save(tmp_path / "wide.npy", np.zeros((3, 9, 28, 28), np.uint8))
    np.save(tmp_path / "text.npy", np.array(["a"]))
    for name, words in (
        ("a.png", "a.png: cannot be read as an image"),
        ("a.npy", "a.npy: cannot be read"),
        ("a.idx", "is no IDX file"),
        ("b.png", "b.png: there is no such file"),
        ("b.npy", "b.npy: there is no such file"),
        ("wide.npy", r"shape \(3, 9, 28, 28\), the network wants images of 1x28x28"),
        ("text.npy", "the network wants images of 1x28x28"),
    ):
        with pytest.raises(TrainError, match=words):
            predict(run, tmp_path / name)
    with pytest.raises(TrainError, match="holds no run"):
        predict(tmp_path, digits.images[0])
    save_checkpoint(tmp_path / "other.npz", {"x": 1})
    with pytest.raises(TrainError, match="holds no weights"):
        predict(tmp_path / "other.npz", digits.images[0])
    monkeypatch.setitem(sys.modules, "PIL", None)
    with pytest.raises(TrainError, match="install Pillow"):
        predict(run, tmp_path / "a.png")
