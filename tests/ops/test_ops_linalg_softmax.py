"""Matrix product, softmax, log-softmax."""

import itertools

import naive
import numpy as np
import pytest
from arrays import laid_out, layouts, seeds, shapes, uniform
from hypothesis import given
from hypothesis import strategies as st

import tinyconv as tc
import tinyconv.nn.functional as F

PAIRS = [
    ((3,), (3,)), ((3,), (3, 2)), ((2, 3), (3,)), ((2, 3), (3, 4)), ((5, 2, 3), (3, 4)),
    ((5, 2, 3), (3,)), ((3,), (5, 3, 2)), ((2, 3), (5, 3, 4)), ((5, 2, 3), (5, 3, 4)),
    ((5, 1, 2, 3), (4, 3, 2)), ((1, 2, 3), (5, 3, 1)), ((2, 0), (0, 3)), ((0, 3), (3, 2)),
    ((0, 2, 3), (3, 4)), ((2, 3), (3, 0)), ((1, 1), (1, 1)),
]  # fmt: skip


@pytest.mark.parametrize("a_shape, b_shape", PAIRS)
@given(a_layout=layouts, b_layout=layouts, seed=seeds)
def test_matmul(a_shape, b_shape, a_layout, b_layout, seed):
    a = laid_out(uniform(a_shape, seed=seed), a_layout)
    b = laid_out(uniform(b_shape, seed=seed + 1), b_layout)
    y = tc.from_numpy(a) @ tc.from_numpy(b)
    np.testing.assert_allclose(y.numpy(), a @ b, atol=1e-13)
    assert y.shape == (a @ b).shape


@pytest.mark.parametrize("a_shape, b_shape", [pair for pair in PAIRS if 0 in sum(pair, ())])
def test_gradients_of_products_without_elements_are_zero(a_shape, b_shape):
    a, b = tc.ones(a_shape, requires_grad=True), tc.ones(b_shape, requires_grad=True)
    y = a @ b
    for x, g in zip((a, b), tc.autograd.grad(y, [a, b], tc.ones_like(y))):
        assert g.shape == x.shape and not g.numpy().any()


def test_matmul_dtypes():
    assert (tc.ones(2, 3) @ tc.ones(3, 2)).dtype == np.float32
    assert (tc.tensor([[1, 2]]) @ tc.tensor([[3], [4]])).tolist() == [[11]]


@pytest.mark.parametrize(
    "a, b, words",
    [
        ((2, 3), (2, 3), r"\[2, 3\] and \[2, 3\]: the last size of the first \(3\) must equal"),
        ((2, 3), (2,), "the only size of the second"),
        ((), (2,), "at least one dimension"),
        ((2, 1, 3), (3, 3, 1), "batch sizes cannot be broadcast"),
    ],
)
def test_matmul_shapes_that_do_not_fit(a, b, words):
    with pytest.raises(ValueError, match=f"matmul: .*{words}"):
        tc.ones(a) @ tc.ones(b)


@given(shape=shapes(1, 4, 1), data=st.data(), layout=layouts, seed=seeds)
def test_softmax_and_its_logarithm(shape, data, layout, seed):
    dim = data.draw(st.integers(-len(shape), len(shape) - 1))
    x = laid_out(uniform(shape, seed=seed), layout)
    wanted = naive.softmax(x, dim)
    t = tc.from_numpy(x)
    np.testing.assert_allclose(F.softmax(t, dim).numpy(), wanted, rtol=1e-13)
    np.testing.assert_allclose(F.log_softmax(t, dim).numpy(), np.log(wanted), atol=1e-13)


def test_softmax_far_out():
    x = tc.tensor([[1e4, 0.0, -np.inf]], dtype=tc.float64)
    assert F.softmax(x, 1).tolist() == [[1, 0, 0]]
    assert F.log_softmax(x, 1).tolist() == [[0, -1e4, -np.inf]]


def test_softmax_of_one_number_and_of_none():
    assert tc.softmax(tc.tensor(3.0), 0).item() == 1.0
    assert F.softmax(tc.zeros(0, 3), 0).shape == (0, 3)
    assert F.softmax(tc.ones(2, 3), 1, dtype=tc.float64).dtype == np.float64


def test_softmax_chooses_pytorchs_old_default_dim():
    x = uniform((2, 3, 4))
    for part in (x[0, 0], x[0], x):
        dim = 1 if part.ndim == 2 else 0
        np.testing.assert_allclose(
            F.softmax(tc.from_numpy(np.ascontiguousarray(part))).numpy(), naive.softmax(part, dim)
        )


@pytest.mark.parametrize("recorded", list(itertools.product([True, False], repeat=3)))
@pytest.mark.parametrize("bias", [True, False])
def test_linear_has_all_derivatives(recorded, bias, rng):
    shapes = [(4, 3), (5, 3), (5,)][: 3 if bias else 2]
    values = [tc.tensor(rng.standard_normal(s), dtype=tc.float64) for s in shapes]
    for t, flag in zip(values, recorded):
        t.requires_grad = flag
    if any(recorded[: len(values)]):
        inputs = [t for t in values if t.requires_grad]

        def f(*given):
            given = iter(given)
            return tc.nn.functional.linear(*[next(given) if t.requires_grad else t for t in values])

        tc.testing.assert_gradients(f, *inputs)


@pytest.mark.parametrize("used", [u for u in itertools.product([True, False], repeat=3) if any(u)])
def test_gradient_of_linear_where_a_part_is_used(used, rng):
    x, w, b = (
        tc.tensor(rng.standard_normal(s), dtype=tc.float64, requires_grad=True)
        for s in [(4, 3), (5, 3), (5,)]
    )
    weights = [tc.tensor(rng.standard_normal(t.shape), dtype=tc.float64) for t in (x, w, b)]

    def slopes(linear):
        y = linear(x, w, b)
        first = tc.autograd.grad((y * y).sum(), [x, w, b], create_graph=True)
        penalty = sum((g * g * c).sum() for g, c, flag in zip(first, weights, used) if flag)
        return tc.autograd.grad(penalty, [x, w, b], allow_unused=True, materialize_grads=True)

    wanted = slopes(lambda x, w, b: x @ w.t() + b)
    for found, other in zip(slopes(tc.nn.functional.linear), wanted):
        np.testing.assert_allclose(found.numpy(), other.numpy(), rtol=1e-12, atol=1e-12)


# -- long sums ------------------------------------------------------------------------------
@pytest.mark.parametrize(
    "op, shapes",
    [
        (tc.dot, ((300_001,), (300_001,))), (tc.inner, ((300_001,), (300_001,))),
        (tc.mv, ((3, 300_001), (300_001,))), (tc.matmul, ((300_001,), (300_001, 3))),
        (tc.mm, ((1, 300_001), (300_001, 1))), (lambda a, b: a.T @ b, ((300_001, 3), (300_001,))),
        (lambda a, b: tc.tensordot(a, b, 2), ((3, 100_001), (3, 100_001))),
        (lambda a, b: tc.einsum("ij,ij->", a, b), ((3, 100_001), (3, 100_001))),
    ],
)  # fmt: skip
def test_long_products_with_a_vector_keep_their_digits(op, shapes):
    a, b = (tc.tensor(uniform(s, 0, 1, seed=i), dtype=tc.float32) for i, s in enumerate(shapes))
    wanted = op(a.double(), b.double()).numpy()
    y = op(a, b)
    assert y.dtype == np.float32 and y.shape == wanted.shape
    np.testing.assert_allclose(y.numpy(), wanted, rtol=1e-6)


def test_long_products_with_a_vector_that_overflow():
    a = tc.full((20_000,), 1e38)
    assert (a @ tc.ones(20_000)).item() == np.inf
