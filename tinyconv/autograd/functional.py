"""Jacobians, Hessians and their products with vectors, of functions of tensors.

All are made of ``grad``: ``vjp`` is one walk, a Jacobian one walk for each output element, and
``jvp`` two walks: u -> vjp(u) is linear, so its own vjp is J v, whatever u was.

In all of them ``func`` takes the inputs as arguments and returns a Tensor or a tuple of Tensors,
and results are tuples where inputs or outputs are. With ``create_graph`` results are recorded, so
that they can be differentiated again. With ``strict`` an output that does not depend on an input
is an error; otherwise its derivative is zero.
"""

import numpy as np

from tinyconv.autograd.backward import grad
from tinyconv.autograd.function import Function
from tinyconv.autograd.modes import enable_grad
from tinyconv.autograd.tensor import Tensor


class _Stack(Function):
    """Arrays of one shape along a new first axis."""

    def forward(ctx, *arrays):
        return np.stack(arrays)

    def backward(ctx, gy):
        return tuple(gy[i] for i in range(gy.shape[0]))


def vjp(func, inputs, v=None, create_graph=False, strict=False):
    """(func(*inputs), v J): the product of a vector and the Jacobian J.

    Args:
        func: function of Tensors.
        inputs: Tensor or tuple of them.
        v: Tensor or tuple, of the outputs' shapes; may be left out for one output of one element.

    Raises:
        TypeError: for what is no Tensor. RuntimeError: for a ``v`` of another shape; see above.

    >>> import tinyconv as tc
    >>> tc.autograd.functional.vjp(lambda x: x * x, tc.tensor([1.0, 2.0]), tc.ones(2))
    (tensor([1., 4.]), tensor([2., 4.]))
    """
    call = _Call("vjp", func, inputs, create_graph, strict)
    v = call.vector(v, call.outputs, "output")
    with enable_grad():
        product = call.zeros_for(call.gradient(call.outputs, v, create_graph), call.inputs)
    return call.result(call.outputs, call.single_output), call.result(product, call.single)


def jvp(func, inputs, v=None, create_graph=False, strict=False):
    """(func(*inputs), J v): the product of the Jacobian J and a vector.

    Args and Raises: as for ``vjp``, with ``v`` of the inputs' shapes.

    >>> import tinyconv as tc
    >>> tc.autograd.functional.jvp(lambda x: x * x, tc.tensor([1.0, 2.0]), tc.tensor([1.0, 0.0]))
    (tensor([1., 4.]), tensor([2., 0.]))
    """
    call = _Call("jvp", func, inputs, create_graph, strict)
    v = call.vector(v, call.inputs, "input")
    with enable_grad():
        u = [Tensor(np.zeros_like(y.array), requires_grad=True) for y in call.outputs]
        # may be constant in u, where nothing depends on the inputs
        linear = call.zeros_for(call.gradient(call.outputs, u, True), call.inputs)
        product = call.gradient(linear, v, create_graph, u)
        product = call.zeros_for(product, call.outputs)
    return call.result(call.outputs, call.single_output), call.result(product, call.single_output)


def jacobian(
    func, inputs, create_graph=False, strict=False, vectorize=False, strategy="reverse-mode"
):
    """The derivative of each output element with respect to each input element.

    Args:
        func: function of Tensors.
        inputs: Tensor or tuple of them.
        vectorize, strategy: accepted for PyTorch's sake; there is one way here.

    Returns:
        Tensor (*output.shape, *input.shape); a tuple of them for several inputs, or one for each
        output of several; a tuple of tuples, [output][input], for several of both.

    >>> import tinyconv as tc
    >>> tc.autograd.functional.jacobian(lambda x: x * x, tc.tensor([1.0, 2.0]))
    tensor([[2., 0.],
            [0., 4.]])
    """
    call = _Call("jacobian", func, inputs, create_graph, strict)
    with enable_grad():
        rows = [call.jacobian_of(y) for y in call.outputs]
    found = tuple(call.result(row, call.single) for row in rows)
    return found[0] if call.single_output else found


def hessian(
    func, inputs, create_graph=False, strict=False, vectorize=False,
    outer_jacobian_strategy="reverse-mode",
):  # fmt: skip
    """The second derivatives of a function with one output element.

    Returns:
        Tensor (*input.shape, *input.shape), or a tuple of tuples of them, [input i][input j].

    >>> import tinyconv as tc
    >>> tc.autograd.functional.hessian(lambda x: (x ** 3).sum(), tc.tensor([1.0, 2.0]))
    tensor([[ 6.,  0.],
            [ 0., 12.]])
    """

    def gradient(*xs):
        call = _Call("hessian", func, xs, True, strict)
        y = _scalar("hessian", call.outputs[0] if call.single_output else tuple(call.outputs))
        return tuple(call.zeros_for(call.gradient([y], None, True), call.inputs))

    found = jacobian(gradient, inputs, create_graph, strict)
    return found[0] if isinstance(inputs, Tensor) else found


def hvp(func, inputs, v=None, create_graph=False, strict=False):
    """(func(*inputs), H v): the product of the Hessian H and a vector of the inputs' shapes.

    H is symmetric, so this is ``vhp``, and costs as much.
    """
    return _hessian_product("hvp", func, inputs, v, create_graph, strict)


def vhp(func, inputs, v=None, create_graph=False, strict=False):
    """(func(*inputs), v H): the product of a vector of the inputs' shapes and the Hessian H.

    >>> import tinyconv as tc
    >>> tc.autograd.functional.vhp(lambda x: (x ** 3).sum(), tc.tensor([1.0, 2.0]), tc.ones(2))
    (tensor(9.), tensor([ 6., 12.]))
    """
    return _hessian_product("vhp", func, inputs, v, create_graph, strict)


def _hessian_product(op, func, inputs, v, create_graph, strict):
    call = _Call(op, func, inputs, create_graph, strict)
    y = _scalar(op, call.outputs[0] if call.single_output else tuple(call.outputs))
    v = call.vector(v, call.inputs, "input")
    with enable_grad():
        first = call.zeros_for(call.gradient([y], None, True), call.inputs)
        product = call.zeros_for(call.gradient(first, v, create_graph), call.inputs)
    return call.result([y], True), call.result(product, call.single)


class _Call:
    """One call of a function, on inputs that are differentiated by."""

    def __init__(self, op, func, inputs, create_graph, strict):
        self.op, self.create_graph, self.strict = op, create_graph, strict
        self.single = isinstance(inputs, Tensor)
        given = _tensors(op, "inputs", (inputs,) if self.single else inputs)
        with enable_grad():
            # names of this call's own: an input may be given twice, or depend on another
            self.inputs = [
                x.view_as(x) if create_graph and x.requires_grad
                else x.detach().requires_grad_() for x in given
            ]  # fmt: skip
            outputs = func(*self.inputs)
        self.single_output = isinstance(outputs, Tensor)
        self.outputs = _tensors(
            op, "the outputs of func", (outputs,) if self.single_output else outputs
        )

    def vector(self, v, like, what):
        """The checked vector, of the shapes of ``like``."""
        if v is None:
            if len(like) > 1 or like[0].array.size != 1:
                raise RuntimeError(
                    f"{self.op}: v may be left out for one {what} of one element alone; the {what}s"
                    f" have the shapes {[list(x.shape) for x in like]}"
                )
            return [Tensor(np.ones_like(like[0].array))]
        v = _tensors(self.op, "v", (v,) if isinstance(v, Tensor) else v)
        if [x.shape for x in v] != [x.shape for x in like]:
            raise RuntimeError(
                f"{self.op}: v has the shapes {[list(x.shape) for x in v]}, the {what}s have "
                f"{[list(x.shape) for x in like]}"
            )
        return v

    def gradient(self, outputs, v, create_graph, inputs=None):
        """``grad`` with None for what nothing depends on."""
        inputs = self.inputs if inputs is None else inputs
        v = [None] * len(outputs) if v is None else v
        pairs = [(y, g) for y, g in zip(outputs, v) if y.requires_grad]
        if self.strict and len(pairs) < len(outputs):
            raise RuntimeError(f"{self.op}: an output of func does not depend on the inputs")
        if not pairs:
            return [None] * len(inputs)
        found = grad(
            [y for y, _ in pairs], inputs, [g for _, g in pairs], retain_graph=True,
            create_graph=create_graph, allow_unused=True,
        )  # fmt: skip
        if self.strict and any(g is None for g in found):
            raise RuntimeError(f"{self.op}: the outputs of func do not depend on every input")
        return found

    def zeros_for(self, found, like):
        return [Tensor(np.zeros_like(x.array)) if g is None else g for g, x in zip(found, like)]

    def jacobian_of(self, y):
        """Of one output, with respect to each input."""
        one, rows = np.zeros_like(y.array), []
        for place in np.ndindex(y.shape):
            one[place] = 1
            found = self.gradient([y], [Tensor(one.copy())], self.create_graph)
            rows.append(self.zeros_for(found, self.inputs))
            one[place] = 0
        if not rows:
            return [Tensor(np.zeros(y.shape + x.shape, x.dtype)) for x in self.inputs]
        return [
            _Stack.apply(*column).reshape(y.shape + x.shape)
            for column, x in zip(zip(*rows), self.inputs)
        ]

    def result(self, tensors, single):
        if not self.create_graph:
            tensors = [t.detach() for t in tensors]
        return tensors[0] if single else tuple(tensors)


def _tensors(op, what, values):
    if not isinstance(values, (tuple, list)) or not all(isinstance(v, Tensor) for v in values):
        raise TypeError(f"{op}: {what} must be a Tensor or a tuple of Tensors")
    return list(values)


def _scalar(op, y):
    """The output of a function that must have one element."""
    if not isinstance(y, Tensor) or y.array.size != 1:
        found = f"shape {list(y.shape)}" if isinstance(y, Tensor) else type(y).__name__
        raise RuntimeError(f"{op}: func must return one Tensor with a single element, got {found}")
    return y
