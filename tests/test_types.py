"""The stub of Tensor declares what Tensor has, no more and no less."""

import ast
import inspect
from pathlib import Path

from tinyconv.autograd import Tensor
from tinyconv.autograd import tensor as tensor_module  # noqa: F401


def test_stub_and_class_name_the_same_attributes():
    source = Path(inspect.getfile(Tensor)).with_suffix(".pyi").read_text()
    cls = next(n for n in ast.parse(source).body if getattr(n, "name", "") == "Tensor")
    declared = {getattr(n, "name", None) or n.target.id for n in cls.body}
    machinery = set(dir(type("Empty", (), {}))) | {"__slots__", "__array_ufunc__"}
    real = set(Tensor.__dict__) - machinery | {"__eq__", "__ne__", "__lt__", "__le__"}
    real |= {"__gt__", "__ge__", "__repr__", "__hash__", "__init__", "__format__", "__reduce__"}
    assert declared - real - set(Tensor.__slots__) == set()
    assert real - declared - {"__copy__", "__deepcopy__"} == set()
