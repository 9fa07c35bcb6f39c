"""Functions of one number: where each is looked at, and where it bends."""

import math

from tinyconv.testing.cases import Case
from tinyconv.testing.registry.table import register, register_values, spelled
from tinyconv.testing.strategies import recipes, shapes


def pointwise(name, *sources, examples=(), **values):
    """``sources`` of one argument x, whose ``values`` are drawn as in ``tensors``."""
    x = recipes(shapes(0, 3, elements=24), **values)
    register(name, *spelled(*sources, x=x), examples=examples)


def both(*names):
    """The spellings as a function and as a method."""
    return [source for name in names for source in (f"tc.{name}(x)", f"x.{name}()")]


POSITIVE = dict(low=0.01, high=100.0, kinks=(1.0,))

# -- the table of tinyconv.ops.pointwise -------------------------------------------------------
pointwise("exp", *both("exp", "exp2"), low=-5.0, high=5.0)
pointwise("expm1", *both("expm1"), low=-5.0, high=5.0)
pointwise("log", *both("log", "log2", "log10"), **POSITIVE)
pointwise("log1p", *both("log1p"), low=-0.9, high=50.0)
pointwise("sqrt", *both("sqrt"), **POSITIVE)
pointwise("rsqrt", *both("rsqrt"), **POSITIVE)
pointwise("reciprocal", *both("reciprocal"), low=-20.0, high=-0.05, kinks=(-1.0,))
pointwise("sin", *both("sin"), low=-10.0, high=10.0)
pointwise("cos", *both("cos"), low=-10.0, high=10.0)
pointwise("tan", *both("tan"), low=-1.4, high=1.4)
pointwise(
    "asin", *both("asin", "arcsin", "acos", "arccos", "atanh", "arctanh"), low=-0.95, high=0.95,
)  # fmt: skip
pointwise("atan", *both("atan", "arctan", "asinh", "arcsinh"), low=-10.0, high=10.0)
pointwise("sinh", *both("sinh", "cosh"), low=-4.0, high=4.0)
pointwise("acosh", *both("acosh", "arccosh"), low=1.1, high=20.0, kinks=(2.0,))
pointwise("tanh", "F.tanh(x)", *both("tanh"), low=-12.0, high=12.0)
pointwise("sigmoid", "F.sigmoid(x)", *both("sigmoid"), low=-30.0, high=30.0)
pointwise("logit", *both("logit"), low=0.02, high=0.98, kinks=(0.5,))
pointwise(
    "logit of cut numbers", "tc.logit(x, 0.1)", "x.logit(eps=0.25)",
    low=0.02, high=0.98, kinks=(0.1, 0.25, 0.75, 0.9),
)  # fmt: skip
pointwise("erf", *both("erf"), low=-5.0, high=5.0)
pointwise("erfc", *both("erfc"), low=-5.0, high=5.0)
# beside 1 / pi the series ends
pointwise("sinc", *both("sinc"), low=-4.0, high=4.0, kinks=(0.0, 1 / math.pi))
pointwise(
    "sign", *both("sign", "sgn"), kinds=("uniform",),
    # it jumps at 0, where no slope is to be had
    examples=[Case.of("tc.sign(x)", x=[0.0, 0.0, 2.0], expect=("unresolved", "vacuous"))],
)  # fmt: skip
pointwise(
    "steps", *both("floor", "ceil", "trunc", "fix", "round"), kinds=("uniform",),
)  # fmt: skip
# the steps lie too close for differences
register_values(
    "round to decimals",
    *spelled("tc.round(x, decimals=2)", "x.round(decimals=-1)", x=recipes(low=-30.0, high=30.0)),
)
pointwise("frac", *both("frac"), kinds=("uniform",))
pointwise("abs", *both("abs", "absolute"), "abs(x)", scales=True)
pointwise("neg", *both("neg", "negative"), "-x", scales=True)
pointwise(
    "straight lines", *both("positive", "deg2rad", "rad2deg", "nan_to_num"), "x.__pos__()",
    "tc.nan_to_num(1 / x, posinf=3.0, neginf=-2.0) * x", low=0.0,
)  # fmt: skip

pointwise(
    "relu", *both("relu"), "F.relu(x)", "F.relu(x, inplace=True)", scales=True,
    # pytorch#114234, #67658: at exactly 0 differences give a half, and honest code was refused
    examples=[Case.of("F.relu(x)", x=[0.0, -1.0, 0.0, 2.0, 3.0, -3.0])],
)  # fmt: skip

# -- powers and plain numbers on either side ---------------------------------------------------
pointwise("x ** n", "x ** 1", "x ** 2", "x ** 3", "x.pow(4)", "tc.pow(x, 2.0)", *both("square"))
pointwise("x ** 0", "x ** 0")
pointwise("x ** p", "x ** 0.5", "x ** -1.5", "x.pow(2.5)", "tc.pow(x, -1)", **POSITIVE)
pointwise("x ** -n", "x ** -1", "x.pow(-2)", low=-20.0, high=-0.05, kinks=(-1.0,))
pointwise("p ** x", "3 ** x", "0.5 ** x", "tc.pow(2.0, x)", low=-5.0, high=5.0)
pointwise(
    "with numbers", "x + 2", "2.5 + x", "x - 2", "2 - x", "x * -3", "-0.5 * x", "x / 4",
    "x.true_divide(3)", "tc.add(x, 2, alpha=3)", "np.float64(3) * x", "tc.rsub(x, 2, alpha=0.5)",
)  # fmt: skip
pointwise("n / x", "2 / x", "tc.div(-1.5, x)", "x.__rdiv__(2.0)", **POSITIVE)
pointwise(
    "remainder of numbers", "x % 2", "tc.remainder(x, -0.5)", "x.fmod(0.7)", kinds=("uniform",),
)  # fmt: skip
pointwise("n % x", "7 % x", "x + 7 // x", kinds=("uniform",), low=1.2, high=3.3)
pointwise(
    "rounded quotients", "x // 2", "tc.div(x, 0.3, rounding_mode='floor')",
    "x.div(0.3, rounding_mode='trunc')", kinds=("uniform",),
)  # fmt: skip
pointwise(
    "clamp", "tc.clamp(x, -1, 1.5)", "x.clamp(min=0.5)", "x.clamp(max=0.5)", "tc.clip(x, -1, 1.5)",
    "x.clip(-1.0, 0.5)", "tc.clamp_min(x, 0.5)", "x.clamp_max(0.5)", kinks=(-1.0, 0.5, 1.5),
)  # fmt: skip
