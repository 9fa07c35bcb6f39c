"""Asking for gradients: grad, inputs=, hooks, retained gradients."""

import numpy as np
import pytest

import tinyconv as tc
from tinyconv.autograd import Function, backward, grad


def leaf(*values):
    return tc.tensor(values, dtype=tc.float64, requires_grad=True)


def ones_like(x):
    return tc.ones_like(x)


# -- asking for gradients -----------------------------------------------------------------
def test_grad_leaves_grad_alone_and_takes_non_leaves():
    x = leaf(1.0, 2.0)
    y = x * 3
    z = y * y
    gx, gy = grad(z, [x, y], ones_like(z))
    assert gx.tolist() == [18.0, 36.0] and gy.tolist() == [6.0, 12.0]
    assert x.grad is None and y.grad is None


def test_grad_of_a_tensor_with_respect_to_itself():
    x = leaf(4.0)
    y = x * 2
    assert grad(y, y)[0].item() == 1.0 and grad(x, x)[0].item() == 1.0


def test_grad_of_an_unused_input():
    x, other = leaf(1.0), leaf(2.0, 3.0)
    y = x * 2
    with pytest.raises(RuntimeError, match=r"input 1 \(shape \[2\]\).*allow_unused=True"):
        grad(y, [x, other], retain_graph=True)
    assert grad(y, [x, other], allow_unused=True, retain_graph=True)[1] is None
    assert grad(y, [other], materialize_grads=True)[0].tolist() == [0.0, 0.0]
    with pytest.raises(ValueError, match="materialize_grads"):
        grad(y, x, allow_unused=False, materialize_grads=True)


def test_grad_of_what_requires_none_is_refused():
    with pytest.raises(RuntimeError, match="input 0.*does not require grad"):
        grad(leaf(1.0) * 2, tc.ones(1))
    with pytest.raises(RuntimeError, match="does not require grad.*nothing was recorded"):
        tc.ones(1).backward()


def test_a_cotangent_is_wanted_for_anything_but_one_number():
    x = leaf(1.0, 2.0)
    with pytest.raises(RuntimeError, match=r"scalar outputs; this one has shape \[2\]"):
        (x * 2).backward()
    with pytest.raises(RuntimeError, match=r"shape \[2\]: got shape \[3\]"):
        (x * 2).backward(tc.ones(3))
    with pytest.raises(RuntimeError, match="1 cotangents for 2 outputs"):
        backward([x * 2, x * 3], [tc.ones(2)])
    with pytest.raises(TypeError, match="wants Tensors"):
        backward(np.ones(2))


def test_several_outputs_at_once_add_up():
    x = leaf(1.0, 2.0)
    backward([x * 2, x.sum()], [tc.tensor([1.0, 10.0], dtype=tc.float64), None])
    assert x.grad.tolist() == [3.0, 21.0]


def test_backward_with_inputs_fills_these_only():
    x, w = leaf(2.0), leaf(5.0)
    y = x * w
    (y * w).backward(inputs=[x, y])
    assert (x.grad.item(), y.grad.item(), w.grad) == (25.0, 5.0, None)
    with pytest.raises(RuntimeError, match="inputs is empty"):
        (x * w).backward(inputs=[])


def test_only_what_is_needed_is_computed():
    asked = []

    class Product(Function):
        def forward(ctx, a, b):
            ctx.save_for_backward(a, b)
            return a * b

        def backward(ctx, gy):
            asked.append(ctx.needs_input_grad)
            a, b = ctx.saved_tensors
            return gy * b, gy * a

    a, b = leaf(2.0), leaf(3.0)
    grad(Product.apply(a, b), b)
    Product.apply(a, b.detach()).backward()
    assert asked == [(False, True), (True, False)]


def test_create_graph_to_the_third_order():
    x = leaf(2.0)
    y = x**4 * 3
    for wanted in (96.0, 144.0, 144.0, 72.0):
        (y,) = grad(y, x, create_graph=True)
        assert y.item() == wanted


def test_third_order_of_one_number_through_a_saved_output():
    x = tc.tensor(0.5, dtype=tc.float64, requires_grad=True)  # no dimension at all
    y = x.exp()
    for _ in range(3):
        (y,) = grad(y, x, create_graph=True)
        np.testing.assert_allclose(y.item(), np.exp(0.5), rtol=1e-15)


def test_a_gradient_penalty_reaches_the_weights():
    w, x = leaf(3.0), leaf(2.0)
    (g,) = grad(w * x * x, x, create_graph=True)  # 2 w x
    (g * g).sum().backward()
    assert w.grad.item() == 2 * 12.0 * 4.0 and x.grad.item() == 2 * 12.0 * 6.0


def test_backward_with_create_graph_leaves_a_gradient_that_can_be_differentiated():
    x = leaf(3.0)
    (x**3).backward(create_graph=True)
    assert grad(x.grad, x)[0].item() == 18.0


# -- hooks --------------------------------------------------------------------------------
def test_a_hook_on_a_leaf_sees_the_whole_gradient_once():
    x, seen = leaf(2.0), []
    x.register_hook(lambda g: seen.append(g.item()))
    (x * 3 + x * 4).backward()
    assert seen == [7.0]


def test_a_hook_on_a_non_leaf_sees_the_whole_gradient_once():
    x, seen = leaf(2.0), []
    y = x * 2
    y.register_hook(lambda g: seen.append(g.item()))
    (y * 3 + y * 4).backward()
    assert seen == [7.0] and x.grad.item() == 14.0


def test_hooks_replace_gradients_in_order_and_can_be_removed():
    x = leaf(2.0)
    y = x * 2
    y.register_hook(lambda g: g + 1)
    doubled = y.register_hook(lambda g: g * 10)
    assert grad(y, x, retain_graph=True)[0].item() == 40.0
    doubled.remove()
    doubled.remove()  # twice is harmless
    assert grad(y, x, retain_graph=True)[0].item() == 4.0
    x.register_hook(lambda g: -g)
    y.backward()
    assert x.grad.item() == -4.0


def test_a_handle_works_as_a_context():
    x = leaf(1.0)
    with x.register_hook(lambda g: g * 5):
        assert grad(x * 1, x)[0].item() == 5.0
    assert grad(x * 1, x)[0].item() == 1.0


def test_a_hook_that_returns_another_shape_is_refused():
    x = leaf(1.0, 2.0)
    x.register_hook(lambda g: g.sum())
    with pytest.raises(RuntimeError, match=r"hook must return None or a Tensor of shape \[2\]"):
        (x * 2).sum().backward()
    assert x.grad is None


def test_hooks_and_retain_grad_want_a_tensor_that_requires_grad():
    for call in (tc.ones(1).retain_grad, lambda: tc.ones(1).register_hook(print)):
        with pytest.raises(RuntimeError, match="does not require grad"):
            call()


def test_retain_grad_keeps_a_non_leafs_gradient():
    x = leaf(1.0, 2.0)
    y = x * 2
    y.retain_grad()
    y.retain_grad()
    z = y * y
    z.sum().backward()
    assert y.grad.tolist() == [4.0, 8.0] and z.grad is None


def test_a_retained_gradient_is_counted_once_when_it_is_asked_for_too():
    y = leaf(1.0) * 2
    y.retain_grad()
    (y * 3).backward(inputs=[y])
    assert y.grad.item() == 3.0


def test_post_accumulate_hooks_see_the_filled_gradient():
    x = tc.ones(2, requires_grad=True)
    seen = []
    handle = x.register_post_accumulate_grad_hook(lambda p: seen.append(p.grad.tolist()))
    for _ in range(2):
        (x * 2).sum().backward()
    tc.autograd.grad((x * 2).sum(), x)  # fills nothing
    handle.remove()
    x.sum().backward()
    assert seen == [[2, 2], [4, 4]]
    x.register_post_accumulate_grad_hook(lambda p: setattr(p, "grad", None))
    x.sum().backward()
    assert x.grad is None
    with pytest.raises(RuntimeError, match="wants a leaf"):
        (x * 2).register_post_accumulate_grad_hook(print)


def test_batched_gradients_are_refused():
    x = tc.ones(2, requires_grad=True)
    with pytest.raises(ValueError, match="is_grads_batched"):
        tc.autograd.grad(x * 2, x, tc.ones(3, 2), is_grads_batched=True)
