"""Sums, means, extremes, norms and softmax over any choice of axes."""

import numpy as np
from hypothesis import strategies as st

from tinyconv.testing.cases import Case, Values
from tinyconv.testing.registry.table import register
from tinyconv.testing.strategies import recipes, shapes


@st.composite
def reductions(draw, source, dims, least, smallest, values):
    """``source`` with ``{dim}`` and ``{options}`` filled in; dims: 'any', 'one' or 'needed'."""
    shape = draw(shapes(least, 3, smallest, elements=24))
    axes = st.integers(-len(shape), len(shape) - 1)
    if dims != "one":
        several = st.lists(st.integers(0, len(shape) - 1), min_size=1, unique=True).map(tuple)
        axes = axes | several
    if dims == "any":
        axes = st.none() | axes
    dim = draw(axes)
    options = draw(st.sampled_from(["", ", keepdim=True"]))
    source = source.format(dim=dim, options=options)
    return Case.of(source, x=draw(recipes(shape, **values)))


def reduction(name, *sources, dims="any", least=1, smallest=1, examples=(), **values):
    variants = (reductions(s, dims, least, smallest, values) for s in sources)
    register(name, *variants, examples=examples)


def both(name):
    return f"tc.{name}(x, {{dim}}{{options}})", f"x.{name}({{dim}}{{options}})"


reduction("sum", "x.sum()", *both("sum"), scales=True)
reduction("mean", "tc.mean(x)", *both("mean"), scales=True)
reduction("nansum", *both("nansum"), *both("nanmean"))
# zeros among the factors: the gradient must not divide by them
_ZEROS = np.array([[2.0, 0.0, 3.0], [0.0, 0.0, 1.0]])
reduction(
    "prod", "tc.prod(x)", *both("prod"), dims="one", low=-2.0, high=2.0,
    examples=[Case.of("tc.prod(x, 1)", x=_ZEROS)],
)  # fmt: skip
_TIES = np.array([[1.0, 3.0, 3.0], [2.0, 2.0, 2.0]])
reduction(
    "amax", "x.amax()", *both("amax"), scales=True, examples=[Case.of("tc.amax(x, 1)", x=_TIES)]
)
reduction(
    "amin", "tc.amin(x)", *both("amin"), scales=True, examples=[Case.of("tc.amin(x, 1)", x=_TIES)]
)
reduction("logsumexp", *both("logsumexp"), dims="needed", low=-30.0, high=30.0)
reduction(
    "max", "tc.max(x, {dim}{options})[0]", "x.max({dim}{options}).values",
    "tc.max(x, {dim}{options})", "tc.aminmax(x, dim={dim}{options})", "x.aminmax().max",
    dims="one", examples=[Case.of("tc.max(x, 1)[0]", x=_TIES)],
)  # fmt: skip
reduction(
    "min", "tc.min(x, {dim}{options})[0]", "x.min({dim}{options}).values",
    "tc.min(x, {dim}{options})", dims="one", examples=[Case.of("tc.min(x, 1)[0]", x=_TIES)],
)  # fmt: skip
reduction("max of all", "tc.max(x)", "x.max()", "max(x.flatten().unbind())")
reduction("min of all", "tc.min(x)", "x.min()")

_CONSTANT_ROW = np.array([[2.0, 2.0, 2.0], [1.0, -1.0, 4.0]])
reduction(
    "var", "tc.var(x, {dim}{options})", "x.var({dim}, correction=0{options})",
    "x.var({dim}, unbiased=False{options})", "x.var(False)",
    "tc.var_mean(x, {dim}, correction=0.5{options})", smallest=2,
)  # fmt: skip
reduction(
    "std", "tc.std(x, {dim}{options})", "x.std({dim}, correction=0{options})",
    "x.std({dim}, False{options})", "tc.std_mean(x, {dim}{options})", smallest=2,
    examples=[Case.of("tc.std(x, 1)", x=_CONSTANT_ROW)],
)  # fmt: skip

# A 2-norm has no slope at 0: NaN there was HIPS autograd#151 (since 2016), pytorch#2421 and
# jax#3058; 0 is in the middle of what it could be, and odd as the gradient of an even function is.
_ZERO_ROW = np.array([[0.0, 0.0, 0.0], [1.0, -2.0, 2.0]])
reduction(
    "norm", "tc.norm(x, 2, {dim}{options})", "x.norm(dim={dim}{options})", "x.norm('fro')",
    scales=True,
    examples=[
        Case.of("tc.norm(x)", x=np.zeros(3)),
        Case.of("x.norm()", x=np.zeros(1)),
        Case.of("tc.norm(x, 2, 1)", x=_ZERO_ROW),
        # autograd#586, jax#21723: squared it is smooth, and 0 is the only right answer. (Its second
        # derivative, 2, is beyond the chain rule: it comes of the norm's slope at 0.)
        Case.of("tc.norm(x) ** 2", x=np.zeros(3), order=1),
    ],
)  # fmt: skip
reduction(
    "norm 1", "tc.norm(x, 1, {dim}{options})", "x.norm(1, {dim}{options})",
    "tc.linalg.vector_norm(x, 1, {dim}{options})",
)  # fmt: skip
reduction("norm 3", "tc.norm(x, 3, {dim}{options})", examples=[Case.of("x.norm(3)", x=[0.0, 1.0])])
reduction("norm 1.5", "x.norm(1.5, {dim}{options})", low=0.05, high=3.0, kinks=(1.0,))
reduction("norm inf", "tc.norm(x, float('inf'), {dim}{options})")
reduction("norm -inf", "tc.norm(x, -float('inf'), {dim}{options})")
reduction("norm 0", "tc.norm(x, 0, {dim}{options})", low=0.5, high=3.0)  # it jumps at 0

_WIDE = dict(dims="one", low=-30.0, high=30.0)
reduction(
    "softmax", "tc.softmax(x, {dim})", "x.softmax({dim})", "F.softmax(x, {dim})", "F.softmax(x)",
    "F.softmax(x, {dim}, dtype=tc.float64)", "F.softmin(x, {dim})", **_WIDE,
)  # fmt: skip
reduction(
    "log_softmax", "tc.log_softmax(x, {dim})", "x.log_softmax({dim})", "F.log_softmax(x, {dim})",
    "F.log_softmax(x)", **_WIDE,
    examples=[Case.of("F.log_softmax(x, 1)", x=Values((2, 3), "uniform", scale=1e3))],
)  # fmt: skip
reduction("gumbel_softmax", "tc.manual_seed(4)\nF.gumbel_softmax(x, 0.7, dim={dim})", dims="one")

# -- running along a dim ----------------------------------------------------------------------
reduction("cumsum", "tc.cumsum(x, {dim})", "x.cumsum({dim})", dims="one", scales=True)
reduction(
    "cumprod", "tc.cumprod(x, {dim})", "x.cumprod({dim})", dims="one", low=-2.0, high=2.0,
    examples=[Case.of("tc.cumprod(x, 1)", x=_ZEROS)],
)  # fmt: skip
reduction("logcumsumexp", "tc.logcumsumexp(x, {dim})", "x.logcumsumexp({dim})", **_WIDE)
reduction(
    "cummax", "tc.cummax(x, {dim})[0]", "x.cummax({dim}).values", "tc.cummin(x, {dim})",
    "x.cummin({dim}).values", dims="one", distinct=True,
)  # fmt: skip
reduction(
    "diff", "tc.diff(x, dim={dim})", "x.diff(2, {dim})", "tc.diff(x, 1, {dim}, x * x, 2 * x)",
    dims="one", smallest=3,
)  # fmt: skip
