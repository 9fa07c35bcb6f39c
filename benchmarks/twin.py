"""The same networks in PyTorch: their files are written with its names, so they are run once more
with the imports swapped.
"""

import builtins
import functools
import importlib
import inspect
import types

import tinyconv as tc
from tinyconv.models.registry import find


def get_model(name, framework, **options):
    """``tinyconv.models.get_model`` in either framework."""
    made_in = module(find(name).make.__module__, framework)
    return getattr(made_in, find(name).name)(**options)


def module(name, framework):
    """A module of networks, ``tinyconv.models.*`` or ``benchmarks.nets``, in either framework."""
    return importlib.import_module(name) if framework is tc else _swapped(name, framework)


@functools.cache
def _swapped(name, framework):
    twin = types.ModuleType(name)
    swap = functools.partial(_import, framework)
    twin.__dict__["__builtins__"] = {**vars(builtins), "__import__": swap}
    source = inspect.getsource(importlib.import_module(name))
    exec(compile(source, f"{name} ({framework.__name__})", "exec"), twin.__dict__)
    return twin


def _import(framework, name, globals=None, locals=None, fromlist=(), level=0):
    """What an import statement in a file of networks means there."""
    if name == "tinyconv.models.registry":
        return types.SimpleNamespace(register=_register)
    if name.startswith("tinyconv.models"):
        return _swapped(name, framework)
    if name in ("tinyconv.ops.join", "tinyconv.ops.creation"):
        return framework  # cat, tensor
    if name.split(".")[0] == "tinyconv":
        name = name.replace("tinyconv", framework.__name__, 1)
    return importlib.__import__(name, globals, locals, fromlist, level)


def _register(name, cls, *args, about, input=None, aliases=(), **defaults):
    return lambda **options: cls(*args, **{**defaults, **options})


def copy_weights(torch, net, other):
    """Give a network in PyTorch the weights of its twin."""
    state = {name: torch.from_numpy(t.numpy().copy()) for name, t in net.state_dict().items()}
    other.load_state_dict(state)
