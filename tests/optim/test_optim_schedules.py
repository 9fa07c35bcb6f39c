"""Learning-rate schedules: the rates written out, resuming, errors."""

import json
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
        scheduler.optimizer.step()
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
    "constant": (lambda o: schedules.ConstantLR(o, 0.25, 3), lambda t: 0.25 if t < 3 else 1.0),
    "exponential": (lambda o: schedules.ExponentialLR(o, 0.7), lambda t: 0.7**t),
    "polynomial": (
        lambda o: schedules.PolynomialLR(o, 5, 2.0), lambda t: (1 - min(t, 5) / 5) ** 2,
    ),
    "lambda": (lambda o: schedules.LambdaLR(o, lambda t: 1 / (1 + t)), lambda t: 1 / (1 + t)),
    "multiplicative": (
        lambda o: schedules.MultiplicativeLR(o, lambda t: 1 / t), lambda t: 1 / math.factorial(t),
    ),
    "restarts": (
        lambda o: schedules.CosineAnnealingWarmRestarts(o, 2, 2, 0.1),
        lambda t: cosine(t if t < 2 else t - 2 if t < 6 else t - 6, 2 if t < 2 else 4 if t < 6
                         else 8, 1, 0.1),
    ),
    "chained": (
        lambda o: schedules.ChainedScheduler(
            [schedules.ConstantLR(o, 0.5, 2), schedules.ExponentialLR(o, 0.9)]
        ),
        lambda t: (0.5 if t < 2 else 1.0) * 0.9**t,
    ),
    "two in a row": (
        lambda o: schedules.SequentialLR(
            o, [schedules.ConstantLR(o, 0.1, 9), schedules.ExponentialLR(o, 0.5)], [2]
        ),
        lambda t: 0.1 if t < 2 else 0.5 ** (t - 2),
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
    optimiser.step()
    scheduler.step()
    if name not in ("cosine", "restarts"):  # eta_min does not scale
        np.testing.assert_allclose(scheduler.get_last_lr(), [formula(1), 0.1 * formula(1)])
    assert scheduler.get_last_lr() == [g["lr"] for g in optimiser.param_groups]


@each
def test_a_saved_schedule_goes_on_where_it_was(name):
    """With the optimiser's state, which holds the rates; all of it plain enough for a file."""
    make, _ = MAKERS[name]
    scheduler = make(sgd())
    rates(scheduler, 4)
    other = make(sgd())
    other.optimizer.load_state_dict(scheduler.optimizer.state_dict())
    other.load_state_dict(json.loads(json.dumps(scheduler.state_dict())))
    assert rates(other, 3) == rates(scheduler, 3)


def test_schedules_of_one_optimiser_multiply_and_go_on_from_a_rate_set_by_hand():
    optimiser = sgd()
    exponential = schedules.ExponentialLR(optimiser, 0.5)
    steps = schedules.MultiStepLR(optimiser, [2], 0.1)
    seen = []
    for t in range(4):
        seen.append(optimiser.param_groups[0]["lr"])
        optimiser.step()
        exponential.step()
        steps.step()
        if t == 2:
            optimiser.param_groups[0]["lr"] = 8.0
    np.testing.assert_allclose(seen, [1, 0.5, 0.025, 8.0])
    assert exponential.get_last_lr() == [4.0] == steps.get_last_lr()


@pytest.mark.parametrize(
    "name", ["step", "multistep", "cosine", "linear", "constant", "exponential", "polynomial",
             "lambda", "restarts"],
)  # fmt: skip
def test_a_step_may_name_its_epoch(name):
    make, formula = MAKERS[name]
    scheduler = make(sgd())
    scheduler.optimizer.step()
    for t in (3, 7, 1, 0, 5):
        scheduler.step(t)
        np.testing.assert_allclose(scheduler.get_last_lr(), formula(t), atol=1e-15)


def test_restarts_take_fractions_of_an_epoch():
    scheduler = schedules.CosineAnnealingWarmRestarts(sgd(), 2)
    scheduler.optimizer.step()
    scheduler.step(2.5)
    np.testing.assert_allclose(scheduler.get_last_lr(), cosine(0.5, 2))
    with pytest.raises(ValueError, match="epoch=-1"):
        scheduler.step(-1)


def test_going_on_after_a_step_wants_the_rates_of_the_start():
    with pytest.raises(KeyError, match="group 0 has no 'initial_lr'.*after step 3"):
        schedules.StepLR(sgd(), 2, last_epoch=3)
    optimiser = sgd(0.5)
    optimiser.param_groups[0]["initial_lr"] = 1.0
    scheduler = schedules.ExponentialLR(optimiser, 0.5, last_epoch=0)
    assert scheduler.last_epoch == 1 and rates(scheduler, 2) == [0.5, 0.25]


class Half:
    """A rule with a state of its own."""

    def __init__(self):
        self.share = 0.5

    def __call__(self, t):
        return self.share**t


def test_functions_stay_out_of_the_state_and_objects_keep_their_attributes():
    optimiser, rule = sgd(1.0, 1.0), Half()
    scheduler = schedules.LambdaLR(optimiser, [lambda t: 1.0, rule])
    rule.share = 0.25
    state = scheduler.state_dict()
    assert state["lr_lambdas"] == [None, {"share": 0.25}]
    fresh = Half()
    other = schedules.LambdaLR(optimiser, [lambda t: 1.0, fresh])
    other.load_state_dict(state)
    assert fresh.share == 0.25
    cyclic = schedules.CyclicLR(optimiser, 0.1, 1, scale_fn=Half(), cycle_momentum=False)
    state = cyclic.state_dict()
    assert state["_scale_fn_custom"] == {"share": 0.5}
    cyclic.load_state_dict(state)
    assert isinstance(cyclic._scale_fn_custom, Half)


class WarmUp(schedules._LRScheduler):
    """As users write them."""

    def __init__(self, optimizer, total, last_epoch=-1, verbose=False):
        self.total = total
        super().__init__(optimizer, last_epoch, verbose)

    def get_lr(self):
        return [base * self.last_epoch / self.total for base in self.base_lrs]


def test_a_user_may_write_get_lr():
    assert rates(WarmUp(sgd(), 4), 3) == [0, 0.25, 0.5]


def test_a_first_step_before_the_optimiser_s_is_warned_of():
    scheduler = schedules.StepLR(sgd(), 2)
    with pytest.warns(UserWarning, match=r"StepLR.step\(\) was called before optimizer.step"):
        scheduler.step()


@pytest.mark.parametrize(
    "mode, heights",
    [("triangular", (1, 1)), ("triangular2", (1, 0.5)), ("exp_range", (0.9**2, 0.9**7))],
)
def test_cyclic_rates_and_momentum(mode, heights):
    """Up in 2 steps, down in 3; momentum the other way."""
    optimiser = sgd(momentum=0.5)
    scheduler = schedules.CyclicLR(optimiser, 0.1, 0.5, 2, 3, mode, gamma=0.9)
    momenta = []
    found = []
    for _ in range(10):
        found.append(scheduler.get_last_lr()[0])
        momenta.append(optimiser.param_groups[0]["momentum"])
        optimiser.step()
        scheduler.step()
    for start, height in zip((0, 5), heights):
        np.testing.assert_allclose([found[start], found[start + 2]], [0.1, 0.1 + 0.4 * height])
        np.testing.assert_allclose([momenta[start], momenta[start + 2]], [0.9, 0.9 - 0.1 * height])
    if mode == "triangular":
        np.testing.assert_allclose(found[:5], [0.1, 0.3, 0.5, 0.1 + 0.8 / 3, 0.1 + 0.4 / 3])


@pytest.mark.parametrize(
    "options, metrics, wanted",
    [
        (dict(patience=1), [3, 3, 3, 3, 3], [1, 1, 0.1, 0.1, 0.01]),
        (dict(patience=0, mode="max"), [1, 2, 2, 3], [1, 1, 0.1, 0.1]),
        (dict(patience=0, threshold=0.5), [4, 2.1, 1.9, 0.9], [1, 0.1, 0.1, 0.1]),
        (dict(patience=0, threshold=1, threshold_mode="abs"), [4, 2.9, 2], [1, 1, 0.1]),
        (dict(patience=0, cooldown=2), [1, 1, 1, 1, 1], [1, 0.1, 0.1, 0.1, 0.01]),
        (dict(patience=0, min_lr=0.05), [1, 1, 1], [1, 0.1, 0.05]),
        (dict(patience=0, eps=0.5), [1, 1, 1], [1, 0.1, 0.1]),
        (dict(patience=0, verbose=True), [1, math.nan], [1, 0.1]),
    ],
)
def test_a_plateau_lowers_the_rate(options, metrics, wanted):
    scheduler = schedules.ReduceLROnPlateau(sgd(), **options)
    found = []
    for i, metric in enumerate(metrics):
        scheduler.step(tc.tensor(float(metric)) if i % 2 else metric)
        found += scheduler.get_last_lr()
    np.testing.assert_allclose(found, wanted)


def test_a_saved_plateau_goes_on_where_it_was():
    first = schedules.ReduceLROnPlateau(sgd(), patience=1)
    first.step(1.0)
    first.step(1.0)
    second = schedules.ReduceLROnPlateau(sgd(), patience=1)
    second.load_state_dict(first.state_dict())
    second.step(1.0)
    assert second.get_last_lr() == [0.1]


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
        optimiser.step()
        scheduler.step()  # also after the last step of the optimiser, as scripts do
    before = scheduler.get_last_lr(), scheduler.last_epoch
    with pytest.raises(ValueError, match="step 21 of 20"):
        scheduler.step()
    assert (scheduler.get_last_lr(), scheduler.last_epoch) == before


def test_one_cycle_in_three_phases_falls_as_fast_as_it_rose():
    """And a peak for each group."""
    optimiser = sgd(1.0, 1.0)
    scheduler = schedules.OneCycleLR(
        optimiser, [0.8, 0.4], 11, pct_start=4 / 11, anneal_strategy="linear", div_factor=8,
        final_div_factor=10, three_phase=True, cycle_momentum=False,
    )  # fmt: skip
    found = rates(scheduler, 11)
    up = np.linspace(0.1, 0.8, 4)
    np.testing.assert_allclose(found, [*up, *up[-2::-1], *np.linspace(0.1, 0.01, 5)[1:]])
    np.testing.assert_allclose(scheduler.get_last_lr()[1] * 2, scheduler.get_last_lr()[0])


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
        (lambda o: schedules.ConstantLR(o, 0), ValueError, "factor=0"),
        (lambda o: schedules.LambdaLR(o, 3), TypeError, "a function of the step, got int"),
        (lambda o: schedules.LambdaLR(o, [abs, abs]), ValueError,
         "lr_lambda has 2 entries, the optimiser 1 "),
        (lambda o: schedules.CosineAnnealingWarmRestarts(o, 0), ValueError, "T_0=0"),
        (lambda o: schedules.CyclicLR(o, 0.1, 1, mode="sin"), ValueError, "mode='sin'"),
        (lambda o: schedules.CyclicLR(optim.Adagrad([tc.nn.Parameter(tc.ones(1))]), 0.1, 1),
         ValueError, "no momentum to cycle"),
        (lambda o: schedules.ReduceLROnPlateau(o, factor=1), ValueError, "factor=1"),
        (lambda o: schedules.ReduceLROnPlateau(o, "low"), ValueError, "mode='low'"),
        (lambda o: schedules.ChainedScheduler([]), ValueError, "at least one scheduler"),
        (lambda o: schedules.ChainedScheduler([schedules.StepLR(sgd(), 1)], o), ValueError,
         "another optimiser"),
        (lambda o: schedules.SequentialLR(o, [3], []), TypeError, "got int at place 0"),
        (lambda o: schedules.SequentialLR(o, [schedules.ReduceLROnPlateau(o)], []), ValueError,
         "wants a metric in each step"),
    ],
)  # fmt: skip
def test_what_is_refused(call, error, words):
    optimiser = sgd(momentum=0.9)
    with pytest.raises(error, match=words):
        call(optimiser)


@pytest.mark.parametrize(
    "make",
    [
        lambda o: schedules.LambdaLR(o, lambda t: 0.5),
        lambda o: schedules.CyclicLR(o, 0.1, 1.0, cycle_momentum=False),
        lambda o: schedules.CosineAnnealingWarmRestarts(o, 2),
        lambda o: schedules.ReduceLROnPlateau(o, patience=0, min_lr=[0.1]),
    ],
)
def test_a_group_that_came_later_is_told_and_nothing_is_done(make):
    optimiser = sgd(momentum=0.9)
    scheduler = make(optimiser)
    optimiser.add_param_group({"params": [tc.nn.Parameter(tc.ones(1))], "lr": 3.0})
    optimiser.step()
    before = [dict(group) for group in optimiser.param_groups], scheduler.state_dict()["last_epoch"]
    metric = [math.inf] if isinstance(scheduler, schedules.ReduceLROnPlateau) else []
    with pytest.raises(ValueError, match="made for 1 parameter group.*, the optimiser has 2"):
        scheduler.step(*metric)
    after = [dict(group) for group in optimiser.param_groups], scheduler.state_dict()["last_epoch"]
    assert [g["lr"] for g in before[0]] == [g["lr"] for g in after[0]] and before[1] == after[1]


def test_a_plateau_with_one_least_rate_takes_groups_that_come_later():
    optimiser = sgd()
    scheduler = schedules.ReduceLROnPlateau(optimiser, patience=0, min_lr=0.2)
    optimiser.add_param_group({"params": [tc.nn.Parameter(tc.ones(1))], "lr": 3.0})
    scheduler.step(math.inf)
    assert scheduler.get_last_lr() == pytest.approx([0.2, 0.3])


@pytest.mark.parametrize(
    "make", [lambda o: schedules.CyclicLR(o, 0.1, 1, 4), lambda o: schedules.OneCycleLR(o, 1.0, 9)]
)
def test_asking_for_the_rates_moves_nothing(make):
    optimiser = sgd(momentum=0.9)
    scheduler = make(optimiser)
    scheduler.last_epoch += 1
    before = dict(optimiser.param_groups[0])
    scheduler.get_lr()
    assert optimiser.param_groups[0] == before


def test_restarts_that_fail_stay_where_they_were(monkeypatch):
    scheduler = schedules.CosineAnnealingWarmRestarts(sgd(), 2)
    scheduler.step()
    before = scheduler.state_dict()
    monkeypatch.setattr(scheduler, "eta_min", "low")
    with pytest.raises(TypeError):
        scheduler.step()
    monkeypatch.setattr(scheduler, "eta_min", 0.0)
    assert scheduler.state_dict() == before
