"""Layers against their functions, initialisation by PyTorch's definitions, argument errors."""

import math

import numpy as np
import pytest

import tinyconv as tc
import tinyconv.nn as nn
import tinyconv.nn.functional as F

X = (2, 4, 7, 6)


@pytest.mark.parametrize(
    "layer, function",
    [
        (nn.MaxPool2d((3, 2), (2, 1), (1, 0), ceil_mode=True),
         lambda x: F.max_pool2d(x, (3, 2), (2, 1), (1, 0), ceil_mode=True)),
        (nn.MaxPool2d(2, dilation=(1, 2)), lambda x: F.max_pool2d(x, 2, dilation=(1, 2))),
        (nn.AvgPool2d(3, 2, 1, True, False), lambda x: F.avg_pool2d(x, 3, 2, 1, True, False)),
        (nn.AvgPool2d(2, divisor_override=3), lambda x: F.avg_pool2d(x, 2, divisor_override=3)),
        (nn.AdaptiveAvgPool2d((3, 2)), lambda x: F.adaptive_avg_pool2d(x, (3, 2))),
        (nn.AdaptiveMaxPool2d(2), lambda x: F.adaptive_max_pool2d(x, 2)),
        (nn.MaxPool1d(3, 2, 1), lambda x: F.max_pool1d(x[0], 3, 2, 1)),
        (nn.AvgPool1d(3, 2, 1, True, False), lambda x: F.avg_pool1d(x[0], 3, 2, 1, True, False)),
        (nn.LPPool2d(2, 3, 2), lambda x: F.lp_pool2d(x, 2, 3, 2)),
        (nn.GroupNorm(2, 4, 0.1), lambda x: F.group_norm(x, 2, eps=0.1)),
        (nn.LayerNorm((7, 6)), lambda x: F.layer_norm(x, (7, 6))),
        (nn.RMSNorm(6, 0.1), lambda x: F.rms_norm(x, (6,), eps=0.1)),
        (nn.InstanceNorm2d(4), lambda x: F.instance_norm(x)),
        (nn.ZeroPad2d((1, 2, 0, 3)), lambda x: F.pad(x, (1, 2, 0, 3))),
        (nn.ZeroPad2d(2), lambda x: F.pad(x, (2, 2, 2, 2))),
        (nn.Flatten(), lambda x: x.flatten(1)),
        (nn.Flatten(0, 1), lambda x: x.flatten(0, 1)),
        (nn.Identity(1, two=3), lambda x: x),
        (nn.ReLU(True), F.relu), (nn.ReLU6(), F.relu6),
        (nn.LeakyReLU(0.3), lambda x: F.leaky_relu(x, 0.3)),
        (nn.ELU(0.5), lambda x: F.elu(x, 0.5)), (nn.SELU(), F.selu), (nn.SiLU(), F.silu),
        (nn.GELU("tanh"), lambda x: F.gelu(x, "tanh")),
        (nn.Hardtanh(-2, 2), lambda x: F.hardtanh(x, -2, 2)),
        (nn.Softplus(2, 5), lambda x: F.softplus(x, 2, 5)), (nn.Sigmoid(), F.sigmoid),
        (nn.LogSigmoid(), F.logsigmoid), (nn.Tanh(), F.tanh),
        (nn.Softmax(-1), lambda x: F.softmax(x, -1)),
        (nn.LogSoftmax(dim=1), lambda x: F.log_softmax(x, 1)),
    ],
    ids=lambda v: type(v).__name__ if isinstance(v, nn.Module) else "",
)  # fmt: skip
def test_layers_call_their_functions(layer, function):
    x = tc.randn(*X)
    assert tc.equal(layer(x[0] if "1d" in type(layer).__name__ else x), function(x))


def test_max_pool_layer_returns_indices():
    values, indices = nn.MaxPool2d(2, return_indices=True)(tc.randn(*X))
    assert values.shape == indices.shape == (2, 4, 3, 3)


@pytest.mark.parametrize(
    "layer, function",
    [
        (nn.CrossEntropyLoss(label_smoothing=0.1),
         lambda x, t: F.cross_entropy(x, t, label_smoothing=0.1)),
        (nn.CrossEntropyLoss(tc.arange(3.0)), lambda x, t: F.cross_entropy(x, t, tc.arange(3.0))),
        (nn.NLLLoss(reduction="sum"), lambda x, t: F.nll_loss(x, t, reduction="sum")),
    ],
)  # fmt: skip
def test_losses_of_labels(layer, function):
    x, t = tc.randn(4, 3), tc.tensor([0, 2, 1, 1])
    assert tc.equal(layer(x, t), function(x, t))


def test_losses_of_numbers():
    x, t = tc.randn(4, 3), tc.randn(4, 3)
    assert tc.equal(nn.MSELoss()(x, t), F.mse_loss(x, t))
    assert tc.equal(nn.L1Loss(reduction="none")(x, t), F.l1_loss(x, t, reduction="none"))


def test_the_class_weights_of_a_loss_follow_its_dtype():
    loss = nn.CrossEntropyLoss(weight=tc.ones(3)).double()
    assert loss(tc.randn(2, 3, dtype=tc.float64), tc.tensor([0, 1])).dtype == tc.float64


# -- convolution --------------------------------------------------------------------------
@pytest.mark.parametrize("padding", [(1, 2), "same", (0, 2, 1, 1)])
@pytest.mark.parametrize("mode", ["reflect", "replicate", "circular"])
def test_padding_by_what_is_there(mode, padding):
    layer = nn.Conv2d(4, 3, (3, 2), padding=padding, dilation=(1, 2), padding_mode=mode)
    x = tc.randn(*X)
    sides = {(1, 2): (2, 2, 1, 1), "same": (1, 1, 1, 1)}.get(padding, padding)
    padded = F.pad(x, sides, mode)
    assert tc.equal(layer(x), F.conv2d(padded, layer.weight, layer.bias, dilation=(1, 2)))


def test_a_transposed_convolution_of_a_chosen_size():
    layer = nn.ConvTranspose2d(4, 3, (3, 2), stride=(3, 2), groups=1, bias=False)
    x = tc.randn(*X)
    y = layer(x, output_size=(22, 13))
    assert layer.weight.shape == (4, 3, 3, 2) and y.shape == (2, 3, 22, 13)
    wanted = F.conv_transpose2d(x, layer.weight, stride=(3, 2), output_padding=(1, 1))
    assert tc.equal(y, wanted) and tc.equal(y, layer(x, y.shape))
    with pytest.raises(ValueError, match=r"must be from \[21, 12\] to \[23, 13\]"):
        layer(x, (24, 12))


# -- batch norm ---------------------------------------------------------------------------
def test_batch_norm_counts_batches_and_uses_running_statistics_in_evaluation():
    layer, x = nn.BatchNorm2d(4), tc.randn(*X) * 3 + 2
    for _ in range(2):
        layer(x)
    assert layer.num_batches_tracked.item() == 2
    mean, var = x.numpy().mean((0, 2, 3)), x.numpy().var((0, 2, 3), ddof=1)
    np.testing.assert_allclose(layer.running_mean.numpy(), 0.19 * mean, rtol=1e-5)
    np.testing.assert_allclose(layer.running_var.numpy(), 0.81 + 0.19 * var, rtol=1e-5)
    y = layer.eval()(x)
    wanted = F.batch_norm(x, layer.running_mean, layer.running_var, layer.weight, layer.bias)
    assert tc.equal(y, wanted) and layer.num_batches_tracked.item() == 2


def test_batch_norm_with_momentum_none_averages_all_batches():
    layer = nn.BatchNorm1d(3, momentum=None)
    batches = [tc.randn(5, 3) + k for k in range(3)]
    for x in batches:
        layer(x)
    means = np.mean([x.numpy().mean(0) for x in batches], 0)
    np.testing.assert_allclose(layer.running_mean.numpy(), means, rtol=1e-5)


def test_batch_norm_without_statistics_or_parameters():
    layer = nn.BatchNorm2d(4, affine=False, track_running_stats=False).eval()
    y = layer(tc.randn(*X) + 5)
    assert layer.state_dict() == {} and abs(y.mean().item()) < 1e-5


def test_batch_norm_backward_in_evaluation_and_with_a_batch_of_one():
    layer = nn.BatchNorm2d(4).eval()
    x = tc.randn(1, *X[1:], requires_grad=True)
    layer(x).sum().backward()
    np.testing.assert_allclose(x.grad.numpy(), np.full(x.shape, 1 / math.sqrt(1 + 1e-5)), rtol=1e-6)
    layer.train()(x).sum().backward()


def test_batch_norm_starts_afresh():
    layer = nn.BatchNorm2d(4)
    nn.init.normal_(layer.weight)
    layer(tc.randn(*X))
    layer.reset_running_stats()
    assert not layer.running_mean.numpy().any() and layer.num_batches_tracked.item() == 0
    layer.reset_parameters()
    assert tc.equal(layer.weight, tc.ones(4)) and tc.equal(layer.running_var, tc.ones(4))


def test_batch_norm_loads_a_state_from_before_there_was_a_counter():
    layer = nn.BatchNorm1d(3)
    state = {k: v for k, v in layer.state_dict().items() if k != "num_batches_tracked"}
    assert layer.load_state_dict(state) == ([], [])


def test_instance_norm_without_a_batch_and_with_running_statistics():
    layer, x = nn.InstanceNorm2d(4, affine=True, track_running_stats=True), tc.randn(*X) + 3
    assert tc.equal(layer(x[0]), layer(x[:1])[0])
    assert layer.num_batches_tracked.item() == 0 and (layer.running_mean.numpy() > 0.3).all()
    y = layer.eval()(x)
    assert tc.equal(y, F.batch_norm(x, layer.running_mean, layer.running_var, layer.weight))
    with pytest.warns(UserWarning, match="has 4 channels, num_features=3"):
        nn.InstanceNorm2d(3)(x)


@pytest.mark.parametrize(
    "layer, shape, words",
    [
        (nn.BatchNorm1d(4), X, r"BatchNorm1d: wants 2 or 3 dimensions, got shape \[2, 4, 7, 6\]"),
        (nn.BatchNorm2d(4), (2, 4), "BatchNorm2d: wants 4"),
        (nn.BatchNorm2d(3), X, "4 channels"),
        (nn.BatchNorm1d(4), (1, 4), "more than one value per channel"),
        (nn.InstanceNorm2d(3, affine=True), X, r"shape \[2, 4, 7, 6\] has 4 channels, num_feat"),
        (nn.InstanceNorm1d(4), X, "InstanceNorm1d: wants 2 or 3"),
        (nn.Conv2d(3, 2, 3), X, "input has 4 channels.*weight wants 3"),
        (nn.Linear(5, 2), X, r"linear: input of shape \[2, 4, 7, 6\]"),
    ],
)
def test_inputs_that_do_not_fit(layer, shape, words):
    before = {k: v.numpy().copy() for k, v in layer.state_dict().items()}
    with pytest.raises(ValueError, match=words):
        layer(tc.randn(*shape))
    for name, value in layer.state_dict().items():
        np.testing.assert_array_equal(value.numpy(), before[name])


@pytest.mark.parametrize(
    "make, error, words",
    [
        (lambda: nn.Conv2d(3, 4, 3, groups=2), ValueError,
         "groups=2 must divide in_channels=3 and out_channels=4"),
        (lambda: nn.Conv2d(3, 4, 0), ValueError, "Conv2d: kernel_size=0"),
        (lambda: nn.Conv2d(3, 4, (3, 3, 3)), ValueError, "wants 1 or 2 numbers, got 3"),
        (lambda: nn.Conv2d(3, 4, 3, stride=0), ValueError, "Conv2d: stride=0"),
        (lambda: nn.Conv2d(3, 4, 3, padding="full"), ValueError, "padding='full'"),
        (lambda: nn.Conv2d(3, 4, 3, padding_mode="mirror"), ValueError, "padding_mode='mirror'"),
        (lambda: nn.ConvTranspose2d(3, 4, 3, padding_mode="reflect"), ValueError, "one of .'zeros"),
        (lambda: nn.ConvTranspose2d(3, 4, 3, padding="same"), TypeError, "whole numbers"),
        (lambda: nn.Conv1d(3, 4, (3, 3)), ValueError, "Conv1d: kernel_size.*wants 1 number, got 2"),
        (lambda: nn.GroupNorm(3, 4), ValueError, "num_groups=3 must divide num_channels=4"),
        (lambda: nn.Conv2d(3, 4, 3, device="cuda"), RuntimeError, "cuda"),
        (lambda: nn.Dropout(1.5), ValueError, "Dropout: p=1.5 must be a probability"),
        (lambda: nn.ReLU(slope=1), TypeError, "ReLU.*'slope'"),
        (lambda: nn.GELU("none", 2), TypeError, "GELU"),
    ],
)  # fmt: skip
def test_arguments_that_are_refused(make, error, words):
    with pytest.raises(error, match=words):
        make()


def test_dropout_layers_follow_the_mode():
    x = tc.ones(30, 20, 2, 2)
    for layer in (nn.Dropout(0.5), nn.Dropout2d(0.5)):
        assert not layer(x).numpy().all() and layer.eval()(x) is x


# -- initialisation -----------------------------------------------------------------------
def _std(bound):
    return bound / math.sqrt(3)


@pytest.mark.parametrize(
    "layer, fan_in", [(nn.Conv2d(6, 40, (3, 5), groups=2), 3 * 15), (nn.Linear(50, 40), 50)]
)
def test_default_initialisation_is_pytorchs(layer, fan_in):
    bound = 1 / math.sqrt(fan_in)  # kaiming_uniform with a = sqrt(5)
    weight, bias = layer.weight.detach().numpy(), layer.bias.detach().numpy()
    assert 0.95 * bound < np.abs(weight).max() <= bound and np.abs(bias).max() <= bound
    np.testing.assert_allclose(weight.std(), _std(bound), rtol=0.05)
    assert abs(weight.mean()) < 0.05 * bound and np.abs(bias).max() > 0.7 * bound


def test_one_seed_gives_one_net_and_reset_draws_again():
    a, b = (tc.manual_seed(1), nn.Linear(3, 4))[1], (tc.manual_seed(1), nn.Linear(3, 4))[1]
    assert tc.equal(a.weight, b.weight)
    b.reset_parameters()
    assert not tc.equal(a.weight, b.weight)


W = (60, 20, 3, 4)
FAN_IN, FAN_OUT = 20 * 12, 60 * 12


@pytest.mark.parametrize(
    "name, options, std, uniform",
    [
        ("kaiming_uniform_", {}, math.sqrt(2 / FAN_IN), True),
        ("kaiming_uniform_", dict(a=math.sqrt(5)), math.sqrt(2 / 6 / FAN_IN), True),
        ("kaiming_uniform_", dict(mode="fan_out", nonlinearity="relu"),
         math.sqrt(2 / FAN_OUT), True),
        ("kaiming_normal_", {}, math.sqrt(2 / FAN_IN), False),
        ("kaiming_normal_", dict(mode="fan_out", nonlinearity="tanh"),
         5 / 3 / math.sqrt(FAN_OUT), False),
        ("xavier_uniform_", dict(gain=2), 2 * math.sqrt(2 / (FAN_IN + FAN_OUT)), True),
        ("xavier_normal_", {}, math.sqrt(2 / (FAN_IN + FAN_OUT)), False),
        ("lecun_uniform_", {}, math.sqrt(1 / FAN_IN), True),
        ("lecun_normal_", {}, math.sqrt(1 / FAN_IN), False),
        ("uniform_", dict(a=-2, b=2), 2 / math.sqrt(3), True),
        ("normal_", dict(std=3.0), 3, False),
    ],
)  # fmt: skip
def test_initialisers_have_the_spread_of_their_papers(name, options, std, uniform):
    w = nn.Parameter(tc.empty(*W))
    assert getattr(nn.init, name)(w, **options) is w and w.requires_grad and w.is_leaf
    values = w.detach().numpy()
    np.testing.assert_allclose(values.std(), std, rtol=0.03)
    assert abs(values.mean()) < 0.03 * std
    largest = np.abs(values).max() / std
    assert 1.7 < largest <= math.sqrt(3) * (1 + 1e-6) if uniform else 3 < largest < 6


def test_constant_initialisers():
    w = nn.Parameter(tc.empty(2, 3))
    assert nn.init.zeros_(w).sum().item() == 0 and nn.init.ones_(w).sum().item() == 6
    assert nn.init.constant_(w, 0.5).sum().item() == 3 and w._version >= 3


@pytest.mark.parametrize("shape", [(4, 6), (6, 4), (5, 2, 2, 2), (3, 3)])
def test_orthogonal_rows_or_columns(shape):
    w = nn.init.orthogonal_(tc.empty(*shape, dtype=tc.float64), gain=2).numpy()
    m = w.reshape(shape[0], -1)
    m = m if m.shape[0] <= m.shape[1] else m.T
    np.testing.assert_allclose(m @ m.T, 4 * np.eye(len(m)), atol=1e-12)


def test_dirac_passes_the_input_through():
    w = nn.init.dirac_(tc.empty(3, 3, 3, 5))
    x = tc.randn(2, 3, 4, 6)
    assert tc.equal(F.conv2d(x, w, padding=(1, 2)), x)


@pytest.mark.parametrize(
    "name, param, gain",
    [
        ("linear", None, 1), ("conv2d", None, 1), ("sigmoid", None, 1), ("tanh", None, 5 / 3),
        ("relu", None, math.sqrt(2)), ("leaky_relu", 0.5, math.sqrt(2 / 1.25)),
        ("leaky_relu", None, math.sqrt(2 / 1.0001)), ("selu", None, 0.75),
    ],
)  # fmt: skip
def test_gains(name, param, gain):
    np.testing.assert_allclose(nn.init.calculate_gain(name, param), gain)


@pytest.mark.parametrize(
    "call, words",
    [
        (lambda: nn.init.calculate_gain("swish"), "'swish'; wants one of.*'relu'"),
        (lambda: nn.init.kaiming_uniform_(tc.empty(3)), r"shape \[3\]: wants at least 2"),
        (lambda: nn.init.kaiming_normal_(tc.empty(3, 2), mode="fan"), "mode='fan'"),
        (lambda: nn.init.orthogonal_(tc.empty(3)), "orthogonal_"),
        (lambda: nn.init.dirac_(tc.empty(3, 3)), r"dirac_: .*\[3, 3\]"),
    ],
)
def test_initialiser_errors(call, words):
    with pytest.raises(ValueError, match=words):
        call()


def test_initialisers_take_a_generator():
    state = tc.get_rng_state()
    draws = [nn.init.kaiming_normal_(tc.empty(3, 2), generator=tc.Generator().manual_seed(2))
             for _ in "ab"]  # fmt: skip
    assert tc.equal(*draws) and tc.get_rng_state() == state
