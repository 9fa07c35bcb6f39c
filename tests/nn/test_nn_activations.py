"""Activations and distances as layers: arguments, what they print, what they compute."""

import pickle

import numpy as np
import pytest

import tinyconv as tc
from tinyconv import nn

PRINTED = """
    ReLU(); ReLU(inplace=True); ReLU6(); LeakyReLU(negative_slope=0.01); PReLU(num_parameters=4);
    LeakyReLU(negative_slope=0.2, inplace=True); RReLU(lower=0.1, upper=0.3); ELU(alpha=1.0);
    CELU(alpha=1.0); SELU(); SELU(inplace=True); SiLU(); Mish(); GELU(approximate='none');
    GELU(approximate='tanh'); GLU(dim=-1); Hardtanh(min_val=-1.0, max_val=1.0); Hardswish();
    Hardsigmoid(); Hardshrink(0.5); Softshrink(0.5); Tanhshrink(); Softsign(); Sigmoid(); Tanh();
    Threshold(threshold=0.1, value=20); Softplus(beta=1.0, threshold=20.0); LogSigmoid();
    Softmax(dim=None); Softmax(dim=1); Softmin(dim=None); LogSoftmax(dim=1); Softmax2d();
    CosineSimilarity(); PairwiseDistance()
"""
PRINTED = [" ".join(text.split()) for text in PRINTED.split(";")]


@pytest.mark.parametrize("text", PRINTED)
def test_layers_print_what_makes_them_again(text):
    name, _, arguments = text[:-1].partition("(")
    layer = eval(f"nn.{name}({arguments})")
    assert repr(layer) == text
    again = pickle.loads(pickle.dumps(layer))
    assert repr(again) == text
    if name not in ("CosineSimilarity", "PairwiseDistance"):
        x = tc.randn(2, 4, 3, 6)
        np.testing.assert_array_equal(*(f.eval()(x).detach().numpy() for f in (again, layer)))


def test_hard_layers_do_not_print_inplace():
    assert repr(nn.Hardswish(inplace=True)) == "Hardswish()"
    assert repr(nn.Hardsigmoid(True)) == "Hardsigmoid()" and nn.Hardsigmoid(True).inplace


def test_arguments_by_position_and_name():
    layer = nn.Hardtanh(-2.0, max_val=3.0)
    assert (layer.min_val, layer.max_val, layer.inplace) == (-2.0, 3.0, False)
    layer.max_val = 1.0  # attributes are what counts
    assert layer(tc.tensor([5.0, -5.0])).tolist() == [1.0, -2.0]
    with pytest.raises(TypeError, match=r"LeakyReLU\(negative_slope=0.01, inplace=False\).*slope"):
        nn.LeakyReLU(slope=0.1)
    with pytest.raises(TypeError, match="Threshold.*missing a required argument: 'value'"):
        nn.Threshold(0.1)


def test_prelu_learns_its_slopes():
    layer = nn.PReLU(3, init=0.5)
    assert list(layer.state_dict()) == ["weight"] and layer.weight.tolist() == [0.5] * 3
    layer(tc.full((2, 3, 4), -1.0)).sum().backward()
    assert layer.weight.grad.tolist() == [-8.0] * 3
    assert nn.PReLU(dtype=tc.float64).weight.dtype == np.float64


def test_rrelu_is_random_while_training_alone():
    layer, x = nn.RReLU(), tc.full((100,), -1.0)
    assert len(np.unique(layer(x).numpy())) > 50
    np.testing.assert_allclose(layer.eval()(x).numpy(), -(1 / 8 + 1 / 3) / 2, rtol=1e-6)


def test_softmax2d_is_over_channels():
    y = nn.Softmax2d()(tc.randn(2, 3, 4, 5))
    np.testing.assert_allclose(y.numpy().sum(1), 1, rtol=1e-6)
    assert nn.Softmax2d()(tc.randn(3, 4, 5)).shape == (3, 4, 5)
    with pytest.raises(ValueError, match=r"Softmax2d: wants .* got shape \[2, 3\]"):
        nn.Softmax2d()(tc.ones(2, 3))


def test_distances():
    x, y = tc.tensor([[3.0, 4.0]]), tc.tensor([[0.0, 0.0]])
    np.testing.assert_allclose(nn.PairwiseDistance(keepdim=True)(x, y).numpy(), [[5.0]], rtol=1e-6)
    assert nn.CosineSimilarity(dim=1)(x, x).item() == pytest.approx(1.0)
