"""What is checked, as the checker sees it: arrays in, one flat vector out, and its vjp.

A Subject hides whether the function works on Tensors or on bare arrays, which of its arguments
are differentiated, and how many outputs it has.
"""

import numpy as np

from tinyconv.autograd import Tensor, enable_grad, grad


class Subject:
    """A function at a point.

    Attributes:
        x: the arrays that are differentiated, C-contiguous copies of what was given.
        input_names, output_names: for reports.
        outputs: the differentiable outputs at x.
        spans: the slice of each output in the flat vector of all.
    """

    order = 1
    #: names of the outputs, where they are not "output 0", "output 1" ...
    labels = None
    #: a single op, not to be taken apart again
    alone = False
    #: per input, which elements are at kinks; known after a full comparison
    kinked = None
    #: the same of the function that this one is the gradient of, and the size of its v times y
    kinked_below = None
    terms_below = 0.0

    def __init__(self, arguments, wrt, input_names=None):
        self.arguments, self.wrt = list(arguments), list(wrt)
        self.x = [np.array(_array(arguments[i]), order="C") for i in wrt]
        self.input_names = input_names or [f"input {i}" for i in wrt]
        self.evaluations = self.pulls = 0

    def settle(self):
        """Run once at x, and from it learn which outputs count."""
        outputs, _ = self.linearise([x.copy() for x in self.x])
        self.outputs = [np.array(y) for y in outputs]
        self.shapes = [y.shape for y in outputs]
        self.output_names = self.labels or [f"output {i}" for i in self.places]
        ends = np.cumsum([0, *(y.size for y in self.outputs)])
        self.spans = [slice(a, b) for a, b in zip(ends, ends[1:])]
        self.size = int(ends[-1])
        self.dtype = np.result_type(*self.outputs) if self.outputs else np.dtype(np.float64)

    def __call__(self, arrays):
        """The differentiable outputs at ``arrays``, flat (m,), in memory of its own."""
        self.evaluations += 1
        outputs = self.values(arrays)
        shapes = [y.shape for y in outputs]
        if shapes != self.shapes:
            raise ShapesChange(self.shapes, shapes)
        if len(outputs) == 1:
            return outputs[0].flatten()
        return np.concatenate([y.ravel() for y in outputs])

    def changes(self):
        """(whether any output is a float, whether any output changes when the inputs do)."""
        there = [x + 0.01 * np.maximum(np.abs(x), 1) for x in self.x]
        a, b = self.everything([x.copy() for x in self.x]), self.everything(there)
        changes = not all(np.array_equal(s, t) for s, t in zip(a, b))
        return any(y.dtype.kind == "f" for y in a), changes

    def vjp(self, cotangents, x=None):
        """The gradients for the cotangents, at x or at other arrays, by a run of its own."""
        _, pull = self.linearise([a.copy() for a in (self.x if x is None else x)])
        return pull(cotangents)

    def split(self, flat):
        """A flat vector as arrays of the outputs' shapes and dtypes."""
        return [
            flat[s].reshape(y.shape).astype(y.dtype, copy=False)
            for s, y in zip(self.spans, self.outputs)
        ]


class ShapesChange(Exception):
    """The outputs' shapes are not the same in each run."""

    def __init__(self, before, after):
        super().__init__(f"shapes of the outputs were {before}, in another run {after}")


def _array(value):
    return value.array if isinstance(value, Tensor) else value


def is_float(value):
    return isinstance(value, (np.ndarray, np.generic, Tensor)) and value.dtype.kind == "f"


class TensorSubject(Subject):
    """``func`` maps Tensors to a Tensor, or to a tuple, list or dict of them."""

    def __init__(self, func, arguments, wrt, input_names=None):
        super().__init__(arguments, wrt, input_names)
        self.func = func
        self.arguments = [_tensor(a) for a in self.arguments]
        #: whether func itself differentiates, and so must be recorded to be run
        self.records = False
        self.places = None
        #: whether the outputs hang on the inputs in the graph
        self.connected = False

    def _run(self, arrays, requires_grad, only=None):
        arguments = list(self.arguments)
        tensors = [Tensor._wrap(a) for a in arrays]
        for k, (i, t) in enumerate(zip(self.wrt, tensors)):
            t._requires_grad = requires_grad and only in (None, k)
            arguments[i] = t
        with enable_grad():
            return tensors, flat_tensors(self.func(*arguments))

    def values(self, arrays):
        if self.records:
            _, outputs = self._run(arrays, True)
        else:
            arguments = list(self.arguments)
            for i, a in zip(self.wrt, arrays):
                arguments[i] = Tensor._wrap(a)
            outputs = flat_tensors(self.func(*arguments))
        return [outputs[i].array for i in self.places]

    def linearise(self, arrays):
        """The outputs at ``arrays``, and the function from cotangents to gradients."""
        tensors, results = self._run(arrays, True)
        if self.places is None:
            self.places = [
                i for i, y in enumerate(results) if y.dtype.kind == "f" and y.requires_grad
            ]
        outputs = [results[i] for i in self.places]
        self.connected = any(y.requires_grad for y in outputs)

        def pull(cotangents):
            self.pulls += 1
            given = [
                (y, Tensor._wrap(v))
                for y, v in zip(outputs, cotangents)
                if v is not None and y.requires_grad
            ]
            if not given:
                return [np.zeros_like(x) for x in arrays]
            gradients = grad(
                [y for y, _ in given], tensors, [v for _, v in given],
                retain_graph=True, allow_unused=True,
            )  # fmt: skip
            return [np.zeros_like(x) if g is None else g.array for g, x in zip(gradients, arrays)]

        return [y.array for y in outputs], pull

    def gradients(self, arrays, cotangents, create_graph=False, only=None):
        """The gradients by another way: recorded, or with ``only`` one input that needs one.

        None where no output then requires grad.
        """
        tensors, results = self._run(arrays, True, only)
        pairs = [(results[i], Tensor._wrap(v)) for i, v in zip(self.places, cotangents)]
        pairs = [(y, v) for y, v in pairs if y.requires_grad]
        wanted = [t for t in tensors if t.requires_grad]
        if not pairs:
            return None
        found = iter(grad([y for y, _ in pairs], wanted, [v for _, v in pairs],
                          create_graph=create_graph, materialize_grads=True))  # fmt: skip
        return [next(found).array if t.requires_grad else None for t in tensors]

    def everything(self, arrays):
        """All outputs, differentiable or not."""
        return [t.array for t in self._run(arrays, True)[1]]

    def gradient(self, cotangents):
        """The gradient as a function of the inputs and the cotangents: a Subject of its own."""
        count = len(self.arguments)
        firsts, places, func = self.wrt, self.places, self.func

        def gradient(*arguments):
            outputs = flat_tensors(func(*arguments[:count]))
            pairs = [(outputs[i], v) for i, v in zip(places, arguments[count:])]
            return grad(
                [y for y, _ in pairs], [arguments[i] for i in firsts], [v for _, v in pairs],
                create_graph=True, materialize_grads=True,
            )  # fmt: skip

        arguments = [*self.arguments, *cotangents]
        for i, x in zip(firsts, self.x):
            arguments[i] = x
        names = [*self.input_names, *(f"cotangent of {n}" for n in self.output_names)]
        wrt = [*firsts, *range(count, count + len(cotangents))]
        second = TensorSubject(gradient, arguments, wrt, names)
        second.records, second.order = True, self.order + 1
        second.kinked_below = self.kinked
        products = [np.abs(v * y) for v, y in zip(cotangents, self.outputs)]
        second.terms_below = max(float(p[np.isfinite(p)].max(initial=0.0)) for p in products)
        # also a gradient that hangs on nothing counts: its derivatives are then said to be zero
        second.places = list(range(len(firsts)))
        second.labels = [f"gradient of {name}" for name in self.input_names]
        second.settle()
        return second


class ArraySubject(Subject):
    """``forward(*arrays)`` and ``backward(gy, *arrays)``, which know of no Tensor."""

    def __init__(self, forward, backward, arguments, wrt, input_names=None):
        super().__init__(arguments, wrt, input_names)
        self.forward, self.backward = forward, backward
        self.places = None

    def _arguments(self, arrays):
        arguments = list(self.arguments)
        for i, a in zip(self.wrt, arrays):
            arguments[i] = a
        return arguments

    def everything(self, arrays):
        """All outputs, differentiable or not."""
        return flat_arrays(self.forward(*self._arguments(arrays)))[0]

    def values(self, arrays):
        outputs = self.everything(arrays)
        return [outputs[i] for i in self.places]

    def linearise(self, arrays):
        """The outputs at ``arrays``, and the function from cotangents to gradients."""
        arguments = self._arguments(arrays)
        everything, several = flat_arrays(self.forward(*arguments))
        if self.places is None:
            self.places = _floats(everything)

        def pull(cotangents):
            self.pulls += 1
            full = [np.zeros_like(y) for y in everything]
            for i, v in zip(self.places, cotangents):
                if v is not None:
                    full[i] = v
            found = self.backward(tuple(full) if several else full[0], *arguments)
            return self._gradients(found, arrays)

        return [everything[i] for i in self.places], pull

    def _gradients(self, found, arrays):
        found = list(found) if isinstance(found, (tuple, list)) else [found]
        if len(found) == len(arrays) != len(self.arguments):  # only those that were asked for
            pass
        elif len(found) == len(self.arguments):
            found = [found[i] for i in self.wrt]
        else:
            raise ValueError(
                f"backward returned {len(found)} gradients for {len(self.arguments)} arguments: "
                "wants one for each, None where an argument has none"
            )
        return [np.zeros_like(x) if g is None else np.asarray(g) for g, x in zip(found, arrays)]


def _floats(arrays):
    return [i for i, y in enumerate(arrays) if y.dtype.kind == "f"]


def _tensor(value):
    return Tensor._wrap(value) if isinstance(value, np.ndarray) else value


def flat_tensors(result):
    """The Tensors of what a function returned, in order."""
    if isinstance(result, Tensor):
        return [result]
    if isinstance(result, dict):
        result = result.values()
    elif not isinstance(result, (tuple, list)):
        raise TypeError(
            f"the function returned {type(result).__name__}; it must return a Tensor or a tuple "
            "of Tensors (raw NumPy pairs: check_vjp)"
        )
    return [t for part in result if part is not None for t in flat_tensors(part)]


def flat_arrays(result):
    """(arrays, whether there were several) of what a NumPy function returned."""
    several = isinstance(result, (tuple, list))
    arrays = [np.asarray(y) for y in (result if several else [result])]
    for y in arrays:
        if y.dtype.kind not in "fciub":
            raise TypeError(
                "forward must return an array of numbers, or a tuple of arrays; it returned "
                f"{type(result).__name__}"
            )
    return arrays, several
