"""Every op that can be exported: onnx's checker, onnxruntime and the import agree with it."""

import sys

import numpy as np
import onnx
import pytest
from onnx.reference import ReferenceEvaluator
from onnx_graphs.running import (
    Net,
    by_onnxruntime,
    close,
    exported,
    gradients,
    numbers,
    operators,
    parameter,
    round_trip,
)

import tinyconv as tc
from tinyconv import nn
from tinyconv.nn import functional as F
from tinyconv.onnx import MissingOnnx, export, load

IMAGES = (2, 4, 7, 6)
ROWS = (3, 5)


def norm(channels, **options):
    layer = nn.BatchNorm2d(channels, eps=1e-3, **options)
    layer.running_mean.copy_(tc.from_numpy(numbers(channels, 2)))
    layer.running_var.copy_(tc.from_numpy(numbers(channels, 3) ** 2 + 0.1))
    return layer


#: what it computes, from which shape, with which layers and parameters
CASES = {
    "conv": (lambda net, x: net.a(x), IMAGES, dict(a=nn.Conv2d(4, 6, (3, 2), (2, 1), (1, 0)))),
    "conv groups": (
        lambda net, x: net.a(x), IMAGES,
        dict(a=nn.Conv2d(4, 8, 3, padding=(2, 1, 0, 3), dilation=(1, 2), groups=2, bias=False)),
    ),
    "conv same": (lambda net, x: net.a(x), IMAGES, dict(a=nn.Conv2d(4, 3, 4, 3, "same"))),
    "linear": (lambda net, x: net.a(x), ROWS, dict(a=nn.Linear(5, 4))),
    "linear no bias": (lambda net, x: net.a(x), ROWS, dict(a=nn.Linear(5, 4, bias=False))),
    "linear of many axes": (lambda net, x: net.a(x), (2, 3, 4, 5), dict(a=nn.Linear(5, 7))),
    "matmul": (lambda net, x: x @ net.w, (2, 3, 4, 5), dict(w=parameter(5, 7))),
    "matmul batch": (lambda net, x: x @ x.transpose(2, 3), (2, 3, 4, 5), {}),
    "batch norm": (lambda net, x: net.a(x), IMAGES, dict(a=norm(4))),
    "batch norm plain": (lambda net, x: net.a(x), IMAGES, dict(a=norm(4, affine=False))),
    "batch norm rows": (
        lambda net, x: F.batch_norm(x, net.n.running_mean, net.n.running_var), (3, 4),
        dict(n=norm(4)),
    ),
    "lrn": (lambda net, x: F.local_response_norm(x, 5, 2e-2, 0.6, 2.0), (2, 7, 3, 4), {}),
    "max pool": (lambda net, x: F.max_pool2d(x, (3, 2), (2, 1), (1, 0)), IMAGES, {}),
    "average pool": (lambda net, x: F.avg_pool2d(x, (3, 2), 2, (1, 1)), IMAGES, {}),
    "global pool": (lambda net, x: F.adaptive_avg_pool2d(x, 1), IMAGES, {}),
    "dropout": (lambda net, x: net.a(x), IMAGES, dict(a=nn.Dropout(0.5))),
    "relu": (lambda net, x: F.relu(x), IMAGES, {}),
    "relu6": (lambda net, x: F.relu6(x * 5), IMAGES, {}),
    "hardtanh": (lambda net, x: F.hardtanh(x, -0.7, 0.9), IMAGES, {}),
    "sigmoid": (lambda net, x: F.sigmoid(x), IMAGES, {}),
    "tanh": (lambda net, x: F.tanh(x), IMAGES, {}),
    "silu": (lambda net, x: F.silu(x), IMAGES, {}),
    "gelu": (lambda net, x: F.gelu(x), IMAGES, {}),
    "gelu tanh": (lambda net, x: F.gelu(x, "tanh"), IMAGES, {}),
    "leaky relu": (lambda net, x: F.leaky_relu(x, 0.2), IMAGES, {}),
    "elu": (lambda net, x: F.elu(x, 0.7), IMAGES, {}),
    "selu": (lambda net, x: F.selu(x), IMAGES, {}),
    "softplus": (lambda net, x: F.softplus(x * 9, 2.0, 10), IMAGES, {}),
    "logsigmoid": (lambda net, x: F.logsigmoid(x), IMAGES, {}),
    "comparisons": (
        lambda net, x: tc.where((x > net.w) & (x != 0.5) | (x <= -1), x, net.w * 2),
        ROWS,
        dict(w=parameter(5)),
    ),
    "more comparisons": (
        lambda net, x: (x < 0.1) * x + ((x >= 1) ^ (x == x)).float(),
        ROWS,
        {},
    ),
    "predicates": (
        lambda net, x: tc.where(~(x > 0) | tc.isnan(x.log()) ^ (1 / tc.relu(x)).isinf(), x, 3.0),
        ROWS,
        {},
    ),
    "steps": (lambda net, x: x.floor() + x.ceil() * 2 + x.round() - (x + 3).reciprocal(), ROWS, {}),
    "angles": (
        lambda net, x: x.tan() + x.tanh().asin() - x.atan() + x.cosh().acosh() * x.sinh(), ROWS, {},
    ),
    "softmax": (lambda net, x: F.softmax(x, 1), IMAGES, {}),
    "log_softmax": (lambda net, x: F.log_softmax(x, -1), ROWS, {}),
    "exp, log": (lambda net, x: (x.exp() + 1).log() - x.expm1() + (x * x).log1p(), ROWS, {}),
    "roots": (lambda net, x: (x * x + 1).sqrt() * (x.abs() + 1).rsqrt(), ROWS, {}),
    "sin, cos, erf, sign": (lambda net, x: x.sin() * x.cos() + x.erf() - x.sign(), ROWS, {}),
    "arithmetic": (lambda net, x: (2 - x) / (x * x + 3) * 0.5 - (-x) + x / 7, ROWS, {}),
    "powers": (lambda net, x: x**2 + (x.abs() + 1) ** 1.5 + 1.3**x, ROWS, {}),
    "floor, remainder": (lambda net, x: x // 0.3 + x % 0.7, ROWS, {}),
    "clamp": (lambda net, x: x.clamp(-0.5) + x.clamp(max=0.4) + x.clamp(-1, 1), ROWS, {}),
    "maximum, minimum": (
        lambda net, x: tc.maximum(x, net.w) - tc.minimum(x, net.w), ROWS, dict(w=parameter(5)),
    ),
    "broadcast": (
        lambda net, x: (x * net.w + net.v) - net.w, IMAGES, dict(w=parameter(7, 1), v=parameter(6)),
    ),
    "outer": (lambda net, x: x.unsqueeze(1) - net.w, ROWS, dict(w=parameter(7, 5))),
    "expand": (lambda net, x: net.w.expand(len(x), 5) @ x.t(), ROWS, dict(w=parameter(1, 5))),
    "scale": (
        lambda net, x: x * net.w.view(-1, 1, 1), IMAGES, dict(w=parameter(4)),
    ),
    "sum": (lambda net, x: x.sum((1, 3)), IMAGES, {}),
    "mean": (lambda net, x: x.mean((2, 3)), IMAGES, {}),
    "mean keepdim": (lambda net, x: x - x.mean(1, keepdim=True), IMAGES, {}),
    "variance": (lambda net, x: x.var((2, 3), unbiased=False), IMAGES, {}),
    "amax, amin": (lambda net, x: x.amax((2, 3)) - x.amin(1)[:, 0, :4], IMAGES, {}),
    "flatten": (lambda net, x: x.flatten(1), IMAGES, {}),
    "reshape": (lambda net, x: x.reshape(len(x), 2, -1), IMAGES, {}),
    "reshape -1": (lambda net, x: x.reshape(-1, 6), IMAGES, {}),
    "reshape batch to the end": (lambda net, x: x.reshape(4, -1).t(), (2, 4, 3, 5), {}),
    "reshape two sizes of the batch": (
        lambda net, x: (x @ x.t()).reshape(len(x), 1, len(x)), ROWS, {},
    ),
    "channel shuffle": (
        lambda net, x: x.reshape(len(x), 2, 2, 7, 6).transpose(1, 2).reshape(x.shape), IMAGES, {},
    ),
    "permute": (lambda net, x: x.permute(0, 2, 3, 1), IMAGES, {}),
    "flip": (lambda net, x: x.flip(1, 3), IMAGES, {}),
    "pad": (lambda net, x: F.pad(x, (1, 2, 0, 3, 1, 0), value=0.5), IMAGES, {}),
    "crop": (lambda net, x: F.pad(x, (-1, 2, -2, -1)), IMAGES, {}),
    "squeeze": (lambda net, x: x.mean(1, keepdim=True).squeeze(1).unsqueeze(-1), IMAGES, {}),
    "slices": (lambda net, x: x[:, ::2, 1:-1, 5:0:-2], IMAGES, {}),
    "ints": (lambda net, x: x[:, -1, :, 2] + x[..., 3:, 0].sum((1, 2))[:, None], IMAGES, {}),
    "new axes": (lambda net, x: x[:, None, ..., 1], IMAGES, {}),
    "part of the batch": (lambda net, x: x[:1].sum(0, keepdim=True) + x[0] * x.flip(0), IMAGES, {}),
    "channels by number": (lambda net, x: x[:, [3, 0, 0]], IMAGES, {}),
    "gather": (lambda net, x: x.t()[tc.tensor([4, 1])].t(), ROWS, {}),
    "cat": (lambda net, x: tc.cat([x, x * 2, x[:, :1]], 1), IMAGES, {}),
    "stack": (lambda net, x: tc.stack([x, -x], 1), IMAGES, {}),
    "split": (lambda net, x: x.split([1, 3], 1)[1], IMAGES, {}),
    "chunk": (lambda net, x: tc.cat(x.chunk(3, 2)[::-1], 2), IMAGES, {}),
    "unbind": (lambda net, x: x.unbind(2)[4], IMAGES, {}),
    "clone": (lambda net, x: x.clone().transpose(1, 2).contiguous(), IMAGES, {}),
    "all of it": (lambda net, x: x[:].reshape(x.shape) * x, IMAGES, {}),
    "itself": (lambda net, x: x, IMAGES, {}),
    "a parameter": (lambda net, x: net.w * 1, IMAGES, dict(w=parameter(3, 2))),
    "one layer twice": (lambda net, x: net.a(F.relu(net.a(x))), ROWS, dict(a=nn.Linear(5, 5))),
}  # fmt: skip


@pytest.mark.parametrize("name", CASES)
def test_runs_to_the_same_numbers(name):
    forward, shape, members = CASES[name]
    net = Net(forward, **members)
    x = numbers(shape)
    loaded = round_trip(net, x)
    assert {n for n, _ in loaded.named_parameters()} <= {n for n, _ in net.named_parameters()}


@pytest.mark.parametrize("name", [n for n in CASES if n not in ("itself", "a parameter")])
def test_gradients_after_import_are_the_same(name):
    forward, shape, members = CASES[name]
    net, x = Net(forward, **members).eval(), numbers(shape)
    loaded = load(exported(net, x))
    ours, theirs = gradients(net, x), gradients(loaded, x)
    assert ours.keys() == theirs.keys()
    for name in ours:
        close(theirs[name].numpy(), ours[name].numpy())


@pytest.mark.parametrize("opset", [13, 14, 15, 18, 19, 20, 21])
def test_any_version_of_the_operators(opset):
    def forward(net, x):
        x = F.relu6(net.norm(net.conv(F.pad(x, (1, 0, 0, 1)))))
        a, b = x.split([2, 4], 1)
        x = tc.cat([F.max_pool2d(a, 2), F.avg_pool2d(b, 2)], 1)
        return F.softmax(x.amax(2).mean(2), 1) + x.sum((2, 3)).reshape(-1, 6)[:, ::1]

    net = Net(forward, conv=nn.Conv2d(4, 6, 3), norm=norm(6))
    round_trip(net, numbers(IMAGES), opset_version=opset)


def test_the_batch_may_have_any_size():
    net = Net(lambda net, x: net.a(x.flatten(1)), a=nn.Linear(12, 5)).eval()
    data = exported(net, numbers((1, 3, 4, 1)))
    graph = onnx.load_from_string(data).graph
    dims = [v.type.tensor_type.shape.dim[0].dim_param for v in (*graph.input, *graph.output)]
    assert dims == ["batch", "batch"]
    for size in (1, 2, 5):
        x = numbers((size, 3, 4, 1), size)
        close(net(tc.from_numpy(x)).detach().numpy(), by_onnxruntime(data, x)[0])


@pytest.mark.parametrize(
    "axes, told",
    [
        ({}, [3, 3]),
        ({"input": {0: "images"}}, ["images", "images"]),
        ({"input": [0], "output": [0]}, ["batch", "batch"]),
    ],
)
def test_dynamic_axes(axes, told):
    data = exported(nn.Linear(5, 4), numbers((3, 5)), dynamic_axes=axes)
    graph = onnx.load_from_string(data).graph
    dims = [v.type.tensor_type.shape.dim[0] for v in (*graph.input, *graph.output)]
    assert [d.dim_param or d.dim_value for d in dims] == told


def test_parameters_keep_their_names_and_inputs_get_theirs():
    net = nn.Sequential(nn.Conv2d(4, 3, 2), norm(3), nn.ReLU())
    data = exported(net, numbers(IMAGES), input_names=["image"], output_names=["maps"])
    graph = onnx.load_from_string(data).graph
    names = {n for n in net.state_dict() if "batches" not in n}
    assert {t.name for t in graph.initializer} == names
    assert (graph.input[0].name, graph.output[0].name) == ("image", "maps")
    assert [n.name for n in graph.node] == ["0/Conv", "1/BatchNormalization", "2/Relu"]
    assert {n for n in load(data).state_dict()} == names


def test_several_results():
    net = Net(lambda net, x: (x + 1, x.sum(1), x + 1, x)).eval()
    data = exported(net, numbers(ROWS), output_names=["a", "b", "c", "d"])
    results = load(data)(tc.from_numpy(numbers(ROWS)))
    for ours, theirs in zip(net(tc.from_numpy(numbers(ROWS))), results, strict=True):
        close(ours.numpy(), theirs.numpy())
    assert load(exported(net, numbers(ROWS))).outputs[3] == "output_3"


def test_float64():
    net = nn.Sequential(nn.Conv2d(4, 3, 2), norm(3), nn.Tanh(), nn.AvgPool2d(2)).double().eval()
    x = numbers(IMAGES, dtype=np.float64)
    data = exported(net, x)
    y = net(tc.from_numpy(x)).detach().numpy()
    (theirs,) = ReferenceEvaluator(onnx.load_from_string(data)).run(None, {"input": x})
    close(y, theirs, 1e-7)
    close(load(data)(tc.from_numpy(x)).detach().numpy(), y, 1e-7)


def test_the_network_stays_as_it_is():
    net = nn.Sequential(nn.Conv2d(4, 3, 2), norm(3), nn.Dropout()).train()
    before = {n: t.numpy().copy() for n, t in net.state_dict().items()}
    exported(net, numbers(IMAGES))
    assert all(m.training for m in net.modules())
    assert all((before[n] == t.numpy()).all() for n, t in net.state_dict().items())


def test_each_op_is_one_node():
    net = tc.models.LeNet5()
    assert operators(exported(net, numbers((1, 1, 28, 28)))) == [
        "Conv", "Relu", "MaxPool", "Conv", "Relu", "MaxPool", "Constant", "Reshape",
        "Gemm", "Relu", "Gemm", "Relu", "Gemm",
    ]  # fmt: skip


def test_all_that_has_no_counterpart_is_named_and_nothing_written(tmp_path):
    class Twice(tc.autograd.Function):
        @staticmethod
        def forward(ctx, x):
            return 2 * x

    def forward(net, x):
        return Twice.apply(net.pool(net.norm(x)))

    net = Net(forward, pool=nn.AdaptiveMaxPool2d(2), norm=nn.LocalResponseNorm(4))
    with pytest.raises(ValueError) as caught:
        export(net, tc.zeros(*IMAGES), tmp_path / "net.onnx")
    text = str(caught.value)
    assert "Twice has no counterpart (in Net 'itself')" in text
    assert "PlaneGather has no counterpart (in AdaptiveMaxPool2d 'pool')" in text
    assert "LocalResponseNorm with size=4" in text and "(in LocalResponseNorm 'norm')" in text
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize(
    "forward, told",
    [
        (lambda net, x: x * tc.argmax(x, 1).float().unsqueeze(1), "no op made"),
        (lambda net, x: x * tc.from_numpy(x.detach().array + 1), "no op made"),
        (lambda net, x: x * float(len(x)), "other numbers for 3 images than for 2"),
        (lambda net, x: x[len(x) - 2 :] * 1, "for 2 images and slice"),
        (lambda net, x: x + 1 if len(x) == 2 else x * 2, "other ops for 3 images than for 2"),
        (lambda net, x: x[1:] * 1, "is given 1 for 2 images and 2 for 3"),
        (lambda net, x: x[:2].sum(0) * x, "with other inputs"),
        (lambda net, x: x[x.array > -9].reshape(x.shape), "GetItem"),
    ],
)
def test_what_a_file_can_not_tell_is_refused(forward, told):
    with pytest.raises(ValueError, match=told):
        exported(Net(forward), numbers(ROWS))


@pytest.mark.parametrize(
    "args, options, error, told",
    [
        (np.zeros((2, 5)), {}, TypeError, "one Tensor"),
        ((tc.zeros(2, 5), tc.zeros(2, 5)), {}, TypeError, "one Tensor"),
        (tc.zeros(5), {}, ValueError, "batch of images"),
        (tc.zeros(2, 3, 5), {}, ValueError, "batch of images"),
        (tc.zeros(2, 5).double(), {}, TypeError, "float64, the network float32"),
        (tc.zeros(2, 5), dict(opset_version=12), ValueError, "wants 13 to"),
        (tc.zeros(2, 5), dict(input_names=["a", "b"]), ValueError, "wants 1 different"),
        (tc.zeros(2, 5), dict(input_names=["weight"]), ValueError, "names of their own"),
        (tc.zeros(2, 5), dict(output_names=["input"]), ValueError, "names of their own"),
        (tc.zeros(2, 5), dict(dynamic_axes={"input": {1: "n"}}), ValueError, "only the batch"),
        (tc.zeros(2, 4), {}, ValueError, "linear"),
    ],
)
def test_arguments_that_do_not_fit(args, options, error, told, tmp_path):
    with pytest.raises(error, match=told):
        export(nn.Linear(5, 3), args, tmp_path / "net.onnx", **options)
    assert not list(tmp_path.iterdir())


def test_more_than_a_file_holds():
    with nn.init.skip_init():
        net = nn.Sequential(nn.Linear(30_000, 10_000), nn.Linear(10_000, 30_000))
    with pytest.raises(ValueError, match="2.2 GiB; one file holds 2 at most"):
        exported(net, numbers((1, 30_000)))


def test_a_file_is_replaced_whole(tmp_path):
    path = tmp_path / "net.onnx"
    path.write_bytes(b"older")
    with pytest.raises(ValueError):
        export(nn.AdaptiveMaxPool2d(2), tc.zeros(*IMAGES), path)
    assert path.read_bytes() == b"older"
    export(nn.Linear(5, 3), tc.zeros(1, 5), str(path))
    assert load(path)(tc.zeros(2, 5)).shape == (2, 3)
    assert list(tmp_path.iterdir()) == [path]


def test_without_the_library_one_sentence_says_what_to_install(monkeypatch):
    monkeypatch.setitem(sys.modules, "onnx", None)
    for call in (
        lambda: load(b""),
        lambda: export(nn.Linear(5, 3), tc.zeros(1, 5), "net.onnx"),
    ):
        with pytest.raises(MissingOnnx, match=r"pip install 'tinyconv\[onnx\]'"):
            call()
