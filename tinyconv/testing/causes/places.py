"""Where in a Jacobian the wrong elements sit, in words.

A place is a set of elements (a mask that broadcasts to (m, n)) with a name. Of the places that
hold every wrong element, the one with the largest share of wrong elements names them.
"""

import math

import numpy as np

#: names of axes by number of axes
_NAMES = {4: "NCHW", 2: "NC"}
#: a place whose live elements are wrong to this share needs no further words
_FULL = 0.9


def labels(case, side):
    """One letter per axis where the shape tells: a list of 'N', 'C', 'H', 'W' or ''.

    What has not the output's batch size is no batch: a weight has other axes.
    """
    shape = case.out if side == "output" else case.inp
    batched = len(shape) == len(case.out) and shape[:1] == case.out[:1]
    return list(_NAMES[len(shape)]) if batched and len(shape) in _NAMES else [""] * len(shape)


def axis_name(case, side, axis):
    """'axis 3 (W)'; 'axis 3' where the letter is not known."""
    label = labels(case, side)[axis]
    return f"axis {axis} ({label})" if label else f"axis {axis}"


def index_name(case, i, j):
    """'output (0, 1), input (2, 0)' of the element (i, j)."""
    at = [tuple(map(int, np.unravel_index(k, s))) for k, s in ((i, case.out), (j, case.inp))]
    return f"output {at[0]}, input {at[1]}"


def describe(case, wrong=None):
    """Where these elements (default: those to be explained) sit."""
    wrong = case.wrong if wrong is None else wrong
    live = case.live | wrong
    count = int(wrong.sum())
    if not count:
        return "nowhere"
    if count == 1 < live.sum():
        return "one element, " + index_name(case, *np.argwhere(wrong)[0])
    if count >= 0.95 * live.sum():
        return "everywhere"
    places = []
    for inside, text in _places(case, wrong):
        inside = np.broadcast_to(inside, wrong.shape)
        if inside[wrong].all():
            places.append((count / int((live & inside).sum()), text))
    share, text = max(places, key=lambda place: place[0], default=(0.0, ""))
    if share >= _FULL:
        return text
    if share > 2 * count / live.sum():
        return f"{_share(share)} in {text}"
    return f"{_share(count / live.sum())} without a clear pattern"


def inside(case, wrong=None):
    """``describe`` as part of a sentence: 'everywhere', 'in batch item 1', 'where ...'."""
    wrong = case.wrong if wrong is None else wrong
    place = by_value(case, wrong) or describe(case, wrong)
    return place if place.startswith(("where", "everywhere", "off")) else f"in {place}"


def example(case):
    """The worst element in numbers."""
    i, j = divmod(int(np.where(case.wrong, case.error, -1).argmax()), case.n)
    return f"{index_name(case, i, j)}: {case.A[i, j]:.6g}, should be {case.D[i, j]:.6g}"


def _share(share):
    shares = {
        "a few elements": 0, "a tenth of the elements": 0.1, "a quarter of the elements": 0.25,
        "a third of the elements": 1 / 3, "half of the elements": 0.5, "most elements": 0.8,
    }  # fmt: skip
    return min(shares, key=lambda text: abs(shares[text] - share))


def _places(case, wrong):
    for side, shape, hit in (
        ("input", case.inp, wrong.any(axis=0)),
        ("output", case.out, wrong.any(axis=1)),
    ):
        for inside, text in (*_indices(case, side, shape, hit), *_frames(case, side, shape)):
            inside = np.broadcast_to(inside, shape).ravel()
            yield (inside[None, :] if side == "input" else inside[:, None]), text
    if case.out == case.inp:
        diagonal = np.eye(case.m, dtype=bool)
        yield diagonal, "the diagonal"
        yield ~diagonal, "off the diagonal"
    text = by_value(case, wrong)
    if text:
        yield wrong.any(axis=0)[None, :], text


# ---------------------------------------------------------------------- by index


def _indices(case, side, shape, hit):
    """Few indices of some axes: a batch item, a channel, some rows."""
    hit = hit.reshape(shape)
    narrow, box = [], np.ones(shape, bool)
    for k, size in enumerate(shape):
        used = np.flatnonzero(hit.any(axis=tuple(a for a in range(len(shape)) if a != k)))
        if 0 < used.size < size:
            inside = np.isin(np.arange(size), used)
            inside = inside.reshape([-1 if a == k else 1 for a in range(len(shape))])
            box &= inside
            narrow.append((inside, _line(case, side, k, used.tolist(), size)))
    yield from narrow
    if len(narrow) > 1:
        yield box, ", ".join(text for _, text in narrow)


def _line(case, side, axis, used, size):
    """'channel 2 of the input', 'border rows 0 and 6 of the output'."""
    label = labels(case, side)[axis]
    border = "border " * (size > 2 and set(used) <= {0, size - 1} and label not in ("N", "C"))
    if side == "output" and label in ("H", "W") and used == [size - 1]:
        return f"the last window along {axis_name(case, side, axis)}"
    if label == "N":
        return f"{_plural('batch item', used)} {_numbers(used)}"
    if label:
        word = {"C": "channel", "H": "row", "W": "column"}[label]
        return f"{border}{_plural(word, used)} {_numbers(used)} of the {side}"
    return f"{border}{_plural('index', used)} {_numbers(used)} of the {side}'s axis {axis}"


def _plural(word, used):
    if len(used) == 1:
        return word
    return "indices" if word == "index" else f"{word}s"


def _numbers(used):
    if len(used) > 2 and used == list(range(used[0], used[-1] + 1)):
        return f"{used[0]} to {used[-1]}"
    *most, last = map(str, used)
    return f"{', '.join(most)} and {last}" if most else last


def _frames(case, side, shape):
    """The border of the image, all round or on two sides only."""
    first = 2 if len(shape) > 2 else 0
    axes = [k for k in range(first, len(shape)) if shape[k] > 2]
    if len(axes) < 2:
        return
    grid = np.indices(shape)
    at_start = np.any([grid[k] == 0 for k in axes], axis=0)
    at_end = np.any([grid[k] == shape[k] - 1 for k in axes], axis=0)
    what = "windows" if side == "output" else "rows and columns of the input"
    yield at_end, f"the last {what}"
    yield at_start, f"the first {what}"
    yield at_start | at_end, f"the border of the {side}"


# ---------------------------------------------------------------------- by value


def by_value(case, wrong):
    """'where the input is negative': the values that the wrong columns have and no other.

    '' if the values do not tell, or if that may be chance.
    """
    bad = wrong.any(axis=0)
    good = (case.live & ~wrong).any(axis=0) & ~bad
    if case.x is None or math.comb(int(bad.sum() + good.sum()), int(bad.sum())) < 15:
        return ""
    for values, name in ((case.x, "the input"), (np.abs(case.x), "|input|")):
        low, high = values[bad].min(), values[bad].max()
        below, above = values[good][values[good] < low], values[good][values[good] > high]
        if below.size + above.size < good.sum():
            continue  # a right one among them
        if not below.size:
            negative = high < 0 <= above.min()
            return f"where {name} is " + ("negative" if negative else f"at most {high:.3g}")
        if not above.size:
            positive = low > 0 >= below.max()
            return f"where {name} is " + ("positive" if positive else f"at least {low:.3g}")
        return f"where {name} lies from {low:.3g} to {high:.3g}"
    return ""
