import io
import sys

import numpy as np
import pytest
from PIL import Image

from tinyconv import viz

RECORDS = [
    {"epoch": e, "train_loss": 2 / e, "train_accuracy": 1 - 0.4 / e, "test_loss": 1.5 / e + 0.1,
     "test_accuracy": 1 - 0.3 / e}
    for e in range(1, 6)
]  # fmt: skip


def pixels(figure):
    with Image.open(io.BytesIO(viz.png(figure))) as picture:
        picture.verify()
    with Image.open(io.BytesIO(viz.png(figure))) as picture:
        return np.asarray(picture.convert("RGB"))


def test_curves_show_the_numbers():
    figure = viz.curves(RECORDS, "net on data")
    loss, accuracy = figure.axes
    drawn = {line.get_label(): line.get_ydata() for line in loss.lines}
    np.testing.assert_allclose(drawn["training"], [2 / e for e in range(1, 6)])
    np.testing.assert_allclose(accuracy.lines[0].get_ydata(), [100 - 40 / e for e in range(1, 6)])
    assert loss.get_ylabel() == "cross entropy (nats)" and accuracy.get_ylabel() == "accuracy (%)"
    assert loss.get_xlabel() == accuracy.get_xlabel() == "epoch"
    assert "94.00 %" in accuracy.get_title("left") and "epoch 5" in accuracy.get_title("left")
    shape = pixels(figure).shape
    assert shape[0] > 300 and shape[1] > 800


@pytest.mark.parametrize("count", [1, 2, 200])
def test_curves_of_any_length(count):
    records = [{"epoch": e + 1, "train_loss": 1.0, "train_accuracy": 0.5} for e in range(count)]
    assert pixels(viz.curves(records)).std() > 1
    with pytest.raises(ValueError, match="no epoch"):
        viz.curves([])


def test_curves_of_one_epoch():
    """One mark in the middle of each panel, whole, over the tick of its epoch alone."""
    loss, accuracy = viz.curves(RECORDS[:1]).axes
    for axes in (loss, accuracy):
        assert axes.get_xlim() == (0.5, 1.5) and list(axes.get_xticks()) == [1]
        low, high = axes.get_ylim()
        for line in axes.lines:
            assert not line.get_clip_on() or line.get_fillstyle() == "none"
            assert all(low < y < high for y in line.get_ydata())
    assert loss.get_ylim()[0] == 0


def test_titles_fit_into_the_picture():
    images, labels = np.zeros((12_000, 1, 4, 4), np.uint8), np.zeros(12_000, int)
    figure = viz.mistakes(images, labels, np.tile([0.1, 0.9], (12_000, 1)))
    assert figure._suptitle.get_window_extent().x1 < figure.bbox.x1


@pytest.mark.parametrize("channels, dtype", [(1, np.uint8), (3, np.float32)])
def test_mistakes_hardest_first(channels, dtype):
    rng = np.random.default_rng(0)
    images = (255 * rng.random((40, channels, 9, 7))).astype(dtype)
    labels = np.arange(40) % 4
    shares = np.full((40, 4), 0.05)
    shares[np.arange(40), labels] = 0.85
    for i, right in ((5, 0.2), (11, 0.1), (30, 0.3)):
        shares[i] = (1 - right) / 3 - 0.1
        shares[i, labels[i]], shares[i, (labels[i] + 1) % 4] = right, (1 - right) / 3 + 0.2
    figure = viz.mistakes(images, labels, shares, "abcd")
    said = [axes.get_title() for axes in figure.axes if axes.get_title()]
    right = [axes.texts[0].get_text() for axes in figure.axes if axes.texts]
    assert right == ["is d", "is b", "is c"]
    assert [s[0] for s in said] == ["a", "c", "d"] and said[0] == "a (50 %)"
    assert figure.get_suptitle().startswith("3 of 40 held-out images are wrong\nabove: ")
    assert pixels(figure).std() > 10


def test_no_mistakes_and_too_many():
    images, labels = np.zeros((50, 1, 4, 4), np.uint8), np.zeros(50, int)
    figure = viz.mistakes(images, labels, np.tile([0.9, 0.1], (50, 1)))
    assert figure.axes[0].texts[0].get_text() == "No mistakes."
    figure = viz.mistakes(images, labels, np.tile([0.1, 0.9], (50, 1)))
    assert len(figure.axes) == 24 and "the 24 hardest" in figure.get_suptitle()
    with pytest.raises(ValueError, match="must be"):
        viz.mistakes(images[0], labels, labels)


def test_missing_matplotlib(monkeypatch):
    monkeypatch.setitem(sys.modules, "matplotlib", None)
    with pytest.raises(viz.MissingMatplotlib, match=r"install tinyconv\[plot\]"):
        viz.curves(RECORDS)
