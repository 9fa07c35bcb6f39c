"""Each network for small images learns: its loss falls on real digits, in a few steps."""

import subprocess
import sys

import pytest

import tinyconv as tc
from tinyconv import data, models, nn
from tinyconv.models.registry import find

SMALL = [name for name in models.list_models() if find(name).input[1] <= 32]
#: hundreds of layers: fewer pixels and images
DEEP = [n for n in SMALL if any(depth in n for depth in ("1202", "1001", "164", "110"))]


def digits(count, size, deep):
    """Real images (count, 1, size, size) from 0 to 1 and their labels."""
    half = data.load("digits", train=True)
    images = tc.from_numpy(half.images[:count]).float() / 255
    if deep:
        return images[:, :, ::2, ::2], tc.from_numpy(half.labels[:count])
    edge = (size - 28) // 2
    return nn.functional.pad(images, (edge,) * 4), tc.from_numpy(half.labels[:count])


def test_the_list_is_long():
    assert len(SMALL) >= 26 and len(DEEP) >= 8


@pytest.mark.parametrize("name", SMALL)
def test_loss_falls(name):
    tc.manual_seed(0)
    net = models.get_model(name, in_channels=1)
    images, labels = digits(4 if name in DEEP else 16, find(name).input[1], name in DEEP)
    optimiser = tc.optim.Adam(net.parameters(), lr=3e-4)
    losses = []
    for _ in range(3 if name in DEEP else 8):
        optimiser.zero_grad()
        loss = nn.functional.cross_entropy(net(images), labels)
        loss.backward()
        optimiser.step()
        losses.append(loss.item())
    assert losses[-1] < losses[0]


STEP = """
import tinyconv as tc
from tinyconv import data, models, nn
net = models.get_model("cifar_resnet1202_A", in_channels=1, recompute=20)
half = data.load("digits", train=True)
images = nn.functional.pad(tc.from_numpy(half.images[:32]).float() / 255, (2, 2, 2, 2))
optimiser = tc.optim.Adam(net.parameters(), lr=3e-4)
for _ in range(2):
    optimiser.zero_grad()
    loss = nn.functional.cross_entropy(net(images), tc.from_numpy(half.labels[:32]))
    loss.backward()
    optimiser.step()
    print(loss.item())
with open("/proc/self/status") as file:  # ru_maxrss begins with that of the parent
    print(next(int(line.split()[1]) / 1024 for line in file if line.startswith("VmHWM")))
"""


@pytest.mark.skipif(sys.platform != "linux", reason="/proc/self/status is Linux's")
def test_1202_layers_train_in_bounded_memory():
    """Kept whole, the activations of 32 images would take about 3 GiB."""
    done = subprocess.run([sys.executable, "-c", STEP], capture_output=True, text=True, timeout=300)
    assert done.returncode == 0, done.stderr
    first, second, mebibytes = map(float, done.stdout.split())
    assert second < first and mebibytes < 1500
