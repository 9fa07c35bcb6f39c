"""What an optimiser keeps: its state in PyTorch's layout, hooks, and steps that users write."""

import copy
import pickle

import numpy as np
import pytest
from update_rules import CASES

import tinyconv as tc
from tinyconv import optim
from tinyconv.nn import Parameter


def trained(cls, steps=2, **options):
    tc.manual_seed(1)
    params = [Parameter(tc.randn(2, 3)), Parameter(tc.randn(4))]
    optimiser = cls(params, **options)
    for t in range(steps):
        one_step(params, optimiser, t)
    return params, optimiser


def one_step(params, optimiser, t):
    for k, p in enumerate(params):
        p.grad = tc.cos(p.detach() * (t + 1) + k)
    optimiser.step()


@pytest.mark.parametrize("cls, oracle, options", CASES, ids=lambda v: getattr(v, "__name__", None))
def test_the_state_consists_of_tensors_by_parameter_number(cls, oracle, options):
    params, optimiser = trained(cls, **options)
    state = optimiser.state_dict()
    assert state["param_groups"][0]["params"] == [0, 1]
    for i, entries in state["state"].items():
        for name, value in entries.items():
            assert isinstance(value, tc.Tensor), name
            assert value.shape == (() if name in ("step", "mu_product", "eta", "mu") else
                                   params[i].shape)  # fmt: skip
    if "exp_avg" in state["state"].get(0, {}):  # on the optimiser's own memory
        assert state["state"][0]["exp_avg"].array is optimiser.state[params[0]]["exp_avg"]


def test_the_entries_have_the_names_of_pytorch():
    names = {
        optim.SGD: "momentum_buffer",
        optim.Adam: "step exp_avg exp_avg_sq max_exp_avg_sq",
        optim.RMSprop: "step square_avg",
        optim.Adagrad: "step sum",
        optim.Adadelta: "step square_avg acc_delta",
        optim.Adamax: "step exp_avg exp_inf",
        optim.NAdam: "step exp_avg exp_avg_sq mu_product",
        optim.RAdam: "step exp_avg exp_avg_sq",
        optim.ASGD: "step eta mu ax",
        optim.Rprop: "step prev step_size",
    }
    options = {optim.SGD: dict(momentum=0.9), optim.Adam: dict(amsgrad=True)}
    for cls, wanted in names.items():
        state = trained(cls, **options.get(cls, {}))[1].state_dict()["state"]
        assert list(state[0]) == wanted.split()
    assert trained(optim.SGD)[1].state_dict()["state"] == {}


def test_a_state_of_arrays_tensors_and_numbers_is_taken():
    """As files give it, or PyTorch, whose ``step`` is a float32 tensor."""
    wanted, first = trained(optim.Adam)
    state = first.state_dict()
    for entries in state["state"].values():
        entries["step"] = tc.tensor(2.0)
        entries["exp_avg"] = entries["exp_avg"].numpy().astype(np.float64)
    state["state"] = {str(i): entries for i, entries in state["state"].items()}
    state["param_groups"][0].update(foreach=None, capturable=False)
    params, second = trained(optim.Adam, steps=0)
    second.load_state_dict(state)
    for p, q in zip(params, wanted):
        p.data = q.detach().clone()
    one_step(params, second, 2)
    one_step(wanted, first, 2)
    for p, q in zip(params, wanted):
        assert tc.equal(p, q)


def test_a_state_of_another_shape_is_refused_and_changes_nothing():
    _, optimiser = trained(optim.Adam, lr=0.5)
    other = optim.Adam([Parameter(tc.ones(2, 3)), Parameter(tc.ones(5))], lr=0.1)
    with pytest.raises(ValueError, match=r"exp_avg has shape \[4\], its parameter \[5\]"):
        other.load_state_dict(optimiser.state_dict())
    assert other.param_groups[0]["lr"] == 0.1 and not other.state


@pytest.mark.parametrize(
    "change, words",
    [
        (lambda s: s["param_groups"][1].update(lr=-1.0), r"lr=-1.0 must lie in \[0"),
        (lambda s: s["param_groups"][1].update(lr=tc.ones(2)), "lr has 2 elements"),
        (lambda s: s["state"].update({7: {}}), "state of a parameter 7; the groups have 0 to 1"),
        (lambda s: s["state"].update(w={}), "state of a parameter 'w'"),
    ],
)
def test_a_state_with_a_bad_entry_is_refused_and_changes_nothing(change, words):
    make = lambda lr: optim.SGD([{"params": [Parameter(tc.ones(2))]} for _ in "ab"], lr=lr)
    optimiser, state = make(0.1), make(0.5).state_dict()
    change(state)
    with pytest.raises(ValueError, match=words):
        optimiser.load_state_dict(state)
    assert [group["lr"] for group in optimiser.param_groups] == [0.1, 0.1]


@pytest.mark.parametrize("copied", [copy.deepcopy, lambda o: pickle.loads(pickle.dumps(o))])
def test_a_copy_goes_on_by_itself(copied):
    params, optimiser = trained(optim.Adam)
    other = copied(optimiser)
    theirs = other.param_groups[0]["params"]
    one_step(theirs, other, 2)
    assert other.state[theirs[0]]["step"] == 3 and optimiser.state[params[0]]["step"] == 2
    one_step(params, optimiser, 2)
    for p, q in zip(params, theirs):
        assert tc.equal(p, q)


def test_options_may_be_tensors_of_one_number():
    group = optim.Adam([Parameter(tc.ones(1))], lr=tc.tensor(0.5)).param_groups[0]
    assert group["lr"] == 0.5 and isinstance(group["lr"], float)


def test_the_hints_of_pytorch_mean_nothing():
    p = Parameter(tc.ones(1))
    optimiser = optim.SGD([p], foreach=True, fused=False, differentiable=False)
    assert "foreach" not in optimiser.param_groups[0]


def test_hooks_are_called_around_each_step():
    p = Parameter(tc.ones(1))
    optimiser, seen = optim.SGD([p], lr=0.5), []
    before = optimiser.register_step_pre_hook(lambda o, args, kwargs: seen.append(p.item()))
    optimiser.register_step_post_hook(lambda o, args, kwargs: seen.append(p.item()))
    p.grad = tc.ones(1)
    optimiser.step()
    assert seen == [1.0, 0.5]
    before.remove()
    optimiser.step()
    assert seen == [1.0, 0.5, 0.0]
    optimiser.register_step_pre_hook(lambda o, args, kwargs: ((lambda: 7.0,), {}))
    assert optimiser.step() == 7.0


class Signs(optim.Optimizer):
    """A rule that writes its own step, on tensors."""

    def __init__(self, params, lr=optim.optimizer.required):
        super().__init__(params, dict(lr=lr))

    @tc.no_grad()
    def step(self, closure=None):
        for group in self.param_groups:
            for p in group["params"]:
                state = self.state[p]
                if not state:
                    state["seen"] = tc.zeros_like(p)
                state["seen"].add_(p.grad)
                p.add_(state["seen"].sign(), alpha=-group["lr"])


def test_a_user_may_write_step_and_keep_tensors():
    p = Parameter(tc.ones(2))
    optimiser = Signs([p], lr=0.25)
    called = []
    optimiser.register_step_post_hook(lambda *a: called.append(1))
    p.grad = tc.tensor([2.0, -1.0])
    optimiser.step()
    assert p.tolist() == [0.75, 1.25] and called == [1]
    other = Signs([p], lr=1.0)
    other.load_state_dict(copy.deepcopy(optimiser.state_dict()))
    assert other.param_groups[0]["lr"] == 0.25
    other.step()
    assert other.state[p]["seen"].tolist() == [4.0, -2.0]
    assert optimiser.state[p]["seen"].tolist() == [2.0, -1.0]
    optim.lr_scheduler.ExponentialLR(other, 0.5).step()
    assert other.param_groups[0]["lr"] == 0.125
