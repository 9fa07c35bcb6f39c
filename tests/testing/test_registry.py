"""Every public op is in the registry, or named with the reason why not. A new op fails here."""

import numpy as np
import pytest

import tinyconv as tc
import tinyconv.nn.functional as F
from tinyconv.autograd import Function
from tinyconv.testing.cases import Case
from tinyconv.testing.registry import (
    OPS,
    drawn,
    draws_of,
    names_in,
    not_differentiable,
    public_names,
    register,
    spelled,
    survey,
)
from tinyconv.testing.strategies import recipes


@pytest.fixture(scope="module")
def cases():
    """Draws of every op, some of each of its variants: {name: cases}."""
    return {name: [*op.examples, *draws_of(op, 5 * len(op.variants))] for name, op in OPS.items()}


def test_every_public_op_is_drawn_or_named_with_a_reason(cases):
    used = {name for some in cases.values() for case in some for name in names_in(case.source)}
    missing = public_names(vars(tc)) - used - set(not_differentiable())
    assert not missing, (
        f"{sorted(missing)}: register a strategy in tinyconv.testing.registry, or say in its "
        "NOT_DIFFERENTIABLE why there is nothing to check"
    )


def test_the_list_of_reasons_is_up_to_date():
    assert not set(not_differentiable()) - public_names(vars(tc))


#: all but what would change the library's state for the tests after this
@pytest.mark.parametrize(
    "name", sorted(name for name, why in not_differentiable().items() if "state" not in why)
)
def test_what_is_listed_as_not_differentiable_records_nothing(name):
    """A result that requires grad would be a derivative that nobody checks."""
    module, _, attribute = name.partition(".")
    function = getattr({"tc": tc, "F": F, "Tensor": tc.Tensor}[module], attribute)
    x = tc.full((2, 3), 0.5, dtype=tc.float64, requires_grad=True)
    returned = []
    for arguments in ((x,), (x, x), (x, 1), (x, 1, x)):
        try:
            returned.append(function(*arguments))
        except (TypeError, ValueError, RuntimeError, AttributeError, IndexError, KeyError):
            continue  # it wants other arguments, or refuses to write into what is recorded
    assert not any(isinstance(y, tc.Tensor) and y is not x and y.grad_fn for y in returned)


def test_every_function_of_the_ops_is_differentiated(cases, monkeypatch):
    ours = {c for c in _below(Function) if c.__module__.startswith("tinyconv.ops")}
    ours = {c for c in ours if c.backward is not Function.backward}  # not comparisons
    assert len(ours) > 50
    done = set()
    for cls in ours:
        monkeypatch.setattr(cls, "backward", _noting(cls, done))
    for some in cases.values():
        for case in some:
            _differentiate(case)
    assert not ours - done


def _noting(cls, done):
    backward = cls.backward

    def noting(ctx, *grads):
        done.add(cls)
        return backward(ctx, *grads)

    return noting


def _differentiate(case):
    """Walk back through the case's function, and through its gradient."""
    inputs = [tc.tensor(x) for x in case.inputs]
    floats = [x.requires_grad_() for x in inputs if x.dtype.kind == "f"]
    outputs = case.func(*inputs)
    outputs = outputs if isinstance(outputs, tuple) else (outputs,)
    for _ in range(2):
        outputs = [y for y in outputs if y.requires_grad]
        if not outputs:
            return
        outputs = tc.autograd.grad(
            outputs, floats, [tc.ones_like(y) for y in outputs], create_graph=True,
            allow_unused=True, materialize_grads=True,
        )  # fmt: skip


def _below(cls):
    for sub in cls.__subclasses__():
        yield sub
        yield from _below(sub)


@pytest.mark.parametrize(
    "source, names",
    [
        ("tc.exp(x) + F.relu(y)", {"tc.exp", "F.relu", "Tensor.__add__"}),
        ("2 ** x", {"Tensor.__rpow__"}),
        ("5 & x | y << 1", {"Tensor.__rand__", "Tensor.__or__", "Tensor.__lshift__"}),
        ("-0.5 * x", {"Tensor.__rmul__"}),
        ("np.ones(3) @ x", {"Tensor.__rmatmul__", "Tensor.ones"}),
        ("-x[0].T", {"Tensor.__neg__", "Tensor.__getitem__", "Tensor.T"}),
        ("y = x * 1\ny += x\nabs(y)", {"Tensor.__mul__", "Tensor.__iadd__", "Tensor.__abs__"}),
        ("a, b = x\na", {"Tensor.__iter__"}),
    ],
)
def test_names_in_a_piece_of_code(source, names):
    assert names_in(source) == names


def test_ops_of_ones_own_can_be_registered_and_surveyed():
    register(
        "triple", *spelled("x * 3", "x + x + x", x=recipes()),
        examples=[Case.of("x * 3.0", x=np.ones(2))],
    )  # fmt: skip
    try:
        with pytest.raises(ValueError, match="'triple' is there already"):
            register("triple", recipes())
        lines = []
        result = survey(20, seed=1, names=["triple"], report=lines.append)
        assert result.draws == 20 and result.verdicts["triple"] == {"passed": 20}
        assert not result.alarms and "triple" in lines[0]
        assert "20 draws of 1 ops: 20 passed\n0 false alarms" in str(result)
    finally:
        del OPS["triple"]


def test_a_survey_reports_what_it_did_not_expect():
    square = recipes((2, 3), kinds=("uniform",))
    register("square with a lost half", *spelled("x * x.detach()", x=square))
    try:
        result = survey(3, names=["square with a lost half"])
    finally:
        del OPS["square with a lost half"]
    assert [verdict for _, verdict, _ in result.alarms] == ["wrong"] * 3
    assert "x * x.detach()" in str(result)


def test_draws_repeat_by_seed():
    cases = OPS["conv2d"].cases
    assert list(map(repr, drawn(cases, 20, 5))) == list(map(repr, drawn(cases, 20, 5)))
    assert list(map(repr, drawn(cases, 20, 5))) != list(map(repr, drawn(cases, 20, 6)))
