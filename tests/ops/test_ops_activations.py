"""Activations far out, at NaN, on odd inputs; what is random; what is refused."""

import math

import numpy as np
import pytest

import tinyconv as tc
import tinyconv.nn.functional as F

inf, nan = math.inf, math.nan
SMOOTH = "gelu logsigmoid mish silu softplus softsign tanhshrink elu celu selu".split()
BENT = "relu leaky_relu relu6 hardtanh hardsigmoid hardswish hardshrink softshrink rrelu".split()


@pytest.mark.parametrize("name", SMOOTH + BENT)
def test_odd_inputs(name):
    function = getattr(F, name)
    assert np.isnan(function(tc.tensor([nan, 1.0])).numpy()[0])
    assert function(tc.zeros(0, 3)).shape == (0, 3)
    assert function(tc.tensor(2.0)).shape == ()
    x = np.linspace(-3, 3, 12, dtype=np.float32).reshape(3, 4)
    whole = function(tc.from_numpy(x.copy()))
    assert whole.dtype == np.float32
    turned = function(tc.from_numpy(x[::-1, ::2]))  # negative and wide strides
    np.testing.assert_array_equal(turned.numpy(), whole.numpy()[::-1, ::2])
    frozen = x.copy()
    frozen.flags.writeable = False
    np.testing.assert_array_equal(function(tc.from_numpy(frozen)).numpy(), whole.numpy())


@pytest.mark.parametrize("name", SMOOTH + BENT)
def test_far_out_there_is_neither_overflow_nor_a_slope_of_nan(name):
    x = tc.tensor([-800.0, -90.0, 90.0, 800.0], dtype=tc.float64, requires_grad=True)
    y = getattr(F, name)(x)
    (slope,) = tc.autograd.grad(y, x, tc.ones_like(y), create_graph=True)
    found = [y, slope]
    if slope.requires_grad:  # else it is made of straight lines
        found += tc.autograd.grad(slope, x, tc.ones_like(y))
    for values in found:
        assert np.isfinite(values.detach().numpy()).all(), values


@pytest.mark.parametrize(
    "call, at, slope",
    [
        ("F.hardswish(x)", [-3.0, 3.0], [0, 1]),
        ("F.hardsigmoid(x)", [-3.0, 3.0], [0, 0]),
        ("F.threshold(x, 1.0, 7.0)", [1.0, 2.0], [0, 1]),
        ("F.hardshrink(x)", [-0.5, 0.5, 0.7], [0, 0, 1]),
        ("F.softshrink(x)", [-0.5, 0.5, 0.7], [0, 0, 1]),
        ("F.prelu(x, tc.tensor([0.25], dtype=x.dtype))", [0.0, 1.0], [0.25, 1]),
        ("F.celu(x, 0.5)", [0.0], [1]),
        ("F.selu(x)", [0.0], [1.7580993408473766]),
        ("F.rrelu(x, 0.1, 0.3)", [0.0, -1.0], [0.2, 0.2]),
    ],
)
def test_slopes_at_kinks(call, at, slope):
    x = tc.tensor(at, dtype=tc.float64, requires_grad=True)
    y = eval(call)
    np.testing.assert_allclose(tc.autograd.grad(y, x, tc.ones_like(y))[0].numpy(), slope)


def test_the_left_tail_of_gelu_keeps_its_digits():
    y = F.gelu(tc.tensor([-10.0], dtype=tc.float64))
    np.testing.assert_allclose(y.item(), -10 * 0.5 * math.erfc(10 / math.sqrt(2)), rtol=1e-12)


def test_integers_where_pytorch_takes_them():
    x = tc.tensor([-3, 0, 9])
    assert F.relu6(x).tolist() == [0, 0, 6] and F.relu6(x).dtype == np.int64
    assert F.hardtanh(x, -2, 2).tolist() == [-2, 0, 2]
    assert F.threshold(x, 1, 7).tolist() == [7, 7, 9]
    with pytest.raises(TypeError, match="gelu: wants a float32 or float64 tensor, got int64"):
        F.gelu(x)


def test_prelu_has_a_slope_for_each_channel():
    x = tc.full((2, 3, 4, 5), -1.0)
    w = tc.tensor([0.1, 0.2, 0.3], requires_grad=True)
    y = F.prelu(x, w)
    np.testing.assert_allclose(y.detach().numpy()[1, :, 2, 3], [-0.1, -0.2, -0.3])
    assert tc.autograd.grad(y.sum(), w)[0].tolist() == [-40.0] * 3
    assert F.prelu(tc.tensor(-2.0), tc.tensor([0.5])).item() == -1.0


@pytest.mark.parametrize(
    "call, error, words",
    [
        (lambda: F.prelu(tc.ones(2, 3), tc.ones(2)), RuntimeError, r"prelu: .*\[2\].*3 channels"),
        (lambda: F.prelu(tc.ones(2, 3), tc.ones(3, 1)), RuntimeError, "prelu: weight of shape"),
        (lambda: F.prelu(tc.ones(2), tc.ones(1).double()), TypeError, "prelu: input is float32"),
        (lambda: F.rrelu(tc.ones(2), 0.4, 0.1), RuntimeError, "rrelu: lower=0.4 is above"),
        (lambda: F.hardtanh(tc.ones(2), 2, 1), ValueError, "hardtanh: min_val=2 is above"),
        (lambda: F.celu(tc.ones(2), 0), RuntimeError, "celu: alpha must not be 0"),
        (lambda: F.gelu(tc.ones(2), approximate="erf"), RuntimeError, "gelu: approximate='erf'"),
        (
            lambda: F.glu(tc.ones(2, 3)),
            RuntimeError,
            r"glu: size 3 of \[2, 3\] along dim -1 is odd",
        ),
        (lambda: F.glu(tc.tensor(1.0)), RuntimeError, "glu: a 0-d tensor"),
        (lambda: F.softshrink(tc.ones(2), -1), RuntimeError, "softshrink: lambd=-1"),
        (lambda: F.softmax(tc.ones(2), 1), IndexError, "softmax: dim=1 is out of range"),
        (lambda: tc.softmax(tc.ones(2)), TypeError, "dim"),
    ],
)
def test_refusals_name_op_shapes_and_rule(call, error, words):
    with pytest.raises(error, match=words):
        call()


def test_rrelu_draws_a_slope_for_each_element_while_training():
    x = tc.full((50, 40), -1.0, requires_grad=True)
    y = F.rrelu(x, 0.1, 0.3, training=True)
    slopes = -y.detach().numpy()
    assert 0.1 <= slopes.min() < 0.11 and 0.29 < slopes.max() <= 0.3
    np.testing.assert_array_equal(tc.autograd.grad(y.sum(), x)[0].numpy(), slopes)
    np.testing.assert_allclose(F.rrelu(x, 0.1, 0.3).detach().numpy(), -0.2)


def test_gumbel_softmax_samples_by_the_probabilities():
    logits = tc.log(tc.tensor([0.7, 0.2, 0.1])).expand(20000, 3)
    hard = F.gumbel_softmax(logits, hard=True)
    assert set(np.unique(hard.numpy())) == {0.0, 1.0} and (hard.numpy().sum(1) == 1).all()
    np.testing.assert_allclose(hard.numpy().mean(0), [0.7, 0.2, 0.1], atol=0.02)
    soft = F.gumbel_softmax(tc.randn(2, 3, 4), tau=0.5, dim=1)
    np.testing.assert_allclose(soft.numpy().sum(1), 1, rtol=1e-6)


def test_a_hard_sample_has_the_gradient_of_the_soft_one():
    x = tc.randn(2, 3, 4, dtype=tc.float64, requires_grad=True)
    v = tc.randn(2, 3, 4, dtype=tc.float64)
    slopes = []
    for hard in (True, False):
        tc.manual_seed(1)
        slopes.append(tc.autograd.grad(F.gumbel_softmax(x, 0.7, hard, dim=1), x, v)[0].numpy())
    np.testing.assert_array_equal(*slopes)
    assert slopes[0].any()


def test_spellings_in_place():
    x = tc.tensor([-2.0, 3.0])
    assert F.leaky_relu_(x, 0.5) is x and x.tolist() == [-1.0, 3.0]
    assert F.threshold_(x, 0.0, 9.0).tolist() == [9.0, 3.0]
    assert F.hardtanh_(F.elu_(F.relu_(x))).tolist() == [1.0, 1.0]
    w = tc.ones(2, requires_grad=True)
    with pytest.raises(RuntimeError, match="relu_"):
        F.relu_(w)


FUSED = {
    "leaky_relu": (0.2,), "hardtanh": (-0.5, 1.5), "relu6": (), "hardsigmoid": (), "hardswish": (),
    "elu": (0.7,), "selu": (), "celu": (0.7,), "silu": (), "mish": (), "gelu": (),
}  # fmt: skip
FUSED = [*FUSED.items(), ("gelu", ("tanh",)), ("leaky_relu", (1.5,)), ("leaky_relu", (-0.5,))]


@pytest.mark.parametrize("name, arguments", FUSED)
@pytest.mark.parametrize("dtype", [tc.float32, tc.float64])
def test_one_pass_gives_what_the_composed_form_gives(name, arguments, dtype, rng):
    """Values and slopes, in many pieces, on kinks, at infinities and far out."""
    values = rng.standard_normal(70_000) * 4
    values[:9] = [0.0, -0.0, 3.0, -3.0, 1.5, -0.5, 6.0, -90.0, 90.0]
    x = tc.tensor(values, dtype=dtype).reshape(7, 100, 100)
    x = x.transpose(0, 2).requires_grad_()
    g = tc.tensor(rng.standard_normal(x.shape), dtype=dtype)
    function = getattr(F, name)
    y = function(x, *arguments)
    with tc.autograd.detect_anomaly():  # which is shown every step
        composed = function(x, *arguments)
    tolerance = dict(rtol=2e-6, atol=2e-6) if dtype == tc.float32 else dict(rtol=1e-13, atol=1e-13)
    np.testing.assert_allclose(y.detach().numpy(), composed.detach().numpy(), **tolerance)
    (gx,) = tc.autograd.grad(y, x, g)
    (wanted,) = tc.autograd.grad(composed, x, g)
    np.testing.assert_allclose(gx.numpy(), wanted.numpy(), **tolerance)
    assert y.dtype == gx.dtype == dtype
    for few in (x[0, 0].detach(), x[0, 0, 0].detach()):
        np.testing.assert_allclose(
            function(few, *arguments).numpy(),
            y.detach().numpy()[0, 0] if few.ndim else y.detach().numpy()[0, 0, 0],
            **tolerance,
        )


@pytest.mark.parametrize("name", ["leaky_relu", "hardtanh", "hardswish", "hardsigmoid", "relu6"])
def test_where_the_slope_is_0_an_infinite_cotangent_is_too(name):
    x = tc.tensor([-9.0, 9.0], requires_grad=True)
    y = getattr(F, name)(x)
    g = tc.autograd.grad(y, x, tc.tensor([math.inf, nan]))[0].numpy()
    if name == "leaky_relu":
        assert g[0] == inf and np.isnan(g[1])
    elif name == "hardswish":
        assert g[0] == 0 and np.isnan(g[1])
    else:
        assert g.tolist() == [0, 0]


def test_celu_of_a_negative_alpha_does_not_overflow():
    y = F.celu(tc.tensor([-20.0, -0.5, 3.0]), alpha=-1.0)
    np.testing.assert_allclose(y.numpy(), [-math.expm1(20), -math.expm1(0.5), 3], rtol=1e-6)
