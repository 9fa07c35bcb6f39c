"""Convolutions, pools and norms, for any number of axes behind (N, C)."""

import math

import numpy as np

from tinyconv.testing.plain.table import oracle


# -- how a window slides along one axis ------------------------------------------------------
def _each(value, axes):
    """One number for each axis."""
    value = tuple(value) if isinstance(value, (tuple, list)) else (value,)
    return value * axes if len(value) == 1 else value


def _sides(padding, sizes, kernel, stride, dilation):
    """(before, after) of each axis."""
    axes = len(sizes)
    if padding == "valid":
        return [(0, 0)] * axes
    if padding == "same":
        spans = [d * (k - 1) + 1 for k, d in zip(kernel, dilation)]
        outs = [math.ceil(n / s) for n, s in zip(sizes, stride)]
        total = [max((o - 1) * s + k - n, 0) for o, s, k, n in zip(outs, stride, spans, sizes)]
        return [(t // 2, t - t // 2) for t in total]
    if isinstance(padding, (tuple, list)) and len(padding) == 2 * axes > 2:
        return [tuple(padding[2 * i : 2 * i + 2]) for i in reversed(range(axes))]
    return [(p, p) for p in _each(padding, axes)]


def _starts(size, span, stride, before, after, ceil_mode=False):
    """Where windows begin, counted from the first pixel of the image."""
    starts, at = [], -before
    while at + span <= size + after or (
        ceil_mode and at < size and (not starts or starts[-1] + span < size + after)
    ):
        starts.append(at)
        at += stride
    return starts


def _without_batch(axes):
    """Let an oracle of (N, C, ...) take (C, ...) too."""

    def wrap(function):
        def run(x, *args, **options):
            if x.ndim == axes + 2:
                return function(x, *args, **options)
            y = function(x[None], *[_alone(a) for a in args], **options)
            return tuple(part[0] for part in y) if isinstance(y, tuple) else y[0]

        return run

    def _alone(a):
        indices = isinstance(a, np.ndarray) and a.dtype.kind == "i"
        return a[None] if indices else a

    return wrap


# -- convolution -----------------------------------------------------------------------------
def _conv(axes):
    @_without_batch(axes)
    def conv(x, w, bias=None, stride=1, padding=0, dilation=1, groups=1):
        kernel, stride, dilation = w.shape[2:], _each(stride, axes), _each(dilation, axes)
        sides = _sides(padding, x.shape[2:], kernel, stride, dilation)
        spans = [d * (k - 1) + 1 for k, d in zip(kernel, dilation)]
        starts = [_starts(n, k, s, a, b) for n, k, s, (a, b)
                  in zip(x.shape[2:], spans, stride, sides)]  # fmt: skip
        padded = np.pad(x, [(0, 0), (0, 0), *sides])
        (O, inner), out = w.shape[:2], [len(s) for s in starts]
        y = np.zeros((len(x), O, *out))
        for place in np.ndindex(*out):
            seen = [slice(p * s, p * s + k, d) for p, s, k, d
                    in zip(place, stride, spans, dilation)]  # fmt: skip
            for o in range(O):
                first = o // (O // groups) * inner
                cells = padded[(slice(None), slice(first, first + inner), *seen)]
                y[(slice(None), o, *place)] = (cells * w[o]).sum(tuple(range(1, axes + 2)))
        return y if bias is None else y + bias.reshape(-1, *[1] * axes)

    return conv


def _conv_transpose(axes):
    @_without_batch(axes)
    def conv_transpose(
        x, w, bias=None, stride=1, padding=0, output_padding=0, groups=1, dilation=1
    ):
        stride, dilation, more = (_each(v, axes) for v in (stride, dilation, output_padding))
        (C, inner), spans = w.shape[:2], [d * (k - 1) + 1 for k, d in zip(w.shape[2:], dilation)]
        sides = _sides(padding, x.shape[2:], w.shape[2:], stride, dilation)
        whole = [(n - 1) * s + k + m for n, s, k, m in zip(x.shape[2:], stride, spans, more)]
        y = np.zeros((len(x), inner * groups, *whole))
        for place in np.ndindex(*x.shape[2:]):
            laid = [slice(p * s, p * s + k, d) for p, s, k, d
                    in zip(place, stride, spans, dilation)]  # fmt: skip
            for c in range(C):
                first = c // (C // groups) * inner
                pixel = x[(slice(None), c, *place)].reshape(-1, 1, *[1] * axes)
                y[(slice(None), slice(first, first + inner), *laid)] += pixel * w[c]
        y = y[(..., *[slice(a, n - b) for n, (a, b) in zip(whole, sides)])]
        return y if bias is None else y + bias.reshape(-1, *[1] * axes)

    return conv_transpose


# -- pools -----------------------------------------------------------------------------------
def _over(x, starts, stops, value):
    """``value(cells, place)`` of the windows of every plane, and where they lie."""
    out = [len(s) for s in starts]
    y = np.zeros((*x.shape[:2], *out))
    for n, c, *place in np.ndindex(*y.shape):
        window = [slice(max(s[p], 0), max(e[p], 0)) for s, e, p in zip(starts, stops, place)]
        y[(n, c, *place)] = value(x[(n, c, *window)], place)
    return y


def _max_pool(axes):
    @_without_batch(axes)
    def max_pool(
        x, kernel_size, stride=None, padding=0, dilation=1, ceil_mode=False, return_indices=False
    ):
        kernel, dilation = _each(kernel_size, axes), _each(dilation, axes)
        stride = _each(kernel_size if stride is None else stride, axes)
        sizes, spans = x.shape[2:], [d * (k - 1) + 1 for k, d in zip(kernel, dilation)]
        sides = _sides(padding, sizes, kernel, stride, dilation)
        starts = [_starts(n, k, s, a, b, ceil_mode) for n, k, s, (a, b)
                  in zip(sizes, spans, stride, sides)]  # fmt: skip
        y = np.zeros((*x.shape[:2], *[len(s) for s in starts]))
        places = np.zeros(y.shape, np.int64)
        for n, c, *at in np.ndindex(*y.shape):
            best, where = -np.inf, None
            for tap in np.ndindex(*kernel):
                cell = [s[p] + t * d for s, p, t, d in zip(starts, at, tap, dilation)]
                if all(0 <= i < size for i, size in zip(cell, sizes)):
                    value = x[(n, c, *cell)]
                    if where is None or value > best or np.isnan(value):
                        best, where = value, cell
            y[(n, c, *at)], places[(n, c, *at)] = best, np.ravel_multi_index(where, sizes)
        return (y, places) if return_indices else y

    return max_pool


def _avg_pool(axes):
    @_without_batch(axes)
    def avg_pool(
        x, kernel_size, stride=None, padding=0, ceil_mode=False, count_include_pad=True,
        divisor_override=None,
    ):  # fmt: skip
        kernel, sizes = _each(kernel_size, axes), x.shape[2:]
        stride = _each(kernel_size if stride is None else stride, axes)
        sides = _sides(padding, sizes, kernel, stride, (1,) * axes)
        starts = [_starts(n, k, s, a, b, ceil_mode) for n, k, s, (a, b)
                  in zip(sizes, kernel, stride, sides)]  # fmt: skip
        stops = [[s + k for s in some] for some, k in zip(starts, kernel)]

        def mean(cells, place):
            inside = [min(s[p] + k, n + b) - s[p] for s, p, k, n, (_, b)
                      in zip(starts, place, kernel, sizes, sides)]  # fmt: skip
            count = math.prod(inside) if count_include_pad else cells.size
            return cells.sum() / (divisor_override or count)

        return _over(x, starts, stops, mean)

    return avg_pool


def _lp_pool(axes):
    average = _avg_pool(axes)

    def lp_pool(x, norm_type, kernel_size, stride=None, ceil_mode=False):
        count = math.prod(_each(kernel_size, axes))
        powers = average(x**norm_type, kernel_size, stride, ceil_mode=ceil_mode)
        return (powers * count) ** (1 / norm_type)

    return lp_pool


def _adaptive(axes, value):
    @_without_batch(axes)
    def adaptive(x, output_size):
        outs = [n if o is None else o for o, n in zip(_each(output_size, axes), x.shape[2:])]
        sizes = x.shape[2:]
        starts = [[math.floor(p * n / o) for p in range(o)] for n, o in zip(sizes, outs)]
        stops = [[math.ceil((p + 1) * n / o) for p in range(o)] for n, o in zip(sizes, outs)]
        return _over(x, starts, stops, lambda cells, place: value(cells))

    return adaptive


def _max_unpool(axes):
    @_without_batch(axes)
    def max_unpool(x, indices, kernel_size, stride=None, padding=0, output_size=None):
        kernel, padding = _each(kernel_size, axes), _each(padding, axes)
        stride = kernel if stride is None else _each(stride, axes)
        size = [(n - 1) * s + k - 2 * p for n, s, k, p
                in zip(x.shape[2:], stride, kernel, padding)]  # fmt: skip
        size = size if output_size is None else output_size[-axes:]
        y = np.zeros((*x.shape[:2], math.prod(size)))
        for place in np.ndindex(*x.shape):
            y[(*place[:2], indices[place])] = x[place]
        return y.reshape(*x.shape[:2], *size)

    return max_unpool


for _axes in (1, 2):
    for _name, _function in {
        "conv": _conv(_axes),
        "conv_transpose": _conv_transpose(_axes),
        "max_pool": _max_pool(_axes),
        "max_unpool": _max_unpool(_axes),
        "avg_pool": _avg_pool(_axes),
        "lp_pool": _lp_pool(_axes),
        "adaptive_avg_pool": _adaptive(_axes, np.mean),
        "adaptive_max_pool": _adaptive(_axes, np.max),
    }.items():
        oracle(f"F.{_name}{_axes}d")(_function)


@oracle("F.max_pool2d_with_indices")
def max_pool2d_with_indices(x, *args, **options):
    return _max_pool(2)(x, *args, **{**options, "return_indices": True})


# -- norms -----------------------------------------------------------------------------------
def _normal(x, axes, eps):
    mean, var = x.mean(axes, keepdims=True), x.var(axes, keepdims=True)
    return (x - mean) / np.sqrt(var + eps)


def _affine(y, weight, bias):
    """y w + b, both given per channel."""
    column = (-1,) + (1,) * (y.ndim - 2)
    y = y if weight is None else y * weight.reshape(column)
    return y if bias is None else y + bias.reshape(column)


@oracle("F.batch_norm")
def batch_norm(
    x, running_mean, running_var, weight=None, bias=None, training=False, momentum=0.1, eps=1e-5
):
    if training:
        y = _normal(x, (0, *range(2, x.ndim)), eps)
    else:
        y = _affine(x, None, -running_mean)
        y = _affine(y, 1 / np.sqrt(running_var + eps), None)
    return _affine(y, weight, bias)


@oracle("F.instance_norm")
def instance_norm(
    x, running_mean=None, running_var=None, weight=None, bias=None, use_input_stats=True,
    momentum=0.1, eps=1e-5,
):  # fmt: skip
    if not use_input_stats:
        return batch_norm(x, running_mean, running_var, weight, bias, eps=eps)
    return _affine(_normal(x, tuple(range(2, x.ndim)), eps), weight, bias)


@oracle("F.group_norm")
def group_norm(x, num_groups, weight=None, bias=None, eps=1e-5):
    groups = x.reshape(x.shape[0], num_groups, x.shape[1] // num_groups, *x.shape[2:])
    y = _normal(groups, tuple(range(2, groups.ndim)), eps)
    return _affine(y.reshape(x.shape), weight, bias)


@oracle("F.layer_norm")
def layer_norm(x, normalized_shape, weight=None, bias=None, eps=1e-5):
    y = _normal(x, tuple(range(-len(normalized_shape), 0)), eps)
    return y * (1 if weight is None else weight) + (0 if bias is None else bias)


@oracle("F.rms_norm")
def rms_norm(x, normalized_shape, weight=None, eps=None):
    axes = tuple(range(-len(normalized_shape), 0))
    eps = np.finfo(x.dtype).eps if eps is None else eps
    y = x / np.sqrt((x**2).mean(axes, keepdims=True) + eps)
    return y if weight is None else y * weight


@oracle("F.local_response_norm")
def local_response_norm(x, size, alpha=1e-4, beta=0.75, k=1.0):
    y = np.zeros(x.shape)
    for c in range(x.shape[1]):
        near = x[:, max(c - size // 2, 0) : c + (size - 1) // 2 + 1]
        y[:, c] = x[:, c] / (k + alpha / size * (near**2).sum(1)) ** beta
    return y
