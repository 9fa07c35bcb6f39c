"""What becomes of an ONNX file: its numbers, its parameters, its training, its faults."""

import copy
import io

import numpy as np
import onnx
import onnx.shape_inference
import pytest
from onnx import TensorProto, helper, numpy_helper
from onnx.reference import ReferenceEvaluator
from onnx_graphs.running import (
    by_onnxruntime,
    close,
    exported,
    numbers,
    round_trip,
)

import tinyconv as tc
from tinyconv import nn
from tinyconv.nn import functional as F
from tinyconv.onnx import load


def made(nodes, shape, weights=(), opset=17, outputs=("y",), dtype=TensorProto.FLOAT, told=None):
    """A file of these nodes; x goes in, and the results are of the shape ``told``."""
    graph = helper.make_graph(
        nodes, "made", [helper.make_tensor_value_info("x", dtype, shape)],
        [helper.make_tensor_value_info(y, TensorProto.FLOAT, told) for y in outputs],
        [numpy_helper.from_array(np.asarray(a), n) for n, a in dict(weights).items()],
    )  # fmt: skip
    opsets = [helper.make_opsetid("", opset), helper.make_opsetid("elsewhere", 1)]
    model = helper.make_model(graph, opset_imports=opsets, ir_version=8)
    return onnx.shape_inference.infer_shapes(model).SerializeToString()


def node(op, *inputs, outputs=("y",), **attributes):
    return helper.make_node(op, inputs, outputs, name=f"the {op}", **attributes)


def ints(*values):
    return np.asarray(values, np.int64)


def agrees(data, *shape):
    x = numbers(shape)
    with tc.no_grad():
        ours = load(data)(tc.from_numpy(x))
    for y, theirs in zip(ours if isinstance(ours, tuple) else [ours], by_onnxruntime(data, x)):
        close(y.numpy(), theirs)


IMAGE = (2, 4, 8, 7)


@pytest.mark.parametrize("auto_pad", ["SAME_UPPER", "SAME_LOWER", "VALID"])
@pytest.mark.parametrize("op", ["Conv", "MaxPool", "AveragePool"])
def test_auto_pad(op, auto_pad):
    weights = {"w": numbers((3, 4, 3, 2))} if op == "Conv" else {}
    made_of = node(op, "x", *weights, kernel_shape=[3, 2], strides=[2, 3], auto_pad=auto_pad)
    agrees(made([made_of], IMAGE, weights), *IMAGE)


@pytest.mark.parametrize("op", ["MaxPool", "AveragePool"])
@pytest.mark.parametrize("ceil_mode", [0, 1])
def test_more_padding_than_half_the_kernel(op, ceil_mode):
    made_of = node(
        op, "x", kernel_shape=[3, 3], strides=[2, 3], pads=[2, 0, 1, 2], ceil_mode=ceil_mode
    )
    agrees(made([made_of], IMAGE), *IMAGE)


@pytest.mark.parametrize("count_include_pad", [0, 1])
def test_average_pool_with_dilation(count_include_pad):
    made_of = node(
        "AveragePool", "x", kernel_shape=[2, 3], dilations=[3, 2], pads=[1, 2, 0, 1],
        count_include_pad=count_include_pad,
    )  # fmt: skip
    data = made([made_of], IMAGE, opset=19)
    x = numbers(IMAGE)
    (theirs,) = ReferenceEvaluator(onnx.load_from_string(data)).run(None, {"x": x})
    close(load(data)(tc.from_numpy(x)).numpy(), theirs)


#: what was an attribute and became an input: (opset, node, weights)
CHANGED = [
    (10, node("Clip", "x", min=-0.5, max=0.7), {}),
    (11, node("Clip", "x", "", "high"), {"high": np.float32(0.7)}),
    (11, node("Squeeze", "x", axes=[0]), {}),
    (13, node("Squeeze", "x", "axes"), {"axes": ints(0)}),
    (13, node("Squeeze", "x"), {}),
    (11, node("Unsqueeze", "x", axes=[1, -1]), {}),
    (13, node("Unsqueeze", "x", "axes"), {"axes": ints(-1, 1)}),
    (9, node("Slice", "x", starts=[1, -3], ends=[9, -1], axes=[1, 3]), {}),
    (9, node("Slice", "x", starts=[0, 1], ends=[1, 3]), {}),
    (
        10,
        node("Slice", "x", "a", "b", "c", "d"),
        {"a": ints(-1, 0), "b": ints(-999, 7), "c": ints(2, -1), "d": ints(-2, 3)},
    ),
    (10, node("Pad", "x", pads=[0, 1, 0, 2, 0, 0, 3, 0], value=0.5), {}),
    (11, node("Pad", "x", "p"), {"p": ints(0, 1, 0, 2, 0, 0, 3, -1)}),
    (18, node("Pad", "x", "p", "v", "a"), {"p": ints(1, 2), "v": np.float32(3), "a": ints(-1)}),
    (12, node("ReduceSum", "x", axes=[1, -1], keepdims=0), {}),
    (13, node("ReduceSum", "x", "axes", keepdims=0), {"axes": ints(1, -1)}),
    (13, node("ReduceSum", "x", noop_with_empty_axes=1), {}),
    (17, node("ReduceMean", "x", axes=[2, 3]), {}),
    (18, node("ReduceMean", "x", "axes"), {"axes": ints(2, 3)}),
    (18, node("ReduceMax", "x", keepdims=0), {}),
    (12, node("Softmax", "x"), {}),
    (12, node("LogSoftmax", "x", axis=2), {}),
    (13, node("Softmax", "x"), {}),
    (13, node("LogSoftmax", "x", axis=1), {}),
    (11, node("Split", "x", axis=1, split=[1, 3], outputs=["y", "z"]), {}),
    (13, node("Split", "x", "s", axis=1, outputs=["y", "z"]), {"s": ints(1, 3)}),
    (18, node("Split", "x", axis=2, num_outputs=3, outputs=["a", "y", "z"]), {}),
    (7, node("Dropout", "x", ratio=0.3), {}),
    (12, node("Dropout", "x", "r"), {"r": np.float32(0.3)}),
    (7, node("Gemm", "r", "w", "c", transA=1, alpha=0.5, beta=2.0), None),
    (11, node("Gemm", "r", "w", transB=1, transA=1), None),
    (13, node("Reshape", "x", "s"), {"s": ints(0, -1, 4)}),
    (13, node("Flatten", "x", axis=-1), {}),
    (13, node("Flatten", "x", axis=0), {}),
    (13, node("Expand", "x", "s"), {"s": ints(3, 1, 1, 1)}),
    (13, node("Gather", "x", "i", axis=2), {"i": ints(1, -1, 0).reshape(1, 3)}),
    (13, node("Gather", "x", "i", axis=1), {"i": np.asarray(-2)}),
    (13, node("Transpose", "x"), {}),
    (13, node("LRN", "x", size=3, alpha=0.1, beta=0.6, bias=1.5), {}),
    (13, node("GlobalMaxPool", "x"), {}),
    (13, node("Mean", "x", "x", "w"), {"w": numbers((4, 1, 7))}),
    (13, node("Max", "x", "w"), {"w": numbers((4, 1, 7))}),
    (13, node("PRelu", "x", "w"), {"w": numbers((4, 1, 1))}),
    (13, node("HardSigmoid", "x", alpha=0.3), {}),
    (14, node("HardSwish", "x"), {}),
    (13, node("Elu", "x", alpha=0.7), {}),
    (13, node("Selu", "x"), {}),
    (13, node("LeakyRelu", "x", alpha=0.2), {}),
    (13, node("Softplus", "x"), {}),
    (20, node("Gelu", "x", approximate="tanh"), {}),
]


@pytest.mark.parametrize("opset, step, weights", CHANGED, ids=lambda v: getattr(v, "op_type", None))
def test_operators_in_their_versions(opset, step, weights):
    shape = (1, *IMAGE[1:])
    nodes = [step]
    if weights is None:  # a product, which needs a matrix
        weights = {"w": numbers((4, 4)), "c": numbers((1, 4)), "s": ints(4, -1)}
        nodes = [node("Reshape", "x", "s", outputs=["r"]), step]
    if step.op_type == "Squeeze":
        weights = {k: ints(0) for k in weights}
    agrees(made(nodes, shape, weights, opset, outputs=step.output), *shape)


def test_what_an_exporter_makes_of_a_dynamic_reshape():
    nodes = [
        node("Shape", "x", outputs=["shape"]),
        node("Gather", "shape", "zero", outputs=["n"]),
        node("Unsqueeze", "n", "axis", outputs=["n1"]),
        node("Concat", "n1", "rest", outputs=["target"], axis=0),
        node("Reshape", "x", "target"),
    ]
    weights = {"zero": np.asarray(0), "axis": ints(0), "rest": ints(-1)}
    data = made(nodes, ["n", 4, 8, 7], weights)
    for size in (1, 3):
        agrees(data, size, 4, 8, 7)


def test_parameters_are_the_floating_initializers_by_name():
    weights = {
        "layer.0.weight": numbers((3, 4, 1, 1)), "onnx::Conv_7": numbers(3), "training": numbers(3),
        "layer": numbers(1), "mean": numbers(3), "var": numbers(3) ** 2, "s": ints(0, -1),
    }  # fmt: skip
    nodes = [
        node("Conv", "x", "layer.0.weight", "onnx::Conv_7", outputs=["a"]),
        node("BatchNormalization", "a", "training", "training", "mean", "var", outputs=["b"]),
        node("Mul", "b", "layer", outputs=["c"]),
        node("Reshape", "c", "s"),
    ]
    data = made(nodes, IMAGE, weights)
    net = load(data)
    names = ["layer.0.weight", "onnx__Conv_7", "training_", "layer_"]
    assert [n for n, _ in net.named_parameters()] == sorted(
        names, key=[n for n, _ in net.named_parameters()].index
    )
    assert set(net.state_dict()) == {*names, "mean", "var"}
    agrees(data, *IMAGE)
    assert "x -> y" in repr(net) and net.inputs == {"x": IMAGE} and net.outputs == ["y"]


def network():
    class Block(nn.Module):
        def __init__(self):
            super().__init__()
            self.conv, self.norm = nn.Conv2d(3, 5, 3, padding=1), nn.BatchNorm2d(5, momentum=0.3)
            self.fc = nn.Linear(5, 4)

        def forward(self, x):
            x = F.max_pool2d(F.relu(self.norm(self.conv(x))), 2)
            return self.fc(x.mean((2, 3)))

    return Block()


def test_training_after_import_is_training_of_the_network():
    net = network()
    loaded = load(exported(net, numbers((2, 3, 6, 8))))
    assert not loaded.training
    x, labels = tc.from_numpy(numbers((4, 3, 6, 8))), tc.tensor([0, 3, 1, 1])
    losses = []
    for model in (net, loaded):
        model.train()
        optimizer = tc.optim.SGD(model.parameters(), lr=0.1, momentum=0.9)
        for _ in range(3):
            optimizer.zero_grad()
            loss = F.cross_entropy(model(x), labels)
            loss.backward()
            optimizer.step()
        losses.append(loss.item())
    assert losses[0] == pytest.approx(losses[1], rel=1e-5)
    theirs = loaded.state_dict()
    for name, value in net.state_dict().items():
        if "batches" not in name:
            close(theirs[name].numpy(), value.numpy())
    assert not np.allclose(theirs["norm.running_mean"].numpy(), 0)
    with tc.no_grad():
        close(loaded.eval()(x).numpy(), net.eval()(x).numpy())


def test_dropout_follows_the_mode():
    net = load(made([node("Dropout", "x", "r")], IMAGE, {"r": np.float32(0.5)}))
    x = tc.from_numpy(np.ones(IMAGE, np.float32))
    assert (net(x).numpy() == 1).all()
    assert set(np.unique(net.train()(x).numpy())) == {0, 2}


def test_what_was_loaded_is_a_module_like_any_other():
    net = network().eval()
    x = numbers((2, 3, 6, 8))
    loaded = load(exported(net, x))
    assert tc.models.summary(loaded, (3, 6, 8)).macs == tc.models.summary(net, (3, 6, 8)).macs
    net.load_state_dict(loaded.state_dict(), strict=False)
    twin = copy.deepcopy(loaded).double().train()
    assert twin(tc.from_numpy(x).double()).dtype == np.float64 and not loaded.training
    again = round_trip(loaded, x)
    assert list(again.state_dict()) == list(loaded.state_dict())
    for parameter in loaded.parameters():
        parameter.requires_grad_(False)
    assert not loaded(tc.from_numpy(x)).requires_grad


def test_errors_at_run_time_name_the_node():
    net = load(made([node("Conv", "x", "w")], list("nchw"), {"w": numbers((3, 4, 1, 1))}))
    with pytest.raises(ValueError, match="conv2d: input has 5 channels") as caught:
        net(tc.zeros(1, 5, 2, 2))
    assert caught.value.__notes__ == ["in the node 'the Conv' (Conv) of an ONNX file"]
    with pytest.raises(ValueError, match=r"takes 1 inputs \['x'\], got 2"):
        net(tc.zeros(1, 4, 2, 2), tc.zeros(1))


def test_all_that_is_unsupported_is_told_at_once():
    weights = {"w": numbers((2, 4, 3)), "m": numbers((3, 2))}
    nodes = [
        node("LSTM", "x", "w", "w", outputs=["a"], hidden_size=3),
        node("LSTM", "x", "w", "w", outputs=["b"], hidden_size=3),
        helper.make_node("Fused", ["x"], ["c"], domain="elsewhere"),
        node("Pad", "x", "p", outputs=["d"], mode="reflect"),
        node("MaxPool", "x", outputs=["e", "indices"], kernel_shape=[2, 2]),
        node("Conv", "x", "w", outputs=["f"], kernel_shape=[3], pads=[1, 1]),
        node("Cast", "x", outputs=["y"], to=TensorProto.FLOAT16),
    ]
    data = made(nodes, IMAGE, {**weights, "p": ints(*[1] * 8)}, outputs=["y", "indices"], told=[])
    with pytest.raises(ValueError) as caught:
        load(data)
    text = str(caught.value)
    for told in (
        "LSTM (2 times)", "elsewhere.Fused", "Pad with mode='reflect'", "Conv of 1 axes",
        "MaxPool with more than its first result", "Cast of a dtype", "nothing was loaded",
    ):  # fmt: skip
        assert told in text
    assert "\n" not in text


@pytest.mark.parametrize("opset", [1, 6])
def test_versions_before_7_are_refused(opset):
    with pytest.raises(ValueError, match=f"operator set is {opset}; wants"):
        load(made([node("Relu", "x")], IMAGE, opset=opset))


def test_halves_are_refused():
    half = made([node("Relu", "x")], IMAGE, dtype=TensorProto.FLOAT16)
    with pytest.raises(ValueError, match="the input 'x' of a dtype"):
        load(half)
    with pytest.raises(ValueError, match="the weight 'w' is of a dtype"):
        load(made([node("Add", "x", "w")], IMAGE, {"w": np.zeros(1, np.float16)}))


def test_damaged_files():
    data = exported(network(), numbers((2, 3, 6, 8)))
    rng = np.random.default_rng(0)
    with pytest.raises(FileNotFoundError):
        load("nowhere.onnx")
    for content in (b"", b"no", rng.bytes(500), data[:200], data[:-100], data[50:]):
        with pytest.raises(ValueError, match="damaged|not valid ONNX|operator set|has not"):
            load(content)
    for _ in range(100):  # single bytes: loaded, or one sentence
        spoilt = bytearray(data)
        spoilt[rng.integers(len(data))] = rng.integers(256)
        try:
            load(bytes(spoilt))
        except ValueError as error:
            assert "\n" not in str(error)


@pytest.mark.parametrize(
    "change, told",
    [
        (lambda w: w.dims.__setitem__(0, 7), "damaged tensor|not valid"),
        (lambda w: w.dims.__setitem__(0, 1 << 40), "damaged tensor|not valid"),
        (lambda w: setattr(w, "raw_data", w.raw_data[:-1]), "damaged tensor|not valid"),
    ],
)
def test_weights_that_are_not_what_they_say(change, told):
    model = onnx.load_from_string(made([node("Add", "x", "w")], IMAGE, {"w": numbers((4, 1, 7))}))
    change(model.graph.initializer[0])
    with pytest.raises(ValueError, match=told):
        load(model.SerializeToString())


def beside(folder, **told):
    """A file whose weight lies in another."""
    model = onnx.load_from_string(made([node("Add", "x", "w")], IMAGE, {"w": numbers((4, 1, 7))}))
    (tensor,) = model.graph.initializer
    (folder / "w.bin").write_bytes(b"12345678" + tensor.raw_data)
    tensor.ClearField("raw_data")
    tensor.data_location = TensorProto.EXTERNAL
    for key, value in {"location": "w.bin", "offset": 8, **told}.items():
        tensor.external_data.add(key=key, value=str(value))
    path = folder / "net.onnx"
    path.write_bytes(model.SerializeToString())
    return path


def test_weights_beside_the_file(tmp_path):
    net = load(beside(tmp_path, length=112))
    np.testing.assert_array_equal(net.w.detach().numpy(), numbers((4, 1, 7)))
    with open(tmp_path / "net.onnx", "rb") as file, pytest.raises(ValueError, match="path of the"):
        load(io.BytesIO(file.read()))


def test_weights_beside_the_file_as_onnx_writes_them(tmp_path):
    x = numbers((2, 3, 6, 8))
    model = onnx.load_from_string(exported(network(), x))
    options = dict(save_as_external_data=True, location="w.bin", size_threshold=0)
    onnx.save_model(copy.deepcopy(model), tmp_path / "net.onnx", **options)
    loaded = load(tmp_path / "net.onnx")
    expected = load(model.SerializeToString())
    assert (loaded(tc.from_numpy(x)).array == expected(tc.from_numpy(x)).array).all()


def test_constants_in_another_file_are_refused(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "w.bin").write_bytes(bytes(28))
    tensor = numpy_helper.from_array(numbers((1, 1, 7)))
    tensor.ClearField("raw_data")
    tensor.data_location = TensorProto.EXTERNAL
    tensor.external_data.add(key="location", value="w.bin")
    nodes = [node("Constant", outputs=["c"], value=tensor), node("Add", "x", "c")]
    with pytest.raises(ValueError, match="Constant of a constant in another file|not valid ONNX"):
        load(made(nodes, IMAGE, told=IMAGE))


@pytest.mark.parametrize(
    "told, reason",
    [
        (dict(location="../outside.bin"), "not in the folder"),
        (dict(location="link.bin"), "not in the folder"),
        (dict(location="{outside}"), "not in the folder"),
        (dict(location=""), "not in the folder"),
        (dict(location="."), "not in the folder"),
        (dict(location="missing.bin"), "can not be read"),
        (dict(offset=9), "111 bytes are there, 112 are needed"),
        (dict(offset=-8), "bytes are told"),
        (dict(length=8), "8 bytes are told, 112 are needed"),
        (dict(length="many"), "can not be read"),
    ],
)
def test_nothing_outside_the_folder_is_read(tmp_path, told, reason):
    folder, outside = tmp_path / "folder", tmp_path / "outside.bin"
    folder.mkdir()
    outside.write_bytes(bytes(200))
    (folder / "link.bin").symlink_to(outside)
    told = {k: str(v).format(outside=outside) for k, v in told.items()}
    path = beside(folder, **told)
    with pytest.raises(ValueError, match=reason):
        load(path)
