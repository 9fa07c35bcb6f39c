"""Draws: what they are spread like, that a seed repeats them, and what is refused."""

import numpy as np
import pytest

import tinyconv as tc

DRAWS = {
    "rand": lambda **k: tc.rand(4, 5, **k),
    "randn": lambda **k: tc.randn((4, 5), **k),
    "randint": lambda **k: tc.randint(-3, 9, (4, 5), **k),
    "randperm": lambda **k: tc.randperm(20, **k),
    "bernoulli": lambda **k: tc.bernoulli(tc.full((4, 5), 0.4), **k),
    "bernoulli p": lambda **k: tc.zeros(4, 5).bernoulli(0.4, **k),
    "poisson": lambda **k: tc.poisson(tc.full((4, 5), 3.0), **k),
    "multinomial": lambda **k: tc.multinomial(tc.rand(20, generator=tc.Generator()
                                                      .manual_seed(1)), 9, **k),
    "with replacement": lambda **k: tc.multinomial(tc.ones(2, 8), 30, True, **k),
    "normal": lambda **k: tc.normal(2.0, 3.0, (4, 5), **k),
    "normal of tensors": lambda **k: tc.normal(tc.zeros(4, 1), tc.ones(5), **k),
}  # fmt: skip


@pytest.mark.parametrize("name", DRAWS)
def test_a_seed_repeats_a_draw(name):
    tc.manual_seed(3)
    first, second = DRAWS[name](), DRAWS[name]()
    tc.manual_seed(3)
    assert tc.equal(first, DRAWS[name]()) and not tc.equal(first, second)
    state = tc.get_rng_state()
    own = DRAWS[name](generator=tc.Generator().manual_seed(3))
    assert tc.equal(own, first) and tc.get_rng_state() == state


def test_spreads():
    tc.manual_seed(0)
    n = 20_000
    near = dict(atol=0.05, rtol=0.05)
    np.testing.assert_allclose(tc.bernoulli(tc.full((n,), 0.3)).numpy().mean(), 0.3, **near)
    x = tc.normal(tc.full((n,), 2.0), 3.0).numpy()
    np.testing.assert_allclose([x.mean(), x.std()], [2, 3], **near)
    x = tc.poisson(tc.full((n,), 4.0)).numpy()
    np.testing.assert_allclose([x.mean(), x.var()], [4, 4], **near)
    weights = tc.tensor([1.0, 0.0, 3.0])
    counts = tc.bincount(tc.multinomial(weights, n, replacement=True), minlength=3).numpy()
    np.testing.assert_allclose(counts / n, [0.25, 0, 0.75], **near)
    # the first of two without replacement is drawn as if there were one
    pairs = tc.multinomial(weights.expand(2000, 3), 2).numpy()
    assert (np.sort(pairs, 1) == [0, 2]).all()
    np.testing.assert_allclose((pairs[:, 0] == 2).mean(), 0.75, **near)


def test_shapes_dtypes_and_spellings():
    x = tc.ones(2, 3, dtype=tc.float64)
    for like in (tc.rand_like(x), tc.randn_like(x), tc.randint_like(x, 3), tc.bernoulli(x)):
        assert like.shape == (2, 3) and like.dtype == np.float64
    assert tc.rand_like(x, dtype=tc.float32, device="cpu").dtype == np.float32
    assert tc.randn(size=(2, 3)).shape == tc.rand(2, 3, device="cpu").shape == (2, 3)
    assert tc.randint(high=4, size=(2,)).dtype == np.int64 and tc.rand(()).shape == ()
    assert tc.randint(2, 5, size=[3], dtype=tc.float32).dtype == np.float32
    assert tc.randint(5, (2, 0)).shape == (2, 0) and tc.randperm(0).shape == (0,)
    assert tc.randperm(4, dtype=tc.int32).dtype == np.int32
    assert tc.normal(tc.zeros(3, 1), tc.ones(2)).shape == (3, 2)
    assert tc.normal(1.0, tc.ones(2, dtype=tc.float64)).dtype == np.float64
    assert tc.normal(tc.ones(2), 0.0).tolist() == [1, 1]
    assert tc.randn(2, requires_grad=True).requires_grad
    assert tc.bernoulli(tc.tensor([0.0, 1.0])).tolist() == [0, 1]
    assert not tc.bernoulli(tc.ones(2, requires_grad=True)).requires_grad


@pytest.mark.parametrize(
    "call, error, words",
    [
        (lambda: tc.randint(5, 5, (2,)), RuntimeError, "no number from 5 to before 5"),
        (lambda: tc.randint(5), TypeError, "randint: size is missing"),
        (lambda: tc.rand(-1), RuntimeError, r"rand: size \[-1\]"),
        (lambda: tc.randn(2, dtype=tc.int64), RuntimeError, "randn: draws floats, not int64"),
        (lambda: tc.randperm(-1), RuntimeError, "randperm: n=-1"),
        (lambda: tc.rand(2, device="cuda"), RuntimeError, "CPU only"),
        (lambda: tc.bernoulli(tc.tensor([1.5])), RuntimeError, "between 0 and 1"),
        (lambda: tc.bernoulli(tc.tensor([1])), RuntimeError, "must be floats, got int64"),
        (lambda: tc.poisson(tc.tensor([-1.0])), RuntimeError, "poisson: means"),
        (lambda: tc.normal(tc.ones(2), -1.0), RuntimeError, "std=-1.0 must not be negative"),
        (lambda: tc.normal(tc.ones(2), tc.ones(3)), RuntimeError, "cannot be broadcast"),
        (lambda: tc.normal(0.0, 1.0), TypeError, "normal: wants either a size"),
        (lambda: tc.multinomial(tc.ones(2), 3), RuntimeError, "3 of 2 places without replacement"),
        (lambda: tc.multinomial(tc.ones(2), 0), RuntimeError, "num_samples of at least 1"),
        (lambda: tc.multinomial(tc.tensor([1.0, float("nan")]), 1), RuntimeError, "finite"),
        (lambda: tc.multinomial(tc.zeros(3), 1), RuntimeError, "not all 0"),
    ],
)
def test_errors(call, error, words):
    with pytest.raises(error, match=words):
        call()
