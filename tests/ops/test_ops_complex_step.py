"""Complex steps: f(x + i h d).imag / h against the engine's own derivative, to rounding."""

import inspect
import threading

import numpy as np
import pytest
from arrays import spread, uniform

import tinyconv as tc
import tinyconv.nn.functional as F
from tinyconv import nn
from tinyconv.autograd import complex_step
from tinyconv.autograd.modes import state
from tinyconv.ops import (
    arithmetic,
    index,
    join,
    linalg,
    pairs,
    pointwise,
    power,
    rearrange,
    reduce,
    scatter,
    shape,
    softmax,
    strided,
)
from tinyconv.testing.registry import OPS, draws_of, names_in, not_differentiable

STEP = 2.0**-70  # a power of two: multiplying and dividing by it rounds nothing

X = spread((3, 4), seed=1)
Y = spread((3, 4), seed=2, shift=0.07)
IMAGES = spread((2, 4, 5, 6), seed=3) / 8
WEIGHT = uniform((6, 2, 3, 2), seed=4)
C = np.array([0.5, -1.5, 0.75, 2.0])
LABELS = tc.tensor([3, -100, 1])
INDEX = tc.tensor([[2, 0, 1, 1], [0, 0, 2, 1]])
MASK = tc.from_numpy(X > Y)
inf = float("inf")


def positive(x):
    return np.abs(x) + 0.1


# name: (function, inputs); one row for each way of an op that has its own arithmetic
CASES = {
    "grid_sample": (
        F.grid_sample, IMAGES, np.linspace(-0.8, 0.9, 12 * len(IMAGES)).reshape(-1, 2, 3, 2),
    ),
    "add": (tc.add, X, Y),
    "add alpha": (lambda a, b: tc.add(a, b, alpha=2.5), X, Y),
    "sub": (tc.sub, X, Y),
    "mul": (tc.mul, X, Y),
    "mul broadcast": (tc.mul, X, Y[0]),
    "div": (tc.div, X, Y),
    "div by a number": (lambda a: a / 3, X),
    "div floor": (lambda a, b: tc.div(a, b, rounding_mode="floor") * a, X, Y),
    "div trunc": (lambda a, b: tc.div(a, b, rounding_mode="trunc") * a, X, Y),
    "floor divided": (lambda a: a // 0.3 + a, X),
    "neg": (tc.neg, X),
    "pow": (lambda a: a**3, X),
    "pow square": (lambda a: a**2, X),
    "pow large": (lambda a: a**101, X),
    "pow inverse": (lambda a: a**-2, X),
    "pow fraction": (lambda a: a**1.7, positive(X)),
    "pow 0": (lambda a: a**0 + a, X),
    "pow tensor": (tc.pow, positive(X), Y),
    "pow of a number": (lambda b: 1.3**b, Y),
    "remainder": (tc.remainder, X, Y),
    "maximum": (tc.maximum, X, Y),
    "minimum": (tc.minimum, X, Y),
    "where": (lambda a, b: tc.where(a > b, a * b, b), X, Y),
    "where sides": (lambda a: tc.where(a <= 0, tc.exp(a), a * a), X),
    "clamp": (lambda a: tc.clamp(a, -0.6, 0.9), X),
    "clamp by tensors": (lambda a, b: tc.clamp(a, b, 1.0 + b), X, Y),
    "exp": (tc.exp, X),
    "expm1": (tc.expm1, X * 1e-6),
    "log": (tc.log, positive(X)),
    "log1p": (lambda a: tc.log1p(a) ** 2, positive(X) * 1e-9),
    "sqrt": (tc.sqrt, positive(X)),
    "rsqrt": (tc.rsqrt, positive(X)),
    "sin": (tc.sin, X),
    "cos": (tc.cos, X),
    "tanh": (tc.tanh, X),
    "sigmoid": (tc.sigmoid, X * 3),
    "erf": (tc.erf, X),
    "erfc": (tc.erfc, X),
    "sign": (lambda a: tc.sign(a) * a, X),
    "abs": (tc.abs, X),
    "exp2": (tc.exp2, X),
    "log2": (tc.log2, positive(X)),
    "log10": (tc.log10, positive(X)),
    "reciprocal": (tc.reciprocal, X),
    "tan": (tc.tan, X),
    "asin": (tc.asin, X / 4),
    "acos": (tc.acos, X / 4),
    "atan": (tc.atan, X),
    "sinh": (tc.sinh, X),
    "cosh": (tc.cosh, X),
    "asinh": (tc.asinh, X),
    "acosh": (tc.acosh, positive(X) + 1),
    "atanh": (tc.atanh, X / 4),
    "logit": (lambda a: tc.logit(a, 0.3) + tc.logit(a), positive(X) / 4),
    "sinc": (tc.sinc, X / 4),
    "floor": (lambda a: tc.floor(a) * a, X),
    "ceil": (lambda a: tc.ceil(a) * a, X),
    "trunc": (lambda a: tc.trunc(a) * a, X),
    "round": (lambda a: tc.round(a) * a + tc.round(a, decimals=1), X),
    "frac": (tc.frac, X),
    "positive": (lambda a: +a, X),
    "deg2rad": (tc.deg2rad, X),
    "rad2deg": (tc.rad2deg, X),
    "nan_to_num": (tc.nan_to_num, X),
    "square": (tc.square, X),
    "float_power": (tc.float_power, positive(X), Y),
    "rsub": (lambda a, b: tc.rsub(a, b, alpha=2), X, Y),
    "floor_divide": (lambda a, b: tc.floor_divide(a, b) * a, X, Y),
    "fmod": (tc.fmod, X, Y),
    "clamp_min": (lambda a: tc.clamp_min(a, 0.3), X),
    "clamp_max": (tc.clamp_max, X, Y),
    "atan2": (tc.atan2, X, Y),
    "hypot": (tc.hypot, X, Y),
    "copysign": (tc.copysign, X, Y),
    "logaddexp": (tc.logaddexp, X, Y),
    "logaddexp2": (tc.logaddexp2, X, Y),
    "xlogy": (tc.xlogy, X, positive(Y)),
    "fmax": (tc.fmax, X, Y),
    "fmin": (tc.fmin, X, Y),
    "lerp": (lambda a, b: tc.lerp(a, b, 0.3) + tc.lerp(a, b, a * b), X, Y),
    "addcmul": (lambda a, b: tc.addcmul(a, a, b, value=0.5), X, Y),
    "addcdiv": (lambda a, b: tc.addcdiv(a, a, b, value=2), X, Y),
    "heaviside": (lambda a, b: tc.heaviside(a * 0, b) * a, X, Y),
    "relu": (F.relu, X),
    "relu6": (lambda a: F.relu6(a * 8), X),
    "leaky_relu": (F.leaky_relu, X),
    "elu": (lambda a: F.elu(a, 1.3), X),
    "selu": (F.selu, X),
    "silu": (F.silu, X),
    "hardtanh": (F.hardtanh, X),
    "gelu": (F.gelu, X),
    "gelu tanh": (lambda a: F.gelu(a, "tanh"), X),
    "softplus": (lambda a: F.softplus(a, 2.0, 1.0), X),
    "logsigmoid": (F.logsigmoid, X),
    "reshape": (lambda a: a.reshape(4, 3) * C[:3], X),
    "view": (lambda a: a.view(2, 6), X),
    "flatten": (lambda a: tc.flatten(a, 0), X),
    "squeeze": (lambda a: tc.squeeze(tc.unsqueeze(a, 1), 1), X),
    "unsqueeze": (lambda a: tc.unsqueeze(a, 0), X),
    "expand": (lambda a: a[:, :1].expand(3, 5), X),
    "permute": (lambda a: tc.permute(a, 1, 0), X),
    "transpose": (lambda a: tc.transpose(a, 0, 1), X),
    "t": (tc.t, X),
    "flip": (lambda a: tc.flip(a, 0), X),
    "pad": (lambda a: F.pad(a, (1, 2, -1, 0), value=3.0), X),
    "clone": (tc.clone, X),
    "contiguous": (lambda a: a.t().contiguous(), X),
    "to": (lambda a: a.double() * a.to(tc.float64), X),
    "getitem": (lambda a: a[1:, ::2] * a[0, 0], X),
    "getitem by index": (lambda a: a[tc.tensor([0, 2, 0])], X),
    "getitem by mask": (lambda a: a[a > 0], X),
    "gather": (lambda a: tc.gather(a, 0, INDEX), X),
    "index_select": (lambda a: tc.index_select(a, 1, tc.tensor([3, 0, 3])), X),
    "masked_fill": (lambda a, b: tc.masked_fill(a, MASK, 2.0) + tc.masked_fill(b, MASK, 0), X, Y),
    "cat": (lambda a, b: tc.cat([a, b, tc.ones(1, 4)]), X, Y),
    "stack": (lambda a, b: tc.stack([a, b], 1), X, Y),
    "split": (lambda a: tc.split(a, [1, 3], 1), X),
    "chunk": (lambda a: tc.chunk(a, 2, 1), X),
    "unbind": (tc.unbind, X),
    "sum": (lambda a: tc.sum(a, 1), X),
    "mean": (lambda a: tc.mean(a, 0), X),
    "var": (lambda a: tc.var(a, 1), X),
    "std": (lambda a: tc.std(a, 0), X),
    "amax": (lambda a: tc.amax(a, (0, 2)), IMAGES),
    "amin": (lambda a: tc.amin(a, 1, keepdim=True), IMAGES),
    "max": (tc.max, X),
    "max along a dim": (lambda a: tc.max(a, 1).values, X),
    "min": (tc.min, X),
    "min along a dim": (lambda a: tc.min(a, 0).values, X),
    "max by argmax": (lambda a: a.view(-1)[tc.argmax(a)] - a.view(-1)[tc.argmin(a)] ** 2, X),
    "norm": (tc.norm, X),
    "norm 1": (lambda a: tc.norm(a, 1, 0), X),
    "norm 3": (lambda a: tc.norm(a, 3, 1), X),
    "norm inf": (lambda a: tc.norm(a, inf, 1) - tc.norm(a, -inf, 0)[:3], X),
    "norm 0": (lambda a: tc.norm(a, 0) * a, X),
    "logsumexp": (lambda a: tc.logsumexp(a, 1), X),
    "softmax": (lambda a: F.softmax(a, 1), X),
    "log_softmax": (lambda a: F.log_softmax(a, 0), X),
    "matmul": (tc.matmul, X, Y.T),
    "matmul of stacks": (tc.matmul, IMAGES, uniform((6, 2), seed=5)),
    "matmul of vectors": (tc.matmul, X[0], Y[0]),
    "linear": (F.linear, X, Y, C[:3]),
    "conv2d": (
        lambda x, w, b: F.conv2d(x, w, b, (2, 1), (2, 1, 0, 1), (1, 2), groups=2),
        IMAGES, WEIGHT, uniform((6,), seed=6),
    ),
    "conv2d same": (lambda x, w: F.conv2d(x, w, None, padding="same", groups=2), IMAGES, WEIGHT),
    "max_pool2d": (lambda x: F.max_pool2d(x, (3, 2), (1, 2), (1, 1), 1, True), IMAGES),
    "max_pool2d dilated": (lambda x: F.max_pool2d(x, 2, dilation=(2, 1)), IMAGES),
    "avg_pool2d": (lambda x: F.avg_pool2d(x, (3, 2), (2, 1), (1, 1), True, False), IMAGES),
    "adaptive_avg_pool2d": (lambda x: F.adaptive_avg_pool2d(x, (3, 4)), IMAGES),
    "adaptive_max_pool2d": (lambda x: F.adaptive_max_pool2d(x, (3, 4)), IMAGES),
    "batch_norm": (
        lambda x, w, b: F.batch_norm(x, None, None, w, b, training=True), IMAGES, C, -C,
    ),
    "batch_norm eval": (
        lambda x, w, b: F.batch_norm(x, tc.from_numpy(C), tc.from_numpy(C * C), w, b),
        IMAGES, C, -C,
    ),
    "local_response_norm": (lambda x: F.local_response_norm(x, 3, 0.9, k=2), IMAGES),
    "local_response_norm beta": (lambda x: F.local_response_norm(x, 4, 0.9, 1.3), IMAGES),
    "dropout": (lambda x: F.dropout(x, 0.4), X),
    "dropout2d": (lambda x: F.dropout2d(x, 0.4), IMAGES),
    "cross_entropy": (
        lambda x: F.cross_entropy(x, LABELS, tc.from_numpy(C), label_smoothing=0.2), X,
    ),
    "cross_entropy of probabilities": (F.cross_entropy, X, positive(Y)),
    "nll_loss": (lambda x: F.nll_loss(x, LABELS), X),
    "mse_loss": (F.mse_loss, X, Y),
    "l1_loss": (F.l1_loss, X, Y),
}  # fmt: skip
#: reductions, order and running sums along an axis
CASES |= {
    name: (lambda a, name=name: getattr(tc, name)(a, 1), X)
    for name in (
        "nansum", "nanmean", "prod", "cumsum", "cumprod", "logcumsumexp", "cummax", "cummin",
        "sort", "topk", "median", "nanmedian", "mode", "var_mean", "std_mean",
    )
}  # fmt: skip
CASES |= {
    "aminmax": (lambda a: tc.aminmax(a, dim=1), X),
    "kthvalue": (lambda a: tc.kthvalue(a, 2), X),
    "cumprod of zeros": (lambda a: tc.cumprod(a * tc.tensor([1.0, 0, 1, 0]), 1), X),
    "diff": (lambda a, b: tc.diff(a, 2, 0, b), X, Y),
    "msort": (tc.msort, X),
    "quantile": (lambda a: tc.quantile(a, 0.3, 1), X),
    "nanquantile": (lambda a: tc.nanquantile(a, 0.7, interpolation="midpoint"), X),
    "median of all": (lambda a: tc.median(a) * a, X),
}
#: activations
CASES |= {
    name: (getattr(F, name), X)
    for name in (
        "celu", "hardshrink", "hardsigmoid", "hardswish", "mish", "softmin", "softshrink",
        "softsign", "tanhshrink", "glu", "rrelu",
    )
}  # fmt: skip
CASES |= {
    "gumbel_softmax": (lambda a: (tc.manual_seed(0), F.gumbel_softmax(a))[1], X),
    "rrelu training": (lambda a: (tc.manual_seed(0), F.rrelu(a, training=True))[1], X),
    "threshold": (lambda a: F.threshold(a, 0.3, 2.0), X),
    "prelu": (F.prelu, X, C),
}
#: norms and distances
CASES |= {
    "vector_norm": (lambda a: tc.linalg.vector_norm(a, 2.5, 1), X),
    "matrix_norm": (lambda a: tc.linalg.matrix_norm(a, 1), X),
    "renorm": (lambda a: tc.renorm(a, 2, 0, 1.0), X),
    "normalize": (F.normalize, X),
    "dist": (tc.dist, X, Y),
    "cdist": (lambda a, b: tc.cdist(a, b, 3.0), X, Y),
    "pdist": (F.pdist, X),
    "pairwise_distance": (F.pairwise_distance, X, Y),
    "cosine_similarity": (F.cosine_similarity, X, Y),
}


#: losses, of scores and of probabilities, and dropout that keeps mean and variance
P, Q, SIGNS = positive(X) / 5, positive(Y) / 5, tc.tensor(np.sign(X).astype(int))
CASES |= {
    "smooth_l1_loss": (lambda a, b: F.smooth_l1_loss(a, b, beta=0.6), X, Y),
    "huber_loss": (lambda a, b: F.huber_loss(a, b, delta=0.6), X, Y),
    "binary_cross_entropy": (F.binary_cross_entropy, P, Q),
    "binary_cross_entropy_with_logits": (F.binary_cross_entropy_with_logits, X, Q),
    "binary_cross_entropy_with_logits weighted": (
        lambda a, b, c: F.binary_cross_entropy_with_logits(a, b, pos_weight=c), X, Q, C,
    ),
    "kl_div": (F.kl_div, X, Q),
    "poisson_nll_loss": (lambda a, b: F.poisson_nll_loss(a, b, full=True), X, positive(Y)),
    "gaussian_nll_loss": (F.gaussian_nll_loss, X, Y, positive(X)),
    "hinge_embedding_loss": (lambda a: F.hinge_embedding_loss(a, SIGNS), X),
    "margin_ranking_loss": (lambda a, b: F.margin_ranking_loss(a, b, SIGNS, 0.3), X, Y),
    "soft_margin_loss": (lambda a: F.soft_margin_loss(a, SIGNS), X),
    "cosine_embedding_loss": (lambda a, b: F.cosine_embedding_loss(a, b, SIGNS[:, 0]), X, Y),
    "multi_margin_loss": (lambda a: F.multi_margin_loss(a, tc.tensor([3, 0, 1]), p=2), X),
    "multilabel_margin_loss": (
        lambda a: F.multilabel_margin_loss(a, tc.tensor([[3, 0, -1, 1], [-1] * 4, [2] * 4])), X,
    ),
    "multilabel_soft_margin_loss": (F.multilabel_soft_margin_loss, X, Q),
    "triplet_margin_loss": (lambda a, b: F.triplet_margin_loss(a, b, a * b, swap=True), X, Y),
    "triplet_margin_with_distance_loss": (
        lambda a, b: F.triplet_margin_with_distance_loss(a, b, a * b), X, Y,
    ),
    "alpha_dropout": (lambda a: F.alpha_dropout(a, 0.4, True), X),
    "feature_alpha_dropout": (lambda a: F.feature_alpha_dropout(a, 0.4, True), IMAGES),
    "dropout1d": (lambda a: F.dropout1d(a, 0.4), X),
    "dropout3d": (lambda a: F.dropout3d(a, 0.4), IMAGES),
}  # fmt: skip


#: lines of the registry whose ops move, take or put numbers: all their spellings are tried
MOVES = (
    "reshape flatten permute transpose movedim unsqueeze squeeze expand clone flip roll repeat "
    "meshgrid diagonal diag tril stack cat hstack split tensor_split chunk unbind slices masks "
    "select index_select gather take Tensor.unfold scatter scatter_add scatter_reduce index_add "
    "index_put put masked_scatter view_scatter"
).split() + ["index arrays"]
#: lines of the registry for the others
OTHERS = (
    "matmul mv dot outer addmm addmv addr baddbmm addbmm bilinear embedding conv_transpose2d "
    "lp_pool max_unpool group_norm instance_norm layer_norm rms_norm pixel_shuffle pixel_unshuffle "
    "channel_shuffle fold upsample affine_grid"
).split() + ["convolutions of signals", "pools of signals", "interpolate linear"]


def with_direction(arrays, seed=0):
    """The points x + i h d as complex arrays, and the directions d."""
    rng = np.random.default_rng(seed)
    directions = [rng.choice([-1, 1], x.shape) * rng.uniform(0.5, 1.5, x.shape) for x in arrays]
    return [np.asarray(x + 1j * (STEP * d)) for x, d in zip(arrays, directions)], directions


def run(function, arrays, recording=False):
    """The function's outputs, all of one stream of random numbers, and its input Tensors."""
    tc.manual_seed(0)
    tensors = [tc.from_numpy(a) for a in arrays]
    for t in tensors:
        t.requires_grad = recording
    with tc.set_grad_enabled(recording):
        outputs = function(*tensors)
    return outputs if isinstance(outputs, tuple) else (outputs,), tensors


def engine(outputs, inputs, cotangents, create_graph=False):
    """The engine's J^T v; zeros where an output does not depend on an input."""
    pairs = [(y, v) for y, v in zip(outputs, cotangents) if y.requires_grad]
    outputs, cotangents = zip(*pairs)
    return tc.autograd.grad(
        outputs, inputs, cotangents,
        create_graph=create_graph, allow_unused=True, materialize_grads=True,
    )  # fmt: skip


def assert_slopes_agree(function, arrays, rtol=1e-13):
    """<v, J d> by a complex step and as <J^T v, d> by the engine."""
    moved, directions = with_direction(arrays)
    outputs, tensors = run(function, arrays, recording=True)
    rng = np.random.default_rng(1)
    cotangents = [np.asarray(rng.normal(size=y.shape)) for y in outputs]
    gradients = engine(outputs, tensors, [tc.from_numpy(v) for v in cotangents])
    with complex_step():
        stepped, _ = run(function, moved)
    for y, z in zip(outputs, stepped):
        np.testing.assert_array_equal(z.array.real, y.array)  # branches cannot differ
    ours = [v * (z.array.imag / STEP) for v, z in zip(cotangents, stepped)]
    engines = [g.array * d for g, d in zip(gradients, directions)]
    size = sum(np.abs(terms).sum() for terms in ours + engines)
    assert size > 0
    assert abs(sum(map(np.sum, ours)) - sum(map(np.sum, engines))) <= rtol * size


@pytest.mark.parametrize("name", CASES)
def test_a_complex_step_is_the_engines_derivative(name):
    function, *arrays = CASES[name]
    assert_slopes_agree(function, arrays)


@pytest.mark.parametrize("name", CASES)
def test_second_derivatives_by_a_complex_step(name):
    """The gradient is a function of inputs and cotangents like any other."""
    function, *arrays = CASES[name]
    outputs, _ = run(function, arrays)
    rng = np.random.default_rng(2)
    cotangents = [np.asarray(rng.normal(size=y.shape)) for y in outputs]

    def gradient(*args):
        inputs, vs = args[: len(arrays)], args[len(arrays) :]
        with tc.enable_grad():
            inputs = [x if x.requires_grad else x.detach().requires_grad_() for x in inputs]
            ys = function(*inputs)
            ys = ys if isinstance(ys, tuple) else (ys,)
            return engine(ys, inputs, vs, create_graph=args[0].requires_grad)

    assert_slopes_agree(gradient, [*arrays, *cotangents])


@pytest.mark.parametrize("name", [*MOVES, *OTHERS])
def test_registered_lines_by_a_complex_step(name):
    for case in draws_of(OPS[name], 2 * len(OPS[name].variants)):
        arrays = [x for x in case.inputs if x.dtype.kind == "f"]

        def function(*floats, case=case):
            floats = iter(floats)
            inputs = [next(floats) if x.dtype.kind == "f" else tc.tensor(x) for x in case.inputs]
            return case.func(*inputs)

        if any(y.array.size for y in run(function, arrays)[0]) and any(x.any() for x in arrays):
            assert_slopes_agree(function, arrays)


def test_every_differentiable_function_is_in_the_table():
    modules = (
        arithmetic, index, join, linalg, pairs, pointwise, power, rearrange, reduce, scatter, shape,
        softmax, strided,
    )  # fmt: skip
    functions = [f for m in modules for n, f in vars(m).items() if inspect.isfunction(f)]
    here = {m.__name__ for m in modules}
    names = {f.__name__ for f in functions if f.__module__ in here}
    names = {name for name in names if name[0] not in "_<"}
    flat = {name.partition(".")[2] for name in not_differentiable()}
    helpers = "sizes check_device check_fits plain_index sum_to nothing picked p_norm summable"
    helpers += " added along as_dtype check_index check_places flat_places getitem is_basic "
    helpers += "diagonal_look matrix_h reshaped several steps viewed one_or_several"
    tested = {name.split()[0] for name in CASES}
    for name in [*MOVES, *OTHERS]:
        for case in draws_of(OPS[name], len(OPS[name].variants)):
            tested |= {used.partition(".")[2] for used in names_in(case.source)}
    # what is written in place is the same function
    offered = {name for name in F.__all__ if name[-1] != "_"}
    assert not (names | offered) - tested - flat - set(helpers.split())


def test_whole_networks():
    net = nn.Sequential(
        nn.Conv2d(4, 6, 3, padding=1), nn.BatchNorm2d(6), nn.ReLU(), nn.MaxPool2d(2),
        nn.Flatten(), nn.Dropout(0.3), nn.Linear(36, 5), nn.LogSoftmax(1),
    ).double()  # fmt: skip
    assert_slopes_agree(net, [IMAGES])


def test_a_cast_to_float32_rounds_the_value_and_keeps_the_direction():
    # the engine's gradient passes through float32 and is rounded there too
    assert_slopes_agree(lambda x: x.float().double() * x, [X / 3], rtol=1e-7)


def test_constants_stay_real_beside_a_complex_step():
    w, b = tc.from_numpy(WEIGHT), tc.ones(6, dtype=tc.float64)
    assert_slopes_agree(lambda x: F.conv2d(x, w, b, groups=2), [IMAGES])
    assert_slopes_agree(lambda x: F.linear(x, w[:, 0, :, 0].t()[:, :4], b[:3]), [X])
    assert_slopes_agree(lambda x: F.batch_norm(x, None, None, b[:4], b[:4], True), [IMAGES])


@pytest.mark.parametrize(
    "what, function, wanted",
    [
        ("comparison", lambda x: x > 0, [False, True, False]),
        ("equality", lambda x: x == tc.from_numpy(np.array([-2.0, 1, 0])), [True] * 3),
        ("truth", lambda x: x.any(), True),
        ("all", lambda x: x.all(), False),
        ("not", lambda x: tc.logical_not(x), [False, False, True]),
        ("isfinite", lambda x: tc.isfinite(tc.log(x)), [False, True, False]),
        ("isnan", lambda x: tc.isnan(tc.sqrt(x)), [True, False, False]),
        ("integers", lambda x: x.long(), [-2, 1, 0]),
        ("bools", lambda x: x.bool(), [True, True, False]),
        ("argmax", lambda x: x.argmax(), 1),
        ("member", lambda x: tc.tensor(1.0 in x), True),
        ("closeness", lambda x: tc.tensor(tc.allclose(x, x.detach() * 1)), True),
        ("kind", lambda x: tc.tensor(x.is_floating_point()), True),
    ],
)
def test_branches_look_at_the_real_part(what, function, wanted):
    x = np.array([-2.0, 1.0, 0.0])
    with complex_step(), tc.no_grad():
        y = function(tc.from_numpy(x - 1j * STEP))
    assert y.dtype.kind in "bi" and y.tolist() == wanted


def test_a_tensor_of_one_complex_step_is_true_by_its_real_part():
    with complex_step():
        assert not tc.from_numpy(np.array([0.0 + 1j * STEP]))
        assert tc.from_numpy(np.array([3.0 + 0j]))


def test_complex_steps_are_written_where_they_fit_and_nowhere_else():
    with complex_step(), tc.no_grad():
        z = tc.from_numpy(np.array([1.0, -2.0]) + 1j * STEP)
        y = tc.zeros_like(z)
        y.copy_(z).mul_(z).add_(3.0)
        y[0] = z[1]
        np.testing.assert_array_equal(y.array, [-2 + 1j * STEP, 7 - 4j * STEP])
        real = tc.zeros(2, dtype=tc.float64)
        for write in (
            lambda: real.copy_(z),
            lambda: real.add_(z),
            lambda: real.fill_(z[0]),
            lambda: real.__setitem__(0, z[0]),
        ):
            with pytest.raises(RuntimeError, match="complex128 cannot be written into float64"):
                write()
        assert real.tolist() == [0, 0]


def test_running_statistics_take_the_real_part():
    statistics = [tc.zeros(4, dtype=tc.float64), tc.ones(4, dtype=tc.float64)]
    twins = [s.clone() for s in statistics]
    F.batch_norm(tc.from_numpy(IMAGES), *twins, training=True)
    with complex_step():
        run(lambda x: F.batch_norm(x, *statistics, training=True), with_direction([IMAGES])[0])
    assert all(tc.equal(a, b) for a, b in zip(statistics, twins))


def test_outside_the_probe_complex_numbers_are_refused():
    sentence = "complex128 tensors serve complex-step gradient checks only"
    z = np.array([1.0 + 1j])
    for make in (
        lambda: tc.from_numpy(z),
        lambda: tc.tensor(z),
        lambda: tc.tensor(1j),
        lambda: tc.zeros(2, dtype=np.complex128),
        lambda: tc.ones(2).to(np.complex128),
        lambda: tc.ones(1) + z,
    ):
        with pytest.raises(TypeError, match=sentence):
            make()
    with complex_step():
        left_over = tc.from_numpy(z)
        with pytest.raises(TypeError, match=f"complex64.*{sentence}"):
            tc.from_numpy(z.astype(np.complex64))
    for op in (F.relu, F.softmax, tc.norm, tc.mean, F.gelu):
        with pytest.raises(TypeError, match=sentence):
            op(left_over)


def test_the_switch_is_put_back_and_belongs_to_one_thread():
    seen = []
    with pytest.raises(KeyError), complex_step():
        thread = threading.Thread(target=lambda: seen.append(state.complex_step))
        thread.start()
        thread.join()
        with complex_step():
            pass
        assert state.complex_step
        raise KeyError
    assert seen == [False] and not state.complex_step
