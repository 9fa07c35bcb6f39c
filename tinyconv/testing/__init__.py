"""Checks of derivatives: oracles, reports, Hypothesis strategies, planted faults.

    check(func, inputs)                        Tensors
    check_module(net, x)                       a network: its inputs and all its parameters
    check_vjp(forward, backward, arrays)       plain NumPy
    assert_gradients(func, *inputs)            in tests

The modules are loaded when a name is first asked for: a script that only trains does not wait
for its checker.
"""

import importlib

from tinyconv.autograd.gradcheck import set_checker

#: name -> the module that it stands in, or that it is
_NAMES = {
    "check": "examine",
    "check_vjp": "examine",
    "check_module": "modules",
    "assert_gradients": "assertions",
    "Report": "report",
    "faults": "faults",
    "registry": "registry",
    "strategies": "strategies",
}
__all__ = [*_NAMES]


def __getattr__(name):
    if name not in _NAMES:
        raise AttributeError(f"module 'tinyconv.testing' has no attribute {name!r}")
    module = importlib.import_module(f"tinyconv.testing.{_NAMES[name]}")
    value = globals()[name] = module if _NAMES[name] == name else getattr(module, name)
    return value


set_checker(lambda: importlib.import_module("tinyconv.testing.assertions"))
