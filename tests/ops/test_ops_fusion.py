"""Fused passes against the layers one by one: values, derivatives, statistics, kernels called."""

import numpy as np
import pytest

import tinyconv as tc
import tinyconv.nn as nn
import tinyconv.nn.functional as F
from tinyconv.autograd import fusion, grad, no_grad
from tinyconv.testing import assert_gradients

SHAPE = 3, 4, 5, 2


class Block(nn.Module):
    """act(norm(conv(x)) + residual), each part there or not."""

    def __init__(self, conv="conv", norm=True, residual=None, relu=True, bias=False):
        super().__init__()
        self.conv = nn.Conv2d(4, 4, 3, padding=1, groups=2, bias=bias) if conv else None
        self.bn = nn.BatchNorm2d(4) if norm else None
        self.shortcut = nn.Sequential(nn.Conv2d(4, 4, 1), nn.BatchNorm2d(4))
        self.residual, self.relu = residual, relu
        for p in self.parameters():
            p.data.normal_()
        for b in (self.bn, self.shortcut[1]):
            if b is not None:
                b.running_mean.normal_()
                b.running_var.uniform_(0.5, 2)

    def forward(self, x):
        y = x if self.conv is None else self.conv(x)
        y = y if self.bn is None else self.bn(y)
        if self.residual == "behind":
            y = y + x
        elif self.residual == "in front":
            y = x + y
        elif self.residual == "in place":
            y += x
        elif self.residual == "projected":
            y = y + self.shortcut(x)
        elif self.residual == "twice":
            y = y + x + x
        elif self.residual == "broadcast":
            y = y + x[:1]
        return F.relu(y, inplace=True) if self.relu else y


COMBINATIONS = [
    dict(conv=conv, norm=norm, residual=residual, relu=relu, bias=norm != conv)
    for conv in (True, False)
    for norm in (True, False)
    for residual in (None, "behind", "in front", "in place", "projected", "twice", "broadcast")
    for relu in (True, False)
    if conv or norm
]
COMBINED = pytest.mark.parametrize(
    "parts", COMBINATIONS, ids=lambda p: "-".join(f"{k}:{v}" for k, v in p.items() if v)
)
MODES = pytest.mark.parametrize("training", [True, False], ids=["train", "eval"])


def _results(parts, training, wait, dtype, recording=True):
    """Output, first and second derivatives, and what is left in the buffers."""
    tc.manual_seed(5)
    net = Block(**parts).train(training).to(dtype)
    x = tc.randn(*SHAPE, dtype=dtype, requires_grad=True)
    v = tc.randn(*SHAPE, dtype=dtype)
    with fusion(True) if wait else fusion(False), tc.set_grad_enabled(recording):
        y = net(x)
        results = [y, *net.buffers()]
        if recording:
            used = [p for p in net.parameters()]
            first = grad(
                y, [x, *used], v, create_graph=True, allow_unused=True, materialize_grads=True
            )
            loss = sum((g * g).sum() for g in first)
            results += first
            if loss.requires_grad:
                results += grad(loss, [x, *used], allow_unused=True, materialize_grads=True)
            y = net(x)
            y.backward(v)  # no graph: here the gradients may be fused too
            results += [x.grad, *[p.grad for p in used if p.grad is not None]]
    return [r.array for r in results]


@COMBINED
@MODES
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_results_and_derivatives_are_those_of_the_layers_one_by_one(parts, training, dtype):
    tolerance = 3e-5 if dtype == np.float32 else 1e-12
    for recording in (True, False):
        ours, theirs = (_results(parts, training, wait, dtype, recording) for wait in (1, 0))
        assert len(ours) == len(theirs)
        for a, b in zip(ours, theirs):
            assert a.dtype == b.dtype
            np.testing.assert_allclose(a, b, rtol=tolerance, atol=tolerance * np.abs(b).max())


@COMBINED
@MODES
def test_derivatives_are_right(parts, training):
    net = Block(**parts).train(training).double()
    x = tc.randn(2, 4, 3, 2, dtype=tc.float64, requires_grad=True)
    assert_gradients(net, x, order=2, mode="fast")


# -- which kernels are called ---------------------------------------------------------------
@pytest.fixture
def calls(monkeypatch):
    """What the kernels were asked for, in order."""
    calls = []

    def spy(module, name, describe):
        kernel = getattr(module, name)

        def spied(*args):
            calls.append((name, *describe(*args)))
            return kernel(*args)

        monkeypatch.setattr(module, name, spied)

    def epilogue(first):
        def describe(*args):
            residual, relu = args[first : first + 2] or (None, False)
            return residual is not None, relu

        return describe

    spy(tc.kernels.batchnorm, "normalise", epilogue(4))
    spy(tc.kernels.conv, "forward", epilogue(5))
    spy(
        tc.kernels.batchnorm,
        "through_relu",
        lambda *a: (len(a) > 5, a[6:7] == (True,), len(a) > 7 and a[7] is not None),
    )
    spy(tc.kernels.batchnorm, "masked_sums", lambda *a: ())
    spy(tc.kernels.activation, "relu", lambda *a: ())
    spy(tc.kernels.activation, "relu_gradient", lambda *a: ())
    return calls


def test_a_residual_block_in_training_is_two_passes_each_way(calls):
    net, x = Block(residual="behind"), tc.randn(*SHAPE, requires_grad=True)
    y = net(x)
    assert calls == [("forward", False, False), ("normalise", True, True)]
    calls.clear()
    y.sum().backward()
    assert calls == [("through_relu", True, True, False)]


@pytest.mark.parametrize("residual", [None, "projected", "in place"])
def test_other_blocks_in_training(calls, residual):
    net, x = Block(residual=residual), tc.randn(*SHAPE, requires_grad=True)
    y = net(x)
    passes = [c for c in calls if c[0] == "normalise"]
    if residual == "projected":
        assert passes.pop(0) == ("normalise", False, False)
    assert passes == [("normalise", residual is not None, True)]
    calls.clear()
    y.sum().backward()
    assert "relu_gradient" not in [c[0] for c in calls]
    # what the ReLU let through is read from its result only where something was added before it
    assert [c[3] for c in calls if c[0] == "through_relu" and c[1]] == [residual is None]


def test_the_gradients_of_a_relu_and_a_bias_are_one_pass(calls):
    w, b = (tc.randn(*s, requires_grad=True) for s in ((5, 4, 3, 2), (5,)))
    with tc.autograd.fusion(True):
        y = F.relu(F.conv2d(tc.randn(*SHAPE), w, b))
    y.retain_grad()
    loss = (y * y).sum()
    wanted = tc.autograd.grad(loss, (w, b), create_graph=True)
    calls.clear()
    loss.backward()
    assert calls == [("masked_sums",)]
    for t, g in zip((w, b), wanted):
        assert tc.allclose(t.grad, g, rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize("residual", [None, "behind", "in place"])
def test_inference_is_one_convolution(calls, residual):
    net = Block(residual=residual).eval()
    with no_grad():
        net(tc.randn(*SHAPE))
    assert calls == [("forward", residual is not None, True)]


def test_frozen_statistics_are_not_folded_while_recording(calls):
    net = Block(residual="behind").eval()
    net(tc.randn(*SHAPE))
    assert calls == [("forward", False, False), ("normalise", True, True)]


@pytest.mark.parametrize("size", [1, 5])
def test_two_norms_behind_a_convolution_scale_its_sums(calls, size):
    norms = [nn.BatchNorm2d(7), nn.BatchNorm2d(7)]
    net = nn.Sequential(nn.Conv2d(9, 7, size, padding=size // 2), *norms, nn.ReLU()).eval()
    for norm in norms:
        for t in (norm.running_mean, norm.running_var, norm.weight.data, norm.bias.data):
            t.uniform_(0.5, 2)
    x = tc.randn(1, 9, 4, 3)
    with no_grad():
        y = net(x)
        assert calls == [("forward", False, True)]
        with fusion(False):
            np.testing.assert_allclose(y.array, net(x).array, rtol=1e-4, atol=1e-4)


def test_a_convolution_and_its_relu(calls):
    net = Block(norm=False, bias=True)
    net(tc.randn(*SHAPE)).sum().backward()
    assert calls == [("forward", False, True), ("masked_sums",)]


@pytest.mark.parametrize("norm", [False, True])
def test_the_gradient_of_a_concat_is_read_where_it_lies(norm, monkeypatch):
    def branch():
        rest = [nn.BatchNorm2d(5)] if norm else []
        return nn.Sequential(nn.Conv2d(4, 5, 3), *rest, nn.ReLU())

    class Fork(nn.Module):
        def __init__(self):
            super().__init__()
            self.left, self.right = branch(), branch()

        def forward(self, x):
            return tc.cat([self.left(x), x[:, :1, 1:-1, 1:-1], self.right(x)], 1)

    net, x = Fork(), tc.randn(3, 4, 6, 5)
    loss = (net(x) ** 2).sum()
    wanted = grad(loss, list(net.parameters()), create_graph=True)
    with monkeypatch.context() as patch:
        patch.setattr(tc.autograd.deferred, "copied", None)
        loss.backward()
    for p, g in zip(net.parameters(), wanted):
        assert tc.allclose(p.grad, g, rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize("spelling", [F.relu, tc.relu, nn.ReLU(inplace=True), tc.Tensor.relu])
def test_every_spelling_of_relu_is_the_same_door(calls, spelling):
    class Net(nn.Module):
        def forward(self, x):
            return spelling(F.batch_norm(x, None, None, training=True))

    Net()(tc.randn(*SHAPE))
    assert calls == [("normalise", False, True)]


# -- batch norm with given statistics -------------------------------------------------------
@pytest.mark.parametrize("affine", [True, False])
@pytest.mark.parametrize("shape", [(3, 2), (3, 2, 4), (2, 2, 3, 2)])
def test_running_statistics_have_gradients_too(shape, affine):
    C = shape[1]
    arrays = [np.random.default_rng(i).uniform(0.5, 2, C) for i in range(4 if affine else 2)]
    x = np.random.default_rng(9).standard_normal(shape)
    assert_gradients(lambda x, *rest: F.batch_norm(x, *rest, training=False), x, *arrays)
    if affine:
        m, v, w, b = (a.reshape((1, C) + (1,) * (len(shape) - 2)) for a in arrays)
        y = F.batch_norm(*map(tc.from_numpy, (x, *arrays)))
        np.testing.assert_allclose(y.array, (x - m) / np.sqrt(v + 1e-5) * w + b, rtol=1e-12)


def test_statistics_of_another_dtype_are_converted():
    x = tc.randn(3, 2, 4)
    y = F.batch_norm(x, tc.zeros(2, dtype=tc.float64), tc.ones(2, dtype=tc.float64))
    assert y.dtype == np.float32
    np.testing.assert_allclose(y.array, x.array, rtol=1e-4)


def test_nan_and_infinity_pass_as_layer_by_layer():
    x = tc.randn(*SHAPE)
    x[0, 0, 0, 0], x[1, 2, 0, 0] = float("nan"), float("inf")
    with np.errstate(invalid="ignore"):
        for training in (True, False):
            net = Block(conv=None, residual="behind").train(training)
            y = net(x)
            with fusion(False):
                np.testing.assert_array_equal(np.isnan(y.array), np.isnan(net(x).array))
            assert np.isnan(y.array[0, 0, 0, 0])
