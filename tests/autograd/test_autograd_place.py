"""Gradients go into place without a copy, and over nothing that anyone sees."""

import numpy as np

import tinyconv as tc


def test_the_sum_of_gradients_is_written_over_nothing_that_is_seen():
    x, seen = tc.tensor([1.0, 2.0], requires_grad=True), []
    y = x * 2
    y.register_hook(lambda g: seen.append((g, g.array.copy())))
    parts = [y * 3, y * 4, y + 0, y + 0]
    for part in parts:
        part.register_hook(lambda g: seen.append((g, g.array.copy())))
        part.retain_grad()
    given = tc.ones(2)
    sum(parts, y * 5).backward(given)
    assert given.tolist() == [1, 1] and x.grad.tolist() == [28, 28]
    for g, values in seen:
        np.testing.assert_array_equal(g.array, values)
    for part in parts:
        assert part.grad.tolist() == [1, 1]


def test_a_gradient_belongs_to_one_leaf_alone():
    a, b = (tc.zeros(3, requires_grad=True) for _ in "ab")
    given = tc.ones(3)
    (a + b).backward(given)
    arrays = a.grad.array, b.grad.array, given.array
    assert not any(np.shares_memory(p, q) for p in arrays for q in arrays if p is not q)
    (a + b).backward(given)
    assert a.grad.tolist() == b.grad.tolist() == [2, 2, 2] and given.tolist() == [1, 1, 1]
    c = tc.zeros(4, requires_grad=True)
    (c.reshape(2, 2) * 2).sum().backward()
    assert c.grad.array.flags.c_contiguous and c.grad.array.flags.writeable


def test_a_custom_function_may_keep_the_gradients_that_it_sees():
    kept = []

    class Keeper(tc.autograd.Function):
        def forward(ctx, x):
            return x * 1

        def backward(ctx, gy):
            kept.append((gy, gy.array.copy()))
            return gy

    x = tc.ones(3, requires_grad=True)
    y = Keeper.apply(x)
    (y * 2 + y * 3 + Keeper.apply(y)).backward(tc.ones(3))
    x.grad.add_(1)
    for g, values in kept:
        np.testing.assert_array_equal(g.array, values)
