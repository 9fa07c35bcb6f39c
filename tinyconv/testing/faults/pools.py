"""Pools and resizing, and how their gradients go wrong."""

from collections.abc import Callable
from dataclasses import replace

import numpy as np

from tinyconv.testing.faults.base import Family, given, normal, spaced
from tinyconv.testing.faults.windows import Windows

family = Family("pooling")


# -- maximum ------------------------------------------------------------------------------


def max_pool(windows) -> tuple[Callable, Callable]:
    """(forward, backward) of the maximum; padding never wins."""

    def forward(x):
        return windows.gather(x, -np.inf).max((4, 5))

    def backward(gy, x):
        return windows.scatter(gy[..., None, None] * first_maximum(x, windows), x.shape[2:])

    return forward, backward


def first_maximum(x, windows):
    """1 at the first maximum of each window, else 0: (N, C, Ho, Wo, kh, kw)."""
    taps = windows.gather(x, -np.inf)
    flat = taps.reshape(*taps.shape[:4], -1)
    return (np.arange(flat.shape[-1]) == flat.argmax(-1)[..., None]).reshape(taps.shape)


overlapping = Windows((3, 2), stride=(1, 1))
overlap_pool = family.case("overlapping max pool", *max_pool(overlapping), spaced((2, 3, 5, 4)))


@family.fault(overlap_pool, "lost accumulation")
def last_window_wins(gy, x):
    """A pixel that is the maximum of several windows keeps the gradient of the last one only."""
    taken = first_maximum(x, overlapping)
    rows, columns, _ = overlapping.places(x.shape[2:], gy.shape[2:])
    gx = np.zeros_like(x)
    for n, c, p, q, i, j in np.argwhere(taken):
        gx[n, c, rows[p, q, i, j], columns[p, q, i, j]] = gy[n, c, p, q]
    return gx


@family.fault(overlap_pool, "misplaced")
def position_decoded_by_height(gy, x):
    """The number of the largest tap is split by kh where it was made with kw."""
    rows, columns, _ = overlapping.places(x.shape[2:], gy.shape[2:])
    gx = np.zeros_like(x)
    for n, c, p, q, i, j in np.argwhere(first_maximum(x, overlapping)):
        i, j = divmod(2 * i + j, 3)
        gx[n, c, rows[p, q, 0, 0] + i, min(columns[p, q, 0, 0] + j, 3)] += gy[n, c, p, q]
    return gx


@family.fault(overlap_pool, "misplaced")
def everything_to_the_corner(gy, x):
    """The gradient goes to the first pixel of the window, whichever was the largest."""
    corner = np.zeros((3, 2))
    corner[0, 0] = 1
    return overlapping.scatter(gy[..., None, None] * corner, x.shape[2:])


padded = Windows((2, 3), stride=(2, 3), padding=(1, 1))
padded_pool = family.case("padded max pool", *max_pool(padded), spaced((2, 3, 5, 7)))


@family.fault(padded_pool, "shifted")
def index_counts_the_padding(gy, x):
    """The row of the maximum is counted in the padded image and used in the bare one."""
    taken = gy[..., None, None] * first_maximum(x, padded)
    return replace(padded, padding=(0, 1)).scatter(taken, x.shape[2:])


@family.fault(padded_pool, "constant factor")
def average_of_the_window(gy, x):
    """Each maximum gets one share of six, as if the pool were an average."""
    return padded_pool.backward(gy, x) / 6


tied = Windows((2, 3), stride=(2, 3))
tied_values = np.random.default_rng(0).integers(0, 3, (2, 3, 4, 6)).astype(float)
tied_pool = family.case(
    "max pool with ties", *max_pool(tied), given(tied_values),
    "Where several pixels of a window are the largest, the first one gets the gradient.",
)  # fmt: skip


@family.fault(tied_pool, "tie")
def every_largest_pixel_counts(gy, x):
    """All pixels equal to the maximum get the gradient, so a tie counts twice."""
    largest = tied.gather(x) == tied_pool.forward(x)[..., None, None]
    return tied.scatter(gy[..., None, None] * largest, x.shape[2:])


@family.fault(tied_pool, "tie")
def ties_get_nothing(gy, x):
    """Only a pixel larger than all others of its window gets a gradient."""
    largest = tied.gather(x) == tied_pool.forward(x)[..., None, None]
    alone = largest & (largest.sum((4, 5), keepdims=True) == 1)
    return tied.scatter(gy[..., None, None] * alone, x.shape[2:])


# -- average ------------------------------------------------------------------------------


def average_pool(name, windows, arrays, include_pad=True):
    """Divides by the taps on the image and, with ``include_pad``, those on the padding too."""

    def counts(image):
        rows, columns, inside = windows.places(image, windows.counts(image))
        (ph, pw), (H, W) = windows.padding, image
        counted = (rows < H + ph) & (columns < W + pw) if include_pad else inside
        return counted.sum((2, 3))

    def forward(x):
        return windows.gather(x).sum((4, 5)) / counts(x.shape[2:])

    def backward(gy, x):
        return spread(gy / counts(x.shape[2:]), windows, x.shape[2:])

    return family.case(name, forward, backward, arrays)


def spread(shares, windows, image):
    """Adds (N, C, Ho, Wo) to all pixels of each window."""
    return windows.scatter(shares[..., None, None] * np.ones(windows.kernel), image)


hanging = Windows((3, 2), stride=(2, 2), ceil=True)
hanging_pool = average_pool("average pool with ceil_mode", hanging, normal((2, 3, 6, 5)))


@family.fault(hanging_pool, "divisor")
def windows_taken_for_whole(gy, x):
    """Windows that hang over the end divide by what is left of them, their gradient by kh kw."""
    return spread(gy / 6, hanging, x.shape[2:])


@family.fault(hanging_pool, "partly missing")
def hanging_windows_forgotten(gy, x):
    """Backward rounds the number of windows down where forward rounded up."""
    whole = replace(hanging, ceil=False)
    Ho, Wo = whole.counts(x.shape[2:])
    return spread(gy[:, :, :Ho, :Wo] / 6, whole, x.shape[2:])


bare = Windows((2, 3), stride=(1, 2), padding=(1, 1))
bare_pool = average_pool("average pool without padding", bare, normal((2, 3, 4, 5)), False)


@family.fault(bare_pool, "divisor")
def padding_counted(gy, x):
    """count_include_pad=False reached forward only: backward divides by the whole window."""
    return spread(gy / 6, bare, x.shape[2:])


both = Windows((3, 2), stride=(3, 2), padding=(1, 0), ceil=True)
both_pool = average_pool("average pool with padding and ceil_mode", both, normal((2, 3, 6, 5)))


@family.fault(both_pool, "divisor")
def only_pixels_counted(gy, x):
    """count_include_pad=True reached forward only: backward divides by the pixels."""
    counts = both.gather(np.ones((1, 1, 6, 5))).sum((4, 5))
    return spread(gy / counts, both, x.shape[2:])


oblong = Windows((3, 2), stride=(2, 1))
oblong_pool = average_pool("average pool", oblong, normal((2, 3, 7, 5)))


@family.fault(oblong_pool, "constant factor")
def kernel_taken_for_square(gy, x):
    """The divisor is kh kh: every test had a square kernel."""
    return spread(gy / 9, oblong, x.shape[2:])


@family.fault(oblong_pool, "lost accumulation")
def shares_overwritten(gy, x):
    """Where windows overlap, the last share is kept instead of the sum of all."""
    gx = np.zeros_like(x)
    for p, q in np.ndindex(gy.shape[2:]):
        gx[:, :, 2 * p : 2 * p + 3, q : q + 2] = gy[:, :, p, q, None, None] / 6
    return gx


@family.fault(oblong_pool, "partly missing")
def last_row_left_out(gy, x):
    """The loop over rows runs to H - 1, as loops over differences do."""
    gx = oblong_pool.backward(gy, x)
    gx[:, :, -1] = 0
    return gx


# -- adaptive and global -----------------------------------------------------------------


def bins(size, count):
    """Where the bins of an adaptive pool begin and end."""
    return [(p * size // count, -(-(p + 1) * size // count)) for p in range(count)]


def bin_means(size, count):
    """(count, size), each row the mean of one bin."""
    means = np.zeros((count, size))
    for row, (start, stop) in zip(means, bins(size, count)):
        row[start:stop] = 1 / (stop - start)
    return means


down, along = bin_means(5, 3), bin_means(7, 4)  # bins of 2 and 3 that share their border
adaptive = family.case(
    "adaptive average pool",
    lambda x: np.einsum("ph,nchw,qw->ncpq", down, x, along),
    lambda gy, x: np.einsum("ph,ncpq,qw->nchw", down, gy, along),
    normal((2, 3, 5, 7)),
)


@family.fault(adaptive, "divisor")
def bins_taken_for_equal(gy, x):
    """Every gradient is divided by the size of the first bin; others are larger."""
    return np.einsum("ph,ncpq,qw->nchw", (down > 0) / 2, gy, (along > 0) / 2)


@family.fault(adaptive, "partly missing")
def bins_end_too_early(gy, x):
    """Bins end at floor((p + 1) H / Ho) instead of the ceiling, so their last row gets nothing."""
    cut = down.copy()
    for p in range(3):
        cut[p, (p + 1) * 5 // 3 :] = 0
    return np.einsum("ph,ncpq,qw->nchw", cut, gy, along)


global_pool = family.case(
    "global average pool",
    lambda x: x.mean((2, 3)),
    lambda gy, x: np.broadcast_to(gy[..., None, None] / 20, x.shape).copy(),
    normal((2, 3, 4, 5)),
)


@family.fault(global_pool, "constant factor")
def image_taken_for_square(gy, x):
    """The divisor is H H, which is H W for the images of the test."""
    return np.broadcast_to(gy[..., None, None] / x.shape[2] ** 2, x.shape).copy()


def root_mean_square(x):
    return np.sqrt((oblong.gather(x) ** 2).sum((4, 5)))


norm_pool = family.case(
    "L2 pool",
    root_mean_square,
    lambda gy, x: x * spread(gy / root_mean_square(x), oblong, x.shape[2:]),
    normal((2, 3, 5, 4)),
)


@family.fault(norm_pool, "divisor")
def root_not_divided(gy, x):
    """The derivative of a root is one over the root; here it was forgotten."""
    return x * spread(gy, oblong, x.shape[2:])


# -- up again -----------------------------------------------------------------------------


nearest = family.case(
    "nearest upsampling",
    lambda x: x.repeat(2, axis=2).repeat(3, axis=3),
    lambda gy, x: gy.reshape(2, 3, 4, 2, 5, 3).sum((3, 5)),
    normal((2, 3, 4, 5)),
)


@family.fault(nearest, "broadcast")
def one_copy_of_six(gy, x):
    """Only the first of a pixel's copies sends its gradient back."""
    return gy[:, :, ::2, ::3].copy()


def blend(size, count, align=False):
    """(count, size) weights of linear interpolation, by half-pixel centres or aligned corners."""
    steps = np.arange(count)
    at = steps * (size - 1) / (count - 1) if align else (steps + 0.5) * size / count - 0.5
    at = at.clip(0, size - 1)
    return np.maximum(0, 1 - np.abs(at[:, None] - np.arange(size)))


bilinear = family.case(
    "bilinear upsampling",
    lambda x: np.einsum("ph,nchw,qw->ncpq", blend(3, 5), x, blend(4, 7)),
    lambda gy, x: np.einsum("ph,ncpq,qw->nchw", blend(3, 5), gy, blend(4, 7)),
    normal((1, 2, 3, 4)),
)


@family.fault(bilinear, "misplaced")
def corners_aligned(gy, x):
    """Forward interpolates between pixel centres, backward between corners (align_corners)."""
    return np.einsum("ph,ncpq,qw->nchw", blend(3, 5, True), gy, blend(4, 7, True))


shuffle = family.case(
    "pixel shuffle",
    lambda x: x.reshape(2, 3, 2, 2, 4, 5).transpose(0, 1, 4, 2, 5, 3).reshape(2, 3, 8, 10),
    lambda gy, x: gy.reshape(2, 3, 4, 2, 5, 2).transpose(0, 1, 3, 5, 2, 4).reshape(x.shape),
    normal((2, 12, 4, 5)),
)


@family.fault(shuffle, "misplaced")
def rows_and_columns_of_a_block_swapped(gy, x):
    """The two factors of 2 that a channel is made of come back in the other order."""
    return gy.reshape(2, 3, 4, 2, 5, 2).transpose(0, 1, 5, 3, 2, 4).reshape(x.shape)
