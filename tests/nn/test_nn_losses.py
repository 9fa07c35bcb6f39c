"""Losses and dropout as layers, and what is odd about them: old spellings, edges, chance."""

import numpy as np
import pytest

import tinyconv as tc
import tinyconv.nn.functional as F
from tinyconv import nn

INF = float("inf")


@pytest.mark.parametrize(
    "old, new",
    [
        (dict(size_average=True), "mean"),
        (dict(size_average=False), "sum"),
        (dict(reduce=True), "mean"),
        (dict(reduce=False), "none"),
        (dict(size_average=False, reduce=True), "sum"),
        (dict(size_average=True, reduce=False), "none"),
    ],
)
def test_the_old_spelling_of_reduction(old, new):
    x, t = tc.randn(3, 4), tc.tensor([0, 1, 3])
    assert tc.equal(F.cross_entropy(x, t, **old), F.cross_entropy(x, t, reduction=new))
    assert nn.MSELoss(**old).reduction == new
    assert tc.equal(nn.MSELoss(**old)(x, x * 2), F.mse_loss(x, x * 2, reduction=new))
    # the places of the arguments are the old ones too
    assert tc.equal(F.l1_loss(x, -x, None, None, "sum"), F.l1_loss(x, -x, reduction="sum"))
    assert nn.CrossEntropyLoss(None, None, 7).ignore_index == 7


def test_weights_are_buffers():
    w = tc.tensor([1.0, 2.0, 4.0])
    loss = nn.CrossEntropyLoss(w, label_smoothing=0.1)
    assert list(loss.state_dict()) == ["weight"] and not list(loss.parameters())
    x, t = tc.randn(2, 3), tc.tensor([0, 2])
    assert tc.equal(loss(x, t), F.cross_entropy(x, t, w, label_smoothing=0.1))
    assert tc.equal(loss(input=x, target=t), loss(x, t))
    assert loss.double().weight.dtype == tc.float64
    both = nn.BCEWithLogitsLoss(w, pos_weight=w)
    assert list(both.state_dict()) == ["weight", "pos_weight"]
    assert nn.CrossEntropyLoss().state_dict() == {} and nn.NLLLoss().weight is None


def test_losses_print_and_are_derived_from():
    assert repr(nn.CrossEntropyLoss(tc.ones(3))) == "CrossEntropyLoss()"

    class Focal(nn.modules.loss._WeightedLoss):
        def __init__(self, weight=None, gamma=2.0, reduction="mean"):
            super().__init__(weight, reduction=reduction)
            self.gamma = gamma

        def forward(self, input, target):
            logp = F.log_softmax(input, 1)
            rest = (1 - logp.exp()) ** self.gamma
            return F.nll_loss(rest * logp, target, self.weight, reduction=self.reduction)

    assert Focal(tc.ones(3))(tc.zeros(1, 3), tc.tensor([0])).item() == pytest.approx(
        np.log(3) * (2 / 3) ** 2
    )
    with pytest.raises(TypeError, match="GaussianNLLLoss.*too many positional"):
        nn.GaussianNLLLoss(True)
    with pytest.raises(ValueError, match="MSELoss: reduction='avg'"):
        nn.MSELoss(reduction="avg")
    with pytest.raises(ValueError, match="mse_loss: reduction='batchmean'"):
        nn.MSELoss(reduction="batchmean")(tc.ones(1), tc.ones(1))


def test_binary_cross_entropy_at_0_and_1_is_finite_both_ways():
    x = tc.tensor([0.0, 1.0, 0.0, 1.0], requires_grad=True)
    loss = F.binary_cross_entropy(x, tc.tensor([1.0, 0.0, 0.0, 1.0]), reduction="none")
    assert loss.tolist() == [100, 100, 0, 0]
    loss.sum().backward()
    assert x.grad.numpy() == pytest.approx([-1e12, 1e12, 0, 0])


def test_logits_of_any_size():
    x = tc.tensor([1e4, -1e4, 1e4, -1e4], requires_grad=True)
    t = tc.tensor([1.0, 0.0, 0.0, 1.0])
    loss = F.binary_cross_entropy_with_logits(x, t, reduction="none")
    assert loss.tolist() == [0, 0, 1e4, 1e4]
    loss.sum().backward()
    assert x.grad.tolist() == [0, 0, 1, -1]
    assert F.soft_margin_loss(x, tc.tensor([1, -1, -1, 1])).item() == 5e3


def test_differences_that_broadcast_are_warned_of():
    with pytest.warns(UserWarning, match=r"mse_loss: input of shape \[3, 1\] and target of sha"):
        assert F.mse_loss(tc.ones(3, 1), tc.ones(3), reduction="none").shape == (3, 3)


def test_empty_batches_and_nan():
    x, none = tc.zeros(0, 3), tc.zeros(0, dtype=tc.int64)
    for function, target in [
        (F.cross_entropy, none), (F.nll_loss, none), (F.multi_margin_loss, none),
        (F.mse_loss, x), (F.huber_loss, x), (F.binary_cross_entropy, x), (F.kl_div, x),
        (F.multilabel_soft_margin_loss, x),
    ]:  # fmt: skip
        assert function(x, target, reduction="sum").item() == 0
        assert np.isnan(function(x, target).item())
    nan = tc.tensor([float("nan"), 1.0])
    for function in (F.l1_loss, F.mse_loss, F.smooth_l1_loss, F.huber_loss):
        assert tc.isnan(function(nan, tc.zeros(2), reduction="none")).tolist() == [True, False]


def test_the_curve_of_huber_at_0():
    """Made of |d| it would be lost: the second derivative of |d| |d| at 0 is 0 by parts."""
    for function in (F.huber_loss, F.smooth_l1_loss):
        x = tc.zeros(1, requires_grad=True)
        (g,) = tc.autograd.grad(function(x, tc.zeros(1)), x, create_graph=True)
        assert tc.autograd.grad(g, x)[0].item() == 1


def test_margins_that_are_just_kept():
    x = tc.tensor([[1.0, 0.0]], requires_grad=True)
    F.multi_margin_loss(x, tc.tensor([0])).backward()
    assert x.grad.tolist() == [[0, 0]]
    x = tc.ones(1, requires_grad=True)
    F.hinge_embedding_loss(x, tc.tensor([-1])).backward()
    assert x.grad.item() == -1


@pytest.mark.parametrize("layer", [nn.AlphaDropout, nn.FeatureAlphaDropout])
def test_alpha_dropout_keeps_mean_and_variance(layer):
    tc.manual_seed(0)
    x = tc.randn(400, 300, 2)
    y = layer(0.3)(x)
    assert abs(y.mean().item()) < 0.02 and abs(y.var().item() - 1) < 0.03
    assert layer(0.3).eval()(x) is x
    assert not layer(1.0)(x).any()
    assert repr(layer(0.3)) == f"{layer.__name__}(p=0.3, inplace=False)"


@pytest.mark.parametrize(
    "layer, shape, axes",
    [
        (nn.Dropout1d, (40, 50, 3), (2,)), (nn.Dropout1d, (50, 3), (1,)),
        (nn.Dropout2d, (40, 50, 3, 2), (2, 3)), (nn.Dropout2d, (40, 50, 3), (2,)),
        (nn.Dropout3d, (40, 50, 3, 2, 1), (2, 3, 4)), (nn.Dropout3d, (50, 3, 2, 2), (1, 2, 3)),
    ],
)  # fmt: skip
def test_whole_channels_are_dropped(layer, shape, axes):
    y = layer(0.5)(tc.ones(*shape)).numpy()
    assert set(np.unique(y)) == {0.0, 2.0}
    assert (y.min(axes) == y.max(axes)).all()


@pytest.mark.parametrize(
    "call, words",
    [
        (lambda: F.dropout1d(tc.ones(3)), r"dropout1d: wants \(N, C, L\) or \(C, L\)"),
        (lambda: F.dropout2d(tc.ones(3)), "dropout2d: wants 2 dimensions at least"),
        (lambda: F.feature_alpha_dropout(tc.ones(3), training=True), "2 dimensions at least"),
        (lambda: F.alpha_dropout(tc.ones(3), p=1.5), "alpha_dropout: p=1.5"),
        (lambda: nn.AlphaDropout(-1), "AlphaDropout: p=-1"),
    ],
)
def test_what_dropouts_refuse(call, words):
    with pytest.raises(ValueError, match=words):
        call()
