"""Convolution, pools, batch norm and dropout, and networks of them."""

import numpy as np
from hypothesis import strategies as st

from tinyconv.testing.cases import Case, Values
from tinyconv.testing.registry.table import register, spelled
from tinyconv.testing.strategies import (
    conv2d_cases,
    conv_transpose2d_cases,
    networks,
    norm_cases,
    pool_cases,
    recipes,
)

register("conv2d", conv2d_cases())
register("conv_transpose2d", conv_transpose2d_cases())
register(
    "convolutions of signals",
    *spelled(
        "F.conv1d(x, w, b, 2, 1, (2,))", "F.conv1d(x[0], w, padding='same')",
        "F.conv1d(x, w[:, :1], b, groups=3)", "F.conv_transpose1d(x, w, b, 3, (1,), 2)",
        "F.conv_transpose1d(x[1], w, padding=2, groups=3, dilation=2)",
        x=recipes((2, 3, 7)), w=recipes((3, 3, 2)), b=recipes((3,)),
    ),
)  # fmt: skip

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
    "pools of signals",
    *spelled(
        "F.max_pool1d(x, 3, 2, 1, ceil_mode=True)", "F.avg_pool1d(x, (2,), (3,), 1, True, False)",
        "F.adaptive_avg_pool1d(x[0], 4)", "F.adaptive_max_pool1d(x, (3,))",
        "F.max_pool2d_with_indices(x, (1, 2))[0]", x=recipes((2, 3, 7)),
    ),
)  # fmt: skip
# no powers of 0 and less: there the root of their sum has no slope, or is no number
_positive = recipes((2, 5, 4), low=0.2, high=3.0)
register(
    "lp_pool",
    *spelled(
        "F.lp_pool2d(x, 3, 2, (1, 2))", "F.lp_pool2d(x, 1.5, (2, 3), ceil_mode=True)",
        "F.lp_pool1d(x, 2, 3, 2)", x=_positive,
    ),
)  # fmt: skip
_places = recipes((2, 3, 2), dtype=np.int64, integer=True, low=0.0, high=3.0)
register(
    "max_unpool",
    *spelled(
        "F.max_unpool2d(x, i, 2)",
        "F.max_unpool2d(x[None], i[None], 2, (2, 1), output_size=(5, 3))",
        "F.max_unpool1d(x, i, 3, 2, 1, output_size=(4,))",
        x=recipes((2, 3, 2)), i=_places,
    ),
)  # fmt: skip

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
_signals = recipes((2, 4, 3))
register(
    "group_norm",
    *spelled(
        "F.group_norm(x[..., None], 2, w, b)", "F.group_norm(x + 100, 1, eps=0.1)",
        "F.group_norm(x[:, :, 0], 2, bias=b)", "F.group_norm(x * s, 4, w)",
        x=_signals, w=recipes((4,)), b=recipes((4,)), s=st.just(Values((1, 4, 1), low=0.0)),
    ),
    examples=[
        # groups of one number: constants, with a slope of 1 / sqrt(eps) that the mean takes away
        Case.of("F.group_norm(x, 4)", x=Values((3, 4), "uniform")),
    ],
)  # fmt: skip
register(
    "instance_norm",
    *spelled(
        "F.instance_norm(x, weight=w, bias=b)", "F.instance_norm(x[..., None] + 100, eps=0.1)",
        "F.instance_norm(x, b, w * w + 0.5, w, b, use_input_stats=False)",
        x=_signals, w=recipes((4,)), b=recipes((4,)),
    ),
)  # fmt: skip
register(
    "layer_norm",
    *spelled(
        "F.layer_norm(x, (3,), w[0], b[0])", "F.layer_norm(x + 100, (4, 3), w, eps=0.1)",
        "F.layer_norm(x[..., None], [4, 3, 1])", "F.layer_norm(x, [4, 3], bias=b)",
        x=_signals, w=recipes((4, 3)), b=recipes((4, 3)),
    ),
)  # fmt: skip
register(
    "rms_norm",
    *spelled(
        "F.rms_norm(x, (4, 3), w)", "F.rms_norm(x, (3,), eps=0.1)",
        x=recipes((2, 4, 3), low=0.1), w=recipes((4, 3)),
    ),
)  # fmt: skip
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
