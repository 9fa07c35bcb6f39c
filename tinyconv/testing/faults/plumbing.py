"""Right functions of unusual make: scalars, several outputs, integers, empty and single arrays."""

import numpy as np

from tinyconv.testing.faults.base import Family, elementwise, given, joined, normal
from tinyconv.testing.faults.conv import convolve, input_gradient, weight_gradient
from tinyconv.testing.faults.norms import standardise, standardise_gradient
from tinyconv.testing.faults.windows import Windows

family = Family("plumbing")

# each case is a paragraph
# fmt: off

family.case("a number", np.sin, elementwise(np.cos), given(0.7), "Input and output are 0-d.")
family.case("one element", np.exp, elementwise(np.exp), given([[[0.3]]]), "All sizes are 1.")
family.case("identity", lambda x: x.copy(), lambda gy, x: gy, normal((2, 3)),
            "The gradient is the cotangent itself.")
family.case("transposed view", lambda x: x.T, lambda gy, x: gy.T, normal((2, 3)),
            "Output and gradient are views.")
family.case("total", lambda x: x.sum(), lambda gy, x: np.full(x.shape, gy), normal((2, 3, 4)),
            "The output is a number.")
family.case(
    "mean and variance",
    lambda x: (x.mean(1), ((x - x.mean(1, keepdims=True)) ** 2).mean(1)),
    lambda gy, x: (gy[0][:, None] + gy[1][:, None] * 2 * (x - x.mean(1, keepdims=True))) / 5,
    normal((3, 5)),
    "Two outputs of one input.",
)
family.case(
    "sum and product",
    lambda a, b: (a + b, a * b),
    lambda gy, a, b: (gy[0] + gy[1] * b, gy[0] + gy[1] * a),
    normal((2, 3), (2, 3)),
    "Two outputs of two inputs.",
)
family.case(
    "split",
    lambda x: (x[:, :2].copy(), x[:, 2:].copy()),
    lambda gy, x: np.concatenate(gy, 1),
    normal((2, 5)),
    "Each output is blind to one half of the input.",
)
family.case(
    "gather",
    lambda x, i: x[[0, 0, 1, 1], i],
    lambda gy, x, i: (np.eye(2)[:, [0, 0, 1, 1]] * gy @ np.eye(3)[i], None),
    joined(normal((2, 3)), given(np.array([2, 2, 0, 1]))),
    "An index picks one element twice.",
)
family.case(
    "masked fill",
    lambda x, m: np.where(m, -1.0, x),
    lambda gy, x, m: (gy * ~m, None),
    joined(normal((2, 3)), given(np.array([[True, False, False], [False, True, False]]))),
    "A mask of booleans comes along.",
)
family.case(
    "cat of nothing and something",
    lambda a, b: np.concatenate([a, b]),
    lambda gy, a, b: (np.zeros((0, 3)), gy.copy()),
    given(np.zeros((0, 3)), [[1.0, 2.0, 3.0]]),
    "One input is empty.",
)
family.case(
    "bias before a norm",
    lambda x, b: standardise(x + b, -1)[0],
    lambda gy, x, b: (
        standardise_gradient(gy, x + b, -1),
        standardise_gradient(gy, x + b, -1).sum(keepdims=True)[0],
    ),
    normal((3, 5), (1,)),
    "The mean takes the bias out again: its gradient is 0 but for rounding.",
)
family.case(
    "norm of one image of one row",
    lambda x: standardise(x, (0, 2, 3))[0],
    lambda gy, x: standardise_gradient(gy, x, (0, 2, 3)),
    normal((1, 3, 1, 4)),
    "Batch and height are 1.",
)
tap = Windows((1, 1))
family.case(
    "smallest conv2d",
    lambda x, w: convolve(x, w, tap),
    lambda gy, x, w: (input_gradient(gy, w, tap, (1, 1)), weight_gradient(gy, x, tap)),
    normal((1, 1, 1, 1), (1, 1, 1, 1)),
    "Everything is 1.",
)
family.case("fortran order", lambda x: x * x, lambda gy, x: 2 * gy * x,
            lambda: (np.asfortranarray(normal((3, 4))()[0]),),
            "The input lies in memory column by column.")
family.case("reversed view", lambda x: x * x, lambda gy, x: 2 * gy * x,
            lambda: (normal((3, 4))()[0][::-1],), "A negative stride.")
family.case("half constant", lambda x: np.where(np.arange(6) < 3, x * x, 0.25),
            lambda gy, x: np.where(np.arange(6) < 3, 2 * gy * x, 0), normal((6,)),
            "Half of the outputs do not depend on anything.")
