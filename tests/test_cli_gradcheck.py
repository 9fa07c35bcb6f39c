"""``tinyconv gradcheck``: ops by name, the user's own by module:name, and what can go wrong."""

import json
import re
import shlex
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from hypothesis import strategies as st

import tinyconv as tc
from tinyconv.cli import main
from tinyconv.testing import registry
from tinyconv.testing.cases import Case

PAGE = Path(__file__).parents[1] / "docs" / "gradcheck.md"

OWN = """
import numpy as np
import tinyconv as tc
import tinyconv.nn as nn

X = np.array([[0.5, -1.0, 2.0]])

def square(x):
    return x * x
square.example_inputs = (X,)

def lazy(x):
    return x.exp()
lazy.example_inputs = lambda: X

net = nn.Linear(3, 2)
net.example_inputs = (X,)

def pair():
    return square, (X,)

def network():
    return nn.Sequential(nn.Linear(3, 4), nn.Tanh()), X

def plain(factor=2.0):
    return np.square, lambda gy, x: factor * gy * x, (X,)

def wrong():
    return plain(2.002)

def random():
    return square, (tc.randn(2, 3, dtype=tc.float64),)

draws = []

def sometimes():
    draws.append(1)
    return plain(2.0 if len(draws) < 3 else 2.2)

def constant():
    return (lambda x: tc.nn.functional.softmax(x, 1).sum()), (X,)

def integers():
    return (lambda x: x.long()), (X,)

class Box:
    @staticmethod
    def inside():
        return pair()

def needs(x, y):
    return x * y

def returns_a_list():
    return [square, X]

def raises():
    return (lambda x: x.reshape(7)), (X,)

number = 3
"""


@pytest.fixture
def own(tmp_path, monkeypatch):
    """A module of the user's, in the current folder."""
    monkeypatch.chdir(tmp_path)
    name = f"own_{tmp_path.name}".replace("-", "_")
    (tmp_path / f"{name}.py").write_text(OWN)
    yield name
    sys.modules.pop(name, None)


def run(capsys, *words):
    code = main(["gradcheck", *words])
    out, err = capsys.readouterr()
    return code, out, err


# -- ops ----------------------------------------------------------------------------------
def test_an_op_passes(capsys):
    code, out, err = run(capsys, "tanh", "--draws", "7")
    assert (code, err) == (0, "")
    assert out.startswith("tanh: 7 cases: 7 passed; the worst of them:\nCase.of(")
    assert "gradient check of" in out and "order 2" in out


def test_names_are_found_as_people_spell_them(capsys):
    assert run(capsys, "Max-Pool2D", "--draws", "1")[0] == 0
    assert run(capsys, "norm inf", "--draws", "1")[0] == 0


def test_first_order_alone(capsys):
    _, out, _ = run(capsys, "tanh", "--draws", "3", "--order", "1")
    assert "order 2" not in out


def test_the_same_seed_draws_the_same(capsys):
    def lines(*words):
        return re.sub(r"[\d.]+ s,", "", run(capsys, "sigmoid", "--draws", "9", *words)[1])

    assert lines("--seed", "3") == lines("--seed", "3") != lines("--seed", "4")


def faulty(least):
    """x ** 2 with a gradient that is wrong for ``least`` elements and more."""

    class Square(tc.autograd.Function):
        def forward(ctx, x):
            ctx.save_for_backward(x)
            return x * x

        def backward(ctx, gy):
            (x,) = ctx.saved_tensors
            return gy * x * (2.1 if x.numel() >= least else 2.0)

    sizes = st.integers(1, 9)
    return sizes.map(lambda n: Case(Square.apply, (np.arange(1.0, n + 1),), f"square of {n}"))


def test_a_failing_case_is_made_small(capsys, monkeypatch):
    monkeypatch.setitem(registry.OPS, "square", registry.Op("square", (faulty(4),)))
    code, out, _ = run(capsys, "square")
    assert code == 1
    assert out.startswith("square: a case that fails, as small as could be found:\nsquare of 4\n")
    assert "constant factor" in out and "to reproduce:" in out


def test_examples_come_first(capsys, monkeypatch):
    example = Case(lambda x: x.detach() * 2, (np.ones(2),), "the example")
    op = registry.Op("square", (faulty(99),), (example,))
    monkeypatch.setitem(registry.OPS, "square", op)
    code, out, _ = run(capsys, "square")
    assert code == 2 and "the example" in out  # nothing to differentiate: not checked


def test_json(capsys, monkeypatch):
    code, out, _ = run(capsys, "tanh", "--draws", "3", "--json")
    found = json.loads(out)
    assert (code, found["op"], found["cases"], found["passed"]) == (0, "tanh", 3, True)
    assert found["case"].startswith("Case.of(") and found["report"]["verdict"] == "passed"
    monkeypatch.setitem(registry.OPS, "square", registry.Op("square", (faulty(1),)))
    code, out, _ = run(capsys, "square", "--json")
    found = json.loads(out)
    assert (code, found["passed"], found["report"]["cause"]) == (1, False, "constant factor")


def test_ctrl_c(capsys, monkeypatch):
    def interrupted(x):
        raise KeyboardInterrupt

    op = registry.Op("square", (st.just(Case(interrupted, (np.ones(2),))),))
    monkeypatch.setitem(registry.OPS, "square", op)
    code, _, err = run(capsys, "square")
    assert (code, err) == (130, "tinyconv: aborted\n")


def test_without_hypothesis(capsys, monkeypatch):
    for name in [n for n in sys.modules if n.startswith("tinyconv.testing.registry")]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.delattr("tinyconv.testing.registry", raising=False)
    monkeypatch.setitem(sys.modules, "hypothesis", None)
    code, _, err = run(capsys, "tanh")
    assert code == 2 and "install tinyconv[test]" in err and err.count("\n") == 1


# -- the user's own -----------------------------------------------------------------------
@pytest.mark.parametrize(
    "name, code, words",
    [
        ("square", 0, "passed"),
        ("lazy", 0, "passed"),
        ("net", 0, "d(output 0)/d(weight)"),
        ("pair", 0, "order 2"),
        ("network", 0, "d(output 0)/d(0.weight)"),
        ("plain", 0, "passed"),
        ("Box.inside", 0, "passed"),
        ("random", 0, "passed"),
        ("wrong", 1, "constant factor"),
        ("constant", 2, "vacuous"),
        ("integers", 2, "not differentiable"),
    ],
)
def test_what_may_be_named(own, capsys, name, code, words):
    found, out, err = run(capsys, f"{own}:{name}")
    assert (found, err) == (code, "") and words in out
    assert out.startswith("gradient check of ")


def test_a_file_in_another_folder(own, capsys, tmp_path, monkeypatch):
    (tmp_path / "other").mkdir()
    monkeypatch.chdir(tmp_path / "other")
    before = list(sys.path)
    assert run(capsys, f"../{own}.py:pair")[0] == 0
    assert sys.path == before


def test_draws_call_the_function_again(own, capsys):
    code, out, _ = run(capsys, f"{own}:random", "--draws", "4")
    assert code == 0 and out.startswith(f"{own}:random: 4 cases passed; the worst of them:\n")
    code, out, _ = run(capsys, f"{own}:sometimes", "--draws", "9", "--json")
    assert (code, json.loads(out)["cases"]) == (1, 3)
    inputs = [run(capsys, f"{own}:random", "--seed", s, "--order", "1")[1] for s in "112"]
    assert inputs[0].split("runs")[0] == inputs[1].split("runs")[0]


@pytest.mark.parametrize(
    "words, message",
    [
        ("tanhh", "unknown op 'tanhh'; did you mean 'tanh'"),
        ("conv2d --draws 0", "--draws=0 must be at least 1"),
        ("conv2d --seed -1", "--seed=-1 must not be negative"),
        ("conv2d --order 3", "argument --order: invalid choice"),
        ("conv2d --plot a.txt", "--plot=a.txt: wants a name that ends in .png, .svg, .pdf"),
        ("conv2d --plot no/a.png", "--plot=no/a.png: there is no folder no"),
        ("conv2d --draw 3", "unknown argument '--draw'; did you mean '--draws'"),
        ("", "the following arguments are required: OP|MODULE:NAME"),
        ("os.path", "'os.path' is no op; a function is named like module:function"),
        ("OWN:", "wants module:name or file.py:name"),
        (":pair", "wants module:name or file.py:name"),
        ("nowhere:pair", "nowhere:pair: there is no module 'nowhere'"),
        ("os.nowhere:pair", "there is no module 'os.nowhere'"),
        ("nowhere.py:pair", "there is no file nowhere.py"),
        ("OWN:squar", "has no 'squar'; did you mean 'square'? Look at what it defines"),
        ("OWN:needs", "needs inputs: give it an attribute example_inputs, or name a function"),
        ("OWN:number", "needs inputs: give it an attribute example_inputs"),
        ("OWN:returns_a_list", "returned list; wants (function, inputs) or"),
        ("OWN:raises", "OWN:raises: RuntimeError: reshape: shape [7] does not hold"),
        ("broken:x", "broken:x: ZeroDivisionError: division by zero (FOLDER/broken.py, line 2)"),
        ("lacking:x", "lacking:x: ModuleNotFoundError: No module named 'nowhere'"),
        ("json.py:x", "json.py:x: there is another module 'json'; rename the file"),
    ],
)
def test_user_errors(own, capsys, tmp_path, words, message):
    (tmp_path / "broken.py").write_text("\n1 / 0\n")
    (tmp_path / "lacking.py").write_text("import nowhere\n")
    (tmp_path / "json.py").write_text("x = 1\n")
    code, out, err = run(capsys, *words.replace("OWN", own).split())
    assert (code, out) == (2, "")
    message = message.replace("OWN", own).replace("FOLDER", str(tmp_path))
    assert err.startswith("tinyconv: error: ") and message in err and "Traceback" not in err


def test_an_error_tells_the_line_of_the_users_code(own, capsys):
    _, _, err = run(capsys, f"{own}:raises")
    line = OWN.splitlines().index("    return (lambda x: x.reshape(7)), (X,)") + 1
    assert err.endswith(f"({Path(f'{own}.py').resolve()}, line {line})\n")


# -- pictures -----------------------------------------------------------------------------
@pytest.mark.parametrize(
    "file, head", [("a.png", b"\x89PNG"), ("a.svg", b"<?xml"), ("a.PDF", b"%PDF")]
)
def test_plot(own, capsys, file, head):
    assert run(capsys, f"{own}:wrong", "--plot", file)[0] == 1
    assert Path(file).read_bytes().startswith(head)


def test_plots_that_cannot_be_drawn(own, capsys, monkeypatch, tmp_path):
    (tmp_path / "a.png").mkdir()
    code, out, err = run(capsys, f"{own}:pair", "--plot", "a.png")
    assert code == 2 and "passed" in out and "--plot=a.png: cannot be written" in err
    monkeypatch.setitem(sys.modules, "matplotlib", None)
    code, out, err = run(capsys, f"{own}:pair", "--plot", "b.png")
    assert code == 2 and "passed" in out and "install tinyconv[plot]" in err


# -- help and docs ------------------------------------------------------------------------
def test_help(capsys):
    with pytest.raises(SystemExit):
        main(["gradcheck", "--help"])
    out, _ = capsys.readouterr()
    assert "(forward, backward, arrays)" in out and "exit code: 0 passed, 1 wrong" in out


def test_the_commands_of_the_page_work(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    blocks = re.findall(r"```sh\n(.*?)```", PAGE.read_text(), re.S)
    commands = [shlex.split(line) for block in blocks for line in block.splitlines()]
    assert len(commands) >= 2
    for command in commands:
        assert command[0] == "tinyconv" and main(command[1:]) == 0, command
    capsys.readouterr()


def test_other_commands_do_not_wait_for_the_checker():
    script = "import sys, tinyconv.cli; print(*sys.modules)"
    loaded = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True).stdout
    assert not {"hypothesis", "matplotlib", "tinyconv.testing.examine"} & set(loaded.split())
    assert "tinyconv.cli.gradcheck" in loaded.split()
