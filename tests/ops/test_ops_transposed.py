"""Transposed convolutions, convolutions and pools of signals, and pools turned round."""

import numpy as np
import pytest
from arrays import laid_out, uniform

import tinyconv as tc
import tinyconv.nn.functional as F


# -- convolution -----------------------------------------------------------------------------
@pytest.mark.parametrize("groups", [1, 2])
def test_the_transposed_convolution_is_the_adjoint_of_the_convolution(groups):
    """<conv(x), y> = <x, conv_transpose(y)>"""
    options = dict(stride=(2, 3), padding=(1, 2), dilation=(2, 1), groups=groups)
    x, w = uniform((2, 4, 9, 11)), uniform((6, 4 // groups, 3, 2), seed=1)
    y = F.conv2d(tc.from_numpy(x), tc.from_numpy(w), **options).numpy()
    z = uniform(y.shape, seed=2)
    back = F.conv_transpose2d(
        tc.from_numpy(z), tc.from_numpy(w), output_padding=(0, 1), **options
    ).numpy()
    assert back.shape == x.shape
    np.testing.assert_allclose((y * z).sum(), (x * back).sum())


def test_output_padding_may_exceed_the_stride_where_there_is_dilation():
    x, w = tc.ones(1, 1, 1, 1), tc.ones(1, 1, 2, 1)
    y = F.conv_transpose2d(x, w, dilation=(3, 1), output_padding=(2, 0))
    assert y.flatten().tolist() == [1, 0, 0, 1, 0, 0]


@pytest.mark.parametrize("layout", ["C", "transposed", "reversed"])
def test_any_layout_will_do(layout):
    x, w = laid_out(uniform((2, 3, 4, 5)), layout), laid_out(uniform((3, 2, 2, 3), seed=1), layout)
    found = F.conv_transpose2d(tc.from_numpy(x), tc.from_numpy(w), stride=2)
    wanted = F.conv_transpose2d(tc.tensor(x.copy()), tc.tensor(w.copy()), stride=2)
    assert tc.equal(found, wanted)


def test_convolutions_of_nothing():
    """Batches of no image, and images of no channel, as in PyTorch."""
    x, w = tc.ones(0, 3, 5, 5, requires_grad=True), tc.ones(3, 2, 2, 2, requires_grad=True)
    y = F.conv_transpose2d(x, w, tc.ones(2))
    y.sum().backward()
    assert y.shape == (0, 2, 6, 6) and x.grad.shape == x.shape and not w.grad.numpy().any()
    y = F.conv2d(tc.ones(1, 0, 4, 4), tc.ones(3, 0, 2, 2), tc.arange(3.0))
    assert y[0, :, 1, 2].tolist() == [0, 1, 2]
    assert F.conv1d(tc.ones(0, 3, 5), tc.ones(2, 3, 2)).shape == (0, 2, 4)


# -- pools -----------------------------------------------------------------------------------
def test_a_pool_turned_round():
    x = tc.from_numpy(uniform((2, 3, 7, 6))).requires_grad_()
    y, places = F.max_pool2d(x, (3, 2), return_indices=True)
    z = F.max_unpool2d(y, places, (3, 2), output_size=x.shape)
    assert z.shape == x.shape
    values, kept = z.detach().numpy(), z.detach().numpy() != 0
    assert kept.sum() == y.numel() and (values[kept] == x.detach().numpy()[kept]).all()
    z.sum().backward()
    np.testing.assert_array_equal(x.grad.numpy(), kept)


def test_of_values_at_one_place_the_last_stands():
    x = tc.tensor([[1.0, 2.0, 3.0]], requires_grad=True)
    y = F.max_unpool1d(x, tc.tensor([[1, 1, 2]]), 1)
    y.sum().backward()
    assert y.tolist() == [[0, 2, 3]] and x.grad.tolist() == [[0, 1, 1]]


def test_an_lp_pool_of_zeros_has_no_slope():
    x = tc.zeros(1, 2, 4, requires_grad=True)
    F.lp_pool1d(x, 2, 2).sum().backward()
    assert not x.grad.numpy().any()
    assert F.lp_pool2d(tc.full((1, 2, 2), np.nan), 2, 2).isnan().all()


@pytest.mark.parametrize("op", [F.adaptive_avg_pool2d, F.adaptive_max_pool2d])
def test_adaptive_pools_without_windows_or_images(op):
    x = tc.ones(2, 3, 4, 5, requires_grad=True)
    y = op(x, (0, 2))
    y.sum().backward()
    assert y.shape == (2, 3, 0, 2) and not x.grad.numpy().any()
    assert op(x[:0], 2).shape == (0, 3, 2, 2)


def test_signals_without_a_batch():
    x = tc.from_numpy(uniform((3, 8)))
    for op in (lambda t: F.max_pool1d(t, 3, return_indices=True)[1], lambda t: F.avg_pool1d(t, 2),
               lambda t: F.adaptive_avg_pool1d(t, 3), lambda t: F.adaptive_max_pool1d(t, 3),
               lambda t: F.lp_pool1d(t, 1, 2), lambda t: F.conv1d(t, tc.ones(2, 3, 2).double()),
               lambda t: F.conv_transpose1d(t, tc.ones(3, 2, 2).double())):  # fmt: skip
        assert tc.equal(op(x), op(x.unsqueeze(0))[0])


# -- errors ----------------------------------------------------------------------------------
X, W = (2, 4, 5, 6), (4, 3, 2, 2)


@pytest.mark.parametrize(
    "call, error, words",
    [
        (lambda x, w: F.conv_transpose2d(x, w[:3]), ValueError,
         r"conv_transpose2d: input has 4 channels \(shape \[2, 4, 5, 6\]\), weight wants 3"),
        (lambda x, w: F.conv_transpose2d(x, w, groups=3), ValueError,
         "groups=3 must divide the 4 input channels"),
        (lambda x, w: F.conv_transpose2d(x, w, tc.ones(4)), ValueError, r"bias .* must be \[3\]"),
        (lambda x, w: F.conv_transpose2d(x, w[0]), ValueError, r"\(C, O / groups, kh, kw\)"),
        (lambda x, w: F.conv_transpose2d(x, w, output_padding=1), ValueError,
         r"output_padding=\(1, 1\) must be smaller than the stride \(1, 1\) or the dilation"),
        (lambda x, w: F.conv_transpose2d(x, w, padding=4), ValueError, "crops all of the result"),
        (lambda x, w: F.conv_transpose2d(x, w, padding="same"), TypeError, "wants numbers"),
        (lambda x, w: F.conv_transpose2d(x[:, :, :0], w), ValueError, "have no pixels"),
        (lambda x, w: F.conv1d(x, w), ValueError, r"conv1d: wants \(N, C, L\) or \(C, L\)"),
        (lambda x, w: F.conv1d(x[0], tc.ones(3, 5, 2), stride=(1, 2)), ValueError,
         r"conv1d: stride=\(1, 2\): wants 1 number, got 2"),
        (lambda x, w: F.conv1d(x[0, 0], w), ValueError, "conv1d: weight must have 3 dimensions"),
        (lambda x, w: F.max_pool1d(x[0], 9), ValueError, "max_pool1d: a window of 1 x 9"),
        (lambda x, w: F.max_pool2d(x[:, :0], 2), ValueError, "0 channels, 5 x 6, have nothing"),
        (lambda x, w: F.lp_pool2d(x, 0, 2), ValueError, "norm_type=0"),
        (lambda x, w: F.max_unpool2d(x, x, 2), TypeError, "indices must be an int64 Tensor"),
        (lambda x, w: F.max_unpool2d(x, tc.ones(4, 5, 6).long(), 2), ValueError,
         r"indices of shape \[4, 5, 6\] must have the shape of the input"),
        (lambda x, w: F.max_unpool2d(x, tc.full(X, 120), 2), ValueError,
         "indices from 120 to 120 reach outside planes of 10 x 12"),
        (lambda x, w: F.max_unpool2d(x, tc.full(X, 1), 2, output_size=(10, 14)), ValueError,
         r"output_size=\(10, 14\) must be less than the stride \(2, 2\) away from \(10, 12\)"),
    ],
)  # fmt: skip
def test_errors_name_the_op_what_it_got_and_the_rule(call, error, words):
    with pytest.raises(error, match=words):
        call(tc.ones(*X), tc.ones(*W))
