"""Which lanes of a register see a pixel: tables of masks for depthwise kernels of 3 x 3 windows.

A mask is an integer whose bit i is lane i. A table depends on an image's size alone, so it is
made once; from it a mask is a single load into a mask register.
"""

import functools

import numpy as np


def _table(sides):
    """The masks of arrays of truth values (registers x lanes), register by register."""
    sides = np.broadcast_arrays(*sides)
    bits = np.stack([(side << np.arange(side.shape[1])).sum(1) for side in sides], 1)
    return bits.astype(np.uint16).view(np.int16).reshape(-1)


@functools.lru_cache(maxsize=64)
def of_plane(H, W, n):
    """For each register of n pixels of an H x W image read without a stop at the end of rows,
    the lanes that have a pixel to the left, to the right, above, at their place, and below; and
    once more, none.

    >>> [f"{mask:04b}" for mask in of_plane(2, 3, 4)[:5]]
    ['0110', '1011', '1000', '1111', '0111']
    """
    size = H * W
    place = np.arange((-(-size // n) + 1) * n).reshape(-1, n)
    column, here = place % W, place < size
    return _table(
        (
            here & (column > 0),
            here & (column < W - 1),
            here & (place >= W),
            here,
            place < size - W,
        )
    )


@functools.lru_cache(maxsize=64)
def of_blocks(W, n):
    """For each register of n outputs of stride 2, and the two stretches of n pixels that its lower
    and upper half see; the halves are two rows where outputs take no more of a row.

    - The pixels of the lower and of the upper stretch (0, 1), and those seen by left taps, where
      each stretch is read from one pixel further left on (2, 3).
    - The outputs of the lower and of the upper row (4, 5), none of the latter if there is one row
      only; and those of them that have an output to the right (6, 7).
    - Of the lower row, those of 4 and of 6 that are not in the block before too (8, 9): the last
      block ends where the row ends.
    """
    Wo, half = (W + 1) // 2, n // 2
    lane = np.arange(n)[None]
    if Wo <= half:
        column, upper = lane % half, lane >= half
        pixels, lefts = lane < W, (lane > 0) & (lane < 2 * Wo - 1)
        keep, right = column < Wo, column < Wo - 1
        return _table(
            (
                *(pixels, pixels, lefts, lefts),
                *(keep & ~upper, keep & upper, right & ~upper, right & upper),
                *(keep & ~upper, right & ~upper),
            )
        )
    done = np.arange(0, Wo, n)[:, None]
    first = np.minimum(done, max(Wo - n, 0))
    pixel, column = 2 * first + lane, first + lane
    keep = column < Wo
    none = keep & False
    return _table(
        (
            pixel < W,
            pixel + n < W,
            (pixel > 0) & (pixel < 2 * Wo - 1),
            pixel + n < 2 * Wo - 1,
            *(keep, none, column < Wo - 1, none),
            *(keep & (column >= done), (column >= done) & (column < Wo - 1)),
        )
    )
