"""Averages of weights, and what they need: fresh statistics, a last rate."""

import numpy as np
import pytest

import tinyconv as tc
from tinyconv import nn, optim
from tinyconv.optim.swa_utils import (
    SWALR,
    AveragedModel,
    get_ema_avg_fn,
    get_ema_multi_avg_fn,
    get_swa_avg_fn,
    get_swa_multi_avg_fn,
    update_bn,
)


def network():
    tc.manual_seed(0)
    return nn.Sequential(nn.Conv2d(2, 3, 3), nn.BatchNorm2d(3), nn.Flatten(), nn.Linear(27, 2))


def values(net):
    return {name: t.numpy().copy() for name, t in net.state_dict().items()}


@pytest.mark.parametrize(
    "options, shares",
    [
        ({}, [1 / 3, 1 / 3, 1 / 3]),
        (dict(avg_fn=get_swa_avg_fn()), [1 / 3, 1 / 3, 1 / 3]),
        (dict(multi_avg_fn=get_swa_multi_avg_fn()), [1 / 3, 1 / 3, 1 / 3]),
        (dict(avg_fn=get_ema_avg_fn(0.75)), [0.5625, 0.1875, 0.25]),
        (dict(multi_avg_fn=get_ema_multi_avg_fn(0.75)), [0.5625, 0.1875, 0.25]),
    ],
)
@pytest.mark.parametrize("use_buffers", [False, True])
def test_the_weights_are_averages(options, shares, use_buffers):
    net = network()
    averaged = AveragedModel(net, use_buffers=use_buffers, **options)
    seen = []
    for k in range(3):
        net(tc.randn(4, 2, 5, 5))  # moves the running statistics
        with tc.no_grad():
            for p in net.parameters():
                p.add_(k + 1.0)
        averaged.update_parameters(net)
        seen.append(values(net))
    assert averaged.n_averaged.item() == 3
    assert averaged.module is not net and not averaged.module[0].weight.grad_fn
    for name, found in values(averaged.module).items():
        mean = sum(share * each[name] for share, each in zip(shares, seen))
        if "running" in name and not use_buffers:
            mean = seen[-1][name]
        if name.endswith("tracked"):
            assert found.dtype == np.int64
        else:
            np.testing.assert_allclose(found, mean, rtol=1e-5, atol=1e-6)


def test_an_averaged_model_is_a_module():
    averaged = AveragedModel(network())
    assert list(averaged.state_dict())[0] == "n_averaged"
    assert averaged(tc.ones(2, 2, 5, 5)).shape == (2, 2)
    other = AveragedModel(network())
    averaged.update_parameters(network())
    other.load_state_dict(averaged.state_dict())
    assert other.n_averaged.item() == 1
    with pytest.raises(ValueError, match="not both"):
        AveragedModel(network(), avg_fn=get_ema_avg_fn(), multi_avg_fn=get_ema_multi_avg_fn())
    with pytest.raises(ValueError, match="decay=2"):
        get_ema_avg_fn(2)


def test_update_bn_takes_the_mean_over_all_batches():
    net = network().eval()
    batches = [tc.randn(3, 2, 5, 5), tc.randn(3, 2, 5, 5)]
    update_bn([(batches[0], "label"), batches[1]], net)
    with tc.no_grad():
        outputs = [net[0](x) for x in batches]
    mean = sum(y.mean((0, 2, 3)) for y in outputs) / 2
    var = sum(y.var((0, 2, 3)) for y in outputs) / 2
    np.testing.assert_allclose(net[1].running_mean.numpy(), mean.numpy(), rtol=1e-4, atol=1e-6)
    np.testing.assert_allclose(net[1].running_var.numpy(), var.numpy(), rtol=1e-4)
    assert net[1].momentum == 0.1 and not net.training and net[0].weight.grad is None
    update_bn([], nn.Linear(1, 1))  # nothing to do


def test_update_bn_knows_batch_norms_of_any_axes():
    norm = nn.BatchNorm3d(2)
    update_bn([tc.full((3, 2, 2, 2, 2), 4.0), tc.full((3, 2, 2, 2, 2), 6.0)], norm)
    assert norm.running_mean.tolist() == [5, 5] and norm.momentum == 0.1


@pytest.mark.parametrize("strategy", ["linear", "cos"])
def test_swalr_goes_from_the_current_rate_to_its_own(strategy):
    optimiser = optim.SGD([nn.Parameter(tc.ones(1))], lr=1.0)
    scheduler = SWALR(optimiser, 0.2, 4, strategy)
    for t in range(7):
        way = min(t / 4, 1)
        way = way if strategy == "linear" else (1 - np.cos(np.pi * way)) / 2
        np.testing.assert_allclose(scheduler.get_last_lr(), 1 + (0.2 - 1) * way)
        optimiser.step()
        scheduler.step()
    with pytest.raises(ValueError, match="anneal_strategy='exp'"):
        SWALR(optimiser, 0.1, anneal_strategy="exp")
    with pytest.raises(ValueError, match="anneal_epochs=-1"):
        SWALR(optimiser, 0.1, -1)
