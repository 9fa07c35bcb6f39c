"""Keras' HDF5 files, turned to this library's layout.

Keras keeps images as (N, H, W, C) and kernels with the channels last; here it is (N, C, H, W):

| Keras | here |
|---|---|
| convolution ``kernel`` (kh, kw, C, O) | ``weight`` (O, C, kh, kw) |
| depthwise ``kernel`` (kh, kw, C, m) | ``weight`` (C m, 1, kh, kw) |
| dense ``kernel`` (in, out) | ``weight`` (out, in) |
| dense behind Flatten: inputs in the order H, W, C | C, H, W |
| ``gamma``, ``beta``, ``moving_mean``, ``moving_variance`` | ``weight``, ``bias``, ``running_*`` |

Three layouts are known: whole models (``model_weights/<layer>/<layer>/kernel:0``, with the plan
of the network), weights alone (the same without ``model_weights``), and Keras 3's
``<layer>/vars/0``, where variables have numbers for names.
"""

import collections
import graphlib
import json
import re

import numpy as np

from tinyconv.weights.archive import is_bomb
from tinyconv.weights.arrays import plain
from tinyconv.weights.errors import WeightsError

_NORM = {
    "gamma": "weight", "beta": "bias",
    "moving_mean": "running_mean", "moving_variance": "running_var",
}  # fmt: skip
#: what may stand between Flatten and a dense layer without changing the order of the inputs
_TRANSPARENT = ("Dropout", "Activation", "ReLU", "LeakyReLU", "BatchNormalization")


def read(file, size, plan=None):
    """name -> ndarray, with names like ``conv2d_1.weight``, in the order of the layers.

    Args:
        file: path, or open binary file.
        size: its bytes.
        plan: the network's plan (JSON), where it lies beside the file.

    Raises:
        WeightsError: without h5py, or if the file is damaged.
    """
    try:
        import h5py
    except ImportError:
        missing = "Keras files are read with h5py, which is not here: install h5py"
        raise WeightsError(missing) from None
    try:
        with h5py.File(file) as root:
            layers = _layers(_variables(root.get("model_weights", root), h5py), size)
            stored = _stored_names(_plan(plan))
            plan = _plan(plan or root.attrs.get("model_config"))
        layers = {stored.get(name, name): parts for name, parts in layers.items()}
        places = {name: place for place, name in enumerate(plan)}
        names = sorted(layers, key=lambda name: places.get(name, len(places)))
        return _turned({name: layers[name] for name in names}, plan)
    except WeightsError:
        raise
    except (OSError, LookupError, RuntimeError, ValueError, TypeError, ArithmeticError) as error:
        raise WeightsError(f"the HDF5 file is cut or altered ({str(error)[:100]})") from None


# -- what is in the file ------------------------------------------------------------------
def _variables(root, h5py):
    """(path, dataset) of every variable, in the order of the file's own lists if it has them."""
    for name in _listed(root, "layer_names") or sorted(root, key=_natural):
        group = root[name]
        if name.startswith("optimizer") or not isinstance(group, h5py.Group):
            continue
        paths = _listed(group, "weight_names") or sorted(_paths(group), key=_natural)
        found = ((path, group[path]) for path in paths)
        yield from ((f"{name}/{path}", x) for path, x in found if isinstance(x, h5py.Dataset))


def _paths(group):
    paths = []
    group.visit(paths.append)
    return paths


def _listed(group, name):
    """A list of names in a group's attributes; long ones are cut in pieces, with numbers."""
    pieces = [group.attrs[key] for key in sorted(group.attrs, key=_natural) if key.startswith(name)]
    return [n.decode() if isinstance(n, bytes) else str(n) for piece in pieces for n in piece]


def _natural(name):
    """Sorts ``conv2d_10`` behind ``conv2d_2``, and ``conv2d`` before both."""
    return [(part.isdecimal(), int(part) if part.isdecimal() else 0, part)
            for part in re.split(r"(\d+)", name)]  # fmt: skip


def _layers(variables, size):
    """layer -> {what: ndarray} of all floats."""
    layers = {}
    for path, item in variables:
        if item.dtype.kind != "f":
            continue  # counters and the seeds of dropout
        if is_bomb(item.nbytes, size):
            raise WeightsError(f"{path!r} announces {item.nbytes:,} bytes in a file of {size:,}")
        *groups, leaf = path.split("/")
        if groups[-1] == "vars":
            layer = ".".join(g for g in groups[:-1] if g != "layers")
        else:  # the last group: the layer's name stands twice, with scopes between
            layer = groups[-1]
        what = leaf.split(":")[0]
        if what in layers.get(layer, ()):
            layer = ".".join(groups)  # the same name in two nested models
        array = np.empty(item.shape, item.dtype)
        if item.size:
            item.read_direct(array)
        layers.setdefault(layer, {})[what] = plain(array)
    return {name: _with_names(name, parts) for name, parts in layers.items()}


def _with_names(layer, parts):
    """Keras 3's numbered variables by what their shapes say they are."""
    if not all(key.isdecimal() for key in parts):
        return parts
    arrays = [parts[key] for key in sorted(parts, key=int)]
    dims = [array.ndim for array in arrays]
    if dims[:2] == [4, 4]:
        names = ["depthwise_kernel", "pointwise_kernel", "bias"]
    elif dims[0] == 4:
        names = ["depthwise_kernel" if "depthwise" in layer else "kernel", "bias"]
    elif dims[0] == 2:
        names = ["kernel", "bias"]
    elif dims in ([1, 1, 1, 1], [1, 1, 1]):  # without gamma three
        names = [*_NORM][-len(dims) :]
    else:
        return parts
    return dict(zip(names, arrays))


# -- what it means ------------------------------------------------------------------------
def _plan(text):
    """layer -> its description with ``before``, the layers it takes; {} for a file without."""
    plan = {}
    if text is None:
        return plan
    try:
        _add(json.loads(text)["config"], plan)
        order = graphlib.TopologicalSorter({name: plan[name]["before"] for name in plan})
        if not plan.keys() >= {*order.static_order()}:
            raise KeyError("a layer that is not there")
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError):
        raise WeightsError("its plan of the network is senseless") from None
    return plan


def _add(config, plan, inside=False):
    """Add the layers of a network to a plan, and those of networks within it where they stand."""
    for layer in config["layers"] if isinstance(config, dict) else config:
        nodes, inner = layer.get("inbound_nodes"), layer["config"]
        before = _inputs(nodes[:1]) if nodes else [*plan][-1:]
        if layer["class_name"] == "InputLayer":
            before = []
        if "layers" in inner:
            _add(inner, plan, inside=True)
            before = _inputs(inner.get("output_layers", ())) or [*plan][-1:]
        plan[inner["name"]] = {**layer, "before": before, "inside": inside}


def _stored_names(plan):
    """What Keras 3 calls a layer in its archives (class and number) -> its own name."""
    names, counts = {}, collections.Counter()
    for name, layer in plan.items():
        if layer["inside"]:
            continue
        kind = re.sub(r"(?<=.)(?=[A-Z][a-z])|(?<=[a-z])(?=[A-Z])", "_", layer["class_name"]).lower()
        names[f"{kind}_{counts[kind]}" if counts[kind] else kind] = name
        counts[kind] += 1
    return names


def _inputs(node):
    """The names of layers in a graph's list of inputs, of Keras 2 or 3."""
    if isinstance(node, dict):
        history = node.get("config", {}).get("keras_history")
        return [history[0]] if history else _inputs([*node.values()])
    if not isinstance(node, (list, tuple)):
        return []
    if len(node) > 2 and isinstance(node[0], str):
        return [node[0]]
    return [name for part in node for name in _inputs(part)]


def _turned(layers, plan):
    """layer -> {what: array} of Keras as one state with our names and shapes."""
    state, last = {}, None  # the last layer with channels, if there was no dense layer since
    channels = {layer: _outputs(layer, parts, plan) for layer, parts in layers.items()}
    for layer, parts in layers.items():
        separable = "pointwise_kernel" in parts
        for what, array in parts.items():
            name = f"{layer}.{_NORM.get(what, what)}"
            if what.endswith("kernel"):
                name = f"{layer}.weight"
                if separable:
                    name = f"{layer}.{what.removesuffix('_kernel')}.weight"
                if array.ndim == 4:
                    array = _convolution(array, _is_depthwise(layer, what, plan))
                    last = layer
                elif array.ndim == 2:
                    joined = _flattened(layer, plan, channels) if plan else channels.get(last)
                    array, last = _dense(array, joined), None
            elif what == "bias" and separable:
                name = f"{layer}.pointwise.bias"
            state[name] = array
        if "moving_mean" in parts:
            mean, last = parts["moving_mean"], layer
            state.setdefault(f"{layer}.weight", np.ones_like(mean))  # what no gamma means
            state.setdefault(f"{layer}.bias", np.zeros_like(mean))
    return state


def _outputs(layer, parts, plan):
    """The channels that a layer gives, or None."""
    what = next((w for w in ("pointwise_kernel", "kernel", "depthwise_kernel") if w in parts), None)
    if what is None:
        return len(parts["moving_mean"]) if "moving_mean" in parts else None
    shape = parts[what].shape
    return shape[-1] * (shape[-2] if _is_depthwise(layer, what, plan) else 1)


def _is_depthwise(layer, what, plan):
    kind = plan.get(layer, {}).get("class_name", "")
    return what == "depthwise_kernel" or kind == "DepthwiseConv2D" or "depthwise" in layer


def _convolution(kernel, depthwise):
    if depthwise:  # (kh, kw, C, m) -> (C m, 1, kh, kw)
        kh, kw, c, m = kernel.shape
        return kernel.transpose(2, 3, 0, 1).reshape(c * m, 1, kh, kw)
    return kernel.transpose(3, 2, 0, 1)


def _dense(kernel, channels):
    """(in, out) -> (out, in); inputs H, W, C -> C, H, W if so many channels were flattened."""
    inputs, outputs = kernel.shape
    if channels is None or inputs == channels or inputs % channels:
        return kernel.T
    pixels = kernel.reshape(inputs // channels, channels, outputs)
    return pixels.transpose(2, 1, 0).reshape(outputs, inputs)


def _flattened(layer, plan, channels):
    """The channels of what Flatten joined before a dense layer; None if there is no Flatten."""
    before = plan.get(layer, {}).get("before")
    while before and plan[before[0]]["class_name"] in _TRANSPARENT:
        before = plan[before[0]]["before"]
    if not before or plan[before[0]]["class_name"] != "Flatten":
        return None
    return _channels(plan[before[0]]["before"], plan, channels)


def _channels(names, plan, channels):
    """Channels of a tensor: those of the last layer with weights before it."""
    if not names:
        return None
    name = names[0]
    if channels.get(name) is not None:
        return channels[name]
    layer = plan[name]
    if layer["class_name"] == "InputLayer":
        config = layer["config"]
        return (config.get("batch_input_shape") or config.get("batch_shape") or [None])[-1]
    if layer["class_name"] == "Concatenate":
        count = 0
        for before in layer["before"]:
            part = _channels([before], plan, channels)
            if part is None:
                return None
            count += part
        channels[name] = count  # for what takes it several times
        return count
    return _channels(layer["before"], plan, channels)
