"""Convolution, pools, batch norm and dropout, and networks of them."""

import numpy as np

from tinyconv.testing.cases import Case, Values
from tinyconv.testing.registry.table import register, spelled
from tinyconv.testing.strategies import conv2d_cases, networks, norm_cases, pool_cases, recipes

register("conv2d", conv2d_cases())

register(
    "avg_pool2d", pool_cases("avg_pool2d"),
    examples=[
        # A window that ceil_mode lets hang over the end divides by the cells it covers of the
        # padded image. pytorch#198119 (compiled) and burn#5604 divided by the whole kernel, in
        # the gradient only.
        Case.of("F.avg_pool2d(x, 3, ceil_mode=True)", x=Values((1, 1, 5, 8), "uniform")),
        Case.of("F.avg_pool2d(x, (1, 2), (1, 2), ceil_mode=True)",
                x=np.array([[[[1.0, 2.0, 3.0, 4.0, 5.0]]]])),
        Case.of("F.avg_pool2d(x, 3, 2, 1, ceil_mode=True)", x=Values((1, 2, 6, 4), "uniform")),
        Case.of("F.avg_pool2d(x, 3, 2, 1, ceil_mode=True, count_include_pad=False)",
                x=Values((1, 2, 6, 4), "uniform")),
        # pytorch#188344: with padding and channels last, pixels counted from the wrong corner
        Case.of("F.avg_pool2d(x, 2, 1, 1)", x=Values((1, 2, 4, 3), layout="transposed")),
    ],
)  # fmt: skip

register(
    "max_pool2d", pool_cases("max_pool2d"),
    examples=[
        # One pixel that wins several overlapping windows gets the sum of their gradients:
        # NNlib.jl#205 kept the last one. Here all four windows around 88 choose it.
        Case.of("F.max_pool2d(x, 3, 2, 1)",
                x=np.array([[[[1.0, 2, 3, 4, 5, 6], [7, 88, 9, 10, 11, 12],
                              [13, 14, 15, 16, 17, 18], [19, 20, 21, 22, 23, 24]]]])),
        # ocannl#512: here the last winner also took what an earlier window had given elsewhere
        Case.of("F.max_pool2d(x, (1, 2), 1)", x=np.array([[[[5.0, 3.0, 1.0, 2.0, 5.0]]]])),
        # pytorch#114219: ties refused as wrong though the first maximum is a good subgradient
        Case.of("F.max_pool2d(x, (1, 3), 2)", x=np.array([[[[1.0, 1.0, 0.0, 2.0, 2.0]]]])),
    ],
)  # fmt: skip
register("adaptive_avg_pool2d", pool_cases("adaptive_avg_pool2d"))
register("adaptive_max_pool2d", pool_cases("adaptive_max_pool2d"))

register(
    "batch_norm", norm_cases(),
    examples=[
        # pytorch#19902: the output divides by the biased variance, the running average takes the
        # unbiased one. With two values a channel they differ by a factor of two.
        Case.of("F.batch_norm(x, tc.zeros(3, dtype=x.dtype), tc.ones(3, dtype=x.dtype), w, b,"
                " training=True, momentum=0.9)",
                x=Values((2, 3), "uniform"), w=Values((3,), "uniform"), b=Values((3,))),
        # a channel of one value: no variance, and a slope of 1 / sqrt(eps) that its mean takes away
        Case.of("F.batch_norm(x, None, None, training=True)", x=np.full((2, 1, 3), 7.0)),
    ],
)  # fmt: skip

_images = recipes((2, 5, 3, 2))
register(
    "local_response_norm",
    *spelled(
        "F.local_response_norm(x, 3, 0.6, k=2)", "F.local_response_norm(x, 2, alpha=1.5)",
        "F.local_response_norm(x, 4, 0.9, 0.5)", "F.local_response_norm(x, 9, 0.8, 1.3, 0.5)",
        "F.local_response_norm(x.flatten(2), 5)", "F.local_response_norm(x, 1, beta=-2)",
        x=_images,
    ),
    examples=[
        # a window wider than the image is deep: alpha is divided by 5 all the same
        Case.of("F.local_response_norm(x, 5, 4.0)", x=Values((1, 2, 3), "uniform")),
    ],
)  # fmt: skip

register(
    "dropout",
    *spelled(
        "tc.manual_seed(5)\nF.dropout(x, 0.4)", "tc.manual_seed(6)\nF.dropout2d(x, 0.3)",
        "F.dropout(x, training=False)", "F.dropout2d(x, 0.0)", "tc.manual_seed(7)\nF.dropout(x)",
        x=_images,
    ),
)  # fmt: skip
register("networks", networks())
