"""What each op is in ONNX.

A mapping takes the ``Writer``, the shape of the result and what the op was given, adds nodes by
calling the Writer, and returns the name of the result (a list for several).
"""

import numpy as np

from tinyconv.onnx.batch import Batch, merged
from tinyconv.onnx.windows import adaptive_average, average_pool, max_pool, pads

_LAST, _FIRST = 2**63 - 1, -(2**63)


class Unmapped(ValueError):
    """The op, or what it is asked for, can not be said in ONNX; the message goes on after its
    name."""


def _same(op_type):
    """An op that ONNX has under the name ``op_type``."""
    return lambda w, dims, *inputs: w(op_type, *inputs)


def _conv(w, dims, x, weight, bias, window, groups):
    return w(
        "Conv", x, weight, bias, kernel_shape=window[:2], strides=window[2:4],
        pads=pads(window), dilations=window[8:], group=groups,
    )  # fmt: skip


def _linear(w, dims, x, weight, bias):
    return w("Gemm", x, weight, bias, transB=1)


def _running_norm(w, dims, x, mean, var, weight, bias, eps):
    ones, zeros = (np.full(mean.shape, n, x.dtype) for n in (1, 0))
    weight, bias = ones if weight is None else weight, zeros if bias is None else bias
    # for those who train on: the weight of the old statistics, where the layer has the new one's
    momentum = getattr(w.op.module, "momentum", None)
    momentum = None if momentum is None else 1 - momentum
    return w("BatchNormalization", x, weight, bias, mean, var, epsilon=eps, momentum=momentum)


def _local_response_norm(w, dims, x, size, alpha, beta, k):
    if size % 2 == 0 or len(dims) != 4:
        raise Unmapped(
            f"with size={size} on {len(dims)} axes: ONNX's is for odd sizes and images (N, C, H, W)"
        )
    return w("LRN", x, size=size, alpha=alpha, beta=beta, bias=float(k))


def _max_pool(w, dims, x, window, output, indices):
    if indices:
        raise Unmapped("with return_indices=True: ONNX counts them in another way")
    return max_pool(w, x, window, output)


def _avg_pool(w, dims, x, windows, inverse):
    pool = adaptive_average if isinstance(windows[0], np.ndarray) else average_pool
    return pool(w, x, windows, inverse.array)


def _pow(w, dims, x, p):
    return w("Mul", x, x) if p == 2 else w("Pow", x, w.constant(p, x))


def _extremum(w, dims, a, b, sign):
    return w("Max" if sign > 0 else "Min", a, b)


def _clamp(w, dims, x, low, high, strict):
    return w("Clip", x, *[None if n is None else w.constant(n, x) for n in (low, high)])


#: what compares -> operator, and whether its result is turned round
_COMPARISONS = {
    "equal": ("Equal", False),
    "not_equal": ("Equal", True),
    "less": ("Less", False),
    "less_equal": ("LessOrEqual", False),
    "greater": ("Greater", False),
    "greater_equal": ("GreaterOrEqual", False),
    "logical_and": ("And", False),
    "logical_or": ("Or", False),
    "logical_xor": ("Xor", False),
}


def _comparison(w, dims, a, b, ufunc):
    name = ufunc.__name__
    if a.dtype == bool:  # bit by bit is the same
        name = name.replace("bitwise", "logical")
    if name not in _COMPARISONS:
        raise Unmapped(f"by {name}")
    op_type, turned = _COMPARISONS[name]
    mask = w(op_type, a, b)
    return w("Not", mask) if turned else mask


def _predicate(w, dims, x, ufunc):
    names = {"logical_not": "Not", "invert": "Not", "isnan": "IsNaN", "isinf": "IsInf"}
    if ufunc.__name__ not in names or names[ufunc.__name__] == "Not" and x.dtype != bool:
        raise Unmapped(f"by {ufunc.__name__} of {x.dtype}")
    return w(names[ufunc.__name__], x)


def _expm1(w, dims, x):
    return w("Sub", w("Exp", x), w.constant(1, x))


def _log1p(w, dims, x):
    return w("Log", w("Add", x, w.constant(1, x)))


def _rsqrt(w, dims, x):
    return w("Reciprocal", w("Sqrt", x))


def _erfc(w, dims, x):
    return w("Sub", w.constant(1, x), w("Erf", x))


def _rounded_div(w, dims, a, b, trunc):
    if trunc:
        raise Unmapped("with rounding_mode='trunc'")
    return w("Floor", w("Div", a, b))


def _remainder(w, dims, a, b):
    return w("Sub", a, w("Mul", w("Floor", w("Div", a, b)), b))


def _sum(w, dims, x, axes, keepdim):
    return w("ReduceSum", x, np.asarray(axes, np.int64), keepdims=int(keepdim))


def _amax(w, dims, x, axes, keepdim, sign, shared):
    op_type = "ReduceMax" if sign > 0 else "ReduceMin"
    if w.opset < 18:
        return w(op_type, x, axes=axes, keepdims=int(keepdim))
    return w(op_type, x, np.asarray(axes, np.int64), keepdims=int(keepdim))


def _softmax(op_type):
    return lambda w, dims, x, dim: w(op_type, x, axis=dim)


def _reshape(w, dims, x, shape):
    return reshaped(w, x, w.dims(x), dims)


def reshaped(w, x, before, after):
    """x of shape ``before`` as ``after``; where it can, one number stands for the batch."""
    follow = [i for i, n in enumerate(after) if isinstance(n, Batch)]
    copied = [i for i in follow if i < len(before) and before[i] == after[i]]
    left = [i for i in follow if i not in copied]
    if len(left) > 1 or 0 in before:
        return w("Reshape", x, w.shape(after))
    target = [0 if i in copied else -1 if i in left else n for i, n in enumerate(after)]
    return w("Reshape", x, np.asarray(target, np.int64))


def _expand(w, dims, x, shape):
    return w.name(x) if w.broadcasts() else w("Expand", x, w.shape(dims))


def _permute(w, dims, x, order):
    return w("Transpose", x, perm=order)


def _flip(w, dims, x, axes):
    return _slices(w, x, {i: (_LAST, _FIRST, -1) for i in axes})


def _pad(w, dims, x, widths, value):
    befores, afters = zip(*widths)
    return w("Pad", x, np.asarray([*befores, *afters], np.int64), w.constant(value, x))


def _cast(w, dims, x, dtype):
    return w("Cast", x, to=w.onnx.helper.np_dtype_to_tensor_dtype(dtype))


def _itself(w, dims, x):
    return w.name(x)


def _slices(w, x, cuts):
    """x cut along each axis of ``cuts``: (start, stop, step)."""
    if not cuts:
        return w.name(x)
    starts, stops, steps = zip(*cuts.values())
    return w("Slice", x, *(np.asarray(n, np.int64) for n in (starts, stops, list(cuts), steps)))


def _getitem(w, dims, x, index):
    """Slices, then at most one array of integers, then the axes that come and go."""
    index = index if isinstance(index, tuple) else (index,)
    shape, cuts, picks = list(w.dims(x)), {}, {}
    taken = sum(part is not None and part is not Ellipsis for part in index)
    axis = 0
    for part in index:
        if part is Ellipsis:
            axis += len(shape) - taken
            continue
        if part is None:
            continue
        if isinstance(part, (tuple, list)):
            part = np.asarray(part)
        if isinstance(part, slice):
            if part != slice(None):
                cuts[axis] = _bounds(part)
        elif isinstance(part, (int, np.integer)) and not isinstance(part, bool):
            cuts[axis] = (part, part + 1 if part != -1 else _LAST, 1)
        elif hasattr(part, "dtype") and part.dtype.kind in "iu" and len(part.shape) == 1:
            picks[axis] = part
        else:
            raise Unmapped("with masks or with arrays of more than one axis")
        axis += 1
    if len(picks) > 1 or (picks and len(shape) != len(dims)):
        raise Unmapped("with an array of integers next to other things than slices")
    y = _slices(w, x, cuts)
    for axis, pick in picks.items():
        y = w("Gather", y, pick, axis=axis)
    for axis, cut in cuts.items():
        shape[axis] = _length(shape[axis], cut)
    return y if picks or tuple(shape) == dims else reshaped(w, y, shape, dims)


def _bounds(part):
    """A slice as (start, stop, step) with numbers for what is left out."""
    step = 1 if part.step is None else part.step
    first, last = (0, _LAST) if step > 0 else (_LAST, _FIRST)
    start, stop = part.start, part.stop
    return first if start is None else start, last if stop is None else stop, step


def _length(size, cut):
    """What a cut leaves of an axis."""
    if isinstance(size, Batch):
        return merged(*(_length(n * size.factor, cut) for n in (2, 3)))
    start, stop, step = (None if n in (_LAST, _FIRST) else n for n in cut)
    return len(range(*slice(start, stop, step).indices(size)))


def _gather(w, dims, x, dim, index):
    return w("GatherElements", x, index, axis=dim)


def _cat(w, dims, *parts, dim):
    return w("Concat", *parts, axis=dim)


def _split(w, dims, x, parts, dim, contiguous=False):
    if any(isinstance(n, Batch) for n in parts):
        raise Unmapped("along the batch")
    if len(parts) == 1:
        return [w.name(x)]
    return w("Split", x, np.asarray(parts, np.int64), outputs=len(parts), axis=dim)


#: the Function, as its place in ``tinyconv.ops`` -> its mapping
MAPPINGS = {
    "conv.Conv2d": _conv,
    "linalg.Linear": _linear,
    "linalg.Matmul": _same("MatMul"),
    "norm.RunningNorm": _running_norm,
    "lrn.LocalResponseNorm": _local_response_norm,
    "pool.MaxPool2d": _max_pool,
    "pool.AvgPool2d": _avg_pool,
    "arithmetic.Add": _same("Add"),
    "arithmetic.Sub": _same("Sub"),
    "arithmetic.Mul": _same("Mul"),
    "arithmetic.Div": _same("Div"),
    "arithmetic.Neg": _same("Neg"),
    "power.Pow": _pow,
    "power.PowTensor": _same("Pow"),
    "arithmetic.Extremum": _extremum,
    "compare.Comparison": _comparison,
    "compare.Predicate": _predicate,
    "arithmetic.Where": _same("Where"),
    "arithmetic.Clamp": _clamp,
    "arithmetic.RoundedDiv": _rounded_div,
    "arithmetic.Remainder": _remainder,
    "pointwise.Relu": _same("Relu"),
    "pointwise.Exp": _same("Exp"),
    "pointwise.Expm1": _expm1,
    "pointwise.Log": _same("Log"),
    "pointwise.Log1p": _log1p,
    "pointwise.Sqrt": _same("Sqrt"),
    "pointwise.Rsqrt": _rsqrt,
    "pointwise.Sin": _same("Sin"),
    "pointwise.Cos": _same("Cos"),
    "pointwise.Tanh": _same("Tanh"),
    "pointwise.Sigmoid": _same("Sigmoid"),
    "pointwise.Erf": _same("Erf"),
    "pointwise.Erfc": _erfc,
    "pointwise.Sign": _same("Sign"),
    "pointwise.Ceil": _same("Ceil"),
    "pointwise.Floor": _same("Floor"),
    "pointwise.Round": _same("Round"),
    "pointwise.Reciprocal": _same("Reciprocal"),
    "pointwise.Tan": _same("Tan"),
    "pointwise.Asin": _same("Asin"),
    "pointwise.Acos": _same("Acos"),
    "pointwise.Atan": _same("Atan"),
    "pointwise.Sinh": _same("Sinh"),
    "pointwise.Cosh": _same("Cosh"),
    "pointwise.Asinh": _same("Asinh"),
    "pointwise.Acosh": _same("Acosh"),
    "pointwise.Atanh": _same("Atanh"),
    "pointwise.Abs": _same("Abs"),
    "reduce.Sum": _sum,
    "reduce.Amax": _amax,
    "softmax.Softmax": _softmax("Softmax"),
    "softmax.LogSoftmax": _softmax("LogSoftmax"),
    "shape.Reshape": _reshape,
    "shape.Expand": _expand,
    "shape.Permute": _permute,
    "shape.Flip": _flip,
    "pad.Pad": _pad,
    "shape.Cast": _cast,
    "shape.Clone": _itself,
    "shape.Contiguous": _itself,
    "index.GetItem": _getitem,
    "index.Gather": _gather,
    "join.Cat": _cat,
    "join.Split": _split,
}
