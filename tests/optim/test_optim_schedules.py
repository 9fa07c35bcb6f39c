"""Learning-rate schedules: the rates written out, resuming, errors."""

import math

import numpy as np
import pytest

import tinyconv as tc
from tinyconv import optim
from tinyconv.optim import lr_scheduler as schedules


def sgd(*rates, **options):
    rates = rates or (1.0,)
    return optim.SGD([{"params": [tc.nn.Parameter(tc.ones(1))], "lr": r} for r in rates], **options)


def rates(scheduler, steps):
    """The rate of the first group before each step."""
    found = []
    for _ in range(steps):
        found.append(scheduler.get_last_lr()[0])
        scheduler.step()
    return found


def cosine(t, T, base=1.0, least=0.0):
    return least + (base - least) * (1 + math.cos(math.pi * t / T)) / 2


MAKERS = {
    "step": (lambda o: schedules.StepLR(o, 3, gamma=0.5), lambda t: 0.5 ** (t // 3)),
    "multistep": (
        lambda o: schedules.MultiStepLR(o, [4, 2, 4]),
        lambda t: 0.1 ** ((t >= 2) + 2 * (t >= 4)),
    ),
    "cosine": (lambda o: schedules.CosineAnnealingLR(o, 6, 0.1), lambda t: cosine(t, 6, 1, 0.1)),
    "linear": (
        lambda o: schedules.LinearLR(o, 0.2, 1.0, 4), lambda t: 0.2 + 0.8 * min(t, 4) / 4,
    ),
    "linear down": (
        lambda o: schedules.LinearLR(o, 1.0, 0.0, 5), lambda t: 1 - min(t, 5) / 5,
    ),
    "warm-up, then cosine": (
        lambda o: schedules.SequentialLR(
            o, [schedules.LinearLR(o, 0.25, total_iters=3), schedules.CosineAnnealingLR(o, 5)], [3]
        ),
        lambda t: 0.25 + 0.25 * t if t < 3 else cosine(t - 3, 5),
    ),
}  # fmt: skip
each = pytest.mark.parametrize("name", MAKERS)


@each
def test_the_rates_are_those_of_the_formula(name):
    make, formula = MAKERS[name]
    np.testing.assert_allclose(
        rates(make(sgd()), 8), [formula(t) for t in range(8)], rtol=1e-12, atol=1e-15
    )


@each
def test_every_group_follows_from_its_own_base(name):
    make, formula = MAKERS[name]
    optimiser = sgd(1.0, 0.1)
    scheduler = make(optimiser)
    scheduler.step()
    if name != "cosine":  # eta_min does not scale
        np.testing.assert_allclose(scheduler.get_last_lr(), [formula(1), 0.1 * formula(1)])
    assert scheduler.get_last_lr() == [g["lr"] for g in optimiser.param_groups]


@each
def test_a_saved_schedule_goes_on_where_it_was(name):
    make, _ = MAKERS[name]
    scheduler = make(sgd())
    for _ in range(4):
        scheduler.step()
    other = make(sgd())
    other.load_state_dict(scheduler.state_dict())
    assert rates(other, 3) == rates(scheduler, 3)


def phases(t, total, turn, start, peak, end, linear=False):
    """From start over peak (at step ``turn``) to end (at the last step)."""
    a, b, way = (start, peak, t / turn) if t <= turn else (
        peak, end, (t - turn) / (total - 1 - turn)
    )  # fmt: skip
    return a + (b - a) * (way if linear else (1 - math.cos(math.pi * way)) / 2)


@pytest.mark.parametrize("strategy", ["cos", "linear"])
def test_one_cycle_moves_rate_and_momentum(strategy):
    optimiser = sgd(momentum=0.9)
    scheduler = schedules.OneCycleLR(
        optimiser, 0.5, epochs=2, steps_per_epoch=10, anneal_strategy=strategy, div_factor=10,
        final_div_factor=100,
    )  # fmt: skip
    linear = strategy == "linear"
    for t in range(20):
        group = optimiser.param_groups[0]
        np.testing.assert_allclose(
            group["lr"], phases(t, 20, 5, 0.05, 0.5, 0.0005, linear), rtol=1e-10
        )
        np.testing.assert_allclose(
            group["momentum"], phases(t, 20, 5, 0.95, 0.85, 0.95, linear), rtol=1e-12
        )
        scheduler.step()  # also after the last step of the optimiser, as scripts do
    before = scheduler.get_last_lr(), scheduler.last_epoch
    with pytest.raises(ValueError, match="step 21 of 20"):
        scheduler.step()
    assert (scheduler.get_last_lr(), scheduler.last_epoch) == before


def test_one_cycle_moves_the_first_beta_of_adam():
    adam = optim.Adam([tc.nn.Parameter(tc.ones(1))], betas=(0.9, 0.77))
    schedules.OneCycleLR(adam, 0.1, total_steps=10)
    assert adam.param_groups[0]["betas"] == (0.95, 0.77)


def test_one_cycle_leaves_momentum_alone_if_told():
    optimiser = sgd()
    schedules.OneCycleLR(optimiser, 0.1, total_steps=10, cycle_momentum=False)
    assert optimiser.param_groups[0]["momentum"] == 0


@pytest.mark.parametrize(
    "call, error, words",
    [
        (lambda o: schedules.StepLR(o, 0), ValueError, "step_size=0"),
        (lambda o: schedules.CosineAnnealingLR(o, 0), ValueError, "T_max=0"),
        (lambda o: schedules.LinearLR(o, 0), ValueError, "factors"),
        (lambda o: schedules.LinearLR(o, 0.5, 1.5), ValueError, "factors"),
        (lambda o: schedules.SequentialLR(o, [schedules.StepLR(o, 1)], [3]), ValueError,
         "1 schedulers want 0 milestones"),
        (lambda o: schedules.OneCycleLR(o, 0.1), ValueError, "total_steps, or epochs"),
        (lambda o: schedules.OneCycleLR(o, 0.1, 0), ValueError, "total_steps=0"),
        (lambda o: schedules.OneCycleLR(o, 0.1, 9, pct_start=2), ValueError, "pct_start=2"),
        (lambda o: schedules.OneCycleLR(o, 0.1, 9, anneal_strategy="sin"), ValueError, "'sin'"),
        (lambda o: schedules.StepLR(3, 1), TypeError, "wants an Optimizer, got int"),
    ],
)  # fmt: skip
def test_what_is_refused(call, error, words):
    optimiser = sgd(momentum=0.9)
    with pytest.raises(error, match=words):
        call(optimiser)
