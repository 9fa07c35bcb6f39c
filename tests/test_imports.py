"""What an import costs and where it may point."""

import ast
import os
import subprocess
import sys
from pathlib import Path

import pytest

import tinyconv

ROOT = Path(tinyconv.__file__).parent
FLOORS = {
    "kernels": 1, "names": 1, "absent": 1, "amp": 1, "jit": 1, "autograd": 2, "ops": 3, "nn": 4,
    "optim": 4, "data": 4, "random": 4, "switches": 4, "testing": 4,
    "models": 5, "toplevel": 5, "weights": 5, "onnx": 5, "train": 6, "viz": 6, "cli": 7,
}  # fmt: skip
#: only re-export names of other floors, or hold one constant
FACADES = {
    "utils", "cuda", "linalg", "backends", "serialization", "types", "__init__", "__main__",
}  # fmt: skip


def _python(script, **environment):
    done = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, timeout=120,
        env={**os.environ, **environment},
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_importing_loads_numpy_and_nothing_heavy():
    script = "import sys, tinyconv; print(*sorted({m.split('.')[0] for m in sys.modules}))"
    loaded = set(_python(script).split())
    heavy = "numba llvmlite matplotlib torch PIL tqdm pandas scipy hypothesis onnx mpi4py"
    assert not loaded & set(heavy.split())


def test_importing_needs_numpy_alone():
    """Every other import that is not of the standard library is blocked."""
    script = """
import sys
class Block:
    def find_spec(self, name, path=None, target=None):
        top = name.split('.')[0]
        if top not in {'numpy', 'tinyconv'} | set(sys.stdlib_module_names):
            raise ImportError(f'blocked: {name}')
sys.meta_path.insert(0, Block())
import tinyconv
net = tinyconv.models.LeNet5()
print(len(net.state_dict()))
"""
    assert _python(script).strip() == "10"


def _files():
    return sorted(p for p in ROOT.rglob("*.py") if "__pycache__" not in p.parts)


def _imports(path):
    """The modules of tinyconv that a file imports, anywhere in it."""
    package = ["tinyconv", *path.relative_to(ROOT).parts[:-1]]
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            yield from (a.name for a in node.names if a.name.split(".")[0] == "tinyconv")
        elif isinstance(node, ast.ImportFrom):
            base = package[: len(package) - node.level + 1] if node.level else []
            name = ".".join([*base, *([node.module] if node.module else [])])
            if name == "tinyconv":
                yield from (f"tinyconv.{a.name}" for a in node.names)
            elif name.startswith("tinyconv."):
                yield name


@pytest.mark.parametrize("path", _files(), ids=lambda p: str(p.relative_to(ROOT)))
def test_imports_point_down(path):
    here = path.relative_to(ROOT).parts[0].removesuffix(".py")
    if here in FACADES:
        return
    assert here in FLOORS, f"{here} has no floor"
    for name in _imports(path):
        parts = name.split(".")
        there = parts[1] if len(parts) > 1 else None
        if there not in FLOORS:
            # the top-level names are for those who stand above all that they show
            assert FLOORS[here] >= FLOORS["models"], f"{path.name} imports {name}"
        elif there != here:
            assert FLOORS[there] <= FLOORS[here], f"{path.name} (floor of {here}) imports {name}"


def test_rooms_of_one_floor_do_not_import_each_other_in_a_circle():
    edges = set()
    for path in _files():
        here = path.relative_to(ROOT).parts[0].removesuffix(".py")
        rooms = {name.split(".")[1] for name in _imports(path) if "." in name}
        edges |= {(here, there) for there in rooms if there != here and there in FLOORS}
    assert not {(a, b) for a, b in edges if (b, a) in edges}


def test_parameters_come_in_the_same_order_in_every_process():
    script = """
import tinyconv as tc
net = tc.models.CifarResNet(8, 'B')
print(*net.state_dict(), *(n for n, _ in net.named_parameters()))
tc.manual_seed(0)
print(tc.models.LeNet5().fc3.weight.tolist())
"""
    assert _python(script, PYTHONHASHSEED="1") == _python(script, PYTHONHASHSEED="2")


def test_the_public_names_are_there():
    for module in (
        tinyconv,
        tinyconv.nn,
        tinyconv.nn.functional,
        tinyconv.optim,
        tinyconv.autograd,
        tinyconv.kernels,
        tinyconv.models,
        tinyconv.data,
    ):
        for name in module.__all__:
            assert hasattr(module, name), f"{module.__name__}.{name}"


@pytest.mark.parametrize(
    "module, name, why",
    [
        (tinyconv, "float16", "computes in float32 and float64"),
        (tinyconv, "hub", "loads no models over the network"),
        (tinyconv.nn, "SyncBatchNorm", "distributes no training"),
        (tinyconv.nn.parallel, "DistributedDataParallel", "distributes no training"),
        (tinyconv.utils, "tensorboard", "writes no logs for TensorBoard"),
        (tinyconv.cuda, "Stream", "on the CPU only"),
        (tinyconv.jit, "script", "runs Python as it stands"),
        (tinyconv.nn, "Foo", "module 'tinyconv.nn' has no attribute 'Foo'"),
    ],
)
def test_what_is_left_out_says_why(module, name, why):
    assert not hasattr(module, name)
    with pytest.raises(AttributeError, match=why):
        getattr(module, name)
