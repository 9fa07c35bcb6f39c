"""The graph of a network: its ops in the order of their calls, what goes from one to the next, and
which modules called them.

Summaries, diagrams and the ONNX export read it.
"""

import contextlib
from dataclasses import dataclass, field

import numpy as np

from tinyconv.autograd import Tensor, enable_grad
from tinyconv.models import dry


@dataclass(eq=False)
class Value:
    """What goes from op to op.

    Attributes:
        shape, dtype: of the array.
        name: of a parameter or buffer (its path), of the input (``'input'``); else ``''``.
        array: of a parameter, buffer or constant; None for what is computed.
        op: the ``Op`` that makes it; None for parameters, constants and the input.
    """

    shape: tuple
    dtype: np.dtype
    name: str = ""
    array: np.ndarray | None = None
    op: object = None


@dataclass(eq=False)
class Op:
    """One call of an op.

    Attributes:
        function: its ``Function`` class, like ``tinyconv.ops.conv.Conv2d``.
        path: of the module in whose forward it was called (``''``: the network itself).
        module: that module.
        args: what the op was given, in order: a ``Value`` for each tensor, other arguments as
            they are.
        options: what it was given by name.
        outputs: a ``Value`` for each result.
    """

    function: type
    path: str
    module: object
    args: list
    options: dict
    outputs: list = field(default_factory=list)

    @property
    def inputs(self):
        """The args that are computed, or the input."""
        return [a for a in self.args if isinstance(a, Value) and a.array is None]


@dataclass(eq=False)
class Call:
    """One call of a module.

    Attributes:
        path: of the module (``''``: the network itself).
        module: the module.
        parts: the ``Call``s and ``Op``s that its forward made, in order.
        outputs: a ``Value`` for each tensor that it returned.
    """

    path: str
    module: object
    parts: list = field(default_factory=list)
    outputs: list = field(default_factory=list)

    @property
    def ops(self):
        """The ops of this call and of all calls below."""
        found = []
        for part in self.parts:
            found += [part] if isinstance(part, Op) else part.ops
        return found


@dataclass(eq=False)
class Graph:
    """``inputs`` -> ``ops`` -> ``outputs``; ``call`` has the same ops under their modules."""

    inputs: list
    ops: list
    outputs: list
    call: Call


def trace(model, input_size, training=False):
    """The ``Graph`` of one call, from a dry run: nothing is computed, nothing changed.

    Args:
        model: a Module; its weights may be blank (``nn.init.skip_init``).
        input_size: the shape (N, C, H, W), or (C, H, W) for one image.
        training: in which mode.

    Raises:
        ValueError, RuntimeError: what the network raises if it does not take that input.

    >>> import tinyconv as tc
    >>> from tinyconv.models.trace import trace
    >>> graph = trace(tc.models.LeNet5(), (1, 28, 28))
    >>> [op.function.__name__ for op in graph.ops][:3]
    ['Conv2d', 'Relu', 'MaxPool2d']
    >>> graph.ops[0].path, graph.outputs[0].shape
    ('conv1', (1, 10))
    """
    x = dry.image(model, input_size)
    with enable_grad():
        # recorded: of a recorded tensor ``y += x`` makes a new one, which can be told from the old
        x = x.requires_grad_().reshape(x.shape)
        tracer = _Tracer(model, x)
        given = tracer.value(x.array)  # now: a view of all of it takes its place
        with dry.mode_of(model, training), dry.watched(tracer), tracer.hooked(model):
            y = model(x)
    outputs = tracer.values_of(y)
    return Graph([given], tracer.ops, outputs, tracer.calls[0].parts[0])


class _Tracer:
    """Stands where the anomaly detector stands, and keeps all arrays: blank ones cost nothing."""

    #: ops that do several steps at once show them
    steps = True

    def __init__(self, model, x):
        self.modules = []
        self.ops = []
        self.calls = [Call("", None)]  # those that have not returned yet
        self._kept = []
        self._values = {}
        for name, tensor in [*model.named_parameters(), *model.named_buffers()]:
            self._know(tensor.array, Value(tensor.shape, tensor.dtype, name, tensor.array))
        self._know(x.array, Value(x.shape, x.dtype, "input"))

    @contextlib.contextmanager
    def hooked(self, model):
        """Inside, the calls of the model's modules are noted."""
        handles = []
        for module in model.modules():
            handles.append(module.register_forward_pre_hook(self._enter))
            handles.append(module.register_forward_hook(self._leave))
        try:
            yield
        finally:
            for handle in handles:
                handle.remove()

    def _enter(self, module, args):
        call = Call(self._path(), module)
        self.calls[-1].parts.append(call)
        self.calls.append(call)

    def _leave(self, module, args, result):
        self.calls.pop().outputs = self.values_of(result)

    def _path(self):
        return ".".join([str(entry) for entry in self.modules[1:]])

    def forward(self, node, arrays, options):
        results = dry.forward(node, arrays, options)
        module = self.modules[-1].module if self.modules else None
        args = [self.value(a) if isinstance(a, np.ndarray) else a for a in arrays]
        op = Op(type(node), self._path(), module, args, options)
        for array in results if isinstance(results, tuple) else (results,):
            array = np.asarray(array)
            op.outputs.append(self._know(array, Value(array.shape, array.dtype, op=op)))
        self.ops.append(op)
        self.calls[-1].parts.append(op)
        return results

    def value(self, array):
        """The Value of an array; one that no op made is a constant."""
        known = self._values.get(_place(array))
        return known or self._know(array, Value(array.shape, array.dtype, array=array))

    def values_of(self, result):
        """The Values of the tensors among what a module returned, however deep in it."""
        if isinstance(result, Tensor):
            return [self.value(result.array)]
        parts = result.values() if isinstance(result, dict) else result
        nested = isinstance(result, (tuple, list, dict))
        return [value for part in parts for value in self.values_of(part)] if nested else []

    def _know(self, array, value):
        self._kept.append(array)  # so that its place is not given to another one
        self._values[_place(array)] = value
        return value


def _place(array):
    """What tells an array from all others that are alive: two views of the same numbers are one."""
    where = array.__array_interface__["data"][0] if array.size else id(array)
    return where, array.shape, array.strides
