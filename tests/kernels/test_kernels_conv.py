"""The convolution family: every member against loops in Python, for every geometry."""

import naive
import numpy as np
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

import tinyconv as tc
from tinyconv.kernels import Window, conv_algorithm

ALGORITHMS = sorted(tc.kernels.choice.ALGORITHMS)
#: C, O and N below are different; H, W, window, stride, padding and dilation are drawn so


@st.composite
def geometries(draw):
    """(shape of x, shape of w, window arguments, groups) with an output of at least 1 x 1."""
    groups = draw(st.sampled_from([1, 1, 2, 3]))
    N, Cg, Og = draw(st.permutations([1, 2, 3]))
    kh, kw = draw(st.tuples(st.integers(1, 4), st.integers(1, 3)))
    sh, sw = draw(st.permutations([1, 2, 5]))[:2]
    dh, dw = draw(st.permutations([1, 2, 3]))[:2]
    left, right, top, bottom = draw(st.permutations([0, 1, 2, 4]))
    least_h = max(1, dh * (kh - 1) + 1 - top - bottom)
    least_w = max(1, dw * (kw - 1) + 1 - left - right)
    H = least_h + draw(st.integers(0, 4))
    W = least_w + draw(st.integers(0, 5))
    W += H == W
    args = dict(stride=(sh, sw), padding=(left, right, top, bottom), dilation=(dh, dw))
    return (N, Cg * groups, H, W), (Og * groups, Cg, kh, kw), args, groups


def _arrays(x_shape, w_shape, args, dtype):
    rng = np.random.default_rng(sum(x_shape) + sum(w_shape))
    window = Window.of(w_shape[2:], **args)
    x = rng.standard_normal(x_shape).astype(dtype)
    w = rng.standard_normal(w_shape).astype(dtype)
    b = rng.standard_normal(w_shape[0]).astype(dtype)
    gy = rng.standard_normal((x_shape[0], w_shape[0], *window.output_shape(*x_shape[2:])))
    return x, w, b, gy.astype(dtype), window


def _close(got, wanted, dtype):
    assert got.dtype == dtype and got.flags.c_contiguous
    tolerance = dict(rtol=2e-4, atol=2e-4) if dtype == np.float32 else dict(rtol=1e-11, atol=1e-11)
    np.testing.assert_allclose(got, wanted, **tolerance)


def _check(case, algorithm, dtype):
    x_shape, w_shape, args, groups = case
    x, w, b, gy, window = _arrays(x_shape, w_shape, args, dtype)
    inputs = [a.copy() for a in (x, w, b, gy)]
    with conv_algorithm(algorithm):
        y = tc.kernels.conv.forward(x, w, b, window, groups)
        gx = tc.kernels.conv.input_gradient(gy, w, window, groups, x.shape[2:])
        gw = tc.kernels.conv.weight_gradient(gy, x, window, groups)
    _close(y, naive.conv2d(x, w, b, groups=groups, **args), dtype)
    wanted_x, wanted_w, _ = naive.conv2d_gradients(gy, x, w, groups=groups, **args)
    _close(gx, wanted_x, dtype)
    _close(gw, wanted_w, dtype)
    for a, old in zip((x, w, b, gy), inputs):
        assert np.array_equal(a, old)


def _case(x, w, stride=(1, 1), padding=(0, 0, 0, 0), dilation=(1, 1), groups=1):
    return x, w, dict(stride=stride, padding=padding, dilation=dilation), groups


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("algorithm", ALGORITHMS)
@given(case=geometries())
@example(case=_case((2, 3, 4, 5), (4, 3, 1, 1)))  # 1 x 1
@example(case=_case((2, 3, 7, 5), (4, 3, 1, 1), stride=(3, 2)))  # skips pixels
@example(case=_case((1, 2, 9, 8), (3, 2, 2, 3), stride=(4, 5)))  # stride larger than window
@example(case=_case((1, 2, 3, 4), (3, 2, 2, 3), padding=(4, 5, 3, 6)))  # more than the window
@example(case=_case((2, 1, 2, 3), (3, 1, 5, 4), padding=(1, 2, 3, 2)))  # window > image
@example(case=_case((1, 1, 2, 2), (1, 1, 2, 2), dilation=(1, 1)))  # one output pixel
@example(case=_case((2, 6, 5, 4), (6, 1, 3, 2), padding=(1, 0, 2, 1), groups=6))  # depthwise
@example(
    case=_case((1, 2, 2, 41), (7, 2, 2, 3), padding=(1, 1, 0, 0))
)  # rows over several registers
@example(case=_case((3, 2, 5, 6), (13, 2, 2, 2)))  # more rows than one tile of registers
# no zeros behind the last row but those of the next plane, or of what lies behind the last
@example(case=_case((3, 2, 8, 6), (2, 2, 1, 2), padding=(2, 4, 0, 0), dilation=(3, 1)))
@example(case=_case((3, 1, 5, 2), (2, 1, 1, 3), (5, 1), padding=(1, 2, 0, 4), dilation=(3, 2)))
def test_each_algorithm_equals_the_loops(case, algorithm, dtype):
    _check(case, algorithm, dtype)


@pytest.mark.parametrize("shape", [(1, 2, 3, 2100), (1, 1, 2100, 3), (5, 3, 40, 37)])
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_im2col_equals_naive_where_one_tile_does_not_hold_all(shape, dtype):
    args = dict(stride=(1, 2), padding=(1, 0, 2, 1), dilation=(1, 1))
    w_shape = (8, shape[1], 3, 2)
    x, w, b, gy, window = _arrays(shape, w_shape, args, dtype)
    results = {}
    for name in ("naive", "im2col"):
        with conv_algorithm(name):
            results[name] = (
                tc.kernels.conv.forward(x, w, b, window, 1),
                tc.kernels.conv.input_gradient(gy, w, window, 1, shape[2:]),
                tc.kernels.conv.weight_gradient(gy, x, window, 1),
            )
    for a, b in zip(results["im2col"], results["naive"]):
        tolerance = 3e-5 if dtype == np.float32 else 1e-13
        np.testing.assert_allclose(a, b, atol=tolerance * np.abs(b).max(), rtol=0)


@pytest.mark.parametrize("algorithm", ALGORITHMS)
def test_an_empty_batch_gives_empty_outputs_and_zero_weight_gradients(algorithm):
    window = Window.of((2, 3), padding=1)
    x, w = np.zeros((0, 2, 5, 4), np.float32), np.ones((3, 2, 2, 3), np.float32)
    with conv_algorithm(algorithm):
        y = tc.kernels.conv.forward(x, w, None, window, 1)
        gx = tc.kernels.conv.input_gradient(y, w, window, 1, (5, 4))
        gw = tc.kernels.conv.weight_gradient(y, x, window, 1)
    assert y.shape == (0, 3, 6, 4) and gx.shape == x.shape
    assert gw.shape == w.shape and not gw.any()


@pytest.mark.parametrize("algorithm", ALGORITHMS)
@pytest.mark.parametrize("residual, relu", [(False, False), (True, True)])
def test_images_without_pixels_are_their_padding(algorithm, residual, relu):
    window = Window.of((2, 3), padding=(1, 2, 3, 1))
    x, w = np.ones((2, 3, 0, 5), np.float32), np.ones((4, 3, 2, 3), np.float32)
    b = np.float32([1, -2, np.nan, -4])
    added = np.full((2, 4, 3, 6), 3, np.float32) if residual else None
    with conv_algorithm(algorithm):
        y = tc.kernels.conv.forward(x, w, b, window, 1, added, relu)
        gx = tc.kernels.conv.input_gradient(y, w, window, 1, (0, 5))
        gw = tc.kernels.conv.weight_gradient(y, x, window, 1)
    wanted = [4, 1, np.nan, 0] if residual else b
    np.testing.assert_array_equal(y, np.broadcast_to(np.reshape(wanted, (4, 1, 1)), y.shape))
    assert y.shape == (2, 4, 3, 6) and gx.shape == x.shape and gw.shape == w.shape
    assert y.dtype == gx.dtype == gw.dtype == np.float32 and not gw.any()


@pytest.mark.parametrize("algorithm", ALGORITHMS)
def test_a_nan_or_infinity_reaches_its_windows_and_no_others(algorithm):
    x = np.ones((1, 1, 4, 9), np.float32)
    x[0, 0, 1, 2], x[0, 0, 3, 8] = np.nan, np.inf
    with conv_algorithm(algorithm):
        w = np.ones((1, 1, 2, 2), np.float32)
        y = tc.kernels.conv.forward(x, w, None, Window.of((2, 2)), 1)[0, 0]
    wanted = np.full((3, 8), 4.0)
    wanted[0:2, 1:3] = np.nan
    wanted[2, 7] = np.inf
    np.testing.assert_array_equal(y, wanted)


@pytest.mark.parametrize("algorithm", ALGORITHMS)
def test_strided_and_read_only_arrays_are_taken(algorithm, rng):
    x = rng.standard_normal((2, 5, 6, 3)).transpose(0, 3, 1, 2)[:, :, ::-1]
    w = np.broadcast_to(rng.standard_normal((1, 3, 2, 1)), (4, 3, 2, 3))
    with conv_algorithm(algorithm):
        y = tc.kernels.conv.forward(x, w, None, Window.of((2, 3)), 1)
    np.testing.assert_allclose(y, naive.conv2d(x, w), atol=1e-12)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("algorithm", ALGORITHMS)
def test_results_are_bit_equal_for_any_number_of_threads(algorithm, dtype, threads):
    args = dict(stride=(1, 1), padding=(1, 2, 0, 1), dilation=(1, 1))
    x, w, b, gy, window = _arrays((9, 6, 30, 29), (10, 3, 3, 2), args, dtype)
    results = []
    for number in (1, 2, 3, 4):
        threads(number)
        with conv_algorithm(algorithm):
            results.append(
                (
                    tc.kernels.conv.forward(x, w, b, window, 2),
                    tc.kernels.conv.input_gradient(gy, w, window, 2, x.shape[2:]),
                    tc.kernels.conv.weight_gradient(gy, x, window, 2),
                )
            )
    for other in results[1:]:
        for a, b in zip(results[0], other):
            assert a.tobytes() == b.tobytes()


def test_an_unknown_algorithm_is_refused_with_the_names_there_are():
    with pytest.raises(ValueError, match="'winograd9'.*'im2col'"), conv_algorithm("winograd9"):
        pass


def test_the_algorithm_is_put_back_after_an_error():
    with pytest.raises(ZeroDivisionError), conv_algorithm("naive"):
        raise ZeroDivisionError
    assert tc.kernels.choice.chosen("forward", (1, 1, 4, 4), 1, Window.of(2), 1, 4) != "naive"


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("algorithm", ALGORITHMS)
@given(case=geometries())
def test_a_residual_and_a_relu_come_after_the_sum(algorithm, dtype, case):
    x_shape, w_shape, args, groups = case
    x, w, b, residual, window = _arrays(x_shape, w_shape, args, dtype)
    residual[0, 0, 0, 0] = np.nan
    plain = naive.conv2d(x, w, b, groups=groups, **args) + residual
    with conv_algorithm(algorithm):
        added = tc.kernels.conv.forward(x, w, b, window, groups, residual, False)
        both = tc.kernels.conv.forward(x, w, b, window, groups, residual, True)
        cut = tc.kernels.conv.forward(x, w, b, window, groups, None, True)
    _close(added, plain, dtype)
    _close(both, np.where(plain <= 0, 0, plain), dtype)
    without = naive.conv2d(x, w, b, groups=groups, **args)
    _close(cut, np.where(without <= 0, 0, without), dtype)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("algorithm", ALGORITHMS)
@given(case=geometries())
@example(case=_case((1, 4, 9, 7), (5, 4, 3, 3), padding=(1, 1, 1, 1)))  # Winograd's
@example(case=_case((1, 4, 11, 13), (35, 4, 1, 1)))  # pointwise
@example(case=_case((2, 3, 20, 21), (50, 3, 3, 2), stride=(2, 1)))  # several panels of filters
def test_sums_are_scaled_before_anything_is_added(algorithm, dtype, case):
    x_shape, w_shape, args, groups = case
    x, w, b, residual, window = _arrays(x_shape, w_shape, args, dtype)
    scale = np.linspace(-1, 2, len(w), dtype=dtype)
    with conv_algorithm(algorithm):
        y = tc.kernels.conv.forward(x, w, b, window, groups, residual, False, scale)
        cut = tc.kernels.conv.forward(x, w, b, window, groups, None, True, scale)
    wanted = naive.conv2d(x, w * scale[:, None, None, None], b, groups=groups, **args)
    _close(y, wanted + residual, dtype)
    _close(cut, np.where(wanted <= 0, 0, wanted), dtype)


#: (N, C, O, kernel, H, W, stride, padding, groups): sizes at which work is cut in other places
SIZES = [
    (1, 5, 19, 3, 60, 71, 1, 1, 1),
    (2, 3, 17, 7, 65, 64, 2, 3, 1),
    (3, 70, 33, 1, 9, 11, 1, 0, 1),
    (17, 9, 10, 5, 12, 12, 1, 2, 1),
    (20, 6, 11, 3, 7, 7, 2, 1, 1),
    (33, 12, 20, 5, 6, 8, 1, 0, 2),
    (2, 8, 8, 3, 33, 31, 1, 1, 8),
    (5, 40, 24, 1, 32, 32, 1, 0, 1),
    (2, 16, 30, 1, 15, 16, 2, 0, 1),
    (1, 130, 20, 3, 4, 4, 1, 1, 1),
    (2, 3, 4, 5, 61, 57, 4, 2, 1),
    (9, 2, 7, 3, 33, 64, 2, 1, 1),
    (19, 4, 9, 3, 18, 16, 1, 1, 1),
    (2, 70, 12, 3, 41, 39, 2, 1, 1),
    (1, 130, 100, 3, 6, 7, 2, 1, 1),
    (1, 8, 34, 5, 40, 39, 3, 2, 1),
]


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("size", SIZES, ids=str)
@pytest.mark.parametrize("algorithm", [None, *ALGORITHMS])
def test_sizes_that_are_cut_into_blocks(algorithm, size, dtype):
    N, C, O, k, H, W, stride, padding, groups = size
    args = dict(stride=stride, padding=(padding,) * 4)
    x, w, b, gy, window = _arrays(
        (N, C, H, W), (O // groups * groups, C // groups, k, k), args, dtype
    )
    gy /= np.sqrt(N * H * W)  # so that sums over all pixels have the size of one
    with conv_algorithm("naive"):
        wanted = _three(
            x.astype(float), w.astype(float), b.astype(float), gy.astype(float), window, groups
        )
    with conv_algorithm(algorithm):
        got = _three(x, w, b, gy, window, groups)
    for a, z in zip(got, wanted):
        assert a.dtype == dtype
        scale = np.sqrt(C * k * k) if dtype == np.float32 else 1e-6
        np.testing.assert_allclose(a, z, rtol=0, atol=1e-5 * scale)


def _three(x, w, b, gy, window, groups):
    return (
        tc.kernels.conv.forward(x, w, b, window, groups),
        tc.kernels.conv.input_gradient(gy, w, window, groups, x.shape[2:]),
        tc.kernels.conv.weight_gradient(gy, x, window, groups),
    )


def test_the_choice_is_made_by_shape_and_always_one_that_can():
    rng = np.random.default_rng(0)
    for _ in range(300):
        N, H, W = (int(n) for n in rng.integers(1, 70, 3))
        groups = int(rng.choice([1, 1, 2, 8]))
        channels, filters = groups * int(rng.integers(1, 40)), groups * int(rng.integers(1, 40))
        window = Window.of(
            int(rng.integers(1, 6)), int(rng.integers(1, 3)), int(rng.integers(0, 4))
        )
        for direction in ("forward", "input_gradient", "weight_gradient"):
            for itemsize in (4, 8):
                args = direction, (N, channels, H, W), filters, window, groups, itemsize
                name = tc.kernels.choice.chosen(*args)
                assert name == tc.kernels.choice.chosen(*args)
                assert tc.kernels.choice.supports(name, window, groups, channels, filters)
                assert itemsize == 4 or name != "winograd"
