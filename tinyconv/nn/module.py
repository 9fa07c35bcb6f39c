"""Module: a tree of parameters with a forward."""

import itertools
from collections import OrderedDict
from typing import Any

import numpy as np

from tinyconv.autograd import Tensor, get_default_dtype
from tinyconv.autograd.backward import forget
from tinyconv.autograd.modes import settle, state
from tinyconv.autograd.tensor import check_dtype
from tinyconv.nn.hooks import CALL_HOOKS, Hooked, entered
from tinyconv.nn.members import KINDS, NAMES, Members, kind_of, members
from tinyconv.nn.state import STATE_HOOKS, Stateful
from tinyconv.ops.shape import check_device


class Parameter(Tensor):
    """A Tensor that a Module registers when it is assigned to an attribute.

    >>> import tinyconv as tc
    >>> tc.nn.Parameter(tc.zeros(3)).requires_grad
    True
    """

    def __init__(self, data=None, requires_grad=True):
        super().__init__(np.empty(0, get_default_dtype()) if data is None else data)
        self.requires_grad = requires_grad

    def __repr__(self):
        return f"Parameter containing:\n{super().__repr__()}"


class Module(Hooked, Stateful):
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
            **{table: OrderedDict() for table in CALL_HOOKS},
        )

    def __getstate__(self):
        """The attributes, for copies: the tables of a shallow one are its own."""
        state = dict(self.__dict__)
        state[NAMES] = {kind: dict(names) for kind, names in state[NAMES].items()}
        for table in ("_not_saved", *CALL_HOOKS, *STATE_HOOKS):
            if table in state:
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

    # -- attributes -------------------------------------------------------------------
    def __setattr__(self, name, value):
        if NAMES not in self.__dict__:
            if isinstance(value, (Parameter, Module)):
                raise AttributeError(
                    f"{type(self).__name__}: call super().__init__() before assigning {name!r}"
                )
            object.__setattr__(self, name, value)
        elif isinstance(value, Parameter):
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

    def __getattr__(self, name: str) -> Any:
        if name in self.__dict__:  # called by name: what there is, is found without
            return self.__dict__[name]
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
    def named_modules(self, memo=None, prefix="", remove_duplicate=True):
        """(path, module) of this module and all below, parents first; each once, unless not
        ``remove_duplicate``."""
        memo = set() if memo is None else memo
        if id(self) in memo:
            return
        if remove_duplicate:
            memo.add(id(self))
        yield prefix, self
        for name, child in self._modules.items():
            if child is not None:
                path = f"{prefix}.{name}" if prefix else name
                yield from child.named_modules(memo, path, remove_duplicate)

    def modules(self):
        """This module and all below."""
        return (module for _, module in self.named_modules())

    def named_children(self):
        """(name, module) of the direct children, each once."""
        seen = set()
        for name, module in self._modules.items():
            if module is not None and id(module) not in seen:
                seen.add(id(module))
                yield name, module

    def children(self):
        """The direct children, each once."""
        return (m for _, m in self.named_children())

    def _named(self, table, prefix, recurse, once):
        seen = set()
        tree = self.named_modules(None, prefix, once) if recurse else [(prefix, self)]
        for path, module in tree:
            for name, value in getattr(module, table).items():
                if value is not None and not (once and id(value) in seen):
                    seen.add(id(value))
                    yield (f"{path}.{name}" if path else name), value

    def named_parameters(self, prefix="", recurse=True, remove_duplicate=True):
        """(path, Parameter), each once, in the order of registration."""
        return self._named("_parameters", prefix, recurse, remove_duplicate)

    def parameters(self, recurse=True):
        """The Parameters, each once, in the order of registration."""
        return (p for _, p in self.named_parameters(recurse=recurse))

    def named_buffers(self, prefix="", recurse=True, remove_duplicate=True):
        """(path, buffer), each once."""
        return self._named("_buffers", prefix, recurse, remove_duplicate)

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

    def get_parameter(self, target):
        """The Parameter at a dotted path."""
        return self._get("_parameters", target)

    def get_buffer(self, target):
        """The buffer at a dotted path."""
        return self._get("_buffers", target)

    def _get(self, table, target):
        path, _, name = target.rpartition(".")
        module = self.get_submodule(path)
        if name not in getattr(module, table):
            raise AttributeError(f"{type(module).__name__} has no {name!r} in {table} ({target!r})")
        return getattr(module, name)

    def set_submodule(self, target, module):
        """Put a module at a dotted path, whose parent must be there."""
        path, _, name = target.rpartition(".")
        self.get_submodule(path).register_module(name, module)

    def apply(self, fn):
        """Call ``fn`` on every module, children first; returns self."""
        for child in self.children():
            child.apply(fn)
        fn(self)
        return self

    # -- modes and dtypes --------------------------------------------------------------
    def train(self, mode=True):
        """Set training mode (dropout, batch statistics) everywhere below."""
        if not isinstance(mode, bool):
            raise ValueError(f"train: mode must be True or False, got {mode!r}")
        self.training = mode
        for child in self.children():
            child.train(mode)  # which may have a word in it
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

    def to(self, *args, dtype=None, device=None, non_blocking=False, memory_format=None):
        """Convert all floating parameters and buffers to a dtype; the only device is the CPU."""
        for arg in args:
            if isinstance(arg, (type, np.dtype)):
                dtype = arg
            elif isinstance(arg, Tensor):
                dtype = arg.dtype
            elif not isinstance(arg, bool):  # non_blocking
                check_device(arg)
        check_device(device)
        if dtype is not None:
            dtype = np.dtype(dtype)
            if dtype.kind != "f":
                raise TypeError(f"Module.to: parameters are floating point, got {dtype}")
            check_dtype(dtype)
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

    def type(self, dst_type):
        """``to(dst_type)``."""
        return self.to(dtype=dst_type)

    def half(self):
        """Raises: there is no half precision here."""
        return self.to(np.float16)

    def cpu(self):
        """The module itself: it is there already."""
        return self

    def cuda(self, device=None):
        """Raises: there is no GPU here."""
        check_device("cuda")

    # -- printing ----------------------------------------------------------------------
    def extra_repr(self):
        """What ``print`` shows of the layer itself."""
        return ""

    def __repr__(self):
        extra = self.extra_repr()
        lines = [_indented(extra)] if extra else []
        lines += [_indented(f"({name}): {child!r}") for name, child in self._modules.items()]
        if lines == [extra] or not lines:
            return f"{self._get_name()}({extra})"
        return "\n  ".join([f"{self._get_name()}(", *lines]) + "\n)"

    def _get_name(self):
        return type(self).__name__


def _indented(text):
    return text.replace("\n", "\n  ")
