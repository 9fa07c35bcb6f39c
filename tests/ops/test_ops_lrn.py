"""Local response normalisation: PyTorch's window and divisor, every beta, errors. The first two
derivatives are checked where all ops are, in ``tests/testing/test_all_ops.py``."""

import numpy as np
import pytest
from arrays import uniform

import tinyconv as tc
import tinyconv.nn as nn
import tinyconv.nn.functional as F
from tinyconv.testing import assert_gradients


def by_loops(x, size, alpha, beta, k):
    y = np.empty_like(x)
    for c in range(x.shape[1]):
        window = x[:, max(0, c - size // 2) : c + (size - 1) // 2 + 1]
        y[:, c] = x[:, c] / (k + alpha / size * (window**2).sum(1)) ** beta
    return y


@pytest.mark.parametrize("beta", [0.75, 0.5, 1, 1.3, 0, -0.4])
@pytest.mark.parametrize("size", [1, 2, 3, 4, 5, 9])
def test_values_are_those_of_the_formula(size, beta):
    for shape in ((3, 7, 4), (2, 6, 5, 3), (1, 4, 2, 3, 5)):
        x = uniform(shape, seed=size)
        y = F.local_response_norm(tc.from_numpy(x), size, 0.7, beta, 1.5)
        np.testing.assert_allclose(y.numpy(), by_loops(x, size, 0.7, beta, 1.5), rtol=1e-13)


def test_float32_keeps_its_type_and_digits():
    x = uniform((2, 6, 5, 3))
    y = F.local_response_norm(tc.from_numpy(x).float(), 5, 5e-4, k=2)
    assert y.dtype == np.float32
    np.testing.assert_allclose(y.numpy(), by_loops(x, 5, 5e-4, 0.75, 2), rtol=1e-6)


@pytest.mark.parametrize("size", [2, 5])
def test_third_derivative(size):
    weight = tc.from_numpy(uniform((2, 4, 3), seed=1))

    def second(x):
        y = F.local_response_norm(x, size, 0.9)
        for _ in range(2):
            (y,) = tc.autograd.grad((y * weight).sum(), x, create_graph=True)
        return y

    assert_gradients(second, uniform((2, 4, 3)), order=1)


def test_results_do_not_depend_on_the_number_of_threads(threads):
    x, results = tc.randn(9, 16, 31, 37, requires_grad=True), []
    for number in (1, 3):
        threads(number)
        y = F.local_response_norm(x, 5)
        results.append([y.detach().numpy(), tc.autograd.grad(y, x, y.detach())[0].numpy()])
    for one, three in zip(*results):
        np.testing.assert_array_equal(one, three)


def test_zeros_and_infinities_give_what_the_formula_gives_and_no_warning():
    x = tc.tensor([0.0, 3.0, float("inf")], dtype=tc.float64).view(1, 3, 1)
    y = F.local_response_norm(x, 1, 1.0, 0.75, 0.0).flatten().numpy()
    np.testing.assert_allclose(y, [np.nan, 3 / 9**0.75, np.nan])


def test_no_images_and_no_channels():
    assert F.local_response_norm(tc.zeros(0, 3, 4), 5).shape == (0, 3, 4)
    assert F.local_response_norm(tc.zeros(2, 0, 4), 5).shape == (2, 0, 4)


def test_the_layer_passes_its_numbers_on():
    layer = nn.LocalResponseNorm(4, 0.3, 0.6, 1.7)
    x = tc.from_numpy(uniform((2, 6, 3)))
    expected = F.local_response_norm(x, size=4, alpha=0.3, beta=0.6, k=1.7)
    np.testing.assert_array_equal(layer(x).numpy(), expected.numpy())
    assert repr(layer) == "LocalResponseNorm(4, alpha=0.3, beta=0.6, k=1.7)"
    defaults = nn.LocalResponseNorm(5)
    np.testing.assert_array_equal(defaults(x).numpy(), F.local_response_norm(x, 5).numpy())


@pytest.mark.parametrize(
    "call, error, words",
    [
        (lambda: F.local_response_norm(tc.zeros(2, 3), 5), ValueError, r"\(N, C, ...\).*\[2, 3\]"),
        (lambda: F.local_response_norm(tc.zeros(2, 3, 4), 0), ValueError, "size=0 must be at leas"),
        (lambda: F.local_response_norm(tc.zeros(2, 3, 4), 2.5), TypeError, "float"),
        (lambda: F.local_response_norm(tc.arange(6).view(1, 2, 3), 5), TypeError, "int64"),
    ],
)
def test_what_does_not_fit_is_refused(call, error, words):
    with pytest.raises(error, match=words):
        call()


def test_pytorch_gives_the_same():
    torch = pytest.importorskip("torch")
    for size in (2, 3, 4, 5):
        x = uniform((2, 6, 5, 3), seed=size)
        ours, theirs = tc.from_numpy(x).requires_grad_(), torch.from_numpy(x).requires_grad_()
        results = []
        for T, f, v in ((tc, F, ours), (torch, torch.nn.functional, theirs)):
            y = f.local_response_norm(v, size, 0.7, 0.75, 1.5)
            (g,) = T.autograd.grad((y * y * v).sum(), v, create_graph=True)
            (h,) = T.autograd.grad((g * g).sum(), v)
            results.append([t.detach().numpy() for t in (y, g, h)])
        for a, b in zip(*results):
            np.testing.assert_allclose(a, b, rtol=1e-11)
