"""Activations: where each is looked at, and where it bends or jumps."""

from tinyconv.testing.registry.pointwise import pointwise
from tinyconv.testing.registry.table import register, spelled
from tinyconv.testing.strategies import recipes

pointwise(
    "leaky_relu", "F.leaky_relu(x)", "F.leaky_relu(x, 0.2, inplace=True)", "F.rrelu(x)",
    "tc.manual_seed(3)\ntc.rrelu(x, 0.1, 0.4, training=True)", scales=True,
)  # fmt: skip
pointwise("relu6", "F.relu6(x)", low=-3.0, high=9.0, kinks=(0.0, 6.0))
pointwise(
    "hardtanh", "F.hardtanh(x)", "F.hardtanh(x, -0.5, 2.0)", kinks=(-1.0, 1.0, -0.5, 2.0),
)  # fmt: skip
pointwise("hardswish", "F.hardswish(x)", "F.hardsigmoid(x)", low=-6.0, high=6.0, kinks=(-3.0, 3.0))
pointwise(
    "elu", "F.elu(x)", "F.elu(x, 0.7)", "F.selu(x)", "tc.selu(x)", "F.celu(x, 0.7)", "tc.celu(x)",
    low=-8.0, high=8.0,
)  # fmt: skip
pointwise(
    "silu", "F.silu(x)", "F.mish(x)", "F.tanhshrink(x)", "F.softsign(x)", low=-15.0, high=15.0,
)  # fmt: skip
pointwise("gelu", "F.gelu(x)", "F.gelu(x, approximate='tanh')", low=-5.0, high=5.0)
pointwise("softplus", "F.softplus(x)", "F.softplus(x, 2.0)", low=-9.0, high=9.0)
# above its threshold softplus is the identity, and jumps there, as the others do at theirs
pointwise(
    "thresholds", "F.softplus(x, 1.0, 1.0)", "F.threshold(x, 1.0, 2.0)", "tc.threshold(x, 0.5, 7)",
    "F.hardshrink(x)", "tc.hardshrink(x, 1.0)", "x.hardshrink(1.0)", "F.softshrink(x)",
    "F.softshrink(x, 1.0)", kinks=(-1.0, -0.5, 0.5, 1.0), away_from_kinks=0.1,
)  # fmt: skip
pointwise("logsigmoid", "F.logsigmoid(x)", low=-30.0, high=30.0)
pointwise(
    "activations in place", "F.relu_(x * 1)", "F.leaky_relu_(x * 1, 0.2)", "F.elu_(x * 1)",
    "F.selu_(x * 1)", "F.celu_(x * 1)", "F.hardtanh_(x * 1)", "F.rrelu_(x * 1)",
    "F.threshold_(x * 1, 0.5, 7.0)", kinks=(-1.0, 0.0, 0.5, 1.0), away_from_kinks=0.1,
)  # fmt: skip

# -- of channels and halves -------------------------------------------------------------------
register(
    "prelu", *spelled("F.prelu(x, w)", "tc.prelu(x, w[:1])", "x.prelu(w)", "x[0, 0].prelu(w[1])",
                      x=recipes((2, 3, 4)), w=recipes((3,))),
)  # fmt: skip
register("glu", *spelled("F.glu(x)", "F.glu(x, 1)", x=recipes((3, 4, 2), low=-9.0, high=9.0)))
