"""Watch: sees every op of a run, forward and backward, and what each does to its arrays."""

import contextlib
from typing import NamedTuple

import numpy as np

from tinyconv.autograd import Tensor
from tinyconv.autograd.anomaly import Detector
from tinyconv.autograd.modes import state


class Call(NamedTuple):
    """One op of a run: enough to run it again."""

    function: type
    arguments: list
    options: dict
    #: which arguments its gradient was asked for
    wrt: list
    origin: str


class Watch(Detector):
    """Stands where ``detect_anomaly`` stands, and notes ops that break a rule.

    The engine converts a gradient of the wrong dtype and refuses one of the wrong shape; a
    cotangent that an op writes to may be shared by other ops. None of that shows in the gradients
    of the whole, so it is looked for at each op.
    """

    def __init__(self):
        super().__init__(check_nan=False, check_inf=False)
        #: list of (kind of finding, text)
        self.seen = []
        #: the ops of the forward run, in order
        self.calls = []

    @contextlib.contextmanager
    def __call__(self):
        previous, state.detector = state.detector, self
        try:
            yield self
        finally:
            state.detector = previous

    def forward(self, node, arrays, options):
        before = [a.copy() if isinstance(a, np.ndarray) else a for a in arrays]
        results = type(node).forward(node, *arrays, **options)
        for i, (a, old) in enumerate(zip(arrays, before)):
            if isinstance(a, np.ndarray) and not same(a, old):
                self.note("input mutated", f"{node.name}.forward writes to its argument {i}")
        wrt = [i for i, needed in enumerate(node.needs_input_grad) if needed]
        if wrt:
            self.calls.append(Call(type(node), before, options, wrt, self._origin()))
        return results

    def backward(self, node, grads):
        before = [None if g is None else g.array.copy() for g in grads]
        state.detector = None
        try:
            results = type(node).backward(node, *grads)
        finally:
            state.detector = self
        for g, old in zip(grads, before):
            if g is not None and not same(g.array, old):
                self.note("cotangent mutated", f"{node.name}.backward writes to its cotangent")
        given = results if isinstance(results, tuple) else (results,)
        self._results(node, given, [g.array for g in grads if g is not None])
        return results

    def _results(self, node, results, cotangents):
        fresh = []
        for i, (g, meta) in enumerate(zip(results, node.input_meta)):
            if not isinstance(g, Tensor) or meta is None or not node.needs_input_grad[i]:
                continue
            shape, dtype = meta
            where = f"{node.name}.backward, gradient of argument {i}: "
            if g.shape != shape:
                self.note("shape", f"{where}shape {list(g.shape)}, the argument has {list(shape)}")
            if g.dtype != dtype:
                self.note("dtype", f"{where}{g.dtype}, the argument is {dtype}")
            # passing the cotangent itself on to several inputs is what add does, and fine
            if not any(np.may_share_memory(g.array, v) for v in cotangents):
                for k, other in fresh:
                    if g.array.size and np.shares_memory(g.array, other):
                        self.note("aliased", f"{where}the same memory as that of argument {k}")
                fresh.append((i, g.array))

    def note(self, kind, text):
        if (kind, text) not in self.seen:
            self.seen.append((kind, text))


def same(a, b):
    """Equal bit for bit, NaN included."""
    return a.shape == b.shape and a.dtype == b.dtype and np.array_equal(a, b, equal_nan=_nan(a))


def _nan(a):
    return a.dtype.kind in "fc"
