"""Inference of the networks made for ImageNet, one image at a time, against the same text and
weights in PyTorch."""

import copy

import numpy as np

import tinyconv as tc
from benchmarks.steps import FORMATS, better, summary
from benchmarks.timing import interleaved, peer, ratio, table
from benchmarks.twin import get_model
from tinyconv.models.registry import find, list_models

#: sides of images that count as ImageNet's
_LEAST = 160


def networks():
    """name -> (C, H, W) of the networks made for such images."""
    shapes = {name: find(name).input for name in list_models()}
    return {name: shape for name, shape in shapes.items() if min(shape[1:]) >= _LEAST}


def make(name):
    """A network of ours in evaluation mode. Its weights are random, of the size that He et al.
    2015 begin with: drawn once, and used again and again."""
    with tc.nn.init.skip_init():
        net = get_model(name, tc).eval()
    bank = np.random.default_rng(0).standard_normal(1 << 20, np.float32)
    for p in net.parameters():
        if p.ndim > 1:
            fan_in = p.array[0].size
            p.array[...] = np.resize(bank, p.shape) * np.float32((2 / fan_in) ** 0.5)
            p._bump()
    return net


def twins(torch, name, net):
    """The same network in PyTorch's two formats."""
    with torch.device("meta"):
        other = get_model(name, torch).eval()
    state = {key: torch.from_numpy(t.numpy().copy()) for key, t in net.state_dict().items()}
    other.load_state_dict(state, assign=True)
    return other, copy.deepcopy(other).to(memory_format=torch.channels_last)


def _inference(framework, net, x):
    def infer():
        with framework.inference_mode():
            return net(x)

    return infer


def contestants(name, shape, torch):
    """Calls that give the logits: ours and, where PyTorch is installed, its two formats."""
    x = np.random.default_rng(1).standard_normal((1, *shape), np.float32)
    net = make(name)
    calls = [_inference(tc, net, tc.from_numpy(x))]
    if torch is not None:
        for memory_format, other in zip(
            (torch.contiguous_format, torch.channels_last), twins(torch, name, net)
        ):
            pixels = torch.from_numpy(x).contiguous(memory_format=memory_format)
            calls.append(_inference(torch, other, pixels))
    return calls


def check(name, calls):
    """The logits agree."""
    ours, *theirs = [call().numpy() for call in calls]
    for logits in theirs:
        error = np.abs(logits - ours).max() / np.abs(logits).max()
        assert error < 1e-4, f"{name}: logits are {error:.1e} of the largest apart"


def run(rounds, wanted):
    """Print milliseconds per image; returns rows as dicts."""
    torch, rows = peer(), []
    for name, shape in networks().items():
        if not wanted(name):
            continue
        calls = contestants(name, shape, torch)
        check(name, calls)
        ours, *theirs = [t * 1e3 for t in interleaved(calls, rounds)]
        row = dict(net=name, input=list(shape), milliseconds=ours)
        rows.append(row | dict(torch_milliseconds=dict(zip(FORMATS, theirs))))
        print(f"{name}: {ours:.2f} ms, {ratio(better(rows[-1]), 1)}", flush=True)
    table(
        "one image, inference: PyTorch's better format / ours; above 1 we are faster",
        ("net", "image", "ms", *(f"torch {f}" for f in FORMATS), "ratio"),
        [
            (r["net"], "x".join(map(str, r["input"])), f"{r['milliseconds']:.2f}",
             *(f"{t:.2f}" for t in r["torch_milliseconds"].values()), ratio(better(r), 1))
            for r in rows
        ],
    )  # fmt: skip
    found = summary(rows)
    if found:
        print(f"least {found[0]:.2f} ({found[1]}), mean {found[2]:.2f}")
    return rows
