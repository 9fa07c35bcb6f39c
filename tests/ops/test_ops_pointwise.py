"""Functions of one number: values, dtypes, ends of the range."""

import math

import numpy as np
import pytest
from arrays import laid_out, layouts, seeds, shapes, spread, uniform
from hypothesis import given

import tinyconv as tc
import tinyconv.nn.functional as F

nan, inf = float("nan"), float("inf")
erf = np.vectorize(math.erf, otypes=[float])


def _sigmoid(x):
    return 1 / (1 + np.exp(-x))


def _elu(x, alpha=1.0):
    return np.where(x > 0, x, alpha * (np.exp(np.minimum(x, 0)) - 1))


def _tanh_gelu(x):
    return 0.5 * x * (1 + np.tanh(math.sqrt(2 / math.pi) * (x + 0.044715 * x**3)))


# name: (function, oracle, lowest and highest argument; None: away from kinks at multiples of 1/4)
OPS = {
    "exp": (tc.exp, np.exp, (-2, 2)),
    "expm1": (tc.expm1, np.expm1, (-2, 2)),
    "log": (tc.log, np.log, (0.3, 3)),
    "log1p": (tc.log1p, np.log1p, (-0.6, 3)),
    "sqrt": (tc.sqrt, np.sqrt, (0.3, 3)),
    "rsqrt": (tc.rsqrt, lambda x: x**-0.5, (0.4, 3)),
    "sin": (tc.sin, np.sin, (-4, 4)),
    "cos": (tc.cos, np.cos, (-4, 4)),
    "tanh": (tc.tanh, np.tanh, (-3, 3)),
    "sigmoid": (tc.sigmoid, _sigmoid, (-5, 5)),
    "erf": (tc.erf, erf, (-2, 2)),
    "erfc": (tc.erfc, np.vectorize(math.erfc, otypes=[float]), (-2, 8)),
    "sign": (tc.sign, np.sign, None),
    "abs": (tc.abs, np.abs, None),
    "neg": (tc.neg, np.negative, (-2, 2)),
    "x ** 0": (lambda x: x**0, lambda x: x * 0 + 1, (-2, 2)),
    "x ** 1": (lambda x: x**1, lambda x: x, (-2, 2)),
    "x ** 2": (lambda x: x**2, lambda x: x * x, (-2, 2)),
    "x ** 3": (lambda x: x**3, lambda x: x * x * x, (-2, 2)),
    "x ** 0.5": (lambda x: x**0.5, np.sqrt, (0.3, 3)),
    "x ** -1.5": (lambda x: x**-1.5, lambda x: x**-1.5, (0.5, 3)),
    "3 ** x": (lambda x: 3**x, lambda x: 3.0**x, (-2, 2)),
    "2 / x": (lambda x: 2 / x, lambda x: 2 / x, (0.5, 3)),
    "2 - x": (lambda x: 2 - x, lambda x: 2 - x, (-2, 2)),
    "clamp": (lambda x: tc.clamp(x, -1, 1.5), lambda x: np.clip(x, -1, 1.5), None),
    "clamp min": (lambda x: tc.clamp(x, min=0.5), lambda x: np.maximum(x, 0.5), None),
    "clamp max": (lambda x: tc.clamp(x, max=0.5), lambda x: np.minimum(x, 0.5), None),
    "relu": (F.relu, lambda x: np.maximum(x, 0), None),
    "relu6": (F.relu6, lambda x: np.clip(x, 0, 6), None),
    "hardtanh": (lambda x: F.hardtanh(x, -0.5, 2), lambda x: np.clip(x, -0.5, 2), None),
    "leaky_relu": (lambda x: F.leaky_relu(x, 0.2), lambda x: np.where(x > 0, x, 0.2 * x), None),
    "elu": (lambda x: F.elu(x, 0.7), lambda x: _elu(x, 0.7), None),
    "selu": (
        F.selu,
        lambda x: 1.0507009873554804934 * _elu(x, 1.6732632423543772848),
        None,
    ),
    "silu": (F.silu, lambda x: x * _sigmoid(x), (-4, 4)),
    "gelu": (F.gelu, lambda x: x * 0.5 * (1 + erf(x / math.sqrt(2))), (-3, 3)),
    "gelu tanh": (lambda x: F.gelu(x, approximate="tanh"), _tanh_gelu, (-3, 3)),
    "softplus": (
        lambda x: F.softplus(x, 2.0), lambda x: np.log1p(np.exp(2 * x)) / 2, (-3, 3),
    ),
    "softplus threshold": (
        lambda x: F.softplus(x, 1.0, 1.0),
        lambda x: np.where(x > 1, x, np.log1p(np.exp(np.minimum(x, 1)))),
        None,
    ),
    "logsigmoid": (F.logsigmoid, lambda x: -np.log1p(np.exp(-x)), (-5, 5)),
}  # fmt: skip
each = pytest.mark.parametrize("name", OPS)


def _values(name, shape, seed):
    limits = OPS[name][2]
    return spread(shape, seed) if limits is None else uniform(shape, *limits, seed)


@each
@given(shape=shapes(), layout=layouts, seed=seeds)
def test_values_and_dtypes(name, shape, layout, seed):
    function, oracle, _ = OPS[name]
    x = laid_out(_values(name, shape, seed), layout)
    y = function(tc.from_numpy(x))
    assert y.dtype == np.float64 and y.shape == shape
    np.testing.assert_allclose(y.numpy(), oracle(x), rtol=1e-12, atol=1e-14)
    single = function(tc.from_numpy(x.astype(np.float32)))
    assert single.dtype == np.float32
    np.testing.assert_allclose(single.numpy(), oracle(x), rtol=2e-5, atol=2e-6)


@each
def test_float32_gradients_are_float32(name):
    x = tc.from_numpy(_values(name, (3, 2), 0).astype(np.float32)).requires_grad_()
    (g,) = tc.autograd.grad(OPS[name][0](x), x, tc.ones(3, 2), materialize_grads=True)
    assert g.dtype == np.float32


@pytest.mark.parametrize("name", ["exp", "log1p", "sqrt", "sin", "tanh", "sigmoid", "erf"])
def test_integers_become_floats(name):
    y = OPS[name][0](tc.tensor([0, 1, 3]))
    assert y.dtype == np.float32
    np.testing.assert_allclose(y.numpy(), OPS[name][1](np.array([0.0, 1, 3])), rtol=1e-6)


@pytest.mark.parametrize("name", ["abs", "neg", "sign", "floor", "ceil", "trunc", "round", "relu"])
@pytest.mark.parametrize("dtype", ["uint8", "int8", "int64"])
def test_integers_stay_integers(name, dtype):
    x = tc.tensor([0, 1, 3], dtype=getattr(tc, dtype))
    y = getattr(tc, name)(x)
    assert y.dtype == dtype and y is not x and y.array is not x.array
    wanted = {"neg": (-x.numpy()).tolist(), "sign": [0, 1, 1]}
    assert y.tolist() == wanted.get(name, [0, 1, 3])
    assert getattr(tc, name)(x[0]).shape == ()


@pytest.mark.parametrize("name", ["abs", "floor", "ceil", "trunc", "round", "positive", "relu"])
def test_bools_have_no_size_and_no_fraction(name):
    with pytest.raises(TypeError, match=f"{name}: .*bool"):
        getattr(tc, name)(tc.tensor([True]))
    assert tc.sign(tc.tensor([True, False])).tolist() == [True, False]


def test_integers_have_nothing_behind_the_point():
    for function, name in [(tc.frac, "frac"), (lambda x: tc.round(x, decimals=1), "round")]:
        with pytest.raises(TypeError, match=f"{name}: wants a float32 or float64 tensor"):
            function(tc.tensor([1, 2]))


def test_the_default_dtype_is_what_integers_become():
    tc.set_default_dtype(tc.float64)
    try:
        for function in (tc.exp, tc.sinc, tc.logit, tc.deg2rad, tc.reciprocal):
            assert function(tc.tensor([1])).dtype == np.float64
        assert (tc.tensor([2]) ** 0.5).dtype == np.float64
    finally:
        tc.set_default_dtype(tc.float32)


def test_rounding():
    x = tc.tensor([-2.5, -1.5, -0.5, 0.5, 1.5, 2.4])
    assert tc.round(x).tolist() == [-2, -2, -0.0, 0, 2, 2]
    assert tc.trunc(x).tolist() == [-2, -1, -0.0, 0, 1, 2]
    assert tc.floor(x).tolist() == [-3, -2, -1, 0, 1, 2]
    assert tc.ceil(x).tolist() == [-2, -1, -0.0, 1, 2, 3]
    assert tc.frac(x[:2]).tolist() == [-0.5, -0.5]
    wide = tc.tensor([1234.567, -1250.0], dtype=tc.float64)
    assert tc.round(wide, decimals=2).tolist() == [1234.57, -1250.0]
    assert wide.round(decimals=-2).tolist() == [1200, -1200]


def test_signs():
    x = tc.tensor([-2.0, -0.0, nan, inf])
    assert tc.sign(x).tolist() == tc.sgn(x).tolist() == [-1, 0, 0, 1]  # NaN has none
    assert tc.positive(x) is x


def test_ends_of_the_range():
    for function, points, wanted in [
        (tc.logit, [0, 1, 2, -1], [-inf, inf, nan, nan]),
        (lambda x: tc.logit(x, 0.25), [0.0, 1.0], [-math.log(3), math.log(3)]),
        (tc.asin, [1.0, 1.5], [math.pi / 2, nan]), (tc.acosh, [1.0, 0.5], [0, nan]),
        (tc.atanh, [1.0, -1.0, 2.0], [inf, -inf, nan]), (tc.log2, [0.0, 8.0], [-inf, 3]),
        (tc.log10, [100.0, -1.0], [2, nan]), (tc.exp2, [-inf, 2000.0], [0, inf]),
        (tc.reciprocal, [0.0, -0.0, inf], [inf, -inf, 0]), (tc.sinc, [0.0, inf], [1, nan]),
        (tc.rsqrt, [0.0, inf, -1.0], [inf, 0, nan]),
    ]:  # fmt: skip
        y = function(tc.tensor(points, dtype=tc.float64)).numpy()
        np.testing.assert_allclose(y, wanted, rtol=1e-14)


def test_numbers_in_place_of_nan():
    x = tc.tensor([nan, inf, -inf, 1.0], requires_grad=True)
    largest = float(np.finfo(np.float32).max)
    assert tc.nan_to_num(x).tolist() == [0, largest, -largest, 1]
    y = x.nan_to_num(nan=2.0, posinf=3.0, neginf=-4.0)
    assert y.tolist() == [2, 3, -4, 1]
    assert tc.autograd.grad(y, x, tc.ones(4))[0].tolist() == [0, 0, 0, 1]
    assert tc.nan_to_num(tc.tensor([1, 2])).tolist() == [1, 2]


def test_the_gradient_of_logit_outside_its_range_is_nan():
    x = tc.tensor([-1.0, 0.5, 2.0], requires_grad=True)
    (g,) = tc.autograd.grad(tc.logit(x), x, tc.ones(3))
    np.testing.assert_array_equal(g.numpy(), [nan, 4, nan])


def test_sinc_bends_at_zero_as_it_should():
    x = tc.tensor([0.0, 1e-9, 1e-4, 0.3], dtype=tc.float64, requires_grad=True)
    (g,) = tc.autograd.grad(tc.sinc(x), x, tc.ones_like(x), create_graph=True)
    (h,) = tc.autograd.grad(g, x, tc.ones_like(x))
    t = math.pi * x.detach().numpy()[3]
    wanted = (2 * math.sin(t) - 2 * t * math.cos(t) - t * t * math.sin(t)) / t**3 * math.pi**2
    np.testing.assert_allclose(h.numpy(), [-(math.pi**2) / 3] * 3 + [wanted], rtol=1e-7)


@pytest.mark.parametrize("function", [F.elu, F.gelu, F.leaky_relu, F.softplus])
def test_activations_of_integers_are_refused_by_name(function):
    with pytest.raises(TypeError, match=r"float32 or float64 tensor, got int64.*\.float\(\)"):
        function(tc.tensor([1, 2]))


@pytest.mark.parametrize(
    "name", [n for n in OPS if n not in ("sign", "x ** 0", "2 / x", "x ** -1.5", "x ** 0.5")]
)
def test_nan_stays_nan(name):
    assert np.isnan(OPS[name][0](tc.tensor([float("nan")])).item())


def test_far_out_nothing_overflows():
    far = tc.tensor([-1e4, 1e4], dtype=tc.float64)
    assert tc.sigmoid(far).tolist() == [0, 1]
    assert F.softplus(far).tolist() == [0, 1e4]
    assert F.logsigmoid(far).tolist() == [-1e4, 0]
    assert F.elu(far).tolist() == [-1, 1e4]
    assert F.silu(far).tolist() == [0, 1e4]
    assert F.gelu(far).tolist() == [0, 1e4]
    for function in (tc.sigmoid, F.softplus, F.logsigmoid, F.elu, F.silu, F.gelu, tc.tanh):
        x = far.clone().requires_grad_()
        (g,) = tc.autograd.grad(function(x), x, tc.ones(2))
        assert tc.isfinite(g).all(), function


def test_logsigmoid_keeps_its_digits_where_it_is_almost_linear():
    x = np.array([-15.0, -25.0, -30.0])
    y = F.logsigmoid(tc.from_numpy(x)).numpy()
    # y itself is rounded to the last digit of 30, which is a fiftieth of the last difference
    np.testing.assert_allclose(y - x, -np.log1p(np.exp(x)), rtol=2e-2)


def test_sigmoid_and_log1p_keep_small_numbers():
    np.testing.assert_allclose(tc.sigmoid(tc.tensor([-80.0])).item(), math.exp(-80), rtol=1e-5)
    np.testing.assert_allclose(tc.log1p(tc.tensor([1e-10])).item(), 1e-10, rtol=1e-5)
    np.testing.assert_allclose(tc.expm1(tc.tensor([1e-10])).item(), 1e-10, rtol=1e-5)


@pytest.mark.parametrize(
    "function", [F.relu, F.relu6, F.leaky_relu, F.elu, F.selu, F.silu, F.hardtanh]
)
def test_inplace_makes_the_result_of_the_argument(function):
    x = tc.tensor([-1.5, 2.0])
    wanted = function(x.clone()).tolist()
    assert function(x, inplace=True) is x and x.tolist() == wanted != [-1.5, 2.0]


def test_inplace_may_be_given_by_position():
    assert F.relu(tc.tensor([-1.0, 2.0]), True).tolist() == [0.0, 2.0]
    assert F.leaky_relu(tc.tensor([-1.0]), 0.5, True).item() == -0.5


def test_an_unknown_gelu_is_refused():
    with pytest.raises(RuntimeError, match="gelu: approximate='fast'.*'none' or 'tanh'"):
        F.gelu(tc.ones(1), approximate="fast")


def test_negative_integer_powers_of_integers_are_refused():
    with pytest.raises(RuntimeError, match="pow: integers to the power -1"):
        tc.tensor([2, 3]) ** -1
