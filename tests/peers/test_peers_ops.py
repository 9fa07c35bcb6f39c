"""Values, gradients and second gradients next to PyTorch's, over random cases."""

import numpy as np
import pytest
from arrays import seeds, spread, uniform
from hypothesis import assume, given
from hypothesis import strategies as st

import tinyconv as tc

torch = pytest.importorskip("torch")
pytestmark = pytest.mark.peers


def compare(function, *inputs, tolerance=1e-9, order=2):
    """``function(T, *tensors)`` with T = tinyconv and T = torch: all derivatives to ``order``."""
    results = [_derivatives(T, function, inputs, order) for T in (tc, torch)]
    for ours, theirs in zip(*results, strict=True):
        assert ours.shape == theirs.shape and ours.dtype == theirs.dtype
        np.testing.assert_allclose(ours, theirs, rtol=tolerance, atol=tolerance)


def _derivatives(T, function, inputs, order):
    tensors = [T.from_numpy(np.array(x)).requires_grad_() for x in inputs]
    ys = function(T, *tensors)
    ys = list(ys) if isinstance(ys, tuple) else [ys]
    found = [_values(y) for y in ys]
    for level in range(order):
        ys = [y for y in ys if y.requires_grad]
        if not ys:
            break
        cotangents = [
            T.from_numpy(np.cos(np.arange(y.numel()) + level + i).reshape(tuple(y.shape)).astype(
                _values(y).dtype)).requires_grad_()
            for i, y in enumerate(ys)
        ]  # fmt: skip
        gradients = T.autograd.grad(
            ys, tensors, cotangents, create_graph=True, allow_unused=True, materialize_grads=True
        )
        found += [_values(g) for g in gradients]
        tensors, ys = [*tensors, *cotangents], list(gradients)
    return found


def _values(tensor):
    return tensor.detach().numpy() if isinstance(tensor, tc.Tensor) else tensor.numpy(force=True)


# -- images -------------------------------------------------------------------------------
@st.composite
def windows(draw, half=False):
    kh, kw = draw(st.permutations([1, 2, 3]))[:2]
    ph, pw = (
        draw(st.integers(0, kh // 2 if half else 3)),
        draw(st.integers(0, kw // 2 if half else 2)),
    )
    sh, sw = draw(st.permutations([1, 2, 3]))[:2]
    return (kh, kw), (sh, sw), (ph, pw)


@given(window=windows(), dilation=st.permutations([1, 2]), groups=st.sampled_from([1, 2]),
       H=st.integers(5, 8), W=st.integers(5, 9), seed=seeds)  # fmt: skip
def test_conv2d(window, dilation, groups, H, W, seed):
    kernel, stride, padding = window
    x, w = uniform((2, 3 * groups, H, W), seed=seed), uniform((4, 3, *kernel), seed=seed + 1)
    b = uniform((4,), seed=seed + 2)
    compare(
        lambda T, x, w, b: T.nn.functional.conv2d(
            x, w, b, stride, padding, tuple(dilation), groups
        ),
        x, w, b,
    )  # fmt: skip


@pytest.mark.parametrize("padding", ["same", "valid"])
@pytest.mark.parametrize("kernel", [(3, 2), (4, 5)])
@pytest.mark.parametrize("dilation", [1, (2, 1)])
def test_conv2d_padding_by_name(padding, kernel, dilation):
    compare(
        lambda T, x, w: T.nn.functional.conv2d(x, w, padding=padding, dilation=dilation),
        uniform((2, 3, 8, 7)), uniform((4, 3, *kernel), seed=1),
    )  # fmt: skip


@given(window=windows(half=True), dilation=st.permutations([1, 2]), ceil=st.booleans(),
       H=st.integers(5, 8), W=st.integers(5, 9), seed=seeds)  # fmt: skip
def test_max_pool(window, dilation, ceil, H, W, seed):
    kernel, stride, padding = window

    def function(T, x):
        y, index = T.nn.functional.max_pool2d(
            x, kernel, stride, padding, tuple(dilation), ceil, return_indices=True
        )
        return y, index

    compare(function, spread((2, 3, H, W), seed))


@pytest.mark.parametrize("padding, kernel, dilation", [(2, 2, 3), ((2, 1), (3, 2), 2)])
def test_both_refuse_max_pool_padding_beyond_half_the_kernel(padding, kernel, dilation):
    for T in (tc, torch):
        with pytest.raises((ValueError, RuntimeError), match="pad"):
            T.nn.functional.max_pool2d(T.zeros(1, 2, 9, 8), kernel, 2, padding, dilation)


@given(
    window=windows(half=True),
    ceil=st.booleans(),
    include=st.booleans(),
    divisor=st.sampled_from([None, 3]),
    H=st.integers(3, 8),
    W=st.integers(3, 9),
    seed=seeds,
)
def test_average_pool(window, ceil, include, divisor, H, W, seed):
    kernel, stride, padding = window
    compare(
        lambda T, x: T.nn.functional.avg_pool2d(x, kernel, stride, padding, ceil, include, divisor),
        uniform((2, 3, H, W), seed=seed),
    )


@given(H=st.integers(1, 8), W=st.integers(1, 8), Ho=st.integers(1, 4), Wo=st.integers(1, 4))
def test_adaptive_pools(H, W, Ho, Wo):
    x = spread((2, 3, H, W))
    compare(lambda T, x: T.nn.functional.adaptive_avg_pool2d(x, (Ho, Wo)), x)
    compare(lambda T, x: T.nn.functional.adaptive_max_pool2d(x, (Ho, Wo)), x)


@given(shape=st.sampled_from([(4, 3), (4, 3, 5), (2, 3, 4, 5)]), training=st.booleans(), seed=seeds)
def test_batch_norm(shape, training, seed):
    mean, var = uniform((3,), seed=5), uniform((3,), 0.5, 2, seed=6)
    moved = []

    def function(T, x, w, b):
        m, v = T.from_numpy(mean.copy()), T.from_numpy(var.copy())
        y = T.nn.functional.batch_norm(x, m, v, w, b, training, 0.3, 0.01)
        moved.append((m.numpy(), v.numpy()))
        return y

    compare(function, uniform(shape, seed=seed), uniform((3,), seed=1), uniform((3,), seed=2))
    np.testing.assert_allclose(moved[0], moved[1], rtol=1e-12)


# -- functions of one number and losses ---------------------------------------------------
ACTIVATIONS = {
    "relu": {}, "relu6": {}, "leaky_relu": dict(negative_slope=0.2), "elu": dict(alpha=0.7),
    "selu": {}, "silu": {}, "gelu": {}, "gelu ": dict(approximate="tanh"),
    "hardtanh": dict(min_val=-0.5, max_val=2.0), "softplus": dict(beta=2.0, threshold=1.5),
    "logsigmoid": {}, "sigmoid": {}, "tanh": {}, "softmax": dict(dim=1), "log_softmax": dict(dim=0),
}  # fmt: skip


@pytest.mark.parametrize("name", ACTIVATIONS)
@given(seed=seeds)
def test_activations(name, seed):
    options = ACTIVATIONS[name]
    compare(lambda T, x: getattr(T.nn.functional, name.strip())(x, **options), spread((4, 5), seed))


@pytest.mark.parametrize("values", [[0.0, -0.0], [-1.0, 1.0], [6.0, 2.0], [np.inf, -np.inf],
                                    [30.0, -30.0]])  # fmt: skip
@pytest.mark.parametrize("name", [n for n in ACTIVATIONS if "softmax" not in n])
def test_activations_at_kinks_and_ends(name, values):
    options = ACTIVATIONS[name]
    compare(
        lambda T, x: getattr(T.nn.functional, name.strip())(x, **options), np.array(values), order=1
    )


@pytest.mark.parametrize("name", ["relu", "relu6", "leaky_relu", "hardtanh", "tanh"])
def test_nan_goes_through_activations(name):
    function = getattr(tc.nn.functional, name)
    compare(lambda T, x: getattr(T.nn.functional, name)(x), np.array([np.nan, 0.5]), order=1)
    assert np.isnan(function(tc.tensor([np.nan])).item())


@given(shape=st.sampled_from([(4, 3), (2, 5, 3), (2, 4, 2, 3)]), weighted=st.booleans(),
       reduction=st.sampled_from(["mean", "sum", "none"]), ignore=st.sampled_from([-100, 1]),
       smoothing=st.sampled_from([0.0, 0.2]), seed=seeds)  # fmt: skip
def test_cross_entropy_of_labels(shape, weighted, reduction, ignore, smoothing, seed):
    labels = np.random.default_rng(seed).integers(0, shape[1], shape[:1] + shape[2:])
    assume((labels != ignore).any())
    weight = uniform(shape[1:2], 0.5, 2, seed=seed)
    compare(
        lambda T, x: T.nn.functional.cross_entropy(
            x, T.from_numpy(labels), T.from_numpy(weight) if weighted else None,
            ignore_index=ignore, reduction=reduction, label_smoothing=smoothing,
        ),
        uniform(shape, seed=seed),
    )  # fmt: skip


@given(
    shape=st.sampled_from([(4, 3), (2, 5, 3)]),
    weighted=st.booleans(),
    reduction=st.sampled_from(["mean", "sum", "none"]),
    smoothing=st.sampled_from([0.0, 0.2]),
)
def test_cross_entropy_of_probabilities(shape, weighted, reduction, smoothing):
    weight = uniform(shape[1:2], 0.5, 2)
    compare(
        lambda T, x, p: T.nn.functional.cross_entropy(
            x, p, T.from_numpy(weight) if weighted else None, reduction=reduction,
            label_smoothing=smoothing,
        ),
        uniform(shape), uniform(shape, 0, 1, seed=1),
    )  # fmt: skip


@pytest.mark.parametrize("reduction", ["mean", "sum", "none"])
@pytest.mark.parametrize("name", ["mse_loss", "l1_loss"])
def test_losses_of_numbers(name, reduction):
    compare(
        lambda T, x, t: getattr(T.nn.functional, name)(x, t, reduction=reduction),
        spread((3, 4)), spread((3, 4), 1, 0.125),
    )  # fmt: skip


OPS = {
    "arithmetic": lambda T, x, y: (x * y + x / (y * y + 1) - y) ** 3,
    "powers": lambda T, x, y: (x * x + 1) ** y + 2**x + (y * y + 1) ** -1.5,
    "extremes": lambda T, x, y: T.maximum(x, y) * T.minimum(x, y + 0.01),
    "where": lambda T, x, y: T.where(x > y, x * y, x - y),
    "matmul": lambda T, x, y: x @ y.transpose(0, 1) @ x,
    "sums": lambda T, x, y: (x * y).sum(1, keepdim=True) * x.mean(0) + y.var(1).sum(),
    "std": lambda T, x, y: x.std(0) * y.std(1, unbiased=False)[0],
    "norms": lambda T, x, y: x.norm() * y.norm(1, dim=1)[:3].sum() * (x - y).norm(3),
    "logsumexp": lambda T, x, y: T.logsumexp(x * y, 1) + T.logsumexp(y, (0, 1)),
    "max": lambda T, x, y: x.max(1)[0] + y.max(1)[0] * x.amax((0, 1)) + y.min(),
    "cat": lambda T, x, y: T.cat([x, y, x * y], 1).flip(0).t()[1::2],
    "stack": lambda T, x, y: T.stack([x, y], -1).unbind(1)[2].squeeze(),
    "split": lambda T, x, y: x.split([1, 3], 1)[1] * y.chunk(3, 1)[0][:, :1],
    "gather": lambda T, x, y: T.gather(x * y, 1, T.tensor([[0, 0], [2, 1], [3, 3], [1, 0]])),
    "index": lambda T, x, y: (x * y)[T.tensor([2, 0, 2]), 1:][..., None],
    "pad": lambda T, x, y: T.nn.functional.pad(x * y, (1, -1, 2, 0), value=3.0),
    "clamp": lambda T, x, y: x.clamp(-1, 1.1) * y.clamp(min=0.3),
    "clamp by tensors": lambda T, x, y: T.clamp(x, min=y),
    "pointwise": lambda T, x, y: T.erf(x) * T.log1p(x * x) + T.expm1(y) * T.rsqrt(1 + y * y),
    "remainder": lambda T, x, y: T.remainder(x, 0.7) * y,
    "expand": lambda T, x, y: (x[:, :1].expand(-1, 4) * y).reshape(2, -1).permute(1, 0),
}


@pytest.mark.parametrize("name", OPS)
@given(seed=seeds)
def test_ops(name, seed):
    x, y = spread((4, 4), seed) + 0.01, spread((4, 4), seed + 1, 0.1)
    compare(OPS[name], x / 2, y / 2, tolerance=1e-8)


@pytest.mark.parametrize(
    "name, x, y",
    [
        ("maximum", [1.0, np.nan, 2.0], [1.0, 1.0, np.nan]),
        ("minimum", [1.0, np.nan, 2.0], [1.0, 1.0, np.nan]),
        ("clamp", [1.0, 0.0, 2.0], [1.0, 1.0, 1.0]),
        ("pow", [0.0, 0.0, 2.0], [0.0, 2.0, 0.0]),
    ],
)
def test_ties_and_nan_between_two_tensors(name, x, y):
    compare(lambda T, a, b: getattr(T, name)(a, b), np.array(x), np.array(y), order=1)


# -- promotion ----------------------------------------------------------------------------
NAMES = "bool uint8 int8 int16 int32 int64 float32 float64".split()


@pytest.mark.parametrize("op", ["add", "mul", "div", "where", "maximum", "cat", "eq"])
@given(a=st.sampled_from(NAMES), b=st.sampled_from(NAMES), dims=st.tuples(*[st.booleans()] * 2))
def test_promotion(op, a, b, dims):
    assume(op != "cat" or all(dims))

    def dtype(T):
        x, y = (T.ones((2,) if d else (), dtype=getattr(T, name)) for name, d in zip((a, b), dims))
        if op == "where":
            return T.where(T.tensor([True, False]), x, y).dtype
        return (T.cat([x, y]) if op == "cat" else getattr(T, op)(x, y)).dtype

    assert str(dtype(tc)) == str(dtype(torch)).removeprefix("torch.")


@pytest.mark.parametrize("number", [True, 2, 2.5])
@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("shape", [(), (2,)])
def test_promotion_with_numbers(number, name, shape):
    def dtype(T):
        return (T.ones(shape, dtype=getattr(T, name)) * number).dtype

    assert str(dtype(tc)) == str(dtype(torch)).removeprefix("torch.")


@pytest.mark.parametrize(
    "call",
    [
        lambda T: T.arange(5), lambda T: T.arange(1, 2, 0.3), lambda T: T.full((2,), 3),
        lambda T: T.full((2,), 3.0), lambda T: T.tensor([1, 2.5]), lambda T: T.tensor([True, 2]),
        lambda T: T.ones(3, dtype=T.uint8).sum(), lambda T: T.tensor([7, -7]) // 2,
        lambda T: T.tensor([7, -7]) % 3, lambda T: T.tensor([7.5, -7.5]) // 2,
        lambda T: T.clamp(T.tensor([0, 1, 2]), 0.5), lambda T: T.tensor([2, 3]) ** 2,
        lambda T: T.tensor([2, 3]) ** 0.5, lambda T: T.linspace(0, 1, 4),
        lambda T: T.tensor([1.0, 5.0, 5.0]).max(0)[1], lambda T: T.argmax(T.tensor([1, 5, 5])),
        lambda T: T.eye(3), lambda T: T.tensor([True, False]) + T.tensor([True, True]),
        lambda T: T.sqrt(T.tensor([1, 4])), lambda T: T.tensor([1, 2]) / 2,
    ],
)  # fmt: skip
def test_values_and_dtypes_without_gradients(call):
    ours, theirs = call(tc), call(torch)
    assert str(ours.dtype) == str(theirs.dtype).removeprefix("torch.")
    np.testing.assert_allclose(ours.numpy(), theirs.numpy(), rtol=1e-6)


def test_the_third_derivative_of_batch_norm_is_that_of_its_formula():
    """PyTorch's own op takes the saved statistics as constants there."""
    rng = np.random.default_rng(0)
    arrays = [rng.standard_normal(s) for s in ((3, 4, 5, 2), (4,), (4,))]
    v, h, h3 = (rng.standard_normal((3, 4, 5, 2)) for _ in range(3))

    def composed(x, w, b):
        mean = x.mean((0, 2, 3), keepdim=True)
        var = ((x - mean) ** 2).mean((0, 2, 3), keepdim=True)
        return (x - mean) / (var + 1e-5) ** 0.5 * w.reshape(1, -1, 1, 1) + b.reshape(1, -1, 1, 1)

    def third(T, bn):
        x, w, b = (T.from_numpy(a.copy()).requires_grad_() for a in arrays)
        (first,) = T.autograd.grad(bn(x, w, b), x, T.from_numpy(v), create_graph=True)
        (second,) = T.autograd.grad(first, x, T.from_numpy(h), create_graph=True)
        return T.autograd.grad(second, x, T.from_numpy(h3))[0].numpy()

    ours = third(tc, lambda x, w, b: tc.nn.functional.batch_norm(x, None, None, w, b, True))
    np.testing.assert_allclose(ours, third(torch, composed), rtol=1e-9, atol=1e-11)
