"""Matrix products: of stacks of matrices, and those of a linear layer and its gradient.

The tile keeps up to 8 rows x 3 registers of the result in registers while it runs along the
depth (``tile_product``). It reads the left matrix at any strides and the right one row by row;
so x w^T, whose right matrix lies across, has its strips of w transposed in registers first,
and the two products of the gradient, gy w and gy^T x, read all matrices as they lie. What is
large is laid out in blocks that stay in the caches.
"""

import functools
import math

import numpy as np

from tinyconv.kernels import memory, parallel
from tinyconv.kernels.columns import aligned
from tinyconv.kernels.complex_step import bilinear
from tinyconv.kernels.jit import kernel, part, plain
from tinyconv.kernels.simd import (
    BITS,
    add,
    fma,
    lanes,
    load,
    load_some,
    pointer,
    store,
    total,
)
from tinyconv.kernels.simd import zeros as zeros_like
from tinyconv.kernels.sums import sum_but
from tinyconv.kernels.tile import ROWS, WIDTH
from tinyconv.kernels.tile_product import multiply_some, transpose

#: block sizes: a strip of the right matrix, _DEPTH x 3 registers, stays in the L1 cache, and
#: _HEIGHT x _DEPTH numbers of the left one in the L2
_DEPTH, _HEIGHT = 256, 512
#: more pieces than work is ever cut into
_MANY = 1 << 20
#: so many strips that share it make a copy of the left matrix worth it; so many panels, of
#: the right one
_STRIPS, _PANELS = 4, 4


@part
def _lay(x, ix, row_x, column_x, rows, columns, y, row_y):
    """y[i, j] = x[i, j] where one of x's strides is 1; y is laid out row by row, with room for
    whole registers (and, where x lies across, for as many rows)."""
    n = lanes(y)
    if column_x == 1:
        for i in range(rows):
            for j in range(0, columns, n):
                store(y, i * row_y + j, load_some(x, ix + i * row_x + j, columns - j))
    else:
        for i in range(0, rows, n):
            for j in range(0, columns, n):
                transpose(
                    x, ix + i + j * column_x, column_x, min(n, columns - j), min(n, rows - i),
                    y, i * row_y + j, row_y,
                )  # fmt: skip


@kernel
def _multiply(a, b, bias, c, units, numbers, start, stop):
    """Units start:stop of c = a b + bias; all arrays flat, see ``_plan``."""
    K, row_a, step_a, row_b, step_b, row_c, has_bias, copy_a, copy_b, blocks = numbers
    n = lanes(c)
    # blocks of equal depth, or one less
    block = (K + blocks - 1) // blocks
    whole = (block + n - 1) // n * n
    strip, pitch = WIDTH * n, whole + n
    right = aligned(whole * strip if copy_b else 0, c)
    left = aligned(_HEIGHT * pitch if copy_a else 0, c)
    zeros = np.zeros(strip, c.dtype)
    for u in range(start, stop):
        ia, ib, ic, jc, M, N = units[u]
        for k0 in range(0, max(K, 1), max(block, 1)):
            depth = min(block, K - k0)
            for m0 in range(0, M, _HEIGHT):
                height = min(_HEIGHT, M - m0)
                panels = (height + ROWS - 1) // ROWS
                of_a, at_a, next_a, next_k = a, ia + m0 * row_a + k0 * step_a, row_a, step_a
                if copy_a:
                    _lay(a, at_a, row_a, step_a, height, depth, left, pitch)
                    of_a, at_a, next_a, next_k = left, 0, pitch, 1
                j = 0
                while j < N:
                    registers = (N - j + n - 1) // n
                    # four as two and two: a tile of one register waits for its loads
                    width = min(N - j, 2 * n if registers == 4 else strip)
                    of_b, at_b, next_b = b, ib + k0 * row_b + j * step_b, row_b
                    if copy_b:
                        _lay(b, at_b, row_b, step_b, depth, width, right, strip)
                        of_b, at_b, next_b = right, 0, strip
                    for p in range(panels):
                        m, end = height * p // panels, height * (p + 1) // panels
                        at = ic + (m0 + m) * row_c + j
                        first, at_first, next_first = c, at, row_c
                        if k0 == 0:
                            first, at_first, next_first = zeros, 0, 0
                            if has_bias:
                                first, at_first = bias, jc + j
                        multiply_some(
                            end - m, width, of_a, at_a + m * next_a, next_a, next_k, of_b, at_b,
                            next_b, depth, first, at_first, next_first, c, at, row_c,
                        )  # fmt: skip
                    j += width


@kernel
def _dots(x, w, bias, y, has_bias, start, stop):
    """y[start:stop] = w x + bias, a vector: what counts is to read w once, as fast as can be.

    Four rows at a time; a sum is of two halves, so that none waits for the step before.
    """
    K, n = len(x), lanes(x)
    px, pw, none = pointer(x), pointer(w), zeros_like(x)
    for o in range(start, stop, 4):
        # the last rows go over what is there already, or are the last one again
        o = max(min(o, stop - 4), start)
        last = stop - 1
        r0, r1 = o * K, min(o + 1, last) * K
        r2, r3 = min(o + 2, last) * K, min(o + 3, last) * K
        a0 = a1 = a2 = a3 = b0 = b1 = b2 = b3 = none
        k = 0
        while k + 2 * n <= K:
            one, two = load(px, k), load(px, k + n)
            a0, b0 = fma(one, load(pw, r0 + k), a0), fma(two, load(pw, r0 + k + n), b0)
            a1, b1 = fma(one, load(pw, r1 + k), a1), fma(two, load(pw, r1 + k + n), b1)
            a2, b2 = fma(one, load(pw, r2 + k), a2), fma(two, load(pw, r2 + k + n), b2)
            a3, b3 = fma(one, load(pw, r3 + k), a3), fma(two, load(pw, r3 + k + n), b3)
            k += 2 * n
        while k < K:
            one = load_some(px, k, K - k)
            a0 = fma(one, load_some(pw, r0 + k, K - k), a0)
            a1 = fma(one, load_some(pw, r1 + k, K - k), a1)
            a2 = fma(one, load_some(pw, r2 + k, K - k), a2)
            a3 = fma(one, load_some(pw, r3 + k, K - k), a3)
            k += n
        sums = total(add(a0, b0)), total(add(a1, b1)), total(add(a2, b2)), total(add(a3, b3))
        for r in range(min(4, stop - o)):
            y[o + r] = sums[r] + bias[o + r] if has_bias else sums[r]


def _cut(M, N, pieces, lanes, across):
    """Cut a result of M x N into about ``pieces``: [(row, column, rows, columns), ...]."""
    registers, panels = -(-N // lanes), -(-M // ROWS)
    # columns first: every piece lays out its own part of the right matrix, and no other
    if registers >= 2 * pieces or registers >= panels:
        number = max(1, min(pieces, registers // (1 if across else 2)))
        bounds = [min(N, i * registers // number * lanes) for i in range(number + 1)]
        return [(0, j, M, k - j) for j, k in zip(bounds, bounds[1:])]
    number = max(1, min(pieces, panels))
    bounds = [min(M, i * panels // number * ROWS) for i in range(number + 1)]
    return [(i, 0, k - i, N) for i, k in zip(bounds, bounds[1:])]


@functools.lru_cache(maxsize=512)
def _plan(batch_a, batch_b, M, N, K, strides_a, strides_b, itemsize, has_bias):
    """(units, numbers, parts) for ``_multiply``.

    units: where a piece of work begins in a, b, c and the bias, its rows and columns.
    """
    lanes = BITS // (8 * itemsize)
    (row_a, step_a), (row_b, step_b) = strides_a, strides_b
    matrices = _pairs(batch_a, batch_b)
    work = len(matrices) * M * N * K
    pieces = -(-len(parallel.chunks(_MANY, work)) // len(matrices))
    units = [
        (of_a * M * K + i * row_a, of_b * K * N + j * step_b, (k * M + i) * N + j, j, rows, columns)
        for i, j, rows, columns in _cut(M, N, pieces, lanes, step_b != 1)
        for k, (of_a, of_b) in enumerate(matrices)
    ]
    copy_a = -(-units[0][5] // (WIDTH * lanes)) >= _STRIPS
    copy_b = step_b != 1 or units[0][4] >= _PANELS * ROWS
    numbers = K, row_a, step_a, row_b, step_b, N, has_bias, copy_a, copy_b, max(1, -(-K // _DEPTH))
    parts = parallel.chunks(len(units), work)
    return np.array(units, np.int64), np.array(numbers, np.int64), parts


def _pairs(batch_a, batch_b):
    """Which matrices of two stacks are multiplied, their batch shapes broadcast."""
    if not batch_a and not batch_b:
        return [(0, 0)]
    numbers = [np.arange(math.prod(shape)).reshape(shape) for shape in (batch_a, batch_b)]
    a, b = np.broadcast_arrays(*numbers)
    return list(zip(a.reshape(-1).tolist(), b.reshape(-1).tolist()))


def _strided(x):
    """(flat array, (row stride, column stride)) of matrices, one of the strides 1."""
    rows, columns = x.shape[-2:]
    if not x.flags.c_contiguous:
        across = x.swapaxes(-1, -2)
        if across.flags.c_contiguous:
            return plain(across).reshape(-1), (1, rows)
    return plain(x).reshape(-1), (columns, 1)


def _job(a, b, bias=None):
    """(result, parts, body) of a b + bias: ``parallel.run(body, parts)`` computes it."""
    M, K = a.shape[-2:]
    N = b.shape[-1]
    batch = ()
    if a.ndim > 2 or b.ndim > 2:
        batch = np.broadcast_shapes(a.shape[:-2], b.shape[:-2])
    c = memory.empty(batch + (M, N), a.dtype)
    if not c.size:
        return c, [], None
    (flat_a, strides_a), (flat_b, strides_b) = _strided(a), _strided(b)
    if a.ndim == b.ndim == 2 and M == 1 and strides_b[1] != 1 and flat_a.size == K:
        flat, bias_or_c = c.reshape(-1), c.reshape(-1) if bias is None else plain(bias)
        return (
            c,
            parallel.chunks(N, 4 * N * K),
            lambda _, *rows: _dots(flat_a, flat_b, bias_or_c, flat, bias is not None, *rows),
        )
    units, numbers, parts = _plan(
        a.shape[:-2], b.shape[:-2], M, N, K, strides_a, strides_b, a.itemsize, bias is not None
    )
    flat = c.reshape(-1)
    bias = flat if bias is None else plain(bias)
    return (
        c,
        parts,
        lambda _, start, stop: _multiply(flat_a, flat_b, bias, flat, units, numbers, start, stop),
    )


@bilinear
def matmul(a, b, bias=None):
    """a (..., M, K) @ b (..., K, N) for float arrays of one dtype, batches broadcast; plus a
    ``bias`` (N,) or None.

    Every sum runs in an order that depends on the shapes alone, which NumPy's product does
    not promise when its own thread count changes.
    """
    c, parts, body = _job(a, b, bias)
    parallel.run(body, parts)
    return c


def linear_gradient(gy, x, w):
    """(gy w, gy^T x, column sums of gy) for gy (M, N), x (M, K) and w (N, K), of which x and w
    may be None, and their product then is: in one parallel region."""
    if gy.dtype.kind == "c":
        gx, gw = None if w is None else matmul(gy, w), None if x is None else matmul(gy.T, x)
        return gx, gw, gy.sum(0)
    jobs = [None if w is None else _job(gy, w), None if x is None else _job(gy.T, x)]
    todo = [(body, part) for _, parts, body in filter(None, jobs) for part in parts]
    depth = (x if w is None else w).shape[1]
    if len(parallel.chunks(_MANY, 2 * gy.size * depth)) == 1:
        for body, part in todo:
            body(0, *part)
    else:
        parallel.run(lambda i, start, stop: todo[i][0](i, start, stop), [part for _, part in todo])
    return *[job and job[0] for job in jobs], sum_but(plain(gy), 1)
