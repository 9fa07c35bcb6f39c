"""AlexNet and ZFNet: groups, the places of norm, pool and dropout, printed sizes, first weights."""

import numpy as np
import pytest
from arrays import uniform

import tinyconv as tc
from tinyconv import models, nn

BLOCK = "Conv2d Relu LocalResponseNorm MaxPool2d "
DENSE = "Reshape Linear Relu Dropout Linear Relu Dropout Linear"


def names(ops):
    return " ".join(op.function.__name__ for op in ops)


@pytest.mark.parametrize("name", ["alexnet_original_2group", "alexnet_original_1group"])
def test_order_of_2012(ops_of, name):
    """Norm before pool; dropout on what fc6 and fc7 give."""
    assert names(ops_of(name)) == BLOCK * 2 + "Conv2d Relu " * 3 + "MaxPool2d " + DENSE


def test_order_of_2014(ops_of):
    """No norm; dropout on what fc6 and fc7 get."""
    assert names(ops_of("alexnet_torchvision")) == (
        "Conv2d Relu MaxPool2d " * 2 + "Conv2d Relu " * 3 + "MaxPool2d AvgPool2d Reshape "
        "Dropout Linear Relu Dropout Linear Relu Linear"
    )


def test_order_of_2013(ops_of):
    """ZFNet norms behind the pool."""
    block = "Conv2d Relu MaxPool2d LocalResponseNorm "
    assert names(ops_of("zfnet")) == block * 2 + "Conv2d Relu " * 3 + "MaxPool2d " + DENSE


def test_the_halves_do_not_see_each_other(blank):
    net = blank("alexnet_original_2group")
    sees = {name: net.get_submodule(name).weight.shape[1] for name in
            ("conv1", "conv2", "conv3", "conv4", "conv5")}  # fmt: skip
    assert sees == {"conv1": 3, "conv2": 48, "conv3": 256, "conv4": 192, "conv5": 192}
    nn.init.normal_(net.conv2.weight)
    x = tc.randn(1, 96, 4, 5, requires_grad=True)
    net.conv2(x)[:, :128].sum().backward()
    assert x.grad[:, :48].numpy().all() and not x.grad[:, 48:].numpy().any()


@pytest.mark.parametrize(
    "name, layers", [("alexnet_original_2group", ("lrn1", "lrn2")), ("zfnet", ("norm1", "norm2"))]
)
def test_the_norms_are_the_papers(blank, name, layers):
    """b = a / (2 + 1e-4 * the sum of a^2 over 5 maps)^0.75: alpha as it is, not by 5."""
    x = uniform((1, 7, 2, 3), high=90)
    sums = np.stack([(x[:, max(0, c - 2) : c + 3] ** 2).sum(1) for c in range(7)], 1)
    for layer in layers:
        y = blank(name).get_submodule(layer)(tc.from_numpy(x)).numpy()
        np.testing.assert_allclose(y, x / (2 + 1e-4 * sums) ** 0.75, rtol=1e-12)


def test_zfnets_printed_sizes(ops_of, blank):
    sizes = [op.outputs[0].shape[1:] for op in ops_of("zfnet") if op.function.__name__ in
             ("Conv2d", "MaxPool2d", "Linear")]  # fmt: skip
    assert sizes == [
        (96, 110, 110), (96, 55, 55), (256, 26, 26), (256, 13, 13), (384, 13, 13), (384, 13, 13),
        (256, 13, 13), (256, 6, 6), (4096,), (4096,), (1000,),
    ]  # fmt: skip
    assert sum(p.numel() for p in blank("zfnet").parameters()) == 62_357_608


@pytest.fixture(scope="module")
def drawn():
    """A network of 2012 with weights, small where that does not matter."""
    tc.manual_seed(1)
    return models.alexnet_original_2group(num_classes=3, hidden_bias=0.5)


def test_first_weights_of_2012(drawn):
    ones = {"conv2", "conv4", "conv5", "fc6", "fc7"}
    for name, p in drawn.named_parameters():
        layer, kind = name.split(".")
        p = p.detach().numpy()
        if kind == "bias":
            assert (p == (0.5 if layer in ones else 0)).all(), name
        elif p.size > 20_000:
            np.testing.assert_allclose([p.mean(), p.std()], [0, 0.01], atol=3e-4)


def test_other_sizes(ops_of):
    with pytest.raises(ValueError, match=r"linear: input of shape \[2, 6400\]"):
        ops_of("alexnet_original_2group", (224, 224))
    assert ops_of("alexnet", (63, 95), num_classes=5)[-1].outputs[0].shape == (2, 5)
    with pytest.raises(ValueError, match="max_pool2d: a window of 3 x 3 .* does not fit"):
        ops_of("alexnet", (62, 95))


def test_state_names_of_torchvision(blank):
    assert list(blank("alexnet").state_dict()) == [
        f"{part}.{i}.{kind}"
        for part, numbers in (("features", (0, 3, 6, 8, 10)), ("classifier", (1, 4, 6)))
        for i in numbers
        for kind in ("weight", "bias")
    ]
