"""Strips: the tiles' pixels in a run of planes, and where their results belong.

A strip's results wait in whole registers, some lanes of which lie between two rows and are
thrown away. *Pieces* say which lanes go where: a register, a mask of its lanes, and where its
first lane would go. All of it is known from the shapes, so the kernel reads it from tables.
"""

from tinyconv.kernels.jit import part
from tinyconv.kernels.simd import add, get, load, pointer, positive, put, zipped
from tinyconv.kernels.simd_masks import load_masked, store_masked
from tinyconv.kernels.tile import WIDTH

#: how a strip reaches the output: as it lies, in pieces, in pairs of phases, number by number
WHOLE, PIECES, PAIRS, APART, NEVER = range(5)


def way(job, Wo, lanes, lies):
    """Which of the ways a job takes; NEVER: the second phase of a pair."""
    if job.step_v == 2 and Wo > 1:
        return PAIRS if job.v == 0 else NEVER
    if job.step_v > 1:
        return APART
    return WHOLE if lies or (job.Q % lanes == 0 and job.Q >= 2 * lanes) else PIECES


def cut(job, g, kind, images, rows, O, out, lanes, lies, number):
    """(strips, pieces) of one unit's run: ``images`` with ``rows`` rows each. ``number``
    pieces stand in the table before.

    strips: (first pixel, registers, where in the output, first piece, stop); pieces: (where in
    the strip, mask or number of lanes, where in the output, upper half of a pair).
    """
    Ho, Wo = out
    strips, pieces = [], []
    if kind == NEVER or rows < 1 or job.Q < 1:
        return strips, pieces

    def place(t):
        """(pixels from t on that belong together, where the first goes); (pixels to skip, None)."""
        line, column = divmod(t, g.pitch)
        image, line = divmod(line, g.plane_rows)
        if line >= rows:
            return ((image + 1) * g.plane_rows) * g.pitch - t, None
        if column >= job.Q:
            return g.pitch - column, None
        at = (image * O * Ho + job.h + line * job.step_h) * Wo + job.v + column * job.step_v
        return job.Q - column, at

    run, t = ((images - 1) * g.plane_rows + rows - 1) * g.pitch + job.Q, 0
    while t < run:
        count, at = place(t)
        if at is None:
            t += count
            continue
        width = min(WIDTH, -(-(count if kind == WHOLE else run - t) // lanes))
        if lies and t > run - width * lanes:
            # no reading behind the image: the last strip ends where it ends
            at -= t - (run - width * lanes)
            t = run - width * lanes
        stop, first = min(run, t + width * lanes), len(pieces)
        u = t if kind != WHOLE else stop
        while u < stop:
            count, to = place(u)
            if to is not None:
                count = min(count, stop - u)
                pieces += _pieces(u - t, count, to, kind, Wo - to % Wo, lanes)
            u += count
        strips.append((t, width, at, number + first, number + len(pieces)))
        t += width * lanes
    return strips, pieces


def _pieces(of, count, to, kind, room, n):
    """The pieces of ``count`` pixels at ``of`` in a strip, which begin at ``to`` of the output
    with ``room`` numbers left in that row."""
    if kind == APART:
        return [(of, count, to, 0)]
    found = []
    for begin in range(of // n * n, of + count, n):
        low, high = max(of - begin, 0), min(of + count - begin, n)
        if kind == PIECES:
            found.append((begin, lane_mask(low, high, n), to + begin - of, 0))
            continue
        # of a pair's 2 n lanes those that exist: the row may end with the first phase
        low, high, at = 2 * low, min(2 * high, 2 * (of - begin) + room), to + 2 * (begin - of)
        for half in (0, 1):
            mask = lane_mask(low - half * n, high - half * n, n)
            if mask:
                found.append((begin, mask, at + half * n, half))
    return found


def lane_mask(first, stop, n):
    first, stop = min(max(first, 0), n), min(max(stop, 0), n)
    return ((1 << stop) - 1) & ~((1 << first) - 1)


@part
def put_pieces(
    result, strip, height, y, at, area, residual, add_residual, relu, pieces, first, stop
):  # fmt: skip
    """Put ``height`` rows, ``strip`` apart, where they belong: in rows of y ``area`` apart."""
    result, y, residual = pointer(result), pointer(y), pointer(residual)
    for i in range(first, stop):
        of, mask, to = pieces[i, 0], pieces[i, 1], at + pieces[i, 2]
        for _ in range(height):
            value = load(result, of)
            if add_residual:
                value = add(value, load_masked(residual, to, mask))
            if relu:
                value = positive(value)
            store_masked(y, to, value, mask)
            of += strip
            to += area


@part
def put_pairs(result, strip, odd, height, y, at, area, pieces, first, stop):
    """The same for even pixels and, ``odd`` behind them, the odd ones."""
    result, y = pointer(result), pointer(y)
    for i in range(first, stop):
        of, mask, to = pieces[i, 0], pieces[i, 1], at + pieces[i, 2]
        if pieces[i, 3]:
            for _ in range(height):
                value = zipped(load(result, of), load(result, of + odd), 1)
                store_masked(y, to, value, mask)
                of, to = of + strip, to + area
        else:
            for _ in range(height):
                value = zipped(load(result, of), load(result, of + odd), 0)
                store_masked(y, to, value, mask)
                of, to = of + strip, to + area


@part
def put_apart(result, strip, height, y, at, area, step, pieces, first, stop):
    """The same for pixels ``step`` apart."""
    for i in range(first, stop):
        of, to = pieces[i, 0], at + pieces[i, 2]
        for r in range(height):
            for q in range(pieces[i, 1]):
                put(y, to + r * area + q * step, get(result, of + r * strip + q))
