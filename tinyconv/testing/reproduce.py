"""Reproducers: Python to paste that makes the same check again."""

import base64
import inspect
import zlib

import numpy as np

from tinyconv.autograd import Tensor

#: arrays of more elements are written as compressed bytes
_READABLE = 60
_USUAL = dict(
    oracle="auto", mode="auto", kinks="hull", eps=None, atol=0.0, rtol=0.0, directions=3,
    effects=True, nondet_tol=0.0,
)  # fmt: skip


class Source:
    """The text of a reproducer, written when it is asked for.

    Args:
        call: name of the check, from ``tinyconv.testing``.
        functions: what is checked.
        inputs: as they were given.
        options: the keywords of the check.
        order: where it is not that of ``options``.
    """

    def __init__(self, call, functions, inputs, options, order=None):
        if isinstance(inputs, (np.ndarray, np.generic, Tensor, float)):
            inputs = (inputs,)
        self.call, self.inputs, self.options = call, list(inputs), options
        self.order = order or options.order
        named = [_expression(f) for f in functions]
        self.definitions = [definition for definition, _ in named]
        self.names = ", ".join(name for _, name in named)

    def __str__(self):
        call, options = self.call, self.options
        arrays = [_argument(a) for a in self.inputs]
        imports = ["import numpy as np", f"from tinyconv.testing import {call}"]
        if any("zlib" in a for a in arrays):
            imports.insert(0, "import base64, zlib")
        if any("tc." in a for a in arrays):
            imports.insert(-1, "import tinyconv as tc")
        extra = "" if self.order == (1 if call == "check_vjp" else 2) else f", order={self.order}"
        extra += "".join(
            f", {name}={getattr(options, name)!r}"
            for name, usual in _USUAL.items()
            if getattr(options, name) != usual
        )
        given = "*inputs" if call == "check_module" else "inputs"
        return "\n".join([
            *imports, *self.definitions,
            "inputs = (", *(f"    {a}," for a in arrays), ")",
            f"print({call}({self.names}, {given}{extra}, seed={options.seed}))",
        ])  # fmt: skip


def _expression(function):
    """(lines that import or show it, the expression that names it)."""
    name = getattr(function, "__qualname__", None)
    owner = getattr(function, "__self__", None)
    if isinstance(owner, type):  # MyFunction.apply
        name = f"{owner.__qualname__}.{function.__name__}"
        function = owner
    module = getattr(function, "__module__", None)
    if name and module and "<" not in name and module != "__main__":
        return f"from {module} import {name.split('.')[0]}", name
    try:
        lines = inspect.getsource(function).strip().splitlines()[:12]
        where = f", from {inspect.getsourcefile(function)}"
    except (OSError, TypeError):
        lines, where = repr(function).splitlines(), ""
    short = (name or type(function).__name__).removeprefix("<").split("<locals>.")[-1]
    short = "func" if "<lambda>" in (name or "") else short
    return "\n".join(
        [f"{short} = ...  # to be filled in{where}:", *(f"#   {s}" for s in lines)]
    ), short


def _argument(value):
    if isinstance(value, Tensor):  # whether it requires grad says what is differentiated
        grad = ".requires_grad_()" if value.requires_grad else ""
        return f"tc.from_numpy({literal(value.array)}){grad}"
    return literal(value) if isinstance(value, (np.ndarray, np.generic)) else repr(value)


def literal(array):
    """An array as Python that gives the same bits again.

    >>> literal(np.array([0.1, 2.0]))
    'np.array([0.1, 2.0], np.float64)'
    """
    array = np.asarray(array)
    if 0 < array.size <= _READABLE:
        text = repr(array.tolist()).replace("nan", "np.nan").replace("inf", "np.inf")
        return f"np.array({text}, np.{array.dtype})"
    code = base64.b85encode(zlib.compress(np.ascontiguousarray(array).tobytes())).decode()
    return (
        f"np.frombuffer(zlib.decompress(base64.b85decode({code!r})), np.{array.dtype})"
        f".reshape({array.shape}).copy()"
    )
