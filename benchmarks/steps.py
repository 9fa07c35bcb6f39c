"""Training steps and inference of whole networks, against the same text and weights in PyTorch."""

import numpy as np

import tinyconv as tc
from benchmarks.nets import NETS
from benchmarks.timing import geometric_mean, interleaved, peer, ratio, table
from benchmarks.twin import copy_weights, module

FORMATS = ("contiguous", "channels_last")
MODES = ("training", "inference")


class Contestant:
    """A network in one framework and memory format, with its data and optimiser."""

    def __init__(self, framework, cls, options, x, labels, memory_format=None):
        self.framework = framework
        self.net = getattr(module("benchmarks.nets", framework), cls)(**options)
        self.x, self.labels = framework.from_numpy(x), framework.from_numpy(labels)
        if memory_format is not None:
            self.net = self.net.to(memory_format=memory_format)
            self.x = self.x.contiguous(memory_format=memory_format)
        self.optimizer = framework.optim.SGD(self.net.parameters(), lr=0.001, momentum=0.9)

    def train(self):
        """One step, of a network in training mode; returns the loss before it."""
        self.optimizer.zero_grad()
        loss = self.framework.nn.functional.cross_entropy(self.net(self.x), self.labels)
        loss.backward()
        self.optimizer.step()
        return loss.item()

    def infer(self):
        """The logits, of a network in evaluation mode."""
        with self.framework.no_grad():
            return self.net(self.x)


def contestants(cls, options, shape, torch):
    """Ours and, where PyTorch is installed, its two formats, all with the same weights."""
    rng = np.random.default_rng(0)
    tc.manual_seed(0)
    x = rng.standard_normal(shape, np.float32)
    labels = rng.integers(0, 10, shape[0])
    ours = Contestant(tc, cls, options, x, labels)
    result = [ours]
    if torch is not None:
        for memory_format in (torch.contiguous_format, torch.channels_last):
            other = Contestant(torch, cls, options, x, labels, memory_format)
            copy_weights(torch, ours.net, other.net)
            result.append(other)
    return result


def in_mode(runners, mode):
    """What each contestant does in 'training' or 'inference', its network set to that."""
    for runner in runners:
        runner.net.train(mode == "training")
    return [runner.train if mode == "training" else runner.infer for runner in runners]


def check(runners):
    """The logits agree, and the losses of the first two steps."""
    logits = [infer().numpy() for infer in in_mode(runners, "inference")]
    for other in logits[1:]:
        np.testing.assert_allclose(other, logits[0], rtol=0, atol=1e-4 * np.abs(other).max())
    losses = [[step() for _ in range(2)] for step in in_mode(runners, "training")]
    np.testing.assert_allclose(losses, [losses[0]] * len(losses), rtol=1e-4)


def time_net(runners, mode, rounds):
    """Median milliseconds of ours, and of PyTorch's formats as a dict."""
    ours, *theirs = [t * 1e3 for t in interleaved(in_mode(runners, mode), rounds)]
    return dict(milliseconds=ours, torch_milliseconds=dict(zip(FORMATS, theirs)))


def better(row):
    """PyTorch's better format over ours, or None."""
    theirs = min(row["torch_milliseconds"].values(), default=None)
    return None if theirs is None else theirs / row["milliseconds"]


def run(rounds, wanted):
    """Print milliseconds per step; returns rows as dicts."""
    torch = peer()
    rows = []
    for name, (cls, options, shape) in NETS.items():
        modes = [mode for mode in MODES if wanted(f"{name} {mode}")]
        if modes:
            runners = contestants(cls, options, shape, torch)
            check(runners)
        for mode in modes:
            rows.append(
                dict(net=name, mode=mode, batch=shape[0], **time_net(runners, mode, rounds))
            )
    for mode in MODES:
        _print(mode, [r for r in rows if r["mode"] == mode])
    return rows


def summary(rows):
    """(least ratio, its net, geometric mean) of rows of one mode; None without a peer."""
    pairs = [(better(r), r["net"]) for r in rows if r["torch_milliseconds"]]
    return (*min(pairs), geometric_mean([p[0] for p in pairs])) if pairs else None


def _print(mode, rows):
    if not rows:
        return
    table(
        f"{mode}: PyTorch's better format / ours; above 1 we are faster",
        ("net", "batch", "ms", "images/s", *(f"torch {f}" for f in rows[0]["torch_milliseconds"]),
         "ratio"),
        [
            (r["net"], r["batch"], f"{r['milliseconds']:.2f}",
             f"{r['batch'] / r['milliseconds'] * 1e3:.0f}",
             *(f"{t:.2f}" for t in r["torch_milliseconds"].values()), ratio(better(r), 1))
            for r in rows
        ],
    )  # fmt: skip
    found = summary(rows)
    if found:
        print(f"{mode}: least {found[0]:.2f} ({found[1]}), mean {found[2]:.2f}")
