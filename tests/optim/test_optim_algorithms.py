"""Every optimiser against its rule written out again, number by number."""

import copy

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from update_rules import CASES

import tinyconv as tc
from tinyconv import optim
from tinyconv.nn import Parameter

each = pytest.mark.parametrize(
    "cls, oracle, options", CASES, ids=lambda v: getattr(v, "__name__", None)
)


@each
@given(
    start=st.floats(-2, 2), lr=st.sampled_from([0.01, 0.1]), seed=st.integers(0, 99),
    shape=st.sampled_from([(2, 3), ()]),
)  # fmt: skip
def test_the_steps_follow_the_rule(cls, oracle, options, start, lr, seed, shape):
    # gradients that shrink, grow and change sign, so that amsgrad and momentum show
    gs = (np.random.default_rng(seed).standard_normal(6) * [3, 1, 0.1, 1, 0.1, 2]).tolist()
    p = Parameter(tc.full(shape, start, dtype=tc.float64))
    optimiser = cls([p], lr=lr, **options)
    for g, wanted in zip(gs, oracle(start, gs, lr, **options)):
        p.grad = tc.full(shape, g, dtype=tc.float64)
        optimiser.step()
        np.testing.assert_allclose(p.detach().numpy(), wanted, rtol=1e-10, atol=1e-12)


def _problem(cls, options, dtype=tc.float32):
    tc.manual_seed(2)
    a, b = Parameter(tc.randn(3, 2, dtype=dtype)), Parameter(tc.randn(4, dtype=dtype))
    groups = [{"params": [a]}, {"params": [b], "lr": 0.05}]
    return [a, b], cls(groups, lr=0.01, **options)


def _step(params, optimiser, t):
    for k, p in enumerate(params):
        p.grad = tc.from_numpy(np.cos(p.detach().numpy() * (t + 1) + k).astype(p.dtype))
    optimiser.step()


@each
def test_a_saved_state_continues_bit_for_bit(cls, oracle, options):
    params, optimiser = _problem(cls, options)
    for t in range(3):
        _step(params, optimiser, t)
    state = copy.deepcopy(optimiser.state_dict())
    values = [p.detach().numpy().copy() for p in params]
    others, fresh = _problem(cls, options)
    for p, value in zip(others, values):
        p.data.copy_(tc.from_numpy(value))
    fresh.load_state_dict(state)
    for t in range(3, 6):
        _step(params, optimiser, t)
        _step(others, fresh, t)
    for p, q in zip(params, others):
        assert p.array.tobytes() == q.array.tobytes()


@each
def test_the_loaded_state_is_a_copy(cls, oracle, options):
    params, optimiser = _problem(cls, options)
    _step(params, optimiser, 0)
    others, fresh = _problem(cls, options)
    fresh.load_state_dict(optimiser.state_dict())
    frozen = copy.deepcopy(optimiser.state_dict()["state"])
    _step(others, fresh, 1)
    for i, slots in optimiser.state_dict()["state"].items():
        for name, value in slots.items():
            np.testing.assert_array_equal(value, frozen[i][name])


@each
@pytest.mark.parametrize("dtype", [tc.float32, tc.float64])
def test_steps_write_in_place_in_the_parameters_dtype(cls, oracle, options, dtype):
    params, optimiser = _problem(cls, options, dtype)
    arrays, versions = [p.array for p in params], [p._version for p in params]
    _step(params, optimiser, 0)
    for p, array, version in zip(params, arrays, versions):
        assert p.array is array and p.dtype == dtype and p._version > version
    for slots in optimiser.state.values():
        assert all(v.dtype == dtype for v in slots.values() if isinstance(v, np.ndarray))


@each
def test_the_gradient_is_left_as_it_was(cls, oracle, options):
    p = Parameter(tc.ones(3))
    p.grad = tc.tensor([1.0, -2.0, 0.5])
    optimiser = cls([p], lr=0.1, **options)
    optimiser.step()
    optimiser.step()
    assert p.grad.tolist() == [1.0, -2.0, 0.5]


def test_groups_have_options_of_their_own_and_may_join_later():
    a, b, c = (Parameter(tc.ones(1)) for _ in "abc")
    optimiser = optim.SGD([{"params": [a], "lr": 1.0}, {"params": b}], lr=0.5)
    optimiser.add_param_group({"params": c, "weight_decay": 1.0})
    for p in (a, b, c):
        p.grad = tc.ones(1)
    optimiser.step()
    assert (a.item(), b.item(), c.item()) == (0.0, 0.5, 0.0)
    assert [len(g["params"]) for g in optimiser.param_groups] == [1, 1, 1]


def test_parameters_without_a_gradient_stay():
    a, b = Parameter(tc.ones(1)), Parameter(tc.ones(1))
    optimiser = optim.Adam([a, b], lr=0.1, weight_decay=1.0)
    a.grad = tc.ones(1)
    optimiser.step()
    assert a.item() != 1.0 and b.item() == 1.0 and b not in optimiser.state


def test_zero_grad():
    p = Parameter(tc.ones(2))
    p.grad = tc.ones(2)
    optimiser = optim.SGD([p])
    optimiser.zero_grad(set_to_none=False)
    assert p.grad.tolist() == [0, 0]
    optimiser.zero_grad()
    assert p.grad is None


def test_a_closure_is_called_with_recording_on():
    p = Parameter(tc.full((1,), 3.0))
    optimiser = optim.SGD([p], lr=0.1)

    def closure():
        optimiser.zero_grad()
        loss = (p * p).sum()
        loss.backward()
        return loss

    with tc.no_grad():
        assert optimiser.step(closure).item() == 9.0
    np.testing.assert_allclose(p.item(), 2.4, rtol=1e-6)


def test_named_parameters_are_taken():
    group = optim.SGD(tc.nn.Linear(2, 1).named_parameters()).state_dict()["param_groups"][0]
    assert group["params"] == [0, 1] and group["param_names"] == ["weight", "bias"]


def test_all_parameters_have_names_or_none():
    a, b = Parameter(tc.ones(1)), Parameter(tc.ones(1))
    for params in [("a", a), b], [{"params": [("a", a)]}, {"params": [b]}]:
        with pytest.raises(ValueError, match="with names, or none"):
            optim.SGD(params)


@pytest.mark.parametrize(
    "call, error, words",
    [
        (lambda p: optim.SGD([]), ValueError, "SGD: got no parameters"),
        (lambda p: optim.SGD([p], lr=-1), ValueError, r"lr=-1 must lie in \[0, inf"),
        (lambda p: optim.SGD([p], lr=float("nan")), ValueError, "lr=nan"),
        (lambda p: optim.SGD([p], momentum=-0.1), ValueError, "momentum"),
        (lambda p: optim.SGD([p], weight_decay=-1), ValueError, "weight_decay"),
        (lambda p: optim.SGD([p], nesterov=True), ValueError, "nesterov wants momentum"),
        (
            lambda p: optim.SGD([p], momentum=0.9, dampening=0.1, nesterov=True),
            ValueError,
            "nester",
        ),
        (lambda p: optim.Adam([p], betas=(1.5, 0.9)), ValueError, r"betas=\(1.5, 0.9\)"),
        (lambda p: optim.Adam([p], betas=(1.0, 0.9)), ValueError, "betas"),
        (lambda p: optim.Adam([p], betas=(0.9, 1.0)), ValueError, "betas"),
        (lambda p: optim.Adam([p], eps=-1), ValueError, "Adam: eps"),
        (lambda p: optim.RMSprop([p], alpha=-1), ValueError, "RMSprop: alpha"),
        (lambda p: optim.SGD([p, p]), ValueError, "appears twice"),
        (lambda p: optim.SGD([{"params": [p]}, {"params": [p]}]), ValueError, "appears twice"),
        (lambda p: optim.SGD([p * 2]), ValueError, "non-leaf"),
        (lambda p: optim.SGD([3]), TypeError, "wants Tensors, got int"),
        (lambda p: optim.SGD(p), TypeError, "wants an iterable of parameters, got Parameter"),
        (lambda p: optim.SGD([p], lr=tc.ones(2)), ValueError, "SGD: lr has 2 elements"),
        (lambda p: optim.Adagrad([p], lr_decay=-1), ValueError, "Adagrad: lr_decay"),
        (lambda p: optim.Adadelta([p], rho=1.1), ValueError, "Adadelta: rho"),
        (lambda p: optim.NAdam([p], momentum_decay=-1), ValueError, "NAdam: momentum_decay"),
        (lambda p: optim.Rprop([p], etas=(1.0, 0.5)), ValueError, "Rprop: etas"),
        (lambda p: optim.Adam([p], capturable=True), ValueError, "Adam: capturable=True is not"),
        (lambda p: optim.Adam([p], momentum=0.9), TypeError, "there is no option 'momentum'"),
        (lambda p: optim.SGD([p]).add_param_group([p]), TypeError, "a group is a dict, got list"),
        (
            lambda p: optim.Optimizer([p], {"lr": optim.optimizer.required}),
            ValueError,
            "lr is missing",
        ),
    ],
)
def test_what_is_refused(call, error, words):
    with pytest.raises(error, match=words):
        call(Parameter(tc.ones(2)))


def test_a_state_of_other_groups_is_refused_and_changes_nothing():
    a, b = Parameter(tc.ones(1)), Parameter(tc.ones(1))
    one, two = optim.SGD([a], lr=0.5), optim.SGD([a, b], lr=0.1)
    with pytest.raises(ValueError, match=r"groups of \[2\] parameters, the optimiser \[1\]"):
        one.load_state_dict(two.state_dict())
    assert one.param_groups[0]["lr"] == 0.5


def test_a_gradient_of_another_shape_moves_no_parameter():
    a, b = Parameter(tc.ones(2)), Parameter(tc.ones(2))
    optimiser = optim.SGD([a, b], lr=0.5)
    with pytest.raises((RuntimeError, ValueError), match="shape"):
        a.grad, b.grad = tc.ones(2), tc.ones(3)
        optimiser.step()
    assert a.tolist() == b.tolist() == [1, 1]


@pytest.mark.parametrize("kind", ["SGD", "Adam", "Adagrad"])
def test_a_parameter_that_cannot_be_written_stops_all(kind):
    a, b = tc.zeros(2, requires_grad=True), tc.zeros(1).expand(2).requires_grad_()
    optimiser = getattr(optim, kind)([a, b], lr=0.5)
    a.grad, b.grad = tc.ones(2), tc.ones(2)
    with pytest.raises(RuntimeError, match=f"{kind}: .*read-only or expanded"):
        optimiser.step()
    assert a.tolist() == [0, 0]


def test_how_an_optimiser_prints():
    text = repr(optim.SGD([Parameter(tc.ones(1))], lr=0.5))
    assert text.startswith("SGD (\nParameter Group 0\n") and "    lr: 0.5" in text


class _OneByOne:
    """The same rule without the kernel for all parameters."""

    def _slots(self, group):
        return None


@each
@pytest.mark.parametrize("dtype", [tc.float32, tc.float64])
def test_all_parameters_at_once_move_as_one_by_one(cls, oracle, options, dtype, threads):
    def made(kind):
        tc.manual_seed(4)
        shapes = [(3, 2), (), (0, 4), (70, 91), (5,), (2, 3, 4), (9, 5)]
        params = [Parameter(tc.randn(*s, dtype=dtype)) for s in shapes]
        params.append(Parameter(tc.randn(3, dtype=tc.float64)))  # another dtype in the group
        params[-2].data = tc.randn(5, 9, dtype=dtype).t()  # not contiguous
        return params, kind(params, lr=0.03, **options)

    alone = type("Alone", (_OneByOne, cls), {})
    for number in (1, 3):
        threads(number)
        (params, optimiser), (others, slow) = made(cls), made(alone)
        for t in range(5):
            for k, (p, q) in enumerate(zip(params, others)):
                g = np.cos(np.arange(p.numel()) * (k + 2.0) + t).reshape(p.shape).astype(p.dtype)
                if (t + k) % 4 == 3:
                    p.grad = q.grad = None
                else:
                    p.grad, q.grad = tc.from_numpy(g), tc.from_numpy(g)
            versions = [p._version for p in params]
            optimiser.step(), slow.step()
            for p, version in zip(params, versions):
                assert p._version == version + (p.grad is not None)
        close = dict(rtol=3e-5, atol=1e-5) if dtype == tc.float32 else dict(rtol=1e-12, atol=1e-13)
        for p, q in zip(params, others):
            np.testing.assert_allclose(p.array, q.array, **close)
            assert optimiser.state[p].keys() == slow.state[q].keys()
            for name, value in optimiser.state[p].items():
                np.testing.assert_allclose(value, slow.state[q][name], **close)


@each
def test_a_state_that_was_replaced_is_the_one_that_is_used(cls, oracle, options):
    params, optimiser = _problem(cls, options)
    for t in range(2):
        _step(params, optimiser, t)
    for p in params:
        for name, value in optimiser.state[p].items():
            if isinstance(value, np.ndarray):
                optimiser.state[p][name] = value.copy()
    kept = copy.deepcopy(list(optimiser.state.values()))
    _step(params, optimiser, 2)
    for before, after in zip(kept, optimiser.state.values()):
        for name, value in after.items():
            if isinstance(value, np.ndarray):
                assert (value != before[name]).any(), name


@each
def test_infinite_values_do_not_spread_by_options_that_are_0(cls, oracle, options):
    p = Parameter(tc.tensor([np.inf, 1.0]))
    if "weight_decay" in options:
        options = {**options, "weight_decay": 0}
    optimiser = cls([p], lr=0.1, **options)
    for _ in range(3):
        p.grad = tc.ones(2)
        optimiser.step()
    assert p.array[0] == np.inf and np.isfinite(p.array[1])


def test_places_of_maximize():
    p = Parameter(tc.ones(1))
    rms = tc.optim.RMSprop([p], 0.1, 0.9, 1e-8, 0, 0, True, False, None, True)
    average = tc.optim.ASGD([p], 0.1, 1e-4, 0.75, 1e6, 0, None, True)
    assert rms.defaults["centered"] and rms.defaults["maximize"] and average.defaults["maximize"]
    with pytest.raises(ValueError, match="RMSprop: capturable=True"):
        tc.optim.RMSprop([p], capturable=True)
