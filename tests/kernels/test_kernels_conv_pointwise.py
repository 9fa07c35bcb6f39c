"""1 x 1 convolution: the sizes at which it takes another way, against products in float64."""

import numpy as np
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from tinyconv.kernels import Window, conv_pointwise


@st.composite
def layers(draw):
    """(N, channels of a group, H, W, filters of a group, groups, strides)"""
    groups = draw(st.sampled_from([1, 1, 1, 2, 3]))
    C, O = draw(st.integers(1, 40)), draw(st.integers(1, 30))
    H, W = draw(st.integers(1, 24)), draw(st.integers(1, 23))
    strides = draw(st.sampled_from([(1, 1), (1, 1), (2, 2), (1, 2), (3, 1), (2, 5)]))
    return draw(st.integers(1, 9)), C + (C == O), H, W, O, groups, strides


def _arrays(layer, dtype):
    N, C, H, W, O, groups, strides = layer
    rng = np.random.default_rng(sum(layer[:6]))
    window = Window.of(1, stride=strides)
    y_shape = N, O * groups, *window.output_shape(H, W)
    shapes = (N, C * groups, H, W), (O * groups, C, 1, 1), (O * groups,), y_shape, y_shape
    return *[rng.standard_normal(shape).astype(dtype) for shape in shapes], window


def _parted(array, groups):
    """The channels of each group apart, in float64."""
    return array.astype(float).reshape(len(array), groups, -1, *array.shape[2:])


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@given(layer=layers())
@example(layer=(3, 5, 14, 14, 9, 1, (1, 1)))  # some pixels behind the last whole register
@example(layer=(50, 3, 7, 7, 2, 2, (1, 1)))  # one pixel of each of many images
@example(layer=(70, 4, 3, 5, 2, 1, (1, 1)))  # images smaller than a register
@example(layer=(2, 300, 16, 18, 33, 1, (1, 1)))  # an image is worked on in parts
@example(layer=(1, 2, 30, 40, 3, 1, (1, 1)))  # one image, cut by pixels
@example(layer=(1, 70, 7, 8, 130, 1, (1, 1)))  # one image, cut by filters
@example(layer=(2, 17, 57, 61, 5, 1, (2, 2)))  # more pixels than are laid out at a time
@example(layer=(9, 21, 14, 13, 4, 2, (2, 2)))  # images seen with a stride, side by side
@example(layer=(3, 2, 9, 40, 6, 1, (2, 3)))  # a stride that registers know nothing of
def test_each_direction_equals_the_product(layer, dtype):
    x, w, bias, residual, gy, window = _arrays(layer, dtype)
    groups, (sh, sw) = layer[5:]
    seen = _parted(x[:, :, ::sh, ::sw], groups)
    weights = w.astype(float).reshape(groups, -1, layer[1])
    tolerance = dict(rtol=0, atol=2e-4 if dtype == np.float32 else 1e-11)

    y = np.einsum("goc,ngchw->ngohw", weights, seen).reshape(gy.shape) + bias[:, None, None]
    got = conv_pointwise.forward(x, w, bias, window, groups)
    assert got.dtype == dtype
    np.testing.assert_allclose(got, y, **tolerance)
    got = conv_pointwise.forward(x, w, bias, window, groups, residual, True)
    np.testing.assert_allclose(got, np.maximum(y + residual, 0), **tolerance)

    gx = np.zeros(x.shape)
    thin = np.einsum("goc,ngohw->ngchw", weights, _parted(gy, groups))
    gx[:, :, ::sh, ::sw] = thin.reshape(gx[:, :, ::sh, ::sw].shape)
    got = conv_pointwise.input_gradient(gy, w, window, groups, x.shape[2:])
    np.testing.assert_allclose(got, gx, **tolerance)

    gw = np.einsum("ngohw,ngchw->goc", _parted(gy, groups), seen).reshape(w.shape)
    got = conv_pointwise.weight_gradient(gy, x, window, groups)
    np.testing.assert_allclose(got / len(x), gw / len(x), **tolerance)


@pytest.mark.parametrize("layer", [(5, 35, 19, 23, 40, 1, (1, 1)), (1, 60, 15, 14, 90, 1, (2, 2))])
def test_results_are_bit_equal_for_any_number_of_threads(layer, threads):
    x, w, bias, residual, gy, window = _arrays(layer, np.float32)
    results = []
    for number in (1, 2, 3):
        threads(number)
        results.append(
            (
                conv_pointwise.forward(x, w, bias, window, 1, residual, True),
                conv_pointwise.input_gradient(gy, w, window, 1, x.shape[2:]),
                conv_pointwise.weight_gradient(gy, x, window, 1),
            )
        )
    for other in results[1:]:
        for a, b in zip(results[0], other):
            np.testing.assert_array_equal(a, b)


def test_a_nan_stays_in_its_pixel():
    x = np.ones((2, 3, 7, 5), np.float32)
    x[1, 2, 6, 4] = np.nan
    w, bias = np.ones((4, 3, 1, 1), np.float32), np.zeros(4, np.float32)
    y = conv_pointwise.forward(x, w, bias, Window.of(1), 1, None, True)
    wanted = np.full((2, 4, 7, 5), 3.0)
    wanted[1, :, 6, 4] = np.nan
    np.testing.assert_array_equal(y, wanted)
