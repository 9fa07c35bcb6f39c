"""Members of a module: attributes that its tables of parameters, buffers and children name."""

import copy
import pickle
from collections import OrderedDict

import pytest

import tinyconv as tc
import tinyconv.nn as nn


def test_members_may_be_changed_in_their_tables_as_well():
    net = nn.Sequential(OrderedDict(first=nn.Linear(2, 3), second=nn.ReLU()))
    net._modules["first"] = nn.Linear(5, 3)
    assert net.first.in_features == 5 and net(tc.ones(1, 5)).shape == (1, 3)
    weight = nn.Parameter(tc.zeros(3, 5))
    net.first._parameters["weight"] = weight
    assert net.first.weight is weight and next(net.parameters()) is weight
    del net._modules["second"]
    assert not hasattr(net, "second") and len(net) == 1
    del net.first.weight
    assert [name for name, _ in net.named_parameters()] == ["first.bias"]
    with pytest.raises(KeyError, match="weight"):
        net.first._parameters["weight"]


def test_a_copy_of_a_module_has_members_of_its_own():
    net = nn.Sequential(nn.Linear(2, 3), nn.BatchNorm1d(3))
    other = copy.deepcopy(net)
    other[0].weight = nn.Parameter(tc.zeros(4, 2))
    other[1].running_mean.fill_(7)
    del other[1].weight
    assert net[0].weight.shape == (3, 2) and list(net.state_dict()) == list(
        pickle.loads(pickle.dumps(net)).state_dict()
    )
    assert net[1].running_mean.tolist() == [0, 0, 0] and "1.weight" in net.state_dict()


def test_a_shallow_copy_shares_the_members_and_not_the_tables():
    net = nn.Linear(2, 3)
    other = copy.copy(net)
    assert other.weight is net.weight
    other.extra = nn.Parameter(tc.ones(1))
    del other.bias
    assert [name for name, _ in net.named_parameters()] == ["weight", "bias"]
    assert [name for name, _ in other.named_parameters()] == ["weight", "extra"]


def test_a_shallow_copy_has_hooks_of_its_own():
    net, calls = nn.Linear(2, 3), []
    net.register_state_dict_post_hook(lambda *_: calls.append("first"))
    copy.copy(net).register_state_dict_post_hook(lambda *_: calls.append("second"))
    net.state_dict()
    assert calls == ["first"]


def test_tables_read_as_dicts_and_a_name_is_in_one_of_them():
    net = nn.Linear(2, 3)
    assert net._parameters.copy() == dict(net.named_parameters())
    assert repr(net._buffers) == "{}"
    net._buffers["weight"] = tc.zeros(3, 2)
    assert [name for name, _ in net.named_parameters()] == ["bias"]
    net._parameters = {"w": nn.Parameter(tc.ones(1))}
    assert [name for name, _ in net.named_parameters()] == ["w"] and not hasattr(net, "bias")


class Odd(nn.Module):
    """Attributes that could be taken for the module's own."""

    def __init__(self):
        super().__init__()
        self._names = ["a"]
        self.fc = nn.Linear(2, 3)
        self.w = nn.Parameter(tc.ones(1))

    @property
    def w(self):
        return self._parameters["w"]


def test_odd_names():
    net = Odd()
    assert net._names == ["a"] and net.w is dict(net.named_parameters())["w"]
    net.w = None
    assert net.w is None
    del net.w
    assert "w" not in net._parameters
    with pytest.raises(AttributeError, match="'Odd' object has no attribute 'foo'"):
        getattr(net, "foo")  # noqa: B009
    with pytest.raises(AttributeError, match="foo"):
        net.__getattr__("foo")


def test_a_module_dict_lets_go_of_modules_alone():
    net = nn.ModuleDict({"a": nn.ReLU()})
    net.flag = True
    for name in ("training", "flag", "b"):
        with pytest.raises(KeyError, match=name):
            del net[name]
    del net["a"]
    assert len(net) == 0 and net.flag


def test_batch_norm_of_no_images_and_without_a_count():
    norm = nn.BatchNorm2d(3)
    norm.num_batches_tracked = None
    norm(tc.randn(2, 3, 4, 5))
    x = tc.zeros(0, 3, 4, 5, requires_grad=True)
    y = norm.eval()(x)
    y.sum().backward()
    assert y.shape == x.grad.shape == (0, 3, 4, 5)
