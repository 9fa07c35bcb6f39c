import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tinyconv.autograd import Tensor
from tinyconv.data import (
    Compose,
    ImageDataset,
    Normalize,
    RandomCrop,
    RandomHorizontalFlip,
    RandomShift,
    uniforms,
)
from tinyconv.data.draws import AUGMENT, ORDER


@pytest.fixture(scope="module")
def batch():
    return np.random.default_rng(1).random((11, 3, 5, 7), dtype=np.float32)


# -- transforms against loops over images and pixels ----------------------------------------


@settings(deadline=None, max_examples=40)
@given(
    h=st.integers(1, 9),
    w=st.integers(1, 9),
    ph=st.integers(0, 2),
    pw=st.integers(1, 3),
    seed=st.integers(0, 99),
)
def test_crop_is_a_window_of_the_padded_image(batch, h, w, ph, pw, seed):
    u = uniforms((seed, 0), len(batch), 2)
    crop = RandomCrop((h, w), padding=(ph, pw), fill=0.5)
    rows, columns = 5 + 2 * ph - h + 1, 7 + 2 * pw - w + 1
    if rows < 1 or columns < 1:
        with pytest.raises(ValueError, match=f"a window of {h}x{w} does not fit"):
            crop(batch, u)
        return
    found = crop(batch, u)
    assert found.dtype == np.float32
    assert found.shape == (11, 3, h, w)
    for n in range(len(batch)):
        top, left = int(u[n, 0] * rows) - ph, int(u[n, 1] * columns) - pw
        for i in range(h):
            for j in range(w):
                y, x = top + i, left + j
                inside = 0 <= y < 5 and 0 <= x < 7
                expected = batch[n, :, y, x] if inside else np.float32(0.5)
                np.testing.assert_array_equal(found[n, :, i, j], expected)


def test_shift_reaches_each_offset_and_no_other(batch):
    image = np.zeros((1, 1, 5, 7), np.float32)
    image[0, 0, 2, 3] = 1
    seen = set()
    for u in uniforms((0, 0), 400, 2):
        moved = RandomShift((1, 2))(image, u[None])
        assert moved.shape == image.shape
        seen.add(tuple(np.argwhere(moved[0, 0])[0] - (2, 3)))
    assert seen == {(i, j) for i in (-1, 0, 1) for j in (-2, -1, 0, 1, 2)}


def test_flip_is_per_image(batch):
    u = np.linspace(0, 0.99, len(batch))[:, None]
    found = RandomHorizontalFlip(0.3)(batch, u)
    for image, before, draw in zip(found, batch, u[:, 0], strict=True):
        np.testing.assert_array_equal(image, before[:, :, ::-1] if draw < 0.3 else before)


def test_normalize_is_per_channel(batch):
    mean, std = (0.1, 0.2, 0.3), (0.5, 0.6, 0.7)
    found = Normalize(mean, std)(batch)
    assert found.dtype == np.float32
    for c in range(3):
        np.testing.assert_allclose(found[:, c], (batch[:, c] - mean[c]) / std[c], rtol=1e-5)


def test_compose_gives_each_its_columns(batch):
    u = uniforms((3, 0), len(batch), 3)
    flip, crop, norm = RandomHorizontalFlip(), RandomCrop(4), Normalize((0.5,) * 3, (0.2,) * 3)
    both = Compose([flip, norm, np.negative, crop])
    assert both.draws == 3
    expected = crop(-norm(flip(batch, u[:, :1])), u[:, 1:])
    np.testing.assert_array_equal(both(batch, u), expected)


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda x: RandomCrop(0), "size is 0, must be an int or a pair of ints, 1 or more"),
        (lambda x: RandomCrop((1, 2, 3)), "size is"),
        (lambda x: RandomCrop(3, padding=-1), "padding is -1"),
        (lambda x: RandomShift(1.5), "pixels is 1.5"),
        (lambda x: RandomHorizontalFlip(2), "p is 2, must be a probability"),
        (lambda x: Normalize((0.5,), (0.5, 1.0)), "one number for each channel"),
        (lambda x: Normalize((0.5,), (0.0,)), "every std above 0"),
        (lambda x: Normalize((0.5,), (1.0,))(x), "have 3 channels"),
        (lambda x: Normalize((0.5,), (1.0,))(x[0]), r"wants a batch \(N, C, H, W\)"),
        (lambda x: RandomShift(1)(x, None), r"u of shape \(11, 2\).*got none"),
        (lambda x: RandomShift(1)(x, np.zeros((11, 3))), r"got \(11, 3\)"),
        (lambda x: Compose([RandomShift(1)])(x), "got none"),
    ],
)
def test_transforms_refuse(batch, call, message):
    with pytest.raises(ValueError, match=message):
        call(batch)


# -- the numbers that drive them --------------------------------------------------------


def test_uniforms_are_uniform_and_keys_are_apart():
    table = uniforms((0, 0), 5000, 2)
    assert table.min() >= 0
    assert table.max() < 1
    counts = np.histogram(table, bins=10, range=(0, 1))[0]
    assert counts.min() > 850, "about 1000 each"
    assert abs(np.corrcoef(table.T)[0, 1]) < 0.05
    keys = [(0, 0), (0, 1), (1, 0), (0, 0, 0), (0, 0, 1), (2**64, 0)]
    tables = [uniforms(key, 8, 1, purpose) for key in keys for purpose in (AUGMENT, ORDER)]
    for k, a in enumerate(tables):
        assert not any(np.array_equal(a, b) for b in tables[:k])


# -- ImageDataset -------------------------------------------------------------------------


def test_items_are_scaled_images_and_int_labels(make_images):
    images = make_images()
    image, label = images[5]
    assert isinstance(image, Tensor)
    assert type(label) is int
    assert image.dtype == np.float32
    np.testing.assert_array_equal(image.array, images.images[5].astype(np.float32) / 255)
    assert label == 1
    assert images[-1][1] == 22 % 4
    with pytest.raises(IndexError):
        images[23]
    assert len(list(images)) == 23


def test_batches_are_the_items(make_images):
    images = make_images(transform=Compose([RandomShift(1), RandomHorizontalFlip()]))
    direct = images[0]
    assert not np.array_equal(images.for_epoch((5, 2))[0][0].array, direct[0].array)
    for view in (images, images.for_epoch((5, 2))):
        for row, (image, label) in zip([4, 20, 4], view.__getitems__([4, 20, 4]), strict=True):
            np.testing.assert_array_equal(image.array, view[row][0].array)
            assert label == view[row][1]


def test_transform_may_be_a_plain_function_and_set_later(make_images):
    images = make_images()
    assert images.for_epoch((0, 1)) is images, "nothing random"
    images.transform = lambda x: x[:, :, ::2]
    assert images[0][0].shape == (3, 3, 7)
    images.transform = RandomCrop(4)
    assert images[0][0].shape == (3, 4, 4)
    images.transform = RandomHorizontalFlip(1.0)
    np.testing.assert_array_equal(
        images[0][0].array, images.images[0, :, :, ::-1] / np.float32(255)
    )


@pytest.mark.parametrize(
    ("images", "labels", "message"),
    [
        (np.zeros((2, 3, 4, 5)), [0, 1], "images are float64"),
        (np.zeros((2, 4, 5), np.uint8), [0, 1], r"of shape \(2, 4, 5\)"),
        (np.zeros((0, 3, 4, 5), np.uint8), [], "none of them 0"),
        (np.zeros((2, 3, 4, 5), np.uint8), [0], r"labels are int64 of shape \(1,\)"),
        (np.zeros((2, 3, 4, 5), np.uint8), [0.0, 1.0], "labels are float64"),
        (np.zeros((2, 3, 4, 5), np.uint8), [0, 2], "label 2 of image 1 is outside 0 to 1"),
        (np.zeros((2, 3, 4, 5), np.uint8), [-1, 0], "label -1 of image 0"),
    ],
)
def test_image_dataset_refuses(images, labels, message):
    with pytest.raises(ValueError, match=f"'pets'.*{message}"):
        ImageDataset(images, labels, ("cat", "dog"), "pets")
