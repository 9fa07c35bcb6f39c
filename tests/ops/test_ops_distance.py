"""Norms and distances: at zero vectors, of nothing, with every order; what is refused."""

import math

import numpy as np
import pytest

import tinyconv as tc
import tinyconv.nn.functional as F

inf = math.inf
ORDERS = (0, 0.5, 1, 1.5, 2, 3, inf, -inf, -1, -2)


def gradient(function, values):
    x = tc.tensor(values, dtype=tc.float64, requires_grad=True)
    return tc.autograd.grad(function(x), x)[0].numpy()


@pytest.mark.parametrize("p", ORDERS)
def test_norms_of_zeros_and_of_some_zeros_have_finite_gradients(p):
    assert not gradient(lambda x: tc.linalg.vector_norm(x, p), [0.0, 0.0]).any()
    assert np.isfinite(gradient(lambda x: tc.linalg.vector_norm(x, p), [0.0, 2.0, -3.0])).all()


@pytest.mark.parametrize(
    "p, wanted",
    [
        (0, [0, 0, 0]), (0.5, [0, 2.224744871391589, -1.8164965809277265]), (1, [0, 1, -1]),
        (1.5, [0, 0.7063840791276677, -0.8651402781442813]), (inf, [0, 0, -1]),
        (2, [0, 0.5547001962252291, -0.8320502943378437]), (-inf, [0, 0, 0]), (-1, [0, 0, 0]),
    ],
)  # fmt: skip
def test_gradients_of_norms(p, wanted):
    found = gradient(lambda x: tc.linalg.vector_norm(x, p), [0.0, 2.0, -3.0])
    np.testing.assert_allclose(found, wanted, rtol=1e-14)


@pytest.mark.parametrize("ord", ["fro", 1, -1, inf, -inf])
@pytest.mark.parametrize("keepdim", [True, False])
def test_matrix_norms(ord, keepdim):
    x = np.random.default_rng(0).standard_normal((3, 4, 5))
    found = tc.linalg.matrix_norm(tc.from_numpy(x), ord, (0, 2), keepdim).numpy()
    np.testing.assert_allclose(found, np.linalg.norm(x, ord, (0, 2), keepdim), rtol=1e-13)
    found = tc.linalg.norm(tc.from_numpy(x[0]), ord).item()
    np.testing.assert_allclose(found, np.linalg.norm(x[0], ord), rtol=1e-13)


def test_norms_in_another_dtype_and_of_nothing():
    assert tc.norm(tc.ones(3), dtype=tc.float64).dtype == np.float64
    assert tc.norm(tc.zeros(0)).item() == 0.0 and tc.zeros(2, 0).norm(dim=1).tolist() == [0, 0]
    assert tc.linalg.norm(tc.full((2, 2), 3.0)).item() == 6.0


@pytest.mark.parametrize(
    "call, error, words",
    [
        (lambda x: x.norm("nuc"), ValueError, "norm: p='nuc' is not available"),
        (lambda x: tc.linalg.matrix_norm(x, 2), ValueError, "matrix_norm: ord=2 is not available"),
        (lambda x: tc.linalg.norm(x[0], "fro"), ValueError, "norm: a matrix has two dims"),
        (lambda x: tc.linalg.norm(x[None], 2), RuntimeError, r"norm: .*got \[1, 2, 3\]"),
        (lambda x: tc.linalg.vector_norm(x[:0], inf), IndexError, r"vector_norm: shape \[0, 3\]"),
        (lambda x: x.long().norm(), TypeError, "norm: wants a float32 or float64"),
        (lambda x: tc.renorm(x, 0, 0, 1.0), RuntimeError, "renorm: .*p=0"),
        (lambda x: tc.cdist(x, x.T), RuntimeError, r"cdist: .*\[2, 3\] and \[3, 2\]"),
        (lambda x: tc.cdist(x, x, -1.0), RuntimeError, "cdist: p=-1.0 must not be negative"),
        (lambda x: F.pdist(x[0]), RuntimeError, r"pdist: wants a matrix, got shape \[3\]"),
    ],
)
def test_refusals(call, error, words):
    with pytest.raises(error, match=words):
        call(tc.ones(2, 3))


def test_distances_between_equal_rows_have_gradient_zero():
    x = tc.ones(3, 2, dtype=tc.float64, requires_grad=True)
    for y in (tc.cdist(x, x), F.pdist(x), tc.dist(x, x.detach())):
        (g,) = tc.autograd.grad(y.sum(), x)
        assert not g.numpy().any()
    assert tc.cdist(tc.zeros(2, 0), tc.zeros(3, 0)).tolist() == [[0, 0, 0]] * 2
    assert tc.cdist(tc.zeros(0, 4), tc.zeros(3, 4)).shape == (0, 3)
    assert F.pdist(tc.zeros(1, 4)).shape == (0,)


def test_similarity_and_normalisation_of_zero_vectors():
    x = tc.zeros(2, 3, dtype=tc.float64, requires_grad=True)
    y = F.cosine_similarity(x, tc.ones(2, 3, dtype=tc.float64))
    assert y.tolist() == [0.0, 0.0]
    assert np.isfinite(tc.autograd.grad(y.sum(), x)[0].numpy()).all()
    z = F.normalize(x)
    assert z.tolist() == [[0.0] * 3] * 2
    np.testing.assert_allclose(tc.autograd.grad(z.sum(), x)[0].numpy(), 1e12)


def test_renorm_leaves_short_rows_alone():
    x = tc.tensor([[3.0, 4.0], [0.3, 0.4]])
    np.testing.assert_allclose(x.renorm(2, 0, 1.0).numpy(), [[0.6, 0.8], [0.3, 0.4]], rtol=1e-6)


def test_cosine_similarity_below_eps_has_the_slope_of_its_formula():
    # PyTorch's gradient there is that of a formula without eps
    x = tc.tensor([0.3, -0.4], dtype=tc.float64, requires_grad=True)
    y = tc.tensor([1.0, 2.0], dtype=tc.float64)
    z = F.cosine_similarity(x, y, dim=0, eps=10.0)
    np.testing.assert_allclose(tc.autograd.grad(z, x)[0].numpy(), [0.01, 0.02], rtol=1e-14)
