"""Pools against loops in Python; their adjoints by the identity <A x, y> = <x, A' y>."""

import naive
import numpy as np
import pytest
from hypothesis import assume, example, given
from hypothesis import strategies as st

import tinyconv as tc
import tinyconv.nn.functional as F
from tinyconv.kernels import Window

DTYPES = pytest.mark.parametrize("dtype", [np.float32, np.float64])


@st.composite
def pools(draw, dilated):
    """(H, W, kernel, stride, padding, dilation) whose windows all meet the image."""
    kh, kw = draw(st.permutations([1, 2, 3, 4]))[:2]
    sh, sw = draw(st.permutations([1, 2, 3, 5]))[:2]
    dh, dw = draw(st.permutations([1, 2, 3]))[:2] if dilated else (1, 1)
    left, right = draw(st.tuples(*[st.integers(0, kw // 2)] * 2))
    top, bottom = draw(st.tuples(*[st.integers(0, kh // 2)] * 2))
    H = max(1, dh * (kh - 1) + 1 - top - bottom) + draw(st.integers(0, 5))
    W = max(1, dw * (kw - 1) + 1 - left - right) + draw(st.integers(0, 6))
    W += H == W
    return H, W, (kh, kw), (sh, sw), (left, right, top, bottom), (dh, dw)


def _image(H, W, dtype, ties=False):
    rng = np.random.default_rng(100 * H + W)
    if ties:
        return rng.integers(0, 3, (2, 3, H, W)).astype(dtype)
    return rng.standard_normal((2, 3, H, W)).astype(dtype)


@DTYPES
@given(case=pools(dilated=True), ceil=st.booleans(), ties=st.booleans())
@example(case=(6, 7, (3, 2), (1, 1), (0, 0, 0, 0), (1, 1)), ceil=False, ties=True)
@example(case=(5, 8, (2, 3), (3, 4), (1, 1, 1, 0), (1, 1)), ceil=True, ties=False)
def test_max_pool_gives_the_first_maximum_and_its_place(case, ceil, ties, dtype):
    H, W, kernel, stride, padding, dilation = case
    x = _image(H, W, dtype, ties)
    try:
        y, index = F.max_pool2d(
            tc.from_numpy(x), kernel, stride, padding, dilation, ceil, return_indices=True
        )
    except ValueError as error:
        assume("sees only padding" not in str(error))
        raise
    wanted, places = naive.max_pool2d(x, kernel, stride, padding, dilation, ceil)
    assert y.dtype == dtype and index.dtype == np.int64
    np.testing.assert_array_equal(y.numpy(), wanted)
    np.testing.assert_array_equal(index.numpy(), places)


@DTYPES
@pytest.mark.parametrize("ceil", [False, True])
@pytest.mark.parametrize("include_pad", [False, True])
@given(case=pools(dilated=False), divisor=st.sampled_from([None, None, 3]))
@example(case=(5, 7, (3, 2), (2, 3), (1, 0, 1, 1), (1, 1)), divisor=None)
@example(case=(7, 5, (4, 3), (3, 2), (1, 1, 2, 2), (1, 1)), divisor=None)
def test_average_pool_divides_by_what_it_says(case, divisor, include_pad, ceil, dtype):
    H, W, kernel, stride, padding, _ = case
    x = _image(H, W, dtype)
    y = F.avg_pool2d(tc.from_numpy(x), kernel, stride, padding, ceil, include_pad, divisor)
    assert y.dtype == dtype
    wanted = naive.avg_pool2d(x, kernel, stride, padding, ceil, include_pad, divisor)
    np.testing.assert_allclose(y.numpy(), wanted, atol=1e-6 if dtype == np.float32 else 1e-14)


@given(H=st.integers(1, 9), W=st.integers(1, 9), Ho=st.integers(1, 5), Wo=st.integers(1, 5))
@example(H=6, W=8, Ho=3, Wo=2)
@example(H=5, W=7, Ho=1, Wo=1)
@example(H=2, W=3, Ho=4, Wo=5)
def test_adaptive_pools_cover_the_image_by_a_grid(H, W, Ho, Wo):
    x = _image(H, W, np.float64)
    average = F.adaptive_avg_pool2d(tc.from_numpy(x), (Ho, Wo)).numpy()
    np.testing.assert_allclose(average, naive.adaptive_pool2d(x, (Ho, Wo), np.mean), atol=1e-14)
    largest, index = F.adaptive_max_pool2d(tc.from_numpy(x), (Ho, Wo), return_indices=True)
    np.testing.assert_array_equal(largest.numpy(), naive.adaptive_pool2d(x, (Ho, Wo), max))
    picked = np.take_along_axis(x.reshape(2, 3, -1), index.numpy().reshape(2, 3, -1), 2)
    np.testing.assert_array_equal(picked.ravel(), largest.numpy().ravel())


@given(case=pools(dilated=False), ceil=st.booleans())
def test_the_average_pool_and_its_adjoint_belong_together(case, ceil):
    H, W, kernel, stride, padding, _ = case
    g = Window.of(kernel, stride, padding)
    shape = g.output_shape(H, W, ceil)
    rng = np.random.default_rng(1)
    x, inverse = _image(H, W, np.float64), rng.uniform(0.5, 2, shape)
    gy = rng.standard_normal((2, 3, *shape))
    y = tc.kernels.pool.average_forward(x, g, inverse)
    gx = tc.kernels.pool.average_gradient(gy, g, inverse, (H, W))
    np.testing.assert_allclose((y * gy).sum(), (x * gx).sum(), atol=1e-11)


def test_overlapping_windows_accumulate_in_the_scatter():
    x = np.zeros((1, 1, 3, 4))
    x[0, 0, 1, 1] = 1  # the maximum of all four windows that hold it
    window = Window.of((2, 2))
    y, chosen = tc.kernels.pool.max_forward(x, window, (2, 3))
    index = tc.kernels.pool.max_index(chosen, window, (3, 4), y.shape)
    gy = np.arange(1.0, 7.0).reshape(1, 1, 2, 3)
    for gx in (
        tc.kernels.pool.scatter(gy, index, (3, 4)),
        tc.kernels.pool.max_gradient(gy, chosen, window, (3, 4)),
    ):
        assert gx[0, 0, 1, 1] == 1 + 2 + 4 + 5


def test_gather_and_scatter_are_adjoint(rng):
    index = rng.integers(0, 20, (2, 3, 3, 2))
    x, gy = rng.standard_normal((2, 3, 4, 5)), rng.standard_normal((2, 3, 3, 2))
    y, gx = tc.kernels.pool.gather(x, index), tc.kernels.pool.scatter(gy, index, (4, 5))
    np.testing.assert_allclose((y * gy).sum(), (x * gx).sum(), atol=1e-12)


@DTYPES
def test_nan_wins_every_window_it_is_in(dtype):
    x = np.zeros((1, 1, 3, 4), dtype)
    x[0, 0, 1, 2], x[0, 0, 0, 0] = np.nan, np.inf
    wanted, places = naive.max_pool2d(x, (2, 2), (1, 1), (0, 0, 0, 0))
    y, index = F.max_pool2d(tc.from_numpy(x), 2, 1, return_indices=True)
    np.testing.assert_array_equal(y.numpy(), wanted)
    np.testing.assert_array_equal(index.numpy(), places)
    assert np.isnan(y.numpy()[0, 0, :, 1:]).all()


def test_minus_infinity_everywhere_still_points_into_the_window():
    x = tc.full((1, 1, 3, 3), -np.inf)
    y, index = F.max_pool2d(x, 2, 1, padding=1, return_indices=True)
    assert (y.numpy() == -np.inf).all()
    assert index.numpy()[0, 0].tolist() == [[0, 0, 1, 2], [0, 0, 1, 2], [3, 3, 4, 5], [6, 6, 7, 8]]


@pytest.mark.parametrize("pool", [F.max_pool2d, F.avg_pool2d])
def test_an_empty_batch_gives_an_empty_result(pool):
    assert pool(tc.zeros(0, 3, 5, 4), (2, 3)).shape == (0, 3, 2, 1)


@pytest.mark.parametrize("pool", [F.max_pool2d, F.avg_pool2d])
def test_an_image_without_pixels_is_refused(pool):
    with pytest.raises(ValueError, match="pool2d"):
        pool(tc.zeros(1, 2, 0, 4), 2, padding=1)


@DTYPES
def test_results_are_bit_equal_for_any_number_of_threads(dtype, threads, rng):
    x = rng.standard_normal((15, 21, 64, 61)).astype(dtype)
    results = []
    for number in (1, 2, 3, 4):
        threads(number)
        t = tc.from_numpy(x).requires_grad_()
        ys = [
            F.max_pool2d(t, (3, 2), (2, 1), 1), F.max_pool2d(t, 3, 1, 1), F.max_pool2d(t, 3, 2, 1),
            F.max_pool2d(t, 2), F.avg_pool2d(t, (3, 2), (2, 1), 1), F.avg_pool2d(t, 3, 1, 1),
        ]  # fmt: skip
        (g,) = tc.autograd.grad(ys, t, [y.detach() for y in ys])
        results.append([result.array for result in (*ys, g)])
    for other in results[1:]:
        assert all(a.tobytes() == b.tobytes() for a, b in zip(results[0], other))


# (H, W, kernel, stride, padding): shapes around register ends, and windows with code of their own
SHAPES = [
    (28, 28, 2, 2, 0), (24, 6, 2, 2, 0), (8, 66, 2, 2, 0), (9, 31, 2, 2, 0), (2, 2, 2, 2, 0),
    (12, 12, 3, 1, 1), (5, 16, 3, 1, 1), (4, 17, 3, 1, 1), (3, 33, 3, 1, 1), (1, 1, 3, 1, 1),
    (19, 56, 3, 2, 1), (11, 37, 3, 2, 0), (16, 35, (5, 4), (3, 5), (2, 1)), (20, 18, 17, 1, 8),
    (40, 33, (1, 3), (4, 1), (0, 1)), (1, 40, 3, 1, 1), (9, 1, 3, 1, 1), (6, 32, 3, 1, 1),
    (2, 15, 3, 1, 1), (3, 70, 3, 1, 1), (10, 14, 2, 2, 0), (5, 7, 2, 2, 0), (4, 35, 2, 2, 0),
    (8, 16, 3, 2, 1), (7, 9, 3, 2, 1), (1, 1, 3, 2, 1), (2, 3, 3, 2, 1), (6, 34, 3, 2, 1),
    (9, 33, 3, 2, 1), (4, 17, 3, 2, 1), (5, 70, 3, 2, 1), (3, 32, 3, 2, 1),
]  # fmt: skip


def _planes_with(special, H, W, dtype, rng):
    x = rng.standard_normal((3, 5, H, W)).astype(dtype)
    if special == "ties":
        x = np.round(x)
    elif special == "all":
        x = rng.choice([np.nan, -np.inf, np.inf, 0, -1], x.shape).astype(dtype)
    elif special == "nowhere":
        x[:] = -np.inf
    elif special is not None:
        x[rng.random(x.shape) < 0.1] = special
    return x


@DTYPES
@pytest.mark.parametrize("H, W, kernel, stride, padding", SHAPES)
@pytest.mark.parametrize("special", [None, "ties", np.nan, -np.inf, np.inf, "all", "nowhere"])
def test_max_pool_and_its_gradient_on_shapes_that_nets_have(
    H, W, kernel, stride, padding, special, dtype, rng
):
    x = _planes_with(special, H, W, dtype, rng)
    t = tc.from_numpy(x).requires_grad_()
    y, index = F.max_pool2d(t, kernel, stride, padding, return_indices=True)
    window = Window.of(kernel, stride, padding)
    wanted, places = naive.max_pool2d(
        x, window[:2], window[2:4], (window.left, window.right, window.top, window.bottom)
    )
    np.testing.assert_array_equal(y.detach().numpy(), wanted)
    np.testing.assert_array_equal(index.numpy(), places)
    gy = rng.standard_normal(y.shape).astype(dtype)
    (gx,) = tc.autograd.grad(y, t, tc.from_numpy(gy), create_graph=True)
    slow = np.zeros((15, H * W), np.float64)
    for plane, where, values in zip(slow, places.reshape(15, -1), gy.reshape(15, -1)):
        np.add.at(plane, where, values)
    np.testing.assert_allclose(gx.detach().numpy().reshape(15, -1), slow, atol=1e-5)
    # and the gradient of the gradient gathers
    ggx = rng.standard_normal(x.shape).astype(dtype)
    seed = tc.from_numpy(gy).requires_grad_()
    (gx,) = tc.autograd.grad(F.max_pool2d(t, kernel, stride, padding), t, seed, create_graph=True)
    (back,) = tc.autograd.grad(gx, seed, tc.from_numpy(ggx))
    gathered = np.take_along_axis(ggx.reshape(15, -1), places.reshape(15, -1), 1)
    np.testing.assert_array_equal(back.numpy().reshape(15, -1), gathered)


@DTYPES
@pytest.mark.parametrize("H, W, kernel, stride, padding", SHAPES)
@pytest.mark.parametrize("include_pad", [True, False])
@pytest.mark.parametrize("special", [None, np.nan, np.inf])
def test_average_pool_and_its_gradient_on_shapes_that_nets_have(
    H, W, kernel, stride, padding, include_pad, special, dtype, rng
):
    x = _planes_with(special, H, W, dtype, rng)
    t = tc.from_numpy(x).requires_grad_()
    y = F.avg_pool2d(t, kernel, stride, padding, count_include_pad=include_pad)
    g = Window.of(kernel, stride, padding)
    with np.errstate(invalid="ignore"):
        wanted = naive.avg_pool2d(
            x, g[:2], g[2:4], (g.left, g.right, g.top, g.bottom), include_pad=include_pad
        )
    np.testing.assert_allclose(
        y.detach().numpy(), wanted, atol=1e-6 if dtype == np.float32 else 1e-14, rtol=1e-6
    )
    gy = rng.standard_normal(y.shape).astype(dtype)
    (gx,) = tc.autograd.grad(y, t, tc.from_numpy(gy))
    # the adjoint, pixel by pixel of one plane: <A e, gy>
    for h, v in {(0, 0), (H - 1, W - 1), (H // 2, W // 2), (0, W - 1), (H // 2, min(W - 1, 15))}:
        unit = np.zeros((1, 1, H, W))
        unit[0, 0, h, v] = 1
        column = naive.avg_pool2d(
            unit, g[:2], g[2:4], (g.left, g.right, g.top, g.bottom), include_pad=include_pad
        )
        slow = (column * gy).sum((2, 3))
        np.testing.assert_allclose(gx.numpy()[:, :, h, v], slow, atol=1e-5)


@DTYPES
@pytest.mark.parametrize("H, W", [(8, 8), (7, 7), (1, 1), (3, 5), (33, 65)])
def test_the_global_average(H, W, dtype, rng):
    x = rng.standard_normal((5, 3, H, W)).astype(dtype)
    t = tc.from_numpy(x).requires_grad_()
    y = F.adaptive_avg_pool2d(t, 1)
    mean = x.mean((2, 3), dtype=np.float64, keepdims=True)
    np.testing.assert_allclose(y.detach().numpy(), mean, rtol=1e-5, atol=1e-7)
    gy = rng.standard_normal(y.shape).astype(dtype)
    (gx,) = tc.autograd.grad(y, t, tc.from_numpy(gy))
    np.testing.assert_allclose(gx.numpy(), np.broadcast_to(gy / (H * W), x.shape), rtol=1e-6)


@DTYPES
@pytest.mark.parametrize("H, W", [(10, 14), (5, 7), (28, 34), (9, 66), (8, 16), (2, 2)])
@pytest.mark.parametrize("special", [None, np.nan, "ties"])
def test_the_gradient_of_a_pool_takes_the_mask_of_a_relu_in_front_of_it(H, W, special, dtype, rng):
    x = tc.from_numpy(np.maximum(_planes_with(special, H, W, dtype, rng), 0))
    window = Window.of(2, 2)
    y, chosen = tc.kernels.pool.max_forward(x.array, window, (H // 2, W // 2))
    gy = rng.standard_normal(y.shape).astype(dtype)
    gx, sums = tc.kernels.pool.masked_gradient(gy, chosen, (H, W), x.array)
    plain = tc.kernels.pool.max_gradient(gy, chosen, window, (H, W))
    np.testing.assert_array_equal(gx, np.where(x.array <= 0, 0, plain))
    np.testing.assert_allclose(sums, gx.sum((0, 2, 3), dtype=float), atol=1e-4)


@pytest.mark.parametrize("H, W", [(9, 8), (6, 13), (20, 38)])
def test_relu_before_pool_has_the_gradients_that_it_has_alone(H, W, rng, monkeypatch):
    x, w = rng.standard_normal((3, 2, H, W)), rng.standard_normal((5, 2, 3, 3))
    b, seed = rng.standard_normal(5), rng.standard_normal((3, 5, H // 2, W // 2))
    found, calls, pool = [], [], tc.kernels.pool
    masked = pool.masked_gradient
    monkeypatch.setattr(pool, "masked_gradient", lambda *a: calls.append(fused) or masked(*a))
    for fused in (True, False):
        with tc.autograd.fusion(fused):
            arrays = [tc.from_numpy(a).requires_grad_() for a in (x, w, b, seed)]
            y = F.max_pool2d(F.relu(F.conv2d(*arrays[:3], padding=1)), 2)
            first = tc.autograd.grad(y, arrays[:3], arrays[3].detach(), retain_graph=True)
            again = tc.autograd.grad(y, arrays[:3], arrays[3], create_graph=True)
            second = tc.autograd.grad([(g * g).sum() for g in again], [*arrays[:2], arrays[3]])
            found.append([g.detach().numpy() for g in (*first, *again, *second)])
    assert calls and all(calls)
    for a, b in zip(*found):
        np.testing.assert_allclose(a, b, atol=1e-10)
