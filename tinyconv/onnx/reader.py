"""The import: a file is checked, and each of its nodes becomes a step of a ``GraphModule``."""

import os
from collections import Counter
from pathlib import Path

import numpy as np

from tinyconv.onnx.library import OLDEST_READ, library
from tinyconv.onnx.network import GraphModule, Step
from tinyconv.onnx.node import Node, Unsupported
from tinyconv.onnx.operators import OPERATORS

#: how the domain of ONNX's own operators is spelled
_OWN = "", "ai.onnx"


def load(f):
    """The network of an ONNX file, as a Module.

    Nothing in the file is executed; what it may name are operators, and tinyconv has these.
    It comes in ``eval()`` mode. Weights that lie beside the file are read from its own folder
    only.

    Args:
        f: a path, a binary file, or bytes.

    Returns:
        A ``GraphModule``.

    Raises:
        ValueError: a damaged file, or what of it is not supported, all in one sentence.
        MissingOnnx: without the onnx library.

    >>> import io, tinyconv as tc
    >>> file = io.BytesIO()
    >>> tc.onnx.export(tc.models.LeNet5(), tc.zeros(1, 1, 28, 28), file)
    >>> net = tc.onnx.load(file.getvalue())
    >>> net.inputs, net.state_dict()["conv1.weight"].shape
    ({'input': ('batch', 1, 28, 28)}, (6, 1, 5, 5))
    """
    onnx = library()
    data, title, folder = _content(f)
    model = _parsed(data, title, onnx)
    opset = _opset(model, title)
    _bring(model.graph, title, folder, onnx)
    nodes = _nodes(model, opset, title, onnx)
    return _built(model.graph, nodes, title, onnx).eval()


def _content(f):
    """(bytes, what to call them, the folder that they come from)."""
    if isinstance(f, (bytes, bytearray, memoryview)):
        return bytes(f), "onnx.load", None
    if hasattr(f, "read"):
        return f.read(), "onnx.load", None
    path = Path(f)
    return path.read_bytes(), str(path), path.parent


def _parsed(data, title, onnx):
    from google.protobuf.message import DecodeError  # it comes with onnx

    model = onnx.ModelProto()
    try:
        model.ParseFromString(data)
    except DecodeError:
        model.Clear()
    if not model.graph.node:
        raise ValueError(f"{title}: is damaged or no ONNX file; nothing was loaded")
    return model


def _opset(model, title):
    versions = [o.version for o in model.opset_import if o.domain in _OWN]
    if len(versions) != 1 or versions[0] < OLDEST_READ:
        told = versions[0] if versions else "none"
        raise ValueError(
            f"{title}: its operator set is {told}; wants ONNX's own, version {OLDEST_READ} or later"
        )
    return versions[0]


def _nodes(model, opset, title, onnx):
    """(Node, what computes it) of each; all that is unsupported is told at once."""
    try:
        onnx.checker.check_model(model)
        invalid = None
    except onnx.checker.ValidationError as error:
        invalid = error
    graph = model.graph
    used = Counter(name for proto in graph.node for name in proto.input)
    used.update(value.name for value in graph.output)
    nodes, problems = [], Counter()
    for proto in graph.node:
        op = str(proto.op_type)  # a damaged one is no text
        op = op if proto.domain in _OWN else f"{proto.domain}.{op}"
        op = op if op.isprintable() else repr(op)
        if op not in OPERATORS and op != "Constant":
            problems[op] += 1
        elif invalid is None:
            try:
                nodes.append(_reading(proto, opset, onnx))
            except Unsupported as error:
                problems[f"{op} {error}"] += 1
        if op in OPERATORS and op != "Split" and any(used[n] for n in proto.output[1:] if n):
            problems[f"{op} with more than its first result"] += 1
    for value in graph.input:
        try:
            Node.dtype(value.type.tensor_type.elem_type)
        except Unsupported as error:
            problems[f"the input {value.name!r} {error}"] += 1
    for value in graph.sparse_initializer:
        problems[f"the sparse weight {value.values.name!r}"] += 1
    if problems:
        told = [what if n == 1 else f"{what} ({n} times)" for what, n in sorted(problems.items())]
        raise ValueError(f"{title}: tinyconv has not: {', '.join(told)}; nothing was loaded")
    if invalid is not None:
        raise ValueError(f"{title}: is not valid ONNX ({_first_line(invalid)}); nothing was loaded")
    return nodes


def _reading(proto, opset, onnx):
    """(the Node, what computes it); the value in place of that for a constant."""
    attributes = {}
    for a in proto.attribute:
        value = onnx.helper.get_attribute_value(a)
        if isinstance(value, bytes):
            value = value.decode("utf-8", "replace")
        elif a.type == onnx.AttributeProto.TENSOR:
            value = _array(value, onnx)
        elif a.type not in _PLAIN:
            raise Unsupported(f"with the attribute {a.name}, which is no number")
        attributes[a.name] = list(value) if a.type in _LISTS else value
    node = Node(proto.op_type, proto.name, list(proto.input), list(proto.output), attributes, opset)
    if node.op == "Constant":
        return node, _constant(node)
    return node, OPERATORS[node.op](node)


#: AttributeProto.AttributeType: FLOAT, INT, STRING, TENSOR, FLOATS, INTS
_PLAIN, _LISTS = (1, 2, 3, 4, 6, 7), (6, 7)


def _constant(node):
    for name, dtype in (
        ("value", None), ("value_float", np.float32), ("value_floats", np.float32),
        ("value_int", np.int64), ("value_ints", np.int64),
    ):  # fmt: skip
        if name in node.attributes:
            return np.asarray(node.get(name), dtype)
    raise Unsupported(f"of {', '.join(node.attributes) or 'nothing'}")


def _array(tensor, onnx):
    """The numbers of a tensor in the file; a copy, which can be written."""
    dtype = Node.dtype(tensor.data_type)
    if tensor.data_location == onnx.TensorProto.EXTERNAL:  # weights are brought before
        raise Unsupported("of a constant in another file")
    try:
        array = onnx.numpy_helper.to_array(tensor)
    except Exception as error:  # sizes that do not fit make it raise anything at all
        raise Unsupported(f"of a damaged tensor {tensor.name!r} ({_first_line(error)})") from None
    return np.array(array, dtype)


def _bring(graph, title, folder, onnx):
    """Put weights that lie beside the file into it."""
    for tensor in graph.initializer:
        if tensor.data_location != onnx.TensorProto.EXTERNAL:
            continue
        told = {entry.key: entry.value for entry in tensor.external_data}
        try:
            tensor.raw_data = _beside(folder, told, _bytes_of(tensor))
        except (OSError, ValueError) as error:
            raise ValueError(
                f"{title}: the weight {tensor.name!r} lies in another file, "
                f"{told.get('location')!r}, which can not be read: {error}"
            ) from None
        tensor.data_location = onnx.TensorProto.DEFAULT
        del tensor.external_data[:]


def _bytes_of(tensor):
    try:
        return int(np.prod(tensor.dims, dtype=np.int64)) * Node.dtype(tensor.data_type).itemsize
    except Unsupported as error:
        raise ValueError(f"it is {error}") from None


def _beside(folder, told, size):
    """``size`` bytes of a file in ``folder``; links and paths that lead out of it are refused."""
    if folder is None:
        raise ValueError("give load the path of the file, not its content")
    root = os.path.realpath(folder)
    path = os.path.realpath(os.path.join(root, told.get("location", "")))
    if os.path.commonpath([root, path]) != root or path == root:
        raise ValueError("it is not in the folder of the file")
    offset, length = int(told.get("offset", 0)), int(told.get("length", size))
    if length != size or offset < 0:
        raise ValueError(f"{length} bytes are told, {size} are needed")
    with open(path, "rb") as file:
        file.seek(offset)
        data = file.read(size)
    if len(data) != size:
        raise ValueError(f"{len(data)} bytes are there, {size} are needed")
    return data


def _built(graph, nodes, title, onnx):
    weights = {}
    for tensor in graph.initializer:
        try:
            weights[tensor.name] = _array(tensor, onnx)
        except Unsupported as error:
            raise ValueError(
                f"{title}: the weight {tensor.name!r} is {error}; nothing was loaded"
            ) from None
    steps, statistics, constants = [], set(), {}
    for node, run in nodes:
        if node.op == "Constant":
            constants[node.outputs[0]] = run
            continue
        if node.op == "BatchNormalization":
            statistics.update(node.inputs[3:5])
        outputs = node.outputs if node.op == "Split" else node.outputs[:1]
        steps.append(Step(node.name, node.op, run, node.inputs, outputs))
    inputs = {v.name: _declared(v) for v in graph.input if v.name not in weights}
    outputs = [v.name for v in graph.output]
    return GraphModule(graph.name, steps, inputs, outputs, weights, constants, statistics)


def _declared(value):
    dims = value.type.tensor_type.shape.dim
    return tuple(d.dim_param or (d.dim_value if d.HasField("dim_value") else None) for d in dims)


def _first_line(error):
    return str(error).strip().split("\n")[0][:200] or type(error).__name__
