"""SqueezeNet: what a Fire module puts together, where the pools are, the authors' border."""

import numpy as np
import pytest

import tinyconv as tc
import tinyconv.nn.functional as F
from tinyconv import models, nn


def test_fire_puts_its_1x1_maps_before_its_3x3_maps():
    fire = models.Fire(5, 2, 3).double()
    x = tc.randn(2, 5, 4, 6, dtype=tc.float64)
    s = F.relu(fire.squeeze(x))
    y = fire(x).detach().numpy()
    np.testing.assert_array_equal(y[:, :3], F.relu(fire.expand1x1(s)).detach().numpy())
    np.testing.assert_array_equal(y[:, 3:], F.relu(fire.expand3x3(s)).detach().numpy())


@pytest.mark.parametrize(
    "name, pools", [("squeezenet1_0", ["0", "5", "10"]), ("squeezenet1_1", ["0", "4", "7"])]
)
def test_pools_stand_behind(ops_of, name, pools):
    """The last ``features`` in front of each pool: conv1, fire4, fire8 or conv1, fire3, fire5."""
    ops, found = ops_of(name), []
    for before, op in zip(ops, ops[1:]):
        if op.function.__name__ == "MaxPool2d":
            found.append(before.path.split(".")[1])
    assert [str(int(pools[0]) + 1), *pools[1:]] == found


def test_the_pools_may_hang_over_the_edge(ops_of):
    for name, sizes in (("squeezenet1_0", [54, 27, 13]), ("squeezenet1_0_caffe", [55, 27, 13])):
        pools = [op for op in ops_of(name) if op.function.__name__ == "MaxPool2d"]
        assert [op.outputs[0].shape[2] for op in pools] == sizes


def test_the_authors_border_is_bias():
    """conv10 of 1 x 1 with padding 1: the border sees nothing, but is averaged with the rest."""
    plain, bordered = (
        models.get_model(name, num_classes=4, dropout=0)
        for name in ("squeezenet1_0", "squeezenet1_0_caffe")
    )
    with tc.no_grad():
        plain.classifier[1].bias.copy_(tc.tensor([0.5, -1.0, 2.0, 0.0]))
    bordered.load_state_dict(plain.state_dict())
    x = tc.randn(1, 3, 45, 61)
    maps = plain.classifier[:3](plain.features(x)).detach().numpy()
    h, w = maps.shape[2:]
    total = maps.sum((2, 3)) + np.array([0.5, 0, 2, 0]) * ((h + 2) * (w + 2) - h * w)
    np.testing.assert_allclose(
        bordered(x).detach().numpy(), total / ((h + 2) * (w + 2)), rtol=1e-4, atol=1e-6
    )


def test_logits_are_averages_behind_a_relu_and_dropout_stands_before_conv10(ops_of):
    names = [op.function.__name__ for op in ops_of("squeezenet1_1")]
    assert names[-6:] == ["Cat", "Dropout", "Conv2d", "Relu", "AvgPool2d", "Reshape"]


@pytest.mark.parametrize(
    "name, fires",
    [
        ("squeezenet1_0", (3, 4, 5, 7, 8, 9, 10, 12)),
        ("squeezenet1_1", (3, 4, 6, 7, 9, 10, 11, 12)),
    ],
)
def test_state_names_of_torchvision(blank, name, fires):
    parts = ("squeeze", "expand1x1", "expand3x3")
    layers = ["features.0", *(f"features.{i}.{p}" for i in fires for p in parts), "classifier.1"]
    wanted = [f"{layer}.{kind}" for layer in layers for kind in ("weight", "bias")]
    assert list(blank(name).state_dict()) == wanted


def test_first_weights():
    net = models.squeezenet1_1(num_classes=90)
    for name, m in net.named_modules():
        if isinstance(m, nn.Conv2d):
            w = m.weight.detach().numpy()
            last = name == "classifier.1"
            std = 0.01 if last else (2 / w[0].size) ** 0.5
            np.testing.assert_allclose(w.std(), std, rtol=0.1)
            assert last or np.abs(w).max() <= std * 3**0.5  # uniform: it has bounds
            assert not m.bias.detach().numpy().any()


def test_versions():
    with pytest.raises(ValueError, match="version='2.0'; wants '1.0' or '1.1'"):
        models.SqueezeNet("2.0")
