"""Writing in place: where it is allowed it really writes; where it would be lost it raises."""

import numpy as np
import pytest

import tinyconv as tc


@pytest.mark.parametrize(
    "write, wanted",
    [
        (lambda x: x.zero_(), [0, 0]), (lambda x: x.fill_(7), [7, 7]),
        (lambda x: x.copy_(tc.tensor([5, 6])), [5, 6]), (lambda x: x.copy_(tc.tensor(5.0)), [5, 5]),
        (lambda x: x.add_(1), [5, 10]), (lambda x: x.add_(tc.ones(2), alpha=2), [6, 11]),
        (lambda x: x.sub_(1), [3, 8]), (lambda x: x.mul_(tc.tensor([2.0, 3.0])), [8, 27]),
        (lambda x: x.div_(2), [2, 4.5]), (lambda x: x.pow_(2), [16, 81]),
        (lambda x: x.sqrt_(), [2, 3]), (lambda x: x.clamp_(5, 8), [5, 8]),
        (lambda x: x.neg_(), [-4, -9]), (lambda x: x.sub_(5).relu_(), [0, 4]),
        (lambda x: x.zero_().exp_(), [1, 1]),
        (lambda x: x.addcmul_(tc.ones(2), tc.full((2,), 3.0), value=2), [10, 15]),
        (lambda x: x.addcdiv_(tc.ones(2), tc.full((2,), 4.0), value=2), [4.5, 9.5]),
        (lambda x: x.mul_(x), [16, 81]), (lambda x: x.mul_(0.5).add_(1, alpha=3), [5, 7.5]),
    ],
)  # fmt: skip
def test_writes_go_into_the_memory_and_count(write, wanted):
    x = tc.tensor([4.0, 9.0])
    array, version = x.array, x._version
    assert write(x) is x and x.array is array
    assert x.tolist() == wanted and x.dtype == np.float32 and x._version > version


def test_random_writes():
    x = tc.empty(1000)
    assert 2 <= x.uniform_(2, 3).numpy().min() < x.numpy().max() < 3
    assert abs(x.normal_(5, 0.1).numpy().mean() - 5) < 0.05


def test_item_assignment():
    x = tc.zeros(2, 3)
    x[0, 1] = 5
    x[1] = tc.tensor([1.0, 2.0, 3.0])
    x[x > 2] = -1
    x[:, [0, 2]] *= 10
    assert x.tolist() == [[0, -1, 0], [10, 2, -10]]


def test_augmented_assignment_on_a_recorded_tensor_rebinds():
    x = tc.ones(2, requires_grad=True)
    y = z = x * 2
    y += 1
    y *= x
    assert z.tolist() == [2, 2] and y.tolist() == [3, 3]
    y.sum().backward()
    assert x.grad.tolist() == [5, 5]


def test_augmented_assignment_of_a_recorded_value_to_a_plain_one_is_recorded():
    x, total = tc.ones(2, requires_grad=True), tc.zeros(2)
    for _ in range(3):
        total += x * 2
    total.sum().backward()
    assert x.grad.tolist() == [6, 6]


def test_augmented_assignment_without_gradients_writes():
    x = tc.ones(2)
    alias = x
    x += 1
    x -= 0.5
    x /= 3
    assert alias is x and alias.tolist() == [0.5, 0.5]


def test_a_step_of_gradient_descent_written_by_hand():
    w = tc.ones(2, requires_grad=True)
    (w * w).sum().backward()
    held = w
    with tc.no_grad():
        w -= 0.25 * w.grad
    w.grad.zero_()
    assert held is w and w.tolist() == [0.5, 0.5] and w.is_leaf and w.grad.tolist() == [0, 0]
    w.data.sub_(tc.ones(2))
    assert w.tolist() == [-0.5, -0.5] and w.requires_grad


@pytest.mark.parametrize(
    "call, words",
    [
        (lambda leaf, y, plain: leaf.add_(1), "leaf tensor that requires grad.*no_grad"),
        (lambda leaf, y, plain: leaf.__iadd__(1), "leaf tensor that requires grad"),
        (lambda leaf, y, plain: leaf.__setitem__(0, 1.0), "item assignment: a leaf"),
        (lambda leaf, y, plain: y.mul_(2), "recorded by Mul.*without the underscore"),
        (lambda leaf, y, plain: y.__setitem__(0, 1.0), "recorded by Mul"),
        (lambda leaf, y, plain: plain.add_(leaf), "the value requires grad"),
        (lambda leaf, y, plain: plain.copy_(y), "the value requires grad"),
        (lambda leaf, y, plain: plain.__setitem__(0, y[0]), "the value requires grad"),
        (lambda leaf, y, plain: plain.add_(tc.ones(3, 2)), r"\[3, 2\] does not fit into \[2\]"),
        (lambda leaf, y, plain: tc.arange(2).add_(0.5), "cannot be written into int64"),
        (lambda leaf, y, plain: tc.arange(2).__iadd__(0.5), "cannot be written into int64"),
        (lambda leaf, y, plain: plain.__setitem__(slice(0, 2), tc.ones(3)), "item assignment"),
    ],
)
def test_writes_that_would_be_lost_raise_and_change_nothing(call, words):
    leaf, plain = tc.ones(2, requires_grad=True), tc.ones(2)
    y = leaf * 2
    with pytest.raises(RuntimeError, match=words):
        call(leaf, y, plain)
    assert leaf.tolist() == [1, 1] and y.tolist() == [2, 2] and plain.tolist() == [1, 1]


def test_assigning_data_replaces_the_memory_and_keeps_the_leaf():
    w = tc.ones(2, requires_grad=True)
    w.data = tc.zeros(3)
    assert w.shape == (3,) and w.requires_grad and w.is_leaf
