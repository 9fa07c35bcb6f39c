"""Arrays that a kernel makes itself live as long as their pointers (``simd.hold``)."""

import ast
from pathlib import Path

import numpy as np
import pytest

from tinyconv import kernels
from tinyconv.kernels.jit import kernel
from tinyconv.kernels.simd import get, hold, pointer

FILES = sorted(Path(kernels.__file__).parent.glob("*.py"))


@kernel
def _held(n):
    a = np.empty(n)
    pa = pointer(a)
    for i in range(n):
        a[i] = i
    b = np.full(n, -7.0)  # which takes the memory of an array that was freed
    total = b[0] + 7
    for i in range(n):
        total += get(pa, i)
    hold((a,))
    return total


def test_a_held_array_stays():
    assert _held(100) == sum(range(100))


@pytest.mark.parametrize("path", FILES, ids=lambda p: p.stem)
def test_no_pointer_outlives_its_array(path):
    for function in ast.walk(ast.parse(path.read_text())):
        if not isinstance(function, ast.FunctionDef):
            continue
        given = {a.arg for a in function.args.args}
        calls = [n for n in ast.walk(function) if isinstance(n, ast.Call)]
        by_name = [(c.func.id, c) for c in calls if isinstance(c.func, ast.Name)]
        held = {
            name.id
            for called, call in by_name if called == "hold"
            for name in ast.walk(call) if isinstance(name, ast.Name)
        }  # fmt: skip
        for called, call in by_name:
            if called == "pointer":
                name = next(n.id for n in ast.walk(call.args[0]) if isinstance(n, ast.Name))
                assert name in given | held, f"{function.name}: {name} is freed before its pointer"
