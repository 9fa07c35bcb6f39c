"""Layered drawing of a graph: nodes in ranks from top to bottom, so that every edge goes down.

The steps are those of Sugiyama, Tagawa, Toda 1981, Methods for Visual Understanding of
Hierarchical System Structures: ranks, an order within each rank that has few crossings, places.
Chains are kept straight as by Brandes and Koepf 2001, Fast and Simple Horizontal Coordinate
Assignment.
"""

from collections import Counter
from typing import NamedTuple

#: between neighbours of a rank; between ranks
GAP_X, GAP_Y = 18, 36
#: room for an edge that passes a rank
_LANE = 12


class Edge(NamedTuple):
    """From a node to a later one; offsets are where it ends, from the middle of each."""

    start: int
    end: int
    start_offset: float = 0
    end_offset: float = 0


def layered(sizes, edges, at_end=()):
    """Places for nodes and ways for edges.

    Args:
        sizes: (width, height) of each node; every edge leads to a higher number.
        edges: ``Edge``s.
        at_end: nodes that go to the last rank.

    Returns:
        (places, ways, width, height): the upper left corner of each node; for each edge the
        points (x, y) between which it goes straight down and curved by turns.

    >>> places, ways, width, height = layered([(20, 10), (30, 10)], [Edge(0, 1)])
    >>> places, width, height
    ([(5.0, 0.0), (0.0, 46.0)], 30.0, 56)
    """
    rank = _ranks(len(sizes), edges, at_end)
    wide = [w for w, _ in sizes]
    links, lanes = [], []  # from rank to rank: (start, end, offset there, offset here)
    for e in edges:
        chain = [e.start]
        for r in range(rank[e.start] + 1, rank[e.end]):
            chain.append(len(wide))
            wide.append(_LANE)
            rank.append(r)
        chain.append(e.end)
        lanes.append(chain[1:-1])
        for a, b in zip(chain, chain[1:]):
            ends = (e.start_offset if a == e.start else 0, e.end_offset if b == e.end else 0)
            links.append((a, b, *ends))
    rows = _order(rank, links)
    x = _columns(rows, wide, links, len(sizes))
    tops, bottoms = _heights(rows, sizes)
    left = min((x[v] - wide[v] / 2 for v in range(len(wide))), default=0)
    x = [v - left for v in x]
    places = [
        (x[v] - w / 2, tops[rank[v]] + (bottoms[rank[v]] - tops[rank[v]] - h) / 2)
        for v, (w, h) in enumerate(sizes)
    ]
    ways = []
    for e, lane in zip(edges, lanes):
        way = [(x[e.start] + e.start_offset, places[e.start][1] + sizes[e.start][1])]
        way.append((way[0][0], bottoms[rank[e.start]]))
        for v in lane:
            way += [(x[v], tops[rank[v]]), (x[v], bottoms[rank[v]])]
        way.append((x[e.end] + e.end_offset, tops[rank[e.end]]))
        way.append((way[-1][0], places[e.end][1]))
        ways.append(way)
    width = max((x[v] + wide[v] / 2 for v in range(len(wide))), default=0)
    return places, ways, width, bottoms[-1] if bottoms else 0


def _ranks(count, edges, at_end):
    """The longest way from the top."""
    rank = [0] * count
    for e in sorted(edges, key=lambda e: e.end):
        rank[e.end] = max(rank[e.end], rank[e.start] + 1)
    last = max(rank, default=0)
    return [last if v in at_end else r for v, r in enumerate(rank)]


def _order(rank, links):
    """The nodes of each rank from left to right: each where its neighbours are on average."""
    rows = [[] for _ in range(max(rank, default=-1) + 1)]
    above, below = {}, {}
    for a, b, *_ in links:
        above.setdefault(b, []).append(a)
        below.setdefault(a, []).append(b)
    placed = set()

    def place(v):  # depth first: branches begin side by side
        todo = [v]
        while todo:
            v = todo.pop()
            if v not in placed:
                placed.add(v)
                rows[rank[v]].append(v)
                todo += reversed(below.get(v, []))

    for v in sorted(range(len(rank)), key=lambda v: rank[v]):
        place(v)
    best, fewest = rows, _crossings(rows, links)
    for sweep in range(8):
        neighbours = above if sweep % 2 == 0 else below
        rows = [list(row) for row in rows]
        for row in rows if sweep % 2 == 0 else reversed(rows):
            at = {v: i for other in rows for i, v in enumerate(other)}
            row.sort(key=lambda v: _mean([at[n] for n in neighbours.get(v, [v])]))  # noqa: B023
        crossings = _crossings(rows, links)
        if crossings < fewest:
            best, fewest = rows, crossings
        if not fewest:
            break
    return best


def _crossings(rows, links):
    at = {v: i for row in rows for i, v in enumerate(row)}
    rank = {v: r for r, row in enumerate(rows) for v in row}
    pairs = [[] for _ in rows]
    for a, b, *_ in links:
        pairs[rank[a]].append((at[a], at[b]))
    return sum(
        (a - c) * (b - d) < 0 for row in pairs for i, (a, b) in enumerate(row) for c, d in row[:i]
    )


def _columns(rows, wide, links, real):
    """The middle of each node; chains, of nodes or of an edge's lane, are straight."""
    chain, order, left, right = _neighbours(rows, wide, _chains(rows, links))
    # two ways to be feasible, and between them a third
    least, most = dict.fromkeys(order, 0.0), dict.fromkeys(order, 0.0)
    for c in order:
        least[c] = max((least[d] + gap for d, gap in left[c].items()), default=0.0)
    for c in reversed(order):
        most[c] = min((most[d] - gap for d, gap in right[c].items()), default=0.0)
    width = max(least.values(), default=0) - min(most.values(), default=0)
    x = {c: (least[c] + most[c] + width) / 2 for c in order}
    # then each as near to what it is joined with as there is room; a bare lane pulls no one
    bare = set(order) - {chain[v] for v in range(real)}
    pulls = {c: [] for c in order}
    for a, b, start, end in links:
        a, b = chain[a], chain[b]
        if a != b:
            pulls[a].append((b, end - start, 1e-4 if b in bare else 1))
            pulls[b].append((a, start - end, 1e-4 if a in bare else 1))
    for _ in range(12):
        for c in (*order, *reversed(order)):
            if pulls[c]:
                weight = sum(w for *_, w in pulls[c])
                wish = sum((x[d] + shift) * w for d, shift, w in pulls[c]) / weight
                wish = max([wish, *(x[d] + gap for d, gap in left[c].items())])
                x[c] = min([wish, *(x[d] - gap for d, gap in right[c].items())])
    return [x[chain[v]] for v in range(len(wide))]


def _chains(rows, links):
    """For each node the first of its chain: each is all that the one before leads to, and all that
    leads there."""
    above, below = Counter(b for _, b, *_ in links), Counter(a for a, *_ in links)
    chain = {v: v for row in rows for v in row}
    rank = {v: r for r, row in enumerate(rows) for v in row}
    for a, b, start, end in sorted(links, key=lambda link: rank[link[0]]):
        if below[a] == above[b] == 1 and start == end:
            chain[b] = chain[a]
    return chain


def _neighbours(rows, wide, chain):
    """The chains, their order from left to right, and how far each keeps from those beside it."""
    left = {c: {} for c in chain.values()}
    right = {c: {} for c in chain.values()}
    for row in rows:
        for u, v in zip(row, row[1:]):
            a, b, gap = chain[u], chain[v], (wide[u] + wide[v]) / 2 + GAP_X
            left[b][a] = right[a][b] = max(gap, left[b].get(a, 0))
    order, waiting = [], {c: len(near) for c, near in left.items()}
    ready = [c for c, count in waiting.items() if not count]
    while ready:
        order.append(ready.pop())
        for c in right[order[-1]]:
            waiting[c] -= 1
            if not waiting[c]:
                ready.append(c)
    if len(order) < len(left):  # chains that cross have no order: each node for itself
        return _neighbours(rows, wide, {v: v for v in chain})
    return chain, order, left, right


def _heights(rows, sizes):
    """Top and bottom of each rank."""
    tops, bottoms, y = [], [], 0
    for row in rows:
        tops.append(y)
        bottoms.append(y + max(sizes[v][1] if v < len(sizes) else 0 for v in row))
        y = bottoms[-1] + GAP_Y
    return tops, bottoms


def _mean(numbers):
    return sum(numbers) / len(numbers)
