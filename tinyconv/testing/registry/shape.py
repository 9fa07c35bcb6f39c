"""Ops that move numbers: shapes, axes, repeats, joins and cuts, casts."""

import numpy as np
from hypothesis import strategies as st

from tinyconv.testing.cases import Case, Values
from tinyconv.testing.registry.table import register, register_values, spelled
from tinyconv.testing.strategies import recipes, shapes

SHAPE = (2, 3, 4)
X = recipes(SHAPE, scales=True)
#: for what takes apart an axis of size 1 too
ONE = recipes(st.sampled_from([(2, 1, 4), (1, 3, 1)]))
VECTOR = recipes((3,))
MATRIX = recipes(st.sampled_from([(3, 4), (4, 2), (3, 3)]))


def moves(name, *sources, x=X, examples=(), **inputs):
    register(name, *spelled(*sources, x=x, **inputs), examples=examples)


# -- shapes and axes --------------------------------------------------------------------------
moves(
    "reshape", "x.reshape(4, 6)", "tc.reshape(x, (3, -1))", "tc.reshape(x, shape=(6, 4))",
    "x.contiguous().view(2, -1)", "x.reshape(6, 4).view_as(tc.ones(2, 12))",
    "x.reshape_as(tc.ones(4, 6))",
)  # fmt: skip
moves(
    "flatten", "tc.flatten(x)", "x.flatten(1)", "tc.flatten(x, 0, 1)", "x.sum().flatten()",
    "tc.ravel(x)", "x.ravel()", "x.unflatten(2, (2, -1))", "tc.unflatten(x, 1, (3, 1))",
)  # fmt: skip
moves(
    "permute", "x.permute(2, 0, 1)", "tc.permute(x, (-1, -3, -2))", "x.permute(dims=(1, 0, 2))",
    "x.T", "x.mT", "tc.t(x[0])", "x[:, 1].t()", "x[1].H", "x.mH", "tc.adjoint(x)", "x.adjoint()",
)  # fmt: skip
moves(
    "transpose", "tc.transpose(x, 0, -1)", "x.transpose(1, 2)", "tc.swapaxes(x, 0, 1)",
    "x.swapaxes(axis0=0, axis1=2)", "tc.swapdims(x, 1, 2)", "x.swapdims(0, -1)",
)  # fmt: skip
moves(
    "movedim", "tc.movedim(x, 0, 2)", "x.movedim((0, 1), (2, 0))", "tc.moveaxis(x, -1, 0)",
    "x.moveaxis((2, 1), (0, 1))",
)  # fmt: skip
moves("unsqueeze", "x.unsqueeze(1)", "tc.unsqueeze(x, -1)", "tc.atleast_3d(x[0])",
      "tc.atleast_2d(x[0, 0])", "tc.atleast_1d(x[0, 0, 0], x)[0]")  # fmt: skip
moves("squeeze", "tc.squeeze(x)", "x.squeeze()", "x.squeeze(1)", "tc.squeeze(x, (0, -1))", x=ONE)
moves(
    "expand", "x.expand(2, 3, 4)", "x.expand(5, -1, -1, -1)", "x.expand_as(tc.ones(3, 2, 3, 4))",
    "tc.broadcast_to(x, (2, 3, 4))", "x.broadcast_to((2, 3, 4))",
    "tc.broadcast_tensors(x, tc.ones(3, 1))", x=ONE,
)  # fmt: skip
moves(
    "clone", "tc.clone(x)", "x.clone()", "x.T.contiguous()", "x.cpu()", "x.to(x.dtype, copy=True)"
)

# -- order and repeats ------------------------------------------------------------------------
moves(
    "flip", "x.flip(0, 2)", "tc.flip(x, (1,))", "tc.flip(x, dims=[-1])", "tc.fliplr(x)",
    "x.fliplr()", "tc.flipud(x)", "x.flipud()",
)  # fmt: skip
moves(
    "roll", "tc.roll(x, 1)", "x.roll(-2, 2)", "tc.roll(x, (1, -1), (0, 2))", "tc.rot90(x)",
    "x.rot90(2, (0, 2))", "tc.rot90(x, -1, (1, 2))", "x.rot90(4)",
)  # fmt: skip
moves(
    "repeat", "x.repeat(2, 1, 3)", "x.repeat((2, 1, 1, 1))", "tc.tile(x, (2,))", "x.tile(2, 1)",
    "tc.repeat_interleave(x, 2)", "x.repeat_interleave(3, 1)",
    "tc.repeat_interleave(x, tc.tensor([2, 0, 1]), 1)",
)  # fmt: skip
moves(
    "meshgrid", "tc.meshgrid(x, y[:2], indexing='ij')", "tc.meshgrid([x, y], indexing='xy')",
    "tc.cartesian_prod(x, y, x[:2])", "tc.combinations(x)", "tc.combinations(y, 3, True)",
    x=VECTOR, y=VECTOR,
)  # fmt: skip

# -- diagonals and triangles ------------------------------------------------------------------
moves(
    "diagonal", "tc.diagonal(x)", "x.diagonal(1, 1, 2)", "x.diagonal(-1, -1, 0)",
    "tc.diagonal(x, 9)",
)  # fmt: skip
moves(
    "diag", "tc.diag(x)", "x.diag(1)", "tc.diag(x[0], -1)", "x[1].diag()", "tc.diag_embed(x, 1)",
    "x.diag_embed(-1, 0, 2)", "tc.diagflat(x)", "x.diagflat(2)",
    "tc.block_diag(x, x[0], x[0, 0], x * 2)", x=MATRIX,
)  # fmt: skip
moves("tril", "tc.tril(x)", "x.tril(1)", "x.expand(2, -1, -1).tril(-1)", "tc.triu(x)",
      "x.triu(-1)", "x.expand(2, -1, -1).triu(2)", x=MATRIX)  # fmt: skip

# -- joining and cutting ----------------------------------------------------------------------


@st.composite
def joins(draw, op, parts):
    """``op`` of ``parts``, whose shapes are equal or, for ``cat``, equal outside of dim."""
    shape = draw(shapes(1, 3, elements=20))
    dim = draw(st.integers(-len(shape), len(shape) - 1))
    other = list(shape)
    if op[:3] in ("cat", "con"):
        other[dim] = draw(st.integers(1, 4))
    inputs = dict(x=draw(recipes(shape)), y=draw(recipes(tuple(other))))
    return Case.of(f"tc.{op}([{parts}], {dim})", **inputs)


_PARTS = ("x, y", "y, x, y", "x, x * 2, y")
register("stack", *(joins("stack", parts) for parts in _PARTS))
register(
    "cat", *(joins("cat", parts) for parts in _PARTS), joins("concat", "x, y"),
    joins("concatenate", "x, y"),
    examples=[
        Case.of("tc.cat([tc.ones(2, 3), x], 1)", x=np.ones((2, 2))),
        Case.of("tc.cat([tc.ones(0), x])", x=np.ones((2, 2))),
        Case.of("tc.cat([x, y, x])", x=np.ones((2, 2)), y=np.zeros(0)),
    ],
)  # fmt: skip
moves(
    "hstack", "tc.hstack([x, x])", "tc.hstack([x[0, 0], x[0, 1, :2], x[0, 0, 0]])",
    "tc.vstack((x, x[:1]))", "tc.row_stack([x[0, 0], x[1, 2]])", "tc.dstack([x, x[..., :1]])",
    "tc.dstack([x[0, 0], x[1, 1]])", "tc.column_stack([x[0, :, 0], x[1]])",
)  # fmt: skip
moves(
    "split", "x.split([1, 3], 2)", "tc.split(x, 2, -1)", "x.split(3, 2)[1]",
    "x.split([2, 0, 1], 1)", "x.split_with_sizes([3, 1], 2)", "tc.split_with_sizes(x, (1, 2), 1)",
)  # fmt: skip
moves(
    "tensor_split", "tc.tensor_split(x, 3, 2)", "x.tensor_split([1, 2], 1)",
    "x.tensor_split(tc.tensor([2, 1]), 2)", "tc.hsplit(x, 3)", "x.hsplit([1])", "tc.vsplit(x, 2)",
    "x.vsplit((1, 1))", "tc.dsplit(x, 2)", "x.dsplit([1, 3])",
)  # fmt: skip
moves("chunk", "tc.chunk(x, 2, 1)", "x.chunk(3)", "x.chunk(2, 2)[0]")
moves("unbind", "tc.unbind(x, 1)", "x.unbind()", "x.unbind(-1)[2]", "a, b = x\na * b")

# -- casts ------------------------------------------------------------------------------------
moves(
    "to", "x.double()", "x.to(tc.float64)", "x.to('cpu')", "x.to('cpu', tc.float64, copy=True)",
    "x.type_as(tc.ones(1, dtype=tc.float64))", "x.type('torch.DoubleTensor')",
)  # fmt: skip
# float32 holds small whole numbers and their neighbours at a power of two
register(
    "to float32",
    *spelled("x.float()", "x.to(tc.float32)", "x.float().double() * 2",
            x=recipes(SHAPE, integer=True)),
    examples=[Case.of("x.double()", x=Values(SHAPE, dtype="float32"))],
)  # fmt: skip
_WHOLE = recipes(SHAPE, integer=True, low=0.0, high=9.0)
register_values(
    "to integers",
    *spelled("x.long()", "x.int()", "x.short()", "x.char()", "x.byte()", "x.bool()",
            "x.to(tc.int32).reshape(-1)", x=_WHOLE),
)  # fmt: skip

# -- without a derivative ---------------------------------------------------------------------
register_values(
    "creation",
    *spelled("tc.zeros(2, 3)", "tc.zeros(0)", "tc.ones((4, 2))", "tc.ones(size=(2, 0))",
            "tc.full((2, 3), 7)", "tc.full((), 0.5)", "tc.eye(3)", "tc.eye(2, 4)",
            "tc.zeros_like(x)", "tc.ones_like(x)", "tc.full_like(x, 3)", "x.new_zeros(2, 3)",
            "x.new_ones(3)", "x.new_full((2,), 2)", "x.new_tensor([1, 2])",
            "tc.tensor([[1, 2], [3, 4]])", "tc.tensor(x)", "tc.as_tensor([1.5, 2])",
            "tc.scalar_tensor(3)", "tc.empty(2, 0).shape", "tc.empty_like(x).shape",
            "x.new_empty(2, 5).shape", "tc.numel(x)", "tc.is_tensor(x)", x=X),
)  # fmt: skip
register_values(
    "ranges",
    *spelled("tc.arange(5)", "tc.arange(0)", "tc.arange(3, -4, -2)", "tc.arange(start=2, end=9)",
            "tc.arange(1, 2.5, 0.25)", "tc.arange(0, 1.0, 0.1, dtype=tc.float64)",
            "tc.linspace(-1, 2, 5, dtype=tc.float64)", "tc.linspace(3, -4, 1)",
            "tc.linspace(-10, 5, 7, dtype=tc.int64)", "tc.logspace(0, 2, 3)",
            "tc.logspace(-1, 1, 4, base=2.0, dtype=tc.float64)"),
)  # fmt: skip
register_values(
    "places in a triangle",
    *spelled("tc.tril_indices(3, 4)", "tc.tril_indices(2, 0)", "tc.tril_indices(4, 2, -1)",
            "tc.triu_indices(3, 3, 1)", "tc.triu_indices(2, 4, -1)",
            "tc.broadcast_shapes((2, 1), 3, (1, 1, 3))"),
)  # fmt: skip
