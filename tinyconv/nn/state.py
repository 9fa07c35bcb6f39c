"""The state of a module as a dict of tensors, and what to tell of one that does not fit."""

from collections import OrderedDict
from collections.abc import Mapping
from typing import Any, NamedTuple

import numpy as np

from tinyconv.autograd import Tensor, no_grad
from tinyconv.nn.hooks import registered

_FEW = 0.1  # share of names
_SHOWN = 8  # names of a list; a wrong file can have hundreds


#: where a module keeps its hooks for the state; most have none, and no table either
STATE_HOOKS = ("_state_dict_pre_hooks", "_state_dict_hooks", "_load_pre_hooks", "_load_hooks")


class LoadResult(NamedTuple):
    """What ``load_state_dict`` found besides what it loaded."""

    missing_keys: list
    unexpected_keys: list

    def __repr__(self):
        if not self.missing_keys and not self.unexpected_keys:
            return "<All keys matched successfully>"
        missing, unexpected = self
        return f"_IncompatibleKeys(missing_keys={missing}, unexpected_keys={unexpected})"


class Stateful:
    """A module's state: its parameters and persistent buffers, by path."""

    _parameters: Any
    _buffers: Any
    _not_saved: set
    _modules: Any

    def state_dict(self, *args, destination=None, prefix="", keep_vars=False):
        """Path -> tensor of all parameters and persistent buffers, on the same memory.

        Args:
            destination: a dict to fill (default: a new ``OrderedDict``).
            prefix: what all paths begin with.
            keep_vars: give the tensors themselves, with their history, not detached ones.
        """
        if args:  # by position, as in older scripts
            destination, prefix, keep_vars = (*args, destination, prefix, keep_vars)[:3]
        destination = OrderedDict() if destination is None else destination
        for hook in self._hooks(0):
            hook(self, prefix, keep_vars)
        for name, value in self._own_state():
            destination[prefix + name] = value if keep_vars else value.detach()
        for name, child in self._modules.items():
            if child is not None:
                child.state_dict(
                    destination=destination, prefix=f"{prefix}{name}.", keep_vars=keep_vars
                )
        for hook in self._hooks(1):
            hook(self, destination, prefix, {})
        return destination

    def load_state_dict(self, state_dict, strict=True, assign=False):
        """Copy values into the parameters and buffers of the same paths.

        Nothing is changed unless all of it fits.

        Args:
            state_dict: path -> Tensor or array.
            strict: raise if names are missing or unexpected; ``num_batches_tracked`` may be
                missing, as in PyTorch.
            assign: put the given tensors in the place of the module's own.

        Returns:
            (missing_keys, unexpected_keys).

        Raises:
            TypeError: if it is no dict.
            RuntimeError: one report of the names that are missing, unexpected or mis-shaped, of
                memory that cannot be written and of what hooks say, and what that may come from.
        """
        if not isinstance(state_dict, Mapping):
            raise TypeError(
                f"load_state_dict wants a dict name -> Tensor or array, got "
                f"{type(state_dict).__name__}; tinyconv.weights.load_file(path) reads files"
            )
        state_dict = OrderedDict(state_dict)
        paths = list(self._all_paths())
        missing, unexpected, errors = reports = [], [], []
        for path, module in paths:
            for hook in module._hooks(2):
                hook(module, state_dict, f"{path}." if path else "", {}, strict, *reports)
        owners = {
            (f"{path}.{name}" if path else name): (module, name, value)
            for path, module in paths for name, value in module._own_state()
        }  # fmt: skip
        own = {path: value for path, (_, _, value) in owners.items()}
        # counters of batches came later than the first published weights; no result rests on them
        missing += [n for n in own if n not in state_dict and not n.endswith("num_batches_tracked")]
        unexpected += [str(name) for name in state_dict if name not in own]
        given = {name: state_dict[name] for name in own if name in state_dict}
        values = {n: v.array if isinstance(v, Tensor) else np.asarray(v) for n, v in given.items()}
        misses = (missing, unexpected) if strict else ([], [])
        fixed = [n for n in values if not assign and not own[n].array.flags.writeable]
        report = misfit(type(self).__name__, own, values, *misses, fixed, errors)
        if report:
            raise RuntimeError(report)
        if assign:  # all are made before the first takes its place
            new = {name: _in_place_of(own[name], value) for name, value in given.items()}
            for name, value in new.items():
                module, attribute, _ = owners[name]
                setattr(module, attribute, value)
        else:
            with no_grad():
                for name, value in values.items():
                    own[name].copy_(value)
        result = LoadResult(missing, unexpected)
        for _, module in reversed(paths):
            for hook in module._hooks(3):
                hook(module, result)
        return result

    def _own_state(self):
        """(name, tensor) of this module alone."""
        for name, value in self._parameters.items():
            if value is not None:
                yield name, value
        for name, value in self._buffers.items():
            if value is not None and name not in self._not_saved:
                yield name, value

    def _all_paths(self, prefix=""):
        # a module that is used twice appears under both names, as in PyTorch
        yield prefix, self
        for name, child in self._modules.items():
            if child is not None:
                yield from child._all_paths(f"{prefix}.{name}" if prefix else name)

    # -- hooks ---------------------------------------------------------------------------
    def register_state_dict_pre_hook(self, hook):
        """Call ``hook(module, prefix, keep_vars)`` before ``state_dict`` looks at the module."""
        return self._keep_hook(0, hook)

    def register_state_dict_post_hook(self, hook):
        """Call ``hook(module, state_dict, prefix, metadata)`` when the module's part is in it."""
        return self._keep_hook(1, hook)

    def register_load_state_dict_pre_hook(self, hook):
        """Call ``hook(module, state_dict, prefix, metadata, strict, missing_keys, unexpected_keys,
        error_msgs)`` before the module is loaded; it may change the dict, which is a copy."""
        return self._keep_hook(2, hook)

    def register_load_state_dict_post_hook(self, hook):
        """Call ``hook(module, result)`` when all is loaded; it may change the lists in it."""
        return self._keep_hook(3, hook)

    _register_state_dict_hook = register_state_dict_post_hook

    def _keep_hook(self, which, hook):
        table = self.__dict__.setdefault(STATE_HOOKS[which], OrderedDict())
        return registered(table, hook, False)

    def _hooks(self, which):
        return list(self.__dict__.get(STATE_HOOKS[which], {}).values())


def _in_place_of(old, new):
    """What takes the place of a parameter or buffer: the tensor itself, as its kind."""
    new = new if isinstance(new, Tensor) else Tensor(np.asarray(new))
    # a plain tensor is a buffer; a parameter keeps whether it is trained
    if type(old) is Tensor or isinstance(new, type(old)):
        return new
    return type(old)(new, old.requires_grad)


def misfit(network, own, values, missing, unexpected, fixed, errors):
    """The report of all that keeps a state from fitting, or '' if it fits.

    Args:
        network: its name.
        own: path -> Tensor that the network has.
        values: path -> ndarray of the state, for the paths that both have.
        missing, unexpected: names that are an error.
        fixed: names whose memory cannot be written.
        errors: what hooks found.
    """
    wrong = [name for name in values if values[name].shape != own[name].shape]
    strange = [name for name in values if values[name].dtype.kind not in "fiub"]
    lines = [
        *_listed("wrong shape", wrong, lambda n: f"{n}: file {_shape(values[n])}, model "
                 f"{_shape(own[n])}"),
        *_listed("not numbers", strange, lambda n: f"{n} {values[n].dtype}"),
        *_listed("read-only or expanded in the model (.clone() it, or assign=True)", fixed,
                 lambda n: f"{n} {_shape(own[n])}"),
        *_listed("missing", missing, lambda n: f"{n} {_shape(own[n])}" if n in own else str(n)),
        *_listed("unexpected", unexpected, str),
        *_listed("hooks", errors, str),
    ]  # fmt: skip
    if not lines:
        return ""
    hint = _hint(own, values, wrong, missing, unexpected)
    return "\n".join(
        [
            f"load_state_dict: the state does not fit {network}; nothing was loaded.",
            *([f"hint: {hint}"] if hint else []),
            *lines,
        ]
    )


def _shape(array):
    return list(array.shape)


def _listed(what, names, describe):
    """The heading and the first names, and how many more there are."""
    if not names:
        return []
    # to say "and 1 more" takes as much room as the one
    shown = names if len(names) <= _SHOWN + 1 else names[:_SHOWN]
    rest = [f"  ... and {len(names) - len(shown)} more"] if len(names) > len(shown) else []
    return [f"{what}:", *(f"  {describe(name)}" for name in shown), *rest]


def _hint(own, values, wrong, missing, unexpected):
    """What is behind it, where that can be told."""
    for inner, outer, advice in (
        (unexpected, missing, "take it off: {{n.removeprefix({!r}): v for n, v in state.items()}}"),
        (missing, unexpected, "the state has the names without {!r}"),
    ):
        prefix = _prefix(inner)
        if prefix and {name.removeprefix(prefix) for name in inner} & set(outer):
            whose = "state" if inner is unexpected else "model"
            return f"the {whose}'s names begin with {prefix!r}; {advice.format(prefix)}"
    for names, advice in (
        (missing, "the state has no auxiliary classifiers: build the model with aux_logits=False"),
        (unexpected, "the state has auxiliary classifiers: build the model with aux_logits=True, "
         "or leave them out by tinyconv.weights.load_into(model, state)"),
    ):  # fmt: skip
        others = len(missing) + len(unexpected) + len(wrong) - len(names)
        if names and not others and all(name.lower().startswith("aux") for name in names):
            return advice
    if missing and unexpected and len(values) < _FEW * len(own):
        return (
            "hardly a name is common; tinyconv.weights.load_into(model, file) knows those of timm, "
            "Cadene and Keras, and pairs layers by their order with source='order'"
        )
    if wrong and all(_is_turned(values[n].shape, own[n].shape) for n in wrong):
        return (
            "the shapes are right but for the order of their dimensions, as in Keras' files; "
            "tinyconv.weights.load_file turns them when it reads the .h5"
        )
    if not missing and not unexpected and wrong and _is_head(own, values, wrong):
        count, classes = values[wrong[0]].shape[0], own[wrong[0]].shape[0]
        return (
            f"the state is for {count} classes, the model has {classes}: build it with "
            f"num_classes={count}, or leave the last layer out: tinyconv.weights.load_into(model, "
            "state, head=False)"
        )
    return ""


def _prefix(names):
    """The part up to the first dot that all names begin with, or ''."""
    first = {name.partition(".")[0] + "." for name in names}
    return first.pop() if len(first) == 1 else ""


def _is_turned(a, b):
    return len(a) > 1 and a != b and sorted(a) == sorted(b)


def _is_head(own, values, wrong):
    """Whether only numbers of classes differ."""
    sizes = {(values[n].shape[:1], own[n].shape[:1]) for n in wrong}
    if any(() in pair for pair in sizes):  # single numbers, like counters of batches
        return False
    return len(sizes) == 1 and all(values[n].shape[1:] == own[n].shape[1:] for n in wrong)
