"""Keras' files in their layouts; a net in NumPy with Keras' own rules is the oracle."""

import json
import zipfile

import numpy as np
import pytest

import tinyconv as tc
from tinyconv.weights import WeightsError, load_file, load_into

h5py = pytest.importorskip("h5py")
RNG = np.random.default_rng(5)
# a convolution 2 x 3 on images 6 x 7 x 2, batch norm, flatten, dense
CONV, BIAS = RNG.normal(size=(2, 3, 2, 4)), RNG.normal(size=4)
NORM = {"gamma": RNG.random(4) + 1, "beta": RNG.normal(size=4),
        "moving_mean": RNG.normal(size=4), "moving_variance": RNG.random(4) + 0.5}  # fmt: skip
DENSE, OFFSET = RNG.normal(size=(5 * 5 * 4, 3)), RNG.normal(size=3)
IMAGES = RNG.normal(size=(2, 6, 7, 2))


def by_keras(x, gamma=True):
    """The net on images (N, H, W, C), in Keras' order of everything."""
    windows = np.lib.stride_tricks.sliding_window_view(x, (2, 3), axis=(1, 2))
    y = np.einsum("nhwcij,ijco->nhwo", windows, CONV) + BIAS
    y = (y - NORM["moving_mean"]) / np.sqrt(NORM["moving_variance"] + 1e-3)
    y = y * (NORM["gamma"] if gamma else 1) + NORM["beta"]
    return y.reshape(len(x), -1) @ DENSE + OFFSET


def net():
    return tc.nn.Sequential(
        tc.nn.Conv2d(2, 4, (2, 3)), tc.nn.BatchNorm2d(4, eps=1e-3), tc.nn.Flatten(),
        tc.nn.Linear(100, 3),
    ).double().eval()  # fmt: skip


LAYERS = {"zz_conv": {"kernel": CONV, "bias": BIAS}, "norm_10": NORM,
          "a_dense": {"kernel": DENSE, "bias": OFFSET}}  # fmt: skip
PLAN = [
    ("InputLayer", "in"), ("Conv2D", "zz_conv"), ("BatchNormalization", "norm_10"),
    ("Flatten", "flat"), ("Dropout", "drop"), ("Dense", "a_dense"),
]  # fmt: skip


def sequential():
    layers = [{"class_name": kind, "config": {"name": name}} for kind, name in PLAN]
    return json.dumps({"class_name": "Sequential", "config": {"layers": layers}})


def graph(newer):
    """The same as a functional model of Keras 2 or 3."""
    layers, before = [], None
    for kind, name in PLAN:
        nodes = []
        if before and newer:
            tensor = {"class_name": "__keras_tensor__", "config": {"keras_history": [before, 0, 0]}}
            nodes = [{"args": [tensor], "kwargs": {}}]
        elif before:
            nodes = [[[before, 0, 0, {}]]]
        layers.append({"class_name": kind, "config": {"name": name}, "inbound_nodes": nodes})
        before = name
    return json.dumps({"class_name": "Functional", "config": {"layers": layers[::-1]}})


def fill(group, layers, colon=":0", scope=""):
    for layer, parts in layers.items():
        for what, array in parts.items():
            group[f"{layer}/{scope}{layer}/{what}{colon}"] = array


def whole(path, plan, layers=LAYERS, colon=":0", scope=""):
    with h5py.File(path, "w") as file:
        file.attrs["model_config"] = plan
        fill(file.create_group("model_weights"), layers, colon, scope)
        file["optimizer_weights/Adam/m:0"] = np.ones(3)
    return path


def weights_only(path):
    with h5py.File(path, "w") as file:
        fill(file, LAYERS)
        file.attrs["layer_names"] = [b"in", b"zz_conv", b"norm_10", b"flat", b"a_dense"]
        file.create_group("in"), file.create_group("flat")
    return path


def numbered(path):
    with h5py.File(path, "w") as file:
        for layer, parts in {"conv2d": LAYERS["zz_conv"], "batch_normalization": NORM,
                             "dense": LAYERS["a_dense"]}.items():  # fmt: skip
            for i, array in enumerate(parts.values()):
                file[f"layers/{layer}/vars/{i}"] = array
        file["layers/dropout/seed_generator/vars/0"] = np.array([1, 2], np.uint32)
        file["optimizer/vars/0"] = np.ones(3)
    return path


def packed(path):
    inner = numbered(path.with_suffix(".inner"))
    with zipfile.ZipFile(path, "w") as file:
        file.writestr("config.json", graph(True))
        file.write(inner, "model.weights.h5")
    return path


WRITERS = {
    "sequential": lambda p: whole(p, sequential()),
    "scoped": lambda p: whole(p, sequential(), scope="sequential/"),
    "graph": lambda p: whole(p, graph(False)),
    "graph of Keras 3": lambda p: whole(p, graph(True), colon=""),
    "weights alone": weights_only,
    "numbered": numbered,
    "packed": packed,
}


@pytest.mark.parametrize("layout", WRITERS)
def test_all_layouts_compute_what_keras_does(layout, tmp_path):
    model = load_into(net(), WRITERS[layout](tmp_path / "w.keras"))
    with tc.no_grad():
        y = model(tc.from_numpy(IMAGES.transpose(0, 3, 1, 2)))
    np.testing.assert_allclose(y.numpy(), by_keras(IMAGES), rtol=1e-10)


def test_names_and_order(tmp_path):
    found = load_file(whole(tmp_path / "w", graph(False)))
    bn = [f"norm_10.{n}" for n in ("weight", "bias", "running_mean", "running_var")]
    assert {*found} == {"zz_conv.weight", "zz_conv.bias", *bn, "a_dense.weight", "a_dense.bias"}
    layers = [*dict.fromkeys(name.split(".")[0] for name in found)]
    assert layers == ["a_dense", "norm_10", "zz_conv"]  # as the plan lists them, turned round
    assert found["zz_conv.weight"].shape == (4, 2, 2, 3)


def test_an_archive_names_its_layers_in_the_plan(tmp_path):
    found = load_file(packed(tmp_path / "w"))
    assert {name.split(".")[0] for name in found} == set(LAYERS)
    assert load_file(numbered(tmp_path / "n")).keys() == {
        name.replace("zz_conv", "conv2d")
        .replace("norm_10", "batch_normalization")
        .replace("a_d", "d")
        for name in found
    }


def test_batch_norm_without_gamma(tmp_path):
    parts = {k: v for k, v in NORM.items() if k != "gamma"}
    model = load_into(net(), whole(tmp_path / "w", sequential(), {**LAYERS, "norm_10": parts}))
    with tc.no_grad():
        y = model(tc.from_numpy(IMAGES.transpose(0, 3, 1, 2)))
    np.testing.assert_allclose(y.numpy(), by_keras(IMAGES, gamma=False), rtol=1e-10)


def test_a_dense_layer_behind_a_global_pool_is_not_reordered(tmp_path):
    kernel = RNG.normal(size=(4, 3))
    plan = sequential().replace("Flatten", "GlobalAveragePooling2D")
    layers = {**LAYERS, "a_dense": {"kernel": kernel}}
    found = load_file(whole(tmp_path / "w", plan, layers))
    np.testing.assert_array_equal(found["a_dense.weight"], kernel.T)
    layers["a_dense"] = {"kernel": DENSE}  # wide, but there was no Flatten
    found = load_file(whole(tmp_path / "w", plan, layers))
    np.testing.assert_array_equal(found["a_dense.weight"], DENSE.T)


def test_a_dense_layer_behind_joined_channels_and_batch_norm(tmp_path):
    """DenseNet: the last convolution gives fewer channels than the dense layer takes."""
    norm = {k: np.ones(8) for k in NORM}
    dense = RNG.normal(size=(8, 3))
    with h5py.File(tmp_path / "w", "w") as file:
        fill(file, {"a": {"kernel": CONV}, "bn": norm, "dense": {"kernel": dense}})
    np.testing.assert_array_equal(load_file(tmp_path / "w")["dense.weight"], dense.T)


@pytest.mark.parametrize("outputs", [True, False])
def test_a_network_in_a_network(outputs, tmp_path):
    """As one that was trained before and gets another head: its layers stand before that."""
    config = json.loads(sequential())["config"]
    inner = {"name": "base", "layers": config["layers"][:3]}
    if outputs:
        inner["output_layers"] = [["norm_10", 0, 0]]
    plan = [{"class_name": "Functional", "config": inner}, *config["layers"][3:]]
    plan.insert(1, {"class_name": "Conv2D", "config": {"name": "after"}})
    layers = {**LAYERS, "after": {"kernel": np.ones((1, 1, 4, 4))}}
    text = json.dumps({"config": {"layers": plan}})
    found, plain = (load_file(whole(tmp_path / "w", p, layers)) for p in (text, sequential()))
    order = [*dict.fromkeys(name.split(".")[0] for name in found)]
    assert order == ["zz_conv", "norm_10", "after", "a_dense"]
    np.testing.assert_array_equal(found["a_dense.weight"], plain["a_dense.weight"])


def test_plans_that_make_no_sense(tmp_path):
    def layer(name, *before, kind="Concatenate"):
        nodes = [[[b, 0, 0, {}] for b in before]]
        return {"class_name": kind, "config": {"name": name}, "inbound_nodes": nodes}

    circle = [layer("a", "b", kind="Dropout"), layer("b", "a", kind="Dropout")]
    for layers in (circle, [layer("a", "nowhere")]):
        plan = json.dumps({"config": {"layers": [*layers, layer("a_dense", "a", kind="Dense")]}})
        with pytest.raises(WeightsError, match="plan of the network is senseless"):
            load_file(whole(tmp_path / "w", plan))
    # the channels of the last are 4 * 2 ** 80, if they are counted one by one
    doubled = [layer("zz_conv", kind="Conv2D"), layer("0", "zz_conv", "zz_conv")]
    doubled += [layer(str(i), str(i - 1), str(i - 1)) for i in range(1, 80)]
    doubled += [layer("flat", "79", kind="Flatten"), layer("a_dense", "flat", kind="Dense")]
    found = load_file(whole(tmp_path / "w", json.dumps({"config": {"layers": doubled}})))
    np.testing.assert_array_equal(found["a_dense.weight"], DENSE.T)
    empty = {"zz_conv": {"kernel": np.zeros((1, 1, 2, 0))}, "a_dense": LAYERS["a_dense"]}
    path = whole(tmp_path / "w", sequential().replace("norm_10", "other"), empty)
    with pytest.raises(WeightsError, match="the HDF5 file is cut or altered .integer modulo"):
        load_file(path)


def test_depthwise_and_separable_kernels(tmp_path):
    depthwise, pointwise = RNG.normal(size=(2, 3, 4, 2)), RNG.normal(size=(1, 1, 8, 5))
    layers = {
        "depthwise": {"depthwise_kernel": depthwise, "bias": np.ones(8)},
        "sep": {"depthwise_kernel": depthwise, "pointwise_kernel": pointwise, "bias": np.ones(5)},
    }
    found = load_file(whole(tmp_path / "w", '{"config": []}', layers))
    assert found["depthwise.weight"].shape == (8, 1, 2, 3)
    for c in range(4):
        for m in range(2):
            expected = depthwise[:, :, c, m]
            np.testing.assert_array_equal(found["depthwise.weight"][2 * c + m, 0], expected)
    np.testing.assert_array_equal(found["sep.depthwise.weight"], found["depthwise.weight"])
    np.testing.assert_array_equal(found["sep.pointwise.weight"][:, :, 0, 0], pointwise[0, 0].T)
    assert found["sep.pointwise.bias"].shape == (5,)


def test_numbers_in_names_are_sorted_as_numbers(tmp_path):
    layers = {f"conv2d_{i}" if i else "conv2d": {"kernel": CONV} for i in range(12)}
    with h5py.File(tmp_path / "w", "w") as file:
        fill(file, layers)
    assert list(load_file(tmp_path / "w")) == [f"{name}.weight" for name in layers]


def test_the_same_name_in_two_nested_models(tmp_path):
    with h5py.File(tmp_path / "w", "w") as file:
        for model, value in (("left", 1.0), ("right", 2.0)):
            file[f"{model}/conv/kernel:0"] = np.full((1, 1, 2, 3), value)
    found = load_file(tmp_path / "w")
    assert [v.min() for v in found.values()] == [1.0, 2.0]


def test_refusals(tmp_path, monkeypatch):
    path = whole(tmp_path / "w", sequential())
    content = path.read_bytes()
    with pytest.raises(RuntimeError, match=r"w: the weights have 1 convolutions, .* has 2"):
        load_into(tc.nn.Sequential(tc.nn.Conv2d(1, 1, 1), tc.nn.Conv2d(1, 1, 1)), path)
    path.write_bytes(content[: len(content) // 2])
    with pytest.raises(WeightsError, match="w: the HDF5 file is cut or altered"):
        load_file(path)
    with pytest.raises(WeightsError, match="its plan of the network is senseless"):
        load_file(whole(tmp_path / "w", "[3]"))
    with h5py.File(path, "w") as file:
        file.create_dataset("a/kernel:0", (2**20, 2**20), "f4", chunks=(1024, 1024))
    with pytest.raises(WeightsError, match="announces 4,398,046,511,104 bytes in a file of"):
        load_file(path)
    monkeypatch.setitem(__import__("sys").modules, "h5py", None)
    with pytest.raises(WeightsError, match="read with h5py, which is not here: install h5py"):
        load_file(path)
