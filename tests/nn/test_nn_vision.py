"""Layers that move pixels, pad, and look rows up."""

import numpy as np
import pytest

import tinyconv as tc
import tinyconv.nn.functional as F
from tinyconv import nn


@pytest.mark.parametrize(
    "module, text",
    [
        (nn.ZeroPad2d(1), "ZeroPad2d((1, 1, 1, 1))"),
        (nn.ReflectionPad1d((1, 2)), "ReflectionPad1d((1, 2))"),
        (nn.ReplicationPad3d(1), "ReplicationPad3d((1, 1, 1, 1, 1, 1))"),
        (nn.CircularPad2d((1, 2, 0, 1)), "CircularPad2d((1, 2, 0, 1))"),
        (nn.ConstantPad1d(2, 3.5), "ConstantPad1d(padding=(2, 2), value=3.5)"),
        (nn.PixelShuffle(2), "PixelShuffle(upscale_factor=2)"),
        (nn.PixelUnshuffle(2), "PixelUnshuffle(downscale_factor=2)"),
        (nn.ChannelShuffle(2), "ChannelShuffle(groups=2)"),
        (nn.Upsample(scale_factor=2), "Upsample(scale_factor=2.0, mode='nearest')"),
        (nn.Upsample((3, 4), mode="bilinear"), "Upsample(size=(3, 4), mode='bilinear')"),
        (nn.UpsamplingBilinear2d(3), "UpsamplingBilinear2d(size=3, mode='bilinear')"),
        (nn.Unfold((2, 3)), "Unfold(kernel_size=(2, 3), dilation=1, padding=0, stride=1)"),
        (nn.Fold(4, 2), "Fold(output_size=4, kernel_size=2, dilation=1, padding=0, stride=1)"),
        (nn.Unflatten(1, (2, 3)), "Unflatten(dim=1, unflattened_size=(2, 3))"),
        (nn.Bilinear(2, 3, 4, False),
         "Bilinear(in1_features=2, in2_features=3, out_features=4, bias=False)"),
        (nn.Embedding(5, 2, -1, 1.0), "Embedding(5, 2, padding_idx=4, max_norm=1.0)"),
    ],
)  # fmt: skip
def test_text(module, text):
    assert repr(module) == text


def test_pads_are_their_functions(rng):
    x = tc.from_numpy(rng.standard_normal((2, 3, 4, 5)))
    for layer, mode in [(nn.ReflectionPad2d, "reflect"), (nn.ReplicationPad2d, "replicate"),
                        (nn.CircularPad2d, "circular"), (nn.ZeroPad2d, "constant")]:  # fmt: skip
        y = layer((1, 2, 0, 3))(x)
        assert tc.equal(y, F.pad(x, (1, 2, 0, 3), mode)) and y.shape == (2, 3, 7, 8)
    assert nn.ConstantPad2d(1, 7)(x)[0, 0, 0].tolist() == [7] * 7


def test_upsampling():
    x = tc.arange(4.0).reshape(1, 1, 2, 2)
    assert nn.UpsamplingNearest2d(scale_factor=2)(x)[0, 0, 0].tolist() == [0, 0, 1, 1]
    assert nn.UpsamplingBilinear2d(3)(x)[0, 0].tolist() == [[0, 0.5, 1], [1, 1.5, 2], [2, 2.5, 3]]
    assert nn.Upsample(scale_factor=(1, 2), mode="bicubic")(x).shape == (1, 1, 2, 4)


def test_bilinear_layer_draws_and_computes(rng):
    layer = nn.Bilinear(3, 4, 5, dtype=tc.float64)
    assert list(layer.state_dict()) == ["weight", "bias"]
    assert abs(layer.weight.detach().numpy()).max() < 3**-0.5
    x, y = rng.standard_normal((2, 6, 3)), rng.standard_normal((2, 6, 4))
    wanted = np.einsum("...i,oij,...j->...o", x, layer.weight.detach().numpy(), y)
    found = layer(tc.from_numpy(x), tc.from_numpy(y)) - layer.bias
    np.testing.assert_allclose(found.detach().numpy(), wanted, atol=1e-12)


# -- embedding ------------------------------------------------------------------------------------
def test_the_padding_row_is_zero_and_gets_no_gradient():
    layer = nn.Embedding(4, 2, padding_idx=1)
    assert layer.weight[1].tolist() == [0, 0]
    layer(tc.tensor([[0, 1], [1, 3]])).sum().backward()
    assert layer.weight.grad.tolist() == [[1, 1], [0, 0], [0, 0], [1, 1]]


def test_gradients_by_frequency():
    w = tc.ones(3, 2, requires_grad=True)
    F.embedding(tc.tensor([2, 2, 0, 2]), w, scale_grad_by_freq=True).sum().backward()
    np.testing.assert_allclose(w.grad.numpy(), [[1, 1], [0, 0], [1, 1]], rtol=1e-6)


def test_long_rows_are_shortened_in_place():
    layer = nn.Embedding(3, 2, max_norm=1.0)
    layer.weight.data.copy_(tc.tensor([[3.0, 4.0], [0.3, 0.4], [6.0, 8.0]]))
    y = layer(tc.tensor([0, 1, 0]))
    np.testing.assert_allclose(y.detach().numpy(), [[0.6, 0.8], [0.3, 0.4], [0.6, 0.8]], rtol=1e-6)
    np.testing.assert_allclose(
        layer.weight.detach().numpy(), [[0.6, 0.8], [0.3, 0.4], [6, 8]], rtol=1e-6
    )


def test_pretrained_rows_are_frozen():
    layer = nn.Embedding.from_pretrained(tc.eye(3))
    assert not layer.weight.requires_grad
    assert layer(tc.tensor(2)).tolist() == [0, 0, 1]
    assert layer(tc.zeros(0, 2, dtype=tc.int64)).shape == (0, 2, 3)


@pytest.mark.parametrize(
    "call, error, words",
    [
        (lambda w: F.embedding(tc.tensor([0, 3]), w), IndexError, "run from 0 to 3, .* 0 to 2"),
        (lambda w: F.embedding(tc.tensor([-1]), w), IndexError, "run from -1"),
        (lambda w: F.embedding(tc.tensor([0.0]), w), TypeError, "whole numbers, got float32"),
        (lambda w: F.embedding(tc.tensor([0]), w[0]), ValueError, r"shape \[2\] must be a matrix"),
        (lambda w: F.embedding(tc.tensor([0]), w, 3), ValueError, "padding_idx=3 is none of the 3"),
        (lambda w: F.embedding(tc.tensor([0]), w, sparse=True), ValueError, "sparse=True"),
    ],
)
def test_embeddings_that_can_not_be(call, error, words):
    with pytest.raises(error, match=f"embedding: .*{words}"):
        call(tc.ones(3, 2))


@pytest.mark.parametrize(
    "shapes, words",
    [
        ([(2, 3), (2, 4), (5, 3, 3)], r"\[2, 3\] and \[2, 4\], weight \[5, 3, 3\]: wants"),
        ([(2, 3), (1, 4), (5, 3, 4)], "may differ in the last size alone"),
        ([(2, 3), (2, 4), (5, 3, 4), (4,)], r"bias of shape \[4\] must be \[5\]"),
    ],
)
def test_bilinears_that_can_not_be(shapes, words):
    with pytest.raises(ValueError, match=f"bilinear: .*{words}"):
        F.bilinear(*map(tc.ones, shapes))


def test_layers_that_can_not_be():
    with pytest.raises(TypeError, match="Unflatten: dim=1, unflattened_size=3"):
        nn.Unflatten(1, 3)
    with pytest.raises(ValueError, match="Embedding: padding_idx=5 is none of the 3 rows"):
        nn.Embedding(3, 2, 5)
