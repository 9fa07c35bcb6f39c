"""Order: sorting, the k-th values, medians and quantiles; places and counts, for their values."""

from hypothesis import strategies as st

from tinyconv.testing.cases import Case
from tinyconv.testing.registry.reduce import both, reduction, reductions
from tinyconv.testing.registry.table import register, register_values, spelled
from tinyconv.testing.strategies import recipes, shapes

#: equal elements have no order, and their gradient is a matter of convention
_APART = dict(dims="one", distinct=True)
reduction(
    "sort", "tc.sort(x, {dim})[0]", "x.sort({dim}, descending=True).values", "x.sort({dim})",
    "tc.msort(x)", "x.msort()", "tc.sort(x, stable=True, dim={dim})", **_APART,
)  # fmt: skip
reduction(
    "topk", "tc.topk(x, 1, {dim})", "x.topk(2, {dim}, largest=False)[0]",
    "x.topk(2, {dim}, sorted=True).values", smallest=2, **_APART,
)  # fmt: skip
reduction(
    "kthvalue", "tc.kthvalue(x, 1, {dim}{options})[0]", "x.kthvalue(2, {dim}{options})",
    smallest=2, **_APART,
)  # fmt: skip
reduction("median", "tc.median(x)", "x.median()", *both("median"), **_APART)
reduction("nanmedian", "tc.nanmedian(x)", *both("nanmedian"), **_APART)
reduction("mode", "tc.mode(x, {dim}{options})[0]", "x.mode({dim}{options}).values", **_APART)


@st.composite
def _quantiles(draw, call):
    """``call`` of x with a share or some of them, over a dim or all."""
    options = draw(st.sampled_from(["", ", dim=-1", ", dim=0, keepdim=True"]))
    way = draw(st.sampled_from(["linear", "lower", "higher", "midpoint", "nearest"]))
    options += "" if way == "linear" else f", interpolation={way!r}"
    q = draw(st.sampled_from(["0.3", "tc.tensor([0.1, 0.55, 1.0], dtype=x.dtype)"]))
    x = draw(recipes(shapes(1, 3, elements=24), distinct=True))
    return Case.of(call.format(q=q, options=options), x=x)


register(
    "quantile",
    *(_quantiles(f"{name}{{q}}{{options}})") for name in (
        "tc.quantile(x, ", "x.quantile(", "tc.nanquantile(x, ", "x.nanquantile(",
    )),
    *spelled("tc.quantile(x, q, 0)", x=recipes((3, 4), distinct=True),
             q=recipes((2,), low=0.05, high=0.45, kinds=("uniform",))),
)  # fmt: skip


# -- values alone -----------------------------------------------------------------------------
def values(name, *sources, dims="any", **options):
    """Ops without derivative, of small whole numbers: many are equal, many are 0."""
    options = dict(kinds=("integers", "ramp"), **options)
    register_values(name, *(reductions(s, dims, 1, 1, options) for s in sources))


values("truth", *both("any"), *both("all"), "tc.any(x)", "x.all()")
values("count_nonzero", "tc.count_nonzero(x, {dim})", "x.count_nonzero()")
values("argmax", *both("argmax"), *both("argmin"), "tc.argmax(x)", "x.argmin()", dims="one")
values(
    "argsort", "tc.argsort(x, {dim}, stable=True)", "x.argsort({dim}, True, stable=True)",
    "tc.sort(x, {dim}, True, stable=True)[1]", "tc.mode(x, {dim}{options})",
    "tc.max(x, {dim}{options})", "tc.cummax(x, {dim})", "tc.cummin(x, {dim})", dims="one",
)  # fmt: skip
values(
    "unique", "tc.unique(x)", "x.unique(return_inverse=True, return_counts=True)",
    "tc.unique(x, dim={dim})", "tc.unique_consecutive(x, return_inverse=True, return_counts=True)",
    "x.unique_consecutive(dim={dim})", dims="one",
)  # fmt: skip
_BOUNDS = recipes((4,), kinds=("ramp",))
register_values(
    "searchsorted",
    *spelled("tc.searchsorted(s, x)", "tc.searchsorted(s, x, right=True)",
             "tc.bucketize(x, s, right=True)", "tc.bucketize(x, s, out_int32=True)",
             "tc.searchsorted(tc.stack([s, s * 2]), x, side='right')",
             s=_BOUNDS, x=recipes((2, 5), kinds=("integers", "uniform"))),
)  # fmt: skip
