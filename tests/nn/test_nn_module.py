"""Module: the tree, its names and their order, state, hooks, copies, and what it refuses."""

import copy
import pickle
from collections import OrderedDict

import numpy as np
import pytest

import tinyconv as tc
import tinyconv.nn as nn
import tinyconv.nn.functional as F


class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.conv = nn.Conv2d(1, 2, (3, 2))
        self.bn = nn.BatchNorm2d(2)
        self.scale = nn.Parameter(tc.ones(1))
        self.head = nn.Sequential(nn.Flatten(), nn.Linear(24, 3, bias=False))

    def forward(self, x):
        return self.head(F.relu(self.bn(self.conv(x)))) * self.scale


NAMES = ["scale", "conv.weight", "conv.bias", "bn.weight", "bn.bias", "head.1.weight"]


def images(n=4):
    return tc.randn(n, 1, 5, 5)


# -- names and order ----------------------------------------------------------------------
def test_parameters_come_in_the_order_of_registration():
    assert [name for name, _ in Net().named_parameters()] == NAMES
    assert len(list(Net().parameters())) == len(NAMES)
    assert [n for n, _ in Net().named_parameters(prefix="net", recurse=False)] == ["net.scale"]


def test_modules_children_and_buffers():
    net = Net()
    assert [n for n, _ in net.named_modules()] == ["", "conv", "bn", "head", "head.0", "head.1"]
    assert [n for n, _ in net.named_children()] == ["conv", "bn", "head"]
    assert [n for n, _ in net.named_buffers()] == [
        "bn.running_mean", "bn.running_var", "bn.num_batches_tracked",
    ]  # fmt: skip
    assert net.get_submodule("head.1") is net.head[1] and net.get_submodule("") is net
    with pytest.raises(AttributeError, match="Sequential has no child '7' \\('head.7'\\)"):
        net.get_submodule("head.7")


def test_replacing_a_parameter_or_module_keeps_its_place():
    layer = nn.Linear(2, 3)
    layer.weight = nn.Parameter(tc.zeros(3, 2))
    assert [n for n, _ in layer.named_parameters()] == ["weight", "bias"]
    net = Net()
    net.conv = nn.Conv2d(1, 2, 3)
    assert [n for n, _ in net.named_children()] == ["conv", "bn", "head"]


def test_a_shared_module_is_listed_once_and_saved_under_both_names():
    shared = nn.Linear(2, 2)
    net = nn.Sequential(shared, nn.ReLU(), shared)
    assert len(list(net.parameters())) == 2
    assert list(net.state_dict()) == ["0.weight", "0.bias", "2.weight", "2.bias"]
    x = tc.randn(3, 2)
    np.testing.assert_allclose(net(x).detach().numpy(), shared(F.relu(shared(x))).detach().numpy())


def test_a_shared_parameter_is_listed_once():
    a, b = nn.Linear(2, 2), nn.Linear(2, 2)
    b.weight = a.weight
    assert len(list(nn.Sequential(a, b).parameters())) == 3


# -- state --------------------------------------------------------------------------------
def test_the_state_goes_round():
    a, b = Net(), Net()
    a(images())
    b.load_state_dict(a.state_dict())
    x = images()
    assert tc.equal(a.eval()(x), b.eval()(x))
    assert b.bn.num_batches_tracked.item() == 1


def test_the_state_shares_memory_and_carries_no_gradient():
    net = Net()
    state = net.state_dict()
    assert not any(t.requires_grad for t in state.values())
    state["scale"].fill_(7)
    assert net.scale.item() == 7.0


def test_loading_copies_values_and_bumps_the_version():
    net = Net()
    state = {k: v.numpy().copy() for k, v in net.state_dict().items()}  # plain arrays will do
    weight, version = net.conv.weight, net.conv.weight._version
    net.load_state_dict(state)
    assert net.conv.weight is weight and weight._version > version
    state["conv.weight"][:] = 0
    assert weight.detach().numpy().any()


def test_one_report_of_missing_unexpected_and_misshaped_names_and_nothing_changed():
    net = Net()
    before = {k: v.numpy().copy() for k, v in net.state_dict().items()}
    state = {k: tc.full(v.shape, 9.0) for k, v in before.items()}
    del state["bn.weight"], state["head.1.weight"]
    state["conv.weight"] = tc.zeros(2, 1, 5, 5)
    state["fc.weight"] = tc.zeros(1)
    with pytest.raises(RuntimeError) as caught:
        net.load_state_dict(state)
    message = str(caught.value)
    assert "does not fit Net; nothing was loaded" in message
    wrong, missing, unexpected = (
        message.index(w) for w in ("wrong shape:", "missing:", "unexpected:")
    )
    assert wrong < message.index("conv.weight: file [2, 1, 5, 5], model [2, 1, 3, 2]") < missing
    assert missing < message.index("bn.weight [2]") < message.index("head.1.weight") < unexpected
    assert message.index("fc.weight") > unexpected
    for name, value in net.state_dict().items():
        np.testing.assert_array_equal(value.numpy(), before[name])


def test_values_that_are_no_numbers_change_nothing():
    layer = nn.Linear(1, 2)
    before = layer.bias.tolist()
    with pytest.raises((RuntimeError, TypeError, ValueError), match="weight"):
        layer.load_state_dict({"bias": tc.full((2,), 9.0), "weight": np.array([["a"], ["b"]])})
    assert layer.bias.tolist() == before


def test_a_counter_of_another_shape_is_told_too():
    layer = nn.BatchNorm2d(3)
    state = layer.state_dict() | {"num_batches_tracked": np.zeros(1)}
    with pytest.raises(RuntimeError, match=r"num_batches_tracked: file \[1\], model \[\]"):
        layer.load_state_dict(state)


def test_loading_without_strict_tells_what_it_left_out():
    net = Net()
    missing, unexpected = net.load_state_dict({"scale": tc.tensor([3.0]), "x": tc.ones(1)}, False)
    assert unexpected == ["x"] and "conv.weight" in missing and net.scale.item() == 3
    with pytest.raises(RuntimeError, match="wrong shape"):
        net.load_state_dict({"scale": tc.ones(2)}, strict=False)


def test_loading_casts_to_the_models_dtype():
    net = nn.Linear(2, 1)
    net.load_state_dict({"weight": np.ones((1, 2)), "bias": np.ones(1)})
    assert net.weight.dtype == np.float32


def test_buffers_that_are_not_persistent_are_not_saved():
    module = nn.Module()
    module.register_buffer("kept", tc.ones(1))
    module.register_buffer("scratch", tc.ones(2), persistent=False)
    assert list(module.state_dict()) == ["kept"]
    assert [n for n, _ in module.named_buffers()] == ["kept", "scratch"]
    module.scratch = tc.zeros(3)
    assert module.scratch.shape == (3,) and list(module.state_dict()) == ["kept"]
    module.kept = None
    assert list(module.state_dict()) == []


# -- modes and dtypes ---------------------------------------------------------------------
def test_train_eval_and_freezing_reach_everything():
    net = Net().eval()
    assert not any(m.training for m in net.modules())
    assert all(m.training for m in net.train().modules())
    net.requires_grad_(False)
    assert not net(images()).requires_grad


def test_zero_grad():
    net = Net()
    net(images()).sum().backward()
    net.zero_grad(set_to_none=False)
    assert all(not p.grad.numpy().any() for p in net.parameters())
    net.zero_grad()
    assert all(p.grad is None for p in net.parameters())


@pytest.mark.parametrize("convert", [nn.Module.double, lambda m: m.to(tc.float64),
                                     lambda m: m.to(dtype=tc.double),
                                     lambda m: m.to("cpu", tc.float64),
                                     lambda m: m.to(tc.zeros(1, dtype=tc.float64))])  # fmt: skip
def test_converting_changes_floats_in_place(convert):
    net = Net()
    net(images()).sum().backward()
    parameters = list(net.parameters())
    assert convert(net) is net
    assert all(a is b for a, b in zip(parameters, net.parameters()))
    assert {p.dtype for p in net.parameters()} == {p.grad.dtype for p in parameters} == {tc.float64}
    assert net.bn.running_mean.dtype == tc.float64 and net.bn.num_batches_tracked.dtype == tc.int64
    assert net(images().double()).dtype == tc.float64 and net.float().scale.dtype == tc.float32


def test_converting_to_what_cannot_be_is_refused():
    for call, error in [
        (lambda m: m.to(tc.int64), TypeError), (lambda m: m.cuda(), RuntimeError),
        (lambda m: m.to("cuda:0"), RuntimeError),
    ]:  # fmt: skip
        with pytest.raises(error):
            call(Net())
    assert Net().cpu() is not None and Net().to("cpu").scale.dtype == tc.float32


# -- hooks and apply ----------------------------------------------------------------------
def test_forward_hooks_see_and_replace():
    layer, seen = nn.Linear(2, 2), []
    layer.register_forward_pre_hook(lambda m, args: (args[0] * 0,))
    handle = layer.register_forward_hook(lambda m, args, y: seen.append((args[0].tolist(), y)))
    last = layer.register_forward_hook(lambda m, args, y: y + 100)
    y = layer(tc.ones(1, 2))
    np.testing.assert_allclose(y.detach().numpy()[0], layer.bias.detach().numpy() + 100)
    assert seen[0][0] == [[0, 0]]
    handle.remove(), last.remove()
    layer(tc.ones(1, 2))
    assert len(seen) == 1


def test_a_pre_hook_may_return_one_bare_value():
    layer = nn.Identity()
    layer.register_forward_pre_hook(lambda m, args: args[0] + 1)
    assert layer(tc.zeros(1)).item() == 1


def test_backward_hooks_see_both_gradients():
    layer, seen = nn.Linear(2, 1, bias=False), []
    layer.register_full_backward_hook(
        lambda m, gi, go: seen.append((gi[0].tolist(), go[0].tolist()))
    )
    x = tc.ones(1, 2, requires_grad=True)
    (layer(x) * 3).sum().backward()
    ((gi, go),) = seen
    assert go == [[3]]
    np.testing.assert_allclose(gi, 3 * layer.weight.detach().numpy())


def test_apply_visits_children_first_and_returns_the_module():
    order = []
    net = Net()
    assert net.apply(lambda m: order.append(type(m).__name__)) is net
    assert order == ["Conv2d", "BatchNorm2d", "Flatten", "Linear", "Sequential", "Net"]


# -- copies -------------------------------------------------------------------------------
def test_deep_copies_share_nothing():
    net = Net()
    net(images())
    other = copy.deepcopy(net)
    assert [n for n, _ in other.named_parameters()] == NAMES
    for a, b in zip(net.state_dict().values(), other.state_dict().values()):
        assert tc.equal(a, b) and not np.shares_memory(a.array, b.array)
    assert type(other.scale) is nn.Parameter and other.scale.requires_grad


def test_pickles_give_the_same_results():
    net = Net().eval()
    x = images()
    assert tc.equal(pickle.loads(pickle.dumps(net))(x), net(x))
    for layer in (nn.ReLU(), nn.GELU("tanh"), nn.MaxPool2d(2), nn.CrossEntropyLoss(), nn.Dropout()):
        assert repr(pickle.loads(pickle.dumps(layer))) == repr(layer)
    assert all(pickle.loads(pickle.dumps(f)) is f for f in (getattr(F, n) for n in F.__all__))


def test_copies_keep_sharing():
    a = nn.Linear(2, 2)
    b = nn.Linear(2, 2)
    b.weight = a.weight
    for net in (
        copy.deepcopy(nn.Sequential(a, b)),
        pickle.loads(pickle.dumps(nn.Sequential(a, b))),
    ):
        assert net[0].weight is net[1].weight


# -- printing -----------------------------------------------------------------------------
def test_how_a_net_prints():
    assert repr(Net()) == (
        "Net(\n"
        "  (conv): Conv2d(1, 2, kernel_size=(3, 2), stride=(1, 1))\n"
        "  (bn): BatchNorm2d(2, eps=1e-05, momentum=0.1, affine=True, "
        "bias=True, track_running_stats=True)\n"
        "  (head): Sequential(\n"
        "    (0): Flatten(start_dim=1, end_dim=-1)\n"
        "    (1): Linear(in_features=24, out_features=3, bias=False)\n"
        "  )\n"
        ")"
    )


@pytest.mark.parametrize(
    "layer, text",
    [
        (nn.ReLU(), "ReLU()"),
        (nn.ReLU(inplace=True), "ReLU(inplace=True)"),
        (nn.LeakyReLU(0.2), "LeakyReLU(negative_slope=0.2)"),
        (nn.Dropout(0.3), "Dropout(p=0.3, inplace=False)"),
        (nn.MaxPool2d(2),
         "MaxPool2d(kernel_size=2, stride=2, padding=0, dilation=1, ceil_mode=False)"),
        (nn.AvgPool2d((2, 3), 1), "AvgPool2d(kernel_size=(2, 3), stride=1, padding=0)"),
        (nn.AdaptiveAvgPool2d(1), "AdaptiveAvgPool2d(output_size=1)"),
        (nn.Conv2d(4, 6, 3, 2, 1, 2, 2, bias=False),
         "Conv2d(4, 6, kernel_size=(3, 3), stride=(2, 2), padding=(1, 1), dilation=(2, 2), "
         "groups=2, bias=False)"),
        (nn.Identity(), "Identity()"),
    ],
)  # fmt: skip
def test_how_layers_print(layer, text):
    assert repr(layer) == text


# -- refusals -----------------------------------------------------------------------------
def test_assigning_before_init_is_refused():
    class Early(nn.Module):
        def __init__(self):
            self.weight = nn.Parameter(tc.ones(1))

    with pytest.raises(AttributeError, match=r"Early: call super\(\).__init__\(\) before"):
        Early()


def test_a_missing_attribute_raises():
    with pytest.raises(AttributeError, match="'Net' object has no attribute 'nothing'"):
        _ = Net().nothing
    assert not hasattr(Net(), "nothing") and "conv" in dir(Net())


@pytest.mark.parametrize(
    "call, error, words",
    [
        (
            lambda m: setattr(m, "scale", tc.ones(1)),
            TypeError,
            "'scale' is a Parameter.*got Tensor",
        ),
        (lambda m: setattr(m, "conv", tc.ones(1)), TypeError, "'conv' is a Module"),
        (lambda m: m.register_buffer("a.b", tc.ones(1)), KeyError, "without dots"),
        (lambda m: m.register_buffer("scale", tc.ones(1)), KeyError, "exists already"),
        (lambda m: m.register_parameter("", None), KeyError, "not empty"),
        (lambda m: m.register_buffer("b", np.ones(1)), TypeError, "b"),
        (lambda m: m.register_parameter("p", tc.ones(1)), TypeError, "p"),
        (lambda m: m.add_module("m", tc.ones(1)), TypeError, "m"),
        (lambda m: nn.Module()(1), NotImplementedError, "Module has no forward"),
    ],
)
def test_registrations_that_are_refused(call, error, words):
    net = Net()
    with pytest.raises(error, match=words):
        call(net)
    assert [n for n, _ in net.named_parameters()] == NAMES


def test_deleting_a_parameter_and_a_child():
    net = Net()
    del net.scale, net.head
    assert [n for n, _ in net.named_parameters()] == NAMES[1:5]
    net.bias = None
    net.register_parameter("weight", None)
    assert net.weight is None and list(net.state_dict())[0] == "conv.weight"


# -- containers ---------------------------------------------------------------------------
def test_sequential():
    net = nn.Sequential(nn.Linear(2, 3), nn.ReLU(), nn.Linear(3, 1))
    assert len(net) == 3 and net[-1] is net[2] and [type(m).__name__ for m in net][1] == "ReLU"
    assert net(tc.ones(4, 2)).shape == (4, 1)
    assert isinstance(net[:2], nn.Sequential) and len(net[:2]) == 2 and net[:2][0] is net[0]
    net[1] = nn.Tanh()
    net.append(nn.Sigmoid())
    assert repr(net[1]) == "Tanh()" and len(net) == 4
    assert list(nn.Sequential(OrderedDict(a=nn.ReLU(), b=nn.Tanh()))._modules) == ["a", "b"]
    with pytest.raises(IndexError, match="index 4 is out of range for 4 modules"):
        net[4]


def test_replacing_a_layer_by_name_keeps_the_order_of_computation():
    net = nn.Sequential(OrderedDict(first=nn.Linear(2, 3), second=nn.Linear(3, 4)))
    net.first = nn.Linear(5, 3)
    assert net(tc.ones(1, 5)).shape == (1, 4)
    net.second = nn.Linear(3, 6)
    assert net(tc.ones(1, 5)).shape == (1, 6)


def test_module_list_and_dict():
    layers = nn.ModuleList(nn.Linear(2, 2) for _ in range(2))
    layers.append(nn.ReLU())
    layers.extend([nn.Tanh()])
    assert len(layers) == 4 and len(layers[1:]) == 3 and len(list(layers.parameters())) == 4
    table = nn.ModuleDict({"a": nn.ReLU(), "b": nn.Linear(2, 2)})
    table["a"] = nn.Tanh()
    assert list(table) == list(table.keys()) == ["a", "b"] and "b" in table and len(table) == 2
    table.update({"c": nn.Identity()})
    del table["b"]
    assert [k for k, _ in table.items()] == ["a", "c"] and len(list(table.values())) == 2


# -- idioms of PyTorch's ----------------------------------------------------------------------
def test_overridden_train_of_a_child_has_its_word():
    class Frozen(nn.BatchNorm2d):
        def train(self, mode=True):
            return super().train(False)

    net = nn.Sequential(Frozen(2), nn.ReLU()).train()
    assert net.training and not net[0].training and net[1].training
    with pytest.raises(ValueError, match="mode must be"):
        net.train("yes")


def test_the_same_module_and_parameter_twice():
    layer = nn.Linear(2, 2)
    net = nn.ModuleDict({"a": layer, "b": layer})
    assert [n for n, _ in net.named_modules()] == ["", "a"]
    assert [n for n, _ in net.named_modules(remove_duplicate=False)] == ["", "a", "b"]
    assert len(list(net.named_parameters(remove_duplicate=False))) == 4
    assert len(list(net.parameters())) == 2 and len(list(net.children())) == 1
    assert list(net.state_dict()) == ["a.weight", "a.bias", "b.weight", "b.bias"]


def test_members_by_dotted_paths():
    net = nn.Sequential(nn.Conv2d(1, 2, 3), nn.BatchNorm2d(2))
    assert net.get_parameter("0.bias") is net[0].bias
    assert net.get_buffer("1.running_var") is net[1].running_var
    net.set_submodule("1", nn.Identity())
    assert isinstance(net[1], nn.Identity)
    for call in (lambda: net.get_parameter("0.scale"), lambda: net.get_buffer("0.bias")):
        with pytest.raises(AttributeError, match="Conv2d has no"):
            call()


def test_assigning_a_state_takes_its_tensors():
    net, state = nn.Linear(2, 3), {"weight": tc.ones(3, 2), "bias": np.zeros(3)}
    old = net.weight
    net.load_state_dict(state, assign=True)
    assert isinstance(net.weight, nn.Parameter) and net.weight is not old
    assert net.weight.requires_grad and net.bias.dtype == np.float64
    state["weight"][0, 0] = 5
    assert net.weight[0, 0] == 5
    with pytest.raises(RuntimeError, match="wrong shape"):
        net.load_state_dict({"weight": tc.ones(2, 2), "bias": tc.ones(3)}, assign=True)


def test_a_state_that_cannot_be_assigned_changes_nothing():
    net = nn.Linear(2, 1)
    weight, state = net.weight, {"weight": tc.ones(1, 2), "bias": tc.ones(1, dtype=tc.int64)}
    with pytest.raises(RuntimeError, match="only floating point"):
        net.load_state_dict(state, assign=True)
    assert net.weight is weight


def test_read_only_and_expanded_targets_are_told_and_nothing_is_loaded():
    net = nn.Linear(2, 3)
    net.bias = nn.Parameter(tc.zeros(1).expand(3))
    net.bias.data = tc.zeros(1).expand(3)
    before, state = net.weight.tolist(), {"weight": tc.ones(3, 2), "bias": tc.ones(3)}
    with pytest.raises(RuntimeError, match=r"(?s)nothing was loaded.*read-only.*\n  bias \[3\]"):
        net.load_state_dict(state)
    assert net.weight.tolist() == before
    net.load_state_dict(state, assign=True)
    assert net.bias.tolist() == [1, 1, 1]


def test_load_hooks_may_report():
    net = nn.Linear(2, 2)

    def report(module, state, prefix, metadata, strict, missing, unexpected, errors):
        missing.append("scale")
        unexpected.append("shift")
        if "weight" not in state:
            errors.append("the file is of version 1")

    net.register_load_state_dict_pre_hook(report)
    state = net.state_dict()
    assert net.load_state_dict(state, strict=False) == (["scale"], ["shift"])
    with pytest.raises(RuntimeError, match=r"(?s)missing:\n  scale\nunexpected:\n  shift"):
        net.load_state_dict(state)
    with pytest.raises(RuntimeError, match="the file is of version 1"):
        net.load_state_dict({}, strict=False)


def test_load_hooks_may_rename():
    net, order = nn.Sequential(nn.Linear(2, 2)), []

    def rename(module, state, prefix, metadata, strict, missing, unexpected, errors):
        order.append(prefix)
        if f"{prefix}w" in state:
            state[f"{prefix}weight"] = state.pop(f"{prefix}w")

    net[0].register_load_state_dict_pre_hook(rename)
    net.register_load_state_dict_post_hook(lambda module, result: order.append(result))
    given = {"0.w": tc.ones(2, 2), "0.bias": tc.zeros(2)}
    net.load_state_dict(given)
    assert net[0].weight.tolist() == [[1, 1], [1, 1]] and "0.w" in given
    assert order[0] == "0." and order[1] == ([], [])


def test_lists_are_changed_as_lists_are():
    a, b, c, d = nn.ReLU(), nn.Tanh(), nn.Sigmoid(), nn.Identity()
    for members in (nn.ModuleList([a, b, c]), nn.Sequential(a, b, c)):
        members.insert(1, d)
        assert list(members) == [a, d, b, c] and members.pop(0) is a
        del members[-1]
        assert list(members) == [d, b] and list(members._modules) == ["0", "1"]
        members += [c]
        assert list(members + nn.ModuleList([a])) == [d, b, c, a] and len(members) == 3
        members[-1] = a
        assert members[-1] is a and list(members[1:]) == [b, a]
    named = nn.Sequential(OrderedDict(x=a, y=b, z=c))
    del named[1]
    assert list(named._modules) == ["0", "1"] and list(named) == [a, c]  # as in PyTorch


def test_adding_to_a_slice_loses_no_module():
    a, b, c = nn.ReLU(), nn.Tanh(), nn.Sigmoid()
    net = nn.Sequential(a, b)
    joined = net[1:] + nn.Sequential(c)
    assert list(joined) == [b, c] and list(joined._modules) == ["0", "1"]  # as in PyTorch
    longer = net[1:]
    longer += [c]
    for part in (net[1:].append(c), longer):
        assert list(part) == [b, c] and list(part._modules) == ["1", "2"]
    assert list(net) == [a, b]


def test_lists_and_dicts_of_parameters():
    weights = nn.ParameterList([tc.ones(2, 3), nn.Parameter(tc.zeros(1), requires_grad=False)])
    weights.append(tc.ones(4))
    assert [n for n, _ in weights.named_parameters()] == ["0", "1", "2"] and len(weights) == 3
    assert weights[0].requires_grad and not weights[1].requires_grad and weights[-1].shape == (4,)
    assert "  (0): Parameter containing: [float32 of size 2x3]\n" in repr(weights)
    table = nn.ParameterDict({"a": tc.ones(2)})
    table["b"] = nn.Parameter(tc.zeros(3))
    table.update({"c": tc.ones(1)})
    assert list(table) == ["a", "b", "c"] and "b" in table and table.pop("c").shape == (1,)
    assert set(table.state_dict()) == {"a", "b"} and {table: 1}[table] == 1
    with pytest.raises(TypeError, match="must be a Parameter"):
        weights.append(3)


def test_empty_and_frozen_parameters():
    assert nn.Parameter().shape == (0,) and nn.Parameter(tc.Tensor(2, 3)).shape == (2, 3)
    index = nn.Parameter(tc.arange(3), requires_grad=False)
    assert index.dtype == np.int64 and not index.requires_grad


def test_half_precision_is_refused_and_a_device_is_named():
    net = nn.Linear(2, 2)
    for call in (net.half, lambda: net.to(np.float16), lambda: net.type("float16")):
        with pytest.raises(TypeError, match="float16 is not supported"):
            call()
    with pytest.raises(RuntimeError, match="CPU only"):
        net.cuda()
    assert net.to("cpu", True) is net and net.weight.dtype == np.float32


def test_members_are_printed_under_what_the_module_says_of_itself():
    class Named(nn.Module):
        def __init__(self):
            super().__init__()
            self.act = nn.ReLU()

        def extra_repr(self):
            return "first\nsecond"

    assert repr(Named()) == "Named(\n  first\n  second\n  (act): ReLU()\n)"
