"""Clipping gradients, and all parameters as one vector."""

import numpy as np
import pytest

import tinyconv as tc
from tinyconv import nn
from tinyconv.nn import utils


def parameters(*gradients):
    found = [nn.Parameter(tc.zeros_like(g)) for g in gradients]
    for p, g in zip(found, gradients):
        p.grad = g
    return [*found, nn.Parameter(tc.ones(2))]  # one without a gradient


@pytest.mark.parametrize("norm_type", [1, 2, 2.5, float("inf"), "inf"])
@pytest.mark.parametrize("max_norm", [0.5, 100])
@pytest.mark.parametrize("dtype", [tc.float32, tc.float64])
def test_clip_grad_norm(norm_type, max_norm, dtype):
    tc.manual_seed(0)
    params = parameters(
        tc.randn(3, 2, dtype=dtype), tc.randn(4, dtype=dtype), tc.zeros(0, 2).to(dtype)
    )
    before = np.concatenate([p.grad.numpy().ravel() for p in params[:3]])
    wanted = np.linalg.norm(before, float(norm_type))
    norm = utils.clip_grad_norm_((p for p in params), max_norm, norm_type)
    assert norm.dtype == dtype and norm.shape == ()
    np.testing.assert_allclose(norm.item(), wanted, rtol=1e-6)
    after = np.concatenate([p.grad.numpy().ravel() for p in params[:3]])
    np.testing.assert_allclose(after, before * min(1, max_norm / (wanted + 1e-6)), rtol=1e-5)
    assert params[-1].grad is None


def test_clipping_one_parameter_in_place():
    p = nn.Parameter(tc.zeros(2))
    p.grad = g = tc.tensor([3.0, 4.0])
    assert utils.clip_grad_norm_(p, 1.0).item() == 5.0
    assert p.grad is g and g._version > 0
    utils.clip_grad_value_(p, 0.7)
    np.testing.assert_allclose(g.numpy(), [0.6, 0.7], rtol=1e-6)


def test_no_gradients_have_norm_0():
    assert utils.clip_grad_norm_([nn.Parameter(tc.ones(1))], 1.0).item() == 0


def test_a_norm_that_is_not_finite():
    params = parameters(tc.tensor([float("nan"), 1.0]))
    with pytest.raises(RuntimeError, match="norm of order 2 is nan"):
        utils.clip_grad_norm_(params, 1.0, error_if_nonfinite=True)
    assert params[0].grad.tolist()[1] == 1.0
    assert np.isnan(utils.clip_grad_norm_(params, 1.0).item())
    assert np.isnan(params[0].grad.numpy()).all()
    params = parameters(tc.tensor([float("inf"), 1.0]))
    utils.clip_grad_norm_(params, 1.0)
    assert np.isnan(params[0].grad.numpy()[0]) and params[0].grad.numpy()[1] == 0


def test_parameters_as_one_vector_and_back():
    net = nn.Linear(3, 2)
    vector = utils.parameters_to_vector(net.parameters())
    assert vector.shape == (8,) and vector.requires_grad
    utils.vector_to_parameters(tc.arange(8).float(), net.parameters())
    assert net.weight.tolist() == [[0, 1, 2], [3, 4, 5]] and net.bias.tolist() == [6, 7]
    with pytest.raises(ValueError, match=r"shape \[7\] for 8 numbers"):
        utils.vector_to_parameters(tc.ones(7), net.parameters())
    assert net.bias.tolist() == [6, 7]
    with pytest.raises(TypeError, match="wants a Tensor, got list"):
        utils.vector_to_parameters([1.0], net.parameters())


@pytest.mark.parametrize("clip", [utils.clip_grad_norm_, utils.clip_grad_value_])
def test_a_gradient_that_cannot_be_written_stops_all(clip):
    a, b = nn.Parameter(tc.zeros(2)), nn.Parameter(tc.zeros(2))
    a.grad, b.grad = tc.full((2,), 9.0), tc.full((1,), 9.0).expand(2)
    with pytest.raises(RuntimeError, match=f"{clip.__name__[:9]}.*: gradient 1 .*read-only"):
        clip([a, b], 1.0)
    assert a.grad.tolist() == [9, 9]
