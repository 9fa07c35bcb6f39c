"""Convolution, pools, batch norm and dropout: values, options, errors; their derivatives beyond
what ``tests/testing/test_all_ops.py`` draws."""

import naive
import numpy as np
import pytest
from arrays import laid_out, uniform
from hypothesis import given

import tinyconv as tc
import tinyconv.nn.functional as F
from tinyconv.kernels import conv_algorithm
from tinyconv.testing import assert_gradients, check
from tinyconv.testing.strategies import conv2d_cases


# -- convolution --------------------------------------------------------------------------
@pytest.mark.parametrize("algorithm", ["naive", "im2col"])
@given(case=conv2d_cases())
def test_conv2d_derivatives_by_each_algorithm(algorithm, case):
    with conv_algorithm(algorithm):
        report = check(case.func, case.inputs)
    assert report.verdict in case.expect, f"{case}\n{report}"


def test_conv2d_third_derivative():
    """y is cubic in (x, w) through itself: its third derivative does not vanish."""
    w = tc.from_numpy(uniform((2, 2, 2, 3))).requires_grad_()

    def gradient(x):
        y = F.conv2d(F.conv2d(x, w, padding=1).tanh(), w)
        return tc.autograd.grad(y, w, tc.ones_like(y), create_graph=True)[0]

    assert_gradients(gradient, uniform((1, 2, 3, 4), seed=1))


@pytest.mark.parametrize("padding", ["same", "valid", 1, (2, 1), (1, 0, 2, 3)])
@pytest.mark.parametrize("stride", [1, (2, 3)])
def test_conv2d_every_spelling_of_padding(padding, stride):
    x, w = uniform((2, 3, 7, 6)), uniform((4, 3, 3, 2), seed=1)
    sides = {"valid": (0,) * 4, 1: (1,) * 4, (2, 1): (1, 1, 2, 2)}.get(padding, padding)
    sh, sw = (stride, stride) if isinstance(stride, int) else stride
    if padding == "same":
        rest_h = max((-(-7 // sh) - 1) * sh + 3 - 7, 0)
        rest_w = max((-(-6 // sw) - 1) * sw + 2 - 6, 0)
        sides = (rest_w // 2, rest_w - rest_w // 2, rest_h // 2, rest_h - rest_h // 2)
    y = F.conv2d(tc.from_numpy(x), tc.from_numpy(w), stride=stride, padding=padding)
    np.testing.assert_allclose(y.numpy(), naive.conv2d(x, w, None, (sh, sw), sides), atol=1e-13)


def test_images_without_a_batch():
    x = uniform((3, 5, 4))
    for op in (lambda t: F.max_pool2d(t, 2), lambda t: F.avg_pool2d(t, (2, 3)),
               lambda t: F.adaptive_avg_pool2d(t, (2, 3))):  # fmt: skip
        t = tc.from_numpy(x)
        np.testing.assert_array_equal(op(t).numpy(), op(t.unsqueeze(0)).numpy()[0])


# -- batch norm ---------------------------------------------------------------------------
SHAPES = [(4, 3), (4, 3, 5), (2, 3, 4, 5), (1, 2, 4, 3), (5, 1, 1, 1)]


@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("layout", ["C", "transposed", "reversed"])
def test_batch_norm_in_training(shape, layout):
    x = laid_out(uniform(shape), layout)
    w, b = uniform(shape[1:2], seed=1), uniform(shape[1:2], seed=2)
    eps = 0.01

    def function(x, w, b):
        return F.batch_norm(x, None, None, w, b, training=True, eps=eps)

    y = function(*map(tc.from_numpy, (x, w, b)))
    np.testing.assert_allclose(y.numpy(), naive.batch_norm(x, w, b, eps), atol=1e-12)


@pytest.mark.parametrize("shape", SHAPES)
def test_batch_norm_with_running_statistics(shape):
    C = shape[1]
    x, w, b = uniform(shape), uniform((C,), seed=1), uniform((C,), seed=2)
    mean, var = uniform((C,), seed=3), uniform((C,), 0.5, 2.0, seed=4)

    def function(x, w, b):
        return F.batch_norm(x, tc.from_numpy(mean), tc.from_numpy(var), w, b, eps=0.01)

    y = function(*map(tc.from_numpy, (x, w, b)))
    np.testing.assert_allclose(y.numpy(), naive.batch_norm(x, w, b, 0.01, mean, var), atol=1e-13)
    assert (mean == uniform((C,), seed=3)).all(), "evaluation moves no statistics"


def test_batch_norm_moves_running_statistics_by_the_unbiased_variance():
    x = uniform((4, 2, 3, 5)) * 3 + 1
    mean, var = tc.zeros(2, dtype=tc.float64), tc.ones(2, dtype=tc.float64)
    F.batch_norm(tc.from_numpy(x), mean, var, training=True, momentum=0.25)
    np.testing.assert_allclose(mean.numpy(), 0.25 * x.mean((0, 2, 3)))
    np.testing.assert_allclose(var.numpy(), 0.75 + 0.25 * x.var((0, 2, 3), ddof=1))


def test_the_loss_may_depend_on_the_weight_twice():
    """w enters the loss through the layer and directly: both ways count once."""

    def function(x, w):
        return F.batch_norm(x, None, None, w, None, training=True, eps=0.01) * w.view(1, -1)

    assert_gradients(function, uniform((4, 3)), uniform((3,), seed=1))


# -- linear and dropout -------------------------------------------------------------------
@pytest.mark.parametrize("lead", [(), (2,), (2, 5), (0,)])
def test_linear(lead):
    x, w, b = uniform(lead + (3,)), uniform((4, 3), seed=1), uniform((4,), seed=2)
    np.testing.assert_allclose(F.linear(*map(tc.from_numpy, (x, w, b))).numpy(), x @ w.T + b)


def test_dropout_keeps_the_mean_and_drops_its_share():
    x = tc.ones(200, 100)
    y = F.dropout(x, 0.25).numpy()
    assert set(np.unique(y)) == {0.0, np.float32(1 / 0.75)}
    assert abs((y == 0).mean() - 0.25) < 0.02
    z = F.dropout2d(tc.ones(40, 25, 3, 2), 0.5).numpy()
    assert ((z == z[:, :, :1, :1]).all()) and 0.4 < (z == 0).mean() < 0.6
    assert F.dropout(x, 0.5, training=False) is x and F.dropout(x, 0.0) is x
    assert not F.dropout(x, 1.0).numpy().any()


# -- errors -------------------------------------------------------------------------------
X, W = (8, 3, 7, 5), (4, 3, 2, 2)


@pytest.mark.parametrize(
    "call, error, words",
    [
        (lambda x, w: F.conv2d(x, tc.ones(16, 4, 3, 3)), ValueError,
         r"input has 3 channels \(shape \[8, 3, 7, 5\]\), weight wants 4 "
         r"\(shape \[16, 4, 3, 3\], groups=1\)"),
        (lambda x, w: F.conv2d(x, w, groups=3), ValueError, "groups=3 must divide the 4 output"),
        (lambda x, w: F.conv2d(x, w, groups=0), ValueError, "groups=0"),
        (lambda x, w: F.conv2d(x, w, tc.ones(3)), ValueError, r"bias of shape \[3\] must be \[4\]"),
        (lambda x, w: F.conv2d(x, w[0]), ValueError, "weight must have 4 dimensions"),
        (lambda x, w: F.conv2d(x[0, 0], w), ValueError, r"wants \(N, C, H, W\).*got shape \[7, 5"),
        (lambda x, w: F.conv2d(x, w.double()), TypeError, "input is float32, a parameter float64"),
        (lambda x, w: F.conv2d(x.long(), w), TypeError, "got int64"),
        (lambda x, w: F.conv2d(x, w, dilation=7), ValueError,
         "window of 8 x 8 .* does not fit into the padded image of 7 x 5"),
        (lambda x, w: F.conv2d(x, w, stride=0), ValueError, "stride=0"),
        (lambda x, w: F.conv2d(x, w, padding=(1, 2, 3)), ValueError, "1, 2 or 4 numbers"),
        (lambda x, w: F.conv2d(3.0, w), ValueError, "conv2d"),
        (lambda x, w: F.conv2d([1], w), TypeError, "conv2d: wants a Tensor, got list"),
        (lambda x, w: F.max_pool2d(x, 3, padding=2), ValueError, "at most half the"),
        (lambda x, w: F.max_pool2d(x, 9), ValueError, "does not fit into the padded image"),
        (lambda x, w: F.max_pool2d(x.view(8, -1), 2), ValueError, "max_pool2d: wants"),
        (lambda x, w: F.avg_pool2d(x, 2, divisor_override=0), ValueError, "must not be 0"),
        (lambda x, w: F.avg_pool2d(x, (2, 0)), ValueError, "kernel_size"),
        (lambda x, w: F.adaptive_avg_pool2d(x, -1), ValueError, "output_size=-1"),
        (lambda x, w: F.adaptive_max_pool2d(x[:, :, :0], 1), ValueError, "no pixels"),
        (lambda x, w: F.batch_norm(x[0, 0, 0], None, None), ValueError, r"wants \(N, C, ...\)"),
        (lambda x, w: F.batch_norm(x, tc.ones(4), tc.ones(4)), ValueError,
         r"running_mean has shape \[4\].* 3 channels"),
        (lambda x, w: F.batch_norm(x[:1, :, :1, :1], None, None, training=True), ValueError,
         "more than one value per channel"),
        (lambda x, w: F.linear(x, w.flatten(1)), ValueError, r"linear: input of shape"),
        (lambda x, w: F.linear(tc.ones(2, 3), tc.ones(4, 3), tc.ones(2, 4)), ValueError, "linear"),
        (lambda x, w: F.dropout(x, 1.5), ValueError, "dropout: p=1.5 must be a probability"),
        (lambda x, w: F.dropout2d(x, -0.1), ValueError, "dropout2d: p=-0.1"),
    ],
)  # fmt: skip
def test_errors_name_the_op_what_it_got_and_the_rule(call, error, words):
    with pytest.raises(error, match=words):
        call(tc.ones(*X), tc.ones(*W))


def test_a_refused_batch_moves_no_statistics():
    mean, var = tc.zeros(3), tc.ones(3)
    with pytest.raises(ValueError):
        F.batch_norm(tc.ones(1, 3), mean, var, training=True)
    with pytest.raises(TypeError):
        F.batch_norm(tc.ones(4, 3), mean, var, tc.ones(3, dtype=tc.float64), training=True)
    with pytest.raises(ValueError, match="running_var"):
        F.batch_norm(tc.randn(4, 3), mean, None, training=True)
    assert mean.tolist() == [0] * 3 and var.tolist() == [1] * 3


@pytest.mark.parametrize("dtype", [tc.float32, tc.float64])
def test_precision_is_kept_forward_and_backward(dtype):
    x = tc.randn(2, 3, 8, 9, dtype=dtype).requires_grad_()
    w = tc.randn(4, 3, 2, 3, dtype=dtype).requires_grad_()
    s = tc.ones(4, dtype=dtype).requires_grad_()
    y = F.batch_norm(F.conv2d(x, w), None, None, s, s, training=True)
    y = F.adaptive_avg_pool2d(F.avg_pool2d(F.max_pool2d(y, 2), 2, 1), (1, 2))
    y = F.log_softmax(F.dropout(y.flatten(1), 0.2), 1)
    grads = tc.autograd.grad(y, [x, w, s], tc.ones_like(y), create_graph=True)
    assert {y.dtype, *(g.dtype for g in grads)} == {np.dtype(dtype)}
