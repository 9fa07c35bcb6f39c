"""The benchmarks run, check results before they time them, and give the pages their figures."""

import json
import subprocess
import sys
from pathlib import Path

import naive
import numpy as np
import pytest

import tinyconv as tc
from benchmarks import conv, nets, oracle, plots, report, steps
from benchmarks.shapes import LADDER, Layer
from benchmarks.timing import dump

ROOT = Path(__file__).parents[1]


def run(*arguments):
    return subprocess.run(
        [sys.executable, "-m", "benchmarks", *arguments], cwd=ROOT, capture_output=True, text=True
    )


def test_every_suite_runs(tmp_path):
    rows = ["LeNet-5 conv", "LeNet-5 training", "LeNet-5 memory", "ResNet 8", "start import"]
    rows += ["mobilenet_v1_0_25", "eager add"]
    only = [word for row in [*rows, "gradcheck tinyconv"] for word in ("--only", row)]
    done = run("--rounds", "1", *only, "--json", tmp_path)
    assert done.returncode == 0, done.stderr
    results = report.load(tmp_path)
    suites = {"conv", "nets", "imagenet", "growth", "start", "memory", "gradcheck", "eager"}
    assert suites <= set(results)
    assert len(results["conv"]["rows"]) == 6
    assert [r["mode"] for r in results["nets"]] == ["training"]
    assert all(results[suite] for suite in suites)
    for table in report.TABLES.values():
        assert table(results).strip()
    pytest.importorskip("matplotlib")
    plots.main(results, tmp_path)
    assert len(list(tmp_path.glob("*.png"))) >= 1


def test_an_unknown_suite_is_named():
    done = run("conf")
    assert done.returncode == 2
    assert "unknown suite 'conf'" in done.stderr


@pytest.mark.parametrize(
    "layer",
    [Layer("a", "b", 2, 3, 5, 4, 3, 2, 1), Layer("a", "b", 1, 4, 4, 6, 1, 1, 0, 2)],
    ids=["stride", "groups"],
)
def test_the_oracle_agrees_with_the_definition(layer):
    rng = np.random.default_rng(0)
    x, w, gy = (rng.standard_normal(s) for s in (layer.x_shape, layer.w_shape, layer.y_shape))
    s, p = (layer.stride,) * 2, (layer.padding,) * 4
    y = naive.conv2d(x, w, None, s, p, (1, 1), layer.groups)
    gx, gw, _ = naive.conv2d_gradients(gy, x, w, s, p, (1, 1), layer.groups)
    np.testing.assert_allclose(oracle.forward(x, w, layer), y, atol=1e-12)
    np.testing.assert_allclose(oracle.input_gradient(gy, w, layer), gx, atol=1e-12)
    np.testing.assert_allclose(oracle.weight_gradient(gy, x, layer), gw, atol=1e-12)


def test_the_ladder_sees_a_wrong_result(monkeypatch):
    problem = conv.Problem(LADDER[0])
    right = conv.Problem.call

    def wrong(self, *args):
        return lambda: right(self, *args)() * 1.001

    monkeypatch.setattr(conv.Problem, "call", wrong)
    with pytest.raises(AssertionError, match="LeNet-5 conv1"):
        conv.measure(problem, "forward", None, 1)


def test_the_ladder_is_long_enough():
    assert len(LADDER) >= 24
    assert len({layer.name for layer in LADDER}) == len(LADDER)


@pytest.mark.parametrize("name", nets.NETS)
def test_nets_give_ten_logits(name):
    cls, options, shape = nets.NETS[name]
    x = np.zeros((1, *shape[1:]), np.float32)
    runner = steps.Contestant(tc, cls, options, x, np.zeros(1, int))
    (infer,) = steps.in_mode([runner], "inference")
    assert infer().shape == (1, 10)


def test_results_are_written_row_by_row(tmp_path):
    rows = [{"at": 1, "seconds": 0.123456}, {"at": 2, "seconds": {"a": 1.0}}]
    dump({"suite": {"limits": {"peak": 2 / 3}, "rows": rows}, "none": []}, tmp_path / "a.json")
    text = (tmp_path / "a.json").read_text()
    assert '\n{"at": 1, "seconds": 0.1235},\n' in text
    assert json.loads(text)["suite"]["limits"]["peak"] == 0.6667


@pytest.mark.parametrize("page", report.PAGES, ids=lambda page: page.name)
def test_the_figures_of_a_page_are_the_results(page):
    text = page.read_text()
    assert report.fill(text, report.load()) == text
