"""What each ONNX operator is here.

A reader takes a ``Node`` once, when the file is loaded, and returns the function that computes
it from tensors; or a Module, if it is another in training. It raises ``Unsupported`` for what
can not be said.
"""

import functools
import math
import operator

import numpy as np

import tinyconv.nn as nn
from tinyconv.autograd import Tensor
from tinyconv.nn import functional as F
from tinyconv.onnx import convolutions
from tinyconv.onnx.node import Unsupported, ints
from tinyconv.ops import (
    activations,
    arithmetic,
    compare,
    index,
    join,
    linalg,
    pointwise,
    power,
    reduce,
    shape,
    softmax,
)


def plain(function):
    """The reader of an operator that has no attributes."""
    return lambda node: function


def _several(function):
    """The reader of an operator that joins any number of inputs, two by two."""
    return lambda node: lambda *inputs: functools.reduce(function, inputs)


# -- layers ---------------------------------------------------------------------------------
def _gemm(node):
    """alpha A B + beta C, where A and B may be transposed."""
    alpha, beta = node.get("alpha", 1.0), node.get("beta", 1.0)
    first, second = node.get("transA", 0), node.get("transB", 0)

    def run(a, b, c=None):
        a = a.t() if first else a
        if second and alpha == beta == 1 and (c is None or c.shape == (b.shape[0],)):
            return F.linear(a, b, c)
        y = linalg.matmul(a, b.t() if second else b)
        y = y if alpha == 1 else y * alpha
        return y if c is None else y + (c if beta == 1 else c * beta)

    return run


class BatchNormalization(nn.Module):
    """``F.batch_norm`` in the mode that it is in; scale, shift and statistics are inputs."""

    def __init__(self, eps, momentum):
        super().__init__()
        self.eps, self.momentum = eps, momentum

    def forward(self, x, scale, shift, mean, var):
        return F.batch_norm(x, mean, var, scale, shift, self.training, self.momentum, self.eps)

    def extra_repr(self):
        return f"eps={self.eps}, momentum={self.momentum}"


def _batch_normalization(node):
    if node.get("training_mode", 0) or not node.get("spatial", 1):
        raise Unsupported("with training_mode=1 or spatial=0")
    # the weight of the newest batch, where ONNX has that of the old statistics
    momentum = 1 - node.get("momentum", 0.9)
    return BatchNormalization(node.get("epsilon", 1e-5), momentum)


class Dropout(nn.Module):
    """``F.dropout`` in the mode that it is in; its ratio may come as an input."""

    def __init__(self, ratio):
        super().__init__()
        self.ratio = ratio

    def forward(self, x, ratio=None, training_mode=None):
        p = self.ratio if ratio is None else ratio.item()
        return F.dropout(x, p, self.training)

    def extra_repr(self):
        return f"ratio={self.ratio}"


def _lrn(node):
    size = node.get("size")
    if size % 2 == 0:
        raise Unsupported(f"with an even size ({size})")
    alpha, beta = node.get("alpha", 1e-4), node.get("beta", 0.75)
    return lambda x: F.local_response_norm(x, size, alpha, beta, node.get("bias", 1.0))


# -- functions of each number ------------------------------------------------------------------
def _clip(node):
    low, high = node.get("min"), node.get("max")

    def run(x, least=None, most=None):
        bounds = [
            n if t is None else t.item() for n, t in ((low, least), (high, most))
        ]  # fmt: skip
        return x if bounds == [None, None] else arithmetic.clamp(x, *bounds)

    return run


def _is_inf(node):
    signs = node.get("detect_positive", 1), node.get("detect_negative", 1)
    one_sided = {(1, 0): compare.isposinf, (0, 1): compare.isneginf, (1, 1): compare.isinf}
    if signs not in one_sided:
        raise Unsupported("of no sign")
    return one_sided[signs]


def _leaky_relu(node):
    return lambda x: F.leaky_relu(x, node.get("alpha", 0.01))


def _prelu(x, slope):
    return arithmetic.where(x > 0, x, x * slope)


def _elu(node):
    return lambda x: F.elu(x, node.get("alpha", 1.0))


def _selu(node):
    alpha, gamma = node.get("alpha", 1.6732632423543772), node.get("gamma", 1.0507009873554805)
    return lambda x: F.elu(x, alpha) * gamma


def _hard_sigmoid(node):
    alpha, beta = node.get("alpha", 0.2), node.get("beta", 0.5)
    return lambda x: arithmetic.clamp(x * alpha + beta, 0, 1)


def _gelu(node):
    return lambda x: F.gelu(x, node.get("approximate", "none"))


def _softmax(function, node):
    """Along one axis; up to version 12 over all axes from ``axis`` on, as if they were one."""
    axis = node.get("axis", -1 if node.opset >= 13 else 1)
    if node.opset >= 13:
        return lambda x: function(x, axis)

    def run(x):
        at = axis % x.ndim
        rows = x.reshape(math.prod(x.shape[:at]), math.prod(x.shape[at:]))
        return function(rows, 1).reshape(x.shape)

    return run


def _division(a, b):
    if a.dtype.kind in "biu":  # ONNX rounds toward 0
        return arithmetic.div(a, b, rounding_mode="trunc")
    return a / b


def _cast(node):
    dtype = node.dtype(node.get("to"))
    return lambda x: x.to(dtype)


# -- reductions ----------------------------------------------------------------------------------
def _reduction(function):
    def reader(node):
        axes, keepdim = node.get("axes"), bool(node.get("keepdims", 1))
        nothing = node.get("noop_with_empty_axes", 0)

        def run(x, dims=None):
            dims = axes if dims is None else ints(dims)
            if not dims and nothing:
                return x
            return function(x, tuple(dims) if dims else None, keepdim)

        return run

    return reader


def _argmax(function):
    def reader(node):
        if node.get("select_last_index", 0):
            raise Unsupported("with select_last_index=1")
        axis, keepdim = node.get("axis", 0), bool(node.get("keepdims", 1))
        return lambda x: function(x, axis, keepdim)

    return reader


# -- shapes ------------------------------------------------------------------------------------
def _reshape(node):
    """A size of 0 copies the input's, unless ``allowzero``."""
    given, literal = node.get("shape"), node.get("allowzero", 0)

    def run(x, target=None):
        sizes = given if target is None else ints(target)
        if not literal:
            sizes = [x.shape[i] if n == 0 else n for i, n in enumerate(sizes)]
        return shape.reshape(x, tuple(sizes))

    return run


def _flatten(node):
    axis = node.get("axis", 1)

    def run(x):
        at = axis + x.ndim if axis < 0 else axis
        return x.reshape(math.prod(x.shape[:at]), math.prod(x.shape[at:]))

    return run


def _squeeze(node):
    axes = node.get("axes")

    def run(x, dims=None):
        dims = axes if dims is None else ints(dims)
        return shape.squeeze(x, None if dims is None else tuple(dims))

    return run


def _unsqueeze(node):
    axes = node.get("axes")

    def run(x, dims=None):
        dims = axes if dims is None else ints(dims)
        ndim = x.ndim + len(dims)
        for axis in sorted(d % ndim for d in dims):
            x = shape.unsqueeze(x, axis)
        return x

    return run


def _transpose(node):
    order = node.get("perm")
    return lambda x: shape.permute(x, tuple(order or range(x.ndim)[::-1]))


def _expand(x, target):
    sizes = np.broadcast_shapes(x.shape, ints(target))
    return shape.expand(x, sizes)


def _concat(node):
    return lambda *parts: join.cat(parts, node.get("axis", 1))


def _split(node):
    axis, given = node.get("axis", 0), node.get("split")
    count = len(node.outputs)

    def run(x, parts=None):
        parts = given if parts is None else ints(parts)
        if parts is None:  # equal ones, the last may be smaller
            size = x.shape[axis]
            step = -(-size // count)
            parts = [min(step, size - i * step) for i in range(count)]
        return join.split(x, list(parts), axis)

    return run


def _slice(node):
    """x[start:stop:step] along the given axes; up to version 9 they are attributes."""
    given = [node.get(name) for name in ("starts", "ends", "axes")]

    def run(x, *inputs):
        parts = given if not inputs else [None if t is None else ints(t) for t in inputs]
        starts, stops, axes, steps = [*parts, None, None][:4]
        cut = [slice(None)] * x.ndim
        for start, stop, axis, step in zip(
            starts, stops, axes or range(len(starts)), steps or [1] * len(starts)
        ):
            size = x.shape[axis]
            if step < 0 and stop < -size:
                stop = None  # to the very first
            cut[axis] = slice(start, stop, step)
        return x[tuple(cut)]

    return run


def _pad(node):
    mode = node.get("mode", "constant")
    if mode != "constant":
        raise Unsupported(f"with mode={mode!r}")
    given, number = node.get("pads"), node.get("value", 0.0)

    def run(x, widths=None, value=None, axes=None):
        widths = given if widths is None else ints(widths)
        axes = range(x.ndim) if axes is None else ints(axes)
        both = dict.fromkeys(range(x.ndim), (0, 0))
        for axis, before, after in zip(axes, widths, widths[len(widths) // 2 :]):
            both[axis % x.ndim] = before, after
        flat = [n for axis in reversed(range(x.ndim)) for n in both[axis]]
        return F.pad(x, flat, value=number if value is None else value.item())

    return run


def _shape(node):
    start, end = node.get("start", 0), node.get("end")
    return lambda x: Tensor(np.asarray(x.shape[start:end], np.int64))


def _gather(node):
    axis = node.get("axis", 0)

    def run(x, places):
        at = axis % x.ndim
        picks = np.where(places.array < 0, places.array + x.shape[at], places.array)
        return index.getitem(x, (slice(None),) * at + (picks,))

    return run


def _gather_elements(node):
    axis = node.get("axis", 0)

    def run(x, places):
        picks = places.array
        return index.gather(x, axis, Tensor(np.where(picks < 0, picks + x.shape[axis], picks)))

    return run


def _constant_of_shape(node):
    value = node.get("value")
    number = np.zeros(1, np.float32) if value is None else value
    return lambda sizes: Tensor(np.full(ints(sizes), number.reshape(-1)[0], number.dtype))


#: operator -> its reader
OPERATORS = {
    "Conv": convolutions.conv,
    "Gemm": _gemm,
    "MatMul": plain(linalg.matmul),
    "MaxPool": convolutions.max_pool,
    "AveragePool": convolutions.average_pool,
    "GlobalAveragePool": plain(convolutions.global_average),
    "GlobalMaxPool": plain(convolutions.global_max),
    "BatchNormalization": _batch_normalization,
    "LRN": _lrn,
    "Dropout": lambda node: Dropout(node.get("ratio", 0.5)),
    "Add": plain(operator.add),
    "Sub": plain(operator.sub),
    "Mul": plain(operator.mul),
    "Div": plain(_division),
    "Neg": plain(operator.neg),
    "Pow": plain(power.pow),
    "Sum": _several(operator.add),
    "Mean": lambda node: lambda *inputs: functools.reduce(operator.add, inputs) / len(inputs),
    "Max": _several(arithmetic.maximum),
    "Min": _several(arithmetic.minimum),
    "Where": plain(arithmetic.where),
    "Equal": plain(compare.eq),
    "Greater": plain(compare.gt),
    "GreaterOrEqual": plain(compare.ge),
    "Less": plain(compare.lt),
    "LessOrEqual": plain(compare.le),
    "And": plain(compare.logical_and),
    "Or": plain(compare.logical_or),
    "Xor": plain(compare.logical_xor),
    "Not": plain(compare.logical_not),
    "Clip": _clip,
    "Relu": plain(F.relu),
    "LeakyRelu": _leaky_relu,
    "PRelu": plain(_prelu),
    "Elu": _elu,
    "Selu": _selu,
    "Gelu": _gelu,
    "Softplus": plain(lambda x: -activations.logsigmoid(-x)),
    "Softsign": plain(lambda x: x / (1 + x.abs())),
    "HardSigmoid": _hard_sigmoid,
    "HardSwish": plain(lambda x: x * arithmetic.clamp(x / 6 + 0.5, 0, 1)),
    "Sigmoid": plain(F.sigmoid),
    "Tanh": plain(F.tanh),
    "Exp": plain(pointwise.exp),
    "Log": plain(pointwise.log),
    "Sqrt": plain(pointwise.sqrt),
    "Reciprocal": plain(lambda x: 1 / x),
    "Sin": plain(pointwise.sin),
    "Cos": plain(pointwise.cos),
    "Erf": plain(pointwise.erf),
    "Abs": plain(pointwise.abs),
    "Sign": plain(pointwise.sign),
    **{
        name: plain(getattr(pointwise, name.lower()))
        for name in "Floor Ceil Round Tan Asin Acos Atan Sinh Cosh Asinh Acosh Atanh".split()
    },
    "IsNaN": plain(compare.isnan),
    "IsInf": _is_inf,
    "Softmax": functools.partial(_softmax, softmax.softmax),
    "LogSoftmax": functools.partial(_softmax, softmax.log_softmax),
    "ReduceSum": _reduction(reduce.sum),
    "ReduceMean": _reduction(reduce.mean),
    "ReduceMax": _reduction(reduce.amax),
    "ReduceMin": _reduction(reduce.amin),
    "ArgMax": _argmax(reduce.argmax),
    "ArgMin": _argmax(reduce.argmin),
    "Reshape": _reshape,
    "Flatten": _flatten,
    "Squeeze": _squeeze,
    "Unsqueeze": _unsqueeze,
    "Transpose": _transpose,
    "Expand": plain(_expand),
    "Concat": _concat,
    "Split": _split,
    "Slice": _slice,
    "Pad": _pad,
    "Shape": _shape,
    "Gather": _gather,
    "GatherElements": _gather_elements,
    "ConstantOfShape": _constant_of_shape,
    "Cast": _cast,
    "Identity": plain(lambda x: x),
}
