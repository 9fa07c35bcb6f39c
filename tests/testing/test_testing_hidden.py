"""Faults that hide: behind certain cotangents, kinks, rounding, or the way a gradient is asked for;
and right functions that look wrong."""

import numpy as np
import pytest

import tinyconv as tc
import tinyconv.nn.functional as F
from tinyconv.autograd import Function
from tinyconv.testing import check, check_vjp

X = np.array([[0.3, -1.2, 2.1], [1.7, 0.4, -0.6]])


class Twice(Function):
    """x * x, with a backward per test."""

    def forward(ctx, x):
        ctx.save_for_backward(x)
        return x * x


def twice(backward):
    return type("Twice", (Twice,), {"backward": backward}).apply


def test_a_recorded_gradient_must_be_the_same():
    def backward(ctx, gy):
        (x,) = ctx.saved_tensors
        return gy * x * (2.1 if tc.is_grad_enabled() else 2)

    report = check(twice(backward), X)
    assert report.verdict == "wrong" and "create_graph" in str(report)


def test_each_input_alone():
    class Product(Function):
        def forward(ctx, x, y):
            ctx.save_for_backward(x, y)
            return x * y

        def backward(ctx, gy):
            x, y = ctx.saved_tensors
            both = all(ctx.needs_input_grad)
            return gy * y, gy * (x if both else y)

    report = check(Product.apply, (X, X + 1))
    assert report.verdict == "wrong" and "no other input needs one" in str(report)


@pytest.mark.parametrize(
    "backward",
    [
        lambda gy, x: (2.2 if (gy != 0).all() else 2) * x * gy,
        lambda gy, x: x * 1.0 if (gy == 1).all() else 2 * x * gy,
        lambda gy, x: x * gy if (gy == gy.flat[0]).all() else 2 * x * gy,
        lambda gy, x: 2 * x * np.where(abs(gy) < 1e-6, 0, gy),
        lambda gy, x: 2 * x * np.clip(gy, -1e5, 1e5),
    ],
)
def test_ways_that_only_some_cotangents_take(backward):
    assert check_vjp(np.square, backward, X).verdict == "wrong"


def test_a_fault_at_one_value_is_no_rounding():
    bend = lambda x: np.where(x < 1, x * x, 2 * x - 1)
    slope = lambda gy, x: gy * np.where(x < 1, 2 * x, np.where(x == 1, 5, 2))
    assert check_vjp(bend, slope, np.array([0.3, 1.0, 2.0])).verdict == "wrong"


class Cube(Function):
    """Right, but its gradient is cut off from x."""

    def forward(ctx, x):
        ctx.save_for_backward(x)
        return x**3

    def backward(ctx, gy):
        (x,) = ctx.saved_tensors
        return gy * 3 * x.detach() ** 2


def test_kinks_do_not_hide_a_second_order_fault():
    cube = Cube.apply
    x = np.array([0.0, 1.0, -2.0, 3.0])
    assert check(lambda x: cube(x) + tc.relu(x), x).verdict == "wrong"


@pytest.mark.parametrize(
    "backward",
    [
        lambda gy, x: gy * (x > 0) * 1.001,
        lambda gy, x: gy * np.where(x > 0, 1, np.where(x == 0, 2, 0)),
    ],
)
def test_directions_see_beside_and_at_kinks(backward):
    x = np.random.default_rng(0).integers(-3, 4, (60, 30)).astype(float)
    relu = lambda x: np.maximum(x, 0)
    assert check_vjp(relu, lambda gy, x: gy * (x > 0), x).passed
    assert check_vjp(relu, backward, x).verdict == "wrong"


def test_a_straight_through_estimator_is_not_the_derivative():
    report = check_vjp(lambda x: np.round(x * 128) / 128, lambda gy, x: gy.copy(), X)
    assert not report.passed


def test_a_domain_that_raises_ends_there():
    def log(x):
        if not (0 < x.array).all() or not (x.array < 1).all():
            raise ValueError("only between 0 and 1")
        return tc.log(x)

    assert check(log, np.array([0.9, 0.2])).passed


@pytest.mark.parametrize("name", ["tanh", "sigmoid"])
def test_saturated_float32_is_right(name):
    assert check(getattr(tc, name), np.array([7.1, -6.9, 0.5], np.float32)).passed


def test_a_float32_loss_and_a_bias_before_batch_norm():
    assert check(lambda x: x.sum(), X.astype(np.float32)).passed
    x = np.random.default_rng(0).standard_normal((3, 2, 4)).astype(np.float32)
    normal = lambda x, b: F.batch_norm(x + b, None, None, training=True)
    assert check(normal, (x, np.zeros((2, 1), np.float32))).passed


def test_saturated_attention():
    rng = np.random.default_rng(1)
    q, k, v = 5 * rng.standard_normal((3, 4)), 3 * rng.standard_normal((5, 4)), np.ones((5, 2))
    assert check(lambda q, k, v: tc.softmax(q @ k.t(), -1) @ v, (q, k, v + k[:, :2])).passed
