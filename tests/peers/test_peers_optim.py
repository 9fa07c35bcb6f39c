"""Optimisers, schedules, averages and clipping next to PyTorch's."""

import copy
import warnings

import numpy as np
import pytest

import tinyconv as tc

torch = pytest.importorskip("torch")
database = pytest.importorskip("databases", reason="needs expecttest", exc_type=ImportError)
pytestmark = pytest.mark.peers

#: PyTorch's samples of options for the optimisers that are here too
SAMPLES = [
    (info.optim_cls.__name__, sample.kwargs)
    for info in database.optim_db
    if hasattr(tc.optim, info.optim_cls.__name__)
    for sample in info.optim_inputs_func(device="cpu")
]
BOTH = (tc, torch)


@pytest.fixture(autouse=True)
def in_float64():
    """PyTorch keeps the numbers of a state in its default dtype."""
    before = torch.get_default_dtype()
    torch.set_default_dtype(torch.float64)
    yield
    torch.set_default_dtype(before)


def _theirs_as_ours(value):
    return tc.from_numpy(value.numpy()) if isinstance(value, torch.Tensor) else value


@pytest.mark.parametrize("name, options", SAMPLES)
def test_optimisers(name, options):
    rng = np.random.default_rng(len(options))
    starts = [rng.standard_normal(shape) for shape in [(3, 2), (), (5,)]]
    gradients = [
        [rng.standard_normal(s.shape) * rng.choice([0.1, 1, 3]) for s in starts] for _ in range(50)
    ]
    optimisers = []
    for T in BOTH:
        given = options if T is torch else {k: _theirs_as_ours(v) for k, v in options.items()}
        params = [T.nn.Parameter(T.from_numpy(s.copy())) for s in starts]
        optimiser = getattr(T.optim, name)(params, **given)
        for t, step in enumerate(gradients):
            for i, (p, g) in enumerate(zip(params, step)):
                p.grad = None if (t + i) % 7 == 3 else T.from_numpy(np.array(g))
            optimiser.step()
        optimisers.append(optimiser)
    for p, q in zip(*(o.param_groups[0]["params"] for o in optimisers)):
        np.testing.assert_allclose(p.detach().numpy(), q.detach().numpy(), rtol=1e-9, atol=1e-9)
    ours, theirs = (o.state_dict()["state"] for o in optimisers)
    assert ours.keys() == theirs.keys()
    for i, entries in theirs.items():
        assert ours[i].keys() == entries.keys()
        for key, value in entries.items():
            np.testing.assert_allclose(ours[i][key].numpy(), value.numpy(), rtol=1e-9, atol=1e-9)
    # and PyTorch goes on from our state
    optimisers[1].load_state_dict(
        {
            "state": {i: {k: torch.from_numpy(np.array(v.array)) for k, v in entries.items()}
                      for i, entries in ours.items()},
            "param_groups": [{**g, **o} for g, o in zip(optimisers[1].state_dict()["param_groups"],
                                                        optimisers[0].state_dict()["param_groups"])],
        }
    )  # fmt: skip
    optimisers[1].step()


@pytest.mark.parametrize("name", sorted({name for name, _ in SAMPLES}))
def test_what_optimisers_refuse(name):
    (info,) = (i for i in database.optim_db if i.optim_cls.__name__ == name)
    tensors = {}

    def ours(value):
        if isinstance(value, torch.nn.Parameter):
            made = tc.nn.Parameter(tc.from_numpy(value.detach().numpy()))
            return tensors.setdefault(id(value), made)
        if isinstance(value, dict):
            return {k: ours(v) for k, v in value.items()}
        if isinstance(value, (list, tuple)):
            return type(value)(map(ours, value))
        return _theirs_as_ours(value)

    for sample in info.optim_error_inputs_func(device="cpu", dtype=torch.float64):
        given = sample.optimizer_error_input
        if "as a Tensor" in sample.error_regex or "both Tensors" in sample.error_regex:
            continue  # numbers in Tensors are taken as numbers
        params = [tc.nn.Parameter(tc.ones(2))] if given.params is None else ours(given.params)
        with pytest.raises((ValueError, TypeError), match=name):
            getattr(tc.optim, name)(params, **ours(given.kwargs))


class Rule:
    def __init__(self):
        self.share = 2

    def __call__(self, t):
        return 1 / (self.share + t)


def _swalr(S, *args):
    return (tc if S is tc.optim.lr_scheduler else torch).optim.swa_utils.SWALR(*args)


SCHEDULES = {
    "lambda": lambda S, o: S.LambdaLR(o, [lambda t: 0.9**t, Rule()]),
    "multiplicative": lambda S, o: S.MultiplicativeLR(o, lambda t: 0.9 + 0.01 * t),
    "step": lambda S, o: S.StepLR(o, 3, 0.5),
    "multistep": lambda S, o: S.MultiStepLR(o, [2, 5, 5, 0], 0.3),
    "constant": lambda S, o: S.ConstantLR(o, 0.3, 4),
    "constant 0": lambda S, o: S.ConstantLR(o, 0.3, 0),
    "linear": lambda S, o: S.LinearLR(o, 0.2, 0.9, 4),
    "linear to 0": lambda S, o: S.LinearLR(o, 1.0, 0.0, 5),
    "exponential": lambda S, o: S.ExponentialLR(o, 0.9),
    "polynomial": lambda S, o: S.PolynomialLR(o, 6, 2.0),
    "cosine": lambda S, o: S.CosineAnnealingLR(o, 6, 0.01),
    "cosine 1": lambda S, o: S.CosineAnnealingLR(o, 1),
    "restarts": lambda S, o: S.CosineAnnealingWarmRestarts(o, 4, 2, 0.001),
    "restarts evenly": lambda S, o: S.CosineAnnealingWarmRestarts(o, 7),
    "cyclic": lambda S, o: S.CyclicLR(o, 0.01, 0.3, 5, 7),
    "cyclic 2": lambda S, o: S.CyclicLR(
        o, [0.01, 0.02], [0.3, 0.5], 5, mode="triangular2", base_momentum=[0.7, 0.8]
    ),
    "cyclic 3": lambda S, o: S.CyclicLR(o, 0.01, 0.3, 5, mode="exp_range", gamma=0.97),
    "cyclic 4": lambda S, o: S.CyclicLR(
        o, 0.01, 0.3, 5, scale_fn=lambda x: 1 / (1 + x), scale_mode="iterations",
        cycle_momentum=False,
    ),
    "one cycle": lambda S, o: S.OneCycleLR(o, 0.5, total_steps=56, pct_start=0.4),
    "one cycle to the end": lambda S, o: S.OneCycleLR(o, 0.1, 50),
    "one cycle, linear": lambda S, o: S.OneCycleLR(
        o, [0.5, 0.1], epochs=5, steps_per_epoch=12, anneal_strategy="linear"
    ),
    "one cycle, three phases": lambda S, o: S.OneCycleLR(o, 0.5, 60, three_phase=True),
    "warm-up": lambda S, o: S.SequentialLR(
        o, [S.LinearLR(o, 0.1, total_iters=4), S.CosineAnnealingLR(o, 10)], [4]
    ),
    "three": lambda S, o: S.SequentialLR(
        o, [S.ConstantLR(o, 0.1, total_iters=40), S.ExponentialLR(o, 0.9), S.StepLR(o, 4)], [4, 20]
    ),
    "then restarts": lambda S, o: S.SequentialLR(
        o, [S.LinearLR(o, 0.1, total_iters=4), S.CosineAnnealingWarmRestarts(o, 5, 2)], [4]
    ),
    "functions in a row": lambda S, o: S.SequentialLR(
        o, [S.LambdaLR(o, lambda t: 1 / (1 + t)), S.MultiplicativeLR(o, lambda t: 0.9)], [4]
    ),
    "nested": lambda S, o: S.SequentialLR(
        o,
        [
            S.SequentialLR(o, [S.LinearLR(o, 0.1, total_iters=4), S.ExponentialLR(o, 0.9)], [4]),
            S.StepLR(o, 4),
        ],
        [12],
    ),
    "chained": lambda S, o: S.ChainedScheduler(
        [S.ConstantLR(o, 0.1, total_iters=2), S.ExponentialLR(o, 0.9), S.CosineAnnealingLR(o, 10)]
    ),
    "chained first": lambda S, o: S.SequentialLR(
        o, [S.ChainedScheduler([S.LinearLR(o, 0.1), S.ExponentialLR(o, 0.9)]), S.StepLR(o, 4)], [9]
    ),
    "swa": lambda S, o: _swalr(S, o, 0.05, 6),
    "swa, linear": lambda S, o: _swalr(S, o, [0.05, 0.02], 6, "linear"),
    "swa at once": lambda S, o: _swalr(S, o, 0.05, 0),
}  # fmt: skip


def _scheduled(T, name, optimiser):
    options = dict(momentum=0.9) if optimiser == "SGD" else {}
    groups = [{"params": [T.nn.Parameter(T.ones(1))], "lr": rate} for rate in (0.3, 0.07)]
    made = getattr(T.optim, optimiser)(groups, **options)
    return made, SCHEDULES[name](T.optim.lr_scheduler, made)


@pytest.mark.parametrize("name", SCHEDULES)
@pytest.mark.parametrize("optimiser", ["SGD", "Adam"])
@pytest.mark.parametrize("how", ["steps", "rates by hand", "resumed", "epochs"])
def test_schedules(name, optimiser, how):
    results = []
    for T in BOTH:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            o, scheduler = _scheduled(T, name, optimiser)
            rates = []
            for t in range(50):
                g = o.param_groups[0]
                moving = g["momentum"] if optimiser == "SGD" else g["betas"][0]
                rates.append([*scheduler.get_last_lr(), *[g["lr"] for g in o.param_groups], moving])
                o.step()
                if how == "rates by hand" and t % 9 == 4:
                    for g in o.param_groups:
                        g["lr"] *= 0.7
                if how == "resumed" and t % 11 == 5:
                    states = copy.deepcopy((o.state_dict(), scheduler.state_dict()))
                    o, scheduler = _scheduled(T, name, optimiser)
                    o.load_state_dict(states[0])
                    scheduler.load_state_dict(states[1])
                joined = hasattr(scheduler, "_schedulers")  # these take no epoch
                scheduler.step(*([t * 3 % 17] if how == "epochs" and not joined else []))
        results.append(rates)
    np.testing.assert_allclose(*results, rtol=1e-11, atol=1e-13)
    assert how == "epochs" or results[0] == results[1]  # to the bit


@pytest.mark.parametrize(
    "options",
    [
        {},
        dict(mode="max", factor=0.5, patience=1),
        dict(threshold_mode="abs", threshold=0.1, patience=2, cooldown=3),
        dict(mode="max", threshold_mode="abs", patience=0, min_lr=[0.01, 0.001]),
        dict(patience=0, eps=0.01),
    ],
)
def test_plateaus(options):
    metrics, results = np.random.default_rng(0).standard_normal(80).tolist(), []
    for T in BOTH:
        groups = [{"params": [T.nn.Parameter(T.ones(1))], "lr": rate} for rate in (0.3, 0.07)]
        scheduler = T.optim.lr_scheduler.ReduceLROnPlateau(T.optim.SGD(groups), **options)
        rates = []
        for metric in metrics:
            scheduler.step(metric)
            rates.append([*scheduler.get_last_lr(), scheduler.num_bad_epochs, scheduler.best])
        results.append(rates)
    assert results[0] == results[1]


@pytest.mark.parametrize("p", [1, 2, 3.5, 0.0, -1.0, float("inf"), float("-inf")])
@pytest.mark.parametrize("bad", [None, np.nan, np.inf])
@pytest.mark.parametrize("largest", [0.5, 1e3])
def test_clipping(p, bad, largest):
    rng, results = np.random.default_rng(3), []
    gradients = [rng.standard_normal(shape) for shape in [(3, 2), (), (5,)]]
    if bad is not None:
        gradients[0][0, 0] = bad
    for T in BOTH:
        params = [T.nn.Parameter(T.from_numpy(np.zeros_like(g))) for g in gradients]
        for q, g in zip(params, gradients):
            q.grad = T.from_numpy(np.array(g))
        norm = T.nn.utils.clip_grad_norm_(iter(params), largest, p)
        T.nn.utils.clip_grad_value_(params, 0.3)
        results.append([norm.numpy(), *[q.grad.numpy() for q in params]])
    for ours, theirs in zip(*results):
        np.testing.assert_allclose(ours, theirs, rtol=1e-9)


def _network(T):
    nn = T.nn
    return nn.Sequential(
        nn.Conv2d(2, 3, 3), nn.BatchNorm2d(3), nn.ReLU(), nn.Flatten(), nn.Linear(27, 2)
    ).double()


@pytest.mark.parametrize("kind", ["default", "ema", "swa", "ema of lists"])
@pytest.mark.parametrize("use_buffers", [False, True])
def test_averaged_models(kind, use_buffers):
    if use_buffers and kind == "default":
        pytest.skip("PyTorch cannot average integers so")
    nets = [_network(T) for T in BOTH]
    nets[0].load_state_dict(
        {k: tc.from_numpy(v.numpy().copy()) for k, v in nets[1].state_dict().items()}
    )
    results = []
    for T, net in zip(BOTH, nets):
        S = T.optim.swa_utils
        options = {
            "default": {},
            "ema": dict(avg_fn=S.get_ema_avg_fn(0.9)),
            "swa": dict(avg_fn=S.get_swa_avg_fn()),
            "ema of lists": dict(multi_avg_fn=S.get_ema_multi_avg_fn(0.9)),
        }[kind]
        averaged = S.AveragedModel(net, use_buffers=use_buffers, **options)
        optimiser = T.optim.SGD(net.parameters(), lr=0.1)
        for k in range(4):
            x = T.from_numpy(np.random.default_rng(k).standard_normal((4, 2, 5, 5)))
            optimiser.zero_grad()
            (net(x) ** 2).mean().backward()
            optimiser.step()
            averaged.update_parameters(net)
        states = [{k: v.numpy().copy() for k, v in averaged.state_dict().items()}]
        batches = [np.random.default_rng(9 + k).standard_normal((3 + k, 2, 5, 5)) for k in range(3)]
        S.update_bn(map(T.from_numpy, batches), averaged)
        states.append({k: v.numpy() for k, v in averaged.state_dict().items()})
        results.append(states)
    for ours, theirs in zip(*results):
        assert list(ours) == list(theirs)
        for key in ours:
            # PyTorch's default takes 1 / (n + 1) in float32
            np.testing.assert_allclose(
                ours[key], theirs[key], rtol=1e-6 if kind == "default" else 1e-9, err_msg=key
            )
