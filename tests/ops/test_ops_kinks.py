"""What the derivative is where there is none: PyTorch's conventions, one line each."""

import numpy as np
import pytest

import tinyconv as tc
import tinyconv.nn.functional as F

inf = float("inf")


def gradient(function, values, cotangent=None):
    x = tc.tensor(values, dtype=tc.float64, requires_grad=True)
    y = function(x)
    cotangent = tc.ones_like(y) if cotangent is None else tc.tensor(cotangent, dtype=tc.float64)
    return tc.autograd.grad(y, x, cotangent)[0].tolist()


@pytest.mark.parametrize(
    "what, function, values, wanted",
    [
        ("relu at 0", F.relu, [0.0, -0.0], [0, 0]),
        ("relu6 at its bounds", F.relu6, [0.0, 6.0], [0, 0]),
        ("hardtanh at its bounds", F.hardtanh, [-1.0, 1.0], [0, 0]),
        ("clamp passes at its bounds", lambda x: x.clamp(-1, 1), [-1.0, 1.0, 2.0], [1, 1, 0]),
        ("clamp with crossed bounds", lambda x: x.clamp(2, 1), [0.0, 1.5], [0, 0]),
        ("leaky_relu at 0", lambda x: F.leaky_relu(x, 0.25), [0.0], [0.25]),
        ("elu at 0", lambda x: F.elu(x, 0.5), [0.0], [0.5]),
        ("abs at 0", tc.abs, [0.0], [0]),
        ("sqrt at 0", tc.sqrt, [0.0], [inf]),
        ("x ** 0 at 0", lambda x: x**0, [0.0], [0]),
        ("x ** 1 at 0", lambda x: x**1, [0.0], [1]),
        ("x ** 2 at 0", lambda x: x**2, [0.0], [0]),
        ("0 ** x at 2 and 0", lambda x: tc.zeros(2, dtype=tc.float64) ** x, [2.0, 0.0], [0, 0]),
        ("max over all shares", lambda x: x.max(), [1.0, 3.0, 3.0], [0, 0.5, 0.5]),
        ("min over all shares", lambda x: x.min(), [1.0, 1.0, 3.0, 1.0], [1 / 3, 1 / 3, 0, 1 / 3]),
        ("amax shares", lambda x: x.amax(0), [3.0, 3.0], [0.5, 0.5]),
        ("amin shares", lambda x: x.amin(0), [3.0, 3.0], [0.5, 0.5]),
        ("max along a dim: the first", lambda x: x.max(0).values, [1.0, 3.0, 3.0], [0, 1, 0]),
        ("min along a dim: the first", lambda x: x.min(0)[0], [3.0, 1.0, 1.0], [0, 1, 0]),
        ("maximum of equals", lambda x: tc.maximum(x, x.detach()), [2.0], [0.5]),
        ("minimum of equals", lambda x: tc.minimum(x.detach(), x), [2.0], [0.5]),
        ("2-norm at 0", lambda x: x.norm(), [0.0, 0.0], [0, 0]),
        ("1-norm at 0", lambda x: x.norm(1), [0.0, 2.0], [0, 1]),
        ("infinity norm shares", lambda x: x.norm(inf), [2.0, -2.0, 1.0], [0.5, -0.5, 0]),
        ("l1_loss at 0", lambda x: F.l1_loss(x, x.detach()), [2.0], [0]),
        ("standard deviation of equals", lambda x: x.std(), [2.0, 2.0], [0, 0]),
        ("max pool: the first", lambda x: F.max_pool2d(x.view(1, 1, 4), (1, 2)), [5.0] * 4,
         [1, 0, 1, 0]),
        ("adaptive max pool: the first",
         lambda x: F.adaptive_max_pool2d(x.view(1, 1, 4), 1), [5.0] * 4, [1, 0, 0, 0]),
    ],
)  # fmt: skip
def test_convention(what, function, values, wanted):
    np.testing.assert_allclose(gradient(function, values), wanted, rtol=1e-15)


def test_batch_norm_of_a_constant_input_has_no_slope():
    x = tc.full((4, 2, 3, 5), 7.0, dtype=tc.float64, requires_grad=True)
    w = tc.tensor([2.0, -1.0], dtype=tc.float64, requires_grad=True)
    y = F.batch_norm(x, None, None, w, training=True)
    v = tc.randn(4, 2, 3, 5, dtype=tc.float64)
    gx, gw = tc.autograd.grad(y, [x, w], v)
    assert not y.detach().any() and not gw.any()
    # the projection away from the mean, divided by sqrt(eps)
    wanted = (v - v.mean((0, 2, 3), keepdim=True)) * w.detach().view(1, 2, 1, 1) / np.sqrt(1e-5)
    np.testing.assert_allclose(gx.numpy(), wanted.numpy(), rtol=1e-9)


def test_nan_in_relu_passes_value_and_gradient():
    x = tc.tensor([float("nan")], requires_grad=True)
    y = F.relu(x)
    assert tc.isnan(y.detach()).all()
    assert tc.autograd.grad(y, x, tc.ones(1))[0].item() == 1.0


def test_nan_wins_maxima():
    x = tc.tensor([1.0, float("nan"), 3.0])
    assert all(map(np.isnan, (x.max().item(), x.min().item(), x.amax(0).item())))
    assert x.max(0).indices.item() == 1
    assert np.isnan(tc.maximum(x, tc.zeros(3)).numpy()[1])


def test_a_zero_factor_does_not_hide_in_where():
    x = tc.tensor([0.0, 4.0], dtype=tc.float64, requires_grad=True)
    y = tc.where(x > 0, x * 2, x * 3)
    assert tc.autograd.grad(y, x, tc.ones(2))[0].tolist() == [3.0, 2.0]
