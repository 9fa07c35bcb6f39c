"""Two operands, choice between them, matrix products, and their spellings in place."""

from hypothesis import strategies as st

from tinyconv.testing.cases import Case
from tinyconv.testing.registry.table import register, spelled, words
from tinyconv.testing.strategies import broadcast_shapes, recipes, sizes

ANY: dict = {}
POSITIVE = dict(low=0.05, high=20.0, kinks=(1.0,))
#: jumps lie on the whole multiples, which numbers like these miss
GENERIC = dict(kinds=("uniform",))


@st.composite
def binary_cases(draw, source, x, y):
    """``source`` of x, y and a mask, as far as it names them; they broadcast."""
    first, second = draw(broadcast_shapes())
    names = words(source)
    inputs = dict(x=draw(recipes(first, **x)))
    if "y" in names:
        inputs["y"] = draw(recipes(second, **y))
    if "mask" in names:
        inputs["mask"] = draw(recipes(second, dtype=bool, integer=True, low=0.0, high=1.0))
    return Case.of(source, **inputs)


def binary(name, *sources, x=ANY, y=ANY, examples=()):
    variants = (binary_cases(source, x, y) for source in sources)
    register(name, *variants, examples=examples)


def spellings(sign, *names):
    """The spellings as an operator, as functions and as methods."""
    called = (source for name in names for source in (f"tc.{name}(x, y)", f"x.{name}(y)"))
    return [*([f"x {sign} y"] if sign else []), *called]


SCALES = dict(scales=True)
binary("add", *spellings("+", "add"), "tc.add(x, y, alpha=3)", "x + x + y", x=SCALES, y=SCALES)
binary(
    "sub", *spellings("-", "sub", "subtract"), "x.sub(y, alpha=0.5)", "(y - x) - x",
    "tc.rsub(x, y, alpha=2)", x=SCALES, y=SCALES,
)  # fmt: skip
binary("mul", *spellings("*", "mul", "multiply"), "x * x", "x * y * x", x=SCALES, y=SCALES)
binary("div", *spellings("/", "div", "divide", "true_divide"), "x / (x * x + y)", y=POSITIVE)
binary("pow", *spellings("**", "pow", "float_power"), x=POSITIVE)
binary("x ** x", "x ** x", "x ** tc.tensor(3.0, dtype=x.dtype)", x=POSITIVE)
binary(
    "remainder", *spellings("%", "remainder", "fmod"), x=GENERIC, y=dict(POSITIVE, **GENERIC)
)  # fmt: skip
binary(
    "div rounded", "tc.div(x, y, rounding_mode='floor')", "x.div(y, rounding_mode='trunc')",
    *spellings("//", "floor_divide"), x=GENERIC, y=dict(POSITIVE, **GENERIC),
)  # fmt: skip
_TIES = [
    Case.of(f"tc.{name}(x, y)", x=[1.0, 2.0, 2.0], y=[2.0, 2.0, 1.0]) for name in ("max", "min")
]
binary("maximum", "tc.maximum(x, y)", "x.maximum(y)", "tc.max(x, y)", examples=_TIES)
binary("minimum", "tc.minimum(x, y)", "x.minimum(y)", "tc.min(x, y)", examples=_TIES)
binary("fmax", *spellings("", "fmax", "fmin"))
binary(
    "where", "tc.where(mask, x, y)", "tc.where(mask, x, 2.0)", "tc.where(mask, 0.5, x * y)",
    "tc.where(x > 0, x, x * 3)", "x.where(mask, y)",
)  # fmt: skip
binary(
    "masked_fill", "tc.masked_fill(x * y, mask, -5.0)", "x.expand_as(x * y).masked_fill(mask, 0.5)",
    "tc.masked_fill(x, mask, y.sum())",
)  # fmt: skip
binary(
    "clamp to tensors", "tc.clamp(x, y, None)", "x.clamp(max=y)", "tc.clamp(x, y, y + 1)",
    "tc.clamp_max(x, y)", "x.clamp_min(y)",
)  # fmt: skip

# -- functions of two numbers -------------------------------------------------------------------
binary("atan2", *spellings("", "atan2", "arctan2"), y=POSITIVE)
binary("hypot", *spellings("", "hypot"), y=POSITIVE)
binary("copysign", *spellings("", "copysign"), "tc.copysign(x, -2.0)", x=GENERIC, y=GENERIC)
binary("logaddexp", *spellings("", "logaddexp", "logaddexp2"))
binary("xlogy", *spellings("", "xlogy"), "tc.xlogy(x, 3.0)", "tc.xlogy(2.0, y)", y=POSITIVE)
binary(
    "lerp", "tc.lerp(x, y, 0.3)", "x.lerp(y, 0.8)", "tc.lerp(x, x * y, y)", "tc.lerp(y, x, x * x)"
)  # fmt: skip
binary("addcmul", "tc.addcmul(x, x, y)", "x.addcmul(y, y, value=-0.5)")
binary("addcdiv", "tc.addcdiv(x, x, y)", "x.addcdiv(x, y, value=2.5)", y=POSITIVE)
binary("heaviside", *spellings("", "heaviside"), "tc.heaviside(x * 0, y)", x=GENERIC)

# recorded tensors do not change: y += x makes a new y
for _name, _sign, _y in [
    ("iadd", "+=", ANY), ("isub", "-=", ANY), ("imul", "*=", ANY), ("itruediv", "/=", POSITIVE),
]:  # fmt: skip
    binary(_name, f"z = x + y\nz {_sign} y\nz", f"z = x * 2 + y\nz {_sign} 0.5\nz", y=_y)
binary("ipow", "z = x * 2 + y\nz **= 1.5\nz", "z = x + y\nz **= 2\nz", x=POSITIVE, y=POSITIVE)
binary("imod", "z = x + y\nz %= 0.7\nz", x=GENERIC, y=GENERIC)
binary("ifloordiv", "z = x + y\nz //= 0.7\nz", x=GENERIC, y=GENERIC)


# -- matrix products ------------------------------------------------------------------------
#: every pair of ranks, batches broadcast
RANKS = "MK,KN K,K K,KN MK,K BMK,KN BMK,K K,BKN MK,BKN BMK,BKN 1MK,BKN 21MK,BKN".split()


@st.composite
def matmul_cases(draw, source, ranks):
    """``source`` of x and y with one of ``ranks``; ``{a}`` and ``{b}`` stand for their shapes."""
    letters = dict(zip("MKNB", draw(sizes(4, 1, 4))), **{"1": 1, "2": 2})
    pair = draw(st.sampled_from(ranks)).split(",")
    a, b = (tuple(letters[c] for c in shape) for shape in pair)
    source = source.format(a=a, b=b)
    shapes = {name: shape for name, shape in dict(x=a, y=b).items() if name in words(source)}
    return Case.of(source, **{name: draw(recipes(s, **SCALES)) for name, s in shapes.items()})


register(
    "matmul",
    *(matmul_cases(s, RANKS) for s in ["x @ y", "tc.matmul(x, y)", "x.matmul(y)"]),
    *(matmul_cases(s, RANKS) for s in ["np.ones({a}) @ y", "x @ np.ones({b})"]),
    *(matmul_cases(s, ["MK,KN"]) for s in ["tc.mm(x, y)", "x.mm(y)"]),
    *(matmul_cases(s, ["BMK,BKN"]) for s in ["tc.bmm(x, y)", "x.bmm(y)"]),
)
_square = recipes(sizes(1, 1, 4).map(lambda size: size * 2))
register("matmul of one", *spelled("x @ x", "x @ x.T", "x.mT @ x", x=_square))


@st.composite
def linear_cases(draw):
    """``F.linear`` with any number of batch axes, with and without bias."""
    I, O, *lead = draw(sizes(draw(st.integers(2, 4)), 1, 4))
    inputs = dict(x=draw(recipes((*lead, I))), w=draw(recipes((O, I))))
    if draw(st.booleans()):
        inputs["b"] = draw(recipes((O,)))
    return Case.of(f"F.linear({', '.join(inputs)})", **inputs)


register("linear", linear_cases())
