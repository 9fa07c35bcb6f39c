"""Pictures of derivative checks, and the figures of the docs that are made of them."""

import importlib.util
import io
import re
import sys
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

import tinyconv as tc
import tinyconv.nn.functional as F
from tinyconv import viz
from tinyconv.testing import check, check_vjp
from tinyconv.viz.gradients import _ticks, scaled_error

ROOT = Path(__file__).parents[1]
X = np.random.default_rng(0).normal(size=(4, 5))


def pixels(figure):
    with Image.open(io.BytesIO(viz.png(figure))) as picture:
        return np.asarray(picture.convert("RGB"))


def wrong_at(*places, factor=1.01):
    """A tanh whose gradient is wrong at some elements."""

    def backward(gy, x):
        g = gy / np.cosh(x) ** 2
        for place in places:
            g[place] *= factor
        return g

    return backward


def image_of(axes):
    return np.asarray(axes.images[0].get_array())


def is_orange(colour):
    return colour[0] > 1.5 * colour[2]


def test_wrong_elements_are_orange_and_framed():
    report = check_vjp(np.tanh, wrong_at((1, 2), (3, 3)), X, mode="full", seed=0)
    figure = viz.error_map(report)
    axes = figure.axes[0]
    image = image_of(axes)
    off = np.zeros((20, 20), bool)
    off[7, 7] = off[18, 18] = True
    orange = np.apply_along_axis(is_orange, 2, image[..., :3])
    np.testing.assert_array_equal(orange, off)
    assert sorted(p.get_xy() for p in axes.patches) == [(7, 7), (18, 18)]
    assert (image[off][:, :3].mean(1) < 0.6).all()  # far from what is allowed, so dark
    white = image[..., :3].sum(2) == 3
    np.testing.assert_array_equal(white, ~np.eye(20, dtype=bool))
    assert "wrong: 2 of 400" in axes.get_title("left") and "wrong" in figure.get_suptitle()
    assert axes.get_xlabel() == "input 0  [4, 5]" and axes.get_ylabel() == "output 0  [4, 5]"
    assert pixels(figure).std() > 5


def test_a_single_wrong_element_of_a_large_matrix_is_seen():
    x = np.random.default_rng(1).normal(size=(23, 31))
    report = check_vjp(np.tanh, wrong_at((11, 17)), x, mode="full", seed=0, effects=False)
    axes = viz.error_map(report).axes[0]
    image = image_of(axes)
    assert image.shape[:2] == (240, 240)
    at = 11 * 31 + 17
    assert np.apply_along_axis(is_orange, 2, image[..., :3]).sum() == 1
    (ring,) = [line for line in axes.lines if line.get_marker() == "o"]
    assert ring.get_xydata().tolist() == [[at + 0.5, at + 0.5]]


def test_kinks_and_what_was_not_checked_have_colours_of_their_own():
    report = check(F.relu, np.array([-1.0, 0.0, 2.0]), order=1, seed=0)
    figure = viz.error_map(report)
    image = image_of(figure.axes[0])[..., :3]
    assert image[1, 1, 1] == image[1, 1].max() > image[1, 1, 0] + 0.2  # green
    assert (image[0, 0] == 1).all() and image[2, 2].min() > 0.85  # no derivative; no error
    assert [t.get_text() for t in figure.legends[0].texts] == ["at a kink, right"]

    report.pairs[0].numeric[0, 2] = np.nan
    figure = viz.error_map(report)
    grey = image_of(figure.axes[0])[0, 2, :3]
    assert np.ptp(grey) == 0 and 0.5 < grey[0] < 0.9
    assert "not checked" in [t.get_text() for t in figure.legends[0].texts]


def test_a_gradient_of_nan_is_as_wrong_as_can_be():
    report = check_vjp(np.tanh, wrong_at((0, 0), factor=np.nan), X, mode="full", seed=0)
    assert scaled_error(report.pairs[0])[0, 0] == 12
    assert is_orange(image_of(viz.error_map(report).axes[0])[0, 0])


def test_wrong_pairs_come_first_and_zero_ones_stay_away():
    report = check_vjp(
        lambda a, b: (a * b, b + 1), lambda g, a, b: (g[0] * b, 1.1 * g[0] * a + g[1]), (X, X + 1),
        mode="full", seed=0,
    )  # fmt: skip
    panels = [a for a in viz.error_map(report).axes if a.images]
    assert panels[0].get_xlabel().startswith("input 1") and "wrong" in panels[0].get_title("left")
    # d(b + 1)/da is zero
    assert len(panels) == 3 and "3 of 4 Jacobians" in viz.error_map(report).get_suptitle()
    assert [a.get_title("left") for a in panels[1:]] == ["passed", "passed"]


def test_many_pairs_and_second_order():
    report = check(lambda x, w: F.conv2d(x, w), (np.ones((1, 2, 3, 3)), np.ones((2, 2, 2, 1))))
    panels = [a for a in viz.error_map(report, "a title").axes if a.images]
    assert len(panels) == 6 and "order 2, passed" in {a.get_title("left") for a in panels}
    assert viz.error_map(report, "a title").get_suptitle().startswith("a title")


def test_a_report_without_jacobians():
    report = check_vjp(np.tanh, wrong_at(), X, mode="fast", seed=0)
    figure = viz.error_map(report)
    assert "No Jacobian" in figure.axes[0].texts[0].get_text()
    scalar = check(lambda x: x * x, np.array(3.0), seed=0)
    assert [t.get_text() for t in viz.error_map(scalar).axes[0].get_xticklabels()] == ["[]"]


@pytest.mark.parametrize(
    "shape, labels",
    [
        ((), ["[]"]),
        ((3,), ["[0]", "[1]", "[2]"]),
        ((2, 3), ["[0, 0]", "[0, 1]", "[0, 2]", "[1, 0]", "[1, 1]", "[1, 2]"]),
        ((3, 40), ["[0, 0]", "[1, 0]", "[2, 0]"]),
        ((1, 30), ["[0, 0]", "[0, 5]", "[0, 10]", "[0, 15]", "[0, 20]", "[0, 25]"]),
        ((30, 40), ["[0, 0]", "[5, 0]", "[10, 0]", "[15, 0]", "[20, 0]", "[25, 0]"]),
        ((64, 3, 3, 3), ["[0, 0, 0, 0]", "[10, 0, 0, 0]", "[20, 0, 0, 0]", "[30, 0, 0, 0]",
                         "[40, 0, 0, 0]", "[50, 0, 0, 0]", "[60, 0, 0, 0]"]),
    ],
)  # fmt: skip
def test_axes_are_labelled_by_indices(shape, labels):
    places, texts, _ = _ticks(shape)
    assert texts == labels
    for place, text in zip(places, texts):
        assert [int(n) for n in re.findall(r"\d+", text)] == list(np.unravel_index(place, shape))


def test_step_curves_show_what_the_text_says():
    figure = viz.step_curves(points=9)
    panels = {a.get_title("left").split(",")[0]: a for a in figure.axes}
    for name, eps in (("float32", 2.0**-23), ("float64", 2.0**-52)):
        curves = {line.get_label().split(":")[0]: line for line in panels[name].lines}
        for method, power in (("forward", 1 / 2), ("central", 2 / 3), ("Richardson", 4 / 5)):
            steps, errors = curves[method].get_data()
            least = errors[np.isfinite(errors)].min()
            assert eps**power / 300 < least < 3 * eps**power, method
        steps, errors = curves["complex step"].get_data()
        assert errors[steps < 1e-10].max() < 4 * eps
        assert curves["adjoint"].get_ydata()[0] < 2 * eps
    assert pixels(figure).std() > 5


def test_step_curves_of_another_function():
    figure = viz.step_curves(lambda x: x * x, lambda x: 2 * x, points=3)
    central = next(ln for ln in figure.axes[1].lines if ln.get_label().startswith("central"))
    steps, errors = central.get_data()
    assert errors[steps > 0.01].max() < 1e-12  # a parabola has no third derivative
    with pytest.raises(ValueError, match="both the function and its derivative"):
        viz.step_curves(np.sin)


def test_without_matplotlib(monkeypatch):
    report = check(tc.tanh, X[0], order=1)
    monkeypatch.setitem(sys.modules, "matplotlib", None)
    with pytest.raises(viz.MissingMatplotlib, match="install tinyconv"):
        viz.error_map(report)


def test_the_figures_of_the_docs_are_drawn_again(tmp_path, monkeypatch):
    spec = importlib.util.spec_from_file_location("figures", ROOT / "docs" / "figures.py")
    figures = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(figures)
    monkeypatch.setitem(figures.FIGURES, "gradcheck_steps.png", lambda: viz.step_curves(points=3))
    figures.main(tmp_path)
    page = (ROOT / "docs" / "gradcheck.md").read_text()
    assert set(re.findall(r"images/(\S+\.png)", page)) == set(figures.FIGURES)
    for name in figures.FIGURES:
        with Image.open(tmp_path / name) as new, Image.open(figures.IMAGES / name) as kept:
            assert new.size == kept.size
