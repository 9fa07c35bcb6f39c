"""Padding."""

import numpy as np

from tinyconv.testing.plain.table import oracle


@oracle("F.pad")
def pad(x, pad, mode="constant", value=0):
    widths = [(0, 0)] * x.ndim
    for i in range(0, len(pad), 2):
        widths[x.ndim - 1 - i // 2] = (pad[i], pad[i + 1])
    grown = [(max(a, 0), max(b, 0)) for a, b in widths]
    if mode == "constant":
        return _cut(np.pad(x, grown, constant_values=value), widths)
    if mode == "circular":  # around goes what is left
        return np.pad(_cut(x, widths), grown, "wrap")
    return _cut(np.pad(x, grown, "reflect" if mode == "reflect" else "edge"), widths)


def _cut(x, widths):
    return x[tuple(slice(max(-a, 0), n - max(-b, 0)) for n, (a, b) in zip(x.shape, widths))]
