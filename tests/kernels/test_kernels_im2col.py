"""The two members that lay images out anew, columns and images in lanes: every way to cut work."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tinyconv.kernels import conv_im2col, conv_im2col_plan, conv_lanes, conv_naive
from tinyconv.kernels.geometry import Window
from tinyconv.kernels.simd import BITS

MEMBERS = [conv_im2col, conv_lanes]


def _arrays(N, C, H, W, O, window, groups, dtype, seed=0):
    rng = np.random.default_rng(seed)
    x = rng.standard_normal((N, C, H, W)).astype(dtype)
    w = rng.standard_normal((O, C // groups, window.kh, window.kw)).astype(dtype)
    b = rng.standard_normal(O).astype(dtype)
    gy = rng.standard_normal((N, O, *window.output_shape(H, W))).astype(dtype)
    return x, w, b, gy


def _close(got, wanted):
    tolerance = 2e-3 if wanted.dtype == np.float32 else 1e-10
    assert got.shape == wanted.shape and got.dtype == wanted.dtype
    np.testing.assert_allclose(got, wanted, atol=tolerance, rtol=tolerance)


def _check(member, x, w, b, gy, window, groups):
    _close(member.forward(x, w, b, window, groups), conv_naive.forward(x, w, b, window, groups))
    args = gy, w, window, groups, x.shape[2:]
    _close(member.input_gradient(*args), conv_naive.input_gradient(*args))
    args = gy, x, window, groups
    _close(member.weight_gradient(*args), conv_naive.weight_gradient(*args))


@settings(max_examples=40)
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("member", MEMBERS)
@given(data=st.data())
def test_batches_of_any_size_equal_the_loops(member, dtype, data):
    def draw(*choices):
        return data.draw(st.sampled_from(choices))

    groups = draw(1, 1, 2, 3)
    kernel, stride, dilation = [(draw(1, 2, 3, 5), draw(1, 2, 3)) for _ in range(3)]
    padding = [draw(0, 1, 2, 3) for _ in range(4)]
    window = Window.of(kernel, (stride[0] % 4, stride[1]), padding, (draw(1, 2), draw(1, 3)))
    H, W, N = data.draw(st.tuples(st.integers(1, 13), st.integers(1, 18), st.integers(1, 40)))
    if min(window.output_shape(H, W)) < 1:
        return
    shape = N, groups * draw(1, 2, 5), H, W, groups * draw(1, 3, 9)
    _check(member, *_arrays(*shape, window, groups, dtype), window, groups)


@pytest.mark.parametrize("shape", [(3, 4, 9, 10, 17), (40, 3, 4, 5, 9), (2, 3, 21, 35, 20)])
def test_every_way_to_cut_the_columns_gives_the_same(shape, monkeypatch):
    N, C, H, W, O = shape
    window = Window.of((3, 5), (1, 2), (2, 1, 0, 1))
    x, w, b, gy = _arrays(*shape, window, 1, np.float64)
    wanted = conv_naive.forward(x, w, b, window, 1)
    gradient = conv_naive.input_gradient(gy, w, window, 1, (H, W))
    layouts, tried = conv_im2col_plan._layouts, set()
    try:
        for i in range(0, 400, 7):

            def pick(*args, i=i):
                forms = sorted(layouts(*args))
                tried.add(forms[i % len(forms)][1:])
                return [forms[i % len(forms)]]

            monkeypatch.setattr(conv_im2col_plan, "_layouts", pick)
            conv_im2col_plan.plan.cache_clear()
            _close(conv_im2col.forward(x, w, b, window, 1), wanted)
            _close(conv_im2col.input_gradient(gy, w, window, 1, (H, W)), gradient)
    finally:
        conv_im2col_plan.plan.cache_clear()
    apart, images, blocks, _ = (set(values) for values in zip(*tried))
    assert apart == {False, True} and len(images) > 1 and len(blocks) > 1


@pytest.mark.parametrize("member", MEMBERS)
@pytest.mark.parametrize("N", [2, 19, 33])
def test_the_epilogue_adds_a_residual_and_cuts_below_zero(member, N, rng):
    for W in (6, 2, 21):  # rows of less and of more than a register
        window = Window.of(3, padding=1)
        x, w, b, gy = _arrays(N, 3, 5, W, 10, window, 1, np.float32)
        y = conv_naive.forward(x, w, b, window, 1)
        _close(member.forward(x, w, b, window, 1, gy), y + gy)
        _close(member.forward(x, w, b, window, 1, gy, True), np.maximum(y + gy, 0))
        _close(member.forward(x, w, b, window, 1, relu=True), np.maximum(y, 0))
        x[1, 0, 2, 1] = np.nan
        assert np.isnan(member.forward(x, w, b, window, 1, gy, True)[1, :, 2, 1]).all()


@pytest.mark.parametrize("member", MEMBERS)
def test_a_nan_stays_in_its_own_image_and_windows(member):
    window = Window.of(3, padding=1)
    x, w, b, gy = _arrays(21, 2, 6, 7, 3, window, 1, np.float32)
    x[4, 1, 0, 6] = gy[20, 2, 5, 0] = np.nan
    for got, wanted in (
        (member.forward(x, w, b, window, 1), conv_naive.forward(x, w, b, window, 1)),
        (
            member.input_gradient(gy, w, window, 1, (6, 7)),
            conv_naive.input_gradient(gy, w, window, 1, (6, 7)),
        ),
    ):
        np.testing.assert_array_equal(np.isnan(got), np.isnan(wanted))


def test_images_in_lanes_never_multiply_padding():
    window = Window.of(3, padding=1)
    x, w, b, _ = _arrays(32, 1, 5, 6, 2, window, 1, np.float32)
    w[:, :, 0] = w[:, :, :, 0] = np.inf
    # only the first pixel has its row above and its column to the left in the padding
    wanted = conv_naive.forward(x, w, b, window, 1)
    assert np.isfinite(wanted[:, :, 0, 0]).all()
    _close(conv_lanes.forward(x, w, b, window, 1), wanted)


@pytest.mark.parametrize("member", MEMBERS)
@pytest.mark.parametrize("shape", [(37, 6, 7, 9, 8), (5, 20, 14, 13, 34)])
def test_threads_change_no_bit(member, shape, threads):
    window = Window.of((3, 2), (1, 2), (1, 2, 0, 1))
    x, w, b, gy = _arrays(*shape, window, 2, np.float32)
    results = []
    for number in (1, 2, 3):
        threads(number)
        y = member.forward(x, w, b, window, 2)
        gx = member.input_gradient(gy, w, window, 2, x.shape[2:])
        results.append([a.tobytes() for a in (y, gx, member.weight_gradient(gy, x, window, 2))])
    assert results[0] == results[1] == results[2]


def test_taps_outside_the_image_are_left_out():
    window = Window.of(5, padding=2)
    plan = conv_lanes._plan("forward", 32, (4, 4), 3, 8, 1, window, 4)
    taps = plan.strips[:, 6] @ plan.strips[:, 0] * (BITS // 32) // plan.grid.images // 3
    assert taps == 14 * 14  # of 4 x 4 pixels x 25: rows see 3 + 4 + 4 + 3 taps, and so columns
