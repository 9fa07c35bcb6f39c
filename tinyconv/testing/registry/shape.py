"""Ops that move numbers: shapes, axes, joins and cuts, indices, casts."""

import numpy as np
from hypothesis import strategies as st

from tinyconv.testing.cases import Case, Values
from tinyconv.testing.registry.table import register, spelled
from tinyconv.testing.strategies import recipes, shapes, sizes

SHAPE = (2, 3, 4)
X = recipes(SHAPE, scales=True)
#: for what takes apart an axis of size 1 too
ONE = recipes(st.sampled_from([(2, 1, 4), (1, 3, 1)]))
indices = dict(dtype=np.int64, integer=True, low=0.0, layouts=st.just("C"))


def moves(name, *sources, x=X, examples=(), **inputs):
    register(name, *spelled(*sources, x=x, **inputs), examples=examples)


moves(
    "reshape", "x.reshape(4, 6)", "tc.reshape(x, (3, -1))", "x.contiguous().view(2, -1)",
    "x.reshape(6, 4).view_as(tc.ones(2, 12))",
)  # fmt: skip
moves("flatten", "tc.flatten(x)", "x.flatten(1)", "tc.flatten(x, 0, 1)", "x.sum().flatten()")
moves(
    "permute", "x.permute(2, 0, 1)", "tc.permute(x, (-1, -3, -2))", "tc.transpose(x, 0, -1)",
    "x.transpose(1, 2)", "x.T", "x.mT", "tc.t(x[0])", "x[:, 1].t()",
)  # fmt: skip
moves("unsqueeze", "x.unsqueeze(1)", "tc.unsqueeze(x, -1)")
moves("squeeze", "tc.squeeze(x)", "x.squeeze()", "x.squeeze(1)", "tc.squeeze(x, (0, -1))", x=ONE)
moves("expand", "x.expand(2, 3, 4)", "x.expand(5, -1, -1, -1)", "x.expand_as(tc.ones(3, 2, 3, 4))",
      x=ONE)  # fmt: skip
moves("flip", "x.flip(0, 2)", "tc.flip(x, (1,))", "x.flip(-1)")
moves(
    "clone", "tc.clone(x)", "x.clone()", "x.T.contiguous()", "x.cpu()", "x.to(x.dtype, copy=True)"
)


@st.composite
def pad_cases(draw):
    """``F.pad`` and crops of any of the last axes."""
    shape = draw(shapes(1, 3, elements=24))
    widths: list[int] = []
    for n in shape[::-1][: draw(st.integers(0, len(shape)))]:
        # at least one of the n elements stays
        widths += (draw(st.integers(-((n - 1) // 2), 2)) for _ in range(2))
    value = draw(st.sampled_from(["", ", value=-1.5"]))
    return Case.of(f"F.pad(x, {tuple(widths)}{value})", x=draw(recipes(shape)))


register("pad", pad_cases())

# -- joining and cutting ----------------------------------------------------------------------


@st.composite
def joins(draw, op, parts):
    """``op`` of ``parts``, whose shapes are equal or, for ``cat``, equal outside of dim."""
    shape = draw(shapes(1, 3, elements=20))
    dim = draw(st.integers(-len(shape), len(shape) - 1))
    other = list(shape)
    if op == "cat":
        other[dim] = draw(st.integers(1, 4))
    inputs = dict(x=draw(recipes(shape)), y=draw(recipes(tuple(other))))
    return Case.of(f"tc.{op}([{parts}], {dim})", **inputs)


_PARTS = ("x, y", "y, x, y", "x, x * 2, y")
register("stack", *(joins("stack", parts) for parts in _PARTS))
register(
    "cat", *(joins("cat", parts) for parts in _PARTS),
    examples=[
        Case.of("tc.cat([tc.ones(2, 3), x], 1)", x=np.ones((2, 2))),
        Case.of("tc.cat([tc.ones(0), x])", x=np.ones((2, 2))),
    ],
)  # fmt: skip
moves(
    "split", "x.split([1, 3], 2)", "tc.split(x, 2, -1)", "x.split(3, 2)[1]", "x.split([2, 0, 1], 1)"
)
moves("chunk", "tc.chunk(x, 2, 1)", "x.chunk(3)", "x.chunk(2, 2)[0]")
moves("unbind", "tc.unbind(x, 1)", "x.unbind()", "x.unbind(-1)[2]", "a, b = x\na * b")

# -- taking elements ------------------------------------------------------------------------
moves(
    "slices", "x[1]", "x[1, -1, 2]", "x[:, 1:, ::2]", "x[::-1, :, ::-2]", "x[..., 1]",
    "x[:, None, 1]", "x[tc.tensor(1)]", "x[0, ..., None, :2]",
)  # fmt: skip
moves(
    "index arrays", "x[[1, 0, 1, 1]]", "x[:, i]", "x[i, :, i]", "x[np.array([[0, 1], [1, 1]])]",
    "x[(0, 0, 1),]", "x[:, [2, 0], 1:]", "x[i, 1, None]",
    i=recipes((3,), **indices, high=1.0),
)  # fmt: skip
_mask = recipes(SHAPE, dtype=bool, integer=True, low=0.0, high=1.0)
moves("masks", "x[m]", "x[m[:, 0, 0]]", "x[:, m[0, :, 0]]", "tc.where(m, x, x * x)", m=_mask)
moves("index_select", "tc.index_select(x, -1, i)", "x.index_select(1, i)",
      i=recipes(sizes(1, 1, 5), **indices, high=2.0))  # fmt: skip
moves(
    "gather", "tc.gather(x, 1, i)", "x.gather(-2, i)", "tc.gather(x[:, :, :2], 1, i[..., :2])",
    i=recipes((2, 5, 3), **indices, high=2.0),
)  # fmt: skip

# -- casts ------------------------------------------------------------------------------------
moves(
    "to", "x.double()", "x.to(tc.float64)", "x.to('cpu')", "x.type_as(tc.ones(1, dtype=tc.double))"
)
# float32 holds small whole numbers and their neighbours at a power of two
register(
    "to float32",
    *spelled("x.float()", "x.to(tc.float32)", "x.float().double() * 2",
            x=recipes(SHAPE, integer=True)),
    examples=[Case.of("x.double()", x=Values(SHAPE, dtype="float32"))],
)  # fmt: skip
