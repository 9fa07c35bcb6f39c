"""Cases as functions of Tensors."""

import numpy as np

from tinyconv.autograd import Function, once_differentiable
from tinyconv.autograd.tensor import Tensor


def as_function(case):
    """The case as a function of Tensors with ``case.backward`` for its derivative.

    With ``case.second`` it can be differentiated twice, without it a second time raises.

    >>> import tinyconv as tc
    >>> from tinyconv.testing.faults import FAULTS, as_function
    >>> fault = next(f for f in FAULTS if f.name == "x * x: second use overwrites the first")
    >>> x = tc.tensor([3.0], requires_grad=True)
    >>> as_function(fault)(x).backward(tc.ones(1))
    >>> x.grad  # 2 x would be right
    tensor([3.])
    """

    class First(Function):
        @staticmethod
        def forward(ctx, *arrays):
            ctx.save_for_backward(*arrays)
            return case.forward(*arrays)

        @staticmethod
        def backward(ctx, *gys):
            if case.second is not None:
                return Second.apply(*gys, *ctx.saved_tensors)
            return first_gradients(ctx, *gys)

    @once_differentiable
    def first_gradients(ctx, *gys):
        gys = tuple([gy.array for gy in gys])
        arrays = [x.array for x in ctx.saved_tensors]
        return _tensors(case.backward(gys if len(gys) > 1 else gys[0], *arrays))

    class Second(Function):
        @staticmethod
        def forward(ctx, gy, *arrays):
            ctx.save_for_backward(gy, *arrays)
            return case.backward(gy, *arrays)

        @staticmethod
        @once_differentiable
        def backward(ctx, *ggs):
            gy, *arrays = [x.array for x in ctx.saved_tensors]
            return _tensors(case.second(tuple([gg.array for gg in ggs]), gy, *arrays))

    First.__name__ = case.name
    Second.__name__ = f"gradient of {case.name}"
    return First.apply


def _tensors(gradients):
    if not isinstance(gradients, tuple):
        gradients = (gradients,)
    return tuple([None if g is None else Tensor(np.asarray(g)) for g in gradients])
