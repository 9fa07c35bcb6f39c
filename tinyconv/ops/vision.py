"""Pixels to channels and back. All composed of reshape and permute."""

from tinyconv.autograd import Tensor
from tinyconv.ops.common import as_tensor
from tinyconv.ops.shape import permute, reshape


def pixel_shuffle(input: Tensor, upscale_factor) -> Tensor:
    """(..., C r r, H, W) to (..., C, H r, W r): r r channels become r x r pixels.

    Raises:
        ValueError: if the channels do not divide by r r.

    Source: Shi et al. 2016, arXiv:1609.05158, equation 4.
    """
    x, r = as_tensor(input, "pixel_shuffle"), upscale_factor
    if x.ndim < 3 or r < 1 or x.shape[-3] % (r * r):
        raise ValueError(
            f"pixel_shuffle: upscale_factor={r} for shape {list(x.shape)}; wants (..., C, H, W) "
            "with C a multiple of upscale_factor squared"
        )
    *lead, C, H, W = x.shape
    n = len(lead)
    parts = reshape(x, (*lead, C // (r * r), r, r, H, W))
    order = (*range(n), n, n + 3, n + 1, n + 4, n + 2)
    return reshape(permute(parts, order), (*lead, C // (r * r), H * r, W * r))


def pixel_unshuffle(input: Tensor, downscale_factor) -> Tensor:
    """(..., C, H r, W r) to (..., C r r, H, W): the inverse of ``pixel_shuffle``.

    Raises:
        ValueError: if height and width do not divide by r.
    """
    x, r = as_tensor(input, "pixel_unshuffle"), downscale_factor
    if x.ndim < 3 or r < 1 or x.shape[-2] % r or x.shape[-1] % r:
        raise ValueError(
            f"pixel_unshuffle: downscale_factor={r} for shape {list(x.shape)}; wants (..., C, H, W)"
            " with H and W multiples of downscale_factor"
        )
    *lead, C, H, W = x.shape
    n = len(lead)
    parts = reshape(x, (*lead, C, H // r, r, W // r, r))
    order = (*range(n), n, n + 2, n + 4, n + 1, n + 3)
    return reshape(permute(parts, order), (*lead, C * r * r, H // r, W // r))


def channel_shuffle(input: Tensor, groups) -> Tensor:
    """(N, C, ...): channels in ``groups`` rows, read column by column.

    Raises:
        ValueError: if the channels do not divide by ``groups``.

    Source: Zhang et al. 2018, arXiv:1707.01083, figure 1.
    """
    x = as_tensor(input, "channel_shuffle")
    if x.ndim < 3 or groups < 1 or x.shape[1] % groups:
        raise ValueError(
            f"channel_shuffle: groups={groups} for shape {list(x.shape)}; wants (N, C, ...) of at "
            "least 3 dimensions with C a multiple of groups"
        )
    N, C, *image = x.shape
    parts = reshape(x, (N, groups, C // groups, *image))
    return reshape(permute(parts, (0, 2, 1, *range(3, parts.ndim))), x.shape)
