"""Filters laid out for the register tile: panel by panel, each (depth, filters)."""

import numpy as np

from tinyconv.kernels import parallel
from tinyconv.kernels.epilogue import ones
from tinyconv.kernels.jit import kernel
from tinyconv.kernels.simd import get, put


@kernel
def _pack(w, scale, packed, panels, rows, depths, start, stop):
    depth = len(depths)
    for p in range(start, stop):
        o, height = panels[p, 0], panels[p, 1]
        to = o * depth
        for k in range(depth):
            for r in range(height):
                put(packed, to + r, get(w, rows[o + r] + depths[k]) * get(scale, o + r))
            to += height


def adjoint_rows(w, groups):
    """Where the weights of each input channel begin in w (O, C / groups, kh, kw): the rows of the
    input gradient."""
    O, Cg, kh, kw = w.shape
    firsts = np.arange(groups)[:, None] * (O // groups * Cg)
    return (firsts + np.arange(Cg)).reshape(-1) * (kh * kw)


def pack_panels(w, panels, rows, depths, scale):
    """The weights, flat: number k of filter o is w[rows[o] + depths[k]] scale[o]; panels (first,
    count)."""
    packed = np.empty(max(1, len(depths) * len(rows)), w.dtype)
    flat = w.reshape(-1)
    parallel.run(
        lambda _, start, stop: _pack(flat, scale, packed, panels, rows, depths, start, stop),
        parallel.chunks(len(panels), packed.size * 8),
    )
    return packed


def pack_jobs(w, panels, rows, weights, scale=None):
    """The weights of several jobs, one after the other, each with ``depths`` of its own."""
    scale = ones(len(rows), w.dtype) if scale is None else scale
    parts = [pack_panels(w, panels, rows, depths, scale) for depths in weights if len(depths)]
    return parts[0] if len(parts) == 1 else np.concatenate(parts or [np.zeros(1, w.dtype)])
