"""Dry runs: their rules against the ops themselves, and what they leave alone."""

import subprocess
import sys

import numpy as np
import pytest

import tinyconv as tc
from tinyconv import nn
from tinyconv.kernels import Window
from tinyconv.models import dry
from tinyconv.models.trace import trace
from tinyconv.ops import (
    activations,
    arithmetic,
    conv,
    join,
    linalg,
    lrn,
    norm,
    pad,
    pointwise,
    pool,
    random,
    reduce,
)
from tinyconv.ops.pool import adaptive_windows

X, Y = [2, 4, 9, 7], [2, 4, 1, 7]
WINDOW = Window.of((3, 2), stride=(2, 1), padding=(1, 0), dilation=(1, 2))
POOL = Window.of((3, 2), stride=(2, 3), padding=(1, 0))
ADAPTIVE = tuple(adaptive_windows(n, out) for n, out in zip(X[2:], (4, 3)))

#: op -> (what it is given, lists being shapes of arrays; options)
CASES = {
    conv.Conv2d: ([X, [6, 2, 3, 2], [6], WINDOW, 2], {}),
    linalg.Linear: ([[3, 5], [4, 5], [4]], {}),
    linalg.Matmul: ([[2, 1, 3, 5], [4, 5, 6]], {}),
    norm.BatchNorm: ([X, [4], [4], 1e-5], {}),
    norm.RunningNorm: ([X, [4], [4], [4], [4], 1e-5], {}),
    lrn.LocalResponseNorm: ([X, 3, 1e-4, 0.75, 1.0], {}),
    pointwise.Relu: ([X], {}),
    activations.Fused: ([X, None, np.negative, None], {}),
    arithmetic.Clamp: ([X, 0.0, 6.0, True], {}),
    pool.MaxPool2d: ([X, POOL, POOL.output_shape(9, 7), True], {}),
    pool.AvgPool2d: ([X, ADAPTIVE, [4, 3]], {}),
    pool.PlaneGather: ([X, np.zeros((2, 4, 5, 3), np.int64)], {}),
    arithmetic.Add: ([X, Y], {}),
    arithmetic.Sub: ([Y, X], {}),
    arithmetic.Mul: ([X, Y], {}),
    reduce.Sum: ([X, (1, 3), False], {}),
    join.Cat: ([X, [2, 3, 9, 7]], {"dim": 1}),
    pad.Pad: ([X, ((0, 0), (0, 1), (2, 3), (-1, 4)), 0.0], {}),
    random.Dropout: ([X, 0.5, (2, 4, 1, 1)], {}),
}


def arrays_of(args, dtype):
    """Random arrays for shapes; other arguments as they are."""
    rng = np.random.default_rng(0)
    return [rng.random(a).astype(dtype) if isinstance(a, list) else a for a in args]


def run(function, forward, args, options, needs):
    """Shape and dtype of the results; of what is saved, or which argument it is."""
    node = function()
    node.needs_input_grad = (needs,) * len(args)
    results = forward(node, *args, **options)
    results = results if isinstance(results, tuple) else (results,)
    saved = []
    for array in node._to_save:
        place = next((i for i, a in enumerate(args) if a is array), None)
        place = "result" if any(array is r for r in results) else place
        saved.append(None if array is None else place or (array.shape, array.dtype))
    return [(r.shape, r.dtype) for r in results], saved


def test_every_rule_has_a_case():
    assert set(CASES) == set(dry.RULES)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("needs", [True, False])
@pytest.mark.parametrize("function", CASES, ids=lambda f: f.__name__)
def test_rules_tell_what_ops_do(function, needs, dtype):
    args, options = CASES[function]
    args = arrays_of(args, dtype)
    results, saved = run(function, function.forward, args, options, needs)
    dry_results, dry_saved = run(function, dry.RULES[function], args, options, needs)
    assert dry_results == results
    if function is pool.MaxPool2d:  # the kernel lays the cells out in an order of its own
        ((shape, kind),), ((dry_shape, dry_kind),) = saved, dry_saved
        assert dry_kind == kind and dry_shape == (2, 4, 5, 2) and np.prod(shape) >= 80
    else:
        assert dry_saved == saved


def computed(monkeypatch):
    """From here on dry runs compute."""
    monkeypatch.setattr(dry, "RULES", {})


@pytest.mark.parametrize("training", [True, False])
@pytest.mark.parametrize(
    "name, size",
    [
        ("lenet5_original", (1, 32, 32)), ("toy_inception_net", (1, 28, 28)),
        ("cifar_resnet20_A", (3, 20, 12)), ("googlenet_paper", (3, 64, 48)),
        ("mobilenet_v1_0_25", (3, 32, 64)), ("cifar_densenet40_k12", (3, 8, 12)),
        ("squeezenet1_1", (3, 40, 60)), ("inception_resnet_v1_paper", (3, 90, 96)),
    ],
)  # fmt: skip
def test_a_dry_run_is_like_a_wet_one(name, size, training, monkeypatch):
    options = {"aux_logits": False} if name.startswith("googlenet") else {}
    net = tc.models.get_model(name, **options)
    blank = trace(net, (2, *size), training)
    computed(monkeypatch)
    full = trace(net, (2, *size), training)

    def told(graph):
        return [
            (op.function, op.path, [(y.shape, y.dtype) for y in op.outputs]) for op in graph.ops
        ]

    assert told(blank) == told(full)


def test_state_modes_gradients_and_random_numbers_stay():
    net = nn.Sequential(nn.Conv2d(3, 4, 3), nn.BatchNorm2d(4), nn.Dropout(0.3), nn.ReLU())
    net[1].eval()
    before = {name: value.array.copy() for name, value in net.state_dict().items()}
    tc.manual_seed(0)
    expected = tc.rand(2)
    tc.manual_seed(0)
    for training in (True, False):
        trace(net, (2, 3, 8, 9), training)
    assert tc.equal(tc.rand(2), expected)
    assert [m.training for m in net] == [True, False, True, True]
    for name, value in net.state_dict().items():
        np.testing.assert_array_equal(value.array, before[name])
    assert all(p.grad is None for p in net.parameters())
    assert not any(m._forward_hooks or m._forward_pre_hooks for m in net.modules())


def test_blank_networks_need_neither_numba_nor_memory(tmp_path):
    script = """
import sys
import tinyconv as tc
from tinyconv.models.registry import find
from tinyconv.models.summary import count, summary

def resident():
    with open("/proc/self/statm") as statm:
        return int(statm.read().split()[1]) * 4096

before = resident() if sys.platform == "linux" else None
with tc.nn.init.skip_init():
    net = tc.models.vgg19()
s = summary(net, (8, 3, 224, 224))
if before is not None:
    grown = resident() - before
    assert grown < 30e6, f"{grown / 1e6:.0f} MB"
assert s.parameter_bytes > 570e6 and s.training_bytes > 200e6
with tc.nn.init.skip_init():
    for name in tc.models.list_models():
        count(tc.models.get_model(name), find(name).input)
    summary(tc.models.resnet18(), (3, 64, 96)).save(sys.argv[1])
assert "numba" not in sys.modules
"""
    words = [sys.executable, "-c", script, str(tmp_path / "net.svg")]
    done = subprocess.run(words, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
