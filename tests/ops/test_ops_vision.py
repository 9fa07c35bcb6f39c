"""Borders, columns, other sizes, places between pixels: what the registered cases do not show."""

import itertools

import numpy as np
import pytest
from arrays import uniform

import tinyconv as tc
import tinyconv.nn.functional as F

NAN = float("nan")


def gradient(y, *inputs):
    return [g.numpy() for g in tc.autograd.grad(y, inputs, tc.ones_like(y))]


# -- pad ----------------------------------------------------------------------------------------
def test_pad_of_integers_read_only_and_reversed():
    x = np.arange(12).reshape(1, 3, 4)[:, ::-1]
    x.flags.writeable = False
    for mode, name in dict(reflect="reflect", replicate="edge", circular="wrap").items():
        y = F.pad(tc.tensor(x), (2, 1), mode)
        assert y.dtype == np.int64
        np.testing.assert_array_equal(y.numpy(), np.pad(x, [(0, 0), (0, 0), (2, 1)], name))


def test_pad_of_an_empty_batch():
    for mode in ("reflect", "replicate", "circular"):
        assert F.pad(tc.ones(0, 2, 3, 4), (1, 2, 0, 1), mode).shape == (0, 2, 4, 7)


def test_a_border_wider_than_the_image_repeats_its_end():
    x = tc.tensor([[1.0, 2.0]], requires_grad=True)
    y = F.pad(x, (3, 4), "replicate")
    assert y.tolist() == [[1, 1, 1, 1, 2, 2, 2, 2, 2]]
    assert gradient(y, x)[0].tolist() == [[4, 5]]


def test_a_mirror_shows_what_was_cut_off_and_a_ring_does_not():
    x = tc.tensor([[1.0, 2.0, 3.0]])
    assert F.pad(x, (-2, 2), "reflect").tolist() == [[3, 2, 1]]
    assert F.pad(x, (-1, 1), "circular").tolist() == [[2, 3, 2]]


@pytest.mark.parametrize(
    "shape, pad, options, words",
    [
        ((2, 3), (1, 1, 1), {}, r"pad: \(1, 1, 1\) for 2 dimensions"),
        ((3,), (1,) * 4, {}, "pad: .* for 1 dimensions"),
        ((2, 3), (-2, -2), {}, "crops more than"),
        ((2, 3), (-4, 3), {}, "crops more than"),
        ((2, 3), (1, 1), dict(mode="mirror"), "mode='mirror'; wants 'constant', 'reflect'"),
        ((2, 3), (1, 1), dict(mode="reflect", value=2.0), "takes no value, got 2.0"),
        ((2, 3), (3, 0), dict(mode="reflect"), "must be less than the size of its axis, 3"),
        ((2, 3), (4, 0), dict(mode="circular"), "must be at most the size of its axis, 3"),
        ((3,), (1, 1), dict(mode="replicate"), r"2 numbers pad \(C, W\)"),
        ((1, 2, 3, 4), (1, 1), dict(mode="reflect"), r"2 numbers pad \(C, W\)"),
        ((1, 2, 0), (1, 1), dict(mode="replicate"), "only the batch may be empty"),
        ((1, 3), (-3, 1), dict(mode="circular"), "too little is left"),
    ],
)
def test_pads_that_can_not_be(shape, pad, options, words):
    with pytest.raises(ValueError, match=f"pad: .*{words}|{words}"):
        F.pad(tc.ones(shape), pad, **options)


# -- columns ------------------------------------------------------------------------------------
def test_a_convolution_is_a_product_with_columns():
    x, w = (tc.from_numpy(uniform(s)) for s in [(2, 3, 7, 6), (4, 3, 3, 2)])
    window = dict(dilation=(1, 2), padding=(2, 1), stride=(2, 1))
    columns = F.unfold(x, (3, 2), **window)
    y = F.conv2d(x, w, **window)
    np.testing.assert_allclose((w.flatten(1) @ columns).reshape(y.shape).numpy(), y.numpy())


def test_fold_counts_how_often_a_pixel_is_seen():
    columns = F.unfold(tc.ones(1, 4, 5), (2, 3))
    assert F.fold(columns, (4, 5), (2, 3))[0].tolist() == [
        [1, 2, 3, 2, 1], [2, 4, 6, 4, 2], [2, 4, 6, 4, 2], [1, 2, 3, 2, 1]
    ]  # fmt: skip


def test_columns_of_an_empty_batch():
    assert F.unfold(tc.ones(0, 2, 3, 4), 2).shape == (0, 8, 6)
    assert F.fold(tc.ones(0, 8, 6), (3, 4), 2).shape == (0, 2, 3, 4)


@pytest.mark.parametrize(
    "call, words",
    [
        (lambda: F.unfold(tc.ones(2, 3), 2), r"unfold: wants \(N, C, H, W\) .* got \[2, 3\]"),
        (lambda: F.unfold(tc.ones(1, 2, 3), 4), "unfold: a window of 4 x 4 .* does not fit"),
        (lambda: F.unfold(tc.ones(0, 3, 3), 2), "unfold: .*only the batch empty"),
        (lambda: F.fold(tc.ones(8, 5), (3, 4), 2), r"fold: shape \[8, 5\] .* 2 \* 3 numbers"),
        (lambda: F.fold(tc.ones(7, 6), (3, 4), 2), r"fold: .*C \* 4 x 2 \* 3"),
        (lambda: F.fold(tc.ones(8), (3, 4), 2), "fold: wants"),
        (lambda: F.pixel_shuffle(tc.ones(6, 2, 2), 2), r"pixel_shuffle: .*\[6, 2, 2\]"),
        (lambda: F.pixel_unshuffle(tc.ones(1, 2, 3), 2), "pixel_unshuffle: downscale_factor=2"),
        (lambda: F.channel_shuffle(tc.ones(1, 5, 2), 2), "channel_shuffle: groups=2"),
    ],
)
def test_columns_and_shuffles_that_can_not_be(call, words):
    with pytest.raises(ValueError, match=words):
        call()


# -- other sizes --------------------------------------------------------------------------------
@pytest.mark.parametrize("mode", ["linear", "nearest", "area"])
@pytest.mark.parametrize("value", [np.inf, -np.inf, np.nan])
def test_what_is_not_finite_stays_where_it_is(mode, value):
    x = np.ones((1, 1, 9))
    x[..., 4] = value
    y = F.interpolate(tc.tensor(x), 18, mode=mode).numpy()[0, 0]
    assert not np.isfinite(y[8:10]).any()
    assert (y[:7] == 1).all() and (y[11:] == 1).all()


def test_a_gradient_that_is_not_finite_stays_where_it_is():
    x = tc.ones(1, 1, 9, requires_grad=True)
    gy = np.ones((1, 1, 18), np.float32)
    gy[..., 8] = np.inf
    (gx,) = tc.autograd.grad(F.interpolate(x, 18, mode="linear"), x, tc.tensor(gy))
    assert np.isinf(gx.numpy()[0, 0, [3, 4]]).all() and np.isfinite(gx.numpy()).sum() == 7


@pytest.mark.parametrize("n, m", [(32, 64), (7, 200), (200, 7), (130, 131), (1, 90), (90, 1)])
@pytest.mark.parametrize("mode", ["linear", "nearest"])
def test_large_images_by_lines(n, m, mode):
    """A large matrix is multiplied in pieces; here a line of a ramp shows each place."""
    x = tc.arange(n, dtype=tc.float64).reshape(1, 1, n).requires_grad_()
    y = F.interpolate(x, m, mode=mode)
    places = np.clip((np.arange(m) + 0.5) * n / m - 0.5, 0, n - 1)
    if mode == "nearest":
        places = np.arange(m) * n // m
    np.testing.assert_allclose(y.detach().numpy()[0, 0], places, atol=1e-12)
    (gx,) = gradient(y, x)
    np.testing.assert_allclose(gx.sum(), m)
    np.testing.assert_allclose((gx[0, 0] * np.arange(n)).sum(), places.sum())


def test_sizes_without_images():
    for mode in ("nearest", "bilinear", "bicubic", "area"):
        y = F.interpolate(tc.ones(0, 2, 3, 4, requires_grad=True), (5, 6), mode=mode)
        assert y.shape == (0, 2, 5, 6)


def test_dtypes_of_other_sizes():
    assert F.interpolate(tc.ones(1, 1, 2, 2), 3, mode="bilinear").dtype == np.float32
    assert F.interpolate(tc.ones(1, 1, 2, dtype=tc.uint8), 3).tolist() == [[[1, 1, 1]]]
    with pytest.raises(TypeError, match="interpolate: wants a float32 or float64 tensor, got int"):
        F.interpolate(tc.ones(1, 1, 2, dtype=tc.int64), 3, mode="linear")


@pytest.mark.parametrize(
    "shape, options, words",
    [
        ((1, 1, 4), {}, "size=None, scale_factor=None; give one"),
        ((1, 1, 4), dict(size=2, scale_factor=2), "give one of the two"),
        ((1, 1, 4), dict(size=(2, 2)), r"size=\(2, 2\) for images of 1 axes \[4\]"),
        ((1, 1, 4), dict(size=2, mode="bilinear"), "mode='bilinear' wants 4 dimensions"),
        ((4, 4), dict(size=2), "wants 3, 4 or 5 dimensions"),
        ((1, 1, 4), dict(size=2, mode="lanczos"), "mode='lanczos'; wants one of nearest"),
        ((1, 1, 4), dict(size=2, align_corners=False), "align_corners=False with mode='nearest'"),
        ((1, 1, 4), dict(scale_factor=0.1), r"from \[4\] to \[0\]"),
        ((1, 1, 0), dict(size=3), r"from \[0\] to \[3\]"),
        ((1, 1, 4), dict(size=2, recompute_scale_factor=True), "goes with scale_factor"),
        ((1, 1, 4, 4), dict(size=2, mode="bilinear", antialias=True), "antialias=True is not"),
    ],
)
def test_sizes_that_can_not_be(shape, options, words):
    with pytest.raises(ValueError, match=f"interpolate: .*{words}"):
        F.interpolate(tc.ones(shape), **options)


# -- places between pixels ------------------------------------------------------------------------
@pytest.mark.parametrize("align", [True, False])
@pytest.mark.parametrize("mode", ["bilinear", "nearest", "bicubic"])
def test_the_identity_gives_the_image(mode, align):
    x = tc.from_numpy(uniform((2, 3, 4, 5)))
    grid = F.affine_grid(tc.eye(2, 3, dtype=x.dtype).expand(2, 2, 3), x.shape, align)
    y = F.grid_sample(x, grid, mode, align_corners=align)
    np.testing.assert_allclose(y.numpy(), x.numpy(), atol=1e-12)


def test_places_that_are_no_numbers():
    x = tc.arange(12.0).reshape(1, 1, 3, 4)
    grid = tc.tensor([[[[NAN, 0.0], [np.inf, 0.0], [1e30, 0.0]]]])
    found = {p: F.grid_sample(x, grid, "nearest", p).flatten().tolist()
             for p in ("zeros", "border", "reflection")}  # fmt: skip
    assert found == {"zeros": [0, 0, 0], "border": [4, 7, 7], "reflection": [4, 4, 4]}
    assert np.isnan(F.grid_sample(x, grid).numpy()[0, 0, 0, 0])


def test_beyond_the_border_places_have_no_slope():
    x = tc.arange(4.0).reshape(1, 1, 1, 4)
    grid = tc.tensor([[[[-1.5, 0.0], [0.1, 0.0], [2.0, 0.0]]]], requires_grad=True)
    (slope,) = gradient(F.grid_sample(x, grid, padding_mode="border"), grid)
    np.testing.assert_allclose(slope[0, 0, :, 0], [0, 2, 0], rtol=1e-6)


def test_slopes_at_pixels_and_at_the_ends():
    x = tc.tensor([[[[0.0, 1.0, 3.0, 6.0, 6.0]]]])
    grid = tc.tensor([[[[-0.5, 0.0], [-1.0, 0.0], [1.0, 0.0]]]], requires_grad=True)
    options = dict(padding_mode="border", align_corners=True)
    (slope,) = gradient(F.grid_sample(x, grid, **options), grid)
    np.testing.assert_allclose(slope[0, 0, :, 0], [2 * 2, 0, 0], rtol=1e-6)
    (slope,) = gradient(F.grid_sample(x, grid, "nearest", **options), grid)
    assert not slope.any()


def test_samples_of_an_empty_batch():
    for mode, padding in itertools.product(("bilinear", "nearest", "bicubic"), ("zeros", "border")):
        y = F.grid_sample(tc.ones(0, 2, 3, 4), tc.ones(0, 5, 6, 2), mode, padding)
        assert y.shape == (0, 2, 5, 6)


@pytest.mark.parametrize(
    "x, grid, options, words",
    [
        ((1, 1, 2), (1, 2, 2, 2), {}, r"wants \(N, C, H, W\) and \(N, Ho, Wo, 2\)"),
        ((1, 1, 2, 2), (2, 2, 2, 2), {}, "the batches must be equal"),
        ((1, 1, 2, 2), (1, 2, 2, 3), {}, "the grid's last size 2"),
        ((1, 1, 0, 2), (1, 2, 2, 2), {}, "the image has no pixels"),
        ((1, 1, 2, 2), (1, 2, 2, 2), dict(mode="linear"), "mode='linear'"),
        ((1, 1, 2, 2), (1, 2, 2, 2), dict(padding_mode="same"), "padding_mode='same'"),
        ((1, 1, 1, 2, 2), (1, 1, 2, 2, 3), dict(mode="bicubic"), "'bicubic' is for 4-d"),
    ],
)
def test_samples_that_can_not_be(x, grid, options, words):
    with pytest.raises(ValueError, match=f"grid_sample: .*{words}"):
        F.grid_sample(tc.ones(x), tc.ones(grid), **options)


@pytest.mark.parametrize("theta, size", [((2, 3), (1, 1, 2, 2)), ((1, 2, 3), (1, 1, 0, 2)),
                                         ((1, 2, 3), (2, 1, 2, 2))])  # fmt: skip
def test_affine_grids_that_can_not_be(theta, size):
    with pytest.raises(ValueError, match="affine_grid: theta of shape"):
        F.affine_grid(tc.ones(theta), size)
