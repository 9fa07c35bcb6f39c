"""How a pooled plane lies in scratch memory, so that every window reads along contiguous runs.

The padded plane is split into sh x sw phases, phase (a, b) holding its pixels (r sh + a,
c sw + b) as a plane of ``pitch`` columns. Then the windows' cells (i, j) are, for all windows
(p, q) at once, the run of one phase that starts at a fixed offset, t = p pitch + q: no
strides are left, and a register holds the same cell of as many windows as it has lanes.
Places with q >= Wo are computed too and left out when the result is copied.
"""

import functools
from typing import NamedTuple

import numpy as np

from tinyconv.kernels import parallel
from tinyconv.kernels.complex_step import joined
from tinyconv.kernels.jit import part, plain
from tinyconv.kernels.simd import get, lanes, load, load_some, put, store_some
from tinyconv.kernels.simd_extra import evens, odds, zipped_high, zipped_low

#: room behind every scratch array: registers read and write past the end
SLACK = 128


class Layout(NamedTuple):
    """The sizes. ``run`` is the length of a result in scratch, a whole number of double
    registers, and ``room`` that with one to spare; ``cells`` is the length of a phase,
    ``margin`` the largest offset in one."""

    H: int
    W: int
    Ho: int
    Wo: int
    sh: int
    sw: int
    top: int
    left: int
    pitch: int
    cells: int
    run: int
    room: int
    margin: int


class Taps(NamedTuple):
    """Tables of int64. ``rows``: where in all phases row h of the image lies. Of the windows'
    cells k = i kw + j, ``starts``: where in all phases k's run starts; ``numbers``, ``offsets``:
    k and its offset in the phase, sorted by phase; ``phases``: where each phase begins there."""

    rows: np.ndarray
    starts: np.ndarray
    numbers: np.ndarray
    offsets: np.ndarray
    phases: np.ndarray


@functools.lru_cache(512)
def layout(window, image, output):
    """(Layout, Taps) of a window (``geometry.Window``) over an image (H, W)."""
    (H, W), (Ho, Wo), g = image, output, window
    rows, columns = np.arange(g.kh) * g.dh, np.arange(g.kw) * g.dw
    pitch = max(Wo + columns[-1] // g.sw, (g.left + W - 1) // g.sw + 1)
    height = max(Ho + rows[-1] // g.sh, (g.top + H - 1) // g.sh + 1)
    phase = (rows % g.sh * g.sw)[:, None] + columns % g.sw
    offset = (rows // g.sh * pitch)[:, None] + columns // g.sw
    phase, offset = phase.reshape(-1), offset.reshape(-1)
    cells = int(height * pitch)
    order = np.argsort(phase, kind="stable")
    begins = np.searchsorted(phase[order], np.arange(g.sh * g.sw + 1))
    r = np.arange(H) + g.top
    tables = (
        r % g.sh * g.sw * cells + r // g.sh * pitch,
        phase * cells + offset, order, offset[order], begins,
    )  # fmt: skip
    run = -(-Ho * pitch // 32) * 32
    sizes = (H, W, Ho, Wo, g.sh, g.sw, g.top, g.left, pitch, cells, run, run + 32, offset.max())
    return Layout(*map(int, sizes)), Taps(*[a.astype(np.int64) for a in tables])


@part
def move(to, i, of, j, count):
    """to[i : i + count] = of[j : j + count], a row, by registers that are filled in part."""
    for v in range(0, count, lanes(to)):
        store_some(to, i + v, load_some(of, j + v, count - v), count - v)


@part
def split(x, ix, g, rows, phases):
    """Copy one plane into its phases; nothing is written where the padding is."""
    n = lanes(x)
    for h in range(g.H):
        to = get(rows, h)
        at = ix + h * g.W
        if g.sw == 1:
            move(phases, to + g.left, x, at, g.W)
        elif g.sw == 2:
            # the even columns of the image, and the odd ones
            even = to + g.left % 2 * g.cells + g.left // 2
            odd = to + (g.left + 1) % 2 * g.cells + (g.left + 1) // 2
            for v in range(0, g.W, 2 * n):
                count = min(2 * n, g.W - v)
                a, b = load_some(x, at + v, count), load_some(x, at + v + n, count - n)
                store_some(phases, even + v // 2, evens(a, b), (count + 1) // 2)
                store_some(phases, odd + v // 2, odds(a, b), count // 2)
        else:
            for v in range(g.W):
                c = v + g.left
                put(phases, to + c % g.sw * g.cells + c // g.sw, get(x, at + v))


@part
def merge(phases, g, rows, x, ix):
    """Copy the phases back into one plane, without the padding: the inverse of ``split``."""
    n = lanes(x)
    for h in range(g.H):
        of = get(rows, h)
        at = ix + h * g.W
        if g.sw == 1:
            move(x, at, phases, of + g.left, g.W)
        elif g.sw == 2:
            even = of + g.left % 2 * g.cells + g.left // 2
            odd = of + (g.left + 1) % 2 * g.cells + (g.left + 1) // 2
            for v in range(0, g.W, 2 * n):
                a, b = load(phases, even + v // 2), load(phases, odd + v // 2)
                store_some(x, at + v, zipped_low(a, b), g.W - v)
                store_some(x, at + v + n, zipped_high(a, b), g.W - v - n)
        else:
            for v in range(g.W):
                c = v + g.left
                put(x, at + v, get(phases, of + c % g.sw * g.cells + c // g.sw))


@part
def widen(y, iy, g, run, i):
    """Copy a result (Ho, Wo) into scratch, its rows ``pitch`` apart."""
    if g.pitch == g.Wo:
        move(run, i, y, iy, g.Ho * g.Wo)
    else:
        for p in range(g.Ho):
            move(run, i + p * g.pitch, y, iy + p * g.Wo, g.Wo)


@part
def narrow(run, g, y, iy):
    """Copy a result from scratch: the inverse of ``widen``."""
    if g.pitch == g.Wo:
        move(y, iy, run, 0, g.Ho * g.Wo)
    else:
        for p in range(g.Ho):
            move(y, iy + p * g.Wo, run, p * g.pitch, g.Wo)


# -- what both pools' Python side shares ----------------------------------------------------
def both(function, z, *rest):
    """A linear ``function`` of complex steps: of their real and imaginary parts."""
    return joined(function(plain(z.real), *rest), function(plain(z.imag), *rest))


def over_planes(body, count, work):
    """Let the threads call body(_, start, stop) on ranges of planes."""
    parallel.run(body, parallel.chunks(count, work))


def work(x, y, window):
    """What ``parallel.chunks`` is told: bytes, and reads by register."""
    return x.nbytes + y.size * window.kh * window.kw // 4
