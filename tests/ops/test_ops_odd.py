"""NaN, infinities and -0.0 in, and what comes out: values and gradients.

All numbers here are literal. Where they are choices, docs/conventions.md lists them.
"""

import math

import numpy as np
import pytest

import tinyconv as tc
import tinyconv.nn.functional as F

nan, inf = math.nan, math.inf


def both(function, numbers, dtype=np.float64):
    """The values of ``function`` and the gradient of their sum, as lists."""
    x = tc.tensor(np.asarray(numbers, dtype), requires_grad=True)
    with np.errstate(invalid="ignore"):
        y = function(x)
        y.sum().backward()
    return y.tolist(), x.grad.tolist()


def same(found, wanted):
    np.testing.assert_array_equal(np.asarray(found), np.asarray(wanted, np.float64))


# -- one number ---------------------------------------------------------------------------------
FLAT_AT_NAN = {
    "hardtanh": F.hardtanh,
    "relu6": F.relu6,
    "hardsigmoid": F.hardsigmoid,
    "hardshrink": F.hardshrink,
    "softshrink": F.softshrink,
    "clamp": lambda x: x.clamp(-1, 1),
    "clamp_min": lambda x: x.clamp(min=-1),
    "clamp to tensors": lambda x: x.clamp(tc.full_like(x, -1), tc.full_like(x, 1)),
}


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("name", FLAT_AT_NAN)
def test_nan_stays_but_its_gradient_is_0(name, dtype):
    y, gx = both(FLAT_AT_NAN[name], [nan], dtype)
    same(y, [nan])
    same(gx, [0])


@pytest.mark.parametrize(
    "function",
    [F.softplus, F.logsigmoid, F.silu, F.mish, F.gelu, F.elu, F.celu, F.selu, F.hardswish],
)
def test_nan_is_in_the_gradient_too(function):
    y, gx = both(function, [nan, 1.0])
    same(np.isnan(y), [True, False])
    same(np.isnan(gx), [True, False])


def test_a_bound_that_is_nan_gives_nan_and_takes_no_gradient():
    low = tc.tensor([nan, 2.0, 0.0], requires_grad=True)
    y, gx = both(lambda x: x.clamp(low.to(tc.float64), None), [1.0, 1.0, 1.0])
    same(y, [nan, 2, 1])
    same(gx, [0, 0, 1])
    same(low.grad.tolist(), [0, 1, 0])


def test_clamp_of_integers_to_tensors():
    y = tc.tensor([1, 5, 9]).clamp(tc.tensor([2, 2, 2]), tc.tensor([6, 6, 6]))
    assert y.tolist() == [2, 5, 6] and y.dtype == tc.int64


def test_softplus_and_logsigmoid_far_out():
    same(both(F.softplus, [-inf, -800.0, 800.0, inf]), [[0, 0, 800, inf], [0, 0, 1, 1]])
    same(both(F.logsigmoid, [-inf, -800.0, 800.0, inf]), [[-inf, -800, 0, 0], [1, 1, 0, 0]])


def test_shrinks_leave_the_infinities():
    same(both(F.hardshrink, [-inf, -0.5, 0.5, inf]), [[-inf, 0, 0, inf], [1, 0, 0, 1]])
    same(both(F.softshrink, [-inf, -0.5, 0.5, inf]), [[-inf, 0, 0, inf], [1, 0, 0, 1]])
    same(both(lambda x: F.softshrink(x, inf), [-3.0, 3.0]), [[0, 0], [0, 0]])


@pytest.mark.parametrize("slope", [nan, inf])
def test_prelu_keeps_its_two_sides_apart(slope):
    w = tc.tensor([slope], dtype=tc.float64, requires_grad=True)
    y, gx = both(lambda x: F.prelu(x, w), [2.0, inf])
    same([y, gx], [[2, inf], [1, 1]])
    same(w.grad.tolist(), [0])


# -- order and extremes -------------------------------------------------------------------------
def test_median_of_nan_is_nan_while_it_is_recorded():
    same(*map(np.array, (both(tc.median, [1.0, nan, nan])[1], [0, 0.5, 0.5])))
    assert math.isnan(tc.tensor([1.0, nan], requires_grad=True).median().item())
    assert math.isnan(tc.tensor([nan, nan], requires_grad=True).nanmedian().item())
    assert tc.tensor([1.0, nan, 3.0], requires_grad=True).nanmedian().item() == 1


def test_median_of_equal_ones_is_exact():
    large = 1e308
    y, gx = both(tc.median, [large, large, large, -inf])
    assert y == large
    same(gx, [1 / 3, 1 / 3, 1 / 3, 0])
    y, gx = both(tc.median, [-inf, -inf, 1.0])
    assert y == -inf
    same(gx, [0.5, 0.5, 0])


@pytest.mark.parametrize("extreme", [tc.amax, tc.amin, lambda x, dim: tc.aminmax(x, dim=dim).max])
def test_nan_is_the_gradient_of_its_group(extreme):
    y, gx = both(lambda x: extreme(x, 1), [[1.0, nan, 2.0], [4.0, 4.0, 4.0]])
    same(y, [nan, 4])
    same(gx, [[nan, nan, nan], [1 / 3, 1 / 3, 1 / 3]])


@pytest.mark.parametrize("extreme", [tc.max, tc.min, lambda x: tc.linalg.vector_norm(x, inf)])
def test_nans_share_the_gradient_of_the_whole_extreme(extreme):
    y, gx = both(lambda x: extreme(x.abs()), [1.0, nan, nan])
    assert math.isnan(y)
    assert not math.isnan(gx[0])


@pytest.mark.parametrize("reduce", ["amax", "amin"])
def test_scatter_reduce_of_nan(reduce):
    index = tc.tensor([0, 0, 1])
    zeros = tc.zeros(2, dtype=tc.float64)
    y, gx = both(
        lambda x: zeros.scatter_reduce(0, index, x, reduce, include_self=False), [1.0, nan, 5.0]
    )
    same(y, [nan, 5])
    same(gx, [nan, nan, 1])


def test_quantiles_between_infinities():
    for numbers, wanted in (([-inf, 1.0], -inf), ([1.0, 2.0, inf], 2), ([1.0, nan], nan)):
        same(both(lambda x: tc.quantile(x, 0.5), numbers)[0], wanted)


def test_max_pools_point_at_the_last_nan():
    x = tc.tensor([[[[nan, 1.0, nan, 2.0]]]])
    for pool in (F.max_pool2d, F.adaptive_max_pool2d):
        y, index = pool(x, (1, 4) if pool is F.max_pool2d else 1, return_indices=True)
        assert math.isnan(y.item()) and index.item() == 2


# -- sums, norms, losses ------------------------------------------------------------------------
@pytest.mark.parametrize("number", [nan, inf, -inf])
def test_softmax_of_no_dimensions_is_that_of_one(number):
    for function in (tc.softmax, tc.log_softmax):
        y, gx = both(lambda x, f=function: f(x, 0), number)
        assert math.isnan(y) and math.isnan(gx)
    same(both(lambda x: tc.softmax(x, 0), 3.0), [1, 0])
    same(both(lambda x: tc.log_softmax(x, 0), 3.0), [0, 0])


def test_minus_infinity_is_the_logarithm_of_0():
    y, gx = both(lambda x: tc.logsumexp(x, 0), [-inf, 1.0])
    same([y, *gx], [1, 0, 1])
    y, gx = both(lambda x: tc.logcumsumexp(x, 0), [-inf, 1.0, -inf])
    same(y, [-inf, 1, 1])
    same(gx[1:], [2, 0])
    same(both(lambda x: tc.softmax(x, 0), [-inf, 1.0]), [[0, 1], [0, 0]])


def test_counting_norm_has_no_slope_even_at_infinity():
    y, gx = both(lambda x: tc.linalg.vector_norm(x, 0) * inf, [inf, nan, 0.0])
    assert y == inf
    same(gx, [0, 0, 0])


@pytest.mark.parametrize("loss", [F.huber_loss, F.smooth_l1_loss])
def test_far_out_these_losses_are_straight(loss):
    zeros = tc.zeros(4, dtype=tc.float64)
    y, gx = both(lambda x: loss(x, zeros, reduction="none"), [inf, -inf, 1e300, nan])
    same(y, [inf, inf, 1e300, nan])
    same(gx, [1, -1, 1, nan])


def test_batch_norm_wants_eps_to_train():
    x = tc.randn(4, 3)
    for eps in (0.0, -1.0):
        with pytest.raises(ValueError, match=r"batch_norm: eps=.* must be positive"):
            F.batch_norm(x, None, None, training=True, eps=eps)
    mean, var = tc.zeros(3), tc.ones(3)
    same(F.batch_norm(x, mean, var, eps=0.0).tolist(), x.tolist())
    with pytest.raises(ValueError, match=r"batch_norm: eps=-1.0 must be positive"):
        F.batch_norm(x, mean, var, eps=-1.0)
    assert mean.tolist() == [0, 0, 0]


def test_logcumsumexp_keeps_its_digits():
    y = tc.logcumsumexp(tc.zeros(100_000), 0)
    np.testing.assert_allclose(y.numpy(), np.log(np.arange(1, 100_001)), rtol=0, atol=2e-6)
