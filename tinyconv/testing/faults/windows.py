"""Sliding windows and the way back: all that convolutions and pools are made of."""

from dataclasses import dataclass

import numpy as np


@dataclass(frozen=True)
class Windows:
    """Which pixel each tap of each window sees; pairs are (height, width).

    ``padding`` is added at both ends. With ``ceil`` the last window may hang over the end.
    """

    kernel: tuple
    stride: tuple = (1, 1)
    padding: tuple = (0, 0)
    dilation: tuple = (1, 1)
    ceil: bool = False

    def counts(self, image):
        """(Ho, Wo), how many windows there are."""
        return tuple([self._count(axis, size) for axis, size in enumerate(image)])

    def _count(self, axis, size):
        stride, pad = self.stride[axis], self.padding[axis]
        room = size + 2 * pad - self.dilation[axis] * (self.kernel[axis] - 1) - 1
        count = room // stride + 1
        # a window more, unless it would start on the padding behind the image
        hangs = self.ceil and room % stride and count * stride < size + pad
        return count + bool(hangs)

    def places(self, image, counts):
        """Row, column (negative on padding), whether on the image: all (Ho, Wo, kh, kw)."""
        positions = [
            s * np.arange(n)[:, None] + d * np.arange(k) - p
            for n, k, s, p, d in zip(counts, self.kernel, self.stride, self.padding, self.dilation)
        ]
        rows, columns = np.broadcast_arrays(
            positions[0][:, None, :, None], positions[1][None, :, None, :]
        )
        inside = (rows >= 0) & (rows < image[0]) & (columns >= 0) & (columns < image[1])
        return rows, columns, inside

    def gather(self, x, fill=0.0):
        """im2col: (N, C, H, W) -> (N, C, Ho, Wo, kh, kw), with ``fill`` outside the image."""
        H, W = x.shape[2:]
        rows, columns, inside = self.places((H, W), self.counts((H, W)))
        taps = x[:, :, rows.clip(0, H - 1), columns.clip(0, W - 1)]
        return np.where(inside, taps, fill)

    def scatter(self, taps, image):
        """col2im, the adjoint: (N, C, Ho, Wo, kh, kw), each added to the pixel it came from."""
        rows, columns, inside = self.places(image, taps.shape[2:4])
        gx = np.zeros(taps.shape[:2] + tuple(image), taps.dtype)
        np.add.at(gx, (..., rows[inside], columns[inside]), taps[..., inside])
        return gx
