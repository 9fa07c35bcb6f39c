"""What all optimisers share: groups of parameters, their state, and checks."""

import copy
import functools
import numbers
from collections import defaultdict
from collections.abc import Iterable

import numpy as np

from tinyconv.autograd import Tensor
from tinyconv.autograd.backward import forget
from tinyconv.autograd.modes import enable_grad, settle
from tinyconv.autograd.tensor import RemovableHandle

#: what PyTorch takes to choose between its own ways to compute: nothing to choose here
_HINTS = ("foreach", "fused", "capturable", "differentiable")
#: those of them that promise more than speed
_PROMISES = ("capturable", "differentiable")
#: entries of a parameter's state that are one number, not an array in the parameter's shape
_NUMBERS = ("step", "mu_product", "eta", "mu")
#: a default that stands for "every group must say"
required = object()


def _announced(step):
    """``step`` with the optimiser's hooks before and after it."""

    @functools.wraps(step)
    def announced(self, *args, **kwargs):
        for hook in [*self._pre_hooks.values()]:
            changed = hook(self, args, kwargs)
            if changed is not None:
                args, kwargs = changed
        result = step(self, *args, **kwargs)
        self.has_stepped = True
        for hook in [*self._post_hooks.values()]:
            hook(self, args, kwargs)
        return result

    return announced


class Optimizer:
    """A rule that moves parameters against their gradients.

    Args:
        params: Parameters, (name, Parameter) pairs, or dicts with a list ``params`` and
            options of their own (parameter groups).
        defaults: the options of groups that do not give them.

    Subclasses write ``_update(p, g, state, group)`` on arrays: ``p`` in place, ``g`` the
    gradient (not to be changed), ``state`` a dict per parameter. Where there is a kernel for
    many parameters at once, ``_slots`` and ``_update_all`` say how to call it. A subclass may
    write ``step`` itself instead; then ``state`` holds what it likes.
    """

    #: option -> (lowest value allowed, first one that is not)
    _limits: dict[str, tuple[float, float]] = {}
    #: class defaults, for wrappers that never call ``__init__``
    _pre_hooks: dict = {}
    _post_hooks: dict = {}
    has_stepped = False

    def __init_subclass__(cls, **options):
        super().__init_subclass__(**options)
        if "step" in vars(cls):
            cls.step = _announced(cls.step)

    def __init__(self, params, defaults, hints=()):
        self._check_hints(hints)
        self.defaults = defaults
        self.param_groups = []
        self.state = defaultdict(dict)
        self._known = {}  # parameter -> its arrays, as the last step found them
        if isinstance(params, Tensor) or not isinstance(params, Iterable):
            raise TypeError(
                f"{type(self).__name__}: wants an iterable of parameters, got "
                f"{type(params).__name__}; a module has them in .parameters()"
            )
        params = self._ordered(params)
        if not params:
            raise ValueError(f"{type(self).__name__}: got no parameters to optimise")
        for group in params if isinstance(params[0], dict) else [{"params": params}]:
            self.add_param_group(group)

    def _check_hints(self, hints):
        for name in hints:
            if name not in _HINTS:
                raise TypeError(f"{type(self).__name__}: there is no option {name!r}")
            if name in _PROMISES and hints[name]:
                raise ValueError(
                    f"{type(self).__name__}: {name}=True is not there: steps are neither captured "
                    "nor differentiated; leave it out"
                )

    def _ordered(self, params):
        if isinstance(params, (set, frozenset)):
            raise TypeError(f"{type(self).__name__}: a set has no order; give a list")
        return [params] if isinstance(params, Tensor) else list(params)

    def add_param_group(self, param_group):
        """Add parameters, with options of their own if given.

        Raises:
            TypeError, ValueError: not leaf tensors, known already, or options out of range.
        """
        own = type(self).__name__
        if not isinstance(param_group, dict):
            raise TypeError(f"{own}: a group is a dict, got {type(param_group).__name__}")
        group = {**self.defaults, **param_group}
        params = self._ordered(group["params"])
        named = [p for p in params if isinstance(p, tuple)]
        if named:
            if len(named) != len(params):
                raise ValueError(f"{own}: give all parameters with names, or none")
            group["param_names"] = [name for name, _ in named]
            params = [p for _, p in named]
        if self.param_groups and ("param_names" in self.param_groups[0]) != bool(named):
            raise ValueError(f"{own}: give the parameters of all groups with names, or none")
        group["params"] = params
        known = {id(p) for g in self.param_groups for p in g["params"]}
        for p in params:
            if not isinstance(p, Tensor):
                raise TypeError(f"{own}: wants Tensors, got {type(p).__name__}")
            if not p.is_leaf:
                raise ValueError(f"{own}: can't optimise a non-leaf tensor")
            if id(p) in known:
                raise ValueError(f"{own}: a parameter appears twice")
            known.add(id(p))
        for name, value in group.items():
            if value is required:
                raise ValueError(f"{own}: {name} is missing, and has no default")
            if name not in ("params", "param_names"):
                group[name] = _plain_number(value, f"{own}: {name}")
        for name in self._limits:
            self._check_limits(name, group[name])
        self.param_groups.append(group)

    def _check_limits(self, name, value):
        low, high = self._limits[name]
        for number in value if isinstance(value, (tuple, list)) else (value,):
            if isinstance(number, bool) or not isinstance(number, numbers.Real):
                raise TypeError(f"{type(self).__name__}: {name}={number!r} is not a number")
            if not low <= number < high:
                raise ValueError(
                    f"{type(self).__name__}: {name}={value!r} must lie in [{low}, {high})"
                )

    def zero_grad(self, set_to_none=True):
        """Forget all gradients (or fill them with zeros)."""
        forget(self._params(), set_to_none)

    @_announced
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
            climb = group.get("maximize")
            for params, *rows in batches.values():
                if climb:
                    rows[1] = [np.asarray(-g) for g in rows[1]]  # -g of 0-d is no array
                self._update_all(rows, [self.state[p] for p in params], group)
                for p in params:
                    p._bump()
            for p in others:
                g = -p.grad.array if climb else p.grad.array
                with np.errstate(over="ignore", invalid="ignore", divide="ignore"):
                    self._update(p.array, g, self.state[p], group)
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
                if not array.flags.writeable:
                    raise RuntimeError(
                        f"{type(self).__name__}: the memory of a parameter of shape "
                        f"{list(array.shape)} is read-only or expanded; .clone() it first"
                    )
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

    def register_step_pre_hook(self, hook):
        """Call ``hook(optimizer, args, kwargs)`` before each step; it may return new ones.

        Returns a handle with ``remove()``.
        """
        return RemovableHandle(self.__dict__.setdefault("_pre_hooks", {}), hook)

    def register_step_post_hook(self, hook):
        """Call ``hook(optimizer, args, kwargs)`` after each step."""
        return RemovableHandle(self.__dict__.setdefault("_post_hooks", {}), hook)

    def state_dict(self):
        """State by parameter number, and the groups, in PyTorch's layout.

        Arrays are Tensors on the optimiser's own memory, numbers such as ``step`` 0-d Tensors.
        """
        number = {p: i for i, p in enumerate(self._params())}
        return {
            "state": {
                number[p]: {name: _shown(value) for name, value in entries.items()}
                for p, entries in self.state.items()
                if p in number and entries
            },
            "param_groups": [
                {**group, "params": [number[p] for p in group["params"]]}
                for group in self.param_groups
            ],
        }

    def load_state_dict(self, state_dict):
        """Continue from what ``state_dict`` gave, here or in PyTorch.

        Raises:
            ValueError: if the groups or the state have other sizes, or options out of range;
                nothing is changed then.
        """
        groups = state_dict["param_groups"]
        sizes = [len(g["params"]) for g in groups]
        own = [len(g["params"]) for g in self.param_groups]
        if sizes != own:
            raise ValueError(
                f"{type(self).__name__}: the state has groups of {sizes} parameters, the optimiser "
                f"{own}"
            )
        owner = dict(zip((i for g in groups for i in g["params"]), self._params()))
        state = defaultdict(dict)
        for i, entries in state_dict["state"].items():
            p = owner.get(i, owner.get(int(i)) if str(i).isdecimal() else None)
            if p is None:
                raise ValueError(
                    f"{type(self).__name__}: the state has the state of a parameter {i!r}; the "
                    f"groups have {min(owner)} to {max(owner)}"
                )
            state[p] = {name: self._taken(name, value, p) for name, value in entries.items()}
        options = [
            {k: _plain_number(copy.deepcopy(v), k) for k, v in group.items() if k != "params"}
            for group in groups
        ]
        for group in options:
            for name in group.keys() & self._limits.keys():
                self._check_limits(name, group[name])
        for group, saved in zip(self.param_groups, options):
            group.update(saved)
        self.state = state

    def _taken(self, name, value, p):
        """An entry of a loaded state as ``_update`` wants it: a number, or an array like ``p``."""
        if type(self).step is not Optimizer.step or value is None:
            return copy.deepcopy(value)
        array = np.asarray(value.array if isinstance(value, Tensor) else value)
        if name in _NUMBERS:
            return int(array) if name == "step" else float(array)
        if array.shape != p.shape:
            raise ValueError(
                f"{type(self).__name__}: the state's {name} has shape {list(array.shape)}, its "
                f"parameter {list(p.shape)}"
            )
        return np.array(array, p.dtype)

    def __getstate__(self):
        return {**vars(self), "_known": {}}

    def __setstate__(self, state):
        self.__dict__.update(state)

    def __repr__(self):
        lines = [f"{type(self).__name__} ("]
        for i, group in enumerate(self.param_groups):
            lines.append(f"Parameter Group {i}")
            lines += [f"    {k}: {v}" for k, v in sorted(group.items()) if k != "params"]
        return "\n".join([*lines, ")"])


def _plain_number(value, name):
    """``value`` with Tensors of one element, in a tuple too, as the numbers that they hold."""
    if isinstance(value, (tuple, list)):
        return type(value)(_plain_number(v, name) for v in value)
    if not isinstance(value, Tensor):
        return value
    if value.numel() != 1:
        raise ValueError(f"{name} has {value.numel()} elements, wants one number")
    return value.item()


def _shown(value):
    """An entry of the state as a Tensor, if it is an array or a number."""
    if isinstance(value, np.ndarray):
        return Tensor._wrap(value)
    return Tensor(np.float64(value)) if isinstance(value, (int, float)) else value


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
