"""Module: a tree of parameters with a forward."""

import itertools
from collections import OrderedDict
from collections.abc import Mapping
from typing import Any, NamedTuple

import numpy as np

from tinyconv.autograd import Tensor, no_grad
from tinyconv.autograd.backward import forget
from tinyconv.autograd.modes import settle, state
from tinyconv.autograd.tensor import RemovableHandle
from tinyconv.nn.hooks import BackwardHooks, entered
from tinyconv.nn.members import KINDS, NAMES, Members, kind_of, members
from tinyconv.nn.state import misfit
from tinyconv.ops.shape import check_device


class Parameter(Tensor):
    """A Tensor that a Module registers when it is assigned to an attribute.

    >>> import tinyconv as tc
    >>> tc.nn.Parameter(tc.zeros(3)).requires_grad
    True
    """

    def __init__(self, data, requires_grad=True):
        super().__init__(data, requires_grad)

    def __repr__(self):
        return f"Parameter containing:\n{super().__repr__()}"


class LoadResult(NamedTuple):
    """What ``load_state_dict`` found besides what it loaded."""

    missing_keys: list
    unexpected_keys: list


class Module:
    """The base of all layers and networks.

    Assign Parameters, Modules and (with ``register_buffer``) other tensors to attributes
    in ``__init__``, compute in ``forward``, call the module like a function.

    >>> import tinyconv as tc
    >>> class Scale(tc.nn.Module):
    ...     def __init__(self):
    ...         super().__init__()
    ...         self.factor = tc.nn.Parameter(tc.ones(1))
    ...     def forward(self, x):
    ...         return x * self.factor
    >>> [name for name, _ in Scale().named_parameters()]
    ['factor']
    """

    training: bool
    _parameters, _buffers, _modules = (members(kind) for kind in KINDS)

    def __init__(self):
        self.__dict__[NAMES] = {kind: {} for kind in KINDS}
        self.__dict__.update(
            training=True,
            _not_saved=set(),
            _forward_hooks=OrderedDict(),
            _forward_pre_hooks=OrderedDict(),
            _backward_hooks=OrderedDict(),
        )

    def __getstate__(self):
        """The attributes, for copies: the tables of a shallow one are its own."""
        state = dict(self.__dict__)
        state[NAMES] = {kind: dict(names) for kind, names in state[NAMES].items()}
        for table in ("_not_saved", "_forward_hooks", "_forward_pre_hooks", "_backward_hooks"):
            state[table] = state[table].copy()
        return state

    def forward(self, *args, **kwargs):
        raise NotImplementedError(f"{type(self).__name__} has no forward method")

    def __call__(self, *args, **kwargs):
        if state.detector is not None:
            with entered(self):
                return self._call(args, kwargs)
        if state.inside or not state.fusion:
            if not (self._forward_hooks or self._forward_pre_hooks or self._backward_hooks):
                return self.forward(*args, **kwargs)
            return self._call(args, kwargs)
        # the outermost call: inside, ops may wait for each other
        state.inside = True
        try:
            result = self._call(args, kwargs)
        finally:
            state.inside = False
        settle()
        return result

    def _call(self, args, kwargs):
        for hook in list(self._forward_pre_hooks.values()):
            changed = hook(self, args)
            if changed is not None:
                args = changed if isinstance(changed, tuple) else (changed,)
        watch = None
        if self._backward_hooks:
            watch = BackwardHooks(self, list(self._backward_hooks.values()))
            args = watch.arguments(args)
        result = self.forward(*args, **kwargs)
        if watch is not None:
            result = watch.results(result)
        for hook in list(self._forward_hooks.values()):
            changed = hook(self, args, result)
            result = result if changed is None else changed
        return result

    def register_forward_hook(self, hook):
        """Call ``hook(module, args, result)`` after forward; it may return another result."""
        return RemovableHandle(self._forward_hooks, hook)

    def register_forward_pre_hook(self, hook):
        """Call ``hook(module, args)`` before forward; it may return other arguments."""
        return RemovableHandle(self._forward_pre_hooks, hook)

    def register_full_backward_hook(self, hook):
        """Call ``hook(module, grad_input, grad_output)`` in each backward walk.

        ``grad_output`` are the gradients of the results, ``grad_input`` those that this
        module sends on to its positional arguments (None for others); the hook may return
        others to be sent instead.
        """
        return RemovableHandle(self._backward_hooks, hook)

    # -- attributes -------------------------------------------------------------------
    def __setattr__(self, name, value):
        if NAMES not in self.__dict__:
            raise AttributeError(
                f"{type(self).__name__}: call super().__init__() before assigning {name!r}"
            )
        if isinstance(value, Parameter):
            self._parameters[name] = value
        elif isinstance(value, Module):
            self._modules[name] = value
        elif (kind := kind_of(self, name)) is None:
            object.__setattr__(self, name, value)
        else:
            wanted = dict(parameters="Parameter", buffers="Tensor", modules="Module")[kind]
            if value is not None and not (wanted == "Tensor" and isinstance(value, Tensor)):
                raise TypeError(f"{name!r} is a {wanted} of the module, got {type(value).__name__}")
            self.__dict__[name] = value

    def __getattr__(self, name: str) -> Any:  # what there is, is found without
        raise AttributeError(f"{type(self).__name__!r} object has no attribute {name!r}")

    def __delattr__(self, name):
        kind = kind_of(self, name)
        if kind is None:
            object.__delattr__(self, name)
        else:
            del Members(self.__dict__, kind)[name]

    def register_parameter(self, name, param):
        """Register a Parameter (or None for "there could be one") under ``name``."""
        self._check_new(name, param, Parameter, self._parameters)
        self._parameters[name] = param

    def register_buffer(self, name, tensor, persistent=True):
        """Register a tensor that belongs to the state but is not trained."""
        self._check_new(name, tensor, Tensor, self._buffers)
        self._buffers[name] = tensor
        (self._not_saved.discard if persistent else self._not_saved.add)(name)

    def register_module(self, name, module):
        """Register a child under ``name``, which need not be an identifier."""
        self._check_new(name, module, Module, self._modules)
        self._modules[name] = module

    add_module = register_module

    def _check_new(self, name, value, kind, table):
        if value is not None and not isinstance(value, kind):
            raise TypeError(f"{name!r} must be a {kind.__name__}, got {type(value).__name__}")
        if "." in name or not name:
            raise KeyError(f"name {name!r} must be without dots and not empty")
        if name not in table and hasattr(self, name):
            raise KeyError(f"attribute {name!r} exists already")

    # -- the tree ----------------------------------------------------------------------
    def named_modules(self, memo=None, prefix=""):
        """(path, module) of this module and all below, each once, parents first."""
        memo = set() if memo is None else memo
        if id(self) in memo:
            return
        memo.add(id(self))
        yield prefix, self
        for name, child in self._modules.items():
            if child is not None:
                yield from child.named_modules(memo, f"{prefix}.{name}" if prefix else name)

    def modules(self):
        """This module and all below."""
        return (module for _, module in self.named_modules())

    def named_children(self):
        """(name, module) of the direct children."""
        return ((n, m) for n, m in self._modules.items() if m is not None)

    def children(self):
        """The direct children."""
        return (m for m in self._modules.values() if m is not None)

    def _named(self, table, prefix, recurse=True):
        seen = set()
        for path, module in self.named_modules(prefix=prefix) if recurse else [(prefix, self)]:
            for name, value in getattr(module, table).items():
                if value is not None and id(value) not in seen:
                    seen.add(id(value))
                    yield (f"{path}.{name}" if path else name), value

    def named_parameters(self, prefix="", recurse=True):
        """(path, Parameter), each once, in the order of registration."""
        return self._named("_parameters", prefix, recurse)

    def parameters(self, recurse=True):
        """The Parameters, each once, in the order of registration."""
        return (p for _, p in self.named_parameters(recurse=recurse))

    def named_buffers(self, prefix="", recurse=True):
        """(path, buffer), each once."""
        return self._named("_buffers", prefix, recurse)

    def buffers(self, recurse=True):
        """The buffers, each once."""
        return (b for _, b in self.named_buffers(recurse=recurse))

    def get_submodule(self, target):
        """The module at a dotted path."""
        module = self
        for name in target.split(".") if target else ():
            if name not in module._modules:
                raise AttributeError(f"{type(module).__name__} has no child {name!r} ({target!r})")
            module = module._modules[name]
        return module

    def apply(self, fn):
        """Call ``fn`` on every module, children first; returns self."""
        for child in self.children():
            child.apply(fn)
        fn(self)
        return self

    # -- modes and dtypes --------------------------------------------------------------
    def train(self, mode=True):
        """Set training mode (dropout, batch statistics) everywhere below."""
        for module in self.modules():
            module.training = bool(mode)
        return self

    def eval(self):
        """Set evaluation mode everywhere below."""
        return self.train(False)

    def requires_grad_(self, requires_grad=True):
        """Freeze or unfreeze all parameters."""
        for p in self.parameters():
            p.requires_grad = requires_grad
        return self

    def zero_grad(self, set_to_none=True):
        """Forget the gradients of all parameters, or fill them with zeros."""
        forget(self.parameters(), set_to_none)

    def to(self, *args, dtype=None, device=None, non_blocking=False):
        """Convert all floating parameters and buffers to a dtype; the only device is the CPU."""
        for arg in args:
            if isinstance(arg, (type, np.dtype)):
                dtype = arg
            elif isinstance(arg, Tensor):
                dtype = arg.dtype
            else:
                check_device(arg)
        check_device(device)
        if dtype is not None:
            dtype = np.dtype(dtype)
            if dtype.kind != "f":
                raise TypeError(f"Module.to: parameters are floating point, got {dtype}")
            for tensor in itertools.chain(self.parameters(), self.buffers()):
                if tensor.dtype.kind == "f" and tensor.dtype != dtype:
                    tensor.data = tensor.array.astype(dtype)
                    if tensor.grad is not None:
                        tensor.grad = Tensor(tensor.grad.array.astype(dtype))
        return self

    def float(self):
        """``to(float32)``."""
        return self.to(np.float32)

    def double(self):
        """``to(float64)``."""
        return self.to(np.float64)

    def cpu(self):
        """The module itself: it is there already."""
        return self

    def cuda(self, device=None):
        """Raises: there is no GPU here."""
        check_device("cuda")

    # -- state -------------------------------------------------------------------------
    def _named_state(self):
        for path, module in self._all_paths():
            for name, value in module._parameters.items():
                if value is not None:
                    yield (f"{path}.{name}" if path else name), value
            for name, value in module._buffers.items():
                if value is not None and name not in module._not_saved:
                    yield (f"{path}.{name}" if path else name), value

    def _all_paths(self, prefix=""):
        # a module that is used twice appears under both names, as in PyTorch
        yield prefix, self
        for name, child in self.named_children():
            yield from child._all_paths(f"{prefix}.{name}" if prefix else name)

    def state_dict(self):
        """Path -> tensor of all parameters and persistent buffers, on the same memory."""
        return OrderedDict((path, value.detach()) for path, value in self._named_state())

    def load_state_dict(self, state_dict, strict=True):
        """Copy values into the parameters and buffers of the same paths.

        Nothing is changed unless all of it fits.

        Args:
            state_dict: path -> Tensor or array.
            strict: raise if names are missing or unexpected; ``num_batches_tracked`` may be
                missing, as in PyTorch.

        Returns:
            (missing_keys, unexpected_keys).

        Raises:
            TypeError: if it is no dict.
            RuntimeError: one report of the names that are missing, unexpected or mis-shaped, and
                what that may come from.
        """
        if not isinstance(state_dict, Mapping):
            raise TypeError(
                f"load_state_dict wants a dict name -> Tensor or array, got "
                f"{type(state_dict).__name__}; tinyconv.weights.load_file(path) reads files"
            )
        own = dict(self._named_state())
        # counters of batches came later than the first published weights; no result rests on them
        missing = [n for n in own if n not in state_dict and not n.endswith("num_batches_tracked")]
        unexpected = [str(name) for name in state_dict if name not in own]
        values = {}
        for name in own:
            if name in state_dict:
                value = state_dict[name]
                values[name] = value.array if isinstance(value, Tensor) else np.asarray(value)
        misses = (missing, unexpected) if strict else ([], [])
        report = misfit(type(self).__name__, own, values, *misses)
        if report:
            raise RuntimeError(report)
        with no_grad():
            for name, value in values.items():
                own[name].copy_(value)
        return LoadResult(missing, unexpected)

    # -- printing ----------------------------------------------------------------------
    def extra_repr(self):
        """What ``print`` shows of the layer itself."""
        return ""

    def __repr__(self):
        lines = [
            f"({name}): " + repr(child).replace("\n", "\n  ")
            for name, child in self._modules.items()
        ]
        extra = self.extra_repr()
        if not lines:
            return f"{type(self).__name__}({extra})"
        return f"{type(self).__name__}({extra}\n  " + "\n  ".join(lines) + "\n)"
