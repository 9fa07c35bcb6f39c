"""Ops that take elements, and ops that put them somewhere."""

import numpy as np
from hypothesis import strategies as st

from tinyconv.testing.cases import Case
from tinyconv.testing.registry.table import register, register_values, spelled
from tinyconv.testing.strategies import recipes, sizes

SHAPE = (2, 3, 4)
X = recipes(SHAPE, scales=True)
#: what reductions over few numbers are looked at: no ties
SMOOTH = recipes(SHAPE, kinds=("uniform",))
_C = dict(dtype=np.int64, integer=True, low=0.0, layouts=st.just("C"))


def indices(shape, size):
    """Whole numbers from 0 to before ``size``, with repeats."""
    return recipes(shape, **_C, high=size - 1.0)


def elements(name, *sources, x=X, examples=(), **inputs):
    register(name, *spelled(*sources, x=x, **inputs), examples=examples)


# -- x[...] -----------------------------------------------------------------------------------
elements(
    "slices", "x[1]", "x[1, -1, 2]", "x[:, 1:, ::2]", "x[..., 1]", "x[:, None, 1]",
    "x[tc.tensor(1)]", "x[0, ..., None, :2]", "x[:, 3:]", "x[()]", "x[None, ..., None]",
    "x[-1, :-1]", "x[np.int64(1)]", "x[True]",
)  # fmt: skip
elements(
    "index arrays", "x[[1, 0, 1, 1]]", "x[:, i]", "x[i, :, i]", "x[np.array([[0, 1], [1, 1]])]",
    "x[(0, 0, 1),]", "x[:, [2, 0], 1:]", "x[i, 1, None]", "x[:, i, :, None]",
    "x[[[0, 1], [1, 1]], i[:2]]", "x[..., [-1, 0]]", "x[i[:, None], :, i]", "x[range(2), 1]",
    i=indices((3,), 2),
)  # fmt: skip
_MASK = recipes(SHAPE, dtype=bool, integer=True, low=0.0, high=1.0)
elements(
    "masks", "x[m]", "x[m[:, 0, 0]]", "x[:, m[0, :, 0]]", "x[m[:, :, 0]]", "x[:, m[0]]",
    "x[m[:, :, 0], 1]", "x[[True, False]]", "x[m[:, 0, 0], :, [1]]", "x[False]",
    "tc.masked_select(x, m)", "x.masked_select(m[0])", m=_MASK,
)  # fmt: skip

# -- taking -----------------------------------------------------------------------------------
elements(
    "select", "tc.select(x, 1, -1)", "x.select(0, 1)", "tc.narrow(x, 2, 1, 2)",
    "x.narrow(1, -2, 1)", "x.narrow(0, tc.tensor(1), 1)",
)  # fmt: skip
elements("index_select", "tc.index_select(x, -1, i)", "x.index_select(1, i)",
         "x[0, 0, :1].squeeze().index_select(0, i[:1] * 0)",
         i=indices(sizes(1, 1, 5), 3))  # fmt: skip
elements(
    "gather", "tc.gather(x, 1, i)", "x.gather(-2, i)", "tc.gather(x[:, :, :2], 1, i[..., :2])",
    "tc.take_along_dim(x, i[..., :1], 1)", "x.take_along_dim(i[:, :1, :1], 2)",
    "x.take_along_dim(i - 1)", i=indices((2, 5, 3), 3),
    examples=[Case.of("x.gather(1, tc.tensor([], dtype=tc.int64))", x=np.ones((2, 3)))],
)  # fmt: skip
elements("take", "tc.take(x, i)", "x.take(i - 24)", "x.T.take(i)", i=indices((2, 5), 24))
elements(
    "Tensor.unfold", "x.unfold(2, 3, 1)", "x.unfold(-1, 2, 2)", "x.unfold(1, 1, 1)",
    "x.unfold(1, 3, 2)", "x.unfold(2, 2, 1).unfold(1, 2, 1)",
)  # fmt: skip

# -- putting ----------------------------------------------------------------------------------
_SRC = recipes((2, 5, 3))
elements(
    "scatter", "tc.scatter(x, 1, i, y)", "x.scatter(-2, i, y)", "tc.scatter(x, 1, i, 0.5)",
    "x.scatter(1, i[:, :2], y, reduce='add')", "tc.scatter(x, 1, i, value=2.0)",
    "tc.scatter(x, 1, i[:1, :2], y)", i=indices((2, 5, 3), 3), y=_SRC,
)  # fmt: skip
elements(
    "scatter_add", "tc.scatter_add(x, 1, i, y)", "x.scatter_add(1, i[:, :3], y)",
    "x.scatter_reduce(1, i, y, 'sum')", "tc.scatter_reduce(x, 1, i, y, 'sum', include_self=False)",
    "tc.scatter_reduce(x, 1, i, y, 'mean')",
    "x.scatter_reduce(1, i, y, 'mean', include_self=False)",
    i=indices((2, 5, 3), 3), y=_SRC,
)  # fmt: skip
elements(
    "scatter_reduce", "tc.scatter_reduce(x, 1, i, y, 'prod')",
    "x.scatter_reduce(1, i, y, 'prod', include_self=False)", "x.scatter_reduce(1, i, y, 'amax')",
    "tc.scatter_reduce(x, 1, i, y, 'amin', include_self=False)",
    "x.scatter(1, i, y, reduce='multiply')",
    x=SMOOTH, i=indices((2, 5, 3), 3), y=recipes((2, 5, 3), kinds=("uniform",)),
)  # fmt: skip
_SLICES = dict(i=indices((2,), 3), y=recipes((2, 2, 4)))
elements(
    "index_add", "tc.index_add(x, 1, i, y)", "x.index_add(-2, i, y, alpha=-2)",
    "tc.index_copy(x, 1, i, y)", "x.index_copy(1, i, y)", "tc.index_fill(x, 1, i, 0.5)",
    "x.index_fill(1, i - 3, y.sum())", **_SLICES,
)  # fmt: skip
elements(
    "index_put", "tc.index_put(x, (i, i + 1), y[0])", "x.index_put((i[:1], i), y[:, 0, :1], True)",
    "x.index_put((None, i), y, accumulate=True)", "x.index_put((x.detach() > 0,), y.sum())",
    i=indices((2,), 2), y=recipes((2, 2, 4)),
)  # fmt: skip
elements(
    "put", "tc.put(x, i, y)", "x.put(i - 24, y)", "x.put(i, y, accumulate=True)",
    i=indices((2, 3), 24), y=recipes((6,)),
)  # fmt: skip
elements(
    "masked_scatter", "tc.masked_scatter(x, m, y)", "x.masked_scatter(m[0], y)",
    "x[0].masked_scatter(m, y)", m=_MASK, y=recipes((5, 5)),
)  # fmt: skip
elements(
    "view_scatter", "tc.select_scatter(x, y[0], 1, -1)", "x.select_scatter(y[0], 1, 2)",
    "tc.slice_scatter(x, y[:, :1, 1:].mT, 2, 1, 2)", "x.slice_scatter(y, 1, 0, 3, 2)",
    "tc.diagonal_scatter(x, y[0].T)", "x.diagonal_scatter(y[:, 0, :1], 3, 1, 2)",
    y=recipes((2, 2, 4)),
)  # fmt: skip

# -- without a derivative -----------------------------------------------------------------------
register_values(
    "nonzero",
    *spelled("tc.nonzero(x)", "x.nonzero(as_tuple=True)", "tc.argwhere(x > 0)", "x[0].argwhere()",
            "x.sum().nonzero()", x=recipes(SHAPE, kinds=("ramp", "integers"))),
)  # fmt: skip
register_values(
    "counts",
    *spelled("F.one_hot(i)", "F.one_hot(i, 7)", "tc.bincount(i.reshape(-1))",
            "i[0].bincount(minlength=9)", "tc.bincount(i[0], weights=x)",
            i=indices((2, 4), 5), x=recipes((4,))),
)  # fmt: skip
