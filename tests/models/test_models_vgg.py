"""VGG: the columns of Table 1, torchvision's state names, first weights."""

import numpy as np
import pytest

from tinyconv import models, nn

#: kernel sizes between the pools
KERNELS = {
    "vgg11": "3 | 3 | 33 | 33 | 33", "vgg13": "33 | 33 | 33 | 33 | 33",
    "vgg16c": "33 | 33 | 331 | 331 | 331", "vgg16": "33 | 33 | 333 | 333 | 333",
    "vgg19": "33 | 33 | 3333 | 3333 | 3333",
}  # fmt: skip


@pytest.mark.parametrize("name", KERNELS)
def test_columns_of_the_table(blank, name):
    stages, convs = [""], 0
    for layer in blank(name).features:
        if isinstance(layer, nn.MaxPool2d):
            stages.append("")
        elif isinstance(layer, nn.Conv2d):
            kh, kw = layer.kernel_size
            assert kh == kw and layer.padding == (kh // 2, kw // 2)
            stages[-1] += str(kh)
            convs += 1
    assert " | ".join(stages) == KERNELS[name] + " | "
    assert f"{convs + 3}" in name  # and three linear layers


def test_what_batch_norm_adds(blank, ops_of):
    plain, normed = blank("vgg13"), blank("vgg13_bn")
    count = [sum(p.numel() for p in net.parameters()) for net in (plain, normed)]
    assert count[1] - count[0] == 2 * 2 * (64 + 128 + 256 + 512 + 512)
    assert all(m.bias is not None for m in normed.modules() if isinstance(m, nn.Conv2d))
    names = [op.function.__name__ for op in ops_of("vgg13_bn", (32, 33))]
    assert names[:7] == ["Conv2d", "BatchNorm", "Relu"] * 2 + ["MaxPool2d"]


def test_dropout_is_on_what_the_hidden_layers_give(ops_of, blank):
    names = [op.function.__name__ for op in ops_of("vgg11", (32, 33))]
    assert names[-7:] == "Linear Relu Dropout Linear Relu Dropout Linear".split()
    rates = [m.p for m in blank("vgg11", dropout=0.3).modules() if isinstance(m, nn.Dropout)]
    assert rates == [0.3, 0.3]


@pytest.mark.parametrize(
    "name, convs, norm",
    [
        ("vgg16", (0, 2, 5, 7, 10, 12, 14, 17, 19, 21, 24, 26, 28), False),
        ("vgg16_bn", (0, 3, 7, 10, 14, 17, 20, 24, 27, 30, 34, 37, 40), True),
    ],
)
def test_state_names_of_torchvision(blank, name, convs, norm):
    both, stats = ("weight", "bias"), ("running_mean", "running_var", "num_batches_tracked")
    wanted = []
    for i in convs:
        wanted += [f"features.{i}.{kind}" for kind in both]
        wanted += [f"features.{i + 1}.{kind}" for kind in both + stats] if norm else []
    wanted += [f"classifier.{i}.{kind}" for i in (0, 3, 6) for kind in both]
    assert list(blank(name).state_dict()) == wanted


def test_first_weights(monkeypatch):
    """Normal with variance 2 / (O kh kw); 0.01 in the linear layers, whose sizes are cut here."""

    class Linear(nn.Linear):
        def __init__(self, inputs, outputs):
            super().__init__(min(inputs, 700), min(outputs, 500))

    monkeypatch.setattr(nn, "Linear", Linear)
    net = models.VGG("A", num_classes=300)
    for module in net.modules():
        if isinstance(module, (nn.Conv2d, Linear)):
            w = module.weight.detach().numpy()
            std = 0.01 if w.ndim == 2 else (2 / (w.shape[0] * 9)) ** 0.5
            np.testing.assert_allclose(w.std(), std, rtol=0.06)
            assert not module.bias.detach().numpy().any()


def test_sizes_and_configurations(ops_of):
    assert ops_of("vgg16", (32, 70), num_classes=5)[-1].outputs[0].shape == (2, 5)
    with pytest.raises(ValueError, match="max_pool2d: a window of 2 x 2 .* does not fit"):
        ops_of("vgg16", (31, 70))
    with pytest.raises(ValueError, match="configuration='F'; wants one of A, B, C, D, E"):
        models.VGG("F")
