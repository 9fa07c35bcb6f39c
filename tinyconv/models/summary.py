"""What a network costs, layer by layer: shapes, parameters, multiply-adds, memory."""

import contextlib
import weakref
from dataclasses import asdict, dataclass, field

import numpy as np

import tinyconv.nn as nn
from tinyconv.autograd import Tensor, enable_grad, no_grad
from tinyconv.autograd.modes import state
from tinyconv.ops.random import get_rng_state, set_rng_state


@dataclass
class Row:
    """One layer: its path in the network, and what one image costs in it."""

    path: str
    type: str
    output_shape: list
    parameters: int
    macs: int


@dataclass
class Summary:
    """The rows of a network and their sums; ``print`` shows it as a table.

    Attributes:
        model: the network's class.
        input_size: shape of the input, [N, C, H, W].
        rows: ``Row`` of each layer, in the order of the calls.
        parameters: numbers that are trained, or could be.
        macs: multiply-accumulates of convolutions and linear layers, for one image.
        parameter_bytes: what parameters and buffers take.
        training_bytes: activations that wait for backward when forward has ended.
        inference_bytes: the most that activations take at one time without recording.
    """

    model: str
    input_size: list
    rows: list = field(default_factory=list)
    parameters: int = 0
    macs: int = 0
    parameter_bytes: int = 0
    training_bytes: int = 0
    inference_bytes: int = 0

    def to_dict(self):
        """The same as plain dicts, lists and numbers."""
        return asdict(self)

    def __str__(self):
        head = ("layer", "type", "output", "parameters", "MACs")
        table = [
            (r.path, r.type, _times(r.output_shape), f"{r.parameters:,}", f"{r.macs:,}")
            for r in self.rows
        ]
        table.append(("sum", "", "", f"{self.parameters:,}", f"{self.macs:,}"))
        wide = [max(len(row[k]) for row in [head, *table]) for k in range(5)]
        lines = [
            f"{a:<{wide[0]}}  {b:<{wide[1]}}  {c:<{wide[2]}}  {d:>{wide[3]}}  {e:>{wide[4]}}"
            for a, b, c, d, e in [head, *table]
        ]
        rule = "-" * len(lines[0])
        return "\n".join(
            [
                f"{self.model}, input {_times(self.input_size)}; MACs are for one image",
                *[lines[0].rstrip(), rule, *lines[1:-1], rule, lines[-1]],
                f"memory: parameters {_bytes(self.parameter_bytes)}; activations "
                f"{_bytes(self.training_bytes)} in training, {_bytes(self.inference_bytes)} "
                "in inference",
            ]
        )


def summary(model, input_size):
    """Send zeros through a network and note what each layer makes of them.

    A MAC is one multiplication with its addition: N O Ho Wo (C / groups) kh kw in a
    convolution, one per weight in a linear layer. Activations are measured: the arrays that
    ops make, and for training those kept for backward; the input itself is not counted.

    Args:
        model: a Module.
        input_size: (C, H, W) for one image, or the whole shape (N, ...).

    Returns:
        ``Summary``. Modes, buffers and gradients are as before.

    Raises:
        ValueError, RuntimeError: what the network raises if it does not take that input.

    >>> import tinyconv as tc
    >>> from tinyconv.models.summary import summary
    >>> s = summary(tc.models.LeNet5(), (1, 28, 28))
    >>> s.parameters, s.macs
    (61706, 416520)
    """
    shape = (1, *input_size) if len(input_size) == 3 else tuple(input_size)
    dtype = next((p.dtype for p in model.parameters()), np.dtype(np.float32))
    parts = [*model.parameters(), *model.buffers()]
    result = Summary(type(model).__name__, list(shape))
    result.parameters = sum(p.numel() for p in model.parameters())
    result.parameter_bytes = sum(p.array.nbytes for p in parts)
    modes = [(module, module.training) for module in model.modules()]
    handles = [
        module.register_forward_hook(_noter(path, module, result.rows))
        for path, module in model.named_modules()
        if next(module.children(), None) is None or next(module.parameters(False), None) is not None
    ]
    try:
        model.eval()  # moves no running statistics
        x = Tensor(np.zeros(shape, dtype))
        with no_grad(), _Watched([x, *parts]) as watched:
            y = model(x)
            result.inference_bytes = watched.most
        del y
        for handle in handles:
            handle.remove()
        # batch statistics of single numbers want two images at least
        images = max(2, shape[0])
        x = Tensor(np.zeros((images, *shape[1:]), dtype))
        model.train()
        with enable_grad(), _statistics_stay(), _Watched([x, *parts]) as watched:
            y = model(x)
            result.training_bytes = watched.now * shape[0] // images
        del y
    finally:
        for handle in handles:
            handle.remove()
        for module, mode in modes:
            module.training = mode
    result.macs = sum(row.macs for row in result.rows)
    return result


@contextlib.contextmanager
def _statistics_stay():
    """Inside, training moves neither running statistics nor the random numbers."""
    before, state.recomputing = state.recomputing, True
    random = get_rng_state()
    try:
        yield
    finally:
        state.recomputing = before
        set_rng_state(random)


def _noter(path, module, rows):
    def note(module, args, out):
        known = any(row.path == path for row in rows)
        own = 0 if known else sum(p.numel() for p in module.parameters(recurse=False))
        out_shape = list(getattr(out, "shape", []))
        kind = type(module).__name__
        rows.append(Row(path or "(itself)", kind, out_shape, own, _macs(module, out)))

    return note


def _macs(module, out):
    """Multiply-adds of one image."""
    if isinstance(module, nn.Conv2d):
        per_number = int(np.prod(module.weight.shape[1:]))  # C / groups, kh, kw
    elif isinstance(module, nn.Linear):
        per_number = module.weight.shape[1]
    else:
        return 0
    return out.numel() // max(1, out.shape[0]) * per_number


class _Watched:
    """Counts the bytes of arrays that ops make and that are still alive.

    It stands where the anomaly detector stands, so that it sees every op of the thread.
    """

    def __init__(self, given):
        self.modules = []
        self.now = self.most = 0
        self._alive = {id(_owner(t.array)): None for t in given}  # these do not count

    def __enter__(self):
        self._previous, state.detector = state.detector, self
        return self

    def __exit__(self, *exc):
        state.detector = self._previous

    def forward(self, node, arrays, options):
        results = type(node).forward(node, *arrays, **options)
        made = results if isinstance(results, tuple) else (results,)
        for array in (*made, *(node._to_save if any(node.needs_input_grad) else ())):
            if isinstance(array, np.ndarray):
                self._count(_owner(array))
        return results

    def _count(self, array):
        if id(array) in self._alive:
            return
        key, size = id(array), array.nbytes

        def gone(_):
            del self._alive[key]
            self.now -= size

        self._alive[key] = weakref.ref(array, gone)
        self.now += size
        self.most = max(self.most, self.now)


def _owner(array):
    """The array that the memory belongs to: views cost nothing."""
    while isinstance(array.base, np.ndarray):
        array = array.base
    return array


def _times(shape):
    return "x".join(map(str, shape))


def _bytes(count):
    return f"{count / 2**20:.2f} MiB" if count >= 2**20 else f"{count / 2**10:.1f} KiB"
