"""Every network against the papers: parameters, multiply-adds, and the shape after each stage.

``architectures.json`` holds the figures: input, trained parameters without and with auxiliary
classifiers, MACs of convolutions and linear layers for one image, and (C, H, W) after each stage.
"""

import copy
import inspect
import json
import math
import pickle
from pathlib import Path

import pytest

import tinyconv as tc
from tinyconv import models, nn
from tinyconv.models.registry import find
from tinyconv.models.trace import trace

ZOO = json.loads(Path(__file__).with_name("architectures.json").read_text())
ALL = [*ZOO, "zfnet"]


def made(name, **options):
    with nn.init.skip_init():
        return models.get_model(name, **options)


def parameters(net):
    return sum(p.numel() for p in net.parameters() if p.requires_grad)


def macs(graph):
    """N O Ho Wo (C / groups) kh kw of every convolution, one per weight of every linear layer."""
    total = 0
    for op in graph.ops:
        if op.function.__name__ in ("Conv2d", "Linear"):
            _, w, *_ = op.args
            total += math.prod(op.outputs[0].shape[1:]) * math.prod(w.shape[1:])
    return total


def test_all_are_there():
    assert sorted(models.list_models()) == sorted(ALL)
    assert all(getattr(models, name) is find(name).make for name in ALL)
    assert all(find(name).about for name in ALL)


@pytest.mark.parametrize("name", ZOO)
def test_parameters_macs_and_stages(name):
    paper = ZOO[name]
    net = made(name, aux_logits=False) if "with_aux" in paper else made(name)
    assert find(name).input == tuple(paper["input"])
    assert parameters(net) == paper["params"]
    graph = trace(net, paper["input"])
    assert macs(graph) == paper["macs"]
    made_shapes = ((*v.shape[1:], 1, 1)[:3] for op in graph.ops for v in op.outputs)
    for stage, *shape in paper["stages"]:  # in this order, other ops between them
        assert tuple(shape) in made_shapes, f"no op behind those before gives {stage} {shape}"
    classes = paper["stages"][-1][1]
    assert graph.outputs[0].shape == (1, classes)


@pytest.mark.parametrize("name", [name for name in ZOO if "with_aux" in ZOO[name]])
def test_auxiliary_classifiers(name):
    net = made(name, aux_logits=True)
    assert parameters(net) == ZOO[name]["with_aux"] and 0 < net.aux_weight < 1
    image = ZOO[name]["input"]
    assert [v.shape for v in trace(net, image).outputs] == [(1, 1000)]
    assert macs(trace(net, image)) == ZOO[name]["macs"]  # they rest
    outputs = trace(net, (2, *image), training=True).outputs
    assert {v.shape for v in outputs} == {(2, 1000)} and len(outputs) > 1


@pytest.mark.parametrize("name", ALL)
def test_any_channels_and_classes(name):
    C, H, W = find(name).input
    net = made(name, in_channels=C + 1, num_classes=7)
    assert trace(net, (2, C + 1, H, W)).outputs[0].shape == (2, 7)


def test_names_are_forgiving():
    assert find("ResNet-50").name == "resnet50" and find("lenet5").name == "lenet5_28pad2"
    with pytest.raises(ValueError, match="unknown model 'resnet5'; did you mean"):
        models.get_model("resnet5")
    with pytest.raises(ValueError, match="`tinyconv models` lists them all"):
        models.get_model("?")


@pytest.mark.parametrize(
    "name, options, error, words",
    [
        ("resnet18", {"depth": 34}, TypeError, "resnet18 has no option 'depth'; it has shortcut"),
        ("lenet5", {"num_classes": 0}, ValueError, "num_classes=0 must be at least 1"),
        ("nin_cifar10", {"in_channels": -1}, ValueError, "in_channels=-1 must be at least 1"),
        ("googlenet", {"aux_dropout": 3}, ValueError, "aux_dropout=3 must be a probability"),
        ("densenet121", {"dropout": -0.1}, ValueError, "dropout=-0.1 must be a probability"),
    ],
)
def test_options_that_no_network_has(name, options, error, words):
    with pytest.raises(error, match=words):
        made(name, **options)


def test_functions_show_their_own_options():
    options = inspect.signature(models.googlenet_torchvision).parameters
    assert (options["window"].default, options["dropout"].default) == (3, 0.2)
    assert list(inspect.signature(models.lenet5_modern).parameters) == [
        "in_channels", "num_classes", "padding"
    ]  # fmt: skip


@pytest.mark.parametrize("name", ["googlenet", "mobilenet_v1_0_25", "lenet5_original", "facenet"])
def test_copies_and_pickles_fit(name):
    net = made(name)
    shapes = {path: t.shape for path, t in net.state_dict().items()}
    for other in (copy.deepcopy(net), pickle.loads(pickle.dumps(net))):
        assert {path: t.shape for path, t in other.state_dict().items()} == shapes
        net.load_state_dict(other.state_dict())
    assert pickle.loads(pickle.dumps(find(name).make)) is find(name).make


def test_aliases_and_names_do_not_clash():
    spellings = [s for name in ALL for s in (name, *find(name).aliases)]
    plain = [s.lower().replace("_", "") for s in spellings]
    assert len(set(plain)) == len(plain)


def test_blank_networks_draw_nothing():
    tc.manual_seed(3)
    first = tc.rand(1)
    tc.manual_seed(3)
    net = made("vgg11")
    assert tc.equal(tc.rand(1), first)
    assert not net.state_dict()["classifier.6.weight"].any()
    drawn = models.get_model("lenet5")
    assert all(p.any() for p in drawn.parameters())  # behind the block they draw again


def test_short_names_are_functions_too():
    short = {alias: name for name in ALL for alias in find(name).aliases}
    assert len(short) >= 19
    assert all(getattr(models, alias) is find(name).make for alias, name in short.items())
