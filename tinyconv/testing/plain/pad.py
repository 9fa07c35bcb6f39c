"""Padding."""

import numpy as np

from tinyconv.testing.plain.table import oracle

_MODES = {"reflect": "reflect", "replicate": "edge", "circular": "wrap"}


@oracle("F.pad")
def pad(x, pad, mode="constant", value=0):
    widths = [(0, 0)] * x.ndim
    for i in range(0, len(pad), 2):
        widths[x.ndim - 1 - i // 2] = (pad[i], pad[i + 1])
    grown = [(max(a, 0), max(b, 0)) for a, b in widths]
    if mode == "constant":
        y = np.pad(x, grown, constant_values=value)
    else:
        y = np.pad(x, grown, _MODES[mode])
    for axis, (a, b) in enumerate(widths):
        y = np.take(y, range(max(-a, 0), y.shape[axis] - max(-b, 0)), axis)
    return y
