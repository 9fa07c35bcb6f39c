"""Pools. Those of signals are those of images of one row, an LP pool is an average of powers. An
addition to PyTorch: ``padding`` may be four numbers (left, right, top, bottom).
"""

from tinyconv import kernels
from tinyconv.autograd import Tensor
from tinyconv.kernels.geometry import pair
from tinyconv.nn.checks import along, check_places, check_pool, grid, images, signals
from tinyconv.ops import pool as pool_ops
from tinyconv.ops.arithmetic import where
from tinyconv.ops.shape import squeeze

__all__ = [
    "adaptive_avg_pool1d", "adaptive_avg_pool2d", "adaptive_max_pool1d", "adaptive_max_pool2d",
    "avg_pool1d", "avg_pool2d", "lp_pool1d", "lp_pool2d", "max_pool1d", "max_pool2d",
    "max_pool2d_with_indices", "max_unpool1d", "max_unpool2d",
]  # fmt: skip


def _step(kernel_size, stride):
    """``stride``, by default the kernel's size."""
    return kernel_size if stride is None or stride == () or stride == [] else stride


def _flat(y, single):
    """Images of one row (or a tuple of them) as the signals they stand for."""
    if isinstance(y, tuple):
        return tuple(_flat(part, single) for part in y)
    return squeeze(y, (0, 2) if single else 2)


def max_pool2d(
    input: Tensor,
    kernel_size,
    stride=None,
    padding=0,
    dilation=1,
    ceil_mode=False,
    return_indices=False,
) -> Tensor | tuple[Tensor, Tensor]:
    """The largest value of each window; NaN wins; the first of equal ones gets the gradient.

    Args:
        input: (N, C, H, W) or (C, H, W).
        kernel_size, dilation: int or (height, width); stride: the kernel size by default.
        padding: as in ``conv2d``, at most half the kernel; never the maximum itself.
        ceil_mode: also take windows that hang over the end.
        return_indices: return (values, int64 indices h W + v into each plane) instead.

    Raises:
        TypeError, ValueError: numbers or shapes that do not fit.

    >>> import tinyconv as tc, tinyconv.nn.functional as F
    >>> F.max_pool2d(tc.arange(16.0).reshape(1, 1, 4, 4), 2)
    tensor([[[[ 5.,  7.],
              [13., 15.]]]])
    """
    x, single = images(input, "max_pool2d")
    y = _max_pool(
        "max_pool2d", x, kernel_size, _step(kernel_size, stride), padding, dilation, ceil_mode,
        bool(return_indices),
    )  # fmt: skip
    if not single:
        return y
    return (y[0][0], y[1][0]) if return_indices else y[0]


def max_pool2d_with_indices(
    input: Tensor,
    kernel_size,
    stride=None,
    padding=0,
    dilation=1,
    ceil_mode=False,
    return_indices=False,
) -> tuple[Tensor, Tensor]:
    """``max_pool2d`` that always returns (values, indices)."""
    values, indices = max_pool2d(input, kernel_size, stride, padding, dilation, ceil_mode, True)
    return values, indices


def max_pool1d(
    input: Tensor,
    kernel_size,
    stride=None,
    padding=0,
    dilation=1,
    ceil_mode=False,
    return_indices=False,
) -> Tensor | tuple[Tensor, Tensor]:
    """``max_pool2d`` of signals (N, C, L) or (C, L)."""
    x, single = signals(input, "max_pool1d")
    window = along(
        "max_pool1d", kernel_size=kernel_size, stride=_step(kernel_size, stride), padding=padding,
        dilation=dilation,
    )  # fmt: skip
    options = dict(ceil_mode=ceil_mode, return_indices=bool(return_indices))
    return _flat(_max_pool("max_pool1d", x, **window, **options), single)


def _max_pool(op, x, kernel_size, stride, padding, dilation, ceil_mode, return_indices):
    window = kernels.Window.of(kernel_size, stride, padding, dilation, x.shape[2:], op)
    output = check_pool(op, window, x.shape, ceil_mode)
    return pool_ops.MaxPool2d.apply(x, window, output, return_indices)


def max_unpool2d(
    input: Tensor, indices: Tensor, kernel_size, stride=None, padding=0, output_size=None
) -> Tensor:
    """Zeros, and each value of a max pool at the place where it was found.

    Args:
        input: (N, C, Ho, Wo) or (C, Ho, Wo), what ``max_pool2d`` returned.
        indices: int64 of that shape, what it returned with ``return_indices``. Of values at the
            same place the last is written, and gets the gradient.
        kernel_size, stride, padding: those of the pool.
        output_size: (H, W), or the shape of the pool's input, where pools of several sizes give
            (Ho, Wo); (Ho - 1) sh - 2 ph + kh by default, and less than a stride away from that.

    Raises:
        TypeError, ValueError: numbers or shapes that do not fit, an index outside.

    >>> import tinyconv as tc, tinyconv.nn.functional as F
    >>> y, places = F.max_pool2d(tc.arange(16.0).reshape(1, 4, 4), 2, return_indices=True)
    >>> F.max_unpool2d(y, places, 2)
    tensor([[[ 0.,  0.,  0.,  0.],
             [ 0.,  5.,  0.,  7.],
             [ 0.,  0.,  0.,  0.],
             [ 0., 13.,  0., 15.]]])
    """
    x, single = images(input, "max_unpool2d")
    window = kernel_size, _step(kernel_size, stride), padding, output_size
    y = _max_unpool("max_unpool2d", input, x, indices, *window)
    return y[0] if single else y


def max_unpool1d(
    input: Tensor, indices: Tensor, kernel_size, stride=None, padding=0, output_size=None
) -> Tensor:
    """``max_unpool2d`` of signals (N, C, L) or (C, L)."""
    x, single = signals(input, "max_unpool1d")
    window = along(
        "max_unpool1d", kernel_size=kernel_size, stride=_step(kernel_size, stride), padding=padding
    )
    if output_size is not None:
        output_size = (1, output_size[-1])
    y = _max_unpool("max_unpool1d", input, x, indices, **window, output_size=output_size)
    return _flat(y, single)


def _max_unpool(op, input, x, indices, kernel_size, stride, padding, output_size):
    window = kernels.Window.of(kernel_size, stride, padding, 1, None, op)
    Ho, Wo = x.shape[2:]
    usual = (
        (Ho - 1) * window.sh + window.kh - window.top - window.bottom,
        (Wo - 1) * window.sw + window.kw - window.left - window.right,
    )
    if output_size is None:
        image = usual
    else:
        image = pair(tuple(output_size)[-2:], op, "output_size", 1)
        away = [abs(n - m) for n, m in zip(image, usual)]
        if away[0] >= window.sh or away[1] >= window.sw:
            raise ValueError(
                f"{op}: output_size={tuple(output_size)} must be less than the stride "
                f"{(window.sh, window.sw)} away from {usual}, which fits input of shape "
                f"{list(input.shape)}"
            )
    check_places(op, input, indices, image)
    return pool_ops.max_unpool2d(x, indices.array.reshape(x.shape), image)


def avg_pool2d(
    input: Tensor,
    kernel_size,
    stride=None,
    padding=0,
    ceil_mode=False,
    count_include_pad=True,
    divisor_override=None,
) -> Tensor:
    """The mean of each window.

    Args:
        input: (N, C, H, W) or (C, H, W).
        kernel_size: int or (height, width); stride: the kernel size by default.
        padding: zeros around the image, as in ``conv2d``, at most half the kernel.
        ceil_mode: also take windows that hang over the end; they divide by what they cover.
        count_include_pad: count padding cells in the divisor.
        divisor_override: divide by this number instead.

    Raises:
        TypeError, ValueError: numbers or shapes that do not fit.

    >>> import tinyconv as tc, tinyconv.nn.functional as F
    >>> F.avg_pool2d(tc.ones(1, 1, 3, 3), 3, stride=1, padding=1, count_include_pad=False).sum()
    tensor(9.)
    """
    x, single = images(input, "avg_pool2d")
    if divisor_override == 0:
        raise ValueError("avg_pool2d: divisor_override must not be 0")
    options = ceil_mode, count_include_pad, divisor_override
    y = _avg_pool("avg_pool2d", x, kernel_size, _step(kernel_size, stride), padding, *options)
    return y[0] if single else y


def avg_pool1d(
    input: Tensor, kernel_size, stride=None, padding=0, ceil_mode=False, count_include_pad=True
) -> Tensor:
    """``avg_pool2d`` of signals (N, C, L) or (C, L)."""
    x, single = signals(input, "avg_pool1d")
    window = along(
        "avg_pool1d", kernel_size=kernel_size, stride=_step(kernel_size, stride), padding=padding
    )
    options = dict(ceil_mode=ceil_mode, count_include_pad=count_include_pad)
    return _flat(_avg_pool("avg_pool1d", x, **window, **options), single)


def _avg_pool(
    op, x, kernel_size, stride, padding, ceil_mode, count_include_pad, divisor_override=None
):
    window = kernels.Window.of(kernel_size, stride, padding, 1, x.shape[2:], op)
    output = check_pool(op, window, x.shape, ceil_mode)
    return pool_ops.avg_pool2d(x, window, output, count_include_pad, divisor_override)


def lp_pool2d(input: Tensor, norm_type, kernel_size, stride=None, ceil_mode=False) -> Tensor:
    """(the sum of x^p over each window)^(1/p), p = ``norm_type``; its derivative at 0 is 0.

    Under ``ceil_mode`` a window that hangs over the end counts as if it were full of its mean.

    >>> import tinyconv as tc, tinyconv.nn.functional as F
    >>> F.lp_pool2d(tc.tensor([[[3.0, 4.0]]]), 2, (1, 2))
    tensor([[[5.]]])
    """
    x, single = images(input, "lp_pool2d")
    y = _lp_pool("lp_pool2d", x, norm_type, kernel_size, _step(kernel_size, stride), ceil_mode)
    return y[0] if single else y


def lp_pool1d(input: Tensor, norm_type, kernel_size, stride=None, ceil_mode=False) -> Tensor:
    """``lp_pool2d`` of signals (N, C, L) or (C, L)."""
    x, single = signals(input, "lp_pool1d")
    window = along("lp_pool1d", kernel_size=kernel_size, stride=_step(kernel_size, stride))
    return _flat(_lp_pool("lp_pool1d", x, norm_type, **window, ceil_mode=ceil_mode), single)


def _lp_pool(op, x, norm_type, kernel_size, stride, ceil_mode):
    p = float(norm_type)
    if p == 0:
        raise ValueError(f"{op}: norm_type=0 has no root; wants another number")
    kh, kw = pair(kernel_size, op, "kernel_size", 1)
    y = _avg_pool(op, x**p, (kh, kw), stride, 0, ceil_mode, True) * (kh * kw)
    silent = y == 0
    return where(silent, 0.0, where(silent, 1.0, y) ** (1 / p))


def adaptive_avg_pool2d(input: Tensor, output_size) -> Tensor:
    """Averages over a grid of windows that gives ``output_size`` for any input size.

    Args:
        input: (N, C, H, W) or (C, H, W).
        output_size: int or (height, width); None keeps that size. 1 is the global pool.

    >>> import tinyconv as tc, tinyconv.nn.functional as F
    >>> F.adaptive_avg_pool2d(tc.ones(2, 3, 5, 7), 1).shape
    (2, 3, 1, 1)
    """
    x, single = images(input, "adaptive_avg_pool2d")
    y = pool_ops.adaptive_avg_pool2d(x, grid(x, output_size, "adaptive_avg_pool2d"))
    return y[0] if single else y


def adaptive_avg_pool1d(input: Tensor, output_size) -> Tensor:
    """``adaptive_avg_pool2d`` of signals (N, C, L) or (C, L)."""
    x, single = signals(input, "adaptive_avg_pool1d")
    size = along("adaptive_avg_pool1d", output_size=output_size)["output_size"]
    return _flat(pool_ops.adaptive_avg_pool2d(x, grid(x, size, "adaptive_avg_pool1d")), single)


def adaptive_max_pool2d(
    input: Tensor, output_size, return_indices=False
) -> Tensor | tuple[Tensor, Tensor]:
    """Maxima over a grid of windows that gives ``output_size`` for any input size."""
    x, single = images(input, "adaptive_max_pool2d")
    y, index = pool_ops.adaptive_max_pool2d(x, grid(x, output_size, "adaptive_max_pool2d"))
    if single:
        y, index = y[0], index[0]
    return (y, index) if return_indices else y


def adaptive_max_pool1d(
    input: Tensor, output_size, return_indices=False
) -> Tensor | tuple[Tensor, Tensor]:
    """``adaptive_max_pool2d`` of signals (N, C, L) or (C, L)."""
    x, single = signals(input, "adaptive_max_pool1d")
    size = along("adaptive_max_pool1d", output_size=output_size)["output_size"]
    found = pool_ops.adaptive_max_pool2d(x, grid(x, size, "adaptive_max_pool1d"))
    y, index = _flat(found, single)
    return (y, index) if return_indices else y
