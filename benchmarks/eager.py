"""What an op costs besides its arithmetic: small tensors of floats, recorded for backward.

The same text runs in both frameworks. ``chain`` is twenty products and sums with their way back.
"""

import numpy as np

import tinyconv as tc
import tinyconv.nn.functional as F
from benchmarks.timing import geometric_mean, interleaved, peer, ratio, table

OPS = {
    "add": "x + y",
    "add a number": "1.0 + x",
    "subtract": "x - y",
    "multiply": "x * y",
    "multiply by a number": "x * 2.0",
    "divide": "x / y",
    "negate": "-x",
    "square": "x**2",
    "exp": "x.exp()",
    "tanh": "x.tanh()",
    "relu": "F.relu(x)",
    "clamp": "x.clamp(0, 1)",
    "index": "x[0]",
    "reshape": "x.reshape(20)",
    "permute": "x.permute(1, 0)",
    "cat": "T.cat([x, y], 1)",
    "add a row": "x + y[0]",
    "sum": "x.sum()",
    "mean": "x.mean()",
    "max along a dim": "x.max(1)",
    "softmax": "F.softmax(x, 1)",
    "linear": "F.linear(x, y)",
}
CHAIN = "backward of a chain"


def compiled(T, functional, text):
    """``text`` as a function of nothing, on two tensors of its own."""
    x, y = (T.tensor(np.linspace(a, 2, 20, dtype=np.float32).reshape(4, 5)) for a in (0.5, 1))
    names = dict(T=T, F=functional, x=x.requires_grad_(), y=y.requires_grad_())
    return eval(f"lambda: {text}", names)


def chain(T):
    x = T.ones(4, 5).requires_grad_()

    def run():
        y = x
        for _ in range(20):
            y = y * x + x
        y.sum().backward()
        x.grad = None

    return run


def run(rounds, wanted):
    """Print microseconds per op and PyTorch's share of them; returns the rows as dicts."""
    torch = peer()
    rows = []
    for name, text in {**OPS, CHAIN: None}.items():
        if not wanted(f"eager {name}"):
            continue
        peers = [(tc, F)] + ([(torch, torch.nn.functional)] if torch else [])
        functions = [chain(T) if text is None else compiled(T, f, text) for T, f in peers]
        seconds = [*interleaved(functions, rounds), None]
        rows.append(
            dict(op=name, text=text or "y = y * x + x, 20 times", microseconds=seconds[0] * 1e6,
                 torch_microseconds=seconds[1] and seconds[1] * 1e6)
        )  # fmt: skip
    if rows:
        table(
            "small recorded ops: microseconds",
            ("op", "text", "ours", "PyTorch", "PyTorch / ours"),
            [
                (r["op"], r["text"], f"{r['microseconds']:.2f}",
                 "-" if torch is None else f"{r['torch_microseconds']:.2f}",
                 ratio(r["torch_microseconds"], r["microseconds"]))
                for r in rows
            ],
        )  # fmt: skip
        if torch:
            mean = geometric_mean([r["torch_microseconds"] / r["microseconds"] for r in rows])
            print(f"geometric mean of PyTorch / ours: {mean:.2f}")
    return rows
