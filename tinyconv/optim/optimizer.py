"""What all optimisers share: groups of parameters, their state, and checks."""

from collections import OrderedDict
from collections.abc import Iterable

import numpy as np

from tinyconv.autograd import Tensor
from tinyconv.autograd.backward import forget
from tinyconv.autograd.modes import enable_grad, settle


class Optimizer:
    """A rule that moves parameters against their gradients.

    Args:
        params: Parameters, (name, Parameter) pairs, or dicts with a list ``params`` and
            options of their own (parameter groups).
        defaults: the options of groups that do not give them.

    Subclasses write ``_update(p, g, state, group)`` on arrays: ``p`` in place, ``g`` the
    gradient (not to be changed), ``state`` a dict per parameter. Where there is a kernel for
    many parameters at once, ``_slots`` and ``_update_all`` say how to call it.
    """

    #: option -> (lowest value allowed, first one that is not)
    _limits: dict[str, tuple[float, float]] = {}

    def __init__(self, params, defaults):
        self.defaults = defaults
        self.param_groups = []
        self.state = {}
        self._known = {}  # parameter -> its arrays, as the last step found them
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
        settle()
        # all or nothing: here anything that does not fit raises
        gathered = [self._gather(group) for group in self.param_groups]
        for group, (batches, others) in zip(self.param_groups, gathered):
            for params, *rows in batches.values():
                self._update_all(rows, [self.state.setdefault(p, {}) for p in params], group)
                for p in params:
                    p._bump()
            for p in others:
                state = self.state.setdefault(p, {})
                with np.errstate(over="ignore", invalid="ignore"):
                    self._update(p.array, p.grad.array, state, group)
                p._bump()
        return loss

    def _gather(self, group):
        """The parameters of a group that have a gradient: {dtype: (parameters, arrays,
        gradients, arrays of each slot)}, for one kernel call each, and the others.

        Others are those in their first step, and what is not C-contiguous.
        """
        names, batches, others = self._slots(group), {}, []
        for p in group["params"]:
            if p._grad is None:
                continue
            array, g = p.array, p._grad.array
            if g.shape != array.shape:
                raise RuntimeError(
                    f"{type(self).__name__}: a gradient of shape {list(g.shape)} for a "
                    f"parameter of shape {list(array.shape)}"
                )
            known = None if names is None else self._own_arrays(p, array, names)
            if known is None or g.dtype is not array.dtype or not g.flags.c_contiguous:
                others.append(p)
                continue
            batch = batches.get(array.dtype)
            if batch is None:
                batch = batches[array.dtype] = [], [], [], *[n and [] for n in names]
            batch[0].append(p)
            batch[1].append(array)
            batch[2].append(g)
            for column, slot in zip(batch[3:], known[1:]):
                if slot is not None:
                    column.append(slot)
        return batches, others

    def _own_arrays(self, p, array, names):
        """(array, slots...) of a parameter, or None where a kernel cannot take them.

        What was found good is looked up: arrays are the same as long as they are the very ones.
        """
        state = self.state.get(p)
        if not state and names:
            return None
        known = self._known.get(p)
        if known is not None and known[0] is array and len(known) == len(names) + 1:
            for name, slot in zip(names, known[1:]):
                if name is not None and state.get(name) is not slot:
                    break
            else:
                return known
        found = (array, *[None if name is None else state.get(name) for name in names])
        for name, slot in zip(("", *names), found):
            if name is not None and not _plain(slot, array):
                return None
        self._known[p] = found
        return found

    def _update(self, p, g, state, group):
        raise NotImplementedError

    def _slots(self, group):
        """The names in ``state`` of the arrays that ``_update_all`` takes, None for one that this
        group does not need; or None in their place if there is no ``_update_all``."""
        return None

    def _update_all(self, rows, states, group):
        """As ``_update``, for many parameters at once: ``rows`` are their arrays, their
        gradients, and the arrays of each slot."""
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


def _plain(slot, array):
    """Whether a kernel may take ``slot`` beside ``array``."""
    return (
        isinstance(slot, np.ndarray)
        and slot.dtype is array.dtype
        and slot.dtype.kind == "f"
        and slot.shape == array.shape
        and slot.flags.c_contiguous
        and slot.flags.writeable
        and slot.flags.aligned
    )
