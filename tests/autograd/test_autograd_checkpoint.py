"""checkpoint: the same numbers with less memory, whatever is inside."""

import gc
import weakref

import numpy as np
import pytest

import tinyconv as tc
import tinyconv.nn as nn
from tinyconv.autograd import checkpoint, grad


def _net():
    tc.manual_seed(3)
    return nn.Sequential(
        nn.Conv2d(2, 3, (3, 2), padding=1), nn.BatchNorm2d(3), nn.ReLU(), nn.Dropout(0.4),
        nn.Conv2d(3, 4, 2),
    ).double()  # fmt: skip


def _run(wrapped):
    net, x = _net(), tc.randn(2, 2, 5, 6, dtype=tc.float64).requires_grad_()
    tc.manual_seed(11)
    y = checkpoint(net, x) if wrapped else net(x)
    (y * y).sum().backward()
    after = tc.rand(3).tolist()  # what the generator gives next
    state = {name: t.tolist() for name, t in net.state_dict().items()}
    return y.tolist(), x.grad.tolist(), [p.grad.tolist() for p in net.parameters()], state, after


def test_results_gradients_statistics_masks_and_random_stream_are_those_of_a_plain_run():
    assert _run(True) == _run(False)


def test_no_saved_array_lives_between_forward_and_backward():
    gc.collect()
    alive = []

    def segment(x):
        y = x.exp()
        alive.append(weakref.ref(y.array))
        y = y * y
        alive.append(weakref.ref(y.array))
        return y.tanh()

    x = tc.zeros(3, dtype=tc.float64, requires_grad=True)
    y = checkpoint(segment, x)
    assert [ref() for ref in alive] == [None, None]
    y.sum().backward()
    assert len(alive) == 4, "run once more, once"
    np.testing.assert_allclose(x.grad.numpy(), 2 * (1 - np.tanh(1.0) ** 2), rtol=1e-14)
    del y
    assert all(ref() is None for ref in alive)


def test_third_derivatives_go_through_it():
    x = tc.tensor([0.7, -0.3], dtype=tc.float64, requires_grad=True)

    def function(t):
        return (t.exp() * t.sin()).sum()

    a, b = checkpoint(function, x), function(x)
    for _ in range(3):
        (a,), (b,) = (grad(y.sum(), x, create_graph=True) for y in (a, b))
        np.testing.assert_array_equal(a.detach().numpy(), b.detach().numpy())


def test_parameters_used_inside_get_their_gradients():
    w = tc.full((2,), 3.0, requires_grad=True)
    checkpoint(lambda x: (x * w).exp().sum(), tc.ones(2)).backward()
    np.testing.assert_allclose(w.grad.numpy(), np.exp([3.0, 3.0]), rtol=1e-6)


def test_checkpoints_inside_checkpoints():
    x = tc.tensor([0.5], dtype=tc.float64, requires_grad=True)
    y = checkpoint(lambda t: checkpoint(lambda s: s.exp() * s, t) * t, x)
    y.backward()
    np.testing.assert_allclose(x.grad.item(), np.exp(0.5) * (0.25 + 2 * 0.5), rtol=1e-14)


def test_a_graph_that_is_kept_can_be_walked_twice():
    x = tc.tensor([0.5], dtype=tc.float64, requires_grad=True)
    y = checkpoint(lambda t: t.exp() * t.exp(), x)
    first = grad(y, x, retain_graph=True)[0].item()
    assert grad(y, x)[0].item() == first


def test_several_arguments_outputs_and_keywords():
    x, z = tc.ones(2, requires_grad=True), tc.ones(2, requires_grad=True)
    a, b = checkpoint(lambda p, q, k=1: (p * q * k, p.exp()), x, z, k=5, use_reentrant=False)
    (a + b).sum().backward()
    np.testing.assert_allclose(x.grad.numpy(), np.full(2, 5 + np.e), rtol=1e-6)
    assert z.grad.tolist() == [5.0, 5.0]


def test_an_argument_changed_in_between_raises():
    x = tc.ones(2, requires_grad=True)
    y = checkpoint(lambda t: t.exp(), x).sum()
    x.data.mul_(2)
    with pytest.raises(RuntimeError, match="changed in place"):
        y.backward()


def test_a_function_that_takes_another_path_the_second_time_raises():
    paths = iter([1, 3])
    x = tc.ones(2, requires_grad=True)

    def moody(t):
        for _ in range(next(paths)):
            t = t.exp()
        return t

    y = checkpoint(moody, x).sum()
    with pytest.raises(RuntimeError, match="saved 1 arrays in its first run and 3 in its second"):
        y.backward()


def test_under_no_grad_it_is_a_plain_call():
    with tc.no_grad():
        assert not checkpoint(lambda t: t.exp(), tc.ones(1, requires_grad=True)).requires_grad


def test_pytorchs_address():
    from tinyconv.utils.checkpoint import checkpoint as other

    assert other is checkpoint
