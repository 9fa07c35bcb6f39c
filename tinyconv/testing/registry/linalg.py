"""Products over chosen axes, and tables of rows. (``matmul`` and ``linear`` stand in
``arithmetic``.)"""

import numpy as np
from hypothesis import strategies as st

from tinyconv.testing.cases import Case
from tinyconv.testing.registry.table import register, spelled
from tinyconv.testing.strategies import recipes, sizes


@st.composite
def products(draw, source, smallest=1, **shapes):
    """``source`` of inputs whose shapes are written in letters: a="MK", b="KN"."""
    letters = dict(zip("BMKN", draw(sizes(4, smallest, 4))), **{"1": 1, "3": 3})
    inputs = {
        name: draw(recipes(tuple(letters[c] for c in shape))) for name, shape in shapes.items()
    }
    return Case.of(source, **inputs)


def product(name, *sources, examples=(), **shapes):
    register(name, *(products(source, **shapes) for source in sources), examples=examples)


product("mv", "tc.mv(a, x)", "a.mv(x)", a="MK", x="K")
product("dot", "tc.dot(x, y)", "x.dot(y)", "tc.vdot(x, y)", "x.vdot(y)", "tc.inner(x, y)",
        x="K", y="K")  # fmt: skip
product("inner", "a.inner(b)", "tc.inner(a, b)", a="BMK", b="NK")
product("outer", "tc.outer(x, y)", "x.outer(y)", "tc.ger(x, y)", "x.ger(y)", x="M", y="N")
product(
    "addmm", "tc.addmm(x, a, b)", "x.addmm(a, b, beta=0.5, alpha=-2)",
    "tc.addmm(x, a, b, beta=0)", x="1N", a="MK", b="KN",
)  # fmt: skip
product("addmv", "tc.addmv(x, a, y)", "x.addmv(a, y, beta=3, alpha=0.5)", x="M", a="MK", y="K")
product("addr", "tc.addr(x, y, z)", "x.addr(y, z, beta=3, alpha=0.5)", x="N", y="M", z="N")
product("baddbmm", "tc.baddbmm(x, a, b)", "x.baddbmm(a, b, beta=3, alpha=0.5)",
        x="M1", a="BMK", b="BKN")  # fmt: skip
product("addbmm", "tc.addbmm(x, a, b)", "x.addbmm(a, b, beta=3, alpha=0.5)",
        x="MN", a="BMK", b="BKN")  # fmt: skip
product("tensordot", "tc.tensordot(a, b, 1)", "tc.tensordot(a, b, ([-1], [0]))",
        "tc.tensordot(b, a, dims=([0, 2], [2, 0]))", a="BMK", b="KNB")  # fmt: skip
product("kron", "tc.kron(a, b)", "b.kron(a)", a="MK", b="BN1")
product("trace", "tc.trace(a)", "a.trace()", a="MK")
product("cross", "tc.cross(a, b)", "a.cross(b, 1)", "tc.linalg.cross(a, b, dim=1)",
        a="B3M", b="B3M")  # fmt: skip
product("vecdot", "tc.linalg.vecdot(a, b)", "tc.linalg.vecdot(a, b, dim=0)", a="MK", b="M1")
product("multi_dot", "tc.linalg.multi_dot([a, b, c])", "tc.linalg.multi_dot([a[0], b, c, x])",
        "tc.linalg.multi_dot((a, b))", "tc.linalg.matmul(a, b)",
        a="MK", b="KN", c="NB", x="B")  # fmt: skip
product(
    "matrix_power", "tc.matrix_power(a, 3)", "a.matrix_power(2)", "tc.linalg.matrix_power(a, 5)",
    "a.matrix_power(1)", "tc.matrix_power(a, 0) * a", a="BMM",
)  # fmt: skip
_EYE = "np.eye(a.shape[-1])"
#: far from those that have none
product("inv", f"tc.linalg.inv(a + 20 * {_EYE})", f"(a + 15 * {_EYE}).inverse()",
        f"tc.inverse(a * 0.1 + {_EYE})", f"tc.matrix_power(a + 20 * {_EYE}, -2)",
        a="BMM")  # fmt: skip

product(
    "einsum", "tc.einsum('mk,kn->mn', a, b)", "tc.einsum('mk, kn', [a, b])",
    "tc.einsum(a, [0, 1], b, [1, 2], [2, 0])", "tc.einsum('mk,kn->', a, b)",
    "tc.einsum('bmm->bm', c)", "tc.einsum('bii', c)",
    "tc.einsum('...mk,kn->...nm', c[..., :1], b[:1])",
    "tc.einsum('bmn,mk,kn->bk', c[..., :1], a, b[:, :1])", "tc.einsum('mk->km', a)",
    "tc.einsum('...,...k->...', c[0, 0], b[0, 0] * c)", "tc.einsum('mk,mk->mk', a, a[:, :1])",
    a="MK", b="KN", c="BMM",
)  # fmt: skip
product(
    "bilinear", "F.bilinear(x, y, w)", "F.bilinear(x, y, w, b)", "tc.bilinear(x[0], y[0], w, b)",
    x="BM", y="BK", w="NMK", b="N",
)  # fmt: skip

register(
    "embedding",
    *spelled(
        "F.embedding(i, w)", "F.embedding(i, w, max_norm=99.0)",
        i=recipes((2, 3), dtype=np.int64, integer=True, low=0.0, high=3.0), w=recipes((4, 3)),
    ),
)  # fmt: skip
