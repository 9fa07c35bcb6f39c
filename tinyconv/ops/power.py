"""Powers.

Primitives: a tensor to the power of a number, a tensor to the power of a tensor. Composed: the
power in float64.
"""

import numpy as np

from tinyconv.autograd import Function, Tensor
from tinyconv.kernels.complex_step import analytic
from tinyconv.ops.arithmetic import check_fits, nothing, where
from tinyconv.ops.common import check_tensors, common_dtype, operands, quiet
from tinyconv.ops.compare import isnan

_square = analytic(np.square)


@analytic
def _power(a, b):
    """a ** b. Of complex numbers NumPy takes exp(b log a), and the logarithm of a negative a
    leads away from the real line: there the sign is taken out first."""
    if a.dtype.kind == "c":
        side = np.copysign(1.0, a.real)
        return np.power(a * side, b) * np.power(side, b.real)
    if a.dtype.kind == "f" or (b >= 0).all():
        return np.power(a, b)
    # 1 / a ** -b, without what is behind the point
    inverse = np.where(np.abs(a) == 1, np.where(b % 2 == 0, 1, a), 0)
    return np.where(b < 0, inverse, np.power(a, np.abs(b)))


class Pow(Function):
    """x ** p for a number p; the derivative of x ** 0 is 0 everywhere, also at x = 0."""

    @quiet
    def forward(ctx, x, p):
        ctx.p = p
        ctx.save_for_backward(x)
        return _square(x) if p == 2 else _power(x, x.dtype.type(p))

    def backward(ctx, gy):
        (x,) = ctx.saved_tensors
        p = ctx.p
        return nothing(gy) if p == 0 else gy * (x * 2 if p == 2 else p * x ** (p - 1))


class PowTensor(Function):
    """a ** b; d/db is taken as 0 where a = 0 and b >= 0, as in PyTorch."""

    @quiet
    def forward(ctx, a, b):
        y = _power(a, b)
        ctx.save_for_backward(a, b, y)
        return y

    def backward(ctx, gy):
        a, b, y = ctx.saved_tensors
        need_a, need_b = ctx.needs_input_grad
        ga = gb = None
        if need_a:
            # 0 ** 0 and NaN ** 0: b * a ** (b - 1) is 0 times infinity or NaN, and taken as 0
            corner = ((a == 0) | isnan(a)) & (b == 0)
            ga = gy * b * where(corner, 1.0, a) ** (b - 1)
        if need_b:
            silent = (a == 0) & (b >= 0)
            gb = gy * where(silent, 0.0, y * where(silent, 1.0, a).log())
        return ga, gb


def pow(input, exponent) -> Tensor:
    """input ** exponent, either of them a number or a tensor.

    Raises:
        RuntimeError: for integers to the power of a negative integer.

    >>> import tinyconv as tc
    >>> tc.pow(tc.tensor([1.0, 2.0]), 3), 2 ** tc.tensor([3, 4])
    (tensor([1., 8.]), tensor([ 8, 16]))
    """
    if isinstance(exponent, (int, float)) and isinstance(input, Tensor):
        if input.dtype.kind not in "fc":
            if isinstance(exponent, int) and exponent < 0:
                raise RuntimeError(f"pow: integers to the power {exponent} are not integers")
            input = input.to(common_dtype(input, exponent))
            check_fits(exponent, input.dtype, "pow")
        if input.dtype.kind != "b":
            return Pow.apply(input, exponent)
    a, b = operands(input, exponent, "pow")
    if a.dtype == bool:
        raise TypeError("pow: bools have no powers; convert them with .int()")
    return PowTensor.apply(a, b)


def float_power(input, exponent) -> Tensor:
    """input ** exponent, computed in float64."""
    if not isinstance(input, Tensor):
        check_tensors("float_power", exponent=exponent)
    return pow(_double(input), _double(exponent))


def _double(x):
    return x.double() if isinstance(x, Tensor) else float(x)


def square(input) -> Tensor:
    """input * input."""
    return pow(input, 2)
