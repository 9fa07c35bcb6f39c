"""Convolutions, and how their gradients go wrong."""

from dataclasses import replace

import numpy as np

from tinyconv.testing.faults.base import Family, normal
from tinyconv.testing.faults.windows import Windows

family = Family("convolution")


def convolve(x, w, windows, groups=1):
    """y[n, o, p, q] = sum over c, i, j of x[n, c, ...] w[o, c, i, j]."""
    taps = _grouped(windows.gather(x), groups, axis=1)
    y = np.einsum("ngcpqij,gocij->ngopq", taps, _grouped(w, groups, axis=0))
    return y.reshape(len(x), len(w), *y.shape[3:])


def input_gradient(gy, w, windows, image, groups=1):
    gy, w = _grouped(gy, groups, axis=1), _grouped(w, groups, axis=0)
    taps = np.einsum("ngopq,gocij->ngcpqij", gy, w)
    return windows.scatter(taps.reshape(len(gy), -1, *taps.shape[3:]), image)


def weight_gradient(gy, x, windows, groups=1):
    gy, taps = _grouped(gy, groups, axis=1), _grouped(windows.gather(x), groups, axis=1)
    gw = np.einsum("ngopq,ngcpqij->gocij", gy, taps)
    return gw.reshape(-1, *gw.shape[2:])


def _grouped(a, groups, axis):
    """The channels on ``axis`` as (groups, channels of one group)."""
    return a.reshape(*a.shape[:axis], groups, -1, *a.shape[axis + 1 :])


def convolution(name, windows, x_shape, w_shape, groups=1, scale=1.0):
    """The case (x, w) -> y."""
    return family.case(
        name,
        lambda x, w: convolve(x, w, windows, groups),
        lambda gy, x, w: (
            input_gradient(gy, w, windows, x.shape[2:], groups),
            weight_gradient(gy, x, windows, groups),
        ),
        normal(x_shape, w_shape, scale=scale),
    )


plain_windows = Windows((3, 2))
plain = convolution("conv2d", plain_windows, (2, 3, 6, 5), (4, 3, 3, 2))


@family.fault(plain, "flipped", of=0)
def kernel_not_flipped(gy, x, w):
    """The correlation of gy that gives gx takes the kernel turned round; here it is not."""
    return input_gradient(gy, w[:, :, ::-1, ::-1], plain_windows, x.shape[2:])


@family.fault(plain, "flipped", of=1)
def weight_gradient_flipped(gy, x, w):
    """The kernel was turned round for gx, and its gradient then too."""
    return weight_gradient(gy, x, plain_windows)[:, :, ::-1, ::-1]


@family.fault(plain, "misplaced", of=1)
def kernel_sides_mixed_up(gy, x, w):
    """The taps are folded to (kw, kh) instead of (kh, kw): right for square kernels only."""
    gw = weight_gradient(gy, x, plain_windows)
    return gw.swapaxes(2, 3).reshape(w.shape)


@family.fault(plain, "constant factor", of=1)
def averaged_over_the_batch(gy, x, w):
    """The weight gradient is the mean over the batch; the loss has divided already."""
    return weight_gradient(gy, x, plain_windows) / len(x)


@family.fault(plain, "constant factor", of=1)
def a_thousandth_too_large(gy, x, w):
    """A decay of the weights, meant for the optimiser, has found its way into the gradient."""
    return 1.001 * weight_gradient(gy, x, plain_windows)


@family.fault(plain, "lost accumulation", of=0)
def overlaps_overwritten(gy, x, w):
    """col2im assigns where windows overlap: the last one wins instead of all adding up."""
    taps = np.einsum("nopq,ocij->ncpqij", gy, w)
    gx = np.zeros_like(x)
    Ho, Wo = gy.shape[2:]
    for p in range(Ho):
        for q in range(Wo):
            gx[:, :, p : p + 3, q : q + 2] = taps[:, :, p, q]
    return gx


@family.fault(plain, "partly missing", of=0)
def last_row_of_windows_dropped(gy, x, w):
    """The loop over the rows of windows ends one too early."""
    gy = gy.copy()
    gy[:, :, -1] = 0
    return input_gradient(gy, w, plain_windows, x.shape[2:])


@family.fault(plain, "partly missing", of=1)
def last_image_forgotten(gy, x, w):
    """The batch is cut in chunks of equal length, and what is left over is not summed."""
    return weight_gradient(gy[:-1], x[:-1], plain_windows)


@family.fault(plain, "precision", of=0)
def summed_in_single_precision(gy, x, w):
    """The products are cast to float32 on their way through a scratch buffer."""
    return input_gradient(gy, w, plain_windows, x.shape[2:]).astype(np.float32).astype(float)


@family.fault(plain, "sign", of=1)
def sign_of_the_update_rule(gy, x, w):
    """The minus of w -= lr * gw is taken into gw already."""
    return -weight_gradient(gy, x, plain_windows)


strided_windows = Windows((3, 2), stride=(2, 1), padding=(1, 0))
strided = convolution("strided conv2d", strided_windows, (2, 3, 7, 5), (4, 3, 3, 2))


@family.fault(strided, "misplaced", of=0)
def stride_dropped(gy, x, w):
    """col2im puts the windows side by side as if the stride were 1."""
    return input_gradient(gy, w, replace(strided_windows, stride=(1, 1)), x.shape[2:])


@family.fault(strided, "misplaced", of=1)
def strides_swapped(gy, x, w):
    """The stride comes as (width, height): nobody saw it while all strides were square."""
    swapped = replace(strided_windows, stride=(1, 2))
    rows, columns, inside = swapped.places(x.shape[2:], gy.shape[2:])
    taps = np.where(inside, x[:, :, rows.clip(0, 6), columns.clip(0, 4)], 0.0)
    return np.einsum("nopq,ncpqij->ocij", gy, taps)


@family.fault(strided, "shifted", of=0)
def padding_not_cropped(gy, x, w):
    """The padded gradient is cut from its corner, not from where the image lies in it."""
    return input_gradient(gy, w, replace(strided_windows, padding=(0, 0)), x.shape[2:])


@family.fault(strided, "shifted", of=0)
def col2im_one_column_off(gy, x, w):
    """The scatter starts one column late: the index was counted from 1."""
    return np.roll(input_gradient(gy, w, strided_windows, x.shape[2:]), 1, axis=3)


@family.fault(strided, "partly missing", of=0)
def border_row_forgotten(gy, x, w):
    """Rows that windows reach only through the padding are skipped with the padding."""
    gx = input_gradient(gy, w, strided_windows, x.shape[2:])
    gx[:, :, 0] = 0
    return gx


dilated_windows = Windows((2, 3), dilation=(3, 2))
dilated = convolution("dilated conv2d", dilated_windows, (2, 3, 5, 7), (4, 3, 2, 3))


@family.fault(dilated, "misplaced", of=0)
def dilation_dropped(gy, x, w):
    """col2im puts the taps of the kernel side by side."""
    return input_gradient(gy, w, replace(dilated_windows, dilation=(1, 1)), x.shape[2:])


@family.fault(dilated, "misplaced", of=1)
def dilation_used_as_stride(gy, x, w):
    """The weight gradient is itself a convolution, in which stride and dilation change places."""
    wrong = replace(dilated_windows, stride=(3, 2), dilation=(1, 1))
    rows, columns, _ = wrong.places(x.shape[2:], gy.shape[2:])
    taps = x[:, :, rows.clip(0, 4), columns.clip(0, 6)]
    return np.einsum("nopq,ncpqij->ocij", gy, taps)


grouped_windows = Windows((3, 2))
grouped = convolution("grouped conv2d", grouped_windows, (3, 4, 5, 6), (6, 2, 3, 2), groups=2)


@family.fault(grouped, "misplaced", of=1)
def groups_interleaved(gy, x, w):
    """Channel c is taken for a member of group c % 2 instead of c // 2."""
    x = x.reshape(3, 2, 2, 5, 6).swapaxes(1, 2).reshape(x.shape)
    return weight_gradient(gy, x, grouped_windows, 2)


@family.fault(grouped, "misplaced", of=0)
def every_group_goes_to_the_first(gy, x, w):
    """The offset of a group's channels is not advanced: all groups add to the first."""
    gx = input_gradient(gy, w, grouped_windows, x.shape[2:], 2)
    return np.concatenate([gx[:, :2] + gx[:, 2:], np.zeros_like(gx[:, 2:])], axis=1)


depthwise_windows = Windows((2, 3), padding=(1, 1))
depthwise = convolution("depthwise conv2d", depthwise_windows, (2, 3, 4, 5), (6, 1, 2, 3), groups=3)


@family.fault(depthwise, "partly missing", of=0)
def one_output_per_channel(gy, x, w):
    """With two outputs per channel only the first one sends its gradient back."""
    gy = gy.copy()
    gy[:, 1::2] = 0
    return input_gradient(gy, w, depthwise_windows, x.shape[2:], 3)


@family.fault(depthwise, "partly missing", of=1)
def loop_unrolled_by_four(gy, x, w):
    """Channels are done four at a time and the rest, two of six, never."""
    gw = weight_gradient(gy, x, depthwise_windows, 3)
    gw[4:] = 0
    return gw


pointwise = convolution("1x1 conv2d", Windows((1, 1)), (2, 3, 4, 5), (3, 3, 1, 1))


@family.fault(pointwise, "transposed", of=0)
def channels_not_transposed(gy, x, w):
    """gx takes w from outputs to inputs; with as many of either nothing complains."""
    return np.einsum("nohw,coij->nchw", gy, w)


transposed_windows = Windows((3, 2), stride=(2, 1))
transposed = family.case(
    "transposed conv2d",
    lambda x, w: input_gradient(x, w, transposed_windows, (7, 6)),
    lambda gy, x, w: (
        convolve(gy, w, transposed_windows),
        weight_gradient(x, gy, transposed_windows),
    ),
    normal((2, 4, 3, 5), (4, 3, 3, 2)),
)


@family.fault(transposed, "flipped", of=0)
def flipped_once_more(gy, x, w):
    """A transposed convolution's gradient is a plain one: its kernel needs no turning."""
    return convolve(gy, w[:, :, ::-1, ::-1], transposed_windows)


@family.fault(transposed, "shifted", of=1)
def output_padding_on_the_wrong_side(gy, x, w):
    """The row that a stride of 2 leaves over is cut off at the top, not at the bottom."""
    return weight_gradient(x, np.roll(gy, -1, axis=2), transposed_windows)


biased_windows = Windows((2, 3))
biased = family.case(
    "conv2d with bias",
    lambda x, w, b: convolve(x, w, biased_windows) + b[:, None, None],
    lambda gy, x, w, b: (
        input_gradient(gy, w, biased_windows, x.shape[2:]),
        weight_gradient(gy, x, biased_windows),
        gy.sum((0, 2, 3)),
    ),
    normal((3, 2, 4, 5), (4, 2, 2, 3), (4,)),
)


@family.fault(biased, "broadcast", of=2)
def bias_of_the_first_image(gy, x, w, b):
    """The bias gradient is summed over height and width, not over the batch."""
    return gy.sum((2, 3))[0]


@family.fault(biased, "constant factor", of=2)
def bias_averaged_over_the_image(gy, x, w, b):
    """The bias gradient is the mean over height and width where it should be the sum."""
    return gy.mean((2, 3)).sum(0)


@family.fault(biased, "missing", of=2)
def bias_frozen(gy, x, w, b):
    """Bias is off by default, and its gradient stayed at the zeros it was allocated with."""
    return np.zeros_like(b)


shortcut_windows = Windows((3, 3), padding=(1, 1))
shortcut = family.case(
    "shortcut and a small conv2d",
    lambda x, w: x + convolve(x, w, shortcut_windows),
    lambda gy, x, w: (
        gy + input_gradient(gy, w, shortcut_windows, x.shape[2:]),
        weight_gradient(gy, x, shortcut_windows),
    ),
    lambda: tuple([a * s for a, s in zip(normal((2, 3, 4, 5), (3, 3, 3, 3))(), (1, 1e-6))]),
    "A branch that starts with weights of 1e-6, beside a shortcut of size 1.",
)


@family.fault(shortcut, "flipped", of=0)
def small_kernel_not_flipped(gy, x, w):
    """The kernel is not turned round, but it is so small that the shortcut hides it."""
    return gy + input_gradient(gy, w[:, :, ::-1, ::-1], shortcut_windows, x.shape[2:])


@family.fault(shortcut, "unknown", of=0)
def shortcut_forgotten(gy, x, w):
    """Only the branch sends a gradient back, the shortcut past it does not."""
    return input_gradient(gy, w, shortcut_windows, x.shape[2:])


unfold_windows = Windows((2, 3), stride=(1, 2), padding=(0, 1))
unfold = family.case(
    "im2col",
    unfold_windows.gather,
    lambda gy, x: unfold_windows.scatter(gy, x.shape[2:]),
    normal((2, 3, 4, 5)),
)


@family.fault(unfold, "shifted")
def off_by_one_row(gy, x):
    """The row of a window's first tap is counted from 1."""
    taller = unfold_windows.scatter(gy, (6, 5))
    return np.concatenate([0 * taller[:, :, :1], taller[:, :, :3]], axis=2)


@family.fault(unfold, "misplaced")
def taps_swapped(gy, x):
    """Two taps of each window are stored in the other's place: a typo in an unrolled loop."""
    return unfold_windows.scatter(gy[..., [0, 2, 1]], x.shape[2:])


fold_windows = Windows((3, 2), stride=(2, 1))
fold = family.case(
    "col2im",
    lambda taps: fold_windows.scatter(taps, (5, 4)),
    lambda gy, taps: fold_windows.gather(gy),
    normal((2, 1, 2, 3, 3, 2)),
)


@family.fault(fold, "divisor")
def normalised_by_overlap(gy, taps):
    """The gradient is divided by how many windows cover a pixel, as for the mean of patches."""
    count = fold_windows.scatter(np.ones_like(taps), gy.shape[2:])
    return fold_windows.gather(gy / count)


@family.fault(fold, "misplaced")
def windows_column_by_column(gy, taps):
    """The windows are numbered down the columns where forward went along the rows."""
    right = fold_windows.gather(gy)
    return right.swapaxes(2, 3).reshape(right.shape)
