"""check, check_vjp and their Report: verdicts, options, arguments, reproducers."""

import json
import re
import threading

import numpy as np
import pytest

import tinyconv as tc
import tinyconv.nn.functional as F
from tinyconv.autograd import Function
from tinyconv.testing import assert_gradients, check, check_vjp

X = np.array([[0.3, -1.2, 2.1], [1.7, 0.4, -0.6]])


def cube(x):
    return x**3


def cube_gradient(gy, x):
    return 3 * x**2 * gy


def cube_off_by_a_thousandth(gy, x):
    return 3.003 * x**2 * gy


def function(forward, backward):
    """A Function whose ``backward(gy, x)`` is written in Tensor ops."""

    class Op(Function):
        def forward(ctx, x):
            ctx.save_for_backward(x)
            return forward(x)

        def backward(ctx, gy):
            return backward(gy, *ctx.saved_tensors)

    return Op.apply


# -- verdicts ---------------------------------------------------------------------------------
@pytest.mark.parametrize("mode", ["auto", "full", "fast"])
@pytest.mark.parametrize("oracle", ["auto", "richardson", "complex"])
def test_right_and_wrong_by_each_oracle_and_mode(oracle, mode):
    right = check(lambda x: x**3, X, oracle=oracle, mode=mode)
    assert right.passed and {p.order for p in right.pairs} == {1, 2}
    wrong = check(function(cube, lambda gy, x: gy * 3.003 * x * x), X, oracle=oracle, mode=mode)
    assert wrong.verdict == "wrong" and not wrong
    if mode == "full":
        assert wrong.cause == "constant factor" and "1.001" in str(wrong)


def test_the_adjoint_oracle_is_for_affine_functions():
    w = np.arange(6.0).reshape(3, 2) - 2
    assert check(lambda x: x @ tc.from_numpy(w) + 1, X, oracle="adjoint").passed
    assert check_vjp(lambda x: x @ w, lambda gy, x: gy @ w.T * 1.0001, X).verdict == "wrong"
    assert {p.oracle for p in check(lambda x: x @ tc.from_numpy(w), X).pairs} == {"adjoint"}


def test_the_exact_oracle_has_no_tolerance():
    x = np.arange(12.0).reshape(3, 4) % 5 - 2
    relu = lambda gy, x: gy * (x > 0)
    report = check_vjp(lambda x: np.maximum(x, 0) * 3, lambda gy, x: 3 * relu(gy, x), x,
                       oracle="exact")  # fmt: skip
    assert report.passed and report.pairs[0].kinks == 2
    almost = lambda gy, x: 3 * relu(gy, x) * (1 + 2.0**-50)
    almost = check_vjp(lambda x: np.maximum(x, 0) * 3, almost, x, oracle="exact")
    assert almost.verdict == "wrong"


def test_the_exact_oracle_refuses_what_bends():
    with pytest.raises(ValueError, match="piecewise linear"):
        check_vjp(np.square, lambda gy, x: 2 * x * gy, np.arange(3.0), oracle="exact")


def test_whole_numbers_choose_the_exact_oracle():
    x, w = np.arange(24.0).reshape(1, 2, 3, 4) % 7 - 3, np.arange(12.0).reshape(3, 2, 2, 1) % 5 - 2
    assert {p.oracle for p in check(F.conv2d, (x, w), order=1).pairs} == {"exact"}


def test_the_complex_oracle_says_when_it_cannot():
    with pytest.raises(ValueError, match="complex128"):
        check_vjp(np.cbrt, lambda gy, x: gy / (3 * np.cbrt(x) ** 2), X, oracle="complex")
    with pytest.raises(ValueError, match="other values"):
        check_vjp(
            lambda x: x.real * (1 + np.iscomplexobj(x)), lambda gy, x: gy, X, oracle="complex"
        )


def test_a_gradient_below_rounding_is_vacuous():
    report = check(lambda x: tc.softmax(x, 1).sum(), X)
    assert report.verdict == "vacuous" and "Do not sum" in str(report)


def test_a_constant_function_is_vacuous_but_a_zero_slope_passes():
    assert check(tc.sign, X).verdict == "vacuous"
    assert check(lambda x: x * x, np.zeros((2, 3))).verdict == "passed"


def test_inputs_that_one_output_does_not_use():
    report = check(lambda x, w: (x * x, w.exp()), (X, X[0]))
    assert report.passed
    assert {p.verdict for p in report.pairs if p.name == "d(output 0)/d(input 1)"} == {"zero"}


def test_integers_and_options_pass_along():
    index = np.array([2, 0, 0])
    report = check(lambda x, i, dim: x.index_select(dim, i), (X, tc.from_numpy(index), 1))
    assert report.passed and len({p.input for p in report.pairs if p.order == 1}) == 1


def test_tensors_that_require_grad_say_what_is_differentiated():
    a, b = tc.from_numpy(X.copy()).requires_grad_(), tc.from_numpy(X.copy())
    report = check(lambda a, b: a * b, (a, b))
    assert {p.input for p in report.pairs if p.order == 1} == {"input 0"}
    assert a.grad is None and np.array_equal(b.array, X)


def test_several_outputs_and_nested_ones():
    report = check(lambda x: {"max": x.max(1), "sum": (x.sum(0), [x * 2])}, X)
    assert report.passed  # the indices of max are not differentiated
    assert len({p.output for p in report.pairs if p.order == 1}) == 3


def test_a_function_that_differentiates_inside():
    def penalty(x):
        (g,) = tc.autograd.grad((x**3).sum(), x, create_graph=True)
        return (g * g).sum() + x.sum()

    assert check(penalty, X).passed


def test_empty_and_scalar_inputs():
    assert check(tc.exp, np.array(0.5)).passed
    assert check(lambda x, y: y * 2 + x.sum(), (np.zeros((0, 3)), X)).passed


# -- kinks --------------------------------------------------------------------------------------
def test_kinks_by_hull_skipped_or_refused():
    x = np.array([0.0, 1.0, -2.0, 3.0])
    report = check(tc.relu, x, order=1)
    assert report.passed and report.pairs[0].kinks == 1
    assert check(tc.relu, x, order=1, kinks="skip").passed
    assert check(tc.relu, x, order=1, kinks="error").verdict == "wrong"


@pytest.mark.parametrize("share", [0.0, 1.0, 0.6])
def test_ties_must_add_up(share):
    """Each share lies in [0, 1], the hull of its element; only halves add up to the whole."""

    def backward(gy, a, b):
        tie = share * (a == b)
        return gy * ((a > b) + tie), gy * ((b > a) + tie)

    a = np.array([1.0, 2.0, 3.0])
    report = check_vjp(np.maximum, backward, (a, np.array([1.0, 5.0, 0.0])))
    assert report.verdict == "wrong" and report.cause == "tie"


def test_kinks_that_meet_are_judged_op_by_op():
    report = check(lambda x: F.relu(x) - F.relu(-x), np.array([0.0, 1.0]))
    assert report.passed and any("chain rule" in note for note in report.notes)


# -- modes --------------------------------------------------------------------------------------
def test_auto_finds_the_guilty_element_among_many():
    def backward(gy, x):
        g = 2 * x * gy
        g[17, 31] *= 1.01
        return g

    x = np.random.default_rng(0).standard_normal((40, 50))
    report = check_vjp(lambda x: x * x, backward, x)
    (pair,) = report.pairs
    assert report.verdict == "wrong" and pair.mode == "fast"
    assert pair.worst[0].at == pair.worst[0].of == (17, 31)
    assert pair.worst[0].analytic / pair.worst[0].numeric == pytest.approx(1.01)


def test_the_wrong_op_of_a_network_is_named():
    sine = function(np.sin, lambda gy, x: gy * x.sin())
    report = check(lambda x: sine(x.exp()).sum(1), X)
    assert any("checked alone, this op is wrong" in n and "Op" in n for n in report.notes)


# -- second order ---------------------------------------------------------------------------------
def test_a_wrong_second_derivative_is_seen():
    op = function(np.sin, lambda gy, x: gy * x.detach().cos())
    report = check(op, X)
    assert report.verdict == "wrong" and {p.order for p in report.pairs if p.wrong} == {2}
    assert check(op, X, order=1).passed


def test_a_backward_in_numpy_has_no_second_derivative_and_that_is_told():
    silent = function(np.sin, lambda gy, x: tc.from_numpy(gy.array * np.cos(x.array)))
    report = check(silent, X)
    assert report.passed and "records nothing" in report.notes[0]
    marked = Function.__class__("Marked", (Function,), {
        "forward": lambda ctx, x: ctx.save_for_backward(x) or np.sin(x),
        "backward": tc.autograd.once_differentiable(
            lambda ctx, gy: tc.from_numpy(gy.array * np.cos(ctx.saved_tensors[0].array))
        ),
    })  # fmt: skip
    report = check(marked.apply, X)
    assert report.passed and "once_differentiable" in report.notes[0]


# -- the report -----------------------------------------------------------------------------------
def test_the_same_seed_gives_the_same_report():
    def once():
        found = check_vjp(cube, cube_off_by_a_thousandth, X, seed=7).to_dict()
        found.pop("seconds")
        return found

    assert once() == once()


def test_the_report_as_text_dict_and_json():
    report = check_vjp(cube, cube_off_by_a_thousandth, X, seed=7)
    text, plain = str(report), json.loads(report.to_json())
    assert "wrong" in text and "seed 7" in text and "1.001" in text
    assert plain["verdict"] == "wrong" and plain["cause"] == "constant factor"
    assert len(plain["pairs"][0]["worst"]) == 5
    worst = plain["pairs"][0]["worst"][0]
    assert worst["analytic"] / worst["numeric"] == pytest.approx(1.001)
    assert report.pairs[0].analytic.shape == (6, 6)


def test_nan_in_a_report_is_json():
    report = check_vjp(cube, lambda gy, x: gy * np.nan, X)
    assert report.verdict == "wrong" and report.cause == "not finite"
    json.loads(report.to_json())


@pytest.mark.parametrize("x", [X, np.linspace(-1, 1, 300).reshape(10, 30)])
def test_the_reproducer_runs_and_says_the_same(x, capsys):
    report = check_vjp(cube, cube_off_by_a_thousandth, x)
    exec(report.reproducer(), {})
    again = capsys.readouterr().out
    unlike = re.compile(r"\d+\.\d\d s")
    assert unlike.sub("", again.strip()) == unlike.sub("", str(report).strip())


def test_a_lambda_is_shown_in_the_reproducer():
    report = check(function(np.sin, lambda gy, x: gy * x), X)
    assert "to be filled in" in report.reproducer()


def test_assert_gradients_says_everything():
    assert_gradients(tc.tanh, X)
    with pytest.raises(AssertionError, match="(?s)constant factor.*to reproduce"):
        assert_gradients(function(cube, lambda gy, x: gy * 6 * x * x), X)


# -- arguments -------------------------------------------------------------------------------
@pytest.mark.parametrize(
    "call, error, match",
    [
        (lambda: check(3, X), TypeError, "func is int"),
        (lambda: check(tc.exp, 3), TypeError, "inputs is int"),
        (lambda: check(tc.exp, np.arange(3)), ValueError, "no input to differentiate"),
        (lambda: check(tc.exp, np.array([1, np.nan])), ValueError, "NaN"),
        (lambda: check(tc.exp, X.astype(np.float16)), TypeError, "float16"),
        (lambda: check(tc.exp, X, oracle="magic"), ValueError, "'richardson'"),
        (lambda: check(tc.exp, X, mode="slow"), ValueError, "'full'"),
        (lambda: check(tc.exp, X, kinks="ignore"), ValueError, "'hull'"),
        (lambda: check(tc.exp, X, order=3), ValueError, "order=3"),
        (lambda: check(tc.exp, X, eps=-1), ValueError, "eps=-1"),
        (lambda: check(tc.exp, X, effects=["colour"]), ValueError, "colour"),
        (lambda: check(tc.exp, X, directions=0), ValueError, "at least 1"),
        (lambda: check(tc.exp, X, tolerance=1), TypeError, "tolerance"),
        (lambda: check(lambda x: x.array, X), TypeError, "ndarray"),
        (lambda: check(lambda x: None, X), TypeError, "NoneType"),
        (lambda: check_vjp(cube, cube_gradient, X, order=2), ValueError, "backward as a forward"),
        (lambda: check_vjp(cube, None, X), TypeError, "backward is NoneType"),
        (lambda: check_vjp(lambda x: "text", cube_gradient, X), TypeError, "array of numbers"),
    ],
)
def test_bad_arguments(call, error, match):
    with pytest.raises(error, match=match):
        call()


def test_what_the_function_raises_comes_through():
    with pytest.raises(ZeroDivisionError):
        check(lambda x: 1 / 0, X)


def test_eps_and_tolerances_are_the_users():
    rough = function(cube, lambda gy, x: gy * 3.003 * x * x)
    assert check(rough, X, order=1, rtol=1e-2).passed
    assert check(rough, X, order=1, atol=1.0).passed
    assert check(lambda x: x**3, X, eps=1e-4).passed


def test_recording_may_be_off_outside():
    with tc.no_grad():
        assert check(lambda x: x**3, X).passed
        assert not tc.is_grad_enabled()


def test_checks_in_two_threads():
    reports = []
    run = lambda: reports.append(check(F.conv2d, (np.ones((1, 2, 4, 3)), np.ones((3, 2, 2, 1)))))
    threads = [threading.Thread(target=run) for _ in range(3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(reports) == 3 and all(r.passed for r in reports)


@pytest.mark.parametrize(
    "option, error, match",
    [
        (dict(oder=1), TypeError, "did you mean 'order'"),
        (dict(effects=None), TypeError, "effects=None"),
        (dict(effects="linear"), TypeError, "list of names"),
        (dict(nondet_tol=-1), ValueError, "nondet_tol=-1"),
        (dict(directions=2.5), ValueError, "directions=2.5"),
        (dict(seed="a"), ValueError, "seed='a'"),
        (dict(order=True), ValueError, "order=True"),
        (dict(eps="1e-6"), ValueError, "eps='1e-6'"),
    ],
)
def test_bad_options(option, error, match):
    with pytest.raises(error, match=match):
        check(tc.exp, X, **option)


def test_the_reproducer_keeps_what_is_differentiated():
    a, b = tc.from_numpy(X.copy()).requires_grad_(), tc.from_numpy(X.copy())
    report = check(F.mse_loss, (a, b), kinks="error", effects=["threads"])
    text = report.reproducer()
    assert text.count("requires_grad_()") == 1 and "effects=['threads']" in text
    exec(text, {})


def test_inputs_may_come_from_a_generator():
    report = check(lambda a, b: a * b, (x for x in (X, X + 1)))
    assert report.passed and report.reproducer().count("np.array") == 2
