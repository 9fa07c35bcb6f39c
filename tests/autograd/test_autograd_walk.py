"""The backward walk: shapes of graphs, what is kept, what is freed, what is refused."""

import gc
import threading
import time
import weakref

import numpy as np
import pytest

import tinyconv as tc
from tinyconv.autograd import Function, backward, grad


def leaf(*values):
    return tc.tensor(values, dtype=tc.float64, requires_grad=True)


def ones_like(x):
    return tc.ones_like(x)


# -- shapes of graphs ---------------------------------------------------------------------
def test_a_diamond_adds_up_both_ways():
    x = leaf(2.0, -3.0)
    a, b = x * 3, x * x
    backward(a * b, tc.tensor([1.0, 10.0], dtype=tc.float64))  # 3 x^3
    assert x.grad.tolist() == [36.0, 810.0]


def test_a_residual_chain_is_walked_once_per_node_not_once_per_path():
    calls = []

    class Half(Function):
        def forward(ctx, x):
            return x / 2

        def backward(ctx, gy):
            calls.append(1)
            return gy / 2

    x = leaf(1.0)
    y = x
    for _ in range(60):  # 2^60 paths
        y = y + Half.apply(y)
    y.backward()
    assert len(calls) == 60
    np.testing.assert_allclose(x.grad.item(), 1.5**60, rtol=1e-13)


def test_one_tensor_twice_in_one_op():
    x = leaf(3.0, -5.0)
    (g,) = grad(x * x, x, ones_like(x))
    assert g.tolist() == [6.0, -10.0]
    (g,) = grad(x - x, x, ones_like(x))
    assert g.tolist() == [0.0, 0.0]
    (g,) = grad(tc.cat([x, x, x]), x, tc.arange(6.0, dtype=tc.float64))
    assert g.tolist() == [6.0, 9.0]


def test_an_op_with_one_output_dropped():
    x = leaf(*range(6))
    first, _, last = x.split([1, 2, 3])
    assert grad(last, x, tc.tensor([1.0, 2.0, 3.0]))[0].tolist() == [0, 0, 0, 1, 2, 3]
    values, _ = tc.max(first * 2, 0)
    assert grad(values, x)[0].tolist() == [2, 0, 0, 0, 0, 0]


def test_several_outputs_of_one_op_used_differently():
    x = leaf(1.0, 2.0, 3.0)
    a, b, c = x.unbind()
    assert grad(a * b + c, x)[0].tolist() == [2, 1, 1]


def _chain(length):
    x = leaf(1.0)
    y = x
    for _ in range(length):
        y = -y
    return x, y


def test_a_chain_of_100_000_nodes_forward_backward_and_freed():
    x, y = _chain(100_000)
    y.backward()
    assert x.grad.item() == 1.0
    node = weakref.ref(y.grad_fn)
    del y
    assert node() is None
    _, unwalked = _chain(100_000)
    node = weakref.ref(unwalked.grad_fn)
    del unwalked
    assert node() is None


def test_a_long_chain_in_a_thread_with_a_small_stack():
    results = []

    def work():
        x, y = _chain(100_000)
        y.backward()
        del y
        results.append(x.grad.item())

    before = threading.stack_size(256 * 1024)
    try:
        thread = threading.Thread(target=work)
        thread.start()
    finally:
        threading.stack_size(before)
    thread.join()
    assert results == [1.0]


def test_gradients_of_a_long_chain_can_be_asked_for_by_name():
    x, y = _chain(20_000)
    assert grad(y, x)[0].item() == 1.0


# -- once or twice ------------------------------------------------------------------------
def test_backward_twice_through_one_graph_raises_and_says_what_to_do():
    x = leaf(2.0)
    y = x * x
    y.backward()
    with pytest.raises(RuntimeError, match="Mul: .*second time.*retain_graph=True"):
        y.backward()
    assert x.grad.item() == 4.0


def test_retain_graph_allows_two_walks_that_add_up():
    x = leaf(2.0)
    y = x * x
    y.backward(retain_graph=True)
    y.backward()
    assert x.grad.item() == 8.0


def test_gradients_accumulate_in_the_same_tensor():
    x = leaf(2.0, 3.0)
    (x * 2).sum().backward()
    held = x.grad
    (x * 5).sum().backward()
    assert x.grad is held and held.tolist() == [7.0, 7.0]


def test_leaves_that_share_a_gradient_do_not_share_its_memory():
    a, b = leaf(1.0), leaf(1.0)
    (a + b).backward()
    a.grad.mul_(5)
    assert b.grad.item() == 1.0


# -- changed values -----------------------------------------------------------------------
def test_a_saved_tensor_changed_afterwards_raises_with_op_and_shape():
    w = leaf(1.0, 2.0, 3.0)
    y = (w * w).sum()
    with tc.no_grad():
        w.mul_(2)
    with pytest.raises(RuntimeError, match=r"Mul: .*shape \[3\].*changed in place.*clone"):
        y.backward()
    assert w.grad is None


@pytest.mark.parametrize(
    "change",
    [
        lambda w: w.data.sub_(1.0),
        lambda w: w.detach().fill_(0),
        lambda w: w.data.__setitem__(0, 7.0),
        lambda w: w[:2].detach().zero_(),
        lambda w: setattr(w, "data", tc.zeros(3)),
    ],
)
def test_every_way_of_writing_is_noticed(change):
    w = leaf(1.0, 2.0, 3.0)
    y = w.exp() * w
    change(w)
    with pytest.raises(RuntimeError, match="changed in place"):
        backward(y, ones_like(y))


def test_a_step_of_an_optimiser_is_noticed():
    w = tc.nn.Parameter(tc.ones(3))
    y = (w * w).sum()
    w.grad = tc.ones(3)
    tc.optim.SGD([w], lr=0.1).step()
    with pytest.raises(RuntimeError, match="changed in place"):
        y.backward()


def test_a_change_to_what_no_op_saved_is_harmless():
    x = leaf(1.0, 2.0)
    y = x + 1
    x.data.zero_()
    backward(y, ones_like(y))
    assert x.grad.tolist() == [1.0, 1.0]


def test_an_output_changed_after_it_was_saved_raises():
    x = leaf(1.0, 2.0)
    y = x.exp()
    y.data.zero_()
    with pytest.raises(RuntimeError, match="Exp"):
        backward(y, ones_like(y))


# -- memory -------------------------------------------------------------------------------
@pytest.fixture
def no_collector():
    gc.collect()
    gc.disable()
    yield
    gc.enable()


def test_a_graph_dies_by_reference_counting_alone(no_collector):
    x = tc.randn(2, 3, 8, 8, requires_grad=True)
    net = tc.nn.Sequential(
        tc.nn.Conv2d(3, 4, 3), tc.nn.BatchNorm2d(4), tc.nn.ReLU(), tc.nn.MaxPool2d(2),
        tc.nn.Flatten(), tc.nn.Linear(36, 5), tc.nn.LogSoftmax(dim=1),
    )  # fmt: skip
    y = net(x)
    loss = (y.exp() * y).sum()
    watched = [weakref.ref(t) for t in (y, y.grad_fn, loss, loss.grad_fn)]
    del y, loss
    assert [ref() for ref in watched] == [None] * 4


def test_a_walked_graph_and_a_second_order_graph_die_too(no_collector):
    x = leaf(0.5, 1.5)
    y = (x.exp() * x.tanh()).sum()
    (g,) = grad(y, x, create_graph=True)
    (h,) = grad((g * g).sum(), x, retain_graph=True)
    watched = [weakref.ref(t) for t in (y.grad_fn, g, g.grad_fn, h)]
    del y, g, h
    assert [ref() for ref in watched] == [None] * 4


def test_saved_arrays_go_when_their_node_was_walked():
    x = leaf(1.0, 2.0)
    middle = x * 3
    y = middle * middle
    array = weakref.ref(middle.array)
    del middle
    assert array() is not None
    backward(y, ones_like(y))
    assert array() is None and y.grad_fn is not None


def test_no_graph_is_kept_for_inputs_that_need_none():
    y = tc.ones(3) * 2
    assert y.grad_fn is None and not y.requires_grad


# -- dtypes -------------------------------------------------------------------------------
def test_gradients_have_the_dtype_of_their_tensor():
    a, b = tc.ones(3, requires_grad=True), tc.ones(3, dtype=tc.float64, requires_grad=True)
    y = a * b
    assert y.dtype == tc.float64
    y.sum().backward()
    assert a.grad.dtype == tc.float32 and b.grad.dtype == tc.float64


def test_only_floats_can_require_grad():
    with pytest.raises(RuntimeError, match="only floating point"):
        tc.arange(3).requires_grad_()
    with pytest.raises(RuntimeError, match=r"leaves only.*detach"):
        (leaf(1.0) * 2).requires_grad_(False)


# -- threads ------------------------------------------------------------------------------
def test_threads_walk_separate_graphs_at_once():
    results = {}

    def work(k):
        x = tc.full((20, 20), 1.0 + k, dtype=tc.float64, requires_grad=True)
        for _ in range(20):
            y = x
            for _ in range(10):
                y = y * x / (1.0 + k)
            x.grad = None
            y.sum().backward()
        results[k] = x.grad.array

    workers = [threading.Thread(target=work, args=(k,)) for k in range(4)]
    for t in workers:
        t.start()
    for t in workers:
        t.join()
    for k in range(4):
        np.testing.assert_allclose(results[k], np.full((20, 20), 11.0), rtol=1e-12)


def test_threads_have_modes_of_their_own():
    seen = []

    def work():
        seen.append(tc.is_grad_enabled())
        with tc.no_grad():
            barrier.wait(10)
            time.sleep(0)
            seen.append(tc.is_grad_enabled())

    barrier = threading.Barrier(2)
    thread = threading.Thread(target=work)
    with tc.no_grad():
        thread.start()
        with tc.enable_grad():
            barrier.wait(10)
            assert tc.is_grad_enabled()
        thread.join()
    assert seen == [True, False] and tc.is_grad_enabled()


def test_a_leaf_that_was_frozen_after_the_forward_pass_gets_no_gradient():
    w, v = tc.ones(2, requires_grad=True), tc.ones(2, requires_grad=True)
    y = (w * v).sum()
    w.requires_grad_(False)
    y.backward()
    assert w.grad is None and v.grad.tolist() == [1, 1]
