import numpy as np
import pytest

import tinyconv as tc
from tinyconv import nn
from tinyconv.data import TensorDataset


class TinyNet(nn.Module):
    """Convolution, batch norm, dropout, linear: everything that has a state."""

    def __init__(self):
        super().__init__()
        self.conv = nn.Conv2d(2, 5, (3, 2))
        self.bn = nn.BatchNorm2d(5)
        self.drop = nn.Dropout(0.3)
        self.fc = nn.Linear(5 * 4 * 6, 3)

    def forward(self, x):
        return self.fc(self.drop(nn.functional.relu(self.bn(self.conv(x)))).flatten(1))


@pytest.fixture
def make_net():
    def make(seed=0):
        tc.manual_seed(seed)
        return TinyNet()

    return make


@pytest.fixture
def tiny_data():
    """(training, held-out): 50 and 20 images 2x6x7 of three classes that differ in brightness."""
    rng = np.random.default_rng(0)

    def half(n):
        y = np.arange(n) % 3
        x = rng.normal(size=(n, 2, 6, 7)) + y[:, None, None, None]
        return TensorDataset(x.astype(np.float32), y)

    return half(50), half(20)


@pytest.fixture
def lines():
    """What a run says, gathered."""
    return []


@pytest.fixture(autouse=True)
def in_tmp(tmp_path, monkeypatch):
    """No test leaves a run in the checkout."""
    monkeypatch.chdir(tmp_path)
