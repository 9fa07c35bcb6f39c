"""Recorded tensors that are changed: each becomes the result of an op, and gets its derivative."""

from hypothesis import strategies as st

from tinyconv.testing.cases import Case
from tinyconv.testing.registry.table import register
from tinyconv.testing.strategies import recipes, sizes


@st.composite
def cases(draw, source):
    """``source`` of x and y of one shape, of two dimensions."""
    shape = draw(sizes(2, 2, 4))
    return Case.of(source, x=draw(recipes(shape)), y=draw(recipes(shape)))


register(
    "in place",
    cases("z = x * y\nz.add_(y).mul_(x)\nz"),
    cases("z = x.clone()\nz.sin_().addcmul_(x, y, value=2).addcdiv_(y, x * x + 1)\nz"),
    cases("z = x.clone()\nz[:, 0] = y[:, 1] * 2\nz[0] *= y[0]\nz"),
    cases("z = x.clone()\nz[[1, 1], [0, 0]] = y[:, 0][:2]\nz[:, 1:] = 3.0\nz"),
    cases("z = x.clone()\nz.copy_(y * x)\nz * z"),
    cases("z = x * y\nz.fill_(y.sum())\nz.fill_diagonal_(0.5)\nz * x"),
)
