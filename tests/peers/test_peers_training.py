"""Optimisers, schedules, initialisation and a whole script next to PyTorch's."""

import warnings

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import tinyconv as tc

torch = pytest.importorskip("torch")
pytestmark = pytest.mark.peers

OPTIMISERS = [
    ("SGD", {}), ("SGD", dict(momentum=0.9, weight_decay=0.1)),
    ("SGD", dict(momentum=0.9, dampening=0.2)), ("SGD", dict(momentum=0.9, nesterov=True)),
    ("Adam", {}), ("Adam", dict(betas=(0.8, 0.9), weight_decay=0.1)), ("Adam", dict(amsgrad=True)),
    ("AdamW", {}), ("AdamW", dict(weight_decay=0.3)), ("RMSprop", {}),
    ("RMSprop", dict(momentum=0.9, centered=True, weight_decay=0.1)),
]  # fmt: skip


@pytest.mark.parametrize("name, options", OPTIMISERS)
@given(seed=st.integers(0, 99))
def test_optimisers(name, options, seed):
    rng = np.random.default_rng(seed)
    start, gradients = rng.standard_normal((3, 2)), rng.standard_normal((8, 3, 2))
    results = []
    for T in (tc, torch):
        p = T.nn.Parameter(T.from_numpy(start.copy()))
        optimiser = getattr(T.optim, name)([p], lr=0.05, **options)
        for g in gradients:
            p.grad = T.from_numpy(g.copy())
            optimiser.step()
        results.append(p.detach().numpy())
    np.testing.assert_allclose(*results, rtol=1e-10)


SCHEDULES = {
    "StepLR": lambda S, o: S.StepLR(o, 3, 0.5),
    "MultiStepLR": lambda S, o: S.MultiStepLR(o, [2, 5], 0.3),
    "CosineAnnealingLR": lambda S, o: S.CosineAnnealingLR(o, 6, 0.01),
    "LinearLR": lambda S, o: S.LinearLR(o, 0.2, 0.9, 4),
    "OneCycleLR": lambda S, o: S.OneCycleLR(o, 0.5, total_steps=16, pct_start=0.4),
    "OneCycleLR linear": lambda S, o: S.OneCycleLR(o, 0.5, 20, anneal_strategy="linear"),
    "SequentialLR": lambda S, o: S.SequentialLR(
        o, [S.LinearLR(o, 0.1, total_iters=4), S.CosineAnnealingLR(o, 10)], [4]
    ),
}


@pytest.mark.parametrize("name", SCHEDULES)
@pytest.mark.parametrize("optimiser", ["SGD", "Adam"])
def test_schedules(name, optimiser):
    results = []
    for T in (tc, torch):
        options = dict(momentum=0.9) if optimiser == "SGD" else {}
        groups = [{"params": [T.nn.Parameter(T.ones(1))], "lr": r} for r in (0.3, 0.07)]
        o = getattr(T.optim, optimiser)(groups, **options)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            scheduler = SCHEDULES[name](T.optim.lr_scheduler, o)
            rates = []
            for _ in range(15):
                g = o.param_groups[0]
                moving = g["momentum"] if optimiser == "SGD" else g["betas"][0]
                rates.append([*scheduler.get_last_lr(), moving])
                o.step()
                scheduler.step()
        results.append(rates)
    np.testing.assert_allclose(*results, rtol=1e-9, atol=1e-12)


def _layers(nn):
    return nn.Sequential(
        nn.Conv2d(3, 8, (3, 2), stride=2, padding=1, groups=1, bias=False), nn.BatchNorm2d(8),
        nn.ReLU(inplace=True), nn.MaxPool2d(2, ceil_mode=True), nn.Conv2d(8, 6, 3, padding="same"),
        nn.GELU(), nn.AdaptiveAvgPool2d((2, 1)), nn.Flatten(), nn.Linear(12, 5), nn.LogSoftmax(1),
    )  # fmt: skip


def test_state_names_and_shapes_are_the_same_and_load():
    ours, theirs = _layers(tc.nn), _layers(torch.nn)
    state = {k: v.numpy() for k, v in theirs.state_dict().items()}
    assert {k: v.shape for k, v in ours.state_dict().items()} == {
        k: v.shape for k, v in state.items()
    }
    assert list(ours.state_dict()) == list(state)
    ours.load_state_dict(state)
    x = np.random.default_rng(0).standard_normal((4, 3, 13, 11), dtype=np.float32)
    for mode in ("train", "eval"):
        getattr(ours, mode)(), getattr(theirs, mode)()
        np.testing.assert_allclose(
            ours(tc.from_numpy(x)).detach().numpy(), theirs(torch.from_numpy(x)).detach().numpy(),
            atol=2e-6,
        )  # fmt: skip


def test_nets_print_alike():
    assert str(_layers(tc.nn)) == str(_layers(torch.nn))


TUTORIAL = """
import torch
import torch.nn as nn
import torch.nn.functional as F
import torch.optim as optim


class InceptionA(nn.Module):
    def __init__(self, in_channels):
        super(InceptionA, self).__init__()
        self.branch1x1 = nn.Conv2d(in_channels, 16, kernel_size=1)
        self.branch5x5_1 = nn.Conv2d(in_channels, 16, kernel_size=1)
        self.branch5x5_2 = nn.Conv2d(16, 24, kernel_size=5, padding=2)
        self.branch3x3dbl_1 = nn.Conv2d(in_channels, 16, kernel_size=1)
        self.branch3x3dbl_2 = nn.Conv2d(16, 24, kernel_size=3, padding=1)
        self.branch3x3dbl_3 = nn.Conv2d(24, 24, kernel_size=3, padding=1)
        self.branch_pool = nn.Conv2d(in_channels, 24, kernel_size=1)

    def forward(self, x):
        branch1x1 = self.branch1x1(x)
        branch5x5 = self.branch5x5_1(x)
        branch5x5 = self.branch5x5_2(branch5x5)
        branch3x3dbl = self.branch3x3dbl_1(x)
        branch3x3dbl = self.branch3x3dbl_2(branch3x3dbl)
        branch3x3dbl = self.branch3x3dbl_3(branch3x3dbl)
        branch_pool = F.avg_pool2d(x, kernel_size=3, stride=1, padding=1)
        branch_pool = self.branch_pool(branch_pool)
        outputs = [branch1x1, branch5x5, branch3x3dbl, branch_pool]
        return torch.cat(outputs, dim=1)


class Net(nn.Module):
    def __init__(self):
        super(Net, self).__init__()
        self.conv1 = nn.Conv2d(1, 10, kernel_size=5)
        self.conv2 = nn.Conv2d(88, 20, kernel_size=5)
        self.incept1 = InceptionA(in_channels=10)
        self.incept2 = InceptionA(in_channels=20)
        self.mp = nn.MaxPool2d(2)
        self.fc = nn.Linear(1408, 10)

    def forward(self, x):
        in_size = x.size(0)
        x = F.relu(self.mp(self.conv1(x)))
        x = self.incept1(x)
        x = F.relu(self.mp(self.conv2(x)))
        x = self.incept2(x)
        x = x.view(in_size, -1)
        return self.fc(x)


device = torch.device("cuda:0" if torch.cuda.is_available() else "cpu")
model = Net()
model.to(device)
criterion = torch.nn.CrossEntropyLoss()
optimizer = optim.SGD(model.parameters(), lr=0.01, momentum=0.5)


def train(batches):
    losses = []
    model.train()
    for data, target in batches:
        inputs, target = torch.from_numpy(data), torch.from_numpy(target)
        inputs, target = inputs.to(device), target.to(device)
        optimizer.zero_grad()
        outputs = model(inputs)
        loss = criterion(outputs, target)
        loss.backward()
        optimizer.step()
        losses.append(loss.item())
    return losses


def test(data, target):
    correct = 0
    total = 0
    with torch.no_grad():
        images, labels = torch.from_numpy(data), torch.from_numpy(target)
        outputs = model(images)
        _, predicted = torch.max(outputs.data, dim=1)
        total += labels.size(0)
        correct += (predicted == labels).sum().item()
    return correct, total
"""


def test_the_tutorial_script_runs_with_its_imports_swapped_and_gives_the_same_losses():
    swapped = TUTORIAL.replace("import torch.", "import tinyconv.").replace(
        "import torch\n", "import tinyconv as torch\n"
    )
    theirs, ours = {}, {}
    exec(TUTORIAL, theirs)
    exec(swapped, ours)
    ours["model"].load_state_dict({k: v.numpy() for k, v in theirs["model"].state_dict().items()})
    rng = np.random.default_rng(0)
    labels = rng.integers(0, 10, (20, 16))
    # something to learn: noisy stripes whose slope is the label
    grid = np.arange(28) * 0.3
    images = np.sin(grid[:, None] * (labels[..., None, None] - 4.5) / 5 + grid)[:, :, None]
    images = (images + rng.standard_normal(images.shape) * 0.3).astype(np.float32)
    batches = list(zip(images, labels))
    a, b = ours["train"](batches), theirs["train"](batches)
    np.testing.assert_allclose(a, b, rtol=2e-5)
    assert b[-1] < b[0], "the comparison is of a net that learns"
    for p, q in zip(ours["model"].parameters(), theirs["model"].parameters()):
        np.testing.assert_allclose(p.detach().numpy(), q.detach().numpy(), atol=2e-5)
    assert ours["test"](images[0], labels[0]) == theirs["test"](images[0], labels[0])
