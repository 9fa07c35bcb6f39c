"""Pictures as weights want them, class names, and `tinyconv predict --weights`."""

import sys

import numpy as np
import pytest

import tinyconv as tc
from tinyconv.cli import main
from tinyconv.train import TrainError, classify
from tinyconv.weights import (
    PREPROCESS,
    WeightsError,
    imagenet_classes,
    load_file,
    save_file,
    usual_preprocess,
)

Image = pytest.importorskip("PIL.Image")
RNG = np.random.default_rng(3)


def picture(height, width):
    return RNG.integers(0, 256, (height, width, 3), np.uint8)


@pytest.mark.parametrize("name", PREPROCESS)
def test_range_and_order_of_the_colours(name):
    """What the tables of the libraries say, of one colour: red 51, green 102, blue 204."""
    how = PREPROCESS[name]
    x = how(Image.new("RGB", (how.resize, how.resize + 3), (51, 102, 204)))
    assert x.shape == (1, 3, how.crop, how.crop) and x.dtype == np.float32
    expected = {
        "imagenet": [(0.2 - 0.485) / 0.229, (0.4 - 0.456) / 0.224, (0.8 - 0.406) / 0.225],
        "half": [-0.6, -0.2, 0.6],
        "caffe": [204 - 103.939, 102 - 116.779, 51 - 123.68],
        "caffe_104": [204 - 104, 102 - 117, 51 - 123],
        "caffe_128": [204 - 104, 102 - 117, 51 - 128],
    }
    values = expected.get(name) or expected[name.split("_")[0]]
    for channel, value in zip(x.numpy()[0], values, strict=True):
        np.testing.assert_allclose(channel, value, rtol=1e-5)


@pytest.mark.parametrize("height, width", [(256, 301), (413, 256), (256, 256)])
def test_the_middle_is_taken(height, width):
    pixels = picture(height, width)
    x = PREPROCESS["caffe_104"](Image.fromarray(pixels)).numpy()[0].transpose(1, 2, 0)[..., ::-1]
    top, left = round((height - 224) / 2), round((width - 224) / 2)
    expected = pixels[top : top + 224, left : left + 224] - np.float32([123, 117, 104])
    np.testing.assert_array_equal(x, expected)


def test_the_shorter_side_is_resized():
    for size in ((90, 60), (60, 90), (1000, 300)):
        assert PREPROCESS["half_333"](Image.new("RGB", size)).shape == (1, 3, 299, 299)
    image = Image.fromarray(picture(80, 70))
    for name, how in (("imagenet_299", "BICUBIC"), ("imagenet", "BILINEAR")):
        side, crop = PREPROCESS[name].resize, PREPROCESS[name].crop
        large = np.asarray(image.resize((side, side * 80 // 70), Image.Resampling[how]))
        left, top = round((side - crop) / 2), round((side * 80 // 70 - crop) / 2)
        expected = PREPROCESS[name].normalized(large[top : top + crop, left : left + crop])
        np.testing.assert_array_equal(PREPROCESS[name](image).numpy(), expected.numpy())
    # a picture that is dark on the left stays so, and half of it is cut away on either side
    pixels = np.zeros((60, 120, 3), np.uint8)
    pixels[:, 60:] = 255
    x = PREPROCESS["half"](Image.fromarray(pixels)).numpy()[0, 0]
    assert (x[:, :110] == -1).all() and (x[:, 114:] == 1).all()


@pytest.mark.peers
def test_the_same_as_torchvision():
    pytest.importorskip("torch")
    try:
        from torchvision.transforms._presets import ImageClassification
    except (ImportError, RuntimeError):
        pytest.skip("torchvision is not here")
    for size in ((307, 411), (517, 300)):
        image = Image.fromarray(picture(*size))
        expected = ImageClassification(crop_size=224)(image).numpy()
        np.testing.assert_allclose(PREPROCESS["imagenet"](image).numpy()[0], expected, atol=2e-6)


def test_grey_and_turned_pictures(tmp_path):
    grey = Image.fromarray(picture(300, 260)[..., 0])
    x = PREPROCESS["half"](grey).numpy()[0]
    assert (x[0] == x[2]).all()
    upright = Image.fromarray(picture(8, 6)).resize((260, 300), Image.Resampling.NEAREST)
    exif = Image.Exif()
    exif[0x0112] = 6  # lies on its left side
    upright.transpose(Image.Transpose.ROTATE_90).save(tmp_path / "a.png", exif=exif)
    np.testing.assert_array_equal(
        PREPROCESS["half"](tmp_path / "a.png").numpy(), PREPROCESS["half"](upright).numpy()
    )


def test_grey_pictures_of_16_bits(tmp_path):
    grey = np.arange(300 * 260, dtype=np.uint32).reshape(300, 260).astype(np.uint16)
    Image.fromarray(grey).save(tmp_path / "a.png")
    expected = PREPROCESS["half"](Image.fromarray(np.uint8(grey >> 8))).numpy()
    np.testing.assert_array_equal(PREPROCESS["half"](tmp_path / "a.png").numpy(), expected)


def test_pictures_that_would_take_gigabytes(tmp_path):
    Image.new("RGB", (1, 201)).save(tmp_path / "a.png")
    with pytest.raises(WeightsError, match=r"a.png: is too long and thin \(\(1, 201\) pixels"):
        PREPROCESS["half"](tmp_path / "a.png")
    Image.new("RGB", (1, 200)).save(tmp_path / "a.png")
    assert PREPROCESS["half"](tmp_path / "a.png").shape == (1, 3, 224, 224)


def test_which_way_a_network_wants():
    for model, name in (
        ("resnet50", "imagenet"), ("vgg16_bn", "imagenet"), ("alexnet_torchvision", "imagenet"),
        ("googlenet_torchvision", "half"), ("inception_v3", "half_342"),
        ("inception_v4", "half_341"), ("inception_resnet_v2", "half_333"),
        ("xception", "half_333"), ("preact_resnet50", "half_235"),
        ("mobilenet_v1_1_0", "half"), ("bn_inception_caffe", "caffe_128"),
    ):  # fmt: skip
        assert usual_preprocess(model) == name
        height, width = tc.models.registry.find(model).input[1:]
        assert PREPROCESS[name].crop == height == width
    assert usual_preprocess("vgg19", keras=True) == "caffe"


def test_class_names():
    names = imagenet_classes()
    assert len(set(names)) == 1000 and all(n == n.strip() and n for n in names)
    known = {
        0: "tench",
        243: "bull mastiff",
        281: "tabby",
        559: "folding chair",
        999: "toilet tissue",
    }
    assert {i: names[i] for i in known} == known


# -- predict ------------------------------------------------------------------------------
@pytest.fixture(scope="module")
def files(tmp_path_factory):
    """A photograph, and weights with which a SqueezeNet tells the same of all pictures."""
    folder = tmp_path_factory.mktemp("predict")
    Image.fromarray(picture(240, 230)).save(folder / "photo.jpg")
    (folder / "cut.jpg").write_bytes((folder / "photo.jpg").read_bytes()[:9999])
    with tc.nn.init.skip_init():
        for classes, name in ((1000, "w.npz"), (6, "six.safetensors"), (9, "nan.npz")):
            model = tc.models.get_model("squeezenet1_1", num_classes=classes)
            bias = np.zeros(classes, np.float32)
            bias[[5, 2, 3]] = (9, 8, 7) if classes != 9 else np.nan
            save_file({**model.state_dict(), "classifier.1.bias": bias}, folder / name)
    return folder


def test_the_top_five_with_names(files, capsys):
    words = ["--model", "SqueezeNet1-1", "--weights", str(files / "w.npz")]
    assert main(["predict", str(files / "photo.jpg"), *words]) == 0
    out = capsys.readouterr().out
    total = np.exp([9, 8, 7]).sum() + 997
    shares = [f"{np.exp(n) / total:.1%}" for n in (9, 8, 7, 0, 0)]
    names = ["electric ray", "great white shark", "tiger shark", "tench", "goldfish"]
    assert out == f"{files / 'photo.jpg'}: " + ", ".join(map(" ".join, zip(names, shares))) + "\n"


def test_other_classes_are_numbers_and_words_come_in_any_order(files, capsys):
    words = ["--top", "2", "--weights", files / "six.safetensors", files / "photo.jpg", "--model",
             "squeezenet1_1", "--preprocess", "Half", files / "photo.jpg"]  # fmt: skip
    assert main(["predict", *map(str, words)]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert len(lines) == 2 and lines[0] == lines[1]
    assert lines[0].split(": ")[1].startswith("5 66.")


def test_the_preprocess_is_used(files, monkeypatch):
    seen = []
    monkeypatch.setattr(
        type(PREPROCESS["half"]),
        "__call__",
        lambda self, path: seen.append(self) or tc.zeros(1, 3, 64, 64),
    )
    for given in (None, "caffe"):
        classify(files / "photo.jpg", "squeezenet1_1", files / "w.npz", given)
    assert seen == [PREPROCESS["imagenet"], PREPROCESS["caffe"]]


@pytest.mark.parametrize(
    "words, message",
    [
        ("photo.jpg --model squeezenet1_1 --weights nix.pth", "nix.pth: there is no such file"),
        ("photo.jpg --model squeezenet1_1 --weights photo.jpg", "it looks like a picture"),
        ("photo.jpg --model squeezenet9 --weights w.npz", "unknown model 'squeezenet9'; did you"),
        ("photo.jpg --model resnet18 --weights w.npz", "w.npz: looks like squeezenet1_1, the model"
         " is resnet18\n"),
        ("photo.jpg --weights w.npz", "MODEL; the file looks like --model squeezenet1_1"),
        ("photo.jpg --model resnet18", "--model goes with --weights FILE"),
        ("a b --preprocess half", "--preprocess goes with --weights FILE"),
        ("--model resnet18 --weights w.npz", "the following arguments are required: IMAGE"),
        ("nix.jpg --model squeezenet1_1 --weights w.npz", "nix.jpg: there is no such file"),
        ("w.npz --model squeezenet1_1 --weights w.npz", "w.npz: is no picture, or of a"),
        ("cut.jpg --model squeezenet1_1 --weights w.npz", "cut.jpg: cannot be read as a picture"),
        ("photo.jpg --model squeezenet1_1 --weights nan.npz", "error: photo.jpg: the network"),
        ("photo.jpg --model squeezenet1_1 --weights w.npz --top 0", "--top=0 must be"),
        ("photo.jpg --model squeezenet1_1 --weights w.npz --preprocess haf", "mean 'half'"),
        ("photo.jpg --model lenet5 --weights w.npz", "like squeezenet1_1, the model is lenet5"),
    ],
)  # fmt: skip
def test_refusals(words, message, files, capsys, monkeypatch):
    monkeypatch.chdir(files)
    assert main(["predict", *words.split()]) == 2
    out, err = capsys.readouterr()
    assert err.startswith("tinyconv: error: ") and message in err and out == ""
    assert len(err.splitlines()) == 1


def test_what_is_missing_is_told(tmp_path, files, capsys):
    state = load_file(files / "w.npz")
    del state["features.0.weight"]
    save_file(state, tmp_path / "w.npz")
    words = ["--model", "squeezenet1_1", "--weights", str(tmp_path / "w.npz")]
    assert main(["predict", str(files / "photo.jpg"), *words]) == 2
    err = capsys.readouterr().err
    assert "looks like squeezenet1_1, as the model does\n" in err
    assert "missing:\n  features.0.weight [64, 3, 3, 3]\n" in err


def test_without_pillow(files, monkeypatch):
    monkeypatch.setitem(sys.modules, "PIL", None)
    with pytest.raises(WeightsError, match="read with Pillow, which is not here: install Pillow"):
        PREPROCESS["half"](files / "photo.jpg")
    with pytest.raises(TrainError, match="install Pillow"):
        classify(files / "photo.jpg", "squeezenet1_1", files / "w.npz")


def test_pictures_of_other_sizes_than_the_network_takes(tmp_path, files):
    with tc.nn.init.skip_init():
        save_file(tc.models.get_model("lenet_caffe").state_dict(), tmp_path / "w.npz")
    with pytest.raises(TrainError, match="lenet_caffe does not take such pictures: "):
        classify(files / "photo.jpg", "lenet_caffe", tmp_path / "w.npz")
