"""Dry runs: what a network would make of its input, without computing it.

The ops that cost time are replaced by rules: the result's shape, and what is kept for backward.
Their arrays are zeros that no one looks at, and such arrays take no memory, for the system gives a
page only when it is first touched (``nn.init.skip_init`` makes weights of the same kind). All other
ops run as ever. So the largest networks are counted in a moment, and no kernel is compiled.
"""

import contextlib
import operator

import numpy as np

from tinyconv.autograd import Tensor
from tinyconv.autograd.modes import state
from tinyconv.ops import (
    activations,
    arithmetic,
    conv,
    join,
    linalg,
    lrn,
    norm,
    pad,
    pointwise,
    pool,
    random,
    reduce,
)
from tinyconv.ops.random import get_rng_state, set_rng_state


def _same(x):
    # unlike np.zeros, np.zeros_like writes them
    return np.zeros(x.shape, x.dtype)


def _conv(ctx, x, w, b, window, groups):
    need_x, need_w, *_ = ctx.needs_input_grad
    ctx.save_for_backward(x if need_w else None, w if need_x else None)
    return np.zeros((x.shape[0], w.shape[0], *window.output_shape(*x.shape[2:])), x.dtype)


def _linear(ctx, x, w, b):
    need_x, need_w, _ = ctx.needs_input_grad
    ctx.save_for_backward(x if need_w else None, w if need_x else None)
    return np.zeros((x.shape[0], w.shape[0]), x.dtype)


def _matmul(ctx, a, b):
    ctx.save_for_backward(a, b)
    batch = np.broadcast_shapes(a.shape[:-2], b.shape[:-2])
    return np.zeros((*batch, a.shape[-2], b.shape[-1]), a.dtype)


def _batch_norm(ctx, x, w, b, eps):
    mean, var, invstd = (np.zeros(x.shape[1], x.dtype) for _ in range(3))
    ctx.save_for_backward(x, w, mean, invstd)
    ctx.mark_non_differentiable(mean, var)
    return _same(x), mean, var


def _running_norm(ctx, x, mean, var, w, b, eps):
    ctx.save_for_backward(x, mean, var, w)
    return _same(x)


def _response_norm(ctx, x, size, alpha, beta, k):
    ctx.save_for_backward(x, _same(x))
    return _same(x)


def _relu(ctx, x):
    y = _same(x)
    ctx.save_for_backward(y)
    return y


def _fused(ctx, x, composed, values, slope):
    ctx.save_for_backward(x)
    return _same(x)


def _clamp(ctx, x, low, high, strict):
    ctx.save_for_backward(np.zeros(x.shape, bool))
    return _same(x)


def _max_pool(ctx, x, window, output, indices):
    y = np.zeros(x.shape[:2] + output, x.dtype)
    # which cell was the largest: the kernel's array has a few bytes more around it
    kind = np.uint8 if window.kh * window.kw <= 256 else np.uint32
    ctx.save_for_backward(np.zeros(y.shape, kind))
    return (y, np.zeros(y.shape, np.int64)) if indices else y


def _avg_pool(ctx, x, windows, inverse):
    return np.zeros(x.shape[:2] + inverse.shape, x.dtype)


def _gather(ctx, x, index):
    ctx.save_for_backward(index)
    return np.zeros(index.shape, x.dtype)


def _add(ctx, a, b):
    return np.zeros(np.broadcast_shapes(a.shape, b.shape), a.dtype)


def _mul(ctx, a, b):
    need_a, need_b = ctx.needs_input_grad
    ctx.save_for_backward(a if need_b else None, b if need_a else None)
    return _add(ctx, a, b)


def _sum(ctx, x, dims, keepdim):
    sizes = [(1 if d in dims else n) for d, n in enumerate(x.shape) if keepdim or d not in dims]
    return np.zeros(sizes, x.dtype)


def _cat(ctx, *arrays, dim):
    sizes = list(arrays[0].shape)
    sizes[dim] = sum(a.shape[dim] for a in arrays)
    return np.zeros(sizes, arrays[0].dtype)


def _pad(ctx, x, widths, value):
    return np.zeros([n + a + b for n, (a, b) in zip(x.shape, widths)], x.dtype)


def _dropout(ctx, x, p, shape):
    ctx.save_for_backward(np.zeros(shape, x.dtype))
    return _same(x)


RULES = {
    conv.Conv2d: _conv, linalg.Linear: _linear, linalg.Matmul: _matmul, norm.BatchNorm: _batch_norm,
    norm.RunningNorm: _running_norm, lrn.LocalResponseNorm: _response_norm, pointwise.Relu: _relu,
    arithmetic.Clamp: _clamp, pool.MaxPool2d: _max_pool, pool.AvgPool2d: _avg_pool,
    pool.PlaneGather: _gather, arithmetic.Add: _add, arithmetic.Sub: _add, arithmetic.Mul: _mul,
    activations.Fused: _fused, reduce.Sum: _sum, join.Cat: _cat, pad.Pad: _pad,
    random.Dropout: _dropout,
}  # fmt: skip


def forward(node, arrays, options):
    """The results of an op's ``forward``: by its rule, or computed."""
    return RULES.get(type(node), type(node).forward)(node, *arrays, **options)


@contextlib.contextmanager
def watched(detector):
    """Inside, ``detector.forward(node, arrays, options)`` is asked in place of every op's.

    It stands where the anomaly detector stands, and has its list ``modules`` of the modules that
    are being called. Running statistics and random numbers stay as they are.
    """
    before, recomputing, drawn = state.detector, state.recomputing, get_rng_state()
    state.detector, state.recomputing = detector, True
    try:
        yield detector
    finally:
        state.detector, state.recomputing = before, recomputing
        set_rng_state(drawn)


@contextlib.contextmanager
def mode_of(model, training):
    """Inside, the model is in training or evaluation mode; behind, each module as before."""
    modes = [(module, module.training) for module in model.modules()]
    model.train(training)
    try:
        yield
    finally:
        for module, mode in modes:
            module.training = mode


def blank(shape, dtype):
    """A tensor of zeros that takes no memory until it is written or read."""
    return Tensor(np.zeros(shape, dtype))


def image(model, input_size):
    """A blank input for a model: (C, H, W) for one image, or the whole shape; in its dtype."""
    try:
        sizes = [operator.index(n) for n in input_size]
    except TypeError:
        sizes = []
    if not sizes or min(sizes) < 1:
        raise ValueError(
            f"input_size={input_size!r}: wants (C, H, W) for one image or the whole shape (N, ...)"
        )
    dtype = next((p.dtype for p in model.parameters()), np.float32)
    return blank((1, *sizes) if len(sizes) == 3 else tuple(sizes), dtype)
