"""The matrix product, and the two register tiles that it and the convolutions are made of.

A tile keeps a small block of the result in registers while it runs along the depth:
per step two loads of ``b`` and six broadcasts of ``a`` feed twelve multiply-adds.
"""

import numpy as np

from tinyconv.kernels import parallel
from tinyconv.kernels.complex_step import bilinear
from tinyconv.kernels.jit import kernel, part, plain
from tinyconv.kernels.simd import copy, fma, get, lanes, load, put, splat, store, total, zeros

#: rows of the result that one tile keeps in registers
ROWS = 6
#: block sizes of the matrix product: depth x columns of ``b`` stay in the L2 cache
_DEPTH, _COLUMNS = 256, 256


@part
def multiply_tile(a, ia, depth, b, ib, pitch_b, c, ic, pitch_c):
    """c[6 x 2 registers] += a-panel (depth x 6) times b (depth rows of 2 registers)."""
    n = lanes(c)
    c1, c2, c3, c4, c5 = ic + pitch_c, ic + 2 * pitch_c, ic + 3 * pitch_c, 0, 0
    c4, c5 = c3 + pitch_c, c3 + 2 * pitch_c
    r00, r01 = load(c, ic), load(c, ic + n)
    r10, r11 = load(c, c1), load(c, c1 + n)
    r20, r21 = load(c, c2), load(c, c2 + n)
    r30, r31 = load(c, c3), load(c, c3 + n)
    r40, r41 = load(c, c4), load(c, c4 + n)
    r50, r51 = load(c, c5), load(c, c5 + n)
    for _ in range(depth):
        b0, b1 = load(b, ib), load(b, ib + n)
        s = splat(a, ia)
        r00, r01 = fma(s, b0, r00), fma(s, b1, r01)
        s = splat(a, ia + 1)
        r10, r11 = fma(s, b0, r10), fma(s, b1, r11)
        s = splat(a, ia + 2)
        r20, r21 = fma(s, b0, r20), fma(s, b1, r21)
        s = splat(a, ia + 3)
        r30, r31 = fma(s, b0, r30), fma(s, b1, r31)
        s = splat(a, ia + 4)
        r40, r41 = fma(s, b0, r40), fma(s, b1, r41)
        s = splat(a, ia + 5)
        r50, r51 = fma(s, b0, r50), fma(s, b1, r51)
        ia += 6
        ib += pitch_b
    store(c, ic, r00), store(c, ic + n, r01)
    store(c, c1, r10), store(c, c1 + n, r11)
    store(c, c2, r20), store(c, c2 + n, r21)
    store(c, c3, r30), store(c, c3 + n, r31)
    store(c, c4, r40), store(c, c4 + n, r41)
    store(c, c5, r50), store(c, c5 + n, r51)


@part
def dot_tile(a, ia, pitch_a, b, ib, pitch_b, length, c, ic, pitch_c):
    """c[4 x 3] += dot products of 4 rows of a with 3 rows of b, ``length`` numbers long."""
    n = lanes(a)
    a1, a2, a3 = ia + pitch_a, ia + 2 * pitch_a, ia + 3 * pitch_a
    b1, b2 = ib + pitch_b, ib + 2 * pitch_b
    r00 = r01 = r02 = r10 = r11 = r12 = zeros(a)
    r20 = r21 = r22 = r30 = r31 = r32 = zeros(a)
    for t in range(0, length, n):
        v0, v1, v2 = load(b, ib + t), load(b, b1 + t), load(b, b2 + t)
        s = load(a, ia + t)
        r00, r01, r02 = fma(s, v0, r00), fma(s, v1, r01), fma(s, v2, r02)
        s = load(a, a1 + t)
        r10, r11, r12 = fma(s, v0, r10), fma(s, v1, r11), fma(s, v2, r12)
        s = load(a, a2 + t)
        r20, r21, r22 = fma(s, v0, r20), fma(s, v1, r21), fma(s, v2, r22)
        s = load(a, a3 + t)
        r30, r31, r32 = fma(s, v0, r30), fma(s, v1, r31), fma(s, v2, r32)
    c[ic] += total(r00)
    c[ic + 1] += total(r01)
    c[ic + 2] += total(r02)
    ic += pitch_c
    c[ic] += total(r10)
    c[ic + 1] += total(r11)
    c[ic + 2] += total(r12)
    ic += pitch_c
    c[ic] += total(r20)
    c[ic + 1] += total(r21)
    c[ic + 2] += total(r22)
    ic += pitch_c
    c[ic] += total(r30)
    c[ic + 1] += total(r31)
    c[ic + 2] += total(r32)


@kernel
def _multiply(a, a_of, row_a, col_a, b, b_of, row_b, col_b, c, M, N, K, start, stop):
    """Panels start:stop of c (matrices of M x N), zero on entry, += a (M x K) @ b (K x N).

    Panel i holds up to six rows of matrix i // panels, the product of matrix a_of[..] of
    ``a`` and b_of[..] of ``b``; all flat, with strides.
    """
    width = 2 * lanes(c)
    deepest, widest = min(_DEPTH, K), (min(_COLUMNS, N) + width - 1) // width * width
    block = np.empty(deepest * widest, c.dtype)
    panel = np.empty(deepest * ROWS, c.dtype)
    tile = np.empty(ROWS * width, c.dtype)
    panels = (M + ROWS - 1) // ROWS
    zero = c.dtype.type(0)
    for matrix in range(start // panels, (stop - 1) // panels + 1):
        first, last = max(start - matrix * panels, 0), min(stop - matrix * panels, panels)
        ia, ib, ic = a_of[matrix] * M * K, b_of[matrix] * K * N, matrix * M * N
        for k0 in range(0, K, _DEPTH):
            depth = min(_DEPTH, K - k0)
            for n0 in range(0, N, _COLUMNS):
                columns = min(_COLUMNS, N - n0)
                pitch = (columns + width - 1) // width * width
                for k in range(depth):
                    of = ib + (k0 + k) * row_b + n0 * col_b
                    if col_b == 1:
                        copy(block, k * pitch, b, of, columns)
                    else:
                        for n in range(columns):
                            put(block, k * pitch + n, get(b, of + n * col_b))
                    for n in range(columns, pitch):
                        put(block, k * pitch + n, zero)
                for m0 in range(first * ROWS, min(last * ROWS, M), ROWS):
                    rows = min(ROWS, M - m0)
                    for k in range(depth):
                        for m in range(rows):
                            of = ia + (m0 + m) * row_a + (k0 + k) * col_a
                            put(panel, k * ROWS + m, get(a, of))
                        for m in range(rows, ROWS):
                            put(panel, k * ROWS + m, zero)
                    for j in range(0, columns, width):
                        tile[:] = 0
                        multiply_tile(panel, 0, depth, block, j, pitch, tile, 0, width)
                        for m in range(rows):
                            at = ic + (m0 + m) * N + n0 + j
                            for n in range(min(width, columns - j)):
                                c[at + n] += tile[m * width + n]


@bilinear
def matmul(a, b):
    """a (..., M, K) @ b (..., K, N) for float arrays of one dtype, batches broadcast.

    Every sum runs in an order that depends on the shapes alone, which NumPy's product does
    not promise when its own thread count changes.
    """
    M, K = a.shape[-2:]
    N = b.shape[-1]
    batch = np.broadcast_shapes(a.shape[:-2], b.shape[:-2])
    c = np.zeros(batch + (M, N), a.dtype)
    if not c.size or not K:
        return c
    a, matrices_a, *strides_a = _strided(a)
    b, matrices_b, *strides_b = _strided(b)
    a_of = plain(np.broadcast_to(matrices_a, batch)).reshape(-1)
    b_of = plain(np.broadcast_to(matrices_b, batch)).reshape(-1)
    flat = c.reshape(-1)
    panels = a_of.size * -(-M // ROWS)
    parallel.run(
        lambda _, start, stop: _multiply(
            a, a_of, *strides_a, b, b_of, *strides_b, flat, M, N, K, start, stop
        ),
        parallel.chunks(panels, c.size * K),
    )
    return c


def _strided(x):
    """(flat array, the numbers of its matrices in their batch shape, row stride, column stride)."""
    rows, columns = x.shape[-2:]
    batch = x.shape[:-2]
    numbers = np.arange(int(np.prod(batch)), dtype=np.int64).reshape(batch)
    if not x.flags.c_contiguous and np.swapaxes(x, -1, -2).flags.c_contiguous:
        return plain(np.swapaxes(x, -1, -2)).reshape(-1), numbers, 1, rows
    return plain(x).reshape(-1), numbers, columns, 1
