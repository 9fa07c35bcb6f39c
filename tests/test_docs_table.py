"""docs/pytorch.md is what its script writes from the recorded names and from tinyconv."""

import importlib.util
import json
from pathlib import Path

import pytest

DOCS = Path(__file__).parents[1] / "docs"


def script(name):
    spec = importlib.util.spec_from_file_location(name, DOCS / f"{name}.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


table = script("pytorch_table")


def test_page_is_up_to_date():
    assert table.page() == table.PAGE.read_text(), "run python docs/pytorch_table.py"


@pytest.mark.peers
def test_names_are_those_of_this_version():
    torch = pytest.importorskip("torch")
    recorded = json.loads((DOCS / "pytorch_names.json").read_text())
    if torch.__version__.split("+")[0] != recorded.pop("version"):
        pytest.skip("another version of PyTorch")
    assert script("pytorch_names").record() == recorded


def f(input, dim=None, *, eps=1e-5, other=None):
    pass


@pytest.mark.parametrize(
    ("form", "notes"),
    [
        ("input, dim=None, *, eps=0.00001", []),
        ("input, dim=None, *, out=None", []),
        ("input, other", []),  # in the place of dim, as in max
        ("input, size", ["without `size`"]),
        ("input, dim, eps", ["`eps` by its name only"]),
        ("dim, input", ["order `input, dim`"]),
        ("*sizes", ["sizes as one tuple only"]),
    ],
)
def test_differences(form, notes):
    assert list(table.differences(f, form)) == notes


def test_other_defaults():
    assert list(table.other_defaults(f, ("input, dim=0, *, eps=1e-05",))) == [
        "`dim=None`, there `0`"
    ]


def test_what_is_not_there_is_absent():
    assert table.status("torch", "nothing_of_that_name", ()) == "absent"
    assert table.status("torch.nn.functional", "conv2d", ()) == "same"
