"""Ops that arrange numbers anew: axes moved, values repeated, triangles cut out.

All composed of the primitives in ``tinyconv.ops.shape`` and ``tinyconv.ops.index``; ``diag_embed``
is the adjoint of ``diagonal``. No derivative: tril_indices, triu_indices.
"""

import itertools

import numpy as np

from tinyconv.autograd import Tensor
from tinyconv.ops.arithmetic import where
from tinyconv.ops.common import axis
from tinyconv.ops.index import index_select
from tinyconv.ops.join import cat, split, stack
from tinyconv.ops.shape import (
    as_dtype,
    atleast_2d,
    check_device,
    clone,
    expand,
    flip,
    permute,
    reshape,
    reshaped,
    several,
    sizes,
    transpose,
    viewed,
)
from tinyconv.ops.strided import Strided, StridedAdd, diagonal_look


# -- shapes -------------------------------------------------------------------------------------
def reshape_as(input: Tensor, other) -> Tensor:
    """``reshape`` to the shape of ``other``."""
    return reshaped(input, other.shape, "reshape_as")


def view_as(input: Tensor, other) -> Tensor:
    """``view`` in the shape of ``other``."""
    return viewed(input, other.shape, "view_as")


def expand_as(input: Tensor, other) -> Tensor:
    """Repeated to the shape of ``other``."""
    return expand(input, other.shape)


def broadcast_to(input: Tensor, *sizes_, size=None) -> Tensor:
    """``expand`` to a shape; without a copy."""
    return expand(input, *sizes_, size=size)


def broadcast_shapes(*shapes) -> tuple[int, ...]:
    """The shape that tensors of these shapes broadcast to; a number counts as a shape."""
    shapes = tuple([s if isinstance(s, (tuple, list)) else (s,) for s in shapes])
    try:
        return np.broadcast_shapes(*map(tuple, shapes))
    except ValueError:
        raise RuntimeError(
            f"broadcast_shapes: {[list(s) for s in shapes]} do not fit: sizes must be equal or 1, "
            "aligned from the right"
        ) from None


def broadcast_tensors(*tensors) -> tuple[Tensor, ...]:
    """Each tensor expanded to the shape that they broadcast to."""
    tensors = several(tensors)
    shape = broadcast_shapes(*[t.shape for t in tensors])
    return tuple([expand(t, shape) for t in tensors])


def unflatten(input: Tensor, dim, sizes) -> Tensor:
    """Take the axis ``dim`` apart into ``sizes``, one of which may be -1."""
    at = axis(dim, input.ndim, "unflatten")
    sizes = tuple(sizes)
    if not sizes or input.ndim == 0:
        raise RuntimeError(f"unflatten: sizes={sizes} for shape {list(input.shape)}; none is empty")
    try:
        return reshape(input, input.shape[:at] + sizes + input.shape[at + 1 :])
    except RuntimeError:
        raise RuntimeError(
            f"unflatten: sizes={sizes} do not multiply to the size {input.shape[at]} of dim {dim}"
        ) from None


def ravel(input: Tensor) -> Tensor:
    """All numbers as one vector; a view where the memory allows it."""
    return reshape(input, -1)


# -- axes ---------------------------------------------------------------------------------------
def movedim(input: Tensor, source, destination) -> Tensor:
    """Put the axes ``source`` (a number or several) where ``destination`` tells."""
    source, destination = (sizes((d,)) for d in (source, destination))
    a, b = ([axis(d, input.ndim, "movedim") for d in dims] for dims in (source, destination))
    if len(a) != len(b) or len(set(a)) < len(a) or len(set(b)) < len(b):
        raise RuntimeError(
            f"movedim: source={source} and destination={destination} must be equally many axes, "
            "none of them twice"
        )
    if input.ndim == 0:
        return input
    rest = iter([d for d in range(input.ndim) if d not in a])
    return permute(input, [a[b.index(d)] if d in b else next(rest) for d in range(input.ndim)])


moveaxis, swapdims = movedim, transpose


def swapaxes(input: Tensor, axis0, axis1) -> Tensor:
    """``transpose``."""
    return transpose(input, axis0, axis1)


def adjoint(input: Tensor) -> Tensor:
    """The matrices in the last two axes transposed: numbers here are real."""
    return transpose(input, -1, -2)


def matrix_h(input: Tensor) -> Tensor:
    """``Tensor.H``: the matrix transposed."""
    if input.ndim not in (0, 2):
        raise RuntimeError(f"H: wants a matrix, got shape {list(input.shape)}; .mH takes several")
    return transpose(input, 0, -1)


def fliplr(input: Tensor) -> Tensor:
    """The columns in reverse order."""
    return _flipped(input, 1, "fliplr")


def flipud(input: Tensor) -> Tensor:
    """The rows in reverse order."""
    return _flipped(input, 0, "flipud")


def _flipped(input, dim, op):
    if input.ndim <= dim:
        raise RuntimeError(f"{op}: wants at least {dim + 1} dimensions, got {list(input.shape)}")
    return flip(input, dim)


def rot90(input: Tensor, k=1, dims=(0, 1)) -> Tensor:
    """Turned by ``k`` quarters in the plane of ``dims``, from the first towards the second."""
    if len(dims) != 2 or input.ndim < 2:
        raise RuntimeError(f"rot90: wants two dims, got {list(dims)} for {list(input.shape)}")
    a, b = (axis(d, input.ndim, "rot90") for d in dims)
    if a == b:
        raise RuntimeError(f"rot90: dims={list(dims)} must be different")
    match k % 4:
        case 0:
            return input.clone()
        case 1:
            return transpose(flip(input, b), a, b)
        case 2:
            return flip(input, a, b)
        case _:
            return flip(transpose(input, a, b), b)


def roll(input: Tensor, shifts, dims=()) -> Tensor:
    """Move the numbers along ``dims``; what leaves at one end comes in at the other.

    Without ``dims`` as if the tensor were one long vector.
    """
    shifts, dims = sizes((shifts,)), sizes((() if dims is None else dims,))
    if not shifts:
        raise RuntimeError("roll: shifts is empty")
    if not dims and len(shifts) == 1:
        return reshape(roll(reshape(input, -1), shifts, 0), input.shape)
    if len(shifts) != len(dims):
        raise RuntimeError(f"roll: {len(shifts)} shifts {shifts} for {len(dims)} dims {dims}")
    if input.ndim == 0:
        raise IndexError(f"roll: dims={dims} for a tensor of 0 dimensions")
    for shift, dim in zip(shifts, dims):
        at = axis(dim, input.ndim, "roll")
        size = input.shape[at]
        if size > 1 and shift % size:
            input = cat(split(input, [size - shift % size, shift % size], at)[::-1], at)
    return input.clone()


# -- repeating ----------------------------------------------------------------------------------
def repeat(input: Tensor, *counts, repeats=None) -> Tensor:
    """The whole tensor, so many times along each axis; further axes come in front.

    >>> import tinyconv as tc
    >>> tc.tensor([1, 2]).repeat(2, 2)
    tensor([[1, 2, 1, 2],
            [1, 2, 1, 2]])
    """
    counts = sizes(counts, repeats)
    ahead = len(counts) - input.ndim
    if ahead < 0 or min(counts, default=0) < 0:
        raise RuntimeError(
            f"repeat: repeats {list(counts)} must be at least one number from 0 on for each "
            f"dimension of {list(input.shape)}"
        )
    shape = (1,) * ahead + input.shape
    # an axis for the count before each axis: (n,) -> (1, n) -> (count, n) -> (count * n,)
    thin = reshape(input, [size for n in shape for size in (1, n)])
    wide = expand(thin, [size for pair in zip(counts, shape) for size in pair])
    y = reshape(wide, [count * n for count, n in zip(counts, shape)])
    return y.clone() if np.may_share_memory(y.array, input.array) else y


def tile(input: Tensor, *counts, dims=None) -> Tensor:
    """``repeat`` that may be given fewer counts than dimensions: those of the last ones."""
    counts = sizes(counts, dims)
    return repeat(input, (1,) * (input.ndim - len(counts)) + counts)


def repeat_interleave(input: Tensor, repeats=None, dim=None, *, output_size=None) -> Tensor:
    """Each slice of ``dim`` (each number, for None) so many times, one after the other.

    Args:
        input: a tensor; given alone it is the counts, and the result which slice comes when.
        repeats: a number, or a vector with one for each slice.
    """
    if repeats is None:
        counts = _counts(input)
        return Tensor(np.repeat(np.arange(len(counts)), counts))
    if dim is None:
        input, dim = reshape(input, -1), 0
    at = axis(dim, input.ndim, "repeat_interleave")
    size = input.shape[at] if input.ndim else 1
    counts = np.asarray(repeats) if isinstance(repeats, int) else _counts(repeats)
    if counts.size not in (1, size) or counts.min(initial=0) < 0:
        raise RuntimeError(
            f"repeat_interleave: repeats {counts.tolist()} must be one number from 0 on, or one "
            f"for each of the {size} slices of dim {dim}"
        )
    places = np.repeat(np.arange(size), counts)
    if output_size not in (None, places.size):
        raise RuntimeError(f"repeat_interleave: output_size={output_size}, got {places.size}")
    return index_select(input, at, Tensor(places))


def _counts(repeats):
    if repeats.dtype.kind not in "iu" or repeats.ndim > 1:
        raise RuntimeError(
            f"repeat_interleave: repeats must be a vector of integers, got {repeats.dtype} of "
            f"shape {list(repeats.shape)}"
        )
    if (repeats.array < 0).any():
        raise RuntimeError(f"repeat_interleave: repeats {repeats.tolist()} must not be negative")
    return repeats.array


def meshgrid(*tensors, indexing="ij") -> tuple[Tensor, ...]:
    """Each vector (or number) along an axis of its own, expanded to all of them; views.

    ``indexing``: 'ij', or 'xy' with the first two axes swapped.
    """
    tensors = several(tensors)
    if indexing not in ("ij", "xy"):
        raise RuntimeError(f"meshgrid: indexing={indexing!r}; wants 'ij' or 'xy'")
    if not tensors or any(t.ndim > 1 for t in tensors) or len({t.dtype for t in tensors}) > 1:
        raise RuntimeError(
            "meshgrid: wants vectors or numbers of one dtype, got "
            f"{[f'{t.dtype} {list(t.shape)}' for t in tensors]}"
        )
    swapped = indexing == "xy" and len(tensors) > 1
    if swapped:
        tensors = (tensors[1], tensors[0], *tensors[2:])
    shape = [t.array.size for t in tensors]
    grids = [
        expand(reshape(t, [-1 if i == d else 1 for i in range(len(shape))]), shape)
        for d, t in enumerate(tensors)
    ]
    return (grids[1], grids[0], *grids[2:]) if swapped else tuple(grids)


def cartesian_prod(*tensors) -> Tensor:
    """All ways to take one number of each vector: (count, vectors); one vector is itself."""
    if any(t.ndim != 1 for t in tensors):
        raise RuntimeError(f"cartesian_prod: wants vectors, got {[list(t.shape) for t in tensors]}")
    if len(tensors) == 1:
        return tensors[0]
    return stack([reshape(g, -1) for g in meshgrid(*tensors)], 1)


def combinations(input: Tensor, r=2, with_replacement=False) -> Tensor:
    """All ways to take ``r`` numbers of a vector, in its order: (count, r)."""
    if input.ndim != 1 or r < 0:
        raise RuntimeError(f"combinations: wants a vector and r >= 0, got {list(input.shape)}, {r}")
    if r == 0:
        return Tensor(np.empty(0, input.dtype))
    ways = itertools.combinations_with_replacement if with_replacement else itertools.combinations
    places = np.array(list(ways(range(input.shape[0]), r)), np.int64).reshape(-1, r)
    return input[Tensor(places)]


def block_diag(*tensors) -> Tensor:
    """The matrices (vectors are rows, numbers single) down the diagonal of one of zeros."""
    if any(t.ndim > 2 for t in tensors):
        raise RuntimeError(
            f"block_diag: wants at most 2 dimensions, got {[list(t.shape) for t in tensors]}"
        )
    blocks = atleast_2d(*tensors) if len(tensors) > 1 else [atleast_2d(t) for t in tensors]
    width, at, rows = sum(b.shape[1] for b in blocks), 0, []
    for b in blocks:
        left, right = (
            Tensor(np.zeros((b.shape[0], n), b.dtype)) for n in (at, width - at - b.shape[1])
        )
        rows.append(cat([left, b, right], 1))
        at += b.shape[1]
    return cat(rows) if rows else Tensor(np.zeros((1, 0), np.float32))


# -- diagonals and triangles --------------------------------------------------------------------
def diag_embed(input: Tensor, offset=0, dim1=-2, dim2=-1) -> Tensor:
    """Matrices in ``dim1`` and ``dim2`` with the last axis on their diagonal, else zeros."""
    ndim = input.ndim + 1
    a, b = axis(dim1, ndim, "diag_embed"), axis(dim2, ndim, "diag_embed")
    look = diagonal_look(ndim, offset, dim1, dim2, "diag_embed")
    size = input.shape[-1] + abs(offset)
    shape = list(input.shape[:-1])
    for d in sorted((a, b)):
        shape.insert(d, size)
    return StridedAdd.apply(input, look, tuple(shape))


def diag(input: Tensor, diagonal=0) -> Tensor:
    """The diagonal of a matrix, or the matrix with a vector on its diagonal."""
    if input.ndim not in (1, 2):
        raise RuntimeError(f"diag: wants a vector or a matrix, got shape {list(input.shape)}")
    if input.ndim == 1:
        return diag_embed(input, diagonal)
    return clone(Strided.apply(input, diagonal_look(2, diagonal, 0, 1, "diag")))


def diagflat(input: Tensor, offset=0) -> Tensor:
    """The matrix with all numbers of ``input`` on its diagonal."""
    return diag_embed(reshape(input, -1), offset)


def tril(input: Tensor, diagonal=0) -> Tensor:
    """Zeros above a diagonal of the matrices in the last two axes."""
    rows, columns = _matrix(input, "tril")
    return _triangle(input, np.tri(rows, columns, diagonal, bool))


def triu(input: Tensor, diagonal=0) -> Tensor:
    """Zeros below a diagonal of the matrices in the last two axes."""
    rows, columns = _matrix(input, "triu")
    return _triangle(input, ~np.tri(rows, columns, diagonal - 1, bool))


def _matrix(input, op):
    if input.ndim < 2:
        raise RuntimeError(f"{op}: wants at least 2 dimensions, got shape {list(input.shape)}")
    return input.shape[-2:]


def _triangle(input, kept):
    return where(Tensor(kept), input, Tensor(np.zeros((), input.dtype)))


def tril_indices(row, col, offset=0, *, dtype=np.int64, device=None, requires_grad=False) -> Tensor:
    """The places of ``tril`` of a (row, col) matrix: (2, count), row by row."""
    kept = np.tri(row, col, offset, dtype=bool)
    return _indices(kept, dtype, device, requires_grad, "tril_indices")


def triu_indices(row, col, offset=0, *, dtype=np.int64, device=None, requires_grad=False) -> Tensor:
    """The places of ``triu`` of a (row, col) matrix: (2, count), row by row."""
    kept = ~np.tri(row, col, offset - 1, dtype=bool)
    return _indices(kept, dtype, device, requires_grad, "triu_indices")


def _indices(kept, dtype, device, requires_grad, op):
    check_device(device)
    places = Tensor(np.stack(kept.nonzero()).astype(as_dtype(dtype, op)))
    return places.requires_grad_(requires_grad)
