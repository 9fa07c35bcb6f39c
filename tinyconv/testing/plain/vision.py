"""Ops that move pixels, pixel by pixel."""

import itertools
import math

import numpy as np

from tinyconv.testing.plain.table import oracle


@oracle("F.pixel_shuffle", "tc.pixel_shuffle")
def pixel_shuffle(x, r):
    *lead, C, H, W = x.shape
    y = np.zeros((*lead, C // (r * r), H * r, W * r), x.dtype)
    for i, j in itertools.product(range(r), range(r)):
        y[..., i::r, j::r] = x[..., i * r + j :: r * r, :, :]
    return y


@oracle("F.pixel_unshuffle", "tc.pixel_unshuffle")
def pixel_unshuffle(x, r):
    *lead, C, H, W = x.shape
    y = np.zeros((*lead, C * r * r, H // r, W // r), x.dtype)
    for i, j in itertools.product(range(r), range(r)):
        y[..., i * r + j :: r * r, :, :] = x[..., i::r, j::r]
    return y


@oracle("F.channel_shuffle", "tc.channel_shuffle")
def channel_shuffle(x, groups):
    C = x.shape[1]
    return x[:, [g * (C // groups) + k for k in range(C // groups) for g in range(groups)]]


# -- columns ----------------------------------------------------------------------------------
def _pair(n):
    return n if isinstance(n, tuple) else (n, n)


def _places(image, kernel_size, dilation, padding, stride):
    """(row of the columns, column of it, pixel) of all that lies inside of the image."""
    (kh, kw), (dh, dw), (ph, pw), (sh, sw) = map(_pair, (kernel_size, dilation, padding, stride))
    H, W = image
    Ho = (H + 2 * ph - dh * (kh - 1) - 1) // sh + 1
    Wo = (W + 2 * pw - dw * (kw - 1) - 1) // sw + 1
    found = []
    for i, j, p, q in itertools.product(range(kh), range(kw), range(Ho), range(Wo)):
        h, v = p * sh + i * dh - ph, q * sw + j * dw - pw
        if 0 <= h < H and 0 <= v < W:
            found.append((i * kw + j, p * Wo + q, h, v))
    return found, kh * kw, Ho * Wo


@oracle("F.unfold")
def unfold(x, kernel_size, dilation=1, padding=0, stride=1):
    *lead, C, H, W = x.shape
    found, rows, columns = _places((H, W), kernel_size, dilation, padding, stride)
    y = np.zeros((*lead, C, rows, columns), x.dtype)
    for row, column, h, v in found:
        y[..., row, column] = x[..., h, v]
    return y.reshape(*lead, C * rows, columns)


@oracle("F.fold")
def fold(x, output_size, kernel_size, dilation=1, padding=0, stride=1):
    found, rows, columns = _places(output_size, kernel_size, dilation, padding, stride)
    *lead, R, _ = x.shape
    x = x.reshape(*lead, R // rows, rows, columns)
    y = np.zeros((*lead, R // rows, *output_size), x.dtype)
    for row, column, h, v in found:
        y[..., h, v] += x[..., row, column]
    return y


# -- other sizes ------------------------------------------------------------------------------
def _cubic(d):
    """Keys' kernel at a distance, a = -3/4."""
    a, d = -0.75, abs(d)
    if d <= 1:
        return (a + 2) * d**3 - (a + 3) * d**2 + 1
    return a * (d**3 - 5 * d**2 + 8 * d - 4) if d < 2 else 0.0


def _line(x, m, scale, mode, align_corners):
    """One line of numbers at m places."""
    n, y = len(x), []
    for i in range(m):
        if mode == "area":
            y.append(x[i * n // m : -(-(i + 1) * n // m)].mean())
            continue
        if mode == "nearest":
            y.append(x[min(math.floor(i * scale), n - 1)])
            continue
        if mode == "nearest-exact":
            y.append(x[min(math.floor((i + 0.5) * scale), n - 1)])
            continue
        at = (i * (n - 1) / (m - 1) if m > 1 else 0) if align_corners else (i + 0.5) * scale - 0.5
        kernel = _cubic if mode == "bicubic" else lambda d: max(0.0, 1 - abs(d))
        near = range(math.floor(at) - 1, math.floor(at) + 3)
        y.append(sum(kernel(at - k) * x[min(max(k, 0), n - 1)] for k in near))
    return np.array(y)


@oracle("F.interpolate", "F.upsample")
def interpolate(
    x, size=None, scale_factor=None, mode="nearest", align_corners=None,
    recompute_scale_factor=None,
):  # fmt: skip
    for axis in range(2, x.ndim):
        n = x.shape[axis]
        if size is None:
            f = scale_factor[axis - 2] if isinstance(scale_factor, tuple) else scale_factor
            m = math.floor(n * f)
            scale = n / m if recompute_scale_factor else 1 / f
        else:
            m = size[axis - 2] if isinstance(size, tuple) else size
            scale = n / m
        x = np.apply_along_axis(_line, axis, x, m, scale, mode, align_corners)
    return x


oracle("F.upsample_nearest")(interpolate)
oracle("F.upsample_bilinear")(
    lambda x, size=None, scale_factor=None: interpolate(x, size, scale_factor, "bilinear", True)
)


# -- places between pixels --------------------------------------------------------------------
def _inside(at, n, padding_mode, align_corners):
    if padding_mode == "zeros":
        return at
    if padding_mode == "reflection":
        low, high = (0, n - 1) if align_corners else (-0.5, n - 0.5)
        while low < high and not low <= at <= high:
            at = 2 * low - at if at < low else 2 * high - at
        at = low if low == high else at
    return min(max(at, 0), n - 1)


@oracle("F.grid_sample")
def grid_sample(x, grid, mode="bilinear", padding_mode="zeros", align_corners=None):
    N, C, *image = x.shape
    y = np.zeros((N, C, *grid.shape[1:-1]))
    reach = {"nearest": 0, "bilinear": 1, "bicubic": 2}[mode]
    for n, *out in itertools.product(range(N), *map(range, grid.shape[1:-1])):
        choices = []
        for at, size in zip(grid[(n, *out)][::-1], image):
            at = (at + 1) / 2 * (size - 1) if align_corners else ((at + 1) * size - 1) / 2
            if mode != "bicubic":
                at = _inside(at, size, padding_mode, align_corners)
            if mode == "nearest":
                choices.append([(round(at), 1.0)])
                continue
            kernel = _cubic if mode == "bicubic" else lambda d: 1 - abs(d)
            low = math.floor(at)
            choices.append([])
            for k in range(low - reach + 1, low + reach + 1):
                pixel = k
                if mode == "bicubic":
                    pixel = round(_inside(k, size, padding_mode, align_corners))
                choices[-1].append((pixel, kernel(at - k)))
        for corner in itertools.product(*choices):
            pixel = tuple(k for k, _ in corner)
            if all(0 <= k < size for k, size in zip(pixel, image)):
                weight = math.prod(w for _, w in corner)
                y[(n, slice(None), *out)] += weight * x[(n, slice(None), *pixel)]
    return y


@oracle("F.affine_grid")
def affine_grid(theta, size, align_corners=None):
    y = np.zeros((size[0], *size[2:], len(size) - 2))
    for n, *at in itertools.product(range(size[0]), *map(range, size[2:])):
        place = []
        for i, count in zip(at[::-1], size[:1:-1]):
            ends = count - 1 if align_corners else count
            start = i if align_corners else i + 0.5
            place.append(2 * start / ends - 1 if count > 1 else 0.0)
        y[(n, *at)] = theta[n] @ np.array([*place, 1.0])
    return y
