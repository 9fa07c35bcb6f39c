"""Hypothesis profiles (HYPOTHESIS_PROFILE=fast, ci, nightly); kernels warm before any test."""

import os

import numpy as np
import pytest
from hypothesis import HealthCheck, settings

import tinyconv as tc
import tinyconv.nn.functional as F

# the first draw of a strategy may be slow on a shared machine: nothing here is timed
_COMMON = dict(deadline=None, print_blob=True, suppress_health_check=[HealthCheck.too_slow])
settings.register_profile("fast", max_examples=20, **_COMMON)
settings.register_profile("ci", max_examples=16, derandomize=True, **_COMMON)
settings.register_profile("nightly", max_examples=3000, **_COMMON)
settings.load_profile(os.environ.get("HYPOTHESIS_PROFILE", "fast"))


@pytest.fixture(scope="session", autouse=True)
def warm_kernels():
    """Compile (or load) every kernel once in both precisions, so no test waits for it."""
    for dtype in (np.float32, np.float64):
        x = tc.ones(2, 2, 6, 5, dtype=dtype, requires_grad=True)
        w = tc.ones(3, 2, 2, 3, dtype=dtype, requires_grad=True)
        scale = tc.ones(3, dtype=dtype, requires_grad=True)
        for algorithm in ("naive", "im2col"):
            with tc.kernels.conv_algorithm(algorithm):
                y = F.conv2d(x, w)
                tc.autograd.grad(y, [x, w], tc.ones_like(y))
        y = F.batch_norm(F.conv2d(x, w), None, None, scale, scale, training=True)
        z = F.max_pool2d(F.relu(y), 2) + F.avg_pool2d(y, 2)
        tc.autograd.grad(z, [x, w], tc.ones_like(z))
        F.gelu(x)
        x.flatten(1) @ x.flatten(1).T


@pytest.fixture
def threads():
    """``set_num_threads``, put back after the test."""
    before = tc.get_num_threads()
    yield tc.set_num_threads
    tc.set_num_threads(before)


@pytest.fixture
def rng():
    return np.random.default_rng(0)


@pytest.fixture(autouse=True)
def seeded():
    """Every test draws the same weights and masks."""
    tc.manual_seed(0)
