"""What all optimisers share: groups of parameters, their state, and checks."""

from collections import OrderedDict
from collections.abc import Iterable

import numpy as np

from tinyconv.autograd import Tensor
from tinyconv.autograd.backward import forget
from tinyconv.autograd.modes import enable_grad


class Optimizer:
    """A rule that moves parameters against their gradients.

    Args:
        params: Parameters, (name, Parameter) pairs, or dicts with a list ``params`` and
            options of their own (parameter groups).
        defaults: the options of groups that do not give them.

    Subclasses write ``_update(p, g, state, group)`` on arrays: ``p`` in place, ``g`` the
    gradient (not to be changed), ``state`` a dict per parameter.
    """

    #: option -> (lowest value allowed, first one that is not)
    _limits: dict[str, tuple[float, float]] = {}

    def __init__(self, params, defaults):
        self.defaults = defaults
        self.param_groups = []
        self.state = {}
        if isinstance(params, (set, frozenset)):
            raise TypeError(f"{type(self).__name__}: a set has no order; give a list")
        if not isinstance(params, Iterable):
            raise TypeError(
                f"{type(self).__name__}: wants parameters, got {type(params).__name__}; a module "
                "has them in .parameters()"
            )
        params = [params] if isinstance(params, Tensor) else list(params)
        if not params:
            raise ValueError(f"{type(self).__name__}: got no parameters to optimise")
        for group in params if isinstance(params[0], dict) else [{"params": params}]:
            self.add_param_group(group)

    def add_param_group(self, param_group):
        """Add parameters, with options of their own if given.

        Raises:
            TypeError, ValueError: not leaf tensors, known already, or options out of range.
        """
        group = {**self.defaults, **param_group}
        params = group["params"]
        params = [params] if isinstance(params, Tensor) else list(params)
        group["params"] = [p[1] if isinstance(p, tuple) else p for p in params]
        known = {id(p) for g in self.param_groups for p in g["params"]}
        for p in group["params"]:
            if not isinstance(p, Tensor):
                raise TypeError(f"{type(self).__name__}: wants Tensors, got {type(p).__name__}")
            if not p.is_leaf:
                raise ValueError(f"{type(self).__name__}: can't optimise a non-leaf tensor")
            if id(p) in known:
                raise ValueError(f"{type(self).__name__}: a parameter appears twice")
            known.add(id(p))
        for name, (low, high) in self._limits.items():
            for value in group[name] if isinstance(group[name], tuple) else (group[name],):
                if isinstance(value, bool) or not isinstance(value, (int, float)):
                    raise TypeError(f"{type(self).__name__}: {name}={value!r} is not a number")
                if not low <= value < high:
                    raise ValueError(
                        f"{type(self).__name__}: {name}={group[name]!r} must lie in [{low}, {high})"
                    )
        self.param_groups.append(group)

    def zero_grad(self, set_to_none=True):
        """Forget all gradients (or fill them with zeros)."""
        forget(self._params(), set_to_none)

    def step(self, closure=None):
        """Move every parameter that has a gradient.

        Args:
            closure: computes the loss again, with gradients; its result is returned.
        """
        loss = None
        if closure is not None:
            with enable_grad():
                loss = closure()
        for p in self._params():  # all or nothing
            if p.grad is not None and p.grad.shape != p.shape:
                raise RuntimeError(
                    f"{type(self).__name__}: a gradient of shape {list(p.grad.shape)} for a "
                    f"parameter of shape {list(p.shape)}"
                )
        for group in self.param_groups:
            for p in group["params"]:
                if p.grad is not None:
                    state = self.state.setdefault(p, {})
                    with np.errstate(over="ignore", invalid="ignore"):
                        self._update(p.array, p.grad.array, state, group)
                    p._bump()
        return loss

    def _update(self, p, g, state, group):
        raise NotImplementedError

    def _params(self):
        return [p for group in self.param_groups for p in group["params"]]

    def state_dict(self):
        """State by parameter number, and the groups: plain dicts, numbers and arrays."""
        number = {p: i for i, p in enumerate(self._params())}
        return OrderedDict(
            state={number[p]: dict(s) for p, s in self.state.items()},
            param_groups=[
                {**group, "params": [number[p] for p in group["params"]]}
                for group in self.param_groups
            ],
        )

    def load_state_dict(self, state_dict):
        """Continue from what ``state_dict`` gave.

        Raises:
            ValueError: if the groups have other sizes; nothing is changed then.
        """
        groups = state_dict["param_groups"]
        sizes = [len(g["params"]) for g in groups]
        own = [len(g["params"]) for g in self.param_groups]
        if sizes != own:
            raise ValueError(
                f"{type(self).__name__}: the state has groups of {sizes} parameters, the optimiser "
                f"{own}"
            )
        params = self._params()
        for group, saved in zip(self.param_groups, groups):
            group.update({k: v for k, v in saved.items() if k != "params"})
        self.state = {
            params[int(i)]: {
                k: np.array(v, params[int(i)].dtype) if isinstance(v, np.ndarray) else v
                for k, v in s.items()
            }
            for i, s in state_dict["state"].items()
        }

    def __repr__(self):
        lines = [f"{type(self).__name__} ("]
        for i, group in enumerate(self.param_groups):
            lines.append(f"Parameter Group {i}")
            lines += [f"    {k}: {v}" for k, v in sorted(group.items()) if k != "params"]
        return "\n".join([*lines, ")"])
