"""What is looked at besides the values: each harm is found, and called by its name."""

import numpy as np
import pytest

import tinyconv as tc
from tinyconv.autograd import Function
from tinyconv.testing import check, check_vjp

X = np.array([[0.3, -1.2, 2.1, 0.9], [1.7, 0.4, -0.6, -2.0], [0.2, 1.1, -0.7, 0.5]])
calls = []
scratch = np.empty(X.shape)
rng = np.random.default_rng(0)


def square_gradient(gy, x):
    return 2 * x * gy


def overwrites_x(x):
    y = x * x
    x[0, 0] = 7
    return y


def overwrites_gy(gy, x):
    g = 2 * x * gy
    gy[...] = 0
    return g


def counts(x):
    calls.append(1)
    return x * x + 1e-9 * len(calls)


def clips(gy, x):
    return 2 * x * np.clip(gy, -3, 3)


def in_memory_order(gy, x):
    return (2 * x.ravel() * gy.ravel("K")).reshape(x.shape)


HARMS = {
    "input mutated": (overwrites_x, square_gradient),
    "cotangent mutated": (np.square, overwrites_gy),
    "buffer reused": (np.square, lambda gy, x: np.multiply(2 * x, gy, out=scratch)),
    "dtype": (np.square, lambda gy, x: (2 * x * gy).astype(np.float32)),
    "shape": (np.square, lambda gy, x: (2 * x * gy)[None]),
    "nondeterministic": (counts, square_gradient),
    "not linear": (np.square, clips),
    "layout": (np.square, in_memory_order),
    "zero cotangent": (np.square, lambda gy, x: 2 * x * gy + 0.01 * x),
    "raises": (np.square, lambda gy, x: 1 / 0),
}


@pytest.mark.parametrize("kind", HARMS)
def test_each_harm_is_named(kind):
    report = check_vjp(*HARMS[kind], X.copy())
    assert not report.passed and kind in [f.kind for f in report.findings]
    invalid = kind in ("input mutated", "nondeterministic")
    assert report.verdict == ("invalid" if invalid else "wrong")


def test_gradients_that_share_memory():
    report = check_vjp(np.add, lambda gy, a, b: (gy, gy), (X, X + 1))
    assert [f.kind for f in report.findings] == ["aliased"]
    # Tensors are values: the engine's own add hands its cotangent to both
    assert check(lambda a, b: a + b, (X, X + 1)).passed


def test_a_gradient_that_is_the_input():
    report = check_vjp(lambda x: (x * x).sum(), lambda gy, x: np.multiply(x, 2 * gy, out=x), X)
    assert report.verdict == "invalid"


def test_what_was_given_is_left_alone():
    x = X.copy()
    check_vjp(overwrites_x, square_gradient, x)
    assert np.array_equal(x, X)


def test_looks_can_be_skipped():
    assert check_vjp(np.square, clips, 0.1 * X, effects=["linear"]).passed
    assert check_vjp(np.square, clips, 0.1 * X, effects=False).passed


def op(backward):
    class Square(Function):
        def forward(ctx, x):
            ctx.save_for_backward(x)
            return x * x

    Square.backward = backward
    return Square.apply


def test_a_dtype_that_the_engine_converts_is_seen():
    def backward(ctx, gy):
        (x,) = ctx.saved_tensors
        return (gy * x * 2).float()

    report = check(op(backward), X)
    assert "dtype" in [f.kind for f in report.findings]


def test_a_cotangent_changed_deep_inside_is_seen():
    """The op's cotangent is made by the op after it: nothing shows at the ends."""

    def backward(ctx, gy):
        (x,) = ctx.saved_tensors
        gy.array[...] *= 2
        return gy * x

    report = check(lambda x: op(backward)(x) * 3, X)
    assert "cotangent mutated" in [f.kind for f in report.findings]


def test_a_shape_that_the_engine_refuses():
    report = check(op(lambda ctx, gy: gy.sum(0)), X)
    assert report.verdict == "wrong" and report.cause == "shape"


def test_results_that_depend_on_the_number_of_threads(threads):
    threads(2)
    forward = lambda x: x * (1 + 2**-50 * tc.get_num_threads())
    report = check_vjp(forward, lambda gy, x: gy * (1 + 2**-50 * tc.get_num_threads()), X)
    assert report.cause == "threads" and tc.get_num_threads() == 2


def test_a_second_output_that_nobody_uses():
    class Both(Function):
        def forward(ctx, x):
            ctx.save_for_backward(x)
            ctx.set_materialize_grads(False)
            return np.sin(x), np.cos(x)

        def backward(ctx, ga, gb):
            (x,) = ctx.saved_tensors
            return ga * x.cos() - gb * x.sin()  # None for an unused output is forgotten

    report = check(Both.apply, X)
    assert report.verdict == "wrong" and report.cause == "raises"


def test_no_differentiable_output():
    for function in (lambda x: x.detach(), lambda x: x.argmax(1)):
        report = check(function, X)
        assert report.verdict == "invalid" and report.cause == "not differentiable"


def test_an_output_that_does_not_use_its_input():
    assert check(lambda x: tc.ones(2), X).verdict == "vacuous"


def test_an_output_without_a_finite_value():
    assert check(lambda x: (x - 10).log(), X).cause == "not finite"
