"""Functions of one number: where each is looked at, and where it bends."""

from tinyconv.testing.cases import Case
from tinyconv.testing.registry.table import register, spelled
from tinyconv.testing.strategies import recipes, shapes


def pointwise(name, *sources, examples=(), **values):
    """``sources`` of one argument x, whose ``values`` are drawn as in ``tensors``."""
    x = recipes(shapes(0, 3, elements=24), **values)
    register(name, *spelled(*sources, x=x), examples=examples)


def both(name):
    return f"tc.{name}(x)", f"x.{name}()"


POSITIVE = dict(low=0.01, high=100.0, kinks=(1.0,))

# -- the table of tinyconv.ops.pointwise -------------------------------------------------------
pointwise("exp", *both("exp"), low=-5.0, high=5.0)
pointwise("expm1", *both("expm1"), low=-5.0, high=5.0)
pointwise("log", *both("log"), **POSITIVE)
pointwise("log1p", *both("log1p"), low=-0.9, high=50.0)
pointwise("sqrt", *both("sqrt"), **POSITIVE)
pointwise("rsqrt", *both("rsqrt"), **POSITIVE)
pointwise("sin", *both("sin"), low=-10.0, high=10.0)
pointwise("cos", *both("cos"), low=-10.0, high=10.0)
pointwise("tanh", "F.tanh(x)", *both("tanh"), low=-12.0, high=12.0)
pointwise("sigmoid", "F.sigmoid(x)", *both("sigmoid"), low=-30.0, high=30.0)
pointwise("erf", *both("erf"), low=-5.0, high=5.0)
pointwise("erfc", *both("erfc"), low=-5.0, high=5.0)
pointwise(
    "sign", *both("sign"), kinds=("uniform",),
    # it jumps at 0, where no slope is to be had
    examples=[Case.of("tc.sign(x)", x=[0.0, 0.0, 2.0], expect=("unresolved", "vacuous"))],
)  # fmt: skip
pointwise("abs", *both("abs"), "abs(x)", "x.absolute()", scales=True)
pointwise("neg", *both("neg"), "-x", scales=True)

# -- activations ----------------------------------------------------------------------------
pointwise(
    "relu", *both("relu"), "F.relu(x)", "F.relu(x, inplace=True)", scales=True,
    # pytorch#114234, #67658: at exactly 0 differences give a half, and honest code was refused
    examples=[Case.of("F.relu(x)", x=[0.0, -1.0, 0.0, 2.0, 3.0, -3.0])],
)  # fmt: skip
pointwise("leaky_relu", "F.leaky_relu(x)", "F.leaky_relu(x, 0.2, inplace=True)", scales=True)
pointwise("relu6", "F.relu6(x)", low=-3.0, high=9.0, kinks=(0.0, 6.0))
pointwise(
    "hardtanh", "F.hardtanh(x)", "F.hardtanh(x, -0.5, 2.0)", kinks=(-1.0, 1.0, -0.5, 2.0),
)  # fmt: skip
pointwise("elu", "F.elu(x)", "F.elu(x, 0.7)", low=-8.0, high=8.0)
pointwise("selu", "F.selu(x)", low=-8.0, high=8.0)
pointwise("silu", "F.silu(x)", low=-15.0, high=15.0)
pointwise("gelu", "F.gelu(x)", "F.gelu(x, approximate='tanh')", low=-5.0, high=5.0)
pointwise("softplus", "F.softplus(x)", "F.softplus(x, 2.0)", low=-9.0, high=9.0)
# above its threshold softplus is the identity, and jumps there
pointwise(
    "softplus threshold", "F.softplus(x, 1.0, 1.0)", kinks=(1.0,), away_from_kinks=0.1
)  # fmt: skip
pointwise("logsigmoid", "F.logsigmoid(x)", low=-30.0, high=30.0)

# -- powers and plain numbers on either side ---------------------------------------------------
pointwise("x ** n", "x ** 1", "x ** 2", "x ** 3", "x.pow(4)", "tc.pow(x, 2.0)")
pointwise("x ** 0", "x ** 0")
pointwise("x ** p", "x ** 0.5", "x ** -1.5", "x.pow(2.5)", "tc.pow(x, -1)", **POSITIVE)
pointwise("x ** -n", "x ** -1", "x.pow(-2)", low=-20.0, high=-0.05, kinks=(-1.0,))
pointwise("p ** x", "3 ** x", "0.5 ** x", "tc.pow(2.0, x)", low=-5.0, high=5.0)
pointwise(
    "with numbers", "x + 2", "2.5 + x", "x - 2", "2 - x", "x * -3", "-0.5 * x", "x / 4",
    "x.true_divide(3)", "tc.add(x, 2, alpha=3)", "np.float64(3) * x",
)  # fmt: skip
pointwise("n / x", "2 / x", "tc.div(-1.5, x)", **POSITIVE)
pointwise("remainder of numbers", "x % 2", "tc.remainder(x, -0.5)", kinks=(0,), kinds=("uniform",))
pointwise(
    "rounded quotients", "x // 2", "tc.div(x, 0.3, rounding_mode='floor')",
    "x.div(0.3, rounding_mode='trunc')", kinds=("uniform",),
)  # fmt: skip
pointwise(
    "clamp", "tc.clamp(x, -1, 1.5)", "x.clamp(min=0.5)", "x.clamp(max=0.5)", "tc.clip(x, -1, 1.5)",
    "x.clip(-1.0, 0.5)", kinks=(-1.0, 0.5, 1.5),
)  # fmt: skip
