"""Losses with every option against loops in Python."""

import naive
import numpy as np
import pytest
from arrays import seeds, spread, uniform
from hypothesis import given
from hypothesis import strategies as st

import tinyconv as tc
import tinyconv.nn.functional as F
from tinyconv.testing import assert_gradients

reductions = st.sampled_from(["mean", "sum", "none"])


@st.composite
def classifications(draw, ignoring=True):
    """(logits shape, labels, options)."""
    N, C = draw(st.integers(1, 4)), draw(st.integers(2, 5))
    rest = draw(st.sampled_from([(), (3,), (2, 3)]))
    seed = draw(seeds)
    rng = np.random.default_rng(seed)
    labels = rng.integers(0, C, (N, *rest))
    ignore = draw(st.sampled_from([-100, 0, -1])) if ignoring else -100
    if ignore != -100 and ignoring:
        labels.flat[0] = ignore
        labels.flat[-1] = C - 1  # at least one counts
    options = dict(ignore_index=ignore, reduction=draw(reductions))
    if draw(st.booleans()):
        options["weight"] = rng.uniform(0.5, 2, C)
    return (N, C, *rest), labels, options, seed


def _tensors(options):
    return {k: tc.from_numpy(v) if isinstance(v, np.ndarray) else v for k, v in options.items()}


@given(case=classifications(), smoothing=st.sampled_from([0.0, 0.3]))
def test_cross_entropy_of_labels(case, smoothing):
    shape, labels, options, seed = case
    x = uniform(shape, seed=seed)

    def function(t):
        target = tc.from_numpy(labels)
        return F.cross_entropy(t, target, label_smoothing=smoothing, **_tensors(options))

    wanted = naive.cross_entropy(
        x, labels, options.get("weight"), options["ignore_index"], options["reduction"], smoothing
    )
    np.testing.assert_allclose(function(tc.from_numpy(x)).numpy(), wanted, rtol=1e-12)


@given(case=classifications(ignoring=False), smoothing=st.sampled_from([0.0, 0.3]))
def test_cross_entropy_of_probabilities(case, smoothing):
    shape, _, options, seed = case
    options.pop("ignore_index")
    x, target = uniform(shape, seed=seed), uniform(shape, 0.0, 1.0, seed=seed + 1)

    def function(t, p):
        return F.cross_entropy(t, p, label_smoothing=smoothing, **_tensors(options))

    wanted = naive.cross_entropy(
        x, target, options.get("weight"), -100, options["reduction"], smoothing
    )
    got = function(tc.from_numpy(x), tc.from_numpy(target))
    np.testing.assert_allclose(got.numpy(), wanted, rtol=1e-12)


@given(case=classifications())
def test_nll_loss(case):
    shape, labels, options, seed = case
    x = uniform(shape, seed=seed)

    def function(t):
        return F.nll_loss(F.log_softmax(t, 1), tc.from_numpy(labels), **_tensors(options))

    wanted = naive.cross_entropy(
        x, labels, options.get("weight"), options["ignore_index"], options["reduction"]
    )
    np.testing.assert_allclose(function(tc.from_numpy(x)).numpy(), wanted, rtol=1e-12)


def test_one_sample_without_a_batch():
    x = uniform((4,))
    wanted = naive.cross_entropy(x[None], np.array([2]))
    np.testing.assert_allclose(F.cross_entropy(tc.from_numpy(x), tc.tensor(2)).item(), wanted)


def test_labels_of_any_integer_dtype():
    x = tc.from_numpy(uniform((3, 4)))
    wanted = F.cross_entropy(x, tc.tensor([0, 3, 1])).item()
    for dtype in (tc.uint8, tc.int32):
        assert F.cross_entropy(x, tc.tensor([0, 3, 1], dtype=dtype)).item() == wanted


def test_all_labels_ignored_gives_nan_as_a_mean_and_zero_as_a_sum():
    x, labels = tc.ones(2, 3), tc.tensor([-100, -100])
    assert np.isnan(F.cross_entropy(x, labels).item())
    assert F.cross_entropy(x, labels, reduction="sum").item() == 0


def test_an_ignored_sample_counts_for_nothing_whatever_its_scores():
    inf = float("inf")
    x = tc.tensor([[-inf, 0.0], [1.0, 0.0]], requires_grad=True)
    loss = F.cross_entropy(x, tc.tensor([-100, 1]))
    np.testing.assert_allclose(loss.item(), np.log1p(np.e), rtol=1e-6)
    loss.backward()
    assert x.grad.numpy()[0].tolist() == [0, 0]


def test_confident_logits_do_not_overflow():
    x = tc.tensor([[1e4, -1e4], [-1e4, 1e4]], requires_grad=True)
    loss = F.cross_entropy(x, tc.tensor([0, 0]))
    loss.backward()
    assert loss.item() == 1e4 and tc.isfinite(x.grad).all()


@given(reduction=reductions, seed=seeds)
def test_squared_and_absolute_error(reduction, seed):
    x, t = spread((3, 4), seed), spread((3, 4), seed + 1, shift=0.125)
    for function, oracle in [(F.mse_loss, np.square), (F.l1_loss, np.abs)]:
        wanted = oracle(x - t)
        wanted = {"mean": wanted.mean(), "sum": wanted.sum(), "none": wanted}[reduction]
        got = function(tc.from_numpy(x), tc.from_numpy(t), reduction=reduction)
        np.testing.assert_allclose(got.numpy(), wanted)


@pytest.mark.parametrize("dtype", [tc.float32, tc.float64])
def test_precision_is_kept(dtype):
    x = tc.randn(3, 4, dtype=dtype).requires_grad_()
    for loss in (
        F.cross_entropy(x, tc.tensor([0, 1, 2]), weight=tc.ones(4, dtype=dtype)),
        F.cross_entropy(x, tc.ones(3, 4, dtype=dtype) / 4, label_smoothing=0.1),
        F.mse_loss(x, tc.zeros(3, 4, dtype=dtype)),
    ):
        assert loss.dtype == dtype and tc.autograd.grad(loss, x)[0].dtype == dtype


@pytest.mark.parametrize(
    "call, error, words",
    [
        (lambda x: F.cross_entropy(x, tc.tensor([0, 3])), IndexError,
         r"labels run from 0 to 3, but the scores of shape \[2, 3\] have 3 classes"),
        (lambda x: F.cross_entropy(x, tc.tensor([-1, 0])), IndexError, "run from -1"),
        (lambda x: F.cross_entropy(x, tc.tensor([0])), ValueError, r"labels of shape \[1\].*\[2\]"),
        (lambda x: F.cross_entropy(x, tc.tensor([0.0, 1.0])), ValueError, "probabilities"),
        (lambda x: F.cross_entropy(x, tc.tensor([True, False])), TypeError, "got bool"),
        (lambda x: F.cross_entropy(x, tc.tensor([0, 1]), weight=tc.ones(2)), ValueError,
         r"weight of shape \[2\] must be \[3\]"),
        (lambda x: F.cross_entropy(x, tc.tensor([0, 1]), label_smoothing=2), ValueError,
         "label_smoothing=2"),
        (lambda x: F.cross_entropy(x, tc.tensor([0, 1]), reduction="avg"), ValueError,
         "reduction='avg'"),
        (lambda x: F.cross_entropy(tc.tensor(1.0), tc.tensor(0)), ValueError, "class dimension"),
        (lambda x: F.nll_loss(x, tc.tensor([0.0, 1.0])), TypeError, "nll_loss: labels must be"),
        (lambda x: F.nll_loss(x, tc.tensor([0, 1]), weight=tc.ones(2)), ValueError, "nll_loss"),
        (lambda x: F.mse_loss(x, x, reduction="avg"), ValueError, "mse_loss: reduction='avg'"),
        (lambda x: F.mse_loss(x, tc.ones(5)), ValueError, r"\[2, 3\] and \[5\]"),
        (lambda x: F.cross_entropy(x, x, ignore_index=0), ValueError, "ignore_index=0 has no mean"),
        (lambda x: F.l1_loss(x, x, weight=tc.ones(3)), ValueError,
         r"l1_loss: weight of shape \[3\] must have the shape of the input, \[2, 3\]"),
        (lambda x: F.smooth_l1_loss(x, x, beta=-1.0), ValueError, "smooth_l1_loss: beta=-1"),
        (lambda x: F.huber_loss(x, x, delta=0), ValueError, "huber_loss: delta=0"),
        (lambda x: F.binary_cross_entropy(x, tc.ones(2)), ValueError,
         r"target of shape \[2\] must have the shape of the input, \[2, 3\]"),
        (lambda x: F.binary_cross_entropy(x * 2, x), RuntimeError, "must lie from 0 to 1"),
        (lambda x: F.binary_cross_entropy(x * float("nan"), x), RuntimeError, "from 0 to 1"),
        (lambda x: F.binary_cross_entropy_with_logits(x, tc.ones(2)), ValueError, "target of sha"),
        (lambda x: F.kl_div(x, tc.ones(5)), ValueError, r"kl_div: shapes \[2, 3\] and \[5\]"),
        (lambda x: F.gaussian_nll_loss(x, x, -x), ValueError, "var.*has entries below 0"),
        (lambda x: F.gaussian_nll_loss(x, x, tc.ones(3)), ValueError, r"var of shape \[3\]"),
        (lambda x: F.margin_ranking_loss(x, x, tc.ones(3)), RuntimeError, "same number of dimen"),
        (lambda x: F.cosine_embedding_loss(x, x, tc.tensor(1)), ValueError, "want \\(N, D\\)"),
        (lambda x: F.multi_margin_loss(x, tc.tensor([0, 3])), IndexError, "multi_margin_loss"),
        (lambda x: F.multi_margin_loss(x, tc.tensor([0, 1]), p=3), ValueError, "p=3"),
        (lambda x: F.multi_margin_loss(x, tc.tensor([0.0, 1.0])), TypeError, "must be integers"),
        (lambda x: F.multilabel_margin_loss(x, tc.tensor([0, 1])), ValueError, "labels of shape"),
        (lambda x: F.triplet_margin_loss(x, x, x, margin=0), ValueError, "margin=0"),
        (lambda x: F.poisson_nll_loss(x, x, reduction="avg"), ValueError, "poisson_nll_loss: red"),
    ],
)  # fmt: skip
def test_errors_name_the_loss_what_it_got_and_the_rule(call, error, words):
    with pytest.raises(error, match=words):
        call(tc.ones(2, 3))


# -- the primitive against the composed form -----------------------------------------------------
@given(case=classifications(), mean=st.booleans())
def test_the_one_pass_cross_entropy_is_the_composed_one(case, mean):
    shape, labels, options, seed = case
    ignore, reduction = options["ignore_index"], "mean" if mean else "sum"
    x = tc.from_numpy(spread(shape, seed)).requires_grad_()
    target = tc.from_numpy(labels)
    options = dict(ignore_index=ignore, reduction=reduction)
    fused = F.cross_entropy(x, target, **options)
    composed = F.nll_loss(F.log_softmax(x, 1), target, **options)
    np.testing.assert_allclose(fused.item(), composed.item(), rtol=1e-12, atol=1e-14)
    h = tc.from_numpy(spread(shape, seed + 1))
    seconds = []
    for loss in fused * fused, composed * composed:
        (g,) = tc.autograd.grad(loss, x, create_graph=True)
        (gg,) = tc.autograd.grad((g * g * h).sum(), x)
        seconds.append((g.detach().numpy(), gg.numpy()))
    for one, other in zip(*seconds):
        np.testing.assert_allclose(one, other, atol=1e-12)


def test_cross_entropy_of_labels_is_one_node_and_differentiable_twice():
    x = np.array([[0.3, -1.0, 2.0], [1.5, 0.1, -0.4], [0.2, 0.9, 0.6]])
    loss = lambda x: F.cross_entropy(x, tc.tensor([2, -100, 0]))
    assert loss(tc.from_numpy(x).requires_grad_()).grad_fn.name == "CrossEntropy"
    assert_gradients(loss, x)
    assert_gradients(lambda x: F.cross_entropy(x, tc.tensor(1), reduction="sum"), x[0])


@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf])
def test_an_ignored_row_counts_for_nothing_whatever_is_in_it(bad):
    x = tc.tensor([[1.0, 2.0], [bad, 0.5]], requires_grad=True)
    loss = F.cross_entropy(x, tc.tensor([1, 7]), ignore_index=7)
    loss.backward()
    np.testing.assert_allclose(loss.item(), np.log1p(np.exp(-1)), rtol=1e-6)
    assert not x.grad.numpy()[1].any() and x.grad.numpy()[0].all()


def test_without_a_label_that_counts_the_mean_is_nan_and_the_gradient_0():
    x = tc.tensor([[1.0, 2.0]], requires_grad=True)
    loss = F.cross_entropy(x, tc.tensor([-100]))
    loss.backward()
    assert np.isnan(loss.item()) and not x.grad.numpy().any()


def test_a_label_that_is_no_class_is_refused_by_the_one_pass_too():
    with pytest.raises(IndexError, match="labels run from -1 to 3.*3 classes"):
        F.cross_entropy(tc.zeros(2, 3), tc.tensor([-1, 3]))


def test_the_labels_may_not_change_before_backward():
    x, labels = tc.zeros(2, 3, requires_grad=True), tc.tensor([0, 1])
    loss = F.cross_entropy(x, labels)
    labels[0] = 2
    with pytest.raises(RuntimeError, match="changed in place"):
        loss.backward()


def test_cross_entropy_is_bit_equal_for_any_number_of_threads(threads, rng):
    x, labels = rng.standard_normal((700, 90)).astype(np.float32), rng.integers(0, 90, 700)
    results = []
    for number in (1, 2, 3):
        threads(number)
        t = tc.from_numpy(x).requires_grad_()
        loss = F.cross_entropy(t, tc.from_numpy(labels))
        loss.backward()
        results.append(loss.detach().numpy().tobytes() + t.grad.numpy().tobytes())
    assert len(set(results)) == 1


@pytest.mark.parametrize("shape", [(3, 5), (2, 5, 3)])
def test_cross_entropy_of_large_logits_keeps_its_digits(shape):
    x = np.random.default_rng(1).standard_normal(shape).astype(np.float32)
    x = np.round(x * 8) / 8 + np.float32(1e6)  # exact in float32
    labels = np.arange(x.size // 5).reshape(shape[0], *shape[2:]) % 5
    wanted = F.cross_entropy(tc.from_numpy(x.astype(float)), tc.from_numpy(labels)).item()
    found = F.cross_entropy(tc.from_numpy(x), tc.from_numpy(labels)).item()
    assert found == pytest.approx(wanted, rel=1e-6)
