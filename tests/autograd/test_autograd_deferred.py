"""Arrays that wait: what they hold whenever they are looked at, and who looks."""

import copy
import gc
import pickle
import threading
import weakref

import numpy as np
import pytest

import tinyconv as tc
import tinyconv.nn as nn
import tinyconv.nn.functional as F
from tinyconv.autograd import checkpoint, detect_anomaly, fusion, grad, no_grad
from tinyconv.autograd.deferred import Deferred
from tinyconv.autograd.modes import state


class Net(nn.Module):
    """A module around ``function(net, x)``, with a convolution and a batch norm."""

    def __init__(self, function):
        super().__init__()
        self.function = function
        self.conv = nn.Conv2d(2, 3, 3, padding=1, bias=False)
        self.bn = nn.BatchNorm2d(3)

    def forward(self, x):
        return self.function(self, x)


@pytest.fixture
def x():
    return tc.randn(3, 2, 5, 4, requires_grad=True)


def unfused(net, x):
    twin = copy.deepcopy(net)
    with fusion(False):
        return twin(x)


def waits(tensor):
    return type(tensor) is Deferred


# -- when it waits -----------------------------------------------------------------------
def test_results_wait_inside_a_module_and_nowhere_else(x):
    seen = []

    def forward(net, x):
        y = net.conv(x)
        seen.append(waits(y))
        y = net.bn(y)
        seen.append(waits(y))
        return y

    net = Net(forward)
    y = net(x)
    assert seen == [True, True] and type(y) is tc.Tensor and not state.waiting
    assert not waits(F.conv2d(x, net.conv.weight)) and not waits(net.bn(net.conv(x)))
    with fusion(True):
        y = F.conv2d(x, net.conv.weight)
        assert waits(y)
    assert not waits(y)
    with fusion(False):
        assert not waits(net(x)) and seen[2:] == [False, False]
    with detect_anomaly():
        net(x)
    assert seen[4:] == [False, False]
    net.double()(x.detach().double())
    assert seen[6:] == [True, True]


def test_its_shape_dtype_and_graph_are_there_without_a_look(x):
    def forward(net, x):
        y = net.bn(net.conv(x))
        assert y.shape == (3, 3, 5, 4) and y.dtype == np.float32 and y.ndim == 4 and y.dim() == 4
        assert y.requires_grad and y.grad_fn.name == "BatchNorm" and not y.is_leaf
        assert len(y) == 3 and y.size(1) == 3 and waits(y)
        with pytest.raises(AttributeError, match="no attribute 'colour'"):
            y.colour  # noqa: B018
        return y

    Net(forward)(x)


@pytest.mark.parametrize(
    "look",
    [
        lambda y: y.array, lambda y: y.detach(), lambda y: y.sum(), repr, copy.copy,
        lambda y: pickle.loads(pickle.dumps(y)), lambda y: y.numpy(), lambda y: y.tolist(),
        lambda y: y[0], lambda y: y.requires_grad_(), lambda y: y.data, copy.deepcopy, np.asarray,
    ],
)  # fmt: skip
def test_any_look_gives_the_values(x, look):
    def forward(net, x):
        y = net.bn(net.conv(x))
        seen = look(y)
        if isinstance(seen, tc.Tensor):
            assert type(seen) is tc.Tensor
        assert type(y) is tc.Tensor and not hasattr(y, "colour")
        return y

    net = Net(forward)
    with no_grad():
        np.testing.assert_array_equal(net(x).array, unfused(net, x).array)


def test_names_and_gradients_may_be_attached_while_it_waits(x):
    def forward(net, x):
        net.seen = y = net.bn(net.conv(x))
        y.name = "here"
        y.grad = tc.ones(*y.shape)
        y.register_hook(lambda g: net.gradients.append(g * 1))
        y.retain_grad()
        return F.relu(y)

    net = Net(forward)
    net.gradients = []
    net(x).sum().backward()
    y = net.seen
    assert y.name == "here"
    wanted = (unfused(Net(lambda net, x: x), y.detach()).array > 0).astype(np.float32)
    np.testing.assert_array_equal(net.gradients[0].array, wanted)
    np.testing.assert_array_equal(y.grad.array, wanted + 1)


# -- what is fused is what was written -----------------------------------------------------
def test_the_graph_is_the_one_that_is_written(x):
    """So whatever is looked at later, after the fused result, has its gradient."""

    def forward(net, x):
        net.first = net.bn(net.conv(x))
        net.second = net.first + x.sum()
        net.third = net.first + net.shift
        return F.relu(net.third)

    net = Net(forward)
    net.shift = nn.Parameter(tc.randn(3, 3, 5, 4))
    y = net(x)
    names, node = [], y.grad_fn
    while node.edges and not isinstance(node, tc.Tensor) and node.edges[0]:
        names.append(node.name)
        node = node.edges[0][0]
        if isinstance(node, tc.Tensor):
            break
    assert names == ["Relu", "Add", "BatchNorm", "Conv2d"]
    mask = (y.array > 0).astype(np.float32)
    gradients = grad(y.sum(), [net.third, net.first, net.shift], retain_graph=True)
    for g in gradients:
        np.testing.assert_array_equal(g.array, mask)
    net.first.retain_grad()
    y.sum().backward()
    np.testing.assert_array_equal(net.first.grad.array, mask)
    np.testing.assert_allclose(net.third.array, net.first.array + net.shift.array, atol=1e-6)
    np.testing.assert_allclose(np.maximum(net.third.array, 0), y.array, atol=1e-6)


def test_an_intermediate_that_two_ops_use(x):
    def forward(net, x):
        y = net.bn(net.conv(x))
        return F.relu(y) * 2 + F.relu(y + y) - y

    net = Net(forward)
    wanted = unfused(net, x)
    np.testing.assert_allclose(net(x).array, wanted.array, atol=1e-6)
    gradients = grad(net(x).sum(), [x, *net.parameters()])
    for ours, theirs in zip(gradients, grad(unfused(net, x).sum(), [x])):
        np.testing.assert_allclose(ours.array, theirs.array, atol=1e-5)


@pytest.mark.parametrize("recording", [True, False])
def test_augmented_addition_means_what_it_means_without_fusion(x, recording):
    def forward(net, x):
        y = keep = net.bn(net.conv(x))
        y += net.shift
        net.same = keep is y
        return F.relu(keep) + y

    net = Net(forward)
    net.register_buffer("shift", tc.randn(3, 3, 5, 4))
    with tc.set_grad_enabled(recording):
        y = net(x)
        np.testing.assert_allclose(y.array, unfused(net, x).array, atol=1e-6)
    assert net.same


# -- the values are those of the call --------------------------------------------------------


@pytest.mark.parametrize("training", [True, False])
@pytest.mark.parametrize(
    "write",
    [
        lambda net, x, h: net.conv.weight.mul_(2),
        lambda net, x, h: net.conv.weight.data.fill_(1),
        lambda net, x, h: setattr(net.conv.weight, "data", tc.zeros(3, 2, 3, 3)),
        lambda net, x, h: net.bn.bias.add_(1),
        lambda net, x, h: net.bn.weight.zero_(),
        lambda net, x, h: net.bn.running_mean.copy_(tc.ones(3)),
        lambda net, x, h: net.bn.running_var.copy_(tc.ones(3)),
        lambda net, x, h: h.add_(5),
        lambda net, x, h: h.__setitem__(0, 7.0),
        lambda net, x, h: h.numpy().fill(3),
        lambda net, x, h: x.detach().numpy().fill(3),
        lambda net, x, h: net.load_state_dict(Net(None).state_dict()),
        lambda net, x, h: net.double().float(),
        lambda net, x, h: net.optimizer.step(),
    ],
)  # fmt: skip
def test_a_write_between_the_call_and_the_look(x, write, training):
    def forward(net, x):
        y = net.conv(x)
        h = y + 1
        z = net.bn(h)
        write(net, x, h)
        return [F.relu(y), F.relu(z), F.relu(z + x.sum())]

    net = Net(forward).train(training)
    net.bn.running_mean.uniform_()
    net.bn.bias.data.uniform_()
    for p in net.parameters():
        p.grad = tc.ones(*p.shape)
    net.optimizer = tc.optim.SGD(net.parameters(), lr=0.5)
    twin = Net(forward).train(training)
    twin.load_state_dict(net.state_dict())
    for p in twin.parameters():
        p.grad = tc.ones(*p.shape)
    twin.optimizer = tc.optim.SGD(twin.parameters(), lr=0.5)
    with no_grad():
        with fusion(False):
            wanted = twin(x.detach().clone())
        for a, b in zip(net(x.detach().clone()), wanted):
            np.testing.assert_allclose(a.array, b.array, atol=1e-6)


def test_the_mode_of_the_call_holds_and_not_that_of_the_look(x):
    def forward(net, x):
        with no_grad():
            a = net.bn(net.conv(x))
        b = net.bn(net.conv(x))
        with no_grad():
            b.sum()
        net.a, net.b = a, b
        return a

    net = Net(forward)
    net(x)
    assert not net.a.requires_grad and net.b.requires_grad
    grad(net.b.sum(), x)


def test_what_was_saved_and_then_written_still_raises(x):
    def forward(net, x):
        h = net.conv(x)
        y = F.relu(net.bn(h))
        with no_grad():
            h.mul_(2)
        return y

    with pytest.raises(RuntimeError, match="changed in place"):
        Net(forward)(x).sum().backward()


# -- surroundings --------------------------------------------------------------------------
def test_hooks_see_values(x):
    seen = []
    net = nn.Sequential(nn.Conv2d(2, 3, 3), nn.BatchNorm2d(3), nn.ReLU())
    wanted = [m.array for m in (unfused(net[:1], x), unfused(net[:2], x), unfused(net, x))]
    for layer in net:
        layer.register_forward_hook(lambda module, args, result: seen.append(result))
        layer.register_full_backward_hook(lambda module, gx, gy: seen.append(gy[0]))
    y = net(x)
    for ours, theirs in zip(seen, wanted):
        assert type(ours) is tc.Tensor
        np.testing.assert_allclose(ours.array, theirs, atol=1e-6)
    y.sum().backward()
    assert len(seen) == 6 and all(type(g) is tc.Tensor for g in seen)


def test_an_exception_leaves_nothing_behind(x):
    def forward(net, x):
        net.kept = net.bn(net.conv(x))
        raise KeyError("stop")

    net = Net(forward)
    with pytest.raises(KeyError):
        net(x)
    assert not state.inside
    assert waits(net.kept)
    with no_grad():
        net.conv.weight.zero_()
    assert not waits(net.kept), "every write looks at what waits before"


def test_checkpoint_gives_the_same_and_is_fused_too(x):
    net = nn.Sequential(nn.Conv2d(2, 3, 3), nn.BatchNorm2d(3), nn.ReLU(), nn.Conv2d(3, 2, 2))

    class Outer(nn.Module):
        def __init__(self, run):
            super().__init__()
            self.net, self.run = copy.deepcopy(net), run

        def forward(self, x):
            return F.relu(self.run(self.net, x))

    results = []
    for run in (lambda net, x: net(x), checkpoint):
        for wait in (True, False):
            outer = Outer(run)
            with fusion(True) if wait else fusion(False):
                y = outer(x)
                gradients = grad((y * y).sum(), [x, *outer.parameters()])
            results.append([y, *gradients, *outer.buffers()])
    for other in results[1:]:
        for a, b in zip(results[0], other):
            np.testing.assert_allclose(a.array, b.array, atol=2e-5)


def test_threads_wait_for_themselves(x):
    net = Net(lambda net, x: F.relu(net.bn(net.conv(x))))
    net.eval()
    wanted = unfused(net, x).array
    failures = []

    def work():
        for _ in range(20):
            y = net(x)
            if not np.allclose(y.array, wanted, atol=1e-6) or state.waiting:
                failures.append(y)

    threads = [threading.Thread(target=work) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not failures


def test_another_thread_may_look(x):
    def forward(net, x):
        y = net.bn(net.conv(x))
        results = []
        threads = [threading.Thread(target=lambda: results.append(y.array)) for _ in range(4)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        for array in results:
            np.testing.assert_array_equal(array, y.array)
        return y

    Net(forward)(x)


def test_what_dies_unlooked_at_is_not_computed_and_keeps_nothing(x, monkeypatch):
    computed = []
    normalise = tc.kernels.batchnorm.normalise
    monkeypatch.setattr(
        tc.kernels.batchnorm, "normalise", lambda *args: computed.append(args) or normalise(*args)
    )
    refs = []

    def forward(net, x):
        h = net.conv(x)
        y = net.bn(h)
        refs.extend(map(weakref.ref, (h, y, h.grad_fn, y.grad_fn)))
        return x

    gc.collect()
    gc.disable()
    try:
        Net(forward)(x)
        assert not computed and [ref() for ref in refs] == [None] * 4

        def fused(net, x):
            y = net.bn(net.conv(x))
            z = F.relu(y + x.sum().expand(y.shape))
            refs.extend(map(weakref.ref, (y, z, y.grad_fn, z.grad_fn)))
            return z

        refs.clear()
        y = Net(fused)(x)
        y.sum().backward()
        del y
        assert len(computed) == 1 and [ref() for ref in refs] == [None] * 4
    finally:
        gc.enable()


def test_many_that_wait_are_few_notes():
    with fusion(True):
        x = tc.randn(2, 1, 3, 3)
        for _ in range(300):
            F.batch_norm(x, None, None, training=True)
        assert len(state.waiting) < 100
    assert not state.waiting
