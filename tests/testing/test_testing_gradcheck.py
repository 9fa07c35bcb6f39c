"""gradcheck and gradgradcheck: PyTorch's names and answers; errors told apart."""

import numpy as np
import pytest

import tinyconv as tc
import tinyconv.nn.functional as F
from tinyconv.autograd import Function, gradcheck, gradgradcheck
from tinyconv.autograd.gradcheck import GradcheckError, NotCheckableError, WrongGradientError


def leaf(*shape, dtype=tc.float64, seed=0):
    values = np.random.default_rng(seed).standard_normal(shape)
    return tc.tensor(values, dtype=dtype, requires_grad=True)


class Double(Function):
    @staticmethod
    def forward(ctx, x):
        return 2 * x

    @staticmethod
    def backward(ctx, gy):
        return gy * 2.002


def test_as_in_a_script_for_pytorch():
    linear = lambda x, w, b: F.linear(x, w, b)
    inputs = leaf(4, 3), leaf(2, 3, seed=1), leaf(2, seed=2)
    assert gradcheck(linear, inputs, eps=1e-6, atol=1e-4) is True
    assert tc.autograd.gradgradcheck(linear, inputs, atol=1e-4) is True
    assert gradcheck(tc.tanh, leaf(3), fast_mode=True, nondet_tol=1e-7)
    assert gradgradcheck(F.conv2d, (leaf(1, 2, 4, 3), leaf(3, 2, 2, 2)), fast_mode=True)


def test_a_wrong_gradient_raises_or_is_false():
    with pytest.raises(WrongGradientError, match="1.001") as caught:
        gradcheck(Double.apply, leaf(3))
    assert isinstance(caught.value, GradcheckError) and isinstance(caught.value, RuntimeError)
    assert caught.value.report.cause == "constant factor"
    assert gradcheck(Double.apply, (leaf(3),), raise_exception=False) is False
    assert gradcheck(Double.apply, leaf(3), rtol=1e-2)


@pytest.mark.parametrize(
    "function, kind",
    [
        (lambda x: x + tc.rand(3), "nondeterministic"),
        (lambda x: x.detach() * 2, "not differentiable"),
        (lambda x: x.data.mul_(2) * x, "input mutated"),
    ],
)
def test_what_cannot_be_checked_is_told_apart(function, kind):
    with pytest.raises(NotCheckableError, match=kind) as caught:
        gradcheck(function, leaf(3))
    assert not isinstance(caught.value, WrongGradientError)
    assert gradcheck(function, leaf(3), raise_exception=False) is False


def test_nothing_but_rounding_is_not_a_pass():
    with pytest.raises(NotCheckableError, match="vacuous"):
        gradcheck(lambda x: tc.softmax(x, 0).sum(), leaf(5))


def test_a_constant_passes_with_a_warning_as_in_pytorch():
    for function in (tc.sign, lambda x: tc.ones(2)):
        with pytest.warns(UserWarning, match="does not change"):
            assert gradcheck(function, leaf(3))


def test_inputs_without_grad_are_constants():
    x, constant = leaf(3), tc.ones(3, dtype=tc.float64)
    assert gradcheck(lambda x, c, n: x * c * n, (x, constant, 3))
    with pytest.raises(ValueError, match="requires grad"):
        gradcheck(tc.tanh, constant)


def test_float32_is_compared_with_float64():
    assert gradcheck(F.conv2d, (leaf(1, 2, 4, 3, dtype=tc.float32),
                                leaf(3, 2, 2, 2, dtype=tc.float32)))  # fmt: skip
    with pytest.raises(WrongGradientError):
        gradcheck(Double.apply, leaf(3, dtype=tc.float32))


def test_grad_outputs():
    v = tc.tensor([1.0, -2.0, 0.5], dtype=tc.float64)
    assert gradgradcheck(tc.exp, leaf(3), v)
    assert gradgradcheck(tc.exp, leaf(3), (v,), gen_non_contig_grad_outputs=True)
    with pytest.raises(ValueError, match="grad_outputs"):
        gradgradcheck(tc.exp, leaf(3), tc.ones(4))


def test_a_wrong_second_derivative():
    class Sine(Function):
        @staticmethod
        def forward(ctx, x):
            ctx.save_for_backward(x)
            return np.sin(x)

        @staticmethod
        def backward(ctx, gy):
            (x,) = ctx.saved_tensors
            return gy * x.detach().cos()

    assert gradcheck(Sine.apply, leaf(3))
    with pytest.raises(WrongGradientError, match="order 2"):
        gradgradcheck(Sine.apply, leaf(3))


@pytest.mark.parametrize(
    "option", ["check_batched_grad", "check_forward_ad", "check_batched_forward_grad"]
)
def test_what_does_not_exist_is_refused(option):
    with pytest.raises(ValueError, match="do not exist|does not exist"):
        gradcheck(tc.tanh, leaf(3), **{option: True})


def test_the_inputs_stay_as_they_are():
    x = leaf(3)
    before = x.array.copy()
    gradcheck(tc.tanh, x)
    assert np.array_equal(x.array, before) and x.grad is None and x._version == 0
