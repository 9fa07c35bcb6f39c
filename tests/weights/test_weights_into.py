"""load_into: shapes that are made to fit, heads, order; and what is told when nothing fits."""

import numpy as np
import pytest

import tinyconv as tc
from tinyconv import nn
from tinyconv.weights import into, load_into, looks_like, save_file
from tinyconv.weights.into import network


def blank(name, **options):
    with nn.init.skip_init():
        return tc.models.get_model(name, **options)


def values(model):
    """A state of the model's shapes, each entry with a number of its own."""
    own = model.state_dict()
    return {n: np.full(v.shape, i + 1, v.dtype) for i, (n, v) in enumerate(own.items())}


def unchanged(model):
    return not any(v.array.any() for v in model.state_dict().values() if v.ndim > 1)


def test_counters_may_be_missing():
    model = blank("resnet18")
    state = {n: v for n, v in values(model).items() if not n.endswith("num_batches_tracked")}
    load_into(model, state)
    assert model.bn1.num_batches_tracked.item() == 0 and model.fc.bias.array.all()
    assert blank("resnet18").load_state_dict(state).missing_keys == []


def test_linear_layers_kept_as_convolutions():
    model = nn.Sequential(nn.Flatten(), nn.Linear(2 * 3 * 4, 5), nn.ReLU(), nn.Conv2d(5, 6, 1))
    state = values(model)
    state["1.weight"] = np.arange(120, dtype=np.float32).reshape(5, 2, 3, 4)
    state["3.weight"] = np.arange(30, dtype=np.float32).reshape(6, 5)
    load_into(model, state)
    np.testing.assert_array_equal(model[1].weight.array, np.arange(120).reshape(5, 24))
    np.testing.assert_array_equal(model[3].weight.array[:, :, 0, 0], np.arange(30).reshape(6, 5))


def test_the_background_of_1001_classes_is_left_out():
    model = blank("squeezenet1_1")
    state = values(model)
    for name in ("classifier.1.weight", "classifier.1.bias"):
        state[name] = np.arange(1001, dtype=np.float32).reshape(-1, *[1] * (state[name].ndim - 1))
        state[name] = np.broadcast_to(state[name], (1001, *model.state_dict()[name].shape[1:]))
    load_into(model, state)
    np.testing.assert_array_equal(model.classifier[1].bias.array, np.arange(1, 1001))
    np.testing.assert_array_equal(model.classifier[1].weight.array[:, 3, 0, 0], np.arange(1, 1001))


def test_biases_that_a_batch_norm_takes_away():
    """As Keras' ResNets have them: the results stay the same."""

    class Net(nn.Module):
        def __init__(self, bias):
            super().__init__()
            self.conv2 = nn.Conv2d(2, 3, 1, bias=bias)
            self.bn2 = nn.BatchNorm2d(3)
            self.downsample = nn.Sequential(nn.Conv2d(3, 4, 2, bias=bias), nn.BatchNorm2d(4))

        def forward(self, x):
            return self.downsample(self.bn2(self.conv2(x)))

    tc.manual_seed(2)
    first, x = Net(True).eval(), tc.randn(2, 2, 5, 6)
    with tc.no_grad():
        for tensor in (*first.parameters(), *first.buffers()):
            if tensor.dtype == tc.float32:
                tensor.uniform_(0.5, 1.5)
        second = load_into(Net(False), first.state_dict()).eval()
        np.testing.assert_allclose(second(x).numpy(), first(x).numpy(), rtol=2e-5)
    with pytest.raises(RuntimeError, match=r"unexpected:\n  bn2.bias2"):
        load_into(Net(False), {**first.state_dict(), "bn2.bias2": tc.ones(3)})


def test_another_number_of_classes():
    model, state = blank("resnet18", num_classes=7), values(blank("resnet18"))
    with pytest.raises(RuntimeError) as caught:
        load_into(model, state)
    message = str(caught.value)
    assert message.startswith("load_into: looks like resnet18, as the model does\n")
    assert (
        "hint: the state is for 1000 classes, the model has 7: build it with num_classes=1000"
        in (message)
    )
    assert "load_into(model, state, head=False)" in message and unchanged(model)
    assert "fc.weight: file [1000, 512], model [7, 512]" in message
    load_into(model, state, head=False)
    assert not model.fc.weight.array.any() and not model.fc.bias.array.any()
    assert model.layer4[1].bn2.bias.array.all()


def test_auxiliary_classifiers():
    full, plain = blank("inception_v3"), blank("inception_v3", aux_logits=False)
    state = values(full)
    load_into(plain, state)
    assert plain.fc.bias.array[0] == state["fc.bias"][0]
    without = {n: v for n, v in state.items() if not n.startswith("AuxLogits")}
    with pytest.raises(RuntimeError, match="looks like inception_v3, as the model does") as caught:
        load_into(full, without)
    assert "no auxiliary classifiers: build the model with aux_logits=False" in str(caught.value)
    with pytest.raises(RuntimeError, match="has auxiliary .* aux_logits=True, or leave them out"):
        plain.load_state_dict(state)
    seven = blank("googlenet_torchvision", num_classes=7)
    load_into(seven, values(blank("googlenet_torchvision")), head=False)
    for untouched in (seven.fc, seven.aux1.fc2, seven.aux2.fc2):
        assert not untouched.weight.array.any()
    assert seven.aux1.fc1.weight.array.all() and seven.inception5b.branch1.bn.weight.array.all()


def test_the_wrong_network_is_named_and_the_model_stays(tmp_path):
    model, path = blank("resnet50"), tmp_path / "w.npz"
    save_file(values(blank("resnet18")), path)
    with pytest.raises(RuntimeError) as caught:
        load_into(model, path)
    lines = str(caught.value).splitlines()
    assert lines[0] == f"{path}: looks like resnet18, the model is resnet50"
    assert lines[1] == "the state does not fit ResNet; nothing was loaded."
    assert "  ... and 16 more" in lines and len(lines) < 30 and unchanged(model)
    with pytest.raises(RuntimeError, match="looks like inception_v4, the model is lenet5"):
        load_into(blank("lenet5"), values(blank("inception_v4")))


def test_strange_states(monkeypatch):
    monkeypatch.setattr(into, "list_models", lambda: ["lenet_caffe", "resnet18"])
    model = blank("lenet_caffe")
    for state, words in (
        ({}, "missing:"),
        (
            {"x": np.ones(3)},
            "hint: hardly a name is common; .* pairs layers by their order with source",
        ),
        ({n: v.astype(str) for n, v in values(model).items()}, "not numbers:"),
        ({n: np.ones(()) for n in values(model)}, r"file \[\], model"),
    ):
        with pytest.raises(RuntimeError, match=words):
            load_into(model, state)
        assert unchanged(model)
    with pytest.raises(ValueError, match="unknown source 'tim'; there are 'order', 'timm vgg'"):
        load_into(model, {}, source="tim")


def test_what_is_no_state():
    model = blank("lenet_caffe")
    for state, kind in (("w.pth", "str"), (None, "NoneType"), ([np.ones(3)], "list")):
        with pytest.raises(TypeError, match=f"got {kind}; tinyconv.weights.load_file"):
            model.load_state_dict(state)
    for load in (model.load_state_dict, lambda state: load_into(model, state)):
        with pytest.raises(RuntimeError, match=r"unexpected:\n  3"):
            load({**values(model), 3: np.ones(2)})


def test_by_order():
    def net():
        return nn.Sequential(
            nn.Conv2d(2, 3, 2), nn.BatchNorm2d(3), nn.Conv2d(3, 4, 1), nn.Flatten(), nn.Linear(4, 5)
        )

    first, second = net(), net()
    names = iter("dcba")
    layers = {}
    state = {}
    for name, value in first.state_dict().items():
        layer, what = name.split(".")
        if layer not in layers:
            layers[layer] = next(names)
        state[f"{layers[layer]}.{what}"] = value
    load_into(second, state, source="order")
    for (name, a), b in zip(first.state_dict().items(), second.state_dict().values()):
        assert tc.equal(a, b), name
    with pytest.raises(RuntimeError, match="weights have 2 convolutions, Sequential has 1"):
        load_into(nn.Sequential(nn.Conv2d(2, 3, 2)), state, source="order")


def test_a_model_of_float64_keeps_its_dtype(tmp_path):
    model, path = tc.models.get_model("lenet5").double(), tmp_path / "w.npz"
    state = {n: np.full(v.shape, 0.1) for n, v in model.state_dict().items()}
    save_file(state, path)
    load_into(model, path)
    assert model.conv1.weight.dtype == np.float64 and model.conv1.weight.array[0, 0, 0, 0] == 0.1
    load_into(model.float(), path)
    assert model.conv1.weight.dtype == np.float32


def test_what_looks_like_nothing(monkeypatch):
    monkeypatch.setattr(into, "list_models", lambda: ["lenet_caffe", "resnet18"])
    assert looks_like({"a": np.ones(3)}) is None and looks_like({}) is None
    narrow = {n: v for n, v in values(blank("resnet18")).items() if "layer3" not in n}
    assert looks_like(narrow) is None


def test_a_network_from_a_file(tmp_path):
    path = tmp_path / "w.npz"
    for name, options in (
        ("googlenet_torchvision", {}), ("resnet18", {"num_classes": 7}), ("mobilenet_v1_0_25", {}),
    ):  # fmt: skip
        model = blank(name, **options)
        save_file(values(model), path)
        found = network(name, path)
        assert not found.training
        assert len(found.fc.bias) == options.get("num_classes", 1000) == len(model.fc.bias)
    plain = values(blank("googlenet_torchvision", aux_logits=False))
    save_file(plain, path)
    assert network("googlenet_torchvision", path).fc.bias.array[0] == plain["fc.bias"][0]


# -- the report of load_state_dict --------------------------------------------------------
def test_long_lists_are_cut():
    model = blank("densenet121")
    with pytest.raises(RuntimeError) as caught:
        model.load_state_dict(values(blank("inception_v3")))
    lines = str(caught.value).splitlines()
    assert len(lines) < 25
    assert sum(line.startswith("  ... and ") for line in lines) == 2
    with pytest.raises(RuntimeError) as caught:
        blank("lenet5").load_state_dict({f"x{i}": np.ones(1) for i in range(9)})
    assert "more" not in str(caught.value).split("unexpected")[1]


def test_hints():
    model = nn.Sequential(nn.Linear(3, 4), nn.Conv2d(1, 2, (3, 4)))
    state = values(model)
    with pytest.raises(RuntimeError, match=r"state's names begin with 'module.'; take it off"):
        model.load_state_dict({f"module.{n}": v for n, v in state.items()})
    wrapped = nn.Module()
    wrapped.net = model
    with pytest.raises(RuntimeError, match=r"model's names begin with 'net.'"):
        wrapped.load_state_dict(state)
    turned = {**state, "0.weight": np.ones((3, 4)), "1.weight": np.ones((3, 4, 1, 2))}
    with pytest.raises(
        RuntimeError, match="right but for the order of their dimensions, as in Ker"
    ):
        model.load_state_dict(turned)
    with pytest.raises(RuntimeError) as caught:
        model.load_state_dict({**state, "0.weight": np.ones((2, 2))})
    assert "hint" not in str(caught.value)
