"""The checker is checked first: planted faults must be caught, right derivatives pass."""

import numpy as np
import pytest
from derivatives import check_derivatives

import tinyconv as tc
from tinyconv.autograd import Function

X = np.array([[0.3, -1.2, 2.1], [1.7, 0.4, -0.6]])


def _cube(gradient):
    """x ** 3 with the derivative ``gradient(gy, x)``."""

    class Cube(Function):
        def forward(ctx, x):
            ctx.save_for_backward(x)
            return x**3

        def backward(ctx, gy):
            return gradient(gy, *ctx.saved_tensors)

    return Cube.apply


def test_a_right_derivative_passes():
    check_derivatives(_cube(lambda gy, x: gy * 3 * x * x), X)


def test_a_right_derivative_of_many_elements_passes():
    check_derivatives(_cube(lambda gy, x: gy * 3 * x * x), np.linspace(-2, 2, 35).reshape(5, 7))


@pytest.mark.parametrize("shape", [(2, 3), (5, 7)])
@pytest.mark.parametrize(
    "name, gradient",
    {
        "an error of 0.1 %": lambda gy, x: gy * 3.003 * x * x,
        "a wrong sign": lambda gy, x: -gy * 3 * x * x,
        "one wrong element": lambda gy, x: gy * 3 * x * x * tc.from_numpy(_bump(x.shape)),
        "errors that add up to zero": lambda gy, x: gy * 3 * x * x + tc.from_numpy(_ramp(x.shape)),
    }.items(),
)
def test_a_wrong_first_derivative_is_caught(name, gradient, shape):
    x = np.linspace(-2, 2, int(np.prod(shape))).reshape(shape)
    with pytest.raises(AssertionError, match="first derivative"):
        check_derivatives(_cube(gradient), x)


def _bump(shape):
    factors = np.ones(shape)
    factors.flat[1] = 1.01
    return factors


def _ramp(shape):
    return 0.01 * np.linspace(-1, 1, int(np.prod(shape))).reshape(shape)


@pytest.mark.parametrize(
    "name, gradient",
    {
        "a missing term": lambda gy, x: gy * 3 * x * x.detach(),
        "a constant": lambda gy, x: gy * 3 * x.detach() * x.detach(),
        "cut from the cotangent": lambda gy, x: gy.detach() * 3 * x * x,
    }.items(),
)
def test_a_right_gradient_with_a_wrong_derivative_is_caught(name, gradient):
    check_derivatives(_cube(gradient), X, order=1)
    with pytest.raises(AssertionError, match="second derivative"):
        check_derivatives(_cube(gradient), X)


def test_an_error_in_the_second_input_only_is_caught():
    class Product(Function):
        def forward(ctx, a, b):
            ctx.save_for_backward(a, b)
            return a * b

        def backward(ctx, gy):
            a, b = ctx.saved_tensors
            return gy * b, gy * a * 1.001

    with pytest.raises(AssertionError, match="input 1"):
        check_derivatives(Product.apply, X, X + 0.1)


def test_an_error_in_the_second_output_only_is_caught():
    class Pair(Function):
        def forward(ctx, x):
            return 2 * x, 5 * x

        def backward(ctx, g2, g5):
            return g2 * 2 + g5 * 5.005

    with pytest.raises(AssertionError, match="first derivative"):
        check_derivatives(Pair.apply, X)


def test_a_changed_input_is_caught():
    x = X.copy()

    class Vandal(Function):
        def forward(ctx, x):
            y = 2 * x
            x[0, 0] += 1e-7
            return y

        def backward(ctx, gy):
            return gy * 2

    with pytest.raises(AssertionError, match="was changed"):
        check_derivatives(Vandal.apply, x)


def test_a_kink_is_not_taken_for_a_derivative():
    with pytest.raises(AssertionError, match="too rough"):
        check_derivatives(lambda x: x.abs(), np.array([0.01, 1.0, -1.0]))
