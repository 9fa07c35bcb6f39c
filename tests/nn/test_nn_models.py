"""The networks: parameter counts from the papers' tables, shapes, one step of each."""

import pytest

import tinyconv as tc
import tinyconv.nn.functional as F
from tinyconv import models
from tinyconv.models.registry import find

#: 3 input channels, 10 classes
RESNETS = {
    "cifar_resnet20_A": 269_722, "cifar_resnet20_B": 272_474,
    "cifar_resnet32_A": 464_154, "cifar_resnet32_B": 466_906,
    "cifar_resnet44_A": 658_586, "cifar_resnet44_B": 661_338,
    "cifar_resnet56_A": 853_018, "cifar_resnet56_B": 855_770,
    "cifar_resnet110_A": 1_727_962, "cifar_resnet110_B": 1_730_714,
    "cifar_resnet1202_A": 19_421_274, "cifar_resnet1202_B": 19_424_026,
}  # fmt: skip


def count(net):
    return sum(p.numel() for p in net.parameters())


@pytest.mark.parametrize("name, wanted", RESNETS.items())
def test_residual_nets_have_the_papers_parameter_counts(name, wanted):
    with tc.nn.init.skip_init():
        assert count(models.get_model(name, in_channels=3)) == wanted
        assert count(models.get_model(name, in_channels=1)) == wanted - 2 * 9 * 16


def test_small_nets_have_their_parameter_counts():
    assert count(models.get_model("lenet5")) == 61_706
    assert count(models.get_model("inception_small")) == 97_298


def test_the_inception_block_is_built_as_drawn():
    block = models.InceptionBlock(10)
    shapes = {n: p.shape for n, p in block.named_parameters() if n.endswith("weight")}
    assert sorted(shapes.values()) == sorted(
        [(16, 10, 1, 1), (16, 10, 1, 1), (24, 16, 5, 5), (16, 10, 1, 1), (24, 16, 3, 3),
         (24, 24, 3, 3), (24, 10, 1, 1)]
    )  # fmt: skip
    assert block(tc.zeros(2, 10, 7, 5)).shape == (2, 88, 7, 5)


@pytest.mark.parametrize(
    "name", ["lenet5", "inception_small", "cifar_resnet20_A", "cifar_resnet20_B"]
)
@pytest.mark.parametrize("channels, classes", [(1, 10), (3, 7)])
def test_every_net_learns_one_batch_a_little(name, channels, classes):
    tc.manual_seed(1)
    net = models.get_model(name, in_channels=channels, num_classes=classes)
    x, labels = tc.randn(4, channels, *find(name).input[1:]), tc.arange(4)
    optimiser = tc.optim.SGD(net.parameters(), lr=0.01)
    losses = []
    for _ in range(3):
        optimiser.zero_grad()
        y = net(x)
        loss = F.cross_entropy(y, labels)
        loss.backward()
        assert all(p.grad is not None and tc.isfinite(p.grad).all() for p in net.parameters())
        optimiser.step()
        losses.append(loss.item())
    assert y.shape == (4, classes) and losses[-1] < losses[0]


def test_residual_nets_take_any_image_size():
    net = models.CifarResNet(8, in_channels=1).eval()
    assert net(tc.zeros(2, 1, 28, 28)).shape == (2, 10)


@pytest.mark.parametrize(
    "call, words",
    [
        (
            lambda: models.get_model("resnet21"),
            "unknown model 'resnet21'; did you mean .*'resnet20'",
        ),
        (lambda: models.get_model("toy_inception"), "did you mean 'toy_inception_net'"),
        (lambda: models.get_model("zzz"), "unknown model 'zzz'; `tinyconv models` lists them all"),
    ],
)
def test_unknown_names(call, words):
    with pytest.raises(ValueError, match=words):
        call()


def test_names_are_listed_and_forgiving():
    assert set(RESNETS) <= set(models.list_models())
    assert isinstance(models.get_model("LeNet5"), models.LeNet5)
    assert count(models.get_model("cifar-resnet20-a")) == count(models.CifarResNet(20))
    assert count(models.get_model("ResNet-110")) == RESNETS["cifar_resnet110_A"]
    assert "resnet110" not in models.list_models()  # a name of it, not another network
