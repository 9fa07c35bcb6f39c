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
