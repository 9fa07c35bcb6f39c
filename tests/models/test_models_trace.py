"""The graph that a dry run finds: which value is which, and who called what."""

import pytest

import tinyconv as tc
from tinyconv import nn
from tinyconv.models.trace import Call, trace
from tinyconv.nn import functional as F


class Net(nn.Module):
    """A forward from a function, with layers by name."""

    def __init__(self, forward, **layers):
        super().__init__()
        self.does = forward
        for name, layer in layers.items():
            self.register_module(name, layer)

    def forward(self, x):
        return self.does(self, x)


def traced(forward, size=(2, 6, 5), training=False, **layers):
    graph = trace(Net(forward, **layers), size, training)
    return graph, [op.function.__name__ for op in graph.ops]


def conv():
    return nn.Conv2d(2, 2, 3, padding=1)


def test_residuals_read_the_very_value():
    graph, names = traced(lambda net, x: x + net.a(F.relu(x)), a=conv())
    assert names == ["Relu", "Conv2d", "Add"]
    relu, a, add = graph.ops
    (x,) = graph.inputs
    assert relu.args == [x] and add.args == [x, a.outputs[0]] and graph.outputs == add.outputs
    assert x.name == "input" and x.op is None and a.outputs[0].op is a


@pytest.mark.parametrize("inplace", [lambda y: F.relu(y, inplace=True), nn.ReLU(inplace=True)])
def test_what_is_given_inplace_becomes_the_result(inplace):
    def forward(net, x):
        y = net.a(x)
        return inplace(y) + y

    graph, names = traced(forward, a=conv())
    assert names == ["Conv2d", "Relu", "Add"]
    a, relu, add = graph.ops
    assert add.args == [relu.outputs[0]] * 2


@pytest.mark.parametrize("frozen", [True, False])
@pytest.mark.parametrize("training", [True, False])
def test_augmented_assignment_is_an_op(training, frozen):
    def forward(net, x):
        y = z = net.a(x)
        y += x
        x *= 2
        return y + x + z

    layer = conv().requires_grad_(not frozen)
    graph, names = traced(forward, training=training, a=layer)
    assert names == ["Conv2d", "Add", "Mul", "Add", "Add"]
    a, plus, times, both, last = graph.ops
    assert plus.args == [a.outputs[0], graph.inputs[0]] and times.args[0] is graph.inputs[0]
    assert both.args == [plus.outputs[0], times.outputs[0]]
    assert last.args == [both.outputs[0], plus.outputs[0]]  # z is y, as in PyTorch


def test_views_and_slices():
    def forward(net, x):
        y = net.a(x)
        return tc.cat([y[:, 1:], y.flatten(2).reshape(y.shape), y[:, :1]], 1)

    graph, names = traced(forward, a=conv())
    assert names == ["Conv2d", "GetItem", "Reshape", "Reshape", "GetItem", "Cat"]
    a, first, flat, again, second, cat = graph.ops
    y = a.outputs[0]
    assert first.inputs == [y] and flat.inputs == [y] and again.inputs == flat.outputs
    assert cat.inputs == [*first.outputs, *again.outputs, *second.outputs]
    assert first.outputs[0].shape == (1, 1, 6, 5)


def test_modules_and_weights_used_twice():
    a, b = conv(), conv()
    b.weight = a.weight
    graph, _ = traced(lambda net, x: net.b(net.a(net.a(x))), a=a, b=b)
    assert [op.path for op in graph.ops] == ["a", "a", "b"]
    one, two, three = (op.args[1] for op in graph.ops)
    assert one is two is three and one.name == "a.weight" and one.array is a.weight.array
    assert graph.ops[2].args[2].name == "b.bias"
    assert [call.path for call in graph.call.parts] == ["a", "a", "b"]
    assert len({id(call) for call in graph.call.parts}) == 3


def test_calls_hold_their_ops():
    inner = nn.Sequential(conv(), nn.Identity(), nn.ReLU())
    graph, _ = traced(lambda net, x: F.max_pool2d(net.inner(x) + x, 2).flatten(1), inner=inner)
    assert graph.call.ops == graph.ops and graph.call.outputs == graph.outputs
    call, add, pool, flat = graph.call.parts
    assert isinstance(call, Call) and call.path == "inner" and call.module is inner
    a, same, relu = call.parts
    assert [c.path for c in (a, same, relu)] == ["inner.0", "inner.1", "inner.2"]
    assert same.ops == [] and same.outputs == a.outputs == relu.ops[0].inputs
    assert call.outputs == relu.outputs and call.ops == [*a.ops, *relu.ops]
    assert add.path == pool.path == flat.path == "" and add.module is graph.call.module


def test_constants_and_options():
    mask = tc.ones(5)
    graph, names = traced(lambda net, x: tc.cat([x * mask, x * 2.0], dim=2))
    assert names == ["Mul", "Mul", "Cat"] and graph.ops[2].options == {"dim": 2}
    constant = graph.ops[0].args[1]
    assert constant.array is mask.array and constant.name == "" and constant.op is None
    assert graph.ops[0].inputs == graph.inputs


def test_several_outputs_and_modules_made_on_the_way():
    graph, names = traced(lambda net, x: (nn.ReLU()(x), None, x.max(1)[0]))
    assert [y.shape for y in graph.outputs] == [(1, 2, 6, 5), (1, 6, 5)]
    assert graph.ops[0].path == "ReLU" and graph.call.parts[0] is graph.ops[0]


def test_buffers_and_dtypes():
    graph, _ = traced(lambda net, x: net.bn(x), bn=nn.BatchNorm2d(2).double())
    named = [(a.name, a.dtype) for a in graph.ops[0].args[:5]]
    assert [name for name, _ in named] == [
        "input", "bn.running_mean", "bn.running_var", "bn.weight", "bn.bias"
    ]  # fmt: skip
    assert {dtype for _, dtype in named} == {tc.float64} and graph.outputs[0].dtype == tc.float64


def test_a_failure_leaves_the_network_as_it_was():
    net = Net(lambda net, x: net.fc(net.a(x)), a=conv(), fc=nn.Linear(7, 3))
    with pytest.raises(ValueError, match="linear"):
        trace(net, (2, 6, 5))
    assert all(m.training for m in net.modules()) and tc.is_grad_enabled()
    assert not any(m._forward_hooks or m._forward_pre_hooks for m in net.modules())
    assert tc.autograd.modes.state.detector is None and not tc.autograd.modes.state.recomputing
