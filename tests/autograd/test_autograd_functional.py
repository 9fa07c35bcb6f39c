"""Jacobians and Hessians, against PyTorch where it is installed and against themselves."""

import numpy as np
import pytest

import tinyconv as tc
from tinyconv.autograd import functional as A


def _two(x, y):
    return (x * x).sum(1) * y, (x[:, 0] * y).exp(), y * 0 + 3


def _scalar(x, y):
    return (x * x * x).sum() * y.sum() + (y * x[:, 0]).sin().sum()


@pytest.fixture
def inputs():
    values = np.random.default_rng(0).uniform(-1, 1, (2, 4))
    return values[:, :3].copy(), values[:, 3].copy()


def _compare(ours, theirs):
    assert isinstance(ours, tuple) == isinstance(theirs, tuple)
    if isinstance(ours, tuple):
        assert len(ours) == len(theirs)
        for a, b in zip(ours, theirs):
            _compare(a, b)
    else:
        assert ours.shape == tuple(theirs.shape) and ours.requires_grad == theirs.requires_grad
        np.testing.assert_allclose(ours.detach().numpy(), theirs.detach().numpy(), atol=1e-12)


@pytest.mark.parametrize("create_graph", [False, True])
@pytest.mark.parametrize("requires_grad", [False, True])
def test_all_functions_give_what_pytorch_gives(inputs, create_graph, requires_grad):
    torch = pytest.importorskip("torch")
    theirs = torch.autograd.functional
    x, y = (tc.tensor(v, requires_grad=requires_grad) for v in inputs)
    p, q = (torch.tensor(v, requires_grad=requires_grad) for v in inputs)
    options = dict(create_graph=create_graph)
    _compare(A.jacobian(_two, (x, y), **options), theirs.jacobian(_two, (p, q), **options))
    _compare(A.jacobian(lambda a: _two(a, y)[0], x, **options),
             theirs.jacobian(lambda a: _two(a, q)[0], p, **options))  # fmt: skip
    _compare(A.jacobian(lambda a, b: a.sum(), (x, y), **options),
             theirs.jacobian(lambda a, b: a.sum(), (p, q), **options))  # fmt: skip
    _compare(A.hessian(_scalar, (x, y), **options), theirs.hessian(_scalar, (p, q), **options))
    _compare(A.hessian(lambda a: _scalar(a, y), x, **options),
             theirs.hessian(lambda a: _scalar(a, q), p, **options))  # fmt: skip
    u, w = tuple(t.detach() + 0.5 for t in (x, y)), tuple(t.detach() + 0.5 for t in (p, q))
    for name in ("jvp", "hvp", "vhp"):
        f = _two if name == "jvp" else _scalar
        _compare(getattr(A, name)(f, (x, y), u, **options),
                 getattr(theirs, name)(f, (p, q), w, **options))  # fmt: skip
    u, w = (u[1],) * 3, (w[1],) * 3
    _compare(A.vjp(_two, (x, y), u, **options), theirs.vjp(_two, (p, q), w, **options))
    _compare(A.vjp(_scalar, (x, y), **options), theirs.vjp(_scalar, (p, q), **options))


def test_products_agree_with_the_jacobian(inputs):
    x = tc.tensor(inputs[0])
    v, u = tc.randn(2, 3, dtype=tc.float64), tc.randn(3, dtype=tc.float64)

    def f(x):
        return (x * x).sum(0).exp()

    j = A.jacobian(f, x)
    assert j.shape == (3, 2, 3)
    assert tc.allclose(A.jvp(f, x, v)[1], (j * v).sum((1, 2)))
    assert tc.allclose(A.vjp(f, x, u)[1], (j * u.reshape(3, 1, 1)).sum(0))
    h = A.hessian(lambda x: f(x).sum(), x)
    assert tc.allclose(A.hvp(lambda x: f(x).sum(), x, v)[1], (h * v).sum((2, 3)))


def test_an_input_may_come_twice_and_be_recorded():
    x = tc.tensor([2.0], requires_grad=True)
    h = x * x
    jx, jh = A.jacobian(lambda a, b: a * b, (h, h), create_graph=True)
    assert (jx.item(), jh.item()) == (4, 4)
    (g,) = tc.autograd.grad((jx + jh).sum(), x)
    assert g.item() == 8


def test_third_derivatives_by_nesting():
    x = tc.tensor([2.0, 3.0])

    def hessian(x):
        return A.hessian(lambda x: (x**4).sum(), x, create_graph=True)

    third = A.jacobian(hessian, x)
    assert third.shape == (2, 2, 2) and third[0, 0, 0].item() == 48 and third[1, 1, 1].item() == 72


def test_what_does_not_depend_is_zero_or_an_error():
    x, y = tc.ones(2), tc.ones(3)
    assert A.jacobian(lambda a, b: a * 2, (x, y))[1].tolist() == [[0, 0, 0]] * 2
    assert A.jacobian(lambda a: tc.ones(2), x).tolist() == [[0, 0]] * 2
    assert A.hessian(lambda a: a.sum(), x).tolist() == [[0, 0]] * 2
    assert A.jacobian(lambda a: a[:0], x).shape == (0, 2)
    for call in (
        lambda: A.jacobian(lambda a, b: a * 2, (x, y), strict=True),
        lambda: A.vjp(lambda a: tc.ones(()), x, strict=True),
        lambda: A.jvp(lambda a: tc.ones(2), x, x, strict=True),
        lambda: A.hessian(lambda a: a.sum(), x, strict=True),
    ):
        with pytest.raises(RuntimeError, match="depend on"):
            call()


@pytest.mark.parametrize(
    "call, error, words",
    [
        (lambda x: A.vjp(lambda a: a, x), RuntimeError, r"vjp: v may be left out.*\[\[2\]\]"),
        (lambda x: A.jvp(lambda a: a, x, tc.ones(3)), RuntimeError, r"\[\[3\]\].*\[\[2\]\]"),
        (lambda x: A.hessian(lambda a: a, x), RuntimeError, r"hessian: func must .*\[2\]"),
        (lambda x: A.jacobian(lambda a: 3, x), TypeError, "outputs of func must be a Tensor"),
        (lambda x: A.jacobian(lambda a: a, [1.0]), TypeError, "inputs must be a Tensor"),
    ],
)
def test_bad_arguments_are_named(call, error, words):
    with pytest.raises(error, match=words):
        call(tc.ones(2))
