import numpy as np
import pytest

import tinyconv as tc
from tinyconv import nn
from tinyconv.models.summary import summary


@pytest.mark.parametrize(
    "name, size, parameters, macs",
    [
        ("lenet5", (1, 28, 28), 61_706, 416_520),
        ("inception_small", (1, 28, 28), 97_298, 6_019_200),
        ("cifar_resnet20_A", (3, 32, 32), 269_722, 40_551_040),
    ],
)
def test_known_networks(name, size, parameters, macs):
    net = tc.models.get_model(name, in_channels=size[0])
    next(net.children()).eval()
    modes = [m.training for m in net.modules()]
    state = {k: v.array.copy() for k, v in net.state_dict().items()}
    tc.manual_seed(0)
    expected = tc.rand(1)
    tc.manual_seed(0)
    s = summary(net, size)
    assert (s.parameters, s.macs) == (parameters, macs)
    assert s.parameters == sum(r.parameters for r in s.rows)
    # what waits for backward adds up over the layers; in a net as short as LeNet-5 the two largest
    # neighbours, which are there at one time without it, take as much
    assert s.inference_bytes > 0
    assert s.training_bytes > (s.inference_bytes if name != "lenet5" else s.inference_bytes / 2)
    assert summary(net, (5, *size)).macs == macs
    assert modes == [m.training for m in net.modules()]
    for k, v in net.state_dict().items():
        np.testing.assert_array_equal(state[k], v.array)
    assert tc.equal(tc.rand(1), expected)
    assert all(p.grad is None for p in net.parameters())
    assert not any(m._forward_hooks for m in net.modules())


def test_rows_groups_and_reuse():
    class Net(nn.Module):
        def __init__(self):
            super().__init__()
            self.conv = nn.Conv2d(4, 6, (3, 2), groups=2, bias=False)
            self.same = nn.Linear(5, 5)

        def forward(self, x):
            return self.same(self.same(self.conv(x)[..., :5]))

    s = summary(Net(), (4, 7, 8))
    assert [(r.path, r.parameters, r.macs) for r in s.rows] == [
        ("conv", 6 * 2 * 6, 6 * 5 * 7 * 2 * 6),
        ("same", 30, 6 * 5 * 5 * 5),
        ("same", 0, 6 * 5 * 5 * 5),
    ]
    assert s.parameters == 72 + 30
    text = str(s)
    assert "conv" in text and "1x6x5x7" in text and "102" in text
    assert s.to_dict()["rows"][0]["output_shape"] == [1, 6, 5, 7]


def test_activation_bytes():
    """y = relu(relu(x)) alone: two arrays at a time; relu keeps what its backward needs."""
    net = nn.Sequential(nn.ReLU(), nn.ReLU(), nn.ReLU())
    size = 3 * 10 * 10 * 4
    s = summary(net, (3, 10, 10))
    assert s.inference_bytes == 2 * size
    net = nn.Sequential(nn.Flatten(), nn.Linear(300, 7))
    # the flat view costs nothing; the product lives until the bias is added
    assert summary(net, (3, 10, 10)).inference_bytes in (7 * 4, 2 * 7 * 4)


def test_a_network_that_does_not_take_it_is_left_as_it_was():
    net = tc.models.LeNet5()
    with pytest.raises(ValueError, match="linear"):
        summary(net, (1, 32, 32))
    assert all(m.training for m in net.modules())
    assert not any(m._forward_hooks for m in net.modules())
    assert tc.autograd.modes.state.detector is None
