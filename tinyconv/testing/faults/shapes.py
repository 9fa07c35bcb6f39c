"""Joining, padding, indexing and reordering, and how their gradients go wrong."""

import numpy as np

from tinyconv.testing.faults.base import Family, given, joined, normal

family = Family("shapes")

cat = family.case(
    "cat",
    lambda a, b, c: np.concatenate([a, b, c], 1),
    lambda gy, a, b, c: tuple([g.copy() for g in np.split(gy, [3, 5], 1)]),
    normal((2, 3, 4), (2, 2, 4), (2, 2, 4)),
)


@family.fault(cat, "shifted", of=1)
def cut_one_too_early(gy, a, b, c):
    """The offset of the second piece is one too small."""
    return gy[:, 2:4].copy()


@family.fault(cat, "swapped inputs")
def pieces_exchanged(gy, a, b, c):
    """Two pieces of equal size are handed back in the other order."""
    ga, gb, gc = cat.backward(gy, a, b, c)
    return ga, gc, gb


@family.fault(cat, "missing", of=2)
def last_piece_forgotten(gy, a, b, c):
    """The loop stops before the last piece."""
    return np.zeros_like(c)


inner = (..., slice(1, 4), slice(2, 7))
pad = family.case(
    "zero padding",
    lambda x: np.pad(x, ((0, 0), (0, 0), (1, 2), (2, 1))),
    lambda gy, x: gy[inner].copy(),
    normal((1, 2, 3, 5)),
)


@family.fault(pad, "shifted")
def sides_mixed_up(gy, x):
    """Crops what was added below at the top, and the right at the left."""
    return gy[..., 2:5, 1:6].copy()


def _reflect(x):
    return np.pad(x, ((0, 0), (2, 1)), mode="reflect")


def _reflect_gradient(gy, x):
    gx = gy[:, 2:-1].copy()
    gx[:, 1] += gy[:, 1]
    gx[:, 2] += gy[:, 0]
    gx[:, -2] += gy[:, -1]
    return gx


reflect = family.case("reflection padding", _reflect, _reflect_gradient, normal((3, 5)))


@family.fault(reflect, "partly missing")
def reflections_dropped(gy, x):
    """The border is cut off as if it were zeros; it is made of the image."""
    return gy[:, 2:-1].copy()


@family.fault(reflect, "misplaced")
def edge_reflected_too(gy, x):
    """The mirror stands on the edge of the last pixel (symmetric), not on the pixel (reflect)."""
    gx = gy[:, 2:-1].copy()
    gx[:, 0] += gy[:, 1]
    gx[:, 1] += gy[:, 0]
    gx[:, -1] += gy[:, -1]
    return gx


def _replicate_gradient(gy, x):
    gx = gy[:, 2:-2].copy()
    gx[:, 0] += gy[:, :2].sum(1)
    gx[:, -1] += gy[:, -2:].sum(1)
    return gx


replicate = family.case(
    "replication padding", lambda x: np.pad(x, ((0, 0), (2, 2)), mode="edge"), _replicate_gradient,
    normal((3, 4)),
)  # fmt: skip


@family.fault(replicate, "lost accumulation")
def copies_assigned(gy, x):
    """Copies of the edge are assigned to their pixel one after the other: only one counts."""
    gx = gy[:, 2:-2].copy()
    gx[:, [0, 0]] += gy[:, :2]  # an index that occurs twice adds once
    gx[:, [-1, -1]] += gy[:, -2:]
    return gx


embedding = family.case(
    "embedding",
    lambda w, i: w[i],
    lambda gy, w, i: (np.eye(5)[:, i] @ gy, None),
    joined(normal((5, 3)), given(np.array([4, 1, 1, 0, 4, 1]))),
    "Rows that are looked up twice, thrice and never.",
)


@family.fault(embedding, "lost accumulation", of=0)
def repeated_rows_add_once(gy, w, i):
    """gw[i] += gy adds one of the gradients of a row that was looked up several times."""
    gw = np.zeros_like(w)
    gw[i] += gy
    return gw


@family.fault(embedding, "divisor", of=0)
def scaled_by_frequency(gy, w, i):
    """Each gradient is divided by how often its row was looked up."""
    return embedding.backward(gy / np.bincount(i)[i][:, None], w, i)[0]


permute = family.case(
    "permute a cube",
    lambda x: x.transpose(1, 2, 0).copy(),
    lambda gy, x: gy.transpose(2, 0, 1).copy(),
    normal((3, 3, 3)),
)


@family.fault(permute, "transposed")
def same_permutation_again(gy, x):
    """Backward needs the inverse; the permutation itself is only right for exchanges of two."""
    return gy.transpose(1, 2, 0).copy()


transpose = family.case(
    "transpose", lambda x: x.T.copy(), lambda gy, x: gy.T.copy(), normal((3, 5))
)


@family.fault(transpose, "misplaced")
def reshaped_instead(gy, x):
    """reshape brings back the shape and leaves the order."""
    return gy.reshape(x.shape).copy()


flatten = family.case(
    "flatten",
    lambda x: x.reshape(2, 12),
    lambda gy, x: gy.reshape(2, 3, 4).copy(),
    normal((2, 3, 4)),
)


@family.fault(flatten, "misplaced")
def channels_last(gy, x):
    """Backward unfolds as (H, C) what forward laid out as (C, H)."""
    return gy.reshape(2, 4, 3).swapaxes(1, 2).copy()


roll = family.case(
    "circular shift", lambda x: np.roll(x, 2, 1), lambda gy, x: np.roll(gy, -2, 1), normal((3, 5))
)


@family.fault(roll, "shifted")
def rolled_onwards(gy, x):
    """The gradient is shifted the same way once more."""
    return np.roll(gy, 2, 1)


every_other = family.case(
    "slice with a step",
    lambda x: x[:, 5:0:-2].copy(),
    lambda gy, x: np.insert(np.zeros((3, 3)), [1, 2, 3], gy[:, ::-1], 1),
    normal((3, 6)),
)


@family.fault(every_other, "flipped")
def negative_step_taken_for_positive(gy, x):
    """The slice ran backwards; its gradient is laid down forwards."""
    return np.insert(np.zeros((3, 3)), [1, 2, 3], gy, 1)


shuffle = family.case(
    "channel shuffle",
    lambda x: x.reshape(2, 2, 3, 4).swapaxes(1, 2).reshape(x.shape),
    lambda gy, x: gy.reshape(2, 3, 2, 4).swapaxes(1, 2).reshape(x.shape),
    normal((2, 6, 4)),
)


@family.fault(shuffle, "misplaced")
def shuffled_again(gy, x):
    """The same shuffle once more; its inverse has the two factors exchanged."""
    return gy.reshape(2, 2, 3, 4).swapaxes(1, 2).reshape(x.shape)


expand = family.case(
    "expand",
    lambda x: np.broadcast_to(x, (2, 3, 4)).copy(),
    lambda gy, x: gy.sum((0, 2), keepdims=True)[0],
    normal((3, 1)),
)


@family.fault(expand, "constant factor")
def mean_of_the_copies(gy, x):
    """The gradients of all copies are averaged; they add up."""
    return gy.mean((0, 2), keepdims=True)[0]


@family.fault(expand, "broadcast")
def summed_over_new_axes_only(gy, x):
    """The axis that expand added is summed, the one it stretched is cut to its first element."""
    return gy.sum(0)[:, :1].copy()


keep = np.tril(np.ones((4, 4)))
triangle = family.case(
    "lower triangle", lambda x: x * keep, lambda gy, x: gy * keep, normal((4, 4))
)


@family.fault(triangle, "transposed")
def upper_triangle(gy, x):
    """The mask is transposed."""
    return gy * keep.T
