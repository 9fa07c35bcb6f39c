"""check_module: inputs, parameters, buffers, modes; and float32 by its twin."""

import numpy as np
import pytest

import tinyconv as tc
import tinyconv.nn as nn
import tinyconv.nn.functional as F
from tinyconv.autograd import Function
from tinyconv.testing import assert_gradients, check, check_module, check_vjp

RNG = np.random.default_rng(0)


def small_net():
    return nn.Sequential(
        nn.Conv2d(2, 3, 3, padding=1), nn.BatchNorm2d(3), nn.ReLU(), nn.Dropout(0.3),
        nn.MaxPool2d(2), nn.Flatten(), nn.Linear(12, 4),
    )  # fmt: skip


def test_a_network_by_all_its_parameters():
    net = small_net()
    state = {name: t.array.copy() for name, t in net.state_dict().items()}
    report = check_module(net, RNG.standard_normal((2, 2, 4, 5)), order=1)
    assert report.passed
    assert {p.input for p in report.pairs} == {"input 0", *dict(net.named_parameters())}
    for name, t in net.state_dict().items():
        assert np.array_equal(t.array, state[name]), name
    assert net.training and all(p.grad is None for p in net.parameters())


@pytest.mark.parametrize("training", [True, False])
def test_ties_and_zeros_in_a_network(training):
    net = small_net().train(training)
    x = RNG.integers(-1, 2, (2, 2, 4, 4)).astype(float)
    assert check_module(net, x, order=1).passed


def test_a_network_of_integers_to_embed():
    class Embedding(nn.Module):
        def __init__(self):
            super().__init__()
            self.table = nn.Parameter(tc.randn(5, 3))

        def forward(self, i):
            return self.table[i].tanh()

    report = check_module(Embedding(), tc.tensor([1, 4, 1]))
    assert report.passed and {p.input for p in report.pairs if p.order == 1} == {"table"}


def test_a_shared_parameter_counts_once():
    a = nn.Linear(3, 3)
    report = check_module(nn.Sequential(a, nn.Tanh(), a), RNG.standard_normal((2, 3)))
    assert report.passed and len(report.pairs) - len([p for p in report.pairs if p.order == 2]) == 3


def test_a_detached_branch_is_found():
    class Detached(nn.Module):
        def __init__(self):
            super().__init__()
            self.fc = nn.Linear(3, 2)
            self.gate = nn.Parameter(tc.ones(2))

        def forward(self, x):
            return self.fc(x) * self.gate.detach()

    report = check_module(Detached(), RNG.standard_normal((2, 3)))
    (pair,) = [p for p in report.pairs if p.wrong and p.order == 1]
    assert pair.input == "gate" and pair.cause.name == "missing"


def test_only_modules():
    with pytest.raises(TypeError, match="function"):
        check_module(lambda x: x, np.ones(3))
    assert_gradients(nn.Linear(3, 2), RNG.standard_normal((2, 3)))


# -- float32 ---------------------------------------------------------------------------------
def one_by_one(x):
    """The sum of x, in x's own dtype, term after term."""
    return np.cumsum(x, dtype=x.dtype)[-1:]


def spread(gy, x):
    return np.full(x.shape, gy[0], x.dtype)


@pytest.mark.parametrize("seed", range(3))
@pytest.mark.parametrize("draw", ["random", "standard_normal"])
def test_a_million_terms_one_by_one_lose_float32(draw, seed):
    x = getattr(np.random.default_rng(seed), draw)(10**6).astype(np.float32)
    report = check_vjp(one_by_one, spread, x)
    assert report.verdict == "wrong" and report.cause == "precision"
    assert check_vjp(lambda x: x.sum(keepdims=True), spread, x).passed


def test_a_gradient_that_loses_float32():
    x, w = np.random.default_rng(0).random(10**6).astype(np.float32), np.ones(1, np.float32)
    product = lambda x, w: x * w
    assert check_vjp(product, lambda gy, x, w: (gy * w, one_by_one(gy * x)), (x, w)).cause == (
        "precision"
    )
    right = lambda gy, x, w: (gy * w, (gy * x).sum(keepdims=True))
    assert check_vjp(product, right, (x, w)).passed


@pytest.mark.parametrize("algorithm", ["naive", "im2col"])
def test_our_kernels_keep_float32(algorithm):
    x = RNG.standard_normal((2, 32, 8, 7)).astype(np.float32)
    w = RNG.standard_normal((4, 32, 3, 3)).astype(np.float32)
    with tc.kernels.conv_algorithm(algorithm):
        report = check(F.conv2d, (x, w), order=1)
    assert report.passed and max(p.error for p in report.pairs if p.oracle == "twin") < 0.5


def test_batch_norm_far_from_zero():
    x = (RNG.standard_normal((4, 3, 6, 5)) + 100).astype(np.float32)
    assert check(lambda x: F.batch_norm(x, None, None, training=True), x, order=1).passed


class VarianceBySquares(Function):
    """E[x^2] - E[x]^2: all digits are lost where the mean is large."""

    def forward(ctx, x):
        ctx.save_for_backward(x)
        return (x * x).mean(1, dtype=x.dtype) - x.mean(1, dtype=x.dtype) ** 2

    def backward(ctx, gy):
        (x,) = ctx.saved_tensors
        return 2 / x.shape[1] * gy.unsqueeze(1) * (x - x.mean(1, keepdim=True))


def test_a_variance_by_squares_loses_float32():
    x = (RNG.standard_normal((3, 50)) + 100).astype(np.float32)
    assert check(VarianceBySquares.apply, x, order=1).cause == "precision"
    assert check(lambda x: x.var(1), x, order=1).passed
    assert check(VarianceBySquares.apply, x.astype(np.float64), order=1).passed


def test_twin_can_be_asked_for():
    report = check(tc.tanh, RNG.standard_normal((3, 4)), oracle="twin")
    assert report.passed and "twin" in {p.oracle for p in report.pairs}


def test_a_function_stuck_in_float32_has_no_twin():
    with pytest.raises(ValueError, match="no twin"):
        check(lambda x: x.float() * 2, RNG.standard_normal(3), oracle="twin")
