"""An op of your own, with first and second derivative. It fails if one of them is wrong.

Run: python examples/own_function.py
"""

import numpy as np

import tinyconv as tc


class Mish(tc.autograd.Function):
    """y = x tanh(log(1 + exp(x))): forward in NumPy, backward in tensor ops."""

    @staticmethod
    def forward(ctx, x):
        ctx.save_for_backward(x)
        return x * np.tanh(np.log1p(np.exp(x)))

    @staticmethod
    def backward(ctx, gy):
        (x,) = ctx.saved_tensors
        t = x.exp().log1p().tanh()
        return gy * (t + x * x.sigmoid() * (1 - t * t))


def f(x):
    return Mish.apply(x)


x = tc.linspace(-3, 3, 7, dtype=tc.float64).requires_grad_()
(first,) = tc.autograd.grad(f(x).sum(), x, create_graph=True)
(second,) = tc.autograd.grad(first.sum(), x)

h = 1e-4
with tc.no_grad():
    numeric_first = (f(x + h) - f(x - h)) / (2 * h)
    numeric_second = (f(x + h) - 2 * f(x) + f(x - h)) / h**2
print("  x      f'        f''")
for row in zip(x.tolist(), first.tolist(), second.tolist()):
    print("{:5.1f} {:9.6f} {:9.6f}".format(*row))
assert tc.allclose(first.detach(), numeric_first, atol=1e-7), "first derivative is wrong"
assert tc.allclose(second, numeric_second, atol=1e-6), "second derivative is wrong"
