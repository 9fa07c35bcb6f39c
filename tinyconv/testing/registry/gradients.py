"""The Functions that gradients are made of, each called directly: their own second derivatives
are the third ones of the ops.
"""

import numpy as np

from tinyconv.testing.registry.table import register, spelled
from tinyconv.testing.strategies import recipes

_WINDOW = "tc.kernels.Window.of((3, 2), (1, 2), (1, 0, 2, 1), (1, 2))"
_index = dict(dtype=np.int64, integer=True, low=0.0, high=3.0)

register(
    "conv2d input gradient",
    *spelled(
        f"window = {_WINDOW}\ntc.ops.conv.ConvInputGradient.apply(gy, w, window, 1, (4, 3))",
        gy=recipes((2, 3, 5, 1)), w=recipes((3, 1, 3, 2)),
    ),
)  # fmt: skip
register(
    "conv2d weight gradient",
    *spelled(
        f"window = {_WINDOW}\ntc.ops.conv.ConvWeightGradient.apply(gy, x, window, 3)",
        gy=recipes((2, 3, 5, 1)), x=recipes((2, 3, 4, 3)),
    ),
)  # fmt: skip
register(
    "pool scatter and gather",
    *spelled(
        "tc.ops.pool.PlaneScatter.apply(gy, i, (2, 4))", "tc.ops.pool.PlaneGather.apply(gy, i)",
        gy=recipes((2, 1, 3, 5)), i=recipes((2, 1, 3, 5), **_index),
    ),
)  # fmt: skip
register(
    "max_pool2d gradient",
    *spelled(
        "window = tc.kernels.Window.of((2, 1), (1, 2))\n"
        "x = np.cos(np.arange(40.0)).reshape(2, 1, 5, 4)\n"
        "chosen = tc.kernels.pool.max_forward(x, window, (4, 2))[1]\n"
        "tc.ops.pool.MaxPool2dGradient.apply(gy, chosen, window, (5, 4))",
        gy=recipes((2, 1, 4, 2)),
    ),
)  # fmt: skip
register(
    "cross_entropy gradient",
    *spelled(
        "labels = np.array([2, -100, 0])\n"
        "p = tc.kernels.loss.cross_entropy(x.array[..., None], labels[:, None], -100)[1]\n"
        "tc.ops.loss.CrossEntropyGradient.apply(g, x, p, labels, -100, 0.5)",
        g=recipes(()), x=recipes((3, 4)),
    ),
)  # fmt: skip
register(
    "avg_pool2d gradient",
    *spelled(
        "rows, columns = (tc.ops.pool.adaptive_windows(n, m) for n, m in [(5, 3), (2, 4)])\n"
        "tc.ops.pool.AvgPool2dGradient.apply(gy, (rows, columns), np.full((3, 4), 0.3), (5, 2))",
        gy=recipes((2, 1, 3, 4)),
    ),
)  # fmt: skip
register(
    "relu gradient", *spelled("tc.ops.pointwise.ReluGradient.apply(gy, y)",
                             gy=recipes((2, 3)), y=recipes((2, 3), away_from_kinks=0.1)),
)  # fmt: skip
register(
    "batch_norm gradient",
    *spelled(
        "mean, var = x.detach().mean((0, 2)), x.detach().var((0, 2), False)\n"
        "tc.ops.norm.BatchNormGradient.apply(gy, x, w, mean, (var + 0.1).rsqrt(), 0.1)",
        gy=recipes((3, 2, 2)), x=recipes((3, 2, 2)), w=recipes((2,)),
    ),
)  # fmt: skip
register(
    "group_norm gradient",
    *spelled(
        "mean, var = x.detach().mean((2, 3)), x.detach().var((2, 3), False)\n"
        "tc.ops.norm.GroupNormGradient.apply(gy, x, w, mean, (var + 0.1).rsqrt(), 0.1)",
        gy=recipes((1, 2, 2, 2)), x=recipes((1, 2, 2, 2)), w=recipes((4,)),
    ),
)  # fmt: skip
register(
    "getitem's adjoint",
    *spelled(
        "tc.ops.index.Put.apply(gy, ([0, 1, 0], slice(1, 3)), (2, 4))",
        "tc.ops.index.ScatterAdd.apply(gy, 0, i, (4, 3))",
        gy=recipes((3, 2)), i=recipes((3, 2), **_index),
    ),
)  # fmt: skip
register("sum_to", *spelled("tc.ops.shape.sum_to(gy, (3, 1))", gy=recipes((2, 3, 4))))
