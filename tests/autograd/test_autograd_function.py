"""Functions that users write: both spellings, every option of ctx, and their mistakes."""

import numpy as np
import pytest

import tinyconv as tc
from tinyconv.autograd import Function, grad, once_differentiable
from tinyconv.testing import assert_gradients


class StaticExp(Function):
    @staticmethod
    def forward(ctx, x):
        y = np.exp(x)
        ctx.save_for_backward(y)
        return y

    @staticmethod
    def backward(ctx, gy):
        (y,) = ctx.saved_tensors
        return gy * y


class PlainExp(Function):
    def forward(self, x):
        y = np.exp(x)
        self.save_for_backward(y)
        return y

    def backward(self, gy):
        return gy * self.saved_tensors[0]


def leaf(*values):
    return tc.tensor(values, dtype=tc.float64, requires_grad=True)


@pytest.mark.parametrize("op", [StaticExp, PlainExp])
@pytest.mark.parametrize("shape", [(), (1,), (2, 3)])
def test_both_spellings_are_differentiable_twice(op, shape):
    assert_gradients(op.apply, np.linspace(-1, 1, int(np.prod(shape))).reshape(shape))


def test_forward_sees_arrays_and_plain_arguments_as_they_are():
    class Scale(Function):
        @staticmethod
        def forward(ctx, x, factor, name, *, power=1):
            assert type(x) is np.ndarray and name == "n"
            ctx.factor = factor**power
            return x * ctx.factor

        @staticmethod
        def backward(ctx, gy):
            return gy * ctx.factor, None, None

    x = leaf(1.0, 2.0)
    y = Scale.apply(x, 3.0, "n", power=2)
    assert y.tolist() == [9.0, 18.0]
    assert grad(y, x, tc.ones(2))[0].tolist() == [9.0, 9.0]


class SinCos(Function):
    @staticmethod
    def forward(ctx, x):
        s, c = np.sin(x), np.cos(x)
        ctx.save_for_backward(s, c)
        return s, c

    @staticmethod
    def backward(ctx, gs, gc):
        s, c = ctx.saved_tensors
        return gs * c - gc * s


def test_several_outputs_are_differentiable_twice():
    assert_gradients(SinCos.apply, np.linspace(-2, 2, 5))


def test_an_unused_output_gives_a_cotangent_of_zeros():
    x = leaf(0.3, 0.7)
    s, _ = SinCos.apply(x)
    np.testing.assert_allclose(grad(s, x, tc.ones(2))[0].numpy(), np.cos([0.3, 0.7]))


def test_set_materialize_grads_false_gives_none():
    seen = []

    class Two(Function):
        @staticmethod
        def forward(ctx, x):
            ctx.set_materialize_grads(False)
            return x * 2, x * 3

        @staticmethod
        def backward(ctx, a, b):
            seen.append((a is None, b is None))
            return (0 if a is None else a * 2) + (0 if b is None else b * 3)

    x = leaf(1.0)
    assert grad(Two.apply(x)[1], x)[0].item() == 3.0
    assert seen == [(True, False)]


def test_mark_non_differentiable():
    class Sorted(Function):
        @staticmethod
        def forward(ctx, x):
            order = np.argsort(x)
            ranks = order.astype(x.dtype)
            ctx.mark_non_differentiable(order, ranks)
            ctx.save_for_backward(order)
            return x[order], order, ranks

        @staticmethod
        def backward(ctx, gy, _order, _ranks):
            (order,) = ctx.saved_tensors
            return gy[tc.from_numpy(np.argsort(order.array))]

    x = leaf(3.0, 1.0, 2.0)
    values, order, ranks = Sorted.apply(x)
    assert values.requires_grad and not order.requires_grad and not ranks.requires_grad
    assert grad(values, x, tc.tensor([1.0, 2.0, 3.0]))[0].tolist() == [3.0, 1.0, 2.0]


def test_once_differentiable_goes_once_and_says_so():
    class Once(Function):
        @staticmethod
        def forward(ctx, x):
            return x * x

        @staticmethod
        @once_differentiable
        def backward(ctx, gy):
            return tc.from_numpy(2 * gy.array)

    x = leaf(1.0)
    assert grad(Once.apply(x), x)[0].item() == 2.0
    with pytest.raises(RuntimeError, match="Once.*once_differentiable"):
        g = grad(Once.apply(x), x, create_graph=True)
        grad(g, x)


def test_an_output_that_is_the_input_itself():
    class Same(Function):
        @staticmethod
        def forward(ctx, x):
            return x

        @staticmethod
        def backward(ctx, gy):
            return gy * 5

    x = leaf(1.0, 2.0)
    y = Same.apply(x)
    assert y is not x and grad(y, x, tc.ones(2))[0].tolist() == [5.0, 5.0]


def test_the_mask_of_needed_gradients_matches_the_arguments():
    class Look(Function):
        @staticmethod
        def forward(ctx, a, b, number):
            assert ctx.needs_input_grad == (True, False, False)
            return a + b

        @staticmethod
        def backward(ctx, gy):
            return gy, gy, None

    Look.apply(leaf(1.0), tc.ones(1), 3)


# -- mistakes -----------------------------------------------------------------------------
def _op(result):
    class Mistaken(Function):
        @staticmethod
        def forward(ctx, a, b):
            return a + b

        @staticmethod
        def backward(ctx, gy):
            return result(gy)

    return Mistaken.apply(leaf(1.0, 2.0), leaf(3.0, 4.0)).sum()


@pytest.mark.parametrize(
    "result, error, words",
    [
        (lambda g: g, RuntimeError, r"Mistaken.backward returned 1 gradients.* 2 arguments"),
        (lambda g: (g, g, g), RuntimeError, r"returned 3 gradients.* 2 arguments"),
        (lambda g: (g, g.sum()), RuntimeError, r"gradient 1 has shape \[\].* \[2\]"),
        (lambda g: (g.array, g), TypeError, r"returned ndarray for argument 0.*Tensor ops"),
        (lambda g: (1.0, g), TypeError, r"returned float for argument 0"),
    ],
)
def test_a_wrong_backward_is_named(result, error, words):
    with pytest.raises(error, match=words):
        _op(result).backward()


def test_none_means_no_gradient_even_where_one_is_wanted():
    a, b = leaf(1.0), leaf(2.0)

    class Half(Function):
        @staticmethod
        def forward(ctx, a, b):
            return a + b

        @staticmethod
        def backward(ctx, gy):
            return gy, None

    Half.apply(a, b).backward()
    assert a.grad.item() == 1.0 and b.grad is None


def test_a_missing_backward_is_named_when_it_is_needed():
    class Only(Function):
        @staticmethod
        def forward(ctx, x):
            return x

    assert Only.apply(tc.ones(1)).item() == 1.0
    with pytest.raises(NotImplementedError, match="backward"):
        Only.apply(leaf(1.0)).backward()


@pytest.mark.parametrize("bad", [lambda x: tc.from_numpy(x), lambda x: [x, x]])
def test_a_forward_that_returns_no_array_is_refused(bad):
    class Bad(Function):
        @staticmethod
        def forward(ctx, x):
            return bad(x)

    with pytest.raises(TypeError, match="Bad.forward"):
        Bad.apply(tc.ones(1))


def test_the_spelling_with_setup_context():
    class Scaled(tc.autograd.Function):
        @staticmethod
        def forward(x, factor):
            return x * factor

        @staticmethod
        def setup_context(ctx, inputs, output):
            x, ctx.factor = inputs
            ctx.save_for_backward(x)

        @staticmethod
        def backward(ctx, gy):
            assert ctx.saved_tensors[0].tolist() == [1, 1]
            return gy * ctx.factor, None

    x = tc.ones(2, requires_grad=True)
    assert tc.autograd.grad(Scaled.apply(x, 3).sum(), x)[0].tolist() == [3, 3]


def test_mark_dirty_is_refused_by_name():
    class Bad(tc.autograd.Function):
        @staticmethod
        def forward(ctx, x):
            ctx.mark_dirty(x)

    with pytest.raises(RuntimeError, match="Bad: mark_dirty does not exist"):
        Bad.apply(tc.ones(2))


def test_a_forward_written_with_tensor_methods_is_told_what_it_gets():
    class Sign(tc.autograd.Function):
        @staticmethod
        def forward(ctx, x):
            return x.sign()

    with pytest.raises(AttributeError, match="no attribute 'sign'") as caught:
        Sign.apply(tc.ones(2))
    (note,) = caught.value.__notes__
    assert note.startswith("Sign.forward gets NumPy arrays")
