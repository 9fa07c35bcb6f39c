"""The export: a network is traced, and each op becomes a node or a few."""

from collections import defaultdict

import numpy as np

from tinyconv.autograd import Tensor
from tinyconv.models.trace import Value, trace
from tinyconv.onnx.batch import Batch, BatchError, merged
from tinyconv.onnx.library import OLDEST_WRITTEN, library
from tinyconv.onnx.mappings import MAPPINGS, Unmapped
from tinyconv.ops import arithmetic, compare, power
from tinyconv.ops.shape import Expand
from tinyconv.weights.files import write_atomically

_ELEMENTWISE = {
    arithmetic.Add, arithmetic.Sub, arithmetic.Mul, arithmetic.Div, compare.Comparison,
    arithmetic.Extremum, power.PowTensor, arithmetic.Where,
}  # fmt: skip
#: what protobuf can hold
_MOST = 2**31 - 1
#: 2022; every runtime in use knows it
_OPSET = 17


def export(
    model, args, f, *, input_names=None, output_names=None, opset_version=None, dynamic_axes=None
):
    """Write a network as an ONNX file, as it computes in ``eval()``.

    The network runs once without computing anything, and each op that it calls becomes a node.
    Parameters and buffers keep their names. The file has passed onnx's checker, shapes too,
    before anything is written.

    Args:
        model: a Module of one input, float32 or float64; its modes stay as they are.
        args: an example of the input, or a tuple of it; only its shape and dtype count.
        f: a path, or a binary file to write to.
        input_names, output_names: default ``["input"]`` and ``["output"]``, or
            ``["output_0", ...]``.
        opset_version: of the operators, 13 or later; default 17.
        dynamic_axes: by default the batch may have any size. ``{}`` fixes it;
            ``{"input": {0: "images"}}`` calls it so. Other axes are fixed to the example's.

    Raises:
        ValueError: ops that have no counterpart (all are named, with their modules), names or
            versions that do not fit, more than 2 GiB, a network that treats a batch as more than
            many single images.
        MissingOnnx: without the onnx library.

    Source: https://onnx.ai/onnx/operators.

    >>> import io, tinyconv as tc
    >>> file = io.BytesIO()
    >>> tc.onnx.export(tc.models.LeNet5(), tc.zeros(1, 1, 28, 28), file)
    >>> tc.onnx.load(file.getvalue())(tc.zeros(3, 1, 28, 28)).shape
    (3, 10)
    """
    example = _example(args, model)
    onnx = library()
    opset = _opset(opset_version, onnx)
    name = _batch_name(dynamic_axes)
    # what differs between batches of 2 and 3 is the batch
    first, second = (trace(model, (n, *example.shape[1:])) for n in (2, 3))
    graph = Writer(onnx, opset, first, second)
    graph.write(
        _names(input_names, "input", len(first.inputs)),
        _names(output_names, "output", len(first.outputs)),
    )
    _save(graph.serialised(type(model).__name__, name or len(example)), f)


def _example(args, model):
    example = args[0] if isinstance(args, (tuple, list)) and len(args) == 1 else args
    if not isinstance(example, Tensor):
        raise TypeError(
            "onnx.export: args must be one Tensor, or a tuple of one: networks of several inputs "
            f"have no trace; got {type(args).__name__}"
        )
    if example.ndim not in (2, 4):
        raise ValueError(
            "onnx.export: the input must be a batch of images (N, C, H, W) or of rows (N, C), got "
            f"shape {list(example.shape)}"
        )
    dtype = next((p.dtype for p in model.parameters()), np.dtype(np.float32))
    if example.dtype != dtype:
        raise TypeError(
            f"onnx.export: the input is {example.dtype}, the network {dtype}; convert one of them "
            "(.float(), .double())"
        )
    return example


def _opset(version, onnx):
    newest = onnx.defs.onnx_opset_version()
    if version is None:
        return _OPSET
    if not OLDEST_WRITTEN <= version <= newest:
        raise ValueError(
            f"onnx.export: opset_version={version}; wants {OLDEST_WRITTEN} to {newest}, the newest "
            f"of onnx {onnx.__version__}"
        )
    return int(version)


def _names(given, default, count):
    if given is None:
        return [default] if count == 1 else [f"{default}_{i}" for i in range(count)]
    given = list(given)
    if len(given) != count or len(set(given)) < count or not all(given):
        raise ValueError(f"onnx.export: {default}_names={given}; wants {count} different names")
    return given


def _batch_name(dynamic_axes):
    """The name of the batch's size; None where it is fixed."""
    if dynamic_axes is None:
        return "batch"
    name = None
    for axes in dynamic_axes.values():
        if list(axes) not in ([0], []):
            raise ValueError(
                f"onnx.export: dynamic_axes={dynamic_axes}; only the batch, axis 0, can have any "
                "size: windows and reshapes rest on the size of the image"
            )
        if list(axes):
            name = axes[0] if isinstance(axes, dict) else name or "batch"
    return name


class Writer:
    """An ONNX graph as it grows. The mappings call it like a function, once for each node."""

    def __init__(self, onnx, opset, first, second):
        self.onnx, self.opset = onnx, opset
        self.first, self.second = first, second
        self.nodes, self.initializers = [], {}
        self.op = None  # the one that is being mapped
        self._names = {}  # Value of the first trace -> name in the graph
        self._dims = {}  # the same -> shape, where a Batch stands for what depends on it
        self._readers = defaultdict(list)  # the same -> ops
        for op in first.ops:
            for value in op.args:
                if isinstance(value, Value):
                    self._readers[value].append(op)
        self._taken = set()
        self._batch = None

    # -- for the mappings -------------------------------------------------------------
    def __call__(self, op_type, *inputs, outputs=1, **attributes):
        """Add a node; its output's name, or a list of so many.

        Inputs are Values, names, arrays (which become constants), or None for one left out.
        """
        names = [self.name(i) for i in inputs]
        while names and not names[-1]:
            names.pop()
        path = self.op.path if self.op else ""
        own = self._unique(f"{path}/{op_type}" if path else op_type)
        made = [own] if outputs == 1 else [self._unique(f"{own}:{i}") for i in range(outputs)]
        given = {k: v for k, v in attributes.items() if v is not None}
        self.nodes.append(self.onnx.helper.make_node(op_type, names, made, own, **given))
        return made[0] if outputs == 1 else made

    def name(self, value):
        """The name in the graph of whatever an input may be."""
        if value is None or isinstance(value, str):
            return value or ""
        if isinstance(value, np.ndarray):
            return self("Constant", value=self.onnx.numpy_helper.from_array(value))
        if value not in self._names:
            self._names[value] = self._given(value)
        return self._names[value]

    def dims(self, value):
        """The shape of a Value."""
        return self._dims.get(value, value.shape)

    def shape(self, dims):
        """A shape as an input: a constant, or one that is put together from the batch's size."""
        if not any(isinstance(n, Batch) for n in dims):
            return np.asarray(dims, np.int64)
        parts = []
        for n in dims:
            if not isinstance(n, Batch):
                parts.append(np.asarray([n], np.int64))
            elif n.factor == 1:
                parts.append(self._batch_size())
            else:
                parts.append(self("Mul", self._batch_size(), np.asarray([n.factor], np.int64)))
        return self("Concat", *parts, axis=0)

    def broadcasts(self):
        """Whether all that reads the op's result repeats axes by itself, with the same result."""
        (value,) = self.op.outputs
        return value not in self.first.outputs and all(map(_repeats, self._readers[value]))

    def constant(self, value, like):
        """A number in the dtype of the Value ``like``."""
        return np.asarray(value, like.dtype)

    # -- the walk ----------------------------------------------------------------------
    def write(self, input_names, output_names):
        """Map all ops of the trace."""
        self._reserve([*input_names, *output_names])
        for value, other, name in zip(self.first.inputs, self.second.inputs, input_names):
            self._know(value, name, merged(value.shape, other.shape))
        self._check_alike()
        problems = {}
        for op, other in zip(self.first.ops, self.second.ops):
            self.op = op
            try:
                self._map(op, other)
            except (Unmapped, BatchError) as error:
                what = f"{op.function.__name__} {error}"
                where = f"{type(op.module).__name__} {op.path or 'itself'!r}"
                problems.setdefault(what, where)  # one place of each will do
                for value in op.outputs:
                    self._know(value, "unknown", value.shape)
        if problems:
            told = "; ".join(f"{what} (in {where})" for what, where in problems.items())
            raise ValueError(f"onnx.export: nothing was written: {told}")
        self._finish(output_names)

    def _reserve(self, names):
        """Take the names of inputs, outputs and weights, which must be as they are given."""
        weights = {v.name for v in self._readers if v.array is not None and v.name}
        if weights & set(names) or len(set(names)) < len(names):
            raise ValueError(
                f"onnx.export: inputs and outputs {names} must have names of their own, unlike "
                "each other and unlike those of parameters"
            )
        self._taken.update(names, weights)

    def _check_alike(self):
        if _calls(self.first) != _calls(self.second):
            raise ValueError(
                "onnx.export: the network calls other ops for 3 images than for 2, or with other "
                "inputs; a file has one list of them"
            )

    def _map(self, op, other):
        function = op.function
        key = f"{function.__module__}.{function.__name__}".removeprefix("tinyconv.ops.")
        if key not in MAPPINGS:
            raise Unmapped("has no counterpart")
        args, options = merged(op.args, other.args), merged(op.options, other.options)
        dims = [merged(a.shape, b.shape) for a, b in zip(op.outputs, other.outputs)]
        result = MAPPINGS[key](self, dims[0], *args, **options)
        results = result if isinstance(result, list) else [result]
        for value, name, size in zip(op.outputs, results, dims):
            self._know(value, name, size)

    def _know(self, value, name, dims):
        self._names[value], self._dims[value] = name, dims

    def _given(self, value):
        """A parameter or buffer as an initializer, under its own name; else a constant."""
        if not value.name:
            return self.name(np.asarray(value.array))
        self.initializers[value.name] = value.array
        return value.name

    def _unique(self, name):
        count, unique = 0, name
        while unique in self._taken:
            count += 1
            unique = f"{name}_{count}"
        self._taken.add(unique)
        return unique

    def _batch_size(self):
        if self._batch is None:
            op, self.op = self.op, None
            (x,) = self.first.inputs
            ends = (np.asarray([n], np.int64) for n in (0, 1))
            self._batch = self("Slice", self("Shape", x), *ends)
            self.op = op
        return self._batch

    def _finish(self, output_names):
        """Give the results their names: what makes one is renamed, the rest goes through a node."""
        makers = {name for node in self.nodes for name in node.output}
        renamed, self.op = {}, None
        for value, name in zip(self.first.outputs, output_names):
            inner = self.name(value)
            if inner in makers and inner not in renamed:
                renamed[inner] = name
            else:
                self.nodes.append(self.onnx.helper.make_node("Identity", [inner], [name], name))
        for node in self.nodes:
            for names in (node.input, node.output):
                names[:] = [renamed.get(n, n) for n in names]
        self.output_names = output_names

    # -- the file ----------------------------------------------------------------------
    def serialised(self, title, batch):
        """The bytes of the file, checked. ``batch``: see ``_dim``."""
        onnx, helper = self.onnx, self.onnx.helper
        size = sum(a.nbytes for a in self.initializers.values())
        if size > _MOST:
            raise ValueError(
                f"onnx.export: the weights take {size / 2**30:.1f} GiB; one file holds 2 at most"
            )

        def info(name, value):
            dims = [_dim(n, batch) for n in self.dims(value)]
            kind = helper.np_dtype_to_tensor_dtype(np.dtype(value.dtype))
            return helper.make_tensor_value_info(name, kind, dims)

        inputs = [info(self.name(v), v) for v in self.first.inputs]
        outputs = [info(n, v) for n, v in zip(self.output_names, self.first.outputs)]
        graph = helper.make_graph(self.nodes, title, inputs, outputs)
        opsets = [helper.make_opsetid("", self.opset)]
        model = helper.make_model(
            graph, opset_imports=opsets, producer_name="tinyconv",
            ir_version=helper.find_min_ir_version_for(opsets),
        )  # fmt: skip
        for name, array in self.initializers.items():  # last: what is made above copies its parts
            model.graph.initializer.append(onnx.numpy_helper.from_array(array, name))
        data = model.SerializeToString()
        del model
        onnx.checker.check_model(data, full_check=True)
        return data


def _calls(graph):
    """The Function of each op, and the numbers of the ops that made its inputs."""
    numbers = {op: i for i, op in enumerate(graph.ops)}
    return [
        (op.function, [numbers.get(a.op) for a in op.args if isinstance(a, Value)])
        for op in graph.ops
    ]


def _repeats(op):
    """Whether an op comes to the same shape if nothing in front of it is expanded."""
    values = [a for a in op.args if isinstance(a, Value)]
    small = [a.op.args[0] if a.op and a.op.function is Expand else a for a in values]
    return op.function in _ELEMENTWISE and (
        np.broadcast_shapes(*[a.shape for a in small]) == op.outputs[0].shape
    )


def _dim(n, batch):
    """One size of an input or output; ``batch`` is the name of any number of images, or theirs."""
    if not isinstance(n, Batch):
        return int(n)
    if isinstance(batch, int):
        return n.factor * batch
    return batch if n.factor == 1 else f"{n.factor} * {batch}"


def _save(data, f):
    if hasattr(f, "write"):
        f.write(data)
    else:
        write_atomically(f, lambda file: file.write(data))
