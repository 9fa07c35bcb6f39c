"""A residual net on Fashion-MNIST: 60 000 real images of clothes, 10 classes.

It promises at least 91 % on the 10 000 test images after three epochs, and fails below.
The data are found where Debian's package dataset-fashion-mnist puts them, or downloaded.
Run: python examples/fashion_resnet.py          (--tiny: a few steps on digits, no promise)
"""

import sys
import time

import tinyconv as tc
import tinyconv.nn.functional as F
from tinyconv import data
from tinyconv.utils.data import DataLoader, Subset

TINY = "--tiny" in sys.argv
EPOCHS, BATCH = (1, 16) if TINY else (3, 128)
tc.manual_seed(0)

name = "digits" if TINY else "fashion_mnist"
train_set, test_set = data.load(name, train=True), data.load(name, train=False)
if TINY:
    train_set, test_set = Subset(train_set, range(64)), Subset(test_set, range(32))
loader = DataLoader(train_set, batch_size=BATCH, shuffle=True, drop_last=True, num_workers=1)

net = tc.models.CifarResNet(depth=20, shortcut="A", in_channels=1)
optimizer = tc.optim.SGD(net.parameters(), lr=0.1, momentum=0.9, weight_decay=5e-4, nesterov=True)
schedule = tc.optim.lr_scheduler.OneCycleLR(
    optimizer, max_lr=0.2, epochs=EPOCHS, steps_per_epoch=len(loader), pct_start=0.3
)


def accuracy(images):
    """The share of images that the net gets right."""
    net.eval()
    right = 0
    with tc.no_grad():
        for x, labels in DataLoader(images, batch_size=500):
            right += (net(x).argmax(1) == labels).sum().item()
    return right / len(images)


for epoch in range(EPOCHS):
    net.train()
    began, total = time.perf_counter(), 0.0
    for x, labels in loader:
        optimizer.zero_grad()
        loss = F.cross_entropy(net(x), labels)
        loss.backward()
        optimizer.step()
        schedule.step()
        total += loss.item()
    seconds = time.perf_counter() - began
    held_out = accuracy(test_set)
    print(
        f"epoch {epoch + 1}/{EPOCHS}: loss {total / len(loader):.4f}, "
        f"test accuracy {held_out:.2%}, {seconds:.0f} s",
        flush=True,
    )
if not TINY and held_out < 0.91:
    sys.exit(f"promised 91 %, reached {held_out:.2%}")
